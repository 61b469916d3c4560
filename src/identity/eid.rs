//! The card: EID (SGP.02 §2.2.2, SGP.29).

use std::fmt;
use std::str::FromStr;

use super::IdentityError;
use super::symbols::all_digits;
use super::text::as_text;

/// What to do with an EID whose check digits are wrong. Some issuers' identifiers never had GSMA check digits, so
/// each range of cards may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EidChecksum {
    /// It is no EID.
    #[default]
    Reject,
    /// Take it and say so.
    Warn,
    /// Take it.
    Off,
}

/// An eSIM card: 32 digits, the last two of them check digits (ISO 7064 MOD 97-10). SGP.02 has them start with 89;
/// SGP.29 allows other prefixes, so the prefix is not looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eid([u8; 16]);

impl Eid {
    /// Parses 32 digits. The second value is false where `checksum` is [`EidChecksum::Warn`] and there is something to
    /// warn of. `FromStr` is the same with [`EidChecksum::Reject`].
    ///
    /// # Errors
    /// Where the text is not 32 digits, or its check digits are wrong and `checksum` is [`EidChecksum::Reject`].
    pub fn parse(text: &str, checksum: EidChecksum) -> Result<(Self, bool), IdentityError> {
        let field = "EID";
        let found = text.chars().count();
        if found != 32 {
            return Err(IdentityError::Length { field, expected: "32 digits", found });
        }
        all_digits(field, text)?;
        let mut octets = [0; 16];
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            *octet = pair.iter().fold(0, |high, symbol| (high << 4) | (symbol & 0xF));
        }
        let eid = Self(octets);
        match checksum {
            EidChecksum::Off => Ok((eid, true)),
            EidChecksum::Warn => Ok((eid, eid.checksum_ok())),
            EidChecksum::Reject if eid.checksum_ok() => Ok((eid, true)),
            EidChecksum::Reject => Err(IdentityError::Remainder { field, found: eid.remainder() }),
        }
    }

    /// The EID in these octets (the value of tag 5A): two digits an octet, the earlier one in the high nibble. The
    /// check digits are not looked at.
    ///
    /// # Errors
    /// Where a nibble is no digit.
    pub fn from_octets(octets: [u8; 16]) -> Result<Self, IdentityError> {
        match octets.iter().flat_map(|octet| [octet >> 4, octet & 0xF]).position(|nibble| nibble > 9) {
            None => Ok(Self(octets)),
            Some(index) => {
                Err(IdentityError::Symbol { field: "EID", expected: "a digit", position: index + 1 })
            }
        }
    }

    /// The 16 octets of tag 5A.
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        self.0
    }

    /// Whether the number has the remainder 1 modulo 97.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        self.remainder() == 1
    }

    /// The number modulo 97.
    fn remainder(&self) -> u8 {
        let remainder = self
            .0
            .iter()
            .flat_map(|octet| [octet >> 4, octet & 0xF])
            .fold(0, |remainder, digit| (remainder * 10 + u16::from(digit)) % 97);
        u8::try_from(remainder).unwrap_or_default()
    }
}

impl FromStr for Eid {
    type Err = IdentityError;

    /// 32 digits with right check digits.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::parse(text, EidChecksum::Reject).map(|(eid, _)| eid)
    }
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

as_text!(Eid);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An API sample of a connectivity provider whose remainder is 27.
    const WITHOUT_CHECK_DIGITS: &str = "89049011803455664400046832584675";

    #[test]
    fn known_eids_have_right_check_digits() {
        for text in [
            "89034011560010000000000000000121",
            "89001012012341234012345678901224",
            "89044011112233441122334411223321",
            "89882119900000000000000000001654",
        ] {
            let eid: Eid = text.parse().unwrap();
            assert_eq!(eid.to_string(), text);
            assert!(eid.checksum_ok());
        }
    }

    #[test]
    fn the_policy_decides_about_wrong_check_digits() {
        let parse = |policy| Eid::parse(WITHOUT_CHECK_DIGITS, policy);
        assert_eq!(parse(EidChecksum::Reject), Err(IdentityError::Remainder { field: "EID", found: 27 }));
        assert_eq!(
            WITHOUT_CHECK_DIGITS.parse::<Eid>(),
            Err(IdentityError::Remainder { field: "EID", found: 27 })
        );
        let (eid, ok) = parse(EidChecksum::Warn).unwrap();
        assert!(!ok && !eid.checksum_ok());
        assert_eq!(parse(EidChecksum::Off), Ok((eid, true)));
        let (_, ok) = Eid::parse("89034011560010000000000000000121", EidChecksum::Warn).unwrap();
        assert!(ok, "nothing to warn of");
    }

    #[test]
    fn octets_are_not_swapped() {
        let eid: Eid = "89034011560010000000000000000121".parse().unwrap();
        assert_eq!(eid.octets(), [0x89, 0x03, 0x40, 0x11, 0x56, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x21]);
        assert_eq!(Eid::from_octets(eid.octets()), Ok(eid));
    }

    #[test]
    fn refuses_other_lengths_and_symbols() {
        assert!(matches!("8903".parse::<Eid>(), Err(IdentityError::Length { found: 4, .. })));
        let letter = "8903401156001000000000000000012a";
        assert!(matches!(letter.parse::<Eid>(), Err(IdentityError::Symbol { position: 32, .. })));
        assert!(matches!(Eid::from_octets([0x8A; 16]), Err(IdentityError::Symbol { position: 2, .. })));
    }

    #[test]
    fn policies_are_written_in_lower_case() {
        assert_eq!(serde_json::from_str::<EidChecksum>("\"warn\"").unwrap(), EidChecksum::Warn);
        assert!(serde_json::from_str::<EidChecksum>("\"loose\"").is_err());
    }

    proptest! {
        #[test]
        fn text_and_octets_read_back(text in "[0-9]{32}") {
            let (eid, ok) = Eid::parse(&text, EidChecksum::Warn).unwrap();
            prop_assert_eq!(eid.to_string(), text.clone());
            prop_assert_eq!(Eid::from_octets(eid.octets()), Ok(eid));
            prop_assert_eq!(text.parse::<Eid>().is_ok(), ok);
        }

        #[test]
        fn computed_check_digits_are_right(body in "[0-9]{30}") {
            let remainder = format!("{body}00").parse::<u128>().unwrap() % 97;
            let text = format!("{body}{:02}", 98 - remainder);
            prop_assert!(text.parse::<Eid>().is_ok());
        }

        #[test]
        fn nothing_from_outside_panics(text: String, octets: [u8; 16]) {
            let _ = text.parse::<Eid>();
            let _ = Eid::from_octets(octets);
        }
    }
}
