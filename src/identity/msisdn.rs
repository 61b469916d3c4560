//! The subscription's number: MSISDN (ITU-T E.164, TS 23.003 §3.3).

use std::fmt;
use std::str::FromStr;

use super::symbols::{Symbols, all_digits};
use super::text::as_text;
use super::{IdentityError, bcd};

const FIELD: &str = "MSISDN";

/// TON/NPI of an international number in the numbering plan of E.164 (TS 24.008 §10.5.4.7).
pub const INTERNATIONAL: u8 = 0x91;

/// Octets of EF.MSISDN behind the alpha identifier: length, TON/NPI, ten for the number, two references.
const RECORD_TAIL: usize = 14;

/// A number: 3 to 15 digits, kept and displayed without `+`. Numbers of things have up to 13 national digits, so with
/// a country code all 15 are in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msisdn(Symbols<15>);

impl Msisdn {
    /// Reads TON/NPI and swapped digits, as EF.MSISDN and EF.SMSP have them behind their length octet; fillers at the
    /// end are dropped. TON/NPI is not looked at.
    ///
    /// # Errors
    /// Where there are not 3 to 15 digits.
    pub fn from_bcd(octets: &[u8]) -> Result<Self, IdentityError> {
        let Some((_ton_npi, digits)) = octets.split_first() else {
            return Err(IdentityError::Length {
                field: FIELD,
                expected: "TON/NPI and 3 to 15 digits",
                found: 0,
            });
        };
        let symbols: String = bcd::unpack(digits)
            .into_iter()
            .filter_map(|nibble| char::from_digit(nibble.into(), 16))
            .collect();
        Self::of_digits(&symbols)
    }

    /// TON/NPI (mostly [`INTERNATIONAL`]) and swapped digits: 3 to 9 octets.
    #[must_use]
    pub fn to_bcd(&self, ton_npi: u8) -> Vec<u8> {
        let digits: Vec<u8> = self.as_str().bytes().map(|symbol| symbol & 0xF).collect();
        [vec![ton_npi], bcd::pack(&digits)].concat()
    }

    /// Reads a record of EF.MSISDN (TS 31.102 §4.2.26). `None` where the record is empty.
    ///
    /// # Errors
    /// Where the record has fewer than 14 octets, or its length octet or number is not one of the field's.
    pub fn from_ef_record(record: &[u8]) -> Result<Option<Self>, IdentityError> {
        let short =
            IdentityError::Length { field: FIELD, expected: "14 octets or more", found: record.len() };
        let (_alpha, tail) = record.split_last_chunk::<RECORD_TAIL>().ok_or(short)?;
        let (&length, number) = tail.split_first().ok_or(short)?;
        match length {
            0 | 0xFF => Ok(None),
            1..=11 => number.get(..length.into()).ok_or(short).and_then(Self::from_bcd).map(Some),
            _ => Err(IdentityError::Value { field: FIELD, expected: "a length of at most 11 octets" }),
        }
    }

    /// A record of EF.MSISDN with an empty alpha identifier of `alpha_octets` octets: `alpha_octets` + 14 octets. The
    /// number is international.
    #[must_use]
    pub fn to_ef_record(&self, alpha_octets: u8) -> Vec<u8> {
        let number = self.to_bcd(INTERNATIONAL);
        let mut record = vec![0xFF; alpha_octets.into()];
        record.push(u8::try_from(number.len()).unwrap_or(0xFF));
        record.extend_from_slice(&number);
        record.resize(usize::from(alpha_octets) + RECORD_TAIL, 0xFF);
        record
    }

    /// The 3 to 15 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn of_digits(text: &str) -> Result<Self, IdentityError> {
        let found = text.chars().count();
        let length = IdentityError::Length { field: FIELD, expected: "3 to 15 digits", found };
        if !(3..=15).contains(&found) {
            return Err(length);
        }
        all_digits(FIELD, text)?;
        Symbols::new(text).map(Self).ok_or(length)
    }
}

impl FromStr for Msisdn {
    type Err = IdentityError;

    /// 3 to 15 digits, with or without a leading `+`.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::of_digits(text.strip_prefix('+').unwrap_or(text))
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

as_text!(Msisdn);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plus_is_not_part_of_the_number() {
        let msisdn: Msisdn = "+447797704848".parse().unwrap();
        assert_eq!(msisdn, "447797704848".parse().unwrap());
        assert_eq!(msisdn.to_string(), "447797704848");
        assert!("+8610648123456789".parse::<Msisdn>().is_err(), "16 digits");
        assert!("8610648123456 ".parse::<Msisdn>().is_err());
        assert!("++4477".parse::<Msisdn>().is_err());
        assert!("12".parse::<Msisdn>().is_err());
        assert!("".parse::<Msisdn>().is_err());
    }

    #[test]
    fn a_number_of_things_fills_all_fifteen_digits() {
        let msisdn: Msisdn = "861064812345678".parse().unwrap();
        assert_eq!(msisdn.to_bcd(INTERNATIONAL), [0x91, 0x68, 0x01, 0x46, 0x18, 0x32, 0x54, 0x76, 0xF8]);
    }

    #[test]
    fn the_record_of_a_file() {
        let msisdn: Msisdn = "447797704848".parse().unwrap();
        let number = [0x07, 0x91, 0x44, 0x77, 0x79, 0x07, 0x84, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(msisdn.to_ef_record(0), number);
        assert_eq!(msisdn.to_ef_record(2), [&[0xFF, 0xFF], number.as_slice()].concat());
        assert_eq!(Msisdn::from_ef_record(&msisdn.to_ef_record(10)), Ok(Some(msisdn)));
        assert_eq!(Msisdn::from_bcd(&number[1..8]), Ok(msisdn));
    }

    #[test]
    fn other_records() {
        assert_eq!(Msisdn::from_ef_record(&[0xFF; 20]), Ok(None), "an empty record");
        assert!(matches!(Msisdn::from_ef_record(&[0xFF; 13]), Err(IdentityError::Length { found: 13, .. })));
        let mut record = "447797704848".parse::<Msisdn>().unwrap().to_ef_record(0);
        record[0] = 12;
        assert!(matches!(Msisdn::from_ef_record(&record), Err(IdentityError::Value { .. })));
        record[0] = 1;
        assert!(matches!(Msisdn::from_ef_record(&record), Err(IdentityError::Length { found: 0, .. })));
        record[0] = 7;
        record[2] = 0x4A;
        assert!(matches!(Msisdn::from_ef_record(&record), Err(IdentityError::Symbol { position: 1, .. })));
        assert!(matches!(Msisdn::from_bcd(&[]), Err(IdentityError::Length { .. })));
    }

    proptest! {
        #[test]
        fn text_bcd_and_record_read_back(text in "[0-9]{3,15}", ton_npi: u8, alpha_octets: u8) {
            let msisdn: Msisdn = text.parse().unwrap();
            prop_assert_eq!(msisdn.to_string(), text);
            prop_assert_eq!(Msisdn::from_bcd(&msisdn.to_bcd(ton_npi)), Ok(msisdn));
            let record = msisdn.to_ef_record(alpha_octets);
            prop_assert_eq!(record.len(), usize::from(alpha_octets) + 14);
            prop_assert_eq!(Msisdn::from_ef_record(&record), Ok(Some(msisdn)));
        }

        #[test]
        fn nothing_from_outside_panics(text: String, octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = text.parse::<Msisdn>();
            let _ = Msisdn::from_bcd(&octets);
            let _ = Msisdn::from_ef_record(&octets);
        }
    }
}
