//! A session without I/O, for both sides.
//!
//! The caller owns socket and clock. It hands over what it read ([`Session::receive`]) and the time
//! ([`Session::handle_timeout`] at [`Session::next_deadline`]), writes what stands in [`Session::output`], and
//! takes [`Session::next_event`] until there is none after each call.
//!
//! Kept by the session, so that no caller can get it wrong:
//! - every request ends exactly once: answered, timed out, or lost when the session closes; its token comes
//!   back with the end;
//! - enquire_link is answered at once and sent only while nothing comes in;
//! - a request that cannot be served is answered with its own response id and a fitting status, an unknown
//!   one with generic_nack; only a command_length without a boundary closes the session;
//! - a bind and any other request are answered by giving back their [`UnansweredBind`] or [`Unanswered`], in any
//!   order, each at most once; beyond [`SessionConfig::unanswered_max`] of them the session answers by itself.

mod config;
mod event;
mod inbound;
mod output;
mod rules;
mod slots;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{BufMut, BytesMut};

use super::{
    Bind, BindMode, BindResp, Body, CommandId, CommandStatus, Header, MessageId, Sm, SmResp, SystemId, Tlvs,
    frame,
};
use output::Output;
use slots::{Request, Slots, What};

pub use config::{Role, SessionConfig};
pub use event::{CloseReason, End, Event, RequestError, Unanswered, UnansweredBind, WrongResponse};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Connected, not bound.
    Open,
    /// A bind waits for its answer.
    Binding,
    Bound(BindMode),
    /// Unbound from our side: waiting for what is under way (`sent` = false), then for unbind_resp.
    Unbinding {
        sent: bool,
    },
    Closed,
}

/// A session; see the module's text. `T` is what the caller gives along with a request and gets back with
/// its end.
#[derive(Debug)]
pub struct Session<T> {
    config: SessionConfig,
    state: State,
    slots: Slots<T>,
    /// Requests of the peer the caller has not answered yet.
    unanswered: usize,
    output: Output,
    events: VecDeque<Event<T>>,
    last_received: Instant,
    enquiring: bool,
}

impl<T> Session<T> {
    /// A session over a connection that has just come up.
    #[must_use]
    pub fn new(mut config: SessionConfig, now: Instant) -> Self {
        config.window = config.window.max(1);
        Self {
            config,
            state: State::Open,
            slots: Slots::new(config.window, config.first_sequence),
            unanswered: 0,
            output: Output::default(),
            events: VecDeque::new(),
            last_received: now,
            enquiring: false,
        }
    }

    // ---- What the caller asks for

    /// Sends a bind (ESME only).
    ///
    /// # Errors
    /// The token comes back with the reason: not the ESME's side, bound already, or closed.
    pub fn send_bind(&mut self, now: Instant, bind: &Bind, token: T) -> Result<u32, (RequestError, T)> {
        if self.config.role != Role::Esme || self.state != State::Open {
            return Err((self.refusal(), token));
        }
        if self.window_is_full() {
            return Err((RequestError::WindowFull, token));
        }
        self.state = State::Binding;
        let what = What::Bind(bind.mode, token);
        let put = |header, out: &mut BytesMut| frame::put(out, header, |out| bind.put(out));
        Ok(self.put_request(now, bind.mode.command_id(), what, put))
    }

    /// Sends a short message: submit_sm as ESME, deliver_sm as SMSC. Returns its sequence number.
    ///
    /// # Errors
    /// The token comes back with the reason: the bind does not allow it, the window is full, or closed.
    pub fn send_sm(&mut self, now: Instant, sm: &Sm, token: T) -> Result<u32, (RequestError, T)> {
        let command_id = match self.config.role {
            Role::Esme => CommandId::SUBMIT_SM,
            Role::Smsc => CommandId::DELIVER_SM,
        };
        let put = |header, out: &mut BytesMut| frame::put(out, header, |out| sm.put(out));
        self.request(now, command_id, token, put)
    }

    /// Sends any request but a bind, unbind or enquire_link. Returns its sequence number.
    ///
    /// # Errors
    /// The token comes back with the reason: this side or the bind does not allow it, `body` is no request or
    /// one without a response, the window is full, or closed.
    pub fn send(&mut self, now: Instant, body: &Body, token: T) -> Result<u32, (RequestError, T)> {
        let command_id = body.command_id();
        self.request(now, command_id, token, |Header { status, sequence, .. }, out| {
            body.encode(status, sequence, out);
        })
    }

    /// Sends an outbind (before a bind) or an alert_notification (SMSC only); nothing answers it.
    ///
    /// # Errors
    /// This side or the bind does not allow it, `body` is something else, or closed.
    pub fn notify(&mut self, body: &Body) -> Result<(), RequestError> {
        let allowed = match (body, self.state) {
            (Body::AlertNotification(_), State::Bound(mode)) => self.config.role.may_send_over(mode),
            (body, State::Open) => body.command_id() == CommandId::OUTBIND,
            _ => false,
        };
        if !allowed || self.config.role != Role::Smsc {
            return Err(self.refusal());
        }
        let sequence = self.slots.next_sequence();
        self.output.put(|out| body.encode(CommandStatus::ESME_ROK, sequence, out));
        Ok(())
    }

