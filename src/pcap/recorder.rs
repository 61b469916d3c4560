//! The handle of a capture.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Side;
use super::tap::Recorded;
use super::writer::{Target, Writer};
use crate::link::{BoxFuture, CaptureConfig, Connected, Connector, Ends, Transport};
use crate::world::Clock;

/// Reads and writes that wait for the writer; what comes beyond them is not recorded.
const QUEUE: usize = 4096;

/// Octets in them.
const QUEUE_OCTETS: usize = 8 * 1024 * 1024;

/// Where the server is, as far as nobody knows better: the registered port of SMPP on an address for documentation
/// (RFC 5737).
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 2775);

/// The first dynamic port, and how many there are (RFC 6335 §6).
const DYNAMIC_PORTS: (u16, u64) = (49_152, 16_384);

/// Records connections into one capture. Clones record into the same one; it is complete once [`Recorder::flush`] has
/// returned.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.shared.name).finish()
    }
}

struct Shared {
    /// What the capture is called in the log.
    name: String,
    queue: mpsc::Sender<Job>,
    account: Arc<Account>,
    clock: Arc<dyn Clock>,
    connections: AtomicU64,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
#[error("capture {}: {source}", path.display())]
pub struct CaptureError {
    /// The file, or the directory of the files.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// The ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Who opened it.
    pub client: SocketAddr,
    /// Who took it.
    pub server: SocketAddr,
}

impl Addresses {
    /// The address of a side.
    #[must_use]
    pub const fn of(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

impl Recorder {
    /// Records into this file; what it held is gone. The file grows as long as anything is recorded, and only its owner
    /// may read it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CaptureError`]: the file cannot be written.
    pub async fn to_file(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, CaptureError> {
        Self::start(path.display().to_string(), Target::File(path.to_owned()), clock).await
    }

    /// Records into files `NAME-00000001.pcapng` and so on in the configured directory. A file that is full
    /// is followed by another one, and the oldest are removed, those of earlier runs too. Only their owner
    /// may read them. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CaptureError`]: there is no such directory, or nothing can be written there.
    pub async fn to_directory(
        name: &str,
        config: &CaptureConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CaptureError> {
        Self::start(name.to_owned(), Target::directory(name, config), clock).await
    }

    async fn start(name: String, target: Target, clock: Arc<dyn Clock>) -> Result<Self, CaptureError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let account = Arc::new(Account::default());
        let path = target.path().to_owned();
        let writer = Writer::open(name.clone(), target, Arc::clone(&account), jobs).await;
        tokio::spawn(writer.map_err(|source| CaptureError { path, source })?.run());
        Ok(Self { shared: Arc::new(Shared { name, queue, account, clock, connections: AtomicU64::new(0) }) })
    }

    /// A stream that is recorded from now on. `own` is the side that holds it; without addresses, some are made up that
    /// differ from those of other connections.
    pub fn record<S>(&self, stream: S, own: Side, addresses: Option<Addresses>) -> Recorded<S> {
        let number = self.next_connection();
        let addresses =
            addresses.unwrap_or_else(|| Addresses { client: client(SOMEWHERE, number), server: SOMEWHERE });
        self.tap(stream, own, number, addresses, None)
    }

    /// A connector whose connections are recorded, as a client's.
    #[must_use]
    pub fn connector(&self, inner: Arc<dyn Connector>) -> RecordingConnector {
        RecordingConnector { recorder: self.clone(), inner }
    }

    /// Waits until everything so far is in the file, or known not to come there.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.shared.queue.send(Job::Flush(done)).await.is_ok() {
            // A writer that is gone has nothing left to write.
            let _ = flushed.await;
        }
    }

    /// How many reads and writes were not recorded: the disk was too slow, full or gone.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.account.lost.load(Ordering::Relaxed)
    }

    /// The number of a connection, from 1.
    fn next_connection(&self) -> u64 {
        1 + self.shared.connections.fetch_add(1, Ordering::Relaxed)
    }

    fn tap<S>(
        &self,
        stream: S,
        own: Side,
        number: u64,
        addresses: Addresses,
        comment: Option<String>,
    ) -> Recorded<S> {
        let connection = Arc::new(Connection { number, addresses, comment });
        Recorded::new(stream, own, connection, self.clone())
    }

