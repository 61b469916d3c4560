//! The stored form of a card's keys.
//!
//! ```text
//! 01 | SealedKeys (protobuf): master key id(8), nonce(24), sealed
//! ```
//! The first octet is the record version. `sealed` is XChaCha20-Poly1305 over `ClearKeys` (protobuf), its tag of 16
//! octets at the end. The additional data is CardId(16), record version(1), master key id(8): the record of one card
//! does not open as that of another.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{ClearKeySet, MasterKey, MasterKeyId};
use crate::card::CardId;
use crate::ota::Algorithm;
use crate::world::Rng;

/// Most key sets of a card: one for each number.
pub const KEY_SETS_MAX: usize = 16;

/// The record version that is written and read here.
const VERSION: u8 = 1;

/// Why a key record cannot be made or read. No variant holds anything of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key sets cannot be one card's.
    #[error("key sets of a card: expected 1 to 16 with different numbers, found {found}")]
    KeySets {
        /// How many there are.
        found: usize,
    },
    /// The record was written by another version of the program.
    #[error("key record: version {found}, expected 1")]
    Version {
        /// The version octet.
        found: u8,
    },
    /// The record was sealed under another master key.
    #[error("key record: sealed under master key {found}, this is master key {expected}")]
    OtherMasterKey {
        /// The key that is needed.
        found: MasterKeyId,
        /// The key that is there.
        expected: MasterKeyId,
    },
    /// The record does not open: it was changed, or it is another card's.
    #[error("key record: changed, or not of this card")]
    NotAuthentic,
    /// The record does not have the form it must have.
    #[error("key record: expected {expected}")]
    Malformed {
        /// What was expected.
        expected: &'static str,
    },
}

#[derive(prost::Message)]
struct SealedKeys {
    #[prost(bytes = "vec", tag = "1")]
    master_key_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    sealed: Vec<u8>,
}

#[derive(prost::Message)]
#[prost(skip_debug)]
struct ClearKeys {
    #[prost(message, repeated, tag = "1")]
    key_sets: Vec<KeySetRecord>,
}

#[derive(prost::Message)]
#[prost(skip_debug)]
struct KeySetRecord {
    #[prost(uint32, tag = "1")]
    kvn: u32,
    #[prost(enumeration = "AlgorithmRecord", tag = "2")]
    algorithm: i32,
    #[prost(uint32, tag = "3")]
    cc_len: u32,
    #[prost(bytes = "vec", tag = "4")]
    kic: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    kid: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "6")]
    kik: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum AlgorithmRecord {
    Unknown = 0,
    Aes = 1,
    TripleDes2 = 2,
    TripleDes3 = 3,
    Des = 4,
}

impl Drop for KeySetRecord {
    fn drop(&mut self) {
        self.kic.zeroize();
        self.kid.zeroize();
        self.kik.zeroize();
    }
}

impl fmt::Debug for KeySetRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetRecord").field("kvn", &self.kvn).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClearKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.key_sets).finish()
    }
}

/// Seals the key sets of `card`.
pub(super) fn wrap(
    master: &MasterKey,
    rng: &dyn Rng,
    card: CardId,
    key_sets: &[ClearKeySet],
) -> Result<Vec<u8>, RecordError> {
    check_numbers(key_sets)?;
    let clear = ClearKeys { key_sets: key_sets.iter().map(KeySetRecord::of).collect() };
    // Room for everything from the start: a buffer that grows leaves a copy of what it held.
    let mut octets = Zeroizing::new(Vec::with_capacity(clear.encoded_len()));
    clear.encode(&mut *octets).map_err(|_| RecordError::Malformed { expected: "room to encode" })?;

    let mut nonce = [0; 24];
    rng.fill(&mut nonce);
    let id = master.id();
    let tag = cipher(master)
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            &additional_data(card, id),
            octets.as_mut_slice().into(),
        )
        .map_err(|_| RecordError::Malformed { expected: "fewer octets" })?;
    let sealed = [octets.as_slice(), &tag].concat();
    let record = SealedKeys { master_key_id: id.0.to_vec(), nonce: nonce.to_vec(), sealed };
    Ok([vec![VERSION], record.encode_to_vec()].concat())
}

