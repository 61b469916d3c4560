//! SMSCs that answer by rule, each for any number of connections.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use airwrite::link::{BoxFuture, Connector, Transport};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::peer::{ENQUIRE_LINK, Peer, RESPONSE, RawPdu, SUBMIT_SM, UNBIND, pdu};

pub(crate) const BIND_RECEIVER: u32 = 1;
pub(crate) const BIND_TRANSMITTER: u32 = 2;
const RTHROTTLED: u32 = 0x58;
const RINVMSGID: u32 = 0x0C;
const CANCEL_SM: u32 = 8;

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// How long each answer takes.
    pub(crate) response: Duration,
    /// submit_sm taken within a second over all connections; more are refused.
    pub(crate) rate: Option<u64>,
    /// TLVs behind the message id.
    pub(crate) tlvs: &'static [u8],
}

/// A submit_sm as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) destination: String,
    pub(crate) short_message: Vec<u8>,
    pub(crate) taken: bool,
    pub(crate) at: Instant,
}

/// One SMSC.
pub(crate) struct Smsc {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    rule: Rule,
    up: bool,
    received: Vec<Received>,
    cancels: Vec<(String, bool)>,
    /// The connections that were ever opened, each with the kind of its bind and what cuts it.
    connections: Vec<(u32, CancellationToken)>,
    live: usize,
    most_live: usize,
    second: u64,
    taken: u64,
}

impl Smsc {
    pub(crate) fn new(rule: Rule) -> Arc<Self> {
        let state = State {
            rule,
            up: true,
            received: Vec::new(),
            cancels: Vec::new(),
            connections: Vec::new(),
            live: 0,
            most_live: 0,
            second: 0,
            taken: 0,
        };
        Arc::new(Self { start: Instant::now(), state: Mutex::new(state) })
    }

    pub(crate) fn rule(&self, change: impl FnOnce(&mut Rule)) {
        change(&mut self.state().rule);
    }

    /// Takes connections, or cuts those there are and takes none.
    pub(crate) fn up(&self, up: bool) {
        self.state().up = up;
        if !up {
            (0..self.connections().len()).for_each(|connection| self.cut(connection));
        }
    }

    pub(crate) fn cut(&self, connection: usize) {
        let cut = self.state().connections[connection].1.clone();
        cut.cancel();
    }

    /// The kinds of the binds of all connections that there ever were; 0 where none came.
    pub(crate) fn connections(&self) -> Vec<u32> {
        self.state().connections.iter().map(|(kind, _)| *kind).collect()
    }

    /// The connections that are up now, and the most there ever were at one time.
    pub(crate) fn live(&self) -> (usize, usize) {
        let state = self.state();
        (state.live, state.most_live)
    }

    /// The destinations that a cancel_sm named, and whether a message to them is here.
    pub(crate) fn cancels(&self) -> Vec<(String, bool)> {
        self.state().cancels.clone()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state().up
    }

    /// Serves one connection until it is cut or the peer has gone.
    pub(crate) async fn serve<S: Transport>(self: Arc<Self>, stream: S) {
        let cut = CancellationToken::new();
        let connection = {
            let mut state = self.state();
            state.connections.push((0, cut.clone()));
            state.live += 1;
            state.most_live = state.most_live.max(state.live);
            state.connections.len() - 1
        };
        cut.run_until_cancelled(self.converse(connection, Peer::new(stream), &cut)).await;
        self.state().live -= 1;
    }

    async fn converse<S: Transport>(&self, connection: usize, mut peer: Peer<S>, cut: &CancellationToken) {
        let mut answers: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        loop {
            let due = answers.front().map(|(due, _)| *due);
            let read = tokio::select! {
                biased;
                () = at(due) => {
                    let octets: Vec<u8> =
                        std::iter::from_fn(|| answers.pop_front_if(|(due, _)| *due <= Instant::now()))
                            .flat_map(|(_, octets)| octets)
                            .collect();
                    if peer.send(&octets).await.is_err() {
                        return;
                    }
                    continue;
                }
                read = peer.next() => read,
            };
            // What comes in the moment of the cut is not read.
            let Some(request) = read.filter(|_| !cut.is_cancelled()) else { return };
            let response = self.state().rule.response;
            if let Some(answer) = self.answer(connection, &request) {
                let wait = if request.command_id == SUBMIT_SM { response } else { Duration::ZERO };
                answers.push_back((Instant::now() + wait, answer));
            }
        }
    }

    fn answer(&self, connection: usize, request: &RawPdu) -> Option<Vec<u8>> {
        let RawPdu { command_id, sequence, body, .. } = request;
        let mut state = self.state();
        let (status, body) = match *command_id {
            SUBMIT_SM => {
                let (destination, short_message) = parse(body);
                let taken = state.takes(self.start.elapsed().as_secs());
                state.received.push(Received {
                    connection,
                    destination,
                    short_message,
                    taken,
                    at: Instant::now(),
                });
                if taken { (0, [b"id\0", state.rule.tlvs].concat()) } else { (RTHROTTLED, vec![]) }
            }
            CANCEL_SM => {
                let destination = cancelled(body);
                let here = state.received.iter().any(|one| one.taken && one.destination == destination);
                state.cancels.push((destination, here));
                (if here { 0 } else { RINVMSGID }, vec![])
            }
            ENQUIRE_LINK | UNBIND => (0, vec![]),
            bind => {
                state.connections[connection].0 = bind;
                (0, b"smsc\0".to_vec())
            }
        };
        (command_id & RESPONSE == 0).then(|| pdu(command_id | RESPONSE, status, *sequence, &body))
    }
}

impl State {
    fn takes(&mut self, second: u64) -> bool {
        if second != self.second {
            (self.second, self.taken) = (second, 0);
        }
        self.taken += 1;
        self.rule.rate.is_none_or(|rate| self.taken <= rate)
    }
}

/// The destination and the short message of a submit_sm.
fn parse(body: &[u8]) -> (String, Vec<u8>) {
    let rest = &mut &body[..];
    let _service_type = text(rest);
    *rest = &rest[2..];
    let _source = text(rest);
    *rest = &rest[2..];
    let destination = text(rest);
    *rest = &rest[3..];
    let _times = (text(rest), text(rest));
    let length = usize::from(rest[4]);
    (destination, rest[5..5 + length].to_vec())
}

/// The destination of a cancel_sm.
fn cancelled(body: &[u8]) -> String {
    let rest = &mut &body[..];
    let (_service_type, id) = (text(rest), text(rest));
    assert_eq!(id, "id");
    *rest = &rest[2..];
    let _source = text(rest);
    *rest = &rest[2..];
    text(rest)
}

/// A C-octet string.
fn text(rest: &mut &[u8]) -> String {
    let end = rest.iter().position(|octet| *octet == 0).unwrap();
    let text = String::from_utf8(rest[..end].to_vec()).unwrap();
    *rest = &rest[end + 1..];
    text
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// In-memory connections to SMSCs by their address.
pub(crate) struct Pipes(pub(crate) BTreeMap<String, Arc<Smsc>>);

impl Connector for Pipes {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let smsc = &self.0[address];
            if !smsc.is_up() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(Arc::clone(smsc).serve(theirs));
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}
