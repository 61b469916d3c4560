//! submit_multi and its response (SMPP 3.4 §4.5, SMPP 5.0 §4.2.3): one message to many recipients.

use bytes::{BufMut, Bytes, BytesMut};

use super::address::AddressFields;
use super::reader::Reader;
use super::{
    Address, COctetString, CommandStatus, DataCoding, DecodeError, EsmClass, Field, MessageId,
    RegisteredDelivery, ShortMessage, Tlvs,
};

/// A recipient of submit_multi: its dest_flag decides which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// An SME address (dest_flag 1).
    Sme(Address),
    /// The name of a distribution list kept at the SMSC (dest_flag 2).
    DistributionList(COctetString<20>),
}

const SME_ADDRESS: u8 = 1;
const DISTRIBUTION_LIST: u8 = 2;

/// The recipients of a submit_multi: at most 255. SMPP 3.4 asks for 1 to 254, SMPP 5.0 for 1 to 255; a list that a
/// peer left empty is kept so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destinations(Vec<Destination>);

/// More entries than their count, one octet, can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: at most 255 expected, found {found}", .field.name())]
pub struct TooManyEntries {
    /// The count.
    pub field: Field,
    /// Entries given.
    pub found: usize,
}

impl Destinations {
    /// The recipients in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[Destination] {
        &self.0
    }
}

impl TryFrom<Vec<Destination>> for Destinations {
    type Error = TooManyEntries;

    fn try_from(list: Vec<Destination>) -> Result<Self, TooManyEntries> {
        at_most_255(Field::NumberOfDests, list).map(Self)
    }
}

/// The body of submit_multi.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitMulti {
    /// The SMS application service.
    pub service_type: COctetString<5>,
    /// Who sends.
    pub source: Address,
    /// Who receives.
    pub destinations: Destinations,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// TP-PID (TS 23.040 §9.2.3.9).
    pub protocol_id: u8,
    /// 0 (lowest) to 3.
    pub priority_flag: u8,
    /// When to deliver; empty means at once.
    pub schedule_delivery_time: COctetString<16>,
    /// Until when to try; empty means the SMSC's default.
    pub validity_period: COctetString<16>,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// Reserved in 3.4: 0.
    pub replace_if_present_flag: u8,
    /// How the user data are to be read.
    pub data_coding: DataCoding,
    /// A message predefined at the SMSC; 0 is none.
    pub sm_default_msg_id: u8,
    /// The user data, unless they are in the TLV message_payload.
    pub short_message: ShortMessage,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SubmitMulti {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            destinations: Destinations(counted(&mut reader, Field::NumberOfDests, Destination::read)?),
            esm_class: EsmClass(reader.octet(Field::EsmClass)?),
            protocol_id: reader.octet(Field::ProtocolId)?,
            priority_flag: reader.octet(Field::PriorityFlag)?,
            schedule_delivery_time: reader.c_octet_string(Field::ScheduleDeliveryTime)?,
            validity_period: reader.c_octet_string(Field::ValidityPeriod)?,
            registered_delivery: RegisteredDelivery(reader.octet(Field::RegisteredDelivery)?),
            replace_if_present_flag: reader.octet(Field::ReplaceIfPresentFlag)?,
            data_coding: DataCoding(reader.octet(Field::DataCoding)?),
            sm_default_msg_id: reader.octet(Field::SmDefaultMsgId)?,
            short_message: ShortMessage::read(&mut reader, octets)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.service_type.put(out);
        self.source.put(out);
        put_count(out, self.destinations.0.len());
        self.destinations.0.iter().for_each(|destination| destination.put(out));
        out.put_slice(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
        self.schedule_delivery_time.put(out);
        self.validity_period.put(out);
        out.put_slice(&[
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ]);
        self.short_message.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}

impl Destination {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.octet(Field::DestFlag)? {
            SME_ADDRESS => Address::read(reader, AddressFields::DESTINATION).map(Self::Sme),
            DISTRIBUTION_LIST => reader.c_octet_string(Field::DlName).map(Self::DistributionList),
            found => Err(DecodeError::DestFlag { found }),
        }
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Sme(address) => {
                out.put_u8(SME_ADDRESS);
                address.put(out);
            }
            Self::DistributionList(name) => {
                out.put_u8(DISTRIBUTION_LIST);
                name.put(out);
            }
        }
    }
}

