//! The handle of a link.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::binds::{Binds, Place, Seat};
use super::metrics::Metrics;
use super::task::BindTask;
use super::{
    BindKind, Connector, Delivery, Dialect, LinkConfig, LinkConfigError, RequestOutcome, SubmitOutcome,
    UnknownReason, secured,
};
use crate::smpp::{Address, BindMode, Body, CommandStatus, End, Pdu, Sm};
use crate::world::Rng;

/// Alerts kept for whoever listens slowly.
const ALERTS_KEPT: usize = 256;

/// Starts a link; it lives until [`Link::close`] is called or `shutdown` is cancelled. Needs a tokio runtime.
///
/// Connections come from `connector`, with TLS over them where `config` has it. What the SMSC delivers goes to
/// `inbound`; where that is full, the SMSC is answered at once as the configuration says. `rng` spreads reconnects.
///
/// # Errors
/// A value of the configuration that cannot be used.
pub fn start(
    mut config: LinkConfig,
    connector: Arc<dyn Connector>,
    rng: Arc<dyn Rng>,
    inbound: mpsc::Sender<Delivery>,
    shutdown: &CancellationToken,
) -> Result<Link, LinkConfigError> {
    config.check()?;
    let dialect = Dialect::try_from(&config)?;
    let connector = secured(&mut config, connector)?;
    let modes: &[BindMode] = match config.bind {
        BindKind::Trx => &[BindMode::Transceiver],
        BindKind::TxRx => &[BindMode::Transmitter, BindMode::Receiver],
    };
    let modes = modes.repeat(config.binds.into());
    let binds = Binds::new(&modes, config.window, config.rate_max);
    let shared = Arc::new(Shared {
        name: config.name.as_str().into(),
        binds: Arc::new(binds),
        resume: Notify::new(),
        alerts: broadcast::Sender::new(ALERTS_KEPT),
        metrics: Metrics::default(),
        shutdown: shutdown.child_token(),
        config,
        dialect,
    });
    for (index, mode) in modes.into_iter().enumerate() {
        let task = BindTask {
            shared: Arc::clone(&shared),
            mode,
            index,
            inbound: inbound.clone(),
            connector: Arc::clone(&connector),
            rng: Arc::clone(&rng),
        };
        tokio::spawn(task.run());
    }
    Ok(Link { shared })
}

/// A running link. Clones are handles of the same link.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// No bind is up that sends, or none that receives; being worked on.
    Connecting,
    /// Binds are up that send and receive; [`Link::binds`] says how many of all.
    Bound,
    /// Not usable, and the SMSC has refused our credentials: the bind is not tried again until [`Link::resume`].
    Refused(CommandStatus),
    /// Closed for good.
    Closed,
}

/// The link has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub struct LinkClosed;

/// How many binds of a link are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindsUp {
    /// Those that are bound.
    pub up: usize,
    /// All.
    pub total: usize,
}

/// Room for one request in the window of one bind, and its turn in the link's pace; given back when the request ends,
/// or when dropped unused (then its turn is lost). It is good for nothing once the bind's connection is lost.
#[derive(Debug)]
pub struct Slot {
    place: Place,
    /// Whether its turn has come.
    turn: bool,
}

impl Link {
    /// Waits until a bind that sends is up, its window has room, and the link's pace lets a request leave; first come,
    /// first served, the binds in turn. Dropping the future gives up the place in the line and nothing else. While the
    /// SMSC refuses the link, it waits.
    ///
    /// # Errors
    /// The link is closed or closing.
    pub async fn slot(&self) -> Result<Slot, LinkClosed> {
        let Shared { binds, shutdown, metrics, .. } = &*self.shared;
        let (place, waited) = match binds.place_at_once() {
            Some(place) if !shutdown.is_cancelled() => (place, Duration::ZERO),
            Some(_) => return Err(LinkClosed),
            None => {
                let asked = Instant::now();
                let place = shutdown.run_until_cancelled(binds.place()).await.flatten().ok_or(LinkClosed)?;
                (place, asked.elapsed())
            }
        };
        metrics.slot_wait.record(waited);
        Ok(Slot { place, turn: true })
    }

    /// The link's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// How messages to cards are written for this SMSC.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.shared.dialect
    }

    /// What the link is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.shared.binds.state()
    }

    /// How many of its binds are up.
    #[must_use]
    pub fn binds(&self) -> BindsUp {
        self.shared.binds.up()
    }

    /// Whether a bind is up that sends, now and from now on.
    #[must_use]
    pub fn sending(&self) -> watch::Receiver<bool> {
        self.shared.binds.sending()
    }

    /// How many requests may leave per second at present: as configured or, where the SMSC has refused some, as learned;
    /// `None` where only the windows limit them.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.shared.binds.rate()
    }

    /// What the link has counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The numbers that can be reached again, as the SMSC says from now on (alert_notification). Whoever listens slowly
    /// misses some.
    #[must_use]
    pub fn alerts(&self) -> broadcast::Receiver<Address> {
        self.shared.alerts.subscribe()
    }

    /// Lets binds try again whose credentials were refused; otherwise does nothing.
    pub fn resume(&self) {
        self.shared.resume.notify_waiters();
    }

    /// Closes the link: no new slots, requests under way end, deliveries are answered, unbind. Returns when
    /// every connection is closed, at the latest a write time-out and a second later.
    pub async fn close(&self) {
        self.shared.shutdown.cancel();
        let mut state = self.state();
        // An error means that the sender is gone, which is closed as well.
        let _ = state.wait_for(|state| *state == LinkState::Closed).await;
    }
}

