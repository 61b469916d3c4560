//! Webhooks against an endpoint on real TCP: nothing is lost, whatever the endpoint does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airwrite::api::ApiMetrics;
use airwrite::api::webhook::{EndpointConfig, WebhookConfig, Webhooks, World};
use airwrite::card::{CardId, WriteId};
use airwrite::store::keys::OutboxEntry;
use airwrite::store::records::{FactRecord, OutboxRecord, decode_outbox, encode_outbox};
use airwrite::store::{Commit, KeyText, MemoryStore, Scan, Store, Unguarded};
use airwrite::world::{SeededRng, SystemClock};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const KEY: [u8; 32] = [0x5A; 32];

/// How the receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Status(u16),
    Redirect,
    Silent,
    /// 500, 410, silence and 503 in turn.
    Moody,
}

/// A receiver that checks every signature.
struct Receiver {
    mood: Mutex<Mood>,
    /// Attempts and accepted deliveries of each event.
    seen: Mutex<BTreeMap<String, (u32, u32)>>,
    bodies: Mutex<Vec<serde_json::Value>>,
    elsewhere: Mutex<u32>,
}

impl Receiver {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn accepted(&self) -> BTreeSet<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(_, (_, accepted))| *accepted > 0).map(|(id, _)| id.clone()).collect()
    }

    fn attempts(&self) -> u32 {
        self.seen.lock().unwrap().values().map(|(attempts, _)| attempts).sum()
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    if header("webhook-signature") != expected || header("content-type") != "application/json" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let attempts = {
        let mut seen = receiver.seen.lock().unwrap();
        let entry = seen.entry(id.to_owned()).or_default();
        entry.0 += 1;
        entry.0
    };
    let mood = match *receiver.mood.lock().unwrap() {
        Mood::Moody => match attempts % 4 {
            1 => Mood::Status(500),
            2 => Mood::Status(410),
            3 => Mood::Silent,
            _ => Mood::Status(503),
        },
        mood => mood,
    };
    match mood {
        Mood::Well => {
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["data"]["id"], id);
            receiver.seen.lock().unwrap().get_mut(id).unwrap().1 += 1;
            receiver.bodies.lock().unwrap().push(body);
            StatusCode::NO_CONTENT.into_response()
        }
        Mood::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Redirect => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Mood::Silent | Mood::Moody => std::future::pending().await,
    }
}

async fn elsewhere(State(receiver): State<Arc<Receiver>>) {
    *receiver.elsewhere.lock().unwrap() += 1;
}

