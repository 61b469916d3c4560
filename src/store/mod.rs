//! The one write model and its backends.
//!
//! Everything the platform remembers is a value under a [`Key`] in one ordered tree; [`keys`] names every kind of
//! key. State changes by [`Commit`] only: assertions about what is there, then puts and deletes, all or nothing.
//! Commits are serialised; each gets a sequence number ([`Seq`]).
//!
//! Reads see what is not yet durable and say so: every [`Read`] carries the sequence it depends on, and no answer
//! based on it may leave before [`Store::durable`] has returned for that sequence.
//!
//! Backends: [`SledStore`] on disk, [`MemoryStore`] for tests and simulation. `tests/store_contract.rs` holds both
//! to the same behaviour.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

mod commit;
mod config;
mod envelope;
mod key;
pub mod keys;
mod memory;
pub mod records;
mod sled;
mod standing;

pub use self::sled::{OnFatal, SledStore};
pub use commit::{Commit, CommitError, Expect, Op};
pub use config::{StoreConfig, StoreConfigError};
pub use envelope::{EnvelopeError, Guarded, Unguarded};
pub use key::{Key, KeyError, KeyRange, KeyText};
pub use memory::{Fault, MemoryStore};

/// The store format that this program writes and reads; kept under [`keys::Meta::StoreVersion`].
pub const STORE_VERSION: u32 = 1;

/// Most octets of one value (values stay below 16 KiB).
pub const VALUE_OCTETS_MAX: usize = 16 * 1024 - 1;

/// Most puts and deletes of one commit.
pub const OPS_MAX: usize = 4096;

/// Most assertions of one commit.
pub const ASSERTS_MAX: usize = 256;

/// Most octets, keys and values together, of one commit.
pub const COMMIT_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Most keys of one [`Store::get`], and most entries of one [`Store::scan`].
pub const READ_ENTRIES_MAX: usize = 4096;

/// Entries that [`read_space`] reads at once.
const PAGE: usize = 256;

/// A future as the object-safe traits hand it out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The place of a commit in the order of all commits of this process. Zero stands for what was durable at open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Keys with their values, as a scan returns them.
pub type Entries = Vec<(Key, Bytes)>;

/// What a read saw, and the sequence that must be durable before anything based on it may leave the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// What was seen: every commit up to `seq` wholly, later ones not at all.
    pub value: T,
    /// The newest commit that the read could see.
    pub seq: Seq,
}

/// Every record of a space, in key order, once it is durable. For spaces that stay small: keys, endpoints.
///
/// # Errors
/// Where the store does not answer or holds what cannot be read.
pub async fn read_space<T, D, E>(
    store: &dyn Store,
    space: keys::Space,
    decode: fn(&[u8]) -> Result<T, D>,
) -> Result<Vec<T>, E>
where
    E: From<StoreError> + From<EnvelopeError> + From<D>,
{
    let mut range = space.range();
    let mut records = Vec::new();
    loop {
        let Read { value, seq } = store.scan(Scan::first(range.clone(), PAGE)).await?;
        store.durable(seq).await?;
        let Some((last, _)) = value.last() else { return Ok(records) };
        range = range.after(last);
        for (_, value) in &value {
            records.push(decode(Unguarded::decode(value)?)?);
        }
    }
}

/// A range read: at most `limit` entries of `range`, in key order or against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where to read.
    pub range: KeyRange,
    /// Most entries to return, 1 to [`READ_ENTRIES_MAX`].
    pub limit: usize,
    /// From the end of the range to its start.
    pub reverse: bool,
}

impl Scan {
    /// The first `limit` entries of `range`.
    #[must_use]
    pub const fn first(range: KeyRange, limit: usize) -> Self {
        Self { range, limit, reverse: false }
    }

    /// The last `limit` entries of `range`, the last one first.
    #[must_use]
    pub const fn last(range: KeyRange, limit: usize) -> Self {
        Self { range, limit, reverse: true }
    }

    fn check(&self) -> Result<(), StoreError> {
        within("entries of a scan", self.limit, READ_ENTRIES_MAX)
    }
}

/// What happened, counted since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounters {
    /// Commits that became visible, awaited and advisory.
    pub commits: u64,
    /// Commits that failed an assertion.
    pub conflicts: u64,
    /// Advisory commits that were given up: queue full, assertion failed, or store out of service.
    pub advisory_dropped: u64,
    /// Times the disk was synchronised, each for a group of commits (always 0 in memory).
    pub groups: u64,
    /// Times the store went out of service after an I/O error.
    pub poisoned: u64,
}

/// A store: one ordered tree, changed by commits.
///
/// Futures do nothing before they are first polled. Once a commit has been handed over, dropping its future does not
/// take it back. Futures of one caller that are polled in order take effect in that order.
pub trait Store: Send + Sync + 'static {
    /// The values under `keys`, in the order asked, as one snapshot.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`READ_ENTRIES_MAX`] keys; any error of a store out of service.
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Read<Vec<Option<Bytes>>>, StoreError>>;

    /// The entries that `scan` asks for, as one snapshot.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a limit above [`READ_ENTRIES_MAX`]; any error of a store out of service.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Read<Entries>, StoreError>>;

    /// Applies `commit` wholly or not at all, and resolves once it is durable. Waits while the queue is full.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] where an assertion does not hold: nothing was changed. [`CommitError::Store`] for a
    /// commit beyond the limits (nothing was changed) or a store that failed: then the outcome is **unknown**, and
    /// the caller reads again before it decides.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Seq, CommitError>>;

    /// Hands over an advisory commit: in order with the other commits of the caller, not awaited. Where the queue is
    /// full, an assertion fails or the store is out of service it is dropped and counted.
    fn submit(&self, commit: Commit);

    /// Resolves once everything up to `seq` is durable.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where the store failed before that; [`StoreError::Closed`].
    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes durable what was handed over, then releases everything the store holds. Every later call is answered
    /// [`StoreError::Closed`].
    ///
    /// # Errors
    /// Where the last commits could not be made durable.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What happened so far.
    fn counters(&self) -> StoreCounters;

    /// The value under one key.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get_one(&self, key: Key) -> BoxFuture<'_, Result<Read<Option<Bytes>>, StoreError>> {
        Box::pin(async move {
            let Read { mut value, seq } = self.get(vec![key]).await?;
            Ok(Read { value: value.pop().flatten(), seq })
        })
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk refused; the store is out of service until it has been reopened.
    #[error("store I/O failed: {0}")]
    Io(String),
    /// An earlier I/O error put the store out of service; it is being reopened.
    #[error("store is out of service after an I/O error and is being reopened")]
    Poisoned,
    /// What the sequence stands for may be lost: the store failed before it was durable.
    #[error("the store failed before commit {0} was durable")]
    Lost(Seq),
    /// The store was closed.
    #[error("store is closed")]
    Closed,
    /// Another process holds the store's directory.
    #[error("store directory {0} is held by another process")]
    AnotherProcess(String),
    /// The store was written by a program with another store format.
    #[error("store has format version {found}, this program reads version {expected}")]
    OtherVersion {
        /// The version in the store; 0 where it names none.
        found: u32,
        /// [`STORE_VERSION`].
        expected: u32,
    },
    /// Something exceeds a limit of the write model.
    #[error("{what}: {found}, expected at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A version was asserted on a value that carries none.
    #[error("value of key {0:?} carries no version to assert on")]
    Unguarded(Key),
    /// A key read from the disk is no key of this store.
    #[error("the store holds a damaged key: {0}")]
    DamagedKey(KeyError),
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found > limit { Err(StoreError::TooLarge { what, found, limit }) } else { Ok(()) }
}
