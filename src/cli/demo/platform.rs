//! The business platform of the demo: it orders over HTTP and hears by signed webhooks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Progress;
use super::files::SMSC;
use super::stage::{Stage, owner};
use crate::api::LookupConfig;
use crate::api::webhook::EndpointConfig;
use crate::cli::client::text;
use crate::cli::sample::{Kind, Sample, device_imei};
use crate::identity::{Eid, Imei};
use crate::world::{Rng, SystemRng};

/// Orders that are placed at the same time.
const ORDERS_AT_ONCE: usize = 16;

/// How often those without a terminal get a line.
const LINE_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Platform {
    address: SocketAddr,
    heard: Arc<Heard>,
}

/// What the webhooks said.
pub(super) struct Heard {
    secret: Vec<u8>,
    /// Which card is in which device, for those that the production line recorded.
    records: BTreeMap<Imei, Eid>,
    notes: Mutex<Notes>,
    news: Notify,
}

#[derive(Default)]
pub(super) struct Notes {
    /// Ids of the events, each once.
    pub(super) ids: BTreeSet<String>,
    /// How many events of each type.
    pub(super) types: BTreeMap<String, usize>,
    /// Requests whose signature was wrong.
    pub(super) badly_signed: usize,
    /// When each device was ordered, reported by its card, and opened.
    pub(super) ordered: BTreeMap<Imei, Instant>,
    pub(super) bound: BTreeMap<Imei, Instant>,
    pub(super) effective: BTreeMap<Imei, Instant>,
    /// Devices whose card has been written.
    pub(super) written: BTreeSet<Imei>,
    /// Ends of writes: the ids of the events that told them.
    pub(super) ends: BTreeMap<String, BTreeSet<String>>,
}

