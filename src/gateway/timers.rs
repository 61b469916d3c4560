//! What time brings: due cards, and deadlines of writes that are not active.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::card::{CardId, End, WriteId};
use crate::store::{Commit, Key, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::cards::{CardError, Input};
use super::changes::{TIMER_OF_CARD, TIMER_OF_LOOK_UP, TIMER_SHARDS, timer};
use super::orders::CancelError;

/// Timers read at once.
const PAGE: usize = 256;

/// Longest wait between two readings, in case a signal was lost.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Wait before a timer that could not be served is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// How far a timer is put off that only an operator can help: a profile or a key is missing.
const PUT_OFF_MS: u64 = 300_000;

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

    /// Serves what is due, each timer once, and says how long nothing will be.
    async fn serve_timers(&self) -> Result<Duration, StoreError> {
        let store = &self.0.world.store;
        let mut wait = LONGEST_WAIT;
        for shard in 0..TIMER_SHARDS {
            let mut due = keys::Timer::due(shard, self.now());
            while !self.0.closing.is_cancelled() {
                let page = store.scan(Scan::first(due.clone(), PAGE)).await?.value;
                let Some((last, _)) = page.last() else { break };
                due = due.after(last);
                let whole_page = page.len() == PAGE;
                let mut jobs = JoinSet::new();
                for (key, value) in page {
                    let gateway = self.clone();
                    jobs.spawn(async move { gateway.serve_timer(&key, &value).await });
                }
                while jobs.join_next().await.is_some() {}
                if !whole_page {
                    break;
                }
            }
            let next = store.scan(Scan::first(keys::Timer::of_shard(shard), 1)).await?.value;
            if let Some(next) = next.first().and_then(|(key, _)| keys::Timer::parse(key).ok()) {
                let left = Duration::from_millis(next.due_ms.saturating_sub(self.now()));
                // What is due still was not served, or came due meanwhile: not at once, lest this goes round for nothing.
                wait = wait.min(if left.is_zero() { RETRY_WAIT } else { left });
            }
        }
        Ok(wait)
    }

    /// Serves one timer; where that fails it stays and is tried again.
    async fn serve_timer(&self, key: &Key, value: &[u8]) {
        let Ok(due) = keys::Timer::parse(key) else { return };
        if Unguarded::decode(value) == Ok(&[TIMER_OF_CARD]) {
            let card = CardId::from_octets(due.id);
            match self.on_card(card, Input::Timer { key: key.clone() }).await {
                Ok(_) => {}
                Err(CardError::NoSuchCard) => self.move_timer(key, None).await,
                Err(error) if error.passes() => {}
                Err(error) => {
                    tracing::error!(%card, %error, "a card cannot be served: its timer is put off");
                    self.put_off(key, due, value).await;
                }
            }
        } else if Unguarded::decode(value) == Ok(&[TIMER_OF_LOOK_UP]) {
            let write = WriteId::from_octets(due.id);
            if let Err(error) = self.serve_look_up(key, write).await {
                tracing::warn!(%write, %error, "the card of a write could not be looked up");
            }
        } else {
            let write = WriteId::from_octets(due.id);
            match self.withdraw(write, End::Expired).await {
                Ok(_) => self.move_timer(key, None).await,
                Err(CancelError::Store(_)) => {}
                Err(error) => {
                    tracing::error!(%write, %error, "the deadline of a write cannot be served: it is put off");
                    self.put_off(key, due, value).await;
                }
            }
        }
    }

    /// A card notices when its timer comes at another time than its record says, and sets it right.
    async fn put_off(&self, key: &Key, due: keys::Timer, value: &[u8]) {
        let later = timer(due.id, self.now() + PUT_OFF_MS);
        self.move_timer(key, Some((later, value))).await;
    }

    /// Puts a timer off, or removes it.
    pub(super) async fn move_timer(&self, key: &Key, to: Option<(Key, &[u8])>) {
        let mut commit = Commit::new();
        commit.delete(key.clone());
        if let Some((to, value)) = to {
            commit.put(to, value.to_vec());
        }
        if let Err(error) = self.0.world.store.commit(commit).await {
            tracing::warn!(%error, "a timer could not be moved: it will be served again");
        }
    }
}
