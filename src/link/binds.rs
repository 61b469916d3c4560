//! The binds of a link: what each is doing, and the one pool of places that the windows of those bound make.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use super::handle::Command;
use super::queue::Queue;
use super::{BindsUp, LinkState};
use crate::smpp::pacer::Pacer;
use crate::smpp::{BindMode, CommandStatus, CongestionState};

/// All binds of one link.
#[derive(Debug)]
pub(super) struct Binds {
    window: usize,
    outlets: Vec<Outlet>,
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
    /// Before any request.
    began: Instant,
}

/// The way into one bind.
#[derive(Debug)]
struct Outlet {
    /// Takes what is to be sent.
    queue: Queue,
    /// Which connection the bind is on: counted up, under the lock, with each that is bound or lost.
    connection: AtomicU64,
}

#[derive(Debug)]
struct Bind {
    mode: BindMode,
    state: LinkState,
    /// Places that nobody has; none while it is not bound.
    free: usize,
}

/// A place in the window of one bind's connection; given back when dropped, unless the connection has gone.
#[derive(Debug)]
pub(super) struct Place {
    /// None once it is with a request.
    binds: Option<Arc<Binds>>,
    seat: Seat,
}

/// Which place a request has. Whoever holds it sees to it that the place is given back once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    bind: usize,
    connection: u64,
    /// When its turn came, if there was a pace to keep then.
    turn: Option<Instant>,
}

impl Binds {
    /// Binds of these kinds. At most `window` requests wait on each, and at most `rate_max` leave in a second over all
    /// of them; 0: no limit.
    pub(super) fn new(modes: &[BindMode], window: u16, rate_max: u32) -> Self {
        let state = LinkState::Connecting;
        let outlet = || Outlet { queue: Queue::new(window.into()), connection: AtomicU64::new(0) };
        let (outlets, binds) =
            modes.iter().map(|mode| (outlet(), Bind { mode: *mode, state, free: 0 })).unzip();
        let began = Instant::now();
        let pacer = Pacer::new(rate_max, began.into_std());
        Self {
            window: window.into(),
            outlets,
            permits: Semaphore::new(0),
            line: tokio::sync::Mutex::new(()),
            inner: Mutex::new(Inner { binds, next: 0, pacer, began }),
            sending: watch::Sender::new(false),
            state: watch::Sender::new(state),
        }
    }

    /// A place that is free now, where there is no pace to keep.
    pub(super) fn place_at_once(self: &Arc<Self>) -> Option<Place> {
        let mut inner = self.inner();
        if inner.pacer.rate().is_some() {
            return None;
        }
        self.permits.try_acquire().ok()?.forget();
        self.take(&mut inner)
    }

    /// The next place, once its turn has come: the binds take turns. `None` where the link is closed.
    pub(super) async fn place(self: &Arc<Self>) -> Option<Place> {
        loop {
            self.permits.acquire().await.ok()?.forget();
            let taken = {
                let mut inner = self.inner();
                let paced = inner.pacer.rate().is_some();
                self.take(&mut inner).map(|place| (place, paced))
            };
            let Some((mut place, paced)) = taken else { continue };
            if !paced || place.turn().await {
                return Some(place);
            }
        }
    }

    /// A free place of the bind whose turn it is.
    fn take(self: &Arc<Self>, inner: &mut Inner) -> Option<Place> {
        let count = inner.binds.len();
        let mut order = (inner.next..count).chain(0..inner.next);
        let bind = order.find(|index| inner.binds.get(*index).is_some_and(|bind| bind.free > 0))?;
        inner.next = (bind + 1) % count;
        inner.binds.get_mut(bind)?.free -= 1;
        let seat = Seat { bind, connection: self.connection(bind), turn: None };
        Some(Place { binds: Some(Arc::clone(self)), seat })
    }

    /// What is to be sent over a bind, one of those there are.
    pub(super) fn queue(&self, bind: usize) -> &Queue {
        &self.outlets[bind].queue
    }

    /// Whether the connection that a place belongs to is still there.
    pub(super) fn lasts(&self, seat: Seat) -> bool {
        self.connection(seat.bind) == seat.connection
    }

    /// A request has ended, `now`; the pace follows what the SMSC answered, if it did. Its place is given back, unless it
    /// is to be kept and its connection is still there.
    pub(super) fn ended(
        self: &Arc<Self>,
        seat: Seat,
        now: Instant,
        status: Option<CommandStatus>,
        keep: bool,
    ) -> Option<Place> {
        let mut inner = self.inner();
        if let Some(status) = status {
            let sent = inner.sent(seat);
            inner.pacer.answered(now.into_std(), sent, status);
        }
        if keep && self.lasts(seat) {
            return Some(Place { binds: Some(Arc::clone(self)), seat });
        }
        self.give_back(&mut inner, seat);
        None
    }

