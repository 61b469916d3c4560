//! The write that a card is busy with, and those it may still prove.

use crate::card::{Active, Bearer, MissingFiles, Order, StepFailure, Unsettled, WriteId};
use crate::ota::apdu::StatusWord;

use super::{bearer, target};
use crate::store::records::RecordError;
use crate::store::records::reader::{Numbered, Reader};
use crate::store::records::subscription::SubscriptionBody;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ActiveBody {
    #[prost(message, optional, tag = "1")]
    order: Option<OrderBody>,
    #[prost(uint32, tag = "2")]
    tid: u32,
    #[prost(uint32, tag = "3")]
    state: u32,
    #[prost(uint64, tag = "4")]
    since: u64,
    #[prost(uint64, tag = "5")]
    not_before: u64,
    #[prost(uint64, optional, tag = "6")]
    cntr: Option<u64>,
    #[prost(bool, tag = "7")]
    handed_out: bool,
    #[prost(bool, tag = "8")]
    accepted: bool,
    #[prost(uint32, tag = "9")]
    resent: u32,
    #[prost(uint32, tag = "10")]
    polls: u32,
    #[prost(bool, tag = "11")]
    cancel: bool,
    #[prost(uint32, optional, tag = "12")]
    hold: Option<u32>,
    /// By short message where it is not on site.
    #[prost(bool, tag = "13")]
    relay: bool,
    #[prost(bool, tag = "14")]
    refused_in_clear: bool,
    #[prost(uint32, tag = "15")]
    step: u32,
    #[prost(message, optional, tag = "16")]
    failure: Option<FailureBody>,
    /// One bit for each step of the profile.
    #[prost(uint32, tag = "17")]
    missing: u32,
}

impl ActiveBody {
    pub(super) fn of(active: &Active) -> Self {
        let Active {
            order,
            tid,
            bearer,
            state,
            since,
            not_before,
            cntr,
            handed_out,
            accepted,
            resent,
            polls,
            cancel,
            hold,
            refused_in_clear,
            step,
            failure,
            missing,
        } = active;
        Self {
            order: Some(OrderBody::of(order)),
            tid: *tid,
            state: state.number(),
            since: *since,
            not_before: *not_before,
            cntr: cntr.map(|cntr| cntr.get()),
            handed_out: *handed_out,
            accepted: *accepted,
            resent: *resent,
            polls: u32::from(*polls),
            cancel: *cancel,
            hold: hold.map(Numbered::number),
            relay: *bearer == Bearer::Relay,
            refused_in_clear: *refused_in_clear,
            step: u32::from(*step),
            failure: failure.map(FailureBody::of),
            missing: missing.0,
        }
    }

    pub(super) fn read(self, read: Reader) -> Result<Active, RecordError> {
        Ok(Active {
            order: read.present("active.order", self.order)?.read(read)?,
            tid: self.tid,
            bearer: bearer(self.relay),
            state: read.numbered("active.state", self.state)?,
            since: self.since,
            not_before: self.not_before,
            cntr: self.cntr.map(|cntr| read.cntr("active.cntr", cntr)).transpose()?,
            handed_out: self.handed_out,
            accepted: self.accepted,
            resent: self.resent,
            polls: read.octet("active.polls", self.polls)?,
            cancel: self.cancel,
            hold: self.hold.map(|hold| read.numbered("active.hold", hold)).transpose()?,
            refused_in_clear: self.refused_in_clear,
            step: read.octet("active.step", self.step)?,
            failure: self.failure.map(|failure| failure.read(read)).transpose()?,
            missing: MissingFiles(self.missing),
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct FailureBody {
    #[prost(uint32, tag = "1")]
    command: u32,
    /// SW1 SW2.
    #[prost(uint32, optional, tag = "2")]
    status: Option<u32>,
}

impl FailureBody {
    fn of(StepFailure { command, status }: StepFailure) -> Self {
        Self { command: u32::from(command), status: status.map(|status| u32::from(status.0)) }
    }

    fn read(self, read: Reader) -> Result<StepFailure, RecordError> {
        let status = |status| {
            u16::try_from(status)
                .map_err(|_| read.error("active.failure.status", "a status word of 2 octets"))
        };
        Ok(StepFailure {
            command: read.octet("active.failure.command", self.command)?,
            status: self.status.map(status).transpose()?.map(StatusWord),
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct OrderBody {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    imei: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    target: Option<SubscriptionBody>,
    #[prost(uint64, tag = "4")]
    deadline: u64,
    #[prost(uint32, tag = "5")]
    seq: u32,
    #[prost(uint32, optional, tag = "6")]
    bearer: Option<u32>,
}

impl OrderBody {
    fn of(order: &Order) -> Self {
        let Order { id, imei, target, deadline, seq, bearer } = order;
        Self {
            id: id.octets().to_vec(),
            imei: imei.to_mobile_identity().to_vec(),
            target: Some(SubscriptionBody::of(target)),
            deadline: *deadline,
            seq: *seq,
            bearer: bearer.map(Numbered::number),
        }
    }

    fn read(self, read: Reader) -> Result<Order, RecordError> {
        Ok(Order {
            id: read.write("active.order.id", &self.id)?,
            imei: read.imei("active.order.imei", &self.imei)?,
            target: target(read, "active.order.target", self.target)?,
            deadline: self.deadline,
            seq: self.seq,
            bearer: self.bearer.map(|bearer| read.numbered("active.order.bearer", bearer)).transpose()?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UnsettledBody {
    #[prost(bytes = "vec", tag = "1")]
    write: Vec<u8>,
    #[prost(uint32, tag = "2")]
    tid: u32,
    #[prost(message, optional, tag = "3")]
    target: Option<SubscriptionBody>,
    #[prost(uint32, tag = "4")]
    step: u32,
}

impl UnsettledBody {
    pub(super) fn of(unsettled: &Unsettled) -> Self {
        let Unsettled { write, tid, target, step } = unsettled;
        Self {
            write: write.octets().to_vec(),
            tid: *tid,
            target: Some(SubscriptionBody::of(target)),
            step: u32::from(*step),
        }
    }

    pub(super) fn read(self, read: Reader) -> Result<Unsettled, RecordError> {
        Ok(Unsettled {
            write: read.write("unsettled.write", &self.write)?,
            tid: self.tid,
            target: target(read, "unsettled.target", self.target)?,
            step: read.octet("unsettled.step", self.step)?,
        })
    }
}

/// The last result taken: transaction id and write.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResultBody {
    #[prost(uint32, tag = "1")]
    tid: u32,
    #[prost(bytes = "vec", tag = "2")]
    write: Vec<u8>,
}

impl ResultBody {
    pub(super) fn of((tid, write): (u32, WriteId)) -> Self {
        Self { tid, write: write.octets().to_vec() }
    }

    pub(super) fn read(self, read: Reader) -> Result<(u32, WriteId), RecordError> {
        Ok((self.tid, read.write("last_result.write", &self.write)?))
    }
}
