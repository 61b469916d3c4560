//! A platform and an operator on one thread, in paused time, decided by a seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use airwrite::card::{Owner, Profile, Subscription, Timers, WriteId, WriteState};
use airwrite::cli::sample::{Sample, Target, device_imei, sample};
use airwrite::gateway::import::{CardRow, Importer, import};
use airwrite::gateway::{
    EndpointRef, Gateway, GatewayConfig, Idempotency, NewOrder, OrderError, RouteConfig, World,
};
use airwrite::identity::EidChecksum;
use airwrite::link::{BoxFuture, Connector, LinkConfig, SourceConfig, Transport};
use airwrite::sim::{self, CardSpec, EsmeAccount, Preset, Report, SimConfig, SimHandle};
use airwrite::store::records::{OutboxRecord, Write, decode_outbox};
use airwrite::store::{KeyText, MemoryStore, Scan, Store, Unguarded, keys};
use airwrite::vault::{MasterKey, SoftwareVault};
use airwrite::world::{Clock, Rng, SeededRng, TokioClock};

pub(crate) const ENDPOINT: &str = "shop";

/// Hands every connection of the gateway to the operator.
struct ToOperator(SimHandle);

impl Connector for ToOperator {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(16 * 1024);
            self.0.serve(theirs);
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}

pub(crate) struct Scene {
    pub(crate) sim: SimHandle,
    pub(crate) gateway: Gateway,
    pub(crate) sample: Sample,
    pub(crate) rng: Arc<SeededRng>,
    store: Arc<MemoryStore>,
    clock: Arc<dyn Clock>,
    timers: Timers,
}

impl Scene {
    /// `count` cards, known to the platform, in devices that are off.
    pub(crate) async fn new(count: u32, seed: u64) -> Self {
        Self::with(count, seed, SimConfig::default(), Timers::default()).await
    }

