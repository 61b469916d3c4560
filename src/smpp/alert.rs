//! alert_notification (SMPP 3.4 §4.12, SMPP 5.0 §4.1.3): a recipient that was out of reach can be reached
//! again. It has no response.

use bytes::{BufMut, Bytes, BytesMut};

use super::address::{AddressFields, LongAddress};
use super::reader::Reader;
use super::{Address, DecodeError, MsAvailabilityStatus, Tlvs, tag};

/// alert_notification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertNotification {
    /// Who can be reached again.
    pub source: LongAddress,
    /// Who had asked to be told.
    pub esme: LongAddress,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl AlertNotification {
    /// Whether the recipient can be reached: ms_availability_status (§5.3.2.30) says so, or is not there.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.tlvs.find(tag::MS_AVAILABILITY_STATUS).is_none()
            || self.tlvs.ms_availability_status() == Some(MsAvailabilityStatus::AVAILABLE)
    }

    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            source: Address::read(&mut reader, AddressFields::SOURCE)?,
            esme: Address::read(&mut reader, AddressFields::ESME)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.source.put(out);
        self.esme.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_otherwise_is_out_of_reach() {
        let with = |status: &[u8]| AlertNotification {
            tlvs: Tlvs::default().with(tag::MS_AVAILABILITY_STATUS, status).unwrap(),
            ..AlertNotification::default()
        };
        assert!(AlertNotification::default().is_available());
        assert!(with(&[0]).is_available());
        for status in [&[1][..], &[2], &[], &[0, 0]] {
            assert!(!with(status).is_available(), "{status:?}");
        }
    }
}