    fn give_back(&self, inner: &mut Inner, seat: Seat) {
        if let Some(bind) = inner.binds.get_mut(seat.bind).filter(|_| self.lasts(seat)) {
            debug_assert!(bind.free < self.window, "a place comes back once");
            bind.free += 1;
            self.permits.add_permits(1);
        }
    }

    /// The pace follows the congestion_state that the SMSC reports.
    pub(super) fn congestion(&self, seat: Seat, state: CongestionState) {
        let mut inner = self.inner();
        let sent = inner.sent(seat);
        inner.pacer.congestion(Instant::now().into_std(), sent, state);
    }

    /// Which connection a bind is on.
    fn connection(&self, bind: usize) -> u64 {
        self.outlets.get(bind).map_or(0, |outlet| outlet.connection.load(Ordering::Acquire))
    }

    /// Notes what a bind is doing, opens and closes its places, and tells who waits for the link's state.
    pub(super) fn set(&self, index: usize, state: LinkState) {
        let mut inner = self.inner();
        let first = inner.sending().next().is_none();
        let Some(bind) = inner.binds.get_mut(index) else { return };
        let was = std::mem::replace(&mut bind.state, state);
        if bind.mode.submits() && (was == LinkState::Bound) != (state == LinkState::Bound) {
            if let Some(outlet) = self.outlets.get(index) {
                outlet.connection.fetch_add(1, Ordering::Release);
            }
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
        let sending = inner.sending().next().is_some();
        // Whoever waits with a place in the line keeps it while nothing has changed.
        self.sending.send_if_modified(|was| std::mem::replace(was, sending) != sending);
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
    /// Waits until the pace lets a request leave; false where the connection has gone meanwhile. Without a pace to keep
    /// nobody waits for another; else first come, first served.
    pub(super) async fn turn(&mut self) -> bool {
        let Self { binds: Some(binds), seat } = self else { return false };
        let mut first_in_line = None;
        loop {
            let wait = {
                if !binds.lasts(*seat) {
                    return false;
                }
                let mut inner = binds.inner();
                let now = Instant::now();
                match inner.pacer.wait(now.into_std()) {
                    None if first_in_line.is_some() || inner.pacer.rate().is_none() => {
                        inner.pacer.sent(now.into_std());
                        seat.turn = Some(now);
                        return true;
                    }
                    wait => wait,
                }
            };
            match wait {
                Some(until) if first_in_line.is_some() => sleep_until(until.into()).await,
                _ => first_in_line = Some(binds.line.lock().await),
            }
        }
    }

    /// Whether a request may leave now: there is no pace to keep.
    pub(super) fn turn_at_once(&mut self) -> bool {
        self.seat.turn = None;
        self.binds.as_ref().is_some_and(|binds| binds.rate().is_none())
    }

    /// Hands the command that `command` makes of its place to the task of its bind; one whose connection has gone is
    /// declined.
    pub(super) fn hand_over(mut self, command: impl FnOnce(Seat) -> Command) {
        let Some(binds) = self.binds.take() else { return };
        let queue = binds.queue(self.seat.bind);
        if let Err(declined) = queue.put(command(self.seat)) {
            declined.decline(&binds);
        }
    }
}

impl Inner {
    /// When a request left, for the pace: what left without one says nothing about a rate, like what left before.
    fn sent(&self, seat: Seat) -> std::time::Instant {
        seat.turn.unwrap_or(self.began).into_std()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(binds) = &self.binds {
            binds.give_back(&mut binds.inner(), self.seat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_change_of_what_sends_is_told() {
        let binds = Binds::new(&[BindMode::Transceiver, BindMode::Receiver], 1, 0);
        let mut sending = binds.sending();
        binds.set(0, LinkState::Bound);
        assert!(sending.has_changed().unwrap() && *sending.borrow_and_update());
        for state in [LinkState::Connecting, LinkState::Bound, LinkState::Connecting] {
            binds.set(1, state);
        }
        assert!(!sending.has_changed().unwrap(), "the other bind comes and goes");
        binds.set(0, LinkState::Connecting);
        assert!(sending.has_changed().unwrap() && !*sending.borrow_and_update());
    }
}
