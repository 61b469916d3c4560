//! A platform and an operator on one thread, in paused time, decided by a seed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use airwrite::card::{Card, CardId, Owner, Profile, Subscription, Timers, WriteId, WriteState};
use airwrite::cli::sample::{Sample, Target, device_imei, sample};
use airwrite::config;
use airwrite::gateway::import::{CardRow, Importer, import};
use airwrite::gateway::{
    CancelError, CardLookup, CardRef, DeliveryHoursConfig, EndpointRef, Export, Gateway, GatewayConfig,
    Idempotency, NewOrder, OrderError, Placed, Retention, RouteConfig, World,
};
use airwrite::identity::Imei;
use airwrite::link::{BoxFuture, Connector, LinkConfig, SourceConfig, Transport};
use airwrite::ota::{Spi1, Tar};
use airwrite::sim::milenage::Credentials;
use airwrite::sim::{
    self, CardSpec, EsmeAccount, FaultPlan, Interim, MoDialect, OperatorConfig, Preset, RefreshHabit, Report,
    Rfm, RfmApplication, SessionStart, SimConfig, SimHandle, SmscConfig,
};
use airwrite::store::records::{OutboxRecord, Write, decode_outbox};
use airwrite::store::{KeyText, MemoryStore, Scan, Store, Unguarded, keys};
use airwrite::vault::{MasterKey, SoftwareVault};
use airwrite::world::{Clock, Rng, SeededRng, TokioClock};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};

pub(crate) const ENDPOINT: &str = "shop";

/// A card without an applet, whose scripts go to two TARs.
pub(crate) const TWO_TARS: &str = include_str!("../data/profiles/usim-two-tars.toml");

/// The line between gateway and operator: every connection goes through it, and it can be cut.
struct Line {
    sim: SimHandle,
    up: watch::Sender<bool>,
    /// Takes the operator's end, where the test is the operator.
    hand: Option<mpsc::UnboundedSender<DuplexStream>>,
}

impl Connector for Line {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async {
            let mut up = self.up.subscribe();
            if !*up.borrow_and_update() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, mut near) = tokio::io::duplex(16 * 1024);
            let (mut far, theirs) = tokio::io::duplex(16 * 1024);
            match &self.hand {
                Some(hand) => hand.send(theirs).unwrap(),
                None => self.sim.serve(theirs),
            }
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = up.wait_for(|up| !up) => {}
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                }
            });
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}

/// What kind of card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With a preset subscription and secured messages.
    Secured,
    /// Without a preset subscription.
    OnSite,
    /// With a preset subscription; its own messages are DER without security.
    Plain,
    /// With a preset subscription; it only tells its IMEI, without security.
    Raw,
    /// Without an applet: scripts to two TARs write its files, and it says nothing of its own.
    Files,
}

/// What a scene is set up with.
pub(crate) struct Setup {
    pub(crate) cards: u32,
    /// Subscriptions to order: as many as there are cards, unless more are asked for.
    pub(crate) targets: u32,
    pub(crate) seed: u64,
    pub(crate) smsc: SmscConfig,
    pub(crate) faults: FaultPlan,
    pub(crate) timers: Timers,
    pub(crate) profile: Profile,
    /// More cards in devices, after those of the sample: as the test makes them of the sample.
    pub(crate) more: fn(&Sample) -> Vec<CardSpec>,
    /// What is other than usual in the link's configuration.
    pub(crate) link: LinkConfig,
    /// Whether there is another link, which no route uses; it connects second.
    pub(crate) second_link: bool,
    /// The kind of each card; those after the last one are secured.
    pub(crate) kinds: &'static [Kind],
    /// Whether the platform knows the cards from the start.
    pub(crate) imported: bool,
    pub(crate) lookup: Option<Arc<dyn CardLookup>>,
    /// When cards may be written over the air.
    pub(crate) delivery_hours: Vec<DeliveryHoursConfig>,
    pub(crate) retention: Retention,
    /// Whether the gateway is connected to the test ([`Scene::connection`]) and not to the simulated operator.
    pub(crate) by_hand: bool,
}

impl Setup {
    pub(crate) fn new(cards: u32, seed: u64) -> Self {
        eprintln!("seed {seed}");
        Self {
            cards,
            targets: cards,
            seed,
            smsc: SmscConfig::default(),
            faults: FaultPlan::default(),
            timers: Timers::default(),
            profile: profile(),
            more: |_| Vec::new(),
            link: LinkConfig::default(),
            second_link: false,
            kinds: &[],
            imported: true,
            lookup: None,
            delivery_hours: Vec::new(),
            retention: Retention::default(),
            by_hand: false,
        }
    }
}

