//! What a round trip costs in writes and allocations: exact counts, in a steady state, on one thread.
//!
//! The peer is a script in memory: each time the link reads, it answers everything that was written since. One test
//! only, since an allocator counts for the whole process.

use std::alloc::System;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use airwrite::link::{
    self, BoxFuture, Connector, Delivery, Link, LinkConfig, SourceConfig, SubmitOutcome, Transport,
};
use airwrite::smpp::{Address, Body, CommandStatus, ShortMessage, Sm};
use airwrite::world::SeededRng;
use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROK: CommandStatus = CommandStatus::ESME_ROK;

#[test]
fn writes_and_allocations_per_pdu_stay_within_their_bounds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (window, writes_max) in [(1, 1.0), (10, 0.15), (100, 0.03)] {
        runtime.block_on(submits(window, writes_max));
        runtime.block_on(deliveries(window, writes_max));
    }
}

/// `window` callers submit, each again when it has its response.
async fn submits(window: u32, writes_max: f64) {
    let peer = Peer::new(window);
    let (link, _inbound) = start(&peer, window).await;
    let round = |each: u32| {
        let mut callers = JoinSet::new();
        for _ in 0..window {
            let link = link.clone();
            callers.spawn(async move {
                for _ in 0..each {
                    let outcome = link.slot().await.unwrap().submit(sm()).await;
                    assert!(matches!(outcome, SubmitOutcome::Answered { status: ROK, .. }), "{outcome:?}");
                }
            });
        }
        callers.join_all()
    };
    round(100).await;
    let (each, before) = (10_000 / window, peer.counts());
    // The callers themselves are not counted: they are there before, in a busier program for good.
    let work = round(each);
    let region = Region::new(ALLOCATOR);
    work.await;
    let stats = region.change();
    let after = peer.counts();
    let round_trips = f64::from(each * window);
    assert_eq!(after.answered - before.answered, u64::from(each * window));
    let writes = (after.writes - before.writes) as f64 / round_trips;
    let allocations = (stats.allocations + stats.reallocations) as f64 / round_trips;
    println!("submit_sm, window {window}: {writes:.4} writes and {allocations:.4} allocations each");
    assert!(writes <= writes_max, "window {window}: {writes} writes for each submit_sm");
    assert!(allocations <= 2.02, "window {window}: {allocations} allocations for each submit_sm");
    link.close().await;
}

/// The peer keeps `window` deliver_sm on their way; each is answered at once.
async fn deliveries(window: u32, writes_max: f64) {
    let peer = Peer::new(window);
    let (link, mut inbound) = start(&peer, window).await;
    let mut answer = async |count: u32| {
        peer.deliver(count);
        for _ in 0..count {
            let delivery: Delivery = inbound.recv().await.unwrap();
            delivery.answer.send(ROK);
        }
        while peer.counts().delivering > 0 {
            tokio::task::yield_now().await;
        }
    };
    answer(1000).await;
    let (count, before) = (10_000, peer.counts());
    let region = Region::new(ALLOCATOR);
    answer(count).await;
    let stats = region.change();
    let after = peer.counts();
    let writes = (after.writes - before.writes) as f64 / f64::from(count);
    let allocations = (stats.allocations + stats.reallocations) as f64 / f64::from(count);
    println!("deliver_sm, window {window}: {writes:.4} writes and {allocations:.4} allocations each");
    assert!(writes <= writes_max, "window {window}: {writes} writes for each deliver_sm_resp");
    // What a queue or a read buffer grows by: a buffer goes on with its messages and another takes its place.
    assert!(allocations <= 0.1, "window {window}: {allocations} allocations for each deliver_sm");
    link.close().await;
}

fn sm() -> Sm {
    static PACKET: [u8; 140] = [0x5A; 140];
    let address = Address::international("491700000001").unwrap();
    let packet = ShortMessage::try_from(Bytes::from_static(&PACKET)).unwrap();
    Sm::submit_ota(address, address, packet)
}

async fn start(peer: &Peer, window: u32) -> (Link, mpsc::Receiver<Delivery>) {
    let (deliveries, inbound) = mpsc::channel(1024);
    let config = LinkConfig {
        name: "counted".into(),
        address: "smsc:2775".into(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        window: window.try_into().unwrap(),
        inbound_queue: 1024,
        source: SourceConfig { digits: "4917".into(), ..SourceConfig::default() },
        ..LinkConfig::default()
    };
    let (connector, rng) = (Arc::new(peer.clone()), Arc::new(SeededRng::new(1)));
    let link = link::start(config, connector, rng, deliveries, &CancellationToken::new()).unwrap();
    drop(link.slot().await.unwrap());
    (link, inbound)
}

// ---- The peer

/// The link's one connection.
#[derive(Debug, Clone)]
struct Peer(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    counts: Counts,
    /// How many deliver_sm are on their way at one time.
    window: u32,
    /// deliver_sm not sent yet.
    waiting: u32,
    deliver_sm: Vec<u8>,
    /// What the link has written and the script not read.
    written: Vec<u8>,
    /// What the link has not read.
    unread: Vec<u8>,
    read: usize,
    reader: Option<Waker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    writes: u64,
    /// Requests of the link answered.
    answered: u64,
    /// deliver_sm without a response.
    delivering: u32,
}

impl Peer {
    fn new(window: u32) -> Self {
        let mut deliver_sm = BytesMut::new();
        Body::DeliverSm(sm()).encode(ROK, 0, &mut deliver_sm);
        let room = || Vec::with_capacity(1 << 16);
        Self(Arc::new(Mutex::new(Script {
            counts: Counts::default(),
            window,
            waiting: 0,
            deliver_sm: deliver_sm.to_vec(),
            written: room(),
            unread: room(),
            read: 0,
            reader: None,
        })))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn counts(&self) -> Counts {
        let Script { counts, waiting, .. } = &*self.script();
        Counts { delivering: counts.delivering + waiting, ..*counts }
    }

    fn deliver(&self, count: u32) {
        let mut script = self.script();
        script.waiting += count;
        script.wake();
    }
}

impl Script {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Answers all that was written, then delivers as far as the window goes.
    fn answer(&mut self) {
        let written = std::mem::take(&mut self.written);
        let mut rest = &written[..];
        while let Some(length) = rest.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) {
            let (pdu, behind) = rest.split_at(length);
            rest = behind;
            let command_id = u32::from_be_bytes(pdu[4..8].try_into().unwrap());
            let body: &[u8] = match command_id {
                0x8000_0005 => {
                    self.counts.delivering -= 1;
                    continue;
                }
                4 => b"0123456789\0",
                9 => b"\0",
                _ => b"",
            };
            self.counts.answered += 1;
            for field in [16 + body.len() as u32, command_id | 0x8000_0000, 0] {
                self.unread.extend(field.to_be_bytes());
            }
            self.unread.extend(&pdu[12..16]);
            self.unread.extend(body);
        }
        self.written = written;
        self.written.clear();
        while self.waiting > 0 && self.counts.delivering < self.window {
            self.unread.extend(&self.deliver_sm);
            self.waiting -= 1;
            self.counts.delivering += 1;
        }
    }
}

impl Connector for Peer {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(self.clone()) as Box<dyn Transport>) })
    }
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script();
        if script.read == script.unread.len() {
            script.unread.clear();
            script.read = 0;
            script.answer();
        }
        let unread = &script.unread[script.read..];
        if unread.is_empty() {
            script.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = unread.len().min(buf.remaining());
        buf.put_slice(&unread[..count]);
        script.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut script = self.script();
        script.counts.writes += 1;
        script.written.extend(octets);
        script.wake();
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
