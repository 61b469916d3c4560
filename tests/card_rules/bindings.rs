//! Messages from the card: bindings, repetitions and the replay window (rules section 4).

use airwrite::applet::{BindingResult, LastState, Message, WriteResult, WriteStatus};
use airwrite::card::{BindingPolicy, CardId, DeviceView, Event, FromCard, Purpose, ResponseData, WriteState};
use airwrite::ota::{Rsc, Spi2};

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, imei, number, other_imei, target, write_id};

fn elsewhere() -> CardId {
    CardId::from_octets([8; 16])
}

fn answered(rig: &Rig) -> (u32, BindingResult) {
    match rig.last_message() {
        Message::BindingResponse(response) => (response.tid, response.result),
        other => panic!("no binding response: {other:?}"),
    }
}

#[test]
fn r6_a_first_binding_is_stored_and_answered_without_a_por() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    assert_eq!(rig.facts(), ["binding.created"]);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
    assert_eq!(rig.step.bound.as_ref().map(|bound| (bound.moved_from, bound.left)), Some((None, None)));
    assert_eq!(answered(&rig), (5, BindingResult::Saved));
    assert_eq!(rig.last_seal().spi2, Spi2::NO_POR);
    assert!(rig.card.outstanding.is_none(), "I4");
    let sent = rig.hand_over(OLD);
    assert_eq!((sent.len(), sent[0].cntr.get()), (1, 101));
    assert_eq!(rig.due(), None);
}

#[test]
fn r7_i6_the_same_request_again_has_the_same_octets_as_answer_once_a_minute() {
    let mut rig = Rig::new();
    let device = DeviceView::default();
    rig.bind_at(9, 5, imei(), device.clone());
    rig.hand_over(OLD);
    rig.run_for(MINUTE);
    let before = rig.card.clone();
    rig.bind_at(9, 5, imei(), rig.known_device());
    assert_eq!(rig.facts(), ["binding.repeated"]);
    assert!(rig.step.bound.is_none());
    assert_eq!(rig.card.binding, before.binding);
    assert_eq!(rig.seals.len(), 1, "the same octets");
    assert_eq!(rig.hand_over(OLD)[0].cntr.get(), 101);
    rig.run_for(59 * SECOND);
    let mut card = rig.card.clone();
    for _ in 0..7 {
        rig.bind_at(9, 5, imei(), rig.known_device());
        assert!(rig.facts().is_empty(), "at most once a minute");
    }
    // They are counted, and told with the next one.
    card.hints.clone_from(&rig.card.hints);
    assert_eq!(rig.card, card);
    rig.run_for(SECOND);
    rig.bind_at(9, 5, imei(), rig.known_device());
    assert_eq!(rig.step.facts[0].detail, "the same message again, counter 9; 7 more like it before");
}

#[test]
fn an_answer_is_sealed_anew_once_a_higher_cntr_was_issued() {
    let mut rig = Rig::new();
    rig.bind_at(9, 5, imei(), DeviceView::default());
    rig.order(1);
    rig.hand_over(OLD);
    rig.por(1, WriteStatus::Refused);
    rig.run_for(MINUTE);
    rig.bind_at(9, 5, imei(), rig.known_device());
    assert_eq!(answered(&rig), (5, BindingResult::Saved));
    assert_eq!(rig.last_seal().cntr.get(), 103);
    let sent: Vec<u64> = rig.hand_over(OLD).iter().map(|submission| submission.cntr.get()).collect();
    assert_eq!(sent, [103]);
}

#[test]
fn a_repeated_binding_is_told_and_answered_and_counts_as_the_newest() {
    let mut rig = Rig::new();
    rig.bind_at(9, 5, imei(), DeviceView::default());
    let since = rig.now;
    rig.hand_over(OLD);
    rig.run_for(DAY);
    rig.bind_at(20, 6, imei(), rig.known_device());
    assert_eq!(rig.facts(), ["binding.repeated"]);
    assert_eq!(answered(&rig), (6, BindingResult::Saved));
    assert_eq!(rig.card.binding.as_ref().map(|binding| (binding.since, binding.mo_cntr)), Some((since, 20)));
    // An older one, of another device, that comes late changes nothing.
    rig.bind_at(15, 4, other_imei(), DeviceView::default());
    assert_eq!(rig.facts(), ["card.hint"]);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
}

#[test]
fn r8_another_device_follows_the_policy() {
    for (policy, fact, result, bound) in [
        (BindingPolicy::Accept, "binding.changed", BindingResult::Saved, other_imei()),
        (BindingPolicy::Hold, "binding.held", BindingResult::Held, imei()),
        (BindingPolicy::Reject, "binding.rejected", BindingResult::Rejected, imei()),
    ] {
        let mut rig = Rig::with_policy(policy);
        rig.bind(5, imei(), DeviceView::default());
        rig.hand_over(OLD);
        rig.bind(6, other_imei(), DeviceView::default());
        assert_eq!(rig.facts(), [fact]);
        assert_eq!(answered(&rig), (6, result));
        assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(bound));
        let left = rig.step.bound.as_ref().and_then(|bound| bound.left);
        assert_eq!(left, (policy == BindingPolicy::Accept).then(imei));
    }
}

#[test]
fn the_same_device_on_another_card_follows_the_policy() {
    for (policy, moved) in
        [(BindingPolicy::Accept, true), (BindingPolicy::Hold, false), (BindingPolicy::Reject, false)]
    {
        let mut rig = Rig::with_policy(policy);
        rig.bind(5, imei(), DeviceView { card: Some(elsewhere()), waiting: Vec::new() });
        assert_eq!(rig.card.binding.is_some(), moved);
        let moved_from = rig.step.bound.as_ref().and_then(|bound| bound.moved_from);
        assert_eq!(moved_from, moved.then(elsewhere));
    }
}

