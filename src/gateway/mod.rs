//! The running system: messages in, packets out, timers, and what is told to the owners.
//!
//! Everything that happens to a card goes through its shard (`cards`): read, apply, seal, **one commit**, and only
//! then the effects. The rest of this room brings events to the shards: `inbound` from the links, `dispatch` when
//! a link has room, `timers` when time has come, `orders` from the HTTP API.

mod alerts;
mod bindings;
mod cancel;
mod cancel_sm;
mod cards;
mod changes;
mod delivery_hours;
mod dispatch;
pub mod import;
mod inbound;
mod inboxes;
mod job;
mod job_writes;
mod lanes;
mod link_events;
mod lists;
mod look_up;
mod metrics;
mod on_site;
mod orders;
mod outboxes;
mod part_sets;
mod read;
mod records;
mod relay;
mod render;
mod retention;
mod routes;
mod serving;
mod strays;
mod timers;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::card::{Card, Owner, Profile, Terms, Timers};
use crate::identity::EidChecksum;
use crate::link::{self, BindsUp, Connector, Link, LinkConfig, LinkConfigError, LinkState};
use crate::pcap::{CaptureError, Recorder};
use crate::store::{KeyText, Store, StoreError, Unguarded, keys};
use crate::vault::Vault;
use crate::world::{Clock, Rng};

pub use bindings::{DecisionError, DeviceInfo, PollError, SupplyError};
pub use cancel::CancelError;
pub use delivery_hours::DeliveryHoursConfig;
pub use lists::{Stray, StrayCursor, StrayCursorError};
pub use look_up::{CardLookup, LookupError};
pub use metrics::Metrics;
pub use on_site::{Export, ExportError, ExportPart, ResponsesError};
pub use orders::{Idempotency, NewOrder, OrderError, Placed, RetryError};
pub use outboxes::{Events, LOG_EVENTS_MIN, LoggedEvent};
pub use read::{CardRef, CardRefError, Page, WriteFilter};
pub use retention::Retention;
pub use routes::RouteConfig;

/// Queues in which the events of one card stay in order.
const SHARDS: usize = 64;

/// Events that wait in one shard's queue before the senders have to wait.
const SHARD_QUEUE: usize = 64;

/// Deliveries from the links that wait for a worker.
const INBOUND_QUEUE: usize = 256;

/// Everything that the gateway sees of the world.
#[derive(Clone)]
pub struct World {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// What secures and opens packets.
    pub vault: Arc<dyn Vault>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is random.
    pub rng: Arc<dyn Rng>,
    /// What connects to SMSCs.
    pub connector: Arc<dyn Connector>,
    /// What knows the card of a device that no card has reported, where the business platform offers that.
    pub lookup: Option<Arc<dyn CardLookup>>,
}

/// What a gateway is to do.
#[derive(Debug, Default)]
pub struct GatewayConfig {
    /// Kinds of cards by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The waits of a write.
    pub timers: Timers,
    /// SMSCs.
    pub links: Vec<LinkConfig>,
    /// Which links serve which cards.
    pub routes: Vec<RouteConfig>,
    /// Who is told.
    pub endpoints: Vec<EndpointRef>,
    /// What a wrong EID check means.
    pub eid_checksum: EidChecksum,
    /// When cards may be written over the air.
    pub delivery_hours: Vec<DeliveryHoursConfig>,
    /// How long what is over is kept.
    pub retention: Retention,
}

/// An endpoint that events of an owner are kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRef {
    /// Its name: the name of its outbox.
    pub name: String,
    /// Whose events it gets.
    pub owner: Owner,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("{key}: expected {expected}")]
    Config {
        /// Where.
        key: String,
        /// What was expected.
        expected: String,
    },
    /// A link's configuration cannot be used.
    #[error(transparent)]
    Link(#[from] LinkConfigError),
    /// A link is to be recorded and cannot be.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A part of the gateway that cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// The part.
    pub part: String,
    /// Why.
    pub reason: String,
}