impl Kind {
    /// Makes the card of a row one of this kind.
    fn mark(self, row: &mut CardRow) {
        match self {
            Self::Secured => {}
            Self::OnSite => row.preset = None,
            Self::Plain => row.profile = "airwrite-applet-plain".to_owned(),
            Self::Raw => row.profile = "airwrite-applet-raw".to_owned(),
            Self::Files => row.profile = "usim-two-tars".to_owned(),
        }
    }

    fn dialect(self) -> MoDialect {
        match self {
            Self::Secured | Self::OnSite => MoDialect::Secured,
            Self::Plain => MoDialect::PlainDer,
            Self::Raw => MoDialect::RawImei,
            Self::Files => MoDialect::Silent,
        }
    }
}

pub(crate) struct Scene {
    pub(crate) sim: SimHandle,
    pub(crate) gateway: Gateway,
    pub(crate) sample: Sample,
    pub(crate) store: Arc<MemoryStore>,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    line: Arc<Line>,
    rng: Arc<SeededRng>,
    clock: Arc<dyn Clock>,
    terms: Terms,
}

/// What the gateway is started with, each time.
struct Terms {
    timers: Timers,
    profile: Profile,
    link: LinkConfig,
    second_link: bool,
    lookup: Option<Arc<dyn CardLookup>>,
    delivery_hours: Vec<DeliveryHoursConfig>,
    retention: Retention,
}

