//! What was asked for, from end to end: cards that report and are written, over the air and on site.

use std::time::Duration;

use airwrite::card::WriteState;
use airwrite::gateway::CardRef;
use airwrite::link::LinkConfig;
use airwrite::sim::CardSpec;
use airwrite::smpp::Address;

use crate::common::hand_card::HandCard;
use crate::common::scene::{Kind, Scene, Setup, spec};
use crate::common::smsc::{Smsc, message};
use crate::{EFFECTIVE, agree};

const MINUTE: Duration = Duration::from_secs(60);

/// R4, R5: the card takes the IMEI from its device and reports it with its EID. R6: the relation is there before the card
/// is answered. R9: nobody imported which card sits in which device.
#[tokio::test(start_paused = true)]
async fn a_card_reports_its_device_and_the_platform_knows_it_before_the_answer() {
    let scene = Scene::new(3, 301).await;
    assert_eq!(scene.card(1).await.binding, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.store.hold();
    scene.sim.power_on(1..2).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!scene.report().await.cards[1].card.binding_flag, "not durable, not answered");
    scene.store.release();
    tokio::time::sleep(MINUTE).await;
    assert!(scene.report().await.cards[1].card.binding_flag);
    let (bound, owner) = (scene.card(1).await, Scene::owner());
    assert_eq!(bound.binding.map(|binding| binding.imei), Some(scene.imei(1)));
    let device = scene.gateway.device(&owner, scene.imei(1)).await.unwrap().expect("the device is known");
    assert_eq!(device.card, Some(bound.id));
}

/// R10: an order names a device, an IMSI and a number. R11: the device leads to the card (R11a: from its own report).
/// R12: the message is for that card and says both. R15: it goes to the number that the card has.
#[tokio::test(start_paused = true)]
async fn an_order_for_a_device_becomes_a_message_to_its_card() {
    let mut scene = Scene::with(Setup { by_hand: true, ..Setup::new(2, 302) }).await;
    let mut smsc = Smsc::accept(&mut scene).await;
    let mut card = HandCard::new(&scene, 1);
    let request = card.binding_request(1, card.imei);
    let user_data = card.message(&request);
    smsc.deliver(message(card.preset.msisdn.as_str(), user_data)).await;
    smsc.submitted("1").await;
    let write = scene.order_for(1, 0).await;
    let sm = smsc.submitted("2").await;
    assert_eq!(sm.destination, Address::international(card.preset.msisdn.as_str()).unwrap());
    let packet = card.open(&sm);
    let order = packet.write().expect("a write-card message");
    let target = scene.sample.targets[0];
    assert_eq!((order.imei, order.eid), (card.imei, card.eid));
    assert_eq!((order.imsi, order.msisdn), (target.imsi, target.msisdn));
    assert_eq!(scene.write(write).await.card, Some(scene.card(1).await.id));
}

/// The card without a preset subscription, in the device of the same number.
fn blank() -> Setup {
    fn in_its_device(sample: &airwrite::cli::sample::Sample) -> Vec<CardSpec> {
        vec![CardSpec { preset: None, ..spec(&sample.cards[0], 3) }]
    }
    Setup { kinds: &[Kind::OnSite], more: in_its_device, ..Setup::new(2, 303) }
}

/// R11b: the business platform says which card the device holds. R13, R14: that card has no preset subscription, so the
/// message goes to the business platform. R19: its answer sets the subscription. R20: it is the same message.
#[tokio::test(start_paused = true)]
async fn a_card_without_preset_is_written_on_site() {
    let scene = Scene::with(blank()).await;
    scene.sim.power_on(2..3).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    let write = scene.order_for(2, 0).await;
    assert_eq!(scene.write(write).await.state, WriteState::Waiting);
    let card = CardRef::Eid(scene.sample.cards[0].eid.unwrap());
    scene.gateway.supply_binding(&Scene::owner(), scene.imei(2), card).await.unwrap();
    assert_eq!(scene.write(write).await.state, WriteState::Queued);
    assert_eq!(scene.card(0).await.current, None);

    relay(&scene, write).await;
    assert_eq!(scene.write(write).await.state, WriteState::Written);
    // The card refreshes and attaches; then it is asked, on site too.
    tokio::time::sleep(MINUTE).await;
    if !scene.write(write).await.state.is_end() {
        relay(&scene, write).await;
    }
    assert_eq!(scene.write(write).await.state, EFFECTIVE);
    assert_eq!(scene.card(0).await.current.unwrap().imsi, scene.sample.targets[0].imsi);
    assert_eq!(scene.report().await.cards[2].card.ef_imsi, Some(scene.sample.targets[0].imsi));
    assert_eq!(scene.count("card.subscription_changed").await, 1);
}

