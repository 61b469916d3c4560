//! Keys of a card and the octets KIc and KID that name them (TS 102 225 §5.1.2, §5.1.3).

use std::fmt;

use ctutils::CtEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::cipher;
use super::packet::OpenError;
use super::spi::Integrity;

/// Algorithm of a key, used in CBC mode with a zero initial value for ciphering and as a MAC for the CC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// AES with 128, 192 or 256 bits; the CC is CMAC. The length is not visible in a packet.
    Aes,
    /// Triple DES with two keys; the CC is the last block of the whole CBC chain.
    TripleDes2,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes => "AES",
            Self::TripleDes2 => "triple DES with two keys",
        })
    }
}

impl Algorithm {
    /// Octets of a block: what ciphered data is padded to.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes => 16,
            Self::TripleDes2 => 8,
        }
    }

    /// The low nibble of KIc and KID: b2b1 the family (01 DES, 10 AES), b4b3 the variant.
    const fn nibble(self) -> u8 {
        match self {
            Self::Aes => 0b0010,
            Self::TripleDes2 => 0b0101,
        }
    }
}

/// Why a key or a key set cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has a length that its algorithm does not know.
    #[error("key: expected {expected} octets for {algorithm}, found {found}")]
    Length {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// The lengths that are possible.
        expected: &'static str,
        /// The octets given.
        found: usize,
    },
    /// The key set number does not fit its four bits.
    #[error("key set number: expected 0 to 15, found {0}")]
    Version(u8),
    /// KIc and KID are keys of different algorithms.
    #[error("KIc and KID: expected keys of one algorithm")]
    MixedAlgorithms,
    /// The length of the CC is neither 8 nor (AES only) 4.
    #[error("CC length: expected 8, or 4 with AES, found {0}")]
    CcLength(u8),
}

/// A secret key. Shows nothing of itself and is wiped when dropped.
///
/// Weak keys (all zero, equal halves) are taken: test cards have them, and whoever imports keys warns.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(pub(super) Material);

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) enum Material {
    Aes128([u8; 16]),
    Aes192([u8; 24]),
    Aes256([u8; 32]),
    TripleDes2([u8; 16]),
}

impl Key {
    /// A key from its octets: 16, 24 or 32 for AES, 16 for two-key triple DES (parity bits are ignored).
    ///
    /// # Errors
    /// [`KeyError::Length`] for any other length.
    pub fn new(algorithm: Algorithm, octets: &[u8]) -> Result<Self, KeyError> {
        let found = octets.len();
        let material = match algorithm {
            Algorithm::Aes => array(octets)
                .map(Material::Aes128)
                .or_else(|| array(octets).map(Material::Aes192))
                .or_else(|| array(octets).map(Material::Aes256))
                .ok_or(KeyError::Length { algorithm, expected: "16, 24 or 32", found })?,
            Algorithm::TripleDes2 => array(octets).map(Material::TripleDes2).ok_or(KeyError::Length {
                algorithm,
                expected: "16",
                found,
            })?,
        };
        Ok(Self(material))
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Material::Aes128(_) | Material::Aes192(_) | Material::Aes256(_) => Algorithm::Aes,
            Material::TripleDes2(_) => Algorithm::TripleDes2,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, ..)", self.algorithm())
    }
}

fn array<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    octets.try_into().ok()
}

/// A key set of a card: the key that ciphers (KIc), the key that signs (KID), and what both sides agreed on about them.
/// Responses are secured with the same keys as the commands that ask for them.
#[derive(Debug, Clone)]
pub struct KeySet {
    version: u8,
    kic: Key,
    kid: Key,
    cc_len: u8,
}

impl KeySet {
    /// A key set with number `version` (1 to 15; 0 occurs on old test cards) and a CC of `cc_len` octets (8;
    /// with AES also 4).
    ///
    /// # Errors
    /// [`KeyError`] if the number does not fit, the keys are of different algorithms, or the algorithm has no
    /// CC of that length.
    pub fn new(version: u8, kic: Key, kid: Key, cc_len: u8) -> Result<Self, KeyError> {
        if version > 15 {
            return Err(KeyError::Version(version));
        }
        if kic.algorithm() != kid.algorithm() {
            return Err(KeyError::MixedAlgorithms);
        }
        match (cc_len, kid.algorithm()) {
            (8, _) | (4, Algorithm::Aes) => Ok(Self { version, kic, kid, cc_len }),
            _ => Err(KeyError::CcLength(cc_len)),
        }
    }

