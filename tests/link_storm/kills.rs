//! A million requests while the peer cuts the connection at random: none lost, none answered twice, no place lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use airwrite::link::{Link, SubmitOutcome};
use airwrite::world::{Rng, SeededRng};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::peer::{ENQUIRE_LINK, Peer, RESPONSE, RawPdu, SUBMIT_SM, Setup, UNBIND, pdu, submit_sm};

const WINDOW: u16 = 100;

/// Requests under way or waiting for a place.
const WORKERS: usize = 160;

/// What one run of the storm is.
#[derive(Clone, Copy)]
struct Storm {
    requests: u64,
    /// About one connection in so many requests is cut.
    requests_per_cut: u64,
}

impl Storm {
    fn of_this_run() -> Self {
        if std::env::var_os("AIRWRITE_SOAK").is_some() {
            Self { requests: 10_000_000, requests_per_cut: 100 }
        } else {
            Self { requests: 1_000_000, requests_per_cut: 2_000 }
        }
    }
}

/// What the peer and those who ask know of each request.
struct Ledger {
    /// How often the peer has read it.
    received: Vec<AtomicU8>,
    next: AtomicU64,
    answered: AtomicU64,
    unknown: AtomicU64,
    not_sent: AtomicU64,
    cuts: AtomicU32,
}

#[test]
fn no_request_is_lost_or_answered_twice_on_one_core() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(storm(Storm::of_this_run()));
}

#[test]
fn no_request_is_lost_or_answered_twice_on_two_cores() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::spawn(storm(Storm::of_this_run())).await.unwrap() });
}

async fn storm(storm: Storm) {
    let count = usize::try_from(storm.requests).unwrap();
    let ledger = Arc::new(Ledger {
        received: (0..count).map(|_| AtomicU8::new(0)).collect(),
        next: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        unknown: AtomicU64::new(0),
        not_sent: AtomicU64::new(0),
        cuts: AtomicU32::new(0),
    });
    let Setup { link, listener, shutdown, inbound: _inbound } =
        Setup::new(|config| config.window = WINDOW).await;
    let server = tokio::spawn(serve(listener, storm, Arc::clone(&ledger)));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(link.clone(), storm.requests, Arc::clone(&ledger)));
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }

    let (answered, unknown) = (ledger.answered.load(Relaxed), ledger.unknown.load(Relaxed));
    assert_eq!(answered + unknown, storm.requests, "every request has one end");
    let cuts = u64::from(ledger.cuts.load(Relaxed));
    assert!(cuts >= storm.requests / storm.requests_per_cut / 4, "{cuts} cuts");
    assert!(unknown <= cuts * u64::from(WINDOW), "{unknown} unknown after {cuts} cuts");
    let metrics = link.metrics();
    assert_eq!(metrics.accepted.load(Relaxed), answered);
    assert_eq!(metrics.unknown.load(Relaxed), unknown);

    // Every place of the window is there again, and not one more.
    let mut places = Vec::new();
    for _ in 0..WINDOW {
        places.push(timeout(Duration::from_secs(20), link.slot()).await.expect("a place is lost").unwrap());
    }
    assert!(timeout(Duration::from_millis(50), link.slot()).await.is_err(), "a place too many");
    drop(places);
    shutdown.cancel();
    server.abort();
    println!(
        "{answered} answered, {unknown} unknown, {} handed back unsent, {cuts} cuts",
        ledger.not_sent.load(Relaxed)
    );
}

/// Takes one request after the other to its end.
async fn work(link: Link, requests: u64, ledger: Arc<Ledger>) {
    loop {
        let number = ledger.next.fetch_add(1, Relaxed);
        if number >= requests {
            return;
        }
        let sm = submit_sm(&number.to_be_bytes());
        let received = &ledger.received[usize::try_from(number).unwrap()];
        loop {
            match link.slot().await.unwrap().submit(sm.clone()).await {
                SubmitOutcome::Answered { status, message_id } => {
                    assert!(status.is_ok());
                    assert_eq!(message_id.to_string(), format!("{number:x}"), "another request's answer");
                    assert_eq!(received.load(Relaxed), 1, "request {number} was written more than once");
                    ledger.answered.fetch_add(1, Relaxed);
                    break;
                }
                SubmitOutcome::Unknown(_) => {
                    assert!(received.load(Relaxed) <= 1, "request {number} was written more than once");
                    ledger.unknown.fetch_add(1, Relaxed);
                    break;
                }
                SubmitOutcome::NotSent => {
                    assert_eq!(
                        received.load(Relaxed),
                        0,
                        "request {number} was written although it says not"
                    );
                    ledger.not_sent.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

async fn serve(listener: TcpListener, storm: Storm, ledger: Arc<Ledger>) {
    let mut seed = 0;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seed += 1;
        // One connection at a time: a second one would be a second session of the bind.
        converse(stream, storm, &SeededRng::new(seed), &ledger).await;
        ledger.cuts.fetch_add(1, Relaxed);
    }
}

/// Answers in any order, some twice, until the connection is to be cut.
async fn converse(stream: TcpStream, storm: Storm, rng: &SeededRng, ledger: &Ledger) {
    stream.set_nodelay(true).unwrap();
    let mut peer = Peer::bound(stream).await;
    let mut held: VecDeque<RawPdu> = VecDeque::new();
    let mut left = 1 + rng.below(2 * storm.requests_per_cut);
    loop {
        let Some(first) = peer.next().await else { return };
        held.push_back(first);
        while let Some(more) = peer.cut() {
            held.push_back(more);
        }
        let mut output = Vec::new();
        while let Some(request) = take_any(&mut held, rng) {
            if !matches!(request.command_id, SUBMIT_SM) {
                assert!(matches!(request.command_id, ENQUIRE_LINK | UNBIND), "{request:?}");
                output.extend(pdu(request.command_id | RESPONSE, 0, request.sequence, &[]));
                continue;
            }
            let number = u64::from_be_bytes(*request.body.last_chunk().unwrap());
            ledger.received[usize::try_from(number).unwrap()].fetch_add(1, Relaxed);
            let response = pdu(SUBMIT_SM | RESPONSE, 0, request.sequence, format!("{number:x}\0").as_bytes());
            output.extend(&response);
            if rng.below(1_000) == 0 {
                output.extend(&response);
            }
            left -= 1;
            if left == 0 {
                return cut(peer, &output, rng).await;
            }
        }
        if peer.send(&output).await.is_err() {
            return;
        }
    }
}

fn take_any(held: &mut VecDeque<RawPdu>, rng: &SeededRng) -> Option<RawPdu> {
    let count = u64::try_from(held.len()).unwrap();
    if count == 0 {
        return None;
    }
    held.swap_remove_front(usize::try_from(rng.below(count)).unwrap())
}

/// Ends the connection: at any octet of what is still to be said, in order or by a reset.
async fn cut(mut peer: Peer<TcpStream>, output: &[u8], rng: &SeededRng) {
    let until = rng.below(u64::try_from(output.len()).unwrap() + 1);
    let said = &output[..usize::try_from(until).unwrap()];
    // The link may have gone already.
    let _ = peer.send(said).await;
    match rng.below(3) {
        0 => peer.stream.set_zero_linger().unwrap(),
        1 => {
            // What the link still says is read and not answered.
            let mut rest = [0; 4096];
            let _ = timeout(Duration::from_millis(1), peer.stream.read(&mut rest)).await;
        }
        _ => {}
    }
}
