//! What the gateway counts, in the form that Prometheus reads.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::card::Submitted;
use crate::link::{Link, LinksCollector};
use crate::smpp::CommandStatus;

use super::cancel_sm::Cancelled;

/// A family label: an event's type, an answer's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// The gateway's counters, and those of its links.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    facts: Family<Kind, Counter>,
    submissions: Family<Kind, Counter>,
    deliveries: Family<Kind, Counter>,
    cancels: Family<Kind, Counter>,
    /// Commits that lost against a concurrent change and were made anew.
    pub(super) commit_conflicts: Counter,
}

impl Metrics {
    pub(super) fn new(links: Vec<Link>) -> Self {
        let mut registry = Registry::with_prefix("airwrite");
        registry.register_collector(Box::new(LinksCollector::new(links)));
        let (facts, submissions, deliveries) = (Family::default(), Family::default(), Family::default());
        let (cancels, commit_conflicts) = (Family::default(), Counter::default());
        registry.register("events", "Events of cards and writes, by type", facts.clone());
        registry.register("submissions", "Packets handed to an SMSC, by outcome", submissions.clone());
        registry.register("deliveries", "deliver_sm taken from SMSCs, by answer", deliveries.clone());
        let help = "Submissions of writes to be cancelled that an SMSC was asked to forget, by outcome";
        registry.register("cancel_sm", help, cancels.clone());
        registry.register("commit_conflicts", "Commits made anew after a conflict", commit_conflicts.clone());
        Self { registry, facts, submissions, deliveries, cancels, commit_conflicts }
    }

    /// All counters in Prometheus' text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    pub(super) fn count_fact(&self, kind: &str) {
        self.facts.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    pub(super) fn count_submission(&self, outcome: &Submitted) {
        let kind = match outcome {
            Submitted::Accepted { .. } => "accepted",
            Submitted::Throttled => "throttled",
            Submitted::Refused { .. } => "refused",
            Submitted::Unanswered => "unanswered",
        };
        self.submissions.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    pub(super) fn count_cancel(&self, outcome: &Cancelled) {
        self.cancels.get_or_create(&Kind { kind: outcome.name().to_owned() }).inc();
    }

    pub(super) fn count_delivery(&self, status: CommandStatus) {
        self.deliveries.get_or_create(&Kind { kind: status.to_string() }).inc();
    }
}