/// A receiver and the configuration of the endpoint that it is.
async fn receiver(name: &str, mood: Mood) -> (Arc<Receiver>, EndpointConfig) {
    let receiver = Arc::new(Receiver {
        mood: Mutex::new(mood),
        seen: Mutex::default(),
        bodies: Mutex::default(),
        elsewhere: Mutex::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = EndpointConfig {
        name: name.to_owned(),
        owner: "acme".parse().unwrap(),
        url: format!("http://{}/hooks", listener.local_addr().unwrap()),
        secret: format!("whsec_{}", STANDARD.encode(KEY)).into(),
        allow_private: true,
    };
    let routes = Router::new()
        .route("/hooks", axum::routing::post(receive))
        .route("/elsewhere", axum::routing::any(elsewhere))
        .with_state(Arc::clone(&receiver));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (receiver, config)
}

/// Quick, so that the test is.
fn quick() -> WebhookConfig {
    WebhookConfig {
        timeout_ms: 300,
        retry_first_ms: 10,
        retry_max_ms: 100,
        keep_ms: 60_000,
        ..WebhookConfig::default()
    }
}

struct Sender {
    hooks: Webhooks,
    metrics: Arc<ApiMetrics>,
    stop: CancellationToken,
}

impl Sender {
    fn start(store: &Arc<MemoryStore>, config: &WebhookConfig, endpoints: &[EndpointConfig]) -> Self {
        let metrics = Arc::new(ApiMetrics::default());
        let world = World {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SeededRng::new(7)),
            metrics: Arc::clone(&metrics),
        };
        let stop = CancellationToken::new();
        let hooks = Webhooks::start(&world, config, endpoints, &stop).unwrap();
        Self { hooks, metrics, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        self.hooks.ended().await;
    }
}

fn record(seq: u64) -> OutboxRecord {
    let mut write = [0; 16];
    write[8..].copy_from_slice(&seq.to_be_bytes());
    let fact = FactRecord {
        at: 1_769_860_800_000,
        owner: "acme".parse().unwrap(),
        kind: "write.effective".into(),
        card: Some(CardId::from_octets([2; 16])),
        seq,
        write: Some((WriteId::from_octets(write), 3)),
        imei: Some("357805023984942".parse().unwrap()),
        detail: String::new(),
        link: None,
    };
    OutboxRecord::new(fact)
}

fn event_id(seq: u64) -> String {
    let (write, event) = record(seq).fact.write.unwrap();
    format!("{write}.{event}")
}

fn ids(seqs: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    seqs.into_iter().map(event_id).collect()
}

async fn put(store: &MemoryStore, endpoint: &str, seqs: impl IntoIterator<Item = u64>) {
    let mut commit = Commit::new();
    for seq in seqs {
        let key = OutboxEntry { endpoint: KeyText::new(endpoint).unwrap(), seq }.key();
        commit.put(key, Unguarded::encode(&encode_outbox(&record(seq))));
    }
    store.commit(commit).await.unwrap();
}

async fn left(store: &MemoryStore, endpoint: &str) -> Vec<OutboxRecord> {
    let range = OutboxEntry::of_endpoint(&KeyText::new(endpoint).unwrap());
    let read = store.scan(Scan::first(range, 4096)).await.unwrap().value;
    read.iter().map(|(_, value)| decode_outbox(Unguarded::decode(value).unwrap()).unwrap()).collect()
}

/// Waits until `done` holds, ten seconds at most.
async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_a_while_gets_everything_later() {
    let (receiver, config) = receiver("console", Mood::Moody).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "console", 1..=30).await;
    let sender = Sender::start(&store, &quick(), &[config]);
    wait_for("every event was tried in every way", async || receiver.attempts() >= 30 * 4).await;
    assert!(receiver.accepted().is_empty());
    // What comes meanwhile waits as well.
    put(&store, "console", 31..=40).await;
    sender.hooks.wake();
    receiver.set(Mood::Well);
    wait_for("the outbox is empty", async || left(&store, "console").await.is_empty()).await;
    assert_eq!(receiver.accepted(), ids(1..=40));
    let accepted: Vec<u32> = receiver.seen.lock().unwrap().values().map(|(_, accepted)| *accepted).collect();
    assert_eq!(accepted, [1; 40], "each event was accepted once");
    assert_eq!(sender.metrics.webhooks_delivered("console"), 40);
    assert!(sender.metrics.webhook_failures("console") >= 120);
    assert_eq!(sender.metrics.webhooks_dead("console"), 0);
    let body = receiver.bodies.lock().unwrap().first().unwrap().clone();
    assert_eq!(body["type"], "write.effective");
    assert_eq!(body["timestamp"], "2026-01-31T12:00:00.000Z");
    assert_eq!(body["data"]["seq"], 3);
    assert_eq!(body["data"]["imei"], "357805023984942");
    sender.end().await;
}

#[tokio::test]
async fn a_sender_that_starts_again_sends_what_is_left() {
    let (receiver, config) = receiver("console", Mood::Status(500)).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "console", 1..=300).await;
    let sender = Sender::start(&store, &quick(), std::slice::from_ref(&config));
    wait_for("some attempts", async || receiver.attempts() >= 50).await;
    sender.end().await;
    let kept = left(&store, "console").await;
    assert_eq!(kept.len(), 300);
    assert!(kept.iter().any(|record| record.attempts > 0 && record.not_before > 0 && record.first_tried > 0));

    receiver.set(Mood::Well);
    let after_crash = Arc::new(store.crash());
    let sender = Sender::start(&after_crash, &quick(), &[config]);
    wait_for("the outbox is empty", async || left(&after_crash, "console").await.is_empty()).await;
    assert_eq!(receiver.accepted(), ids(1..=300));
    sender.end().await;
}

