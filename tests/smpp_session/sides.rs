//! Both sides: what each sends, and how it is answered.

use std::collections::BTreeMap;
use std::time::Instant;

use airwrite::smpp::{
    BindMode, Body, CommandId, CommandStatus, End, Event, MessageId, Pdu, RequestError, Role, Session,
    SessionConfig, SystemId,
};
use bytes::BytesMut;

use crate::wire::{Wire, bind, drain, feed, output, sm, take};

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
    for (role, status) in
        [(Role::Smsc, CommandStatus::ESME_RINVBNDSTS), (Role::Esme, CommandStatus::ESME_RINVCMDID)]
    {
        let mut session = Session::new(SessionConfig::new(role), now);
        feed(&mut session, now, &submit);
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut session)).unwrap();
        assert_eq!(pdu.body.command_id(), CommandId::SUBMIT_SM_RESP);
        assert_eq!((pdu.status, pdu.sequence), (status, 5));
    }
    // A second bind.
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    let mut octets = BytesMut::new();
    Pdu {
        status: CommandStatus::ESME_ROK,
        sequence: 6,
        body: Body::Bind(Box::new(bind(BindMode::Receiver))),
    }
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
