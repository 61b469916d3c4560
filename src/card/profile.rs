//! What a kind of card needs, and the timers of a write: configuration that the aggregate reads.

use serde::{Deserialize, Deserializer, de};

use crate::applet::Refresh;
use crate::ota::{Spi1, Spi2, Tar};

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
    pub poll: PollKind,
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
}

/// Packets to the card (`[mt]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mt {
    /// The applet's TAR.
    #[serde(deserialize_with = "tar")]
    pub tar: Tar,
    /// Key set used where the card's import names none, 1 to 15.
    pub kvn: u8,
    /// Which packets share one replay counter on the card.
    pub scope: Scope,
    /// Counter mode of SPI1, as its two bits: only `10` (must be higher) is served.
    pub mode: String,
    /// Where the first CNTR comes from: only `import` (one above the imported floor) is served.
    pub start: String,
    /// SPI1 of every command packet.
    #[serde(deserialize_with = "spi1")]
    pub spi1: Spi1,
    /// SPI2 of packets that ask a PoR and go by SMS.
    #[serde(deserialize_with = "spi2")]
    pub spi2_sms: Spi2,
    /// SPI2 of packets relayed on site.
    #[serde(deserialize_with = "spi2")]
    pub spi2_relay: Spi2,
    /// Algorithms that key sets of such cards may have.
    pub algorithms: Vec<String>,
    /// Most short messages one packet may take.
    pub max_parts: u8,
    /// Where the command packet identifier stands in the first part.
    pub cpi: CpiPlace,
    /// Whether every part carries the command packet identifier.
    pub cpi_every_part: bool,
    /// 8 or 16 bit concatenation reference.
    pub ref_bits: u8,
}

/// Which packets share one replay counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All packets of the card.
    Card,
    /// Packets under one key set.
    Keyset,
    /// Packets to one TAR.
    Tar,
}

/// Place of the command packet identifier among the information elements of the first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpiPlace {
    /// Before the concatenation element.
    First,
    /// After it.
    AfterConcat,
}

/// Messages from the card (`[mo]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mo {
    /// How the card speaks.
    pub dialect: Dialect,
    /// The TAR under which it sends.
    #[serde(deserialize_with = "tar")]
    pub tar: Tar,
    /// The least SPI1 that is accepted.
    #[serde(deserialize_with = "spi1")]
    pub min_spi1: Spi1,
    /// Size of the replay window; only [`super::WINDOW`] is served.
    pub window: u16,
}

/// How a card's own messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// DER inside a secured packet; nothing else is accepted.
    Secured,
    /// DER without security.
    Plain,
    /// The IMEI alone: 8 octets (TS 24.008 §10.5.1.4), perhaps followed by a version in ASCII, or after a
    /// command of at most 4 octets.
    RawImei,
}

/// How the card's state is asked for (`[poll]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollKind {
    /// Only `applet` is served.
    pub kind: Method,
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

/// What a write asks of the card (`[write]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteTerms {
    /// REFRESH qualifier (TS 102 223 §8.6): 04 UICC reset, 05 NAA application reset.
    #[serde(deserialize_with = "refresh")]
    pub refresh: Refresh,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// The first key that is missing, unknown, or holds what is not served.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|e| ProfileError::Toml(Box::new(e)))?;
        let refuse =
            |key, expected| Err(ProfileError::Value { profile: profile.name.clone(), key, expected });
        if profile.mt.mode != "10" {
            return refuse("mt.mode", "\"10\" (must be higher)");
        }
        if profile.mt.start != "import" {
            return refuse("mt.start", "\"import\"");
        }
        if !(1..=15).contains(&profile.mt.kvn) {
            return refuse("mt.kvn", "1 to 15");
        }
        if profile.mt.ref_bits != 8 && profile.mt.ref_bits != 16 {
            return refuse("mt.ref_bits", "8 or 16");
        }
        if usize::from(profile.mo.window) != super::WINDOW {
            return refuse("mo.window", "64");
        }
        Ok(profile)
    }

    /// The counter scope that this profile's packets fall in, for a card that uses key set `kvn`.
    #[must_use]
    pub fn scope(&self, kvn: u8) -> String {
        match self.mt.scope {
            Scope::Card => "*".to_owned(),
            Scope::Keyset => format!("kvn:{kvn}"),
            Scope::Tar => format!("tar:{}", self.mt.tar),
        }
    }
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
        key: &'static str,
        /// What it may hold.
        expected: &'static str,
    },
}

fn hex_octets<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut octets = [0; N];
    hex::decode_to_slice(&text, &mut octets)
        .map_err(|_| de::Error::custom(format!("expected {} hexadecimal digits in quotes", 2 * N)))?;
    Ok(octets)
}

fn octet<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    hex_octets::<D, 1>(deserializer).map(|[octet]| octet)
}

fn tar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tar, D::Error> {
    hex_octets::<D, 3>(deserializer).map(Tar)
}

fn spi1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spi1, D::Error> {
    octet(deserializer).map(Spi1)
}

fn spi2<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spi2, D::Error> {
    octet(deserializer).map(Spi2)
}

fn refresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Refresh, D::Error> {
    Refresh::of_qualifier(octet(deserializer)?)
        .ok_or_else(|| de::Error::custom("expected \"04\" (UICC reset) or \"05\" (NAA application reset)"))
}

/// The waits of a write (`[timers]`), in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// Validity asked from the SMSC for each attempt; the last one repeats for polls.
    pub validity_s: Vec<u64>,
    /// Silence after a positive delivery receipt.
    pub after_delivered_s: u64,
    /// Silence after the validity of an attempt has ended.
    pub after_validity_s: u64,
    /// Wait before a refused or unanswered submission is tried again.
    pub back_off_s: u64,
    /// Wait before a card without memory (RSC 07), or one that is busy with another write, is written again.
    pub no_memory_s: u64,
    /// Polls of a write that is `written` and has not reported its result, counted from `written`; the last
    /// interval repeats.
    pub result_polls_s: Vec<u64>,
    /// How often a sign of life may send what is pending at once.
    pub wake_s: u64,
    /// How often the answer to a repeated message is repeated.
    pub repeat_answer_s: u64,
    /// After the deadline of an order: how long its outcome is asked for.
    pub give_up_s: u64,
    /// Deadline of an order that names none.
    pub deadline_s: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            validity_s: vec![300, 3_600, 21_600, 86_400],
            after_delivered_s: 90,
            after_validity_s: 60,
            back_off_s: 5,
            no_memory_s: 300,
            result_polls_s: vec![600, 3_600, 21_600, 86_400],
            wake_s: 60,
            repeat_answer_s: 60,
            give_up_s: 7 * 86_400,
            deadline_s: 30 * 86_400,
        }
    }
}

impl Timers {
    /// Validity in seconds of attempt `attempt` (from 0), the last one repeating.
    #[must_use]
    pub fn validity(&self, attempt: u8) -> u64 {
        let plan = &self.validity_s;
        plan.get(usize::from(attempt)).or(plan.last()).copied().unwrap_or(300)
    }
}
