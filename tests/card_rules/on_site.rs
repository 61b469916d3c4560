//! Cards that are written on site: packets that the business platform brings to them (rules section 7).

use airwrite::applet::{LastState, Message, WriteResult, WriteStatus};
use airwrite::card::{Bearer, End, Event, Order, Purpose, RESTORE_GAP, Refused, ResponseData, WriteState};
use airwrite::ota::Rsc;

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, message, number, other_imei, target, write_id};

/// A card without a subscription.
fn bare() -> Rig {
    let mut rig = Rig::new();
    (rig.card.preset, rig.card.current) = (None, None);
    rig
}

/// A card without a subscription whose write 1 was read for it.
fn exported() -> Rig {
    let mut rig = bare();
    rig.order(1);
    export(&mut rig);
    rig.expect(WriteState::OnSite);
    rig
}

fn written() -> Rig {
    let mut rig = exported();
    rig.por(1, WriteStatus::Accepted);
    rig.expect(WriteState::Written);
    rig
}

fn export(rig: &mut Rig) -> Option<Refused> {
    rig.event(Event::Export { id: write_id(1) }).refused
}

#[test]
fn r13_the_bearer_follows_the_current_subscription_unless_the_order_says_otherwise() {
    for (bearer, numbered, expected) in [
        (None, true, Bearer::Sms),
        (None, false, Bearer::Relay),
        (Some(Bearer::Relay), true, Bearer::Relay),
        (Some(Bearer::Sms), false, Bearer::Sms),
    ] {
        let mut rig = if numbered { Rig::new() } else { bare() };
        let order = Order { bearer, ..rig.new_order(1) };
        rig.event(Event::Ordered(order));
        let active = rig.card.active.clone().expect("a write");
        assert_eq!(active.bearer, expected);
        assert_eq!(active.state == WriteState::Sealed, numbered && expected == Bearer::Sms);
    }
}

#[test]
fn r20_a_read_seals_the_same_message_for_the_bearer_and_hands_it_out_at_once() {
    let mut rig = bare();
    rig.order(1);
    rig.expect(WriteState::Queued);
    assert!(rig.seals.is_empty() && rig.card.lanes().is_empty());
    assert_eq!(export(&mut rig), None);
    rig.expect(WriteState::OnSite);
    assert_eq!(rig.kinds(1), ["write.accepted", "write.sent"]);
    assert_eq!(rig.step.facts[0].detail, "on site");
    let seal = rig.last_seal();
    assert_eq!((seal.cntr.get(), seal.spi1.0, seal.spi2.0), (101, 0x16, 0x19));
    assert_eq!((rig.last_write().tid, rig.last_write().msisdn), (1, target(1).msisdn));
    let packet = rig.card.outstanding.as_ref().expect("a packet");
    assert_eq!((packet.bearer, packet.legs.len()), (Bearer::Relay, 0));
    assert_eq!(rig.due(), Some(rig.now + 30 * DAY), "no resend plan, only the deadline");
}

#[test]
fn what_is_read_again_is_the_same() {
    let mut rig = exported();
    let before = rig.card.clone();
    for _ in 0..2 {
        rig.run_for(MINUTE);
        assert_eq!(export(&mut rig), None);
        assert!(rig.facts().is_empty());
    }
    assert_eq!(rig.seals.len(), 1);
    let mut packet = before.outstanding.clone().expect("a packet");
    packet.repeated = true;
    assert_eq!(rig.card.outstanding, Some(packet));
    assert_eq!(rig.card.active, before.active);
}

#[test]
fn only_the_active_write_of_the_bearer_is_exported() {
    let mut rig = Rig::sent();
    assert_eq!(export(&mut rig), Some(Refused::NothingToExport));
    assert!(!rig.step.changed);
    let mut rig = exported();
    rig.order(2);
    assert_eq!(rig.event(Event::Export { id: write_id(2) }).refused, Some(Refused::NothingToExport));
    let mut rig = bare();
    assert_eq!(export(&mut rig), Some(Refused::NothingToExport));
}

