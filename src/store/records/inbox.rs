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
    /// The device of this card was reported by another one, and stays bound to this one.
    Contested {
        /// The device.
        imei: Imei,
        /// The other card.
        by: CardId,
    },
}

#[derive(Clone, PartialEq, prost::Message)]
struct InboxBody {
    #[prost(oneof = "ConsequenceBody", tags = "1, 2")]
    consequence: Option<ConsequenceBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ConsequenceBody {
    #[prost(message, tag = "1")]
    DeviceMoved(DeviceMovedBody),
    #[prost(message, tag = "2")]
    Contested(ContestedBody),
}

#[derive(Clone, PartialEq, prost::Message)]
struct DeviceMovedBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    to: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContestedBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    by: Vec<u8>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_inbox(consequence: &InboxRecord) -> Vec<u8> {
    let consequence = match consequence {
        InboxRecord::DeviceMoved { imei, to } => ConsequenceBody::DeviceMoved(DeviceMovedBody {
            imei: imei.to_mobile_identity().to_vec(),
            to: to.octets().to_vec(),
        }),
        InboxRecord::Contested { imei, by } => ConsequenceBody::Contested(ContestedBody {
            imei: imei.to_mobile_identity().to_vec(),
            by: by.octets().to_vec(),
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
        ConsequenceBody::Contested(ContestedBody { imei, by }) => Ok(InboxRecord::Contested {
            imei: read.imei("contested.imei", &imei)?,
            by: read.card("contested.by", &by)?,
        }),
    }
}
