//! The life of a write (rules section 1), step by step.

use airwrite::applet::{BindingAck, BindingResult, LastState, Message, WriteStatus};
use airwrite::card::{
    Answer, Cancellation, DeviceView, End, Event, Purpose, RESTORE_GAP, ResponseData, Submitted, WriteState,
};
use airwrite::ota::{Rsc, Spi2};

use crate::harness::{
    DAY, HOUR, MINUTE, OLD, Rig, SECOND, eid, imei, message, number, other_imei, preset, target, write_id,
};

fn new_number(n: u8) -> String {
    target(n).msisdn.to_string()
}

#[test]
fn r10_r12_an_order_after_the_binding_is_sealed_at_once_under_the_next_cntr() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.kinds(1), ["write.accepted"]);
    let seal = rig.last_seal();
    assert_eq!(
        (seal.cntr.get(), seal.spi1.0, seal.spi2.0, seal.tar.0, seal.kvn),
        (101, 0x16, 0x39, *b"AW1", 1)
    );
    let write = rig.last_write();
    assert_eq!((write.tid, write.eid, write.imei), (1, eid(), imei()));
    assert_eq!((write.imsi, write.msisdn), (target(1).imsi, target(1).msisdn));
    assert!(write.rollback && write.binding_ack.is_none());
    assert_eq!(rig.leg_numbers(), [OLD]);
    assert_eq!(rig.card.lanes(), [(number(OLD), rig.now)]);
}

#[test]
fn r22_an_order_before_the_binding_goes_out_with_the_bindings_answer_on_board() {
    let mut rig = Rig::new();
    let mut waiting = rig.new_order(1);
    waiting.seq = 1;
    rig.bind(77, imei(), DeviceView { card: None, waiting: vec![waiting] });
    let bound = rig.step.bound.clone().expect("bound");
    assert_eq!((bound.imei, bound.taken), (imei(), vec![write_id(1)]));
    assert_eq!(rig.facts(), ["binding.created"]);
    let ack = BindingAck { tid: 77, result: BindingResult::Saved };
    assert_eq!(rig.last_write().binding_ack, Some(ack));
    assert_eq!(rig.seals.len(), 1, "no binding response beside it");
    rig.hand_over(OLD);
    rig.por(1, WriteStatus::Accepted);
    assert!(rig.card.owed.is_empty() && rig.card.notice.is_none());
}

#[test]
fn r17_r18_hand_out_por_and_result_lead_to_effective() {
    let mut rig = Rig::new();
    rig.order(1);
    let submissions = rig.hand_out(OLD);
    assert_eq!(submissions.len(), 1);
    assert_eq!(
        (submissions[0].cntr.get(), submissions[0].validity_s, submissions[0].receipt),
        (101, 300, true)
    );
    rig.expect(WriteState::Sent);
    rig.por(1, WriteStatus::Accepted);
    rig.expect(WriteState::Written);
    assert_eq!(rig.card.current, Some(preset()), "I7: written is no proof");
    assert_eq!(rig.due(), Some(rig.now + 10 * MINUTE));
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
    assert_eq!(rig.card.previous, Some(preset()));
    assert_eq!(rig.freed, [preset()], "the old numbers are free, the new ones are not");
    assert_eq!(rig.facts(), ["card.subscription_changed", "write.effective"]);
    assert_eq!(rig.kinds(1), ["write.accepted", "write.sent", "write.written", "write.effective"]);
    // The result is acknowledged at the new number and asks no PoR.
    let seal = rig.last_seal();
    assert_eq!((seal.cntr.get(), seal.spi2), (102, Spi2::NO_POR));
    let Message::ResultAck(ack) = message(seal) else { panic!("{seal:?}") };
    assert_eq!((ack.tid, ack.status), (1, WriteStatus::Confirmed));
    assert_eq!(rig.card.lanes(), [(target(1).msisdn, rig.now)]);
    assert!(rig.card.outstanding.is_none(), "I4");
}

#[test]
fn a_result_without_a_por_goes_straight_to_effective() {
    let mut rig = Rig::sent();
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.kinds(1), ["write.accepted", "write.sent", "write.effective"]);
    // The late PoR of the same packet changes nothing (I6).
    let cntr = rig.seals[0].cntr;
    let data = ResponseData::Result(Rig::result(1, WriteStatus::Accepted));
    assert!(!rig.event(Event::Response { cntr, rsc: Rsc::OK, data, from: None, device: None }).changed);
}

