//! Attempts, the SMSC's answers and receipts (rules sections 1 and 6), and the wake.

use airwrite::applet::{LastState, WriteStatus};
use airwrite::card::{DeviceView, End, Event, Purpose, Submitted, WriteState};

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, imei, number, target};

fn receipt(rig: &mut Rig, id: &str, delivered: bool) {
    rig.event(Event::Receipt { message_id: id.into(), to: number(OLD), delivered, fcs: None });
}

#[test]
fn silence_resends_the_same_octets_by_the_plan_and_then_polls() {
    let mut rig = Rig::sent();
    for (waited, next) in [(5 * MINUTE, HOUR), (HOUR, 6 * HOUR), (6 * HOUR, DAY)] {
        assert_eq!(rig.due(), Some(rig.now + waited + MINUTE));
        rig.run_for(waited + MINUTE);
        let again = rig.hand_over(OLD);
        assert_eq!((again[0].cntr.get(), again[0].validity_s), (101, next / 1000));
        rig.expect(WriteState::Sent);
    }
    assert_eq!(rig.card.active.as_ref().map(|active| active.resent), Some(3));
    assert_eq!(rig.seals.len(), 1, "the same octets: nothing was sealed anew");
    rig.run_for(DAY + MINUTE);
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
}

#[test]
fn a_poll_repeats_its_last_interval_until_give_up() {
    let mut rig = Rig::unknown();
    for validity in [300, 3_600, 21_600, 86_400, 86_400, 86_400] {
        let again = rig.hand_over(OLD);
        assert_eq!((again[0].cntr.get(), again[0].validity_s), (102, validity));
        rig.run_for((validity + 60) * 1000);
    }
    // Each destination has its own attempts: the new number was never served.
    let first = rig.hand_over(&target(1).msisdn.to_string());
    assert_eq!(first[0].validity_s, 300);
}

#[test]
fn the_validity_never_exceeds_the_time_left() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.now += 30 * DAY - 100 * SECOND;
    let submissions = rig.hand_over(OLD);
    assert_eq!(submissions[0].validity_s, 100);
    assert_eq!(rig.due(), Some(rig.now + 160 * SECOND), "silent 60 s after that validity");
    rig.run_for(160 * SECOND);
    rig.expect(WriteState::Unknown);
}

#[test]
fn delivrd_starts_the_wait_for_the_por_and_proves_nothing() {
    let mut rig = Rig::sent();
    receipt(&mut rig, "m1", true);
    rig.expect(WriteState::Sent);
    assert_eq!(rig.due(), Some(rig.now + 90 * SECOND));
    let card = rig.card.clone();
    rig.now += SECOND;
    receipt(&mut rig, "m1", true);
    assert_eq!(rig.card, card, "I6: a repeated receipt does not prolong the wait");
    receipt(&mut rig, "another", false);
    assert_eq!(rig.card, card, "a receipt of another message");
    rig.run_for(89 * SECOND);
    assert_eq!(rig.hand_over(OLD)[0].validity_s, 3_600);
}

#[test]
fn a_negative_receipt_sends_the_same_octets_at_back_off() {
    let mut rig = Rig::sent();
    receipt(&mut rig, "m1", false);
    rig.run_for(5 * SECOND);
    let again = rig.hand_over(OLD);
    assert_eq!((again[0].cntr.get(), again[0].validity_s), (101, 3_600));
}

#[test]
fn throttled_goes_back_to_the_lane_with_the_same_attempt() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Throttled);
    assert!(rig.card.lanes().is_empty());
    rig.run_for(5 * SECOND);
    let again = rig.hand_over(OLD);
    assert_eq!((again[0].cntr, again[0].validity_s), (cntr, 300));
}

#[test]
fn no_answer_resends_the_same_octets_and_a_refusal_then_is_unknown() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Unanswered);
    rig.expect(WriteState::Sent);
    rig.run_for(5 * SECOND);
    assert_eq!(rig.hand_out(OLD)[0].cntr, cntr);
    rig.submitted(cntr, OLD, Submitted::Refused { status: "ESME_RINVDSTADR".into() });
    rig.expect(WriteState::Unknown);
    assert!(rig.freed.is_empty());
}

#[test]
fn a_refusal_of_what_was_never_accepted_fails_the_write() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Refused { status: "ESME_RINVDSTADR".into() });
    rig.expect_end(1, End::Failed);
    assert_eq!(rig.freed, [target(1)]);
}

#[test]
fn a_refusal_at_one_number_leaves_the_poll_at_the_other() {
    let mut rig = Rig::unknown();
    let new = target(1).msisdn.to_string();
    let cntr = rig.hand_out(&new)[0].cntr;
    rig.submitted(cntr, &new, Submitted::Refused { status: "ESME_RINVDSTADR".into() });
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
}

#[test]
fn a_restart_finds_what_was_handed_over_in_its_lane() {
    let mut rig = Rig::new();
    rig.order(1);
    let ready = rig.card.lanes();
    let first = rig.hand_out(OLD);
    assert_eq!(rig.card.lanes(), ready, "kept until the SMSC has answered");
    rig.now += SECOND;
    assert_eq!(rig.hand_out(OLD), first, "the same octets");
    rig.submitted(first[0].cntr, OLD, Submitted::Refused { status: "ESME_RINVDSTADR".into() });
    rig.expect(WriteState::Unknown);
}

