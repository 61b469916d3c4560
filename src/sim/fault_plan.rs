//! What goes wrong in the simulated network, and how often: read from TOML (`config/sample/faults.toml` is one).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A plan of faults. The default has none. Every share is of single events, drawn from the randomness of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Messages on their way to a card.
    pub mt: MtFaults,
    /// Messages on their way from a card.
    pub mo: MoFaults,
    /// Connections of ESMEs.
    pub link: LinkFaults,
    /// What the message centre makes of submit_sm.
    pub smsc: SmscFaults,
    /// Delivery receipts.
    pub receipts: ReceiptFaults,
    /// Cards and the devices around them.
    pub card: CardFaults,
}

impl FaultPlan {
    /// Reads a plan; what it does not name does not happen.
    ///
    /// # Errors
    /// [`FaultPlanError`] where it is no TOML, names a key that does not exist, or a share is not 0 to 100. It says the
    /// line.
    pub fn from_toml(text: &str) -> Result<Self, FaultPlanError> {
        toml::from_str(text).map_err(|error| FaultPlanError(Box::new(error)))
    }
}

/// A fault plan that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("fault plan: {0}")]
pub struct FaultPlanError(Box<toml::de::Error>);

/// Messages on their way to a card (`[mt]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MtFaults {
    /// The network acknowledges the message (the receipt says DELIVRD), and the terminal never sees it.
    pub loss: Percent,
    /// The terminal gets the message again, up to `delay_ms` later.
    pub duplicate: Percent,
    /// The first two messages that wait for a number change places; drawn where there are two.
    pub reorder: Percent,
    /// The message, and all behind it, sets out up to `delay_ms` late.
    pub delay: Percent,
    /// Longest delay in milliseconds.
    pub delay_ms: u64,
}

/// Messages on their way from a card (`[mo]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoFaults {
    /// The card hears that the message was taken (RP-ACK), and it is gone.
    pub loss: Percent,
    /// The ESME gets the message twice, the second up to `delay_ms` later.
    pub duplicate: Percent,
    /// The message is held back long enough for the card's next one to overtake it.
    pub reorder: Percent,
    /// The message is held back up to `delay_ms`.
    pub delay: Percent,
    /// Longest delay in milliseconds.
    pub delay_ms: u64,
}

/// Connections of ESMEs (`[link]`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkFaults {
    /// Of the deliver_sm and submit_sm_resp: the connection is cut instead of sending it.
    pub drop: Percent,
    /// Of the deliver_sm and submit_sm_resp: the connection is cut in the middle of it.
    pub drop_within_pdu: Percent,
}

/// What the message centre makes of submit_sm (`[smsc]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmscFaults {
    /// submit_sm_resp comes up to `slow_ms` late; the message is on its way at once.
    pub slow: Percent,
    /// Longest delay of submit_sm_resp in milliseconds.
    pub slow_ms: u64,
    /// Answered ESME_RTHROTTLED.
    pub throttled: Percent,
    /// Answered ESME_RMSGQFUL.
    pub queue_full: Percent,
    /// Answered ESME_RSYSERR.
    pub system_error: Percent,
    /// Answered ESME_ROK with a message id, and lost: no attempt, no receipt.
    pub lost: Percent,
}

/// Delivery receipts (`[receipts]`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptFaults {
    /// Never sent.
    pub missing: Percent,
    /// Of those that would say DELIVRD: says UNDELIV with network error D5, although the card has the message.
    pub negative: Percent,
    /// Spelled otherwise: text without TLVs, TLVs without text, the id in hexadecimal, other field names.
    pub spelling: Percent,
}

/// Cards and the devices around them (`[card]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardFaults {
    /// Of the attempts to deliver: the device falls asleep, and cannot be reached for up to `sleep_ms`.
    pub sleep: Percent,
    /// Longest sleep in milliseconds.
    pub sleep_ms: u64,
    /// The device loses power when its card's write reaches a point of `power_cut_at`.
    pub power_cut: Percent,
    /// Where in a write power is lost; all points where the key is missing.
    pub power_cut_at: Vec<WritePoint>,
    /// Longest time without power in milliseconds.
    pub power_off_ms: u64,
    /// Of the ENVELOPEs with a short message: the card begins to refuse them.
    pub envelope_refused: Percent,
    /// How many in a row it refuses at most; at least one.
    pub envelope_refusals_max: u32,
    /// The status it refuses them with, one for each row, in hexadecimal: SW1 93 is tried again later, others are not.
    pub envelope_status: Vec<StatusWord>,
    /// Of the REFRESH: the terminal begins to refuse them (terminal currently unable to process the command).
    pub refresh_refused: Percent,
    /// How many in a row it refuses at most; at least one.
    pub refresh_refusals_max: u32,
    /// Of the cards with a preset: never let into the network under anything but the preset, so that every write is
    /// rolled back. Decided at the start; lasts.
    pub barred: Percent,
    /// Of the cards: falls silent for good when it has accepted its first write, before a word of it gets out. Decided at
    /// the start; lasts.
    pub silent: Percent,
}