/// Opens a record of `card`.
pub(super) fn unwrap(
    master: &MasterKey,
    card: CardId,
    record: &[u8],
) -> Result<Vec<ClearKeySet>, RecordError> {
    let record = match record.split_first() {
        Some((&VERSION, record)) => SealedKeys::decode(record),
        Some((&found, _)) => return Err(RecordError::Version { found }),
        None => return Err(RecordError::Malformed { expected: "a version octet" }),
    };
    let record = record.map_err(|_| RecordError::Malformed { expected: "sealed keys" })?;
    let found = array(&record.master_key_id, "a master key id of 8 octets").map(MasterKeyId)?;
    let expected = master.id();
    if found != expected {
        return Err(RecordError::OtherMasterKey { found, expected });
    }
    let nonce: [u8; 24] = array(&record.nonce, "a nonce of 24 octets")?;
    let (sealed, tag) = record
        .sealed
        .split_last_chunk::<16>()
        .ok_or(RecordError::Malformed { expected: "a tag of 16 octets" })?;

    let mut octets = Zeroizing::new(sealed.to_vec());
    let aad = additional_data(card, expected);
    cipher(master)
        .decrypt_inout_detached(&XNonce::from(nonce), &aad, octets.as_mut_slice().into(), &Tag::from(*tag))
        .map_err(|_| RecordError::NotAuthentic)?;
    let clear = ClearKeys::decode(octets.as_slice())
        .map_err(|_| RecordError::Malformed { expected: "clear keys" })?;
    let key_sets = clear.key_sets.iter().map(KeySetRecord::clear).collect::<Result<Vec<_>, _>>()?;
    check_numbers(&key_sets)?;
    Ok(key_sets)
}

fn cipher(master: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(master.octets().into())
}

fn additional_data(card: CardId, master: MasterKeyId) -> [u8; 25] {
    let mut octets = [0; 25];
    let fields = card.octets().into_iter().chain([VERSION]).chain(master.0);
    octets.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    octets
}

fn check_numbers(key_sets: &[ClearKeySet]) -> Result<(), RecordError> {
    let mut numbers: Vec<u8> = key_sets.iter().map(ClearKeySet::kvn).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let found = key_sets.len();
    if (1..=KEY_SETS_MAX).contains(&found) && numbers.len() == found {
        Ok(())
    } else {
        Err(RecordError::KeySets { found })
    }
}

fn array<const N: usize>(octets: &[u8], expected: &'static str) -> Result<[u8; N], RecordError> {
    octets.try_into().map_err(|_| RecordError::Malformed { expected })
}

impl KeySetRecord {
    fn of(key_set: &ClearKeySet) -> Self {
        let algorithm = match key_set.algorithm() {
            Algorithm::Aes => AlgorithmRecord::Aes,
            Algorithm::TripleDes2 => AlgorithmRecord::TripleDes2,
            Algorithm::TripleDes3 => AlgorithmRecord::TripleDes3,
            Algorithm::Des => AlgorithmRecord::Des,
        };
        let (kic, kid, kik) = key_set.keys();
        Self {
            kvn: key_set.kvn().into(),
            algorithm: algorithm.into(),
            cc_len: key_set.cc_len().into(),
            kic: kic.to_vec(),
            kid: kid.to_vec(),
            kik: kik.map(<[u8]>::to_vec),
        }
    }

