//! The parts of a concatenated message that have come so far.

use prost::Message as _;

use super::RecordError;
use super::reader::Reader;

/// Most octets of one part: what a short message's length octet can say.
pub const SET_PART_OCTETS_MAX: usize = 255;

/// A set of parts. Which message they are of says its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSet {
    /// How many parts the message has.
    pub total: u8,
    /// The parts so far: their number, 1 to `total`, and their octets, at most [`SET_PART_OCTETS_MAX`]. Together they
    /// must stay within one value.
    pub parts: Vec<(u8, Vec<u8>)>,
    /// When the first part came, unix ms.
    pub created: u64,
    /// Whether the message was complete and has been dealt with.
    pub done: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartSetBody {
    #[prost(uint32, tag = "1")]
    total: u32,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<PartBody>,
    #[prost(uint64, tag = "3")]
    created: u64,
    #[prost(bool, tag = "4")]
    done: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartBody {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(bytes = "vec", tag = "2")]
    octets: Vec<u8>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_part_set(set: &PartSet) -> Vec<u8> {
    let part =
        |(number, octets): &(u8, Vec<u8>)| PartBody { number: u32::from(*number), octets: octets.clone() };
    PartSetBody {
        total: u32::from(set.total),
        parts: set.parts.iter().map(part).collect(),
        created: set.created,
        done: set.done,
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_part_set(octets: &[u8]) -> Result<PartSet, RecordError> {
    let (body, read) = Reader::open::<PartSetBody>("part set", octets)?;
    let total = read.octet("total", body.total)?;
    read.at_most("parts", &body.parts, usize::from(total))?;
    let part = |PartBody { number, octets }| {
        let number = read.octet("parts.number", number)?;
        if !(1..=total).contains(&number) {
            return Err(read.error("parts.number", "1 to the total"));
        }
        if octets.len() > SET_PART_OCTETS_MAX {
            return Err(read.error("parts.octets", "at most 255 octets"));
        }
        Ok((number, octets))
    };
    Ok(PartSet {
        total,
        parts: body.parts.into_iter().map(part).collect::<Result<_, _>>()?,
        created: body.created,
        done: body.done,
    })
}
