//! Who is told what happens: the outboxes of the endpoints, and a log of events for each owner.
//!
//! The log is what the event stream of the HTTP API reads: an outbox that nobody empties, named `@` and the owner. The
//! newest [`LOG_EVENTS_MIN`] events are kept at least; what is older goes when as many new ones have come.
//!
//! Entries are numbered while their commit is made, and commits become visible in another order than that of the
//! numbers. Whoever goes on from a number must not miss a lower one that comes later: [`Gateway::events`] shows no
//! entry while one with a lower number may still come.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::card::Owner;
use crate::store::records::{
    FactRecord, OutboxRecord, decode_endpoint, decode_outbox, encode_fact, encode_outbox,
};
use crate::store::{
    Commit, CommitError, Key, KeyRange, KeyText, Scan, Store, StoreError, Unguarded, keys, read_space,
};

use super::cards::RELAYED;
use super::read::unreadable;
use super::{EndpointRef, Gateway, StartError, World, key_text};

/// Entries read or deleted at once.
const PAGE: usize = 4096;

/// How many pages of its newest events a log keeps.
const LOG_PAGES: usize = 2;

/// How many of its newest events a log keeps at least.
pub const LOG_EVENTS_MIN: usize = LOG_PAGES * PAGE;

/// How often it is looked whether the logs have grown.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// The outboxes and the numbers of their entries.
pub(super) struct Outboxes {
    /// The outbox of each endpoint, and whose events it takes.
    endpoints: RwLock<BTreeMap<KeyText, Owner>>,
    serials: Mutex<Serials>,
    /// Counts the commits that put something into an outbox.
    news: watch::Sender<u64>,
}

struct Serials {
    /// The last number given, in outboxes and inboxes.
    last: u64,
    /// Commits that are being made: the last number when each was begun, and how many began there.
    open: BTreeMap<u64, usize>,
}

/// A commit with facts that is being made; dropped when its outcome is there.
pub(super) struct Telling<'a> {
    outboxes: &'a Outboxes,
    floor: u64,
    /// Whether it has any facts.
    told: bool,
}

impl Outboxes {
    /// Those of the configuration and of the endpoints in the store.
    pub(super) async fn read(world: &World, configured: &[EndpointRef]) -> Result<Self, StartError> {
        let mut endpoints = BTreeMap::new();
        for endpoint in configured {
            endpoints.insert(key_text(&endpoint.name, "webhook")?, endpoint.owner.clone());
        }
        let stored = read_space(&*world.store, keys::Space::Endpoint, decode_endpoint).await;
        for endpoint in stored.map_err(unreadable)? {
            endpoints.insert(key_text(&endpoint.id, "endpoint")?, endpoint.owner);
        }
        // Numbers rise with the clock and never fall behind what an outbox still holds.
        let mut last = world.clock.now_ms() << 20;
        for name in names(&*world.store).await? {
            let newest = Scan::last(keys::OutboxEntry::of_endpoint(&name), 1);
            if let Some((key, _)) = world.store.scan(newest).await?.value.first()
                && let Ok(entry) = keys::OutboxEntry::parse(key)
            {
                last = last.max(entry.seq);
            }
        }
        let serials = Mutex::new(Serials { last, open: BTreeMap::new() });
        Ok(Self { endpoints: RwLock::new(endpoints), serials, news: watch::Sender::new(0) })
    }

    /// The next number for an outbox or an inbox: strictly rising, across restarts too.
    pub(super) fn next_serial(&self) -> u64 {
        let mut serials = self.serials();
        serials.last += 1;
        serials.last
    }

    /// Before the facts of a commit are put: no event is shown that would come before them.
    pub(super) fn telling(&self) -> Telling<'_> {
        let mut serials = self.serials();
        let floor = serials.last;
        *serials.open.entry(floor).or_default() += 1;
        Telling { outboxes: self, floor, told: false }
    }

    /// The number up to which every entry is there or never comes.
    fn settled(&self) -> u64 {
        let serials = self.serials();
        serials.open.keys().next().copied().unwrap_or(serials.last)
    }

    fn serials(&self) -> MutexGuard<'_, Serials> {
        self.serials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose events the endpoints take.
    pub(super) fn owners(&self) -> Vec<Owner> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        endpoints.values().cloned().collect()
    }

    /// The outboxes that take the events of `owner`: its log and its endpoints.
    fn of(&self, owner: &Owner) -> Vec<KeyText> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        let told = endpoints.iter().filter(|(_, of)| *of == owner).map(|(name, _)| name.clone());
        told.chain(log_of(owner)).collect()
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let mut serials = self.outboxes.serials();
        if let Some(count) = serials.open.get_mut(&self.floor) {
            *count -= 1;
            if *count == 0 {
                serials.open.remove(&self.floor);
            }
        }
        drop(serials);
        if self.told {
            self.outboxes.news.send_modify(|news| *news += 1);
        }
    }
}

/// An event of an owner's log.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// Its place in the log; grows.
    pub place: u64,
    /// What happened.
    pub fact: FactRecord,
}

