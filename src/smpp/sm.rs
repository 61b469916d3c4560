//! submit_sm, deliver_sm and their responses (§4.4, §4.6): both pairs share one body layout.

use bytes::{BufMut, Bytes, BytesMut};

use super::bind::put_c_octet_string;
use super::reader::Reader;
use super::{COctetString, DataCoding, DecodeError, EsmClass, Field, RegisteredDelivery, Tlvs, tag};

/// The SMSC's id of a message: 64 octets in the specification; longer ones are seen live. Its form
/// (decimal, hexadecimal, UUID, constant, empty) is the SMSC's affair.
pub type MessageId = COctetString<127>;

/// An address as SMPP writes it (§5.2.5 to §5.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address {
    /// Type of number: 0 unknown, 1 international, 2 national, 3 network specific, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 1 ISDN (E.164).
    pub npi: u8,
    /// At most 20 octets, as the peer wrote them; usually decimal digits.
    pub digits: COctetString<20>,
}

impl Address {
    /// An international E.164 number: `digits` without `+`.
    ///
    /// # Errors
    /// More than 20 octets, or a NUL.
    pub fn international(digits: &str) -> Result<Self, super::COctetStringError> {
        Ok(Self { ton: 1, npi: 1, digits: digits.parse()? })
    }
}

/// The short_message field: at most 255 octets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShortMessage(Bytes);

/// User data too long for short_message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("short_message: at most 255 octets expected, found {found}")]
pub struct ShortMessageError {
    /// Octets given.
    pub found: usize,
}

impl ShortMessage {
    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl TryFrom<Bytes> for ShortMessage {
    type Error = ShortMessageError;

    fn try_from(octets: Bytes) -> Result<Self, ShortMessageError> {
        if octets.len() > usize::from(u8::MAX) {
            return Err(ShortMessageError { found: octets.len() });
        }
        Ok(Self(octets))
    }
}

/// A short message: the body of submit_sm and of deliver_sm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sm {
    /// The SMS application service; usually empty, `CMT` with some peers.
    pub service_type: COctetString<5>,
    /// Who sends.
    pub source: Address,
    /// Who receives.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// TP-PID (TS 23.040 §9.2.3.9): 7F is (U)SIM data download.
    pub protocol_id: u8,
    /// 0 (lowest) to 3.
    pub priority_flag: u8,
    /// When to deliver; empty means at once.
    pub schedule_delivery_time: COctetString<16>,
    /// Until when to try; empty means the SMSC's default. See [`super::time`].
    pub validity_period: COctetString<16>,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// 1 replaces an earlier message of the same source, destination and service type.
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

impl Sm {
    /// protocol_id of (U)SIM data download (TS 23.040 §9.2.3.9).
    pub const USIM_DATA_DOWNLOAD: u8 = 0x7F;

    /// A message to a card: user data with a User Data Header, (U)SIM data download, 8-bit class 2.
    #[must_use]
    pub fn submit_ota(source: Address, destination: Address, tp_ud: ShortMessage) -> Self {
        Self {
            source,
            destination,
            esm_class: EsmClass::UDHI,
            protocol_id: Self::USIM_DATA_DOWNLOAD,
            data_coding: DataCoding::OCTETS_CLASS_2,
            short_message: tp_ud,
            ..Self::default()
        }
    }

    /// The user data: short_message, or message_payload where that is empty.
    #[must_use]
    pub fn user_data(&self) -> Bytes {
        if self.short_message.0.is_empty() {
            self.tlvs.find_bytes(tag::MESSAGE_PAYLOAD).unwrap_or_default()
        } else {
            self.short_message.0.clone()
        }
    }

    pub(super) fn decode(mut reader: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            source: Address {
                ton: reader.octet(Field::SourceAddrTon)?,
                npi: reader.octet(Field::SourceAddrNpi)?,
                digits: reader.c_octet_string(Field::SourceAddr)?,
            },
            destination: Address {
                ton: reader.octet(Field::DestAddrTon)?,
                npi: reader.octet(Field::DestAddrNpi)?,
                digits: reader.c_octet_string(Field::DestinationAddr)?,
            },
            esm_class: EsmClass(reader.octet(Field::EsmClass)?),
            protocol_id: reader.octet(Field::ProtocolId)?,
            priority_flag: reader.octet(Field::PriorityFlag)?,
            schedule_delivery_time: reader.c_octet_string(Field::ScheduleDeliveryTime)?,
            validity_period: reader.c_octet_string(Field::ValidityPeriod)?,
            registered_delivery: RegisteredDelivery(reader.octet(Field::RegisteredDelivery)?),
            replace_if_present_flag: reader.octet(Field::ReplaceIfPresentFlag)?,
            data_coding: DataCoding(reader.octet(Field::DataCoding)?),
            sm_default_msg_id: reader.octet(Field::SmDefaultMsgId)?,
            short_message: ShortMessage(reader.short_message()?),
            tlvs: Tlvs::decode(reader.into_rest())?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_c_octet_string(out, &self.service_type);
        for address in [&self.source, &self.destination] {
            out.put_u8(address.ton);
            out.put_u8(address.npi);
            put_c_octet_string(out, &address.digits);
        }
        out.put_u8(self.esm_class.0);
        out.put_u8(self.protocol_id);
        out.put_u8(self.priority_flag);
        put_c_octet_string(out, &self.schedule_delivery_time);
        put_c_octet_string(out, &self.validity_period);
        out.put_u8(self.registered_delivery.0);
        out.put_u8(self.replace_if_present_flag);
        out.put_u8(self.data_coding.0);
        out.put_u8(self.sm_default_msg_id);
        out.put_u8(u8::try_from(self.short_message.0.len()).unwrap_or(u8::MAX));
        out.put_slice(&self.short_message.0);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// The body of submit_sm_resp and of deliver_sm_resp. An error response may have none: then it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SmResp {
    /// The SMSC's id of the message; unused (empty) in deliver_sm_resp.
    pub message_id: MessageId,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SmResp {
    pub(super) fn decode(mut reader: Reader) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: reader.c_octet_string(Field::MessageId)?,
            tlvs: Tlvs::decode(reader.into_rest())?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_c_octet_string(out, &self.message_id);
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.message_id.is_empty() && self.tlvs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ota_profile_is_what_operators_route_to_the_card() {
        let packet = ShortMessage::try_from(Bytes::from_static(&[2, 0x70, 0, 0])).unwrap();
        let address = Address::international("491700000001").unwrap();
        let sm = Sm::submit_ota(address, address, packet);
        assert_eq!((sm.esm_class.0, sm.protocol_id, sm.data_coding.0), (0x40, 0x7F, 0xF6));
        assert_eq!(sm.user_data(), &[2, 0x70, 0, 0][..]);
    }

    #[test]
    fn user_data_fall_back_to_message_payload() {
        let tlvs = Tlvs::default().with(tag::MESSAGE_PAYLOAD, &[9; 300]).unwrap();
        assert_eq!(Sm { tlvs, ..Sm::default() }.user_data(), vec![9; 300]);
        assert!(Sm::default().user_data().is_empty());
    }

    #[test]
    fn short_message_takes_255_octets() {
        assert!(ShortMessage::try_from(Bytes::from(vec![0; 255])).is_ok());
        let error = ShortMessage::try_from(Bytes::from(vec![0; 256])).unwrap_err();
        assert_eq!(error, ShortMessageError { found: 256 });
    }
}
