//! The thread that alone writes.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::disk::{Disk, DurableError};
use super::{Service, Shared};
use crate::store::{Commit, CommitError, Seq, StoreConfig, StoreError};

/// Most requests that share one synchronisation of the disk: larger groups gain nothing and wait longer.
const GROUP_MAX: usize = 64;

/// How often a directory that is still locked is tried at open: a process that is going may hold it a moment longer.
const LOCK_ATTEMPTS: u32 = 10;

/// The wait between two of these.
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// How often a store out of service looks at its queue.
const DRAIN_EVERY: Duration = Duration::from_millis(100);

/// The first wait before the database is reopened, in steps of [`DRAIN_EVERY`].
const REOPEN_STEPS_FIRST: u32 = 1;

/// The longest such wait.
const REOPEN_STEPS_MAX: u32 = 50;

/// What the committer is asked to do.
pub(super) enum Request {
    /// To commit and to say when it is durable.
    Commit { commit: Commit, reply: oneshot::Sender<Result<Seq, CommitError>> },
    /// To commit.
    Advisory(Commit),
    /// To take the store out of service: a reader met this error.
    ReadFailed(StoreError),
    /// To make everything durable and end.
    Close(oneshot::Sender<()>),
}

/// Why serving ended.
enum End {
    /// It was asked to, or nobody can ask for anything any more.
    Closed(Option<oneshot::Sender<()>>),
    /// An I/O error after which the database is reopened.
    Poisoned(StoreError),
    /// An error after which nothing may be promised any more.
    Fatal(StoreError),
}

/// A commit that is applied, and who waits for it to be durable.
type Waiting = (Seq, oneshot::Sender<Result<Seq, CommitError>>);

/// The writer's side of the store.
pub(super) struct Committer {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    config: StoreConfig,
}

impl Committer {
    pub(super) const fn new(
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        config: StoreConfig,
    ) -> Self {
        Self { shared, requests, config }
    }

    /// Opens the database, reports to `opened`, and serves until the store is closed.
    pub(super) fn run(mut self, opened: oneshot::Sender<Result<(), StoreError>>) {
        let mut disk = match self.open_patiently() {
            Ok(disk) => disk,
            Err(error) => return drop(opened.send(Err(error))),
        };
        self.begin_service(&disk);
        let _ = opened.send(Ok(()));
        loop {
            match self.serve(&disk) {
                End::Closed(reply) => {
                    self.shared.end_service(Service::Closed);
                    // Whoever waits for the end may want to open the directory again.
                    drop(disk);
                    return confirm_close(reply);
                }
                End::Fatal(error) => return self.shared.fatal(&error),
                End::Poisoned(error) => {
                    tracing::error!(%error, "the store is out of service");
                    self.shared.counters().poisoned += 1;
                    drop(disk);
                    match self.reopen() {
                        Ok(reopened) => disk = reopened,
                        Err(reply) => {
                            self.shared.end_service(Service::Closed);
                            return confirm_close(reply);
                        }
                    }
                    self.begin_service(&disk);
                    tracing::info!("the store is back in service");
                }
            }
        }
    }

    fn begin_service(&self, disk: &Disk) {
        let mut open = self.shared.writing();
        open.reader = Some(disk.reader());
        self.shared.standing.send_modify(|standing| standing.set(Service::Open));
    }

    /// Takes requests in groups until something ends the service.
    fn serve(&mut self, disk: &Disk) -> End {
        while let Some(first) = self.requests.blocking_recv() {
            let mut waiting = Vec::with_capacity(GROUP_MAX);
            let mut closing = None;
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(request) = next.take() {
                let done = match request {
                    Request::Commit { commit, reply } => self.commit(disk, commit, reply, &mut waiting),
                    Request::Advisory(commit) => self.advisory(disk, commit),
                    Request::ReadFailed(error) => Err(error),
                    Request::Close(reply) => {
                        closing = Some(reply);
                        break;
                    }
                };
                if let Err(error) = done {
                    return self.end(End::Poisoned(error), waiting);
                }
                taken += 1;
                if taken < GROUP_MAX {
                    next = self.requests.try_recv().ok();
                }
            }
            let applied = self.shared.reading().applied;
            // A group of nothing but conflicts leaves nothing to synchronise.
            if self.shared.standing.borrow().verdict(Seq(applied)).is_none() {
                match self.make_durable(disk) {
                    Ok(()) => self.confirm(applied, waiting),
                    Err(DurableError::Write(error)) => return self.end(End::Poisoned(error), waiting),
                    Err(DurableError::Sync(error)) => return self.end(End::Fatal(error), waiting),
                }
            }
            if closing.is_some() {
                return End::Closed(closing);
            }
        }
        End::Closed(None)
    }

