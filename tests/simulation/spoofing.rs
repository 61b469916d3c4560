//! Messages that somebody else made: none changes a subscription, releases a write or ends an order, and each
//! leaves a trace on its card.

use airwrite::applet::{Message, WriteResult, WriteStatus};
use airwrite::card::WriteState;
use airwrite::ota::{Cntr, CommandHeader, ResponseHeader, Rsc, Spi1, Spi2, Tar, command, response};
use airwrite::sim::card::{MO_TAR, MT_TAR};
use airwrite::smpp::{EsmClass, Sm};

use crate::by_hand::{ROK, binding_request, number, scene};
use crate::common::hand_card::command_user_data as whole;
use crate::common::scene::Scene;
use crate::common::smsc::{Smsc, message};

/// What a forger wants: the write of the first card, confirmed.
pub(crate) fn result(scene: &Scene, tid: u32, device: usize) -> Vec<u8> {
    let result = WriteResult {
        tid,
        eid: scene.sample.cards[0].eid.unwrap(),
        imsi: Some(scene.sample.targets[0].imsi),
        imei: scene.imei(device),
        status: WriteStatus::Confirmed,
        detail: 0,
        mt_counter: 2,
    };
    Message::WriteResult(result).to_der().unwrap()
}

/// A command packet of the first card at the level `spi1`, under the card's own keys.
pub(crate) fn packet(scene: &Scene, spi1: Spi1, tar: Tar, data: &[u8]) -> Vec<u8> {
    let keys = scene.sample.cards[0].keys[0].key_set().unwrap();
    let header = CommandHeader::new(spi1, Spi2::NO_POR, &keys, tar, Cntr::try_from(50).unwrap());
    command::seal(&header, &keys, data).unwrap()
}

fn answer(packet: &[u8]) -> Vec<u8> {
    [&[2, 0x71, 0], packet].concat()
}

/// A bound card with a write that has been handed out, and one that waits for another device.
pub(crate) async fn in_flight(seed: u64) -> (Scene, Smsc, [airwrite::card::WriteId; 2]) {
    let (scene, mut smsc) = scene(seed).await;
    smsc.deliver(message(&number(&scene), whole(&binding_request(&scene, 1, 0)))).await;
    smsc.submitted("1").await;
    let writes = [scene.order(0).await, scene.order(1).await];
    smsc.submitted("2").await;
    assert_eq!(scene.write(writes[0]).await.state, WriteState::Sent);
    (scene, smsc, writes)
}

/// A message that somebody makes, knowing all of the card.
type Forgery = fn(&Scene) -> Sm;

#[tokio::test(start_paused = true)]
async fn spoofed_messages_change_nothing_and_leave_a_trace() {
    let forgeries: [(&str, Forgery); 5] = [
        ("no security", |scene| secured_by(scene, 0x00, MO_TAR)),
        ("checked and not ciphered", |scene| secured_by(scene, 0x12, MO_TAR)),
        ("under the TAR of commands", |scene| secured_by(scene, 0x16, MT_TAR)),
        ("plain", |scene| Sm {
            esm_class: EsmClass::default(),
            ..message(&number(scene), result(scene, 1, 0))
        }),
        ("a binding under a counter that was used", |scene| {
            message(&number(scene), whole(&binding_request(scene, 1, 1)))
        }),
    ];
    for ((what, forgery), seed) in forgeries.into_iter().zip(2210..) {
        let (scene, mut smsc, writes) = in_flight(seed).await;
        let before = scene.card(0).await;
        for round in 0..20 {
            assert_eq!(smsc.deliver(forgery(&scene)).await, ROK, "{what} {round}");
        }
        // One of a kind is enough for a while.
        assert_eq!(scene.count("card.hint").await, 1, "{what} leaves a trace");
        let card = scene.card(0).await;
        assert_eq!((&card.binding, &card.current), (&before.binding, &before.current), "{what}");
        let states = [scene.write(writes[0]).await.state, scene.write(writes[1]).await.state];
        assert_eq!(states, [WriteState::Sent, WriteState::Waiting], "{what}");
    }
}

fn secured_by(scene: &Scene, spi1: u8, tar: Tar) -> Sm {
    message(&number(scene), whole(&packet(scene, Spi1(spi1), tar, &result(scene, 1, 0))))
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_is_replayed_changes_nothing() {
    let (scene, mut smsc, _) = in_flight(222).await;
    let from = number(&scene);
    assert_eq!(smsc.deliver(message(&from, whole(&binding_request(&scene, 2, 1)))).await, ROK);
    let moved = scene.card(0).await.binding;
    assert_eq!(moved.as_ref().unwrap().imei, scene.imei(1));
    // The binding of before, octet by octet.
    assert_eq!(smsc.deliver(message(&from, whole(&binding_request(&scene, 1, 0)))).await, ROK);
    assert_eq!(scene.card(0).await.binding, moved);
    assert_eq!((scene.count("binding.changed").await, scene.count("binding.repeated").await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn responses_below_the_asked_protection_prove_nothing() {
    let (scene, mut smsc, writes) = in_flight(223).await;
    let from = number(&scene);
    let keys = scene.sample.cards[0].keys[0].key_set().unwrap();
    let header = |rsc| ResponseHeader { tar: MT_TAR, cntr: Cntr::try_from(2).unwrap(), rsc };
    let data = result(&scene, 1, 0);
    // In clear; and with the right checksum, but not ciphered as it was asked.
    for asked in [Spi2(0x21), Spi2(0x29)] {
        let por = response::seal(&header(Rsc::OK), asked, &keys, &data).unwrap();
        assert_eq!(smsc.deliver(message(&from, answer(&por))).await, ROK);
        assert_eq!(scene.write(writes[0]).await.state, WriteState::Sent);
    }
    assert_eq!(scene.count("card.hint").await, 2);
    // An error in clear only makes the platform ask.
    let por = response::seal(&header(Rsc::CHECK_FAILED), Spi2(0x21), &keys, &[]).unwrap();
    assert_eq!(smsc.deliver(message(&from, answer(&por))).await, ROK);
    assert_eq!(scene.write(writes[0]).await.state, WriteState::Unknown);
    assert_eq!(scene.count("card.hint").await, 3);
    assert_eq!(scene.count("card.subscription_changed").await, 0);
    // Whatever the forger goes on with: the poll is what decides.
    smsc.submitted("3").await;
    assert!(!scene.write(writes[0]).await.state.is_end());
}
