//! The SMSC's id of a message.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;

use super::reader::Reader;
use super::{COctetString, COctetStringError, DecodeError, Field};

/// What most ids fit into: decimal and hexadecimal numbers, UUIDs (36 octets).
const INLINE: usize = 38;

/// The SMSC's id of a message: 64 octets in the specification; longer ones, up to 127, are taken as well. Its form
/// (decimal, hexadecimal, UUID, constant, empty) is the SMSC's affair.
///
/// Every response to a submit_sm brings one, through several hands: what most SMSCs give is kept inline and small, only
/// a longer one in memory of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageId(Text);

/// One text has one form only.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Text {
    Short(COctetString<INLINE>),
    /// More than [`INLINE`] octets.
    Long(Box<COctetString<127>>),
}

impl MessageId {
    /// No id.
    pub const EMPTY: Self = Self(Text::Short(COctetString::EMPTY));

    /// The id of these octets, NUL not included.
    ///
    /// # Errors
    /// More than 127 octets, or a NUL among them.
    pub fn new(text: &[u8]) -> Result<Self, COctetStringError> {
        Ok(match text.len() {
            ..=INLINE => Self(Text::Short(COctetString::new(text)?)),
            _ => Self(Text::Long(Box::new(COctetString::new(text)?))),
        })
    }

    #[inline]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = reader.text(Field::MessageId, 127)?;
        Ok(match text.len() {
            ..=INLINE => Self(Text::Short(COctetString::of_checked(text))),
            _ => Self(Text::Long(Box::new(COctetString::of_checked(text)))),
        })
    }

    /// Appends the octets and the NUL.
    pub(super) fn put(&self, out: &mut BytesMut) {
        match &self.0 {
            Text::Short(text) => text.put(out),
            Text::Long(text) => text.put(out),
        }
    }

    /// The octets, NUL not included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short(text) => text.as_bytes(),
            Text::Long(text) => text.as_bytes(),
        }
    }

    /// The text, with U+FFFD where the octets are not UTF-8.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether there is no octet but the NUL.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromStr for MessageId {
    type Err = COctetStringError;

    fn from_str(text: &str) -> Result<Self, COctetStringError> {
        Self::new(text.as_bytes())
    }
}

/// As a [`COctetString`] shows it.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_bytes().escape_ascii(), f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_length_are_kept() {
        for length in 0..=127 {
            let text = vec![b'7'; length];
            let id = MessageId::new(&text).unwrap();
            assert_eq!((id.as_bytes(), id.is_empty()), (&text[..], length == 0));
            let mut octets = BytesMut::new();
            id.put(&mut octets);
            assert_eq!(octets.len(), length + 1);
            assert_eq!(MessageId::read(&mut Reader::new(&octets)), Ok(id));
        }
        assert_eq!(MessageId::new(&[b'7'; 128]), Err(COctetStringError::TooLong { max: 127, found: 128 }));
        assert_eq!(MessageId::new(&[0; 50]), Err(COctetStringError::Nul));
        assert_eq!(size_of::<MessageId>(), 40);
    }
}
