//! Orders: before and after the binding, one behind the other, repeated, refused, cancelled, out of time.

use std::time::Duration;

use airwrite::card::{Timers, WriteState};
use airwrite::gateway::{CancelError, OrderError};

use crate::common::scene::{Scene, Setup};
use crate::{CANCELLED, EFFECTIVE, EXPIRED, UNRESOLVED, agree, ends, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn r22_orders_before_and_after_the_binding_are_effective() {
    let scene = Scene::new(12, 1).await;
    let mut writes = Vec::new();
    for index in 0..6 {
        writes.push(scene.order(index).await);
    }
    assert!(scene.write(writes[0]).await.state == WriteState::Waiting, "R22: held until the card is known");
    scene.sim.power_on(0..12).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    for index in 6..12 {
        writes.push(scene.order(index).await);
    }
    scene.until(&writes, Duration::from_secs(300), |state| state == EFFECTIVE).await;
    // The acknowledgements of the results are still on their way.
    tokio::time::sleep(MINUTE).await;
    agree(&scene, &writes).await;
    assert_eq!(scene.count("binding.created").await, 12);
    assert_eq!(scene.count("write.accepted").await, 12);
    assert_eq!(scene.count("write.effective").await, 12);
    assert_eq!(scene.count("card.subscription_changed").await, 12);
    scene.gateway.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn r23_a_second_order_waits_for_the_first_and_runs_afterwards() {
    let scene = Scene::with(Setup { targets: 2, ..Setup::new(1, 2) }).await;
    scene.bind(0..1).await;
    let first = scene.order_for(0, 0).await;
    let second = scene.order_for(0, 1).await;
    assert_eq!(scene.write(second).await.state, WriteState::Queued);
    scene.until(&[first], 5 * MINUTE, |state| state == EFFECTIVE).await;
    assert!(!scene.write(second).await.state.is_end(), "one after the other (I4)");
    scene.until(&[second], 10 * MINUTE, |state| state == EFFECTIVE).await;
    let report = scene.report().await;
    assert_eq!(report.cards[0].card.ef_imsi, Some(scene.sample.targets[1].imsi));
    sound(&scene, &[first, second]).await;
    // R18: the number that was replaced is free.
    scene.order_for(0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn i9_a_card_queues_eight_writes_and_a_device_keeps_eight() {
    let scene = Scene::with(Setup { targets: 20, ..Setup::new(1, 3) }).await;
    for target in 0..8 {
        scene.try_order(5, target).await.unwrap();
    }
    assert!(
        matches!(scene.try_order(5, 8).await, Err(OrderError::QueueFull)),
        "the device waits for its card"
    );
    scene.bind(0..1).await;
    scene.line(false);
    for target in 9..18 {
        scene.try_order(0, target).await.unwrap();
    }
    assert!(matches!(scene.try_order(0, 18).await, Err(OrderError::QueueFull)));
    // The refused one has taken nothing.
    scene.try_order(1, 18).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn i10_a_number_belongs_to_one_open_write() {
    let scene = Scene::with(Setup { targets: 4, ..Setup::new(2, 4) }).await;
    let taken = |order, field| {
        let scene = &scene;
        async move {
            match scene.place(order, None).await {
                Err(OrderError::TargetInUse { field: found }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    };
    // For a device that waits and for one that is bound.
    scene.bind(0..1).await;
    let first = scene.try_order(0, 0).await.unwrap();
    for device in [0, 1] {
        let mut other_msisdn = scene.new_order(device, 0);
        other_msisdn.subscription.msisdn = scene.sample.targets[1].msisdn;
        taken(other_msisdn, "subscription.imsi").await;
        let mut other_imsi = scene.new_order(device, 0);
        other_imsi.subscription.imsi = scene.sample.targets[1].imsi;
        taken(other_imsi, "subscription.msisdn").await;
    }
    // Neither has left anything behind.
    scene.try_order(1, 1).await.unwrap();
    scene.until(&[first], 5 * MINUTE, |state| state == EFFECTIVE).await;
    taken(scene.new_order(1, 0), "subscription.imsi").await;
    // What another card has from the factory is taken too.
    let preset = scene.sample.cards[1].preset.clone().unwrap();
    let mut order = scene.new_order(0, 2);
    order.subscription.imsi = preset.imsi;
    taken(order, "subscription.imsi").await;
}

#[tokio::test(start_paused = true)]
async fn i2_the_same_key_is_the_same_order_across_a_crash() {
    let mut scene = Scene::with(Setup { targets: 4, ..Setup::new(2, 5) }).await;
    scene.bind(0..1).await;
    // One for a device that waits, one for a card.
    for (device, key) in [(0, "bound"), (1, "waiting")] {
        let first = scene.place(scene.new_order(device, device), Some((key, 1))).await.unwrap();
        assert!(!first.replayed);
        for _ in 0..2 {
            let again = scene.place(scene.new_order(device, device), Some((key, 1))).await.unwrap();
            assert_eq!((again.write.id, again.replayed), (first.write.id, true));
            let other = scene.place(scene.new_order(device, device + 2), Some((key, 2))).await;
            assert!(matches!(other, Err(OrderError::IdempotencyMismatch)), "{other:?}");
            scene.crash().await;
        }
    }
    assert_eq!(scene.count("write.accepted").await, 2);
}

#[tokio::test(start_paused = true)]
async fn i2_the_same_order_twice_at_once_is_one_write() {
    let scene = Scene::new(2, 6).await;
    scene.bind(0..1).await;
    for device in [0, 1] {
        let order = || scene.place(scene.new_order(device, device), Some((["a", "b"][device], 1)));
        let (one, two, three) = tokio::join!(order(), order(), order());
        let placed = [one.unwrap(), two.unwrap(), three.unwrap()];
        assert_eq!(placed.iter().filter(|placed| placed.replayed).count(), 2);
        assert!(placed.iter().all(|other| other.write.id == placed[0].write.id));
    }
    assert_eq!(scene.count("write.accepted").await, 2);
}

#[tokio::test(start_paused = true)]
async fn i5_cancelled_before_anything_was_handed_out() {
    let scene = Scene::with(Setup { targets: 3, ..Setup::new(2, 7) }).await;
    let waiting = scene.order_for(1, 0).await;
    assert_eq!(scene.cancel(waiting).await.unwrap().state, CANCELLED);
    scene.bind(0..1).await;
    let packets = scene.report().await.cards[0].card.mt_packets;
    scene.line(false);
    let sealed = scene.order_for(0, 1).await;
    let queued = scene.order_for(0, 2).await;
    assert_eq!(scene.write(sealed).await.state, WriteState::Sealed);
    assert_eq!(scene.write(queued).await.state, WriteState::Queued);
    assert_eq!(scene.cancel(queued).await.unwrap().state, CANCELLED);
    assert_eq!(scene.cancel(sealed).await.unwrap().state, CANCELLED);
    assert!(matches!(scene.cancel(sealed).await, Err(CancelError::Ended(CANCELLED))));
    scene.line(true);
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.report().await.cards[0].card.mt_packets, packets, "nothing of it went out");
    sound(&scene, &[waiting, sealed, queued]).await;
    // What they held is free.
    let writes = [scene.try_order(0, 0).await.unwrap(), scene.try_order(0, 1).await.unwrap()];
    scene.until(&writes, 10 * MINUTE, |state| state == EFFECTIVE).await;
}

#[tokio::test(start_paused = true)]
async fn i5_cancelled_after_hand_out_only_behind_a_fence() {
    let scene = Scene::with(Setup { targets: 2, ..Setup::new(2, 8) }).await;
    scene.bind(0..1).await;
    scene.sim.power_off(0..1).await.unwrap();
    let write = scene.order(0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.write(write).await.state, WriteState::Sent);
    let asked = scene.cancel(write).await.unwrap();
    assert!(asked.cancel && asked.state == WriteState::Unknown, "{asked:#?}");
    // The SMSC forgets its octets; whether the card took them it cannot say.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(scene.report().await.totals.cancelled, 1);
    assert_eq!(scene.write(write).await.state, WriteState::Unknown);
    assert!(matches!(scene.try_order(1, 0).await, Err(OrderError::TargetInUse { .. })), "I10");
    scene.sim.power_on(0..1).await.unwrap();
    scene.until(&[write], 2 * HOUR, |state| state == CANCELLED).await;
    let report = scene.report().await;
    assert_eq!(report.cards[0].card.ef_imsi, scene.sample.cards[0].preset.as_ref().map(|preset| preset.imsi));
    sound(&scene, &[write]).await;
    scene.try_order(1, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn i5_a_cancellation_that_comes_too_late_is_effective_all_the_same() {
    let scene = Scene::new(1, 9).await;
    scene.bind(0..1).await;
    scene.sim.power_off(0..1).await.unwrap();
    let write = scene.order(0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.line(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.cancel(write).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.line(true);
    // The SMSC still has the octets, before the poll.
    scene.sim.power_on(0..1).await.unwrap();
    scene.until(&[write], HOUR, |state| state == EFFECTIVE).await;
    assert_eq!(scene.report().await.totals.cancelled, 0, "no link could ask for it");
    tokio::time::sleep(10 * MINUTE).await;
    agree(&scene, &[write]).await;
}

#[tokio::test(start_paused = true)]
async fn i5_out_of_time_while_it_waits_for_its_device_or_its_turn() {
    let scene = Scene::with(Setup { targets: 4, ..Setup::new(2, 10) }).await;
    scene.bind(0..1).await;
    scene.line(false);
    let mut writes = Vec::new();
    for (device, target) in [(0, 0), (0, 1), (1, 2)] {
        let mut order = scene.new_order(device, target);
        order.deadline = Some(scene.now() + 600_000);
        writes.push(scene.place(order, None).await.unwrap().write.id);
    }
    tokio::time::sleep(9 * MINUTE).await;
    let states = [WriteState::Sealed, WriteState::Queued, WriteState::Waiting];
    for (id, state) in writes.iter().zip(states) {
        assert_eq!(scene.write(*id).await.state, state);
    }
    scene.until(&writes, 2 * MINUTE, |state| state == EXPIRED).await;
    sound(&scene, &writes).await;
    scene.line(true);
    let again = [scene.try_order(0, 0).await.unwrap(), scene.try_order(0, 2).await.unwrap()];
    scene.until(&again, 10 * MINUTE, |state| state == EFFECTIVE).await;
}

/// A scene whose card has a write with a deadline in half an hour handed out, given up an hour later.
async fn out_of_reach(seed: u64) -> (Scene, airwrite::card::WriteId) {
    let timers = Timers { give_up_s: 7_200, ..Timers::default() };
    let scene = Scene::with(Setup { targets: 2, timers, ..Setup::new(2, seed) }).await;
    scene.bind(0..1).await;
    scene.sim.power_off(0..1).await.unwrap();
    let mut order = scene.new_order(0, 0);
    order.deadline = Some(scene.now() + 1_800_000);
    let write = scene.place(order, None).await.unwrap().write.id;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.write(write).await.state, WriteState::Sent);
    (scene, write)
}

#[tokio::test(start_paused = true)]
async fn i5_out_of_time_after_hand_out_only_behind_a_fence() {
    let (scene, write) = out_of_reach(11).await;
    tokio::time::sleep(Duration::from_secs(4_000)).await;
    assert_eq!(scene.write(write).await.state, WriteState::Unknown, "the deadline alone ends nothing");
    scene.sim.power_on(0..1).await.unwrap();
    scene.until(&[write], HOUR, |state| state == EXPIRED).await;
    sound(&scene, &[write]).await;
    scene.try_order(1, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn i5_given_up_without_a_fence_is_unresolved_and_keeps_its_numbers() {
    let (scene, write) = out_of_reach(12).await;
    scene.until(&[write], 4 * HOUR, |state| state == UNRESOLVED).await;
    assert!(matches!(scene.try_order(1, 0).await, Err(OrderError::TargetInUse { .. })), "I10");
    scene.sim.power_on(0..1).await.unwrap();
    // The next write starts with a fence, which frees what the first held.
    let next = scene.order_for(0, 1).await;
    scene.until(&[next], 5 * HOUR, |state| state == EFFECTIVE).await;
    sound(&scene, &[write, next]).await;
    scene.try_order(1, 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn i5_late_proof_changes_the_card_and_ends_nothing_twice() {
    let timers = Timers { give_up_s: 3_600, ..Timers::default() };
    let scene = Scene::with(Setup { timers, ..Setup::new(1, 13) }).await;
    scene.bind(0..1).await;
    let mut order = scene.new_order(0, 0);
    order.deadline = Some(scene.now() + 1_800_000);
    let write = scene.place(order, None).await.unwrap().write.id;
    // The SMSC takes the packet; whatever the card says afterwards waits there.
    while scene.report().await.totals.submits < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.line(false);
    scene.until(&[write], 3 * HOUR, |state| state == UNRESOLVED).await;
    assert_eq!(scene.report().await.cards[0].card.last_state, "confirmed");
    assert_eq!(scene.count("card.subscription_changed").await, 0);
    scene.line(true);
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.count("card.subscription_changed").await, 1, "I7");
    assert_eq!(scene.card(0).await.current.unwrap().imsi, scene.sample.targets[0].imsi);
    assert_eq!(scene.write(write).await.state, UNRESOLVED);
    assert_eq!(ends(&scene).await[&write].len(), 1);
    sound(&scene, &[write]).await;
}
