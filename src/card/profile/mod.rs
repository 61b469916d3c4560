//! What a kind of card needs, and the timers of a write: configuration that the aggregate reads.

mod file;
mod lint;
mod mo;
mod mt;
mod octets;
mod timers;
mod write;

use serde::Deserialize;

pub use file::{FileName, FileNameError};
pub use lint::{Finding, Severity};
pub use mo::{Dialect, Mo};
pub use mt::{CpiPlace, Mt, PARTS_MAX, Scope, Start};
pub use timers::Timers;
pub use write::{MissingFiles, Session, StepValue, StepValueError, WriteStep, WriteTerms};

use super::plan::{Plan, PlanError};
use super::subscription::Subscription;
use crate::ota::{PorRequest, Tar};

/// A kind of card (`config/profiles/*.toml`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name by which cards and orders refer to it.
    pub name: String,
    /// How a subscription is written.
    pub method: Method,
    /// Packets to the card.
    pub mt: Mt,
    /// Messages from the card.
    pub mo: Mo,
    /// How the card's state is asked for.
    pub poll: Poll,
    /// What a binding may do.
    pub trust: Trust,
    /// What a write asks of the card.
    pub write: WriteTerms,
}

/// How a subscription is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By a message to the card-writing applet.
    Applet,
    /// By remote file management (TS 102 226 §5, §6): scripts that write the card's files.
    Rfm,
}

/// How the card's state is asked for (`[poll]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// What is asked.
    pub kind: PollKind,
    /// Where EF.ICCID is read to prove which card a claimed binding is of; `mt.tar` where `None`.
    #[serde(default, deserialize_with = "octets::some_tar")]
    pub iccid_tar: Option<Tar>,
}

/// What a poll asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollKind {
    /// The applet's state.
    Applet,
    /// The contents of EF.IMSI.
    ReadImsi,
}

/// What a binding may do (`[trust]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// What happens when a device reports another card, or a card another device.
    pub binding_policy: BindingPolicy,
    /// Whether a write may go to a device whose IMEI was only claimed.
    pub allow_claimed_imei: bool,
}

/// What happens when a binding contradicts the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingPolicy {
    /// The new binding replaces the old one; an event tells.
    Accept,
    /// Nothing changes; the card is told to ask again at its next start.
    Hold,
    /// Nothing changes; the card is told to stop asking.
    Reject,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// The first key that is missing, unknown, or holds what is not served.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|e| ProfileError::Toml(Box::new(e)))?;
        match profile.check() {
            Ok(()) => Ok(profile),
            Err(Wrong { key, expected }) => Err(ProfileError::Value { profile: profile.name, key, expected }),
        }
    }

    /// The counter scope that this profile's packets fall in, for a card that uses key set `kvn`.
    #[must_use]
    pub fn scope(&self, kvn: u8) -> String {
        self.scope_of(kvn, self.mt.tar)
    }

    /// The counter scope that a packet to `tar` under key set `kvn` falls in.
    #[must_use]
    pub fn scope_of(&self, kvn: u8, tar: Tar) -> String {
        match self.mt.scope {
            Scope::Card => "*".to_owned(),
            Scope::Keyset => format!("kvn:{kvn}"),
            Scope::Tar => format!("tar:{tar}"),
        }
    }

    /// Whether packets by SMS ask a response of the card. Where they do not, only the card's own messages prove anything.
    #[must_use]
    pub fn asks_por(&self) -> bool {
        self.mt.spi2_sms.por() != PorRequest::None
    }

    fn check(&self) -> Result<(), Wrong> {
        self.mt.check()?;
        self.mo.check()?;
        match self.method {
            Method::Applet => self.check_applet(),
            Method::Rfm => self.check_rfm(),
        }
    }

    fn check_applet(&self) -> Result<(), Wrong> {
        if self.poll.kind != PollKind::Applet {
            return Err(wrong("poll.kind", "\"applet\", as the method is"));
        }
        if self.write.refresh.is_none() {
            return Err(wrong("write.refresh", "\"04\" or \"05\": the applet ends a write with a REFRESH"));
        }
        let WriteTerms { mnc_digits, msisdn_alpha, smsp_alpha, steps, .. } = &self.write;
        if !steps.is_empty() || mnc_digits.or(*msisdn_alpha).or(*smsp_alpha).is_some() {
            return Err(wrong("write", "refresh alone: the applet knows its files"));
        }
        Ok(())
    }

    fn check_rfm(&self) -> Result<(), Wrong> {
        if self.poll.kind != PollKind::ReadImsi {
            return Err(wrong("poll.kind", "\"read_imsi\", as the method is \"rfm\""));
        }
        for (key, spi2, example) in
            [("mt.spi2_sms", self.mt.spi2_sms, "39"), ("mt.spi2_relay", self.mt.spi2_relay, "19")]
        {
            if spi2.por() != PorRequest::Always {
                let expected =
                    format!("a response always, as \"{example}\": nothing else proves what a script did");
                return Err(wrong(key, expected));
            }
        }
        self.write.check_rfm()?;
        // Sizes do not depend on the numbers, so that a plan for one order is there for all.
        match Subscription::fullest().map(|order| Plan::of(self, &order)) {
            Some(Err(PlanError::Step { step, file, expected })) => {
                Err(wrong(format!("write.step {step} ({file})"), expected))
            }
            Some(Err(error)) => Err(wrong("write.step", error.to_string())),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// A key and what it may hold.
struct Wrong {
    key: String,
    expected: String,
}

fn wrong(key: impl Into<String>, expected: impl Into<String>) -> Wrong {
    Wrong { key: key.into(), expected: expected.into() }
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No TOML, or not the expected keys.
    #[error("profile: {0}")]
    Toml(Box<toml::de::Error>),
    /// A value that is not served.
    #[error("profile {profile}: {key}: expected {expected}")]
    Value {
        /// The profile's name.
        profile: String,
        /// The key.
        key: String,
        /// What it may hold.
        expected: String,
    },
}
