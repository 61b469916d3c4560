//! Swapped BCD: two digits an octet, the earlier one in the low nibble, nibble F where there is no digit
//! (TS 24.008 §10.5.4.7, TS 23.040 §9.1.2.3).

use super::IdentityError;

/// The nibble that stands where there is no digit.
pub(super) const FILLER: u8 = 0xF;

/// The digits packed two an octet; an odd last digit gets the filler: `123` is `21 F3`.
///
/// # Errors
/// Where a symbol is no decimal digit.
pub fn swapped(digits: &str) -> Result<Vec<u8>, IdentityError> {
    let digit = |(index, symbol): (usize, char)| {
        symbol.to_digit(10).and_then(|digit| u8::try_from(digit).ok()).ok_or(IdentityError::Symbol {
            field: "BCD",
            expected: "a digit",
            position: index + 1,
        })
    };
    Ok(pack(&digits.chars().enumerate().map(digit).collect::<Result<Vec<u8>, _>>()?))
}

/// The digits in these octets, up to the fillers at their end: `21 F3 FF` is `123`.
///
/// # Errors
/// Where a nibble before the last digit is none of 0 to 9.
pub fn digits(octets: &[u8]) -> Result<String, IdentityError> {
    let digit = |(index, nibble): (usize, u8)| {
        char::from_digit(nibble.into(), 10).ok_or(IdentityError::Symbol {
            field: "BCD",
            expected: "a digit",
            position: index + 1,
        })
    };
    unpack(octets).into_iter().enumerate().map(digit).collect()
}

/// Nibbles (0 to 15) packed two an octet, the earlier one low.
pub(super) fn pack(nibbles: &[u8]) -> Vec<u8> {
    let octet = |pair: &[u8]| match *pair {
        [low, high] => (high << 4) | (low & 0xF),
        [low] => (FILLER << 4) | (low & 0xF),
        _ => 0xFF,
    };
    nibbles.chunks(2).map(octet).collect()
}

/// The nibbles of these octets, low before high, without the fillers at the end.
pub(super) fn unpack(octets: &[u8]) -> Vec<u8> {
    let mut nibbles: Vec<u8> = octets.iter().flat_map(|octet| [octet & 0xF, octet >> 4]).collect();
    while nibbles.last() == Some(&FILLER) {
        nibbles.pop();
    }
    nibbles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packs_the_earlier_digit_low() {
        assert_eq!(swapped("123"), Ok(vec![0x21, 0xF3]));
        assert_eq!(swapped("447797704848"), Ok(vec![0x44, 0x77, 0x79, 0x07, 0x84, 0x84]));
        assert_eq!(swapped(""), Ok(vec![]));
        assert_eq!(digits(&[0x21, 0xF3, 0xFF]).as_deref(), Ok("123"));
    }

    #[test]
    fn refuses_what_is_no_digit() {
        let at = |position| IdentityError::Symbol { field: "BCD", expected: "a digit", position };
        assert_eq!(swapped("12*"), Err(at(3)));
        assert_eq!(swapped("१"), Err(at(1)));
        assert_eq!(digits(&[0x21, 0xA3]), Err(at(4)));
        assert_eq!(digits(&[0xF1, 0x32]), Err(at(2)), "a filler before a digit");
    }

    proptest! {
        #[test]
        fn what_is_packed_reads_back(text in "[0-9]{0,40}") {
            prop_assert_eq!(digits(&swapped(&text).unwrap()), Ok(text));
        }

        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            if let Ok(text) = digits(&octets) {
                prop_assert!(octets.starts_with(&swapped(&text).unwrap()));
            }
        }

        #[test]
        fn any_text_is_packed_or_refused(text: String) {
            prop_assert_eq!(swapped(&text).is_ok(), text.chars().all(|symbol| symbol.is_ascii_digit()));
        }
    }
}