impl Scene {
    /// `cards` cards, known to the platform, in devices that are off.
    pub(crate) async fn new(cards: u32, seed: u64) -> Self {
        Self::with(Setup::new(cards, seed)).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let Setup { cards, targets, seed, smsc, faults, timers, profile, more, by_hand, .. } = setup;
        let Setup { kinds, imported, lookup, link, second_link, delivery_hours, retention, .. } = setup;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(1_800_000_000_000));
        let rng = Arc::new(SeededRng::new(seed));
        let mut sample = sample(cards.max(targets), seed).unwrap();
        sample.cards.truncate(cards as usize);
        for (row, kind) in sample.cards.iter_mut().zip(kinds) {
            kind.mark(row);
        }
        let mut specs: Vec<CardSpec> = sample.cards.iter().zip(1..).map(|(row, n)| spec(row, n)).collect();
        for (spec, kind) in specs.iter_mut().zip(kinds) {
            spec.mo_dialect = kind.dialect();
            spec.rfm = (*kind == Kind::Files).then(rfm);
        }
        specs.extend(more(&sample));
        let account = EsmeAccount {
            system_id: "airwrite".into(),
            password: "secret".into(),
            short_codes: vec![CardSpec::SHORT_CODE.into()],
        };
        let operator = OperatorConfig { smsc, faults, ..OperatorConfig::default() };
        let config = SimConfig { operator, accounts: vec![account], ..SimConfig::default() };
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
        if imported {
            let report = import(&importer, sample.cards.clone(), |_| {}).await.unwrap();
            assert_eq!(report.imported, sample.cards.len());
        }
        let (hand, connections) = mpsc::unbounded_channel();
        let hand = by_hand.then_some(hand);
        let line = Arc::new(Line { sim: sim.clone(), up: watch::Sender::new(true), hand });
        let terms = Terms { timers, profile, link, second_link, lookup, delivery_hours, retention };
        let gateway = start(&line, &store, &clock, &rng, &terms).await;
        Self { sim, gateway, sample, store, connections, line, rng, clock, terms }
    }

    /// The operator's end of the gateway's next connection.
    pub(crate) async fn connection(&mut self) -> DuplexStream {
        self.connections.recv().await.unwrap()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Cuts the line to the operator, or repairs it.
    pub(crate) fn line(&self, up: bool) {
        self.line.up.send_replace(up);
    }

    pub(crate) fn imei(&self, device: usize) -> Imei {
        device_imei(u32::try_from(device).unwrap() + 1).unwrap()
    }

    /// The subscription `target` can be had, but no card has its keys.
    pub(crate) async fn spoil(&self, target: usize) {
        let Target { imsi, msisdn } = self.sample.targets[target];
        self.sim.provision_with(imsi, msisdn, Credentials::new([1; 16], [2; 16])).await.unwrap();
    }

    /// Switches devices on and waits until their bindings are there.
    pub(crate) async fn bind(&self, devices: std::ops::Range<usize>) {
        self.sim.power_on(devices).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    /// The process dies where it stands: what is durable stays, and a new process takes it up.
    pub(crate) async fn crash(&mut self) {
        self.gateway.kill();
        let store = self.store.crash();
        store.set_delay(Duration::from_millis(3));
        self.store = Arc::new(store);
        self.start_again().await;
    }

    /// The gateway stops gracefully; whatever is left to do is in the store.
    pub(crate) async fn stop(&mut self) {
        self.gateway.shutdown(Duration::from_secs(5)).await;
        let store = self.store.crash();
        store.set_delay(Duration::from_millis(3));
        self.store = Arc::new(store);
    }

    /// From the next start on the profile has this name.
    pub(crate) fn rename_profile(&mut self, name: &str) {
        name.clone_into(&mut self.terms.profile.name);
    }

    pub(crate) async fn start_again(&mut self) {
        let Self { line, store, clock, rng, terms, .. } = self;
        self.gateway = start(line, store, clock, rng, terms).await;
    }

    pub(crate) fn owner() -> Owner {
        "default".parse().unwrap()
    }

    /// An order of the `target`-th subscription for the `device`-th device.
    pub(crate) fn new_order(&self, device: usize, target: usize) -> NewOrder {
        let target = self.sample.targets[target];
        NewOrder {
            imei: self.imei(device),
            subscription: Subscription { imsi: target.imsi, msisdn: target.msisdn, iccid: None, smsc: None },
            deadline: None,
            client_order_id: None,
            require_bound: false,
            card: None,
            bearer: None,
            profile: None,
        }
    }

    /// Orders once, without an idempotency key.
    pub(crate) async fn try_order(&self, device: usize, target: usize) -> Result<WriteId, OrderError> {
        self.place(self.new_order(device, target), None).await.map(|placed| placed.write.id)
    }

    pub(crate) async fn place(&self, order: NewOrder, key: Option<(&str, u8)>) -> Result<Placed, OrderError> {
        let key = key.map(|(key, body)| Idempotency { key: key.to_owned(), body_digest: [body; 32] });
        self.gateway.order(&Self::owner(), order, key).await
    }

    /// Orders the `index`-th target for the `index`-th device until it is accepted, as a caller with retries does.
    pub(crate) async fn order(&self, index: usize) -> WriteId {
        self.order_for(index, index).await
    }

    pub(crate) async fn order_for(&self, device: usize, target: usize) -> WriteId {
        let key = format!("order {device} {target}");
        loop {
            match self.place(self.new_order(device, target), Some((&key, 7))).await {
                Ok(placed) => return placed.write.id,
                Err(OrderError::Busy | OrderError::Store(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("order {device} {target}: {error}"),
            }
        }
    }

    pub(crate) async fn cancel(&self, id: WriteId) -> Result<Write, CancelError> {
        self.gateway.cancel(&Self::owner(), id).await
    }

    /// How a caller names the card of the `index`-th row.
    pub(crate) fn card_ref(&self, index: usize) -> CardRef {
        CardRef::Eid(self.sample.cards[index].eid.unwrap())
    }

    /// An order that names the card of the device.
    pub(crate) async fn order_naming_card(&self, index: usize) -> WriteId {
        let order = NewOrder { card: Some(self.card_ref(index)), ..self.new_order(index, index) };
        self.place(order, None).await.unwrap().write.id
    }

    pub(crate) async fn export(&self, id: WriteId) -> Export {
        self.gateway.export(&Self::owner(), id).await.unwrap()
    }

    /// Brings what is to be exported to the card of the `index`-th device, and posts back what it answers.
    pub(crate) async fn relay(&self, index: usize, id: WriteId) -> Write {
        let export = self.export(id).await;
        let responses = self.bring(index, &export).await;
        self.post_back(&export, responses).await
    }

    pub(crate) async fn post_back(&self, export: &Export, responses: Vec<(u8, Vec<u8>)>) -> Write {
        self.gateway.responses(&Self::owner(), export.write, export.attempt, responses).await.unwrap()
    }

    /// What the card of the `index`-th device answers to an export.
    pub(crate) async fn bring(&self, index: usize, export: &Export) -> Vec<(u8, Vec<u8>)> {
        let mut responses = Vec::new();
        for part in &export.parts {
            let mut next = Some(part.apdu.clone());
            while let Some(apdu) = next.take() {
                let rapdu = self.sim.transmit(index, apdu).await.unwrap();
                if let [.., 0x61, more] = rapdu[..] {
                    next = Some([hex::decode(&export.on_61).unwrap(), vec![more]].concat());
                }
                responses.push((part.n, rapdu));
            }
        }
        responses
    }

    /// The card of the `index`-th row, as the platform knows it.
    pub(crate) async fn card(&self, index: usize) -> Card {
        let card = CardRef::Eid(self.sample.cards[index].eid.unwrap());
        self.gateway.card(&Self::owner(), &card).await.unwrap().expect("the card is there")
    }

    pub(crate) async fn write(&self, id: WriteId) -> Write {
        self.gateway.write(&Self::owner(), id).await.unwrap().expect("the write is there")
    }

    /// The id of the card of the `index`-th row, while nobody serves.
    pub(crate) async fn card_id(&self, index: usize) -> CardId {
        let key = keys::eid(self.sample.cards[index].eid.unwrap());
        let value = self.store.get_one(key).await.unwrap().value.unwrap();
        CardId::from_octets(Unguarded::decode(&value).unwrap().try_into().unwrap())
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
                tokio::time::sleep((limit / 2000).max(Duration::from_millis(100))).await;
            }
        }
    }

    /// How often something of this kind was told.
    pub(crate) async fn count(&self, kind: &str) -> usize {
        self.told().await.iter().filter(|told| told.fact.kind == kind).count()
    }

    /// What the owner was told of links: place, type and details.
    pub(crate) async fn link_events(&self) -> Vec<String> {
        let told = self.told().await.into_iter().map(|told| told.fact);
        let of_links = told.filter(|fact| fact.link.as_deref() == Some("smsc"));
        of_links.map(|fact| format!("{} {}: {}", fact.seq, fact.kind, fact.detail)).collect()
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

/// The applications of the profile [`TWO_TARS`]; written, the card resets its terminal.
fn rfm() -> Rfm {
    let application =
        |tar| RfmApplication { tar: Tar(tar), start: SessionStart::Usim, min_spi1: Spi1::CC_CIPHERED_HIGHER };
    let applications = vec![application([0xB0, 0x00, 0x11]), application([0xB0, 0x00, 0x10])];
    Rfm { applications, refresh: RefreshHabit::UiccReset, interim: Interim::None }
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
    line: &Arc<Line>,
    store: &Arc<MemoryStore>,
    clock: &Arc<dyn Clock>,
    rng: &Arc<SeededRng>,
    terms: &Terms,
) -> Gateway {
    let Terms { timers, profile, link, second_link, lookup, delivery_hours, retention } = terms;
    let link = LinkConfig {
        name: "smsc".into(),
        address: "in memory".into(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        source: SourceConfig { digits: CardSpec::SHORT_CODE.into(), ..SourceConfig::default() },
        ..link.clone()
    };
    let second = second_link.then(|| LinkConfig { name: "second".into(), ..link.clone() });
    let route = RouteConfig::all_over(vec!["smsc".into()]);
    let [plain, raw, files] = [config::APPLET_PLAIN_PROFILE, config::APPLET_RAW_PROFILE, TWO_TARS]
        .map(|profile| Profile::from_toml(profile).unwrap());
    let config = GatewayConfig {
        profiles: [profile, &plain, &raw, &files]
            .map(|profile| (profile.name.clone(), profile.clone()))
            .into(),
        timers: timers.clone(),
        links: [link].into_iter().chain(second).collect(),
        routes: vec![route],
        endpoints: vec![EndpointRef { name: ENDPOINT.into(), owner: Scene::owner() }],
        delivery_hours: delivery_hours.clone(),
        retention: retention.clone(),
        ..GatewayConfig::default()
    };
    let rng: Arc<dyn Rng> = rng.clone();
    let world = World {
        store: store.clone(),
        vault: Arc::new(SoftwareVault::new(master_key(), rng.clone())),
        clock: clock.clone(),
        rng,
        connector: line.clone(),
        lookup: lookup.clone(),
    };
    Gateway::start(config, world).await.unwrap()
}
