//! What is kept only for a while: ended writes, idempotency keys, messages of unknown cards, and parts of messages that
//! never became whole. (The number that a card had before is forgotten by the card's own timer.)

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::card::{End, WriteId, WriteState};
use crate::store::records::{Holder, Write, decode_claim, decode_idempotency, decode_part_set, decode_write};
use crate::store::{Commit, CommitError, Guarded, Key, KeyRange, Scan, StoreError, keys};

use super::Gateway;
use super::changes::claims;
use super::job::CardError;
use super::lists::stray_of;
use super::part_sets::AGE_MAX_MS;

/// How often it is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// The pause between two looks of a round, so that it takes no more than a small part of the store's time.
const PAUSE: Duration = Duration::from_millis(100);

/// Entries read at once; no more than a commit may assert.
const PAGE: usize = 256;

const DAY_MS: u64 = 86_400_000;

/// How long what is over is kept (`[retention]`), in days.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Writes, from their end on. One that ended unresolved is kept while it holds its target.
    pub writes_days: u32,
    /// The number that a card had before, from when it was replaced on.
    pub numbers_days: u32,
    /// Idempotency keys, from the order on.
    pub idempotency_keys_days: u32,
    /// Messages of unknown cards.
    pub strays_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { writes_days: 400, numbers_days: 400, idempotency_keys_days: 30, strays_days: 7 }
    }
}

impl Retention {
    /// What does not go together, as "key: expected …".
    ///
    /// # Errors
    /// The key and what is expected of it.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let Self { writes_days, numbers_days, idempotency_keys_days, strays_days } = *self;
        if [writes_days, numbers_days, idempotency_keys_days, strays_days].contains(&0) {
            return Err(("retention", "at least 1 day of each"));
        }
        if idempotency_keys_days > writes_days {
            return Err((
                "retention.idempotency_keys_days",
                "no more than writes_days: a key answers with its write",
            ));
        }
        Ok(())
    }

    pub(super) fn numbers_ms(&self) -> u64 {
        u64::from(self.numbers_days) * DAY_MS
    }
}

impl Gateway {
    pub(super) async fn run_retention(self) {
        while !self.0.closing.is_cancelled() {
            if let Err(error) = self.forget_all().await {
                tracing::warn!(%error, "what is too old could not be looked through");
            }
            self.0.closing.run_until_cancelled(tokio::time::sleep(EVERY)).await;
        }
    }

    /// One round. What fails is made up for at the next.
    async fn forget_all(&self) -> Result<(), CardError> {
        let retention = &self.0.config.retention;
        let [writes, keys, strays] =
            [retention.writes_days, retention.idempotency_keys_days, retention.strays_days]
                .map(|days| u64::from(days) * DAY_MS);
        let strays_done =
            self.forget(keys::Space::Stray.range(), |value| Ok(stray_of(value)?.at + strays)).await;
        let parts_done = self
            .forget(keys::Space::PartSet.range(), |value| {
                Ok(decode_part_set(Guarded::decode(value)?.body)?.created + AGE_MAX_MS)
            })
            .await;
        let keys_done = self
            .forget(keys::idempotency_keys(), |value| {
                Ok(decode_idempotency(Guarded::decode(value)?.body)?.at + keys)
            })
            .await;
        self.forget_writes(writes).await?;
        Ok(strays_done.and(parts_done).and(keys_done)?)
    }

    /// Removes from a range what is kept until an earlier time than now. What cannot be read stays.
    async fn forget(
        &self,
        mut range: KeyRange,
        kept_until: impl Fn(&[u8]) -> Result<u64, CardError>,
    ) -> Result<(), StoreError> {
        while let Some(page) = self.next_page(&mut range).await? {
            let now = self.now();
            let mut commit = Commit::new();
            for (key, value) in page {
                if kept_until(&value).is_ok_and(|until| until < now) {
                    commit.delete(key);
                }
            }
            if !commit.ops.is_empty() {
                tracing::debug!(entries = commit.ops.len(), "too old: forgotten");
                // Lost, this is made up for at the next look.
                self.0.world.store.submit(commit);
            }
        }
        Ok(())
    }

    /// Removes writes that ended more than `kept_ms` ago. Ids rise with the time of the order, and none ends before that:
    /// only what was ordered so long ago is looked at.
    async fn forget_writes(&self, kept_ms: u64) -> Result<(), CardError> {
        let before = self.now().saturating_sub(kept_ms);
        let mut range = keys::Space::Write.range().before(&keys::write(WriteId::first_at(before)));
        while let Some(page) = self.next_page(&mut range).await? {
            let mut commit = Commit::new();
            for (key, value) in page {
                let Ok((version, write)) = read_write(&value) else { continue };
                let over = write.state.is_end() && write.ended_at.is_some_and(|at| at < before);
                if over && !self.holds_target(&write).await? {
                    commit.expect_version(key.clone(), version).delete(key);
                }
            }
            if commit.ops.is_empty() {
                continue;
            }
            tracing::info!(writes = commit.ops.len(), "ended long ago: forgotten");
            match self.0.world.store.commit(commit).await {
                // One that changed meanwhile is looked at again in the next round.
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether a write that ended unresolved still holds what it was to write: nobody else may have it, and whoever is
    /// refused it must find out why.
    async fn holds_target(&self, write: &Write) -> Result<bool, CardError> {
        if write.state != WriteState::Ended(End::Unresolved) {
            return Ok(false);
        }
        let wanted = claims(&write.target).into_iter().map(|(_, key)| key).collect();
        for value in self.0.world.store.get(wanted).await?.value.into_iter().flatten() {
            if decode_claim(Guarded::decode(&value)?.body)?.holder == Holder::Write(write.id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next entries of a range, after a pause; `None` at its end, or where the gateway stops.
    async fn next_page(&self, range: &mut KeyRange) -> Result<Option<Vec<(Key, Bytes)>>, StoreError> {
        if self.0.closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return Ok(None);
        }
        let page = self.0.world.store.scan(Scan::first(range.clone(), PAGE)).await?.value;
        let Some((last, _)) = page.last() else { return Ok(None) };
        *range = range.clone().after(last);
        Ok(Some(page))
    }
}

fn read_write(value: &[u8]) -> Result<(u64, Write), CardError> {
    let Guarded { version, body } = Guarded::decode(value)?;
    Ok((version, decode_write(body)?))
}
