//! A store that fails, does not answer, or forgets: nothing is promised that does not last.

use std::time::Duration;

use airwrite::gateway::OrderError;
use airwrite::store::Fault;
use airwrite::world::{Rng, SeededRng};

use crate::common::scene::{Scene, Setup};
use crate::{EFFECTIVE, agree};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn i1_a_binding_that_is_not_stored_comes_again() {
    for fault in [Fault::NotApplied, Fault::AppliedUnreported] {
        let scene = Scene::new(1, 51).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.store.fail_next(fault);
        scene.sim.power_on(0..1).await.unwrap();
        tokio::time::sleep(MINUTE).await;
        let report = scene.report().await;
        assert_eq!(report.totals.mo_repeated, 1, "answered ESME_RX_T_APPN: {:?}", report.totals);
        assert!(report.cards[0].card.binding_flag);
        assert_eq!(scene.count("binding.created").await, 1, "I6");
    }
}

#[tokio::test(start_paused = true)]
async fn i1_nothing_is_answered_before_it_is_durable() {
    let mut scene = Scene::new(1, 52).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.store.hold();
    scene.sim.power_on(0..1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let report = scene.report().await;
    assert_eq!((report.totals.mo, report.totals.mo_acknowledged, report.totals.submits), (1, 0, 0));
    scene.crash().await;
    assert_eq!(scene.card(0).await.binding, None, "forgotten");
    tokio::time::sleep(2 * MINUTE).await;
    assert!(scene.report().await.cards[0].card.binding_flag, "and delivered again");
}

#[tokio::test(start_paused = true)]
async fn i2_an_order_is_answered_when_it_is_durable_and_not_half_stored_when_not() {
    let scene = Scene::new(2, 53).await;
    scene.bind(0..1).await;
    // Device 0 is bound, device 1 is not.
    for device in [0, 1] {
        scene.store.fail_next(Fault::NotApplied);
        assert!(matches!(scene.try_order(device, device).await, Err(OrderError::Store(_))));
        let order = || scene.place(scene.new_order(device, device), Some((["a", "b"][device], 1)));
        scene.store.hold();
        assert!(tokio::time::timeout(MINUTE, order()).await.is_err(), "not durable, not answered");
        scene.store.release();
        // What was handed over stands; the caller asks again with its key.
        let placed = order().await.unwrap();
        assert!(placed.replayed);
    }
    assert_eq!(scene.count("write.accepted").await, 2);
}

#[tokio::test(start_paused = true)]
async fn i2_an_order_of_unknown_outcome_is_found_by_its_key() {
    let scene = Scene::new(2, 54).await;
    scene.bind(0..1).await;
    for device in [0, 1] {
        let order = || scene.place(scene.new_order(device, device), Some((["a", "b"][device], 1)));
        scene.store.fail_next(Fault::AppliedUnreported);
        assert!(matches!(order().await, Err(OrderError::Store(_))));
        assert!(order().await.unwrap().replayed);
    }
    assert_eq!(scene.count("write.accepted").await, 2);
}

#[tokio::test(start_paused = true)]
async fn i2_no_answer_leaves_before_what_it_read_is_durable() {
    let mut scene = Scene::with(Setup { targets: 2, ..Setup::new(1, 55) }).await;
    scene.store.hold();
    let gateway = scene.gateway.clone();
    let order = scene.new_order(0, 0);
    let pending = tokio::spawn(async move { gateway.order(&Scene::owner(), order, None).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    // "The number is taken" rests on an order that may yet be forgotten.
    let refusal = tokio::time::timeout(MINUTE, scene.try_order(0, 0)).await;
    assert!(refusal.is_err(), "{refusal:?}");
    let owner = Scene::owner();
    let list = scene.gateway.writes(&owner, airwrite::gateway::WriteFilter::default(), None, 10);
    assert!(tokio::time::timeout(MINUTE, list).await.is_err());
    scene.crash().await;
    assert!(pending.await.unwrap().is_err());
    scene.try_order(0, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_out_of_service_refuses_and_recovers() {
    let scene = Scene::new(6, 56).await;
    scene.sim.power_on(0..6).await.unwrap();
    let mut writes = Vec::new();
    for index in 0..3 {
        writes.push(scene.order(index).await);
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(350)).await;
        scene.store.poison();
        assert!(matches!(scene.try_order(3, 3).await, Err(OrderError::Store(_))));
        tokio::time::sleep(Duration::from_secs(20)).await;
        scene.store.recover();
    }
    for index in 3..6 {
        writes.push(scene.order(index).await);
    }
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(20 * MINUTE).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn i3_commits_that_fail_at_random_lose_nothing_and_repeat_no_counter() {
    for seed in 57..63 {
        let scene = Scene::new(8, seed).await;
        let chance = SeededRng::new(seed);
        scene.sim.power_on(0..8).await.unwrap();
        let mut writes = Vec::new();
        for round in 0..60 {
            if let Some(index) = (round % 5 == 0).then_some(round / 5).filter(|index| *index < 8) {
                writes.push(scene.order(index).await);
            }
            let fault = [Fault::NotApplied, Fault::AppliedUnreported][usize::from(chance.below(2) == 1)];
            scene.store.fail_next(fault);
            scene.store.lose_advisory(chance.below(2) == 1);
            tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        }
        scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
        tokio::time::sleep(20 * MINUTE).await;
        agree(&scene, &writes).await;
    }
}
