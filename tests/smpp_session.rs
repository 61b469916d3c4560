//! The session without I/O: both sides against each other, and each against odd peers.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of a session's time")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use airwrite::smpp::{
    Bind, BindMode, Body, CloseReason, CommandId, CommandStatus, DecodeError, End, Event, MessageId,
    Password, Pdu, RequestError, Role, Session, SessionConfig, ShortMessage, Sm, SystemId, frame,
};
use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

type Events = Vec<Event<u32>>;

/// Two sessions over a perfect wire.
struct Wire {
    now: Instant,
    esme: Session<u32>,
    smsc: Session<u32>,
}

impl Wire {
    fn new(window: u16) -> Self {
        let now = Instant::now();
        let config = |role| SessionConfig { window, ..SessionConfig::new(role) };
        Self { now, esme: Session::new(config(Role::Esme), now), smsc: Session::new(config(Role::Smsc), now) }
    }

    fn bound(mode: BindMode, window: u16) -> Self {
        let mut wire = Self::new(window);
        wire.esme.send_bind(wire.now, &bind(mode), 0).unwrap();
        let (_, events) = wire.exchange();
        let [Event::Bind(unanswered, bind)] = take(events) else { panic!("a bind") };
        assert_eq!((bind.mode, bind.system_id.as_bytes()), (mode, &b"airwrite"[..]));
        wire.smsc.answer_bind(unanswered, CommandStatus::ESME_ROK, SystemId::EMPTY);
        let (events, _) = wire.exchange();
        let [Event::Ended { token: 0, end: End::Answered(_), .. }] = take(events) else { panic!("bound") };
        assert_eq!((wire.esme.bound(), wire.smsc.bound()), (Some(mode), Some(mode)));
        wire
    }

    /// Carries octets both ways until both are quiet; the events of ESME and SMSC.
    fn exchange(&mut self) -> (Events, Events) {
        while !self.esme.output().is_empty() || !self.smsc.output().is_empty() {
            let (mut up, mut down) = (self.esme.output().split(), self.smsc.output().split());
            self.smsc.receive(self.now, &mut up);
            self.esme.receive(self.now, &mut down);
        }
        (drain(&mut self.esme), drain(&mut self.smsc))
    }
}

fn bind(mode: BindMode) -> Bind {
    Bind::new(mode, "airwrite".parse().unwrap(), Password::new("secret").unwrap())
}

fn drain(session: &mut Session<u32>) -> Events {
    std::iter::from_fn(|| session.next_event()).collect()
}

fn take<const N: usize>(events: Events) -> [Event<u32>; N] {
    events.try_into().unwrap_or_else(|events: Events| panic!("{N} events expected, found {events:?}"))
}

fn sm(text: &'static [u8]) -> Sm {
    Sm { short_message: ShortMessage::try_from(Bytes::from_static(text)).unwrap(), ..Sm::default() }
}

fn output(session: &mut Session<u32>) -> Vec<Pdu> {
    let mut octets = session.output().split();
    std::iter::from_fn(|| frame::next(&mut octets, 70_000).unwrap()).map(Pdu::decode).collect()
}

fn feed(session: &mut Session<u32>, now: Instant, octets: &[u8]) {
    let mut input = BytesMut::from(octets);
    session.receive(now, &mut input);
}

/// A PDU as an odd peer writes it.
fn raw(command_id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.put_u32(u32::try_from(16 + body.len()).unwrap());
    octets.put_u32(command_id);
    octets.put_u32(status);
    octets.put_u32(sequence);
    octets.put_slice(body);
    octets
}

// ---- Both sides