/// Brings what is exported to the third device's card, and back what it answers.
async fn relay(scene: &Scene, write: airwrite::card::WriteId) {
    let export = scene.gateway.export(&Scene::owner(), write).await.unwrap();
    let mut answers = Vec::new();
    for part in &export.parts {
        let mut rapdu = scene.sim.transmit(2, part.apdu.clone()).await.unwrap();
        while let [0x61, length] = rapdu[..] {
            answers.push((part.n, rapdu));
            rapdu = scene.sim.transmit(2, vec![0, 0xC0, 0, 0, length]).await.unwrap();
        }
        answers.push((part.n, rapdu));
    }
    scene.gateway.responses(&Scene::owner(), write, export.attempt, answers).await.unwrap();
}

/// R12, R20: what a card over the air and a card on site are told is one message, field by field.
#[tokio::test(start_paused = true)]
async fn over_the_air_and_on_site_carry_the_same_message() {
    let mut messages = Vec::new();
    for (seed, relay) in [(304, false), (304, true)] {
        let mut scene = Scene::with(Setup { by_hand: true, ..Setup::new(1, seed) }).await;
        let mut smsc = Smsc::accept(&mut scene).await;
        let card = HandCard::new(&scene, 0);
        let by_eid = CardRef::Eid(card.eid);
        scene.gateway.supply_binding(&Scene::owner(), card.imei, by_eid).await.unwrap();
        let mut order = scene.new_order(0, 0);
        order.bearer = relay.then_some(airwrite::card::Bearer::Relay);
        let write = scene.place(order, None).await.unwrap().write.id;
        let packet = if relay {
            let export = scene.gateway.export(&Scene::owner(), write).await.unwrap();
            card.open_apdus(&export.parts.iter().map(|part| part.apdu.clone()).collect::<Vec<_>>())
        } else {
            card.open(&smsc.submitted("1").await)
        };
        messages.push(packet.message);
    }
    assert_eq!(messages[0], messages[1]);
}

/// R18: the preset subscription is replaced only when the card has proved the effect, and its number is free then.
#[tokio::test(start_paused = true)]
async fn the_preset_is_replaced_when_the_effect_is_proved() {
    let scene = Scene::new(1, 305).await;
    scene.bind(0..1).await;
    scene.sim.refuse_refresh(0, 3).await.unwrap();
    let write = scene.order(0).await;
    scene.until(&[write], MINUTE, |state| state == WriteState::Written).await;
    let preset = scene.sample.cards[0].preset.clone();
    assert_eq!(scene.card(0).await.current, preset, "written is not in effect");
    scene.until(&[write], 60 * MINUTE, |state| state == EFFECTIVE).await;
    let card = scene.card(0).await;
    assert_eq!(card.current.unwrap().imsi, scene.sample.targets[0].imsi);
    assert_eq!(card.previous, preset);
    tokio::time::sleep(10 * MINUTE).await;
    agree(&scene, &[write]).await;
}

/// R7: a card that did not hear the answer asks again, and hears the same answer.
#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_given_again() {
    let link = LinkConfig { enquire_link_ms: 0, ..LinkConfig::default() };
    let mut scene = Scene::with(Setup { by_hand: true, link, ..Setup::new(1, 306) }).await;
    let mut smsc = Smsc::accept(&mut scene).await;
    let mut card = HandCard::new(&scene, 0);
    let request = card.binding_request(9, card.imei);
    let mut answers = Vec::new();
    for id in ["1", "2"] {
        let user_data = card.message(&request);
        smsc.deliver(message(card.preset.msisdn.as_str(), user_data)).await;
        answers.push(card.open(&smsc.submitted(id).await).message);
        tokio::time::sleep(2 * MINUTE).await;
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((scene.count("binding.created").await, scene.count("binding.repeated").await), (1, 1));
}
