//! Key sets: the keys of a card under one number, and the octets KIc and KID that name them (TS 102 225 §5.1.2, §5.1.3).

use ctutils::CtEq;

use super::cipher::{self, Mode};
use super::crc::Crc;
use super::key::{Algorithm, Key, KeyError};
use super::packet::{OpenError, SecurityError};
use super::spi::{Integrity, Spi1, Spi2};

/// A key set of a card: the key that ciphers (KIc), the key that signs (KID), and what both sides agreed on about them.
/// Responses are secured with the same keys as the commands that ask for them.
#[derive(Debug, Clone)]
pub struct KeySet {
    version: u8,
    kic: Key,
    kid: Key,
    cc_len: u8,
    mode: Mode,
    crc: Crc,
}

impl KeySet {
    /// A key set with number `version` (1 to 15; 0 occurs on old test cards) and a CC of `cc_len` octets (8;
    /// with AES also 4). The keys may be of different algorithms.
    ///
    /// It ciphers in CBC mode ([`KeySet::in_ecb`] changes that). Where a packet asks for an RC and does not say which, it
    /// is the one that the octet for the KID key would name, else CRC-32 ([`KeySet::with_crc`] changes that).
    ///
    /// # Errors
    /// [`KeyError`] if the number does not fit, or the algorithm has no CC of that length.
    pub fn new(version: u8, kic: Key, kid: Key, cc_len: u8) -> Result<Self, KeyError> {
        if version > 15 {
            return Err(KeyError::Version(version));
        }
        let crc = Crc::named_by(kid.algorithm().nibble()).unwrap_or(Crc::Crc32);
        match (cc_len, kid.algorithm()) {
            (8, _) | (4, Algorithm::Aes) => Ok(Self { version, kic, kid, cc_len, mode: Mode::Cbc, crc }),
            _ => Err(KeyError::CcLength(cc_len)),
        }
    }

    /// The same key set for a card that ciphers in ECB mode: what DES cards of old do, and what some cards with triple DES
    /// have agreed on (KIc then says "implicitly known"). Equal blocks show through it.
    ///
    /// # Errors
    /// [`KeyError::Ecb`] with AES, which has no such form.
    pub fn in_ecb(self) -> Result<Self, KeyError> {
        if self.kic.algorithm() == Algorithm::Aes {
            return Err(KeyError::Ecb);
        }
        Ok(Self { mode: Mode::Ecb, ..self })
    }

    /// The same key set with this RC agreed on, for packets that do not name theirs. A response does not: its RC is the one
    /// that the KID octet of its command names ([`Crc::named_by`]).
    #[must_use]
    pub fn with_crc(self, crc: Crc) -> Self {
        Self { crc, ..self }
    }

    /// Key set number (KVN), 0 to 15.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Octets of the CC: 8 or 4.
    #[must_use]
    pub const fn cc_len(&self) -> u8 {
        self.cc_len
    }

    /// The KIc octet that names this key set: number in the high nibble, algorithm in the low one.
    #[must_use]
    pub const fn kic_octet(&self) -> u8 {
        let nibble = match (self.mode, self.kic.algorithm()) {
            (Mode::Cbc, algorithm) => algorithm.nibble(),
            (Mode::Ecb, Algorithm::Des) => 0b1101,
            // Has no value of its own: b2b1 = 00 says that both sides know.
            (Mode::Ecb, algorithm) => algorithm.nibble() & 0b1100,
        };
        self.version << 4 | nibble
    }

    /// The KID octet that names this key set for a CC.
    #[must_use]
    pub const fn kid_octet(&self) -> u8 {
        self.version << 4 | self.kid.algorithm().nibble()
    }

    /// The KID octet for a command at these levels. One octet serves both directions: it names the algorithm of the CC
    /// if the command has one, else the agreed RC if command or response have one.
    #[must_use]
    pub const fn kid_octet_for(&self, command: Spi1, response: Spi2) -> u8 {
        match (command.integrity(), response.por_integrity()) {
            (Integrity::Rc, _) | (Integrity::None, Integrity::Rc) => self.version << 4 | self.crc.nibble(),
            _ => self.kid_octet(),
        }
    }

    /// The cryptographic checksum under KID over `head` followed by `body`, all eight octets; with AES a CC
    /// of four octets is the first four. In both kinds of packet what stands before the data is 16 octets (TS
    /// 102 225 §5.1.3.2).
    #[must_use]
    pub fn cc(&self, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
        cipher::mac(&self.kid, head, body)
    }

    /// Octets of a block under KIc.
    pub(super) const fn block_len(&self) -> usize {
        self.kic.algorithm().block_len()
    }

