//! What command and response packets have in common: their errors, their check and padding, reading field by field.

use super::key_set::{Check, KeySet};
use super::spi::Integrity;

/// Octets that a check begins with: in both kinds of packet what stands before the check, brought to this length.
pub(super) const HEAD_LEN: usize = 16;

/// Why SPI, KIc and KID of a header do not lead to a check and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// The SPI asks for a check that is not built: a digital signature.
    #[error("SPI asks for {0}, which is not supported")]
    Unsupported(Integrity),
    /// The SPI asks for an RC and KID names none.
    #[error("KID: {0:#04X} names no redundancy check, expected 1 (CRC-16) or 5 (CRC-32) as its low digit")]
    NoCrc(u8),
    /// KIc or KID name another key set than the one given.
    #[error("{field}: {found:#04X} does not name the key set {expected:#04X}")]
    OtherKeySet {
        /// `KIc` or `KID`.
        field: &'static str,
        /// The octet in the header.
        found: u8,
        /// The octet of the key set.
        expected: u8,
    },
}

/// Why a packet cannot be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The header does not lead to a check and keys.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The data does not fit the 16-bit length field of a packet.
    #[error("packet: expected at most 65535 octets after the length field, found {0}")]
    TooLong(usize),
}

/// Why a packet cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The packet ends inside this field.
    #[error("{field}: expected {expected} octets, found {found}")]
    TooShort {
        /// The field by its name in TS 102 225.
        field: &'static str,
        /// Octets that the field has.
        expected: usize,
        /// Octets that were left.
        found: usize,
    },
    /// The packet length field (CPL, RPL) does not count the octets that follow it.
    #[error("{field}: says {said} octets follow, found {found}")]
    LengthMismatch {
        /// `CPL` or `RPL`.
        field: &'static str,
        /// What the field says.
        said: usize,
        /// Octets after the field.
        found: usize,
    },
    /// The header length field (CHL, RHL) is not that of the asked level: the packet carries another check, or none.
    #[error("{field}: expected {expected:#04X} at this security level, found {found:#04X}")]
    LevelMismatch {
        /// `CHL` or `RHL`.
        field: &'static str,
        /// The value for the level, at the CC length of the key set.
        expected: u8,
        /// The value found.
        found: u8,
    },
    /// The header does not lead to a check and keys.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The ciphered octets are no whole number of blocks.
    #[error("ciphered data: expected whole blocks of {block} octets, found {found} octets")]
    BlockLength {
        /// Octets of a block.
        block: usize,
        /// Octets found.
        found: usize,
    },
    /// The RC or CC is wrong: other keys, or the packet was changed.
    #[error("RC/CC: wrong checksum")]
    BadChecksum,
    /// PCNTR counts more padding than there is data.
    #[error("PCNTR: {pcntr} octets of padding in {data} octets of data")]
    Padding {
        /// What PCNTR says.
        pcntr: u8,
        /// Octets of data and padding.
        data: usize,
    },
}

/// What differs between command and response packets.
#[derive(Debug)]
pub(super) struct Form {
    /// Name of the header length field.
    pub(super) header_length: &'static str,
    /// Its value without a check.
    pub(super) header_length_base: u8,
    /// Octets of the head that are checked and not sent.
    pub(super) not_sent: usize,
    /// Octets of the packet, from its length field on, that are never ciphered.
    pub(super) clear: usize,
}

impl Form {
    /// Octets between what is never ciphered and the check.
    const fn status_len(&self) -> usize {
        HEAD_LEN - self.not_sent - self.clear
    }
}

/// How a packet is secured.
#[derive(Debug)]
pub(super) struct Security<'a> {
    pub(super) form: &'static Form,
    pub(super) keys: &'a KeySet,
    pub(super) check: Check,
    pub(super) ciphered: bool,
}

/// The fields of a header that follow from the data.
#[derive(Debug)]
pub(super) struct Lengths {
    /// CPL or RPL: octets after it.
    pub(super) packet: [u8; 2],
    /// CHL or RHL: octets after it up to the check, inclusive.
    pub(super) header: u8,
    pub(super) pcntr: u8,
}

