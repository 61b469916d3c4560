//! Requests that are neither binds nor short messages, and PDUs without a response.

use airwrite::smpp::{
    AlertNotification, BindMode, Body, BroadcastSm, CancelBroadcastSm, CancelSm, CommandId, CommandStatus,
    DataSm, End, Event, MessageId, MessageState, Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, RequestError,
    SmResp, SubmitMulti, SubmitMultiResp, WrongResponse,
};

use crate::wire::{Wire, drain, feed, output, raw, sm, take};

const ROK: CommandStatus = CommandStatus::ESME_ROK;

fn id() -> MessageId {
    "0af1".parse().unwrap()
}

fn sm_resp() -> SmResp {
    SmResp { message_id: id(), ..SmResp::default() }
}

/// Each request that an ESME sends besides submit_sm, with its response.
fn of_an_esme() -> [(Body, Body); 8] {
    [
        (Body::DataSm(DataSm::default()), Body::DataSmResp(sm_resp())),
        (Body::SubmitMulti(SubmitMulti::default()), Body::SubmitMultiResp(SubmitMultiResp::default())),
        (
            Body::QuerySm(QuerySm { message_id: id(), ..QuerySm::default() }),
            Body::QuerySmResp(QuerySmResp {
                message_id: id(),
                message_state: MessageState::DELIVERED,
                ..QuerySmResp::default()
            }),
        ),
        (Body::CancelSm(CancelSm { message_id: id(), ..CancelSm::default() }), Body::CancelSmResp),
        (Body::ReplaceSm(ReplaceSm { message_id: id(), ..ReplaceSm::default() }), Body::ReplaceSmResp),
        (Body::BroadcastSm(BroadcastSm::default()), Body::BroadcastSmResp(sm_resp())),
        (Body::QueryBroadcastSm(QuerySm::default()), Body::QueryBroadcastSmResp(sm_resp())),
        (Body::CancelBroadcastSm(CancelBroadcastSm::default()), Body::CancelBroadcastSmResp),
    ]
}

#[test]
fn an_esme_sends_requests_of_every_kind_and_each_is_answered_by_its_own_response() {
    for (request, response) in of_an_esme() {
        let mut wire = Wire::bound(BindMode::Transmitter, 1);
        wire.esme.send(wire.now, &request, 7).unwrap();
        assert_eq!(wire.esme.send(wire.now, &request, 8), Err((RequestError::WindowFull, 8)));
        let (_, events) = wire.exchange();
        let [Event::Request(unanswered, body)] = take(events) else { panic!("{request:?}") };
        assert_eq!(body, request);
        assert_eq!(wire.smsc.unanswered(), 1);
        wire.smsc.answer(wire.now, unanswered, ROK, &response).unwrap();
        let (events, _) = wire.exchange();
        let [Event::Ended { token: 7, end: End::Answered(pdu), .. }] = take(events) else {
            panic!("{request:?}")
        };
        assert_eq!((pdu.status, &pdu.body), (ROK, &response));

        // What is not served is refused by the caller, with the same response.
        wire.esme.send(wire.now, &request, 9).unwrap();
        let (_, events) = wire.exchange();
        let [Event::Request(unanswered, _)] = take(events) else { panic!("{request:?}") };
        wire.smsc.reject(wire.now, unanswered, CommandStatus::ESME_RINVCMDID);
        let (events, _) = wire.exchange();
        let [Event::Ended { token: 9, end: End::Answered(pdu), .. }] = take(events) else {
            panic!("{request:?}")
        };
        assert_eq!(
            (pdu.status, pdu.body.command_id()),
            (CommandStatus::ESME_RINVCMDID, response.command_id())
        );
        assert_eq!((wire.esme.in_flight(), wire.smsc.unanswered()), (0, 0));
    }
}

#[test]
fn data_sm_goes_to_an_esme_and_is_answered_like_a_short_message() {
    let mut wire = Wire::bound(BindMode::Receiver, 10);
    wire.smsc.send(wire.now, &Body::DataSm(DataSm::default()), 1).unwrap();
    let (events, _) = wire.exchange();
    let [Event::Request(unanswered, Body::DataSm(_))] = take(events) else { panic!("a data_sm") };
    wire.esme.answer_sm(wire.now, unanswered, ROK, id());
    let (_, events) = wire.exchange();
    let [Event::Ended { token: 1, end: End::Answered(pdu), .. }] = take(events) else { panic!("answered") };
    assert_eq!((pdu.status, pdu.body), (ROK, Body::DataSmResp(sm_resp())));
    // A transmitter's bind takes none.
    let mut wire = Wire::bound(BindMode::Transmitter, 10);
    let refused = wire.smsc.send(wire.now, &Body::DataSm(DataSm::default()), 1);
    assert_eq!(refused, Err((RequestError::NotBound, 1)));
}