#[test]
fn an_accepted_that_comes_on_its_own_ends_the_packet() {
    let mut rig = Rig::sent();
    rig.mo_result(Rig::result(1, WriteStatus::Accepted), number(OLD));
    rig.expect(WriteState::Written);
    assert_eq!(rig.purpose(), None, "its silence must not make the write unknown again");
    rig.run_for(9 * MINUTE);
    rig.expect(WriteState::Written);
}

#[test]
fn a_roll_back_ends_the_write_and_leaves_the_old_subscription() {
    let mut rig = Rig::written();
    rig.mo_result(Rig::result(1, WriteStatus::RolledBack), number(OLD));
    rig.expect_end(1, End::RolledBack);
    assert_eq!(rig.card.current, Some(preset()));
    assert_eq!(rig.freed, [target(1)]);
    let Message::ResultAck(ack) = rig.last_message() else { panic!() };
    assert_eq!(ack.status, WriteStatus::RolledBack);
}

#[test]
fn a_refusal_by_the_applet_fails_the_write() {
    let mut rig = Rig::sent();
    rig.por(1, WriteStatus::Refused);
    rig.expect_end(1, End::Failed);
    assert_eq!(rig.freed, [target(1)]);
    assert_eq!(rig.purpose(), None);
}

#[test]
fn i7_a_result_from_another_device_updates_the_card_and_holds_the_write() {
    let mut rig = Rig::written();
    let result =
        airwrite::applet::WriteResult { imei: other_imei(), ..Rig::result(1, WriteStatus::Confirmed) };
    rig.mo_result(result, target(1).msisdn);
    rig.expect(WriteState::Written);
    assert_eq!(rig.card.current, Some(target(1)));
    assert_eq!(rig.facts(), ["card.subscription_changed", "write.held"]);
    // Nobody decides: unresolved at give-up, and the target, which is in effect, stays taken (I10).
    rig.run_for(40 * DAY);
    rig.expect_end(1, End::Unresolved);
    assert!(!rig.freed.contains(&target(1)));
    rig.order(2);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.hand_over(&new_number(1));
    rig.state_answer(0, LastState::None);
    assert!(!rig.freed.contains(&target(1)), "I10: what is in effect is never freed");
}

#[test]
fn a_confirmation_under_another_imsi_proves_nothing() {
    let mut rig = Rig::sent();
    let result =
        airwrite::applet::WriteResult { imsi: Some(preset().imsi), ..Rig::result(1, WriteStatus::Confirmed) };
    rig.mo_result(result, number(OLD));
    rig.expect(WriteState::Written);
    assert_eq!(rig.card.current, Some(preset()));
    assert!(rig.freed.is_empty());
}

#[test]
fn a_written_write_is_polled_at_both_numbers_by_its_plan() {
    let mut rig = Rig::written();
    let written_at = rig.now;
    for after in [10 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY] {
        rig.run_until(written_at + after - SECOND);
        assert_eq!(rig.purpose(), None);
        rig.run_until(written_at + after);
        assert_eq!(rig.purpose(), Some(Purpose::Poll));
        assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number(1)]);
        rig.hand_over(OLD);
        rig.state_answer(1, LastState::Accepted);
        rig.expect(WriteState::Written);
    }
    rig.run_for(DAY);
    rig.hand_over(&new_number(1));
    rig.state_answer(1, LastState::Confirmed);
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
}

#[test]
fn polls_of_a_written_write_never_run_hot() {
    let mut rig = Rig::new();
    rig.timers.deadline_s = 400 * 86_400;
    rig.order(1);
    rig.hand_over(OLD);
    rig.por(1, WriteStatus::Accepted);
    for _ in 0..300 {
        rig.run_for(DAY);
        rig.hand_over(OLD);
        rig.state_answer(1, LastState::Accepted);
        assert_eq!(rig.purpose(), None, "not again before the next day");
    }
}

