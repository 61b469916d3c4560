//! What is over is kept for a while, and what is open for as long as it takes.

use std::time::Duration;

use airwrite::card::{Owner, WriteState};
use airwrite::gateway::{OrderError, Retention};
use airwrite::store::keys;

use crate::by_hand::entries;
use crate::common::scene::{Scene, Setup};
use crate::{CANCELLED, EFFECTIVE, UNRESOLVED};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

async fn is_kept(scene: &Scene, id: airwrite::card::WriteId) -> bool {
    scene.gateway.write(&Scene::owner(), id).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn ended_writes_and_keys_are_forgotten_and_open_ones_are_not() {
    let retention = Retention { writes_days: 3, numbers_days: 2, idempotency_keys_days: 1, strays_days: 1 };
    let timers = airwrite::card::Timers { give_up_s: 3600, ..airwrite::card::Timers::default() };
    let setup = Setup { retention, timers, targets: 8, ..Setup::new(3, 261) };
    let mut scene = Scene::with(setup).await;
    scene.bind(0..2).await;
    // The first card is written twice; the second one is never heard of again.
    let first = scene.order_for(0, 3).await;
    scene.until(&[first], HOUR, |state| state == EFFECTIVE).await;
    let second = scene.order_for(0, 4).await;
    scene.until(&[second], HOUR, |state| state == EFFECTIVE).await;
    scene.sim.power_off(1..2).await.unwrap();
    let deadline = Some(scene.now() + 3_600_000);
    let silent = airwrite::gateway::NewOrder { deadline, ..scene.new_order(1, 5) };
    let silent = scene.place(silent, Some(("silent", 1))).await.unwrap().write.id;
    let waiting = scene.order_for(2, 6).await;
    let cancelled = scene.order_for(2, 7).await;
    assert_eq!(scene.cancel(cancelled).await.unwrap().state, CANCELLED);
    scene.until(&[silent], 4 * HOUR, |state| state == UNRESOLVED).await;
    let replaced = scene.card(0).await.previous.unwrap();
    let numbers = || entries(&scene, keys::Space::Number);
    let has = |numbers: &[(airwrite::store::Key, _)]| {
        numbers.iter().any(|(key, _)| keys::NumberEntry::parse(key).unwrap().number == replaced.msisdn)
    };
    assert!(has(&numbers().await));

    tokio::time::sleep(DAY - 4 * HOUR).await;
    let key = scene.place(scene.new_order(0, 0), Some(("order 2 7", 7))).await.unwrap();
    assert_eq!((key.replayed, key.write.id), (true, cancelled), "a key of less than a day");
    tokio::time::sleep(6 * HOUR).await;
    let mut idempotency = entries(&scene, keys::Space::Claim).await;
    idempotency.retain(|(key, _)| key.octets()[1] == 0);
    assert!(idempotency.is_empty(), "{}", idempotency.len());

    assert!(has(&numbers().await));
    tokio::time::sleep(DAY).await;
    assert!(!has(&numbers().await), "the number of before is nobody's");
    let card = scene.card(0).await;
    assert_eq!(card.previous, None);
    assert!(card.preset.is_some_and(|preset| card.current.is_some() && preset != replaced));
    for id in [first, second, cancelled] {
        assert!(is_kept(&scene, id).await);
    }

    scene.crash().await;
    tokio::time::sleep(DAY).await;
    for id in [first, second, cancelled] {
        assert!(!is_kept(&scene, id).await, "{id}");
    }
    assert_eq!(scene.write(waiting).await.state, WriteState::Waiting);
    assert_eq!(scene.write(silent).await.state, UNRESOLVED);
    // What is in effect, and what may be, is still nobody else's (I10).
    for target in [4, 5, 6] {
        let error = scene.try_order(0, target).await.unwrap_err();
        assert!(matches!(error, OrderError::TargetInUse { .. }), "{target}: {error}");
    }
    scene.try_order(2, 3).await.unwrap();
    let nobodys: Owner = "nobody".parse().unwrap();
    assert!(scene.gateway.write(&nobodys, waiting).await.unwrap().is_none());

    // Once the card has said that it never took it, the silent one is forgotten like any other.
    scene.sim.power_on(1..2).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    scene.gateway.poll_card(&Scene::owner(), &scene.card_ref(1)).await.unwrap();
    tokio::time::sleep(2 * HOUR).await;
    assert!(scene.card(1).await.unsettled.is_empty());
    assert!(!is_kept(&scene, silent).await);
    scene.try_order(2, 5).await.unwrap();
}
