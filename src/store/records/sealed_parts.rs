//! The parts of a packet as they were sealed: what goes out again goes out in the same octets.

use prost::Message as _;

use super::RecordError;
use super::reader::Reader;
use crate::card::PARTS_MAX;

/// Most parts of one packet.
pub const SEALED_PARTS_MAX: usize = PARTS_MAX as usize;

/// Most octets of one part: what a short message's length octet can say.
pub const SEALED_PART_OCTETS_MAX: usize = 255;

/// A sealed packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedParts {
    /// The key set it was sealed under.
    pub kvn: u8,
    /// SPI1 of the command.
    pub spi1: u8,
    /// SPI2 of the command: its response is opened at the level asked here.
    pub spi2: u8,
    /// The application it goes to.
    pub tar: [u8; 3],
    /// The user data of each short message, in order: at most [`SEALED_PARTS_MAX`], of 1 to
    /// [`SEALED_PART_OCTETS_MAX`] octets each.
    pub parts: Vec<Vec<u8>>,
    /// When it was sealed, unix ms: the service centre's time stamp in what is exported. 0 in records from before there
    /// was an export.
    pub sealed_at: u64,
    /// Type of address and digits of the sender that is named in what is exported; `None` in records from before there
    /// was an export.
    pub originator: Option<(u8, String)>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SealedPartsBody {
    #[prost(uint32, tag = "1")]
    kvn: u32,
    #[prost(uint32, tag = "2")]
    spi1: u32,
    #[prost(uint32, tag = "3")]
    spi2: u32,
    #[prost(bytes = "vec", tag = "4")]
    tar: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    parts: Vec<Vec<u8>>,
    #[prost(uint64, tag = "6")]
    sealed_at: u64,
    #[prost(message, optional, tag = "7")]
    originator: Option<OriginatorBody>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OriginatorBody {
    #[prost(uint32, tag = "1")]
    type_of_address: u32,
    #[prost(string, tag = "2")]
    digits: String,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_sealed_parts(sealed: &SealedParts) -> Vec<u8> {
    SealedPartsBody {
        kvn: u32::from(sealed.kvn),
        spi1: u32::from(sealed.spi1),
        spi2: u32::from(sealed.spi2),
        tar: sealed.tar.to_vec(),
        parts: sealed.parts.clone(),
        sealed_at: sealed.sealed_at,
        originator: sealed.originator.as_ref().map(|(type_of_address, digits)| OriginatorBody {
            type_of_address: u32::from(*type_of_address),
            digits: digits.clone(),
        }),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_sealed_parts(octets: &[u8]) -> Result<SealedParts, RecordError> {
    let (body, read) = Reader::open::<SealedPartsBody>("sealed parts", octets)?;
    read.at_most("parts", &body.parts, SEALED_PARTS_MAX)?;
    if !body.parts.iter().all(|part| (1..=SEALED_PART_OCTETS_MAX).contains(&part.len())) {
        return Err(read.error("parts", "parts of 1 to 255 octets"));
    }
    let originator = body.originator.map(|OriginatorBody { type_of_address, digits }| {
        Ok((read.octet("originator.type_of_address", type_of_address)?, digits))
    });
    Ok(SealedParts {
        kvn: read.octet("kvn", body.kvn)?,
        spi1: read.octet("spi1", body.spi1)?,
        spi2: read.octet("spi2", body.spi2)?,
        tar: read.array("tar", &body.tar, "a TAR of 3 octets")?,
        parts: body.parts,
        sealed_at: body.sealed_at,
        originator: originator.transpose()?,
    })
}
