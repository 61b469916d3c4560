//! What command and response packets have in common: their errors, their padding, reading field by field.

use super::spi::Integrity;

/// Why a packet cannot be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The SPI asks for a check that is not built.
    #[error("SPI asks for {0}, which is not supported")]
    Unsupported(Integrity),
    /// KIc or KID of the header name another key set than the one given.
    #[error("{field}: {found:#04X} does not name the key set {expected:#04X}")]
    OtherKeySet {
        /// `KIc` or `KID`.
        field: &'static str,
        /// The octet in the header.
        found: u8,
        /// The octet of the key set.
        expected: u8,
    },
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
    /// The level asks for a check that is not built.
    #[error("SPI asks for {0}, which is not supported")]
    Unsupported(Integrity),
    /// KIc or KID name another key set than the one given.
    #[error("{field}: {found:#04X} does not name the key set {expected:#04X}")]
    OtherKeySet {
        /// `KIc` or `KID`.
        field: &'static str,
        /// The octet in the packet.
        found: u8,
        /// The octet of the key set.
        expected: u8,
    },
    /// The ciphered octets are no whole number of blocks.
    #[error("ciphered data: expected whole blocks of {block} octets, found {found} octets")]
    BlockLength {
        /// Octets of a block.
        block: usize,
        /// Octets found.
        found: usize,
    },
    /// The cryptographic checksum is wrong: other keys, or the packet was changed.
    #[error("CC: wrong checksum")]
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

/// Octets that fill `len` up to whole blocks.
pub(super) const fn padding(len: usize, block: usize) -> u8 {
    // A block has at most 16 octets.
    (len.next_multiple_of(block) - len) as u8
}

/// Takes the next `N` octets off `rest`.
pub(super) fn take<const N: usize>(rest: &mut &[u8], field: &'static str) -> Result<[u8; N], OpenError> {
    let too_short = OpenError::TooShort { field, expected: N, found: rest.len() };
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(too_short)?;
    *rest = left;
    Ok(*taken)
}

/// Takes the next `len` octets off `rest`.
pub(super) fn take_slice<'a>(
    rest: &mut &'a [u8],
    len: usize,
    field: &'static str,
) -> Result<&'a [u8], OpenError> {
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

/// Checks a header length field against `base` octets plus a check of `check_len` octets.
pub(super) fn check_level(
    field: &'static str,
    found: u8,
    base: u8,
    check_len: usize,
) -> Result<(), OpenError> {
    // A check has at most 8 octets.
    let expected = base + check_len as u8;
    if found == expected { Ok(()) } else { Err(OpenError::LevelMismatch { field, expected, found }) }
}

/// Octets of data once `pcntr` octets of padding at the end of `data` octets are gone. What the padding holds is never
/// looked at: cards fill it in their own ways.
pub(super) fn unpadded(data: usize, pcntr: u8) -> Result<usize, OpenError> {
    data.checked_sub(usize::from(pcntr)).ok_or(OpenError::Padding { pcntr, data })
}
