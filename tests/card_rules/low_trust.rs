//! What anybody could have sent: it is told, it may make the platform ask, and it decides nothing (rules
//! sections 2 and 4).

use airwrite::applet::{BindingResult, LastState, Message, WriteStatus};
use airwrite::card::{
    BindingPolicy, CardId, ClaimSource, DeviceView, End, Event, FromCard, Purpose, RESTORE_GAP, ResponseData,
    WriteState,
};
use airwrite::identity::Imei;
use airwrite::ota::{Cntr, Rsc};

use crate::harness::{DAY, MINUTE, OLD, Rig, SECOND, eid, imei, message, number, other_imei, target};

fn claim(rig: &mut Rig, imei: Imei) {
    raw(rig, imei, ClaimSource::RawImei);
}

fn raw(rig: &mut Rig, imei: Imei, source: ClaimSource) {
    rig.event(Event::Claim { imei, from: Some(number(OLD)), source });
}

const PLAIN: ClaimSource = ClaimSource::RawImei;

fn plain_der(tid: u32) -> ClaimSource {
    ClaimSource::PlainDer { tid, eid: eid() }
}

fn refusal(rig: &mut Rig, rsc: Rsc, cntr: u64, from: &str) {
    let (cntr, rsc, from) = (Cntr::try_from(cntr).ok(), Some(rsc), Some(number(from)));
    rig.event(Event::Hint { what: "PoR in clear".into(), cntr, rsc, from });
}

#[test]
fn a_claim_binds_only_once_the_card_has_confirmed_it() {
    let mut rig = Rig::new();
    rig.device.waiting = vec![rig.new_order(1)];
    claim(&mut rig, imei());
    assert_eq!(rig.facts(), ["binding.held"]);
    assert!(rig.step.facts[0].detail.starts_with("unconfirmed"));
    assert!(rig.card.binding.is_none() && rig.step.bound.is_none());
    assert_eq!((rig.purpose(), rig.leg_numbers()), (Some(Purpose::Poll), vec![OLD.to_owned()]));
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert_eq!(rig.facts(), ["binding.created"]);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
    assert!(rig.card.claimed.is_none() && rig.card.owed.is_empty());
    // R22: the order that waited goes out now, and not before.
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.last_write().binding_ack, None, "a raw claim waits for no answer");
}

#[test]
fn a_plain_request_is_answered_once_it_is_confirmed() {
    let mut rig = Rig::new();
    raw(&mut rig, imei(), plain_der(5));
    assert!(rig.card.owed.is_empty() && rig.card.notice.is_none(), "R6: nothing is saved yet");
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    let Message::BindingResponse(response) = rig.last_message() else { panic!() };
    assert_eq!((response.tid, response.result), (5, BindingResult::Saved));
}

#[test]
fn a_claim_that_the_card_disproves_is_suspect_and_the_cards_own_word_counts() {
    let mut rig = Rig::new();
    raw(&mut rig, other_imei(), plain_der(5));
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert_eq!(rig.facts(), ["binding.suspect", "binding.created"]);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
    assert!(rig.card.owed.is_empty() && rig.card.notice.is_none(), "the request was not the card's");
}

#[test]
fn a_claim_for_a_device_of_another_card_follows_the_policy_once_confirmed() {
    let elsewhere = CardId::from_octets([8; 16]);
    for (policy, fact) in [
        (BindingPolicy::Accept, "binding.changed"),
        (BindingPolicy::Hold, "binding.held"),
        (BindingPolicy::Reject, "binding.rejected"),
    ] {
        let mut rig = Rig::with_policy(policy);
        rig.device.card = Some(elsewhere);
        claim(&mut rig, imei());
        rig.hand_over(OLD);
        rig.state_answer(0, LastState::None);
        assert_eq!(rig.facts(), [fact]);
        assert_eq!(rig.card.binding.is_some(), policy == BindingPolicy::Accept);
    }
}

