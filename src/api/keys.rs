//! API keys: made, listed and revoked here; the caller proves one in [`auth`](super::auth).
//!
//! A token is `aw_<id>_<secret>`: the id finds the record, the secret is 32 random octets in hexadecimal. The
//! store holds the secret's SHA-256 only, so a token can be shown once and never again. What it may do is its
//! [`Scope`]s; keys that were stored before there were scopes may do everything but [`Scope::Admin`].

use std::collections::BTreeSet;

use ctutils::CtEq;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::card::Owner;
use crate::store::keys::{self, Space};
use crate::store::records::{ApiKey, RecordError, decode_api_key, encode_api_key};
use crate::store::{
    Commit, CommitError, EnvelopeError, KeyError, KeyText, Store, StoreError, Unguarded, read_space,
};
use crate::world::{Clock, Rng};

use super::scope::Scope;

/// Most octets of a key's name.
const NAME_OCTETS_MAX: usize = 64;

/// Most octets of a token: more is not looked at.
const TOKEN_OCTETS_MAX: usize = 128;

/// Why something could not be done to an API key.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// The name is empty, too long or holds control characters.
    #[error("name: expected 1 to 64 octets without control characters")]
    Name,
    /// A key that may do nothing.
    #[error("scopes: expected at least one")]
    Scopes,
    /// There is no such key.
    #[error("there is no API key with this id")]
    NotFound,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store refused the change.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The stored key cannot be read.
    #[error("stored API key: {0}")]
    Record(#[from] RecordError),
    /// The stored value cannot be read.
    #[error("stored API key: {0}")]
    Envelope(#[from] EnvelopeError),
}

/// Makes a key for `owner` and stores it. The second value is the token to be shown: nobody can show it again.
/// `name` is what people call the key, 1 to 64 octets; `scopes` what it may do, at least one.
///
/// # Errors
/// [`ApiKeyError::Name`] and [`ApiKeyError::Scopes`], and where the store refuses.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
    owner: Owner,
    name: &str,
    scopes: &BTreeSet<Scope>,
) -> Result<(ApiKey, SecretString), ApiKeyError> {
    if scopes.is_empty() {
        return Err(ApiKeyError::Scopes);
    }
    if !(1..=NAME_OCTETS_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(ApiKeyError::Name);
    }
    let mut secret = Zeroizing::new([0; 32]);
    rng.fill(secret.as_mut());
    let key = ApiKey {
        id: format!("key_{:016x}", rng.next_u64()),
        owner,
        digest: Sha256::digest(secret.as_slice()).into(),
        created: clock.now_ms(),
        revoked: false,
        name: name.to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
    };
    let at = keys::api_key(&text(&key.id)?);
    let mut commit = Commit::new();
    commit.expect_absent(at.clone()).put(at, Unguarded::encode(&encode_api_key(&key)));
    store.commit(commit).await?;
    let shown = Zeroizing::new(hex::encode(secret.as_slice()));
    let token = SecretString::from(format!("aw_{}_{}", key.id, shown.as_str()));
    Ok((key, token))
}

/// Every key, revoked ones too, ordered by id.
///
/// # Errors
/// Where the store refuses or holds a key that cannot be read.
pub async fn list_keys(store: &dyn Store) -> Result<Vec<ApiKey>, ApiKeyError> {
    read_space(store, Space::ApiKey, decode_api_key).await
}

/// Revokes the key with this id, where `owner` is given only if it is that owner's: from now on it opens nothing.
/// Revoking it again changes nothing.
///
/// # Errors
/// [`ApiKeyError::NotFound`], and where the store refuses.
pub async fn revoke_key(store: &dyn Store, id: &str, owner: Option<&Owner>) -> Result<ApiKey, ApiKeyError> {
    let at = keys::api_key(&text(id)?);
    let stored = store.get_one(at.clone()).await?.value.ok_or(ApiKeyError::NotFound)?;
    let key = ApiKey { revoked: true, ..decode_api_key(Unguarded::decode(&stored)?)? };
    if owner.is_some_and(|owner| key.owner != *owner) {
        return Err(ApiKeyError::NotFound);
    }
    let mut commit = Commit::new();
    commit.put(at, Unguarded::encode(&encode_api_key(&key)));
    store.commit(commit).await?;
    Ok(key)
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opens {
    /// Whose things.
    pub(super) owner: Owner,
    /// What may be done with them.
    pub(super) scopes: BTreeSet<Scope>,
}

/// What this token opens; `None` where it opens nothing.
///
/// # Errors
/// Where the store refuses.
pub(super) async fn opens(store: &dyn Store, token: &SecretString) -> Result<Option<Opens>, ApiKeyError> {
    let Some((id, secret)) = split(token.expose_secret()) else { return Ok(None) };
    let Ok(id) = text(id) else { return Ok(None) };
    // What is read here decides no more than whether the request goes on: a key that is not durable yet has not been
    // shown to anybody.
    let Some(stored) = store.get_one(keys::api_key(&id)).await?.value else { return Ok(None) };
    let key = decode_api_key(Unguarded::decode(&stored)?)?;
    let digest: [u8; 32] = Sha256::digest(secret.as_slice()).into();
    let valid = digest.ct_eq(&key.digest).to_bool() && !key.revoked;
    Ok(valid.then(|| Opens { scopes: Scope::of_key(&key), owner: key.owner }))
}

/// Id and secret of a token.
fn split(token: &str) -> Option<(&str, Zeroizing<[u8; 32]>)> {
    if token.len() > TOKEN_OCTETS_MAX {
        return None;
    }
    let (id, digits) = token.strip_prefix("aw_")?.rsplit_once('_')?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, secret.as_mut()).ok()?;
    Some((id, secret))
}

