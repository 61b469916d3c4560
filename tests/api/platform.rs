//! A platform to be called, with two owners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use airwrite::api::webhook::{EndpointConfig, WebhookConfig, Webhooks, World as WebhookWorld};
use airwrite::api::{ApiConfig, ApiMetrics, ApiState, Scope, create_key, serve};
use airwrite::card::{Binding, Card, CardId, Profile, Timers};
use airwrite::gateway::{CardLookup, EndpointRef, Gateway, GatewayConfig, World};
use airwrite::link::TcpConnector;
use airwrite::store::records::{FactRecord, encode_card, encode_fact};
use airwrite::store::{Commit, Guarded, MemoryStore, Store, Unguarded, keys};
use airwrite::vault::{MasterKey, SoftwareVault};
use airwrite::world::{Rng, SystemClock, SystemRng};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const IMEI: &str = "357805023984942";
pub(crate) const EID: &str = "89034011560010000000000000000121";
pub(crate) const ICCID: &str = "8949001234567890128";

/// The profile of the cards.
const PROFILE: &str = include_str!("../../config/profiles/airwrite-applet.toml");

pub(crate) struct Platform {
    pub(crate) base: String,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) gateway: Gateway,
    pub(crate) stop: CancellationToken,
    /// Keys of two owners with every scope but `admin`, and one of the first with that.
    pub(crate) acme: SecretString,
    pub(crate) umbrella: SecretString,
    pub(crate) admin: SecretString,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// What differs from test to test.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) endpoints: Vec<EndpointConfig>,
    pub(crate) lookup: Option<Arc<dyn CardLookup>>,
    pub(crate) api: ApiConfig,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_on(Arc::default(), Options::default()).await
    }

    pub(crate) async fn start_on(store: Arc<MemoryStore>, options: Options) -> Self {
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let master = MasterKey::from_hex(&"5a".repeat(32)).unwrap();
        let world = World {
            store: store.clone(),
            vault: Arc::new(SoftwareVault::new(master, rng.clone())),
            clock: Arc::new(SystemClock),
            rng: rng.clone(),
            connector: Arc::new(TcpConnector),
            lookup: options.lookup,
        };
        let profile = Profile::from_toml(PROFILE).unwrap();
        let config = GatewayConfig {
            profiles: BTreeMap::from([(profile.name.clone(), profile)]),
            timers: Timers::default(),
            links: Vec::new(),
            routes: Vec::new(),
            endpoints: vec![EndpointRef { name: "console".into(), owner: "acme".parse().unwrap() }],
            ..GatewayConfig::default()
        };
        let gateway = Gateway::start(config, world).await.unwrap();
        let key = async |owner: &str, scopes: BTreeSet<Scope>| {
            let owner = owner.parse().unwrap();
            create_key(store.as_ref(), &SystemClock, rng.as_ref(), owner, "test", &scopes).await.unwrap().1
        };
        let acme = key("acme", Scope::all_but_admin()).await;
        let umbrella = key("umbrella", Scope::all_but_admin()).await;
        let admin = key("acme", BTreeSet::from([Scope::Admin])).await;
        let metrics = Arc::new(ApiMetrics::default());
        let world = WebhookWorld {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            rng,
            metrics: Arc::clone(&metrics),
        };
        let quick = WebhookConfig {
            timeout_ms: 1_000,
            retry_first_ms: 10,
            retry_max_ms: 100,
            allow_private: true,
            ..WebhookConfig::default()
        };
        let stop = CancellationToken::new();
        let hooks = Webhooks::start(&world, &quick, &options.endpoints, &stop).unwrap();
        tokio::spawn(hooks.clone().follow(gateway.clone()));
        let state = ApiState::new(gateway.clone(), &options.api, metrics).with_webhooks(hooks);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, state, stop.clone()));
        Self { base, store, gateway, stop, acme, umbrella, admin }
    }

    pub(crate) fn request_as(&self, key: &SecretString, method: Method, path: &str) -> RequestBuilder {
        Client::new().request(method, format!("{}{path}", self.base)).bearer_auth(key.expose_secret())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// What is asked without a body.
    pub(crate) async fn ask(&self, path: &str) -> Answer {
        answer(self.request(Method::POST, path)).await
    }

    pub(crate) async fn get_as_admin(&self, path: &str) -> Answer {
        answer(self.request_as(&self.admin, Method::GET, path)).await
    }

    pub(crate) async fn post_as_admin(&self, path: &str, body: &Value) -> Answer {
        answer(self.request_as(&self.admin, Method::POST, path).json(body)).await
    }

    /// Imports a card file.
    pub(crate) async fn import(&self, csv: &str) -> Answer {
        let request = self.request(Method::POST, "/v1/cards/import").header("content-type", "text/csv");
        answer(request.body(csv.to_owned())).await
    }

    /// Imports a card with this EID and no preset subscription; its id.
    pub(crate) async fn card_on_site(&self, eid: &str) -> String {
        let key = "000102030405060708090A0B0C0D0E0F";
        let csv =
            format!("EID,PRESET,PROFILE,KVN,ALG,KIC1,KID1\n{eid},no,airwrite-applet,1,aes,{key},{key}\n");
        let imported = self.import(&csv).await;
        assert_eq!(imported.body["imported"], 1, "{}", imported.body);
        self.get(&format!("/v1/cards/eid:{eid}")).await.id()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        Client::new().request(method, format!("{}{path}", self.base)).bearer_auth(self.acme.expose_secret())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// What the other owner sees.
    pub(crate) async fn get_as_umbrella(&self, path: &str) -> Answer {
        let key = self.umbrella.expose_secret();
        answer(Client::new().get(format!("{}{path}", self.base)).bearer_auth(key)).await
    }

    pub(crate) async fn order(&self, body: &Value) -> Answer {
        answer(self.request(Method::POST, "/v1/writes").json(body)).await
    }

    pub(crate) async fn order_under(&self, idempotency_key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, "/v1/writes").json(body);
        answer(request.header("Idempotency-Key", idempotency_key)).await
    }

    pub(crate) async fn cancel(&self, id: &str) -> Answer {
        answer(self.request(Method::POST, &format!("/v1/writes/{id}/cancel"))).await
    }

    /// A card of acme in the device, with two entries in its timeline.
    pub(crate) async fn put_card(&self) -> CardId {
        let id = CardId::from_octets([7; 16]);
        let mut card = Card::new(id, "acme".parse().unwrap(), "applet".into(), 1);
        (card.eid, card.iccid) = (EID.parse().ok(), ICCID.parse().ok());
        let answered =
            airwrite::applet::BindingAck { tid: 1, result: airwrite::applet::BindingResult::Saved };
        card.binding =
            Some(Binding { imei: IMEI.parse().unwrap(), since: 0, mo_cntr: 1, answered: Some(answered) });
        let mut commit = Commit::new();
        commit.put(keys::card(id), Guarded::encode(1, &encode_card(&card)));
        let index = Unguarded::encode(&id.octets());
        commit.put(keys::eid(EID.parse().unwrap()), index.clone());
        commit.put(keys::iccid(ICCID.parse().unwrap()), index);
        for (seq, kind) in [(1, "binding.created"), (2, "card.hint")] {
            let fact = FactRecord {
                at: 0,
                owner: "acme".parse().unwrap(),
                kind: kind.into(),
                card: Some(id),
                seq,
                write: None,
                imei: IMEI.parse().ok(),
                detail: String::new(),
                link: None,
            };
            let entry = keys::TimelineEntry { card: id, seq };
            commit.put(entry.key(), Unguarded::encode(&encode_fact(&fact)));
        }
        self.store.commit(commit).await.unwrap();
        id
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    if status >= 400 {
        assert_eq!(headers["content-type"], "application/problem+json", "{body}");
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    }
    Answer { status, headers, body }
}

impl Answer {
    /// Status and last part of the problem's type.
    pub(crate) fn problem(&self) -> (u16, &str) {
        let kind = self.body["type"].as_str().unwrap_or_default();
        (self.status, kind.strip_prefix("urn:airwrite:problem:").unwrap_or_default())
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }
}

/// An order for a device, with target numbers that end in `n`.
pub(crate) fn order(imei: &str, n: u32) -> Value {
    json!({
        "device": {"imei": imei},
        "subscription": {"imsi": format!("00101{n:010}"), "msisdn": format!("+4477{n:08}")},
    })
}
