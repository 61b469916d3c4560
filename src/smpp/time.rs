//! Times of SMPP (§7.1.1), in 16 characters: relative ones, `YYMMDDhhmmss000R`, counted from when the SMSC receives the
//! message, and absolute ones, `YYMMDDhhmmsstnnp`: tenths of a second, then the quarters of an hour that the clock is
//! ahead (`+`) or behind (`-`) of UTC.

use chrono::{DateTime, Datelike, NaiveDate};

use super::COctetString;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// The longest time [`relative`] writes: months and years differ in length, so days are the largest unit used.
pub const RELATIVE_MAX_S: u64 = 31 * DAY_S;

/// The most quarters of an hour that a clock is ahead or behind of UTC in an absolute time: 12 hours.
pub const UTC_OFFSET_QUARTERS_MAX: i8 = 48;

const QUARTER_MS: i64 = 15 * 60 * 1000;

/// A relative time of `seconds`, cut to 1 s to 31 days.
#[must_use]
pub fn relative(seconds: u64) -> COctetString<16> {
    let seconds = seconds.clamp(1, RELATIVE_MAX_S);
    let (days, hours) = (seconds / DAY_S, seconds % DAY_S / HOUR_S);
    let (minutes, seconds) = (seconds % HOUR_S / MINUTE_S, seconds % MINUTE_S);
    format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R").parse().unwrap_or_default()
}

/// The seconds of a relative time, a month taken as 30 and a year as 365 days; `None` for absolute times and
/// anything else.
#[must_use]
pub fn relative_seconds(text: &COctetString<16>) -> Option<u64> {
    let (digits, suffix) = text.as_bytes().split_at_checked(12)?;
    if suffix.len() != 4 || !suffix.ends_with(b"R") {
        return None;
    }
    digits.chunks(2).zip([365 * DAY_S, 30 * DAY_S, DAY_S, HOUR_S, MINUTE_S, 1]).try_fold(
        0,
        |sum, (pair, unit)| {
            let [tens, units] = pair else { return None };
            let digit = |octet: u8| char::from(octet).to_digit(10).map(u64::from);
            Some(sum + (digit(*tens)? * 10 + digit(*units)?) * unit)
        },
    )
}

/// The absolute time of `unix_ms`, to the second, by a clock that is `offset_quarters` quarters of an hour ahead of UTC
/// (cut to 48 either way). Empty where the year is not one of 2000 to 2099.
#[must_use]
pub fn absolute(unix_ms: u64, offset_quarters: i8) -> COctetString<16> {
    let offset = offset_quarters.clamp(-UTC_OFFSET_QUARTERS_MAX, UTC_OFFSET_QUARTERS_MAX);
    let local_ms = i64::try_from(unix_ms).ok().and_then(|ms| ms.checked_add(i64::from(offset) * QUARTER_MS));
    let local = local_ms.and_then(DateTime::from_timestamp_millis);
    let Some(local) = local.filter(|local| (2000..2100).contains(&local.year())) else {
        return COctetString::EMPTY;
    };
    let sign = if offset < 0 { '-' } else { '+' };
    let text = format!("{}0{:02}{sign}", local.format("%y%m%d%H%M%S"), offset.unsigned_abs());
    text.parse().unwrap_or_default()
}

/// The moment that a time names, unix ms, where a relative one is counted from `now_ms`; `None` for what is no time.
#[must_use]
pub fn moment_ms(text: &COctetString<16>, now_ms: u64) -> Option<u64> {
    match relative_seconds(text) {
        Some(seconds) => now_ms.checked_add(seconds * 1000),
        None => absolute_ms(text.as_bytes()),
    }
}

fn absolute_ms(text: &[u8]) -> Option<u64> {
    let (digits, sign) = text.split_at_checked(15)?;
    let number = |from: usize, length: usize| {
        digits
            .get(from..from + length)?
            .iter()
            .try_fold(0_u32, |number, octet| Some(number * 10 + char::from(*octet).to_digit(10)?))
    };
    let year = i32::try_from(2000 + number(0, 2)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(2, 2)?, number(4, 2)?)?;
    let local = date.and_hms_milli_opt(number(6, 2)?, number(8, 2)?, number(10, 2)?, number(12, 1)? * 100)?;
    let offset_ms = i64::from(number(13, 2)?) * QUARTER_MS;
    let local_ms = local.and_utc().timestamp_millis();
    let utc_ms = match sign {
        b"+" => local_ms - offset_ms,
        b"-" => local_ms + offset_ms,
        _ => return None,
    };
    u64::try_from(utc_ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T01:22:00Z.
    const SENT_MS: u64 = 1_795_396_920_000;

    #[test]
    fn absolute_times_name_the_clock_s_zone() {
        let text = |offset| absolute(SENT_MS, offset).to_string();
        assert_eq!(text(0), "261123012200000+");
        assert_eq!(text(32), "261123092200032+");
        assert_eq!(text(-14), "261122215200014-");
        assert_eq!(text(127), "261123132200048+");
        assert!(absolute(u64::MAX, 0).is_empty());
        assert!(absolute(5_000_000_000_000, 0).is_empty(), "the year 2128");
    }

    #[test]
    fn a_moment_is_read_from_both() {
        for offset in [0, 32, -14, 48, -48] {
            assert_eq!(moment_ms(&absolute(SENT_MS, offset), 7), Some(SENT_MS), "{offset}");
        }
        assert_eq!(moment_ms(&relative(300), SENT_MS), Some(SENT_MS + 300_000));
        for text in ["", "261123012200000", "261123012200000*", "263123012200000+", "26112301220x000+"] {
            assert_eq!(moment_ms(&text.parse().unwrap(), SENT_MS), None, "{text}");
        }
    }

    #[test]
    fn two_days_are_written_as_operators_document_them() {
        assert_eq!(relative(48 * 3600).as_bytes(), b"000002000000000R");
        assert_eq!(relative(5 * 60).as_bytes(), b"000000000500000R");
        assert_eq!(relative(0).as_bytes(), b"000000000001000R");
        assert_eq!(relative(u64::MAX).as_bytes(), b"000031000000000R");
    }

    #[test]
    fn is_read_back() {
        for seconds in [1, 59, 60, 3599, 3600, 86_399, 86_400, RELATIVE_MAX_S] {
            assert_eq!(relative_seconds(&relative(seconds)), Some(seconds));
        }
        let text = |text: &str| text.parse().unwrap();
        assert_eq!(relative_seconds(&text("")), None);
        assert_eq!(relative_seconds(&text("261123012200000+")), None);
        assert_eq!(relative_seconds(&text("0000-1000000000R")), None);
    }
}
