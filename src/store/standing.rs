//! Which sequences are durable, which were lost, and whether the store serves.

use super::{Seq, StoreError};

/// Most separate ranges of lost sequences that are remembered; older ones are merged.
const LOST_RANGES_MAX: usize = 16;

/// Whether the store serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// It does.
    Open,
    /// It will again, after an I/O error.
    Poisoned,
    /// It never will again.
    Closed,
}

/// What waits for durability look at.
#[derive(Debug)]
pub(super) struct Standing {
    service: Service,
    /// Every sequence up to here is decided: durable, or in `lost`.
    durable: u64,
    /// First and last sequence of each failure, oldest first.
    lost: Vec<(u64, u64)>,
}

impl Standing {
    pub(super) const fn new() -> Self {
        Self { service: Service::Open, durable: 0, lost: Vec::new() }
    }

    /// An error where the store does not serve.
    pub(super) const fn serves(&self) -> Result<(), StoreError> {
        match self.service {
            Service::Open => Ok(()),
            Service::Poisoned => Err(StoreError::Poisoned),
            Service::Closed => Err(StoreError::Closed),
        }
    }

    pub(super) const fn set(&mut self, service: Service) {
        self.service = service;
    }

    /// Everything up to `seq` is on the disk. Whether that is news.
    pub(super) fn advance(&mut self, seq: u64) -> bool {
        let news = seq > self.durable;
        self.durable = self.durable.max(seq);
        news
    }

    /// What lies behind the durable sequence, up to `applied`, may be lost.
    pub(super) fn lose(&mut self, applied: u64) {
        if applied <= self.durable {
            return;
        }
        self.lost.push((self.durable + 1, applied));
        self.durable = applied;
        if self.lost.len() > LOST_RANGES_MAX {
            // What lies between the two oldest is reported lost although it is not: an error, never a false promise.
            let (first, _) = self.lost.remove(0);
            if let Some(second) = self.lost.first_mut() {
                second.0 = first;
            }
        }
    }

    /// Whether `seq` is durable, lost, or (`None`) not decided yet.
    pub(super) fn verdict(&self, seq: Seq) -> Option<Result<(), StoreError>> {
        if self.lost.iter().any(|(first, last)| (*first..=*last).contains(&seq.0)) {
            return Some(Err(StoreError::Lost(seq)));
        }
        if seq.0 <= self.durable {
            return Some(Ok(()));
        }
        (self.service == Service::Closed).then_some(Err(StoreError::Closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_sequences_stay_lost_when_later_ones_become_durable() {
        let mut standing = Standing::new();
        standing.advance(3);
        standing.lose(5);
        standing.advance(8);
        assert_eq!(standing.verdict(Seq(3)), Some(Ok(())));
        assert_eq!(standing.verdict(Seq(4)), Some(Err(StoreError::Lost(Seq(4)))));
        assert_eq!(standing.verdict(Seq(6)), Some(Ok(())));
        assert_eq!(standing.verdict(Seq(9)), None);
    }

    #[test]
    fn remembered_failures_are_bounded_and_never_forgotten() {
        let mut standing = Standing::new();
        for failure in 0..100 {
            standing.advance(failure * 10 + 5);
            standing.lose(failure * 10 + 7);
        }
        assert_eq!(standing.lost.len(), LOST_RANGES_MAX);
        assert_eq!(standing.verdict(Seq(6)), Some(Err(StoreError::Lost(Seq(6)))));
        assert_eq!(standing.verdict(Seq(996)), Some(Err(StoreError::Lost(Seq(996)))));
        assert_eq!(standing.verdict(Seq(995)), Some(Ok(())));
    }
}