#[test]
fn a_message_goes_each_way_and_is_answered_out_of_order() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    for (token, text) in [(1, b"one"), (2, b"two")] {
        wire.esme.send_sm(wire.now, &sm(text), token).unwrap();
    }
    wire.smsc.send_sm(wire.now, &sm(b"mo"), 3).unwrap();
    let (at_esme, at_smsc) = wire.exchange();
    let [Event::Sm(mo, received)] = take(at_esme) else { panic!("a deliver_sm") };
    assert_eq!(received, sm(b"mo"));
    let [Event::Sm(one, _), Event::Sm(two, received)] = take(at_smsc) else { panic!("two submit_sm") };
    assert_eq!(received, sm(b"two"));

    let id = |text: &str| text.parse::<MessageId>().unwrap();
    wire.esme.answer_sm(wire.now, mo, CommandStatus::ESME_ROK, MessageId::EMPTY);
    wire.smsc.answer_sm(wire.now, two, CommandStatus::ESME_ROK, id("b"));
    wire.smsc.answer_sm(wire.now, one, CommandStatus::ESME_RTHROTTLED, MessageId::EMPTY);
    let (at_esme, at_smsc) = wire.exchange();
    let answers: BTreeMap<u32, (CommandStatus, String)> = at_esme
        .into_iter()
        .map(|event| match event {
            Event::Ended {
                token,
                end: End::Answered(Pdu { status, body: Body::SubmitSmResp(resp), .. }),
                ..
            } => (token, (status, resp.message_id.to_string())),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers[&1], (CommandStatus::ESME_RTHROTTLED, String::new()));
    assert_eq!(answers[&2], (CommandStatus::ESME_ROK, "b".to_owned()));
    let [Event::Ended { token: 3, end: End::Answered(pdu), .. }] = take(at_smsc) else { panic!("an answer") };
    assert_eq!(pdu.body.command_id(), CommandId::DELIVER_SM_RESP);
}

#[test]
fn bind_resp_and_deliver_sm_may_come_in_one_segment() {
    let mut wire = Wire::new(10);
    wire.esme.send_bind(wire.now, &bind(BindMode::Transceiver), 0).unwrap();
    let (_, events) = wire.exchange();
    let [Event::Bind(unanswered, _)] = take(events) else { panic!("a bind") };
    wire.smsc.answer_bind(unanswered, CommandStatus::ESME_ROK, "SMSC".parse().unwrap());
    wire.smsc.send_sm(wire.now, &sm(b"waiting since yesterday"), 9).unwrap();
    let mut segment = wire.smsc.output().split();
    wire.esme.receive(wire.now, &mut segment);
    let [Event::Ended { token: 0, .. }, Event::Sm(unanswered, _)] = take(drain(&mut wire.esme)) else {
        panic!("bound, then a message")
    };
    wire.esme.answer_sm(wire.now, unanswered, CommandStatus::ESME_ROK, MessageId::EMPTY);
}

#[test]
fn a_bind_allows_what_its_kind_says() {
    let mut tx = Wire::bound(BindMode::Transmitter, 10);
    assert_eq!(tx.smsc.send_sm(tx.now, &sm(b""), 7), Err((RequestError::NotBound, 7)));
    assert!(tx.esme.send_sm(tx.now, &sm(b""), 7).is_ok());
    let mut rx = Wire::bound(BindMode::Receiver, 10);
    assert_eq!(rx.esme.send_sm(rx.now, &sm(b""), 7), Err((RequestError::NotBound, 7)));
    assert!(rx.smsc.send_sm(rx.now, &sm(b""), 7).is_ok());
    let mut open = Wire::new(10);
    assert_eq!(open.esme.send_sm(open.now, &sm(b""), 7), Err((RequestError::NotBound, 7)));
    assert_eq!(open.smsc.send_bind(open.now, &bind(BindMode::Receiver), 7), Err((RequestError::NotBound, 7)));
}

#[test]
fn a_peer_that_asks_out_of_state_is_told_so() {
    let now = Instant::now();
    let submit = {
        let mut octets = BytesMut::new();
        Pdu { status: CommandStatus::ESME_ROK, sequence: 5, body: Body::SubmitSm(sm(b"x")) }
            .encode(&mut octets);
        octets
    };
    // submit_sm before a bind, and to an ESME.
    for role in [Role::Smsc, Role::Esme] {
        let mut session = Session::new(SessionConfig::new(role), now);
        feed(&mut session, now, &submit);
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut session)).unwrap();
        assert_eq!(pdu.body.command_id(), CommandId::SUBMIT_SM_RESP);
        assert_eq!((pdu.status, pdu.sequence), (CommandStatus::ESME_RINVBNDSTS, 5));
    }
    // A second bind.
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    let mut octets = BytesMut::new();
    Pdu { status: CommandStatus::ESME_ROK, sequence: 6, body: Body::Bind(bind(BindMode::Receiver)) }
        .encode(&mut octets);
    feed(&mut wire.smsc, wire.now, &octets);
    let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.smsc)).unwrap();
    assert_eq!(pdu.body.command_id(), CommandId::BIND_RECEIVER_RESP);
    assert_eq!(pdu.status, CommandStatus::ESME_RALYBND);
    assert_eq!(wire.smsc.bound(), Some(BindMode::Transceiver));
}

