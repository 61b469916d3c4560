//! Endpoints that were made over the API: in key space 12, their secrets sealed by the vault. An endpoint's id is the name
//! of its outbox and of its place in the store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::card::Owner;
use crate::store::keys::{self, OutboxEntry, Space};
use crate::store::records::{
    Endpoint, OutboxRecord, RecordError, decode_endpoint, decode_outbox, encode_endpoint, encode_outbox,
};
use crate::store::{
    Commit, CommitError, EnvelopeError, KeyError, KeyText, Scan, Store, StoreError, Unguarded, read_space,
};
use crate::vault::{Vault, VaultError};
use crate::world::Rng;

use super::courier::DEAD;
use super::{EndpointConfig, Event};

/// What the ids of these endpoints begin with.
const PREFIX: &str = "end_";

/// Entries read from the store at once.
const PAGE: usize = 256;

/// Most entries of an outbox that are looked at for one page of failures.
const LOOKED_AT_MAX: usize = 32 * PAGE;

/// Why something could not be done to an endpoint in the store.
#[derive(Debug, thiserror::Error)]
pub(in crate::api) enum StoredError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What is stored cannot be read.
    #[error("stored endpoint: {0}")]
    Record(#[from] RecordError),
    /// What is stored cannot be read.
    #[error("stored endpoint: {0}")]
    Envelope(#[from] EnvelopeError),
    /// An id that cannot be a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The secret is no text.
    #[error("stored endpoint: its secret is no text")]
    Secret,
}

impl From<CommitError> for StoredError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            // Nothing is asserted but that a random id is new.
            CommitError::Conflict(key) => Self::Store(StoreError::Io(format!("{key:?} is there already"))),
        }
    }
}

/// Whether an endpoint of this name was made over the API.
pub(in crate::api) fn is_stored(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A new id.
pub(in crate::api) fn new_id(rng: &dyn Rng) -> String {
    format!("{PREFIX}{:016x}", rng.next_u64())
}

/// A new signing key.
pub(in crate::api) fn new_secret(rng: &dyn Rng) -> SecretString {
    let mut octets = Zeroizing::new([0; 32]);
    rng.fill(octets.as_mut());
    let text = Zeroizing::new(STANDARD.encode(octets.as_slice()));
    SecretString::from(format!("whsec_{}", text.as_str()))
}

/// Stores an endpoint under its name, which is its id; `label` is what people call it.
pub(in crate::api) async fn put(
    store: &dyn Store,
    vault: &dyn Vault,
    endpoint: &EndpointConfig,
    label: &str,
    now_ms: u64,
) -> Result<Endpoint, StoredError> {
    let secret = endpoint.secret.expose_secret().as_bytes();
    let record = Endpoint {
        id: endpoint.name.clone(),
        owner: endpoint.owner.clone(),
        url: endpoint.url.clone(),
        name: label.to_owned(),
        sealed_secret: vault.seal_secret(&endpoint.name, secret).await?,
        created: now_ms,
    };
    let key = keys::endpoint(&KeyText::new(&record.id)?);
    let mut commit = Commit::new();
    commit.expect_absent(key.clone()).put(key, Unguarded::encode(&encode_endpoint(&record)));
    store.commit(commit).await?;
    Ok(record)
}

/// Every endpoint in the store, ordered by id.
pub(in crate::api) async fn read_all(store: &dyn Store) -> Result<Vec<Endpoint>, StoredError> {
    read_space(store, Space::Endpoint, decode_endpoint).await
}

/// The endpoint of this id, where it is this owner's.
pub(in crate::api) async fn read(
    store: &dyn Store,
    owner: &Owner,
    id: &str,
) -> Result<Option<Endpoint>, StoredError> {
    let read = store.get_one(keys::endpoint(&KeyText::new(id)?)).await?;
    store.durable(read.seq).await?;
    let Some(value) = read.value else { return Ok(None) };
    let endpoint = decode_endpoint(Unguarded::decode(&value)?)?;
    Ok((endpoint.owner == *owner).then_some(endpoint))
}

/// Forgets an endpoint. Its outbox is emptied by the caller.
pub(in crate::api) async fn delete(store: &dyn Store, id: &str) -> Result<(), StoredError> {
    let mut commit = Commit::new();
    commit.delete(keys::endpoint(&KeyText::new(id)?));
    store.commit(commit).await?;
    Ok(())
}

/// The endpoint as the sender takes it.
pub(in crate::api) async fn open(
    endpoint: &Endpoint,
    vault: &dyn Vault,
    allow_private: bool,
) -> Result<EndpointConfig, StoredError> {
    let secret = vault.open_secret(&endpoint.id, &endpoint.sealed_secret).await?;
    let secret = str::from_utf8(&secret).map_err(|_| StoredError::Secret)?;
    Ok(EndpointConfig {
        name: endpoint.id.clone(),
        owner: endpoint.owner.clone(),
        url: endpoint.url.clone(),
        secret: SecretString::from(secret),
        allow_private,
    })
}

/// An event that an endpoint has not accepted at the first attempt.
#[derive(Debug)]
pub(in crate::api) struct Failure {
    /// Its place in the outbox.
    pub(in crate::api) seq: u64,
    /// The event and what became of it.
    pub(in crate::api) record: OutboxRecord,
}

impl Failure {
    /// The id of the event.
    pub(in crate::api) fn event_id(&self) -> String {
        Event::from(&self.record.fact).id().to_owned()
    }

    /// Whether it was given up.
    pub(in crate::api) fn is_dead(&self) -> bool {
        self.record.not_before == DEAD
    }
}

/// The failures of an endpoint behind the place `after`, at most `limit`, and the place where the list goes on.
pub(in crate::api) async fn failures(
    store: &dyn Store,
    endpoint: &str,
    after: Option<u64>,
    limit: usize,
) -> Result<(Vec<Failure>, Option<u64>), StoredError> {
    let name = KeyText::new(endpoint)?;
    let whole = OutboxEntry::of_endpoint(&name);
    let mut range = match after {
        Some(seq) => whole.after(&OutboxEntry { endpoint: name, seq }.key()),
        None => whole,
    };
    let mut found = Vec::new();
    let mut last = after;
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let read = store.scan(Scan::first(range.clone(), PAGE)).await?;
        store.durable(read.seq).await?;
        let Some((key, _)) = read.value.last() else { return Ok((found, None)) };
        range = range.after(key);
        looked_at += read.value.len();
        for (key, value) in &read.value {
            let seq = OutboxEntry::parse(key)?.seq;
            let record = decode_outbox(Unguarded::decode(value)?)?;
            if record.attempts > 0 {
                if found.len() == limit {
                    return Ok((found, last));
                }
                found.push(Failure { seq, record });
            }
            last = Some(seq);
        }
    }
    Ok((found, last))
}

