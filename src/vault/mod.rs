//! Card keys and other secrets sealed at rest, and the only place where packets are secured and opened.
//!
//! A card's key sets are one value of the store (key space 10), sealed under a [`MasterKey`]. Whoever needs a packet
//! hands that value to the [`Vault`] together with the request; clear keys never leave it. [`SoftwareVault`] does the
//! work in this process; the trait is asynchronous so that a hardware module can take its place.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::card::CardId;
use crate::ota::{Cntr, CommandHeader, OpenError, OpenedResponse, SealError, Spi1, Spi2, Tar};

mod key_set;
mod master;
mod record;
mod secret;
mod software;

pub use key_set::ClearKeySet;
pub use master::{MasterKey, MasterKeyError, MasterKeyId};
pub use record::{KEY_SETS_MAX, RecordError};
pub use software::SoftwareVault;

/// A future as the object-safe trait hands it out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One key set of one card.
#[derive(Debug, Clone, Copy)]
pub struct KeyRef<'a> {
    /// The card.
    pub card: CardId,
    /// Its value of key space 10, as [`Vault::wrap`] made it.
    pub record: &'a [u8],
    /// The key set number (KVN), 0 to 15.
    pub kvn: u8,
}

/// A command packet to be made (TS 102 225 §5.1). KIc and KID follow from the key set.
#[derive(Clone, Copy)]
pub struct SealRequest<'a> {
    /// How the command is secured.
    pub spi1: Spi1,
    /// What response is asked for.
    pub spi2: Spi2,
    /// The application addressed.
    pub tar: Tar,
    /// Replay counter, allocated by the caller and never used for other contents.
    pub cntr: Cntr,
    /// What the application is to get.
    pub data: &'a [u8],
}

impl fmt::Debug for SealRequest<'_> {
    /// The data may hold keys: its length stands for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealRequest")
            .field("spi1", &self.spi1)
            .field("spi2", &self.spi2)
            .field("tar", &self.tar)
            .field("cntr", &self.cntr)
            .field("data", &format_args!("[{} octets]", self.data.len()))
            .finish()
    }
}

/// A command packet of a card that was opened: its checksum proves the card and everything below.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedBy {
    /// The card whose keys opened it.
    pub card: CardId,
    /// The header; its SPI1 meets the minimum that was asked.
    pub header: CommandHeader,
    /// The data without padding.
    pub data: Vec<u8>,
}

impl fmt::Debug for OpenedBy {
    /// The length stands for the data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedBy")
            .field("card", &self.card)
            .field("header", &self.header)
            .field("data", &format_args!("[{} octets]", self.data.len()))
            .finish()
    }
}

/// The keeper of card keys.
pub trait Vault: Send + Sync + 'static {
    /// Seals the key sets of `card` for the store: the value of key space 10, format octet included. Two calls give
    /// two different values, because each has its own nonce.
    ///
    /// # Errors
    /// [`RecordError::KeySets`] for none, more than [`KEY_SETS_MAX`] or two of the same number.
    fn wrap<'a>(
        &'a self,
        card: CardId,
        key_sets: &'a [ClearKeySet],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>>;

    /// Whether `record`, the value of key space 10 of `card`, holds these key sets and no other: number, algorithm,
    /// length of the checksum and every key, KIK too. The order does not count.
    ///
    /// # Errors
    /// [`VaultError::Record`] where the record cannot be read.
    fn holds<'a>(
        &'a self,
        card: CardId,
        record: &'a [u8],
        key_sets: &'a [ClearKeySet],
    ) -> BoxFuture<'a, Result<bool, VaultError>>;

    /// Makes a command packet, from CPL on. The same request under the same keys gives the same octets.
    ///
    /// # Errors
    /// [`VaultError`] where the record cannot be read, has no such key set, or the packet cannot be made.
    fn seal<'a>(
        &'a self,
        keys: KeyRef<'a>,
        request: SealRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>>;

    /// Opens a command packet (from CPL on) that a card has sent. Before anything else its SPI1 is held against
    /// `minimum`; then the key sets of `candidates` (card and record each) are tried in order, and the cryptographic
    /// checksum chooses. A packet without checksum is refused whatever `minimum` says: nothing in it proves a card.
    ///
    /// # Errors
    /// [`OpenRefused`].
    fn open_command<'a>(
        &'a self,
        candidates: &'a [(CardId, Bytes)],
        packet: &'a [u8],
        minimum: Spi1,
    ) -> BoxFuture<'a, Result<OpenedBy, OpenRefused>>;

    /// Opens a response packet (from RPL on) at the level that `asked`, the SPI2 of the stored command, asks for.
    /// Where that has no checksum the result says so (`protected`).
    ///
    /// # Errors
    /// [`VaultError`] where the record cannot be read, has no such key set, or the packet is not what was asked for.
    fn open_response<'a>(
        &'a self,
        keys: KeyRef<'a>,
        asked: Spi2,
        packet: &'a [u8],
    ) -> BoxFuture<'a, Result<OpenedResponse, VaultError>>;

    /// Seals a secret that is no card's, for what `name` names. Two calls give two different values.
    ///
    /// # Errors
    /// [`VaultError::Record`] for a secret that is too long.
    fn seal_secret<'a>(
        &'a self,
        name: &'a str,
        secret: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>>;

    /// Opens what [`Vault::seal_secret`] sealed for the same name.
    ///
    /// # Errors
    /// [`VaultError::Record`] where it was changed, or sealed for another name or under another master key.
    fn open_secret<'a>(
        &'a self,
        name: &'a str,
        sealed: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, VaultError>>;
}

/// Why the vault could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key record cannot be made or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The card has no key set of this number.
    #[error("card has no key set {kvn}")]
    NoKeySet {
        /// The number (KVN) asked for.
        kvn: u8,
    },
    /// The packet cannot be made.
    #[error("packet cannot be secured: {0}")]
    Seal(#[from] SealError),
    /// The packet cannot be opened.
    #[error("packet cannot be opened: {0}")]
    Open(#[from] OpenError),
}

/// Why a packet of a card was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// It is no command packet.
    #[error("no command packet: {0}")]
    Malformed(OpenError),
    /// It claims less security than it must have.
    #[error("SPI1 {:02X} is below the minimum {:02X}", found.0, minimum.0)]
    LevelTooLow {
        /// The SPI1 of the packet.
        found: Spi1,
        /// What was asked for.
        minimum: Spi1,
    },
    /// No key set of any candidate opens it.
    #[error("none of {candidates} candidates has the keys of this packet")]
    NotAuthentic {
        /// How many cards were tried.
        candidates: usize,
    },
    /// No candidate opened it, and the keys of at least one could not be read: nothing is known about the packet.
    #[error("keys of {card} cannot be read: {error}")]
    Record {
        /// The first such card.
        card: CardId,
        /// Why.
        error: RecordError,
    },
}
