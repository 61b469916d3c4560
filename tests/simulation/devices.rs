//! Devices and cards that are changed for others.

use std::time::Duration;

use airwrite::card::{BindingPolicy, Profile, WriteState};
use airwrite::cli::sample::{Sample, device_imei};
use airwrite::sim::CardSpec;
use airwrite::store::Fault;

use crate::common::scene::{Scene, Setup, profile, spec};
use crate::{EFFECTIVE, ends, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The second card in a device with the IMEI of the first one's.
fn second_card_in_the_first_device(sample: &Sample) -> Vec<CardSpec> {
    vec![CardSpec { imei: device_imei(1).unwrap(), ..spec(&sample.cards[1], 2) }]
}

/// The first card in another device; its memory starts anew, its counters too.
fn first_card_in_a_third_device(sample: &Sample) -> Vec<CardSpec> {
    vec![CardSpec { imei: device_imei(3).unwrap(), ..spec(&sample.cards[0], 1) }]
}

fn policy(binding_policy: BindingPolicy) -> Profile {
    let mut profile = profile();
    profile.trust.binding_policy = binding_policy;
    profile
}

#[tokio::test(start_paused = true)]
async fn r8_a_device_with_another_card_is_told_and_its_orders_go_to_the_new_card() {
    let more = second_card_in_the_first_device;
    let scene = Scene::with(Setup { targets: 3, more, ..Setup::new(2, 71) }).await;
    scene.bind(0..1).await;
    let (first, second) = (scene.card(0).await.id, scene.card(1).await.id);
    scene.sim.power_off(0..1).await.unwrap();
    scene.bind(2..3).await;
    assert_eq!(scene.card(0).await.binding, None, "it has heard of it by its inbox");
    assert_eq!(scene.card(1).await.binding.unwrap().imei.key(), scene.imei(0).key());
    // One for the card that the device has now, one for the card that it has lost.
    assert_eq!(scene.count("binding.changed").await, 2);
    let write = scene.order(0).await;
    assert_eq!(scene.write(write).await.card, Some(second));
    assert_ne!(first, second);
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
    tokio::time::sleep(10 * MINUTE).await;
    let report = scene.report().await;
    assert_eq!(report.cards[2].card.ef_imsi, Some(scene.sample.targets[0].imsi));
    sound(&scene, &[write]).await;
}

#[tokio::test(start_paused = true)]
async fn r8_the_card_that_lost_its_device_hears_of_it_whatever_happens() {
    for seed in 72..80 {
        let more = second_card_in_the_first_device;
        let mut scene = Scene::with(Setup { more, ..Setup::new(2, seed) }).await;
        scene.bind(0..1).await;
        scene.sim.power_off(0..1).await.unwrap();
        scene.sim.power_on(2..3).await.unwrap();
        while scene.card(1).await.binding.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if seed % 2 == 0 {
            scene.crash().await;
        }
        for _ in 0..seed % 3 {
            scene.store.fail_next(Fault::NotApplied);
        }
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(scene.card(0).await.binding, None);
    }
}

#[tokio::test(start_paused = true)]
async fn r8_a_card_in_another_device_is_heard_although_its_counters_start_anew() {
    let more = first_card_in_a_third_device;
    let scene = Scene::with(Setup { targets: 2, more, ..Setup::new(1, 81) }).await;
    scene.bind(0..1).await;
    scene.sim.power_off(0..1).await.unwrap();
    scene.sim.power_on(1..2).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.card(0).await.binding.unwrap().imei.key(), scene.imei(2).key());
    assert_eq!(scene.count("binding.changed").await, 1);
    // The device that it left waits for another card; the one that it is in now is served.
    let (waits, served) = (scene.order_for(0, 0).await, scene.order_for(2, 1).await);
    assert_eq!(scene.write(waits).await.state, WriteState::Waiting);
    scene.until(&[served], HOUR, |state| state == EFFECTIVE).await;
}

#[tokio::test(start_paused = true)]
async fn r8_another_card_in_a_device_changes_nothing_where_the_policy_says_so() {
    for (policy_, kind) in
        [(BindingPolicy::Hold, "binding.held"), (BindingPolicy::Reject, "binding.rejected")]
    {
        let more = second_card_in_the_first_device;
        let profile = policy(policy_);
        let scene = Scene::with(Setup { more, profile, ..Setup::new(2, 82) }).await;
        scene.bind(0..1).await;
        let card = scene.card(0).await.id;
        scene.sim.power_off(0..1).await.unwrap();
        scene.bind(2..3).await;
        assert_eq!(scene.count(kind).await, 1);
        assert_eq!(scene.count("binding.changed").await, 0);
        let write = scene.order(0).await;
        assert_eq!(scene.write(write).await.card, Some(card), "the device is the first card's still");
    }
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_cannot_be_made_fails_its_write_and_keeps_nothing_else_from_happening() {
    let mut profile = profile();
    profile.mt.max_parts = 0;
    let scene = Scene::with(Setup { targets: 2, profile, ..Setup::new(1, 83) }).await;
    let write = scene.order(0).await;
    scene.bind(0..1).await;
    assert_eq!(scene.count("binding.created").await, 1, "what the card says counts");
    assert_eq!(scene.report().await.totals.mo_repeated, 0);
    scene.until(&[write], MINUTE, WriteState::is_end).await;
    let write = scene.write(write).await;
    assert_eq!(write.state.name(), "failed");
    let reason = "packet_cannot_be_made: the packet needs 1 parts, profile airwrite-applet allows 0";
    assert_eq!(write.reason.as_deref(), Some(reason));
    assert_eq!(ends(&scene).await[&write.id].len(), 1);
    assert_eq!(scene.report().await.cards[0].card.mt_packets, 0);
    // Its numbers are free.
    scene.try_order(0, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_card_without_its_profile_is_served_once_the_profile_is_there() {
    let mut scene = Scene::new(2, 84).await;
    let write = scene.order(0).await;
    scene.stop().await;
    scene.rename_profile("another");
    scene.start_again().await;
    scene.sim.power_on(0..1).await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    let totals = scene.report().await.totals;
    assert_eq!(totals.mo_acknowledged, 0, "it is kept for later");
    assert!(totals.mo_repeated > 3);
    scene.stop().await;
    scene.rename_profile("airwrite-applet");
    scene.start_again().await;
    scene.until(&[write], HOUR, |state| state == EFFECTIVE).await;
}
