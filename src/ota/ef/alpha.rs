//! Names in files: the 7-bit default alphabet with one character an octet, or UCS2 in one of three forms
//! (TS 102 221 annex A; TS 23.038 §6.2.1).
//!
//! | first octet | then |
//! |---|---|
//! | 00 to 7F | itself a character of the default alphabet; 1B begins one of the extension table |
//! | 80 | UCS2, two octets a character |
//! | 81 | number of characters, base pointer without its lower seven bits (1), characters |
//! | 82 | number of characters, base pointer (2), characters |
//!
//! Characters behind a base pointer are of the default alphabet, or the base pointer plus their lower seven bits where b8 is 1.
//! Unused octets behind the name are FF.

use super::{BLANK, EfError};

/// The default alphabet by code. 1B is no character but the way into the extension table.
const DEFAULT: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1B}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                       ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters behind 1B.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];
const ESCAPE: u8 = 0x1B;
const UCS2: u8 = 0x80;

/// The name in these octets.
///
/// # Errors
/// [`EfError::Name`].
pub fn decode(octets: &[u8]) -> Result<String, EfError> {
    match octets {
        [UCS2, characters @ ..] => ucs2(characters),
        [0x81, count, base, characters @ ..] => {
            based(*count, u32::from(*base) << 7, characters).ok_or(EfError::Name)
        }
        [0x82, count, high, low, characters @ ..] => {
            based(*count, u16::from_be_bytes([*high, *low]).into(), characters).ok_or(EfError::Name)
        }
        _ => {
            let name = octets.split(|octet| *octet == BLANK).next().unwrap_or_default();
            default_alphabet(name).ok_or(EfError::Name)
        }
    }
}

/// The name in `length` octets: in the default alphabet if it has all of its characters, else UCS2 behind 80.
///
/// # Errors
/// [`EfError::NameLength`].
pub fn encode(name: &str, length: usize) -> Result<Vec<u8>, EfError> {
    let septets: Option<Vec<Vec<u8>>> = name.chars().map(septets).collect();
    let mut octets = septets.map_or_else(
        || std::iter::once(UCS2).chain(name.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
        |septets| septets.concat(),
    );
    if octets.len() > length {
        return Err(EfError::NameLength { fits: length, found: octets.len() });
    }
    octets.resize(length, BLANK);
    Ok(octets)
}

/// One or two octets of a character.
fn septets(character: char) -> Option<Vec<u8>> {
    let code = DEFAULT.chars().position(|known| known == character && character != char::from(ESCAPE));
    let extended =
        || EXTENSION.iter().find(|(_, known)| *known == character).map(|(code, _)| vec![ESCAPE, *code]);
    code.and_then(|code| u8::try_from(code).ok()).map(|code| vec![code]).or_else(extended)
}

fn default_alphabet(octets: &[u8]) -> Option<String> {
    let mut codes = octets.iter();
    let mut name = String::new();
    while let Some(&code) = codes.next() {
        let character = if code == ESCAPE {
            let code = codes.next()?;
            EXTENSION.iter().find(|(known, _)| known == code).map(|(_, character)| *character)
        } else {
            DEFAULT.chars().nth(code.into())
        };
        name.push(character?);
    }
    Some(name)
}

fn ucs2(octets: &[u8]) -> Result<String, EfError> {
    let (pairs, odd) = octets.as_chunks();
    if !matches!(odd, [] | [BLANK]) {
        return Err(EfError::Name);
    }
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).take_while(|unit| *unit != 0xFFFF);
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| EfError::Name)
}

fn based(count: u8, base: u32, octets: &[u8]) -> Option<String> {
    let character = |octet: &u8| match octet & 0x7F {
        _ if *octet < 0x80 => default_alphabet(&[*octet]),
        offset => char::from_u32(base + u32::from(offset)).map(String::from),
    };
    octets.get(..count.into())?.iter().map(character).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(octets: &str) -> Result<String, EfError> {
        decode(&hex::decode(octets).unwrap())
    }

    #[test]
    fn the_default_alphabet_has_128_codes() {
        assert_eq!(DEFAULT.chars().count(), 128);
        assert_eq!(encode("MyOperator", 16).unwrap(), *b"MyOperator\xFF\xFF\xFF\xFF\xFF\xFF");
        assert_eq!(encode("@$_{€", 9).unwrap(), [0x00, 0x02, 0x11, 0x1B, 0x28, 0x1B, 0x65, 0xFF, 0xFF]);
        assert_eq!(decoded("0002111b281b65ffff").as_deref(), Ok("@$_{€"));
        assert_eq!(decoded("ffff").as_deref(), Ok(""));
        assert_eq!(decoded("1b"), Err(EfError::Name));
        assert_eq!(decoded("90"), Err(EfError::Name));
    }

    #[test]
    fn ucs2_has_three_forms() {
        // Greek letters in each of them.
        assert_eq!(decoded("8003910392ffff").as_deref(), Ok("ΑΒ"));
        assert_eq!(decoded("80039103ff").as_deref(), Ok("ΑϿ"));
        assert_eq!(decoded("800391ff").as_deref(), Ok("Α"), "an odd filler");
        // The example of annex A: base pointer 13 half pages on, a dollar sign between.
        assert_eq!(decoded("810513532095a6"), Err(EfError::Name), "too short");
        assert_eq!(
            decoded("8105135320 95a6a6ff".replace(' ', "").as_str()).as_deref(),
            Ok("S \u{995}\u{9A6}\u{9A6}")
        );
        assert_eq!(
            decoded("82050530 2d82d32d31".replace(' ', "").as_str()).as_deref(),
            Ok("-\u{532}\u{583}-1")
        );
        assert_eq!(decoded("80d800"), Err(EfError::Name));
        assert_eq!(decoded("800391aa"), Err(EfError::Name));
        assert_eq!(encode("Ω中", 6).unwrap(), [0x80, 0x03, 0xA9, 0x4E, 0x2D, 0xFF]);
        assert_eq!(encode("Ω中", 4), Err(EfError::NameLength { fits: 4, found: 5 }));
    }

    proptest! {
        #[test]
        fn names_read_as_they_are_written(name in "[ -~Ω中é€]{0,8}", spare in 0usize..4) {
            let length = 2 * name.chars().count() + 1 + spare;
            prop_assert_eq!(decode(&encode(&name, length).unwrap()), Ok(name));
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..40), first in 0x80u8..=0x82) {
            let _ = decode(&octets);
            let _ = decode(&[&[first][..], &octets].concat());
        }
    }
}
