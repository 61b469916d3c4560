//! The numbers of a subscription, as cards and writes store them.

use crate::card::Subscription;

use super::RecordError;
use super::reader::{Reader, msisdn_octets};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SubscriptionBody {
    #[prost(bytes = "vec", tag = "1")]
    imsi: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    msisdn: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "3")]
    iccid: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    smsc: Option<Vec<u8>>,
}

impl SubscriptionBody {
    pub(super) fn of(subscription: &Subscription) -> Self {
        let Subscription { imsi, msisdn, iccid, smsc } = subscription;
        Self {
            imsi: imsi.to_ef().to_vec(),
            msisdn: msisdn_octets(msisdn),
            iccid: iccid.map(|iccid| iccid.octets().to_vec()),
            smsc: smsc.as_ref().map(msisdn_octets),
        }
    }

    /// The subscription; `field` is its place in the record.
    pub(super) fn read(self, read: Reader, field: &'static str) -> Result<Subscription, RecordError> {
        Ok(Subscription {
            imsi: read.imsi(field, &self.imsi)?,
            msisdn: read.msisdn(field, &self.msisdn)?,
            iccid: self.iccid.map(|octets| read.iccid(field, &octets)).transpose()?,
            smsc: self.smsc.map(|octets| read.msisdn(field, &octets)).transpose()?,
        })
    }
}
