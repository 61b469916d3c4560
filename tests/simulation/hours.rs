//! Delivery hours: when writes go out over the air.

use std::time::Duration;

use airwrite::card::WriteState;
use airwrite::gateway::DeliveryHoursConfig;

use crate::common::scene::{Kind, Scene, Setup};
use crate::{EFFECTIVE, agree, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// From 22:00 to 06:00 UTC; a scene begins at 08:00.
fn nights() -> DeliveryHoursConfig {
    DeliveryHoursConfig { owner: None, route: None, from: 22 * 60, to: 6 * 60, utc_offset: 0 }
}

async fn scene(cards: u32, seed: u64, delivery_hours: Vec<DeliveryHoursConfig>) -> Scene {
    Scene::with(Setup { delivery_hours, ..Setup::new(cards, seed) }).await
}

#[tokio::test(start_paused = true)]
async fn writes_wait_for_the_hours_and_answers_and_polls_do_not() {
    let mut scene = scene(3, 251, vec![nights()]).await;
    let waiting = scene.order(2).await;
    // Answered at once, although one of them brings an order along.
    scene.bind(0..3).await;
    assert!(scene.report().await.cards.iter().all(|card| card.card.binding_flag));
    let writes = [scene.order(0).await, scene.order(1).await, waiting];
    let before = scene.report().await.cards[0].card.mt_packets;
    scene.gateway.poll_card(&Scene::owner(), &scene.card_ref(0)).await.unwrap();
    tokio::time::sleep(6 * HOUR).await;
    assert_eq!(scene.report().await.cards[0].card.mt_packets, before, "the write has its turn first");
    scene.crash().await;
    // One minute before 22:00.
    tokio::time::sleep(8 * HOUR - 3 * MINUTE).await;
    for write in writes {
        assert_eq!(scene.write(write).await.state, WriteState::Queued);
    }
    tokio::time::sleep(5 * MINUTE).await;
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(HOUR).await;
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_out_when_the_hours_end_is_repeated_when_they_begin() {
    // 08:00 to 08:30 UTC, on a clock that is an hour ahead.
    let morning = DeliveryHoursConfig { from: 9 * 60, to: 9 * 60 + 30, utc_offset: 60, ..nights() };
    let scene = scene(2, 252, vec![morning]).await;
    scene.bind(0..2).await;
    scene.sim.power_off(0..2).await.unwrap();
    let writes = [scene.order(0).await, scene.order(1).await];
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.write(writes[0]).await.state, WriteState::Sent);
    let resent = scene.write(writes[0]).await.resent;
    // The cards report again at night: no reason to write them.
    scene.sim.power_on(0..2).await.unwrap();
    tokio::time::sleep(12 * HOUR).await;
    assert_eq!(scene.write(writes[0]).await.resent, resent);
    assert!(!scene.write(writes[0]).await.state.is_end());
    tokio::time::sleep(11 * HOUR).await;
    scene.until(&writes, HOUR, |state| state == EFFECTIVE).await;
    tokio::time::sleep(HOUR).await;
    sound(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_hours_that_fit_owner_and_route_count_and_not_on_site() {
    let always = DeliveryHoursConfig { from: 0, to: 0, ..nights() };
    let others = DeliveryHoursConfig { owner: Some("acme".to_owned()), ..nights() };
    let elsewhere = DeliveryHoursConfig { route: Some("north".to_owned()), ..nights() };
    let here = DeliveryHoursConfig {
        owner: Some("default".to_owned()),
        route: Some("all".to_owned()),
        ..always.clone()
    };
    for hours in [vec![others.clone()], vec![others, elsewhere, here, nights()], vec![always, nights()]] {
        let scene = scene(1, 253, hours).await;
        scene.bind(0..1).await;
        let write = scene.order(0).await;
        scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
    }
    let setup = Setup { kinds: &[Kind::OnSite], delivery_hours: vec![nights()], ..Setup::new(1, 254) };
    let scene = Scene::with(setup).await;
    let write = scene.order_naming_card(0).await;
    assert_eq!(scene.relay(0, write).await.state, WriteState::Written);
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
}
