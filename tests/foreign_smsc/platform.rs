//! The platform as in service: gateway, link over TCP, store on disk, system clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use airwrite::card::{Card, LegState, Owner, Profile, Subscription, Timers, WriteId};
use airwrite::cli::sample::Target;
use airwrite::gateway::import::{CardRow, Importer, import};
use airwrite::gateway::{CardRef, Gateway, GatewayConfig, NewOrder, RouteConfig, World};
use airwrite::identity::Imei;
use airwrite::link::{LinkConfig, SourceConfig, TcpConnector};
use airwrite::sim::CardSpec;
use airwrite::store::records::{FactRecord, Write};
use airwrite::store::{SledStore, StoreConfig};
use airwrite::vault::{MasterKey, SoftwareVault};
use airwrite::world::{SystemClock, SystemRng};
use tempfile::TempDir;

use crate::smsc::{ENQUIRE_LINK, PASSWORD, SYSTEM_ID};

pub(crate) struct Platform {
    pub(crate) gateway: Gateway,
    card: CardRef,
    _directory: TempDir,
}

impl Platform {
    /// Imports the card and starts; the link goes to `smsc`.
    pub(crate) async fn start(smsc: SocketAddr, row: &CardRow) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = StoreConfig::in_directory(directory.path().join("store"));
        let store = SledStore::open(&store, Arc::new(|error| panic!("{error}"))).await.unwrap();
        let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let vault = Arc::new(SoftwareVault::new(MasterKey::from_octets([9; 32]), rng.clone()));
        let world = World {
            store: Arc::new(store),
            vault,
            clock,
            rng,
            connector: Arc::new(TcpConnector),
            lookup: None,
        };
        let importer = Importer {
            store: world.store.clone(),
            vault: world.vault.clone(),
            clock: world.clock.clone(),
            rng: world.rng.clone(),
        };
        assert_eq!(import(&importer, vec![row.clone()], |_| {}).await.unwrap().imported, 1);
        let gateway = Gateway::start(config(smsc), world).await.unwrap();
        Self { gateway, card: CardRef::Eid(row.eid.unwrap()), _directory: directory }
    }

    pub(crate) async fn order(&self, imei: Imei, target: Target) -> WriteId {
        let order = NewOrder {
            imei,
            subscription: Subscription { imsi: target.imsi, msisdn: target.msisdn, iccid: None, smsc: None },
            deadline: None,
            client_order_id: None,
            require_bound: true,
            card: None,
            bearer: None,
            profile: None,
        };
        self.gateway.order(&owner(), order, None).await.unwrap().write.id
    }

    pub(crate) async fn write(&self, id: WriteId) -> Write {
        self.gateway.write(&owner(), id).await.unwrap().expect("the write is there")
    }

    /// The card and what happened to it, once no answer of the message centre is on its way any more.
    pub(crate) async fn settled(&self) -> (Card, Vec<FactRecord>) {
        for _ in 0..500 {
            let card = self.gateway.card(&owner(), &self.card).await.unwrap().expect("the card is there");
            let silent = |state| matches!(state, LegState::Silent);
            if card.outstanding.is_none()
                && card.notice.as_ref().is_none_or(|notice| silent(notice.leg.state))
            {
                let facts = self.gateway.timeline(&owner(), &self.card, 0, 1000).await.unwrap();
                return (card, facts.expect("the card is there").items);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("something is still on its way to the card");
    }
}

fn owner() -> Owner {
    "default".parse().unwrap()
}

/// As in service, with short waits.
fn config(smsc: SocketAddr) -> GatewayConfig {
    let link = LinkConfig {
        name: "smsc".into(),
        address: smsc.to_string(),
        system_id: SYSTEM_ID.into(),
        password: PASSWORD.into(),
        enquire_link_ms: u64::try_from(ENQUIRE_LINK.as_millis()).unwrap(),
        reconnect_first_ms: 50,
        reconnect_max_ms: 200,
        source: SourceConfig { digits: CardSpec::SHORT_CODE.into(), ton: 3, npi: 0 },
        ..LinkConfig::default()
    };
    let profile = include_str!("../../config/profiles/airwrite-applet.toml");
    let profile = Profile::from_toml(profile).unwrap();
    GatewayConfig {
        profiles: BTreeMap::from([(profile.name.clone(), profile)]),
        timers: Timers { back_off_s: 1, ..Timers::default() },
        links: vec![link],
        routes: vec![RouteConfig::all_over(vec!["smsc".into()])],
        endpoints: Vec::new(),
        ..GatewayConfig::default()
    }
}
