//! Writes by remote file management through the whole gateway, to a card without applet by hand.

use std::time::Duration;

use airwrite::card::{End, Profile, Timers, WriteId, WriteState};
use airwrite::gateway::{CardRef, Export, PollError};
use airwrite::ota::comprehension_tlv::{find, read_all, read_ber, tag};
use airwrite::ota::script::decode_compact;
use airwrite::ota::tp::Deliver;
use airwrite::ota::{Reference, Rsc, Tar, UserData};
use airwrite::sim::FaultPlan;
use airwrite::smpp::{CommandStatus, Event};
use airwrite::store::keys;
use airwrite::world::{Rng, SeededRng};

use crate::by_hand::{ROK, binding_request, entries};
use crate::common::hand_card::{HandCard, command_user_data};
use crate::common::hand_files::{HandFiles, LOCI, MSISDN, Script};
use crate::common::scene::{Kind, Scene, Setup, TWO_TARS};
use crate::common::smsc::{Smsc, message, plain_message};
use crate::{EFFECTIVE, sound};

const FIRST: Tar = Tar([0xB0, 0x00, 0x11]);
const SECOND: Tar = Tar([0xB0, 0x00, 0x10]);

/// The cards of the sample have the profile with two scripts, to two TARs.
fn profile(change: impl Fn(&str) -> String) -> Profile {
    let text = change(TWO_TARS);
    let mut profile = Profile::from_toml(&text).unwrap();
    "airwrite-applet".clone_into(&mut profile.name);
    profile
}

async fn scene_with(seed: u64, change: impl Fn(&str) -> String) -> (Scene, Smsc, HandFiles) {
    let setup = Setup { by_hand: true, profile: profile(change), ..Setup::new(2, seed) };
    let (scene, smsc) = Smsc::bound(Scene::with(setup).await).await;
    let card = HandFiles::new(&scene, 0);
    (scene, smsc, card)
}

async fn scene(seed: u64) -> (Scene, Smsc, HandFiles) {
    scene_with(seed, str::to_owned).await
}

/// A write for a device that the business platform says the first card is in.
async fn ordered(scene: &Scene) -> WriteId {
    bind(scene).await;
    scene.order(0).await
}

async fn bind(scene: &Scene) {
    let card = CardRef::Iccid(scene.sample.cards[0].iccid.unwrap());
    scene.gateway.supply_binding(&Scene::owner(), scene.imei(0), card).await.unwrap();
}

async fn state(scene: &Scene, write: WriteId) -> &'static str {
    scene.write(write).await.state.name()
}

/// The card executes the next packet; its response comes from `from`.
async fn answer_next(smsc: &mut Smsc, card: &mut HandFiles, from: &str) -> Script {
    let (_, script) = card.next(smsc).await;
    let por = card.execute(&script);
    assert_eq!(smsc.deliver(message(from, por)).await, ROK);
    script
}

/// What the owner was told of the write: kind and detail.
async fn told(scene: &Scene, write: WriteId) -> Vec<(String, String)> {
    let facts = scene.told().await.into_iter().map(|told| told.fact);
    let of_write = facts.filter(|fact| fact.write.is_some_and(|(id, _)| id == write));
    of_write.map(|fact| (fact.kind, fact.detail)).collect()
}

