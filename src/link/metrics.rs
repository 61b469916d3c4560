//! What a link counts and measures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::smpp::{CommandId, CommandStatus};

/// The upper bounds of the histograms' buckets in seconds: from an SMSC in the same rack to one that is never heard
/// within the usual time-outs.
pub const BUCKETS_S: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Counters of one link, over all its binds and since its start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections opened.
    pub connected: AtomicU64,
    /// Binds accepted by the SMSC.
    pub bound: AtomicU64,
    /// Connections lost or given up, a graceful unbind from this side not counted.
    pub lost: AtomicU64,
    /// submit_sm handed to a session.
    pub submitted: AtomicU64,
    /// submit_sm answered with ESME_ROK.
    pub accepted: AtomicU64,
    /// submit_sm answered with ESME_RTHROTTLED or ESME_RMSGQFUL.
    pub throttled: AtomicU64,
    /// submit_sm answered with another error.
    pub rejected: AtomicU64,
    /// submit_sm without response in time, or whose connection was lost before.
    pub unknown: AtomicU64,
    /// Other requests answered with ESME_ROK.
    pub requests_done: AtomicU64,
    /// Other requests answered with an error.
    pub requests_refused: AtomicU64,
    /// Other requests without response in time, or whose connection was lost before.
    pub requests_unknown: AtomicU64,
    /// Responses that came after their request had timed out.
    pub late_responses: AtomicU64,
    /// Responses to nothing, generic_nack with sequence 0 among them.
    pub unexpected_responses: AtomicU64,
    /// deliver_sm handed to the gateway.
    pub delivered: AtomicU64,
    /// deliver_sm answered at once because the inbound queue was full.
    pub inbound_full: AtomicU64,
    /// Requests of the SMSC answered with an error by the session.
    pub refused_requests: RefusedRequests,
    /// Waits for a slot: for the bind and for room in the window.
    pub slot_wait: Timing,
    /// From a submit_sm to its response.
    pub response: Timing,
    /// From a deliver_sm to its answer.
    pub answer: Timing,
}

impl Metrics {
    /// How many submit_sm wait for their response now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        // Ends first: what is submitted meanwhile may be seen, what ends meanwhile may not.
        let ended = [&self.accepted, &self.throttled, &self.rejected, &self.unknown];
        let ended: u64 = ended.into_iter().map(|counter| counter.load(Relaxed)).sum();
        self.submitted.load(Relaxed).saturating_sub(ended)
    }
}

/// How long something took, each time: a histogram with [`BUCKETS_S`]. Recording does not allocate.
#[derive(Debug)]
pub struct Timing(Histogram);

impl Timing {
    pub(super) fn record(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }

    pub(super) const fn histogram(&self) -> &Histogram {
        &self.0
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self(Histogram::new(BUCKETS_S))
    }
}

/// Requests of the SMSC that the session answered with an error, by command and reason. Only the first of a kind
/// allocates, and there are no more kinds than commands and reasons.
#[derive(Debug, Default)]
pub struct RefusedRequests(Mutex<BTreeMap<(Refused, &'static str), u64>>);

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// Its body could not be read.
    Malformed,
    /// Its command is not one that is served here.
    UnknownCommand,
    /// It came when the session could not take it.
    OutOfState,
}

impl Refused {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownCommand => "unknown_command",
            Self::OutOfState => "out_of_state",
        }
    }
}

impl RefusedRequests {
    /// Refused requests of one kind: a command by its name in the specification, `unknown` for others.
    #[must_use]
    pub fn of(&self, kind: Refused, command: &str) -> u64 {
        self.all()
            .into_iter()
            .filter(|(of, name, _)| (*of, *name) == (kind, command))
            .map(|(_, _, n)| n)
            .sum()
    }

    /// One more; `malformed` where its body could not be read.
    pub(super) fn count(&self, command: CommandId, status: CommandStatus, malformed: bool) {
        let kind = match status {
            _ if malformed => Refused::Malformed,
            CommandStatus::ESME_RINVCMDID => Refused::UnknownCommand,
            _ => Refused::OutOfState,
        };
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kinds.entry((kind, command.name().unwrap_or("unknown"))).or_default() += 1;
    }

    pub(super) fn all(&self) -> Vec<(Refused, &'static str, u64)> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().map(|((kind, command), count)| (*kind, *command, *count)).collect()
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