    /// Notes what has happened, unless too much waits already.
    pub(super) fn note(&self, connection: &Arc<Connection>, what: What) {
        let Shared { name, queue, account, clock, .. } = &*self.shared;
        let missing = account.take_untold();
        let event = Event { connection: Arc::clone(connection), time_ns: clock.now_ns(), missing, what };
        let octets = event.octets();
        let queued = account.queued.fetch_add(octets, Ordering::Relaxed);
        if queued + octets > QUEUE_OCTETS || queue.try_send(Job::Write(event)).is_err() {
            account.queued.fetch_sub(octets, Ordering::Relaxed);
            account.untell(missing);
            account.lose(name, 1, "the disk is too slow");
        }
    }
}

/// A connector whose connections are recorded.
#[derive(Clone)]
pub struct RecordingConnector {
    recorder: Recorder,
    inner: Arc<dyn Connector>,
}

impl fmt::Debug for RecordingConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingConnector").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

impl Connector for RecordingConnector {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let Connected { transport, ends } = self.inner.connect_with_ends(address).await?;
            let number = self.recorder.next_connection();
            let mut comment = format!("connection to {address}");
            let addresses = ends.map_or_else(
                || {
                    comment.push_str("; the client's address is made up");
                    let server = server(address);
                    Addresses { client: client(server, number), server }
                },
                |Ends { own, peer }| Addresses { client: own, server: peer },
            );
            let recorded = self.recorder.tap(transport, Side::Client, number, addresses, Some(comment));
            Ok(Box::new(recorded) as Box<dyn Transport>)
        })
    }
}

/// Where `host:port` is: the address where the host is one, the port where there is one.
fn server(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        SocketAddr::new(SOMEWHERE.ip(), port.unwrap_or(SOMEWHERE.port()))
    })
}

/// A client of this server that could be: on the same address, from a port of its own.
fn client(server: SocketAddr, number: u64) -> SocketAddr {
    let (first, ports) = DYNAMIC_PORTS;
    SocketAddr::new(server.ip(), first + (number % ports) as u16)
}

/// A connection that is recorded.
#[derive(Debug)]
pub(super) struct Connection {
    /// Which one of the capture, from 1.
    pub(super) number: u64,
    pub(super) addresses: Addresses,
    /// What is said about it in the capture.
    pub(super) comment: Option<String>,
}

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Job {
    Write(Event),
    Flush(oneshot::Sender<()>),
}

/// Something that happened on a connection.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) connection: Arc<Connection>,
    pub(super) time_ns: u64,
    /// How many events right before it are missing.
    pub(super) missing: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Opened,
    /// A side said this, from its `offset`-th octet on.
    Said {
        from: Side,
        offset: u64,
        octets: Bytes,
    },
    /// A side has said its last octet, the `offset`-th, or has broken the connection.
    Ended {
        from: Side,
        offset: u64,
        reset: bool,
    },
}

impl Event {
    pub(super) const fn octets(&self) -> usize {
        match &self.what {
            What::Said { octets, .. } => octets.len(),
            What::Opened | What::Ended { .. } => 0,
        }
    }
}

/// What waits, and what is missing.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Octets that wait for the writer.
    pub(super) queued: AtomicUsize,
    /// Events that the capture has not seen, ever.
    lost: AtomicU64,
    /// Those of them that no event tells of yet.
    untold: AtomicU64,
    logged: AtomicBool,
}

impl Account {
    /// Counts what is missing; the log hears of the first time.
    pub(super) fn lose(&self, capture: &str, events: u64, reason: &str) {
        self.lost.fetch_add(events, Ordering::Relaxed);
        self.untold.fetch_add(events, Ordering::Relaxed);
        if !self.logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(%capture, reason, "packets are missing from the capture; the link goes on");
        }
    }

    /// How much is missing since this was asked last.
    pub(super) fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// So many have not been told after all.
    pub(super) fn untell(&self, events: u64) {
        self.untold.fetch_add(events, Ordering::Relaxed);
    }
}
