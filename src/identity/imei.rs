//! The device: IMEI (TS 23.003 §6.2).

use std::fmt;
use std::str::FromStr;

use super::symbols::all_digits;
use super::text::as_text;
use super::{IdentityError, bcd, luhn};

/// Identity types of TS 24.008 §10.5.1.4 with the odd/even bit: the low nibble of a mobile identity's first octet.
const IMEI_ODD: u8 = 0xA;
const IMEISV_EVEN: u8 = 0x3;

/// A terminal or module. Two are equal where TAC and serial number (14 digits) are: the check digit is computed,
/// never kept, because terminals report a zero or a wrong one, and the software version of an IMEISV is dropped.
/// Displayed with its 15 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imei(Imei14);

impl Imei {
    /// Reads a mobile identity (TS 24.008 §10.5.1.4) as PROVIDE LOCAL INFORMATION gives it, without its length octet:
    /// 8 octets for an IMEI, 9 for an IMEISV. The check digit is not looked at.
    ///
    /// # Errors
    /// Where length, identity type or digits are those of another identity.
    pub fn from_mobile_identity(octets: &[u8]) -> Result<Self, IdentityError> {
        let field = "IMEI";
        let type_of_length = match octets.len() {
            8 => IMEI_ODD,
            9 => IMEISV_EVEN,
            found => {
                return Err(IdentityError::Length {
                    field,
                    expected: "a mobile identity of 8 or 9 octets",
                    found,
                });
            }
        };
        let mut nibbles = octets.iter().flat_map(|octet| [octet & 0xF, octet >> 4]);
        if nibbles.next() != Some(type_of_length) {
            let expected = "a mobile identity of type IMEI in 8 octets or IMEISV in 9";
            return Err(IdentityError::Value { field, expected });
        }
        let mut digits = [0; 14];
        for (index, (digit, nibble)) in digits.iter_mut().zip(nibbles).enumerate() {
            if nibble > 9 {
                return Err(IdentityError::Symbol { field, expected: "a digit", position: index + 1 });
            }
            *digit = b'0' + nibble;
        }
        Ok(Self(Imei14(digits)))
    }

    /// The 8 octets of the mobile identity, with the right check digit.
    #[must_use]
    pub fn to_mobile_identity(&self) -> [u8; 8] {
        let digits = self.0.0.iter().map(|digit| digit & 0xF);
        let nibbles: Vec<u8> =
            std::iter::once(IMEI_ODD).chain(digits).chain(std::iter::once(self.check_digit())).collect();
        // Sixteen nibbles are eight octets.
        bcd::pack(&nibbles).first_chunk().copied().unwrap_or_default()
    }

    /// What devices are compared on and stored under.
    #[must_use]
    pub const fn key(&self) -> Imei14 {
        self.0
    }

    /// 0 to 9, computed.
    fn check_digit(&self) -> u8 {
        luhn::check_digit(self.0.as_str()).unwrap_or_default()
    }
}

impl FromStr for Imei {
    type Err = IdentityError;

    /// An IMEI typed by a person: 15 digits whose last is the check digit, or the 16 digits of an IMEISV, which has none.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let field = "IMEI";
        let found = text.chars().count();
        if !matches!(found, 15 | 16) {
            return Err(IdentityError::Length { field, expected: "15 digits, or 16 for an IMEISV", found });
        }
        all_digits(field, text)?;
        let (key, rest) =
            text.split_at_checked(14).ok_or(IdentityError::Value { field, expected: "15 digits" })?;
        let imei = Self(key.parse()?);
        let expected = imei.check_digit();
        if found == 15 && rest.parse() != Ok(expected) {
            return Err(IdentityError::CheckDigit { field, expected });
        }
        Ok(imei)
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.check_digit())
    }
}

impl From<Imei14> for Imei {
    fn from(key: Imei14) -> Self {
        Self(key)
    }
}

as_text!(Imei);

/// TAC (8 digits) and serial number (6 digits): what is the same in every spelling of an IMEI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imei14([u8; 14]);

impl Imei14 {
    /// The 14 digits as ASCII.
    #[must_use]
    pub const fn octets(&self) -> [u8; 14] {
        self.0
    }

    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Imei14 {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let field = "IMEI key";
        let length = IdentityError::Length {
            field,
            expected: "14 digits (TAC and serial number)",
            found: text.chars().count(),
        };
        if text.chars().count() != 14 {
            return Err(length);
        }
        all_digits(field, text)?;
        text.as_bytes().first_chunk().copied().map(Self).ok_or(length)
    }
}

impl fmt::Display for Imei14 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

