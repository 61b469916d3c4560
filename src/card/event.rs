//! What can happen to a card, and what follows from it.

use crate::applet::{BindingRequest, Message, PollAnswer, WriteResult};
use crate::identity::{Imei, Msisdn};
use crate::ota::{Cntr, Rsc, Spi1, Spi2, Tar};

use super::{Active, Card, CardId, End, Order, Profile, Subscription, Timers, WriteId, WriteState};

/// What the rules of a card depend on besides the card.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The card's profile.
    pub profile: &'a Profile,
    /// The waits.
    pub timers: &'a Timers,
    /// The store's epoch: it grows when the store is restored from an older copy.
    pub epoch: u64,
}

/// Something that happens to a card.
#[derive(Debug, Clone)]
pub enum Event {
    /// A write was ordered for it.
    Ordered(Order),
    /// An authenticated message came from it.
    Message {
        /// Its MO counter.
        cntr: u64,
        /// A digest of the packet's octets.
        digest: u64,
        /// The number it came from.
        from: Option<Msisdn>,
        /// What it says.
        message: FromCard,
    },
    /// The device that the card reported has been bound to another card.
    DeviceMoved {
        /// The device.
        imei: Imei,
        /// Where it is now.
        to: CardId,
    },
    /// A response packet that was opened at the level the stored command asked for.
    Response {
        /// CNTR of the command it answers.
        cntr: Cntr,
        /// Response status code.
        rsc: Rsc,
        /// The applet's answer, where the data could be read as one.
        data: ResponseData,
    },
    /// Something that looks like an answer and proves nothing.
    Hint {
        /// What was seen.
        what: String,
    },
    /// A link has room: packets in the lane are about to be handed over.
    HandOut {
        /// The number whose lane was pulled.
        to: Msisdn,
    },
    /// The SMSC answered a submission, or did not.
    Submitted {
        /// CNTR of the packet.
        cntr: Cntr,
        /// Where it went.
        to: Msisdn,
        /// The answer.
        outcome: Submitted,
    },
    /// A delivery receipt.
    Receipt {
        /// The message id it names, as the SMSC spells it.
        message_id: String,
        /// The number it is about.
        to: Msisdn,
        /// Whether the message was delivered; otherwise it is lost.
        delivered: bool,
    },
    /// Time has passed.
    Tick,
    /// The order is withdrawn by its owner, or because its deadline passed while it was queued.
    Withdraw {
        /// The write.
        id: WriteId,
        /// Sequence of its last event, as its record says.
        seq: u32,
        /// Its target, which is free afterwards.
        target: Subscription,
        /// [`End::Cancelled`] or [`End::Expired`].
        end: End,
    },
}

/// What a card says on its own.
#[derive(Debug, Clone)]
pub enum FromCard {
    /// The device it woke up in.
    Binding {
        /// The request.
        request: BindingRequest,
        /// What is stored of that device.
        device: DeviceView,
    },
    /// What became of a write.
    Result(WriteResult),
}

/// What is stored of a device, at the moment a card reports it.
#[derive(Debug, Clone, Default)]
pub struct DeviceView {
    /// The card bound to it.
    pub card: Option<CardId>,
    /// Writes that wait for it, oldest first; those of other owners left out.
    pub waiting: Vec<Order>,
}

/// The data of a response packet.
#[derive(Debug, Clone)]
pub enum ResponseData {
    /// The answer to a write-card message.
    Result(WriteResult),
    /// The answer to a poll.
    State(PollAnswer),
    /// Nothing, or nothing that can be read.
    None,
}

/// How a submission ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Every part was accepted.
    Accepted {
        /// Message id of the last part; may be empty.
        message_id: String,
    },
    /// Slow down: the same octets later.
    Throttled,
    /// Refused for good.
    Refused {
        /// The SMSC's status, by name.
        status: String,
    },
    /// No answer, or the connection was lost.
    Unanswered,
}

/// What follows from an event: all of it is committed together, then the rest is done.
#[derive(Debug, Clone)]
pub struct Step {
    /// The card afterwards.
    pub card: Card,
    /// Whether anything about the card changed.
    pub changed: bool,
    /// Packets to seal; their counters are already in the card.
    pub seal: Vec<Seal>,
    /// Writes that changed.
    pub writes: Vec<WriteChange>,
    /// What is to be told.
    pub facts: Vec<Fact>,
    /// The binding took effect: the device is this card's now, and its waiting writes are in the card's queue.
    pub bound: Option<Bound>,
    /// Target numbers that are free again.
    pub freed: Vec<Subscription>,
    /// Packets to hand to a link once the commit is durable, lowest CNTR first.
    pub submissions: Vec<Submission>,
    /// Why the event was refused, where the caller must be told.
    pub refused: Option<Refused>,
}

/// A binding that took effect.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The device.
    pub imei: Imei,
    /// The card it was bound to before.
    pub moved_from: Option<CardId>,
    /// The device that this card was bound to before.
    pub left: Option<Imei>,
    /// The waiting writes that this card has taken over.
    pub taken: Vec<WriteId>,
}

/// Why an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many writes wait for the card as may.
    QueueFull,
    /// The card has already written: it cannot be cancelled.
    AlreadyWritten,
    /// The card has no such open write.
    NoSuchWrite,
}

/// A packet to seal.
#[derive(Debug, Clone)]
pub struct Seal {
    /// Its CNTR.
    pub cntr: Cntr,
    /// Key set.
    pub kvn: u8,
    /// Security of the command.
    pub spi1: Spi1,
    /// What answer it asks.
    pub spi2: Spi2,
    /// The applet.
    pub tar: Tar,
    /// The clear message.
    pub message: Message,
}

/// A sealed packet to hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// CNTR of the packet.
    pub cntr: Cntr,
    /// The number.
    pub to: Msisdn,
    /// Validity to ask for, seconds.
    pub validity_s: u64,
    /// Whether to ask for a delivery receipt.
    pub receipt: bool,
}

/// A write that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteChange {
    /// The write.
    pub id: WriteId,
    /// Its state.
    pub state: WriteState,
    /// Its event sequence.
    pub seq: u32,
    /// Why it ended or is held.
    pub reason: Option<String>,
    /// What else is shown of it, while it is the active one.
    pub active: Option<Active>,
}

/// Something to be told: an entry of the card's timeline and an event for the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its type (`binding.created`, `write.effective`, …).
    pub kind: String,
    /// Sequence in the card's timeline.
    pub seq: u64,
    /// The write and the event's sequence in it, where it is about one.
    pub write: Option<(WriteId, u32)>,
    /// More about it, in a line.
    pub detail: String,
}