#[test]
fn r27_the_fence_says_not_applied_and_the_write_is_sealed_anew_with_its_tid() {
    let mut rig = Rig::unknown();
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number(1)], "R27: at both numbers");
    let seal = rig.last_seal();
    assert_eq!((seal.cntr.get(), seal.spi2.0), (102, 0x39));
    let Message::Poll(poll) = message(seal) else { panic!() };
    assert_eq!(poll.tid, 102);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.last_seal().cntr.get(), 103, "I3");
    assert_eq!(rig.last_write().tid, 1, "the same transaction");
    assert_eq!(rig.leg_numbers(), [OLD]);
    assert_eq!(rig.kinds(1), ["write.accepted", "write.sent", "write.unknown"]);
}

#[test]
fn the_fence_says_how_far_the_card_came() {
    for (state, expected) in [
        (LastState::Accepted, WriteState::Written),
        (LastState::Confirmed, WriteState::Ended(End::Effective)),
        (LastState::RolledBack, WriteState::Ended(End::RolledBack)),
        (LastState::Refused, WriteState::Ended(End::Failed)),
    ] {
        let mut rig = Rig::unknown();
        rig.hand_over(OLD);
        rig.state_answer(1, state);
        match expected {
            WriteState::Ended(end) => rig.expect_end(1, end),
            state => rig.expect(state),
        }
        let proved = state == LastState::Confirmed;
        assert_eq!(rig.card.current, Some(if proved { target(1) } else { preset() }));
    }
}

#[test]
fn a_card_that_goes_on_refusing_is_written_by_the_plan() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
    for wait in [5 * MINUTE, HOUR, 6 * HOUR] {
        rig.hand_over(OLD);
        rig.answer(Rsc::SECURITY_ERROR, ResponseData::None);
        rig.hand_over(OLD);
        rig.state_answer(0, LastState::None);
        rig.expect(WriteState::Queued);
        assert_eq!(rig.due(), Some(rig.now + wait));
        rig.run_for(wait);
        rig.expect(WriteState::Sealed);
    }
}

#[test]
fn i5_a_cancellation_before_the_hand_out_is_granted_at_once() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.cancel(1);
    rig.expect_end(1, End::Cancelled);
    assert_eq!(rig.freed, [target(1)]);
    assert!(rig.card.lanes().is_empty() && rig.due().is_none());
    assert_eq!(rig.cancel(1).refused, Some(airwrite::card::Refused::NoSuchWrite));
}

#[test]
fn a_binding_that_a_cancelled_write_was_to_acknowledge_is_answered_alone() {
    let mut rig = Rig::new();
    let waiting = rig.new_order(1);
    rig.bind(77, imei(), DeviceView { card: None, waiting: vec![waiting] });
    rig.cancel(1);
    let Message::BindingResponse(response) = rig.last_message() else { panic!() };
    assert_eq!((response.tid, response.result), (77, BindingResult::Saved));
    assert_eq!(rig.card.lanes(), [(number(OLD), rig.now)]);
}

#[test]
fn i5_a_cancellation_after_the_hand_out_is_granted_by_a_fence_only() {
    let mut rig = Rig::sent();
    rig.cancel(1);
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    assert!(!rig.cancel(1).changed, "I6: asked for once");
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect_end(1, End::Cancelled);
    assert_eq!(rig.freed, [target(1)]);
}

#[test]
fn the_smsc_is_asked_once_to_forget_what_it_took_of_a_cancelled_write() {
    let asked = |message_id: &str| Cancellation { to: number(OLD), message_id: message_id.into() };
    let mut rig = Rig::sent();
    assert_eq!(rig.cancel(1).cancellations, [asked("m1")]);
    assert_eq!(rig.cancel(1).cancellations, []);
    // The fence is not what is cancelled, and is needed all the same.
    rig.hand_over(OLD);
    assert_eq!(rig.cancel(1).cancellations, []);
    rig.expect(WriteState::Unknown);

    // After a resend, that of the last attempt.
    let mut rig = Rig::sent();
    rig.run_for(6 * MINUTE + 1000);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: "m2".into() });
    assert_eq!(rig.cancel(1).cancellations, [asked("m2")]);

    // Nothing can be said without an id, nor where nothing of it is at the SMSC any more.
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: String::new() });
    assert_eq!(rig.cancel(1).cancellations, []);
    let mut rig = Rig::sent();
    rig.answer(Rsc::NO_MEMORY, ResponseData::None);
    assert_eq!(rig.cancel(1).cancellations, []);
    assert_eq!(Rig::unknown().cancel(1).cancellations, []);
}

