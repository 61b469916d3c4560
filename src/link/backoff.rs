//! How long to wait before connecting again.

use std::time::Duration;

use crate::world::Rng;

/// Exponential back-off with jitter: the n-th wait in a row is between half and all of `first * 2^n`, at most
/// `max`.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The next wait; each is longer than the one before until [`Self::reset`].
    pub(super) fn next(&mut self, rng: &dyn Rng) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(factor).min(self.max);
        let half_us = u64::try_from((whole / 2).as_micros()).unwrap_or(u64::MAX / 2);
        whole - Duration::from_micros(rng.below(half_us + 1))
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SeededRng;

    #[test]
    fn doubles_with_jitter_up_to_the_maximum() {
        let ms = Duration::from_millis;
        for seed in 0..50 {
            let rng = SeededRng::new(seed);
            let mut backoff = Backoff::new(ms(500), ms(30_000));
            for whole in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
                let wait = backoff.next(&rng);
                assert!(wait >= ms(whole / 2) && wait <= ms(whole), "{wait:?} for {whole} ms, seed {seed}");
            }
            backoff.failures = u32::MAX;
            assert!(backoff.next(&rng) >= ms(15_000));
            backoff.reset();
            assert!(backoff.next(&rng) <= ms(500));
        }
    }

    #[test]
    fn two_links_do_not_wait_alike() {
        let wait =
            |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).next(&SeededRng::new(seed));
        assert_ne!(wait(1), wait(2));
    }
}
