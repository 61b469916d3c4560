//! Routes over several links: the gateway's packets go to whichever SMSC takes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use airwrite::card::{Profile, Subscription, Timers, WriteId};
use airwrite::cli::sample::{Sample, device_imei, sample};
use airwrite::gateway::import::{Importer, import};
use airwrite::gateway::{CardRef, Gateway, GatewayConfig, NewOrder, RouteConfig, World};
use airwrite::link::{Connector, LinkConfig, LinkState, TcpConnector};
use airwrite::store::MemoryStore;
use airwrite::vault::{MasterKey, SoftwareVault};
use airwrite::world::{Clock, Rng, SeededRng, TokioClock};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::binds::RULE;
use crate::peer;
use crate::smsc::{Pipes, Received, Rule, Smsc};

/// A gateway with one route over some SMSCs, and cards to write.
struct Platform {
    gateway: Gateway,
    sample: Sample,
    smscs: Vec<Arc<Smsc>>,
}

impl Platform {
    /// The links have the names `names`; each SMSC is at the address of its number.
    async fn start(
        connector: Arc<dyn Connector>,
        smscs: Vec<Arc<Smsc>>,
        addresses: &[String],
        names: &[&str],
        route: RouteConfig,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(1_800_000_000_000));
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(7));
        let vault = Arc::new(SoftwareVault::new(MasterKey::from_octets([9; 32]), rng.clone()));
        let store = Arc::new(MemoryStore::new());
        let sample = sample(200, 7).unwrap();
        let importer =
            Importer { store: store.clone(), vault: vault.clone(), clock: clock.clone(), rng: rng.clone() };
        assert_eq!(import(&importer, sample.cards.clone(), |_| {}).await.unwrap().imported, 200);
        let links = names.iter().zip(addresses).map(|(name, address)| LinkConfig {
            name: (*name).into(),
            address: address.clone(),
            window: 2,
            reconnect_first_ms: 100,
            reconnect_max_ms: 500,
            ..peer::config()
        });
        let profile = include_str!("../../config/profiles/airwrite-applet.toml");
        let profile = Profile::from_toml(profile).unwrap();
        let config = GatewayConfig {
            profiles: BTreeMap::from([(profile.name.clone(), profile)]),
            timers: Timers { back_off_s: 1, ..Timers::default() },
            links: links.collect(),
            routes: vec![route],
            ..GatewayConfig::default()
        };
        let world = World { store, vault, clock, rng, connector, lookup: None };
        let gateway = Gateway::start(config, world).await.unwrap();
        let platform = Self { gateway, sample, smscs };
        platform
            .until("every link is bound", || {
                platform.gateway.links().all(|link| *link.state().borrow() == LinkState::Bound)
            })
            .await;
        platform
    }

    /// The same in memory.
    async fn in_memory(names: &[&str], route: RouteConfig) -> Self {
        let smscs: Vec<_> = names.iter().map(|_| Smsc::new(RULE)).collect();
        let addresses: Vec<_> = names.iter().map(|name| format!("{name}:2775")).collect();
        let pipes = Pipes(addresses.iter().cloned().zip(smscs.iter().cloned()).collect());
        Self::start(Arc::new(pipes), smscs, &addresses, names, route).await
    }

    /// Orders for the cards of these rows: each is one packet to its card's preset number.
    async fn order(&self, cards: std::ops::Range<u32>) -> Vec<WriteId> {
        let mut writes = Vec::new();
        for number in cards {
            let target = self.sample.targets[number as usize];
            let order = NewOrder {
                imei: device_imei(number + 1).unwrap(),
                subscription: Subscription {
                    imsi: target.imsi,
                    msisdn: target.msisdn,
                    iccid: None,
                    smsc: None,
                },
                deadline: None,
                client_order_id: None,
                require_bound: false,
                card: Some(CardRef::Eid(self.sample.cards[number as usize].eid.unwrap())),
                bearer: None,
                profile: None,
            };
            writes.push(self.gateway.order(&"default".parse().unwrap(), order, None).await.unwrap().write.id);
        }
        writes
    }

    /// What SMSC `index` took.
    fn taken(&self, index: usize) -> Vec<Received> {
        self.smscs[index].received()
    }

    /// The packets by card, over all SMSCs.
    fn packets(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut packets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for received in self.smscs.iter().flat_map(|smsc| smsc.received()) {
            packets.entry(received.destination).or_default().push(received.short_message);
        }
        packets
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| {
            let states: Vec<_> = self.gateway.links().map(|link| *link.state().borrow()).collect();
            panic!("{what}: {states:?}, {} cards", self.packets().len());
        });
    }

    /// Waits until `cards` cards got their packet. None got anything else: what is sent again has the same octets.
    async fn all_sent(&self, cards: usize) {
        self.until("every card gets its packet", || self.packets().len() == cards).await;
        for (number, packets) in self.packets() {
            assert!(packets.iter().all(|packet| *packet == packets[0]), "{number}");
        }
    }
}

fn route(links: &[&str], standby: &[&str]) -> RouteConfig {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    RouteConfig { standby: names(standby), ..RouteConfig::all_over(names(links)) }
}

