//! What follows for a card from what happened to another one: taken up one after the other, until all are served.

use std::time::Duration;

use crate::store::records::decode_inbox;
use crate::store::{Key, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::job::{CardError, Input};

/// Entries read at once.
const PAGE: usize = 256;

/// Wait before what could not be served is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(10);

impl Gateway {
    /// Serves the inboxes: what a stop left behind, and from then on whatever is signalled.
    pub(super) async fn run_inboxes(self) {
        loop {
            let left = self.serve_inboxes().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "inboxes could not be read");
                true
            });
            let retry = async {
                match left {
                    true => tokio::time::sleep(RETRY_WAIT).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                () = self.0.inbox.notified() => {}
                () = retry => {}
            }
        }
    }

    /// Serves every entry once and says whether any is left.
    async fn serve_inboxes(&self) -> Result<bool, StoreError> {
        let mut range = keys::Space::Inbox.range();
        let mut left = false;
        while !self.0.closing.is_cancelled() {
            let page = self.0.world.store.scan(Scan::first(range.clone(), PAGE)).await?.value;
            let Some((last, _)) = page.last() else { break };
            range = range.after(last);
            for (key, value) in page {
                if let Err(error) = self.serve_inbox(&key, &value).await {
                    tracing::warn!(?key, %error, "an inbox entry could not be served");
                    left = true;
                }
            }
        }
        Ok(left)
    }

    async fn serve_inbox(&self, key: &Key, value: &[u8]) -> Result<(), CardError> {
        let Ok(entry) = keys::InboxEntry::parse(key) else { return Ok(()) };
        let record = decode_inbox(Unguarded::decode(value)?)?;
        self.on_card(entry.card, Input::Inbox { key: key.clone(), record }).await?;
        Ok(())
    }
}
