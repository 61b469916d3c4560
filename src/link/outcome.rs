//! How requests end, and what is counted of that.

use std::time::Duration;

use super::Metrics;
use super::metrics::count;
use crate::smpp::{Body, CommandStatus, End, MessageId, Pdu};

/// The one end of a submit_sm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// The SMSC answered; with an error status it did not take the message.
    Answered {
        /// Its verdict.
        status: CommandStatus,
        /// Its id of the message; may be empty or the same for all.
        message_id: MessageId,
    },
    /// The SMSC may or may not have taken the message.
    Unknown(UnknownReason),
    /// No octet of the message was handed to a connection.
    NotSent,
}

/// The one end of another request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The SMSC answered: with the response, or with generic_nack. With an error status it did not do what was asked.
    Answered(Box<Pdu>),
    /// The SMSC may or may not have done what was asked.
    Unknown(UnknownReason),
    /// No octet of the request was handed to a connection, or `body` is no request that this side sends.
    NotSent,
}

/// Why the end of a request is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownReason {
    /// No response in time.
    TimedOut,
    /// The connection was lost before the response.
    ConnectionLost,
}

impl SubmitOutcome {
    /// The outcome of a submit_sm that ended so.
    pub(super) fn counted(end: &End, took: Duration, metrics: &Metrics) -> Self {
        let Pdu { status, body, .. } = match end {
            End::Answered(pdu) => pdu,
            End::TimedOut => {
                count(&metrics.unknown);
                return Self::Unknown(UnknownReason::TimedOut);
            }
            End::Lost => {
                count(&metrics.unknown);
                return Self::Unknown(UnknownReason::ConnectionLost);
            }
        };
        metrics.response.record(took);
        count(match *status {
            CommandStatus::ESME_ROK => &metrics.accepted,
            CommandStatus::ESME_RTHROTTLED | CommandStatus::ESME_RMSGQFUL => &metrics.throttled,
            _ => &metrics.rejected,
        });
        let message_id = match body {
            Body::SubmitSmResp(resp) => resp.message_id.clone(),
            _ => MessageId::EMPTY,
        };
        Self::Answered { status: *status, message_id }
    }
}

impl RequestOutcome {
    /// The outcome of another request that ended so.
    pub(super) fn counted(end: End, metrics: &Metrics) -> Self {
        let (counter, outcome) = match end {
            End::Answered(pdu) if pdu.status.is_ok() => {
                (&metrics.requests_done, Self::Answered(Box::new(pdu)))
            }
            End::Answered(pdu) => (&metrics.requests_refused, Self::Answered(Box::new(pdu))),
            End::TimedOut => (&metrics.requests_unknown, Self::Unknown(UnknownReason::TimedOut)),
            End::Lost => (&metrics.requests_unknown, Self::Unknown(UnknownReason::ConnectionLost)),
        };
        count(counter);
        outcome
    }
}