#[tokio::test]
async fn a_silent_endpoint_holds_up_no_other() {
    let (_silent, dead_config) = receiver("dead", Mood::Silent).await;
    let (receiver, config) = receiver("console", Mood::Well).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "dead", 1..=500).await;
    put(&store, "console", 1..=500).await;
    let patient = WebhookConfig { timeout_ms: 60_000, ..quick() };
    let sender = Sender::start(&store, &patient, &[dead_config, config]);
    wait_for("the other one has everything", async || receiver.accepted().len() == 500).await;
    assert_eq!(left(&store, "dead").await.len(), 500);
    wait_for("its outbox is empty", async || left(&store, "console").await.is_empty()).await;
    sender.stop.cancel();
}

#[tokio::test]
async fn an_event_is_given_up_after_its_time_and_kept() {
    let (receiver, config) = receiver("console", Mood::Status(400)).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "console", [1]).await;
    let impatient = WebhookConfig { keep_ms: 50, ..quick() };
    let sender = Sender::start(&store, &impatient, std::slice::from_ref(&config));
    wait_for("it was given up", async || sender.metrics.webhooks_dead("console") == 1).await;
    assert_eq!(left(&store, "console").await.first().map(|record| record.not_before), Some(u64::MAX));
    sender.end().await;

    receiver.set(Mood::Well);
    let sender = Sender::start(&store, &quick(), &[config]);
    put(&store, "console", [2]).await;
    sender.hooks.wake();
    wait_for("the next one arrives", async || receiver.accepted() == ids([2])).await;
    assert_eq!(left(&store, "console").await.len(), 1, "the dead one stays");
    sender.end().await;
}

#[tokio::test]
async fn redirects_are_failures() {
    let (receiver, config) = receiver("console", Mood::Redirect).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "console", [1]).await;
    let sender = Sender::start(&store, &quick(), &[config]);
    wait_for("it was tried again", async || receiver.attempts() >= 2).await;
    assert_eq!(*receiver.elsewhere.lock().unwrap(), 0);
    assert_eq!(left(&store, "console").await.len(), 1);
    sender.end().await;
}

#[tokio::test]
async fn an_event_that_becomes_visible_late_is_found() {
    let (receiver, config) = receiver("console", Mood::Well).await;
    let store = Arc::new(MemoryStore::new());
    let sender = Sender::start(&store, &quick(), &[config]);
    put(&store, "console", [2]).await;
    sender.hooks.wake();
    wait_for("the later one arrives", async || receiver.accepted() == ids([2])).await;
    put(&store, "console", [1]).await;
    sender.hooks.wake();
    wait_for("the earlier one arrives too", async || receiver.accepted() == ids([1, 2])).await;
    sender.end().await;
}

#[tokio::test]
async fn nothing_is_told_before_it_is_durable() {
    let (receiver, config) = receiver("console", Mood::Well).await;
    let store = Arc::new(MemoryStore::new());
    let sender = Sender::start(&store, &quick(), &[config]);
    store.hold();
    let putting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { put(&store, "console", [1]).await }
    });
    wait_for("it is visible", async || left(&store, "console").await.len() == 1).await;
    sender.hooks.wake();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.attempts(), 0);
    store.release();
    putting.await.unwrap();
    wait_for("it arrives", async || receiver.accepted() == ids([1])).await;
    sender.end().await;
}

#[tokio::test]
async fn a_store_that_comes_back_is_read_on() {
    let (receiver, config) = receiver("console", Mood::Well).await;
    let store = Arc::new(MemoryStore::new());
    put(&store, "console", [1]).await;
    store.poison();
    let sender = Sender::start(&store, &quick(), &[config]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.recover();
    wait_for("it arrives", async || receiver.accepted() == ids([1])).await;
    sender.end().await;
}

#[tokio::test]
async fn a_name_stands_for_one_endpoint() {
    let (_, config) = receiver("console", Mood::Well).await;
    let world = World {
        store: Arc::new(MemoryStore::new()),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(7)),
        metrics: Arc::default(),
    };
    let twice = [config.clone(), config];
    let error = Webhooks::start(&world, &quick(), &twice, &CancellationToken::new()).unwrap_err();
    assert_eq!((error.field, error.name.as_str()), ("name", "console"));
}