impl Security<'_> {
    pub(super) fn lengths(&self, data: &[u8]) -> Result<Lengths, SealError> {
        let secured = self.form.status_len() + self.check_len() + data.len();
        let block = self.keys.block_len();
        let padded = if self.ciphered { secured.next_multiple_of(block) } else { secured };
        let following = self.form.clear - 2 + padded;
        let packet = u16::try_from(following).map_err(|_| SealError::TooLong(following))?.to_be_bytes();
        // A block has at most 16 octets.
        Ok(Lengths { packet, header: self.header_length(), pcntr: (padded - secured) as u8 })
    }

    /// The whole packet: `head` as far as it is sent, the check, `data`, padding.
    pub(super) fn seal(&self, head: &[u8; HEAD_LEN], pcntr: u8, data: &[u8]) -> Vec<u8> {
        let (_, sent) = head.split_at(self.form.not_sent);
        let before_data = sent.len() + self.check_len();
        let whole = before_data + data.len() + usize::from(pcntr);
        let mut packet = Vec::with_capacity(whole);
        packet.extend_from_slice(sent);
        packet.resize(before_data, 0);
        packet.extend_from_slice(data);
        packet.resize(whole, 0);

        let (before_data, body) = packet.split_at_mut(before_data);
        let (_, check) = before_data.split_at_mut(sent.len());
        check.iter_mut().zip(self.keys.compute(self.check, head, body)).for_each(|(to, from)| *to = from);
        if self.ciphered {
            let (_, secured) = packet.split_at_mut(self.form.clear);
            self.keys.encipher(secured);
        }
        packet
    }

    /// The octets after those that are never ciphered, in clear. `header_length` has to be that of this level.
    pub(super) fn decipher(&self, header_length: u8, secured: &[u8]) -> Result<Vec<u8>, OpenError> {
        let expected = self.header_length();
        if header_length != expected {
            let field = self.form.header_length;
            return Err(OpenError::LevelMismatch { field, expected, found: header_length });
        }
        let mut deciphered = secured.to_vec();
        if self.ciphered {
            self.keys.decipher(&mut deciphered)?;
        }
        Ok(deciphered)
    }

    /// The data in what [`Security::decipher`] returned, once the check holds. What the padding is made of is not looked
    /// at: cards fill it in their own ways.
    pub(super) fn data(
        &self,
        head: &[u8; HEAD_LEN],
        pcntr: u8,
        mut deciphered: Vec<u8>,
    ) -> Result<Vec<u8>, OpenError> {
        let before_data = self.form.status_len() + self.check_len();
        let mut body = deciphered.get(self.form.status_len()..).unwrap_or_default();
        let check = take_slice(&mut body, self.check_len(), self.check.name())?;
        if !self.keys.verify(self.check, check, head, body) {
            return Err(OpenError::BadChecksum);
        }
        let data = unpadded(body.len(), pcntr)?;
        deciphered.drain(..before_data);
        deciphered.truncate(data);
        Ok(deciphered)
    }

    fn check_len(&self) -> usize {
        self.keys.check_len(self.check)
    }

    fn header_length(&self) -> u8 {
        // A check has at most 8 octets.
        self.form.header_length_base + self.check_len() as u8
    }
}

/// Takes the next `N` octets off `rest`.
pub(super) fn take<const N: usize>(rest: &mut &[u8], field: &'static str) -> Result<[u8; N], OpenError> {
    let too_short = OpenError::TooShort { field, expected: N, found: rest.len() };
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(too_short)?;
    *rest = left;
    Ok(*taken)
}

/// Takes the next `len` octets off `rest`.
fn take_slice<'a>(rest: &mut &'a [u8], len: usize, field: &'static str) -> Result<&'a [u8], OpenError> {
    let too_short = OpenError::TooShort { field, expected: len, found: rest.len() };
    let (taken, left) = rest.split_at_checked(len).ok_or(too_short)?;
    *rest = left;
    Ok(taken)
}

/// Takes the packet length field off `rest` and checks it against what follows.
pub(super) fn take_length(rest: &mut &[u8], field: &'static str) -> Result<[u8; 2], OpenError> {
    let length = take::<2>(rest, field)?;
    let said = usize::from(u16::from_be_bytes(length));
    if said == rest.len() {
        Ok(length)
    } else {
        Err(OpenError::LengthMismatch { field, said, found: rest.len() })
    }
}

/// Octets of data once `pcntr` octets of padding at the end of `data` octets are gone.
pub(super) fn unpadded(data: usize, pcntr: u8) -> Result<usize, OpenError> {
    data.checked_sub(usize::from(pcntr)).ok_or(OpenError::Padding { pcntr, data })
}
