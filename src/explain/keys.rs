//! Card keys that an explanation may use. It never sees one: it hands out a packet and gets it back opened.

use std::collections::BTreeMap;

use crate::ota::{Crc, Integrity, KeySet, OpenError, OpenedCommand, OpenedResponse, Spi2, command, response};

/// RHL of a response with a CRC-16.
const RHL_CRC_16: u8 = 0x0C;

/// What opens packets.
pub trait Keys {
    /// Opens a command packet (from CPL on) with the keys of the card that they fit. `number` is that of the card as the
    /// message says it; it is a hint only.
    ///
    /// # Errors
    /// [`NotOpened`].
    fn command(&mut self, packet: &[u8], number: Option<&str>) -> Result<Opened<OpenedCommand>, NotOpened>;

    /// Opens a response packet (from RPL on) at the level that the command's SPI2 `asked` for, with the key set that the
    /// command named. `card` is the name that an [`Opened`] command had.
    ///
    /// # Errors
    /// [`NotOpened`].
    fn response(
        &mut self,
        packet: &[u8],
        asked: Spi2,
        key_set: Option<u8>,
        hint: Hint<'_>,
    ) -> Result<Opened<OpenedResponse>, NotOpened>;
}

/// Which card a packet may be of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The card that the command was of.
    pub card: Option<&'a str>,
    /// The card's number as the message says it.
    pub number: Option<&'a str>,
}

/// A packet that was opened.
#[derive(Debug, Clone)]
pub struct Opened<T> {
    /// The card whose keys fit, by the identifier it is known by: `EID 8900…`.
    pub card: String,
    /// The number of the key set.
    pub key_set: u8,
    /// The packet.
    pub packet: T,
}

/// Why a packet was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// There are no keys.
    #[error("no keys given")]
    NoKeys,
    /// No card has a key set of this number and algorithm.
    #[error("none of the keys is of this key set and algorithm")]
    NoKeySet,
    /// There is no checksum that chooses among several cards.
    #[error("it has no CC, so nothing tells which card's keys fit")]
    Unproven,
    /// The keys that there are do not fit.
    #[error("{0}")]
    Open(OpenError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl NotOpened {
    /// Whether keys were tried that should fit and did not.
    #[must_use]
    pub const fn failed(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// No keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn command(&mut self, _: &[u8], _: Option<&str>) -> Result<Opened<OpenedCommand>, NotOpened> {
        Err(NotOpened::NoKeys)
    }

    fn response(
        &mut self,
        _: &[u8],
        _: Spi2,
        _: Option<u8>,
        _: Hint<'_>,
    ) -> Result<Opened<OpenedResponse>, NotOpened> {
        Err(NotOpened::NoKeys)
    }
}

/// The keys of the cards of a file.
#[derive(Debug, Default)]
pub struct CardKeys {
    cards: Vec<Card>,
    /// The card with a number: its preset one, and any under which a packet of it was opened.
    numbers: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Card {
    name: String,
    key_sets: Vec<KeySet>,
}

impl CardKeys {
    /// Adds a card by the identifier that it is known by, with its number if it has one. Key sets of the DES family are
    /// tried in ECB mode too.
    pub fn add(&mut self, name: String, number: Option<String>, mut key_sets: Vec<KeySet>) {
        let in_ecb: Vec<KeySet> = key_sets.iter().filter_map(|keys| keys.clone().in_ecb().ok()).collect();
        key_sets.extend(in_ecb);
        if let Some(number) = number {
            self.numbers.insert(number, self.cards.len());
        }
        self.cards.push(Card { name, key_sets });
    }

    /// How many cards there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Lets `open` try the key sets that are `named`: those of the card that the hint names first, then all others if `proves` (an opened
    /// packet has a checksum that only the right keys fit).
    fn try_all<T>(
        &mut self,
        hint: Hint<'_>,
        proves: bool,
        named: impl Fn(&&KeySet) -> bool,
        open: impl Fn(&KeySet) -> Result<T, OpenError>,
    ) -> Result<Opened<T>, NotOpened> {
        let of_card = |name: &str| self.cards.iter().position(|card| card.name == name);
        let hinted = hint
            .card
            .and_then(of_card)
            .or_else(|| hint.number.and_then(|number| self.numbers.get(number).copied()))
            .or((self.cards.len() == 1).then_some(0));
        if hinted.is_none() && !proves {
            return Err(NotOpened::Unproven);
        }
        let others = (0..self.cards.len()).filter(|index| proves && Some(*index) != hinted);
        let mut failure = NotOpened::NoKeySet;
        for index in hinted.into_iter().chain(others) {
            let Some(card) = self.cards.get(index) else { continue };
            for keys in card.key_sets.iter().filter(&named) {
                match open(keys) {
                    Ok(packet) => {
                        let (card, key_set) = (card.name.clone(), keys.version());
                        if let Some(number) = hint.number {
                            self.numbers.insert(number.to_owned(), index);
                        }
                        return Ok(Opened { card, key_set, packet });
                    }
                    // Another key set than the packet names.
                    Err(OpenError::Security(_)) => {}
                    // That of the hinted card says most.
                    Err(error) if failure == NotOpened::NoKeySet => failure = NotOpened::Open(error),
                    Err(_) => {}
                }
            }
        }
        Err(failure)
    }
}

impl Keys for CardKeys {
    fn command(&mut self, packet: &[u8], number: Option<&str>) -> Result<Opened<OpenedCommand>, NotOpened> {
        let clear = command::peek(packet).map_err(NotOpened::Open)?;
        let proves = clear.spi1.integrity() == Integrity::Cc;
        self.try_all(Hint { card: None, number }, proves, |_| true, |keys| command::open(packet, keys))
    }

    fn response(
        &mut self,
        packet: &[u8],
        asked: Spi2,
        key_set: Option<u8>,
        hint: Hint<'_>,
    ) -> Result<Opened<OpenedResponse>, NotOpened> {
        response::peek(packet).map_err(NotOpened::Open)?;
        let proves = asked.por_integrity() == Integrity::Cc;
        let named = |keys: &&KeySet| key_set.is_none_or(|key_set| key_set == keys.version());
        // Which RC it is the command says; its length does too.
        let crc = if packet.get(2) == Some(&RHL_CRC_16) { Crc::Crc16 } else { Crc::Crc32 };
        self.try_all(hint, proves, named, |keys| response::open(packet, asked, &keys.clone().with_crc(crc)))
    }
}
