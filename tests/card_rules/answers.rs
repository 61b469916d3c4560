//! What a PoR says (rules section 2).

use airwrite::applet::{LastState, WriteResult, WriteStatus, detail};
use airwrite::card::{End, Event, Purpose, RESTORE_GAP, ResponseData, WriteState};
use airwrite::identity::Eid;
use airwrite::ota::{Cntr, Rsc};

use crate::harness::{HOUR, MINUTE, OLD, Rig, SECOND, number, target};

#[test]
fn rsc_02_03_04_06_make_the_write_unknown_and_fence_it() {
    for rsc in [Rsc::CNTR_LOW, Rsc::CNTR_HIGH, Rsc::CNTR_BLOCKED, Rsc::SECURITY_ERROR] {
        let mut rig = Rig::sent();
        rig.answer(rsc, ResponseData::None);
        rig.expect(WriteState::Unknown);
        assert_eq!(rig.purpose(), Some(Purpose::Poll));
        assert_eq!(rig.outstanding().get(), 102);
        assert!(rig.freed.is_empty());
    }
}

#[test]
fn por_00_beats_02_for_the_same_cntr_in_any_order() {
    let ok = || ResponseData::Result(Rig::result(1, WriteStatus::Accepted));
    let mut rig = Rig::sent();
    let cntr = rig.outstanding();
    rig.event(Event::Response {
        cntr,
        rsc: Rsc::CNTR_LOW,
        data: ResponseData::None,
        from: None,
        device: None,
    });
    rig.expect(WriteState::Unknown);
    rig.event(Event::Response { cntr, rsc: Rsc::OK, data: ok(), from: None, device: None });
    rig.expect(WriteState::Written);
    let mut rig = Rig::sent();
    rig.event(Event::Response { cntr, rsc: Rsc::OK, data: ok(), from: None, device: None });
    let step = rig.event(Event::Response {
        cntr,
        rsc: Rsc::CNTR_LOW,
        data: ResponseData::None,
        from: None,
        device: None,
    });
    assert!(!step.changed);
    rig.expect(WriteState::Written);
}

#[test]
fn i6_the_same_por_twice_changes_nothing_twice() {
    let mut rig = Rig::sent();
    let cntr = rig.outstanding();
    for changed in [true, false] {
        let data = ResponseData::Result(Rig::result(1, WriteStatus::Accepted));
        assert_eq!(
            rig.event(Event::Response { cntr, rsc: Rsc::OK, data, from: None, device: None }).changed,
            changed
        );
    }
}

#[test]
fn a_late_result_counts_also_after_the_write_was_sealed_anew() {
    let mut rig = Rig::unknown();
    let first = rig.seals[0].cntr;
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
    let data = ResponseData::Result(Rig::result(1, WriteStatus::Accepted));
    rig.event(Event::Response { cntr: first, rsc: Rsc::OK, data, from: None, device: None });
    rig.expect(WriteState::Written);
    assert!(rig.card.outstanding.is_none() && rig.card.lanes().is_empty(), "it is not sent again");
    rig.run_for(10 * MINUTE);
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), target(1).msisdn.to_string()]);
}

#[test]
fn por_00_without_a_readable_result_is_no_verdict() {
    let stranger = Eid::from_octets([0x89; 16]).expect("an EID");
    for data in [
        ResponseData::None,
        ResponseData::Result(Rig::result(2, WriteStatus::Accepted)),
        ResponseData::Result(WriteResult { eid: stranger, ..Rig::result(1, WriteStatus::Accepted) }),
    ] {
        let mut rig = Rig::sent();
        rig.answer(Rsc::OK, data);
        rig.expect(WriteState::Unknown);
        assert_eq!(rig.purpose(), Some(Purpose::Poll));
    }
}

#[test]
fn rsc_07_writes_again_later_under_a_new_cntr() {
    let mut rig = Rig::sent();
    rig.answer(Rsc::NO_MEMORY, ResponseData::None);
    rig.expect(WriteState::Queued);
    assert_eq!(rig.purpose(), None);
    assert_eq!(rig.due(), Some(rig.now + 5 * MINUTE));
    rig.run_for(5 * MINUTE);
    rig.expect(WriteState::Sealed);
    assert_eq!((rig.last_seal().cntr.get(), rig.last_write().tid), (102, 1));
    rig.hand_over(OLD);
    rig.por(1, WriteStatus::Accepted);
    rig.expect(WriteState::Written);
}

