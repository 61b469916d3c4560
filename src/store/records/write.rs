//! The record of a write: the order, where it stands, and what is shown of it.

use prost::Message as _;

use crate::card::{Bearer, CardId, Hold, Order, Owner, Subscription, WriteId, WriteState};
use crate::identity::Imei;

use super::RecordError;
use super::reader::{Numbered, Reader};
use super::subscription::SubscriptionBody;

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its id.
    pub id: WriteId,
    /// Who ordered it.
    pub owner: Owner,
    /// The device that was ordered.
    pub imei: Imei,
    /// What the card is to become.
    pub target: Subscription,
    /// The client's own id for it.
    pub client_order_id: Option<String>,
    /// When it was ordered, unix ms.
    pub created: u64,
    /// When this record last changed, unix ms.
    pub updated: u64,
    /// Nothing is begun after it, unix ms.
    pub deadline: u64,
    /// Where it stands.
    pub state: WriteState,
    /// Why it ended or is held.
    pub reason: Option<String>,
    /// What decision it waits for.
    pub hold: Option<Hold>,
    /// The card, once known: while the write waits, the one that the order names.
    pub card: Option<CardId>,
    /// Its transaction id on the card, once begun.
    pub tid: Option<u32>,
    /// The last CNTR under which it was sealed.
    pub cntr: Option<u64>,
    /// How often the same octets went out again.
    pub resent: u32,
    /// Whether its cancellation was asked for.
    pub cancel: bool,
    /// Sequence of its last event.
    pub seq: u32,
    /// When the card took it, unix ms.
    pub written_at: Option<u64>,
    /// When it ended, unix ms.
    pub ended_at: Option<u64>,
    /// The bearer that was ordered. In records without [`decided`](Self::decided) of writes that have begun it is the one
    /// that was decided.
    pub bearer: Option<Bearer>,
    /// How it reaches the card, once it has begun.
    pub decided: Option<Bearer>,
    /// The write that this one tries again.
    pub retry_of: Option<WriteId>,
    /// Where it ended effective: whether the card proved that it sits in the device ordered.
    pub imei_verified: Option<bool>,
    /// The profile that the card must have, where the order names one.
    pub profile: Option<String>,
    /// By remote file management, once the card is known: what it takes, and how far it has come.
    pub plan: Option<WritePlan>,
}

/// What a write by remote file management takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritePlan {
    /// Scripts, each a packet of its own.
    pub scripts: u32,
    /// Short messages to the card, where none goes out twice.
    pub parts: u32,
    /// Short messages to the card and from it.
    pub messages: u32,
    /// Scripts that the card has executed.
    pub step: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PlanBody {
    #[prost(uint32, tag = "1")]
    scripts: u32,
    #[prost(uint32, tag = "2")]
    parts: u32,
    #[prost(uint32, tag = "3")]
    messages: u32,
    #[prost(uint32, tag = "4")]
    step: u32,
}

impl Write {
    /// How it reaches the card: as decided, and before it has begun as ordered.
    #[must_use]
    pub fn reaches_by(&self) -> Option<Bearer> {
        self.decided.or(self.bearer)
    }

    /// The order, as the card's aggregate needs it.
    #[must_use]
    pub fn order(&self) -> Order {
        Order {
            id: self.id,
            imei: self.imei,
            target: self.target.clone(),
            deadline: self.deadline,
            seq: self.seq,
            bearer: self.bearer,
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct WriteBody {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(bytes = "vec", tag = "3")]
    imei: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    target: Option<SubscriptionBody>,
    #[prost(string, optional, tag = "5")]
    client_order_id: Option<String>,
    #[prost(uint64, tag = "6")]
    created: u64,
    #[prost(uint64, tag = "7")]
    updated: u64,
    #[prost(uint64, tag = "8")]
    deadline: u64,
    #[prost(uint32, tag = "9")]
    state: u32,
    #[prost(string, optional, tag = "10")]
    reason: Option<String>,
    #[prost(uint32, optional, tag = "11")]
    hold: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "12")]
    card: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "13")]
    tid: Option<u32>,
    #[prost(uint64, optional, tag = "14")]
    cntr: Option<u64>,
    #[prost(uint32, tag = "15")]
    resent: u32,
    #[prost(bool, tag = "16")]
    cancel: bool,
    #[prost(uint32, tag = "17")]
    seq: u32,
    #[prost(uint64, optional, tag = "18")]
    written_at: Option<u64>,
    #[prost(uint64, optional, tag = "19")]
    ended_at: Option<u64>,
    #[prost(uint32, optional, tag = "20")]
    bearer: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "21")]
    retry_of: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "22")]
    imei_verified: Option<bool>,
    #[prost(string, optional, tag = "23")]
    profile: Option<String>,
    #[prost(uint32, optional, tag = "24")]
    decided: Option<u32>,
    #[prost(message, optional, tag = "25")]
    plan: Option<PlanBody>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_write(write: &Write) -> Vec<u8> {
    WriteBody {
        id: write.id.octets().to_vec(),
        owner: write.owner.as_str().to_owned(),
        imei: write.imei.to_mobile_identity().to_vec(),
        target: Some(SubscriptionBody::of(&write.target)),
        client_order_id: write.client_order_id.clone(),
        created: write.created,
        updated: write.updated,
        deadline: write.deadline,
        state: write.state.number(),
        reason: write.reason.clone(),
        hold: write.hold.map(Numbered::number),
        card: write.card.map(|card| card.octets().to_vec()),
        tid: write.tid,
        cntr: write.cntr,
        resent: write.resent,
        cancel: write.cancel,
        seq: write.seq,
        written_at: write.written_at,
        ended_at: write.ended_at,
        bearer: write.bearer.map(Numbered::number),
        retry_of: write.retry_of.map(|id| id.octets().to_vec()),
        imei_verified: write.imei_verified,
        profile: write.profile.clone(),
        decided: write.decided.map(Numbered::number),
        plan: write.plan.map(|WritePlan { scripts, parts, messages, step }| PlanBody {
            scripts,
            parts,
            messages,
            step,
        }),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_write(octets: &[u8]) -> Result<Write, RecordError> {
    let (body, read) = Reader::open::<WriteBody>("write", octets)?;
    Ok(Write {
        id: read.write("id", &body.id)?,
        owner: read.owner("owner", &body.owner)?,
        imei: read.imei("imei", &body.imei)?,
        target: read.present("target", body.target)?.read(read, "target")?,
        client_order_id: body.client_order_id,
        created: body.created,
        updated: body.updated,
        deadline: body.deadline,
        state: read.numbered("state", body.state)?,
        reason: body.reason,
        hold: body.hold.map(|hold| read.numbered("hold", hold)).transpose()?,
        card: body.card.map(|octets| read.card("card", &octets)).transpose()?,
        tid: body.tid,
        cntr: body.cntr,
        resent: body.resent,
        cancel: body.cancel,
        seq: body.seq,
        written_at: body.written_at,
        ended_at: body.ended_at,
        bearer: body.bearer.map(|bearer| read.numbered("bearer", bearer)).transpose()?,
        retry_of: body.retry_of.map(|octets| read.write("retry_of", &octets)).transpose()?,
        imei_verified: body.imei_verified,
        profile: body.profile,
        decided: body.decided.map(|bearer| read.numbered("decided", bearer)).transpose()?,
        plan: body.plan.map(|PlanBody { scripts, parts, messages, step }| WritePlan {
            scripts,
            parts,
            messages,
            step,
        }),
    })
}