/// R15, R17, R18: over the air, script by script, until the new number answers.
#[tokio::test(start_paused = true)]
async fn a_card_without_applet_is_written_and_proved_by_its_files() {
    let (scene, mut smsc, mut card) = scene(301).await;
    let write = ordered(&scene).await;
    let old = card.number.clone();
    let target = scene.write(write).await.target;
    let plan = scene.write(write).await.plan.unwrap();
    assert_eq!((plan.scripts, plan.parts, plan.messages, plan.step), (2, 2, 4, 0));

    let first = answer_next(&mut smsc, &mut card, &old).await;
    assert_eq!(first.tar, FIRST);
    assert_eq!(scene.write(write).await.plan.unwrap().step, 1);
    let second = answer_next(&mut smsc, &mut card, &old).await;
    assert_eq!((second.tar, card.imsi()), (SECOND, target.imsi));
    assert!(second.cntr > first.cntr);
    let written = scene.write(write).await;
    assert_eq!((written.state, written.plan.unwrap().step), (WriteState::Written, 2));
    assert_eq!(scene.card(0).await.current.unwrap().msisdn.as_str(), old);

    // Asked at both numbers; the old one answers while the card has not begun to use it.
    let (to, poll) = card.next(&mut smsc).await;
    let (other, again) = card.next(&mut smsc).await;
    assert_eq!((poll == again, to == other), (true, false));
    let por = card.execute(&poll);
    assert_eq!(smsc.deliver(message(&old, por)).await, ROK);
    assert_eq!(state(&scene, write).await, "written");
    let (_, poll) = card.next(&mut smsc).await;
    let por = card.execute(&poll);
    assert_eq!(smsc.deliver(message(target.msisdn.as_str(), por.clone())).await, ROK);
    let effective = scene.write(write).await;
    assert_eq!((effective.state.name(), effective.imei_verified), ("effective", Some(false)));
    assert_eq!(scene.card(0).await.current, Some(target));
    let kinds: Vec<String> = told(&scene, write).await.into_iter().map(|(kind, _)| kind).collect();
    let expected = ["accepted", "sent", "step", "sent", "written", "effective"];
    assert_eq!(kinds, expected.map(|kind| format!("write.{kind}")));
    // I6: the same again changes nothing.
    assert_eq!(smsc.deliver(message(&old, por)).await, ROK);
    assert_eq!(scene.write(write).await.seq, effective.seq);
}

