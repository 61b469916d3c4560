//! Requests that wait for their response: an array indexed by sequence number, linked from the oldest to the newest.

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
    /// The caller's, of any kind but a bind.
    Request(T),
    /// The caller's bind.
    Bind(BindMode, T),
    EnquireLink,
    Unbind,
}

impl<T> What<T> {
    const fn is_callers(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Bind(..))
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
    /// Neighbours in the order of sending, while it waits.
    older: Option<usize>,
    newer: Option<usize>,
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
    /// A power of two of them.
    slots: Vec<Slot<T>>,
    next: u32,
    /// Waiting requests of the caller.
    in_flight: usize,
    oldest: Option<usize>,
    newest: Option<usize>,
}

impl<T> Slots<T> {
    /// Room for `window` (at least 1) requests of the caller and the session's own.
    pub(super) fn new(window: u16, first_sequence: u32) -> Self {
        let count = (usize::from(window) * MEMORY + OWN).next_power_of_two();
        let empty = || Slot { sequence: 0, state: State::Done, older: None, newer: None };
        Self {
            slots: (0..count).map(|_| empty()).collect(),
            next: first_sequence.clamp(1, LAST_SEQUENCE),
            in_flight: 0,
            oldest: None,
            newest: None,
        }
    }

    /// Waiting requests of the caller.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When the oldest waiting request was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        match &self.slots.get(self.oldest?)?.state {
            State::Waiting(request) => Some(request.sent),
            State::TimedOut | State::Done => None,
        }
    }

    /// Registers a request under the next sequence number whose slot is free.
    ///
    /// The session sends at most a window of the caller's requests, one enquire_link and one unbind, so a
    /// slot is always free, and the search ends within two rounds.
    pub(super) fn insert(&mut self, request: Request<T>) -> u32 {
        let callers = usize::from(request.what.is_callers());
        let older = self.newest;
        loop {
            let sequence = self.next_sequence();
            let index = self.index(sequence);
            if let Some(slot) = self.slots.get_mut(index)
                && !matches!(slot.state, State::Waiting(_))
            {
                *slot = Slot { sequence, state: State::Waiting(request), older, newer: None };
                match older.and_then(|older| self.slots.get_mut(older)) {
                    Some(older) => older.newer = Some(index),
                    None => self.oldest = Some(index),
                }
                self.newest = Some(index);
                self.in_flight += callers;
                return sequence;
            }
        }
    }

    /// The next sequence number, for a PDU that nothing answers.
    pub(super) const fn next_sequence(&mut self) -> u32 {
        let sequence = self.next;
        self.next = if sequence == LAST_SEQUENCE { 1 } else { sequence + 1 };
        sequence
    }

    /// Takes out the request that `response` with this sequence number answers.
    pub(super) fn take(&mut self, sequence: u32, response: CommandId) -> Taken<T> {
        let index = self.index(sequence);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.sequence == sequence && sequence != 0)
        else {
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
        self.remove(index, State::Done).map_or(Taken::Unexpected, |(_, request)| Taken::Request(request))
    }

    /// Takes out the oldest waiting request if it was sent `timeout` or longer before `now`.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) -> Option<(u32, Request<T>)> {
        self.oldest().filter(|sent| now.saturating_duration_since(*sent) >= timeout)?;
        self.remove(self.oldest?, State::TimedOut)
    }

    /// Takes out the oldest waiting request.
    pub(super) fn pop(&mut self) -> Option<(u32, Request<T>)> {
        self.remove(self.oldest?, State::Done)
    }

    /// Takes a waiting request out of its slot and out of the line.
    fn remove(&mut self, index: usize, then: State<T>) -> Option<(u32, Request<T>)> {
        let slot = self.slots.get_mut(index)?;
        let State::Waiting(request) = std::mem::replace(&mut slot.state, then) else { return None };
        let (sequence, older, newer) = (slot.sequence, slot.older, slot.newer);
        match older.and_then(|older| self.slots.get_mut(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.slots.get_mut(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.in_flight -= usize::from(request.what.is_callers());
        Some((sequence, request))
    }

    const fn index(&self, sequence: u32) -> usize {
        // A platform with narrower addresses than sequence numbers would only reuse slots earlier.
        sequence as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant serves as a start here")]
mod tests {
    use super::*;

    fn request(token: u32, sent: Instant) -> Request<u32> {
        Request { response: CommandId::SUBMIT_SM_RESP, sent, what: What::Request(token) }
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
        let mut slots = Slots::new(4, 1);
        let timeout = Duration::from_secs(30);
        let due = start + timeout;
        let old = slots.insert(request(0, start));
        let young = slots.insert(request(1, start + Duration::from_secs(1)));
        assert_eq!(slots.expire(due, timeout).map(|(sequence, _)| sequence), Some(old));
        assert!(slots.expire(due, timeout).is_none());
        assert!(matches!(slots.take(old, CommandId::SUBMIT_SM_RESP), Taken::Late));
        assert!(matches!(slots.take(old, CommandId::SUBMIT_SM_RESP), Taken::Unexpected));
        assert_eq!(slots.pop().map(|(sequence, _)| sequence), Some(young));
        assert!(slots.pop().is_none());
    }

    /// Whatever is taken out from the middle of the line, its oldest is always known.
    #[test]
    fn the_line_stays_whole_however_responses_come() {
        let start = Instant::now();
        let mut slots = Slots::new(8, LAST_SEQUENCE - 100);
        let mut waiting = Vec::new();
        for step in 0..1000_u32 {
            if waiting.len() < 8 {
                let sent = start + Duration::from_secs(u64::from(step));
                waiting.push((slots.insert(request(step, sent)), sent));
            }
            if step % 3 != 0 || waiting.len() == 8 {
                let (sequence, _) = waiting.remove(step as usize * 7 % waiting.len());
                assert!(matches!(slots.take(sequence, CommandId::SUBMIT_SM_RESP), Taken::Request(_)));
            }
            assert_eq!(slots.oldest(), waiting.first().map(|(_, sent)| *sent));
            assert_eq!(slots.in_flight(), waiting.len());
        }
        for (sequence, _) in waiting {
            assert_eq!(slots.pop().map(|(popped, _)| popped), Some(sequence));
        }
        assert!(slots.pop().is_none());
    }
}