/// A piece of an owner's log.
#[derive(Debug, Clone)]
pub struct Events {
    /// The events behind the place that was asked for, in order.
    pub events: Vec<LoggedEvent>,
    /// Whether there may be more at once: the piece is full.
    pub more: bool,
}

impl Gateway {
    /// From now on keeps the events of an owner for this endpoint too.
    ///
    /// # Errors
    /// [`StartError::Config`] where its name cannot be a key.
    pub fn tell_endpoint(&self, endpoint: &EndpointRef) -> Result<(), StartError> {
        let name = key_text(&endpoint.name, "endpoint")?;
        let mut endpoints = self.0.outboxes.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(name, endpoint.owner.clone());
        Ok(())
    }

    /// From now on keeps no events for the endpoint of this name. What is in its outbox stays there.
    pub fn forget_endpoint(&self, name: &str) {
        if let Ok(name) = KeyText::new(name) {
            let mut endpoints = self.0.outboxes.endpoints.write().unwrap_or_else(PoisonError::into_inner);
            endpoints.remove(&name);
        }
    }

    /// Events of an owner behind the place `after` in its log, at most `limit` (1 to 4096); all are durable.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn events(&self, owner: &Owner, after: u64, limit: usize) -> Result<Events, StoreError> {
        let Some(log) = log_of(owner) else { return Ok(Events { events: Vec::new(), more: false }) };
        // Read before the entries are: what is settled now is seen by the scan.
        let settled = self.0.outboxes.settled();
        let whole = keys::OutboxEntry::of_endpoint(&log);
        let range = whole.after(&keys::OutboxEntry { endpoint: log, seq: after }.key());
        let read = self.store().scan(Scan::first(range, limit)).await?;
        self.store().durable(read.seq).await?;
        let more = read.value.len() == limit;
        let mut events = Vec::with_capacity(read.value.len());
        for (key, value) in &read.value {
            let place = place_of(key)?;
            if place > settled {
                // What is before it is on its way, and there will be news of it.
                return Ok(Events { events, more: false });
            }
            events.push(LoggedEvent { place, fact: fact_of(value)? });
        }
        Ok(Events { events, more })
    }

    /// Changes after each commit that put something into an outbox.
    #[must_use]
    pub fn outbox_news(&self) -> watch::Receiver<u64> {
        self.0.outboxes.news.subscribe()
    }

    /// The place in every log behind which only what happens from now on lies.
    #[must_use]
    pub fn events_now(&self) -> u64 {
        self.0.outboxes.settled()
    }

    /// The place of the oldest event that an owner's log still has.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn oldest_event(&self, owner: &Owner) -> Result<Option<u64>, StoreError> {
        let Some(log) = log_of(owner) else { return Ok(None) };
        let read = self.store().scan(Scan::first(keys::OutboxEntry::of_endpoint(&log), 1)).await?;
        read.value.first().map(|(key, _)| place_of(key)).transpose()
    }

    /// Puts a fact into the timeline of its card, the log of its owner and the outboxes of its owner's endpoints. What
    /// was posted back from a site is kept, and not told: whoever posted it knows. `telling` was begun before the first
    /// fact of the commit and is dropped after it.
    pub(super) fn put_fact(&self, commit: &mut Commit, fact: &FactRecord, telling: &mut Telling<'_>) {
        if let Some(card) = fact.card {
            let entry = keys::TimelineEntry { card, seq: fact.seq };
            commit.put(entry.key(), Unguarded::encode(&encode_fact(fact)));
        }
        if fact.kind == RELAYED {
            return;
        }
        telling.told = true;
        let value = Unguarded::encode(&encode_outbox(&OutboxRecord::new(fact.clone())));
        for endpoint in self.0.outboxes.of(&fact.owner) {
            let entry = keys::OutboxEntry { endpoint, seq: self.next_serial() };
            commit.put(entry.key(), value.clone());
        }
    }

    pub(super) fn telling(&self) -> Telling<'_> {
        self.0.outboxes.telling()
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.0.outboxes.next_serial()
    }

    /// Keeps the logs within their bounds, until the gateway ends.
    pub(super) async fn run_log_trim(self) {
        let mut trimmed_at = None;
        loop {
            let last = self.0.outboxes.settled();
            // A log grows no faster than the numbers.
            if trimmed_at.is_none_or(|at| last - at >= LOG_EVENTS_MIN as u64) {
                match self.trim_logs().await {
                    Ok(()) => trimmed_at = Some(last),
                    Err(error) => tracing::warn!(%error, "the event logs cannot be shortened"),
                }
            }
            tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                () = tokio::time::sleep(TRIM_EVERY) => {}
            }
        }
    }

    async fn trim_logs(&self) -> Result<(), StoreError> {
        let store = &**self.store();
        for name in names(store).await?.into_iter().filter(|name| name.as_str().starts_with('@')) {
            if let Some(old) = behind_newest(store, keys::OutboxEntry::of_endpoint(&name)).await? {
                delete_all(store, old).await?;
            }
        }
        Ok(())
    }

    /// Deletes what is in the outbox of an endpoint.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn empty_outbox(&self, endpoint: &str) -> Result<(), StoreError> {
        match KeyText::new(endpoint) {
            Ok(name) => delete_all(&**self.store(), keys::OutboxEntry::of_endpoint(&name)).await,
            Err(_) => Ok(()),
        }
    }
}

