//! The card's serial number: ICCID (ITU-T E.118, TS 102 221 §13.2).

use std::fmt;
use std::str::FromStr;

use super::symbols::Symbols;
use super::text::as_text;
use super::{IdentityError, bcd, luhn};

const FIELD: &str = "ICCID";

/// How many symbols at the start are decimal digits on every card: industry, country and issuer.
const ISSUER_DIGITS: usize = 6;

/// A UICC's serial number: 18 digits without check digit, or 19 to 20 whose last is the check digit. Some issuers put
/// hexadecimal letters behind the issuer number (a vendor nibble); such a number has no check digit. Displayed with
/// letters in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iccid(Symbols<20>);

impl Iccid {
    /// Reads EF.ICCID: 10 octets swapped BCD, with fillers behind 18 or 19 digits. The check digit is not looked at.
    ///
    /// # Errors
    /// Where there are not 10 octets, fewer than 18 digits, or a letter in the issuer number.
    pub fn from_octets(octets: &[u8]) -> Result<Self, IdentityError> {
        if octets.len() != 10 {
            return Err(IdentityError::Length { field: FIELD, expected: "10 octets", found: octets.len() });
        }
        let symbols: String = bcd::unpack(octets)
            .into_iter()
            .filter_map(|nibble| char::from_digit(nibble.into(), 16))
            .collect();
        Self::of_symbols(&symbols)
    }

    /// The 10 octets of EF.ICCID: swapped BCD, fillers behind 18 or 19 digits.
    #[must_use]
    pub fn octets(&self) -> [u8; 10] {
        let symbols = self.0.as_str().chars();
        let mut nibbles: Vec<u8> = symbols
            .filter_map(|symbol| symbol.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok()))
            .collect();
        nibbles.resize(20, bcd::FILLER);
        // Twenty nibbles are ten octets.
        bcd::pack(&nibbles).first_chunk().copied().unwrap_or_default()
    }

    /// The 18 to 20 symbols.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Checks everything but the check digit.
    fn of_symbols(text: &str) -> Result<Self, IdentityError> {
        let found = text.chars().count();
        let length = IdentityError::Length { field: FIELD, expected: "18 to 20 digits", found };
        if !(18..=20).contains(&found) {
            return Err(length);
        }
        let expected_at =
            |index| if index < ISSUER_DIGITS { "a digit" } else { "a digit or a letter A to F" };
        let fits = |index, symbol: char| symbol.is_digit(if index < ISSUER_DIGITS { 10 } else { 16 });
        if let Some((index, _)) = text.chars().enumerate().find(|(index, symbol)| !fits(*index, *symbol)) {
            let expected = expected_at(index);
            return Err(IdentityError::Symbol { field: FIELD, expected, position: index + 1 });
        }
        let text = text.to_ascii_uppercase();
        // On the card it could not be told from a filler.
        if text.ends_with('F') {
            return Err(IdentityError::Value { field: FIELD, expected: "another last symbol than F" });
        }
        Symbols::new(&text).map(Self).ok_or(length)
    }
}

impl FromStr for Iccid {
    type Err = IdentityError;

    /// 18 to 20 digits; the check digit is verified where there are 19 or 20 and none of them is a letter.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let iccid = Self::of_symbols(text)?;
        let symbols = iccid.as_str();
        if symbols.len() == 18 {
            return Ok(iccid);
        }
        let (body, last) = symbols.split_at_checked(symbols.len() - 1).unwrap_or_default();
        match luhn::check_digit(body) {
            Some(expected)
                if last.chars().all(|symbol| symbol.is_ascii_digit()) && last.parse() != Ok(expected) =>
            {
                Err(IdentityError::CheckDigit { field: FIELD, expected })
            }
            _ => Ok(iccid),
        }
    }
}

impl fmt::Display for Iccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

