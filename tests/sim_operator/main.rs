//! The simulated operator from end to end: without I/O, over a duplex stream in paused time, and over TCP. The test plays
//! the platform.

mod bench;
mod dialects;
mod faults;
mod on_site;
mod rfm;
mod streams;

use airwrite::applet::{Message, ResultAck, WriteStatus};
use airwrite::ota::Spi2;
use airwrite::sim::operator::Input;
use airwrite::sim::{EsmeId, OperatorConfig, OperatorSecret, SmscConfig};
use airwrite::smpp::{CommandStatus, MessageState};

use bench::{Bench, CODE, ESME, Heard, order, preset_number, target_imsi, target_number};

#[test]
fn a_card_is_bound_written_and_proved_under_its_new_number() {
    let mut bench = Bench::new(OperatorConfig::default(), 3);
    for card in 0..3 {
        bench.bind(card);
        assert_eq!(bench.write(card, 4).status, WriteStatus::Accepted);
        let (from, result) = bench.own_result();
        assert_eq!((from.as_str(), result.status), (target_number(card).as_str(), WriteStatus::Confirmed));
        let ack = Message::ResultAck(ResultAck { tid: 4, status: WriteStatus::Confirmed });
        bench.submit(&target_number(card), Spi2::NO_POR, &ack);
        assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    }
    assert!(bench.hear_and_answer(3_600_000, CommandStatus::ESME_ROK).is_none(), "nothing is left to say");
    let report = bench.operator.snapshot();
    for (card, status) in report.cards.iter().enumerate() {
        assert_eq!(status.attached.unwrap().as_str(), target_imsi(card));
        assert_eq!(status.card.ef_imsi, status.attached);
        assert_eq!((&status.card.executed, status.card.bindings_sent), (&[(4, 1)].into(), 1));
        assert!(status.card.cntr_conflicts.is_empty());
    }
    assert_eq!((report.totals.submits, report.totals.delivered, report.totals.mo), (9, 9, 9));
    assert_eq!((report.totals.refused, report.totals.mo_acknowledged), (0, 18));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["cards"][0]["last_state"], "confirmed");
    assert_eq!(json["cards"][0]["ef_imsi"], target_imsi(0));
}

#[test]
fn a_subscriber_with_another_key_leads_to_a_roll_back() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    let other_keys = OperatorSecret::new([9; 16]).credentials(&target_imsi(0).parse().unwrap());
    bench.input(Input::ProvisionWith(target_imsi(0).parse().unwrap(), target_number(0), other_keys));
    bench.write(0, 1);
    let (from, result) = bench.own_result();
    assert_eq!((from.as_str(), result.status), (preset_number(0).as_str(), WriteStatus::RolledBack));
    let status = &bench.operator.snapshot().cards[0];
    assert_eq!((status.card.ef_msisdn, status.card.last_state), (Some(preset_number(0)), "rolled_back"));
}

#[test]
fn a_terminal_that_refuses_refresh_only_delays_the_proof() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    bench.input(Input::RefuseRefresh(0, 3));
    bench.write(0, 1);
    assert_eq!(bench.own_result().1.status, WriteStatus::Confirmed);
}

/// Where no response is asked for, the applet's own message says all.
#[test]
fn a_write_without_a_response_is_carried_out_and_proved() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    bench.submit(&preset_number(0), Spi2::NO_POR, &Message::WriteCard(order(0, 1)));
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    let (from, result) = bench.own_result();
    assert_eq!((from.as_str(), result.status), (target_number(0).as_str(), WriteStatus::Confirmed));
}

#[test]
fn a_message_waits_for_a_terminal_that_is_off() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    bench.input(Input::PowerOff(0));
    bench.submit(&preset_number(0), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    assert!(bench.hear_and_answer(3_600_000, CommandStatus::ESME_ROK).is_none());
    bench.input(Input::PowerOn(0));
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    assert!(matches!(bench.hear(), Heard::Por(_, Message::WriteResult(_))));
    // Off and on again in the middle: the card remembers, and confirms.
    bench.input(Input::PowerOff(0));
    bench.input(Input::PowerOn(0));
    assert_eq!(bench.own_result().1.status, WriteStatus::Confirmed);
}

#[test]
fn an_esme_that_is_not_ready_hears_the_message_again() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.input(Input::PowerOn(0));
    for status in [CommandStatus::ESME_RX_T_APPN, CommandStatus::ESME_RMSGQFUL] {
        assert!(matches!(bench.hear_and_answer(600_000, status), Some(Heard::Own(..))));
    }
    bench.input(Input::Unbound(ESME));
    assert!(bench.hear_and_answer(60_000, CommandStatus::ESME_ROK).is_none());
    let (system_id, short_codes) = ("airwrite".to_owned(), vec![CODE.to_owned()]);
    bench.input(Input::Bound { esme: EsmeId(2), system_id, short_codes, delivers: true });
    assert!(matches!(bench.hear(), Heard::Own(..)));
    assert_eq!(bench.operator.snapshot().totals.mo_repeated, 2);
}

#[test]
fn too_many_messages_a_second_are_throttled() {
    let smsc = SmscConfig { submit_rate_max: Some(2), ..SmscConfig::default() };
    let mut bench = Bench::new(OperatorConfig { smsc, ..OperatorConfig::default() }, 1);
    let ack = Message::ResultAck(ResultAck { tid: 1, status: WriteStatus::Confirmed });
    for _ in 0..3 {
        bench.submit(&preset_number(0), Spi2::NO_POR, &ack);
    }
    bench.submit(&"861064899999999".parse().unwrap(), Spi2::NO_POR, &ack);
    bench.hear_and_answer(0, CommandStatus::ESME_ROK);
    let refused: Vec<_> = bench.submitted.iter().filter_map(|answer| answer.clone().err()).collect();
    assert_eq!(refused, [CommandStatus::ESME_RTHROTTLED, CommandStatus::ESME_RTHROTTLED]);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut bench = Bench::new(OperatorConfig::default(), 2);
        bench.bind(0);
        bench.write(0, 1);
        bench.own_result();
        bench.now_ms
    };
    assert_eq!(run(), run());
}