#[test]
fn what_the_smsc_takes_after_the_cancellation_is_cancelled_too() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    assert_eq!(rig.cancel(1).cancellations, []);
    let accepted = Submitted::Accepted { message_id: "m1".into() };
    let event = Event::Submitted { cntr, to: number(OLD), outcome: accepted };
    let step = rig.event(event);
    assert!(!step.changed);
    assert_eq!(step.cancellations, [Cancellation { to: number(OLD), message_id: "m1".into() }]);
    rig.hand_over(OLD);
    assert_eq!(rig.step.cancellations, [], "the fence is not cancelled");
    rig.state_answer(0, LastState::None);
    rig.expect_end(1, End::Cancelled);
}

#[test]
fn a_cancellation_that_comes_too_late_is_not_granted() {
    let mut rig = Rig::sent();
    rig.cancel(1);
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Accepted);
    rig.expect(WriteState::Written);
    assert_eq!(rig.cancel(1).refused, Some(airwrite::card::Refused::AlreadyWritten));
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    rig.expect_end(1, End::Effective);
}

#[test]
fn i5_a_write_that_waits_after_rsc_07_is_cancelled_by_a_fence_only() {
    let mut rig = Rig::sent();
    rig.answer(Rsc::NO_MEMORY, ResponseData::None);
    rig.expect(WriteState::Queued);
    rig.cancel(1);
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect_end(1, End::Cancelled);
}

#[test]
fn i5_the_deadline_before_the_hand_out_expires_the_write() {
    let mut rig = Rig::new();
    rig.order(1);
    assert_eq!(rig.due(), Some(rig.now + 30 * DAY));
    rig.run_for(30 * DAY);
    rig.expect_end(1, End::Expired);
    assert_eq!(rig.freed, [target(1)]);
    assert!(rig.hand_out(OLD).is_empty());
}

#[test]
fn i5_the_deadline_after_the_hand_out_expires_the_write_behind_a_fence() {
    let mut rig = Rig::sent();
    let deadline = rig.now + 30 * DAY;
    rig.answer(Rsc::NO_MEMORY, ResponseData::None);
    rig.now = deadline;
    rig.event(Event::Tick);
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect_end(1, End::Expired);
}

#[test]
fn nothing_of_a_write_is_handed_over_after_its_deadline() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    // The SMSC never answers and the place in the lane stays, as after a restart.
    rig.now += 31 * DAY;
    let step = rig.event(Event::HandOut { to: number(OLD) }).clone();
    assert!(step.submissions.iter().all(|submission| submission.cntr != cntr), "{:?}", step.submissions);
    rig.expect(WriteState::Unknown);
}

#[test]
fn an_order_whose_deadline_has_passed_is_not_begun_by_the_binding() {
    let mut rig = Rig::new();
    let mut late = rig.new_order(1);
    late.deadline = rig.now;
    let good = rig.new_order(2);
    rig.bind(77, imei(), DeviceView { card: None, waiting: vec![late, good] });
    rig.expect_end(1, End::Expired);
    assert_eq!(rig.freed, [target(1)]);
    assert_eq!(rig.last_write().msisdn, target(2).msisdn);
    assert_eq!(rig.seals.len(), 1);
}

#[test]
fn i5_give_up_is_unresolved_and_the_numbers_stay_taken() {
    let mut rig = Rig::sent();
    rig.run_for(30 * DAY);
    rig.expect(WriteState::Unknown);
    rig.run_for(7 * DAY);
    rig.expect_end(1, End::Unresolved);
    assert!(rig.freed.is_empty(), "I10");
    assert!(rig.card.numbers().contains(&target(1).msisdn), "the card is still heard there");
    assert_eq!(rig.due(), None);
}

fn unresolved() -> Rig {
    let mut rig = Rig::unknown();
    rig.run_for(38 * DAY);
    rig.expect_end(1, End::Unresolved);
    rig
}

#[test]
fn i7_late_proof_updates_the_card_and_is_no_second_end() {
    let mut rig = unresolved();
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    rig.expect_end(1, End::Unresolved);
    assert_eq!(rig.facts(), ["card.subscription_changed"]);
    assert_eq!(rig.card.current, Some(target(1)));
    assert_eq!(rig.freed, [preset()]);
    let Message::ResultAck(ack) = rig.last_message() else { panic!() };
    assert_eq!(ack.tid, 1);
    // Its repetition under a new MO counter is acknowledged again and changes nothing else.
    rig.run_for(2 * MINUTE);
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    assert!(rig.facts().is_empty());
    assert_eq!(rig.freed, [preset()]);
}