/// An id that cannot stand in a key names no key.
fn text(id: &str) -> Result<KeyText, ApiKeyError> {
    KeyText::new(id).map_err(|_: KeyError| ApiKeyError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::world::{SeededRng, TokioClock};

    async fn made(store: &MemoryStore, owner: &str, seed: u64) -> (ApiKey, SecretString) {
        let clock = TokioClock::starting_at(1_000);
        let scopes = Scope::all_but_admin();
        let rng = SeededRng::new(seed);
        create_key(store, &clock, &rng, owner.parse().unwrap(), "console", &scopes).await.unwrap()
    }

    async fn owner_of(store: &MemoryStore, token: &SecretString) -> Result<Option<Owner>, ApiKeyError> {
        Ok(opens(store, token).await?.map(|opens| opens.owner))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_opens_the_things_of_its_owner_until_it_is_revoked() {
        let store = MemoryStore::new();
        let (key, token) = made(&store, "acme", 1).await;
        let (_, other) = made(&store, "umbrella", 2).await;
        assert_eq!(key.created, 1_000);
        assert_eq!(owner_of(&store, &token).await.unwrap(), Some("acme".parse().unwrap()));
        assert_eq!(owner_of(&store, &other).await.unwrap(), Some("umbrella".parse().unwrap()));

        assert!(revoke_key(&store, &key.id, None).await.unwrap().revoked);
        assert!(revoke_key(&store, &key.id, None).await.unwrap().revoked, "once more changes nothing");
        assert_eq!(owner_of(&store, &token).await.unwrap(), None);
        assert_eq!(owner_of(&store, &other).await.unwrap(), Some("umbrella".parse().unwrap()));
        let listed = list_keys(&store).await.unwrap();
        assert_eq!(listed.iter().map(|key| key.revoked).filter(|revoked| *revoked).count(), 1);
        assert_eq!(listed.len(), 2);
    }

    #[tokio::test]
    async fn the_secret_is_shown_once_and_not_stored() {
        let store = MemoryStore::new();
        let (key, token) = made(&store, "acme", 3).await;
        let token = token.expose_secret();
        let secret = token.rsplit('_').next().unwrap();
        assert_eq!(token, format!("aw_{}_{secret}", key.id));
        assert_eq!(secret.len(), 64);
        let stored = store.get_one(keys::api_key(&text(&key.id).unwrap())).await.unwrap().value.unwrap();
        let octets = hex::decode(secret).unwrap();
        assert!(!stored.windows(32).any(|window| window == octets));
        assert!(stored.windows(32).any(|window| window == Sha256::digest(&octets).as_slice()));
    }

    #[tokio::test]
    async fn other_tokens_open_nothing() {
        let store = MemoryStore::new();
        let (key, token) = made(&store, "acme", 4).await;
        let token = token.expose_secret();
        let flipped =
            format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
        let unknown = token.replace(&key.id, "key_0000000000000000");
        let long = format!("{token}{}", "0".repeat(100));
        for wrong in [
            "",
            "aw_",
            "aw__",
            "aw_x_00",
            &flipped,
            &unknown,
            &long,
            &token[3..],
            &format!("aw_\0_{}", "0".repeat(64)),
        ] {
            assert_eq!(owner_of(&store, &SecretString::from(wrong)).await.unwrap(), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn names_are_bounded_and_ids_must_exist() {
        let store = MemoryStore::new();
        let clock = TokioClock::starting_at(0);
        for name in ["", "a\nb", &"x".repeat(65)] {
            let made = create_key(
                &store,
                &clock,
                &SeededRng::new(5),
                "acme".parse().unwrap(),
                name,
                &Scope::all_but_admin(),
            )
            .await;
            assert!(matches!(made, Err(ApiKeyError::Name)), "{name:?}");
        }
        for id in ["", "key_0", "\0"] {
            assert!(matches!(revoke_key(&store, id, None).await, Err(ApiKeyError::NotFound)), "{id:?}");
        }
    }
}
