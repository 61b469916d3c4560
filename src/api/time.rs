//! Points in time as the API spells them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time: RFC 3339, shown in UTC with milliseconds. Read with any offset and any fraction of a second; what is
/// finer than a millisecond is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000Z")]
pub struct Timestamp(u64);

impl NoTimestamp {
    /// What a point in time looks like.
    pub(super) const EXPECTED: &str = "a date-time of RFC 3339 from 1970 on, such as 2026-01-31T12:00:00Z";
}

/// The last millisecond that RFC 3339 can spell: four digits of year.
const LAST: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The time of this many milliseconds since 1970. Times beyond the year 9999 are shown as its end.
    #[must_use]
    pub const fn from_unix_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = i64::try_from(self.0.min(LAST)).unwrap_or_default();
        let time = DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = NoTimestamp;

    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NoTimestamp)?;
        u64::try_from(time.timestamp_millis()).map(Self).map_err(|_| NoTimestamp)
    }
}

/// A text that is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("time: expected {}", Self::EXPECTED)]
pub struct NoTimestamp;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_unix_ms(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_unix_ms(1_769_860_800_123).to_string(), "2026-01-31T12:00:00.123Z");
        assert_eq!(Timestamp::from_unix_ms(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn offsets_are_read_and_other_texts_refused() {
        let read = |text: &str| text.parse::<Timestamp>().map(Timestamp::unix_ms);
        assert_eq!(read("2026-01-31T20:00:00.1239+08:00"), Ok(1_769_860_800_123));
        assert_eq!(read("2026-01-31T12:00:00Z"), Ok(1_769_860_800_000));
        for text in ["", "2026-01-31", "2026-01-31T12:00:00", "1769860800", "1969-12-31T23:59:59Z"] {
            assert_eq!(read(text), Err(NoTimestamp), "{text}");
        }
    }
}