/// I2, I3: what was answered does not go out again, and the script in the lane goes out in the same octets.
#[tokio::test(start_paused = true)]
async fn a_crash_between_the_scripts_goes_on_with_the_unanswered_one() {
    let (mut scene, mut smsc, mut card) = scene(302).await;
    let write = ordered(&scene).await;
    let old = card.number.clone();
    answer_next(&mut smsc, &mut card, &old).await;
    let (_, before) = card.next(&mut smsc).await;
    scene.crash().await;
    let (scene, mut smsc) = Smsc::bound(scene).await;
    let (_, after) = card.next(&mut smsc).await;
    assert_eq!(after, before);
    let por = card.execute(&after);
    assert_eq!(smsc.deliver(message(&old, por)).await, ROK);
    assert_eq!(state(&scene, write).await, "written");
    assert_eq!(told(&scene, write).await.iter().filter(|(kind, _)| kind == "write.step").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_stops_names_file_and_status_word() {
    let (scene, mut smsc, mut card) = scene(303).await;
    card.protected.push(LOCI.to_vec());
    let write = ordered(&scene).await;
    let old = card.number.clone();
    let before = card.imsi();
    for _ in 0..2 {
        answer_next(&mut smsc, &mut card, &old).await;
    }
    assert_eq!(state(&scene, write).await, "unknown");
    // EF.IMSI is read before that is believed; it went to both numbers.
    let poll = answer_next(&mut smsc, &mut card, &old).await;
    assert_eq!((poll.tar, card.imsi()), (SECOND, before));
    let failed = scene.write(write).await;
    let reason = failed.reason.unwrap();
    assert_eq!(failed.state, WriteState::Ended(End::Failed));
    assert!(reason.starts_with("EF.LOCI: 6982"), "{reason}");
    assert_eq!(failed.plan.unwrap().step, 1);
}

/// A missing file is one that the card does not find.
#[tokio::test(start_paused = true)]
async fn a_file_that_the_card_does_not_have_is_named() {
    let (scene, mut smsc, mut card) = scene(304).await;
    card.files.remove(MSISDN.as_slice());
    let write = ordered(&scene).await;
    let old = card.number.clone();
    answer_next(&mut smsc, &mut card, &old).await;
    answer_next(&mut smsc, &mut card, &old).await;
    let failed = scene.write(write).await;
    assert_eq!(failed.reason.as_deref(), Some("EF.MSISDN: 6A82 file not found"));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_script_is_fenced_under_its_own_tar() {
    let (scene, mut smsc, mut card) = scene(305).await;
    let write = ordered(&scene).await;
    let old = card.number.clone();
    let (_, lost) = card.next(&mut smsc).await;
    assert!(scene.cancel(write).await.unwrap().cancel);
    let Some(Event::Request(asked, _)) = smsc.event().await else { panic!("a cancel_sm") };
    smsc.reject(asked, CommandStatus::ESME_RCANCELFAIL).await;
    let (_, fence) = card.next(&mut smsc).await;
    assert_eq!(fence.tar, lost.tar);
    assert_eq!(decode_compact(&fence.data).unwrap().len(), 2, "the file is selected, no more");
    let por = card.execute(&fence);
    assert_eq!(smsc.deliver(message(&old, por)).await, ROK);
    assert_eq!(state(&scene, write).await, "cancelled");
    assert_eq!(card.files[&MSISDN.to_vec()], vec![0xFF; 24]);
}

/// R9: what a message without proof claims is bound once EF.ICCID proves the card.
#[tokio::test(start_paused = true)]
async fn r9_a_raw_imei_of_a_card_without_applet_is_proved_by_ef_iccid() {
    let raw = |text: &str| text.replace("dialect = \"none\"", "dialect = \"raw_imei\"");
    let (scene, mut smsc, mut card) = scene_with(306, raw).await;
    let write = scene.order(0).await;
    assert_eq!(state(&scene, write).await, "waiting");
    let old = card.number.clone();
    let imei = scene.imei(0).to_mobile_identity().to_vec();
    assert_eq!(smsc.deliver(plain_message(&old, imei.clone())).await, ROK);
    assert!(scene.card(0).await.binding.is_none());
    // Another card has answered: nothing is bound.
    let (_, poll) = card.next(&mut smsc).await;
    card.set_iccid(scene.sample.cards[1].iccid.unwrap());
    let por = card.execute(&poll);
    assert_eq!(smsc.deliver(message(&old, por)).await, ROK);
    assert_eq!((scene.count("binding.suspect").await, scene.count("binding.created").await), (1, 0));

    card.set_iccid(scene.sample.cards[0].iccid.unwrap());
    // The connection lives on while nothing happens.
    let quiet = tokio::time::timeout(Duration::from_secs(120), smsc.event()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(smsc.deliver(plain_message(&old, imei)).await, ROK);
    answer_next(&mut smsc, &mut card, &old).await;
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(0));
    for _ in 0..2 {
        answer_next(&mut smsc, &mut card, &old).await;
    }
    assert_eq!(state(&scene, write).await, "written");
}

#[tokio::test(start_paused = true)]
async fn a_card_that_sends_nothing_is_not_heard() {
    let (scene, mut smsc, card) = scene(307).await;
    let imei = scene.imei(0).to_mobile_identity().to_vec();
    let secured = command_user_data(&binding_request(&scene, 1, 0));
    let hand = HandCard::new(&scene, 0);
    let request = hand.binding_request(2, scene.imei(0));
    let under_mt_tar = hand.message_under(SECOND, 2, &request);
    assert_eq!(smsc.deliver(plain_message(&card.number, imei)).await, ROK);
    assert_eq!(smsc.deliver(message(&card.number, secured)).await, ROK);
    assert_eq!(smsc.deliver(message(&card.number, under_mt_tar)).await, ROK);
    assert!(scene.card(0).await.binding.is_none() && scene.card(0).await.claimed.is_none());
    assert_eq!(entries(&scene, keys::Space::Stray).await.len(), 3);
}

/// A packet in parts: repeated it has the same reference, and the one after it another.
#[tokio::test(start_paused = true)]
async fn a_reference_is_not_used_again_while_its_parts_may_be_under_way() {
    let long = |text: &str| {
        let step = format!("[[write.step]]\nfile = \"7FFF/6F50\"\nvalue = \"hex:{}\"\n", "5A".repeat(200));
        text.replacen("[[write.step]]", &format!("{step}[[write.step]]"), 1)
    };
    let (scene, mut smsc, mut card) = scene_with(310, long).await;
    card.files.insert(vec![0x7FFF, 0x6F50], vec![0; 200]);
    ordered(&scene).await;
    let old = card.number.clone();
    let first = parts(&mut smsc).await;
    assert_eq!(parts(&mut smsc).await, first, "repeated in the same octets");
    let script = card.join(&first);
    let low = card.por(&script, Rsc::CNTR_LOW, &[]);
    assert_eq!(smsc.deliver(message(&old, low)).await, ROK);
    // The poll has one part; nobody says that the others were taken meanwhile.
    answer_next(&mut smsc, &mut card, &old).await;
    let anew = parts(&mut smsc).await;
    assert_eq!(card.join(&anew).data, script.data);
    assert_ne!(reference(&anew[0]), reference(&first[0]));
}

/// The two parts of a packet.
async fn parts(smsc: &mut Smsc) -> [Vec<u8>; 2] {
    let first = smsc.submitted("1").await.user_data().to_vec();
    [first, smsc.submitted("2").await.user_data().to_vec()]
}

fn reference(part: &[u8]) -> Reference {
    UserData::parse(part).unwrap().concatenation().unwrap().reference
}

/// R19, R20: every packet is read, brought to the card and answered; the poll comes after the reset.
#[tokio::test(start_paused = true)]
async fn r19_r20_on_site_script_by_script() {
    let (scene, _smsc, mut card) = scene(308).await;
    bind(&scene).await;
    let order =
        airwrite::gateway::NewOrder { bearer: Some(airwrite::card::Bearer::Relay), ..scene.new_order(0, 0) };
    let write = scene.place(order, None).await.unwrap().write.id;
    for (step, after) in ["queued", "written", "effective"].into_iter().enumerate() {
        let export = scene.export(write).await;
        assert_eq!(scene.export(write).await, export, "read again it is the same");
        let script = opened(&card, &export);
        let por = card.execute(&script);
        // From RPL on, as the ENVELOPE response brings it.
        let rapdu = [&por[..], &[0x90, 0x00]].concat();
        let now = scene.post_back(&export, vec![(1, rapdu.clone())]).await;
        assert_eq!(now.state.name(), after);
        // I6: posted again, it changes nothing again.
        if step < 2 {
            assert_eq!(scene.post_back(&export, vec![(1, rapdu)]).await.state.name(), after);
        }
    }
    assert_eq!(scene.card(0).await.current.unwrap().imsi, card.imsi());
    assert_eq!(scene.write(write).await.imei_verified, Some(false));
}

fn opened(card: &HandFiles, export: &Export) -> Script {
    let [part] = export.parts.as_slice() else { panic!("one part: {export:?}") };
    let (envelope, _) = read_ber(&part.apdu[5..]).unwrap();
    let objects = read_all(envelope.value).unwrap();
    let tpdu = Deliver::parse(find(&objects, tag::SMS_TPDU).unwrap()).unwrap();
    card.open(&UserData::parse(&tpdu.user_data).unwrap().payload)
}

/// A card that answers no packet: its own message is the proof.
#[tokio::test(start_paused = true)]
async fn a_card_without_por_is_proved_by_its_result() {
    let text = include_str!("../../config/profiles/airwrite-applet.toml");
    let profile = Profile::from_toml(&text.replace("spi2_sms = \"39\"", "spi2_sms = \"00\"")).unwrap();
    let setup = Setup { by_hand: true, profile, ..Setup::new(2, 309) };
    let (scene, mut smsc) = Smsc::bound(Scene::with(setup).await).await;
    let mut card = HandCard::new(&scene, 0);
    let old = card.preset.msisdn.as_str().to_owned();
    let write = ordered(&scene).await;
    let packet = card.open(&smsc.submitted("1").await);
    assert_eq!(packet.asked.0, 0);
    let tid = packet.write().unwrap().tid;
    let target = scene.write(write).await.target;
    let result = card.result(tid, airwrite::applet::WriteStatus::Confirmed, target.imsi);
    let result = card.message(&result);
    assert_eq!(smsc.deliver(message(target.msisdn.as_str(), result)).await, ROK);
    assert_eq!(state(&scene, write).await, "effective");
    assert_ne!(old, target.msisdn.as_str());
    let asked = scene.gateway.poll_card(&Scene::owner(), &scene.card_ref(0)).await;
    assert!(matches!(asked, Err(PollError::NoAnswers)), "{asked:?}");
}

// The same with a simulated card, which makes its own decisions.

/// The card of each device is without an applet, and the business platform says so.
async fn simulated(cards: u32, seed: u64, faults: &str) -> Scene {
    let faults = FaultPlan::from_toml(faults).unwrap();
    let timers = Timers { result_polls_s: vec![5, 10, 20], ..Timers::default() };
    let scene =
        Scene::with(Setup { faults, timers, kinds: &[Kind::Files; 8], ..Setup::new(cards, seed) }).await;
    for index in 0..cards as usize {
        let card = scene.card_ref(index);
        scene.gateway.supply_binding(&Scene::owner(), scene.imei(index), card).await.unwrap();
    }
    scene.sim.power_on(0..cards as usize).await.unwrap();
    scene
}

/// Every write is in effect, and the card holds what was ordered.
async fn in_effect(scene: &Scene, writes: &[WriteId]) {
    let report = scene.report().await;
    for (index, id) in writes.iter().enumerate() {
        let (write, card) = (scene.write(*id).await, &report.cards[index]);
        assert_eq!(write.state, EFFECTIVE, "{write:#?}");
        assert_eq!(card.card.ef_imsi, Some(write.target.imsi));
        assert_eq!(card.attached, Some(write.target.imsi));
    }
    sound(scene, writes).await;
}

/// R24: what was answered is not written again, what was not answered is not lost.
#[tokio::test(start_paused = true)]
async fn r24_a_crash_at_any_moment_of_a_write_by_files_changes_nothing_of_its_end() {
    for moment_ms in (0..12_000).step_by(251) {
        let mut scene = simulated(1, 320, "").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let write = scene.order(0).await;
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        scene.crash().await;
        scene.until(&[write], Duration::from_secs(1_200), |state| state == EFFECTIVE).await;
        in_effect(&scene, &[write]).await;
        for kind in ["write.step", "write.effective", "card.subscription_changed"] {
            assert_eq!(scene.count(kind).await, 1, "{kind} after a crash at {moment_ms} ms");
        }
        scene.gateway.shutdown(Duration::from_secs(5)).await;
        scene.sim.stop().await;
    }
}

/// Messages lost, doubled, overtaken and late, links that drop, and crashes: every write is in effect in the end.
#[tokio::test(start_paused = true)]
async fn i5_faults_and_crashes_end_every_write_by_files_once() {
    // But for cards whose writes come to other ends.
    let faults = include_str!("../../config/sample/faults.toml");
    let faults = faults.replace("barred = 4", "barred = 0").replace("silent = 1", "silent = 0");
    for seed in 330..336 {
        let chance = SeededRng::new(seed);
        let mut scene = simulated(8, seed, &faults).await;
        let mut writes = Vec::new();
        for index in 0..8 {
            writes.push(scene.order(index).await);
            tokio::time::sleep(Duration::from_millis(chance.below(2_000))).await;
            if chance.below(3) == 0 {
                scene.crash().await;
            }
        }
        scene.until(&writes, Duration::from_secs(2 * 86_400), |state| state == EFFECTIVE).await;
        in_effect(&scene, &writes).await;
        scene.gateway.shutdown(Duration::from_secs(5)).await;
        scene.sim.stop().await;
    }
}
