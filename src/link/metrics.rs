//! What a link counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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
    /// Responses that came after their request had timed out.
    pub late_responses: AtomicU64,
    /// Responses to nothing, generic_nack with sequence 0 among them.
    pub unexpected_responses: AtomicU64,
    /// deliver_sm handed to the gateway.
    pub delivered: AtomicU64,
    /// deliver_sm answered at once because the inbound queue was full.
    pub inbound_full: AtomicU64,
    /// Requests of the SMSC answered with an error by the session: malformed, unknown, out of state.
    pub refused_requests: AtomicU64,
    /// Waits for a slot: for the bind and for room in the window.
    pub slot_wait: Timing,
    /// From a submit_sm to its response.
    pub response: Timing,
    /// From a deliver_sm to its answer.
    pub answer: Timing,
}

/// How often something was measured, how long it took in all, and the longest.
#[derive(Debug, Default)]
pub struct Timing {
    /// Measurements.
    pub count: AtomicU64,
    /// Their sum in microseconds.
    pub total_us: AtomicU64,
    /// The longest in microseconds.
    pub max_us: AtomicU64,
}

impl Timing {
    pub(super) fn record(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.total_us.fetch_add(took_us, Relaxed);
        self.max_us.fetch_max(took_us, Relaxed);
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
