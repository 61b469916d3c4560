//! Cards that the business platform knows, and what its operators decide, ask and order again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use airwrite::card::{BindingPolicy, End, Hold, Owner, WriteState};
use airwrite::gateway::{CardLookup, CardRef, DecisionError, LookupError, NewOrder, RetryError, SupplyError};
use airwrite::identity::Imei;
use airwrite::link::BoxFuture;
use airwrite::ota::Spi1;
use airwrite::sim::card::MO_TAR;
use airwrite::store::keys;

use crate::by_hand::{ROK, binding_request, entries, number, parts};
use crate::common::hand_card::command_user_data as whole;
use crate::common::scene::{Kind, Scene, Setup, profile};
use crate::common::smsc::{Smsc, message};
use crate::spoofing::{in_flight, packet, result};
use crate::{CANCELLED, EFFECTIVE, UNRESOLVED, sound};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Answers in turn, and the last one for ever.
#[derive(Default)]
struct Platform {
    answers: Mutex<Vec<Answer>>,
    asked: Mutex<Vec<Imei>>,
}

#[derive(Clone)]
enum Answer {
    Card(CardRef),
    Unknown,
    Error,
    Never,
}

impl CardLookup for Platform {
    fn look_up<'a>(
        &'a self,
        owner: &'a Owner,
        imei: Imei,
    ) -> BoxFuture<'a, Result<Option<CardRef>, LookupError>> {
        assert_eq!(*owner, Scene::owner());
        self.asked.lock().unwrap().push(imei);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move {
            match answer {
                Answer::Card(card) => Ok(Some(card)),
                Answer::Unknown => Ok(None),
                Answer::Error => Err(LookupError("status 503".to_owned())),
                Answer::Never => std::future::pending().await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn r11_a_card_that_nobody_reported_is_looked_up_until_it_is_known() {
    let platform = Arc::new(Platform::default());
    let lookup: Arc<dyn CardLookup> = platform.clone();
    let kinds = &[Kind::OnSite];
    let mut scene = Scene::with(Setup { kinds, lookup: Some(lookup), ..Setup::new(1, 231) }).await;
    let nobodys = "eid:89049032000000000000000000000000".parse().unwrap();
    let known = Answer::Card(scene.card_ref(0));
    *platform.answers.lock().unwrap() =
        vec![Answer::Never, Answer::Error, Answer::Unknown, Answer::Card(nobodys), known];
    let write = scene.order(0).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(platform.asked.lock().unwrap().len(), 1, "after the order is durable");
    scene.crash().await;
    assert_eq!(scene.write(write).await.state, WriteState::Waiting);
    scene.until(&[write], HOUR, |state| state == WriteState::Queued).await;
    assert_eq!(*platform.asked.lock().unwrap(), [scene.imei(0); 5]);
    let device = scene.gateway.device(&Scene::owner(), scene.imei(0)).await.unwrap().unwrap();
    assert_eq!((device.card, device.waiting), (Some(scene.card(0).await.id), vec![]));
    assert_eq!(scene.relay(0, write).await.state, WriteState::Written);
    scene.until(&[write], 10 * MINUTE, |state| state == EFFECTIVE).await;
    tokio::time::sleep(24 * HOUR).await;
    assert_eq!(platform.asked.lock().unwrap().len(), 5, "not asked again");
    assert!(entries(&scene, keys::Space::Timer).await.len() <= 2);
    sound(&scene, &[write]).await;
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_is_held_waits_for_a_decision() {
    let mut profile = profile();
    profile.trust.binding_policy = BindingPolicy::Hold;
    let scene = Scene::with(Setup { profile, targets: 3, ..Setup::new(2, 232) }).await;
    let (gateway, owner) = (&scene.gateway, Scene::owner());
    scene.bind(0..1).await;
    let error = gateway.supply_binding(&owner, scene.imei(2), scene.card_ref(0)).await.unwrap_err();
    assert!(matches!(error, SupplyError::Held), "{error}");
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(0));
    let waiting = scene.order_for(2, 2).await;
    let card = gateway.decide_binding(&owner, &scene.card_ref(0), true).await.unwrap();
    assert_eq!(card.binding.unwrap().imei, scene.imei(2));
    assert_ne!(scene.write(waiting).await.state, WriteState::Waiting);
    let error = gateway.decide_binding(&owner, &scene.card_ref(0), true).await.unwrap_err();
    assert!(matches!(error, DecisionError::NothingHeld), "{error}");
    let error = gateway.supply_binding(&"stranger".parse().unwrap(), scene.imei(2), scene.card_ref(0)).await;
    assert!(matches!(error, Err(SupplyError::CardUnknown)));
}

#[tokio::test(start_paused = true)]
async fn a_result_from_another_device_is_held_until_it_is_decided() {
    for (accept, end) in [(true, EFFECTIVE), (false, UNRESOLVED)] {
        let (scene, mut smsc, [write, _]) = in_flight(233).await;
        let owner = Scene::owner();
        let error = scene.gateway.decide_write(&owner, write, accept).await.unwrap_err();
        assert!(matches!(error, DecisionError::NothingHeld), "{error}");
        // The card itself says so: it is proof, but not of what was ordered.
        let result = packet(&scene, Spi1::CC_CIPHERED_HIGHER, MO_TAR, &result(&scene, 1, 1));
        assert_eq!(smsc.deliver(message(&number(&scene), whole(&result))).await, ROK);
        let held = scene.write(write).await;
        assert_eq!((held.state, held.hold), (WriteState::Written, Some(Hold::WrongDevice)));
        assert_eq!(scene.card(0).await.current, Some(held.target));
        let decided = scene.gateway.decide_write(&owner, write, accept).await.unwrap();
        assert_eq!(decided.state, end);
        sound(&scene, &[write]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_ended_write_is_ordered_again_and_a_card_is_asked() {
    let scene = Scene::new(1, 234).await;
    let (gateway, owner) = (&scene.gateway, Scene::owner());
    let first = scene.order(0).await;
    assert!(matches!(gateway.retry(&owner, first, None).await, Err(RetryError::State(WriteState::Waiting))));
    assert_eq!(scene.cancel(first).await.unwrap().state, CANCELLED);
    let second = gateway.retry(&owner, first, None).await.unwrap().write;
    assert_eq!((second.retry_of, &second.target), (Some(first), &scene.write(first).await.target));
    scene.bind(0..1).await;
    scene.until(&[second.id], 10 * MINUTE, |state| state == EFFECTIVE).await;
    let error = gateway.retry(&owner, second.id, None).await.unwrap_err();
    assert!(matches!(error, RetryError::State(WriteState::Ended(End::Effective))), "{error}");
    tokio::time::sleep(10 * MINUTE).await;
    let packets = scene.report().await.cards[0].card.mt_packets;
    gateway.poll_card(&owner, &scene.card_ref(0)).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(scene.report().await.cards[0].card.mt_packets, packets + 1);
    assert_eq!(scene.card(0).await.outstanding, None, "answered");
    sound(&scene, &[first, second.id]).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_bearer_that_was_ordered() {
    use airwrite::card::Bearer;
    let scene = Scene::with(Setup { kinds: &[Kind::OnSite], ..Setup::new(1, 237) }).await;
    for ordered in [None, Some(Bearer::Sms)] {
        let order = NewOrder { bearer: ordered, card: Some(scene.card_ref(0)), ..scene.new_order(0, 0) };
        let first = scene.place(order, None).await.unwrap().write.id;
        let begun = scene.write(first).await;
        assert_eq!((begun.bearer, begun.decided), (ordered, Some(ordered.unwrap_or(Bearer::Relay))));
        assert_eq!(scene.cancel(first).await.unwrap().state, CANCELLED);
        let again = scene.gateway.retry(&Scene::owner(), first, None).await.unwrap().write;
        assert_eq!(again.bearer, ordered, "resolved anew where nothing was ordered");
        assert_eq!(scene.cancel(again.id).await.unwrap().state, CANCELLED);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_for_which_its_card_has_no_room_is_taken_when_there_is() {
    let scene = Scene::with(Setup { kinds: &[Kind::OnSite], targets: 12, ..Setup::new(2, 238) }).await;
    let mut writes = vec![scene.order_naming_card(0).await];
    for target in 1..9 {
        writes.push(scene.order_for(0, target).await);
    }
    // Another device, whose order waits, gets the same card.
    let waiting = scene.order_for(1, 9).await;
    let supplied = scene.gateway.supply_binding(&Scene::owner(), scene.imei(1), scene.card_ref(0)).await;
    assert_eq!(supplied.unwrap().waiting, [waiting]);
    assert_eq!((scene.write(waiting).await.state, scene.count("card.hint").await), (WriteState::Waiting, 1));
    tokio::time::sleep(HOUR).await;
    assert_eq!((scene.write(waiting).await.state, scene.count("card.hint").await), (WriteState::Waiting, 1));
    assert_eq!(scene.cancel(writes[4]).await.unwrap().state, CANCELLED);
    scene.until(&[waiting], 11 * MINUTE, |state| state == WriteState::Queued).await;
    assert_eq!(scene.cancel(writes[5]).await.unwrap().state, CANCELLED);
    tokio::time::sleep(HOUR).await;
    let of_waiting = |(key, value): &(airwrite::store::Key, bytes::Bytes)| {
        keys::Timer::parse(key).unwrap().id == waiting.octets() && value.ends_with(b"l")
    };
    let timers = entries(&scene, keys::Space::Timer).await;
    assert_eq!(timers.iter().filter(|timer| of_waiting(timer)).count(), 0, "it is not looked at any more");
}

#[tokio::test(start_paused = true)]
async fn what_came_before_its_card_was_imported_is_heard_then() {
    let scene = Scene::with(Setup { by_hand: true, imported: false, ..Setup::new(2, 235) }).await;
    let (mut scene, mut smsc) = Smsc::bound(scene).await;
    let from = number(&scene);
    let request = binding_request(&scene, 1, 0);
    for part in parts(&request, 9, 2) {
        assert_eq!(smsc.deliver(message(&from, part)).await, ROK);
    }
    assert_eq!(smsc.deliver(message("4915112345678", whole(&request))).await, ROK);
    let first = scene.gateway.strays(None, 1).await.unwrap();
    let rest = scene.gateway.strays(first.next, 10).await.unwrap();
    let strays = [first.items, rest.items].concat();
    assert_eq!(strays.len(), 2);
    assert!(strays.iter().all(|stray| stray.record.user_data == whole(&request)), "whole, and as one");
    let report = scene.gateway.import_cards(scene.sample.cards.clone(), |_| {}).await.unwrap();
    assert_eq!(report.imported, 2);
    assert_eq!(scene.card(0).await.binding.unwrap().imei, scene.imei(0));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(scene.gateway.strays(None, 10).await.unwrap().items.len(), 1);
    // The one whose card never comes is forgotten in time, whatever happens.
    tokio::time::sleep(6 * 24 * HOUR).await;
    assert_eq!(scene.gateway.strays(None, 10).await.unwrap().items.len(), 1);
    scene.crash().await;
    tokio::time::sleep(26 * HOUR).await;
    assert!(entries(&scene, keys::Space::Stray).await.is_empty());
    assert!(entries(&scene, keys::Space::PartSet).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn cards_are_listed_piece_by_piece() {
    let scene = Scene::new(5, 236).await;
    let (owner, mut after, mut eids) = (Scene::owner(), None, Vec::new());
    loop {
        let page = scene.gateway.cards(&owner, after, 2).await.unwrap();
        assert!(page.items.len() <= 2);
        eids.extend(page.items.iter().map(|card| card.eid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut all: Vec<_> = scene.sample.cards.iter().map(|row| row.eid).collect();
    eids.sort();
    all.sort();
    assert_eq!(eids, all);
    assert!(scene.gateway.cards(&"stranger".parse().unwrap(), None, 9).await.unwrap().items.is_empty());
    assert_eq!(scene.gateway.device(&owner, scene.imei(0)).await.unwrap(), None);
}
