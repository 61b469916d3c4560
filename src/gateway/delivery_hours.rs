//! Which cards are written when: the configuration of delivery hours.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::card::{Card, DeliveryHours};

use super::Gateway;

/// Farthest that a clock is from UTC, in hours.
const OFFSET_HOURS_MAX: u16 = 14;

/// Delivery hours (`[[delivery_hours]]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryHoursConfig {
    /// Whose cards they are for; everybody's where absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// The route that the cards' numbers fall to; any where absent.
    #[serde(default)]
    pub route: Option<String>,
    /// When they begin: minutes after midnight.
    #[serde(deserialize_with = "time_of_day")]
    pub from: u16,
    /// When they end: minutes after midnight.
    #[serde(deserialize_with = "time_of_day")]
    pub to: u16,
    /// How far the clock that they are read from is ahead of UTC, in minutes.
    #[serde(default, deserialize_with = "utc_offset")]
    pub utc_offset: i16,
}

impl DeliveryHoursConfig {
    fn hours(&self) -> DeliveryHours {
        DeliveryHours { from_min: self.from, to_min: self.to, utc_offset_min: self.utc_offset }
    }
}

impl Gateway {
    /// The hours in which a card is written over the air: the first that are for its owner and the route of its number.
    pub(super) fn delivery_hours(&self, card: &Card) -> Option<DeliveryHours> {
        let configured = &self.0.config.delivery_hours;
        let number =
            card.current.as_ref().map(|current| current.msisdn).filter(|_| !configured.is_empty())?;
        let route = self.0.routes.of(&card.owner, &number).map(|route| route.as_str());
        let fits = |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        let found = configured
            .iter()
            .find(|hours| fits(&hours.owner, Some(card.owner.as_str())) && fits(&hours.route, route));
        found.map(DeliveryHoursConfig::hours)
    }
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = hours_and_minutes(&text).filter(|(hours, _)| *hours < 24);
    let (hours, minutes) = time.ok_or_else(|| D::Error::custom("expected \"HH:MM\", 00:00 to 23:59"))?;
    Ok(hours * 60 + minutes)
}

fn utc_offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i16, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (sign, time) = match text.split_at_checked(1) {
        Some(("+", time)) => (1, time),
        Some(("-", time)) => (-1, time),
        _ => (1, ""),
    };
    let minutes = hours_and_minutes(time).map(|(hours, minutes)| hours * 60 + minutes);
    let minutes =
        minutes.filter(|minutes| *minutes <= OFFSET_HOURS_MAX * 60).and_then(|m| i16::try_from(m).ok());
    let minutes = minutes
        .ok_or_else(|| D::Error::custom("expected \"+HH:MM\" or \"-HH:MM\", at most 14 hours from UTC"))?;
    Ok(sign * minutes)
}

/// Two digits, a colon, two digits below 60.
fn hours_and_minutes(text: &str) -> Option<(u16, u16)> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let fits = digits.len() == 2 && digits.bytes().all(|octet| octet.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| fits)
    };
    Some((number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_anything_else_is_refused() {
        let read = |to: &str, offset: &str| {
            let text = format!("from = \"22:30\"\nto = \"{to}\"\nutc_offset = \"{offset}\"\n");
            toml::from_str::<DeliveryHoursConfig>(&text).map(|hours| (hours.from, hours.to, hours.utc_offset))
        };
        assert_eq!(read("06:00", "+05:30"), Ok((1350, 360, 330)));
        assert_eq!(read("00:00", "-14:00"), Ok((1350, 0, -840)));
        for to in ["24:00", "6:00", "06:60", "+6:00", "0600", ""] {
            let error = read(to, "+00:00").unwrap_err().to_string();
            assert!(error.contains("expected \"HH:MM\""), "{to}: {error}");
        }
        for offset in ["05:30", "+14:01", "-5:00", "+", "", "ü0:00"] {
            let error = read("06:00", offset).unwrap_err().to_string();
            assert!(error.contains("expected \"+HH:MM\""), "{offset}: {error}");
        }
    }
}