#[test]
fn an_answer_for_a_packet_of_the_past_is_nothing() {
    let mut rig = Rig::written();
    let cntr = rig.seals[0].cntr;
    for outcome in [Submitted::Unanswered, Submitted::Refused { status: String::new() }] {
        let step = rig.event(Event::Submitted { cntr, to: number(OLD), outcome });
        assert!(!step.changed);
    }
}

#[test]
fn a_sign_of_life_sends_what_is_pending_at_once_but_not_too_often() {
    let mut rig = Rig::sent();
    rig.run_for(61 * SECOND);
    rig.bind(5, imei(), DeviceView::default());
    let again = rig.hand_over(OLD);
    assert_eq!((again[0].cntr.get(), again[0].validity_s), (101, 300), "the same attempt of the same octets");
    rig.run_for(59 * SECOND);
    let known = rig.known_device();
    rig.bind(6, imei(), known.clone());
    assert!(rig.card.lanes().is_empty(), "at most every 60 s");
    rig.run_for(SECOND);
    rig.bind(7, imei(), known);
    assert_eq!(rig.hand_over(OLD)[0].cntr.get(), 101);
}

#[test]
fn an_answer_to_our_own_packet_is_no_wake() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.run_for(2 * MINUTE);
    rig.answer(airwrite::ota::Rsc::CNTR_LOW, airwrite::card::ResponseData::None);
    assert!(rig.card.lanes().iter().all(|(to, _)| *to != number(OLD)));
}

#[test]
fn an_answer_and_a_later_packet_leave_in_the_order_of_their_cntrs() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.order(1);
    let sent: Vec<u64> = rig.hand_out(OLD).iter().map(|submission| submission.cntr.get()).collect();
    assert_eq!(sent, [101, 102]);
    // The SMSC was busy with the first and took the second: the first is never sent again.
    let cntr = rig.seals[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Throttled);
    let cntr = rig.seals[1].cntr;
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: String::new() });
    rig.run_for(MINUTE);
    assert!(rig.hand_out(OLD).is_empty());
}

#[test]
fn after_a_restart_an_overtaken_answer_stays_behind() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.order(1);
    rig.hand_out(OLD);
    rig.now += SECOND;
    let sent: Vec<u64> = rig.hand_out(OLD).iter().map(|submission| submission.cntr.get()).collect();
    assert_eq!(sent, [102]);
    assert!(rig.card.notice.is_none());
}

#[test]
fn a_notice_is_tried_a_few_times_and_then_left() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    for _ in 0..5 {
        let submissions = rig.hand_out(OLD);
        assert!(!submissions[0].receipt);
        rig.submitted(submissions[0].cntr, OLD, Submitted::Throttled);
        rig.run_for(5 * SECOND);
    }
    assert!(rig.card.lanes().is_empty() && rig.due().is_none());
}

#[test]
fn resends_are_told_in_the_write() {
    let mut rig = Rig::sent();
    rig.run_for(6 * MINUTE);
    rig.hand_over(OLD);
    rig.por(1, WriteStatus::Accepted);
    assert_eq!(rig.card.active.as_ref().map(|active| active.resent), Some(1));
}

#[test]
fn a_receipt_before_the_smscs_own_answer_starts_its_wait_once_that_is_noted() {
    for (delivered, wait) in [(true, 90 * SECOND), (false, 5 * SECOND)] {
        let mut rig = Rig::new();
        rig.order(1);
        let cntr = rig.hand_out(OLD)[0].cntr;
        receipt(&mut rig, "m1", delivered);
        rig.expect(WriteState::Sent);
        rig.submitted(cntr, OLD, Submitted::Accepted { message_id: "m1".into() });
        assert_eq!(rig.due(), Some(rig.now + wait));
    }
    // One of another message starts nothing.
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    receipt(&mut rig, "m0", true);
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: "m1".into() });
    assert_eq!(rig.due(), Some(rig.now + 6 * MINUTE));
}

#[test]
fn a_receipt_says_that_an_unanswered_submission_was_taken() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    receipt(&mut rig, "m1", true);
    rig.submitted(cntr, OLD, Submitted::Unanswered);
    assert_eq!(rig.due(), Some(rig.now + 90 * SECOND));
}

#[test]
fn a_late_receipt_of_the_attempt_before_says_nothing_about_this_one() {
    let mut rig = Rig::sent();
    rig.run_for(6 * MINUTE);
    let cntr = rig.hand_out(OLD)[0].cntr;
    receipt(&mut rig, "m1", false);
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: "m2".into() });
    assert_eq!(rig.due(), Some(rig.now + HOUR + MINUTE));
}

#[test]
fn message_ids_in_decimal_and_hexadecimal_are_the_same() {
    let mut rig = Rig::new();
    rig.order(1);
    let cntr = rig.hand_out(OLD)[0].cntr;
    rig.submitted(cntr, OLD, Submitted::Accepted { message_id: "00BC614E".into() });
    receipt(&mut rig, "12345678", true);
    assert_eq!(rig.due(), Some(rig.now + 90 * SECOND));
}

#[test]
fn a_receipt_that_gives_the_cards_own_failure_cause_is_told() {
    for (fcs, told) in [(Some(0xD4), vec!["card.hint"]), (Some(0xD5), vec!["card.hint"]), (None, vec![])] {
        let mut rig = Rig::sent();
        let event = || Event::Receipt { message_id: "m1".into(), to: number(OLD), delivered: false, fcs };
        rig.event(event());
        assert_eq!(rig.facts(), told);
        assert_eq!(rig.due(), Some(rig.now + 5 * SECOND), "the same octets again at back-off");
        assert!(!rig.event(event()).changed, "I6");
    }
}
