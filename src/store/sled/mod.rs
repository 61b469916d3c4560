//! The store on disk: a committer thread that alone writes, and a few threads that read.
//!
//! Nothing here ever runs sled on a thread of tokio: calls hand over requests and await answers.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::standing::{Service, Standing};
use super::{
    BoxFuture, Commit, CommitError, Entries, Key, READ_ENTRIES_MAX, Read, Scan, Seq, Store, StoreConfig,
    StoreCounters, StoreError, within,
};

mod committer;
mod disk;

use committer::{Committer, Request};
use disk::Reader;

/// Most reads that wait for a reader thread.
const READ_QUEUE: usize = 1024;

/// Called when the store cannot go on safely: the disk did not confirm a write, or a store thread panicked. It is
/// expected to end the process, so that its supervisor starts it anew; if it returns, the store stays closed.
pub type OnFatal = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// The store on disk.
///
/// Commits are applied one after the other and made durable in groups. An I/O error puts the store out of service:
/// what was not durable is lost, and the committer reopens the database under back-off.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    reads: mpsc::Sender<ReadRequest>,
}

/// What the threads and the handle share.
struct Shared {
    open: RwLock<Open>,
    standing: watch::Sender<Standing>,
    counters: Mutex<StoreCounters>,
    on_fatal: OnFatal,
    /// How making the next group durable fails.
    #[cfg(test)]
    next_durable_error: Mutex<Option<disk::DurableError>>,
}

/// The database as reads see it. Commits are applied under the write lock, so that a read sees each wholly or not.
struct Open {
    /// `None` while out of service.
    reader: Option<Reader>,
    /// The newest commit that is visible.
    applied: u64,
}

enum ReadRequest {
    Get { keys: Vec<Key>, reply: Reply<Vec<Option<Bytes>>> },
    Scan { scan: Scan, reply: Reply<Entries> },
}

type Reply<T> = oneshot::Sender<Result<Read<T>, StoreError>>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("standing", &*self.standing.borrow()).finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in the configured directory, or makes one.
    ///
    /// # Errors
    /// [`StoreError::AnotherProcess`] where the directory stays locked, [`StoreError::OtherVersion`] where another
    /// program wrote it, [`StoreError::Io`].
    pub async fn open(config: &StoreConfig, on_fatal: OnFatal) -> Result<Self, StoreError> {
        config.check().map_err(|error| StoreError::Io(error.to_string()))?;
        let shared = Arc::new(Shared {
            open: RwLock::new(Open { reader: None, applied: 0 }),
            standing: watch::Sender::new(Standing::new()),
            counters: Mutex::default(),
            on_fatal,
            #[cfg(test)]
            next_durable_error: Mutex::default(),
        });
        let (requests, request_queue) = mpsc::channel(config.commit_queue);
        let (reads, read_queue) = mpsc::channel(READ_QUEUE);
        let (opened, ready) = oneshot::channel();
        let committer = Committer::new(Arc::clone(&shared), request_queue, config.clone());
        Shared::spawn(&shared, "store-commit", move || committer.run(opened))?;
        ready.await.map_err(|_| StoreError::Closed)??;
        let read_queue = Arc::new(Mutex::new(read_queue));
        for _ in 0..config.readers {
            let reader = ReadThread {
                shared: Arc::clone(&shared),
                queue: Arc::clone(&read_queue),
                requests: requests.downgrade(),
            };
            Shared::spawn(&shared, "store-read", move || reader.run())?;
        }
        Ok(Self { shared, requests, reads })
    }

    fn serves(&self) -> Result<(), StoreError> {
        self.shared.standing.borrow().serves()
    }

    /// Why an answer did not come: the store went out of service meanwhile.
    fn unanswered(&self) -> StoreError {
        self.serves().err().unwrap_or(StoreError::Poisoned)
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> ReadRequest) -> Result<Read<T>, StoreError> {
        self.serves()?;
        let (reply, answer) = oneshot::channel();
        self.reads.send(request(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| self.unanswered())?
    }
}

