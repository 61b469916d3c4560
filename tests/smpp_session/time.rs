//! The window and the timers.

use std::time::Instant;

use airwrite::smpp::{
    BindMode, Body, CloseReason, CommandStatus, End, Event, MessageId, Pdu, RequestError, Role, Session,
    SessionConfig,
};

use crate::wire::{SECOND, Wire, bind, drain, feed, output, raw, sm, take};

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
