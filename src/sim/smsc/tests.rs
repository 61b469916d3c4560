use std::sync::Arc;

use super::*;
use crate::sim::fault_plan::FaultPlan;
use crate::smpp::{CancelSm, NetworkErrorCode, QuerySm, receipt, tag};
use crate::world::SeededRng;

fn none() -> Faults {
    Faults::new(FaultPlan::default(), Arc::new(SeededRng::new(1)))
}

fn faults(plan: &str) -> Faults {
    Faults::new(FaultPlan::from_toml(plan).unwrap(), Arc::new(SeededRng::new(1)))
}

const ESME: EsmeId = EsmeId(1);
const NUMBER: &str = "861064812345678";

fn smsc(config: SmscConfig) -> Smsc {
    let mut smsc = Smsc::new(config);
    smsc.deliveries.bound(0, ESME, "airwrite".into(), vec!["10690".into()], true);
    smsc
}

fn sm(registered: RegisteredDelivery) -> Sm {
    let source = Address { ton: 0, npi: 1, digits: "10690".parse().unwrap() };
    let ud = ShortMessage::try_from(Bytes::from_static(&[2, 0x70, 0, 1])).unwrap();
    Sm {
        registered_delivery: registered,
        validity_period: time::relative(60),
        ..Sm::submit_ota(source, Address::international(NUMBER).unwrap(), ud)
    }
}

fn submit(smsc: &mut Smsc, now_ms: u64, sm: &Sm) -> Result<String, CommandStatus> {
    smsc.submit(now_ms, ESME, sm, |_| true, &mut none()).map(|(id, _)| id)
}

fn mo() -> Mo {
    Mo {
        source: NUMBER.parse().unwrap(),
        destination: "10690".into(),
        udhi: true,
        protocol_id: 0x7F,
        data_coding: 0xF6,
        user_data: Bytes::from_static(&[2, 0x70, 0, 9]),
    }
}

#[test]
fn a_delivered_message_gets_the_receipt_that_was_asked_for() {
    let mut smsc = smsc(SmscConfig::default());
    let number = NUMBER.parse().unwrap();
    let id = submit(&mut smsc, 1_700_000_000_000, &sm(RegisteredDelivery::FINAL)).unwrap();
    submit(&mut smsc, 1_700_000_000_000, &sm(RegisteredDelivery::NONE)).unwrap();
    assert_eq!(smsc.head(1_700_000_000_000, &number, &mut none()).unwrap().user_data, &[2, 0x70, 0, 1][..]);
    assert_eq!(
        smsc.attempted(1_700_000_001_000, &number, Attempt::Delivered, &mut none()),
        Some(1_700_000_001_000)
    );
    assert_eq!(smsc.attempted(1_700_000_002_000, &number, Attempt::Delivered, &mut none()), None);
    let (at, _, sm) = smsc.deliveries.poll(1_700_000_002_000).unwrap();
    assert_eq!(at, ESME);
    let receipt = receipt::parse(&sm).unwrap();
    assert_eq!(
        (receipt.message_id.to_str_lossy().as_ref(), receipt.state),
        (id.as_str(), MessageState::DELIVERED)
    );
    assert!(smsc.deliveries.poll(1_700_000_002_000).is_none());
    assert_eq!((smsc.totals().submits, smsc.totals().delivered), (2, 2));
}

#[test]
fn attempts_space_out_and_end_with_the_validity() {
    let mut smsc = smsc(SmscConfig::default());
    let number = NUMBER.parse().unwrap();
    submit(&mut smsc, 0, &sm(RegisteredDelivery::FINAL)).unwrap();
    let mut now = 0;
    let mut attempts = Vec::new();
    while smsc.head(now, &number, &mut none()).is_some() {
        attempts.push(now);
        now = smsc.attempted(now, &number, Attempt::Later, &mut none()).unwrap();
    }
    assert_eq!((attempts, now), (vec![0, 5_000, 15_000, 35_000], 60_000));
    let (_, _, sm) = smsc.deliveries.poll(now).unwrap();
    assert_eq!(receipt::parse(&sm).unwrap().state, MessageState::EXPIRED);
}

