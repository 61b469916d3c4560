//! Requests that wait for their response: an array indexed by sequence number.

use std::time::{Duration, Instant};

use crate::smpp::{BindMode, CommandId};

/// The highest sequence number (§3.2); 1 follows it.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;

/// Slots beyond the window, for the session's own enquire_link and unbind.
const OWN: usize = 2;

/// Slots for each request of the window: those not in use remember timed-out requests, so that a late
/// response is told from a response to nothing.
const MEMORY: usize = 4;

/// A request under way.
#[derive(Debug)]
pub(super) struct Request<T> {
    pub(super) response: CommandId,
    pub(super) sent: Instant,
    pub(super) what: What<T>,
}

/// Whose request it is.
#[derive(Debug)]
pub(super) enum What<T> {
    /// The caller's short message.
    Sm(T),
    /// The caller's bind.
    Bind(BindMode, T),
    EnquireLink,
    Unbind,
}

impl<T> What<T> {
    const fn is_callers(&self) -> bool {
        matches!(self, Self::Sm(_) | Self::Bind(..))
    }
}

/// What a response belongs to.
#[derive(Debug)]
pub(super) enum Taken<T> {
    Request(Request<T>),
    /// A request that timed out a while ago.
    Late,
    /// No request, one answered already, or one that asks for another response.
    Unexpected,
}

#[derive(Debug)]
struct Slot<T> {
    /// The sequence number this slot was used for last; 0 for none.
    sequence: u32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Waiting(Request<T>),
    TimedOut,
    Done,
}

/// A sequence number belongs to the slot at its remainder. Numbers whose slot still waits are skipped, so the
/// array stays as small as the window however slow single responses are.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    next: u32,
    /// Waiting requests of the caller.
    in_flight: usize,
}

impl<T> Slots<T> {
    /// Room for `window` (at least 1) requests of the caller and the session's own.
    pub(super) fn new(window: u16, first_sequence: u32) -> Self {
        let count = usize::from(window) * MEMORY + OWN;
        let slots = (0..count).map(|_| Slot { sequence: 0, state: State::Done }).collect();
        Self { slots, next: first_sequence.clamp(1, LAST_SEQUENCE), in_flight: 0 }
    }

    /// Waiting requests of the caller.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Registers a request under the next sequence number whose slot is free.
    ///
    /// The session sends at most a window of the caller's requests, one enquire_link and one unbind, so a
    /// slot is always free, and the search ends within two rounds.
    pub(super) fn insert(&mut self, request: Request<T>) -> u32 {
        let callers = usize::from(request.what.is_callers());
        loop {
            let sequence = self.next;
            self.next = if sequence == LAST_SEQUENCE { 1 } else { sequence + 1 };
            if let Some(slot) = self.slot(sequence)
                && !matches!(slot.state, State::Waiting(_))
            {
                *slot = Slot { sequence, state: State::Waiting(request) };
                self.in_flight += callers;
                return sequence;
            }
        }
    }

    /// Takes out the request that `response` with this sequence number answers.
    pub(super) fn take(&mut self, sequence: u32, response: CommandId) -> Taken<T> {
        let Some(slot) = self.slot(sequence).filter(|slot| slot.sequence == sequence && sequence != 0) else {
            return Taken::Unexpected;
        };
        match &slot.state {
            State::Waiting(request)
                if response == request.response || response == CommandId::GENERIC_NACK => {}
            State::Waiting(_) | State::Done => return Taken::Unexpected,
            State::TimedOut => {
                slot.state = State::Done;
                return Taken::Late;
            }
        }
        match std::mem::replace(&mut slot.state, State::Done) {
            State::Waiting(request) => {
                self.in_flight -= usize::from(request.what.is_callers());
                Taken::Request(request)
            }
            State::TimedOut | State::Done => Taken::Unexpected,
        }
    }

