//! Cards whose own messages are not secured: claims, which only the card's secured answer confirms.

use std::time::Duration;

use airwrite::card::WriteState;
use airwrite::smpp::{EsmClass, Sm};

use crate::by_hand::{ROK, number};
use crate::common::scene::{Kind, Scene, Setup};
use crate::common::smsc::{Smsc, message};
use crate::{EFFECTIVE, agree};

const MINUTE: Duration = Duration::from_secs(60);

fn raw(scene: &Scene, device: usize) -> Sm {
    let octets = scene.imei(device).to_mobile_identity().to_vec();
    Sm { esm_class: EsmClass::default(), ..message(&number(scene), octets) }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_confirmed_by_a_poll_and_releases_the_waiting_order() {
    let kinds = &[Kind::Plain, Kind::Raw, Kind::Plain, Kind::Raw, Kind::Secured];
    let scene = Scene::with(Setup { kinds, ..Setup::new(5, 211) }).await;
    let early = [scene.order(0).await, scene.order(1).await];
    assert_eq!(scene.write(early[0]).await.state, WriteState::Waiting);
    scene.bind(0..5).await;
    let late = [scene.order(2).await, scene.order(3).await, scene.order(4).await];
    let writes = [&early[..], &late].concat();
    scene.until(&writes, 30 * MINUTE, |state| state == EFFECTIVE).await;
    tokio::time::sleep(10 * MINUTE).await;
    // What was claimed was told as unconfirmed first.
    assert_eq!((scene.count("binding.held").await, scene.count("binding.created").await), (4, 5));
    agree(&scene, &writes).await;
}

#[tokio::test(start_paused = true)]
async fn i7_a_claim_that_the_card_does_not_confirm_binds_nothing_and_releases_nothing() {
    let scene = Scene::with(Setup { kinds: &[Kind::Raw], by_hand: true, ..Setup::new(1, 212) }).await;
    let (scene, mut smsc) = Smsc::bound(scene).await;
    let write = scene.order(0).await;
    for _ in 0..3 {
        assert_eq!(smsc.deliver(raw(&scene, 0)).await, ROK);
    }
    let card = scene.card(0).await;
    assert_eq!((card.binding, card.claimed.unwrap().imei), (None, scene.imei(0)));
    // One poll, and nobody answers it.
    smsc.submitted("1").await;
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(scene.write(write).await.state, WriteState::Waiting);
    assert_eq!((scene.count("binding.held").await, scene.count("binding.created").await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn i7_a_claim_never_changes_a_binding() {
    let scene = Scene::with(Setup { kinds: &[Kind::Raw], by_hand: true, ..Setup::new(1, 213) }).await;
    let (scene, mut smsc) = Smsc::bound(scene).await;
    let supplied =
        scene.gateway.supply_binding(&Scene::owner(), scene.imei(0), scene.card_ref(0)).await.unwrap();
    assert_eq!(supplied.card, Some(scene.card(0).await.id));
    assert_eq!(smsc.deliver(raw(&scene, 1)).await, ROK);
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(0));
    assert_eq!(scene.count("binding.suspect").await, 1);
    assert_eq!(smsc.deliver(raw(&scene, 0)).await, ROK);
    assert_eq!(scene.count("binding.repeated").await, 1);
}
