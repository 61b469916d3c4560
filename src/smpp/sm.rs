//! submit_sm, deliver_sm and their responses (SMPP 3.4 §4.4, §4.6; SMPP 5.0 §4.2.1, §4.3.1): both pairs share one
//! body layout.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::address::{AddressFields, AddressView};
use super::reader::Reader;
use super::tlv;
use super::{
    Address, COctetString, DataCoding, DecodeError, EsmClass, Field, MessageId, RegisteredDelivery, Tlv, Tlvs,
};

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

    /// Takes sm_length and the user data from `reader` of the body `octets`.
    pub(super) fn read(reader: &mut Reader<'_>, octets: &Bytes) -> Result<Self, DecodeError> {
        let length = reader.octet(Field::SmLength)?;
        reader.short_message(length).map(|user_data| Self(octets.slice_ref(user_data)))
    }

    /// sm_length.
    fn length(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// Appends sm_length and the user data.
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_u8(self.length());
        out.put_slice(&self.0);
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
            self.tlvs.message_payload().unwrap_or_default()
        } else {
            self.short_message.0.clone()
        }
    }

    /// Decodes a body without allocating: user data and TLVs share its memory, the other fields are copied.
    #[inline]
    pub(super) fn decode(mut body: Bytes) -> Result<Self, (DecodeError, Bytes)> {
        let view = match SmView::decode(&body) {
            Ok(view) => view,
            Err(error) => return Err((error, body)),
        };
        let (user_data, tlvs) = (view.short_message.len(), view.tlvs.len());
        let mut sm = view.without_user_data();
        // Both stand at the end of the body; what is empty holds no memory.
        let end = body.len() - tlvs;
        if tlvs > 0 {
            sm.tlvs = Tlvs::of_checked(body.split_off(end));
        }
        if user_data > 0 {
            body.truncate(end);
            body.advance(end - user_data);
            sm.short_message = ShortMessage(body);
        }
        Ok(sm)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        let mut head = Head { octets: [0; HEAD], length: 0 };
        head.text(&self.service_type);
        for address in [&self.source, &self.destination] {
            head.octets([address.ton, address.npi]);
            head.text(&address.digits);
        }
        head.octets([self.esm_class.0, self.protocol_id, self.priority_flag]);
        head.text(&self.schedule_delivery_time);
        head.text(&self.validity_period);
        head.octets([
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
            self.short_message.length(),
        ]);
        out.put_slice(head.octets.get(..head.length).unwrap_or_default());
        out.put_slice(&self.short_message.0);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// Octets up to sm_length at most: the texts with their NULs, four octets of the addresses, eight others.
const HEAD: usize = 6 + 2 * 21 + 2 * 17 + 4 + 8;

/// The fields up to sm_length, laid out on the stack: texts are copied at their greatest length, which is known to the
/// compiler, instead of octet by octet.
struct Head {
    /// Zero from `length` on.
    octets: [u8; HEAD],
    length: usize,
}

impl Head {
    #[inline]
    fn octets<const N: usize>(&mut self, octets: [u8; N]) {
        if let Some(place) = self.octets.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut()) {
            *place = octets;
            self.length += N;
        }
    }

    #[inline]
    fn text<const N: usize>(&mut self, text: &COctetString<N>) {
        let end = self.length + text.as_bytes().len() + 1;
        self.octets(*text.padded());
        self.length = end;
    }
}

/// A short message within the octets of its PDU: every mandatory field read and checked, nothing copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmView<'a> {
    /// See [`Sm::service_type`].
    pub service_type: &'a [u8],
    /// See [`Sm::source`].
    pub source: AddressView<'a>,
    /// See [`Sm::destination`].
    pub destination: AddressView<'a>,
    /// See [`Sm::esm_class`].
    pub esm_class: EsmClass,
    /// See [`Sm::protocol_id`].
    pub protocol_id: u8,
    /// See [`Sm::priority_flag`].
    pub priority_flag: u8,
    /// See [`Sm::schedule_delivery_time`].
    pub schedule_delivery_time: &'a [u8],
    /// See [`Sm::validity_period`].
    pub validity_period: &'a [u8],
    /// See [`Sm::registered_delivery`].
    pub registered_delivery: RegisteredDelivery,
    /// See [`Sm::replace_if_present_flag`].
    pub replace_if_present_flag: u8,
    /// See [`Sm::data_coding`].
    pub data_coding: DataCoding,
    /// See [`Sm::sm_default_msg_id`].
    pub sm_default_msg_id: u8,
    /// See [`Sm::short_message`].
    pub short_message: &'a [u8],
    tlvs: &'a [u8],
}

