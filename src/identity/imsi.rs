//! The subscription: IMSI (TS 23.003 §2.2).

use std::fmt;
use std::str::FromStr;

use super::symbols::{Symbols, all_digits};
use super::text::as_text;
use super::{IdentityError, bcd};

const FIELD: &str = "IMSI";

/// The low nibble of EF.IMSI's second octet: identity type IMSI, with the odd/even bit (TS 31.102 §4.2.2).
const ODD: u8 = 9;
const EVEN: u8 = 1;

/// A subscription: 14 or 15 digits, of which the first three are the mobile country code. Whether the network code has
/// two or three digits is not in it: EF.AD says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imsi(Symbols<15>);

impl Imsi {
    /// Reads EF.IMSI (TS 31.102 §4.2.2): 9 octets, the length 8 first, then parity and digits swapped.
    ///
    /// # Errors
    /// Where length, parity or digits are not those of an IMSI; so in an empty file (nine times FF).
    pub fn from_ef(octets: &[u8]) -> Result<Self, IdentityError> {
        let Some((8, identity)) = octets.split_first().filter(|_| octets.len() == 9) else {
            let expected = "the length 8 and 8 octets more";
            return Err(IdentityError::Value { field: FIELD, expected });
        };
        let nibbles = bcd::unpack(identity);
        let Some((&parity, digits)) = nibbles.split_first() else {
            return Err(IdentityError::Length { field: FIELD, expected: "14 or 15 digits", found: 0 });
        };
        let symbols: String =
            digits.iter().filter_map(|nibble| char::from_digit((*nibble).into(), 16)).collect();
        let imsi: Self = symbols.parse()?;
        if parity != imsi.parity() {
            let expected = "9 before an odd, 1 before an even number of digits";
            return Err(IdentityError::Value { field: FIELD, expected });
        }
        Ok(imsi)
    }

    /// The 9 octets of EF.IMSI.
    #[must_use]
    pub fn to_ef(&self) -> [u8; 9] {
        let digits = self.as_str().bytes().map(|symbol| symbol & 0xF);
        // The length octet is the nibbles 8 and 0.
        let mut nibbles: Vec<u8> = [8, 0, self.parity()].into_iter().chain(digits).collect();
        nibbles.resize(18, bcd::FILLER);
        // Eighteen nibbles are nine octets.
        bcd::pack(&nibbles).first_chunk().copied().unwrap_or_default()
    }

    /// The 14 or 15 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The mobile country code: the first three digits.
    #[must_use]
    pub fn mcc(&self) -> &str {
        self.as_str().get(..3).unwrap_or_default()
    }

    fn parity(&self) -> u8 {
        if self.as_str().len() % 2 == 1 { ODD } else { EVEN }
    }
}

impl FromStr for Imsi {
    type Err = IdentityError;

    /// 14 or 15 digits whose first three are a mobile country code that ITU-T E.212 gives out: 001 (test networks),
    /// 2xx to 7xx (countries), 9xx (shared).
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let found = text.chars().count();
        let length = IdentityError::Length { field: FIELD, expected: "14 or 15 digits", found };
        if !matches!(found, 14 | 15) {
            return Err(length);
        }
        all_digits(FIELD, text)?;
        if !text.starts_with("001") && !text.starts_with(['2', '3', '4', '5', '6', '7', '9']) {
            return Err(IdentityError::Value {
                field: FIELD,
                expected: "a mobile country code: 001, 2xx to 7xx or 9xx",
            });
        }
        Symbols::new(text).map(Self).ok_or(length)
    }
}

impl fmt::Display for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

as_text!(Imsi);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_odd_number_of_digits_fills_the_file() {
        let imsi: Imsi = "001010123456789".parse().unwrap();
        assert_eq!(imsi.mcc(), "001");
        let octets = [0x08, 0x09, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98];
        assert_eq!(imsi.to_ef(), octets);
        assert_eq!(Imsi::from_ef(&octets), Ok(imsi));
    }

    #[test]
    fn an_even_number_of_digits_is_filled_up() {
        let imsi: Imsi = "31041012345678".parse().unwrap();
        let octets = [0x08, 0x31, 0x01, 0x14, 0x10, 0x32, 0x54, 0x76, 0xF8];
        assert_eq!(imsi.to_ef(), octets);
        assert_eq!(Imsi::from_ef(&octets), Ok(imsi));
        assert_eq!(imsi.to_string(), "31041012345678");
    }

    #[test]
    fn refuses_other_lengths_symbols_and_country_codes() {
        assert!(matches!("0010101234567".parse::<Imsi>(), Err(IdentityError::Length { found: 13, .. })));
        assert!(matches!("0010101234567890".parse::<Imsi>(), Err(IdentityError::Length { found: 16, .. })));
        assert!(matches!("00101012345678x".parse::<Imsi>(), Err(IdentityError::Symbol { position: 15, .. })));
        for text in ["123456789012345", "800010123456789", "002010123456789"] {
            assert!(matches!(text.parse::<Imsi>(), Err(IdentityError::Value { .. })), "{text}");
        }
        for text in ["460041234567890", "901281234567890", "724051234567890"] {
            assert!(text.parse::<Imsi>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_other_files() {
        let imsi = "001010123456789".parse::<Imsi>().unwrap().to_ef();
        assert!(Imsi::from_ef(&[0xFF; 9]).is_err(), "an empty file");
        assert!(Imsi::from_ef(&imsi[..8]).is_err());
        let mut wrong_length = imsi;
        wrong_length[0] = 7;
        assert!(Imsi::from_ef(&wrong_length).is_err());
        let mut wrong_parity = imsi;
        wrong_parity[1] = 0x01;
        assert!(matches!(Imsi::from_ef(&wrong_parity), Err(IdentityError::Value { .. })));
        let mut letter = imsi;
        letter[8] = 0xA8;
        assert!(matches!(Imsi::from_ef(&letter), Err(IdentityError::Symbol { position: 15, .. })));
    }

    proptest! {
        #[test]
        fn text_and_file_read_back(text in "[2-7][0-9]{13,14}") {
            let imsi: Imsi = text.parse().unwrap();
            prop_assert_eq!(imsi.to_string(), text);
            prop_assert_eq!(Imsi::from_ef(&imsi.to_ef()), Ok(imsi));
        }

        #[test]
        fn nothing_from_outside_panics(text: String, octets in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = text.parse::<Imsi>();
            let _ = Imsi::from_ef(&octets);
        }

        #[test]
        fn any_file_reads_back_or_is_refused(identity: [u8; 8]) {
            let octets = [&[8], identity.as_slice()].concat();
            if let Ok(imsi) = Imsi::from_ef(&octets) {
                prop_assert_eq!(imsi.to_ef().to_vec(), octets);
            }
        }
    }
}