    pub(crate) async fn with(count: u32, seed: u64, config: SimConfig, timers: Timers) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(1_800_000_000_000));
        let rng = Arc::new(SeededRng::new(seed));
        let sample = sample(count, seed).unwrap();
        let specs: Vec<CardSpec> = sample.cards.iter().zip(1..).map(|(row, n)| spec(row, n)).collect();
        let account = EsmeAccount {
            system_id: "airwrite".into(),
            password: "secret".into(),
            short_codes: vec![CardSpec::SHORT_CODE.into()],
        };
        let config = SimConfig { accounts: vec![account], ..config };
        let sim = sim::start(config, &specs, clock.clone(), Arc::new(SeededRng::new(!seed)), None);
        for Target { imsi, msisdn } in &sample.targets {
            sim.provision(*imsi, *msisdn).await.unwrap();
        }
        let store = Arc::new(MemoryStore::new());
        store.set_delay(Duration::from_millis(3));
        let importer = Importer {
            store: store.clone(),
            vault: Arc::new(SoftwareVault::new(master_key(), rng.clone())),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let report = import(&importer, sample.cards.clone(), |_| {}).await.unwrap();
        assert_eq!(report.imported, sample.cards.len());
        let gateway = start(&sim, &store, &clock, &rng, &timers).await;
        Self { sim, gateway, sample, rng, store, clock, timers }
    }

    /// The process dies where it stands: what is durable stays, and a new process takes it up.
    pub(crate) async fn crash(&mut self) {
        self.gateway.kill();
        self.store = Arc::new(self.store.crash());
        self.gateway = start(&self.sim, &self.store, &self.clock, &self.rng, &self.timers).await;
    }

    pub(crate) fn owner() -> Owner {
        "default".parse().unwrap()
    }

    /// Orders the `index`-th target for the `index`-th device until it is accepted, as a caller with retries does.
    pub(crate) async fn order(&self, index: usize) -> WriteId {
        let target = self.sample.targets[index];
        loop {
            let order = NewOrder {
                imei: device_imei(u32::try_from(index).unwrap() + 1).unwrap(),
                subscription: Subscription {
                    imsi: target.imsi,
                    msisdn: target.msisdn,
                    iccid: None,
                    smsc: None,
                },
                deadline: None,
                client_order_id: None,
                require_bound: false,
            };
            let key = Idempotency { key: format!("order {index}"), body_digest: [7; 32] };
            match self.gateway.order(&Self::owner(), order, Some(key)).await {
                Ok(placed) => return placed.write.id,
                Err(OrderError::Busy | OrderError::Store(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("order {index}: {error}"),
            }
        }
    }

    pub(crate) async fn write(&self, id: WriteId) -> Write {
        self.gateway.write(&Self::owner(), id).await.unwrap().expect("the write is there")
    }

    pub(crate) async fn report(&self) -> Report {
        self.sim.snapshot().await.unwrap()
    }

    /// Waits, in simulated time, until every write is in a state that `done` accepts.
    pub(crate) async fn until(&self, writes: &[WriteId], limit: Duration, done: impl Fn(WriteState) -> bool) {
        let end = tokio::time::Instant::now() + limit;
        for id in writes {
            loop {
                let write = self.write(*id).await;
                if done(write.state) {
                    break;
                }
                assert!(
                    tokio::time::Instant::now() < end,
                    "{id} is {} after {limit:?}: {write:#?}\n{:#?}",
                    write.state.name(),
                    self.report().await.cards.iter().find(|card| card.imei == write.imei)
                );
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// Everything that was ever told to the owner.
    pub(crate) async fn told(&self) -> Vec<OutboxRecord> {
        let name = KeyText::new(ENDPOINT).unwrap();
        let mut range = keys::OutboxEntry::of_endpoint(&name);
        let mut told = Vec::new();
        loop {
            let entries = self.store.scan(Scan::first(range.clone(), 1000)).await.unwrap().value;
            let Some((last, _)) = entries.last() else { return told };
            range = range.after(last);
            told.extend(
                entries.iter().map(|(_, value)| decode_outbox(Unguarded::decode(value).unwrap()).unwrap()),
            );
        }
    }
}

fn master_key() -> MasterKey {
    MasterKey::from_octets([9; 32])
}

pub(crate) fn spec(row: &CardRow, number: u32) -> CardSpec {
    let keys = row.keys[0].key_set().unwrap();
    let imei = device_imei(number).unwrap();
    let mut spec = CardSpec::new(row.eid.unwrap(), row.iccid.unwrap(), imei, keys);
    spec.preset = row.preset.as_ref().map(|preset| Preset { imsi: preset.imsi, msisdn: preset.msisdn });
    spec
}

pub(crate) fn profile() -> Profile {
    Profile::from_toml(include_str!("../../config/profiles/airwrite-applet.toml")).unwrap()
}

async fn start(
    sim: &SimHandle,
    store: &Arc<MemoryStore>,
    clock: &Arc<dyn Clock>,
    rng: &Arc<SeededRng>,
    timers: &Timers,
) -> Gateway {
    let link = LinkConfig {
        name: "smsc".into(),
        address: "in memory".into(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        source: SourceConfig { digits: CardSpec::SHORT_CODE.into(), ..SourceConfig::default() },
        ..LinkConfig::default()
    };
    let route = RouteConfig { name: "all".into(), owner: None, prefix: String::new(), link: "smsc".into() };
    let profile = profile();
    let config = GatewayConfig {
        profiles: BTreeMap::from([(profile.name.clone(), profile)]),
        timers: timers.clone(),
        links: vec![link],
        routes: vec![route],
        endpoints: vec![EndpointRef { name: ENDPOINT.into(), owner: Scene::owner() }],
        eid_checksum: EidChecksum::Reject,
    };
    let rng: Arc<dyn Rng> = rng.clone();
    let world = World {
        store: store.clone(),
        vault: Arc::new(SoftwareVault::new(master_key(), rng.clone())),
        clock: clock.clone(),
        rng,
        connector: Arc::new(ToOperator(sim.clone())),
    };
    Gateway::start(config, world).await.unwrap()
}
