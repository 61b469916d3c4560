//! What follows from an event.

use crate::applet::Message;
use crate::identity::{Imei, Msisdn};
use crate::ota::{Cntr, Spi1, Spi2, Tar};

use super::{Active, Card, CardId, ScriptOctets, Subscription, WriteId, WriteState};

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
    /// The device is bound to another card and stays so: that card has to hear of it
    /// ([`Event::Contested`](super::Event)).
    pub contested: Option<Contested>,
    /// Target numbers that are free again.
    pub freed: Vec<Subscription>,
    /// Packets to hand to a link once the commit is durable, lowest CNTR first.
    pub submissions: Vec<Submission>,
    /// Submissions that the SMSC is asked to forget. Whatever it answers, only a fence grants a cancellation.
    pub cancellations: Vec<Cancellation>,
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
    /// Those for which there was no room: they go on waiting.
    pub left_waiting: Vec<WriteId>,
}

/// A device that two cards report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contested {
    /// The device.
    pub imei: Imei,
    /// The card it is bound to.
    pub card: CardId,
}

/// Why an event was refused, or not done as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many writes wait for the card as may.
    QueueFull,
    /// The card has already written: it cannot be cancelled.
    AlreadyWritten,
    /// The card has no such open write.
    NoSuchWrite,
    /// Nothing of the write is to be brought to the card on site, or not now.
    NothingToExport,
    /// Nothing is held that could be decided.
    NothingHeld,
    /// The binding contradicts another one and is held for a decision.
    BindingHeld,
    /// The binding contradicts another one and is refused by the profile.
    BindingRejected,
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
    /// The application.
    pub tar: Tar,
    /// What it is to get, in clear.
    pub payload: Payload,
}

/// What a command packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A message to the card-writing applet.
    Applet(Message),
    /// A remote script (TS 102 226 §5.2).
    Script(ScriptOctets),
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

/// A submission that the SMSC is asked to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// The number it went to.
    pub to: Msisdn,
    /// The id that the SMSC gave to its last part, without which the card cannot put the packet together; not empty.
    pub message_id: String,
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
    /// Where it ended effective: whether the card proved that it sits in the device ordered.
    pub imei_verified: Option<bool>,
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