as_text!(Imei14);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_typed_imei_needs_its_check_digit() {
        let imei: Imei = "357805023984942".parse().unwrap();
        assert_eq!(imei.to_string(), "357805023984942");
        assert_eq!(imei.key().to_string(), "35780502398494");
        assert_eq!(imei.key().octets(), *b"35780502398494");
        assert_eq!(
            "357805023984943".parse::<Imei>(),
            Err(IdentityError::CheckDigit { field: "IMEI", expected: 2 })
        );
    }

    #[test]
    fn an_imeisv_is_the_same_device() {
        let imei: Imei = "3578050239849417".parse().unwrap();
        assert_eq!(imei, "357805023984942".parse().unwrap());
        assert_eq!(imei.to_string(), "357805023984942");
    }

    #[test]
    fn refuses_other_lengths_and_symbols() {
        for (text, found) in [("", 0), ("35780502398494", 14), ("35780502398494200", 17), ("é", 1)] {
            let expected = "15 digits, or 16 for an IMEISV";
            assert_eq!(text.parse::<Imei>(), Err(IdentityError::Length { field: "IMEI", expected, found }));
        }
        for (text, position) in [("35780502398494x", 15), (" 35780502398494", 1), ("3578050239849é2", 14)] {
            let error = IdentityError::Symbol { field: "IMEI", expected: "a digit", position };
            assert_eq!(text.parse::<Imei>(), Err(error));
        }
        assert!("3578050239849".parse::<Imei14>().is_err());
        assert!("3578050239849x".parse::<Imei14>().is_err());
    }

    #[test]
    fn the_field_sample_has_a_wrong_check_digit_and_is_read() {
        let sample = [0x4A, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x47];
        let imei = Imei::from_mobile_identity(&sample).unwrap();
        assert_eq!(imei.key().to_string(), "44444444444447");
        assert_eq!(imei.to_string(), "444444444444479");
        assert_eq!(
            "444444444444474".parse::<Imei>(),
            Err(IdentityError::CheckDigit { field: "IMEI", expected: 9 })
        );
        assert_eq!(imei.to_mobile_identity(), [0x4A, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x97]);
    }

    #[test]
    fn reads_the_mobile_identity_of_an_imeisv() {
        let octets = [0x33, 0x75, 0x08, 0x05, 0x32, 0x89, 0x94, 0x14, 0xF7];
        let imei = Imei::from_mobile_identity(&octets).unwrap();
        assert_eq!(imei.key().to_string(), "35780502398494");
    }

    #[test]
    fn refuses_other_mobile_identities() {
        let imei = "357805023984942".parse::<Imei>().unwrap().to_mobile_identity();
        assert_eq!(imei, [0x3A, 0x75, 0x08, 0x05, 0x32, 0x89, 0x94, 0x24]);
        let mut imsi = imei;
        imsi[0] = 0x39;
        assert!(matches!(Imei::from_mobile_identity(&imsi), Err(IdentityError::Value { .. })));
        let mut letter = imei;
        letter[1] = 0x7B;
        assert!(matches!(
            Imei::from_mobile_identity(&letter),
            Err(IdentityError::Symbol { position: 2, .. })
        ));
        assert!(matches!(
            Imei::from_mobile_identity(&imei[..7]),
            Err(IdentityError::Length { found: 7, .. })
        ));
    }

    #[test]
    fn serde_goes_through_the_text() {
        let imei: Imei = serde_json::from_str("\"357805023984942\"").unwrap();
        assert_eq!(serde_json::to_string(&imei).unwrap(), "\"357805023984942\"");
        assert_eq!(format!("{imei:?}"), "357805023984942");
        let error = serde_json::from_str::<Imei>("\"357805023984943\"").unwrap_err();
        assert!(error.to_string().contains("IMEI: expected the check digit 2 at the end"), "{error}");
        assert!(serde_json::from_str::<Imei>("357805023984942").is_err(), "a number is no identifier");
    }

    proptest! {
        #[test]
        fn text_and_octets_read_back(key in "[0-9]{14}") {
            let imei = Imei::from(key.parse::<Imei14>().unwrap());
            prop_assert_eq!(imei.to_string().parse(), Ok(imei));
            prop_assert_eq!(Imei::from_mobile_identity(&imei.to_mobile_identity()), Ok(imei));
            prop_assert_eq!(imei.key().to_string(), key);
        }

        #[test]
        fn nothing_from_outside_panics(text: String, octets in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = text.parse::<Imei>();
            let _ = text.parse::<Imei14>();
            let _ = Imei::from_mobile_identity(&octets);
        }
    }
}