#[test]
fn a_message_is_taken_back_as_long_as_it_is_kept() {
    let mut smsc = smsc(SmscConfig::default());
    let (number, sm) = (NUMBER.parse().unwrap(), sm(RegisteredDelivery::FINAL));
    let ids: Vec<MessageId> = (0..3).map(|_| submit(&mut smsc, 0, &sm).unwrap().parse().unwrap()).collect();
    let id = |at: usize| ids[at].clone();
    let cancel = |message_id, source, destination| {
        let cancel = CancelSm { message_id, source, destination, ..CancelSm::default() };
        Body::CancelSm(cancel)
    };
    let query = |message_id| Body::QuerySm(QuerySm { message_id, source: sm.source, ..QuerySm::default() });
    let (mine, other) = ((sm.source, sm.destination), Address::international("4917").unwrap());
    let enroute =
        QuerySmResp { message_id: id(1), message_state: MessageState::ENROUTE, ..QuerySmResp::default() };
    assert_eq!(smsc.request(0, ESME, &query(id(1)), &mut none()), Ok(Body::QuerySmResp(enroute)));
    for (id, source, destination, answer) in [
        (id(1), other, mine.1, Err(CommandStatus::ESME_RCANCELFAIL)),
        (id(1), mine.0, other, Err(CommandStatus::ESME_RCANCELFAIL)),
        (id(1), mine.0, mine.1, Ok(Body::CancelSmResp)),
        (id(1), mine.0, mine.1, Err(CommandStatus::ESME_RCANCELFAIL)),
        (id(2), mine.0, Address::default(), Ok(Body::CancelSmResp)),
        ("77".parse().unwrap(), mine.0, mine.1, Err(CommandStatus::ESME_RINVMSGID)),
        (MessageId::EMPTY, mine.0, mine.1, Err(CommandStatus::ESME_RINVMSGID)),
    ] {
        assert_eq!(
            smsc.request(0, ESME, &cancel(id.clone(), source, destination), &mut none()),
            answer,
            "{id:?}"
        );
    }
    // Whoever asked for it hears of it; the message that was not cancelled is delivered.
    let (_, _, told) = smsc.deliveries.poll(0).unwrap();
    let told = receipt::parse(&told).unwrap();
    assert_eq!((told.message_id, told.state), (id(1), MessageState::DELETED));
    assert_eq!(smsc.waiting(&number), 1);
    assert_eq!(smsc.attempted(0, &number, Attempt::Delivered, &mut none()), None);
    let failed = Err(CommandStatus::ESME_RQUERYFAIL);
    assert_eq!(smsc.request(0, ESME, &query(id(0)), &mut none()), failed);
    let totals = smsc.totals();
    assert_eq!((totals.cancelled, totals.delivered, totals.undelivered), (2, 1, 0));
    let unserved = Err(CommandStatus::ESME_RINVCMDID);
    assert_eq!(smsc.request(0, ESME, &Body::EnquireLink, &mut none()), unserved);
}

#[test]
fn refusals_of_submit_sm() {
    let mut smsc = smsc(SmscConfig { submit_rate_max: Some(2), mt_queue_max: 3, ..SmscConfig::default() });
    let good = sm(RegisteredDelivery::NONE);
    assert_eq!(smsc.submit(0, ESME, &good, |_| false, &mut none()), Err(CommandStatus::ESME_RINVDSTADR));
    assert!(submit(&mut smsc, 10, &good).is_ok());
    assert_eq!(submit(&mut smsc, 999, &good), Err(CommandStatus::ESME_RTHROTTLED));
    assert!(submit(&mut smsc, 1000, &good).is_ok());
    assert!(submit(&mut smsc, 1000, &good).is_ok());
    assert_eq!(submit(&mut smsc, 2000, &good), Err(CommandStatus::ESME_RMSGQFUL));
    assert_eq!(
        smsc.submit(3000, EsmeId(9), &good, |_| true, &mut none()),
        Err(CommandStatus::ESME_RINVBNDSTS)
    );
    assert_eq!((smsc.totals().submits, smsc.totals().refused), (3, 4));
}