    /// Key set number (KVN), 0 to 15.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Algorithm of both keys.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.kic.algorithm()
    }

    /// Octets of the CC: 8 or 4.
    #[must_use]
    pub const fn cc_len(&self) -> u8 {
        self.cc_len
    }

    /// The KIc octet that names this key set: number in the high nibble, algorithm in the low one.
    #[must_use]
    pub const fn kic_octet(&self) -> u8 {
        self.version << 4 | self.kic.algorithm().nibble()
    }

    /// The KID octet that names this key set for a CC.
    #[must_use]
    pub const fn kid_octet(&self) -> u8 {
        self.version << 4 | self.kid.algorithm().nibble()
    }

    /// The cryptographic checksum under KID over `head` followed by `body`, all eight octets; with AES a CC
    /// of four octets is the first four. In both kinds of packet what stands before the data is 16 octets (TS
    /// 102 225 §5.1.3.2).
    #[must_use]
    pub fn cc(&self, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
        cipher::mac(&self.kid, head, body)
    }

    /// Whether `received` is the CC of this key set's length. Takes the same time wherever they differ.
    pub(super) fn cc_is(&self, received: &[u8], head: &[u8; 16], body: &[u8]) -> bool {
        let computed = self.cc(head, body);
        let computed = computed.get(..usize::from(self.cc_len)).unwrap_or(&computed);
        computed.ct_eq(received).to_bool()
    }

    /// Octets of the check field; `None` for the kinds that are not built.
    pub(super) const fn check_len(&self, integrity: Integrity) -> Option<usize> {
        match integrity {
            Integrity::None => Some(0),
            Integrity::Cc => Some(self.cc_len as usize),
            Integrity::Rc | Integrity::Ds => None,
        }
    }

    /// Enciphers whole blocks in place under KIc.
    pub(super) fn encipher(&self, blocks: &mut [u8]) {
        cipher::encrypt(&self.kic, blocks);
    }

    /// Deciphers in place under KIc.
    pub(super) fn decipher(&self, blocks: &mut [u8]) -> Result<(), OpenError> {
        let block = self.algorithm().block_len();
        if !blocks.len().is_multiple_of(block) {
            return Err(OpenError::BlockLength { found: blocks.len(), block });
        }
        cipher::decrypt(&self.kic, blocks);
        Ok(())
    }

    /// Whether the KIc octet of a packet names this key set, by algorithm or as "implicitly known" (b2b1 = 00).
    pub(super) const fn is_named_by_kic(&self, kic: u8) -> bool {
        names(kic, self.kic_octet())
    }

    /// Whether the KID octet of a packet names this key set, by algorithm or as "implicitly known" (b2b1 = 00).
    pub(super) const fn is_named_by_kid(&self, kid: u8) -> bool {
        names(kid, self.kid_octet())
    }
}

const fn names(found: u8, expected: u8) -> bool {
    found >> 4 == expected >> 4 && (found & 0b11 == 0 || found & 0x0F == expected & 0x0F)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aes(octets: &[u8]) -> Key {
        Key::new(Algorithm::Aes, octets).unwrap()
    }

    #[test]
    fn key_lengths_belong_to_their_algorithm() {
        for (algorithm, good) in [(Algorithm::Aes, vec![16, 24, 32]), (Algorithm::TripleDes2, vec![16])] {
            for len in 0..40 {
                assert_eq!(
                    Key::new(algorithm, &vec![0; len]).is_ok(),
                    good.contains(&len),
                    "{algorithm:?} {len}"
                );
            }
        }
    }

    #[test]
    fn a_key_set_names_itself_in_kic_and_kid() {
        let keys = KeySet::new(3, aes(&[1; 16]), aes(&[2; 32]), 4).unwrap();
        assert_eq!((keys.kic_octet(), keys.kid_octet()), (0x32, 0x32));
        let tdes = Key::new(Algorithm::TripleDes2, &[1; 16]).unwrap();
        let keys = KeySet::new(15, tdes.clone(), tdes.clone(), 8).unwrap();
        assert_eq!((keys.kic_octet(), keys.kid_octet()), (0xF5, 0xF5));
        assert!(keys.is_named_by_kic(0xF5) && keys.is_named_by_kid(0xF0));
        assert!(!keys.is_named_by_kic(0xF1) && !keys.is_named_by_kic(0xE5) && !keys.is_named_by_kid(0xF2));
    }

    #[test]
    fn impossible_key_sets_are_refused() {
        let tdes = || Key::new(Algorithm::TripleDes2, &[1; 16]).unwrap();
        let refused = |version, kic, kid, cc_len| KeySet::new(version, kic, kid, cc_len).unwrap_err();
        assert_eq!(refused(16, aes(&[0; 16]), aes(&[0; 16]), 8), KeyError::Version(16));
        assert_eq!(refused(1, aes(&[0; 16]), tdes(), 8), KeyError::MixedAlgorithms);
        assert_eq!(refused(1, tdes(), tdes(), 4), KeyError::CcLength(4));
        assert_eq!(refused(1, aes(&[0; 16]), aes(&[0; 16]), 6), KeyError::CcLength(6));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?}", KeySet::new(1, aes(&[0xAB; 16]), aes(&[0xAB; 16]), 8).unwrap());
        assert!(!text.contains("171") && !text.to_lowercase().contains("ab,"), "{text}");
        assert!(text.contains("Key(Aes, ..)"), "{text}");
    }
}
