//! What is kept only for a while: messages of unknown cards, and parts of messages that never became whole.

use std::time::Duration;

use crate::store::records::decode_part_set;
use crate::store::{Commit, Guarded, Scan, StoreError, keys};

use super::Gateway;
use super::cards::CardError;
use super::lists::stray_of;
use super::part_sets::AGE_MAX_MS;

/// How often it is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// How long a stray message is kept.
const STRAY_MS: u64 = 7 * 86_400_000;

/// Entries read at once.
const PAGE: usize = 256;

impl Gateway {
    pub(super) async fn run_retention(self) {
        loop {
            let strays = self.forget(keys::Space::Stray, |value| Ok(stray_of(value)?.at + STRAY_MS)).await;
            let parts = self.forget(keys::Space::PartSet, |value| {
                Ok(decode_part_set(Guarded::decode(value)?.body)?.created + AGE_MAX_MS)
            });
            if let Err(error) = strays.and(parts.await) {
                tracing::warn!(%error, "what is too old could not be looked through");
            }
            tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Removes from a space what is kept until an earlier time than now. What cannot be read stays.
    async fn forget(
        &self,
        space: keys::Space,
        kept_until: impl Fn(&[u8]) -> Result<u64, CardError>,
    ) -> Result<(), StoreError> {
        let mut range = space.range();
        while !self.0.closing.is_cancelled() {
            let page = self.0.world.store.scan(Scan::first(range.clone(), PAGE)).await?.value;
            let Some((last, _)) = page.last() else { break };
            range = range.after(last);
            let now = self.now();
            let mut commit = Commit::new();
            for (key, value) in page {
                if kept_until(&value).is_ok_and(|until| until < now) {
                    commit.delete(key);
                }
            }
            if !commit.ops.is_empty() {
                tracing::debug!(?space, entries = commit.ops.len(), "too old: forgotten");
                // Lost, this is made up for at the next look.
                self.0.world.store.submit(commit);
            }
        }
        Ok(())
    }
}
