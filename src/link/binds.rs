//! The binds of a link: what each is doing, and the one pool of places that the windows of those bound make.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::handle::Command;
use super::{BindsUp, LinkState};
use crate::smpp::pacer::Pacer;
use crate::smpp::{BindMode, CommandStatus, CongestionState};

/// All binds of one link.
#[derive(Debug)]
pub(super) struct Binds {
    window: usize,
    /// One for each free place. Where a connection was lost there may be more for a moment: whoever gets one of those
    /// finds no place and waits again.
    permits: Semaphore,
    /// Held by whoever is next to send, while there is a pace to keep.
    line: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
    sending: watch::Sender<bool>,
    state: watch::Sender<LinkState>,
}

#[derive(Debug)]
struct Inner {
    binds: Vec<Bind>,
    /// Where the search for the next free place begins.
    next: usize,
    pacer: Pacer,
}

#[derive(Debug)]
struct Bind {
    mode: BindMode,
    state: LinkState,
    /// Takes what is to be sent, on a bind that sends.
    commands: Option<mpsc::Sender<Command>>,
    /// Which connection it is on: counted up with each that is bound or lost.
    connection: u64,
    /// Places that nobody has; none while it is not bound.
    free: usize,
}

/// A place in the window of one bind's connection; given back when dropped, unless the connection has gone.
#[derive(Debug)]
pub(super) struct Place {
    binds: Arc<Binds>,
    bind: usize,
    connection: u64,
    /// When its turn came.
    turn: Instant,
}

impl Binds {
    /// `binds` with where those that send take their commands. At most `window` requests wait on each, and at most
    /// `rate_max` leave in a second over all of them; 0: no limit.
    pub(super) fn new(
        binds: impl Iterator<Item = (BindMode, Option<mpsc::Sender<Command>>)>,
        window: u16,
        rate_max: u32,
    ) -> Self {
        let state = LinkState::Connecting;
        let binds = binds.map(|(mode, commands)| Bind { mode, state, commands, connection: 0, free: 0 });
        let pacer = Pacer::new(rate_max, Instant::now().into_std());
        Self {
            window: window.into(),
            permits: Semaphore::new(0),
            line: tokio::sync::Mutex::new(()),
            inner: Mutex::new(Inner { binds: binds.collect(), next: 0, pacer }),
            sending: watch::Sender::new(false),
            state: watch::Sender::new(state),
        }
    }

    /// The next place, once its turn has come: the binds take turns. `None` where the link is closed.
    pub(super) async fn place(self: &Arc<Self>) -> Option<Place> {
        loop {
            self.permits.acquire().await.ok()?.forget();
            let Some((mut place, paced)) = Place::take(self) else { continue };
            if !paced || place.turn().await {
                return Some(place);
            }
        }
    }

    /// Hands `command` to the bind of its place; ends it where the connection has gone.
    pub(super) fn send(&self, command: Command) {
        let inner = self.inner();
        let commands = inner.bound(command.place()).and_then(|bind| bind.commands.as_ref());
        let declined = match commands {
            // The queue takes as many commands as there are places.
            Some(commands) => commands.try_send(command).err().map(mpsc::error::TrySendError::into_inner),
            None => Some(command),
        };
        // Its end gives the place back.
        drop(inner);
        if let Some(command) = declined {
            command.decline();
        }
    }

    /// Notes what a bind is doing, opens and closes its places, and tells who waits for the link's state.
    pub(super) fn set(&self, index: usize, state: LinkState) {
        let mut inner = self.inner();
        let first = inner.sending().next().is_none();
        let Some(bind) = inner.binds.get_mut(index) else { return };
        let was = std::mem::replace(&mut bind.state, state);
        if bind.mode.submits() && (was == LinkState::Bound) != (state == LinkState::Bound) {
            bind.connection += 1;
            if state == LinkState::Bound {
                bind.free = self.window;
                if first {
                    // It was down, and may have been moved or restarted.
                    inner.pacer.reset(Instant::now().into_std());
                }
                self.permits.add_permits(self.window);
            } else {
                self.permits.forget_permits(std::mem::take(&mut bind.free));
            }
        }
        self.sending.send_replace(inner.sending().next().is_some());
        let whole = inner.whole();
        if whole == LinkState::Closed {
            self.permits.close();
        }
        self.state.send_replace(whole);
    }

