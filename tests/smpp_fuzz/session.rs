//! A session of either side, under any octets from the peer and any calls of its owner: every request ends once, every
//! answer goes to a request and has its id, and nothing happens after the end.

use std::time::{Duration, Instant};

use airwrite::smpp::*;
use bytes::BytesMut;

use crate::input::{Choices, samples};
use crate::iterations;

const WINDOW: u16 = 4;
const MAX: usize = 1024;

#[test]
fn session_target() {
    let samples = samples();
    bolero::check!(name = "session").with_iterations(iterations()).with_max_len(400).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let mut play = Play::new(&mut choices);
            while !choices.is_empty() {
                play.step(&mut choices, &samples);
            }
            play.end();
        },
    );
}

type Answer = Box<dyn FnOnce(&mut Session<u32>, Instant)>;

struct Play {
    session: Session<u32>,
    role: Role,
    now: Instant,
    input: BytesMut,
    /// Tokens of requests under way.
    under_way: Vec<u32>,
    next_token: u32,
    /// Sequence number and id of the answers the peer may expect.
    expected: Vec<(u32, CommandId)>,
    /// Sequence numbers of notifications: they have no answer, unless they cannot be read.
    notified: Vec<u32>,
    /// What was taken in and is not answered yet; both kinds give their answer by a call of the session.
    unanswered: Vec<Answer>,
    closed: bool,
}

impl Play {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as a start here")]
    fn new(choices: &mut Choices<'_>) -> Self {
        let first = choices.octet();
        let role = if first & 1 == 0 { Role::Esme } else { Role::Smsc };
        let config = SessionConfig { window: WINDOW, max_pdu_octets: MAX, ..SessionConfig::new(role) };
        let now = Instant::now();
        let mut play = Self {
            session: Session::new(config, now),
            role,
            now,
            input: BytesMut::new(),
            under_way: Vec::new(),
            next_token: 0,
            expected: Vec::new(),
            notified: Vec::new(),
            unanswered: Vec::new(),
            closed: false,
        };
        // Most of what can go wrong does so on a bound session.
        if first & 2 == 0 {
            play.bind();
        }
        play
    }

    fn bind(&mut self) {
        let system_id = SystemId::EMPTY;
        let bind = Bind::new(BindMode::Transceiver, system_id, Password::default());
        let mut octets = BytesMut::new();
        if self.role == Role::Esme {
            self.send(|session, now, token| session.send_bind(now, &bind, token));
            let resp = BindResp { mode: BindMode::Transceiver, system_id, tlvs: Tlvs::default() };
            Body::BindResp(resp).encode(CommandStatus::ESME_ROK, 1, &mut octets);
        } else {
            Body::Bind(Box::new(bind)).encode(CommandStatus::ESME_ROK, 1, &mut octets);
        }
        self.receive(&octets);
        self.answer(0);
        assert_eq!(self.session.bound(), Some(BindMode::Transceiver));
    }

    fn step(&mut self, choices: &mut Choices<'_>, samples: &[BytesMut]) {
        match choices.octet() % 16 {
            0..=8 => {
                let pdu = choices.damaged_pdu(samples);
                let (first, rest) = pdu.split_at(choices.below(pdu.len() + 1));
                self.receive(first);
                self.receive(rest);
            }
            9 | 10 => self.send(|session, now, token| session.send_sm(now, &Sm::default(), token)),
            11 => {
                let bind = Bind::new(BindMode::Transmitter, SystemId::EMPTY, Password::default());
                self.send(|session, now, token| session.send_bind(now, &bind, token));
            }
            12 | 13 => {
                let held = choices.below(self.unanswered.len());
                self.answer(held);
            }
            14 => {
                self.now += Duration::from_secs(u64::from(choices.octet() % 40));
                self.session.handle_timeout(self.now);
            }
            _ if choices.octet().is_multiple_of(4) => {
                self.session.close(self.now, CloseReason::ConnectionLost)
            }
            _ => self.session.unbind(self.now),
        }
        self.settle();
    }