#[test]
fn the_confirming_poll_is_asked_once_a_minute_at_most_and_waits_its_turn() {
    let mut rig = Rig::new();
    claim(&mut rig, imei());
    claim(&mut rig, imei());
    assert!(rig.facts().is_empty(), "I6: told once");
    assert_eq!(rig.seals.len(), 1);
    rig.card.outstanding = None;
    claim(&mut rig, other_imei());
    assert_eq!((rig.seals.len(), rig.due()), (1, Some(rig.now + MINUTE)));
    rig.run_for(MINUTE);
    assert_eq!(rig.seals.len(), 2);
    // A write that is under way goes first.
    let mut rig = Rig::sent();
    claim(&mut rig, imei());
    assert_eq!(rig.purpose(), Some(Purpose::Write));
    rig.por(1, WriteStatus::Accepted);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Accepted);
    assert!(rig.card.binding.is_some());
    rig.expect(WriteState::Written);
}

#[test]
fn an_order_takes_the_turn_of_the_confirming_poll_which_comes_after_it() {
    let mut rig = Rig::new();
    claim(&mut rig, imei());
    rig.order(1);
    assert_eq!(rig.purpose(), Some(Purpose::Write));
    rig.hand_over(OLD);
    rig.run_for(MINUTE);
    rig.por(1, WriteStatus::Accepted);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
}

#[test]
fn a_poll_without_answer_ends_with_its_plan_and_the_next_claim_asks_again() {
    let mut rig = Rig::new();
    claim(&mut rig, imei());
    for _ in 0..4 {
        rig.hand_over(OLD);
        rig.run_until(rig.due().expect("due"));
    }
    assert_eq!((rig.purpose(), rig.due()), (None, None));
    assert!(rig.card.claimed.is_some());
    claim(&mut rig, imei());
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
}

#[test]
fn i7_a_claim_for_a_bound_card_changes_nothing() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    let bound = rig.card.binding.clone();
    for source in [PLAIN, plain_der(9)] {
        raw(&mut rig, other_imei(), source);
        assert_eq!(rig.facts(), ["binding.suspect"]);
        assert_eq!((rig.card.binding.clone(), rig.card.claimed.clone()), (bound.clone(), None));
        assert!(rig.card.owed.is_empty() && rig.purpose().is_none());
        rig.run_for(MINUTE);
    }
    raw(
        &mut rig,
        imei(),
        ClaimSource::PlainDer {
            tid: 9,
            eid: airwrite::identity::Eid::from_octets([0x89; 16]).expect("an EID"),
        },
    );
    assert_eq!(rig.facts(), ["binding.suspect"]);
    assert!(rig.card.owed.is_empty());
}

#[test]
fn a_claim_of_what_is_known_is_answered_where_an_answer_is_waited_for() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    claim(&mut rig, imei());
    assert_eq!((rig.facts(), rig.card.owed.len()), (vec!["binding.repeated"], 0));
    rig.run_for(MINUTE);
    raw(&mut rig, imei(), plain_der(9));
    assert_eq!(rig.facts(), ["binding.repeated"]);
    let Message::BindingResponse(response) = rig.last_message() else { panic!() };
    assert_eq!((response.tid, response.result), (9, BindingResult::Saved));
    raw(&mut rig, imei(), plain_der(9));
    assert!(!rig.step.changed, "at most once a minute");
}

#[test]
fn i7_a_plain_result_makes_the_platform_ask_and_ends_nothing() {
    let result = || Rig::result(1, WriteStatus::Confirmed);
    let from = Some(target(1).msisdn);
    let mut rig = Rig::sent();
    rig.event(Event::PlainResult { result: result(), from });
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.facts(), ["card.hint", "write.unknown"]);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.hand_over(&target(1).msisdn.to_string());
    rig.state_answer(1, LastState::Confirmed);
    rig.expect_end(1, End::Effective);
    // The card repeats it until it is acknowledged.
    rig.event(Event::PlainResult { result: result(), from });
    assert!(matches!(rig.last_message(), Message::ResultAck(_)));
    rig.event(Event::PlainResult { result: result(), from });
    assert_eq!(rig.seals.iter().filter(|seal| matches!(message(seal), Message::ResultAck(_))).count(), 1);

    let mut rig = Rig::written();
    rig.event(Event::PlainResult { result: result(), from });
    rig.expect(WriteState::Written);
    assert_eq!(rig.purpose(), Some(Purpose::Poll), "not only after ten minutes");
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Accepted);
    rig.event(Event::PlainResult { result: result(), from });
    assert_eq!(rig.purpose(), None, "rate-limited");
}

