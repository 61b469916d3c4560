//! The handle of a link.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::task::BindTask;
use super::{BindKind, Connector, Delivery, Dialect, LinkConfig, LinkConfigError, secured};
use crate::smpp::{Address, BindMode, CommandStatus, MessageId, Sm};
use crate::world::Rng;

/// Alerts kept for whoever listens slowly.
const ALERTS_KEPT: usize = 256;

/// Starts a link; it lives until [`Link::close`] is called or `shutdown` is cancelled. Needs a tokio runtime.
///
/// Connections come from `connector`, with TLS over them where `config` has it. What the SMSC delivers goes to `inbound`; where that is full, the SMSC is answered at once as the
/// configuration says. `rng` spreads reconnects.
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
    let (commands, queue) = mpsc::channel(config.window.into());
    let shared = Arc::new(Shared {
        name: config.name.as_str().into(),
        slots: Arc::new(Semaphore::new(config.window.into())),
        binds: Mutex::new(vec![LinkState::Connecting; modes.len()]),
        sending: watch::Sender::new(LinkState::Connecting),
        state: watch::Sender::new(LinkState::Connecting),
        resume: Notify::new(),
        alerts: broadcast::Sender::new(ALERTS_KEPT),
        metrics: Metrics::default(),
        shutdown: shutdown.child_token(),
        config,
        dialect,
    });
    // Only the first bind sends.
    let mut queue = Some(queue);
    for (index, &mode) in modes.iter().enumerate() {
        let task = BindTask {
            shared: Arc::clone(&shared),
            mode,
            index,
            commands: queue.take(),
            inbound: inbound.clone(),
            connector: Arc::clone(&connector),
            rng: Arc::clone(&rng),
        };
        tokio::spawn(task.run());
    }
    Ok(Link { shared, commands })
}

/// A running link. Clones are handles of the same link.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not every bind is up; being worked on.
    Connecting,
    /// Every bind is up.
    Bound,
    /// The SMSC refused our credentials: nothing is tried until [`Link::resume`].
    Refused(CommandStatus),
    /// Closed for good.
    Closed,
}

/// The link has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub struct LinkClosed;

/// Room for one submit_sm in the window; given back when the request ends, or when dropped unused.
#[derive(Debug)]
pub struct Slot {
    commands: mpsc::Sender<Command>,
    permit: OwnedSemaphorePermit,
}

/// The one end of a submit_sm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// The SMSC answered; with an error status it did not take the message.
    Answered {
        /// Its verdict.
        status: CommandStatus,
        /// Its id of the message; may be empty or the same for all.
        message_id: MessageId,
    },
    /// The SMSC may or may not have taken the message.
    Unknown(UnknownReason),
    /// No octet of the message was handed to a connection.
    NotSent,
}

/// Why the end of a submit_sm is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownReason {
    /// No response in time.
    TimedOut,
    /// The connection was lost before the response.
    ConnectionLost,
}

impl Link {
    /// Waits until the link is bound for sending and the window has room; first come, first served. Dropping
    /// the future gives up the place in the line and nothing else. While the SMSC refuses the link, it waits.
    ///
    /// # Errors
    /// The link is closed or closing.
    pub async fn slot(&self) -> Result<Slot, LinkClosed> {
        let asked = Instant::now();
        let slot = self.shared.shutdown.run_until_cancelled(self.acquire()).await.ok_or(LinkClosed)??;
        self.shared.metrics.slot_wait.record(asked.elapsed());
        Ok(slot)
    }

    async fn acquire(&self) -> Result<Slot, LinkClosed> {
        let permit = Arc::clone(&self.shared.slots).acquire_owned().await.map_err(|_| LinkClosed)?;
        let mut sending = self.shared.sending.subscribe();
        let ready = |state: &LinkState| matches!(state, LinkState::Bound | LinkState::Closed);
        match sending.wait_for(ready).await.as_deref() {
            Ok(LinkState::Bound) => Ok(Slot { commands: self.commands.clone(), permit }),
            _ => Err(LinkClosed),
        }
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
        self.shared.state.subscribe()
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

    /// Tries again after [`LinkState::Refused`]; otherwise does nothing.
    pub fn resume(&self) {
        self.shared.resume.notify_waiters();
    }

    /// Closes the link: no new slots, requests under way end, deliveries are answered, unbind. Returns when
    /// every connection is closed, at the latest a write time-out later.
    pub async fn close(&self) {
        self.shared.shutdown.cancel();
        let mut state = self.state();
        // An error means that the sender is gone, which is closed as well.
        let _ = state.wait_for(|state| *state == LinkState::Closed).await;
    }
}

impl Slot {
    /// Sends `sm` as submit_sm and waits for its end. Dropping the future does not take the message back.
    pub async fn submit(self, sm: Sm) -> SubmitOutcome {
        let (done, outcome) = oneshot::channel();
        let pending = Pending { done, _permit: self.permit };
        // The queue takes as many commands as there are permits.
        if self.commands.try_send(Command { sm, pending }).is_err() {
            return SubmitOutcome::NotSent;
        }
        // A task that is gone cannot say how far it got.
        outcome.await.unwrap_or(SubmitOutcome::Unknown(UnknownReason::ConnectionLost))
    }
}

/// A submit_sm on its way to the task.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) sm: Sm,
    pub(super) pending: Pending,
}

/// Somebody waits for the end of a submit_sm.
#[derive(Debug)]
pub(super) struct Pending {
    done: oneshot::Sender<SubmitOutcome>,
    _permit: OwnedSemaphorePermit,
}

impl Pending {
    /// Tells the end and gives the window's slot back.
    pub(super) fn end(self, outcome: SubmitOutcome) {
        // Nobody may wait any more.
        let _ = self.done.send(outcome);
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
    slots: Arc<Semaphore>,
    /// The state of each bind; the first one sends.
    binds: Mutex<Vec<LinkState>>,
    sending: watch::Sender<LinkState>,
    state: watch::Sender<LinkState>,
}

impl Shared {
    /// Notes the state of one bind and tells who waits for the link's.
    pub(super) fn set_state(&self, index: usize, state: LinkState) {
        let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bind) = binds.get_mut(index) {
            *bind = state;
        }
        if index == 0 {
            self.sending.send_replace(state);
        }
        self.state.send_replace(whole(&binds));
    }
}

/// The state of a link from those of its binds.
fn whole(binds: &[LinkState]) -> LinkState {
    let refused = binds.iter().find(|state| matches!(state, LinkState::Refused(_)));
    let all = |wanted| binds.iter().all(|state| *state == wanted);
    match refused {
        Some(refused) => *refused,
        None if all(LinkState::Closed) => LinkState::Closed,
        None if all(LinkState::Bound) => LinkState::Bound,
        None => LinkState::Connecting,
    }
}
