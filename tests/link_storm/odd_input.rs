//! Odd PDUs seen live: each is answered with its own response id, and the session goes on.

use std::time::Duration;

use airwrite::link::{LinkState, SubmitOutcome};
use airwrite::smpp::{CommandStatus, Event, Role, Session, SessionConfig, SystemId};
use bytes::BytesMut;
use tokio::time::timeout;

use crate::peer::{
    BIND_TRANSCEIVER, DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, Peer, RESPONSE, RawPdu, SUBMIT_SM, Setup, pdu,
    sm_body, submit_sm,
};

const ROK: u32 = 0;
const RINVMSGLEN: u32 = 0x01;
const RINVCMDID: u32 = 0x03;
const RINVSRCADR: u32 = 0x0A;
const RINVDSTADR: u32 = 0x0B;
const RINVOPTPARSTREAM: u32 = 0xC0;

/// An unknown request.
const UNKNOWN: u32 = 0x0001_0203;

/// The sequence number of what is odd.
const ODD: u32 = 77;

/// An odd request and the answer it gets.
struct OddRequest {
    name: &'static str,
    octets: Vec<u8>,
    answer: (u32, u32),
}

/// The odd requests of a live peer, those that carry a message made as `sm`.
fn odd_requests(sm: u32) -> Vec<OddRequest> {
    let source = b"491700000001\0";
    let message = [4, 1, 2, 3, 4];
    let with_rest = |rest: &[u8]| pdu(sm, 0, ODD, &sm_body(source, rest));
    let payload = |octets: usize| {
        let mut rest = vec![0, 0x04, 0x24];
        rest.extend(u16::try_from(octets).unwrap().to_be_bytes());
        rest.resize(rest.len() + octets, 0xA5);
        with_rest(&rest)
    };
    let stray = [&message[..], &[9, 9, 9]].concat();
    let tlv_past_end = [&message[..], &[0x04, 0x24, 0, 9, 1, 2]].concat();
    let tlv_of_wrong_length = [&message[..], &[0x04, 0x27, 0, 3, 1, 2, 3]].concat();
    let without_nul: Vec<u8> = sm_body(source, &message).into_iter().take(3 + 13 + 2 + 5).collect();
    let sm_resp = sm | RESPONSE;
    let case = |name, octets, command_id, status| OddRequest { name, octets, answer: (command_id, status) };
    vec![
        case("Latin-1 octet in source_addr", pdu(sm, 0, ODD, &sm_body(b"caf\xE9\0", &message)), sm_resp, ROK),
        case(
            "22 characters in source_addr",
            pdu(sm, 0, ODD, &sm_body(b"4917000000000000000001\0", &message)),
            sm_resp,
            RINVSRCADR,
        ),
        case("stray octets at the end", with_rest(&stray), sm_resp, ROK),
        case("TLV running past the end", with_rest(&tlv_past_end), sm_resp, RINVOPTPARSTREAM),
        case("sm_length past the end", with_rest(&[200, 1, 2]), sm_resp, RINVMSGLEN),
        case("C-octet string without NUL", pdu(sm, 0, ODD, &without_nul), sm_resp, RINVDSTADR),
        case("known TLV of wrong length", with_rest(&tlv_of_wrong_length), sm_resp, ROK),
        case("message_payload of 5000 octets", payload(5_000), sm_resp, ROK),
        case("message_payload of 20000 octets", payload(20_000), sm_resp, ROK),
        case(
            "enquire_link with 4 octets too many",
            pdu(ENQUIRE_LINK, 0, ODD, &[1, 2, 3, 4]),
            ENQUIRE_LINK | RESPONSE,
            ROK,
        ),
        case("unknown command_id", pdu(UNKNOWN, 0, ODD, &[1, 2, 3]), GENERIC_NACK, RINVCMDID),
        case("submit_multi, which is not served here", pdu(0x21, 0, ODD, &[0]), 0x8000_0021, u32::MAX),
        case("an empty body", pdu(sm, 0, ODD, &[]), sm_resp, u32::MAX),
    ]
}

/// `u32::MAX` stands for any error.
fn assert_answer(case: &OddRequest, answer: &RawPdu) {
    let (command_id, status) = case.answer;
    assert_eq!((answer.command_id, answer.sequence), (command_id, ODD), "{}: {answer:?}", case.name);
    match status {
        u32::MAX => assert_ne!(answer.status, ROK, "{}", case.name),
        status => assert_eq!(answer.status, status, "{}", case.name),
    }
}

/// A deliver_sm as it should be, an enquire_link, a submit_sm of ours: all answered on the same connection.
async fn assert_goes_on(setup: &mut Setup, peer: &mut Peer<tokio::net::TcpStream>, name: &str) {
    let deliver = pdu(DELIVER_SM, 0, 78, &sm_body(b"491700000001\0", &[1, 0xAB]));
    peer.send(&deliver).await.unwrap();
    answer_deliveries(setup, 1).await;
    let answer = peer.next().await.unwrap_or_else(|| panic!("{name}: the connection is gone"));
    assert_eq!(
        (answer.command_id, answer.sequence, answer.status),
        (DELIVER_SM | RESPONSE, 78, ROK),
        "{name}"
    );
    let submitted = tokio::spawn(setup.link.slot().await.unwrap().submit(submit_sm(b"on")));
    let submit = peer.next().await.unwrap();
    assert_eq!(submit.command_id, SUBMIT_SM, "{name}");
    peer.send(&pdu(SUBMIT_SM | RESPONSE, 0, submit.sequence, b"id\0")).await.unwrap();
    assert!(
        matches!(submitted.await.unwrap(), SubmitOutcome::Answered { status, .. } if status.is_ok()),
        "{name}"
    );
    assert_eq!(*setup.link.state().borrow(), LinkState::Bound, "{name}");
    assert_eq!(setup.link.metrics().connected.load(std::sync::atomic::Ordering::Relaxed), 1, "{name}");
}

