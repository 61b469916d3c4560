//! What comes in.

use std::time::Instant;

use super::slots::Taken;
use super::{End, Event, Role, Session, State, Unanswered, UnansweredBind};
use crate::smpp::{Body, CloseReason, CommandId, CommandStatus, Frame, Pdu};

impl<T> Session<T> {
    pub(super) fn handle(&mut self, now: Instant, frame: Frame) {
        let pdu = Pdu::decode(frame);
        if pdu.body.command_id().is_response() {
            self.handle_response(now, pdu);
        } else {
            self.handle_request(now, pdu);
        }
    }

    fn handle_request(&mut self, now: Instant, pdu: Pdu) {
        let Pdu { status, sequence, body } = pdu;
        let command_id = body.command_id();
        match body {
            Body::EnquireLink => {
                self.output
                    .put_urgent(|out| Body::EnquireLinkResp.encode(CommandStatus::ESME_ROK, sequence, out));
            }
            Body::Unbind => {
                self.put_empty(CommandId::UNBIND_RESP, CommandStatus::ESME_ROK, sequence);
                self.close(now, CloseReason::PeerUnbound);
            }
            Body::Bind(bind) => match self.bind_refusal() {
                Some(status) => self.refuse(command_id, sequence, status, None),
                None => {
                    self.state = State::Binding;
                    self.unanswered += 1;
                    let unanswered = UnansweredBind { sequence, mode: bind.mode };
                    self.events.push_back(Event::Bind(unanswered, bind));
                }
            },
            Body::Malformed(_, error) => self.refuse(command_id, sequence, error.status(), Some(error)),
            Body::Unknown(_) => self.refuse(command_id, sequence, CommandStatus::ESME_RINVCMDID, None),
            body if !self.config.role.peer().sends(command_id) => {
                self.refuse(body.command_id(), sequence, CommandStatus::ESME_RINVCMDID, None);
            }
            body if command_id.is_notification() => {
                self.events.push_back(Event::Notification(Pdu { status, sequence, body }));
            }
            body => match self.request_refusal() {
                Some(status) => self.refuse(command_id, sequence, status, None),
                None if self.unanswered >= self.config.unanswered_max => {
                    self.put_empty(command_id.response(), self.config.full, sequence);
                    self.events.push_back(Event::Full(command_id));
                }
                None => {
                    self.unanswered += 1;
                    let unanswered = Unanswered { sequence, response: command_id.response() };
                    self.events.push_back(match body {
                        Body::SubmitSm(sm) | Body::DeliverSm(sm) => Event::Sm(unanswered, sm),
                        body => Event::Request(unanswered, body),
                    });
                }
            },
        }
    }

    fn handle_response(&mut self, now: Instant, mut pdu: Pdu) {
        let sequence = pdu.sequence;
        if pdu.body == Body::GenericNack && pdu.status.is_ok() {
            // A nack never says yes, whatever its status.
            pdu.status = CommandStatus::ESME_RUNKNOWNERR;
        }
        match self.slots.take(sequence, pdu.body.command_id()) {
            Taken::Request(request) => {
                self.end(now, sequence, request, End::Answered(pdu));
                self.unbind_when_idle(now);
            }
            Taken::Late => self.events.push_back(Event::Late(pdu)),
            Taken::Unexpected => self.events.push_back(Event::Unexpected(pdu)),
        }
    }

    /// Why a bind is not accepted now.
    const fn bind_refusal(&self) -> Option<CommandStatus> {
        match (self.config.role, self.state) {
            (Role::Smsc, State::Open) => None,
            (Role::Smsc, State::Binding | State::Bound(_)) => Some(CommandStatus::ESME_RALYBND),
            _ => Some(CommandStatus::ESME_RINVBNDSTS),
        }
    }

    /// Why a request that the peer's side sends over some bind is not accepted now.
    const fn request_refusal(&self) -> Option<CommandStatus> {
        match (self.config.role, self.state) {
            (role, State::Bound(mode)) if role.peer().may_send_over(mode) => None,
            // A message is welcome, only not on this session any more.
            (Role::Esme, State::Unbinding { .. }) => Some(CommandStatus::ESME_RX_T_APPN),
            _ => Some(CommandStatus::ESME_RINVBNDSTS),
        }
    }
}
