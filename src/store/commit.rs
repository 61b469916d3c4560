//! Commits: assertions, then puts and deletes, all or nothing.

use bytes::Bytes;

use super::envelope::Guarded;
use super::keys::Space;
use super::{ASSERTS_MAX, COMMIT_OCTETS_MAX, Key, OPS_MAX, StoreError, VALUE_OCTETS_MAX, within};

/// What a commit expects to find under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// A guarded value of this version.
    Version(u64),
}

/// One change of a commit.
#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    /// Stores the value under the key, whatever was there.
    Put(Key, Bytes),
    /// Removes what is there, if anything is.
    Delete(Key),
}

impl std::fmt::Debug for Op {
    /// Values may hold what must not be shown: their length stands for them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put(key, value) => write!(f, "Put({key:?}, {} octets)", value.len()),
            Self::Delete(key) => write!(f, "Delete({key:?})"),
        }
    }
}

/// Assertions and changes that happen together or not at all. Changes of one key happen in order: the last stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// What must hold for the commit to happen. At most one names a `Card`: a consequence for another card is an
    /// inbox record.
    pub asserts: Vec<(Key, Expect)>,
    /// What then changes.
    pub ops: Vec<Op>,
}

impl Commit {
    /// A commit that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asserts that nothing is stored under `key`.
    pub fn expect_absent(&mut self, key: Key) -> &mut Self {
        self.asserts.push((key, Expect::Absent));
        self
    }

    /// Asserts that the guarded value under `key` has `version`.
    pub fn expect_version(&mut self, key: Key, version: u64) -> &mut Self {
        self.asserts.push((key, Expect::Version(version)));
        self
    }

    /// Stores `value` under `key`.
    pub fn put(&mut self, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.ops.push(Op::Put(key, value.into()));
        self
    }

    /// Removes what is stored under `key`.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.ops.push(Op::Delete(key));
        self
    }

    /// Checks the limits of the write model.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        within("assertions of a commit", self.asserts.len(), ASSERTS_MAX)?;
        within("changes of a commit", self.ops.len(), OPS_MAX)?;
        let cards = self.asserts.iter().filter(|(key, _)| Space::of(key) == Some(Space::Card)).count();
        within("cards asserted by a commit", cards, 1)?;
        let mut octets = 0;
        for op in &self.ops {
            octets += match op {
                Op::Put(key, value) => {
                    within("octets of a value", value.len(), VALUE_OCTETS_MAX)?;
                    key.octets().len() + value.len()
                }
                Op::Delete(key) => key.octets().len(),
            };
        }
        within("octets of a commit", octets, COMMIT_OCTETS_MAX)
    }

    /// Checks the assertions against what `read` finds.
    pub(super) fn verify<V: AsRef<[u8]>>(
        &self,
        mut read: impl FnMut(&Key) -> Result<Option<V>, StoreError>,
    ) -> Result<(), CommitError> {
        for (key, expect) in &self.asserts {
            let holds = match (expect, read(key)?) {
                (Expect::Absent, found) => found.is_none(),
                (Expect::Version(_), None) => false,
                (Expect::Version(version), Some(value)) => {
                    let found =
                        Guarded::decode(value.as_ref()).map_err(|_| StoreError::Unguarded(key.clone()))?;
                    found.version == *version
                }
            };
            if !holds {
                return Err(CommitError::Conflict(key.clone()));
            }
        }
        Ok(())
    }
}

/// Why a commit did not happen, or is not known to have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The assertion on this key does not hold; nothing was changed.
    #[error("key {0:?} is not what the commit expects")]
    Conflict(Key),
    /// The commit is beyond the limits, or the store failed and the outcome is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::CardId;
    use crate::store::keys;

    #[test]
    fn a_commit_asserts_at_most_one_card() {
        let mut commit = Commit::new();
        commit.expect_version(keys::card(CardId::from_octets([1; 16])), 1);
        assert_eq!(commit.check(), Ok(()));
        commit.expect_version(keys::card(CardId::from_octets([2; 16])), 1);
        assert!(matches!(commit.check(), Err(StoreError::TooLarge { found: 2, limit: 1, .. })));
    }

    #[test]
    fn debug_shows_no_value() {
        let mut commit = Commit::new();
        commit.put(keys::card_keys(CardId::from_octets([1; 16])), &b"secret"[..]);
        let shown = format!("{commit:?}");
        assert!(shown.contains("6 octets") && !shown.contains("secret"));
    }
}
