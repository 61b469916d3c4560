//! Messages that no simulated card sends, from an SMSC by hand: parts in any order, strays, receipts, forgeries.

use std::time::Duration;

use airwrite::card::WriteState;
use airwrite::link::{LinkConfig, NumberConfig, NumberForm};
use airwrite::ota::Spi1;
use airwrite::smpp::{Address, CommandStatus, ShortMessage, Sm, Tlvs, tag};
use airwrite::store::{Key, Scan, Store, Unguarded, keys};
use bytes::Bytes;

use crate::common::hand_card::{HandCard, command_user_data as whole};
use crate::common::scene::{Scene, Setup};
use crate::common::smsc::{Smsc, message, receipt};

pub(crate) const ROK: CommandStatus = CommandStatus::ESME_ROK;

pub(crate) async fn scene(seed: u64) -> (Scene, Smsc) {
    Smsc::bound(Scene::with(Setup { by_hand: true, ..Setup::new(2, seed) }).await).await
}

pub(crate) fn number(scene: &Scene) -> String {
    scene.sample.cards[0].preset.as_ref().unwrap().msisdn.as_str().to_owned()
}

/// A binding request of the first card, secured, from CPL on.
pub(crate) fn binding_request(scene: &Scene, cntr: u64, device: usize) -> Vec<u8> {
    let card = HandCard::new(scene, 0);
    let request = card.binding_request(u32::try_from(cntr).unwrap(), scene.imei(device));
    card.packet_at(cntr, Spi1::CC_CIPHERED_HIGHER, &request)
}

/// The packet in as many parts, each a whole TP-UD.
pub(crate) fn parts(packet: &[u8], reference: u8, total: u8) -> Vec<Vec<u8>> {
    let size = packet.len().div_ceil(usize::from(total));
    let part = |(chunk, number): (&[u8], u8)| {
        let head: &[u8] = if number == 1 { &[7, 0x70, 0, 0, 3] } else { &[5, 0, 3] };
        [head, &[reference, total, number], chunk].concat()
    };
    packet.chunks(size).zip(1..).map(part).collect()
}

pub(crate) async fn entries(scene: &Scene, space: keys::Space) -> Vec<(Key, Bytes)> {
    scene.store.scan(Scan::first(space.range(), 4000)).await.unwrap().value
}

