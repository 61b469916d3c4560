//! Messages from the card (`[mo]`).

use serde::Deserialize;

use super::octets::{some_tar, spi1};
use super::{Wrong, wrong};
use crate::card::WINDOW;
use crate::ota::{Spi1, Tar};

/// Messages from the card (`[mo]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mo {
    /// How the card speaks.
    pub dialect: Dialect,
    /// The TAR under which it sends secured packets; always there in the secured dialect.
    #[serde(default, deserialize_with = "some_tar")]
    pub tar: Option<Tar>,
    /// The least SPI1 that is accepted.
    #[serde(default = "least", deserialize_with = "spi1")]
    pub min_spi1: Spi1,
    /// Size of the replay window; only [`WINDOW`] is served.
    #[serde(default = "window")]
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
    /// The card sends nothing of its own.
    #[serde(rename = "none")]
    Silent,
}

impl Mo {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.dialect == Dialect::Secured && self.tar.is_none() {
            return Err(wrong("mo.tar", "the TAR under which the card sends"));
        }
        if usize::from(self.window) != WINDOW {
            return Err(wrong("mo.window", WINDOW.to_string()));
        }
        Ok(())
    }
}

const fn least() -> Spi1 {
    Spi1::CC_CIPHERED_HIGHER
}

const fn window() -> u16 {
    WINDOW as u16
}
