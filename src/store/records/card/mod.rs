//! The card's record: the whole aggregate.

mod active;
mod binding;
mod packet;

use std::collections::VecDeque;

use prost::Message as _;

use crate::card::{
    Bearer, COUNTERS_MAX, Card, Counter, Hints, MoWindow, Owed, QUEUE_MAX, Subscription, Told,
    UNPROVEN_KINDS, UNSETTLED_MAX, Unsettled, WINDOW,
};

use super::RecordError;
use super::reader::Reader;
use super::subscription::SubscriptionBody;
use active::{ActiveBody, ResultBody, UnsettledBody};
use binding::{BindingBody, ClaimedBody, HeldBody};
use packet::{NoticeBody, OutstandingBody, OwedBody};

/// Most octets of a card's body, so that the stored value stays below 4 KiB. Kept where every text of the card (owner,
/// profile, message ids) has at most 65 octets, and a counter scope at most 16: `tar:` and 6 digits are the longest.
pub const CARD_OCTETS_MAX: usize = 4 * 1024 - 10;

/// Most destinations of one packet.
pub const LEGS_MAX: usize = 2;

/// Most answers owed to a card: one of each kind.
pub const OWED_MAX: usize = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct CardBody {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(bytes = "vec", optional, tag = "3")]
    eid: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    iccid: Option<Vec<u8>>,
    #[prost(string, tag = "5")]
    profile: String,
    #[prost(uint32, tag = "6")]
    kvn: u32,
    #[prost(message, optional, tag = "7")]
    preset: Option<SubscriptionBody>,
    #[prost(message, optional, tag = "8")]
    current: Option<SubscriptionBody>,
    #[prost(message, optional, tag = "9")]
    previous: Option<SubscriptionBody>,
    #[prost(message, repeated, tag = "10")]
    counters: Vec<CounterBody>,
    #[prost(message, optional, tag = "11")]
    mo: Option<MoWindowBody>,
    #[prost(message, optional, tag = "12")]
    binding: Option<BindingBody>,
    #[prost(uint32, tag = "13")]
    last_tid: u32,
    #[prost(message, optional, tag = "14")]
    active: Option<ActiveBody>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    queue: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "16")]
    outstanding: Option<OutstandingBody>,
    #[prost(message, optional, tag = "17")]
    notice: Option<NoticeBody>,
    #[prost(message, repeated, tag = "18")]
    owed: Vec<OwedBody>,
    #[prost(message, repeated, tag = "19")]
    unsettled: Vec<UnsettledBody>,
    #[prost(message, optional, tag = "20")]
    last_result: Option<ResultBody>,
    #[prost(uint64, tag = "21")]
    woken_at: u64,
    #[prost(uint64, tag = "22")]
    repeated_at: u64,
    #[prost(bool, tag = "23")]
    resync: bool,
    #[prost(uint64, tag = "24")]
    resynced_at: u64,
    #[prost(uint64, tag = "25")]
    seq: u64,
    #[prost(message, optional, tag = "26")]
    held: Option<HeldBody>,
    #[prost(message, optional, tag = "27")]
    claimed: Option<ClaimedBody>,
    #[prost(bool, tag = "28")]
    ask: bool,
    #[prost(uint64, tag = "29")]
    asked_at: u64,
    #[prost(bool, tag = "30")]
    restored: bool,
    #[prost(uint64, tag = "31")]
    replaced_at: u64,
    #[prost(message, optional, tag = "32")]
    hints: Option<HintsBody>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_card(card: &Card) -> Vec<u8> {
    // Taken apart field by field, here and below: a new one does not compile before it is stored.
    let Card {
        id,
        owner,
        eid,
        iccid,
        profile,
        kvn,
        preset,
        current,
        previous,
        replaced_at,
        counters,
        mo,
        binding,
        held,
        claimed,
        last_tid,
        active,
        queue,
        outstanding,
        notice,
        owed,
        unsettled,
        last_result,
        woken_at,
        repeated_at,
        resync,
        resynced_at,
        ask,
        asked_at,
        restored,
        hints,
        seq,
    } = card;
    let subscription = |subscription: &Option<_>| subscription.as_ref().map(SubscriptionBody::of);
    CardBody {
        id: id.octets().to_vec(),
        owner: owner.as_str().to_owned(),
        eid: eid.map(|eid| eid.octets().to_vec()),
        iccid: iccid.map(|iccid| iccid.octets().to_vec()),
        profile: profile.clone(),
        kvn: u32::from(*kvn),
        preset: subscription(preset),
        current: subscription(current),
        previous: subscription(previous),
        counters: counters.iter().map(CounterBody::of).collect(),
        mo: Some(MoWindowBody::of(mo)),
        binding: binding.as_ref().map(BindingBody::of),
        last_tid: *last_tid,
        active: active.as_ref().map(ActiveBody::of),
        queue: queue.iter().map(|write| write.octets().to_vec()).collect(),
        outstanding: outstanding.as_ref().map(OutstandingBody::of),
        notice: notice.as_ref().map(NoticeBody::of),
        owed: owed.iter().map(OwedBody::of).collect(),
        unsettled: unsettled.iter().map(UnsettledBody::of).collect(),
        last_result: last_result.map(ResultBody::of),
        woken_at: *woken_at,
        repeated_at: *repeated_at,
        resync: *resync,
        resynced_at: *resynced_at,
        seq: *seq,
        held: held.as_ref().map(HeldBody::of),
        claimed: claimed.as_ref().map(ClaimedBody::of),
        ask: *ask,
        asked_at: *asked_at,
        restored: *restored,
        replaced_at: *replaced_at,
        hints: (*hints != Hints::default()).then(|| HintsBody::of(hints)),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_card(octets: &[u8]) -> Result<Card, RecordError> {
    let (body, read) = Reader::open::<CardBody>("card", octets)?;
    read.at_most("counters", &body.counters, COUNTERS_MAX)?;
    read.at_most("owed", &body.owed, OWED_MAX)?;
    read.at_most("unsettled", &body.unsettled, UNSETTLED_MAX)?;
    let subscription = |field, subscription: Option<SubscriptionBody>| {
        subscription.map(|body| body.read(read, field)).transpose()
    };
    let owed = body.owed.into_iter().map(|owed| owed.read(read)).collect::<Result<Vec<Owed>, _>>()?;
    let unsettled = body.unsettled.into_iter().map(|unsettled| unsettled.read(read));
    Ok(Card {
        id: read.card("id", &body.id)?,
        owner: read.owner("owner", &body.owner)?,
        eid: body.eid.map(|octets| read.eid("eid", &octets)).transpose()?,
        iccid: body.iccid.map(|octets| read.iccid("iccid", &octets)).transpose()?,
        profile: body.profile,
        kvn: read.octet("kvn", body.kvn)?,
        preset: subscription("preset", body.preset)?,
        current: subscription("current", body.current)?,
        previous: subscription("previous", body.previous)?,
        replaced_at: body.replaced_at,
        counters: body.counters.into_iter().map(CounterBody::read).collect(),
        mo: body.mo.unwrap_or_default().read(read)?,
        binding: body.binding.map(|binding| binding.read(read)).transpose()?,
        held: body.held.map(|held| held.read(read)).transpose()?,
        claimed: body.claimed.map(|claimed| claimed.read(read)).transpose()?,
        last_tid: body.last_tid,
        active: body.active.map(|active| active.read(read)).transpose()?,
        queue: read.writes("queue", &body.queue, QUEUE_MAX)?,
        outstanding: body.outstanding.map(|packet| packet.read(read)).transpose()?,
        notice: body.notice.map(|notice| notice.read(read)).transpose()?,
        owed,
        unsettled: unsettled.collect::<Result<Vec<Unsettled>, _>>()?,
        last_result: body.last_result.map(|result| result.read(read)).transpose()?,
        woken_at: body.woken_at,
        repeated_at: body.repeated_at,
        resync: body.resync,
        resynced_at: body.resynced_at,
        ask: body.ask,
        asked_at: body.asked_at,
        restored: body.restored,
        hints: body.hints.unwrap_or_default().read(read)?,
        seq: body.seq,
    })
}

#[derive(Clone, PartialEq, prost::Message)]
struct CounterBody {
    #[prost(string, tag = "1")]
    scope: String,
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(uint64, tag = "3")]
    epoch: u64,
}

impl CounterBody {
    fn of(counter: &Counter) -> Self {
        let Counter { scope, last, epoch } = counter;
        Self { scope: scope.clone(), last: *last, epoch: *epoch }
    }

    fn read(self) -> Counter {
        Counter { scope: self.scope, last: self.last, epoch: self.epoch }
    }
}

/// Counters and digests as two packed lists: a message for each of the 64 would cost a quarter more.
#[derive(Clone, PartialEq, prost::Message)]
struct MoWindowBody {
    #[prost(uint64, tag = "1")]
    highest: u64,
    #[prost(uint64, repeated, tag = "2")]
    cntrs: Vec<u64>,
    #[prost(fixed64, repeated, tag = "3")]
    digests: Vec<u64>,
}

impl MoWindowBody {
    fn of(window: &MoWindow) -> Self {
        let MoWindow { highest, seen } = window;
        let (cntrs, digests) = seen.iter().copied().unzip();
        Self { highest: *highest, cntrs, digests }
    }

    fn read(self, read: Reader) -> Result<MoWindow, RecordError> {
        read.at_most("mo.seen", &self.cntrs, WINDOW)?;
        if self.cntrs.len() != self.digests.len() {
            return Err(read.error("mo.seen", "a digest for every counter"));
        }
        let seen: VecDeque<(u64, u64)> = self.cntrs.into_iter().zip(self.digests).collect();
        Ok(MoWindow { highest: self.highest, seen })
    }
}

/// What was told of each kind: times and numbers in the order of the kinds, as two packed lists.
#[derive(Clone, PartialEq, prost::Message)]
struct HintsBody {
    #[prost(uint64, repeated, tag = "1")]
    at: Vec<u64>,
    #[prost(uint32, repeated, tag = "2")]
    untold: Vec<u32>,
}

impl HintsBody {
    fn of(Hints(kinds): &Hints) -> Self {
        let (at, untold) = kinds.iter().map(|Told { at, untold }| (*at, *untold)).unzip();
        Self { at, untold }
    }

    /// A release that knows fewer kinds has written fewer.
    fn read(self, read: Reader) -> Result<Hints, RecordError> {
        read.at_most("hints", &self.at, UNPROVEN_KINDS)?;
        if self.at.len() != self.untold.len() {
            return Err(read.error("hints", "a number for every time"));
        }
        let mut hints = Hints::default();
        for (told, (at, untold)) in hints.0.iter_mut().zip(self.at.into_iter().zip(self.untold)) {
            *told = Told { at, untold };
        }
        Ok(hints)
    }
}

/// A subscription that is never missing.
fn target(
    read: Reader,
    field: &'static str,
    target: Option<SubscriptionBody>,
) -> Result<Subscription, RecordError> {
    read.present(field, target)?.read(read, field)
}

/// The bearer; records from before there was another one say nothing.
fn bearer(relay: bool) -> Bearer {
    if relay { Bearer::Relay } else { Bearer::Sms }
}