#[tokio::test(start_paused = true)]
async fn i1_i6_parts_come_in_any_order_more_than_once_and_across_a_crash() {
    let (mut scene, mut smsc) = scene(91).await;
    let from = number(&scene);
    let parts = parts(&binding_request(&scene, 1, 0), 5, 3);
    for number in [2, 0, 2] {
        assert_eq!(smsc.deliver(message(&from, parts[number].clone())).await, ROK);
    }
    scene.crash().await;
    let (scene, mut smsc) = Smsc::bound(scene).await;
    assert_eq!(scene.count("binding.created").await, 0);
    assert_eq!(smsc.deliver(message(&from, parts[1].clone())).await, ROK);
    assert_eq!(scene.count("binding.created").await, 1);
    // Delivered again, one and all: nothing changes, nothing is begun anew.
    for part in &parts {
        assert_eq!(smsc.deliver(message(&from, part.clone())).await, ROK);
    }
    assert_eq!(scene.count("binding.created").await + scene.count("binding.repeated").await, 1);
    assert_eq!(entries(&scene, keys::Space::PartSet).await.len(), 1);
    assert!(entries(&scene, keys::Space::Stray).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn numbers_are_read_and_written_as_the_smsc_spells_them() {
    let numbers = NumberConfig {
        country_code: "86".into(),
        national_prefix: "0".into(),
        destination: NumberForm::National,
        ..NumberConfig::default()
    };
    let link = LinkConfig { numbers, destination_ton: 2, ..LinkConfig::default() };
    let setup = Setup { by_hand: true, link, ..Setup::new(2, 90) };
    let (scene, mut smsc) = Smsc::bound(Scene::with(setup).await).await;
    let national = number(&scene).replacen("86", "0", 1);
    let source = Address { ton: 2, npi: 1, digits: national.parse().unwrap() };
    let request = whole(&binding_request(&scene, 1, 0));
    assert_eq!(smsc.deliver(Sm { source, ..message(&national, request) }).await, ROK);
    assert_eq!(scene.count("binding.created").await, 1);
    assert_eq!(smsc.submitted("1").await.destination, source);
}

#[tokio::test(start_paused = true)]
async fn another_message_under_the_same_reference_number_is_heard() {
    let (scene, mut smsc) = scene(92).await;
    let from = number(&scene);
    for part in parts(&binding_request(&scene, 1, 0), 5, 2) {
        assert_eq!(smsc.deliver(message(&from, part)).await, ROK);
    }
    // The card begins one and gives it up, and counts its references from the same number as before.
    let given_up = parts(&binding_request(&scene, 2, 0), 5, 2);
    assert_eq!(smsc.deliver(message(&from, given_up[0].clone())).await, ROK);
    for part in parts(&binding_request(&scene, 3, 1), 5, 2) {
        assert_eq!(smsc.deliver(message(&from, part)).await, ROK);
    }
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(1));
    assert_eq!(scene.count("binding.changed").await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_two_messages_of_one_card_may_come_between_each_other() {
    let (scene, mut smsc) = scene(96).await;
    let from = number(&scene);
    let (one, two) =
        (parts(&binding_request(&scene, 1, 0), 5, 2), parts(&binding_request(&scene, 2, 1), 6, 2));
    // The last part of the second one is the last of all; the first part of the first one comes again behind it.
    for part in [&one[1], &two[0], &one[0], &two[1], &one[0]] {
        assert_eq!(smsc.deliver(message(&from, part.clone())).await, ROK);
    }
    assert_eq!((scene.count("binding.created").await, scene.count("binding.changed").await), (1, 1));
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(1));
    assert!(entries(&scene, keys::Space::Stray).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn i9_what_a_sender_can_leave_behind_is_bounded() {
    let (scene, mut smsc) = scene(93).await;
    let from = number(&scene);
    let packet = binding_request(&scene, 1, 0);
    for reference in 0..20 {
        let part = parts(&packet, reference, 2).remove(0);
        assert_eq!(smsc.deliver(message(&from, part)).await, ROK);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(entries(&scene, keys::Space::PartSet).await.len(), 4);
    for (index, octets) in [vec![], vec![0xFF; 140], whole(&[0; 30]), whole(&packet[..40])].iter().enumerate()
    {
        for round in 0..15 {
            let mut octets = octets.clone();
            octets.push(round);
            let status = smsc.deliver(message("4915112345678", octets)).await;
            assert_eq!(status, ROK, "{index}: permanent refusals are recorded, not delivered again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(entries(&scene, keys::Space::Stray).await.len(), 16);
    // The largest message that SMPP can carry.
    let tlvs = Tlvs::default().with(tag::MESSAGE_PAYLOAD, &[7; 60_000]).unwrap();
    let huge = Sm { short_message: ShortMessage::default(), tlvs, ..message("4915112345679", vec![]) };
    assert_eq!(smsc.deliver(huge).await, ROK);
    let stray = entries(&scene, keys::Space::Stray).await;
    assert_eq!(stray.len(), 17);
    assert!(stray.iter().all(|(_, value)| value.len() < 4096));
}

#[tokio::test(start_paused = true)]
async fn i6_i7_a_binding_counts_once_and_only_from_the_card_itself() {
    let (scene, mut smsc) = scene(94).await;
    let from = number(&scene);
    let packet = binding_request(&scene, 10, 0);
    let mut forged = whole(&packet);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(smsc.deliver(message(&from, forged)).await, ROK);
    assert_eq!(scene.card(0).await.binding, None);
    for _ in 0..3 {
        assert_eq!(smsc.deliver(message(&from, whole(&packet))).await, ROK);
    }
    // Same counter, other contents: a replay, whoever made it. An older one comes too late to change anything.
    assert_eq!(smsc.deliver(message(&from, whole(&binding_request(&scene, 10, 1)))).await, ROK);
    assert_eq!(smsc.deliver(message(&from, whole(&binding_request(&scene, 9, 1)))).await, ROK);
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(0));
    assert_eq!((scene.count("binding.created").await, scene.count("binding.changed").await), (1, 0));
    // A packet of ours that comes back to us is none of the card's.
    let ours = smsc.submitted("1").await;
    let reflected = message(&from, ours.user_data().to_vec());
    assert_eq!(smsc.deliver(reflected).await, ROK);
    assert_eq!(scene.count("binding.changed").await, 0);
}

#[tokio::test(start_paused = true)]
async fn i7_a_receipt_and_a_response_in_clear_prove_nothing() {
    let (scene, mut smsc) = scene(95).await;
    let from = number(&scene);
    smsc.deliver(message(&from, whole(&binding_request(&scene, 1, 0)))).await;
    smsc.submitted("1").await;
    let write = scene.order(0).await;
    smsc.submitted("2").await;
    let text =
        "id:2 sub:001 dlvrd:001 submit date:2701150000 done date:2701150000 stat:DELIVRD err:000 text:";
    let receipt = receipt(&from, text.to_owned());
    for _ in 0..2 {
        assert_eq!(smsc.deliver(receipt.clone()).await, ROK);
    }
    // RPL, RHL, TAR, CNTR 2, PCNTR, RSC 00: all the card would say, without a checksum.
    let clear = [&[2, 0x71, 0, 0, 13, 10, 0x41, 0x57, 0x31], &[0, 0, 0, 0, 2][..], &[0, 0, 0]].concat();
    assert_eq!(smsc.deliver(message(&from, clear)).await, ROK);
    assert_eq!(scene.write(write).await.state, WriteState::Sent);
    assert_eq!(scene.count("card.hint").await, 1);
    // Silence after the receipt: the same octets again (I3).
    let again = tokio::time::timeout(Duration::from_secs(120), smsc.submitted("3")).await.unwrap();
    assert!(again.esm_class.udhi());
    assert_eq!(scene.write(write).await.resent, 1);
}

#[tokio::test(start_paused = true)]
async fn lanes_and_timers_of_former_times_are_set_right() {
    let (mut scene, mut smsc) = scene(96).await;
    smsc.deliver(message(&number(&scene), whole(&binding_request(&scene, 1, 0)))).await;
    smsc.submitted("1").await;
    scene.line(false);
    let write = scene.order(0).await;
    scene.stop().await;
    // As if the routes had other names, and the waits were others, when all this was stored.
    let mut commit = airwrite::store::Commit::new();
    let card = scene.card_id(0).await;
    for (key, value) in entries(&scene, keys::Space::Ready).await {
        let lane = keys::Ready::parse(&key).unwrap();
        commit.delete(key);
        commit.put(keys::Ready { route: "former".try_into().unwrap(), ..lane }.key(), value);
    }
    for due in 0..600 {
        let timer = keys::Timer { shard: 3, due_ms: 1_799_999_000_000 + due, id: card.octets() };
        commit.put(timer.key(), Unguarded::encode(b"c"));
    }
    let nobody = keys::Timer { shard: 3, due_ms: 5, id: [9; 16] };
    commit.put(nobody.key(), Unguarded::encode(b"c"));
    scene.store.commit(commit).await.unwrap();
    scene.start_again().await;
    scene.line(true);
    let (scene, mut smsc) = Smsc::bound(scene).await;
    tokio::time::timeout(Duration::from_secs(60), smsc.submitted("2")).await.unwrap();
    assert_eq!(scene.write(write).await.state, WriteState::Sent);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(entries(&scene, keys::Space::Ready).await.is_empty());
    let due = |(key, _): &(Key, Bytes)| keys::Timer::parse(key).unwrap().due_ms < scene.now();
    assert_eq!(entries(&scene, keys::Space::Timer).await.iter().filter(|timer| due(timer)).count(), 0);
}
