//! Everything that runs in the demo, on free TCP ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::platform::Platform;
use super::{files, rfm};
use crate::api::webhook::{self, EndpointConfig, WebhookConfig, Webhooks};
use crate::api::{self, ApiConfig, ApiMetrics, ApiState, HttpLookup, Scope};
use crate::card::{Owner, Profile, Timers};
use crate::cli::client::Api;
use crate::cli::relay::line;
use crate::cli::sample::{Kind, Sample};
use crate::cli::smsc::specs;
use crate::gateway::import::{Importer, import};
use crate::gateway::{EndpointRef, Gateway, GatewayConfig, RouteConfig, World};
use crate::identity::EidChecksum;
use crate::link::{LinkConfig, SourceConfig, TcpConnector};
use crate::pcap::Recorder;
use crate::sim::{
    self, AppletTiming, CardReport, CardSpec, EsmeAccount, Latencies, OperatorConfig, SimConfig, SimHandle,
};
use crate::store::{SledStore, Store, StoreConfig};
use crate::vault::{MasterKey, SoftwareVault};
use crate::world::{Clock, Rng, SeededRng, SystemClock, SystemRng};

/// The SMPP account of the demo's operator.
const SYSTEM_ID: &str = "airwrite";

/// Devices are powered on over this time.
const POWER_ON: Duration = Duration::from_secs(4);

/// What the stage is set up with.
pub(super) struct Terms {
    /// What everything random in the simulated network follows from.
    pub(super) seed: u64,
    /// Latencies, message centre, faults.
    pub(super) operator: OperatorConfig,
    /// The waits of the cards' applet.
    pub(super) applet: AppletTiming,
    /// The waits of a write.
    pub(super) timers: Timers,
    /// The file that the connection between gateway and SMSC is recorded to.
    pub(super) capture: Option<PathBuf>,
}

impl Terms {
    /// A network in a hurry, so that nobody has to wait for STATUS commands, and nothing that goes wrong.
    pub(super) fn calm(seed: u64) -> Self {
        let latencies = Latencies {
            attach_ms: 300,
            attach_again_ms: 5_000,
            mt_ms: 100,
            mo_ms: 100,
            restart_ms: 400,
            status_ms: 2_000,
        };
        let operator = OperatorConfig { latencies, ..OperatorConfig::default() };
        // A card that only tells its IMEI reports no result; it is asked for it.
        let timers = Timers { result_polls_s: vec![5, 10, 20], wake_s: 5, ..Timers::default() };
        Self { seed, operator, applet: AppletTiming::default(), timers, capture: None }
    }
}

pub(super) struct Stage {
    pub(super) smsc: SocketAddr,
    /// Where the HTTP API is.
    pub(super) address: SocketAddr,
    /// The business platform's way to it.
    pub(super) api: Api,
    /// Where a relay reaches the cards.
    pub(super) cards: SocketAddr,
    pub(super) sim: SimHandle,
    /// What the cards were like before anything happened.
    pub(super) factory: Vec<CardReport>,
    pub(super) profiles: BTreeMap<String, Profile>,
    recorder: Option<Recorder>,
    pub(super) gateway: Gateway,
    token: SecretString,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    sending: JoinHandle<()>,
    relays: JoinHandle<()>,
    store: TempDir,
}

impl Stage {
    pub(super) async fn start(sample: &Sample, terms: Terms, platform: &Platform) -> Result<Self> {
        let endpoint = platform.endpoint()?;
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let password = random_text(&*rng);
        let profiles = rfm::profiles()?;
        let mut specs = specs(&sample.cards, &profiles, CardSpec::SHORT_CODE)?;
        for (index, spec) in specs.iter_mut().enumerate() {
            spec.timing = terms.applet;
            if let Some(rfm) = &mut spec.rfm {
                rfm::habits(index, rfm);
            }
        }
        let recorder = match &terms.capture {
            Some(path) => Some(Recorder::to_file(path, clock.clone()).await?),
            None => None,
        };
        let sim = start_operator(&specs, &terms, &password, recorder.clone(), clock.clone()).await?;
        for target in &sample.targets {
            sim.provision(target.imsi, target.msisdn).await?;
        }
        let factory = sim.snapshot().await?.cards.into_iter().map(|status| status.card).collect();
        let smsc = sim.address().context("the simulated SMSC listens")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for relays")?;
        let cards = listener.local_addr()?;
        let devices = specs.iter().map(|spec| spec.imei).collect();
        let relays = tokio::spawn(line::serve(listener, sim.clone(), devices));

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
        let lookup = HttpLookup::new(&[platform.lookup()?], EidChecksum::Reject, clock.clone(), rng.clone())?;
        let world = World {
            store: store.clone(),
            vault,
            clock: clock.clone(),
            rng: rng.clone(),
            connector,
            lookup: Some(Arc::new(lookup)),
        };
        let config = gateway_config(smsc, &password, &endpoint, terms.timers, profiles.clone())?;
        let gateway = Gateway::start(config, world).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the HTTP API")?;
        let address = listener.local_addr()?;
        let (stop, metrics) = (CancellationToken::new(), Arc::new(ApiMetrics::default()));
        let around = webhook::World { store, clock, rng, metrics: metrics.clone() };
        let webhooks = Webhooks::start(&around, &WebhookConfig::default(), &[endpoint], &stop)?;
        let sending = tokio::spawn(webhooks.clone().follow(gateway.clone()));
        let state = ApiState::new(gateway.clone(), &ApiConfig::default(), metrics).with_webhooks(webhooks);
        let serving = tokio::spawn(api::serve(listener, state, stop.clone()));
        let api = Api::new(&format!("http://{address}"), &token)?;
        let store = directory;
        Ok(Self {
            smsc,
            address,
            api,
            cards,
            sim,
            factory,
            profiles,
            recorder,
            gateway,
            token,
            stop,
            serving,
            sending,
            relays,
            store,
        })
    }

