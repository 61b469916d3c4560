//! The metrics of all links in the form that Prometheus reads.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::{Link, LinkState, Metrics, Timing};

/// Reads what links have counted, each under its name as the label `link`.
#[derive(Debug)]
pub struct LinksCollector(Vec<Link>);

/// A counter's labels besides the link's name, and its value.
type Sample = (Vec<(&'static str, &'static str)>, u64);

impl LinksCollector {
    /// The metrics of these links.
    #[must_use]
    pub const fn new(links: Vec<Link>) -> Self {
        Self(links)
    }

    /// A gauge; a link without a value has no sample.
    fn gauge(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&Link) -> Option<u64>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        self.0.iter().filter_map(|link| Some((link, value(link)?))).try_for_each(|(link, value)| {
            let labels = [("link", &**link.name())];
            ConstGauge::new(value).encode(family.encode_family(&labels)?)
        })
    }

    fn counter(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        samples: impl Fn(&Metrics) -> Vec<Sample>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for link in &self.0 {
            for (mut labels, value) in samples(link.metrics()) {
                labels.insert(0, ("link", link.name()));
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn histogram(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        timing: impl Fn(&Metrics) -> &Timing,
    ) -> fmt::Result {
        let seconds = Unit::Seconds;
        let mut family = encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Histogram)?;
        self.0.iter().try_for_each(|link| {
            let labels = [("link", &**link.name())];
            timing(link.metrics()).histogram().encode(family.encode_family(&labels)?)
        })
    }
}

impl Collector for LinksCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut encoder;
        self.gauge(to, "link_bound", "Whether binds are up that send and receive (1) or not (0)", |link| {
            Some(u64::from(*link.state().borrow() == LinkState::Bound))
        })?;
        self.gauge(to, "link_binds_up", "Binds that are up", |link| u64::try_from(link.binds().up).ok())?;
        let help = "submit_sm that may leave in a second, where not only the windows limit them";
        self.gauge(to, "link_rate", help, |link| link.rate().map(|rate| rate.round() as u64))?;
        self.gauge(to, "link_submits_in_flight", "submit_sm that wait for their response", |link| {
            Some(link.metrics().in_flight())
        })?;
        self.counter(to, "link_connections", "Connections opened", |metrics| total(&metrics.connected))?;
        self.counter(to, "link_binds", "Binds accepted by the SMSC", |metrics| total(&metrics.bound))?;
        let help = "Connections lost or given up: after each the link connects again";
        self.counter(to, "link_connections_lost", help, |metrics| total(&metrics.lost))?;
        self.counter(to, "link_submit_sm", "submit_sm that have ended, by outcome", |metrics| {
            by(
                "outcome",
                [
                    ("accepted", &metrics.accepted),
                    ("throttled", &metrics.throttled),
                    ("rejected", &metrics.rejected),
                    ("unknown", &metrics.unknown),
                ],
            )
        })?;
        let help = "Requests other than submit_sm that have ended, by outcome";
        self.counter(to, "link_requests", help, |metrics| {
            by(
                "outcome",
                [
                    ("done", &metrics.requests_done),
                    ("refused", &metrics.requests_refused),
                    ("unknown", &metrics.requests_unknown),
                ],
            )
        })?;
        self.counter(to, "link_deliver_sm", "deliver_sm that came in, by what became of them", |metrics| {
            by("outcome", [("taken", &metrics.delivered), ("queue_full", &metrics.inbound_full)])
        })?;
        self.counter(to, "link_odd_pdus", "PDUs of the SMSC out of the ordinary, by kind", odd_pdus)?;
        let help = "How long a submit_sm waited for a bind and for room in the window";
        self.histogram(to, "link_window_wait", help, |metrics| &metrics.slot_wait)?;
        let help = "How long the SMSC took from a submit_sm to its response";
        self.histogram(to, "link_response", help, |metrics| &metrics.response)?;
        let help = "How long a deliver_sm waited for its response";
        self.histogram(to, "link_acknowledgement", help, |metrics| &metrics.answer)
    }
}

fn total(counter: &AtomicU64) -> Vec<Sample> {
    vec![(Vec::new(), counter.load(Relaxed))]
}

fn by<const N: usize>(label: &'static str, counters: [(&'static str, &AtomicU64); N]) -> Vec<Sample> {
    counters.map(|(value, counter)| (vec![(label, value)], counter.load(Relaxed))).to_vec()
}

/// Requests that were refused, with their command; responses that came late, or to nothing.
fn odd_pdus(metrics: &Metrics) -> Vec<Sample> {
    let responses = by(
        "kind",
        [("late_response", &metrics.late_responses), ("unexpected_response", &metrics.unexpected_responses)],
    );
    let refused = metrics.refused_requests.all();
    let requests = refused
        .into_iter()
        .map(|(kind, command, count)| (vec![("kind", kind.name()), ("command", command)], count));
    responses.into_iter().chain(requests).collect()
}
