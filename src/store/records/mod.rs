//! The records that the store's values hold: plain types outside, protocol buffers inside.
//!
//! `encode_…` gives the body of a value; format octet and version are put in front of it by
//! [`Guarded`](super::Guarded) or [`Unguarded`](super::Unguarded). `decode_…` reads a body and checks every limit. To
//! keep those limits is the writer's part: what is beyond them is written, and cannot be read again.
//!
//! A store outlives the program that wrote it. What keeps old bodies readable:
//! - tags are given by hand; a tag is never given twice and never changes its type, even after its field has gone;
//! - a field that comes later is optional, or its default (zero, empty, false) is right for every older record;
//! - enumerations are stored as numbers from 1 on, so that a missing one is never taken for a value;
//! - a reader skips tags it does not know, and refuses numbers it does not know.
//!
//! `tests/data/golden/records/` keeps bodies of every released version; they must decode for ever.
//!
//! Identifiers are stored in the octets that a card has for them, which keep what was read from a card with a wrong
//! check digit: IMEI as mobile identity (8), EID (16), ICCID as EF.ICCID (10), IMSI as EF.IMSI (9), MSISDN as TON/NPI
//! and swapped BCD (3 to 9). Ids are their 16 octets, owners their text, times unix milliseconds.

mod api_key;
mod card;
mod claim;
mod device;
mod endpoint;
mod fact;
mod inbox;
mod link;
mod part_set;
mod reader;
mod sealed_parts;
mod stray;
mod subscription;
mod write;

pub use api_key::{ApiKey, decode_api_key, encode_api_key};
pub use card::{CARD_OCTETS_MAX, LEGS_MAX, OWED_MAX, decode_card, encode_card};
pub use claim::{
    Claim, Holder, IdempotencyKey, decode_claim, decode_idempotency, encode_claim, encode_idempotency,
};
pub use device::{Device, WAITING_MAX, decode_device, encode_device};
pub use endpoint::{Endpoint, decode_endpoint, encode_endpoint};
pub use fact::{FactRecord, OutboxRecord, decode_fact, decode_outbox, encode_fact, encode_outbox};
pub use inbox::{InboxRecord, decode_inbox, encode_inbox};
pub use link::{LinkRecord, decode_link, encode_link};
pub use part_set::{PartSet, SET_PART_OCTETS_MAX, decode_part_set, encode_part_set};
pub use sealed_parts::{
    SEALED_PART_OCTETS_MAX, SEALED_PARTS_MAX, SealedParts, decode_sealed_parts, encode_sealed_parts,
};
pub use stray::{StrayRecord, decode_stray, encode_stray};
pub use write::{Write, WritePlan, decode_write, encode_write};

/// Octets that are not the record they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More octets than any value has.
    #[error("{record} record: {found} octets, expected at most {limit}")]
    TooLong {
        /// The record's kind.
        record: &'static str,
        /// Octets found.
        found: usize,
        /// [`VALUE_OCTETS_MAX`](super::VALUE_OCTETS_MAX).
        limit: usize,
    },
    /// No protocol buffer, or a field of another type.
    #[error("{record} record: expected its protocol buffer")]
    Malformed {
        /// The record's kind.
        record: &'static str,
        /// What is wrong with it.
        source: prost::DecodeError,
    },
    /// A field that is missing or holds what it cannot.
    #[error("{record} record: {field}: expected {expected}")]
    Field {
        /// The record's kind.
        record: &'static str,
        /// The field, with its place in the record.
        field: &'static str,
        /// What it may hold.
        expected: &'static str,
    },
    /// A list with too many entries.
    #[error("{record} record: {field}: {found} entries, expected at most {limit}")]
    TooMany {
        /// The record's kind.
        record: &'static str,
        /// The list, with its place in the record.
        field: &'static str,
        /// Entries found.
        found: usize,
        /// The limit.
        limit: usize,
    },
}
