//! What happened to one card and has a consequence for another.

use prost::Message as _;

use crate::card::CardId;
use crate::identity::Imei;

use super::RecordError;
use super::reader::Reader;

/// A consequence that waits for the card it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxRecord {
    /// The device of this card was reported by another one.
    DeviceMoved {
        /// The device.
        imei: Imei,
        /// The card it is bound to now.
        to: CardId,
    },
}

#[derive(Clone, PartialEq, prost::Message)]
struct InboxBody {
    #[prost(oneof = "ConsequenceBody", tags = "1")]
    consequence: Option<ConsequenceBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ConsequenceBody {
    #[prost(message, tag = "1")]
    DeviceMoved(DeviceMovedBody),
}

#[derive(Clone, PartialEq, prost::Message)]
struct DeviceMovedBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    to: Vec<u8>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_inbox(consequence: &InboxRecord) -> Vec<u8> {
    let consequence = match consequence {
        InboxRecord::DeviceMoved { imei, to } => ConsequenceBody::DeviceMoved(DeviceMovedBody {
            imei: imei.to_mobile_identity().to_vec(),
            to: to.octets().to_vec(),
        }),
    };
    InboxBody { consequence: Some(consequence) }.encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_inbox(octets: &[u8]) -> Result<InboxRecord, RecordError> {
    let (body, read) = Reader::open::<InboxBody>("inbox", octets)?;
    match read.present("consequence", body.consequence)? {
        ConsequenceBody::DeviceMoved(DeviceMovedBody { imei, to }) => Ok(InboxRecord::DeviceMoved {
            imei: read.imei("device_moved.imei", &imei)?,
            to: read.card("device_moved.to", &to)?,
        }),
    }
}