    /// Takes out the oldest waiting request if it was sent `timeout` or longer before `now`.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) -> Option<(u32, Request<T>)> {
        self.take_oldest(|sent| now.saturating_duration_since(sent) >= timeout, State::TimedOut)
    }

    /// Takes out the oldest waiting request.
    pub(super) fn pop(&mut self) -> Option<(u32, Request<T>)> {
        self.take_oldest(|_| true, State::Done)
    }

    /// When the oldest waiting request was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.iter().filter_map(Slot::sent).min()
    }

    fn take_oldest(&mut self, due: impl Fn(Instant) -> bool, then: State<T>) -> Option<(u32, Request<T>)> {
        let waiting = self.slots.iter_mut().filter_map(|slot| slot.sent().map(|sent| (sent, slot)));
        let (sent, slot) = waiting.min_by_key(|(sent, slot)| (*sent, slot.sequence))?;
        if !due(sent) {
            return None;
        }
        match std::mem::replace(&mut slot.state, then) {
            State::Waiting(request) => {
                self.in_flight -= usize::from(request.what.is_callers());
                Some((slot.sequence, request))
            }
            State::TimedOut | State::Done => None,
        }
    }

    fn slot(&mut self, sequence: u32) -> Option<&mut Slot<T>> {
        let count = self.slots.len();
        usize::try_from(sequence).ok().and_then(|sequence| self.slots.get_mut(sequence % count))
    }
}

impl<T> Slot<T> {
    const fn sent(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(request) => Some(request.sent),
            State::TimedOut | State::Done => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant serves as a start here")]
mod tests {
    use super::*;

    fn request(token: u32, sent: Instant) -> Request<u32> {
        Request { response: CommandId::SUBMIT_SM_RESP, sent, what: What::Sm(token) }
    }

    #[test]
    fn sequence_wraps_to_one_and_skips_what_still_waits() {
        let now = Instant::now();
        let mut slots = Slots::new(2, LAST_SEQUENCE);
        assert_eq!(slots.insert(request(0, now)), LAST_SEQUENCE);
        assert_eq!(slots.insert(request(1, now)), 1);
        for _ in 0..100 {
            let sequence = slots.insert(request(2, now));
            assert!(sequence > 1 && sequence < LAST_SEQUENCE);
            assert!(matches!(slots.take(sequence, CommandId::SUBMIT_SM_RESP), Taken::Request(_)));
        }
        assert!(matches!(slots.take(1, CommandId::SUBMIT_SM_RESP), Taken::Request(_)));
        assert_eq!(slots.in_flight(), 1);
    }

    #[test]
    fn a_response_takes_its_request_once() {
        let now = Instant::now();
        let mut slots = Slots::new(4, 1);
        let sequence = slots.insert(request(7, now));
        assert!(matches!(slots.take(sequence, CommandId::DELIVER_SM_RESP), Taken::Unexpected));
        assert!(matches!(slots.take(sequence + 1, CommandId::SUBMIT_SM_RESP), Taken::Unexpected));
        assert!(matches!(slots.take(0, CommandId::GENERIC_NACK), Taken::Unexpected));
        assert!(matches!(slots.take(sequence, CommandId::GENERIC_NACK), Taken::Request(_)));
        assert!(matches!(slots.take(sequence, CommandId::SUBMIT_SM_RESP), Taken::Unexpected));
        assert_eq!(slots.in_flight(), 0);
    }

    #[test]
    fn expires_oldest_first_and_knows_late_responses() {
        let start = Instant::now();
        let timeout = Duration::from_secs(30);
        let mut slots = Slots::new(4, 1);
        let old = slots.insert(request(0, start));
        let young = slots.insert(request(1, start + Duration::from_secs(1)));
        let due = start + timeout;
        assert_eq!(slots.expire(due, timeout).map(|(sequence, _)| sequence), Some(old));
        assert!(slots.expire(due, timeout).is_none());
        assert!(matches!(slots.take(old, CommandId::SUBMIT_SM_RESP), Taken::Late));
        assert!(matches!(slots.take(old, CommandId::SUBMIT_SM_RESP), Taken::Unexpected));
        assert_eq!(slots.pop().map(|(sequence, _)| sequence), Some(young));
        assert!(slots.pop().is_none());
    }
}
