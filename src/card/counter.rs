//! The counters of a card: the platform's own (MT) and the replay window over the card's (MO). The two never mix.

use std::collections::VecDeque;

use crate::ota::Cntr;

/// How far the counter of one scope is advanced when the store was restored from an older copy (mode "must be higher").
/// No multiple of 256: the concatenation references of packets follow the CNTR, and those of the packets before, which
/// the copy does not know, may still be open.
pub const RESTORE_GAP: u64 = (1 << 16) + (1 << 7);

/// Most counter scopes of a card.
pub const COUNTERS_MAX: usize = 16;

/// How many MO counters below the highest one are remembered.
pub const WINDOW: usize = 64;

/// The last CNTR issued in one scope (`rules`: counters never go back within their scope).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// `*` (the whole card), a key set or a TAR, as the profile says.
    pub scope: String,
    /// The last CNTR issued; 0 where none was.
    pub last: u64,
    /// The store's epoch when it was issued.
    pub epoch: u64,
}

impl Counter {
    /// The next CNTR, or `None` when the counter is used up: FFFFFFFFFF blocks the card and is never issued.
    #[must_use]
    pub fn next(&self) -> Option<Cntr> {
        let next = self.last.checked_add(1)?;
        Cntr::try_from(next).ok().filter(|cntr| *cntr != Cntr::MAX)
    }

    /// Enters `epoch`: where an older one had issued any, those that the restored copy does not know are skipped.
    pub fn catch_up(&mut self, epoch: u64) {
        if self.epoch < epoch {
            self.epoch = epoch;
            if self.last > 0 {
                self.last = self.last.saturating_add(RESTORE_GAP);
            }
        }
    }
}

/// What the replay window says about an MO counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Not seen before and inside the window, or above it.
    New,
    /// Seen with the same contents.
    Duplicate,
    /// Seen with other contents, or below the window.
    Refused,
}

/// A replay window over the counters of a card's own messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MoWindow {
    /// The highest counter accepted.
    pub highest: u64,
    /// Counters seen inside the window, each with a digest of its packet; at most [`WINDOW`], oldest arrival first.
    pub seen: VecDeque<(u64, u64)>,
}

impl MoWindow {
    /// Judges a packet with this counter and digest; changes nothing.
    #[must_use]
    pub fn judge(&self, cntr: u64, digest: u64) -> Replay {
        match self.seen.iter().find(|(seen, _)| *seen == cntr) {
            Some((_, known)) if *known == digest => return Replay::Duplicate,
            Some(_) if cntr <= self.highest => return Replay::Refused,
            // Seen above the highest: before a reset, so that this is another message.
            Some(_) | None => {}
        }
        // Before the first message every counter is new, 0 too.
        let below = self.highest.saturating_sub(cntr);
        if below >= WINDOW as u64 || (below == 0 && self.highest == cntr && self.highest != 0) {
            Replay::Refused
        } else {
            Replay::New
        }
    }

    /// Takes note of a packet judged [`Replay::New`].
    pub fn accept(&mut self, cntr: u64, digest: u64) {
        self.highest = self.highest.max(cntr);
        let lowest = self.highest.saturating_sub(WINDOW as u64 - 1);
        self.seen.retain(|(seen, _)| *seen >= lowest && *seen != cntr);
        if self.seen.len() >= WINDOW {
            self.seen.pop_front();
        }
        self.seen.push_back((cntr, digest));
    }

    /// Starts anew at the counter that the card itself reports in an authenticated answer. What was seen above it stays
    /// known: a message may have overtaken the answer, and its repetition must not count as new.
    pub fn reset(&mut self, highest: u64) {
        self.highest = highest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_starts_at_its_floor_jumps_after_a_restore_and_ends_before_the_last() {
        let next = |last, epoch| {
            let mut counter = Counter { scope: "*".into(), last, epoch: 1 };
            counter.catch_up(epoch);
            counter.catch_up(epoch);
            counter.next()
        };
        assert_eq!(next(0, 1), Cntr::try_from(1).ok());
        assert_eq!(next(0, 2), Cntr::try_from(1).ok());
        assert_eq!(next(41, 1), Cntr::try_from(42).ok());
        assert_eq!(next(41, 2), Cntr::try_from(42 + RESTORE_GAP).ok());
        assert_eq!(next(0xFF_FFFF_FFFD, 1), Cntr::try_from(0xFF_FFFF_FFFE).ok());
        assert_eq!(next(0xFF_FFFF_FFFE, 1), None);
        assert_eq!(next(u64::MAX, 2), None);
    }

    #[test]
    fn the_window_tells_new_duplicate_and_refused_apart() {
        let mut window = MoWindow::default();
        assert_eq!(window.judge(100, 7), Replay::New);
        window.accept(100, 7);
        assert_eq!(window.judge(100, 7), Replay::Duplicate);
        assert_eq!(window.judge(100, 8), Replay::Refused);
        assert_eq!(window.judge(37, 1), Replay::New);
        assert_eq!(window.judge(36, 1), Replay::Refused);
        window.accept(37, 1);
        window.accept(101, 9);
        assert_eq!(window.judge(37, 1), Replay::Refused, "it has fallen out of the window");
        window.reset(5);
        assert_eq!(window.judge(6, 1), Replay::New, "a card whose counter went back is heard again");
        assert_eq!(window.judge(5, 1), Replay::Refused);
        assert_eq!(window.judge(101, 9), Replay::Duplicate, "what came before the reset is still known");
        assert_eq!(window.judge(101, 10), Replay::New, "and does not stand in the way of what comes after");
        window.accept(101, 10);
        assert_eq!(window.judge(101, 10), Replay::Duplicate);
        assert_eq!(window.judge(101, 9), Replay::Refused);
    }
}
