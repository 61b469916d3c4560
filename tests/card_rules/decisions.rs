//! What the owner says: supplied bindings, and decisions about what is held.

use airwrite::applet::{BindingResult, Message, WriteResult, WriteStatus};
use airwrite::card::{
    BindingPolicy, CardId, Contested, DeviceView, End, Event, Hold, Purpose, Refused, WriteState,
};
use airwrite::identity::Imei;

use crate::harness::{OLD, Rig, imei, number, other_imei, target, write_id};

fn elsewhere() -> CardId {
    CardId::from_octets([8; 16])
}

fn on(card: CardId) -> DeviceView {
    DeviceView { card: Some(card), waiting: Vec::new() }
}

fn supply(rig: &mut Rig, imei: Imei, device: DeviceView) -> Option<Refused> {
    rig.event(Event::Supplied { imei, device }).refused
}

fn bound(rig: &Rig) -> Option<Imei> {
    rig.card.binding.as_ref().map(|binding| binding.imei)
}

/// A card bound to one device whose request from another one is held.
fn held() -> Rig {
    let mut rig = Rig::with_policy(BindingPolicy::Hold);
    rig.bind(5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    rig.bind(6, other_imei(), DeviceView::default());
    rig.hand_over(OLD);
    assert_eq!((rig.facts().is_empty(), bound(&rig)), (true, Some(imei())));
    rig
}

fn answered(rig: &Rig) -> (u32, BindingResult) {
    match rig.last_message() {
        Message::BindingResponse(response) => (response.tid, response.result),
        other => panic!("no binding response: {other:?}"),
    }
}

#[test]
fn r9_a_supplied_binding_is_trusted_and_releases_what_waits() {
    let mut rig = Rig::new();
    let waiting = vec![rig.new_order(1)];
    assert_eq!(supply(&mut rig, imei(), DeviceView { card: None, waiting }), None);
    assert_eq!(rig.facts(), ["binding.created"]);
    assert_eq!(rig.step.bound.as_ref().map(|bound| bound.taken.clone()), Some(vec![write_id(1)]));
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.last_write().binding_ack, None, "the card has asked for nothing");
    let known = rig.known_device();
    assert_eq!(supply(&mut rig, imei(), known), None);
    assert!(!rig.step.changed, "again: nothing changes");
}

#[test]
fn a_supplied_binding_that_contradicts_follows_the_policy() {
    for (policy, refused, after) in [
        (BindingPolicy::Accept, None, other_imei()),
        (BindingPolicy::Hold, Some(Refused::BindingHeld), imei()),
        (BindingPolicy::Reject, Some(Refused::BindingRejected), imei()),
    ] {
        let mut rig = Rig::with_policy(policy);
        rig.bind(5, imei(), DeviceView::default());
        rig.hand_over(OLD);
        assert_eq!(supply(&mut rig, other_imei(), DeviceView::default()), refused);
        assert_eq!(bound(&rig), Some(after));
        assert_eq!(rig.card.held.is_some(), policy == BindingPolicy::Hold);
        assert!(rig.card.owed.is_empty());
    }
}

#[test]
fn a_supplied_binding_stands_until_a_newer_request_of_the_card() {
    let mut rig = Rig::new();
    rig.bind_at(40, 5, imei(), DeviceView::default());
    supply(&mut rig, other_imei(), DeviceView::default());
    rig.bind_at(39, 4, imei(), DeviceView::default());
    assert_eq!((rig.facts(), bound(&rig)), (vec!["card.hint"], Some(other_imei())));
    rig.bind_at(41, 6, imei(), DeviceView::default());
    assert_eq!(bound(&rig), Some(imei()));
}

#[test]
fn a_held_binding_is_kept_and_its_request_repeated_asks_nobody_twice() {
    let mut rig = held();
    let first = rig.card.held.clone().expect("held");
    assert_eq!((first.imei, first.tid, first.mo_cntr), (other_imei(), Some(6), 2));
    rig.run_for(1000);
    rig.bind(7, other_imei(), DeviceView::default());
    let again = rig.card.held.clone().expect("held");
    assert_eq!((again.since, again.tid), (first.since, Some(7)));
    // Back in the old device: nothing is left to decide.
    rig.bind(8, imei(), rig.known_device());
    assert_eq!(rig.card.held, None);
}

#[test]
fn r8_an_accepted_binding_takes_effect_and_the_card_hears_of_it() {
    let mut rig = held();
    let waiting = vec![rig.new_order(1)];
    rig.event(Event::DecideBinding { accept: true, device: DeviceView { card: Some(elsewhere()), waiting } });
    assert_eq!((rig.facts(), bound(&rig)), (vec!["binding.changed"], Some(other_imei())));
    let step = rig.step.bound.clone().expect("bound");
    assert_eq!((step.moved_from, step.left), (Some(elsewhere()), Some(imei())));
    let ack = rig.last_write().binding_ack.map(|ack| (ack.tid, ack.result));
    assert_eq!(ack, Some((6, BindingResult::Saved)));
    assert_eq!(rig.card.held, None);
}

