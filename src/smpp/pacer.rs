//! How fast requests may leave: at most as configured, and no faster than the SMSC turns out to take them.

use std::time::{Duration, Instant};

use super::{CommandStatus, CongestionState};

/// How late a request may leave without costing the ones behind it anything: timers are not exact.
const SLACK: Duration = Duration::from_millis(20);

/// SMSCs count over a second: what they say within one after a change is about what was before it, and what they
/// refuse is weighed over one.
const SECOND: Duration = Duration::from_secs(1);

/// The least rate that is learned, in requests per second: whatever an SMSC refuses, it is asked again.
const RATE_MIN: f64 = 1.0;

/// The most that is worth counting.
const RATE_MAX: f64 = 1e6;

/// The share of a rate found too high that is given up beyond what was refused.
const CUT: f64 = 0.02;

/// Seconds at full use that it takes to try twice the rate, counted from when the rate found too high is reached again.
const DOUBLING_S: f64 = 40.0;

/// How far above the rate that was too high another limit is searched for.
const MOVED: f64 = 1.25;

/// The pace of the requests of one link.
///
/// The configured limit and the learned rate are kept by the generic cell rate algorithm: requests leave one interval
/// apart, and only 20 ms of lateness are made up for.
///
/// Nothing is learned until the SMSC first refuses a request for its rate. From then on the rate starts at what it has
/// taken within the last second and doubles every second of full use until it refuses again. What it refuses is weighed
/// over a second; the rate goes down to the share that was taken, less 2 %, and grows again as CUBIC does (RFC 9438):
/// slowly near the rate that was too high, the faster the longer nothing is refused. A link that is not used to the full
/// does not grow: an idle hour proves nothing.
#[derive(Debug)]
pub struct Pacer {
    limit: Option<f64>,
    learned: Option<Learned>,
    /// When the next request is due.
    due: Instant,
    taken: Meter,
}

/// A learned rate.
#[derive(Debug)]
struct Learned {
    growth: Growth,
    /// Seconds of full use since the last change.
    used_s: f64,
    /// Requests sent from then on show what the SMSC thinks of this rate.
    since: Instant,
    taken: u32,
    refused: u32,
    /// Whether one was refused for the rate itself.
    throttled: bool,
    /// When what is refused will be weighed, once something is.
    weighed_at: Option<Instant>,
}

/// How a rate grows, in requests per second.
#[derive(Debug, Clone, Copy)]
enum Growth {
    /// From this rate on: nothing is known about where the SMSC's limit is.
    Search(f64),
    /// Around this one, which was too high.
    Around(f64),
}

impl Pacer {
    /// The pace of a link: at most `limit` requests per second, 0 for no limit.
    #[must_use]
    pub fn new(limit: u32, now: Instant) -> Self {
        let limit = (limit > 0).then_some(f64::from(limit));
        Self { limit, learned: None, due: now, taken: Meter::new(now) }
    }

