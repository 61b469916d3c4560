//! What happened: entries of a card's timeline, and events on their way to an endpoint.

use prost::Message as _;

use crate::card::{CardId, Owner, WriteId};
use crate::identity::Imei;

use super::RecordError;
use super::reader::Reader;

/// Something that happened, for those who are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRecord {
    /// When, unix ms.
    pub at: u64,
    /// Whom it concerns.
    pub owner: Owner,
    /// Its type (`binding.created`, `write.effective`, …).
    pub kind: String,
    /// The card it is about, once known.
    pub card: Option<CardId>,
    /// Sequence in the card's timeline; of a fact about a link, among those of the link.
    pub seq: u64,
    /// The write and the event's sequence in it, where it is about one.
    pub write: Option<(WriteId, u32)>,
    /// The device it is about.
    pub imei: Option<Imei>,
    /// More about it, in a line.
    pub detail: String,
    /// The name of the link it is about, where it is about one.
    pub link: Option<String>,
}

/// An event that an endpoint has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// What is to be told.
    pub fact: FactRecord,
    /// How often it was tried.
    pub attempts: u32,
    /// Not tried again before, unix ms.
    pub not_before: u64,
    /// When it was first tried, unix ms; 0 before that.
    pub first_tried: u64,
    /// Why the last attempt failed, in a line; empty before that.
    pub error: String,
}

impl OutboxRecord {
    /// A fact that nobody has tried to tell yet.
    #[must_use]
    pub fn new(fact: FactRecord) -> Self {
        Self { fact, attempts: 0, not_before: 0, first_tried: 0, error: String::new() }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct FactBody {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(bytes = "vec", optional, tag = "4")]
    card: Option<Vec<u8>>,
    #[prost(uint64, tag = "5")]
    seq: u64,
    #[prost(message, optional, tag = "6")]
    write: Option<WriteEventBody>,
    #[prost(bytes = "vec", optional, tag = "7")]
    imei: Option<Vec<u8>>,
    #[prost(string, tag = "8")]
    detail: String,
    #[prost(string, optional, tag = "9")]
    link: Option<String>,
}

/// The write that a fact is about, and the event's sequence in it.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteEventBody {
    #[prost(bytes = "vec", tag = "1")]
    write: Vec<u8>,
    #[prost(uint32, tag = "2")]
    seq: u32,
}

impl FactBody {
    fn of(fact: &FactRecord) -> Self {
        Self {
            at: fact.at,
            owner: fact.owner.as_str().to_owned(),
            kind: fact.kind.clone(),
            card: fact.card.map(|card| card.octets().to_vec()),
            seq: fact.seq,
            write: fact.write.map(|(write, seq)| WriteEventBody { write: write.octets().to_vec(), seq }),
            imei: fact.imei.map(|imei| imei.to_mobile_identity().to_vec()),
            detail: fact.detail.clone(),
            link: fact.link.clone(),
        }
    }

    fn read(self, read: Reader) -> Result<FactRecord, RecordError> {
        let write = self.write.map(|WriteEventBody { write, seq }| Ok((read.write("write", &write)?, seq)));
        Ok(FactRecord {
            at: self.at,
            owner: read.owner("owner", &self.owner)?,
            kind: self.kind,
            card: self.card.map(|octets| read.card("card", &octets)).transpose()?,
            seq: self.seq,
            write: write.transpose()?,
            imei: self.imei.map(|octets| read.imei("imei", &octets)).transpose()?,
            detail: self.detail,
            link: self.link,
        })
    }
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_fact(fact: &FactRecord) -> Vec<u8> {
    FactBody::of(fact).encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_fact(octets: &[u8]) -> Result<FactRecord, RecordError> {
    let (body, read) = Reader::open::<FactBody>("fact", octets)?;
    body.read(read)
}

#[derive(Clone, PartialEq, prost::Message)]
struct OutboxBody {
    #[prost(message, optional, tag = "1")]
    fact: Option<FactBody>,
    #[prost(uint32, tag = "2")]
    attempts: u32,
    #[prost(uint64, tag = "3")]
    not_before: u64,
    #[prost(uint64, tag = "4")]
    first_tried: u64,
    #[prost(string, tag = "5")]
    error: String,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_outbox(event: &OutboxRecord) -> Vec<u8> {
    OutboxBody {
        fact: Some(FactBody::of(&event.fact)),
        attempts: event.attempts,
        not_before: event.not_before,
        first_tried: event.first_tried,
        error: event.error.clone(),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_outbox(octets: &[u8]) -> Result<OutboxRecord, RecordError> {
    let (body, read) = Reader::open::<OutboxBody>("outbox", octets)?;
    Ok(OutboxRecord {
        fact: read.present("fact", body.fact)?.read(read)?,
        attempts: body.attempts,
        not_before: body.not_before,
        first_tried: body.first_tried,
        error: body.error,
    })
}
