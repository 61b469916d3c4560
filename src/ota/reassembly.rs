//! The parts of one message put together again. Parts come in any order, more than once, and on different binds; how long a
//! set is kept and how many there are is for the caller to limit.

use std::collections::BTreeMap;

use super::user_data::{Concatenation, Content, Reference, UserData};

/// The parts of one message that have arrived. Holds at most 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSet {
    reference: Reference,
    total: u8,
    content: Content,
    payloads: BTreeMap<u8, Vec<u8>>,
}

/// What a part did to its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It was missing.
    New,
    /// It was there already, with the same octets.
    Duplicate,
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// What it carries, as any of its parts says.
    pub content: Content,
    /// The payloads of the parts in their order: the packet from CPL or RPL on.
    pub payload: Vec<u8>,
}

/// Why a part does not belong into a set. The set stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// The message has no (valid) concatenation element.
    #[error("user data: expected a concatenation element")]
    NotAPart,
    /// The part has another reference number, or says another number of parts.
    #[error(
        "concatenation: expected {expected:?} of {expected_total} parts, found {found:?} of {found_total}"
    )]
    OtherSet {
        /// The set's reference number.
        expected: Reference,
        /// The set's number of parts.
        expected_total: u8,
        /// The part's reference number.
        found: Reference,
        /// The part's number of parts.
        found_total: u8,
    },
    /// The same part was there with other octets: another message under the same reference number, or a forgery.
    #[error("part {number}: differs from the one that came before")]
    Differs {
        /// Number of the part.
        number: u8,
    },
    /// One part is marked as a command, another as a response.
    #[error("part {number}: marked as {found:?} in a set that is marked as {expected:?}")]
    OtherContent {
        /// Number of the part.
        number: u8,
        /// What the set carries.
        expected: Content,
        /// What the part is marked as.
        found: Content,
    },
}

impl PartSet {
    /// The empty set of the message that `part` belongs to; the part itself is inserted like any other.
    #[must_use]
    pub const fn new(part: Concatenation) -> Self {
        let Concatenation { reference, total, .. } = part;
        Self { reference, total, content: Content::Plain, payloads: BTreeMap::new() }
    }

    /// Puts in one part. Duplicates are tolerated.
    ///
    /// # Errors
    /// [`PartError`] if the part does not belong here.
    pub fn insert(&mut self, part: &UserData) -> Result<Insertion, PartError> {
        let Concatenation { reference, total, number } = part.concatenation().ok_or(PartError::NotAPart)?;
        if (reference, total) != (self.reference, self.total) {
            return Err(PartError::OtherSet {
                expected: self.reference,
                expected_total: self.total,
                found: reference,
                found_total: total,
            });
        }
        let content = match (self.content, part.content()) {
            (expected, Content::Plain) => expected,
            (Content::Plain, found) => found,
            (expected, found) if expected == found => expected,
            (expected, found) => return Err(PartError::OtherContent { number, expected, found }),
        };
        match self.payloads.get(&number) {
            Some(payload) if *payload == part.payload => return Ok(Insertion::Duplicate),
            Some(_) => return Err(PartError::Differs { number }),
            None => self.payloads.insert(number, part.payload.clone()),
        };
        self.content = content;
        Ok(Insertion::New)
    }

    /// Numbers of the parts that are missing, in their order.
    pub fn missing(&self) -> impl Iterator<Item = u8> + '_ {
        (1..=self.total).filter(|number| !self.payloads.contains_key(number))
    }

    /// The message, once no part is missing.
    #[must_use]
    pub fn joined(&self) -> Option<Joined> {
        if self.missing().next().is_some() {
            return None;
        }
        Some(Joined { content: self.content, payload: self.payloads.values().flatten().copied().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::user_data::UserDataError;

    fn part(octets: &[u8]) -> Result<UserData, UserDataError> {
        UserData::parse(octets)
    }

    fn set_of_two() -> PartSet {
        let first = part(&[7, 0, 3, 9, 2, 1, 0x71, 0, 0xAA]).unwrap();
        let mut set = PartSet::new(first.concatenation().unwrap());
        assert_eq!(set.insert(&first), Ok(Insertion::New));
        set
    }

    #[test]
    fn a_set_says_what_is_missing_until_it_is_whole() {
        let mut set = set_of_two();
        assert_eq!(set.missing().collect::<Vec<_>>(), [2]);
        assert_eq!(set.joined(), None);
        let second = part(&[5, 0, 3, 9, 2, 2, 0xBB]).unwrap();
        assert_eq!(set.insert(&second), Ok(Insertion::New));
        assert_eq!(set.insert(&second), Ok(Insertion::Duplicate));
        assert_eq!(set.joined(), Some(Joined { content: Content::Response, payload: vec![0xAA, 0xBB] }));
    }

    #[test]
    fn what_does_not_belong_changes_nothing() {
        let mut set = set_of_two();
        let before = set.clone();
        let mut refused = |octets: &[u8]| set.insert(&part(octets).unwrap()).unwrap_err();
        assert_eq!(refused(&[2, 0x71, 0]), PartError::NotAPart);
        assert!(matches!(refused(&[5, 0, 3, 8, 2, 2]), PartError::OtherSet { .. }), "another reference");
        assert!(matches!(refused(&[5, 0, 3, 9, 3, 2]), PartError::OtherSet { .. }), "another total");
        assert!(
            matches!(refused(&[6, 8, 4, 0, 9, 2, 2]), PartError::OtherSet { .. }),
            "another number space"
        );
        assert_eq!(refused(&[7, 0, 3, 9, 2, 1, 0x71, 0, 0xAB]), PartError::Differs { number: 1 });
        let other =
            PartError::OtherContent { number: 2, expected: Content::Response, found: Content::Command };
        assert_eq!(refused(&[7, 0, 3, 9, 2, 2, 0x70, 0, 0xBB]), other);
        assert_eq!(set, before);
    }
}
