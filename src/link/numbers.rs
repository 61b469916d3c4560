//! How an SMSC writes the numbers of cards, and what is made of them here: digits of E.164 with country code,
//! without `+`.

use serde::Deserialize;

use crate::identity::Msisdn;
use crate::smpp::{Address, COctetString, ton};

/// Most digits of a country code (ITU-T E.164 §6.2.1).
const COUNTRY_CODE_DIGITS_MAX: usize = 3;
/// Most digits of a prefix.
const PREFIX_DIGITS_MAX: usize = 5;

/// `[link.numbers]`: how the SMSC writes the numbers of cards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumberConfig {
    /// The country code of national numbers: 1 to 3 digits; empty where the SMSC writes none.
    pub country_code: String,
    /// What stands before a national number, as the 0 of many countries; at most 5 digits, often empty.
    pub national_prefix: String,
    /// What stands before an international number of unknown type: at most 5 digits \[00\].
    pub international_prefix: String,
    /// How destinations are written: `national` takes off the country code and puts the national prefix there; numbers
    /// of other countries stay international.
    pub destination: NumberForm,
    /// What a sender's number of unknown type without one of the prefixes is.
    pub untyped: NumberForm,
}

/// A form of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberForm {
    /// With country code.
    #[default]
    International,
    /// Without.
    National,
}

impl Default for NumberConfig {
    fn default() -> Self {
        Self {
            country_code: String::new(),
            national_prefix: String::new(),
            international_prefix: "00".to_owned(),
            destination: NumberForm::default(),
            untyped: NumberForm::default(),
        }
    }
}

impl NumberConfig {
    /// Checks lengths and what depends on each other.
    ///
    /// # Errors
    /// The key that cannot be used, and what is expected there.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value, max) in [
            ("numbers.country_code", &self.country_code, COUNTRY_CODE_DIGITS_MAX),
            ("numbers.national_prefix", &self.national_prefix, PREFIX_DIGITS_MAX),
            ("numbers.international_prefix", &self.international_prefix, PREFIX_DIGITS_MAX),
        ] {
            if value.len() > max || !value.bytes().all(|octet| octet.is_ascii_digit()) {
                return Err((key, format!("at most {max} digits expected, found {value:?}")));
            }
        }
        let national = [self.destination, self.untyped].contains(&NumberForm::National);
        if national && self.country_code.is_empty() {
            return Err(("numbers.country_code", "a value is required for national numbers".to_owned()));
        }
        Ok(())
    }

    /// A card's number (digits of E.164) as a destination; `ton` and `npi` are those of the configured form. `None` where
    /// it does not fit an address.
    pub(super) fn destination(&self, number: &str, ton: u8, npi: u8) -> Option<Address> {
        let address = |ton, digits: COctetString<20>| Address { ton, npi, digits };
        if self.destination == NumberForm::International {
            return Some(address(ton, number.parse().ok()?));
        }
        Some(match number.strip_prefix(&self.country_code) {
            Some(rest) => address(ton, [&self.national_prefix, rest].concat().parse().ok()?),
            None => address(ton::INTERNATIONAL, number.parse().ok()?),
        })
    }

    /// The number that a sender's address is, where it is one. The type of number decides, then the prefixes, then
    /// [`Self::untyped`]; a number plan is not looked at, since many SMSCs leave it 0.
    pub(super) fn e164<const N: usize>(&self, address: &Address<N>) -> Option<Msisdn> {
        let text = std::str::from_utf8(address.digits.as_bytes()).ok()?.trim();
        let international = |text: &str| {
            let digits = some_prefix(text, &self.international_prefix).unwrap_or(text);
            digits.parse().ok()
        };
        let national = |text: &str| {
            let digits = some_prefix(text, &self.national_prefix).unwrap_or(text);
            [&self.country_code, digits].concat().parse().ok()
        };
        let is_national = match address.ton {
            _ if text.starts_with('+') => false,
            ton::INTERNATIONAL => false,
            ton::NATIONAL => true,
            _ if some_prefix(text, &self.international_prefix).is_some() => false,
            _ if some_prefix(text, &self.national_prefix).is_some() => true,
            _ => self.untyped == NumberForm::National,
        };
        // Without a country code nothing can be made of a national number but what stands there.
        if is_national && !self.country_code.is_empty() { national(text) } else { international(text) }
    }
}

/// What stands behind a prefix that is not empty.
fn some_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix).filter(|_| !prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn germany() -> NumberConfig {
        NumberConfig { country_code: "49".into(), national_prefix: "0".into(), ..NumberConfig::default() }
    }

    fn address(ton: u8, digits: &str) -> Address {
        Address { ton, npi: 1, digits: digits.parse().unwrap() }
    }

    #[test]
    fn senders_become_international() {
        let read = |rules: &NumberConfig, ton, digits: &str| {
            rules.e164(&address(ton, digits)).map(|number| number.to_string())
        };
        let untyped = NumberConfig { untyped: NumberForm::National, ..germany() };
        let plain = NumberConfig::default();
        for (rules, ton, digits, expected) in [
            (&plain, 1, "491700000001", "491700000001"),
            (&plain, 1, "+491700000001", "491700000001"),
            (&plain, 0, "00491700000001", "491700000001"),
            (&plain, 0, "491700000001", "491700000001"),
            (&plain, 2, "491700000001", "491700000001"),
            (&germany(), 2, "01700000001", "491700000001"),
            (&germany(), 2, "1700000001", "491700000001"),
            (&germany(), 0, "01700000001", "491700000001"),
            (&germany(), 0, "00491700000001", "491700000001"),
            (&germany(), 0, "491700000001", "491700000001"),
            (&germany(), 2, "+491700000001", "491700000001"),
            (&germany(), 1, "491700000001", "491700000001"),
            (&germany(), 3, "10690", "10690"),
            (&untyped, 0, "1700000001", "491700000001"),
            (&untyped, 0, "00441700000001", "441700000001"),
            (&untyped, 1, "441700000001", "441700000001"),
        ] {
            assert_eq!(read(rules, ton, digits).as_deref(), Some(expected), "{ton} {digits} {rules:?}");
        }
        for digits in ["", "Airwrite", "12", "+", "4917000000011234"] {
            assert_eq!(read(&plain, 1, digits), None, "{digits}");
        }
    }

    #[test]
    fn destinations_take_the_form_the_smsc_wants() {
        let national = NumberConfig { destination: NumberForm::National, ..germany() };
        assert_eq!(germany().destination("491700000001", 1, 1), Some(address(1, "491700000001")));
        assert_eq!(national.destination("491700000001", 2, 1), Some(address(2, "01700000001")));
        assert_eq!(national.destination("441700000001", 2, 1), Some(address(1, "441700000001")));
        assert_eq!(national.destination("123456789012345678901", 2, 1), None);
        // What goes out is read back where it comes from.
        let sent = national.destination("491700000001", 2, 1).unwrap();
        assert_eq!(national.e164(&sent).unwrap().as_str(), "491700000001");
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        assert_eq!(germany().check(), Ok(()));
        let key = |rules: NumberConfig| rules.check().unwrap_err().0;
        assert_eq!(key(NumberConfig { country_code: "+49".into(), ..germany() }), "numbers.country_code");
        let nowhere = NumberConfig { untyped: NumberForm::National, ..NumberConfig::default() };
        assert_eq!(key(nowhere), "numbers.country_code");
        let long = NumberConfig { national_prefix: "123456".into(), ..germany() };
        assert_eq!(key(long), "numbers.national_prefix");
    }
}
