//! Every kind of fault acts, and is counted; what a plan does follows from the seed.

use std::collections::BTreeSet;
use std::sync::Arc;

use airwrite::applet::{
    BindingAck, BindingResponse, BindingResult, Message, Poll, PollWhat, Trigger, WriteCard, WriteStatus,
};
use airwrite::ota::{Rsc, Spi2};
use airwrite::sim::operator::Input;
use airwrite::sim::{FaultPlan, OperatorConfig, Report, SimConfig, SmscConfig, start};
use airwrite::smpp::{BindMode, CommandStatus, End, Event, MessageState};
use airwrite::world::{SeededRng, TokioClock};

use crate::bench::{Bench, Heard, START_MS, cards, order, preset_number, submits, target_imsi};
use crate::streams::{self, Esme};

const BY_SUBMIT: Spi2 = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
const SAMPLE: &str = include_str!("../../config/sample/faults.toml");

fn counted(faults: &[(&str, u64)]) -> std::collections::BTreeMap<String, u64> {
    faults.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

fn saved(tid: u32) -> Message {
    Message::BindingResponse(BindingResponse { tid, result: BindingResult::Saved })
}

fn poll() -> Message {
    Message::Poll(Poll { tid: 5, what: PollWhat::State })
}

impl Bench {
    /// Powers the first card on and takes its binding request; it is not answered.
    fn start(&mut self) {
        self.input(Input::PowerOn(0));
        assert!(matches!(self.hear(), Heard::Own(_, Message::BindingRequest(_))));
    }

    /// Sends an order to the first card and lets time pass until its write is in that state.
    fn write_until(&mut self, state: &str) -> Vec<Heard> {
        self.submit(&preset_number(0), BY_SUBMIT, &Message::WriteCard(order(0, 1)));
        self.run_until(|report| report.cards[0].card.last_state == state)
    }

    fn silence(&mut self, ms: u64) {
        let heard = self.hear_and_answer(ms, CommandStatus::ESME_ROK);
        assert!(heard.is_none(), "{heard:?}");
    }
}

// ---- On the way to a card

#[test]
fn a_lost_message_is_acknowledged_and_never_seen() {
    let mut bench = Bench::faulty("[mt]\nloss = 100", 1);
    bench.start();
    bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    assert_eq!(bench.operator.snapshot().cards[0].card.mt_packets, 0);
    assert_eq!(bench.faults(), counted(&[("mt_lost", 1)]));
    bench.input(Input::Heal);
    bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
    bench.hear();
    assert!(bench.operator.snapshot().cards[0].card.binding_flag);
}

#[test]
fn a_doubled_message_is_answered_twice() {
    let mut bench = Bench::faulty("[mt]\nduplicate = 100", 1);
    bench.start();
    bench.submit(&preset_number(0), BY_SUBMIT, &poll());
    let (mut answers, mut refusals) = (0, 0);
    while let Some(heard) = bench.hear_and_answer(20_000, CommandStatus::ESME_ROK) {
        match heard {
            Heard::Por(_, Message::PollAnswer(_)) => answers += 1,
            Heard::Refused(rsc) => {
                assert_eq!(rsc, Rsc::CNTR_LOW);
                refusals += 1;
            }
            _ => {}
        }
    }
    assert_eq!((answers, refusals), (1, 1));
    assert_eq!(bench.faults(), counted(&[("mt_duplicated", 1)]));
}

#[test]
fn messages_that_change_places_arrive_in_the_other_order() {
    let mut bench = Bench::faulty("[mt]\nreorder = 100", 1);
    bench.start();
    bench.submit(&preset_number(0), BY_SUBMIT, &poll());
    bench.submit(&preset_number(0), BY_SUBMIT, &poll());
    let pors: Vec<_> = std::iter::from_fn(|| bench.hear_and_answer(10_000, CommandStatus::ESME_ROK))
        .filter(|heard| matches!(heard, Heard::Por(..) | Heard::Refused(..)))
        .collect();
    assert!(matches!(pors[..], [Heard::Por(..), Heard::Refused(Rsc::CNTR_LOW)]), "{pors:?}");
    assert_eq!(bench.faults(), counted(&[("mt_reordered", 1)]));
}

#[test]
fn parts_that_change_places_still_make_a_message() {
    let mut bench = Bench::faulty("[mt]\nreorder = 100", 1);
    bench.start();
    let long = WriteCard {
        iccid: Some("8986040000000000012".parse().unwrap()),
        smsc: Some("8613800100500".parse().unwrap()),
        binding_ack: Some(BindingAck { tid: 1, result: BindingResult::Saved }),
        ..order(0, 1)
    };
    bench.submit(&preset_number(0), BY_SUBMIT, &Message::WriteCard(long));
    bench.run_until(|report| report.cards[0].card.last_state == "confirmed");
    assert_eq!(bench.faults()["mt_reordered"], 1);
}

#[test]
fn a_delayed_message_comes_late_once() {
    let mut bench = Bench::faulty("[mt]\ndelay = 100\ndelay_ms = 20000", 1);
    bench.start();
    let sent_ms = bench.now_ms;
    bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    let late_ms = bench.now_ms - sent_ms;
    assert!((500..20_500).contains(&late_ms), "{late_ms}");
    assert_eq!(bench.faults(), counted(&[("mt_delayed", 1)]));
}

// ---- On the way from a card

#[test]
fn the_card_believes_that_a_lost_message_has_gone_out() {
    let mut bench = Bench::faulty("[mo]\nloss = 100", 1);
    bench.input(Input::PowerOn(0));
    bench.silence(60_000);
    assert_eq!(bench.operator.snapshot().cards[0].card.bindings_sent, 1);
    assert_eq!(bench.faults(), counted(&[("mo_lost", 1)]));
    bench.input(Input::Heal);
    assert!(
        matches!(bench.hear(), Heard::Own(_, Message::BindingRequest(request)) if request.trigger == Trigger::Retry)
    );
}

#[test]
fn messages_of_cards_come_twice_and_late() {
    for (key, kind, copies) in
        [("duplicate", "mo_duplicated", 2), ("reorder", "mo_reordered", 1), ("delay", "mo_delayed", 1)]
    {
        let mut bench = Bench::faulty(&format!("[mo]\n{key} = 100"), 1);
        bench.input(Input::PowerOn(0));
        for _ in 0..copies {
            assert!(matches!(bench.hear(), Heard::Own(_, Message::BindingRequest(_))), "{key}");
        }
        bench.silence(60_000);
        assert_eq!(bench.faults(), counted(&[(kind, 1)]));
    }
}

#[test]
fn a_message_that_is_held_back_is_overtaken_by_the_next() {
    let first = |share: u64, seed: u64| {
        let faults = FaultPlan::from_toml(&format!("[mo]\nreorder = {share}")).unwrap();
        let config = OperatorConfig { faults, ..OperatorConfig::default() };
        let mut bench = Bench::with(config, &cards(1), seed);
        bench.start();
        bench.submit(&preset_number(0), BY_SUBMIT, &poll());
        std::iter::from_fn(|| Some(bench.hear())).find(|heard| !matches!(heard, Heard::Receipt(_))).unwrap()
    };
    // The PoR to a poll goes out first, then the binding that the poll has asked for.
    assert!((0..20).all(|seed| matches!(first(0, seed), Heard::Por(..))));
    let overtaken = (0..20).filter(|seed| matches!(first(50, *seed), Heard::Own(..))).count();
    assert!((1..20).contains(&overtaken), "{overtaken}");
}

// ---- At the message centre

#[test]
fn a_slow_answer_comes_after_the_message_it_is_about() {
    let mut bench = Bench::faulty("[smsc]\nslow = 100\nslow_ms = 60000", 1);
    bench.start();
    bench.submit(&preset_number(0), BY_SUBMIT, &poll());
    assert!(matches!(bench.hear(), Heard::Receipt(_)));
    assert!(matches!(bench.hear(), Heard::Por(..)));
    assert_eq!(bench.submitted.len(), 0);
    while bench.hear_and_answer(60_000, CommandStatus::ESME_ROK).is_some() {}
    assert!(matches!(bench.submitted[..], [Ok(_)]));
    assert_eq!(bench.faults(), counted(&[("submit_slow", 1)]));
}

#[test]
fn refusals_lost_messages_and_receipts_are_counted() {
    for (section, key, kind, answered) in [
        ("smsc", "throttled", "submit_throttled", Err(CommandStatus::ESME_RTHROTTLED)),
        ("smsc", "queue_full", "submit_queue_full", Err(CommandStatus::ESME_RMSGQFUL)),
        ("smsc", "system_error", "submit_system_error", Err(CommandStatus::ESME_RSYSERR)),
        ("smsc", "lost", "submit_lost", Ok(())),
        ("receipts", "missing", "receipt_missing", Ok(())),
        ("receipts", "negative", "receipt_negative", Ok(())),
        ("receipts", "spelling", "receipt_spelling", Ok(())),
    ] {
        let mut bench = Bench::faulty(&format!("[{section}]\n{key} = 100"), 1);
        bench.start();
        bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
        let receipt = bench.hear_and_answer(20_000, CommandStatus::ESME_ROK);
        let answers: Vec<_> = bench.submitted.iter().map(|answer| answer.clone().map(|_| ())).collect();
        assert_eq!(answers, [answered], "{key}");
        match (key, receipt) {
            ("negative", Some(Heard::Receipt(MessageState::UNDELIVERABLE)))
            | ("spelling", Some(Heard::Receipt(MessageState::DELIVERED))) => {}
            ("negative" | "spelling", other) => panic!("{other:?}"),
            (_, receipt) => assert!(receipt.is_none(), "{key}: {receipt:?}"),
        }
        let reached = bench.operator.snapshot().cards[0].card.binding_flag;
        assert_eq!(reached, section == "receipts", "{key}");
        assert_eq!(bench.faults(), counted(&[(kind, 1)]));
    }
}

// ---- Cards and devices

#[test]
fn a_sleeping_device_gets_its_messages_when_it_wakes() {
    let mut bench = Bench::faulty("[card]\nsleep = 100\nsleep_ms = 900000", 1);
    bench.start();
    bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
    bench.silence(3_000);
    assert_eq!(bench.faults(), counted(&[("card_asleep", 1)]));
    bench.input(Input::Heal);
    let woken_ms = bench.now_ms;
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    assert!(bench.now_ms - woken_ms < 1_000);
}

#[test]
fn power_can_be_lost_at_every_point_of_a_write() {
    for (point, end) in [
        ("accepted", "confirmed"),
        ("written", "confirmed"),
        ("refreshed", "confirmed"),
        ("ended", "confirmed"),
        ("undone", "rolled_back"),
    ] {
        let barred = if end == "rolled_back" { 100 } else { 0 };
        let plan = format!("[card]\npower_cut = 100\npower_cut_at = [\"{point}\"]\nbarred = {barred}");
        let mut bench = Bench::faulty(&plan, 1);
        bench.start();
        let mut heard = bench.write_until(end);
        while let Some(more) = bench.hear_and_answer(60_000, CommandStatus::ESME_ROK) {
            heard.push(more);
            if heard.len() > 20 {
                break;
            }
        }
        let report = bench.operator.snapshot();
        assert_eq!(report.faults[&format!("power_cut_{point}")], 1, "{point}");
        assert_eq!(report.cards[0].card.executed, [(1, 1)].into(), "{point}");
        let por = heard.iter().any(|heard| matches!(heard, Heard::Por(..)));
        assert_eq!(por, point != "accepted", "{point}: {heard:?}");
        let status = if end == "confirmed" { WriteStatus::Confirmed } else { WriteStatus::RolledBack };
        let told = |heard: &Heard| matches!(heard, Heard::Own(_, Message::WriteResult(result)) if result.status == status);
        assert!(heard.iter().any(told), "{point}: {heard:?}");
    }
}

#[test]
fn a_card_that_refuses_is_tried_again_or_given_up() {
    for (status, end) in [
        ("9300", MessageState::DELIVERED),
        ("6200", MessageState::UNDELIVERABLE),
        ("6F00", MessageState::UNDELIVERABLE),
    ] {
        let plan = format!(
            "[card]\nenvelope_refused = 100\nenvelope_refusals_max = 1\nenvelope_status = [\"{status}\"]"
        );
        let mut bench = Bench::faulty(&plan, 1);
        bench.start();
        bench.submit(&preset_number(0), Spi2::NO_POR, &saved(1));
        let at_once = bench.run_until(|report| report.faults.contains_key("envelope_refused"));
        bench.input(Input::Heal);
        let receipt = at_once.into_iter().next().unwrap_or_else(|| bench.hear());
        assert!(matches!(receipt, Heard::Receipt(state) if state == end), "{status}: {receipt:?}");
        assert_eq!(bench.faults(), counted(&[("envelope_refused", 1)]));
        assert_eq!(bench.operator.snapshot().cards[0].card.binding_flag, end == MessageState::DELIVERED);
    }
}

#[test]
fn a_refused_refresh_delays_the_proof_until_it_is_healed() {
    let mut bench = Bench::faulty("[card]\nrefresh_refused = 100", 1);
    bench.start();
    bench.submit(&preset_number(0), BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    bench.run_until(|report| report.faults.get("refresh_refused").is_some_and(|times| *times > 4));
    assert_eq!(bench.operator.snapshot().cards[0].card.ef_imsi, Some(target_imsi(0).parse().unwrap()));
    bench.input(Input::Heal);
    bench.run_until(|report| report.cards[0].card.last_state == "confirmed");
}

#[test]
fn a_barred_card_rolls_back_even_when_all_else_is_healed() {
    let mut bench = Bench::faulty("[card]\nbarred = 100", 1);
    assert!(bench.operator.snapshot().cards[0].barred);
    bench.start();
    bench.input(Input::Heal);
    bench.write_until("rolled_back");
    let report = bench.operator.snapshot();
    assert!(report.faults["attach_barred"] > 0);
    assert_eq!(report.cards[0].card.ef_msisdn, Some(preset_number(0)));
    bench.run_until(|report| report.cards[0].attached == report.cards[0].card.ef_imsi);
}

#[test]
fn a_silent_card_is_never_heard_of_again() {
    let mut bench = Bench::faulty("[card]\nsilent = 100", 1);
    bench.bind(0);
    bench.submit(&preset_number(0), BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    bench.silence(3_600_000);
    assert_eq!(bench.operator.snapshot().cards[0].attached, None);
    bench.input(Input::PowerOn(0));
    bench.submit(&preset_number(0), BY_SUBMIT, &poll());
    bench.silence(3_600_000);
    let card = &bench.operator.snapshot().cards[0];
    assert!(card.silent && !card.on && card.attached.is_none());
    assert_eq!((card.card.last_state, card.card.ef_msisdn), ("accepted", Some(preset_number(0))));
    assert_eq!(bench.faults(), counted(&[("card_silent", 1)]));
}

// ---- Connections

async fn bound(plan: &str) -> (airwrite::sim::SimHandle, Esme<tokio::io::DuplexStream>) {
    let faults = FaultPlan::from_toml(plan).unwrap();
    let config = streams::config();
    let config = SimConfig { operator: OperatorConfig { faults, ..config.operator.clone() }, ..config };
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let sim = start(config, &cards(1), clock, Arc::new(SeededRng::new(1)), None);
    let esme = bind(&sim).await;
    (sim, esme)
}

async fn bind(sim: &airwrite::sim::SimHandle) -> Esme<tokio::io::DuplexStream> {
    let (stream, end) = tokio::io::duplex(64 * 1024);
    sim.serve(end);
    let mut esme = Esme::new(stream);
    assert_eq!(esme.bind(BindMode::Transceiver, "secret").await, CommandStatus::ESME_ROK);
    esme
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_loses_the_answer_and_keeps_the_message() {
    for (plan, kind, octets) in [
        ("[link]\ndrop = 100", "link_dropped", 0..1),
        ("[link]\ndrop_within_pdu = 100", "link_dropped_within_pdu", 8..16),
    ] {
        let (sim, mut esme) = bound(plan).await;
        esme.session
            .send_sm(streams::now(), &submits(&preset_number(0), 1, Spi2::NO_POR, &saved(1))[0], 1)
            .unwrap();
        assert!(matches!(esme.event().await, Event::Ended { end: End::Lost, .. }));
        assert!(octets.contains(&esme.input.len()), "{kind}: {} octets", esme.input.len());
        assert_eq!(sim.snapshot().await.unwrap().faults, counted(&[(kind, 1)]));

        // A deliver_sm that met the same end comes on the next connection.
        let mut esme = bind(&sim).await;
        sim.power_on([0]).await.unwrap();
        assert!(matches!(esme.event().await, Event::Closed(_)));
        let mut esme = bind(&sim).await;
        sim.heal().await.unwrap();
        loop {
            match esme.event().await {
                Event::Sm(..) => break,
                // Cut once more before the healing.
                Event::Closed(_) => esme = bind(&sim).await,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sim.snapshot().await.unwrap().totals.mo, 1);
        drop(esme);
        sim.stop().await;
    }
}

// ---- The plan as a whole

#[test]
fn the_sample_plan_names_every_key_and_nothing_else() {
    let sample = FaultPlan::from_toml(SAMPLE).unwrap();
    let keys = |text: &str| {
        let table: toml::Table = toml::from_str(text).unwrap();
        table
            .iter()
            .flat_map(|(section, keys)| {
                keys.as_table().unwrap().keys().map(move |key| format!("{section}.{key}"))
            })
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(keys(SAMPLE), keys(&toml::to_string(&FaultPlan::default()).unwrap()));
    assert_eq!(sample.link.drop.hundredths(), 20);
}

/// An hour under the sample plan with every share times three; orders go out again each minute until they are carried
/// out. What was heard, and the report.
fn storm(seed: u64) -> (Vec<String>, Report) {
    let mut plan: toml::Table = toml::from_str(SAMPLE).unwrap();
    for section in plan.iter_mut().filter_map(|(_, section)| section.as_table_mut()) {
        for (key, value) in section.iter_mut() {
            if let Some(share) =
                value.as_integer().filter(|_| !key.ends_with("_ms") && !key.ends_with("_max"))
            {
                *value = (share * 3).min(100).into();
            }
        }
    }
    plan["link"] = toml::Table::new().into();
    let faults = plan.try_into().unwrap();
    let smsc = SmscConfig { retry_ms_max: 20_000, ..SmscConfig::default() };
    let mut bench =
        Bench::with(OperatorConfig { faults, smsc, ..OperatorConfig::default() }, &cards(3), seed);
    (0..3).for_each(|card| bench.input(Input::PowerOn(card)));
    let mut log = Vec::new();
    for _ in 0..60 {
        let until = bench.now_ms + 60_000;
        for card in 0..3 {
            let status = &bench.operator.snapshot().cards[card];
            if status.card.executed.is_empty() {
                bench.submit(&preset_number(card), BY_SUBMIT, &Message::WriteCard(order(card, 1)));
            }
        }
        while let Some(heard) =
            bench.hear_and_answer(until.saturating_sub(bench.now_ms), CommandStatus::ESME_ROK)
        {
            log.push(format!("{} {heard:?}", bench.now_ms));
        }
        bench.now_ms = until;
    }
    (log, bench.operator.snapshot())
}

#[test]
fn a_storm_follows_from_its_seed_and_no_write_is_carried_out_twice() {
    let (log, report) = storm(11);
    assert!(report.faults.len() > 10, "{:?}", report.faults);
    for status in &report.cards {
        assert!(status.card.executed.values().all(|times| *times == 1));
        assert!(status.card.cntr_conflicts.is_empty());
        let expected = if status.barred { "rolled_back" } else { "confirmed" };
        assert!(status.silent || status.card.last_state == expected, "{status:?}");
    }
    let (again, same) = storm(11);
    assert_eq!(log, again);
    assert_eq!(serde_json::to_value(&report).unwrap(), serde_json::to_value(&same).unwrap());
    assert_ne!(log, storm(12).0);
}

#[test]
fn shares_are_kept_by_card() {
    let faults = FaultPlan::from_toml("[card]\nbarred = 100\nsilent = 100").unwrap();
    let mut blank = cards(2);
    blank[1].preset = None;
    let bench = Bench::with(OperatorConfig { faults, ..OperatorConfig::default() }, &blank, 1);
    let flags: Vec<_> =
        bench.operator.snapshot().cards.iter().map(|card| (card.barred, card.silent)).collect();
    assert_eq!(flags, [(true, true), (false, true)], "without a preset there is nothing to go back to");
}
