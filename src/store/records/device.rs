//! The record of a device: the card in it, and the writes that wait for one.

use prost::Message as _;

use crate::card::{CardId, WriteId};
use crate::identity::Imei;

use super::RecordError;
use super::reader::Reader;

/// Most writes that wait for a device which no card has reported.
pub const WAITING_MAX: usize = 8;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The device.
    pub imei: Imei,
    /// The card that reported it.
    pub card: Option<CardId>,
    /// Since when the card is in it, unix ms; where there is no card, since when the device is known.
    pub since: u64,
    /// Writes that wait for a card, oldest first; at most [`WAITING_MAX`].
    pub waiting: Vec<WriteId>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DeviceBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    card: Option<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    since: u64,
    #[prost(bytes = "vec", repeated, tag = "4")]
    waiting: Vec<Vec<u8>>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_device(device: &Device) -> Vec<u8> {
    DeviceBody {
        imei: device.imei.to_mobile_identity().to_vec(),
        card: device.card.map(|card| card.octets().to_vec()),
        since: device.since,
        waiting: device.waiting.iter().map(|write| write.octets().to_vec()).collect(),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_device(octets: &[u8]) -> Result<Device, RecordError> {
    let (body, read) = Reader::open::<DeviceBody>("device", octets)?;
    Ok(Device {
        imei: read.imei("imei", &body.imei)?,
        card: body.card.map(|octets| read.card("card", &octets)).transpose()?,
        since: body.since,
        waiting: read.writes("waiting", &body.waiting, WAITING_MAX)?,
    })
}
