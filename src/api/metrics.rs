//! What the API and the webhook sender count.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The counters of the API and of the webhook sender.
#[derive(Debug)]
pub struct ApiMetrics {
    registry: Registry,
    requests: Family<StatusLabel, Counter>,
    delivered: Family<EndpointLabel, Counter>,
    failed: Family<EndpointLabel, Counter>,
    dead: Family<EndpointLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: String,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("airwrite");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests answered, by status", requests.clone());
        let delivered = Family::default();
        registry.register("webhooks_delivered", "Events an endpoint has accepted", delivered.clone());
        let failed = Family::default();
        registry.register("webhook_failures", "Attempts to deliver an event that failed", failed.clone());
        let dead = Family::default();
        registry.register("webhooks_dead", "Events given up and kept", dead.clone());
        Self { registry, requests, delivered, failed, dead }
    }
}

impl ApiMetrics {
    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// Events that this endpoint has accepted.
    #[must_use]
    pub fn webhooks_delivered(&self, endpoint: &str) -> u64 {
        read(&self.delivered, endpoint)
    }

    /// Attempts to deliver an event to this endpoint that failed.
    #[must_use]
    pub fn webhook_failures(&self, endpoint: &str) -> u64 {
        read(&self.failed, endpoint)
    }

    /// Events for this endpoint that were given up.
    #[must_use]
    pub fn webhooks_dead(&self, endpoint: &str) -> u64 {
        read(&self.dead, endpoint)
    }

    pub(super) fn answered(&self, status: u16) {
        self.requests.get_or_create(&StatusLabel { status }).inc();
    }

    pub(super) fn count_delivered(&self, endpoint: &str) {
        count(&self.delivered, endpoint);
    }

    pub(super) fn count_failure(&self, endpoint: &str) {
        count(&self.failed, endpoint);
    }

    pub(super) fn count_dead(&self, endpoint: &str) {
        count(&self.dead, endpoint);
    }
}

fn count(family: &Family<EndpointLabel, Counter>, endpoint: &str) {
    family.get_or_create(&EndpointLabel { endpoint: endpoint.to_owned() }).inc();
}

fn read(family: &Family<EndpointLabel, Counter>, endpoint: &str) -> u64 {
    family.get(&EndpointLabel { endpoint: endpoint.to_owned() }).map_or(0, |counter| counter.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_by_label_and_end_once() {
        let metrics = ApiMetrics::default();
        metrics.answered(202);
        metrics.count_delivered("console");
        metrics.count_delivered("console");
        let text = metrics.encode();
        assert!(text.contains("airwrite_http_requests_total{status=\"202\"} 1\n"), "{text}");
        assert!(text.contains("airwrite_webhooks_delivered_total{endpoint=\"console\"} 2\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        assert_eq!((metrics.webhooks_delivered("console"), metrics.webhooks_dead("console")), (2, 0));
    }
}