    /// Enciphers whole blocks in place under KIc.
    pub(super) fn encipher(&self, blocks: &mut [u8]) {
        cipher::encrypt(&self.kic, self.mode, blocks);
    }

    /// Deciphers in place under KIc.
    pub(super) fn decipher(&self, blocks: &mut [u8]) -> Result<(), OpenError> {
        let block = self.block_len();
        if !blocks.len().is_multiple_of(block) {
            return Err(OpenError::BlockLength { found: blocks.len(), block });
        }
        cipher::decrypt(&self.kic, self.mode, blocks);
        Ok(())
    }

    /// The check of a response, which does not name its RC.
    pub(super) const fn response_check(&self, asked: Spi2) -> Result<Check, SecurityError> {
        match asked.por_integrity() {
            Integrity::None => Ok(Check::None),
            Integrity::Rc => Ok(Check::Rc(self.crc)),
            Integrity::Cc => Ok(Check::Cc),
            Integrity::Ds => Err(SecurityError::Unsupported(Integrity::Ds)),
        }
    }

    /// The check of a command with this KID octet. The high nibble names no key for an RC and is ignored.
    pub(super) const fn command_check(&self, spi1: Spi1, kid: u8) -> Result<Check, SecurityError> {
        match spi1.integrity() {
            Integrity::None => Ok(Check::None),
            Integrity::Rc if is_implicit(kid) => Ok(Check::Rc(self.crc)),
            Integrity::Rc => match Crc::named_by(kid) {
                Some(crc) => Ok(Check::Rc(crc)),
                None => Err(SecurityError::NoCrc(kid)),
            },
            Integrity::Cc => match names("KID", kid, self.kid_octet()) {
                Ok(()) => Ok(Check::Cc),
                Err(error) => Err(error),
            },
            Integrity::Ds => Err(SecurityError::Unsupported(Integrity::Ds)),
        }
    }

    /// Whether this key set is what the KIc octet of a packet names.
    pub(super) const fn check_kic(&self, kic: u8) -> Result<(), SecurityError> {
        names("KIc", kic, self.kic_octet())
    }

    /// The check over `head` then `body` in the first [`KeySet::check_len`] octets.
    pub(super) fn compute(&self, check: Check, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
        match check {
            Check::None => [0; 8],
            Check::Rc(crc) => {
                let [a, b, c, d] = crc.checksum(head, body);
                [a, b, c, d, 0, 0, 0, 0]
            }
            Check::Cc => self.cc(head, body),
        }
    }

    /// Whether `received` is the check over `head` then `body`. Takes the same time wherever they differ.
    pub(super) fn verify(&self, check: Check, received: &[u8], head: &[u8; 16], body: &[u8]) -> bool {
        let computed = self.compute(check, head, body);
        computed.get(..self.check_len(check)).is_some_and(|computed| computed.ct_eq(received).to_bool())
    }

    /// Octets of the check: at most 8.
    pub(super) const fn check_len(&self, check: Check) -> usize {
        match check {
            Check::None => 0,
            Check::Rc(crc) => crc.len(),
            Check::Cc => self.cc_len as usize,
        }
    }
}

/// What stands in the check field of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    None,
    Rc(Crc),
    Cc,
}

impl Check {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "no check",
            Self::Rc(_) => "RC",
            Self::Cc => "CC",
        }
    }
}

/// By the same algorithm, or as "implicitly known".
const fn names(field: &'static str, found: u8, expected: u8) -> Result<(), SecurityError> {
    if found >> 4 == expected >> 4 && (is_implicit(found) || found & 0x0F == expected & 0x0F) {
        Ok(())
    } else {
        Err(SecurityError::OtherKeySet { field, found, expected })
    }
}

