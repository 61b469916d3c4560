//! The lanes after a start: routes may have changed meanwhile.

use crate::card::CardId;
use crate::store::records::decode_card;
use crate::store::{Commit, CommitError, Guarded, Scan, StoreError, Unguarded, keys};

use super::Gateway;

/// Entries read at once.
const PAGE: usize = 256;

impl Gateway {
    /// Moves what waits in lanes of former routes into those of today. Nobody else changes a card meanwhile.
    pub(super) async fn sort_lanes(&self) -> Result<(), StoreError> {
        let store = &self.0.world.store;
        let mut range = keys::Space::Ready.range();
        loop {
            let page = store.scan(Scan::first(range.clone(), PAGE)).await?.value;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = range.after(last);
            let mut commit = Commit::new();
            for (key, value) in &page {
                let Ok(lane) = keys::Ready::parse(key) else { continue };
                let today = self.lanes_today(lane.card).await?;
                if today.iter().any(|(k, numbers)| k == key && Unguarded::decode(value) == Ok(numbers)) {
                    continue;
                }
                commit.delete(key.clone());
                for (key, numbers) in today {
                    commit.put(key, Unguarded::encode(&numbers));
                }
            }
            if commit.ops.is_empty() {
                continue;
            }
            tracing::info!(changes = commit.ops.len(), "lanes follow other routes than before");
            match store.commit(commit).await {
                Ok(_) => {}
                Err(CommitError::Store(error)) => return Err(error),
                // It asserts nothing.
                Err(CommitError::Conflict(_)) => {}
            }
        }
    }

    /// The places of a card in the lanes, as its record and the routes say.
    async fn lanes_today(&self, card: CardId) -> Result<Vec<(crate::store::Key, Vec<u8>)>, StoreError> {
        let value = self.0.world.store.get_one(keys::card(card)).await?.value;
        let card = value.as_deref().and_then(|value| decode_card(Guarded::decode(value).ok()?.body).ok());
        Ok(card.map(|card| self.lane_entries(&card).into_iter().collect()).unwrap_or_default())
    }
}
