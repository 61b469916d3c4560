//! The link's memory against a peer that floods, a peer that stops reading, and a hundred thousand reconnects: live
//! octets are counted by the allocator.

#[path = "../common/raw_peer.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod peer;
#[path = "../common/pipes.rs"]
mod pipes;

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use airwrite::link::{self, Delivery, Link, LinkConfig, LinkState};
use airwrite::smpp::CommandStatus;
use airwrite::world::SeededRng;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use peer::{DELIVER_SM, Peer, RESPONSE, SUBMIT_SM, config, pdu, sm_body, submit_sm};
use pipes::Pipes;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One measurement at a time: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Octets allocated and not freed.
fn live_octets() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

struct Setup {
    link: Link,
    inbound: mpsc::Receiver<Delivery>,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    _shutdown: CancellationToken,
}

impl Setup {
    fn new(change: impl FnOnce(&mut LinkConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let (pipes, connections) = Pipes::new(1 << 16);
        let (deliveries, inbound) = mpsc::channel(64);
        let shutdown = CancellationToken::new();
        let rng = Arc::new(SeededRng::new(1));
        let link = link::start(config, Arc::new(pipes), rng, deliveries, &shutdown).unwrap();
        Self { link, inbound, connections, _shutdown: shutdown }
    }

    async fn accept(&mut self) -> Peer<DuplexStream> {
        Peer::bound(self.connections.recv().await.unwrap()).await
    }
}

fn deliver_sm(sequence: u32) -> Vec<u8> {
    let mut rest = vec![140];
    rest.resize(141, 0xA5);
    pdu(DELIVER_SM, 0, sequence, &sm_body(b"491700000001\0", &rest))
}

/// The most live octets that one link may add while it is treated so.
const BOUND_OCTETS: usize = 2 << 20;

#[tokio::test(start_paused = true)]
async fn a_flood_of_deliver_sm_is_answered_and_not_kept() {
    let _alone = ALONE.lock().await;
    const FLOOD: u32 = 50_000;
    let mut setup = Setup::new(|config| config.inbound_queue = 32);
    let mut peer = setup.accept().await;
    let before = live_octets();
    let (mut refused, mut most) = (0, 0);
    for sequence in 1..=FLOOD {
        peer.send(&deliver_sm(sequence)).await.unwrap();
        if sequence > 32 {
            let answer = peer.next().await.unwrap();
            assert_eq!(answer.command_id, DELIVER_SM | RESPONSE);
            assert_eq!(CommandStatus(answer.status), CommandStatus::ESME_RMSGQFUL);
            refused += 1;
        }
        most = most.max(live_octets().saturating_sub(before));
    }
    assert_eq!(refused, FLOOD - 32);
    assert!(most < BOUND_OCTETS, "{most} octets more");
    // What was taken is still there to be answered, and then there is room again.
    for _ in 0..32 {
        setup.inbound.recv().await.unwrap().answer.send(CommandStatus::ESME_ROK);
        assert_eq!(peer.next().await.unwrap().status, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_and_never_reads_is_left_and_costs_little() {
    let _alone = ALONE.lock().await;
    let mut setup = Setup::new(|config| config.inbound_queue = 32);
    let peer = setup.accept().await;
    let before = live_octets();
    let (mut reading, mut writing) = tokio::io::split(peer.stream);
    let flood = tokio::spawn(async move {
        let mut sent = 0_u32;
        while writing.write_all(&deliver_sm(sent + 1)).await.is_ok() {
            sent += 1;
        }
        sent
    });
    // The write time-out passes; the link gives the connection up and makes another one.
    let next = setup.connections.recv().await.unwrap();
    let most = live_octets().saturating_sub(before);
    assert!(most < BOUND_OCTETS, "{most} octets more");
    assert!(flood.await.unwrap() > 32, "the peer could not even send");
    // Only now does anybody look at what was written.
    tokio::io::copy(&mut reading, &mut tokio::io::sink()).await.unwrap();
    let mut peer = Peer::bound(next).await;
    let submitted = tokio::spawn(setup.link.slot().await.unwrap().submit(submit_sm(b"on")));
    let submit = peer.next().await.unwrap();
    assert_eq!(submit.command_id, SUBMIT_SM);
    peer.send(&pdu(SUBMIT_SM | RESPONSE, 0, submit.sequence, b"id\0")).await.unwrap();
    submitted.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_reconnects_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    const RECONNECTS: u32 = 100_000;
    let mut setup = Setup::new(|config| config.window = 4);
    let mut early = 0;
    for round in 1..=RECONNECTS {
        let mut peer = setup.accept().await;
        if round % 10 == 0 {
            // With a request under way and a delivery unanswered.
            let submitted = tokio::spawn(setup.link.slot().await.unwrap().submit(submit_sm(b"lost")));
            peer.next().await.unwrap();
            peer.send(&deliver_sm(1)).await.unwrap();
            let delivery = setup.inbound.recv().await.unwrap();
            drop(peer);
            submitted.await.unwrap();
            drop(delivery);
        }
        if round == 1_000 {
            early = live_octets();
        }
    }
    let more = live_octets().saturating_sub(early);
    assert!(more < 64 << 10, "{more} octets more after {RECONNECTS} reconnects");
    let metrics = setup.link.metrics();
    assert!(metrics.connected.load(Relaxed) >= u64::from(RECONNECTS));
    assert_ne!(*setup.link.state().borrow(), LinkState::Closed);
    assert_eq!(metrics.unknown.load(Relaxed), u64::from(RECONNECTS / 10));
}