#[test]
fn i10_a_late_roll_back_frees_the_numbers_and_a_strange_confirmation_does_not() {
    let mut rig = unresolved();
    let strange = airwrite::applet::WriteResult { imsi: None, ..Rig::result(1, WriteStatus::Confirmed) };
    rig.mo_result(strange, number(OLD));
    assert!(rig.freed.is_empty());
    rig.mo_result(Rig::result(1, WriteStatus::RolledBack), number(OLD));
    assert_eq!(rig.freed, [target(1)]);
    assert_eq!(rig.card.current, Some(preset()));
}

#[test]
fn i5_after_an_unresolved_write_the_next_one_starts_with_a_fence() {
    let mut rig = unresolved();
    rig.order(2);
    rig.expect(WriteState::Queued);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number(1)]);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert_eq!(rig.freed, [target(1)], "I10: freed by the fence");
    rig.expect(WriteState::Sealed);
    assert_eq!((rig.last_write().tid, rig.last_write().msisdn), (2, target(2).msisdn));
}

#[test]
fn the_fence_of_the_next_write_may_find_the_unresolved_one_in_effect() {
    let mut rig = unresolved();
    rig.order(2);
    rig.hand_over(&new_number(1));
    rig.state_answer(1, LastState::Confirmed);
    assert_eq!(rig.card.current, Some(target(1)));
    assert_eq!(rig.freed, [preset()]);
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.leg_numbers(), [new_number(1)], "written at the number it has now");
}

#[test]
fn while_the_unresolved_write_is_on_its_way_the_next_one_waits() {
    let mut rig = unresolved();
    rig.order(2);
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Accepted);
    rig.expect(WriteState::Queued);
    assert_eq!(rig.purpose(), None);
    assert!(rig.freed.is_empty());
    rig.run_for(10 * MINUTE);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.run_for(30 * DAY);
    rig.expect_end(2, End::Expired);
    assert_eq!(rig.freed, [target(2)]);
}

#[test]
fn a_cards_last_counter_is_never_issued() {
    let mut rig = Rig::new();
    rig.card.counters[0].last = 0xFF_FFFF_FFFD;
    rig.order(1);
    assert_eq!(rig.last_seal().cntr.get(), 0xFF_FFFF_FFFE);
    rig.cancel(1);
    rig.order(2);
    rig.expect_end(2, End::Failed);
    assert!(rig.facts().contains(&"card.counter"));
    assert_eq!(rig.seals.len(), 1);
}

#[test]
fn after_a_restore_the_counter_jumps_once() {
    let mut rig = Rig::new();
    rig.epoch = 2;
    rig.order(1);
    assert_eq!(rig.last_seal().cntr.get(), 101 + RESTORE_GAP);
    rig.cancel(1);
    rig.order(2);
    assert_eq!(rig.last_seal().cntr.get(), 102 + RESTORE_GAP);
}

#[test]
fn a_card_without_eid_cannot_be_written() {
    let mut rig = Rig::new();
    rig.card.eid = None;
    rig.order(1);
    rig.expect_end(1, End::Failed);
}

#[test]
fn r13_a_card_without_a_number_waits_for_the_other_bearer_until_its_deadline() {
    let mut rig = Rig::new();
    (rig.card.preset, rig.card.current) = (None, None);
    rig.order(1);
    rig.expect(WriteState::Queued);
    assert!(rig.seals.is_empty());
    rig.run_for(30 * DAY);
    rig.expect_end(1, End::Expired);
}

#[test]
fn answers_owed_go_out_when_nothing_is_outstanding() {
    let mut rig = Rig::sent();
    rig.bind(77, imei(), DeviceView::default());
    assert_eq!(rig.card.owed.len(), 1, "I4: nothing beside the packet that asks a PoR");
    assert!(matches!(rig.card.owed[0].answer, Answer::Binding(ack) if ack.tid == 77));
    rig.por(1, WriteStatus::Accepted);
    assert!(rig.card.owed.is_empty());
    assert!(matches!(rig.last_message(), Message::BindingResponse(_)));
}