#[test]
fn a_card_that_is_busy_is_written_again_later_under_a_new_cntr() {
    let busy = || WriteResult { detail: detail::BUSY, ..Rig::result(1, WriteStatus::Refused) };
    let mut rig = Rig::sent();
    rig.answer(Rsc::OK, ResponseData::Result(busy()));
    rig.expect(WriteState::Queued);
    assert_eq!((rig.facts(), rig.purpose()), (vec!["card.hint"], None));
    assert_eq!(rig.due(), Some(rig.now + 5 * MINUTE));
    rig.run_for(5 * MINUTE);
    assert_eq!((rig.last_seal().cntr.get(), rig.last_write().tid), (102, 1));
    rig.hand_over(OLD);
    // That answer once more says nothing of what is out now, nor does the card's own word.
    let (cntr, before) = (Cntr::try_from(101).expect("a CNTR"), rig.card.clone());
    let data = ResponseData::Result(busy());
    rig.event(Event::Response { cntr, rsc: Rsc::OK, data, from: None, device: None });
    assert_eq!(rig.card, before);
    rig.mo_result(busy(), number(OLD));
    rig.expect(WriteState::Sent);
    rig.por(1, WriteStatus::Accepted);
    rig.expect(WriteState::Written);
}

#[test]
fn r25_a_refusal_fails_the_write_with_the_applets_reason_in_words() {
    for (code, words) in [
        (detail::NONE, "no reason given"),
        (detail::OTHER_IMEI, "the card is in another device"),
        (detail::TID_TOO_LOW, "a later write was taken up before"),
        (200, "detail 200"),
    ] {
        let mut rig = Rig::sent();
        let result = WriteResult { detail: code, ..Rig::result(1, WriteStatus::Refused) };
        rig.answer(Rsc::OK, ResponseData::Result(result));
        rig.expect_end(1, End::Failed);
        assert_eq!(rig.step.writes[0].reason, Some(format!("card_refuses: {words}")));
    }
}

#[test]
fn a_packet_that_cannot_be_made_fails_its_write_and_no_other() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.order(2);
    let cntr = rig.outstanding();
    rig.event(Event::Unmade { cntr, why: "3 parts".to_owned() });
    rig.expect_end(1, End::Failed);
    assert_eq!(rig.step.writes[0].reason.as_deref(), Some("packet_cannot_be_made: 3 parts"));
    assert_eq!(rig.freed, [target(1)]);
    rig.event(Event::Tick);
    rig.expect(WriteState::Sealed);
    let before = rig.card.active.clone();
    rig.event(Event::Unmade { cntr, why: "3 parts".to_owned() });
    assert_eq!(rig.card.active, before, "another packet");
    assert!(rig.step.facts.is_empty(), "nothing to tell of a packet that is gone: {:?}", rig.step.facts);
}

#[test]
fn rsc_08_0b_0c_wait_for_the_real_answer_and_then_poll() {
    for rsc in [Rsc::MORE_TIME, Rsc::FOLLOWS_BY_SUBMIT, Rsc::FOLLOWS_BY_USSD] {
        let mut rig = Rig::sent();
        rig.answer(rsc, ResponseData::None);
        rig.expect(WriteState::Sent);
        rig.run_for(89 * SECOND);
        rig.expect(WriteState::Sent);
        // A sign of life does not send octets that the card has taken already.
        rig.mo_result(Rig::result(9, WriteStatus::Confirmed), number(OLD));
        assert!(rig.card.lanes().is_empty());
        rig.run_for(SECOND);
        rig.expect(WriteState::Unknown);
        let mut rig = Rig::sent();
        rig.answer(rsc, ResponseData::None);
        rig.por(1, WriteStatus::Accepted);
        rig.expect(WriteState::Written);
    }
}

#[test]
fn a_poll_answered_02_waits_for_a_late_00_and_is_made_anew() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    assert_eq!(rig.due(), Some(rig.now + 90 * SECOND));
    rig.run_for(89 * SECOND);
    assert_eq!(rig.outstanding().get(), 102);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
}

#[test]
fn the_counter_jumps_only_after_a_poll_sent_once_to_one_number() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.run_for(90 * SECOND);
    // It went to two numbers, so the answer may be to its second copy: one copy more, at the old number.
    assert_eq!((rig.outstanding().get(), rig.leg_numbers()), (103, vec![OLD.to_owned()]));
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.run_for(90 * SECOND);
    assert!(rig.facts().contains(&"card.counter"));
    assert_eq!(rig.outstanding().get(), 104 + RESTORE_GAP);
    assert_eq!(rig.legs().len(), 2);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Sealed);
}