#[test]
fn a_refused_bind_leaves_the_session_open_for_another() {
    let mut wire = Wire::new(10);
    wire.esme.send_bind(wire.now, &bind(BindMode::Transceiver), 0).unwrap();
    let (_, events) = wire.exchange();
    let [Event::Bind(unanswered, _)] = take(events) else { panic!("a bind") };
    wire.smsc.answer_bind(unanswered, CommandStatus::ESME_RBINDFAIL, SystemId::EMPTY);
    let (events, _) = wire.exchange();
    let [Event::Ended { end: End::Answered(pdu), .. }] = take(events) else { panic!("refused") };
    assert_eq!(pdu.status, CommandStatus::ESME_RBINDFAIL);
    assert_eq!((wire.esme.bound(), wire.smsc.bound()), (None, None));
    assert!(wire.esme.send_bind(wire.now, &bind(BindMode::Transmitter), 1).is_ok());
}

// ---- Window and time

#[test]
fn the_window_is_given_back_by_response_and_time_out_only() {
    let mut wire = Wire::bound(BindMode::Transceiver, 2);
    for token in [1, 2] {
        wire.esme.send_sm(wire.now, &sm(b""), token).unwrap();
    }
    assert_eq!(wire.esme.send_sm(wire.now, &sm(b""), 3), Err((RequestError::WindowFull, 3)));
    let (_, events) = wire.exchange();
    let [Event::Sm(one, _), Event::Sm(two, _)] = take(events) else { panic!("two submit_sm") };
    wire.smsc.answer_sm(wire.now, two, CommandStatus::ESME_ROK, MessageId::EMPTY);
    wire.exchange();
    assert!(wire.esme.send_sm(wire.now, &sm(b""), 3).is_ok());

    wire.now += 30 * SECOND;
    wire.esme.handle_timeout(wire.now);
    let mut ended: Vec<u32> = Vec::new();
    for event in drain(&mut wire.esme) {
        let Event::Ended { token, end: End::TimedOut, took, .. } = event else { panic!("{event:?}") };
        assert_eq!(took, 30 * SECOND);
        ended.push(token);
    }
    assert_eq!(ended, [1, 3]);
    assert_eq!(wire.esme.in_flight(), 0);

    // The answer that comes after all is told, and only told.
    wire.smsc.answer_sm(wire.now, one, CommandStatus::ESME_ROK, "late".parse().unwrap());
    let (events, _) = wire.exchange();
    let late = events.iter().filter(|event| {
        matches!(event, Event::Late(pdu) if matches!(&pdu.body,
        Body::SubmitSmResp(resp) if resp.message_id.as_bytes() == b"late"))
    });
    assert_eq!(late.count(), 1, "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Ended { .. })));
}

#[test]
fn enquire_link_goes_out_only_in_silence_and_is_answered_at_once() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    let start = wire.now;
    assert_eq!(wire.esme.next_deadline(), Some(start + 30 * SECOND));
    // Traffic moves the deadline.
    wire.now = start + 20 * SECOND;
    wire.smsc.send_sm(wire.now, &sm(b"mo"), 1).unwrap();
    wire.exchange();
    wire.esme.handle_timeout(start + 30 * SECOND);
    assert!(wire.esme.output().is_empty());
    wire.now = start + 50 * SECOND;
    wire.esme.handle_timeout(wire.now);
    let (at_esme, at_smsc) = wire.exchange();
    assert!(at_esme.is_empty() && at_smsc.is_empty(), "{at_esme:?} {at_smsc:?}");
    assert_eq!(wire.esme.next_deadline(), Some(wire.now + 30 * SECOND));
}

