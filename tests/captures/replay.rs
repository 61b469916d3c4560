//! What was said in `pcaps/`, said again to our sessions: as the ESME and as the SMSC.

use std::collections::BTreeMap;
use std::time::Instant;

use airwrite::pcap::{Dialogue, DialoguePdu, Side};
use airwrite::smpp::{Body, CommandId, End, Event, Role, Session, SessionConfig, Unanswered, UnansweredBind};
use bytes::{BufMut, BytesMut};

use crate::captures;

#[test]
fn sessions_take_what_was_said_on_either_side() {
    for (name, capture) in captures() {
        for dialogue in capture.dialogues {
            let binds = |seen: &&DialoguePdu| matches!(seen.pdu.body, Body::Bind(_));
            let Some(bind) = dialogue.pdus.iter().find(binds) else { continue };
            for (role, own) in [(Role::Esme, bind.from), (Role::Smsc, bind.from.other())] {
                Replay::new(&name, role, own).run(&dialogue);
            }
        }
    }
}

/// One side is played by our session, the other one by the capture.
struct Replay<'a> {
    name: &'a str,
    own: Side,
    now: Instant,
    session: Session<u32>,
    /// What our session calls a request that the capture calls by another sequence number.
    sent: BTreeMap<u32, u32>,
    ended: usize,
    bind: Option<UnansweredBind>,
    /// Messages without an answer, by their sequence number.
    messages: BTreeMap<u32, Unanswered>,
}

impl<'a> Replay<'a> {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of a session's time")]
    fn new(name: &'a str, role: Role, own: Side) -> Self {
        let now = Instant::now();
        let config = SessionConfig { window: 1000, enquire_link: None, ..SessionConfig::new(role) };
        Self {
            name,
            own,
            now,
            session: Session::new(config, now),
            sent: BTreeMap::new(),
            ended: 0,
            bind: None,
            messages: BTreeMap::new(),
        }
    }

    fn run(mut self, dialogue: &Dialogue) {
        for seen in &dialogue.pdus {
            if seen.from == self.own {
                self.say(seen);
            } else if self.is_expected(seen) {
                self.hear(seen);
            }
            while let Some(event) = self.session.next_event() {
                self.handle(event, seen);
            }
        }
        let answered = |sequence: &&u32| {
            let mut theirs = dialogue.pdus.iter().filter(|seen| seen.from != self.own);
            theirs.any(|seen| seen.pdu.body.command_id().is_response() && seen.pdu.sequence == **sequence)
        };
        let answers = self.sent.keys().filter(answered).count();
        assert_eq!(self.ended, answers, "{}: every answer found its request", self.name);
    }

    /// What our side said: where it was a request or an answer of the caller's, our session is asked for the same.
    fn say(&mut self, seen: &DialoguePdu) {
        let recorded = seen.pdu.sequence;
        let sent = match &seen.pdu.body {
            Body::Bind(bind) => self.session.send_bind(self.now, bind, recorded),
            Body::SubmitSm(sm) | Body::DeliverSm(sm) => self.session.send_sm(self.now, sm, recorded),
            Body::BindResp(resp) => {
                let bind = self.bind.take().expect("a bind to answer");
                return self.session.answer_bind(bind, seen.pdu.status, resp.system_id);
            }
            Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) => {
                let message = self.messages.remove(&recorded).expect("a message to answer");
                return self.session.answer_sm(self.now, message, seen.pdu.status, resp.message_id.clone());
            }
            Body::Unbind => return self.session.unbind(self.now),
            _ => return,
        };
        self.sent.insert(recorded, sent.expect("our session may say it too"));
    }

    /// Whether our session knows of the request that this answers.
    fn is_expected(&self, seen: &DialoguePdu) -> bool {
        let own_affair = [CommandId::ENQUIRE_LINK_RESP, CommandId::UNBIND_RESP];
        let command = seen.pdu.body.command_id();
        !command.is_response()
            || (!own_affair.contains(&command) && self.sent.contains_key(&seen.pdu.sequence))
    }

    /// What the other side said, an answer under the number that our session gave the request.
    fn hear(&mut self, seen: &DialoguePdu) {
        let is_response = seen.pdu.body.command_id().is_response();
        let mut octets = BytesMut::from(&seen.octets[..12]);
        let sequence = seen.pdu.sequence;
        octets.put_u32(if is_response { self.sent[&sequence] } else { sequence });
        octets.extend_from_slice(&seen.octets[16..]);
        self.session.receive(self.now, &mut octets);
        assert!(octets.is_empty(), "{}: all of packet {} taken", self.name, seen.packet);
    }

    /// What our session makes of this PDU.
    fn handle(&mut self, event: Event<u32>, seen: &DialoguePdu) {
        let unbinds = matches!(seen.pdu.body, Body::Unbind | Body::UnbindResp);
        match event {
            Event::Bind(unanswered, _) => self.bind = Some(unanswered),
            Event::Sm(unanswered, sm) => {
                let (Body::SubmitSm(said) | Body::DeliverSm(said)) = &seen.pdu.body else {
                    panic!("{seen:?}")
                };
                assert_eq!(sm, *said, "{}", self.name);
                self.messages.insert(seen.pdu.sequence, unanswered);
            }
            Event::Ended { end: End::Answered(_), .. } => self.ended += 1,
            Event::Closed(_) if unbinds => {}
            Event::Ended { .. } | Event::Closed(_) | Event::Late(_) | Event::Unexpected(_) => {
                panic!("{}: packet {} gives {event:?}", self.name, seen.packet)
            }
            // What a caller may leave alone.
            _ => {}
        }
    }
}