    /// Begins to unbind: no request is sent any more; when those under way have ended and what came in is
    /// answered, unbind goes out; its response (or its time-out) closes the session.
    pub fn unbind(&mut self, now: Instant) {
        match self.state {
            State::Bound(_) => {
                self.state = State::Unbinding { sent: false };
                self.unbind_when_idle(now);
            }
            State::Open | State::Binding => self.close(now, CloseReason::Unbound),
            State::Unbinding { .. } | State::Closed => {}
        }
    }

    /// Closes the session: every request under way ends as lost. What stands in [`Self::output`] may still be
    /// written.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        while let Some((sequence, request)) = self.slots.pop() {
            self.end(now, sequence, request, End::Lost);
        }
        self.events.push_back(Event::Closed(reason));
    }

    /// Answers a bind (SMSC only). ESME_ROK binds the session.
    pub fn answer_bind(&mut self, bind: UnansweredBind, status: CommandStatus, system_id: SystemId) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.state == State::Closed {
            return;
        }
        if self.state == State::Binding {
            self.state = if status.is_ok() { State::Bound(bind.mode) } else { State::Open };
        }
        let resp = BindResp { mode: bind.mode, system_id, tlvs: Tlvs::default() };
        self.output.put(|out| Body::BindResp(resp).encode(status, bind.sequence, out));
    }

    /// Answers a short message (submit_sm, deliver_sm or data_sm) with its own response. `message_id` stays
    /// empty in a deliver_sm_resp.
    pub fn answer_sm(&mut self, now: Instant, sm: Unanswered, status: CommandStatus, message_id: MessageId) {
        let resp = SmResp { message_id, tlvs: Tlvs::default() };
        let body = match sm.response {
            CommandId::SUBMIT_SM_RESP => Body::SubmitSmResp(resp),
            CommandId::DELIVER_SM_RESP => Body::DeliverSmResp(resp),
            CommandId::DATA_SM_RESP => Body::DataSmResp(resp),
            // No short message: its response has no message_id of this kind.
            _ => return self.reject(now, sm, status),
        };
        self.put_answer(now, |out| body.encode(status, sm.sequence, out));
    }

    /// Answers a request with `body`.
    ///
    /// # Errors
    /// `body` is not the response of its kind; the request is answered with ESME_RSYSERR.
    pub fn answer(
        &mut self,
        now: Instant,
        request: Unanswered,
        status: CommandStatus,
        body: &Body,
    ) -> Result<(), WrongResponse> {
        let (expected, found) = (request.response, body.command_id());
        if expected != found {
            self.reject(now, request, CommandStatus::ESME_RSYSERR);
            return Err(WrongResponse { expected, found });
        }
        self.put_answer(now, |out| body.encode(status, request.sequence, out));
        Ok(())
    }

    /// Answers a request with a status and nothing more: an error, or ESME_RINVCMDID where it is not served.
    pub fn reject(&mut self, now: Instant, request: Unanswered, status: CommandStatus) {
        let header = Header { command_id: request.response, status, sequence: request.sequence };
        self.put_answer(now, |out| put_empty(out, header));
    }

    // ---- What the caller hands over

    /// Takes every whole PDU from the front of `input`; an incomplete one stays there. A closed session
    /// takes nothing.
    pub fn receive(&mut self, now: Instant, input: &mut BytesMut) {
        while self.receive_one(now, input) {}
    }

    /// The same for one PDU only: false where there is none. Whoever takes the events after each keeps them few.
    pub fn receive_one(&mut self, now: Instant, input: &mut BytesMut) -> bool {
        self.last_received = now;
        if self.state == State::Closed {
            return false;
        }
        match frame::next(input, self.config.max_pdu_octets) {
            Ok(Some(frame)) => self.handle(now, frame),
            Ok(None) => return false,
            Err(error) => {
                self.put_empty(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN, 0);
                self.close(now, CloseReason::Framing(error));
            }
        }
        true
    }

    /// Does what is due at `now`: ends requests whose response did not come, sends enquire_link.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
        if self.enquire_deadline().is_some_and(|deadline| deadline <= now) {
            self.enquiring = true;
            self.put_request(now, CommandId::ENQUIRE_LINK, What::EnquireLink, |header, out| {
                put_empty(out, header)
            });
        }
    }

    // ---- What the caller takes

    /// When [`Self::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let response = self.slots.oldest().map(|sent| sent + self.config.response_timeout);
        [response, self.enquire_deadline()].into_iter().flatten().min()
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// Octets to write to the peer; the caller removes from the front what it has written, and asks again before
    /// it writes more: an enquire_link_resp may have come ahead of what queues.
    pub fn output(&mut self) -> &mut BytesMut {
        self.output.octets()
    }

    /// The bind this session holds; `None` before, while unbinding and after.
    #[must_use]
    pub const fn bound(&self) -> Option<BindMode> {
        match self.state {
            State::Bound(mode) => Some(mode),
            _ => None,
        }
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Requests of the caller that wait for their response.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// Requests of the peer that the caller has not answered.
    #[must_use]
    pub const fn unanswered(&self) -> usize {
        self.unanswered
    }

    // ---- Inside: how things end

    #[inline]
    fn end(&mut self, now: Instant, sequence: u32, request: Request<T>, end: End) {
        let took = now.saturating_duration_since(request.sent);
        let token = match request.what {
            What::Request(token) => token,
            What::Bind(mode, token) => {
                if self.state == State::Binding {
                    let bound = matches!(&end, End::Answered(pdu) if pdu.status.is_ok());
                    self.state = if bound { State::Bound(mode) } else { State::Open };
                }
                token
            }
            What::EnquireLink => {
                self.enquiring = false;
                // Some SMSCs never answer it; only one that sends nothing at all is dead.
                if matches!(end, End::TimedOut) && self.last_received <= request.sent {
                    self.close(now, CloseReason::PeerSilent);
                }
                return;
            }
            What::Unbind => return self.close(now, CloseReason::Unbound),
        };
        self.events.push_back(Event::Ended { token, sequence, end, took });
    }

    fn expire(&mut self, now: Instant) {
        while let Some((sequence, request)) = self.slots.expire(now, self.config.response_timeout) {
            self.end(now, sequence, request, End::TimedOut);
        }
        self.unbind_when_idle(now);
    }

    fn unbind_when_idle(&mut self, now: Instant) {
        let idle = self.slots.in_flight() == 0 && self.unanswered == 0;
        if idle && self.state == (State::Unbinding { sent: false }) {
            self.state = State::Unbinding { sent: true };
            self.put_request(now, CommandId::UNBIND, What::Unbind, |header, out| put_empty(out, header));
        }
    }

    fn window_is_full(&self) -> bool {
        self.slots.in_flight() >= usize::from(self.config.window)
    }

    fn refusal(&self) -> RequestError {
        if self.state == State::Closed { RequestError::Closed } else { RequestError::NotBound }
    }

    fn enquire_deadline(&self) -> Option<Instant> {
        // Nothing is asked any more once unbind is out.
        let alive = matches!(self.state, State::Bound(_) | State::Unbinding { sent: false });
        let idle = self.config.enquire_link.filter(|_| alive && !self.enquiring)?;
        Some(self.last_received + idle)
    }

    // ---- Inside: what goes out

    /// Sends a request of the caller, if that is allowed now.
    fn request(
        &mut self,
        now: Instant,
        command_id: CommandId,
        token: T,
        pdu: impl FnOnce(Header, &mut BytesMut),
    ) -> Result<u32, (RequestError, T)> {
        let role = self.config.role;
        let allowed = matches!(self.state, State::Bound(mode)
            if role.sends(command_id) && role.may_send_over(mode) && !command_id.is_notification());
        if !allowed {
            return Err((self.refusal(), token));
        }
        if self.window_is_full() {
            return Err((RequestError::WindowFull, token));
        }
        Ok(self.put_request(now, command_id, What::Request(token), pdu))
    }

    /// Registers a request, then writes it, so that its response always finds it.
    fn put_request(
        &mut self,
        now: Instant,
        command_id: CommandId,
        what: What<T>,
        pdu: impl FnOnce(Header, &mut BytesMut),
    ) -> u32 {
        let sequence = self.slots.insert(Request { response: command_id.response(), sent: now, what });
        let header = Header { command_id, status: CommandStatus::ESME_ROK, sequence };
        self.output.put(|out| pdu(header, out));
        sequence
    }

    /// Answers a request that has reached the caller.
    fn put_answer(&mut self, now: Instant, pdu: impl FnOnce(&mut BytesMut)) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.state != State::Closed {
            self.output.put(pdu);
            self.unbind_when_idle(now);
        }
    }

    /// Answers a request that does not reach the caller.
    fn refuse(
        &mut self,
        command_id: CommandId,
        sequence: u32,
        status: CommandStatus,
        error: Option<super::DecodeError>,
    ) {
        self.put_empty(command_id.response(), status, sequence);
        self.events.push_back(Event::Refused { command_id, sequence, status, error });
    }

    fn put_empty(&mut self, command_id: CommandId, status: CommandStatus, sequence: u32) {
        self.output.put(|out| put_empty(out, Header { command_id, status, sequence }));
    }
}

/// A PDU with nothing to say.
fn put_empty(out: &mut BytesMut, header: Header) {
    frame::put(out, header, |out| {
        // deliver_sm_resp always carries its unused message_id (§4.6.2).
        if header.command_id == CommandId::DELIVER_SM_RESP {
            out.put_u8(0);
        }
    });
}
