//! How many short messages a script takes, before it is known which keys secure it.

use crate::card::profile::Mt;
use crate::ota::{Cpi, parts_needed};

/// Octets of the longest checksum, and of the longest cipher block: those of AES.
const CHECK: usize = 8;
const BLOCK: usize = 16;
/// Octets of a command packet that are never ciphered, CPL to TAR, and of CNTR and PCNTR (TS 102 225 §5.1).
const COMMAND_CLEAR: usize = 10;
const COMMAND_COUNTERS: usize = 6;
/// Octets of a response packet that are never ciphered, RPL to TAR, and of CNTR, PCNTR and RSC (TS 102 225 §5.2).
const RESPONSE_CLEAR: usize = 6;
const RESPONSE_STATUS: usize = 7;

/// Short messages that a command packet with `octets` octets of data takes at most, whatever keys of the profile secure it.
#[must_use]
pub fn command_parts(mt: &Mt, octets: usize) -> usize {
    let packet = COMMAND_CLEAR + (COMMAND_COUNTERS + CHECK + octets).next_multiple_of(BLOCK);
    parts(mt, packet, Cpi::Command)
}

/// Short messages that the response packet with `octets` octets of data takes at most. Cards cut theirs as they like; most
/// have the same habits both ways.
pub(super) fn response_parts(mt: &Mt, octets: usize) -> usize {
    let packet = RESPONSE_CLEAR + (RESPONSE_STATUS + CHECK + octets).next_multiple_of(BLOCK);
    parts(mt, packet, Cpi::Response)
}

fn parts(mt: &Mt, packet: usize, cpi: Cpi) -> usize {
    parts_needed(packet, cpi, &mt.split_options(0))
}
