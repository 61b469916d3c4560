//! What people paste: hexadecimal digits in any dress, and lines of AT+CSIM (TS 27.007 §8.17).

use super::Kind;

/// Octets from a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What the text says they are.
    pub kind: Option<Kind>,
    /// The octets.
    pub octets: Vec<u8>,
    /// What is odd about the text.
    pub note: Option<String>,
}

/// A text that holds no octets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// There is nothing.
    #[error("expected hexadecimal digits, found nothing")]
    Nothing,
    /// A character that is no digit.
    #[error("expected hexadecimal digits, found {found:?} as character {position}")]
    Digit {
        /// The character.
        found: char,
        /// Which one, from 1.
        position: usize,
    },
    /// An odd number of digits.
    #[error("expected two hexadecimal digits for each octet, found {digits} in all")]
    Odd {
        /// How many there are.
        digits: usize,
    },
}

/// Reads a text. Lines with `CSIM` give an APDU each, and lines between them (`OK`, echoes) are passed over. Lines each of
/// which is a PDU, TPDU, user data or packet by itself are so many. Anything else is one run of digits, in which blanks, line
/// ends, `:`, `-`, `.`, `,`, `"`, `0x` and `\x` do not count.
///
/// # Errors
/// [`TextError`].
pub fn read(text: &str) -> Result<Vec<Given>, TextError> {
    let lines: Vec<Given> = text.lines().filter_map(csim).collect::<Result<_, _>>()?;
    if !lines.is_empty() {
        return Ok(lines);
    }
    if let Some(several) = several(text) {
        return Ok(several);
    }
    Ok(vec![Given { kind: None, octets: digits(text)?, note: None }])
}

/// A thing in each line.
fn several(text: &str) -> Option<Vec<Given>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let whole = |line| {
        let octets = digits(line).ok()?;
        let (kinds, fits) = Kind::guess(&octets);
        let kind = *kinds.first().filter(|_| fits)?;
        let alone = matches!(
            kind,
            Kind::Smpp | Kind::UserData | Kind::Deliver | Kind::Submit | Kind::Command | Kind::Response
        );
        alone.then_some(Given { kind: None, octets, note: None })
    };
    lines.map(whole).collect::<Option<Vec<_>>>().filter(|several| several.len() > 1)
}

/// `AT+CSIM=14,"00A40004026F07"` or `+CSIM: 4,"9000"`; `None` for other lines.
fn csim(line: &str) -> Option<Result<Given, TextError>> {
    let upper = line.to_ascii_uppercase();
    let (_, behind) = upper.split_once("+CSIM")?;
    let kind = if behind.trim_start().starts_with('=') { Kind::Apdu } else { Kind::ApduResponse };
    let (length, octets) = behind.trim_start_matches(['=', ':', ' ']).split_once(',')?;
    Some(digits(octets).map(|octets| {
        let said = length.trim().parse().ok();
        let found = octets.len() * 2;
        let note =
            (said != Some(found)).then(|| format!("the line says {} digits, found {found}", length.trim()));
        Given { kind: Some(kind), octets, note }
    }))
}

fn digits(text: &str) -> Result<Vec<u8>, TextError> {
    let mut nibbles = Vec::new();
    let mut characters = (1..).zip(text.chars()).peekable();
    while let Some((position, character)) = characters.next() {
        let escaped = matches!(character, '0' | '\\');
        if escaped && characters.next_if(|(_, next)| matches!(next, 'x' | 'X')).is_some() {
            continue;
        }
        match character.to_digit(16) {
            Some(digit) => nibbles.push(digit as u8),
            None if character.is_whitespace() || ":-.,\"'\u{feff}".contains(character) => {}
            None => return Err(TextError::Digit { found: character, position }),
        }
    }
    if nibbles.is_empty() {
        return Err(TextError::Nothing);
    }
    let (pairs, rest) = nibbles.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TextError::Odd { digits: nibbles.len() });
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