/// Load spreads over both SMSCs, moves to the one that is left, and comes back.
async fn balance_and_failover(platform: &Platform) {
    platform.order(0..40).await;
    platform.all_sent(40).await;
    let shares = [platform.taken(0).len(), platform.taken(1).len()];
    assert!(shares.iter().all(|share| *share >= 12), "{shares:?}");

    platform.order(40..60).await;
    platform.smscs[0].up(false);
    let before = platform.taken(0).len();
    platform.order(60..90).await;
    platform.all_sent(90).await;
    assert_eq!(platform.taken(0).len(), before, "nothing reaches an SMSC that is down");

    platform.smscs[0].up(true);
    platform
        .until("both are bound", || {
            platform.gateway.links().all(|link| *link.state().borrow() == LinkState::Bound)
        })
        .await;
    let before = platform.taken(0).len();
    platform.order(90..130).await;
    platform.all_sent(130).await;
    let back = platform.taken(0).len() - before;
    assert!(back >= 12, "{back} of 40 after it came back");
    // At most what was under way on the connection when it was cut went out twice.
    let twice = platform.packets().values().filter(|packets| packets.len() > 1).count();
    assert!(twice <= 2, "{twice} packets went out twice");
}

#[tokio::test(start_paused = true)]
async fn links_share_the_load_and_one_that_is_down_blocks_nothing() {
    let platform = Platform::in_memory(&["a", "b"], route(&["a", "b"], &[])).await;
    balance_and_failover(&platform).await;
}

#[tokio::test]
async fn over_tcp_as_well() {
    let (mut smscs, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap().to_string());
        let smsc = Smsc::new(Rule { response: Duration::from_millis(20), ..RULE });
        smscs.push(Arc::clone(&smsc));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // One that is down hangs up.
                if smsc.is_up() {
                    tokio::spawn(Arc::clone(&smsc).serve(stream));
                }
            }
        });
    }
    let route = route(&["a", "b"], &[]);
    let platform = Platform::start(Arc::new(TcpConnector), smscs, &addresses, &["a", "b"], route).await;
    balance_and_failover(&platform).await;
}

#[tokio::test(start_paused = true)]
async fn a_standby_link_serves_only_while_no_other_can_send() {
    let platform = Platform::in_memory(&["a", "b", "c"], route(&["a", "b"], &["c"])).await;
    platform.order(0..30).await;
    platform.all_sent(30).await;
    platform.smscs[0].up(false);
    platform.order(30..50).await;
    platform.all_sent(50).await;
    assert_eq!(platform.taken(2).len(), 0);

    // Cards that already wait for a slot of the others find it as well.
    platform.smscs[1].rule(|rule| rule.response = Duration::from_secs(3_600));
    platform.order(50..54).await;
    sleep(Duration::from_millis(100)).await;
    platform.smscs[1].up(false);
    platform.order(54..70).await;
    platform.all_sent(70).await;
    let standby = platform.taken(2).len();
    assert!(standby >= 16, "{standby}");

    platform.smscs[0].up(true);
    sleep(Duration::from_secs(1)).await;
    let standby = platform.taken(2).len();
    platform.order(70..90).await;
    platform.all_sent(90).await;
    assert_eq!(platform.taken(2).len(), standby);
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_is_taken_back_from_the_smsc_that_took_it() {
    let platform = Platform::in_memory(&["a", "b"], route(&["a", "b"], &[])).await;
    let writes = platform.order(0..20).await;
    platform.all_sent(20).await;
    sleep(Duration::from_secs(1)).await;
    let took: Vec<Vec<String>> =
        (0..2).map(|index| platform.taken(index).into_iter().map(|one| one.destination).collect()).collect();
    assert!(took.iter().all(|took| !took.is_empty()), "{took:?}");
    for write in writes {
        platform.gateway.cancel(&"default".parse().unwrap(), write).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    for (index, mut took) in took.into_iter().enumerate() {
        let cancels = platform.smscs[index].cancels();
        let mut cancelled: Vec<_> =
            cancels.into_iter().filter(|(_, here)| *here).map(|(number, _)| number).collect();
        cancelled.sort();
        took.sort();
        assert_eq!(cancelled, took, "link {index}");
    }
    let metrics = platform.gateway.metrics().encode();
    assert!(metrics.contains("airwrite_cancel_sm_total{kind=\"done\"} 20\n"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_smsc_takes_what_it_takes_and_the_other_one_the_rest() {
    let platform = Platform::in_memory(&["a", "b"], route(&["a", "b"], &[])).await;
    platform.smscs[0].rule(|rule| rule.rate = Some(2));
    platform.order(0..150).await;
    platform.all_sent(150).await;
    let taken = |index: usize| platform.taken(index).iter().filter(|one| one.taken).count();
    platform.until("every packet is taken", || taken(0) + taken(1) == 150).await;
    assert!(taken(1) > 4 * taken(0), "{} and {}", taken(0), taken(1));
    let refused = platform.taken(0).iter().filter(|one| !one.taken).count();
    assert!(refused <= 20, "{refused} refused");
}