    /// Applies an awaited commit. An error is one of the disk; a conflict is answered at once.
    fn commit(
        &self,
        disk: &Disk,
        commit: Commit,
        reply: oneshot::Sender<Result<Seq, CommitError>>,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), StoreError> {
        match self.apply(disk, commit) {
            Ok(seq) => waiting.push((seq, reply)),
            Err(CommitError::Store(error @ StoreError::Io(_))) => {
                let _ = reply.send(Err(CommitError::Store(error.clone())));
                return Err(error);
            }
            Err(refused) => drop(reply.send(Err(refused))),
        }
        Ok(())
    }

    /// Applies an advisory commit.
    fn advisory(&self, disk: &Disk, commit: Commit) -> Result<(), StoreError> {
        let Err(error) = self.apply(disk, commit) else { return Ok(()) };
        self.shared.counters().advisory_dropped += 1;
        match error {
            CommitError::Store(error @ StoreError::Io(_)) => Err(error),
            _ => Ok(()),
        }
    }

    fn apply(&self, disk: &Disk, commit: Commit) -> Result<Seq, CommitError> {
        if let Err(error) = commit.verify(|key| disk.get(key)) {
            self.shared.counters().conflicts += u64::from(matches!(error, CommitError::Conflict(_)));
            return Err(error);
        }
        let mut open = self.shared.writing();
        if let Err(error) = disk.apply(&commit.ops) {
            // Nobody may see a commit half applied.
            open.reader = None;
            return Err(error.into());
        }
        open.applied += 1;
        let seq = Seq(open.applied);
        drop(open);
        self.shared.counters().commits += 1;
        Ok(seq)
    }

    fn confirm(&self, applied: u64, waiting: Vec<Waiting>) {
        self.shared.counters().groups += 1;
        self.shared.standing.send_if_modified(|standing| standing.advance(applied));
        for (seq, reply) in waiting {
            let _ = reply.send(Ok(seq));
        }
    }

    fn make_durable(&self, disk: &Disk) -> Result<(), DurableError> {
        #[cfg(test)]
        if let Some(error) = self.shared.next_durable_error.lock().expect("no panic").take() {
            return Err(error);
        }
        disk.make_durable()
    }

    /// Takes the store out of service first, so that nobody who learns of the error finds it serving.
    fn end(&self, end: End, waiting: Vec<Waiting>) -> End {
        let (service, error) = match &end {
            End::Closed(_) => (Service::Closed, StoreError::Closed),
            End::Poisoned(error) => (Service::Poisoned, error.clone()),
            End::Fatal(error) => (Service::Closed, error.clone()),
        };
        self.shared.end_service(service);
        for (_, reply) in waiting {
            let _ = reply.send(Err(CommitError::Store(error.clone())));
        }
        end
    }

    fn open(&self) -> Result<Disk, StoreError> {
        Disk::open(&self.config.directory, u64::from(self.config.cache_mib) << 20)
    }

    fn open_patiently(&self) -> Result<Disk, StoreError> {
        for _ in 1..LOCK_ATTEMPTS {
            match self.open() {
                Err(StoreError::AnotherProcess(_)) => thread::park_timeout(LOCK_WAIT),
                opened => return opened,
            }
        }
        self.open()
    }

    /// Reopens the database under back-off; meanwhile what waits in the queue is answered. An error: the store is to
    /// be closed instead.
    fn reopen(&mut self) -> Result<Disk, Option<oneshot::Sender<()>>> {
        let mut steps = REOPEN_STEPS_FIRST;
        loop {
            for _ in 0..steps {
                thread::park_timeout(DRAIN_EVERY);
                self.drain()?;
            }
            match self.open() {
                Ok(disk) => return Ok(disk),
                Err(error) => tracing::warn!(%error, "the store cannot be reopened yet"),
            }
            steps = (steps * 2).min(REOPEN_STEPS_MAX);
        }
    }

    /// Answers what waits in the queue of a store out of service: by dropping it.
    fn drain(&mut self) -> Result<(), Option<oneshot::Sender<()>>> {
        loop {
            match self.requests.try_recv() {
                Ok(Request::Close(reply)) => return Err(Some(reply)),
                Ok(Request::Advisory(_)) => self.shared.counters().advisory_dropped += 1,
                Ok(Request::Commit { .. } | Request::ReadFailed(_)) => {}
                Err(mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(None),
            }
        }
    }
}

fn confirm_close(reply: Option<oneshot::Sender<()>>) {
    if let Some(reply) = reply {
        let _ = reply.send(());
    }
}