/// Whether KIc or KID leave the algorithm to an agreement.
const fn is_implicit(found: u8) -> bool {
    found & 0b11 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(algorithm: Algorithm) -> Key {
        let octets = match algorithm {
            Algorithm::Aes => 32,
            Algorithm::TripleDes2 => 16,
            Algorithm::TripleDes3 => 24,
            Algorithm::Des => 8,
        };
        Key::new(algorithm, &[0xAB; 32][..octets]).unwrap()
    }

    fn key_set(version: u8, kic: Algorithm, kid: Algorithm) -> KeySet {
        KeySet::new(version, key(kic), key(kid), 8).unwrap()
    }

    #[test]
    fn a_key_set_names_itself_in_kic_and_kid() {
        use Algorithm::{Aes, Des, TripleDes2, TripleDes3};
        for (kic, kid, octets) in [
            (Aes, Aes, (0x32, 0x32)),
            (TripleDes2, TripleDes2, (0x35, 0x35)),
            (TripleDes3, TripleDes2, (0x39, 0x35)),
            (Des, TripleDes3, (0x31, 0x39)),
        ] {
            let keys = key_set(3, kic, kid);
            assert_eq!((keys.kic_octet(), keys.kid_octet()), octets);
        }
        let keys = key_set(15, TripleDes2, TripleDes2);
        for kid in [0xF5, 0xF0, 0xF4] {
            assert_eq!((keys.check_kic(kid), keys.command_check(Spi1(0x02), kid)), (Ok(()), Ok(Check::Cc)));
        }
        for found in [0xF1, 0xF9, 0xFD, 0xF2, 0xF3, 0xF7, 0xE5, 0xE0] {
            let other = |field| SecurityError::OtherKeySet { field, found, expected: 0xF5 };
            assert_eq!(keys.check_kic(found), Err(other("KIc")));
            assert_eq!(keys.command_check(Spi1(0x02), found), Err(other("KID")));
        }
    }

    #[test]
    fn ecb_has_a_name_with_des_and_none_with_triple_des() {
        use Algorithm::{Aes, Des, TripleDes2, TripleDes3};
        let octet = |algorithm| key_set(1, algorithm, Des).in_ecb().map(|keys| keys.kic_octet());
        assert_eq!((octet(Des), octet(TripleDes2), octet(TripleDes3)), (Ok(0x1D), Ok(0x14), Ok(0x18)));
        assert_eq!(octet(Aes), Err(KeyError::Ecb));
        let keys = key_set(1, Des, Des);
        assert!(keys.check_kic(0x1D).is_err(), "no packet changes the mode of a key set");
        assert_eq!(keys.in_ecb().unwrap().check_kic(0x1D), Ok(()));
    }

    #[test]
    fn kid_names_what_the_level_uses() {
        let (rc, cc, none) = (Spi1(0x15), Spi1(0x16), Spi1(0x00));
        let (por_rc, por_cc) = (Spi2(0x25), Spi2(0x29));
        let aes = key_set(3, Algorithm::Aes, Algorithm::Aes);
        assert_eq!(aes.kid_octet_for(cc, por_rc), 0x32);
        assert_eq!(aes.kid_octet_for(rc, por_cc), 0x35);
        assert_eq!(aes.kid_octet_for(none, por_rc), 0x35);
        assert_eq!(aes.kid_octet_for(none, por_cc), 0x32);
        assert_eq!(aes.with_crc(Crc::Crc16).kid_octet_for(rc, por_cc), 0x31);
        // One nibble that is right for both.
        let keys = key_set(3, Algorithm::TripleDes2, Algorithm::TripleDes2);
        assert_eq!((keys.kid_octet_for(cc, por_rc), keys.kid_octet_for(rc, por_rc)), (0x35, 0x35));
        let keys = key_set(3, Algorithm::Des, Algorithm::Des);
        assert_eq!((keys.kid_octet_for(cc, por_rc), keys.kid_octet_for(rc, por_rc)), (0x31, 0x31));
    }

    #[test]
    fn an_rc_is_named_by_its_kid_or_by_agreement() {
        let keys = key_set(3, Algorithm::Aes, Algorithm::Aes).with_crc(Crc::Crc16);
        let rc = |kid| keys.command_check(Spi1(0x01), kid);
        assert_eq!(rc(0x35), Ok(Check::Rc(Crc::Crc32)));
        assert_eq!(rc(0x01), Ok(Check::Rc(Crc::Crc16)), "the high nibble names no key");
        for implicit in [0x30, 0x38] {
            assert_eq!(rc(implicit), Ok(Check::Rc(Crc::Crc16)));
        }
        for kid in [0x32, 0x39, 0x3D, 0x33] {
            assert_eq!(rc(kid), Err(SecurityError::NoCrc(kid)));
        }
        assert_eq!(keys.response_check(Spi2(0x05)), Ok(Check::Rc(Crc::Crc16)));
    }

    #[test]
    fn impossible_key_sets_are_refused() {
        let refused = |version, algorithm, cc_len| {
            KeySet::new(version, key(Algorithm::Aes), key(algorithm), cc_len).unwrap_err()
        };
        assert_eq!(refused(16, Algorithm::Aes, 8), KeyError::Version(16));
        assert_eq!(refused(1, Algorithm::Aes, 6), KeyError::CcLength(6));
        for algorithm in [Algorithm::TripleDes2, Algorithm::TripleDes3, Algorithm::Des] {
            assert_eq!(refused(1, algorithm, 4), KeyError::CcLength(4));
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?}", key_set(1, Algorithm::Aes, Algorithm::Aes));
        assert!(!text.contains("171") && !text.to_lowercase().contains("ab,"), "{text}");
        assert!(text.contains("Key(Aes, ..)"), "{text}");
    }
}