impl Platform {
    /// Listens for webhooks, and for look-ups of the cards in these devices.
    pub(super) async fn start(records: BTreeMap<Imei, Eid>) -> Result<Self> {
        let mut secret = vec![0; 32];
        SystemRng.fill(&mut secret);
        let heard = Arc::new(Heard { secret, records, notes: Mutex::default(), news: Notify::new() });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for webhooks")?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/hook", post(take)).route("/cards", post(look_up));
        let router = router.with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, heard })
    }

    /// Where it says which card is in a device.
    pub(super) fn lookup(&self) -> Result<LookupConfig> {
        Ok(LookupConfig {
            owner: owner()?,
            url: format!("http://{}/cards", self.address),
            secret: self.secret().into(),
            allow_private: true,
        })
    }

    fn secret(&self) -> String {
        format!("whsec_{}", BASE64.encode(&self.heard.secret))
    }

    /// The endpoint as the gateway is told of it.
    pub(super) fn endpoint(&self) -> Result<EndpointConfig> {
        Ok(EndpointConfig {
            name: "demo".to_owned(),
            owner: owner()?,
            url: format!("http://{}/hook", self.address),
            secret: self.secret().into(),
            allow_private: true,
        })
    }

    /// Looks at what was heard so far.
    pub(super) fn notes<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.heard.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Places these orders, several at a time; gives the ids of the writes, each with the order's place in the sample.
    pub(super) async fn order_all(
        &self,
        stage: &Stage,
        orders: impl IntoIterator<Item = Order>,
    ) -> Result<BTreeMap<usize, String>> {
        let room = Arc::new(Semaphore::new(ORDERS_AT_ONCE));
        let mut placing = tokio::task::JoinSet::new();
        for Order { index, imei, body } in orders {
            let (room, api) = (room.clone(), stage.api.clone());
            self.notes(|notes| notes.ordered.insert(imei, Instant::now()));
            placing.spawn(async move {
                let _place = room.acquire_owned().await?;
                let placed = api.post_once("/v1/writes", &format!("demo-{imei}"), &body).await;
                let write = placed.with_context(|| format!("order for {imei}"))?;
                anyhow::Ok((index, text(&write, "id")?.to_owned()))
            });
        }
        let mut placed = BTreeMap::new();
        while let Some(order) = placing.join_next().await {
            let (index, write) = order??;
            placed.insert(index, write);
        }
        Ok(placed)
    }

    /// Orders for every one of these devices as soon as its card has reported it, until `all` writes are effective;
    /// `false` where that took too long.
    pub(super) async fn serve_customers(
        &self,
        stage: &Stage,
        sample: &Sample,
        devices: &[usize],
        until: Instant,
        progress: &Progress,
    ) -> Result<bool> {
        let indexes: BTreeMap<Imei, usize> =
            devices.iter().map(|index| Ok((imei_of(*index)?, *index))).collect::<Result<_>>()?;
        let mut line_at = Instant::now() + LINE_EVERY;
        loop {
            let news = self.heard.news.notified();
            let (bound, effective, to_order) = self.notes(|notes| {
                let open = notes.bound.keys().filter(|imei| !notes.ordered.contains_key(imei));
                let to_order: Vec<usize> = open.filter_map(|imei| indexes.get(imei).copied()).collect();
                (notes.bound.len(), notes.effective.len(), to_order)
            });
            progress.show(bound, effective);
            if effective == sample.cards.len() {
                return Ok(true);
            }
            if Instant::now() >= line_at {
                progress.line();
                line_at += LINE_EVERY;
            }
            if to_order.is_empty() {
                let wait = line_at.min(until);
                let _ = tokio::time::timeout_at(wait, news).await;
            } else {
                let orders = to_order.into_iter().map(|index| Order::of(sample, index));
                self.order_all(stage, orders.collect::<Result<Vec<_>>>()?).await?;
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }
}

/// An order to be placed.
pub(super) struct Order {
    /// The place of the card in the sample.
    pub(super) index: usize,
    /// The device.
    pub(super) imei: Imei,
    /// What the API is told.
    pub(super) body: Value,
}

impl Order {
    /// For the device of this card, what the sample has for it.
    pub(super) fn of(sample: &Sample, index: usize) -> Result<Self> {
        let imei = imei_of(index)?;
        let target = sample.targets.get(index).context("each card has a target")?;
        let mut body = json!({
            "device": { "imei": imei },
            "subscription": { "imsi": target.imsi, "msisdn": target.msisdn },
        });
        if sample.cards.get(index).is_some_and(|card| Kind::of(card) == Kind::Rfm) {
            body["subscription"]["smsc"] = SMSC.into();
        }
        Ok(Self { index, imei, body })
    }

    /// The same for this device.
    pub(super) fn in_device(mut self, imei: Imei) -> Self {
        self.imei = imei;
        self.body["device"]["imei"] = imei.to_string().into();
        self
    }

    /// The same, naming the card.
    pub(super) fn naming(mut self, eid: Eid) -> Self {
        self.body["card"] = json!({ "eid": eid });
        self
    }
}

/// The device of the card in this place.
pub(super) fn imei_of(index: usize) -> Result<Imei> {
    device_imei(u32::try_from(index)? + 1)
}

/// Says which card is in a device, where the line's records know it.
async fn look_up(State(heard): State<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some((_, request)) = verify(&heard.secret, &headers, &body) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let imei = request["imei"].as_str().and_then(|imei| imei.parse::<Imei>().ok());
    match imei.and_then(|imei| heard.records.get(&imei).copied()) {
        Some(eid) => Json(json!({ "eid": eid })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Takes one webhook.
async fn take(State(heard): State<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut notes = heard.notes.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((id, event)) = verify(&heard.secret, &headers, &body) else {
        notes.badly_signed += 1;
        return StatusCode::UNAUTHORIZED;
    };
    if !notes.ids.insert(id.clone()) {
        return StatusCode::NO_CONTENT;
    }
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    *notes.types.entry(kind.clone()).or_default() += 1;
    let imei = event["data"]["imei"].as_str().and_then(|imei| imei.parse::<Imei>().ok());
    if let Some(imei) = imei {
        let now = Instant::now();
        match kind.as_str() {
            "binding.created" => drop(notes.bound.insert(imei, now)),
            "write.written" => drop(notes.written.insert(imei)),
            "write.effective" => drop(notes.effective.insert(imei, now)),
            _ => {}
        }
    }
    let end = kind.strip_prefix("write.").and_then(crate::card::WriteState::from_name);
    if end.is_some_and(crate::card::WriteState::is_end)
        && let Some(write) = event["data"]["write"].as_str()
    {
        notes.ends.entry(write.to_owned()).or_default().insert(id);
    }
    heard.news.notify_one();
    StatusCode::NO_CONTENT
}

/// Checks the signature as Standard Webhooks asks and gives the event with its id.
fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Option<(String, Value)> {
    let header = |name| headers.get(name)?.to_str().ok();
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signature = header("webhook-signature")?.strip_prefix("v1,")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac.verify_slice(&BASE64.decode(signature).ok()?).ok()?;
    Some((id.to_owned(), serde_json::from_slice(body).ok()?))
}
