//! What a session tells its caller.

use std::time::Duration;

use crate::smpp::{Bind, BindMode, Body, CommandId, CommandStatus, DecodeError, FrameError, Pdu, Sm};

/// Something that happened on a session.
#[derive(Debug)]
pub enum Event<T> {
    /// The peer wants to bind (SMSC only): answer with `Session::answer_bind`.
    Bind(UnansweredBind, Box<Bind>),
    /// A short message came in (deliver_sm as ESME, submit_sm as SMSC): answer with `Session::answer_sm`.
    Sm(Unanswered, Sm),
    /// Any other request that the peer's side sends over such a bind: answer with `Session::answer`, or with
    /// `Session::reject` where it is not served.
    Request(Unanswered, Body),
    /// A request of the caller has ended: its only end.
    Ended {
        /// What the caller gave along.
        token: T,
        /// The sequence number of the request.
        sequence: u32,
        /// How it ended.
        end: End,
        /// From the request's hand-over to its end.
        took: Duration,
    },
    /// The response to a request that had already ended as timed out.
    Late(Pdu),
    /// A response to nothing: never sent, answered already, of the wrong kind, or a generic_nack with
    /// sequence 0.
    Unexpected(Pdu),
    /// A request of the peer that the session answered itself with an error.
    Refused {
        /// What the peer asked for.
        command_id: CommandId,
        /// Its sequence number.
        sequence: u32,
        /// The status it was answered with.
        status: CommandStatus,
        /// What was wrong with its body, where that was the reason.
        error: Option<DecodeError>,
    },
    /// A request of the peer that found as many unanswered ones as the session holds; it is answered with
    /// `SessionConfig::full`.
    Full(CommandId),
    /// An outbind or alert_notification (ESME only), which has no response.
    Notification(Pdu),
    /// The session is over. Always the last event.
    Closed(CloseReason),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By its response or a generic_nack. A body that cannot be read still answers: the status is in the
    /// header.
    Answered(Pdu),
    /// No response in time: the peer may or may not have acted on it.
    TimedOut,
    /// The session closed before the response: the peer may or may not have acted on it.
    Lost,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Unbound from this side.
    #[error("unbound")]
    Unbound,
    /// The peer sent unbind; it is answered.
    #[error("the peer unbound")]
    PeerUnbound,
    /// Nothing came in although enquire_link was sent.
    #[error("the peer is silent")]
    PeerSilent,
    /// The stream has no PDU boundary any more.
    #[error(transparent)]
    Framing(FrameError),
    /// The connection broke, or the caller gave it up.
    #[error("the connection is lost")]
    ConnectionLost,
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The state of the session or the kind of its bind does not allow the request.
    #[error("the bind does not allow this request now")]
    NotBound,
    /// As many requests as the window takes wait for their response.
    #[error("the window is full")]
    WindowFull,
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}

/// A bind to be answered, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a bind without an answer leaves the peer waiting"]
pub struct UnansweredBind {
    pub(super) sequence: u32,
    pub(super) mode: BindMode,
}

/// A short message or another request to be answered, once; only on the session it came from.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request without an answer leaves the peer waiting, and a short message comes again"]
pub struct Unanswered {
    pub(super) sequence: u32,
    /// The response of its kind.
    pub(super) response: CommandId,
}

/// A response of another kind than the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected, found {found}")]
pub struct WrongResponse {
    /// The response of the request's kind.
    pub expected: CommandId,
    /// What was given.
    pub found: CommandId,
}
