//! Keys of a card and their algorithms (TS 102 225 §5.1.2, §5.1.3).

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Algorithm of a key. It ciphers in CBC mode with a zero initial value, and makes the CC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// AES with 128, 192 or 256 bits; the CC is CMAC. The length is not visible in a packet.
    Aes,
    /// Triple DES with two keys; the CC is the last block of the whole CBC chain.
    TripleDes2,
    /// Triple DES with three keys; the CC as with two.
    TripleDes3,
    /// Single DES, for cards that have nothing else: a key of 56 bits is found in a day.
    Des,
}

impl fmt::Display for Algorithm {
    /// The name in card files and profiles.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected aes, 3des2, 3des3 or des")]
pub struct AlgorithmError;

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    /// Reads the name in card files and profiles.
    fn from_str(text: &str) -> Result<Self, AlgorithmError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or(AlgorithmError)
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Aes, Self::TripleDes2, Self::TripleDes3, Self::Des];

    /// Octets of a block: what ciphered data is padded to.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes => 16,
            Self::TripleDes2 | Self::TripleDes3 | Self::Des => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Aes => "aes",
            Self::TripleDes2 => "3des2",
            Self::TripleDes3 => "3des3",
            Self::Des => "des",
        }
    }

    /// The low nibble of KIc and KID: b2b1 the family (01 DES, 10 AES), b4b3 the variant.
    pub(super) const fn nibble(self) -> u8 {
        match self {
            Self::Aes => 0b0010,
            Self::Des => 0b0001,
            Self::TripleDes2 => 0b0101,
            Self::TripleDes3 => 0b1001,
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
    /// AES ciphers in CBC mode only.
    #[error("KIc: expected a key of the DES family for ECB mode, found aes")]
    Ecb,
    /// The length of the CC is neither 8 nor (AES only) 4.
    #[error("CC length: expected 8, or 4 with AES, found {0}")]
    CcLength(u8),
}

/// A secret key. Shows nothing of itself and is wiped when dropped.
///
/// Weak keys ([`Key::is_weak`]) are taken: test cards have them, and whoever imports keys warns.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(pub(super) Material);

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) enum Material {
    Aes128([u8; 16]),
    Aes192([u8; 24]),
    Aes256([u8; 32]),
    TripleDes2([u8; 16]),
    TripleDes3([u8; 24]),
    Des([u8; 8]),
}

impl Key {
    /// A key from its octets: 16, 24 or 32 for AES, 16 or 24 for triple DES, 8 for DES (parity bits are ignored).
    ///
    /// # Errors
    /// [`KeyError::Length`] for any other length.
    pub fn new(algorithm: Algorithm, octets: &[u8]) -> Result<Self, KeyError> {
        let (material, expected) = match algorithm {
            Algorithm::Aes => {
                let short =
                    array(octets).map(Material::Aes128).or_else(|| array(octets).map(Material::Aes192));
                (short.or_else(|| array(octets).map(Material::Aes256)), "16, 24 or 32")
            }
            Algorithm::TripleDes2 => (array(octets).map(Material::TripleDes2), "16"),
            Algorithm::TripleDes3 => (array(octets).map(Material::TripleDes3), "24"),
            Algorithm::Des => (array(octets).map(Material::Des), "8"),
        };
        material.map(Self).ok_or(KeyError::Length { algorithm, expected, found: octets.len() })
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Material::Aes128(_) | Material::Aes192(_) | Material::Aes256(_) => Algorithm::Aes,
            Material::TripleDes2(_) => Algorithm::TripleDes2,
            Material::TripleDes3(_) => Algorithm::TripleDes3,
            Material::Des(_) => Algorithm::Des,
        }
    }

    /// Whether the key is all zero, or, with the DES family, is a weak, semi-weak or possibly weak key of DES, holds one,
    /// or holds the same key twice. Parity bits do not count.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match &self.0 {
            Material::Aes128(key) => is_zero(key),
            Material::Aes192(key) => is_zero(key),
            Material::Aes256(key) => is_zero(key),
            Material::TripleDes2(key) => is_weak_des(key),
            Material::TripleDes3(key) => is_weak_des(key),
            Material::Des(key) => is_weak_des(key),
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

fn is_zero(key: &[u8]) -> bool {
    key.iter().all(|octet| *octet == 0)
}

/// The list of weak keys has odd parity.
fn is_weak_des<const N: usize>(key: &[u8; N]) -> bool {
    let odd =
        Zeroizing::new(key.map(|octet| octet & !1 | u8::from((octet >> 1).count_ones().is_multiple_of(2))));
    des::weak_key_test(odd.as_slice()).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lengths_belong_to_their_algorithm() {
        for (algorithm, good) in [
            (Algorithm::Aes, vec![16, 24, 32]),
            (Algorithm::TripleDes2, vec![16]),
            (Algorithm::TripleDes3, vec![24]),
            (Algorithm::Des, vec![8]),
        ] {
            for len in 0..40 {
                assert_eq!(
                    Key::new(algorithm, &vec![0; len]).is_ok(),
                    good.contains(&len),
                    "{algorithm} {len}"
                );
            }
        }
    }

    #[test]
    fn algorithms_are_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("AES".parse::<Algorithm>(), Err(AlgorithmError));
        for algorithm in Algorithm::ALL {
            assert!(AlgorithmError.to_string().contains(&algorithm.to_string()), "{algorithm} is told");
        }
    }

    #[test]
    fn weak_keys_are_told() {
        let weak = |algorithm, octets: &[u8]| Key::new(algorithm, octets).unwrap().is_weak();
        let (one, two, three): ([u8; 8], [u8; 8], [u8; 8]) = ([0x23; 8], [0x45; 8], [0x67; 8]);
        for octets in [16, 24, 32] {
            assert!(weak(Algorithm::Aes, &vec![0; octets]));
            assert!(!weak(Algorithm::Aes, &vec![1; octets]));
        }
        assert!(!weak(Algorithm::Des, &one));
        assert!(weak(Algorithm::Des, &[0; 8]));
        assert!(weak(Algorithm::Des, &[0xFF; 8]), "parity is ignored");
        // A semi-weak pair, and one of a possibly weak key.
        assert!(weak(Algorithm::Des, &[0x01, 0xFE, 0x01, 0xFE, 0x01, 0xFE, 0x01, 0xFE]));
        assert!(weak(Algorithm::Des, &[0x1F, 0x1F, 0x01, 0x01, 0x0E, 0x0E, 0x01, 0x01]));
        assert!(!weak(Algorithm::TripleDes2, &[one, two].concat()));
        assert!(weak(Algorithm::TripleDes2, &[one, one].concat()), "equal halves");
        assert!(weak(Algorithm::TripleDes2, &[one, [0x22; 8]].concat()), "equal but for parity");
        assert!(weak(Algorithm::TripleDes2, &[one, [0; 8]].concat()), "one half is weak");
        assert!(!weak(Algorithm::TripleDes3, &[one, two, three].concat()));
        for key in [[one, one, two], [one, two, two], [one, two, one], [one, one, one]] {
            assert!(weak(Algorithm::TripleDes3, &key.concat()), "equal thirds");
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?}", Key::new(Algorithm::Aes, &[0xAB; 16]).unwrap());
        assert_eq!(text, "Key(Aes, ..)");
    }
}
