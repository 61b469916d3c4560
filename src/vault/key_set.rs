//! A key set in clear: on its way from an import into the vault, or inside the vault.

use std::fmt;

use ctutils::CtEq;
use zeroize::Zeroizing;

use crate::ota::{Algorithm, Key, KeyError, KeySet};

/// A key set of a card in clear. Shows no key and wipes itself.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct ClearKeySet {
    kvn: u8,
    algorithm: Algorithm,
    cc_len: u8,
    kic: Zeroizing<Vec<u8>>,
    kid: Zeroizing<Vec<u8>>,
    kik: Option<Zeroizing<Vec<u8>>>,
}

impl ClearKeySet {
    /// A key set with number `kvn` (0 to 15) and a checksum of `cc_len` octets (8; with AES also 4). [`Key::new`] says
    /// how long keys are; KIK, which wraps keys for the card, may be missing.
    ///
    /// # Errors
    /// [`KeyError`] names what does not fit.
    pub fn new(
        kvn: u8,
        algorithm: Algorithm,
        cc_len: u8,
        kic: &[u8],
        kid: &[u8],
        kik: Option<&[u8]>,
    ) -> Result<Self, KeyError> {
        let key_set = KeySet::new(kvn, Key::new(algorithm, kic)?, Key::new(algorithm, kid)?, cc_len)?;
        if let Some(kik) = kik {
            Key::new(algorithm, kik)?;
        }
        Ok(Self {
            kvn: key_set.version(),
            algorithm,
            cc_len: key_set.cc_len(),
            kic: Zeroizing::new(kic.to_vec()),
            kid: Zeroizing::new(kid.to_vec()),
            kik: kik.map(|kik| Zeroizing::new(kik.to_vec())),
        })
    }

    /// Whether it is this one, in a time that does not tell where keys differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = |ours: &[u8], theirs: &[u8]| bool::from(ours.ct_eq(theirs));
        let kik = match (&self.kik, &other.kik) {
            (Some(ours), Some(theirs)) => same(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        (self.kvn, self.algorithm, self.cc_len) == (other.kvn, other.algorithm, other.cc_len)
            && same(&self.kic, &other.kic)
            && same(&self.kid, &other.kid)
            && kik
    }

    /// The key set number (KVN).
    #[must_use]
    pub const fn kvn(&self) -> u8 {
        self.kvn
    }

    /// The algorithm of all its keys.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Octets of the cryptographic checksum: 8 or 4.
    #[must_use]
    pub const fn cc_len(&self) -> u8 {
        self.cc_len
    }

    /// Whether a key is weak ([`Key::is_weak`]): seen on test cards, worth a warning.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let (kic, kid, kik) = self.keys();
        [Some(kic), Some(kid), kik]
            .into_iter()
            .flatten()
            .any(|octets| Key::new(self.algorithm, octets).is_ok_and(|key| key.is_weak()))
    }

    /// What secures packets.
    pub(super) fn key_set(&self) -> Result<KeySet, KeyError> {
        let key = |octets: &[u8]| Key::new(self.algorithm, octets);
        KeySet::new(self.kvn, key(&self.kic)?, key(&self.kid)?, self.cc_len)
    }

    /// KIc, KID and KIK.
    pub(super) fn keys(&self) -> (&[u8], &[u8], Option<&[u8]>) {
        (&self.kic, &self.kid, self.kik.as_ref().map(|kik| kik.as_slice()))
    }
}

impl fmt::Debug for ClearKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClearKeySet")
            .field("kvn", &self.kvn)
            .field("algorithm", &self.algorithm)
            .field("cc_len", &self.cc_len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_card_can_have_is_refused() {
        let aes =
            |kvn, cc_len, kic: &[u8], kik| ClearKeySet::new(kvn, Algorithm::Aes, cc_len, kic, &[2; 16], kik);
        assert!(aes(1, 8, &[1; 16], None).is_ok());
        assert!(aes(15, 4, &[1; 32], Some(&[3; 24])).is_ok());
        assert!(aes(16, 8, &[1; 16], None).is_err());
        assert!(aes(1, 5, &[1; 16], None).is_err());
        assert!(aes(1, 8, &[1; 15], None).is_err());
        assert!(aes(1, 8, &[1; 16], Some(&[3; 8])).is_err());
        assert!(ClearKeySet::new(1, Algorithm::TripleDes2, 4, &[1; 16], &[2; 16], None).is_err());
    }

    #[test]
    fn weak_keys_are_told_and_taken() {
        let weak = |algorithm, kic: &[u8], kid: &[u8]| {
            ClearKeySet::new(1, algorithm, 8, kic, kid, None).expect("taken").is_weak()
        };
        let halves = [[0x23; 8], [0x45; 8]].concat();
        assert!(!weak(Algorithm::Aes, &[1; 16], &[2; 16]));
        assert!(weak(Algorithm::Aes, &[1; 16], &[0; 16]));
        assert!(weak(Algorithm::TripleDes2, &halves, &[0x23; 16]));
        assert!(weak(Algorithm::TripleDes2, &[0x23; 16], &halves));
        assert!(!weak(Algorithm::TripleDes2, &halves, &halves));
        let kik = ClearKeySet::new(1, Algorithm::TripleDes2, 8, &halves, &halves, Some(&[0; 16]));
        assert!(kik.expect("taken").is_weak());
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = ClearKeySet::new(1, Algorithm::Aes, 8, &[0xAB; 16], &[0xAB; 16], Some(&[0xAB; 16]));
        let shown = format!("{keys:?}").to_lowercase();
        assert!(shown.contains("kvn") && !shown.contains("171") && !shown.contains("ab,"), "{shown}");
    }
}
