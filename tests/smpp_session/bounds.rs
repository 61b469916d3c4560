//! A peer that floods, and one that reads slowly.

use std::time::{Duration, Instant};

use airwrite::smpp::{
    BindMode, Body, CommandId, CommandStatus, End, Event, MessageId, Role, Session, SessionConfig,
};
use bytes::{Buf, BytesMut};

use crate::wire::{Wire, drain, feed, output, raw, sm, take};

fn deliver_sm(sequence: u32) -> Vec<u8> {
    let mut octets = BytesMut::new();
    Body::DeliverSm(sm(b"mo")).encode(CommandStatus::ESME_ROK, sequence, &mut octets);
    octets.to_vec()
}

/// An ESME's session that holds two unanswered requests.
fn narrow(now: Instant) -> Session<u32> {
    let full = CommandStatus::ESME_RX_T_APPN;
    let config = SessionConfig { unanswered_max: 2, full, ..SessionConfig::new(Role::Esme) };
    let mut session = Session::new(config, now);
    session.send_bind(now, &crate::wire::bind(BindMode::Transceiver), 0).unwrap();
    feed(&mut session, now, &raw(0x8000_0009, 0, 1, b"\0"));
    let [Event::Ended { .. }] = take(drain(&mut session)) else { panic!("bound") };
    session.output().clear();
    session
}

#[test]
fn the_session_answers_by_itself_what_is_beyond_its_bound() {
    let now = Instant::now();
    let mut session = narrow(now);
    for sequence in 1..=3 {
        feed(&mut session, now, &deliver_sm(sequence));
    }
    let [Event::Sm(one, _), Event::Sm(..), Event::Full(CommandId::DELIVER_SM)] = take(drain(&mut session))
    else {
        panic!("two, then no more")
    };
    let pdus = output(&mut session);
    assert_eq!(pdus.len(), 1);
    assert_eq!(pdus[0].body.command_id(), CommandId::DELIVER_SM_RESP);
    assert_eq!((pdus[0].status, pdus[0].sequence), (CommandStatus::ESME_RX_T_APPN, 3));
    // There is room again, and requests of other kinds take it as well.
    session.answer_sm(now, one, CommandStatus::ESME_ROK, MessageId::EMPTY);
    feed(&mut session, now, &raw(0x103, 0, 4, &[0; 10]));
    feed(&mut session, now, &deliver_sm(5));
    let [Event::Request(..), Event::Full(_)] = take(drain(&mut session)) else { panic!("one, then no more") };
    assert_eq!(session.unanswered(), 2);
}

#[test]
fn a_flood_leaves_nothing_but_the_bound_behind() {
    let now = Instant::now();
    let mut session = narrow(now);
    let mut held = Vec::new();
    for sequence in 1..=10_000 {
        feed(&mut session, now, &deliver_sm(sequence));
        feed(&mut session, now, &raw(0x15, 0, sequence, b""));
        for event in drain(&mut session) {
            if let Event::Sm(unanswered, _) = event {
                held.push(unanswered);
            }
        }
        // The peer reads.
        assert!(session.output().len() <= 2 * 17);
        session.output().clear();
    }
    assert_eq!((held.len(), session.unanswered()), (2, 2));
}

#[test]
fn an_answer_to_enquire_link_does_not_wait_behind_what_queues() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    for token in 1..=5 {
        wire.esme.send_sm(wire.now, &sm(b"mt"), token).unwrap();
    }
    // The peer has taken the first octets of the first submit_sm, and then asks.
    let first = wire.esme.output().split_to(10);
    feed(&mut wire.esme, wire.now, &raw(0x15, 0, 88, b""));
    feed(&mut wire.esme, wire.now, &raw(0x15, 0, 89, b""));
    let mut octets = BytesMut::from(&first[..]);
    octets.extend_from_slice(wire.esme.output());
    wire.esme.output().clear();
    let mut commands = Vec::new();
    while let Some(frame) = airwrite::smpp::frame::next(&mut octets, 1000).unwrap() {
        commands.push((frame.header.command_id, frame.header.sequence));
    }
    assert!(!octets.has_remaining());
    let submit = |sequence| (CommandId::SUBMIT_SM, sequence);
    let resp = |sequence| (CommandId::ENQUIRE_LINK_RESP, sequence);
    assert_eq!(commands, [submit(2), resp(88), resp(89), submit(3), submit(4), submit(5), submit(6)]);
}

#[test]
fn a_whole_window_times_out_in_the_order_of_sending() {
    let mut wire = Wire::bound(BindMode::Transceiver, 1000);
    let start = wire.now;
    let sequences: Vec<u32> = (0..1000_u32)
        .map(|token| {
            let sent = start + Duration::from_millis(u64::from(token));
            wire.esme.send_sm(sent, &sm(b""), token).unwrap()
        })
        .collect();
    // Every tenth is answered, in another order than they were sent.
    for sequence in sequences.iter().step_by(10).rev() {
        feed(&mut wire.esme, start + Duration::from_secs(1), &raw(0x8000_0004, 0, *sequence, b""));
    }
    drain(&mut wire.esme);
    assert_eq!(wire.esme.next_deadline(), Some(start + Duration::from_millis(30_001)));
    wire.esme.handle_timeout(start + Duration::from_millis(30_499));
    let ended: Vec<u32> = drain(&mut wire.esme)
        .into_iter()
        .map(|event| match event {
            Event::Ended { token, end: End::TimedOut, .. } => token,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ended, (0..500).filter(|token| token % 10 != 0).collect::<Vec<_>>());
    assert_eq!(wire.esme.in_flight(), 450);
}