#[test]
fn a_device_that_moved_away_is_forgotten_and_bound_again_when_it_comes_back() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.event(Event::DeviceMoved { imei: other_imei(), to: elsewhere(), device: DeviceView::default() });
    assert!(!rig.step.changed, "another device");
    rig.event(Event::DeviceMoved { imei: imei(), to: elsewhere(), device: DeviceView::default() });
    assert_eq!((rig.card.binding.is_none(), rig.facts()), (true, vec!["binding.changed"]));
    // The word of the move came after the device was back: the next request heals that.
    rig.bind(6, imei(), rig.known_device());
    assert!(rig.card.binding.is_some() && rig.step.bound.is_some());
}

#[test]
fn writes_left_waiting_are_taken_by_the_next_binding() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    let waiting = vec![rig.new_order(1)];
    rig.bind(6, imei(), DeviceView { card: Some(rig.card.id), waiting });
    assert_eq!(rig.facts(), ["binding.repeated"]);
    assert_eq!(rig.step.bound.as_ref().map(|bound| bound.taken.clone()), Some(vec![write_id(1)]));
    rig.expect(WriteState::Sealed);
}

#[test]
fn a_request_that_names_another_eid_is_suspect() {
    let mut rig = Rig::new();
    rig.card.eid = None;
    rig.bind(5, imei(), DeviceView::default());
    assert_eq!(rig.facts(), ["binding.suspect"]);
    assert!(rig.card.binding.is_none() && rig.seals.is_empty());
}

#[test]
fn i6_a_replayed_message_is_told_once_and_asks_the_card_for_its_counter() {
    let mut rig = Rig::new();
    rig.bind_at(100, 5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    let replay = |rig: &mut Rig, cntr| {
        let request = Rig::request(5, other_imei());
        let message = FromCard::Binding { request, device: DeviceView::default() };
        rig.event(Event::Message { cntr, digest: 1, from: Some(number(OLD)), message });
    };
    replay(&mut rig, 100);
    assert_eq!(rig.facts(), ["card.hint"]);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    assert_eq!(rig.leg_numbers(), [OLD]);
    replay(&mut rig, 30);
    assert!(!rig.step.changed);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
}

#[test]
fn a_card_whose_counter_went_back_is_heard_again_after_a_poll() {
    let mut rig = Rig::new();
    rig.bind_at(1000, 5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    rig.mo_at(3, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    let mut answer = {
        rig.hand_over(OLD);
        rig.poll_answer(0, LastState::None)
    };
    answer.mo_counter = 3;
    rig.answer(Rsc::OK, ResponseData::State(answer));
    assert!(rig.facts().contains(&"card.counter") && !rig.card.resync);
    rig.mo_at(
        4,
        number(OLD),
        FromCard::Binding { request: Rig::request(6, other_imei()), device: DeviceView::default() },
    );
    assert_eq!(rig.facts(), ["binding.changed"], "it is newer than what was bound before");
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.mo_cntr), Some(4));
}

#[test]
fn the_poll_for_the_counter_ends_with_its_plan_and_comes_hourly_at_most() {
    let mut rig = Rig::new();
    rig.bind_at(1000, 5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    rig.mo_at(3, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    for _ in 0..4 {
        rig.hand_over(OLD);
        rig.run_until(rig.due().expect("due"));
    }
    assert_eq!(rig.purpose(), Some(Purpose::Poll), "the next one; the first one's hour is long over");
    assert_eq!(rig.outstanding().get(), 103);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert_eq!(rig.purpose(), None);
    rig.mo_at(2000, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    rig.mo_at(3, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    assert_eq!((rig.card.resync, rig.purpose()), (true, None));
    assert!(rig.due().is_some_and(|due| due > rig.now && due <= rig.now + HOUR));
}

#[test]
fn an_order_does_not_wait_for_the_poll_of_the_counter() {
    let mut rig = Rig::new();
    rig.bind_at(1000, 5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    rig.mo_at(3, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.order(1);
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.purpose(), Some(Purpose::Write));
}

#[test]
fn i6_a_result_repeated_by_the_card_is_acknowledged_again() {
    let mut rig = Rig::written();
    let result = || FromCard::Result(Rig::result(1, WriteStatus::Confirmed));
    let to = target(1).msisdn;
    rig.mo_at(50, to, result());
    rig.hand_over(&to.to_string());
    rig.run_for(2 * MINUTE);
    // The same packet: the same octets once more.
    rig.mo_at(50, to, result());
    assert_eq!(rig.facts(), ["card.hint"]);
    assert_eq!(rig.hand_over(&to.to_string())[0].cntr.get(), 102);
    // Another packet of the same meaning.
    rig.mo_at(51, to, result());
    assert!(rig.facts().is_empty() && rig.card.current == Some(target(1)));
    assert_eq!(rig.hand_over(&to.to_string())[0].cntr.get(), 102);
    assert_eq!(rig.seals.len(), 2);
}

#[test]
fn i7_results_of_unknown_writes_and_other_cards_change_nothing() {
    let mut rig = Rig::written();
    let current = rig.card.current.clone();
    rig.mo_result(Rig::result(9, WriteStatus::Confirmed), number(OLD));
    assert_eq!(rig.facts(), ["card.hint"]);
    let mut card = rig.card.clone();
    card.eid = None;
    rig.card = card;
    rig.mo_result(WriteResult { ..Rig::result(1, WriteStatus::Confirmed) }, number(OLD));
    assert_eq!(rig.facts(), ["card.hint"]);
    assert_eq!(rig.card.current, current);
    rig.expect(WriteState::Written);
}