impl<'a> SmView<'a> {
    /// Reads the body (what follows the header) of a submit_sm or deliver_sm.
    ///
    /// # Errors
    /// As in [`Body::Malformed`](super::Body::Malformed).
    #[inline]
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let service_type = reader.text(Field::ServiceType, 5)?;
        let source = AddressView::read(&mut reader, AddressFields::SOURCE)?;
        let destination = AddressView::read(&mut reader, AddressFields::DESTINATION)?;
        let [esm_class, protocol_id, priority_flag] =
            reader.octets([Field::EsmClass, Field::ProtocolId, Field::PriorityFlag])?;
        let schedule_delivery_time = reader.text(Field::ScheduleDeliveryTime, 16)?;
        let validity_period = reader.text(Field::ValidityPeriod, 16)?;
        let [registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length] =
            reader.octets([
                Field::RegisteredDelivery,
                Field::ReplaceIfPresentFlag,
                Field::DataCoding,
                Field::SmDefaultMsgId,
                Field::SmLength,
            ])?;
        let short_message = reader.short_message(sm_length)?;
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            protocol_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered_delivery),
            replace_if_present_flag,
            data_coding: DataCoding(data_coding),
            sm_default_msg_id,
            short_message,
            tlvs: reader.tlvs()?,
        })
    }

    /// The optional parameters in their order on the wire.
    pub fn tlvs(&self) -> impl Iterator<Item = Tlv<'a>> {
        tlv::iter(self.tlvs)
    }

    /// Copies the fields of bounded length.
    #[inline]
    fn without_user_data(&self) -> Sm {
        Sm {
            service_type: COctetString::of_checked(self.service_type),
            source: self.source.to_address(),
            destination: self.destination.to_address(),
            esm_class: self.esm_class,
            protocol_id: self.protocol_id,
            priority_flag: self.priority_flag,
            schedule_delivery_time: COctetString::of_checked(self.schedule_delivery_time),
            validity_period: COctetString::of_checked(self.validity_period),
            registered_delivery: self.registered_delivery,
            replace_if_present_flag: self.replace_if_present_flag,
            data_coding: self.data_coding,
            sm_default_msg_id: self.sm_default_msg_id,
            short_message: ShortMessage::default(),
            tlvs: Tlvs::default(),
        }
    }
}

/// The body of a response that names a message: of submit_sm_resp, deliver_sm_resp, data_sm_resp, broadcast_sm_resp
/// and query_broadcast_sm_resp. An error response may have none: then it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SmResp {
    /// The SMSC's id of the message; unused (empty) in deliver_sm_resp.
    pub message_id: MessageId,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SmResp {
    #[inline]
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { message_id: MessageId::read(&mut reader)?, tlvs: Tlvs::read(reader, octets)? })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.message_id.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.message_id.is_empty() && self.tlvs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::tag;

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
    fn the_longest_fields_are_encoded_whole() {
        let address = |digit| Address { ton: 1, npi: 2, digits: COctetString::new(&[digit; 20]).unwrap() };
        let sm = Sm {
            service_type: "WWWWW".parse().unwrap(),
            source: address(b'3'),
            destination: address(b'4'),
            schedule_delivery_time: COctetString::new(&[b'5'; 16]).unwrap(),
            validity_period: COctetString::new(&[b'6'; 16]).unwrap(),
            sm_default_msg_id: 7,
            short_message: ShortMessage::try_from(Bytes::from(vec![8; 255])).unwrap(),
            ..Sm::default()
        };
        let mut octets = BytesMut::new();
        sm.put(&mut octets);
        assert_eq!(octets.len(), HEAD + 255);
        assert_eq!(Sm::decode(octets.freeze()).unwrap(), sm);
    }

    #[test]
    fn short_message_takes_255_octets() {
        assert!(ShortMessage::try_from(Bytes::from(vec![0; 255])).is_ok());
        let error = ShortMessage::try_from(Bytes::from(vec![0; 256])).unwrap_err();
        assert_eq!(error, ShortMessageError { found: 256 });
    }
}