#[test]
fn a_silent_peer_ends_the_session_and_one_that_only_ignores_enquire_link_does_not() {
    for traffic in [false, true] {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        let start = wire.now;
        wire.esme.handle_timeout(start + 30 * SECOND);
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
        assert_eq!(pdu.body, Body::EnquireLink);
        wire.esme.send_sm(start + 31 * SECOND, &sm(b""), 1).unwrap();
        wire.esme.output().clear();
        if traffic {
            feed(&mut wire.esme, start + 40 * SECOND, &raw(0x15, 0, 1, &[]));
        }
        wire.esme.handle_timeout(start + 60 * SECOND);
        assert_eq!(wire.esme.is_closed(), !traffic);
        if !traffic {
            let [Event::Ended { token: 1, end: End::Lost, .. }, Event::Closed(CloseReason::PeerSilent)] =
                take(drain(&mut wire.esme))
            else {
                panic!("lost, then closed")
            };
        }
    }
}

#[test]
fn unbind_waits_for_what_is_under_way_and_takes_nothing_new() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    wire.esme.send_sm(wire.now, &sm(b"mt"), 1).unwrap();
    wire.smsc.send_sm(wire.now, &sm(b"mo"), 2).unwrap();
    let (at_esme, at_smsc) = wire.exchange();
    let [Event::Sm(mo, _)] = take(at_esme) else { panic!("a deliver_sm") };
    let [Event::Sm(mt, _)] = take(at_smsc) else { panic!("a submit_sm") };

    wire.esme.unbind(wire.now);
    assert_eq!(wire.esme.send_sm(wire.now, &sm(b""), 3), Err((RequestError::NotBound, 3)));
    assert!(wire.esme.output().is_empty());
    wire.smsc.send_sm(wire.now, &sm(b"too late"), 4).unwrap();
    let (_, events) = wire.exchange();
    let [Event::Ended { token: 4, end: End::Answered(pdu), .. }] = take(events) else { panic!("refused") };
    assert_eq!(pdu.status, CommandStatus::ESME_RX_T_APPN);
    drain(&mut wire.esme);

    wire.esme.answer_sm(wire.now, mo, CommandStatus::ESME_ROK, MessageId::EMPTY);
    wire.exchange();
    assert!(!wire.esme.is_closed());
    wire.smsc.answer_sm(wire.now, mt, CommandStatus::ESME_ROK, MessageId::EMPTY);
    let (at_esme, at_smsc) = wire.exchange();
    let [Event::Ended { token: 1, end: End::Answered(_), .. }, Event::Closed(CloseReason::Unbound)] =
        take(at_esme)
    else {
        panic!("answered, then unbound")
    };
    let [Event::Closed(CloseReason::PeerUnbound)] = take(at_smsc) else { panic!("unbound by the peer") };
    assert_eq!(wire.esme.send_sm(wire.now, &sm(b""), 3), Err((RequestError::Closed, 3)));
}

#[test]
fn unbind_ends_even_where_nobody_answers_it() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    wire.esme.unbind(wire.now + 10 * SECOND);
    let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
    assert_eq!(pdu.body, Body::Unbind);
    wire.esme.handle_timeout(wire.now + 30 * SECOND);
    assert_eq!(output(&mut wire.esme), [], "no enquire_link after unbind");
    wire.esme.handle_timeout(wire.now + 40 * SECOND);
    let [Event::Closed(CloseReason::Unbound)] = take(drain(&mut wire.esme)) else { panic!("closed") };
}

#[test]
fn sequence_numbers_wrap_to_one() {
    let now = Instant::now();
    let config = SessionConfig { first_sequence: 0x7FFF_FFFF, ..SessionConfig::new(Role::Esme) };
    let mut session = Session::new(config, now);
    assert_eq!(session.send_bind(now, &bind(BindMode::Transceiver), 0), Ok(0x7FFF_FFFF));
    feed(&mut session, now, &raw(0x8000_0009, 0, 0x7FFF_FFFF, b"\0"));
    assert_eq!(session.send_sm(now, &sm(b""), 1), Ok(1));
}