/// A recipient to whom the message was not submitted, and why (unsuccess_sme).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsuccessSme {
    /// The recipient.
    pub address: Address,
    /// error_status_code: the status a submit_sm to it would have been answered with.
    pub status: CommandStatus,
}

/// The recipients a submit_multi did not reach: at most 255.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnsuccessSmes(Vec<UnsuccessSme>);

impl UnsuccessSmes {
    /// The recipients in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[UnsuccessSme] {
        &self.0
    }
}

impl TryFrom<Vec<UnsuccessSme>> for UnsuccessSmes {
    type Error = TooManyEntries;

    fn try_from(list: Vec<UnsuccessSme>) -> Result<Self, TooManyEntries> {
        at_most_255(Field::NoUnsuccess, list).map(Self)
    }
}

/// The body of submit_multi_resp. An error response may have none: then it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitMultiResp {
    /// The SMSC's id of the message, common to all recipients.
    pub message_id: MessageId,
    /// Who gets nothing.
    pub unsuccess_smes: UnsuccessSmes,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SubmitMultiResp {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: MessageId::read(&mut reader)?,
            unsuccess_smes: UnsuccessSmes(counted(&mut reader, Field::NoUnsuccess, UnsuccessSme::read)?),
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.message_id.put(out);
        put_count(out, self.unsuccess_smes.0.len());
        for UnsuccessSme { address, status } in &self.unsuccess_smes.0 {
            address.put(out);
            out.put_u32(status.0);
        }
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.message_id.is_empty() && self.unsuccess_smes.0.is_empty() && self.tlvs.is_empty()
    }
}

impl UnsuccessSme {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            address: Address::read(reader, AddressFields::DESTINATION)?,
            status: CommandStatus(reader.integer(Field::ErrorStatusCode)?),
        })
    }
}

/// A count of one octet and as many entries: the first that does not fit ends the reading, so memory is bounded by
/// what the body holds.
fn counted<T>(
    reader: &mut Reader<'_>,
    count: Field,
    read: fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..reader.octet(count)?).map(|_| read(reader)).collect()
}

fn at_most_255<T>(field: Field, list: Vec<T>) -> Result<Vec<T>, TooManyEntries> {
    if list.len() > usize::from(u8::MAX) {
        Err(TooManyEntries { field, found: list.len() })
    } else {
        Ok(list)
    }
}

/// The types of both lists hold at most 255 entries.
fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u8(u8::try_from(count).unwrap_or(u8::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_take_255_entries() {
        let sme = Destination::Sme(Address::default());
        assert_eq!(Destinations::try_from(vec![sme; 255]).unwrap().as_slice().len(), 255);
        let error = Destinations::try_from(vec![sme; 256]).unwrap_err();
        assert_eq!(error.to_string(), "number_of_dests: at most 255 expected, found 256");
        let sme = UnsuccessSme { address: Address::default(), status: CommandStatus::ESME_RINVDSTADR };
        let error = UnsuccessSmes::try_from(vec![sme; 300]).unwrap_err();
        assert_eq!(error, TooManyEntries { field: Field::NoUnsuccess, found: 300 });
    }

    #[test]
    fn a_flag_of_no_kind_is_told() {
        let body = Bytes::from_static(&[0, 0, 0, 0, 1, 7]);
        let error = SubmitMulti::decode(&body).unwrap_err();
        assert_eq!(error, DecodeError::DestFlag { found: 7 });
        assert_eq!(error.status(), CommandStatus::ESME_RINVDESTFLAG);
        let body = Bytes::from_static(&[0, 0, 0, 0, 2, 2, b'a', 0]);
        let missing = DecodeError::Missing { field: Field::DestFlag };
        assert_eq!(SubmitMulti::decode(&body), Err(missing), "two announced, one there");
    }
}
