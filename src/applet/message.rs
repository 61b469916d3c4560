//! What platform and card say to each other, in the terms of the platform.

use std::fmt;

use zeroize::Zeroizing;

use super::AppletError;
use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};

/// The most octets a key block may have.
pub const KEY_BLOCK_OCTETS_MAX: usize = 256;

/// One message, of the seven kinds. Its application tag on the wire is the number of the variant, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// MO: the card reports its device.
    BindingRequest(BindingRequest),
    /// MT: the answer to a binding request.
    BindingResponse(BindingResponse),
    /// MT: write this subscription.
    WriteCard(WriteCard),
    /// In the PoR's data or MO: how far a write came.
    WriteResult(WriteResult),
    /// MT: the result is stored.
    ResultAck(ResultAck),
    /// MT: say what you are.
    Poll(Poll),
    /// In the PoR's data: what the card is.
    PollAnswer(PollAnswer),
}

impl Message {
    /// The transaction id; whose it is says each kind.
    #[must_use]
    pub const fn tid(&self) -> u32 {
        match self {
            Self::BindingRequest(message) => message.tid,
            Self::BindingResponse(message) => message.tid,
            Self::WriteCard(message) => message.tid,
            Self::WriteResult(message) => message.tid,
            Self::ResultAck(message) => message.tid,
            Self::Poll(message) => message.tid,
            Self::PollAnswer(message) => message.tid,
        }
    }
}

/// The card reports the device it sits in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRequest {
    /// The card's own sequence.
    pub tid: u32,
    /// The device, as the terminal reports it.
    pub imei: Imei,
    /// The card.
    pub eid: Eid,
    /// The card's current subscription; `None` where it has none.
    pub imsi: Option<Imsi>,
    /// Why the card reports now.
    pub trigger: Trigger,
    /// The applet's own version.
    pub app_version: u16,
}

/// The answer to a binding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingResponse {
    /// That of the request.
    pub tid: u32,
    /// What the card does with its binding flag.
    pub result: BindingResult,
}

/// The card writes this subscription and makes it effective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteCard {
    /// The write's; the applet never executes one twice.
    pub tid: u32,
    /// The device ordered.
    pub imei: Imei,
    /// The card ordered; the applet refuses a message for another.
    pub eid: Eid,
    /// `None`: the card keeps its ICCID.
    pub iccid: Option<Iccid>,
    /// The target IMSI.
    pub imsi: Imsi,
    /// The target number.
    pub msisdn: Msisdn,
    /// The address of the target's SMSC; `None`: the card keeps what it has.
    pub smsc: Option<Msisdn>,
    /// How the card makes the terminal read it anew.
    pub refresh: Refresh,
    /// Whether the applet switches back to the old subscription where it finds no service under the new one.
    pub rollback: bool,
    /// The acknowledgement of a binding request that the card waits for.
    pub binding_ack: Option<BindingAck>,
    /// Keys of the target, where the card does not hold them already.
    pub key_block: Option<KeyBlock>,
}

/// The acknowledgement of a binding request that travels with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingAck {
    /// That of the binding request.
    pub tid: u32,
    /// What the card does with its binding flag.
    pub result: BindingResult,
}

/// How far a write came, and what the card is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteResult {
    /// The write's.
    pub tid: u32,
    /// The card.
    pub eid: Eid,
    /// The card's current subscription; `None` where it has none, as after a refusal on a card without preset.
    pub imsi: Option<Imsi>,
    /// The device, as the terminal reports it now.
    pub imei: Imei,
    /// How far the write came.
    pub status: WriteStatus,
    /// The applet's own reason ([`detail`](super::detail)); 0 where there is none.
    pub detail: u8,
    /// The highest CNTR that the applet has accepted: at most 2^40 - 1.
    pub mt_counter: u64,
}

/// The platform has stored a result; the card stops repeating it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultAck {
    /// The write's.
    pub tid: u32,
    /// The status that is acknowledged.
    pub status: WriteStatus,
}

/// A question whose answer comes in the PoR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The poll's own; comes back in the answer.
    pub tid: u32,
    /// What is asked.
    pub what: PollWhat,
}