// ---- Odd peers

/// The octets of a deliver_sm body in pieces: before source_addr, source_addr, up to sm_length, the rest.
fn deliver(source: &[u8], sm_length: u8, rest: &[u8]) -> Vec<u8> {
    [&b"\0\x01\x01"[..], source, b"\0\x01\x011234\0\0\0\0\0\0\0\0\0\0", &[sm_length], rest].concat()
}

fn payload(octets: u16) -> Vec<u8> {
    let mut body = deliver(b"49170", 0, &[0x04, 0x24]);
    body.put_u16(octets);
    body.resize(body.len() + usize::from(octets), 0xAA);
    body
}

enum Expect {
    /// Handed to the caller.
    Message,
    /// Answered by the session: command id and status.
    Answer(CommandId, CommandStatus),
    /// Told as an event, nothing to answer.
    Event,
}

/// `smpp-rules`: input seen live, each followed by normal traffic.
fn corpus() -> Vec<(&'static str, Vec<u8>, Expect)> {
    let deliver_sm = |body: &[u8]| raw(5, 0, 77, body);
    let refused = |status| Expect::Answer(CommandId::DELIVER_SM_RESP, status);
    let unanswered_resp = |id, body: &[u8]| (raw(id, 0, 0x0055_5555, body), Expect::Event);
    let (never_sent, never_sent_expected) = unanswered_resp(0x8000_0004, b"id\0");
    let (foreign_resp, foreign_resp_expected) = unanswered_resp(0x8000_0999, b"");
    vec![
        ("Latin-1 octet in source_addr", deliver_sm(&deliver(b"caf\xE9", 1, b"x")), Expect::Message),
        (
            "22 characters in source_addr",
            deliver_sm(&deliver(b"1234567890123456789012", 1, b"x")),
            refused(CommandStatus::ESME_RINVSRCADR),
        ),
        ("stray octets at the end", deliver_sm(&deliver(b"49170", 1, b"x\x01\x02\x03")), Expect::Message),
        (
            "TLV past the end",
            deliver_sm(&deliver(b"49170", 1, b"x\x04\x24\x00\x09ab")),
            refused(CommandStatus::ESME_RINVOPTPARSTREAM),
        ),
        (
            "sm_length past the end",
            deliver_sm(&deliver(b"49170", 200, b"x")),
            refused(CommandStatus::ESME_RINVMSGLEN),
        ),
        (
            "C-octet string without NUL",
            deliver_sm(b"\0\x01\x0149170"),
            refused(CommandStatus::ESME_RINVSRCADR),
        ),
        (
            "known TLV of wrong length",
            deliver_sm(&deliver(b"49170", 1, b"x\x04\x27\x00\x02\x02\x02")),
            Expect::Message,
        ),
        ("message_payload of 5000 octets", deliver_sm(&payload(5000)), Expect::Message),
        ("message_payload of 20000 octets", deliver_sm(&payload(20_000)), Expect::Message),
        (
            "enquire_link with 4 extra octets",
            raw(0x15, 0, 77, &[1, 2, 3, 4]),
            Expect::Answer(CommandId::ENQUIRE_LINK_RESP, CommandStatus::ESME_ROK),
        ),
        (
            "unknown command id",
            raw(0x0001_0203, 0, 77, b"what"),
            Expect::Answer(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID),
        ),
        (
            "known request not served",
            raw(0x103, 0, 77, b"\0\0\0\0\0\0\0\0\0\0"),
            Expect::Answer(CommandId::DATA_SM_RESP, CommandStatus::ESME_RINVCMDID),
        ),
        ("alert_notification", raw(0x102, 0, 77, b"\0\0\0\0\0\0"), Expect::Event),
        ("response to a sequence never sent", never_sent, never_sent_expected),
        ("unknown response id", foreign_resp, foreign_resp_expected),
        ("generic_nack with sequence 0", raw(0x8000_0000, 3, 0, b""), Expect::Event),
        ("empty deliver_sm", deliver_sm(b""), refused(CommandStatus::ESME_RINVCMDLEN)),
    ]
}

