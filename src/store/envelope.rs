//! What stands in front of every stored value: a format octet, and a version where the record is guarded.

use bytes::Bytes;

/// The value format that this program writes and reads.
const FORMAT: u8 = 1;

/// A stored value that does not start as it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Too few octets.
    #[error("stored value: {found} octets, expected at least {expected}")]
    Short {
        /// Octets found.
        found: usize,
        /// Octets needed.
        expected: usize,
    },
    /// Written in a format that this program does not know.
    #[error("stored value: format {found}, expected 1")]
    Format {
        /// The format octet.
        found: u8,
    },
}

/// A guarded value: format octet 01, version as 8 octets (most significant first), body.
///
/// Commits assert on the version; every change of the record writes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guarded<'a> {
    /// The record's version, from 1 on.
    pub version: u64,
    /// The record itself.
    pub body: &'a [u8],
}

impl<'a> Guarded<'a> {
    /// The stored value of `body` at `version`.
    #[must_use]
    pub fn encode(version: u64, body: &[u8]) -> Bytes {
        let mut octets = Vec::with_capacity(9 + body.len());
        octets.push(FORMAT);
        octets.extend_from_slice(&version.to_be_bytes());
        octets.extend_from_slice(body);
        octets.into()
    }

    /// Version and body of a stored value.
    ///
    /// # Errors
    /// [`EnvelopeError`] for fewer than 9 octets or another format.
    pub fn decode(value: &'a [u8]) -> Result<Self, EnvelopeError> {
        let body = Unguarded::decode(value)?;
        let (version, body) =
            body.split_first_chunk().ok_or(EnvelopeError::Short { found: value.len(), expected: 9 })?;
        Ok(Self { version: u64::from_be_bytes(*version), body })
    }
}

/// An unguarded value: format octet 01, body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unguarded;

impl Unguarded {
    /// The stored value of `body`.
    #[must_use]
    pub fn encode(body: &[u8]) -> Bytes {
        let mut octets = Vec::with_capacity(1 + body.len());
        octets.push(FORMAT);
        octets.extend_from_slice(body);
        octets.into()
    }

    /// The body of a stored value.
    ///
    /// # Errors
    /// [`EnvelopeError`] for no octets or another format.
    pub fn decode(value: &[u8]) -> Result<&[u8], EnvelopeError> {
        match value.split_first() {
            Some((&FORMAT, body)) => Ok(body),
            Some((&found, _)) => Err(EnvelopeError::Format { found }),
            None => Err(EnvelopeError::Short { found: 0, expected: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarded_value_has_its_documented_octets() {
        let value = Guarded::encode(0x0102, b"body");
        assert_eq!(&value[..], b"\x01\0\0\0\0\0\0\x01\x02body");
        assert_eq!(Guarded::decode(&value), Ok(Guarded { version: 0x0102, body: b"body" }));
    }

    #[test]
    fn other_formats_and_short_values_are_named() {
        assert_eq!(Guarded::decode(b"\x02\0\0\0\0\0\0\0\x01"), Err(EnvelopeError::Format { found: 2 }));
        assert_eq!(Guarded::decode(b"\x01\0\0"), Err(EnvelopeError::Short { found: 3, expected: 9 }));
        assert_eq!(Unguarded::decode(b""), Err(EnvelopeError::Short { found: 0, expected: 1 }));
        assert_eq!(Unguarded::decode(&Unguarded::encode(b"x")), Ok(&b"x"[..]));
    }
}