as_text!(Iccid);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twenty_digits_fill_the_file() {
        let octets = [0x98, 0x40, 0x09, 0x23, 0x00, 0x00, 0x00, 0x00, 0x00, 0x71];
        let iccid = Iccid::from_octets(&octets).unwrap();
        assert_eq!(iccid.to_string(), "89049032000000000017");
        assert_eq!(iccid.octets(), octets);
        // A test card's number, whose last digit is no check digit: read, but not taken from a person.
        let error = IdentityError::CheckDigit { field: "ICCID", expected: 1 };
        assert_eq!("89049032000000000017".parse::<Iccid>(), Err(error));
    }

    #[test]
    fn shorter_numbers_are_filled_up() {
        let nineteen: Iccid = "8949001234567890128".parse().unwrap();
        assert_eq!(nineteen.octets(), [0x98, 0x94, 0x00, 0x21, 0x43, 0x65, 0x87, 0x09, 0x21, 0xF8]);
        let eighteen: Iccid = "894900123456789012".parse().unwrap();
        assert_eq!(eighteen.octets(), [0x98, 0x94, 0x00, 0x21, 0x43, 0x65, 0x87, 0x09, 0x21, 0xFF]);
    }

    #[test]
    fn the_check_digit_counts_where_there_is_one() {
        assert_eq!(
            "8949001234567890127".parse::<Iccid>(),
            Err(IdentityError::CheckDigit { field: "ICCID", expected: 8 })
        );
        assert!("894900123456789013".parse::<Iccid>().is_ok(), "18 digits have none");
        let vendor: Iccid = "898600f1234567890123".parse().unwrap();
        assert_eq!(vendor.to_string(), "898600F1234567890123");
        assert_eq!(Iccid::from_octets(&vendor.octets()), Ok(vendor));
        let octets = [0x98, 0x94, 0x00, 0x21, 0x43, 0x65, 0x87, 0x09, 0x21, 0xF7];
        assert_eq!(Iccid::from_octets(&octets).unwrap().to_string(), "8949001234567890127");
    }

    #[test]
    fn refuses_other_lengths_and_symbols() {
        assert!(matches!("89490012345678901".parse::<Iccid>(), Err(IdentityError::Length { found: 17, .. })));
        assert!(matches!(
            "894900123456789012345".parse::<Iccid>(),
            Err(IdentityError::Length { found: 21, .. })
        ));
        assert!(matches!(
            "89A900123456789012".parse::<Iccid>(),
            Err(IdentityError::Symbol { position: 3, expected: "a digit", .. })
        ));
        assert!(matches!(
            "894900G23456789012".parse::<Iccid>(),
            Err(IdentityError::Symbol { position: 7, .. })
        ));
        assert!(matches!("8986001234567890123F".parse::<Iccid>(), Err(IdentityError::Value { .. })));
        assert!(matches!(Iccid::from_octets(&[0xFF; 10]), Err(IdentityError::Length { found: 0, .. })));
        assert!(matches!(Iccid::from_octets(&[0x98; 9]), Err(IdentityError::Length { found: 9, .. })));
    }

    proptest! {
        #[test]
        fn octets_read_back(text in "[0-9]{6}[0-9A-F]{11,13}[0-9A-E]") {
            let iccid = Iccid::of_symbols(&text).unwrap();
            prop_assert_eq!(iccid.to_string(), text);
            prop_assert_eq!(Iccid::from_octets(&iccid.octets()), Ok(iccid));
        }

        #[test]
        fn computed_check_digits_are_right(body in "[0-9]{18,19}") {
            let text = format!("{body}{}", luhn::check_digit(&body).unwrap());
            let iccid: Iccid = text.parse().unwrap();
            prop_assert_eq!(iccid.to_string(), text);
        }

        #[test]
        fn nothing_from_outside_panics(text: String, octets in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = text.parse::<Iccid>();
            if let Ok(iccid) = Iccid::from_octets(&octets) {
                prop_assert_eq!(iccid.octets().to_vec(), octets);
            }
        }

        #[test]
        fn any_ten_octets_read_back_or_are_refused(octets: [u8; 10]) {
            if let Ok(iccid) = Iccid::from_octets(&octets) {
                prop_assert_eq!(iccid.octets(), octets);
            }
        }
    }
}
