//! Packets on their way to the card: who is asked, how often, and until when.

use std::fmt;

use crate::applet::{BindingAck, WriteStatus};
use crate::identity::Msisdn;
use crate::ota::{Cntr, Tar};

use super::Bearer;

/// The octets of a remote script or of the response to one (TS 102 226 §5.2).
#[derive(Clone, PartialEq, Eq)]
pub struct ScriptOctets(pub Vec<u8>);

impl fmt::Debug for ScriptOctets {
    /// The files of a card may hold keys: the length stands for the octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} octets]", self.0.len())
    }
}

/// What the outstanding packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Carries the active write.
    Write,
    /// Asks what became of the active write, or fences before it.
    Poll,
}

/// The one packet of a card that asks a PoR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    /// What it is for.
    pub purpose: Purpose,
    /// How it reaches the card.
    pub bearer: Bearer,
    /// Its CNTR.
    pub cntr: Cntr,
    /// Where it goes: one number, for a poll up to two; none on site.
    pub legs: Vec<Leg>,
    /// Whether octets went out more than once.
    pub repeated: bool,
    /// When the card answered it without a verdict, unix ms: a poll with "counter low" (RSC 02), on site also any packet
    /// with "the answer follows".
    pub low_at: Option<u64>,
    /// The binding that this packet acknowledges on its way.
    pub acknowledges: Option<BindingAck>,
    /// What a poll by remote file management reads.
    pub reads: Option<Reads>,
}

/// What a poll by remote file management reads, and where: an authenticated answer is a fence for the counter of its TAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reads {
    /// The application asked.
    pub tar: Tar,
    /// What is read.
    pub file: ReadFile,
}

/// A file that a poll reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFile {
    /// EF.IMSI: which subscription the card has.
    Imsi,
    /// EF.ICCID: which card it is.
    Iccid,
    /// None: only that the card answers counts.
    Nothing,
}

impl Outstanding {
    /// Whether any of its octets may have reached the SMSC, or the business platform.
    #[must_use]
    pub fn left(&self) -> bool {
        self.bearer == Bearer::Relay
            || self.repeated
            || self.legs.iter().any(|leg| !matches!(leg.state, LegState::Ready { .. }))
    }
}

/// The attempt of a leg that the card has answered without a verdict: the same octets would only be refused as seen.
pub(in crate::card) const ANSWERED: u8 = u8::MAX;

/// One destination of a packet, with its own submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The number.
    pub to: Msisdn,
    /// Attempts made before this one.
    pub attempt: u8,
    /// Where the attempt stands.
    pub state: LegState,
    /// Message id that the SMSC gave to the last part.
    pub message_id: String,
    /// A receipt that came before the SMSC's own answer: whether it says delivered.
    pub receipt: Option<bool>,
}

/// Where an attempt stands; times are unix ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegState {
    /// Waits in the lane of its route since then.
    Ready {
        /// Since when.
        since: u64,
    },
    /// With the link; not yet answered by the SMSC.
    Handed {
        /// Since when it had been ready: its place in the lane until it is answered.
        since: u64,
        /// When it was handed over.
        at: u64,
    },
    /// Taken by the SMSC.
    Taken {
        /// When.
        at: u64,
        /// When the attempt counts as silent.
        silent_at: u64,
    },
    /// Goes back to the lane then, with the same attempt.
    BackOff {
        /// When.
        until: u64,
    },
    /// Every attempt is over.
    Silent,
}

impl Leg {
    /// A leg whose first attempt is ready now.
    #[must_use]
    pub fn new(to: Msisdn, now: u64) -> Self {
        Self {
            to,
            attempt: 0,
            state: LegState::Ready { since: now },
            message_id: String::new(),
            receipt: None,
        }
    }

    /// Its place in the lane, while it has one: kept until the SMSC has answered, so that a
    /// restart finds it there and hands the same octets over again.
    #[must_use]
    pub fn in_lane(&self) -> Option<u64> {
        match self.state {
            LegState::Ready { since } | LegState::Handed { since, .. } => Some(since),
            LegState::Taken { .. } | LegState::BackOff { .. } | LegState::Silent => None,
        }
    }

    /// When the clock changes its state, unix ms.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        match self.state {
            LegState::Taken { silent_at, .. } => Some(silent_at),
            LegState::BackOff { until } => Some(until),
            LegState::Ready { .. } | LegState::Handed { .. } | LegState::Silent => None,
        }
    }
}

/// An answer to the card that asks no PoR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its CNTR.
    pub cntr: Cntr,
    /// Where it goes.
    pub leg: Leg,
    /// What it says.
    pub says: Answer,
}

/// What the platform answers a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A binding request was dealt with.
    Binding(BindingAck),
    /// A write result was taken.
    Result {
        /// The write's transaction id.
        tid: u32,
        /// The status that is acknowledged.
        status: WriteStatus,
    },
}

/// An answer that waits until nothing is outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// What to say.
    pub answer: Answer,
    /// The number that the card spoke from.
    pub to: Msisdn,
}