    /// When the next request may leave; `None`: now.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        self.rate().and(Some(self.due)).filter(|due| *due > now)
    }

    /// A request leaves.
    pub fn sent(&mut self, now: Instant) {
        let Some(rate) = self.rate() else { return };
        let on_time = now.saturating_duration_since(self.due) <= SLACK;
        if let Some(learned) = &mut self.learned
            && on_time
            && now >= learned.since
            && learned.weighed_at.is_none()
            && learned.rate() <= rate
        {
            learned.used_s += rate.recip();
            if learned.has_moved() {
                self.learn(now, Growth::Search(rate));
            }
        }
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.due = self.due.max(earliest) + interval(rate);
    }

    /// The response to a request that was sent at `sent`.
    ///
    /// ESME_RTHROTTLED is about the rate. ESME_RMSGQFUL and ESME_RSYSERR may be about one recipient or one message: they
    /// take the rate down by no more than 2 % at a time, unless nothing else is answered.
    pub fn answered(&mut self, now: Instant, sent: Instant, status: CommandStatus) {
        match status {
            CommandStatus::ESME_RTHROTTLED => self.refused(now, sent, true),
            CommandStatus::ESME_RMSGQFUL | CommandStatus::ESME_RSYSERR => self.refused(now, sent, false),
            // Whatever else it says about the message, it had time for it.
            _ => {
                self.taken.add(now);
                if let Some(learned) = self.learned.as_mut().filter(|learned| sent >= learned.since) {
                    learned.taken = learned.taken.saturating_add(1);
                }
            }
        }
        self.weigh(now);
    }

    /// The congestion_state in the response to a request that was sent at `sent`. An SMSC near congestion is
    /// treated as one whose queue is full; from its optimum on, the rate does not grow beyond what it refused before.
    pub fn congestion(&mut self, now: Instant, sent: Instant, state: CongestionState) {
        if state >= CongestionState::NEARING_CONGESTION {
            self.refused(now, sent, false);
        } else if state >= CongestionState::OPTIMUM_LOAD
            && let Some(learned) = &mut self.learned
        {
            learned.used_s = learned.used_s.min(return_s());
        }
    }

    /// Forgets what it has learned: another SMSC may be there.
    pub fn reset(&mut self, now: Instant) {
        self.learned = None;
        self.due = now;
        self.taken = Meter::new(now);
    }

    /// Requests per second that may leave at present; `None`: as many as the window lets through.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let learned = self.learned.as_ref().map(Learned::rate);
        learned.into_iter().chain(self.limit).reduce(f64::min)
    }

    fn refused(&mut self, now: Instant, sent: Instant, throttled: bool) {
        let Some(learned) = &mut self.learned else {
            let rate = self.taken.per_second(now).min(self.limit.unwrap_or(f64::INFINITY));
            return self.learn(now, Growth::Search(rate * (1.0 - CUT)));
        };
        if sent < learned.since {
            return;
        }
        if learned.weighed_at.is_none() {
            learned.weighed_at = Some(now + SECOND);
            if let Growth::Search(_) = learned.growth {
                // It was lower before.
                learned.taken = 0;
            }
        }
        learned.refused = learned.refused.saturating_add(1);
        learned.throttled |= throttled;
    }

    /// Lowers the rate when it is time.
    fn weigh(&mut self, now: Instant) {
        let Some(learned) = self.learned.as_ref() else { return };
        if learned.weighed_at.is_none_or(|at| now < at) {
            return;
        }
        let (taken, refused) = (f64::from(learned.taken), f64::from(learned.refused));
        // The limit, where lower, is what was refused.
        let rate = self.rate().unwrap_or(RATE_MIN);
        let growth = match learned.throttled {
            _ if learned.taken == 0 => Growth::Search(rate / 2.0),
            true => Growth::Around(rate * (taken + 0.5) / (taken + refused).max(taken + 0.5)),
            false => Growth::Around(rate),
        };
        self.learn(now, growth);
    }

    fn learn(&mut self, now: Instant, growth: Growth) {
        let learned = Learned {
            growth,
            used_s: 0.0,
            since: now + SECOND,
            taken: 0,
            refused: 0,
            throttled: false,
            weighed_at: None,
        };
        self.due = self.due.max(now + interval(learned.rate()));
        self.learned = Some(learned);
    }
}

impl Learned {
    /// Whether the rate is well above the one that was too high: the SMSC's limit is another one now.
    fn has_moved(&self) -> bool {
        matches!(self.growth, Growth::Around(high) if self.rate() > MOVED * high)
    }

    fn rate(&self) -> f64 {
        let rate = match self.growth {
            Growth::Search(from) => from.max(RATE_MIN) * self.used_s.exp2(),
            Growth::Around(high) => high * (1.0 + ((self.used_s - return_s()) / DOUBLING_S).powi(3)),
        };
        rate.clamp(RATE_MIN, RATE_MAX)
    }
}

/// Seconds at full use until the rate that was too high is reached again.
fn return_s() -> f64 {
    DOUBLING_S * CUT.cbrt()
}

fn interval(rate: f64) -> Duration {
    Duration::from_secs_f64(rate.recip())
}

/// Events within the last second, taken as spread evenly over the second before.
#[derive(Debug)]
struct Meter {
    since: Instant,
    current: u32,
    previous: u32,
}

impl Meter {
    const fn new(now: Instant) -> Self {
        Self { since: now, current: 0, previous: 0 }
    }

    fn add(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= 2 * SECOND {
            *self = Self::new(now);
        } else if passed >= SECOND {
            *self = Self { since: self.since + SECOND, current: 0, previous: self.current };
        }
        self.current = self.current.saturating_add(1);
    }

    fn per_second(&self, now: Instant) -> f64 {
        let passed_s = now.saturating_duration_since(self.since).as_secs_f64();
        let share = |second: f64| (second - passed_s).clamp(0.0, 1.0);
        f64::from(self.previous) * share(1.0) + f64::from(self.current) * share(2.0)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant serves as a start here")]
mod tests;
