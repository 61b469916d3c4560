//! The life of a write: its order, its states and its ends.

use crate::identity::Imei;
use crate::ota::Cntr;
use crate::ota::apdu::StatusWord;

use super::{MissingFiles, Subscription, WriteId};

/// Why a write [expired](End::Expired).
pub const DEADLINE_PASSED: &str = "deadline_passed";

/// Where a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteState {
    /// Accepted; no card is known for its device yet.
    Waiting,
    /// The card is known; waits for its turn.
    Queued,
    /// CNTR and parts are durable; nothing has been handed out.
    Sealed,
    /// Handed to a link.
    Sent,
    /// Handed to the business platform, which brings it to the card on site: stands for [`Self::Sent`].
    OnSite,
    /// No answer that decides; a poll asks the card.
    Unknown,
    /// The card has written; not yet proved in effect.
    Written,
    /// Over, in one of six ways.
    Ended(End),
}

/// How a write ends; exactly one for each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The card has proved that it is in effect.
    Effective,
    /// The card or the SMSC refused it.
    Failed,
    /// The card had no service under the new subscription and went back.
    RolledBack,
    /// Withdrawn before the card took it.
    Cancelled,
    /// Its deadline passed before the card took it.
    Expired,
    /// Nobody knows, and asking was given up.
    Unresolved,
}

impl WriteState {
    /// Every state with its name at the edges.
    pub const NAMES: [(Self, &'static str); 13] = [
        (Self::Waiting, "waiting"),
        (Self::Queued, "queued"),
        (Self::Sealed, "sealed"),
        (Self::Sent, "sent"),
        (Self::OnSite, "on_site"),
        (Self::Unknown, "unknown"),
        (Self::Written, "written"),
        (Self::Ended(End::Effective), "effective"),
        (Self::Ended(End::Failed), "failed"),
        (Self::Ended(End::RolledBack), "rolled_back"),
        (Self::Ended(End::Cancelled), "cancelled"),
        (Self::Ended(End::Expired), "expired"),
        (Self::Ended(End::Unresolved), "unresolved"),
    ];

    /// The state's name at the edges.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Whether the write is over.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// How packets of a write reach the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Over a link, as short messages.
    Sms,
    /// Through the business platform, on site.
    Relay,
}

impl Bearer {
    /// The bearer's name at the edges.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Relay => "relay",
        }
    }

    /// The bearer of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sms, Self::Relay].into_iter().find(|bearer| bearer.name() == name)
    }
}

/// What was ordered for a card, as the card's aggregate needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The write.
    pub id: WriteId,
    /// The device that was ordered.
    pub imei: Imei,
    /// The target.
    pub target: Subscription,
    /// Unix ms; nothing is begun after it.
    pub deadline: u64,
    /// Sequence of the write's last event.
    pub seq: u32,
    /// The bearer ordered; where none is, the card's current subscription decides when the write begins.
    pub bearer: Option<Bearer>,
}

/// Why a `written` write waits for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The result came from another device than the ordered one.
    WrongDevice,
}

impl Hold {
    /// The reason's name at the edges.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongDevice => "wrong_device",
        }
    }
}

/// The one write that a card is busy with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// What was ordered; `order.seq` goes on counting here.
    pub order: Order,
    /// Transaction id: kept across re-seals, never used for another write of the card.
    pub tid: u32,
    /// How it reaches the card; it never changes.
    pub bearer: Bearer,
    /// Where it stands.
    pub state: WriteState,
    /// Since when, unix ms.
    pub since: u64,
    /// While it is queued: not sealed before. While it is written, or unknown on site: not polled before. Unix ms.
    pub not_before: u64,
    /// The last CNTR under which it was sealed.
    pub cntr: Option<Cntr>,
    /// Whether octets of it were handed out and no fence has ruled them out since: the card may still execute them.
    pub handed_out: bool,
    /// Whether the SMSC may have accepted any of those octets.
    pub accepted: bool,
    /// How often the same octets went out again.
    pub resent: u32,
    /// Polls that found it not applied, one after the other.
    pub polls: u8,
    /// Whether its cancellation was asked for after octets had gone out.
    pub cancel: bool,
    /// Whether a decision is waited for.
    pub hold: Option<Hold>,
    /// Whether the last that was heard of it is an error that anybody could have sent.
    pub refused_in_clear: bool,
    /// By remote file management: the first script of its plan that the card has not answered, from 0.
    pub step: u8,
    /// By remote file management: where that script stopped; EF.IMSI is read before the write ends.
    pub failure: Option<StepFailure>,
    /// Files that the card turned out not to have.
    pub missing: MissingFiles,
}

/// Where a script of a write stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFailure {
    /// The command, from 0.
    pub command: u8,
    /// What the card answered to it; `None` where its response to the script cannot be read.
    pub status: Option<StatusWord>,
}

/// A write that ended `unresolved`: the card may still prove or disprove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The write.
    pub write: WriteId,
    /// Its transaction id.
    pub tid: u32,
    /// Its target; the numbers stay claimed.
    pub target: Subscription,
    /// The script of its plan that was not answered, as in [`Active::step`].
    pub step: u8,
}
