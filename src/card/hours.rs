//! The hours of the day in which cards are written over the air.

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Delivery hours: the same every day. Between them no write, and no repetition of one, goes out over a link; one that
/// falls due waits until they begin. Polls and answers to the card change nothing on it and go out at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryHours {
    /// When they begin: minutes after midnight, below 1440.
    pub from_min: u16,
    /// When they end: minutes after midnight, below 1440. Before `from_min` it is on the next day; the same
    /// is a whole day.
    pub to_min: u16,
    /// How far the clock that they are read from is ahead of UTC, in minutes.
    pub utc_offset_min: i16,
}

impl DeliveryHours {
    /// The first moment from `at` on that lies in the hours, unix ms: `at` itself where it does.
    #[must_use]
    pub fn opens(&self, at: u64) -> u64 {
        let (since, length) = self.place(at);
        if since < length { at } else { at.saturating_add(DAY_MS - since) }
    }

    /// When the hours that `at` lies in end, unix ms: `at` itself where it lies in none, never where they are the whole
    /// day.
    #[must_use]
    pub fn closes(&self, at: u64) -> u64 {
        match self.place(at) {
            (_, DAY_MS) => u64::MAX,
            (since, length) => at.saturating_add(length.saturating_sub(since)),
        }
    }

    /// How long the hours had begun at `at`, below a day, and how long they are, ms.
    fn place(&self, at: u64) -> (u64, u64) {
        let [from, to] = [self.from_min, self.to_min].map(|minutes| u64::from(minutes) * MINUTE_MS % DAY_MS);
        let ahead = i64::from(self.utc_offset_min) * 60_000;
        let time_of_day = at.saturating_add_signed(ahead) % DAY_MS;
        let length = (to + DAY_MS - from) % DAY_MS;
        ((time_of_day + DAY_MS - from) % DAY_MS, if length == 0 { DAY_MS } else { length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01 00:00 UTC.
    const MIDNIGHT: u64 = 1_767_225_600_000;
    const HOUR: u64 = 60 * MINUTE_MS;

    fn hours(from: u16, to: u16, ahead: i16) -> DeliveryHours {
        DeliveryHours { from_min: from * 60, to_min: to * 60, utc_offset_min: ahead * 60 }
    }

    #[test]
    fn hours_open_and_close_on_the_clock_they_are_read_from() {
        // Hours, time of day in UTC, hours until they open, hours until they close.
        for (hours, at, opens, closes) in [
            (hours(8, 20, 0), 8, 0, 12),
            (hours(8, 20, 0), 19, 0, 1),
            (hours(8, 20, 0), 20, 12, 0),
            (hours(8, 20, 0), 7, 1, 0),
            (hours(22, 6, 0), 22, 0, 8),
            (hours(22, 6, 0), 23, 0, 7),
            (hours(22, 6, 0), 0, 0, 6),
            (hours(22, 6, 0), 6, 16, 0),
            (hours(22, 6, 2), 20, 0, 8),
            (hours(22, 6, -3), 0, 1, 0),
            (hours(22, 6, -3), 8, 0, 1),
        ] {
            let now = MIDNIGHT + at * HOUR;
            assert_eq!((hours.opens(now) - now) / HOUR, opens, "{hours:?} at {at}");
            assert_eq!((hours.closes(now) - now) / HOUR, closes, "{hours:?} at {at}");
        }
        assert_eq!(hours(8, 20, 0).opens(MIDNIGHT + 20 * HOUR - 1), MIDNIGHT + 20 * HOUR - 1);
        assert_eq!(hours(8, 20, -12).opens(0), 8 * HOUR, "before the clock begins");
        let whole_day = hours(9, 9, 5);
        assert_eq!((whole_day.opens(MIDNIGHT), whole_day.closes(MIDNIGHT)), (MIDNIGHT, u64::MAX));
    }
}