#[test]
fn the_session_survives_all_odd_input_seen_live() {
    for (name, octets, expect) in corpus() {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        feed(&mut wire.esme, wire.now, &octets);
        let events = drain(&mut wire.esme);
        match expect {
            Expect::Message => {
                let [Event::Sm(unanswered, _)] = take(events) else { panic!("{name}: a message") };
                wire.esme.answer_sm(wire.now, unanswered, CommandStatus::ESME_ROK, MessageId::EMPTY);
                let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
                assert_eq!(pdu.body.command_id(), CommandId::DELIVER_SM_RESP, "{name}");
                assert_eq!((pdu.status, pdu.sequence), (CommandStatus::ESME_ROK, 77), "{name}");
            }
            Expect::Answer(command_id, status) => {
                let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
                assert_eq!(pdu.body.command_id(), command_id, "{name}");
                assert_eq!((pdu.status, pdu.sequence), (status, 77), "{name}");
                assert!(
                    events.iter().all(|event| matches!(event, Event::Refused { .. })),
                    "{name}: {events:?}"
                );
            }
            Expect::Event => {
                assert!(wire.esme.output().is_empty(), "{name}");
                assert_eq!(events.len(), 1, "{name}: {events:?}");
            }
        }
        // Normal traffic goes on.
        wire.esme.send_sm(wire.now, &sm(b"mt"), 1).unwrap();
        wire.smsc.send_sm(wire.now, &sm(b"mo"), 2).unwrap();
        let (at_esme, at_smsc) = wire.exchange();
        assert!(matches!(at_esme[..], [Event::Sm(..)]), "{name}: {at_esme:?}");
        assert!(matches!(at_smsc[..], [Event::Sm(..)]), "{name}: {at_smsc:?}");
    }
}

#[test]
fn odd_responses_still_answer_their_request() {
    let long_id = [&[b'7'; 66][..], b"\0"].concat();
    let unterminated = [b'7'; 10];
    let endless = [&[b'7'; 200][..], b"\0"].concat();
    for (name, body, message_id) in [
        ("message_id of 66 octets", &long_id[..], Some(66)),
        ("message_id without NUL", &unterminated, None),
        ("message_id of 200 octets", &endless, None),
        ("no body", b"", Some(0)),
    ] {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        let sequence = wire.esme.send_sm(wire.now, &sm(b""), 5).unwrap();
        feed(&mut wire.esme, wire.now, &raw(0x8000_0004, 0, sequence, body));
        let [Event::Ended { token: 5, end: End::Answered(pdu), .. }] = take(drain(&mut wire.esme)) else {
            panic!("{name}")
        };
        assert!(pdu.status.is_ok());
        match (pdu.body, message_id) {
            (Body::SubmitSmResp(resp), Some(length)) => assert_eq!(resp.message_id.as_bytes().len(), length),
            (Body::Malformed(_, DecodeError::Unterminated { .. } | DecodeError::TooLong { .. }), None) => {}
            (body, _) => panic!("{name}: {body:?}"),
        }
        // Once more is once too often.
        feed(&mut wire.esme, wire.now, &raw(0x8000_0004, 0, sequence, body));
        let [Event::Unexpected(_)] = take(drain(&mut wire.esme)) else { panic!("{name}: a duplicate") };
        assert!(!wire.esme.is_closed());
    }
}

#[test]
fn generic_nack_ends_the_request_it_names_and_never_says_yes() {
    for (sent, seen) in [(0x03, CommandStatus::ESME_RINVCMDID), (0x00, CommandStatus::ESME_RUNKNOWNERR)] {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        let sequence = wire.esme.send_sm(wire.now, &sm(b""), 5).unwrap();
        feed(&mut wire.esme, wire.now, &raw(0x8000_0000, sent, sequence, b""));
        let [Event::Ended { token: 5, end: End::Answered(pdu), .. }] = take(drain(&mut wire.esme)) else {
            panic!("a nack")
        };
        assert_eq!(pdu.status, seen);
    }
}

