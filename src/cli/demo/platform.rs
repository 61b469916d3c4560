//! The business platform of the demo: it orders over HTTP and hears by signed webhooks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Progress;
use super::stage::{Stage, owner};
use crate::api::webhook::EndpointConfig;
use crate::cli::sample::{Sample, device_imei};
use crate::identity::Imei;
use crate::world::{Rng, SystemRng};

/// Orders that are placed at the same time.
const ORDERS_AT_ONCE: usize = 16;

/// How often those without a terminal get a line.
const LINE_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Platform {
    address: SocketAddr,
    heard: Arc<Heard>,
    http: reqwest::Client,
}

/// What the webhooks said.
pub(super) struct Heard {
    secret: Vec<u8>,
    notes: Mutex<Notes>,
    news: Notify,
}

#[derive(Default)]
pub(super) struct Notes {
    /// Ids of the events, each once.
    pub(super) ids: BTreeSet<String>,
    /// Requests whose signature was wrong.
    pub(super) badly_signed: usize,
    /// When each device was ordered, reported by its card, and opened.
    pub(super) ordered: BTreeMap<Imei, Instant>,
    pub(super) bound: BTreeMap<Imei, Instant>,
    pub(super) effective: BTreeMap<Imei, Instant>,
    /// Ends of writes: the ids of the events that told them.
    pub(super) ends: BTreeMap<String, BTreeSet<String>>,
}

impl Platform {
    /// Listens for webhooks.
    pub(super) async fn start() -> Result<Self> {
        let mut secret = vec![0; 32];
        SystemRng.fill(&mut secret);
        let heard = Arc::new(Heard { secret, notes: Mutex::default(), news: Notify::new() });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for webhooks")?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/hook", post(take)).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { address, heard, http })
    }

    /// The endpoint as the gateway is told of it.
    pub(super) fn endpoint(&self) -> Result<EndpointConfig> {
        Ok(EndpointConfig {
            name: "demo".to_owned(),
            owner: owner()?,
            url: format!("http://{}/hook", self.address),
            secret: format!("whsec_{}", BASE64.encode(&self.heard.secret)).into(),
            allow_private: true,
        })
    }

    /// Looks at what was heard so far.
    pub(super) fn notes<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.heard.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Orders for these devices what the sample has for them.
    pub(super) async fn order_all(
        &self,
        stage: &Stage,
        sample: &Sample,
        devices: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let room = Arc::new(Semaphore::new(ORDERS_AT_ONCE));
        let mut orders = tokio::task::JoinSet::new();
        for index in devices {
            let imei = device_imei(u32::try_from(index)? + 1)?;
            let target = sample.targets.get(index).context("each card has a target")?;
            let request = self
                .http
                .post(format!("http://{}/v1/writes", stage.api))
                .bearer_auth(stage.token.expose_secret())
                .header("Idempotency-Key", format!("demo-{imei}"))
                .json(&json!({
                    "device": { "imei": imei },
                    "subscription": { "imsi": target.imsi, "msisdn": target.msisdn },
                }));
            let room = room.clone();
            self.notes(|notes| notes.ordered.insert(imei, Instant::now()));
            orders.spawn(async move {
                let _place = room.acquire_owned().await?;
                let answer = request.send().await?;
                let status = answer.status();
                let body = answer.text().await?;
                ensure!(status == StatusCode::ACCEPTED, "order for {imei}: {status} {body}");
                Ok(())
            });
        }
        while let Some(order) = orders.join_next().await {
            order??;
        }
        Ok(())
    }

    /// Orders for every device as soon as its card has reported it, until all are effective; `false` where that took
    /// too long.
    pub(super) async fn serve_customers(
        &self,
        stage: &Stage,
        sample: &Sample,
        until: Instant,
        progress: &Progress,
    ) -> Result<bool> {
        let indexes: BTreeMap<Imei, usize> = (0..sample.cards.len())
            .map(|index| Ok((device_imei(u32::try_from(index)? + 1)?, index)))
            .collect::<Result<_>>()?;
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
                self.order_all(stage, sample, to_order.into_iter()).await?;
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
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
    let imei = event["data"]["imei"].as_str().and_then(|imei| imei.parse::<Imei>().ok());
    if let Some(imei) = imei {
        let now = Instant::now();
        match kind.as_str() {
            "binding.created" => drop(notes.bound.insert(imei, now)),
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
