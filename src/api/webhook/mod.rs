//! Webhooks: events leave the durable outbox for the endpoints of their owner (Standard Webhooks 1.0).
//!
//! Every endpoint has a task of its own, so that a slow or dead one holds up nobody else. An event is sent until the
//! endpoint answers 2xx: at least once, in no promised order, with the same `webhook-id` at every attempt. What could
//! not be delivered for three days is given up: it stays in the outbox with `not_before` at its end of time.

mod courier;
mod endpoint;
mod event;
mod signature;
mod target;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::store::Store;
use crate::world::{Clock, Rng};

use super::metrics::ApiMetrics;
use courier::Courier;
use endpoint::Endpoint;

pub use endpoint::{EndpointConfig, EndpointError};
pub use event::{Event, EventData};

/// How webhooks are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Milliseconds a whole attempt may take.
    pub timeout_ms: u64,
    /// Most attempts to one endpoint at a time.
    pub concurrency: usize,
    /// Milliseconds until the second attempt; every further wait is twice as long, each shortened by up to a half at
    /// random.
    pub retry_first_ms: u64,
    /// Longest wait between two attempts, milliseconds.
    pub retry_max_ms: u64,
    /// Milliseconds after the first attempt at which an event is given up.
    pub keep_ms: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 15_000,
            concurrency: 16,
            retry_first_ms: 1_000,
            retry_max_ms: 3_600_000,
            keep_ms: 3 * 24 * 3_600_000,
        }
    }
}

impl WebhookConfig {
    /// Milliseconds to wait after this many failed attempts.
    fn back_off_ms(&self, attempts: u32, rng: &dyn Rng) -> u64 {
        let doubled = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
        let full = self.retry_first_ms.saturating_mul(doubled).min(self.retry_max_ms);
        full - rng.below(full / 2 + 1)
    }
}

/// What the sender needs of the world.
#[derive(Clone)]
pub struct World {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub rng: Arc<dyn Rng>,
    /// Where deliveries are counted.
    pub metrics: Arc<ApiMetrics>,
}

/// The running sender: one task for each endpoint.
#[derive(Debug)]
pub struct Webhooks {
    news: Vec<Arc<Notify>>,
    tasks: TaskTracker,
}

impl Webhooks {
    /// Starts to send what is in the outboxes of `endpoints`, until `stop` is cancelled. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`] for a configuration that is wrong, or a name that is there twice; nothing is started then.
    pub fn start(
        world: &World,
        config: &WebhookConfig,
        endpoints: &[EndpointConfig],
        stop: &CancellationToken,
    ) -> Result<Self, EndpointError> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let mut ready: Vec<Endpoint> = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            if ready.iter().any(|other| other.name.as_str() == endpoint.name) {
                let name = endpoint.name.clone();
                return Err(EndpointError { name, field: "name", expected: "a name of its own" });
            }
            ready.push(Endpoint::new(endpoint, timeout)?);
        }
        let tasks = TaskTracker::new();
        let mut news = Vec::with_capacity(ready.len());
        for endpoint in ready {
            let new = Arc::new(Notify::new());
            let courier = Courier::new(world.clone(), config.clone(), endpoint);
            tasks.spawn(courier.run(Arc::clone(&new), stop.clone()));
            news.push(new);
        }
        tasks.close();
        Ok(Self { news, tasks })
    }

    /// Says that something may have been put into an outbox.
    pub fn wake(&self) {
        for new in &self.news {
            new.notify_one();
        }
    }

    /// Passes on what the gateway says about its outboxes, until every endpoint's task has ended.
    pub async fn follow(self, gateway: Gateway) {
        let ended = self.tasks.wait();
        let signal = gateway.outbox_signal();
        let news = signal.notified();
        tokio::pin!(ended, news);
        loop {
            tokio::select! {
                biased;
                () = &mut ended => return,
                () = &mut news => {
                    // Listening again comes first, so that nothing falls between.
                    news.set(signal.notified());
                    self.wake();
                }
            }
        }
    }

    /// Waits until every endpoint's task has ended.
    pub async fn ended(self) {
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SeededRng;

    #[test]
    fn waits_double_up_to_the_longest_and_are_jittered_by_half() {
        let config = WebhookConfig { retry_first_ms: 1_000, retry_max_ms: 60_000, ..Default::default() };
        let rng = SeededRng::new(7);
        for (attempts, full) in
            [(1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (64, 60_000), (u32::MAX, 60_000)]
        {
            for _ in 0..50 {
                let wait = config.back_off_ms(attempts, &rng);
                assert!((full / 2..=full).contains(&wait), "{attempts}: {wait}");
            }
        }
    }

    #[test]
    fn configuration_has_defaults_and_no_unknown_keys() {
        let config: WebhookConfig = toml::from_str("concurrency = 4").unwrap();
        assert_eq!((config.concurrency, config.timeout_ms), (4, 15_000));
        assert!(toml::from_str::<WebhookConfig>("retries = 4").is_err());
    }
}
