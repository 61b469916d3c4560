//! C-Octet Strings (§3.1), kept inline.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

/// A C-Octet String of at most `N` octets (at most 255), its terminating NUL not counted.
///
/// The octets are kept as they came (peers send Latin-1 where the specification says ASCII) and inline, so
/// that a short field neither allocates nor holds the read buffer it came from. It never contains a NUL.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct COctetString<const N: usize> {
    length: u8,
    /// Zero from `length` on.
    octets: [u8; N],
}

/// A text that does not fit a C-Octet String.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum COctetStringError {
    /// More octets than the field takes.
    #[error("at most {max} octets expected, found {found}")]
    TooLong {
        /// What the field takes.
        max: usize,
        /// What was given.
        found: usize,
    },
    /// A NUL, which would end the text early.
    #[error("no NUL expected within the text")]
    Nul,
}

impl<const N: usize> COctetString<N> {
    /// The empty text: a single NUL on the wire.
    pub const EMPTY: Self = Self { length: 0, octets: [0; N] };

    /// The text of these octets, NUL not included.
    ///
    /// # Errors
    /// More than `N` octets, or a NUL among them.
    pub fn new(text: &[u8]) -> Result<Self, COctetStringError> {
        if text.contains(&0) {
            return Err(COctetStringError::Nul);
        }
        let max = N.min(usize::from(u8::MAX));
        if text.len() > max {
            return Err(COctetStringError::TooLong { max, found: text.len() });
        }
        Ok(Self::of_checked(text))
    }

    /// The text of octets known to hold no NUL and to fit.
    #[inline]
    pub(super) fn of_checked(text: &[u8]) -> Self {
        debug_assert!(text.len() <= N && !text.contains(&0));
        let mut octets = [0; N];
        let length = match octets.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text);
                text.len()
            }
            None => 0,
        };
        Self { length: u8::try_from(length).unwrap_or_default(), octets }
    }

    /// The same text where more fits.
    pub(super) fn widen<const M: usize>(&self) -> COctetString<M> {
        const { assert!(N <= M) };
        COctetString::of_checked(self.as_bytes())
    }

    /// The octets, zeros behind them.
    #[inline]
    pub(super) const fn padded(&self) -> &[u8; N] {
        &self.octets
    }

    /// Appends the octets and the NUL.
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_slice(self.as_bytes());
        out.put_u8(0);
    }

    /// The octets, NUL not included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The text, with U+FFFD where the octets are not UTF-8.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether there is no octet but the NUL.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<const N: usize> Default for COctetString<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> FromStr for COctetString<N> {
    type Err = COctetStringError;

    fn from_str(text: &str) -> Result<Self, COctetStringError> {
        Self::new(text.as_bytes())
    }
}

impl<const N: usize> PartialOrd for COctetString<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for COctetString<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// Octets outside printable ASCII are escaped: a peer's text must not break a log line.
impl<const N: usize> fmt::Display for COctetString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_bytes().escape_ascii(), f)
    }
}

impl<const N: usize> fmt::Debug for COctetString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_fits_and_refuses_the_rest() {
        let text: COctetString<4> = "1234".parse().unwrap();
        assert_eq!(text.as_bytes(), b"1234");
        assert_eq!("12345".parse::<COctetString<4>>(), Err(COctetStringError::TooLong { max: 4, found: 5 }));
        assert_eq!(COctetString::<4>::new(b"1\x002"), Err(COctetStringError::Nul));
        assert!(COctetString::<255>::new(&[b'a'; 255]).is_ok());
        assert!(COctetString::<300>::new(&[b'a'; 256]).is_err());
    }

    #[test]
    fn shows_foreign_octets_escaped() {
        let text = COctetString::<8>::new(b"caf\xe9\n").unwrap();
        assert_eq!(text.to_string(), r"caf\xe9\n");
    }

    #[test]
    fn orders_by_octets() {
        let text = |octets: &[u8]| COctetString::<8>::new(octets).unwrap();
        assert!(text(b"10") < text(b"9"));
        assert!(text(b"1") < text(b"10"));
    }
}
