//! What may be taken only once: target numbers, and idempotency keys of an owner.

use prost::Message as _;

use crate::card::{CardId, WriteId};

use super::RecordError;
use super::reader::Reader;

/// A target number that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Who has it.
    pub holder: Holder,
}

/// Who has a target number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A write that has not proved in effect.
    Write(WriteId),
    /// The card that runs under it.
    Card(CardId),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClaimBody {
    #[prost(oneof = "HolderBody", tags = "1, 2")]
    holder: Option<HolderBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum HolderBody {
    #[prost(bytes = "vec", tag = "1")]
    Write(Vec<u8>),
    #[prost(bytes = "vec", tag = "2")]
    Card(Vec<u8>),
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_claim(claim: &Claim) -> Vec<u8> {
    let holder = match claim.holder {
        Holder::Write(write) => HolderBody::Write(write.octets().to_vec()),
        Holder::Card(card) => HolderBody::Card(card.octets().to_vec()),
    };
    ClaimBody { holder: Some(holder) }.encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_claim(octets: &[u8]) -> Result<Claim, RecordError> {
    let (body, read) = Reader::open::<ClaimBody>("claim", octets)?;
    let holder = match read.present("holder", body.holder)? {
        HolderBody::Write(octets) => Holder::Write(read.write("holder", &octets)?),
        HolderBody::Card(octets) => Holder::Card(read.card("holder", &octets)?),
    };
    Ok(Claim { holder })
}

/// The order that an idempotency key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The write that was created under the key.
    pub write: WriteId,
    /// SHA-256 of the request's body: the same key with another body is refused.
    pub body_digest: [u8; 32],
    /// When the order came, unix ms.
    pub at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct IdempotencyKeyBody {
    #[prost(bytes = "vec", tag = "1")]
    write: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    body_digest: Vec<u8>,
    #[prost(uint64, tag = "3")]
    at: u64,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_idempotency(key: &IdempotencyKey) -> Vec<u8> {
    IdempotencyKeyBody {
        write: key.write.octets().to_vec(),
        body_digest: key.body_digest.to_vec(),
        at: key.at,
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_idempotency(octets: &[u8]) -> Result<IdempotencyKey, RecordError> {
    let (body, read) = Reader::open::<IdempotencyKeyBody>("idempotency key", octets)?;
    Ok(IdempotencyKey {
        write: read.write("write", &body.write)?,
        body_digest: read.digest("body_digest", &body.body_digest)?,
        at: body.at,
    })
}
