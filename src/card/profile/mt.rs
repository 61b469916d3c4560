//! Packets to the card (`[mt]`).

use serde::Deserialize;

use super::octets::{algorithms, spi1, spi2, tar};
use super::{Wrong, wrong};
use crate::ota::{Algorithm, CounterMode, CpiPosition, PorRequest, Reference, Spi1, Spi2, SplitOptions, Tar};

/// Most short messages of one packet: what is stored of a card is bounded, and its parts are kept until they are answered.
pub const PARTS_MAX: u8 = 16;

/// Packets to the card (`[mt]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mt {
    /// The TAR of packets that name no other: the applet's, or that of the remote file management.
    #[serde(deserialize_with = "tar")]
    pub tar: Tar,
    /// Key set used where the card's import names none, 1 to 15.
    pub kvn: u8,
    /// Which packets share one replay counter on the card.
    pub scope: Scope,
    /// Counter mode of SPI1, as its two bits: only `10` (must be higher) is served.
    pub mode: String,
    /// Where the first CNTR comes from.
    pub start: Start,
    /// SPI1 of every command packet.
    #[serde(deserialize_with = "spi1")]
    pub spi1: Spi1,
    /// SPI2 of packets that ask a PoR and go by SMS; of all that go by SMS where the card has no PoR.
    #[serde(deserialize_with = "spi2")]
    pub spi2_sms: Spi2,
    /// SPI2 of packets relayed on site.
    #[serde(deserialize_with = "spi2")]
    pub spi2_relay: Spi2,
    /// Algorithms that key sets of such cards may have.
    #[serde(deserialize_with = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Most short messages one packet may take, 1 to [`PARTS_MAX`].
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

/// Where a card's counter starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// One above the imported floor.
    Import,
    /// At the unix time in hundredths of a second at which its first packet is sealed, where no floor was imported: for
    /// cards taken over from a platform whose counters nobody knows.
    Time,
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

impl Mt {
    /// How packets are cut into parts. An 8-bit reference is the lower octet of `reference`.
    #[must_use]
    pub const fn split_options(&self, reference: u16) -> SplitOptions {
        let [_, low] = reference.to_be_bytes();
        SplitOptions {
            reference: match self.ref_bits {
                16 => Reference::Bits16(reference),
                _ => Reference::Bits8(low),
            },
            cpi_position: match self.cpi {
                CpiPlace::First => CpiPosition::First,
                CpiPlace::AfterConcat => CpiPosition::AfterConcatenation,
            },
            cpi_in_every_part: self.cpi_every_part,
        }
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        self.check_mode()?;
        if ![PorRequest::None, PorRequest::Always].contains(&self.spi2_sms.por()) {
            return Err(wrong("mt.spi2_sms", "a response always (as \"39\") or never (\"00\")"));
        }
        if !(1..=15).contains(&self.kvn) {
            return Err(wrong("mt.kvn", "1 to 15"));
        }
        if self.ref_bits != 8 && self.ref_bits != 16 {
            return Err(wrong("mt.ref_bits", "8 or 16"));
        }
        if !(1..=PARTS_MAX).contains(&self.max_parts) {
            return Err(wrong("mt.max_parts", format!("1 to {PARTS_MAX}, found {}", self.max_parts)));
        }
        if self.algorithms.is_empty() {
            return Err(wrong("mt.algorithms", "one or more"));
        }
        Ok(())
    }

    fn check_mode(&self) -> Result<(), Wrong> {
        let expected = match self.mode.as_str() {
            "10" if self.spi1.counter_mode() == CounterMode::Higher => return Ok(()),
            "10" => {
                return Err(wrong("mt.spi1", "an octet whose bits 5 and 4 are those of mt.mode, as \"16\""));
            }
            "11" => "\"10\" (must be higher): \"11\" (exactly one higher) is not served",
            "00" | "01" => {
                "\"10\" (must be higher): a card that does not check the counter may execute an old packet at any time, and no \
                 answer ever proves how a write ended"
            }
            _ => "\"10\" (must be higher)",
        };
        Err(wrong("mt.mode", expected))
    }
}