/// Puts failures back, as if they had never been tried. One that the endpoint accepts meanwhile is sent once more.
pub(in crate::api) async fn put_back(
    store: &dyn Store,
    endpoint: &str,
    failures: Vec<Failure>,
) -> Result<(), StoredError> {
    let name = KeyText::new(endpoint)?;
    let mut commit = Commit::new();
    for Failure { seq, record } in failures {
        let key = OutboxEntry { endpoint: name.clone(), seq }.key();
        commit.put(key, Unguarded::encode(&encode_outbox(&OutboxRecord::new(record.fact))));
    }
    store.commit(commit).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::MemoryStore;
    use crate::vault::{MasterKey, SoftwareVault};
    use crate::world::SeededRng;

    #[tokio::test]
    async fn a_stored_endpoint_opens_again_and_its_secret_is_sealed() {
        let store = MemoryStore::new();
        let rng = Arc::new(SeededRng::new(1));
        let vault = SoftwareVault::new(MasterKey::from_hex(&"5a".repeat(32)).unwrap(), rng.clone());
        let config = EndpointConfig {
            name: new_id(&*rng),
            owner: "acme".parse().unwrap(),
            url: "https://example.net/hooks".into(),
            secret: new_secret(&*rng),
            allow_private: false,
        };
        assert!(is_stored(&config.name) && !is_stored("console") && !is_stored("end_x"));
        put(&store, &vault, &config, "console", 7).await.unwrap();
        let stored = read_all(&store).await.unwrap().remove(0);
        assert_eq!((stored.created, stored.name.as_str()), (7, "console"));
        let secret = config.secret.expose_secret();
        assert!(!stored.sealed_secret.windows(6).any(|octets| octets == b"whsec_"));
        let opened = open(&stored, &vault, true).await.unwrap();
        assert_eq!(
            (opened.secret.expose_secret(), opened.url.as_str()),
            (secret, "https://example.net/hooks")
        );
        assert!(opened.allow_private);

        let other = "umbrella".parse().unwrap();
        assert!(read(&store, &other, &stored.id).await.unwrap().is_none());
        delete(&store, &stored.id).await.unwrap();
        assert!(read(&store, &stored.owner, &stored.id).await.unwrap().is_none());
    }
}