#[test]
fn a_poll_at_one_number_that_stays_silent_goes_to_both_again() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.run_for(90 * SECOND);
    assert_eq!(rig.legs().len(), 1);
    rig.hand_over(OLD);
    rig.run_for(6 * MINUTE);
    assert_eq!((rig.outstanding().get(), rig.legs().len()), (104, 2));
}

#[test]
fn a_repeated_poll_answered_02_makes_no_jump() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.run_for(90 * SECOND);
    rig.hand_out(OLD);
    // Handed over again after a restart: the SMSC may have both.
    rig.hand_over(OLD);
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.run_for(90 * SECOND);
    assert_eq!(rig.outstanding().get(), 104);
}

#[test]
fn other_answers_to_a_poll_never_move_the_counter() {
    let interim =
        [Rsc::MORE_TIME, Rsc::FOLLOWS_BY_SUBMIT, Rsc::FOLLOWS_BY_USSD].map(|rsc| (rsc, 90 * SECOND));
    let rest = [Rsc::OK, Rsc::CNTR_HIGH, Rsc::CNTR_BLOCKED, Rsc::SECURITY_ERROR].map(|rsc| (rsc, HOUR));
    for (rsc, wait) in interim.into_iter().chain(rest).chain([(Rsc::NO_MEMORY, 5 * MINUTE)]) {
        let mut rig = Rig::unknown();
        rig.hand_over(OLD);
        rig.hand_over(&target(1).msisdn.to_string());
        rig.answer(rsc, ResponseData::None);
        rig.run_for(wait - 1);
        assert_eq!(rig.outstanding().get(), 102, "{rsc}");
        rig.run_for(1);
        assert_eq!(rig.outstanding().get(), 103, "{rsc}: asked anew, and without a jump");
        assert_eq!(rig.legs().len(), 2);
    }
}

#[test]
fn the_answer_to_another_poll_decides_nothing() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    let mut answer = rig.poll_answer(1, LastState::Confirmed);
    answer.tid = 7;
    rig.answer(Rsc::OK, ResponseData::State(answer));
    rig.expect(WriteState::Unknown);
    let answer = rig.poll_answer(1, LastState::Confirmed);
    let cntr = Cntr::try_from(90).expect("a CNTR");
    assert!(
        !rig.event(Event::Response {
            cntr,
            rsc: Rsc::OK,
            data: ResponseData::State(answer),
            from: None,
            device: None
        })
        .changed
    );
}

#[test]
fn i7_a_hint_is_told_and_changes_nothing_else() {
    let mut rig = Rig::sent();
    let before = rig.card.clone();
    rig.event(Event::Hint { what: "PoR in clear: 00".into(), cntr: None, rsc: Some(Rsc::OK), from: None });
    assert_eq!(rig.facts(), ["card.hint"]);
    assert_eq!(rig.card.seq, before.seq + 1);
    (rig.card.seq, rig.card.hints) = (before.seq, before.hints.clone());
    assert_eq!(rig.card, before);
}

#[test]
fn i9_hints_that_anybody_can_cause_are_told_once_a_minute_of_each_kind() {
    let mut rig = Rig::sent();
    let hint = |rsc| Event::Hint { what: "forged".into(), cntr: None, rsc, from: None };
    let mut told = 0;
    for second in 0..600 {
        // A message that is refused, an answer that is not protected, and a refusal in clear.
        for rsc in [None, Some(Rsc::OK), Some(Rsc::TAR_UNKNOWN)] {
            rig.event(hint(rsc));
            told += rig.facts().iter().filter(|kind| **kind == "card.hint").count();
            let first = rig.step.facts.first().map(|fact| fact.detail.as_str());
            match second % 60 {
                0 if second == 0 => assert_eq!(first, Some("forged"), "the first is not lost"),
                0 => assert_eq!(first, Some("forged; 59 more like it before")),
                _ => {}
            }
        }
        rig.now += SECOND;
    }
    assert_eq!(told, 30);
}

#[test]
fn a_refusal_by_the_smsc_after_a_fence_fails_the_write() {
    let mut rig = Rig::unknown();
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    let cntr = rig.hand_out(OLD)[0].cntr;
    let status = "ESME_RINVDSTADR".to_owned();
    rig.submitted(cntr, OLD, airwrite::card::Submitted::Refused { status });
    rig.expect_end(1, End::Failed);
}
