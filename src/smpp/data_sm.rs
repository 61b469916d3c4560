//! data_sm (SMPP 3.4 §4.7, SMPP 5.0 §4.2.2): a message of either direction with its user data in a TLV. Its response
//! is an [`SmResp`](super::SmResp).

use bytes::{BufMut, Bytes, BytesMut};

use super::address::AddressFields;
use super::reader::Reader;
use super::{
    Address, COctetString, DataCoding, DecodeError, EsmClass, Field, LongAddress, RegisteredDelivery, Sm,
    Tlvs,
};

/// The body of data_sm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataSm {
    /// The SMS application service.
    pub service_type: COctetString<5>,
    /// Who sends.
    pub source: LongAddress,
    /// Who receives.
    pub destination: LongAddress,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// How the user data are to be read.
    pub data_coding: DataCoding,
    /// Optional parameters, message_payload among them.
    pub tlvs: Tlvs,
}

impl DataSm {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            service_type: reader.c_octet_string(Field::ServiceType)?,
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            destination: Address::read(&mut reader, AddressFields::DESTINATION)?,
            esm_class: EsmClass(reader.octet(Field::EsmClass)?),
            registered_delivery: RegisteredDelivery(reader.octet(Field::RegisteredDelivery)?),
            data_coding: DataCoding(reader.octet(Field::DataCoding)?),
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.service_type.put(out);
        self.source.put(out);
        self.destination.put(out);
        out.put_slice(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// As a gateway reads it: the same message with its user data in message_payload.
impl TryFrom<DataSm> for Sm {
    /// An address that is too long for a number.
    type Error = DecodeError;

    fn try_from(data: DataSm) -> Result<Self, DecodeError> {
        let address = |address: LongAddress, field| {
            let found = address.digits.as_bytes().len();
            Address::try_from(address).map_err(|_| DecodeError::TooLong { field, max: 20, found })
        };
        Ok(Self {
            service_type: data.service_type,
            source: address(data.source, Field::SourceAddr)?,
            destination: address(data.destination, Field::DestinationAddr)?,
            esm_class: data.esm_class,
            registered_delivery: data.registered_delivery,
            data_coding: data.data_coding,
            tlvs: data.tlvs,
            ..Self::default()
        })
    }
}
