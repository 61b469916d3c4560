//! alert_notification (§4.12): a recipient that was out of reach can be reached again. It has no response.

use bytes::{BufMut, BytesMut};

use super::bind::put_c_octet_string;
use super::reader::Reader;
use super::{Address, DecodeError, Field, Tlvs, tag};

/// alert_notification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertNotification {
    /// Who can be reached again. The specification allows longer addresses than [`Address`] holds; no number is one.
    pub source: Address,
    /// Who had asked to be told.
    pub esme: Address,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl AlertNotification {
    /// Whether the recipient can be reached: ms_availability_status (§5.3.2.30) says so, or is not there.
    #[must_use]
    pub fn is_available(&self) -> bool {
        matches!(self.tlvs.find(tag::MS_AVAILABILITY_STATUS), None | Some([0]))
    }

    pub(super) fn decode(mut reader: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            source: Address {
                ton: reader.octet(Field::SourceAddrTon)?,
                npi: reader.octet(Field::SourceAddrNpi)?,
                digits: reader.c_octet_string(Field::SourceAddr)?,
            },
            esme: Address {
                ton: reader.octet(Field::EsmeAddrTon)?,
                npi: reader.octet(Field::EsmeAddrNpi)?,
                digits: reader.c_octet_string(Field::EsmeAddr)?,
            },
            tlvs: Tlvs::decode(reader.into_rest())?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        for address in [&self.source, &self.esme] {
            out.put_u8(address.ton);
            out.put_u8(address.npi);
            put_c_octet_string(out, &address.digits);
        }
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
