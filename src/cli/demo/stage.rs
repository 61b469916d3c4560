//! Everything that runs in the demo, on free TCP ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::webhook::{self, EndpointConfig, WebhookConfig, Webhooks};
use crate::api::{self, ApiConfig, ApiMetrics, ApiState, Scope};
use crate::card::{Owner, Profile, Timers};
use crate::cli::sample::Sample;
use crate::cli::smsc::specs;
use crate::config::APPLET_PROFILE;
use crate::gateway::import::{Importer, import};
use crate::gateway::{EndpointRef, Gateway, GatewayConfig, RouteConfig, World};
use crate::identity::EidChecksum;
use crate::link::{LinkConfig, SourceConfig, TcpConnector};
use crate::sim::{self, CardSpec, EsmeAccount, Latencies, OperatorConfig, SimConfig, SimHandle};
use crate::store::{SledStore, Store, StoreConfig};
use crate::vault::{MasterKey, SoftwareVault};
use crate::world::{Clock, Rng, SeededRng, SystemClock, SystemRng};

/// The SMPP account of the demo's operator.
const SYSTEM_ID: &str = "airwrite";

/// Devices are powered on over this time.
const POWER_ON: Duration = Duration::from_secs(4);

/// A network in a hurry, so that nobody has to wait for STATUS commands.
const LATENCIES: Latencies = Latencies {
    attach_ms: 300,
    attach_again_ms: 5_000,
    mt_ms: 100,
    mo_ms: 100,
    restart_ms: 400,
    status_ms: 2_000,
};

pub(super) struct Stage {
    pub(super) smsc: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) sim: SimHandle,
    pub(super) gateway: Gateway,
    pub(super) token: SecretString,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    sending: JoinHandle<()>,
    cards: usize,
    store: TempDir,
}

impl Stage {
    pub(super) async fn start(sample: &Sample, seed: u64, endpoint: EndpointConfig) -> Result<Self> {
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let password = random_text(&*rng);
        let sim = start_operator(sample, seed, &password, clock.clone()).await?;
        let smsc = sim.address().context("the simulated SMSC listens")?;

        let directory = tempfile::tempdir().context("a directory for the store")?;
        let on_fatal = Arc::new(|error: &crate::store::StoreError| tracing::error!(%error, "store"));
        let store = StoreConfig::in_directory(directory.path());
        let store: Arc<dyn Store> = Arc::new(SledStore::open(&store, on_fatal).await?);
        let mut master_key = [0; 32];
        rng.fill(&mut master_key);
        let vault = Arc::new(SoftwareVault::new(MasterKey::from_octets(master_key), rng.clone()));
        let importer =
            Importer { store: store.clone(), vault: vault.clone(), clock: clock.clone(), rng: rng.clone() };
        let report = import(&importer, sample.cards.clone(), |_| {}).await?;
        anyhow::ensure!(report.refused.is_empty(), "cards refused: {:?}", report.refused);
        let (_, token) =
            api::create_key(&*store, &*clock, &*rng, owner()?, "demo", &Scope::all_but_admin()).await?;

        let connector = Arc::new(TcpConnector);
        let world = World {
            store: store.clone(),
            vault,
            clock: clock.clone(),
            rng: rng.clone(),
            connector,
            lookup: None,
        };
        let gateway = Gateway::start(gateway_config(smsc, &password, &endpoint)?, world).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the HTTP API")?;
        let address = listener.local_addr()?;
        let (stop, metrics) = (CancellationToken::new(), Arc::new(ApiMetrics::default()));
        let around = webhook::World { store, clock, rng, metrics: metrics.clone() };
        let webhooks = Webhooks::start(&around, &WebhookConfig::default(), &[endpoint], &stop)?;
        let sending = tokio::spawn(webhooks.clone().follow(gateway.clone()));
        let state = ApiState::new(gateway.clone(), &ApiConfig::default(), metrics).with_webhooks(webhooks);
        let serving = tokio::spawn(api::serve(listener, state, stop.clone()));
        let cards = sample.cards.len();
        Ok(Self { smsc, api: address, sim, gateway, token, stop, serving, sending, cards, store: directory })
    }

    /// Powers the devices on, one after the other.
    pub(super) async fn power_on_all(&self) -> Result<()> {
        let pause = POWER_ON / u32::try_from(self.cards).unwrap_or(u32::MAX);
        let mut next = tokio::time::Instant::now();
        for index in 0..self.cards {
            self.sim.power_on([index]).await?;
            next += pause;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }

    /// What somebody who stays can try.
    pub(super) fn describe(&self, sample: &Sample) {
        let (api, token) = (self.api, self.token.expose_secret());
        let eid =
            sample.cards.first().and_then(|card| card.eid).map(|eid| eid.to_string()).unwrap_or_default();
        println!("\nStill running; Ctrl-C ends it. Try:\n");
        println!("  export KEY={token}");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" 'http://{api}/v1/writes?limit=3'");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" http://{api}/v1/cards/eid:{eid}");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" http://{api}/v1/cards/eid:{eid}/timeline");
        println!("  curl -s http://{api}/metrics");
        println!("\nStore: {} (removed at the end)", self.store.path().display());
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        // Both still need the store.
        let _ = self.serving.await;
        let _ = self.sending.await;
        self.gateway.shutdown(Duration::from_secs(5)).await;
        self.sim.stop().await;
    }
}

async fn start_operator(
    sample: &Sample,
    seed: u64,
    password: &str,
    clock: Arc<dyn Clock>,
) -> Result<SimHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the simulated SMSC")?;
    let specs = specs(&sample.cards, CardSpec::SHORT_CODE)?;
    let account = EsmeAccount {
        system_id: SYSTEM_ID.to_owned(),
        password: password.to_owned().into(),
        short_codes: vec![CardSpec::SHORT_CODE.to_owned()],
    };
    let operator = OperatorConfig { latencies: LATENCIES, ..OperatorConfig::default() };
    let config = SimConfig { operator, accounts: vec![account], ..SimConfig::default() };
    let sim = sim::start(config, &specs, clock, Arc::new(SeededRng::new(seed)), Some(listener));
    for target in &sample.targets {
        sim.provision(target.imsi, target.msisdn).await?;
    }
    Ok(sim)
}

fn gateway_config(smsc: SocketAddr, password: &str, endpoint: &EndpointConfig) -> Result<GatewayConfig> {
    let link = LinkConfig {
        name: "smsc".to_owned(),
        address: smsc.to_string(),
        system_id: SYSTEM_ID.to_owned(),
        password: password.to_owned().into(),
        source: SourceConfig { digits: CardSpec::SHORT_CODE.to_owned(), ..SourceConfig::default() },
        ..LinkConfig::default()
    };
    let all =
        RouteConfig { name: "all".to_owned(), owner: None, prefix: String::new(), link: link.name.clone() };
    let profile = Profile::from_toml(APPLET_PROFILE)?;
    Ok(GatewayConfig {
        profiles: BTreeMap::from([(profile.name.clone(), profile)]),
        timers: Timers::default(),
        links: vec![link],
        routes: vec![all],
        endpoints: vec![EndpointRef { name: endpoint.name.clone(), owner: endpoint.owner.clone() }],
        eid_checksum: EidChecksum::Reject,
    })
}

pub(super) fn owner() -> Result<Owner> {
    Ok("default".parse()?)
}

/// A password that fits the eight octets of SMPP 3.4.
fn random_text(rng: &dyn Rng) -> String {
    let mut octets = [0; 4];
    rng.fill(&mut octets);
    hex::encode(octets)
}