    /// Powers these devices on, one after the other.
    pub(super) async fn power_on(&self, devices: &[usize]) -> Result<()> {
        let pause = POWER_ON / u32::try_from(devices.len().max(1)).unwrap_or(u32::MAX);
        let mut next = tokio::time::Instant::now();
        for device in devices {
            self.sim.power_on([*device]).await?;
            next += pause;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }

    /// Every write, as the HTTP API shows it.
    pub(super) async fn all_writes(&self) -> Result<Vec<Value>> {
        let (mut writes, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.api.get(&format!("/v1/writes?limit=100{cursor}")).await?;
            writes.append(page["items"].as_array_mut().context("a list of writes")?);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(writes),
            }
        }
    }

    /// What the card in this place holds that is not what was ordered for it: the IMSI, or by remote file management any
    /// file.
    pub(super) fn wrong_files(&self, sample: &Sample, index: usize, now: &CardReport) -> Result<Vec<String>> {
        let card = sample.cards.get(index).context("a card in each place")?;
        let target = sample.targets.get(index).context("each card has a target")?;
        if Kind::of(card) == Kind::Rfm {
            let profile = self.profiles.get(&card.profile).context("each card has a profile")?;
            let factory = self.factory.get(index).context("each card has left a factory")?;
            return Ok(files::wrong(profile, target, factory, now));
        }
        let right = now.ef_imsi == Some(target.imsi);
        Ok(if right { Vec::new() } else { vec!["EF.IMSI".to_owned()] })
    }

    /// What somebody who stays can try.
    pub(super) fn describe(&self, sample: &Sample) {
        let (api, token) = (self.address, self.token.expose_secret());
        let card = match sample.cards.first().map(|card| (card.eid, card.iccid)) {
            Some((Some(eid), _)) => format!("eid:{eid}"),
            Some((None, Some(iccid))) => format!("iccid:{iccid}"),
            _ => String::new(),
        };
        println!("\nStill running; Ctrl-C ends it. Try:\n");
        println!("  export KEY={token}");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" 'http://{api}/v1/writes?limit=3'");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" http://{api}/v1/cards/{card}");
        println!("  curl -s -H \"Authorization: Bearer $KEY\" http://{api}/v1/cards/{card}/timeline");
        println!("  curl -s http://{api}/metrics");
        println!("\nStore: {} (removed at the end)", self.store.path().display());
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        // Both still need the store.
        let _ = self.serving.await;
        let _ = self.sending.await;
        self.gateway.shutdown(Duration::from_secs(5)).await;
        self.relays.abort();
        self.sim.stop().await;
        if let Some(recorder) = self.recorder {
            recorder.flush().await;
        }
    }
}

async fn start_operator(
    specs: &[CardSpec],
    terms: &Terms,
    password: &str,
    recorder: Option<Recorder>,
    clock: Arc<dyn Clock>,
) -> Result<SimHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the simulated SMSC")?;
    let account = EsmeAccount {
        system_id: SYSTEM_ID.to_owned(),
        password: password.to_owned().into(),
        short_codes: vec![CardSpec::SHORT_CODE.to_owned()],
    };
    let operator = terms.operator.clone();
    let config = SimConfig { operator, accounts: vec![account], recorder, ..SimConfig::default() };
    Ok(sim::start(config, specs, clock, Arc::new(SeededRng::new(terms.seed)), Some(listener)))
}

fn gateway_config(
    smsc: SocketAddr,
    password: &str,
    endpoint: &EndpointConfig,
    timers: Timers,
    profiles: BTreeMap<String, Profile>,
) -> Result<GatewayConfig> {
    let link = LinkConfig {
        name: "smsc".to_owned(),
        address: smsc.to_string(),
        system_id: SYSTEM_ID.to_owned(),
        password: password.to_owned().into(),
        source: SourceConfig { digits: CardSpec::SHORT_CODE.to_owned(), ..SourceConfig::default() },
        response_timeout_ms: 8_000,
        reconnect_first_ms: 100,
        reconnect_max_ms: 1_000,
        ..LinkConfig::default()
    };
    let all = RouteConfig::all_over(vec![link.name.clone()]);
    Ok(GatewayConfig {
        profiles,
        timers,
        links: vec![link],
        routes: vec![all],
        endpoints: vec![EndpointRef { name: endpoint.name.clone(), owner: endpoint.owner.clone() }],
        ..GatewayConfig::default()
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
