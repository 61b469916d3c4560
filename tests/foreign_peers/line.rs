//! The line between two programs, that a test can break.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use airwrite::link::Connector;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Takes connections at [`Line::address`] and carries each on to the peer, until it is dropped.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    /// Cancelled with the connections that are open now.
    cut: Mutex<CancellationToken>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    taken: AtomicUsize,
}

impl Line {
    /// A line to `peer`, whose connections `connector` opens.
    pub(crate) async fn to(peer: SocketAddr, connector: Arc<dyn Connector>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, peer.to_string(), connector, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// Breaks every connection that is open, in the middle of whatever is on it.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.shared.cut.lock().unwrap()).cancel();
    }

    /// How many connections there have been.
    pub(crate) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// The most connections that were open at one time.
    pub(crate) fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, peer: String, connector: Arc<dyn Connector>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        shared.taken.fetch_add(1, Ordering::SeqCst);
        let cut = shared.cut.lock().unwrap().clone();
        let (peer, connector, shared) = (peer.clone(), Arc::clone(&connector), Arc::clone(&shared));
        connections.spawn(async move {
            cut.run_until_cancelled_owned(carry(stream, &peer, &*connector, shared)).await
        });
    }
}

async fn carry(mut near: TcpStream, peer: &str, connector: &dyn Connector, shared: Arc<Shared>) {
    // A peer that is not there: the near end sees its connection closed.
    let Ok(mut far) = connector.connect(peer).await else { return };
    // Dropped before the connections are: whoever sees the end of one may open the next.
    let _open = Open::new(shared);
    let _ = copy_bidirectional(&mut near, &mut far).await;
}

/// Counts an open connection.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
