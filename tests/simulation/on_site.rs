//! Cards without a preset subscription, brought to life on site.

use std::time::Duration;

use airwrite::card::{Bearer, WriteState};
use airwrite::gateway::{ExportError, NewOrder, OrderError, ResponsesError};
use airwrite::store::records::decode_fact;
use airwrite::store::{Scan, Store, Unguarded, keys};

use crate::common::scene::{Kind, Scene, Setup, profile};
use crate::{CANCELLED, EFFECTIVE, EXPIRED, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn scene(cards: u32, seed: u64) -> Scene {
    Scene::with(Setup { kinds: &[Kind::OnSite; 4], ..Setup::new(cards, seed) }).await
}

/// What the timeline of the first card says was posted back.
async fn posted(scene: &Scene) -> Vec<String> {
    let of_card = keys::TimelineEntry::of_card(scene.card(0).await.id);
    let entries = scene.store.scan(Scan::first(of_card, 1000)).await.unwrap().value;
    let facts = entries.iter().map(|(_, value)| decode_fact(Unguarded::decode(value).unwrap()).unwrap());
    facts.filter(|fact| fact.kind == "card.relayed").map(|fact| fact.detail).collect()
}

#[tokio::test(start_paused = true)]
async fn r13_r19_a_card_without_preset_is_written_on_site_and_effective_by_its_own_message() {
    let scene = scene(1, 201).await;
    assert_eq!(scene.card(0).await.current, None);
    let write = scene.order_naming_card(0).await;
    assert_eq!(scene.write(write).await.state, WriteState::Queued);
    // R14, R19: nothing goes out over the air.
    tokio::time::sleep(MINUTE).await;
    let export = scene.export(write).await;
    let exported = scene.write(write).await;
    assert_eq!((exported.state, exported.reaches_by()), (WriteState::OnSite, Some(Bearer::Relay)));
    assert_eq!(
        export.parts[0].at,
        format!(
            "AT+CSIM={},\"{}\"",
            2 * export.parts[0].apdu.len(),
            hex::encode_upper(&export.parts[0].apdu)
        )
    );
    let written = scene.relay(0, write).await;
    assert_eq!(written.state, WriteState::Written);
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
    let card = scene.card(0).await;
    assert_eq!(card.current, Some(scene.write(write).await.target), "set, not replaced");
    assert_eq!(card.previous, None);
    assert_eq!(card.binding.unwrap().imei.key(), scene.imei(0).key());
    let report = scene.report().await.cards.remove(0);
    assert_eq!(report.attached, Some(scene.sample.targets[0].imsi));
    sound(&scene, &[write]).await;
}

/// R25: whoever asks is told what is missing, and can have it mended.
#[tokio::test(start_paused = true)]
async fn a_packet_that_cannot_be_made_is_refused_with_its_reason() {
    let mut scene = scene(1, 209).await;
    let write = scene.order_naming_card(0).await;
    let refused = async |scene: &Scene| match scene.gateway.export(&Scene::owner(), write).await {
        Err(ExportError::Impossible(why)) => why,
        other => panic!("{other:?}"),
    };
    // Keys are missing, then the profile is.
    let card_keys = keys::card_keys(scene.card_id(0).await);
    let kept = scene.store.get_one(card_keys.clone()).await.unwrap().value.unwrap();
    let mut commit = airwrite::store::Commit::new();
    commit.delete(card_keys.clone());
    scene.store.commit(commit).await.unwrap();
    let why = refused(&scene).await;
    assert!(why.starts_with("card keys: "), "{why}");
    let mut commit = airwrite::store::Commit::new();
    commit.put(card_keys, kept);
    scene.store.commit(commit).await.unwrap();
    scene.stop().await;
    scene.rename_profile("another");
    scene.start_again().await;
    assert_eq!(refused(&scene).await, "the card's profile \"airwrite-applet\" is not configured");
    assert_eq!(scene.write(write).await.state, WriteState::Queued, "an operator can mend that");
    scene.stop().await;
    scene.rename_profile("airwrite-applet");
    scene.start_again().await;
    assert_eq!(scene.relay(0, write).await.state, WriteState::Written);
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_never_can_be_made_fails_its_write() {
    let mut profile = profile();
    profile.mt.max_parts = 0;
    let scene = Scene::with(Setup { profile, kinds: &[Kind::OnSite], ..Setup::new(1, 210) }).await;
    let write = scene.order_naming_card(0).await;
    let refused = scene.gateway.export(&Scene::owner(), write).await;
    let reason = "packet_cannot_be_made: the packet needs 1 parts, profile airwrite-applet allows 0";
    assert!(matches!(&refused, Err(ExportError::Impossible(why)) if why == reason), "{refused:?}");
    let failed = scene.write(write).await;
    assert_eq!((failed.state.name(), failed.reason.as_deref()), ("failed", Some(reason)));
    assert!(scene.card(0).await.active.is_none());
    // Its numbers are free.
    scene.try_order(0, 0).await.unwrap();
    sound(&scene, &[write]).await;
}

#[tokio::test(start_paused = true)]
async fn i3_reading_an_export_again_gives_the_same_octets_across_a_crash() {
    let mut scene = scene(1, 202).await;
    let write = scene.order_naming_card(0).await;
    let export = scene.export(write).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.export(write).await, export);
    scene.crash().await;
    assert_eq!(scene.export(write).await, export);
    // What the card was too busy for, and lost power in, is brought to it again.
    let busy = vec![(1, vec![0x93, 0x00]), (1, vec![0x6F, 0x00])];
    assert_eq!(scene.post_back(&export, busy.clone()).await.state, WriteState::OnSite);
    assert_eq!(scene.export(write).await, export);
    let responses = scene.bring(0, &export).await;
    assert_eq!(scene.post_back(&export, responses.clone()).await.state, WriteState::Written);
    let posted = posted(&scene).await;
    assert!(posted[0].ends_with("1:9300 1:6F00"), "{posted:?}");
    assert!(posted[1].contains("1:61"), "{posted:?}");
    // I6: posted once more, nothing changes.
    let before = scene.card(0).await;
    assert_eq!(scene.post_back(&export, responses).await.state, WriteState::Written);
    let after = scene.card(0).await;
    assert_eq!((after.active, after.outstanding), (before.active, before.outstanding));
}

#[tokio::test(start_paused = true)]
async fn r19_a_poll_relayed_after_the_reset_makes_it_effective() {
    let scene = scene(1, 203).await;
    let write = scene.order_naming_card(0).await;
    // The network is out of reach on site: the card's own message does not arrive.
    scene.line(false);
    assert_eq!(scene.relay(0, write).await.state, WriteState::Written);
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(scene.write(write).await.state, WriteState::Written);
    let poll = scene.export(write).await;
    assert_eq!(scene.export(write).await, poll);
    let responses = scene.bring(0, &poll).await;
    assert_eq!(scene.post_back(&poll, responses).await.state, EFFECTIVE);
    scene.line(true);
    tokio::time::sleep(HOUR).await;
    assert_eq!(scene.count("write.effective").await, 1);
    sound(&scene, &[write]).await;
}

#[tokio::test(start_paused = true)]
async fn i7_what_the_relay_makes_up_proves_nothing() {
    let scene = scene(2, 204).await;
    let write = scene.order_naming_card(0).await;
    let export = scene.export(write).await;
    // RSC 00 in clear; then the answer of another card; then the card's own with a bit turned over.
    let clear = [&[2, 0x71, 0, 0, 11, 10, 0x41, 0x57, 0x31], &[0, 0, 0, 0, 1][..], &[0, 0, 0x90, 0]].concat();
    assert_eq!(scene.post_back(&export, vec![(1, clear)]).await.state, WriteState::OnSite);
    let other = scene.order_naming_card(1).await;
    tokio::time::sleep(MINUTE).await;
    let others = scene.bring(1, &scene.export(other).await).await;
    assert_eq!(scene.post_back(&export, others).await.state, WriteState::OnSite);
    tokio::time::sleep(MINUTE).await;
    let mut forged = scene.bring(0, &export).await;
    let last = forged.last_mut().unwrap();
    last.1[20] ^= 1;
    assert_eq!(scene.post_back(&export, forged).await.state, WriteState::OnSite);
    assert_eq!(scene.count("card.hint").await, 3);
    assert_eq!(scene.card(0).await.current, None);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_export_and_post_back_name_what_is_wrong() {
    let scene = scene(2, 205).await;
    let (gateway, owner) = (&scene.gateway, Scene::owner());
    let waiting = scene.try_order(1, 1).await.unwrap();
    let error = gateway.export(&owner, waiting).await.unwrap_err();
    assert!(matches!(error, ExportError::Nothing(WriteState::Waiting)), "{error}");
    let write = scene.order_naming_card(0).await;
    let post = |responses| gateway.responses(&owner, write, 1, responses);
    assert!(matches!(post(vec![(1, vec![0x90, 0])]).await, Err(ResponsesError::NotExported)));
    scene.export(write).await;
    assert!(matches!(post(Vec::new()).await, Err(ResponsesError::Count(0))));
    assert!(matches!(
        post(vec![(1, vec![0x90, 0]), (1, vec![0x90])]).await,
        Err(ResponsesError::Form { index: 1 })
    ));
    let stranger = "stranger".parse().unwrap();
    assert!(matches!(gateway.export(&stranger, write).await, Err(ExportError::NotFound)));
    let responses = vec![(1, vec![0x90, 0])];
    assert!(matches!(gateway.responses(&stranger, write, 1, responses).await, Err(ResponsesError::NotFound)));
}

#[tokio::test(start_paused = true)]
async fn an_order_may_name_card_bearer_and_profile() {
    let scene = Scene::with(Setup { kinds: &[Kind::OnSite], targets: 4, ..Setup::new(3, 206) }).await;
    scene.bind(1..3).await;
    let order = |device, target| scene.new_order(device, target);
    let place = |order| scene.place(order, None);
    let other = place(NewOrder { card: Some(scene.card_ref(2)), ..order(1, 1) }).await;
    assert!(matches!(other, Err(OrderError::OtherCard)));
    let unknown = "eid:89049032000000000000000000000000".parse().unwrap();
    assert!(matches!(
        place(NewOrder { card: Some(unknown), ..order(0, 0) }).await,
        Err(OrderError::CardUnknown)
    ));
    for profile in ["airwrite-applet-raw", "none such"] {
        let order = NewOrder { profile: Some(profile.to_owned()), ..order(1, 1) };
        assert!(matches!(place(order).await, Err(OrderError::Profile { .. })));
    }
    // A card with a preset subscription, written on site because its order says so.
    let profile = Some("airwrite-applet".to_owned());
    let on_site = NewOrder { bearer: Some(Bearer::Relay), profile, require_bound: true, ..order(1, 1) };
    let write = place(on_site).await.unwrap().write.id;
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(scene.write(write).await.state, WriteState::Queued);
    assert_eq!(scene.relay(1, write).await.state, WriteState::Written);
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
    // One that is to go over the air has nothing to export.
    let write = place(NewOrder { card: Some(scene.card_ref(2)), ..order(2, 2) }).await.unwrap().write.id;
    let error = scene.gateway.export(&Scene::owner(), write).await.unwrap_err();
    assert!(matches!(error, ExportError::Nothing(_)), "{error}");
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
}

#[tokio::test(start_paused = true)]
async fn i5_on_site_writes_end_by_cancellation_and_deadline() {
    let scene = scene(2, 207).await;
    let cancelled = scene.order_naming_card(0).await;
    assert_eq!(scene.cancel(cancelled).await.unwrap().state, CANCELLED);
    let deadline = Some(scene.now() + 3_600_000);
    let order = NewOrder { card: Some(scene.card_ref(1)), deadline, ..scene.new_order(1, 1) };
    let expired = scene.place(order, None).await.unwrap().write.id;
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(scene.write(expired).await.state, EXPIRED);
    sound(&scene, &[cancelled, expired]).await;
}

#[tokio::test(start_paused = true)]
async fn r24_a_crash_at_any_moment_of_a_write_on_site_changes_nothing_of_its_end() {
    for crash_at in 0..30 {
        let mut scene = scene(1, 208).await;
        let order = NewOrder { card: Some(scene.card_ref(0)), ..scene.new_order(0, 0) };
        let key = Some(("on site", 7));
        let _ = tokio::time::timeout(Duration::from_millis(crash_at), async {
            let id = scene.place(order.clone(), key).await.unwrap().write.id;
            scene.relay(0, id).await;
        })
        .await;
        scene.crash().await;
        let write = scene.place(order, key).await.unwrap().write.id;
        scene.until(&[write], MINUTE, |state| state != WriteState::Waiting).await;
        // What the card has answered before may be lost: then it has seen the packet, and a poll finds out.
        let end = |state: WriteState| state == EFFECTIVE;
        for _ in 0..4 {
            if matches!(scene.gateway.export(&Scene::owner(), write).await, Err(ExportError::Nothing(_))) {
                break;
            }
            scene.relay(0, write).await;
            tokio::time::sleep(5 * MINUTE).await;
        }
        scene.until(&[write], HOUR, end).await;
        sound(&scene, &[write]).await;
    }
}