    fn clear(&self) -> Result<ClearKeySet, RecordError> {
        let malformed = RecordError::Malformed { expected: "a key set that a card can have" };
        let algorithm = match self.algorithm() {
            AlgorithmRecord::Aes => Algorithm::Aes,
            AlgorithmRecord::TripleDes2 => Algorithm::TripleDes2,
            AlgorithmRecord::TripleDes3 => Algorithm::TripleDes3,
            AlgorithmRecord::Des => Algorithm::Des,
            AlgorithmRecord::Unknown => return Err(malformed),
        };
        let number = |number: u32| u8::try_from(number).map_err(|_| malformed);
        let (kvn, cc_len) = (number(self.kvn)?, number(self.cc_len)?);
        ClearKeySet::new(kvn, algorithm, cc_len, &self.kic, &self.kid, self.kik.as_deref())
            .map_err(|_| malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::SeededRng;

    const CARD: CardId = CardId::from_octets([0xC1; 16]);

    fn master() -> MasterKey {
        MasterKey::from_octets([0x4D; 32])
    }

    fn key_sets() -> Vec<ClearKeySet> {
        let key = |start: u8, len: u8| (start..start + len).collect::<Vec<_>>();
        vec![
            ClearKeySet::new(1, Algorithm::Aes, 8, &key(0x10, 16), &key(0x20, 16), Some(&key(0x30, 16)))
                .expect("keys"),
            ClearKeySet::new(3, Algorithm::Aes, 4, &key(0x40, 32), &key(0x60, 24), None).expect("keys"),
            ClearKeySet::new(15, Algorithm::TripleDes2, 8, &key(0x80, 16), &key(0x90, 16), None)
                .expect("keys"),
        ]
    }

    fn wrapped() -> Vec<u8> {
        wrap(&master(), &SeededRng::new(7), CARD, &key_sets()).expect("wraps")
    }

    /// Once released, a version of the record has to be readable for ever: this file never changes.
    #[test]
    fn records_of_version_1_read_and_write_as_ever() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/card-keys-1.hex"));
        let golden = hex::decode(golden.trim()).expect("hexadecimal digits");
        assert_eq!(hex::encode(wrapped()), hex::encode(&golden));
        assert_eq!(unwrap(&master(), CARD, &golden), Ok(key_sets()));
    }

    #[test]
    fn every_algorithm_is_read_as_it_is_written() {
        let key_sets: Vec<_> = (1..)
            .zip([
                (Algorithm::Aes, 24),
                (Algorithm::TripleDes2, 16),
                (Algorithm::TripleDes3, 24),
                (Algorithm::Des, 8),
            ])
            .map(|(kvn, (algorithm, octets))| {
                let key = vec![0xAB; octets];
                ClearKeySet::new(kvn, algorithm, 8, &key, &key, Some(&key)).expect("keys")
            })
            .collect();
        assert_eq!(key_sets.len(), Algorithm::ALL.len());
        let record = wrap(&master(), &SeededRng::new(7), CARD, &key_sets).expect("wraps");
        assert_eq!(unwrap(&master(), CARD, &record), Ok(key_sets));
    }

    #[test]
    fn a_record_opens_for_its_card_and_its_master_key_only() {
        let other_card = CardId::from_octets([0xC2; 16]);
        assert_eq!(unwrap(&master(), other_card, &wrapped()), Err(RecordError::NotAuthentic));
        let other = MasterKey::from_octets([0x4E; 32]);
        let error = RecordError::OtherMasterKey { found: master().id(), expected: other.id() };
        assert_eq!(unwrap(&other, CARD, &wrapped()), Err(error));
    }

    #[test]
    fn the_claimed_master_key_is_authenticated() {
        // A record whose id was changed to that of the key at hand still does not open.
        let other = MasterKey::from_octets([0x4E; 32]);
        let mut record = wrapped();
        let at = record.windows(8).position(|window| window == master().id().0).expect("is in clear");
        record[at..at + 8].copy_from_slice(&other.id().0);
        assert_eq!(unwrap(&other, CARD, &record), Err(RecordError::NotAuthentic));
    }

    #[test]
    fn every_record_has_its_own_nonce() {
        let rng = SeededRng::new(7);
        let wrap = || wrap(&master(), &rng, CARD, &key_sets()).expect("wraps");
        assert_ne!(wrap(), wrap());
    }

    #[test]
    fn key_sets_need_different_numbers() {
        let wrap = |key_sets: &[ClearKeySet]| wrap(&master(), &SeededRng::new(7), CARD, key_sets);
        assert_eq!(wrap(&[]), Err(RecordError::KeySets { found: 0 }));
        let twice = [key_sets(), key_sets()].concat();
        assert_eq!(wrap(&twice), Err(RecordError::KeySets { found: 6 }));
    }

    #[test]
    fn records_without_form_are_named() {
        assert!(matches!(unwrap(&master(), CARD, &[]), Err(RecordError::Malformed { .. })));
        assert_eq!(unwrap(&master(), CARD, &[2, 0]), Err(RecordError::Version { found: 2 }));
        assert!(matches!(unwrap(&master(), CARD, &[1]), Err(RecordError::Malformed { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        let record = KeySetRecord::of(&key_sets()[0]);
        let shown = format!("{:?}", ClearKeys { key_sets: vec![record] });
        assert_eq!(shown, "[KeySetRecord { kvn: 1, .. }]");
    }

    #[test]
    fn nothing_of_a_key_stands_in_the_record() {
        let record = wrapped();
        for key_set in key_sets() {
            let (kic, kid, kik) = key_set.keys();
            for key in [Some(kic), Some(kid), kik].into_iter().flatten() {
                assert!(!record.windows(4).any(|window| window == &key[..4]));
            }
        }
    }

    proptest! {
        #[test]
        fn one_changed_bit_closes_a_record(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut record = wrapped();
            let at = at.index(record.len());
            record[at] ^= 1 << bit;
            prop_assert!(unwrap(&master(), CARD, &record).is_err());
        }

        #[test]
        fn a_part_of_a_record_does_not_open(len in any::<prop::sample::Index>()) {
            let record = wrapped();
            prop_assert!(unwrap(&master(), CARD, &record[..len.index(record.len())]).is_err());
        }

        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unwrap(&master(), CARD, &[vec![VERSION], octets].concat());
        }
    }
}