#[test]
fn a_message_of_a_card_stays_until_it_is_acknowledged() {
    let mut smsc = smsc(SmscConfig::default());
    assert!(smsc.take_mo(0, mo(), 200, &mut none()));
    let (_, id, _) = smsc.deliveries.poll(0).unwrap();
    smsc.deliveries.answered(0, id, Some(CommandStatus::ESME_RX_T_APPN));
    assert!(smsc.deliveries.poll(999).is_none());
    assert_eq!(smsc.deliveries.next_deadline(999), Some(1000));
    let (_, again, _) = smsc.deliveries.poll(1000).unwrap();
    assert_eq!(again, id);
    smsc.deliveries.unbound(1000, ESME);
    assert!(smsc.deliveries.poll(10_000).is_none(), "nobody is there");
    smsc.deliveries.bound(1001, EsmeId(2), "airwrite".into(), vec!["10690".into()], true);
    let (at, _, sm) = smsc.deliveries.poll(1001).unwrap();
    assert_eq!((at, sm.source.digits.to_str_lossy().as_ref()), (EsmeId(2), NUMBER));
    smsc.deliveries.answered(10_000, id, Some(CommandStatus::ESME_ROK));
    assert!(smsc.deliveries.poll(u64::MAX - 1).is_none());
    assert_eq!((smsc.totals().mo_acknowledged, smsc.totals().mo_repeated), (1, 2));
}

#[test]
fn a_permanent_error_drops_the_message() {
    let mut smsc = smsc(SmscConfig::default());
    smsc.take_mo(0, mo(), 200, &mut none());
    let (_, id, _) = smsc.deliveries.poll(0).unwrap();
    smsc.deliveries.answered(0, id, Some(CommandStatus::ESME_RINVDSTADR));
    assert!(smsc.deliveries.poll(u64::MAX - 1).is_none());
    assert_eq!(smsc.totals().mo_dropped, 1);
}

#[test]
fn a_session_gets_no_more_than_its_window_and_sessions_take_turns() {
    let mut smsc = smsc(SmscConfig { deliver_window: 2, mo_queue_max: 5, ..SmscConfig::default() });
    smsc.deliveries.bound(0, EsmeId(2), "airwrite".into(), vec!["10690".into()], true);
    smsc.deliveries.bound(0, EsmeId(3), "airwrite".into(), vec!["10690".into()], false);
    smsc.deliveries.bound(0, EsmeId(4), "other".into(), vec!["10691".into()], true);
    for _ in 0..5 {
        assert!(smsc.take_mo(0, mo(), 200, &mut none()));
    }
    assert!(!smsc.take_mo(0, mo(), 200, &mut none()), "the queue is full");
    let at: Vec<_> = std::iter::from_fn(|| smsc.deliveries.poll(0)).map(|(at, ..)| at.0).collect();
    assert_eq!(at, [1, 2, 1, 2]);
}

#[test]
fn a_receipt_says_the_same_in_every_spelling() {
    let mut faults = faults("[receipts]\nspelling = 100");
    let mut forms = std::collections::BTreeSet::new();
    for number in 1..=40_u64 {
        let mut smsc = smsc(SmscConfig::default());
        smsc.last_message_id = 0xABCD + number;
        let to = NUMBER.parse().unwrap();
        let answered = submit(&mut smsc, 0, &sm(RegisteredDelivery::FINAL)).unwrap();
        smsc.attempted(0, &to, Attempt::Delivered, &mut faults);
        let (_, _, sm) = smsc.deliveries.poll(0).unwrap();
        let told = receipt::parse(&sm).unwrap();
        assert_eq!(told.state, MessageState::DELIVERED);
        let id = told.message_id.to_str_lossy().into_owned();
        let same = id == answered || u64::from_str_radix(&id, 16) == Ok(0xABCD + number + 1);
        assert!(same, "{id} for {answered}");
        forms.insert((sm.tlvs.find(tag::MESSAGE_STATE).is_some(), sm.user_data().is_empty(), id == answered));
    }
    assert_eq!(forms.len(), 3, "without TLVs, without text, in hexadecimal: {forms:?}");
    assert_eq!(faults.counts()["receipt_spelling"], 40);
}