impl Slot {
    /// Sends `sm` as submit_sm, at once; the future is its end. Dropping that does not take the message back.
    pub fn submit(self, sm: Sm) -> impl Future<Output = SubmitOutcome> + Send {
        let end = self.send(sm, false);
        async move { end.await.0 }
    }

    /// The same for a part of a message that has more of them: the slot comes back, so that the next part goes over the
    /// same connection. It does not where the connection has gone. Where the link keeps a pace, the next part is sent
    /// when its turn has come, while its future is polled.
    pub fn submit_part(self, sm: Sm) -> impl Future<Output = (SubmitOutcome, Option<Self>)> + Send {
        let end = self.send(sm, true);
        async move {
            let (outcome, place) = end.await;
            (outcome, place.map(|place| Self { place, turn: false }))
        }
    }

    /// Sends `body` as a request of another kind (cancel_sm, query_sm, ...) and waits for its end. Dropping the future
    /// does not take the request back.
    pub async fn request(mut self, body: Body) -> RequestOutcome {
        if !self.turn && !self.place.turn().await {
            return RequestOutcome::NotSent;
        }
        let (done, end) = oneshot::channel();
        self.place.hand_over(|seat| Command::Request(Box::new(body), PendingRequest { done, seat }));
        end.await.unwrap_or(RequestOutcome::Unknown(UnknownReason::ConnectionLost))
    }

    /// Hands `sm` over before anybody polls, where its turn has come: what is polled is then small, and no future carries
    /// the message from caller to caller.
    fn send(mut self, sm: Sm, keep: bool) -> impl Future<Output = (SubmitOutcome, Option<Place>)> + Send {
        let sent = match self.turn || self.place.turn_at_once() {
            true => Ok(submit(self.place, sm, keep)),
            false => Err(Box::pin(async move {
                let turn = self.place.turn().await;
                turn.then(|| submit(self.place, sm, keep))
            })),
        };
        async move {
            let end = match sent {
                Ok(end) => end,
                Err(in_turn) => match in_turn.await {
                    Some(end) => end,
                    None => return (SubmitOutcome::NotSent, None),
                },
            };
            // A task that is gone cannot say how far it got.
            end.await.unwrap_or((SubmitOutcome::Unknown(UnknownReason::ConnectionLost), None))
        }
    }
}

/// The end of a submit_sm, and the place where it is kept.
type SubmitEnd = (SubmitOutcome, Option<Place>);

/// Hands `sm` over; its end comes back.
fn submit(place: Place, sm: Sm, keep: bool) -> oneshot::Receiver<SubmitEnd> {
    let (done, end) = oneshot::channel();
    place.hand_over(|seat| Command::Submit(sm, Pending { done, seat, keep }));
    end
}

/// A request on its way to the task.
#[derive(Debug)]
pub(super) enum Command {
    Submit(Sm, Pending),
    /// Any other.
    Request(Box<Body>, PendingRequest),
}

impl Command {
    /// The place it came with.
    pub(super) const fn seat(&self) -> Seat {
        match self {
            Self::Submit(_, Pending { seat, .. }) | Self::Request(_, PendingRequest { seat, .. }) => *seat,
        }
    }

    /// Ends it unsent.
    pub(super) fn decline(self, binds: &Arc<Binds>) {
        let now = Instant::now();
        match self {
            Self::Submit(_, pending) => pending.end(binds, now, SubmitOutcome::NotSent),
            Self::Request(_, pending) => pending.end(binds, now, RequestOutcome::NotSent),
        }
    }
}

/// Somebody waits for the end of a submit_sm.
#[derive(Debug)]
pub(super) struct Pending {
    done: oneshot::Sender<SubmitEnd>,
    seat: Seat,
    /// Whether whoever waits wants the place back.
    keep: bool,
}

impl Pending {
    /// Tells the link's pace what congestion_state the response reports.
    pub(super) fn note_congestion(&self, binds: &Binds, end: &End) {
        if let End::Answered(Pdu { body: Body::SubmitSmResp(resp), .. }) = end
            && let Some(state) = resp.tlvs.congestion_state()
        {
            binds.congestion(self.seat, state);
        }
    }

    /// Tells the end, to the link's pace as well, and gives the place back.
    pub(super) fn end(self, binds: &Arc<Binds>, now: Instant, outcome: SubmitOutcome) {
        let Self { done, seat, keep } = self;
        let status = match outcome {
            SubmitOutcome::Answered { status, .. } => Some(status),
            SubmitOutcome::Unknown(_) | SubmitOutcome::NotSent => None,
        };
        let kept = binds.ended(seat, now, status, keep);
        // Nobody may wait any more.
        let _ = done.send((outcome, kept));
    }
}

/// Somebody waits for the end of another request.
#[derive(Debug)]
pub(super) struct PendingRequest {
    done: oneshot::Sender<RequestOutcome>,
    seat: Seat,
}

impl PendingRequest {
    /// Tells the end, to the link's pace as well, and gives the place back.
    pub(super) fn end(self, binds: &Arc<Binds>, now: Instant, outcome: RequestOutcome) {
        let Self { done, seat } = self;
        let status = match &outcome {
            RequestOutcome::Answered(pdu) => Some(pdu.status),
            RequestOutcome::Unknown(_) | RequestOutcome::NotSent => None,
        };
        binds.ended(seat, now, status, false);
        // Nobody may wait any more.
        let _ = done.send(outcome);
    }
}

/// What the handles and the tasks of a link share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) config: LinkConfig,
    pub(super) dialect: Dialect,
    pub(super) metrics: Metrics,
    /// Cancelled when the link is to close.
    pub(super) shutdown: CancellationToken,
    /// Wakes binds that were refused.
    pub(super) resume: Notify,
    pub(super) alerts: broadcast::Sender<Address>,
    pub(super) binds: Arc<Binds>,
}
