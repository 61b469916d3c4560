//! Keys: octets whose first names the key space, ordered as octet strings.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

/// Most octets of a [`KeyText`].
const TEXT_OCTETS_MAX: usize = 255;

/// Most octets of a [`Key`].
const KEY_OCTETS_MAX: usize = 1024;

/// Octets that cannot stand in a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A text of the wrong length.
    #[error("text in a key: {found} octets, expected 1 to 255")]
    TextLength {
        /// Its octets.
        found: usize,
    },
    /// A text with the octet that ends texts.
    #[error("text in a key: expected no octet 00")]
    TextNul,
    /// A key of the wrong length.
    #[error("key: {found} octets, expected 1 to 1024")]
    KeyLength {
        /// Its octets.
        found: usize,
    },
    /// A key that does not have the shape of its key space.
    #[error("key: expected {expected}")]
    Shape {
        /// What was expected.
        expected: &'static str,
    },
}

/// The name under which a value is stored: 1 to 1024 octets, the first names the key space.
///
/// Built by the types and functions of [`keys`](super::keys); compared as octet strings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key that these octets are, as a backend or a backup reads them.
    ///
    /// # Errors
    /// [`KeyError::KeyLength`] for none or more than 1024 octets.
    pub fn from_octets(octets: impl Into<Bytes>) -> Result<Self, KeyError> {
        let octets = octets.into();
        if octets.is_empty() || octets.len() > KEY_OCTETS_MAX {
            return Err(KeyError::KeyLength { found: octets.len() });
        }
        Ok(Self(octets))
    }

    /// The octets, key space first.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Octets that [`KeyBuilder`] has bounded.
    fn built(octets: Vec<u8>) -> Self {
        debug_assert!(!octets.is_empty() && octets.len() <= KEY_OCTETS_MAX);
        Self(octets.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// Keys compare as their octets do, so maps of keys can be searched by octets.
impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A text that may stand in a key: 1 to 255 octets of UTF-8 without 00.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyText(Box<str>);

impl KeyText {
    /// The text, if it may stand in a key.
    ///
    /// # Errors
    /// [`KeyError::TextLength`] and [`KeyError::TextNul`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() || text.len() > TEXT_OCTETS_MAX {
            return Err(KeyError::TextLength { found: text.len() });
        }
        if text.bytes().any(|octet| octet == 0) {
            return Err(KeyError::TextNul);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<&str> for KeyText {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// Start and end of a [`KeyRange`] as ordered collections take them.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A range of keys: from a first one on, up to but without an end.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first octet string of the range.
    start: Vec<u8>,
    /// The first octet string behind the range; `None` where it has no end.
    end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key of the store.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// The keys that start with `prefix`.
    #[must_use]
    pub(super) fn prefix(prefix: KeyBuilder) -> Self {
        Self { end: successor(&prefix.0), start: prefix.0 }
    }

    /// The keys from `start` on and before `end`.
    #[must_use]
    pub(super) fn between(start: KeyBuilder, end: KeyBuilder) -> Self {
        Self { start: start.0, end: Some(end.0) }
    }

    /// What is left of this range behind `key`: the next page of a forward scan.
    #[must_use]
    pub fn after(mut self, key: &Key) -> Self {
        let mut next = key.octets().to_vec();
        next.push(0);
        self.start = self.start.max(next);
        self
    }

    /// What is left of this range before `key`: the next page of a reverse scan.
    #[must_use]
    pub fn before(mut self, key: &Key) -> Self {
        let key = key.octets().to_vec();
        self.end = Some(self.end.map_or_else(|| key.clone(), |end| end.min(key.clone())));
        self
    }

    /// The first octet string of the range.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first octet string behind the range, where it has an end.
    #[must_use]
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether no key can lie in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Start and end; `None` where it is empty (some of them panic at that).
    pub(super) fn bounds(&self) -> Option<Bounds<'_>> {
        let end = self.end().map_or(Bound::Unbounded, Bound::Excluded);
        (!self.is_empty()).then_some((Bound::Included(self.start()), end))
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", hex::encode(&self.start), self.end.as_ref().map(hex::encode).unwrap_or_default())
    }
}

/// The first octet string behind every string that starts with `prefix`; `None` where there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Puts the parts of a key behind each other.
pub(super) struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    /// A key of the space `space`.
    pub(super) fn new(space: u8) -> Self {
        let mut octets = Vec::with_capacity(48);
        octets.push(space);
        Self(octets)
    }

    /// Octets of a fixed number.
    pub(super) fn octets<const N: usize>(mut self, octets: &[u8; N]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// A text and the 00 that ends it, so that no text is the beginning of another.
    pub(super) fn text(mut self, text: &KeyText) -> Self {
        self.0.extend_from_slice(text.as_str().as_bytes());
        self.0.push(0);
        self
    }

    /// The digits of an identifier and the 00 that ends texts.
    pub(super) fn digits(mut self, digits: &str) -> Self {
        debug_assert!(digits.bytes().all(|octet| octet.is_ascii_alphanumeric()));
        self.0.extend_from_slice(digits.as_bytes());
        self.0.push(0);
        self
    }

    /// The key.
    pub(super) fn key(self) -> Key {
        Key::built(self.0)
    }
}

/// Takes the parts of a key off again.
pub(super) struct KeyParser<'a> {
    rest: &'a [u8],
    expected: &'static str,
}

impl<'a> KeyParser<'a> {
    /// A reader of `key`, which must lie in the space `space`; `expected` says the shape in errors.
    pub(super) fn new(key: &'a Key, space: u8, expected: &'static str) -> Result<Self, KeyError> {
        match key.octets().split_first() {
            Some((first, rest)) if *first == space => Ok(Self { rest, expected }),
            _ => Err(KeyError::Shape { expected }),
        }
    }

    pub(super) fn octets<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (octets, rest) =
            self.rest.split_first_chunk().ok_or(KeyError::Shape { expected: self.expected })?;
        self.rest = rest;
        Ok(*octets)
    }

    pub(super) fn text(&mut self) -> Result<KeyText, KeyError> {
        let shape = || KeyError::Shape { expected: self.expected };
        let mut halves = self.rest.splitn(2, |octet| *octet == 0);
        let (Some(text), Some(rest)) = (halves.next(), halves.next()) else { return Err(shape()) };
        let text = std::str::from_utf8(text).map_err(|_| shape())?;
        self.rest = rest;
        KeyText::new(text)
    }

    /// The end of the key.
    pub(super) fn end(self) -> Result<(), KeyError> {
        if self.rest.is_empty() { Ok(()) } else { Err(KeyError::Shape { expected: self.expected }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_and_free_of_its_end_mark() {
        assert_eq!(KeyText::new(""), Err(KeyError::TextLength { found: 0 }));
        assert_eq!(KeyText::new(&"x".repeat(256)), Err(KeyError::TextLength { found: 256 }));
        assert_eq!(KeyText::new("a\0b"), Err(KeyError::TextNul));
        assert_eq!(KeyText::new(&"x".repeat(255)).map(|text| text.as_str().len()), Ok(255));
    }

    #[test]
    fn range_ends_behind_its_prefix_even_at_ff() {
        assert_eq!(successor(&[0x08, 0xFF, 0xFF]), Some(vec![0x09]));
        assert_eq!(successor(&[0xFF]), None);
        assert_eq!(successor(&[0x0D, 0x01]), Some(vec![0x0D, 0x02]));
    }

    #[test]
    fn pages_leave_out_the_key_they_start_at() {
        let key = KeyBuilder::new(7).octets(b"b").key();
        let range = KeyRange::prefix(KeyBuilder::new(7));
        let next = range.clone().after(&key);
        assert!(next.start() > key.octets());
        assert_eq!(next.end(), Some(&[8][..]));
        let before = range.before(&key);
        assert_eq!(before.end(), Some(key.octets()));
        assert!(before.after(&key).is_empty());
    }
}