impl Store for SledStore {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Read<Vec<Option<Bytes>>>, StoreError>> {
        Box::pin(async move {
            within("keys of a read", keys.len(), READ_ENTRIES_MAX)?;
            self.ask(|reply| ReadRequest::Get { keys, reply }).await
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Read<Entries>, StoreError>> {
        Box::pin(async move {
            scan.check()?;
            self.ask(|reply| ReadRequest::Scan { scan, reply }).await
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Seq, CommitError>> {
        Box::pin(async move {
            self.serves()?;
            commit.check()?;
            let (reply, answer) = oneshot::channel();
            let request = Request::Commit { commit, reply };
            self.requests.send(request).await.map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| self.unanswered())?
        })
    }

    fn submit(&self, commit: Commit) {
        let handed_over = self.serves().is_ok()
            && commit.check().is_ok()
            && self.requests.try_send(Request::Advisory(commit)).is_ok();
        if !handed_over {
            self.shared.counters().advisory_dropped += 1;
        }
    }

    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut changes = self.shared.standing.subscribe();
            loop {
                if let Some(verdict) = changes.borrow_and_update().verdict(seq) {
                    return verdict;
                }
                changes.changed().await.map_err(|_| StoreError::Closed)?;
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.requests.send(Request::Close(reply)).await.map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| self.unanswered())
        })
    }

    fn counters(&self) -> StoreCounters {
        *self.shared.counters()
    }
}

impl Shared {
    fn reading(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self) -> MutexGuard<'_, StoreCounters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the store out of service: what is applied and not durable is lost, readers let go of the database.
    fn end_service(&self, service: Service) {
        let mut open = self.writing();
        open.reader = None;
        self.standing.send_modify(|standing| {
            standing.lose(open.applied);
            standing.set(service);
        });
    }

    /// The store cannot go on.
    fn fatal(&self, error: &StoreError) {
        self.end_service(Service::Closed);
        tracing::error!(%error, "the store cannot go on");
        (self.on_fatal)(error);
    }

    /// Runs `body` on a thread of its own; a panic in it is fatal.
    fn spawn(shared: &Arc<Self>, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let shared = Arc::clone(shared);
        let guarded = move || {
            if panic::catch_unwind(AssertUnwindSafe(body)).is_err() {
                shared.fatal(&StoreError::Io("a store thread panicked".into()));
            }
        };
        let spawned = thread::Builder::new().name(name.into()).spawn(guarded);
        spawned.map(drop).map_err(|error| StoreError::Io(error.to_string()))
    }
}

/// A thread that reads.
struct ReadThread {
    shared: Arc<Shared>,
    queue: Arc<Mutex<mpsc::Receiver<ReadRequest>>>,
    /// Where I/O errors are reported; weak, so that the committer ends with the last handle.
    requests: mpsc::WeakSender<Request>,
}

impl ReadThread {
    fn run(self) {
        while let Some(request) = self.next() {
            match request {
                ReadRequest::Get { keys, reply } => drop(reply.send(self.read(|reader| reader.get(&keys)))),
                ReadRequest::Scan { scan, reply } => drop(reply.send(self.read(|reader| reader.scan(&scan)))),
            }
        }
    }

    /// The next request; the threads take turns at waiting for it.
    fn next(&self) -> Option<ReadRequest> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
    }

    fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<Read<T>, StoreError> {
        let result = {
            let open = self.shared.reading();
            let Some(reader) = &open.reader else {
                return Err(self.shared.standing.borrow().serves().err().unwrap_or(StoreError::Poisoned));
            };
            read(reader).map(|value| Read { value, seq: Seq(open.applied) })
        };
        if let (Err(error @ StoreError::Io(_)), Some(requests)) = (&result, self.requests.upgrade()) {
            let _ = requests.blocking_send(Request::ReadFailed(error.clone()));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::store::{Guarded, KeyText, keys};
    use disk::DurableError;

    struct Fixture {
        store: SledStore,
        fatal: Arc<Mutex<Vec<StoreError>>>,
        directory: tempfile::TempDir,
    }

    impl Fixture {
        async fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let fatal = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&fatal);
            let on_fatal: OnFatal =
                Arc::new(move |error| heard.lock().expect("no panic").push(error.clone()));
            let store =
                SledStore::open(&StoreConfig::in_directory(directory.path()), on_fatal).await.expect("opens");
            Self { store, fatal, directory }
        }

        fn fail_durable(&self, error: DurableError) {
            *self.store.shared.next_durable_error.lock().expect("no panic") = Some(error);
        }

        async fn back_in_service(&self) {
            let mut standing = self.store.shared.standing.subscribe();
            let back = standing.wait_for(|standing| standing.serves().is_ok());
            drop(tokio::time::timeout(Duration::from_secs(20), back).await.expect("in time").expect("lives"));
        }

        fn fatal_errors(&self) -> Vec<StoreError> {
            self.fatal.lock().expect("no panic").clone()
        }
    }

    fn key(name: &str) -> Key {
        keys::endpoint(&KeyText::new(name).expect("a text"))
    }

