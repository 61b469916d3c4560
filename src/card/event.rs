//! What can happen to a card.

use crate::applet::{BindingRequest, PollAnswer, WriteResult};
use crate::identity::{Eid, Imei, Msisdn};
use crate::ota::{Cntr, Rsc};

use super::{CardId, DeliveryHours, End, Order, Profile, ScriptOctets, Subscription, Timers, WriteId};

/// What the rules of a card depend on besides the card.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The card's profile.
    pub profile: &'a Profile,
    /// The waits.
    pub timers: &'a Timers,
    /// The store's epoch: it grows when the store is restored from an older copy.
    pub epoch: u64,
    /// When the card may be written over the air; at any time where absent.
    pub hours: Option<DeliveryHours>,
    /// How long the number that the card had before is still its own, ms.
    pub numbers_kept_ms: u64,
}

impl Terms<'_> {
    /// When it is no longer asked what became of an order of this deadline, unix ms. By then nothing of it is kept by the
    /// SMSC: after the write of a card that gives no answer, another one may follow.
    #[must_use]
    pub fn give_up(&self, deadline: u64) -> u64 {
        deadline + self.timers.give_up_s.max(self.timers.after_validity_s) * 1000
    }
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
    /// Somebody who cannot prove it says that the card is in a device.
    Claim {
        /// The device.
        imei: Imei,
        /// The number it came from.
        from: Option<Msisdn>,
        /// How it was said.
        source: ClaimSource,
    },
    /// Somebody who cannot prove it says what became of a write.
    PlainResult {
        /// What was said.
        result: WriteResult,
        /// The number it came from.
        from: Option<Msisdn>,
    },
    /// The business platform says which device the card is in; it is trusted for what is its own.
    Supplied {
        /// The device.
        imei: Imei,
        /// What is stored of it.
        device: DeviceView,
    },
    /// An operator decides about the binding that is held.
    DecideBinding {
        /// Whether it takes effect.
        accept: bool,
        /// What is stored of the device of [`HeldBinding`](super::HeldBinding).
        device: DeviceView,
    },
    /// An operator decides about a write that is held.
    DecideWrite {
        /// The write.
        id: WriteId,
        /// Whether it counts as effective.
        accept: bool,
    },
    /// The device that the card reported has been bound to another card.
    DeviceMoved {
        /// The device.
        imei: Imei,
        /// Where it was bound to.
        to: CardId,
        /// What is stored of it now: it may be back.
        device: DeviceView,
    },
    /// Another card reported this card's device; the binding was left as it is.
    Contested {
        /// The device.
        imei: Imei,
        /// The other card.
        by: CardId,
    },
    /// The business platform reads what it is to bring to the card on site.
    Export {
        /// The write.
        id: WriteId,
    },
    /// The state of the card is asked for.
    Poll,
    /// The network says that the card can be reached again.
    Alert,
    /// A response packet that was opened at the level the stored command asked for, over a link or on site.
    Response {
        /// CNTR of the command it answers.
        cntr: Cntr,
        /// Response status code.
        rsc: Rsc,
        /// What it carries.
        data: ResponseData,
        /// The number it came from; none on site.
        from: Option<Msisdn>,
        /// What is stored of the device that the answer to a poll names, or that was claimed where EF.ICCID was read.
        device: Option<DeviceView>,
    },
    /// Something that looks like an answer and proves nothing.
    Hint {
        /// What was seen.
        what: String,
        /// The CNTR in it; 0 where the card could not read that of the command.
        cntr: Option<Cntr>,
        /// The response status code in it.
        rsc: Option<Rsc>,
        /// The number it came from; none on site.
        from: Option<Msisdn>,
    },
    /// A packet that was to be sealed can never be made.
    Unmade {
        /// Its CNTR.
        cntr: Cntr,
        /// Why.
        why: String,
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
        /// The failure cause that the card's own answer gave (TP-FCS, TS 23.040 §9.2.3.22), where the receipt says it.
        fcs: Option<u8>,
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

/// How a claim was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimSource {
    /// A binding request without security.
    PlainDer {
        /// The card's own sequence: the answer names it.
        tid: u32,
        /// The card it says it is.
        eid: Eid,
    },
    /// The IMEI alone; no answer is expected.
    RawImei,
}

/// What is stored of a device, at the moment an event names it.
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
    /// The response to a remote script: the card's rules know which.
    Script(ScriptOctets),
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
