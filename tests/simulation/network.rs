//! What the network and the terminals do to a write.

use std::time::Duration;

use airwrite::card::{Timers, WriteState};
use airwrite::sim::SmscConfig;

use crate::common::scene::{Scene, Setup};
use crate::{EFFECTIVE, ROLLED_BACK, agree, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn r25_no_service_under_the_target_ends_rolled_back_and_frees_it() {
    let scene = Scene::with(Setup { targets: 3, ..Setup::new(2, 21) }).await;
    scene.spoil(0).await;
    scene.bind(0..2).await;
    let write = scene.order(0).await;
    scene.until(&[write], HOUR, |state| state == WriteState::Written).await;
    scene.until(&[write], HOUR, |state| state == ROLLED_BACK).await;
    tokio::time::sleep(10 * MINUTE).await;
    let preset = scene.sample.cards[0].preset.clone().unwrap();
    let report = scene.report().await;
    assert_eq!(report.cards[0].card.ef_imsi, Some(preset.imsi));
    assert_eq!(report.cards[0].attached, Some(preset.imsi));
    assert_eq!(report.cards[0].card.last_state, "rolled_back");
    assert_eq!(scene.card(0).await.current, Some(preset), "I7");
    assert!(scene.write(write).await.reason.is_some(), "R25");
    // The same numbers for another device, and other numbers for this one.
    let again = [scene.order_for(1, 0).await, scene.order_for(0, 1).await];
    scene.until(&again[1..], HOUR, |state| state == EFFECTIVE).await;
    scene.until(&again[..1], HOUR, |state| state == ROLLED_BACK).await;
    sound(&scene, &[write, again[0], again[1]]).await;
}

#[tokio::test(start_paused = true)]
async fn r17_a_refused_refresh_is_tried_again_until_the_write_is_effective() {
    let scene = Scene::new(2, 22).await;
    scene.bind(0..2).await;
    scene.sim.refuse_refresh(0, 3).await.unwrap();
    let writes = [scene.order(0).await, scene.order(1).await];
    scene.until(&writes[1..], 2 * MINUTE, |state| state == EFFECTIVE).await;
    assert_eq!(scene.write(writes[0]).await.state, WriteState::Written, "held by a busy terminal");
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(10 * MINUTE).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_smsc_delays_and_loses_nothing() {
    let smsc = SmscConfig { submit_rate_max: Some(2), ..SmscConfig::default() };
    let scene = Scene::with(Setup { smsc, ..Setup::new(20, 23) }).await;
    let mut writes = Vec::new();
    for index in 0..20 {
        writes.push(scene.order(index).await);
    }
    scene.sim.power_on(0..20).await.unwrap();
    scene.until(&writes, 10 * MINUTE, |state| state == EFFECTIVE).await;
    tokio::time::sleep(10 * MINUTE).await;
    let totals = scene.report().await.totals;
    assert!(totals.refused > 0, "{totals:?}");
    assert!(totals.refused < 200, "the lane rests while the SMSC is busy: {totals:?}");
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_smsc_delays_and_loses_nothing() {
    let smsc = SmscConfig { mt_queue_max: 2, ..SmscConfig::default() };
    let scene = Scene::with(Setup { smsc, ..Setup::new(12, 24) }).await;
    scene.bind(0..12).await;
    let mut writes = Vec::new();
    for index in 0..12 {
        writes.push(scene.order(index).await);
    }
    scene.until(&writes, 10 * MINUTE, |state| state == EFFECTIVE).await;
    tokio::time::sleep(10 * MINUTE).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn r24_a_device_switched_off_in_the_middle_of_its_write_ends_effective() {
    for (seed, after_ms) in [(31, 150), (32, 400), (33, 700), (34, 1_000), (35, 1_500), (36, 2_500)] {
        let scene = Scene::new(4, seed).await;
        scene.bind(0..4).await;
        let mut writes = Vec::new();
        for index in 0..4 {
            writes.push(scene.order(index).await);
        }
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        scene.sim.power_off(0..4).await.unwrap();
        tokio::time::sleep(20 * MINUTE).await;
        scene.sim.power_on(0..4).await.unwrap();
        scene.until(&writes, 8 * HOUR, |state| state == EFFECTIVE).await;
        tokio::time::sleep(20 * MINUTE).await;
        agree(&scene, &writes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_sends_what_waits_for_the_card() {
    // A busy SMSC puts packets off for a day; a card that gets no answer asks again after some minutes.
    let smsc = SmscConfig { submit_rate_max: Some(1), ..SmscConfig::default() };
    let timers = Timers { back_off_s: 86_400, ..Timers::default() };
    let scene = Scene::with(Setup { smsc, timers, ..Setup::new(6, 37) }).await;
    let mut writes = Vec::new();
    for index in 0..6 {
        writes.push(scene.order(index).await);
    }
    scene.sim.power_on(0..6).await.unwrap();
    tokio::time::sleep(30 * Duration::from_secs(1)).await;
    assert!(scene.report().await.totals.refused > 0, "some were put off");
    scene.until(&writes, HOUR, |state| matches!(state, WriteState::Written | EFFECTIVE)).await;
}

#[tokio::test(start_paused = true)]
async fn r27_a_write_whose_answers_are_lost_is_asked_for_at_both_numbers() {
    // The device is off whenever it could be asked for long, and the card's own result comes before the answer or not.
    let scene = Scene::new(3, 38).await;
    scene.bind(0..3).await;
    let mut writes = Vec::new();
    for index in 0..3 {
        writes.push(scene.order(index).await);
    }
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        scene.sim.power_off(0..3).await.unwrap();
        tokio::time::sleep(8 * HOUR).await;
        scene.sim.power_on(0..3).await.unwrap();
    }
    scene.until(&writes, 48 * HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(HOUR).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_cut_again_and_again_loses_nothing() {
    let scene = Scene::new(10, 39).await;
    scene.sim.power_on(0..10).await.unwrap();
    let mut writes = Vec::new();
    for index in 0..10 {
        writes.push(scene.order(index).await);
        tokio::time::sleep(Duration::from_millis(170)).await;
        scene.line(false);
        tokio::time::sleep(Duration::from_millis(700)).await;
        scene.line(true);
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(20 * MINUTE).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_cut_for_long_is_told_once_and_so_is_its_return() {
    let mut scene = Scene::new(1, 41).await;
    let cut_for = async |scene: &Scene, seconds| {
        scene.line(false);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    };
    for _ in 0..3 {
        cut_for(&scene, 5).await;
        scene.line(true);
        tokio::time::sleep(2 * MINUTE).await;
    }
    assert_eq!(scene.link_events().await, Vec::<String>::new());
    let mut told = vec!["1 link.down: not bound for 30 s".to_owned()];
    cut_for(&scene, 3600).await;
    assert_eq!(scene.link_events().await, told);
    // Neither a new process nor its attempts are news; and it knows what is to be taken back.
    scene.crash().await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.link_events().await, told);
    scene.stop().await;
    scene.line(true);
    scene.start_again().await;
    tokio::time::sleep(2 * MINUTE).await;
    told.push("2 link.up: ".to_owned());
    assert_eq!(scene.link_events().await, told);
    // A store that fails holds it up.
    scene.store.poison();
    cut_for(&scene, 3600).await;
    scene.store.recover();
    tokio::time::sleep(MINUTE).await;
    told.push("3 link.down: not bound for 30 s".to_owned());
    assert_eq!(scene.link_events().await, told);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_takes_nothing_more_and_loses_nothing() {
    let mut scene = Scene::with(Setup { targets: 11, ..Setup::new(10, 40) }).await;
    scene.sim.power_on(0..10).await.unwrap();
    let mut writes = Vec::new();
    for index in 0..10 {
        writes.push(scene.order(index).await);
    }
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let began = scene.now();
        scene.stop().await;
        assert!(scene.now() - began < 5_000, "nothing held it up: {} ms", scene.now() - began);
        assert!(scene.try_order(0, 10).await.is_err(), "stopped");
        scene.start_again().await;
    }
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(20 * MINUTE).await;
    agree(&scene, &writes).await;
}