/// The running gateway: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    world: World,
    config: GatewayConfig,
    epoch: u64,
    shards: Vec<mpsc::Sender<cards::Job>>,
    links: BTreeMap<String, Link>,
    /// Captures of links.
    recorders: Vec<Recorder>,
    routes: routes::Routes,
    /// Who is told what happens.
    outboxes: outboxes::Outboxes,
    /// Room for look-ups of cards under way.
    look_ups: Arc<Semaphore>,
    /// Room for cancel_sm under way.
    cancels: Arc<Semaphore>,
    /// Signalled for a route when something entered its lane.
    lanes: BTreeMap<KeyText, Notify>,
    /// The earliest timer set since the timers were last read.
    timer_set: watch::Sender<u64>,
    /// Signalled when something entered an inbox.
    inbox: Notify,
    metrics: Metrics,
    /// Cancelled: no new work is begun.
    closing: CancellationToken,
    /// Cancelled: what is not done by now is answered "again".
    overdue: CancellationToken,
    /// Cancelled: nothing sends jobs to the shards any more.
    idle: CancellationToken,
    /// Cancelled: every task is dropped where it stands.
    killed: CancellationToken,
    /// What begins work: ends when `closing` is cancelled.
    work: TaskTracker,
    /// The shards: they end when `idle` is cancelled.
    shard_tasks: TaskTracker,
}

impl Gateway {
    /// Starts links and tasks, and takes up whatever the store holds.
    ///
    /// # Errors
    /// [`StartError::Config`] where a route names a link that is not there or a name cannot be a key;
    /// [`StartError::Store`].
    pub async fn start(config: GatewayConfig, world: World) -> Result<Self, StartError> {
        let routes = routes::Routes::new(&config)?;
        let epoch = read_epoch(&*world.store).await?;
        let outboxes = outboxes::Outboxes::read(&world, &config.endpoints).await?;
        // Links start last: nothing is accepted before all else is known to work.
        let killed = CancellationToken::new();
        let unfinished = killed.clone().drop_guard();
        let (deliveries, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (mut links, mut recorders) = (BTreeMap::new(), Vec::new());
        for link in &config.links {
            let mut link = link.clone();
            let connector = connector(&mut link, &world, &mut recorders).await?;
            let handle = link::start(link, connector, world.rng.clone(), deliveries.clone(), &killed)?;
            links.insert(handle.name().to_string(), handle);
        }
        let (shards, queues): (Vec<_>, Vec<_>) = (0..SHARDS).map(|_| mpsc::channel(SHARD_QUEUE)).unzip();
        let inner = Inner {
            epoch,
            lanes: routes.names().map(|name| (name, Notify::new())).collect(),
            timer_set: watch::channel(0).0,
            inbox: Notify::new(),
            metrics: Metrics::new(links.values().cloned().collect()),
            world,
            config,
            shards,
            links,
            recorders,
            routes,
            outboxes,
            look_ups: Arc::new(Semaphore::new(look_up::AT_ONCE)),
            cancels: Arc::new(Semaphore::new(cancel_sm::AT_ONCE)),
            closing: CancellationToken::new(),
            overdue: CancellationToken::new(),
            idle: CancellationToken::new(),
            killed,
            work: TaskTracker::new(),
            shard_tasks: TaskTracker::new(),
        };
        let gateway = Self(Arc::new(inner));
        gateway.sort_lanes().await?;
        for queue in queues {
            let shard = gateway.clone().run_shard(queue);
            gateway.0.shard_tasks.spawn(gateway.0.killed.clone().run_until_cancelled_owned(shard));
        }
        gateway.spawn(gateway.clone().run_inbound(inbound));
        gateway.spawn(gateway.clone().run_timers());
        gateway.spawn(gateway.clone().run_inboxes());
        gateway.spawn(gateway.clone().run_log_trim());
        gateway.spawn(gateway.clone().run_retention());
        gateway.spawn(gateway.clone().retry_strays());
        for (route, serving) in gateway.0.routes.serving(&gateway.0.links) {
            gateway.spawn(gateway.clone().run_lane(route, serving));
        }
        for link in gateway.0.links.values() {
            gateway.spawn(gateway.clone().run_alerts(link.clone()));
            gateway.spawn(gateway.clone().run_link_events(link.clone()));
        }
        unfinished.disarm();
        Ok(gateway)
    }

    /// Stops taking work, lets what is in flight end, unbinds the links and closes the store; at most `grace` for each.
    pub async fn shutdown(&self, grace: Duration) {
        let inner = &self.0;
        inner.closing.cancel();
        inner.work.close();
        inner.shard_tasks.close();
        let in_time = tokio::time::timeout(grace, inner.work.wait()).await.is_ok();
        inner.overdue.cancel();
        for link in inner.links.values() {
            let _ = tokio::time::timeout(grace, link.close()).await;
        }
        for recorder in &inner.recorders {
            let _ = tokio::time::timeout(grace, recorder.flush()).await;
        }
        inner.idle.cancel();
        let _ = tokio::time::timeout(grace, inner.shard_tasks.wait()).await;
        inner.killed.cancel();
        let closed = tokio::time::timeout(grace, inner.world.store.close()).await;
        tracing::info!(in_time, store_closed = matches!(closed, Ok(Ok(()))), "gateway stopped");
    }

    /// Drops every task at the await point where it stands, as a crash does; what is durable stays. For simulation.
    pub fn kill(&self) {
        self.0.killed.cancel();
    }

    /// What cannot serve at this moment; nothing where the gateway is ready.
    #[must_use]
    pub fn readiness(&self) -> Vec<NotReady> {
        let mut missing = Vec::new();
        if self.0.closing.is_cancelled() {
            missing.push(NotReady { part: "gateway".to_owned(), reason: "shutting down".to_owned() });
        }
        for (name, link) in &self.0.links {
            let reason = match &*link.state().borrow() {
                LinkState::Bound => continue,
                LinkState::Connecting => {
                    let BindsUp { up, total } = link.binds();
                    format!("not bound yet, {up} of {total} binds are up")
                }
                LinkState::Refused(status) => format!("the SMSC refuses the bind: {status}"),
                LinkState::Closed => "closed".to_owned(),
            };
            missing.push(NotReady { part: format!("link {name}"), reason });
        }
        missing
    }

    /// Its links, by name.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.0.links.values()
    }