async fn answer_deliveries(setup: &mut Setup, count: usize) {
    for _ in 0..count {
        let delivery = timeout(Duration::from_secs(10), setup.inbound.recv()).await.unwrap().unwrap();
        delivery.answer.send(CommandStatus::ESME_ROK);
    }
}

#[tokio::test]
async fn an_esme_answers_each_odd_request_and_goes_on() {
    for case in odd_requests(DELIVER_SM) {
        let mut setup = Setup::new(|_| {}).await;
        let mut peer = setup.accept().await;
        peer.send(&case.octets).await.unwrap();
        if case.answer == (DELIVER_SM | RESPONSE, ROK) {
            answer_deliveries(&mut setup, 1).await;
        }
        let answer = peer.next().await.unwrap_or_else(|| panic!("{}: the connection is gone", case.name));
        assert_answer(&case, &answer);
        assert_goes_on(&mut setup, &mut peer, case.name).await;
        setup.shutdown.cancel();
    }
}

#[tokio::test]
async fn an_esme_survives_each_odd_response() {
    // What stands behind the header of the response, and what is sent besides.
    let long_id = [&[b'7'; 66][..], b"\0"].concat();
    let never_sent = pdu(SUBMIT_SM | RESPONSE, 0, 4_711, b"id\0");
    let nack = pdu(GENERIC_NACK, 3, 0, &[]);
    let nothing = Vec::new();
    for (name, body, besides, twice) in [
        ("message_id of 66 octets", &long_id[..], &nothing, false),
        ("response to a sequence never sent", b"id\0", &never_sent, false),
        ("duplicate response", b"id\0", &nothing, true),
        ("generic_nack with sequence 0", b"id\0", &nack, false),
        ("response without a body", b"", &nothing, false),
        ("message_id without NUL", b"id", &nothing, false),
    ] {
        let mut setup = Setup::new(|_| {}).await;
        let mut peer = setup.accept().await;
        let submitted = tokio::spawn(setup.link.slot().await.unwrap().submit(submit_sm(b"odd")));
        let submit = peer.next().await.unwrap();
        peer.send(besides).await.unwrap();
        let response = pdu(SUBMIT_SM | RESPONSE, 0, submit.sequence, body);
        peer.send(&response).await.unwrap();
        if twice {
            peer.send(&response).await.unwrap();
        }
        let outcome = submitted.await.unwrap();
        assert!(
            matches!(outcome, SubmitOutcome::Answered { status, .. } if status.is_ok()),
            "{name}: {outcome:?}"
        );
        assert_goes_on(&mut setup, &mut peer, name).await;
        setup.shutdown.cancel();
    }
}

#[test]
fn an_smsc_answers_each_odd_request_and_goes_on() {
    for case in odd_requests(SUBMIT_SM) {
        let now = tokio::time::Instant::now().into_std();
        let mut session = Session::<()>::new(SessionConfig::new(Role::Smsc), now);
        let mut input = BytesMut::from(&pdu(BIND_TRANSCEIVER, 0, 1, b"airwrite\0secret\0\0\x34\0\0\0")[..]);
        session.receive(now, &mut input);
        let Some(Event::Bind(unanswered, _)) = session.next_event() else { panic!("a bind") };
        session.answer_bind(unanswered, CommandStatus::ESME_ROK, SystemId::EMPTY);
        session.output().clear();
        input.extend_from_slice(&case.octets);
        input.extend_from_slice(&pdu(SUBMIT_SM, 0, 78, &sm_body(b"491700000001\0", &[1, 0xAB])));
        session.receive(now, &mut input);
        while let Some(event) = session.next_event() {
            if let Event::Sm(unanswered, _) = event {
                session.answer_sm(now, unanswered, CommandStatus::ESME_ROK, "id".parse().unwrap());
            }
        }
        let output = session.output().split().to_vec();
        let mut peer = Peer::with_input(output);
        let answers: Vec<_> = std::iter::from_fn(|| peer.cut()).collect();
        assert_eq!(answers.len(), 2, "{}: {answers:?}", case.name);
        assert_answer(&case, &answers[0]);
        assert_eq!(
            (answers[1].command_id, answers[1].status, answers[1].sequence),
            (SUBMIT_SM | RESPONSE, ROK, 78)
        );
        assert!(!session.is_closed(), "{}", case.name);
    }
}

#[tokio::test]
async fn only_a_length_without_a_boundary_ends_the_session_and_at_once() {
    for length in [0_u32, 15, 0x7FFF_FFFF, u32::MAX] {
        let setup = Setup::new(|_| {}).await;
        let mut peer = setup.accept().await;
        let mut octets = length.to_be_bytes().to_vec();
        octets.extend([0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9]);
        peer.send(&octets).await.unwrap();
        // generic_nack, then the end of the stream; and the link comes back.
        let nack = peer.next().await.unwrap();
        assert_eq!((nack.command_id, nack.sequence), (GENERIC_NACK, 0), "command_length {length}");
        assert_eq!(peer.next().await, None, "command_length {length}");
        drop(peer);
        let _peer = timeout(Duration::from_secs(10), setup.accept()).await.unwrap();
        setup.shutdown.cancel();
    }
}
