//! The device that a card is in, and what stands before a binding takes effect.

use crate::card::{Binding, Claimed, HeldBinding};
use crate::store::records::RecordError;
use crate::store::records::reader::{Reader, msisdn_octets};

use super::packet::AckBody;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BindingBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(uint64, tag = "2")]
    since: u64,
    #[prost(uint64, tag = "3")]
    mo_cntr: u64,
    #[prost(message, optional, tag = "4")]
    answered: Option<AckBody>,
}

impl BindingBody {
    pub(super) fn of(binding: &Binding) -> Self {
        let Binding { imei, since, mo_cntr, answered } = binding;
        Self {
            imei: imei.to_mobile_identity().to_vec(),
            since: *since,
            mo_cntr: *mo_cntr,
            answered: answered.map(AckBody::of),
        }
    }

    pub(super) fn read(self, read: Reader) -> Result<Binding, RecordError> {
        Ok(Binding {
            imei: read.imei("binding.imei", &self.imei)?,
            since: self.since,
            mo_cntr: self.mo_cntr,
            answered: self.answered.map(|ack| ack.read(read, "binding.answered")).transpose()?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeldBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(uint32, optional, tag = "2")]
    tid: Option<u32>,
    #[prost(uint64, tag = "3")]
    mo_cntr: u64,
    #[prost(uint64, tag = "4")]
    since: u64,
}

impl HeldBody {
    pub(super) fn of(held: &HeldBinding) -> Self {
        let HeldBinding { imei, tid, mo_cntr, since } = held;
        Self { imei: imei.to_mobile_identity().to_vec(), tid: *tid, mo_cntr: *mo_cntr, since: *since }
    }

    pub(super) fn read(self, read: Reader) -> Result<HeldBinding, RecordError> {
        Ok(HeldBinding {
            imei: read.imei("held.imei", &self.imei)?,
            tid: self.tid,
            mo_cntr: self.mo_cntr,
            since: self.since,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClaimedBody {
    #[prost(bytes = "vec", tag = "1")]
    imei: Vec<u8>,
    #[prost(uint64, tag = "2")]
    since: u64,
    #[prost(uint32, optional, tag = "3")]
    tid: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    from: Option<Vec<u8>>,
}

impl ClaimedBody {
    pub(super) fn of(claimed: &Claimed) -> Self {
        let Claimed { imei, since, tid, from } = claimed;
        Self {
            imei: imei.to_mobile_identity().to_vec(),
            since: *since,
            tid: *tid,
            from: from.as_ref().map(msisdn_octets),
        }
    }

    pub(super) fn read(self, read: Reader) -> Result<Claimed, RecordError> {
        Ok(Claimed {
            imei: read.imei("claimed.imei", &self.imei)?,
            since: self.since,
            tid: self.tid,
            from: self.from.map(|octets| read.msisdn("claimed.from", &octets)).transpose()?,
        })
    }
}