    /// What the link is doing.
    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Whether a bind is up that sends.
    pub(super) fn sending(&self) -> watch::Receiver<bool> {
        self.sending.subscribe()
    }

    pub(super) fn up(&self) -> BindsUp {
        let inner = self.inner();
        let up = inner.binds.iter().filter(|bind| bind.state == LinkState::Bound).count();
        BindsUp { up, total: inner.binds.len() }
    }

    pub(super) fn rate(&self) -> Option<f64> {
        self.inner().pacer.rate()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn sending(&self) -> impl Iterator<Item = &Bind> {
        self.binds.iter().filter(|bind| bind.mode.submits() && bind.state == LinkState::Bound)
    }

    /// The bind of a place, while it is on the connection that the place belongs to.
    fn bound(&self, place: &Place) -> Option<&Bind> {
        self.binds.get(place.bind).filter(|bind| bind.connection == place.connection)
    }

    /// The state of the link from those of its binds.
    fn whole(&self) -> LinkState {
        let bound = |bind: &&Bind| bind.state == LinkState::Bound;
        let delivers = self.binds.iter().filter(bound).any(|bind| bind.mode.delivers());
        let refused = self.binds.iter().find(|bind| matches!(bind.state, LinkState::Refused(_)));
        match refused {
            _ if delivers && self.sending().next().is_some() => LinkState::Bound,
            Some(refused) => refused.state,
            None if self.binds.iter().all(|bind| bind.state == LinkState::Closed) => LinkState::Closed,
            None => LinkState::Connecting,
        }
    }
}

impl Place {
    /// A free place of the bind whose turn it is, and whether there is a pace to keep.
    fn take(binds: &Arc<Binds>) -> Option<(Self, bool)> {
        let mut inner = binds.inner();
        let count = inner.binds.len();
        let mut order = (inner.next..count).chain(0..inner.next);
        let index = order.find(|index| inner.binds.get(*index).is_some_and(|bind| bind.free > 0))?;
        inner.next = (index + 1) % count;
        let bind = inner.binds.get_mut(index)?;
        bind.free -= 1;
        let place =
            Self { binds: Arc::clone(binds), bind: index, connection: bind.connection, turn: Instant::now() };
        Some((place, inner.pacer.rate().is_some()))
    }

    /// Waits until the pace lets a request leave; false where the connection has gone meanwhile. Without a pace to keep
    /// nobody waits for another; else first come, first served.
    pub(super) async fn turn(&mut self) -> bool {
        let mut first_in_line = None;
        loop {
            let wait = {
                let mut inner = self.binds.inner();
                if inner.bound(self).is_none() {
                    return false;
                }
                let now = Instant::now();
                match inner.pacer.wait(now.into_std()) {
                    None if first_in_line.is_some() || inner.pacer.rate().is_none() => {
                        inner.pacer.sent(now.into_std());
                        self.turn = now;
                        return true;
                    }
                    wait => wait,
                }
            };
            match wait {
                Some(until) if first_in_line.is_some() => sleep_until(until.into()).await,
                _ => first_in_line = Some(self.binds.line.lock().await),
            }
        }
    }

    /// Whether the connection that it belongs to is still there.
    pub(super) fn lasts(&self) -> bool {
        self.binds.inner().bound(self).is_some()
    }

    /// When its turn came.
    pub(super) const fn came(&self) -> Instant {
        self.turn
    }

    /// The bind that it is in.
    pub(super) const fn binds(&self) -> &Arc<Binds> {
        &self.binds
    }

    /// The pace follows what the SMSC answers.
    pub(super) fn answered(&self, status: CommandStatus) {
        let (now, sent) = (Instant::now().into_std(), self.turn.into_std());
        self.binds.inner().pacer.answered(now, sent, status);
    }

    /// The pace follows the congestion_state that the SMSC reports.
    pub(super) fn congestion(&self, state: CongestionState) {
        let (now, sent) = (Instant::now().into_std(), self.turn.into_std());
        self.binds.inner().pacer.congestion(now, sent, state);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.binds.inner();
        let connection = self.connection;
        let bind = inner.binds.get_mut(self.bind).filter(|bind| bind.connection == connection);
        if let Some(bind) = bind {
            debug_assert!(bind.free < self.binds.window, "a place comes back once");
            bind.free += 1;
            self.binds.permits.add_permits(1);
        }
    }
}
