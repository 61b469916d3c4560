//! broadcast_sm and cancel_broadcast_sm (SMPP 5.0 §4.4, §4.6): cell broadcast. query_broadcast_sm has the body of
//! [`QuerySm`](super::QuerySm), its response and that to broadcast_sm that of [`SmResp`](super::SmResp); that to
//! cancel_broadcast_sm has none.

use bytes::{BufMut, Bytes, BytesMut};

use super::address::AddressFields;
use super::reader::Reader;
use super::{Address, COctetString, DataCoding, DecodeError, Field, MessageId, Tlvs};

/// The body of broadcast_sm. Where, what and how often stands in TLVs that the specification makes mandatory:
/// broadcast_area_identifier, broadcast_content_type, broadcast_rep_num, broadcast_frequency_interval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BroadcastSm {
    /// The SMS application service.
    pub service_type: COctetString<5>,
    /// Who sends.
    pub source: Address,
    /// The broadcast to be replaced; empty for a new one.
    pub message_id: MessageId,
    /// 0 (lowest) to 3.
    pub priority_flag: u8,
    /// When to begin; empty means at once.
    pub schedule_delivery_time: COctetString<16>,
    /// Until when to try; empty means the SMSC's default.
    pub validity_period: COctetString<16>,
    /// 1 replaces the broadcast that message_id or user_message_reference names.
    pub replace_if_present_flag: u8,
    /// How the user data are to be read.
    pub data_coding: DataCoding,
    /// A message predefined at the SMSC; 0 is none.
    pub sm_default_msg_id: u8,
    /// Optional parameters, message_payload among them.
    pub tlvs: Tlvs,
}

impl BroadcastSm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            message_id: MessageId::read(&mut reader)?,
            priority_flag: reader.octet(Field::PriorityFlag)?,
            schedule_delivery_time: reader.c_octet_string(Field::ScheduleDeliveryTime)?,
            validity_period: reader.c_octet_string(Field::ValidityPeriod)?,
            replace_if_present_flag: reader.octet(Field::ReplaceIfPresentFlag)?,
            data_coding: DataCoding(reader.octet(Field::DataCoding)?),
            sm_default_msg_id: reader.octet(Field::SmDefaultMsgId)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.service_type.put(out);
        self.source.put(out);
        self.message_id.put(out);
        out.put_u8(self.priority_flag);
        self.schedule_delivery_time.put(out);
        self.validity_period.put(out);
        out.put_slice(&[self.replace_if_present_flag, self.data_coding.0, self.sm_default_msg_id]);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// The body of cancel_broadcast_sm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CancelBroadcastSm {
    /// As in its broadcast_sm, where message_id is empty.
    pub service_type: COctetString<5>,
    /// The broadcast; empty where user_message_reference names it.
    pub message_id: MessageId,
    /// Who sent it: as in its broadcast_sm.
    pub source: Address,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl CancelBroadcastSm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            message_id: MessageId::read(&mut reader)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.service_type.put(out);
        self.message_id.put(out);
        self.source.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}