#[test]
fn a_plain_result_of_an_unresolved_write_makes_the_platform_ask() {
    let mut rig = Rig::unknown();
    rig.run_for(38 * DAY);
    rig.expect_end(1, End::Unresolved);
    let from = Some(target(1).msisdn);
    rig.event(Event::PlainResult { result: Rig::result(1, WriteStatus::Confirmed), from });
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Confirmed);
    assert_eq!(rig.card.current, Some(target(1)));
    rig.expect_end(1, End::Unresolved);
}

#[test]
fn a_refusal_in_clear_stops_the_repetition_and_asks() {
    for rsc in [Rsc::CHECK_FAILED, Rsc::CIPHERING_ERROR, Rsc::TAR_UNKNOWN, Rsc::LEVEL_TOO_LOW] {
        for cntr in [0, 101] {
            let mut rig = Rig::sent();
            refusal(&mut rig, rsc, cntr, OLD);
            assert_eq!(rig.facts(), ["card.hint", "write.unknown"]);
            rig.expect(WriteState::Unknown);
            assert_eq!((rig.purpose(), rig.outstanding().get()), (Some(Purpose::Poll), 102));
        }
    }
    let mut rig = Rig::sent();
    rig.event(Event::Hint { what: "in clear".into(), cntr: None, rsc: Some(Rsc::TAR_UNKNOWN), from: None });
    rig.expect(WriteState::Unknown);
}

#[test]
fn other_answers_in_clear_are_told_and_nothing_else() {
    for rsc in [Rsc::OK, Rsc::CNTR_LOW, Rsc::CNTR_HIGH, Rsc::SECURITY_ERROR, Rsc::NO_MEMORY, Rsc::MORE_TIME] {
        let mut rig = Rig::sent();
        refusal(&mut rig, rsc, 101, OLD);
        assert_eq!(rig.facts(), ["card.hint"]);
        rig.expect(WriteState::Sent);
    }
    // Of another packet, of one that never left, of none at all.
    let mut rig = Rig::sent();
    refusal(&mut rig, Rsc::CHECK_FAILED, 100, OLD);
    rig.expect(WriteState::Sent);
    let mut rig = Rig::new();
    rig.order(1);
    refusal(&mut rig, Rsc::CHECK_FAILED, 101, OLD);
    rig.expect(WriteState::Sealed);
    let mut rig = Rig::new();
    refusal(&mut rig, Rsc::CHECK_FAILED, 0, OLD);
    assert_eq!((rig.facts(), rig.purpose()), (vec!["card.hint"], None));
}

#[test]
fn a_write_never_fails_on_refusals_in_clear_and_says_so_at_give_up() {
    let mut rig = Rig::sent();
    refusal(&mut rig, Rsc::CIPHERING_ERROR, 0, OLD);
    rig.hand_over(OLD);
    refusal(&mut rig, Rsc::CIPHERING_ERROR, 0, OLD);
    rig.expect(WriteState::Unknown);
    rig.run_for(40 * DAY);
    rig.expect_end(1, End::Unresolved);
    let mut rig = Rig::sent();
    refusal(&mut rig, Rsc::CIPHERING_ERROR, 0, OLD);
    rig.run_until(rig.now + 37 * DAY);
    let reason = rig.step.writes[0].reason.as_deref();
    assert_eq!(reason, Some("card_refuses_unauthenticated"));
    // The card has answered since: it was another one's word.
    let mut rig = Rig::sent();
    refusal(&mut rig, Rsc::CIPHERING_ERROR, 0, OLD);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.hand_over(OLD);
    rig.run_until(rig.now + 37 * DAY);
    assert_ne!(rig.step.writes[0].reason.as_deref(), Some("card_refuses_unauthenticated"));
}

