//! The store in memory: the same behaviour as on disk, with durability and faults in the hands of the test.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::standing::{Service, Standing};
use super::{
    BoxFuture, Commit, CommitError, Entries, Key, Op, READ_ENTRIES_MAX, Read, STORE_VERSION, Scan, Seq,
    Store, StoreCounters, StoreError, Unguarded, keys, within,
};

/// How the next awaited commit goes wrong ([`MemoryStore::fail_next`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not applied, and its caller gets an I/O error.
    NotApplied,
    /// It becomes durable, and its caller gets an I/O error all the same.
    AppliedUnreported,
}

/// A store in memory. Deterministic: it runs where it is called, has no threads and takes its time from tokio.
///
/// A commit is durable at once, unless [`set_delay`](Self::set_delay) or [`hold`](Self::hold) say otherwise.
/// [`crash`](Self::crash) forgets what is not durable.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    /// Which sequences are durable; marked changed at every change that a wait may depend on.
    standing: watch::Sender<Standing>,
}

#[derive(Debug, Default)]
struct State {
    /// Every key with its value, durable or not.
    visible: BTreeMap<Key, Bytes>,
    /// What is applied and not durable, oldest first.
    pending: VecDeque<Pending>,
    applied: u64,
    delay: Duration,
    held: bool,
    losing_advisory: bool,
    faults: VecDeque<Fault>,
    counters: StoreCounters,
}

/// A commit that is applied and not durable.
#[derive(Debug)]
struct Pending {
    seq: u64,
    /// When it becomes durable, unless the store is held.
    due: Instant,
    /// What stood under the keys before, in the order of the changes.
    undo: Vec<(Key, Option<Bytes>)>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let version = (keys::Meta::StoreVersion.key(), Unguarded::encode(&STORE_VERSION.to_be_bytes()));
        Self::with(BTreeMap::from([version]))
    }

    fn with(visible: BTreeMap<Key, Bytes>) -> Self {
        let state = Mutex::new(State { visible, ..State::default() });
        Self { state, standing: watch::Sender::new(Standing::new()) }
    }

    /// From now on a commit becomes durable `delay` after it was applied (tokio's time).
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// From now on nothing becomes durable, until [`release`](Self::release).
    pub fn hold(&self) {
        self.settle(&mut self.state());
        self.state().held = true;
    }

    /// Ends [`hold`](Self::hold).
    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        self.settle(&mut state);
        self.standing.send_modify(|_| ());
    }

    /// The next awaited commit that holds its assertions goes wrong; may be called several times in advance.
    pub fn fail_next(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Whether advisory commits are lost from now on.
    pub fn lose_advisory(&self, losing: bool) {
        self.state().losing_advisory = losing;
    }

    /// Puts the store out of service, as an I/O error does: what is not durable is lost.
    pub fn poison(&self) {
        let mut state = self.state();
        self.settle(&mut state);
        state.roll_back();
        state.counters.poisoned += 1;
        self.standing.send_modify(|standing| {
            standing.lose(state.applied);
            standing.set(Service::Poisoned);
        });
    }

    /// Ends [`poison`](Self::poison).
    pub fn recover(&self) {
        self.standing.send_modify(|standing| standing.set(Service::Open));
    }

    /// The process dies and starts again: the returned store holds what was durable, this one is closed for whatever
    /// still has a handle on it. After [`Store::close`] nothing is lost.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.state();
        self.settle(&mut state);
        state.roll_back();
        self.standing.send_modify(|standing| {
            standing.lose(state.applied);
            standing.set(Service::Closed);
        });
        Self::with(std::mem::take(&mut state.visible))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes durable whatever is due by now.
    fn settle(&self, state: &mut State) {
        if state.held {
            return;
        }
        let now = Instant::now();
        while let Some(pending) = state.pending.pop_front_if(|pending| pending.due <= now) {
            self.standing.send_if_modified(|standing| standing.advance(pending.seq));
        }
    }

    /// A read of the state as of now.
    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<Read<T>, StoreError> {
        self.standing.borrow().serves()?;
        let mut state = self.state();
        self.settle(&mut state);
        Ok(Read { value: read(&state), seq: Seq(state.applied) })
    }

    fn apply(&self, commit: Commit, awaited: bool) -> Result<Seq, CommitError> {
        self.standing.borrow().serves()?;
        commit.check()?;
        let mut state = self.state();
        self.settle(&mut state);
        let verified = commit.verify(|key| Ok(state.visible.get(key)));
        if let Err(error) = verified {
            state.counters.conflicts += u64::from(matches!(error, CommitError::Conflict(_)));
            return Err(error);
        }
        let fault = if awaited { state.faults.pop_front() } else { None };
        let injected = || StoreError::Io("fault of the simulation".into());
        if fault == Some(Fault::NotApplied) {
            return Err(injected().into());
        }
        let seq = state.apply(commit);
        self.settle(&mut state);
        match fault {
            Some(_) => Err(injected().into()),
            None => Ok(seq),
        }
    }

    /// Waits until `seq` is durable.
    async fn until_durable(&self, seq: Seq) -> Result<(), StoreError> {
        let mut changes = self.standing.subscribe();
        loop {
            let due = {
                let mut state = self.state();
                self.settle(&mut state);
                if let Some(verdict) = changes.borrow_and_update().verdict(seq) {
                    return verdict;
                }
                state.due(seq)
            };
            match due {
                Some(due) => {
                    let _ = tokio::time::timeout_at(due, changes.changed()).await;
                }
                // The sender lives as long as `self` does.
                None => drop(changes.changed().await),
            }
        }
    }
}