    fn put(name: &str, version: u64) -> Commit {
        let mut commit = Commit::new();
        commit.put(key(name), Guarded::encode(version, b""));
        commit
    }

    fn disk_full() -> StoreError {
        StoreError::Io("disk full".into())
    }

    #[tokio::test]
    async fn a_failed_write_ends_service_until_the_database_is_reopened() {
        let fixture = Fixture::new().await;
        let store = &fixture.store;
        let durable = store.commit(put("kept", 1)).await.expect("commits");
        fixture.fail_durable(DurableError::Write(disk_full()));
        assert_eq!(store.commit(put("unknown", 1)).await, Err(disk_full().into()));
        assert_eq!(store.commit(put("b", 1)).await, Err(StoreError::Poisoned.into()));
        assert_eq!(store.get_one(key("kept")).await.map(|_| ()), Err(StoreError::Poisoned));
        store.submit(put("b", 1));
        let lost = Seq(durable.get() + 1);
        assert_eq!(store.durable(lost).await, Err(StoreError::Lost(lost)));

        fixture.back_in_service().await;
        assert!(store.get_one(key("kept")).await.expect("reads").value.is_some());
        assert_eq!(store.get_one(key("b")).await.expect("reads").value, None);
        assert!(store.commit(put("b", 1)).await.expect("commits") > lost);
        assert_eq!(store.durable(lost).await, Err(StoreError::Lost(lost)));
        assert_eq!(store.durable(durable).await, Ok(()));
        let counters = store.counters();
        assert_eq!((counters.poisoned, counters.advisory_dropped), (1, 1));
        assert_eq!(fixture.fatal_errors(), []);
    }

    #[tokio::test]
    async fn a_failed_read_ends_service_too() {
        let fixture = Fixture::new().await;
        let failed = Request::ReadFailed(disk_full());
        fixture.store.requests.send(failed).await.expect("the committer lives");
        let mut standing = fixture.store.shared.standing.subscribe();
        standing.wait_for(|standing| standing.serves().is_err()).await.map(drop).expect("lives");
        fixture.back_in_service().await;
        fixture.store.commit(put("a", 1)).await.expect("commits");
    }

    #[tokio::test]
    async fn a_poisoned_store_can_be_closed() {
        let fixture = Fixture::new().await;
        fixture.fail_durable(DurableError::Write(disk_full()));
        let _ = fixture.store.commit(put("a", 1)).await;
        fixture.store.close().await.expect("closes");
        assert_eq!(fixture.store.commit(put("a", 1)).await, Err(StoreError::Closed.into()));
        let config = StoreConfig::in_directory(fixture.directory.path());
        SledStore::open(&config, Arc::new(|_| ())).await.expect("the directory is free");
    }

    #[tokio::test]
    async fn a_failed_synchronisation_is_fatal_and_never_tried_again() {
        let fixture = Fixture::new().await;
        fixture.fail_durable(DurableError::Sync(disk_full()));
        assert_eq!(fixture.store.commit(put("a", 1)).await, Err(disk_full().into()));
        assert_eq!(fixture.store.commit(put("a", 1)).await, Err(StoreError::Closed.into()));
        assert_eq!(fixture.store.durable(Seq(1)).await, Err(StoreError::Lost(Seq(1))));
        let _ = fixture.store.close().await;
        assert_eq!(fixture.fatal_errors(), [disk_full()]);
    }

    #[tokio::test]
    async fn a_panic_of_a_store_thread_is_fatal() {
        let fixture = Fixture::new().await;
        let mut standing = fixture.store.shared.standing.subscribe();
        Shared::spawn(&fixture.store.shared, "store-test", || panic!("on purpose")).expect("starts");
        standing
            .wait_for(|standing| standing.serves() == Err(StoreError::Closed))
            .await
            .map(drop)
            .expect("lives");
        assert_eq!(fixture.store.commit(put("a", 1)).await, Err(StoreError::Closed.into()));
    }

    #[tokio::test]
    async fn commits_that_wait_together_share_their_synchronisation() {
        let fixture = Fixture::new().await;
        let mut commits: Vec<_> = (0..100).map(|n| fixture.store.commit(put(&format!("n{n}"), 1))).collect();
        {
            // The committer cannot apply the first before all have been handed over.
            let _reading = fixture.store.shared.reading();
            for commit in &mut commits {
                let polled = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
        }
        for commit in commits {
            commit.await.expect("commits");
        }
        let counters = fixture.store.counters();
        assert_eq!((counters.commits, counters.groups), (100, 2));
    }
}
