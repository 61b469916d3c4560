//! The card look-up: which card a device holds, asked of the business platform over HTTP.
//!
//! A request is `POST` with the body `{"imei": "…"}`, signed as webhooks are (Standard Webhooks 1.0, `webhook-id` of the
//! form `lkp_…`). The answer is 200 with `{"eid": "…"}` or `{"iccid": "…"}`, or 404 where the platform does not know the
//! device either. Anything else, and silence, is tried again a few times; then the gateway asks later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::card::Owner;
use crate::gateway::{CardLookup, CardRef, LookupError};
use crate::identity::{EidChecksum, Imei};
use crate::link::BoxFuture;
use crate::world::{Clock, Rng};

use super::request::from_json;
use super::routes::CardBody;
use super::webhook::{EndpointError, SendError, SigningKey, client, public_url};

/// How long one attempt may take. The gateway waits 10 s for a whole look-up.
const ATTEMPT: Duration = Duration::from_secs(3);

/// Attempts of one look-up.
const ATTEMPTS: u32 = 3;

/// Wait before the second attempt; it doubles, and is shortened by up to a half at random.
const BACK_OFF_MS: u64 = 200;

/// How long an answer is kept: a card that was named, and that none is known.
const FOUND_MS: u64 = 300_000;
const NOT_FOUND_MS: u64 = 10_000;

/// Most answers that are kept.
const KEPT_MAX: usize = 10_000;

/// Most octets of an answer.
const ANSWER_OCTETS_MAX: usize = 4 * 1024;

/// Where the cards of one owner's devices are asked for (`[[lookup]]`).
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupConfig {
    /// Whose devices.
    #[serde(deserialize_with = "owner")]
    pub owner: Owner,
    /// `https://…` or `http://…`, without user and password.
    pub url: String,
    /// The signing key: `whsec_` and the base64 of 24 to 64 random octets.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

impl std::fmt::Debug for LookupConfig {
    /// The URL may hold what only its server may know: of it and the secret nothing is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, url: _, secret: _, allow_private } = self;
        f.debug_struct("LookupConfig")
            .field("owner", owner)
            .field("allow_private", allow_private)
            .finish_non_exhaustive()
    }
}

fn owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// Asks over HTTP; keeps answers for a while. An owner without configuration has no look-up: no card is known.
pub struct HttpLookup {
    servers: BTreeMap<Owner, Server>,
    checksum: EidChecksum,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    kept: Mutex<BTreeMap<(Owner, Imei), Kept>>,
}

struct Server {
    url: Url,
    key: SigningKey,
    client: Client,
}

/// An answer and how long it holds, unix ms.
#[derive(Clone, Copy)]
struct Kept {
    card: Option<CardRef>,
    until: u64,
}

/// Why an attempt has no answer.
enum Failed {
    /// It may have one next time.
    Again(String),
    /// It will not.
    ForGood(String),
}

impl HttpLookup {
    /// A look-up for these owners; `checksum` says what EIDs in answers may be.
    ///
    /// # Errors
    /// [`EndpointError`], whose name is the owner's, for a configuration that is wrong or an owner that is there twice.
    pub fn new(
        configs: &[LookupConfig],
        checksum: EidChecksum,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, EndpointError> {
        let mut servers = BTreeMap::new();
        for config in configs {
            let wrong = |field, expected| EndpointError { name: config.owner.to_string(), field, expected };
            let url =
                public_url(&config.url, config.allow_private).map_err(|expected| wrong("url", expected))?;
            let key = SigningKey::parse(config.secret.expose_secret())
                .ok_or_else(|| wrong("secret", "whsec_ and the base64 of 24 to 64 octets"))?;
            let client = client(ATTEMPT, config.allow_private)
                .map_err(|_| wrong("url", "a URL that TLS can be set up for"))?;
            if servers.insert(config.owner.clone(), Server { url, key, client }).is_some() {
                return Err(wrong("owner", "an owner of its own"));
            }
        }
        Ok(Self { servers, checksum, clock, rng, kept: Mutex::default() })
    }

    async fn ask(&self, owner: &Owner, imei: Imei) -> Result<Option<CardRef>, LookupError> {
        let Some(server) = self.servers.get(owner) else { return Ok(None) };
        let now = self.clock.now_ms();
        if let Some(kept) = self.kept().get(&(owner.clone(), imei)).filter(|kept| kept.until > now) {
            return Ok(kept.card);
        }
        let id = format!("lkp_{:016x}", self.rng.next_u64());
        let mut attempt = 1;
        let card = loop {
            match self.ask_once(server, &id, imei).await {
                Ok(card) => break card,
                Err(Failed::Again(_)) if attempt < ATTEMPTS => {
                    let full = BACK_OFF_MS << (attempt - 1);
                    let wait = full - self.rng.below(full / 2 + 1);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    attempt += 1;
                }
                Err(Failed::Again(error) | Failed::ForGood(error)) => return Err(LookupError(error)),
            }
        };
        self.keep(owner, imei, card);
        Ok(card)
    }

    async fn ask_once(&self, server: &Server, id: &str, imei: Imei) -> Result<Option<CardRef>, Failed> {
        let body = json!({ "imei": imei }).to_string();
        let timestamp = self.clock.now_ms() / 1000;
        let signature = server.key.sign(id, timestamp, body.as_bytes());
        let request = server
            .client
            .post(server.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature);
        let again = |error| Failed::Again(SendError::of(error).to_string());
        let mut response = request.body(body).send().await.map_err(again)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failed::Again(format!("answered {status}")));
            }
            status => return Err(Failed::ForGood(format!("answered {status}"))),
        }
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(again)? {
            octets.extend_from_slice(&chunk);
            if octets.len() > ANSWER_OCTETS_MAX {
                return Err(Failed::ForGood(format!("answered more than {ANSWER_OCTETS_MAX} octets")));
            }
        }
        let wrong = |problem: super::Problem| Failed::ForGood(format!("answer: {}", problem.detail()));
        let named: CardBody = from_json(&octets).map_err(wrong)?;
        named.card("answer", self.checksum).map(Some).map_err(wrong)
    }

    fn keep(&self, owner: &Owner, imei: Imei, card: Option<CardRef>) {
        let now = self.clock.now_ms();
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() < KEPT_MAX {
            let until = now + if card.is_some() { FOUND_MS } else { NOT_FOUND_MS };
            kept.insert((owner.clone(), imei), Kept { card, until });
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<(Owner, Imei), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CardLookup for HttpLookup {
    fn look_up<'a>(
        &'a self,
        owner: &'a Owner,
        imei: Imei,
    ) -> BoxFuture<'a, Result<Option<CardRef>, LookupError>> {
        Box::pin(self.ask(owner, imei))
    }
}

impl std::fmt::Debug for HttpLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpLookup").field("owners", &self.servers.keys()).finish_non_exhaustive()
    }
}
