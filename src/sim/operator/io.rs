//! What the operator hears from outside, and what it wants done there.

use crate::identity::{Imsi, Msisdn};
use crate::sim::deliveries::{DeliveryId, EsmeId};
use crate::sim::hlr::TerminalId;
use crate::sim::milenage::Credentials;
use crate::smpp::{Body, CommandStatus, Sm};

/// What happens outside.
#[derive(Debug)]
pub enum Input {
    /// Time has come.
    Tick,
    /// An ESME has bound.
    Bound {
        /// Its session.
        esme: EsmeId,
        /// Who it is: receipts go to any session with the same.
        system_id: String,
        /// The short codes whose messages it gets.
        short_codes: Vec<String>,
        /// Whether the bind takes deliver_sm (receiver, transceiver).
        delivers: bool,
    },
    /// A session is over.
    Unbound(EsmeId),
    /// submit_sm.
    Submit {
        /// On which session.
        esme: EsmeId,
        /// Comes back with the answer.
        token: u64,
        /// The message.
        sm: Box<Sm>,
    },
    /// Any other request: cancel_sm and query_sm are served.
    Request {
        /// On which session.
        esme: EsmeId,
        /// Comes back with the answer.
        token: u64,
        /// What is asked.
        body: Box<Body>,
    },
    /// A deliver_sm was answered; `None`: not in time, or its session was lost.
    Answered(DeliveryId, Option<CommandStatus>),
    /// Switches a terminal on.
    PowerOn(TerminalId),
    /// Switches a terminal off.
    PowerOff(TerminalId),
    /// Adds a subscriber, with keys that follow from the secret.
    Provision(Imsi, Msisdn),
    /// Adds a subscriber with other keys: its attach fails.
    ProvisionWith(Imsi, Msisdn, Credentials),
    /// A terminal refuses its next so many REFRESH.
    RefuseRefresh(TerminalId, u32),
    /// No more faults: what is refused, asleep or without power comes back. What is barred or silent stays so.
    Heal,
}

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// submit_sm_resp.
    SubmitAnswer {
        /// On which session.
        esme: EsmeId,
        /// That of the submit_sm.
        token: u64,
        /// The message id, or why not.
        answer: Result<String, CommandStatus>,
    },
    /// The response to another request.
    Answer {
        /// On which session.
        esme: EsmeId,
        /// That of the request.
        token: u64,
        /// The response, or why not.
        answer: Result<Box<Body>, CommandStatus>,
    },
    /// The connection is cut, without an unbind. [`Input::Unbound`] is expected in return.
    Cut {
        /// Of which session.
        esme: EsmeId,
        /// Half of the next PDU still gets out; otherwise nothing does.
        within_pdu: bool,
    },
    /// deliver_sm.
    Deliver {
        /// On which session.
        esme: EsmeId,
        /// To be given back with the answer.
        delivery: DeliveryId,
        /// The message.
        sm: Box<Sm>,
    },
}

impl Output {
    /// The session that it is for.
    #[must_use]
    pub const fn esme(&self) -> EsmeId {
        match self {
            Self::SubmitAnswer { esme, .. }
            | Self::Answer { esme, .. }
            | Self::Cut { esme, .. }
            | Self::Deliver { esme, .. } => *esme,
        }
    }
}