/// The name of an owner's log; no endpoint has an `@` in its name.
fn log_of(owner: &Owner) -> Option<KeyText> {
    KeyText::new(&format!("@{owner}")).ok()
}

/// The names of the outboxes that have entries.
async fn names(store: &dyn Store) -> Result<Vec<KeyText>, StoreError> {
    let mut range = keys::Space::Outbox.range();
    let mut names = Vec::new();
    loop {
        let first = store.scan(Scan::first(range.clone(), 1)).await?.value;
        let Some((key, _)) = first.first() else { return Ok(names) };
        match keys::OutboxEntry::parse(key) {
            Ok(entry) => {
                let last = keys::OutboxEntry { endpoint: entry.endpoint.clone(), seq: u64::MAX };
                range = range.after(&last.key());
                names.push(entry.endpoint);
            }
            Err(_) => range = range.after(key),
        }
    }
}

/// What of a log is behind the newest entries that it keeps; `None` where it has no more than those.
async fn behind_newest(store: &dyn Store, log: KeyRange) -> Result<Option<KeyRange>, StoreError> {
    let mut rest = log;
    for _ in 0..LOG_PAGES {
        let page = store.scan(Scan::last(rest.clone(), PAGE)).await?.value;
        match page.last() {
            Some((oldest, _)) if page.len() == PAGE => rest = rest.before(oldest),
            _ => return Ok(None),
        }
    }
    Ok(Some(rest))
}

async fn delete_all(store: &dyn Store, range: KeyRange) -> Result<(), StoreError> {
    loop {
        let page = store.scan(Scan::first(range.clone(), PAGE)).await?.value;
        if page.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::new();
        for (key, _) in page {
            commit.delete(key);
        }
        match store.commit(commit).await {
            Ok(_) | Err(CommitError::Conflict(_)) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
}

fn place_of(key: &Key) -> Result<u64, StoreError> {
    keys::OutboxEntry::parse(key).map(|entry| entry.seq).map_err(StoreError::DamagedKey)
}

fn fact_of(value: &[u8]) -> Result<FactRecord, StoreError> {
    let body = Unguarded::decode(value).map_err(|error| unreadable(error.into()))?;
    decode_outbox(body).map(|record| record.fact).map_err(|error| unreadable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn outboxes() -> Outboxes {
        let serials = Mutex::new(Serials { last: 10, open: BTreeMap::new() });
        Outboxes { endpoints: RwLock::default(), serials, news: watch::Sender::new(0) }
    }

    #[test]
    fn nothing_is_settled_behind_a_commit_that_is_being_made() {
        let outboxes = outboxes();
        assert_eq!(outboxes.settled(), 10);
        let first = outboxes.telling();
        assert_eq!(outboxes.next_serial(), 11);
        let second = outboxes.telling();
        assert_eq!(outboxes.next_serial(), 12);
        assert_eq!(outboxes.settled(), 10);
        drop(second);
        assert_eq!(outboxes.settled(), 10, "11 may still come");
        drop(first);
        assert_eq!(outboxes.settled(), 12);
    }

    #[test]
    fn commits_that_begin_at_one_number_are_counted() {
        let outboxes = outboxes();
        let (first, second) = (outboxes.telling(), outboxes.telling());
        outboxes.next_serial();
        drop(first);
        assert_eq!(outboxes.settled(), 10);
        drop(second);
        assert_eq!(outboxes.settled(), 11);
    }

    #[tokio::test]
    async fn a_log_keeps_its_newest_events() {
        let store = MemoryStore::new();
        let name = KeyText::new("@acme").unwrap();
        let all = LOG_EVENTS_MIN as u64 + 5;
        for page in (1..=all).collect::<Vec<_>>().chunks(PAGE) {
            let mut commit = Commit::new();
            for seq in page {
                let entry = keys::OutboxEntry { endpoint: name.clone(), seq: *seq };
                commit.put(entry.key(), Unguarded::encode(&[]));
            }
            store.commit(commit).await.unwrap();
        }
        assert_eq!(names(&store).await.unwrap(), std::slice::from_ref(&name));
        let log = || keys::OutboxEntry::of_endpoint(&name);
        let old = behind_newest(&store, log()).await.unwrap().unwrap();
        delete_all(&store, old).await.unwrap();
        let oldest = store.scan(Scan::first(log(), 1)).await.unwrap().value;
        assert_eq!(place_of(&oldest.first().unwrap().0), Ok(6));
        let old = behind_newest(&store, log()).await.unwrap().unwrap();
        assert!(store.scan(Scan::first(old, 1)).await.unwrap().value.is_empty());
    }
}