#[test]
fn r19_a_por_and_a_poll_brought_after_the_reset_set_the_subscription() {
    let mut rig = written();
    assert_eq!(rig.card.current, None, "I7: written is no proof");
    assert_eq!(export(&mut rig), None);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    let seal = rig.last_seal();
    assert_eq!((seal.cntr.get(), seal.spi2.0), (102, 0x19));
    assert!(matches!(message(seal), Message::Poll(poll) if poll.tid == 102));
    // The card has not got to it yet.
    rig.state_answer(1, LastState::Accepted);
    rig.expect(WriteState::Written);
    export(&mut rig);
    assert_eq!(rig.outstanding().get(), 103);
    rig.state_answer(1, LastState::Confirmed);
    rig.expect_end(1, End::Effective);
    assert_eq!((rig.card.current.clone(), rig.card.previous.clone()), (Some(target(1)), None));
    assert_eq!(rig.step.writes[0].imei_verified, Some(true));
    assert!(rig.freed.is_empty());
    assert_eq!(export(&mut rig), Some(Refused::NothingToExport));
}

#[test]
fn r19_a_message_from_the_new_number_proves_it_too() {
    let mut rig = written();
    export(&mut rig);
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.purpose(), None, "nothing on site outlives its write");
    assert!(matches!(rig.last_message(), Message::ResultAck(_)));
}

#[test]
fn a_card_that_refuses_on_site_fails_the_write() {
    let mut rig = exported();
    let result = WriteResult { imsi: None, ..Rig::result(1, WriteStatus::Refused) };
    rig.answer(Rsc::OK, ResponseData::Result(result));
    rig.expect_end(1, End::Failed);
    assert_eq!(rig.freed, [target(1)]);
}

#[test]
fn a_second_reading_answered_02_is_settled_by_a_poll_on_site() {
    let mut rig = exported();
    // The R-APDU of the first was lost.
    export(&mut rig);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.purpose(), None, "nothing goes out before it is read");
    export(&mut rig);
    assert_eq!((rig.purpose(), rig.outstanding().get()), (Some(Purpose::Poll), 102));
    rig.state_answer(1, LastState::Accepted);
    rig.expect(WriteState::Written);
}

#[test]
fn a_fence_on_site_that_finds_nothing_seals_anew_with_the_same_tid() {
    let mut rig = exported();
    rig.answer(Rsc::SECURITY_ERROR, ResponseData::None);
    rig.expect(WriteState::Unknown);
    export(&mut rig);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Queued);
    assert_eq!(export(&mut rig), None);
    rig.expect(WriteState::OnSite);
    assert_eq!((rig.last_seal().cntr.get(), rig.last_write().tid), (103, 1));
}

#[test]
fn a_poll_on_site_answered_02_is_made_anew_and_jumps_where_it_was_read_once() {
    let mut rig = written();
    export(&mut rig);
    export(&mut rig);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    assert!(rig.facts().is_empty());
    export(&mut rig);
    assert_eq!(rig.outstanding().get(), 103);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    assert_eq!(rig.facts(), ["card.counter"]);
    export(&mut rig);
    assert_eq!(rig.outstanding().get(), 104 + RESTORE_GAP);
}

#[test]
fn rsc_07_on_site_is_read_again_after_its_back_off() {
    let mut rig = exported();
    rig.answer(Rsc::NO_MEMORY, ResponseData::None);
    rig.expect(WriteState::Queued);
    assert_eq!(export(&mut rig), Some(Refused::NothingToExport));
    rig.run_for(5 * MINUTE);
    assert_eq!(export(&mut rig), None);
    assert_eq!(rig.outstanding().get(), 102);
}

#[test]
fn rsc_0b_on_site_waits_for_the_answer_that_follows() {
    let mut rig = exported();
    rig.answer(Rsc::FOLLOWS_BY_SUBMIT, ResponseData::None);
    assert_eq!(rig.due(), Some(rig.now + 90 * SECOND));
    rig.run_for(89 * SECOND);
    rig.expect(WriteState::OnSite);
    let mut silent = exported();
    silent.answer(Rsc::FOLLOWS_BY_SUBMIT, ResponseData::None);
    silent.run_for(90 * SECOND);
    silent.expect(WriteState::Unknown);
    rig.por(1, WriteStatus::Accepted);
    rig.expect(WriteState::Written);
}

