//! Webhooks: events leave the durable outbox for the endpoints of their owner (Standard Webhooks 1.0).
//!
//! Endpoints stand in the configuration, or in the store where they were made over the API; the tasks follow what becomes
//! of those. Every endpoint has a task of its own, so that a slow or dead one holds up nobody else. An event is sent until the
//! endpoint answers 2xx: at least once, in no promised order, with the same `webhook-id` at every attempt. What could
//! not be delivered for three days is given up: it stays in the outbox with `not_before` at its end of time.

mod courier;
mod endpoint;
mod event;
mod signature;
pub(in crate::api) mod stored;
mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::card::Owner;
use crate::gateway::Gateway;
use crate::store::Store;
use crate::world::{Clock, Rng};

use super::metrics::ApiMetrics;
use courier::Courier;
use stored::is_stored;

pub(in crate::api) use endpoint::{Endpoint, SendError, client, public_url};
pub use endpoint::{EndpointConfig, EndpointError};
pub use event::{Event, EventData};
pub(in crate::api) use signature::SigningKey;

/// Pause after a store that refused.
const STORE_PAUSE: Duration = Duration::from_secs(1);

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
    /// Whether endpoints that are made over the API may be in a private network or on this machine.
    pub allow_private: bool,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 15_000,
            concurrency: 16,
            retry_first_ms: 1_000,
            retry_max_ms: 3_600_000,
            keep_ms: 3 * 24 * 3_600_000,
            allow_private: false,
        }
    }
}

impl WebhookConfig {
    /// For a whole attempt.
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

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

/// The running sender: one task for each endpoint. Clones are handles of the same sender.
#[derive(Clone)]
pub struct Webhooks(Arc<Sender>);

struct Sender {
    world: World,
    config: WebhookConfig,
    running: Mutex<BTreeMap<String, Running>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An endpoint that is being sent to.
struct Running {
    endpoint: Arc<Endpoint>,
    news: Arc<News>,
    stop: CancellationToken,
}

/// What a courier is told from outside.
#[derive(Debug, Default)]
struct News {
    /// Something may have been put into an outbox.
    new: Notify,
    /// Events that were put back, to be sent again at once.
    revived: Mutex<Vec<u64>>,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Starts to send what is in the outboxes of `endpoints`, those of the configuration, until `stop` is cancelled. Those
    /// in the store join in [`Self::follow`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`] for a configuration that is wrong, or a name that is there twice; nothing is started then.
    pub fn start(
        world: &World,
        config: &WebhookConfig,
        endpoints: &[EndpointConfig],
        stop: &CancellationToken,
    ) -> Result<Self, EndpointError> {
        let timeout = config.timeout();
        let mut ready: Vec<Endpoint> = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            if ready.iter().any(|other| other.name.as_str() == endpoint.name) {
                let name = endpoint.name.clone();
                return Err(EndpointError { name, field: "name", expected: "a name of its own" });
            }
            ready.push(Endpoint::new(endpoint, timeout)?);
        }
        let hooks = Self(Arc::new(Sender {
            world: world.clone(),
            config: config.clone(),
            running: Mutex::default(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        }));
        for endpoint in ready {
            hooks.send_to(endpoint);
        }
        Ok(hooks)
    }

    /// Begins to send to one more endpoint, or in its new form to one that is known by the same name.
    pub(in crate::api) fn add(&self, endpoint: &EndpointConfig) -> Result<(), EndpointError> {
        let ready = Endpoint::new(endpoint, self.0.config.timeout())?;
        self.remove(&endpoint.name);
        self.send_to(ready);
        Ok(())
    }

    /// Sends nothing more to an endpoint. What is in its outbox stays there.
    pub(in crate::api) fn remove(&self, name: &str) {
        if let Some(running) = self.running().remove(name) {
            running.stop.cancel();
        }
    }

    /// The endpoint of this name.
    pub(in crate::api) fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.running().get(name).map(|running| Arc::clone(&running.endpoint))
    }

    /// The endpoints of an owner that stand in the configuration.
    pub(in crate::api) fn configured(&self, owner: &Owner) -> Vec<Arc<Endpoint>> {
        let running = self.running();
        let own = running.values().map(|running| &running.endpoint);
        own.filter(|endpoint| endpoint.owner == *owner && !is_stored(endpoint.name.as_str()))
            .cloned()
            .collect()
    }

    /// Says that events in the outbox of an endpoint were put back to be sent again.
    pub(in crate::api) fn revive(&self, name: &str, seqs: &[u64]) {
        if let Some(running) = self.running().get(name) {
            running.news.revived.lock().unwrap_or_else(PoisonError::into_inner).extend(seqs);
            running.news.new.notify_one();
        }
    }

    /// How webhooks are sent.
    pub(in crate::api) fn config(&self) -> &WebhookConfig {
        &self.0.config
    }

    fn send_to(&self, endpoint: Endpoint) {
        let name = endpoint.name.as_str().to_owned();
        let (endpoint, news) = (Arc::new(endpoint), Arc::new(News::default()));
        let stop = self.0.stop.child_token();
        let courier = Courier::new(self.0.world.clone(), self.0.config.clone(), Arc::clone(&endpoint));
        self.0.tasks.spawn(courier.run(Arc::clone(&news), stop.clone()));
        self.running().insert(name, Running { endpoint, news, stop });
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something may have been put into an outbox.
    pub fn wake(&self) {
        for running in self.running().values() {
            running.news.new.notify_one();
        }
    }

    /// Begins to send to the endpoints in the store and passes on what the gateway says about its outboxes, until the
    /// sender is stopped and every task has ended.
    pub async fn follow(self, gateway: Gateway) {
        let mut news = gateway.outbox_news();
        let mut stored = false;
        loop {
            if !stored {
                stored = self.add_stored(&gateway).await;
            }
            let again = async {
                match stored {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(STORE_PAUSE).await,
                }
            };
            tokio::select! {
                biased;
                () = self.0.stop.cancelled() => break,
                // The gateway outlives this: it is held here.
                _ = news.changed() => self.wake(),
                () = again => {}
            }
        }
        self.ended().await;
    }

    /// Whether every endpoint in the store could be read. One that cannot be sent to is left out, and said.
    async fn add_stored(&self, gateway: &Gateway) -> bool {
        let stored = match stored::read_all(&**gateway.store()).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "the endpoints in the store cannot be read");
                return false;
            }
        };
        for endpoint in stored {
            if self.endpoint(&endpoint.id).is_some() {
                continue;
            }
            let opened = stored::open(&endpoint, &**gateway.vault(), self.0.config.allow_private).await;
            let added = opened.map_err(|error| error.to_string());
            if let Err(error) = added.and_then(|config| self.add(&config).map_err(|error| error.to_string()))
            {
                tracing::error!(endpoint = endpoint.id, error, "an endpoint in the store cannot be sent to");
            }
        }
        true
    }

    /// Waits until every endpoint's task has ended, which they do once the sender is stopped.
    pub async fn ended(self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
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