#[test]
fn a_refusal_from_the_target_number_counts_only_once_the_card_has_written() {
    let new = target(1).msisdn.to_string();
    let mut rig = Rig::unknown();
    rig.hand_over(&new);
    refusal(&mut rig, Rsc::TAR_UNKNOWN, 0, &new);
    assert!(!rig.card.active.as_ref().expect("a write").refused_in_clear, "it may be another SIM's");
    let mut rig = Rig::written();
    rig.run_for(10 * MINUTE);
    rig.hand_over(&new);
    refusal(&mut rig, Rsc::TAR_UNKNOWN, 0, &new);
    assert!(rig.card.active.as_ref().expect("a write").refused_in_clear);
    rig.expect(WriteState::Written);
}

#[test]
fn an_alert_is_a_sign_of_life_and_nothing_else() {
    let mut rig = Rig::new();
    assert!(!rig.event(Event::Alert).changed);
    let mut rig = Rig::sent();
    rig.run_for(61 * SECOND);
    rig.event(Event::Alert);
    assert!(rig.facts().is_empty());
    assert_eq!(rig.hand_over(OLD)[0].cntr.get(), 101);
    rig.event(Event::Alert);
    assert!(rig.card.lanes().is_empty());
}

#[test]
fn a_card_is_asked_on_demand_once_a_minute_at_most() {
    let mut rig = Rig::new();
    rig.event(Event::Poll);
    assert_eq!(rig.purpose(), Some(Purpose::Poll));
    assert!(!rig.event(Event::Poll).changed, "the answer on its way will do");
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.event(Event::Poll);
    assert_eq!((rig.purpose(), rig.due()), (None, Some(rig.now + MINUTE)));
}

#[test]
fn in_a_restored_store_the_card_is_asked_before_its_word_changes_anything() {
    let mut rig = Rig::new();
    rig.bind(5, imei(), DeviceView::default());
    rig.hand_over(OLD);
    rig.run_for(DAY);
    rig.epoch = 2;
    // It may be one that was taken before, in the time that the copy does not know.
    rig.bind_at(50, 7, other_imei(), DeviceView::default());
    assert_eq!(rig.facts(), ["binding.suspect"]);
    assert_eq!(rig.card.binding.as_ref().map(|binding| binding.imei), Some(imei()));
    assert!(rig.card.restored && rig.purpose() == Some(Purpose::Poll));
    assert_eq!(rig.outstanding().get(), 102 + RESTORE_GAP);
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert!(!rig.card.restored && rig.facts().contains(&"card.counter"));
    rig.bind(8, other_imei(), DeviceView::default());
    assert_eq!(rig.facts(), ["binding.changed"]);
}

#[test]
fn in_a_restored_store_a_first_binding_is_made_by_the_answer_of_the_card() {
    let mut rig = Rig::new();
    rig.epoch = 2;
    rig.bind_at(50, 7, imei(), DeviceView::default());
    assert!(rig.card.binding.is_none() && rig.card.claimed.is_some());
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    assert!(rig.facts().contains(&"binding.created"));
    let Message::BindingResponse(response) = rig.last_message() else { panic!() };
    assert_eq!(response.tid, 7);
}

#[test]
fn in_a_restored_store_results_only_make_the_platform_ask() {
    let mut rig = Rig::sent();
    let tid = rig.card.last_tid;
    rig.epoch = 2;
    rig.mo_at(50, number(OLD), FromCard::Result(Rig::result(1, WriteStatus::Confirmed)));
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    rig.state_answer(1, LastState::Confirmed);
    rig.expect_end(1, End::Effective);
    rig.order(2);
    assert_eq!(rig.last_write().tid, tid + (1 << 16) + 1, "a tid of the lost time is not used again");
}

#[test]
fn a_response_from_a_lower_level_never_comes_here_and_a_state_without_a_view_binds_nothing() {
    let mut rig = Rig::new();
    claim(&mut rig, imei());
    rig.hand_over(OLD);
    let (cntr, answer) = (rig.outstanding(), rig.poll_answer(0, LastState::None));
    rig.event(Event::Response {
        cntr,
        rsc: Rsc::OK,
        data: ResponseData::State(answer),
        from: None,
        device: None,
    });
    assert!(rig.card.binding.is_none() && rig.card.claimed.is_some());
}