#[test]
fn where_nobody_reads_on_the_card_is_asked_at_its_new_number() {
    let mut rig = written();
    rig.run_for(10 * MINUTE);
    assert_eq!(rig.leg_numbers(), [target(1).msisdn.to_string()]);
    rig.hand_over(&target(1).msisdn.to_string());
    // The tool is back: its poll is the newer one.
    assert_eq!(export(&mut rig), None);
    assert_eq!((rig.outstanding().get(), rig.legs().len()), (103, 0));
    // And gone again.
    rig.run_for(HOUR);
    assert_eq!((rig.outstanding().get(), rig.legs().len()), (104, 1));
    rig.state_answer(1, LastState::Confirmed);
    rig.expect_end(1, End::Effective);
}

#[test]
fn i5_a_cancellation_on_site_is_granted_before_the_read_and_by_a_fence_after_it() {
    let mut rig = bare();
    rig.order(1);
    rig.cancel(1);
    rig.expect_end(1, End::Cancelled);
    let mut rig = exported();
    rig.cancel(1);
    rig.expect(WriteState::Unknown);
    assert!(rig.ends(1).is_empty());
    export(&mut rig);
    rig.state_answer(0, LastState::None);
    rig.expect_end(1, End::Cancelled);
}

#[test]
fn i5_the_deadline_on_site_expires_what_was_never_read_and_asks_after_what_was() {
    let mut rig = bare();
    rig.order(1);
    rig.run_for(30 * DAY);
    rig.expect_end(1, End::Expired);
    assert_eq!(rig.step.writes[0].reason.as_deref(), Some("deadline_passed"));
    let mut rig = exported();
    rig.run_for(30 * DAY);
    rig.expect(WriteState::Unknown);
    let mut late = exported();
    let cntr = late.outstanding();
    late.run_for(30 * DAY + MINUTE);
    let data = ResponseData::Result(Rig::result(1, WriteStatus::Accepted));
    late.event(Event::Response { cntr, rsc: Rsc::OK, data, from: None, device: None });
    late.expect(WriteState::Written);
    rig.run_for(7 * DAY);
    rig.expect_end(1, End::Unresolved);
    assert!(rig.freed.is_empty(), "I10");
    assert_eq!(rig.due(), None);
}

#[test]
fn i5_after_an_unresolved_write_the_next_one_on_site_starts_with_a_fence() {
    let mut rig = exported();
    rig.run_for(40 * DAY);
    rig.expect_end(1, End::Unresolved);
    rig.order(2);
    let read = |rig: &mut Rig| rig.event(Event::Export { id: write_id(2) }).refused;
    assert_eq!(read(&mut rig), None);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.expect(WriteState::Queued);
    rig.state_answer(0, LastState::None);
    assert_eq!(rig.freed, [target(1)]);
    read(&mut rig);
    assert_eq!(rig.last_write().msisdn, target(2).msisdn);
}

#[test]
fn a_packet_on_site_overtakes_an_answer_in_the_lane() {
    let mut rig = Rig::new();
    rig.bind(5, crate::harness::imei(), rig.known_device());
    let order = Order { bearer: Some(Bearer::Relay), ..rig.new_order(1) };
    rig.event(Event::Ordered(order));
    assert!(rig.card.notice.is_some());
    export(&mut rig);
    assert!(rig.card.notice.is_none() && rig.hand_out(OLD).is_empty());
}

#[test]
fn a_result_of_another_device_on_site_is_held() {
    let mut rig = written();
    export(&mut rig);
    let mut answer = rig.poll_answer(1, LastState::Confirmed);
    answer.imei = other_imei();
    rig.answer(Rsc::OK, ResponseData::State(answer));
    rig.expect(WriteState::Written);
    assert_eq!(rig.facts(), ["card.subscription_changed", "write.held"]);
    assert_eq!(export(&mut rig), Some(Refused::NothingToExport));
}

#[test]
fn a_plain_result_lets_the_new_number_be_asked_at_once() {
    let mut rig = exported();
    let result = Rig::result(1, WriteStatus::Confirmed);
    rig.event(Event::PlainResult { result, from: Some(number("4917200000001")) });
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.leg_numbers(), [target(1).msisdn.to_string()]);
}