#[test]
fn a_rejected_binding_is_dropped_and_the_card_hears_of_it() {
    let mut rig = held();
    rig.event(Event::DecideBinding { accept: false, device: DeviceView::default() });
    assert_eq!((rig.facts(), bound(&rig)), (vec!["binding.rejected"], Some(imei())));
    assert_eq!(answered(&rig), (6, BindingResult::Rejected));
    let device = DeviceView::default();
    assert_eq!(rig.event(Event::DecideBinding { accept: true, device }).refused, Some(Refused::NothingHeld));
    assert!(!rig.step.changed);
}

/// A write whose result came from another device than the ordered one.
fn held_write() -> Rig {
    let mut rig = Rig::written();
    let result = WriteResult { imei: other_imei(), ..Rig::result(1, WriteStatus::Confirmed) };
    rig.mo_result(result, target(1).msisdn);
    assert_eq!(rig.card.active.as_ref().and_then(|active| active.hold), Some(Hold::WrongDevice));
    rig
}

#[test]
fn a_held_write_that_is_accepted_is_effective_without_the_device() {
    let mut rig = held_write();
    rig.event(Event::DecideWrite { id: write_id(1), accept: true });
    rig.expect_end(1, End::Effective);
    let change = &rig.step.writes[0];
    assert_eq!(
        (change.imei_verified, change.reason.as_deref()),
        (Some(false), Some("accepted: wrong_device"))
    );
    assert_eq!(rig.card.current, Some(target(1)));
}

#[test]
fn i10_a_held_write_that_is_rejected_is_unresolved_and_its_numbers_stay_taken() {
    let mut rig = held_write();
    rig.event(Event::DecideWrite { id: write_id(1), accept: false });
    rig.expect_end(1, End::Unresolved);
    assert_eq!(rig.step.writes[0].reason.as_deref(), Some("rejected: wrong_device"));
    assert!(!rig.freed.contains(&target(1)));
    assert_eq!(rig.card.unsettled.len(), 1);
    rig.order(2);
    assert_eq!(rig.purpose(), Some(Purpose::Poll), "the next one starts with a fence");
}

#[test]
fn only_what_is_held_is_decided() {
    let mut rig = Rig::written();
    let decide = |rig: &mut Rig, n| rig.event(Event::DecideWrite { id: write_id(n), accept: true }).refused;
    assert_eq!(decide(&mut rig, 1), Some(Refused::NothingHeld));
    assert_eq!(decide(&mut rig, 2), Some(Refused::NoSuchWrite));
    rig.expect(WriteState::Written);
}

#[test]
fn the_same_device_on_two_cards_is_told_at_the_other_card() {
    for policy in [BindingPolicy::Hold, BindingPolicy::Reject] {
        let mut rig = Rig::with_policy(policy);
        rig.bind(5, imei(), on(elsewhere()));
        assert_eq!(rig.step.contested, Some(Contested { imei: imei(), card: elsewhere() }));
    }
    let mut other = Rig::new();
    other.bind(5, imei(), DeviceView::default());
    other.event(Event::Contested { imei: imei(), by: elsewhere() });
    assert_eq!((other.facts(), bound(&other)), (vec!["binding.suspect"], Some(imei())));
    assert!(!other.event(Event::Contested { imei: other_imei(), by: elsewhere() }).changed);
}

#[test]
fn old_news_of_a_move_does_not_undo_a_binding_that_is_back() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    let back = on(rig.card.id);
    assert!(!rig.event(Event::DeviceMoved { imei: imei(), to: elsewhere(), device: back }).changed);
    rig.event(Event::DeviceMoved { imei: imei(), to: elsewhere(), device: on(elsewhere()) });
    assert_eq!(bound(&rig), None);
}

#[test]
fn a_default_imei_is_bound_and_suspect() {
    let mut rig = Rig::new();
    let default: Imei = "357805020000007".parse().expect("an IMEI");
    rig.bind(5, default, DeviceView::default());
    assert_eq!(rig.facts(), ["binding.created", "binding.suspect"]);
    assert!(rig.step.facts[1].detail.starts_with("default IMEI"));
    rig.hand_over(OLD);
    rig.bind(6, default, rig.known_device());
    assert_eq!(rig.facts(), ["binding.repeated"], "told once");
    assert_eq!(number(OLD), rig.card.current.as_ref().expect("a number").msisdn);
}