#[test]
fn a_side_sends_only_its_own_requests() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    for (request, response) in of_an_esme() {
        if !matches!(request, Body::DataSm(_)) {
            assert_eq!(
                wire.smsc.send(wire.now, &request, 1),
                Err((RequestError::NotBound, 1)),
                "{request:?}"
            );
        }
        assert_eq!(wire.esme.send(wire.now, &response, 1), Err((RequestError::NotBound, 1)), "{response:?}");
    }
    for own in [Body::EnquireLink, Body::Unbind, Body::DeliverSm(sm(b"")), alert(), outbind()] {
        assert_eq!(wire.esme.send(wire.now, &own, 1), Err((RequestError::NotBound, 1)), "{own:?}");
    }
    assert_eq!(wire.smsc.send(wire.now, &alert(), 1), Err((RequestError::NotBound, 1)));
    assert_eq!(wire.esme.send(wire.now, &Body::SubmitSm(sm(b"mt")), 1), Ok(2));
    assert_eq!(wire.smsc.send(wire.now, &Body::DeliverSm(sm(b"mo")), 1), Ok(1));
}

#[test]
fn what_the_other_side_never_sends_is_answered_with_its_own_response() {
    for (request, response) in of_an_esme() {
        if matches!(request, Body::DataSm(_)) {
            continue;
        }
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        let mut octets = bytes::BytesMut::new();
        request.encode(ROK, 77, &mut octets);
        feed(&mut wire.esme, wire.now, &octets);
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.esme)).unwrap();
        assert_eq!((pdu.body.command_id(), pdu.sequence), (response.command_id(), 77));
        assert_eq!(pdu.status, CommandStatus::ESME_RINVCMDID);
        let [Event::Refused { sequence: 77, error: None, .. }] = take(drain(&mut wire.esme)) else {
            panic!("{request:?}")
        };
    }
}

#[test]
fn a_response_of_another_kind_is_told_and_answered_as_an_error() {
    let mut wire = Wire::bound(BindMode::Transceiver, 10);
    wire.esme.send(wire.now, &Body::QuerySm(QuerySm::default()), 1).unwrap();
    let (_, events) = wire.exchange();
    let [Event::Request(unanswered, _)] = take(events) else { panic!("a query_sm") };
    assert_eq!(
        wire.smsc.answer(wire.now, unanswered, ROK, &Body::CancelSmResp),
        Err(WrongResponse { expected: CommandId::QUERY_SM_RESP, found: CommandId::CANCEL_SM_RESP })
    );
    let (events, _) = wire.exchange();
    let [Event::Ended { token: 1, end: End::Answered(pdu), .. }] = take(events) else { panic!("answered") };
    assert_eq!((pdu.status, pdu.body.command_id()), (CommandStatus::ESME_RSYSERR, CommandId::QUERY_SM_RESP));
}

// ---- Without a response

fn outbind() -> Body {
    Body::Outbind(Outbind::default())
}

fn alert() -> Body {
    Body::AlertNotification(AlertNotification::default())
}

#[test]
fn an_smsc_notifies_and_an_esme_is_told() {
    let mut wire = Wire::new(10);
    assert_eq!(wire.smsc.notify(&alert()), Err(RequestError::NotBound));
    wire.smsc.notify(&outbind()).unwrap();
    let (events, _) = wire.exchange();
    let [Event::Notification(pdu)] = take(events) else { panic!("an outbind") };
    assert_eq!(pdu.body, outbind());

    let mut wire = Wire::bound(BindMode::Receiver, 10);
    assert_eq!(wire.smsc.notify(&outbind()), Err(RequestError::NotBound));
    assert_eq!(wire.smsc.notify(&Body::EnquireLink), Err(RequestError::NotBound));
    wire.smsc.notify(&alert()).unwrap();
    let (events, back) = wire.exchange();
    let [Event::Notification(pdu)] = take(events) else { panic!("an alert_notification") };
    assert_eq!(pdu.body, alert());
    assert!(back.is_empty(), "nothing answers it: {back:?}");
    assert_eq!(wire.esme.notify(&alert()), Err(RequestError::NotBound));
}

#[test]
fn a_notification_to_an_smsc_is_refused() {
    for command_id in [0x0B, 0x102] {
        let mut wire = Wire::bound(BindMode::Transceiver, 10);
        feed(&mut wire.smsc, wire.now, &raw(command_id, 0, 77, &[0; 6]));
        let [pdu] = <[Pdu; 1]>::try_from(output(&mut wire.smsc)).unwrap();
        assert_eq!((pdu.body, pdu.status), (Body::GenericNack, CommandStatus::ESME_RINVCMDID));
    }
}