impl State {
    fn apply(&mut self, commit: Commit) -> Seq {
        self.applied += 1;
        self.counters.commits += 1;
        let mut undo = Vec::with_capacity(commit.ops.len());
        for op in commit.ops {
            let (key, before) = match op {
                Op::Put(key, value) => (key.clone(), self.visible.insert(key, value)),
                Op::Delete(key) => {
                    let before = self.visible.remove(&key);
                    (key, before)
                }
            };
            undo.push((key, before));
        }
        // Durability keeps the order of the commits, even where the delay has become shorter.
        let earliest = self.pending.back().map_or_else(Instant::now, |last| last.due.max(Instant::now()));
        let due = earliest.max(Instant::now() + self.delay);
        self.pending.push_back(Pending { seq: self.applied, due, undo });
        Seq(self.applied)
    }

    /// Takes back what is not durable.
    fn roll_back(&mut self) {
        while let Some(pending) = self.pending.pop_back() {
            for (key, before) in pending.undo.into_iter().rev() {
                match before {
                    Some(value) => self.visible.insert(key, value),
                    None => self.visible.remove(&key),
                };
            }
        }
    }

    /// When `seq` becomes durable by itself.
    fn due(&self, seq: Seq) -> Option<Instant> {
        if self.held {
            return None;
        }
        self.pending.iter().find(|pending| pending.seq >= seq.0).map(|pending| pending.due)
    }

    fn scan(&self, scan: &Scan) -> Entries {
        let Some(bounds) = scan.range.bounds() else { return Vec::new() };
        let entries = self.visible.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone()));
        if scan.reverse {
            entries.rev().take(scan.limit).collect()
        } else {
            entries.take(scan.limit).collect()
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Read<Vec<Option<Bytes>>>, StoreError>> {
        Box::pin(async move {
            within("keys of a read", keys.len(), READ_ENTRIES_MAX)?;
            self.read(|state| keys.iter().map(|key| state.visible.get(key).cloned()).collect())
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Read<Entries>, StoreError>> {
        Box::pin(async move {
            scan.check()?;
            self.read(|state| state.scan(&scan))
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Seq, CommitError>> {
        Box::pin(async move {
            let seq = self.apply(commit, true)?;
            self.until_durable(seq).await?;
            Ok(seq)
        })
    }

    fn submit(&self, commit: Commit) {
        let losing = self.state().losing_advisory;
        if losing || self.apply(commit, false).is_err() {
            self.state().counters.advisory_dropped += 1;
        }
    }

    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.until_durable(seq))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.standing.borrow().serves()?;
            let applied = Seq(self.state().applied);
            self.until_durable(applied).await?;
            self.standing.send_modify(|standing| standing.set(Service::Closed));
            Ok(())
        })
    }

    fn counters(&self) -> StoreCounters {
        self.state().counters
    }
}