    /// The link of this name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.0.links.get(name)
    }

    /// Puts cards into the store ([`import`](import::import)), and tries again what came from their numbers before.
    ///
    /// # Errors
    /// [`ImportError`](import::ImportError); the file can be run again.
    pub async fn import_cards(
        &self,
        rows: Vec<import::CardRow>,
        progress: impl FnMut(usize),
    ) -> Result<import::ImportReport, import::ImportError> {
        let World { store, vault, clock, rng, .. } = self.0.world.clone();
        let numbers: Vec<_> = rows.iter().filter_map(|row| Some(row.preset.as_ref()?.msisdn)).collect();
        let report = import::import(&import::Importer { store, vault, clock, rng }, rows, progress).await?;
        self.retry_strays_of(&numbers).await?;
        Ok(report)
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The store that it works on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.world.store
    }

    /// The vault that it works with.
    #[must_use]
    pub fn vault(&self) -> &Arc<dyn Vault> {
        &self.0.world.vault
    }

    /// What it was told to do.
    #[must_use]
    pub fn config(&self) -> &GatewayConfig {
        &self.0.config
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.world.clock
    }

    /// Its randomness.
    #[must_use]
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.0.world.rng
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.work.spawn(self.0.killed.clone().run_until_cancelled_owned(task));
    }

    fn now(&self) -> u64 {
        self.0.world.clock.now_ms()
    }

    fn terms<'a>(&'a self, profile: &'a Profile, card: &Card) -> Terms<'a> {
        let config = &self.0.config;
        Terms {
            profile,
            timers: &config.timers,
            epoch: self.0.epoch,
            hours: self.delivery_hours(card),
            numbers_kept_ms: config.retention.numbers_ms(),
        }
    }

    fn profile(&self, name: &str) -> Option<&Profile> {
        self.0.config.profiles.get(name)
    }
}

/// How often the store was restored; 0 where it never was.
async fn read_epoch(store: &dyn Store) -> Result<u64, StoreError> {
    let value = store.get_one(keys::Meta::Epoch.key()).await?.value;
    let body = value.as_deref().and_then(|value| Unguarded::decode(value).ok());
    Ok(body.and_then(|body| body.try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// What connects this link: the world's connector, and a recorder around it where the link has `capture`.
async fn connector(
    link: &mut LinkConfig,
    world: &World,
    recorders: &mut Vec<Recorder>,
) -> Result<Arc<dyn Connector>, StartError> {
    let Some(capture) = &link.capture else { return Ok(world.connector.clone()) };
    let recorder = Recorder::to_directory(&link.name, capture, world.clock.clone()).await?;
    // Around TLS: what is said within it is recorded.
    let recorded = recorder.connector(link::secured(link, world.connector.clone())?);
    recorders.push(recorder);
    Ok(Arc::new(recorded))
}

fn key_text(text: &str, key: &str) -> Result<KeyText, StartError> {
    KeyText::new(text)
        .map_err(|error| StartError::Config { key: format!("{key} {text:?}"), expected: error.to_string() })
}