    fn send(
        &mut self,
        send: impl FnOnce(&mut Session<u32>, Instant, u32) -> Result<u32, (RequestError, u32)>,
    ) {
        let token = self.next_token;
        self.next_token += 1;
        match send(&mut self.session, self.now, token) {
            Ok(sequence) => {
                assert!(sequence > 0 && sequence <= 0x7FFF_FFFF);
                self.under_way.push(token);
            }
            Err((_, back)) => assert_eq!(back, token),
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        if !self.session.is_closed() {
            let mut ahead = self.input.clone();
            while let Ok(Some(Frame { header, .. })) = frame::next(&mut ahead, MAX) {
                if header.command_id.is_notification() {
                    self.notified.push(header.sequence);
                } else if !header.command_id.is_response() {
                    self.expected.push((header.sequence, header.command_id.response()));
                }
            }
        }
        self.session.receive(self.now, &mut self.input);
        self.settle();
    }

    fn answer(&mut self, held: usize) {
        if held < self.unanswered.len() {
            self.unanswered.remove(held)(&mut self.session, self.now);
            self.settle();
        }
    }

    /// Takes events and output, and checks them.
    fn settle(&mut self) {
        while let Some(event) = self.session.next_event() {
            assert!(!self.closed, "{event:?} after the end");
            match event {
                Event::Ended { token, .. } => {
                    let at = self.under_way.iter().position(|other| *other == token);
                    self.under_way.swap_remove(at.expect("a request ends once"));
                }
                Event::Bind(bind, _) => self.unanswered.push(Box::new(|session, _| {
                    session.answer_bind(bind, CommandStatus::ESME_ROK, SystemId::EMPTY);
                })),
                Event::Sm(sm, _) => self.unanswered.push(Box::new(|session, now| {
                    session.answer_sm(now, sm, CommandStatus::ESME_ROK, MessageId::EMPTY);
                })),
                Event::Request(request, _) => self.unanswered.push(Box::new(|session, now| {
                    session.reject(now, request, CommandStatus::ESME_RINVCMDID);
                })),
                Event::Closed(_) => self.closed = true,
                _ => {}
            }
        }
        assert_eq!(self.closed, self.session.is_closed());
        assert!(self.session.in_flight() <= usize::from(WINDOW));
        assert!(self.session.in_flight() <= self.under_way.len());
        let mut output = self.session.output().split();
        while let Some(frame) = frame::next(&mut output, usize::MAX).unwrap() {
            let pdu = Pdu::decode(frame);
            assert!(!matches!(pdu.body, Body::Malformed(..) | Body::Unknown(_)), "{pdu:?}");
            self.check_answer(pdu.sequence, pdu.body.command_id());
        }
        assert!(output.is_empty());
    }

    fn check_answer(&mut self, sequence: u32, command_id: CommandId) {
        if !command_id.is_response() {
            return;
        }
        match self.expected.iter().position(|expected| *expected == (sequence, command_id)) {
            Some(at) => {
                self.expected.swap_remove(at);
            }
            // About a length that is none, or a notification.
            None => {
                assert_eq!(command_id, CommandId::GENERIC_NACK, "an answer to nothing");
                assert!(sequence == 0 || self.notified.contains(&sequence), "an answer to nothing");
            }
        }
    }

    fn end(mut self) {
        while !self.unanswered.is_empty() {
            self.answer(0);
        }
        if !self.session.is_closed() {
            assert_eq!(self.expected.len(), self.session.unanswered(), "never silence");
        }
        self.session.close(self.now, CloseReason::ConnectionLost);
        self.settle();
        assert!(self.under_way.is_empty(), "every request ends");
        assert_eq!(self.session.next_deadline(), None);
        assert_eq!(self.session.in_flight(), 0);
    }
}
