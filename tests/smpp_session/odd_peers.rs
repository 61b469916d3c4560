//! Input of odd peers.

use airwrite::smpp::{
    BindMode, Body, CloseReason, CommandId, CommandStatus, DecodeError, End, Event, MessageId, Pdu,
};
use bytes::BufMut;

use crate::wire::{Wire, drain, feed, output, raw, sm, take};

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

/// Input seen live, each followed by normal traffic.
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
            raw(0x003, 0, 77, b"id\0\0\0\0"),
            Expect::Answer(CommandId::QUERY_SM_RESP, CommandStatus::ESME_RINVCMDID),
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