#[test]
fn a_response_of_another_kind_answers_nothing() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    let sequence = wire.esme.send_sm(wire.now, &sm(b""), 5).unwrap();
    feed(&mut wire.esme, wire.now, &raw(0x8000_0005, 0, sequence, b"\0"));
    let [Event::Unexpected(_)] = take(drain(&mut wire.esme)) else { panic!("the wrong kind") };
    assert_eq!(wire.esme.in_flight(), 1);
}

#[test]
fn a_length_without_boundary_ends_the_session_at_once() {
    for length in [0_u32, 15, 70_000, u32::MAX] {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        wire.esme.send_sm(wire.now, &sm(b""), 5).unwrap();
        wire.esme.output().clear();
        feed(&mut wire.esme, wire.now, &length.to_be_bytes());
        let [Event::Ended { token: 5, end: End::Lost, .. }, Event::Closed(CloseReason::Framing(error))] =
            take(drain(&mut wire.esme))
        else {
            panic!("length {length}")
        };
        assert_eq!(error.found, length);
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
        assert_eq!((pdu.body, pdu.status), (Body::GenericNack, CommandStatus::ESME_RINVCMDLEN));
    }
}

// ---- Whatever happens, in whatever order

#[derive(Debug, Clone)]
enum Step {
    Send,
    /// Answers the request that was sent so many before the last, with its own response or a nack.
    Answer(u32, bool),
    Wait(u64),
    Octets(Vec<u8>),
    Unbind,
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Send),
        8 => (0..12_u32, any::<bool>()).prop_map(|(back, nack)| Step::Answer(back, nack)),
        3 => (0..40_u64).prop_map(Step::Wait),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|mut octets| {
            // A length that is in range, so that most of them are PDUs.
            if let Some(start) = octets.get_mut(..3) {
                start.fill(0);
            }
            Step::Octets(octets)
        }),
        1 => Just(Step::Unbind),
        1 => Just(Step::Lose),
    ]
}

proptest! {
    #[test]
    fn every_request_ends_exactly_once(steps in prop::collection::vec(step(), 0..120)) {
        let Wire { mut now, mut esme, .. } = Wire::bound(BindMode::Transceiver, 4);
        let mut input = BytesMut::new();
        let (mut sent, mut last, mut ends) = (0_u32, 0_u32, BTreeMap::<u32, u32>::new());
        let mut closed = 0;
        let mut count = |session: &mut Session<u32>| {
            for event in drain(session) {
                prop_assert_eq!(closed, 0, "an event after the close: {:?}", event);
                match event {
                    Event::Ended { token, .. } => *ends.entry(token).or_default() += 1,
                    Event::Closed(_) => closed += 1,
                    _ => {}
                }
            }
            Ok(())
        };
        for step in steps {
            match step {
                Step::Send => match esme.send_sm(now, &sm(b""), sent + 1) {
                    Ok(sequence) => (sent, last) = (sent + 1, sequence),
                    Err((_, token)) => prop_assert_eq!(token, sent + 1),
                },
                Step::Answer(back, nack) => {
                    let id = if nack { 0x8000_0000 } else { 0x8000_0004 };
                    input.extend_from_slice(&raw(id, 0, last.saturating_sub(back), b""));
                    esme.receive(now, &mut input);
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    esme.handle_timeout(now);
                }
                Step::Octets(octets) => {
                    input.extend_from_slice(&octets);
                    esme.receive(now, &mut input);
                }
                Step::Unbind => esme.unbind(now),
                Step::Lose => esme.close(now, CloseReason::ConnectionLost),
            }
            prop_assert!(esme.in_flight() <= 4);
            count(&mut esme)?;
        }
        esme.close(now, CloseReason::ConnectionLost);
        count(&mut esme)?;
        prop_assert_eq!(esme.in_flight(), 0);
        prop_assert_eq!(esme.next_deadline(), None);
        prop_assert_eq!(closed, 1);
        prop_assert_eq!(ends.len(), usize::try_from(sent).unwrap());
        prop_assert!(ends.values().all(|count| *count == 1), "{:?}", ends);
    }
}
