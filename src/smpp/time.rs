//! Relative times of SMPP (§7.1.1): `YYMMDDhhmmss000R`, counted from when the SMSC receives the message.

use super::COctetString;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// The longest time [`relative`] writes: months and years differ in length, so days are the largest unit used.
pub const RELATIVE_MAX_S: u64 = 31 * DAY_S;

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

#[cfg(test)]
mod tests {
    use super::*;

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