#[test]
fn receipts_go_missing_and_lie() {
    let number = NUMBER.parse().unwrap();
    let one = |plan: &str| {
        let mut smsc = smsc(SmscConfig::default());
        submit(&mut smsc, 0, &sm(RegisteredDelivery::FINAL)).unwrap();
        smsc.attempted(0, &number, Attempt::Delivered, &mut faults(plan));
        smsc.deliveries.poll(0).map(|(_, _, sm)| receipt::parse(&sm).unwrap())
    };
    assert_eq!(one("[receipts]\nmissing = 100"), None);
    let lie = one("[receipts]\nnegative = 100").unwrap();
    assert_eq!(lie.state, MessageState::UNDELIVERABLE);
    assert_eq!(
        lie.error_code,
        Some(receipt::ErrorCode::Network(NetworkErrorCode { network: 3, code: 0xD5 }))
    );
}

#[test]
fn submit_sm_is_refused_or_lost_as_planned() {
    for (key, status) in [
        ("throttled", CommandStatus::ESME_RTHROTTLED),
        ("queue_full", CommandStatus::ESME_RMSGQFUL),
        ("system_error", CommandStatus::ESME_RSYSERR),
    ] {
        let mut faults = faults(&format!("[smsc]\n{key} = 100"));
        let mut smsc = smsc(SmscConfig::default());
        let good = sm(RegisteredDelivery::FINAL);
        assert_eq!(smsc.submit(0, ESME, &good, |_| true, &mut faults), Err(status));
        assert_eq!(faults.counts(), [(format!("submit_{key}"), 1)].into());
        faults.heal();
        assert!(smsc.submit(0, ESME, &good, |_| true, &mut faults).is_ok());
    }
    let mut faults = faults("[smsc]\nlost = 100");
    let mut smsc = smsc(SmscConfig::default());
    let (id, number) = smsc.submit(0, ESME, &sm(RegisteredDelivery::FINAL), |_| true, &mut faults).unwrap();
    assert_eq!((id.as_str(), smsc.waiting(&number)), ("0000000001", 0));
    assert_eq!(faults.counts()["submit_lost"], 1);
}

#[test]
fn messages_of_cards_are_lost_doubled_and_held_back() {
    let due = |plan: &str| {
        let mut smsc = smsc(SmscConfig::default());
        let mut faults = faults(plan);
        assert!(smsc.take_mo(0, mo(), 200, &mut faults), "RP-ACK in any case");
        let mut now_ms = 0;
        let mut due = Vec::new();
        loop {
            while smsc.deliveries.poll(now_ms).is_some() {
                due.push(now_ms);
            }
            match smsc.deliveries.next_deadline(now_ms) {
                Some(next_ms) => now_ms = next_ms,
                None => return (due, faults.counts().into_keys().collect::<Vec<_>>().join(" ")),
            }
        }
    };
    assert_eq!(due("[mo]\nloss = 100"), (vec![], "mo_lost".into()));
    assert_eq!(due("[mo]\nreorder = 100"), (vec![400], "mo_reordered".into()));
    let (twice, counted) = due("[mo]\nduplicate = 100\ndelay_ms = 50");
    assert!(matches!(twice[..], [0, again] if (1..=50).contains(&again)), "{twice:?}");
    assert_eq!(counted, "mo_duplicated");
    let (late, counted) = due("[mo]\ndelay = 100\ndelay_ms = 50");
    assert!(matches!(late[..], [at] if (1..=50).contains(&at)), "{late:?}");
    assert_eq!(counted, "mo_delayed");
}
