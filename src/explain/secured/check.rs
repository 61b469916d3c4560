//! What is known of the secured part of a packet, and the redundancy check, which needs no key.

use crate::explain::keys::NotOpened;
use crate::ota::{Crc, Integrity, OpenError};

/// What is known of the secured part of a packet.
pub(super) enum Secured {
    /// It is as it says.
    Proved(String),
    /// It was opened, and nothing proves that.
    Opened(String),
    /// It does not open.
    Failed(String),
    /// Nothing was tried.
    Unknown(String),
}

pub(super) fn proof(card: &str, key_set: u8, integrity: Integrity) -> Secured {
    match integrity {
        Integrity::Cc => Secured::Proved(format!("verified: {card}, key set {key_set}")),
        Integrity::Rc => Secured::Opened("verified; an RC proves no sender".to_owned()),
        _ => Secured::Opened(format!("opened with key set {key_set} of {card}; nothing proves it")),
    }
}

pub(super) fn not_opened(error: &NotOpened) -> Secured {
    match error {
        NotOpened::Open(OpenError::BadChecksum) => {
            Secured::Failed("the check fails: other keys, or the packet was changed".to_owned())
        }
        error if error.failed() => Secured::Failed(error.to_string()),
        error => Secured::Unknown(error.to_string()),
    }
}

/// Whether the RC of a packet that is not ciphered is right; `before` is what it covers beside the packet.
pub(super) fn redundancy(before: &[u8], packet: &[u8], check_len: usize, otherwise: Secured) -> Secured {
    let crc = match check_len {
        2 => Crc::Crc16,
        4 => Crc::Crc32,
        _ => return otherwise,
    };
    match is_right(crc, before, packet) {
        true => Secured::Opened("right; it proves no sender".to_owned()),
        false => Secured::Failed("the RC is wrong: the packet was changed".to_owned()),
    }
}

/// Whether a packet that is not ciphered has this RC. It covers `before` and what stands before it, 16 octets, and what
/// stands behind.
pub(super) fn is_right(crc: Crc, before: &[u8], packet: &[u8]) -> bool {
    let split = packet.split_at_checked(16 - before.len());
    let split = split.and_then(|(head, behind)| Some((head, behind.split_at_checked(crc.len())?)));
    split.is_some_and(|(head, (found, body))| {
        crc.checksum(&[before, head].concat(), body).get(..crc.len()) == Some(found)
    })
}

pub(super) const fn check_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "check",
        Integrity::Rc => "RC",
        Integrity::Cc => "CC",
        Integrity::Ds => "DS",
    }
}
