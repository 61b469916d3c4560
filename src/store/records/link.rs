//! What the owners were last told of a link.

use prost::Message as _;

use super::RecordError;
use super::reader::Reader;

/// What was last told of a link. Which link it is says its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// The event's type (`link.down`, …).
    pub kind: String,
    /// More about it, in a line.
    pub detail: String,
    /// The event's place among those of the link, from 1 on.
    pub seq: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LinkBody {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    detail: String,
    #[prost(uint64, tag = "3")]
    seq: u64,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_link(link: &LinkRecord) -> Vec<u8> {
    LinkBody { kind: link.kind.clone(), detail: link.detail.clone(), seq: link.seq }.encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_link(octets: &[u8]) -> Result<LinkRecord, RecordError> {
    let (LinkBody { kind, detail, seq }, _) = Reader::open::<LinkBody>("link", octets)?;
    Ok(LinkRecord { kind, detail, seq })
}
