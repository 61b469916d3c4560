//! A message of a card that is not known.

use prost::Message as _;

use super::RecordError;
use super::reader::Reader;

/// A message that no card could be found for. Its user data is bounded by the size of a value alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayRecord {
    /// When it came, unix ms.
    pub at: u64,
    /// The link it came over.
    pub link: String,
    /// The sender's number in international form; as the link spells it where that is no number.
    pub source: String,
    /// The number it was sent to, as the link spells it.
    pub destination: String,
    /// Why it is stray.
    pub reason: String,
    /// Its user data, the header included; of a message in parts, as if it had come in one.
    pub user_data: Vec<u8>,
    /// Whether the user data begins with a header; not known in records from before it was kept.
    pub udhi: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StrayBody {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(string, tag = "2")]
    link: String,
    #[prost(string, tag = "3")]
    source: String,
    #[prost(string, tag = "4")]
    destination: String,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(bytes = "vec", tag = "6")]
    user_data: Vec<u8>,
    #[prost(bool, tag = "7")]
    udhi: bool,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_stray(stray: &StrayRecord) -> Vec<u8> {
    StrayBody {
        at: stray.at,
        link: stray.link.clone(),
        source: stray.source.clone(),
        destination: stray.destination.clone(),
        reason: stray.reason.clone(),
        user_data: stray.user_data.clone(),
        udhi: stray.udhi,
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_stray(octets: &[u8]) -> Result<StrayRecord, RecordError> {
    let (body, _) = Reader::open::<StrayBody>("stray", octets)?;
    Ok(StrayRecord {
        at: body.at,
        link: body.link,
        source: body.source,
        destination: body.destination,
        reason: body.reason,
        user_data: body.user_data,
        udhi: body.udhi,
    })
}