/// What the card is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollAnswer {
    /// That of the poll.
    pub tid: u32,
    /// The card.
    pub eid: Eid,
    /// The device, as the terminal reports it now.
    pub imei: Imei,
    /// The card's current subscription; `None` where it has none.
    pub imsi: Option<Imsi>,
    /// Whether the card holds a stored binding.
    pub binding_flag: bool,
    /// That of the last write executed or refused; 0 before the first.
    pub last_tid: u32,
    /// How far that write came.
    pub last_state: LastState,
    /// The highest CNTR that the card has used: at most 2^40 - 1.
    pub mo_counter: u64,
}

/// Why a card reports its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// First start.
    Boot = 0,
    /// Another IMEI than the stored one.
    ImeiChanged = 1,
    /// No answer to an earlier request.
    Retry = 2,
    /// The platform asked.
    Polled = 3,
}

/// What became of a binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingResult {
    /// Stored: the card sets its flag.
    Saved = 0,
    /// Waits for a decision: the card asks again at its next start.
    Held = 1,
    /// Refused: the card sets its flag and stops.
    Rejected = 2,
}

/// The command qualifier of the REFRESH that follows a write (TS 102 223 §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// The whole card starts anew.
    UiccReset = 4,
    /// The USIM application starts anew.
    NaaApplicationReset = 5,
}

impl Refresh {
    /// The refresh with this qualifier; `None` where it does not make an IMSI change effective.
    #[must_use]
    pub const fn of_qualifier(qualifier: u8) -> Option<Self> {
        match qualifier {
            4 => Some(Self::UiccReset),
            5 => Some(Self::NaaApplicationReset),
            _ => None,
        }
    }

    /// The command qualifier: 4 or 5.
    #[must_use]
    pub const fn qualifier(self) -> u8 {
        self as u8
    }
}

/// How far a write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteStatus {
    /// Written; REFRESH is to come.
    Accepted = 0,
    /// In service under the new subscription.
    Confirmed = 1,
    /// No service under the new subscription; the old one is back.
    RolledBack = 2,
    /// Not executed.
    Refused = 3,
}

/// What a poll asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollWhat {
    /// Identity, binding flag, last write, MO counter.
    State = 0,
}

/// How far the card's last write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastState {
    /// There was none.
    None = 0,
    /// As [`WriteStatus::Accepted`].
    Accepted = 1,
    /// As [`WriteStatus::Confirmed`].
    Confirmed = 2,
    /// As [`WriteStatus::RolledBack`].
    RolledBack = 3,
    /// As [`WriteStatus::Refused`].
    Refused = 4,
}

/// Keys wrapped for the card: opaque here, never shown, erased when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBlock(Zeroizing<Vec<u8>>);

impl KeyBlock {
    /// Takes 1 to [`KEY_BLOCK_OCTETS_MAX`] octets.
    ///
    /// # Errors
    /// [`AppletError::KeyBlock`] where there are fewer or more.
    pub fn new(octets: Vec<u8>) -> Result<Self, AppletError> {
        let octets = Zeroizing::new(octets);
        match octets.len() {
            1..=KEY_BLOCK_OCTETS_MAX => Ok(Self(octets)),
            found => Err(AppletError::KeyBlock { found }),
        }
    }

    /// The wrapped keys.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBlock({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_block_is_bounded_and_never_shown() {
        let block = KeyBlock::new(vec![0xA5; 48]).unwrap();
        assert_eq!(format!("{block:?}"), "KeyBlock(48 octets)");
        assert_eq!(block.octets(), [0xA5; 48]);
        assert_eq!(KeyBlock::new(vec![]), Err(AppletError::KeyBlock { found: 0 }));
        assert!(KeyBlock::new(vec![0; 256]).is_ok());
        assert_eq!(KeyBlock::new(vec![0; 257]), Err(AppletError::KeyBlock { found: 257 }));
    }

    #[test]
    fn a_refresh_is_its_qualifier() {
        for refresh in [Refresh::UiccReset, Refresh::NaaApplicationReset] {
            assert_eq!(Refresh::of_qualifier(refresh.qualifier()), Some(refresh));
        }
        for other in [0, 1, 2, 3, 6, 7] {
            assert_eq!(Refresh::of_qualifier(other), None);
        }
    }
}
