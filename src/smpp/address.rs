//! Addresses (SMPP 3.4 §5.2.5 to §5.2.9, SMPP 5.0 §4.7.1, §4.7.2).

use bytes::{BufMut, BytesMut};

use super::reader::Reader;
use super::{COctetString, COctetStringError, DecodeError, Field};

/// Types of number.
pub mod ton {
    /// Unknown; many SMSCs write international numbers so.
    pub const UNKNOWN: u8 = 0;
    /// International: with country code.
    pub const INTERNATIONAL: u8 = 1;
    /// National: without.
    pub const NATIONAL: u8 = 2;
}

/// An address as SMPP writes it, of at most `N` octets (20 in most PDUs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address<const N: usize = 20> {
    /// Type of number ([`ton`]): 0 unknown, 1 international, 2 national, 3 network specific, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 1 ISDN (E.164).
    pub npi: u8,
    /// The octets as the peer wrote them; usually decimal digits.
    pub digits: COctetString<N>,
}

/// An address of data_sm and alert_notification, which need not be a number: at most 64 octets.
pub type LongAddress = Address<64>;

impl Address {
    /// An international E.164 number: `digits` without `+`.
    ///
    /// # Errors
    /// More than 20 octets, or a NUL.
    pub fn international(digits: &str) -> Result<Self, COctetStringError> {
        Ok(Self { ton: ton::INTERNATIONAL, npi: 1, digits: digits.parse()? })
    }
}

impl TryFrom<LongAddress> for Address {
    type Error = COctetStringError;

    fn try_from(LongAddress { ton, npi, digits }: LongAddress) -> Result<Self, COctetStringError> {
        Ok(Self { ton, npi, digits: COctetString::new(digits.as_bytes())? })
    }
}

impl From<Address> for LongAddress {
    fn from(Address { ton, npi, digits }: Address) -> Self {
        Self { ton, npi, digits: digits.widen() }
    }
}

/// The names an address has in a PDU.
#[derive(Clone, Copy)]
pub(super) struct AddressFields {
    pub(super) ton: Field,
    pub(super) npi: Field,
    pub(super) digits: Field,
}

impl AddressFields {
    pub(super) const SOURCE: Self =
        Self { ton: Field::SourceAddrTon, npi: Field::SourceAddrNpi, digits: Field::SourceAddr };
    pub(super) const DESTINATION: Self =
        Self { ton: Field::DestAddrTon, npi: Field::DestAddrNpi, digits: Field::DestinationAddr };
    pub(super) const ESME: Self =
        Self { ton: Field::EsmeAddrTon, npi: Field::EsmeAddrNpi, digits: Field::EsmeAddr };
}

impl<const N: usize> Address<N> {
    pub(super) fn read(reader: &mut Reader<'_>, fields: AddressFields) -> Result<Self, DecodeError> {
        let [ton, npi] = reader.octets([fields.ton, fields.npi])?;
        Ok(Self { ton, npi, digits: reader.c_octet_string(fields.digits)? })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_slice(&[self.ton, self.npi]);
        self.digits.put(out);
    }
}

/// An address within the octets of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressView<'a> {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// At most 20 octets, NUL not included.
    pub digits: &'a [u8],
}

impl<'a> AddressView<'a> {
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>, fields: AddressFields) -> Result<Self, DecodeError> {
        let [ton, npi] = reader.octets([fields.ton, fields.npi])?;
        Ok(Self { ton, npi, digits: reader.text(fields.digits, 20)? })
    }

    #[inline]
    pub(super) fn to_address(self) -> Address {
        Address { ton: self.ton, npi: self.npi, digits: COctetString::of_checked(self.digits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fits_becomes_short() {
        let number = Address::international("491700000001").unwrap();
        assert_eq!(<Address>::try_from(LongAddress::from(number)), Ok(number));
        let long = LongAddress { digits: "a@example.com, not a number".parse().unwrap(), ..number.into() };
        let error = <Address>::try_from(long).unwrap_err();
        assert_eq!(error, COctetStringError::TooLong { max: 20, found: 27 });
    }
}