impl Default for MtFaults {
    fn default() -> Self {
        let never = Percent::NEVER;
        Self { loss: never, duplicate: never, reorder: never, delay: never, delay_ms: 5_000 }
    }
}

impl Default for MoFaults {
    fn default() -> Self {
        let never = Percent::NEVER;
        Self { loss: never, duplicate: never, reorder: never, delay: never, delay_ms: 5_000 }
    }
}

impl Default for SmscFaults {
    fn default() -> Self {
        let never = Percent::NEVER;
        Self {
            slow: never,
            slow_ms: 5_000,
            throttled: never,
            queue_full: never,
            system_error: never,
            lost: never,
        }
    }
}

impl Default for CardFaults {
    fn default() -> Self {
        let never = Percent::NEVER;
        Self {
            sleep: never,
            sleep_ms: 30_000,
            power_cut: never,
            power_cut_at: WritePoint::ALL.to_vec(),
            power_off_ms: 10_000,
            envelope_refused: never,
            envelope_refusals_max: 3,
            envelope_status: vec![StatusWord(0x9300), StatusWord(0x6200), StatusWord(0x6F00)],
            refresh_refused: never,
            refresh_refusals_max: 3,
            barred: never,
            silent: never,
        }
    }
}

/// A share in percent, 0 to 100, exact to a hundredth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent {
    hundredths: u16,
}

impl Percent {
    /// It does not happen.
    pub const NEVER: Self = Self { hundredths: 0 };
    /// It happens each time.
    pub const ALWAYS: Self = Self { hundredths: 10_000 };

    /// The share in hundredths of a percent, 0 to 10 000.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.hundredths
    }
}

impl TryFrom<f64> for Percent {
    type Error = PercentError;

    fn try_from(percent: f64) -> Result<Self, Self::Error> {
        // Truncation is excluded by the range; what is smaller than a hundredth is rounded.
        if (0.0..=100.0).contains(&percent) {
            Ok(Self { hundredths: (percent * 100.0).round() as u16 })
        } else {
            Err(PercentError(percent))
        }
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> Self {
        Self::from(percent.hundredths) / 100.0
    }
}

/// A share that is none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("expected a percentage from 0 to 100, found {0}")]
pub struct PercentError(f64);

/// A place in the life of a write on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WritePoint {
    /// Half a script has run: one file is updated, the next is not. With remote file management only.
    WithinScript,
    /// The command is taken, its PoR has not gone out.
    Accepted,
    /// The PoR is out and the files have changed, REFRESH is to come.
    Written,
    /// The terminal has read the files anew, there is no service yet.
    Refreshed,
    /// The former subscription is back in the files, REFRESH is to come.
    Undone,
    /// It is over, the result has not been acknowledged.
    Ended,
}

impl WritePoint {
    /// All of them, in the order of a write.
    pub const ALL: [Self; 6] =
        [Self::WithinScript, Self::Accepted, Self::Written, Self::Refreshed, Self::Undone, Self::Ended];
}

/// SW1 SW2 of an R-APDU, in TOML as four hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusWord(pub u16);

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl From<StatusWord> for String {
    fn from(status: StatusWord) -> Self {
        status.to_string()
    }
}

impl TryFrom<String> for StatusWord {
    type Error = StatusWordError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match <[u8; 2]>::try_from(hex::decode(&text).unwrap_or_default().as_slice()) {
            Ok(octets) => Ok(Self(u16::from_be_bytes(octets))),
            Err(_) => Err(StatusWordError(text)),
        }
    }
}

/// A status word that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected four hexadecimal digits such as 6F00, found {0:?}")]
pub struct StatusWordError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_does_not_happen() {
        let plan = FaultPlan::from_toml("[mt]\nloss = 2.5\n[card]\nenvelope_status = [\"6f00\"]").unwrap();
        assert_eq!((plan.mt.loss.hundredths(), plan.mt.duplicate), (250, Percent::NEVER));
        assert_eq!(plan.card.envelope_status, [StatusWord(0x6F00)]);
        assert_eq!(plan.smsc, SmscFaults::default());
        assert_eq!(FaultPlan::from_toml("").unwrap(), FaultPlan::default());
    }

    #[test]
    fn refusals_name_the_line_and_what_was_expected() {
        for (text, expected) in [
            ("[mt]\nloss = 101", "expected a percentage from 0 to 100, found 101"),
            ("[mt]\nloss = -1", "expected a percentage from 0 to 100, found -1"),
            ("[mt]\nlost = 1", "unknown field `lost`"),
            ("[radio]\n", "unknown field `radio`"),
            ("[card]\npower_cut_at = [\"por\"]", "unknown variant `por`"),
            ("[card]\nenvelope_status = [\"6F\"]", "four hexadecimal digits such as 6F00, found \"6F\""),
        ] {
            let error = FaultPlan::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("line"), "{error}");
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = FaultPlan {
            link: LinkFaults { drop: Percent::ALWAYS, drop_within_pdu: 0.25.try_into().unwrap() },
            ..FaultPlan::default()
        };
        assert_eq!(FaultPlan::from_toml(&toml::to_string(&plan).unwrap()).unwrap(), plan);
    }
}
