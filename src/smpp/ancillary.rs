//! query_sm, cancel_sm and replace_sm (SMPP 3.4 §4.8 to §4.10, SMPP 5.0 §4.5): what an ESME asks about a message it
//! submitted. The responses to cancel_sm and replace_sm have no body.

use bytes::{BufMut, Bytes, BytesMut};

use super::address::AddressFields;
use super::reader::Reader;
use super::{
    Address, COctetString, DecodeError, Field, MessageId, MessageState, RegisteredDelivery, ShortMessage,
    Tlvs,
};

/// The body of query_sm, how far is a message? And of query_broadcast_sm (SMPP 5.0 §4.6), how far is a broadcast?
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuerySm {
    /// The message or broadcast; empty where the TLV user_message_reference names a broadcast.
    pub message_id: MessageId,
    /// Who sent it: as in its submit_sm or broadcast_sm.
    pub source: Address,
    /// Optional parameters: none in the specification for query_sm.
    pub tlvs: Tlvs,
}

impl QuerySm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            message_id: MessageId::read(&mut reader)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.message_id.put(out);
        self.source.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// The body of query_sm_resp. An error response may have none: then it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuerySmResp {
    /// The message.
    pub message_id: MessageId,
    /// When it reached its final state; empty before.
    pub final_date: COctetString<16>,
    /// How far it got.
    pub message_state: MessageState,
    /// The network's error code; 0 is none.
    pub error_code: u8,
    /// Optional parameters: none in the specification.
    pub tlvs: Tlvs,
}

impl QuerySmResp {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: MessageId::read(&mut reader)?,
            final_date: reader.c_octet_string(Field::FinalDate)?,
            message_state: MessageState(reader.octet(Field::MessageState)?),
            error_code: reader.octet(Field::ErrorCode)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.message_id.put(out);
        self.final_date.put(out);
        out.put_slice(&[self.message_state.0, self.error_code]);
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The body of cancel_sm: forget a message, or (with an empty message_id) all of a source to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CancelSm {
    /// As in its submit_sm, where message_id is empty.
    pub service_type: COctetString<5>,
    /// The message; empty names a group by the other fields.
    pub message_id: MessageId,
    /// Who sent it: as in its submit_sm.
    pub source: Address,
    /// Who was to receive it; may be empty where message_id is given.
    pub destination: Address,
    /// Optional parameters: none in the specification.
    pub tlvs: Tlvs,
}

impl CancelSm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            message_id: MessageId::read(&mut reader)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            destination: Address::read(&mut reader, AddressFields::DESTINATION)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.service_type.put(out);
        self.message_id.put(out);
        self.source.put(out);
        self.destination.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// The body of replace_sm: other user data for a message still at the SMSC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplaceSm {
    /// The message.
    pub message_id: MessageId,
    /// Who sent it: as in its submit_sm.
    pub source: Address,
    /// When to deliver; empty keeps what was asked before.
    pub schedule_delivery_time: COctetString<16>,
    /// Until when to try; empty keeps what was asked before.
    pub validity_period: COctetString<16>,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// A message predefined at the SMSC; 0 is none.
    pub sm_default_msg_id: u8,
    /// The new user data, unless they are in the TLV message_payload (SMPP 5.0).
    pub short_message: ShortMessage,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl ReplaceSm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            message_id: MessageId::read(&mut reader)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            schedule_delivery_time: reader.c_octet_string(Field::ScheduleDeliveryTime)?,
            validity_period: reader.c_octet_string(Field::ValidityPeriod)?,
            registered_delivery: RegisteredDelivery(reader.octet(Field::RegisteredDelivery)?),
            sm_default_msg_id: reader.octet(Field::SmDefaultMsgId)?,
            short_message: ShortMessage::read(&mut reader, octets)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.message_id.put(out);
        self.source.put(out);
        self.schedule_delivery_time.put(out);
        self.validity_period.put(out);
        out.put_slice(&[self.registered_delivery.0, self.sm_default_msg_id]);
        self.short_message.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}
