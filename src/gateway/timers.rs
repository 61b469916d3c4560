//! What time brings: due cards, deadlines of writes that wait, and inboxes that a restart left behind.

use std::time::Duration;

use crate::card::{CardId, End, Event, WriteId};
use crate::store::records::decode_inbox;
use crate::store::{Key, KeyRange, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::cards::Input;
use super::changes::{TIMER_OF_CARD, TIMER_SHARDS};

/// Timers read at once.
const PAGE: usize = 256;

/// Longest wait between two readings, in case a signal was lost.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Wait before a timer that could not be served is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

impl Gateway {
    /// Notes that a timer was set for `due`.
    pub(super) fn signal_timer(&self, due: u64) {
        self.0.timer_set.send_if_modified(|earliest| {
            let earlier = due < *earliest;
            if earlier {
                *earliest = due;
            }
            earlier
        });
    }

    pub(super) async fn run_timers(self) {
        let mut signal = self.0.timer_set.subscribe();
        loop {
            // Timers set from here on are told; those set before are read.
            self.0.timer_set.send_replace(u64::MAX);
            signal.mark_unchanged();
            let wait = match self.serve_timers().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "timers could not be read");
                    RETRY_WAIT
                }
            };
            let until = tokio::time::Instant::now() + wait;
            loop {
                let next = *signal.borrow_and_update();
                let left = Duration::from_millis(next.saturating_sub(self.now()));
                let until = until.min(tokio::time::Instant::now() + left);
                tokio::select! {
                    biased;
                    () = self.0.closing.cancelled() => return,
                    changed = signal.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep_until(until) => break,
                }
            }
        }
    }

    /// Serves what is due and says how long nothing will be.
    async fn serve_timers(&self) -> Result<Duration, StoreError> {
        let mut wait = LONGEST_WAIT;
        for shard in 0..TIMER_SHARDS {
            loop {
                let now = self.now();
                let due =
                    self.0.world.store.scan(Scan::first(keys::Timer::due(shard, now), PAGE)).await?.value;
                let (whole_page, mut unserved) = (due.len() == PAGE, 0);
                let mut jobs = tokio::task::JoinSet::new();
                for (key, value) in due {
                    let gateway = self.clone();
                    jobs.spawn(async move { gateway.serve_timer(&key, &value).await });
                }
                while let Some(served) = jobs.join_next().await {
                    unserved += usize::from(!served.unwrap_or(false));
                }
                if unserved > 0 {
                    wait = wait.min(RETRY_WAIT);
                    break;
                }
                if !whole_page {
                    break;
                }
            }
            let next = self.0.world.store.scan(Scan::first(keys::Timer::of_shard(shard), 1)).await?.value;
            if let Some(next) = next.first().and_then(|(key, _)| keys::Timer::parse(key).ok()) {
                let left = Duration::from_millis(next.due_ms.saturating_sub(self.now()));
                // What is due already and stayed was not served: it is not tried again at once.
                wait = wait.min(if left.is_zero() { RETRY_WAIT } else { left });
            }
        }
        Ok(wait)
    }

    /// Serves one timer; `false` where it must be tried again.
    async fn serve_timer(&self, key: &Key, value: &[u8]) -> bool {
        let Ok(timer) = keys::Timer::parse(key) else { return true };
        if Unguarded::decode(value) == Ok(&[TIMER_OF_CARD]) {
            let card = CardId::from_octets(timer.id);
            return self.on_card(card, Input::Event(Event::Tick)).await.is_ok();
        }
        let write = WriteId::from_octets(timer.id);
        match self.withdraw(write, End::Expired).await {
            Ok(_) => {
                let mut commit = crate::store::Commit::new();
                commit.delete(key.clone());
                self.0.world.store.commit(commit).await.is_ok()
            }
            Err(error) => {
                tracing::warn!(%write, %error, "the deadline of a write could not be served");
                false
            }
        }
    }

    /// Serves the inboxes that a stop left unserved.
    pub(super) async fn take_up_inboxes(self) {
        self.take_up(keys::Space::Inbox.range()).await;
    }

    /// Serves the inbox of one card.
    pub(super) async fn take_up_inbox(self, card: CardId) {
        self.take_up(keys::InboxEntry::of_card(card)).await;
    }

    async fn take_up(&self, range: KeyRange) {
        while let Ok(read) = self.0.world.store.scan(Scan::first(range.clone(), PAGE)).await {
            if read.value.is_empty() {
                return;
            }
            for (key, value) in read.value {
                let Ok(entry) = keys::InboxEntry::parse(&key) else { return };
                let Ok(body) = Unguarded::decode(&value) else { return };
                let Ok(record) = decode_inbox(body) else { return };
                if let Err(error) = self.on_card(entry.card, Input::Inbox { key, record }).await {
                    tracing::warn!(card = %entry.card, %error, "an inbox could not be served");
                    return;
                }
            }
        }
    }
}
