//! The keys that are scanned: each type builds them, reads them back and spans them.

use crate::card::CardId;
use crate::identity::Msisdn;
use crate::ota::Cntr;
use crate::store::key::{Key, KeyError, KeyRange, KeyText};

use super::Space;

/// `04 source(text, 00) destination(text, 00) reference(2) total(1)`: the parts of one concatenated message, over
/// whichever links they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSetKey {
    /// The sender's number; with the link's name where the number alone does not say who the sender is.
    pub source: KeyText,
    /// The number that the message was sent to.
    pub destination: KeyText,
    /// The concatenation reference number.
    pub reference: u16,
    /// How many parts the set has.
    pub total: u8,
}

impl PartSetKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        let ends = Space::PartSet.builder().text(&self.source).text(&self.destination);
        ends.octets(&self.reference.to_be_bytes()).octets(&[self.total]).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::PartSet.parser(key, "04 source destination reference total")?;
        let (source, destination) = (parser.text()?, parser.text()?);
        let reference = u16::from_be_bytes(parser.octets()?);
        let [total] = parser.octets()?;
        parser.end().map(|()| Self { source, destination, reference, total })
    }

    /// The part sets of one sender.
    #[must_use]
    pub fn of_sender(source: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::PartSet.builder().text(source))
    }
}

/// `07 number(text, 00) CardId(16)`: a card that has or had this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberEntry {
    /// The number, international.
    pub number: Msisdn,
    /// The card.
    pub card: CardId,
}

impl NumberEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::Number.builder().digits(self.number.as_str()).octets(&self.card.octets()).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let expected = "07 number CardId";
        let mut parser = Space::Number.parser(key, expected)?;
        let number = parser.text()?.as_str().parse().map_err(|_| KeyError::Shape { expected })?;
        let card = CardId::from_octets(parser.octets()?);
        parser.end().map(|()| Self { number, card })
    }

    /// The cards of one number.
    #[must_use]
    pub fn of_number(number: Msisdn) -> KeyRange {
        KeyRange::prefix(Space::Number.builder().digits(number.as_str()))
    }
}

/// `08 shard(1) due(8) id(16)`: something to be done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The shard that drains the timer.
    pub shard: u8,
    /// When, unix milliseconds.
    pub due_ms: u64,
    /// The octets of what it is about: of a [`CardId`], mostly.
    pub id: [u8; 16],
}

impl Timer {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::Timer.builder().octets(&[self.shard]).octets(&self.due_ms.to_be_bytes()).octets(&self.id).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::Timer.parser(key, "08 shard due id")?;
        let [shard] = parser.octets()?;
        let due_ms = u64::from_be_bytes(parser.octets()?);
        let id = parser.octets()?;
        parser.end().map(|()| Self { shard, due_ms, id })
    }

    /// The timers of `shard` that are due at `now_ms` (that millisecond included), the earliest first.
    #[must_use]
    pub fn due(shard: u8, now_ms: u64) -> KeyRange {
        let space = || Space::Timer.builder().octets(&[shard]);
        match now_ms.checked_add(1) {
            Some(end) => KeyRange::between(space(), space().octets(&end.to_be_bytes())),
            None => Self::of_shard(shard),
        }
    }

    /// All timers of `shard`, the earliest first.
    #[must_use]
    pub fn of_shard(shard: u8) -> KeyRange {
        KeyRange::prefix(Space::Timer.builder().octets(&[shard]))
    }
}

/// `09 route(text, 00) priority(1) since(8) CardId(16)`: a card that waits for a window slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The route whose links can serve the card.
    pub route: KeyText,
    /// The lower, the sooner.
    pub priority: u8,
    /// Since when, unix milliseconds.
    pub since_ms: u64,
    /// The card.
    pub card: CardId,
}

impl Ready {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        let route = Space::Ready.builder().text(&self.route).octets(&[self.priority]);
        route.octets(&self.since_ms.to_be_bytes()).octets(&self.card.octets()).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::Ready.parser(key, "09 route priority since CardId")?;
        let route = parser.text()?;
        let [priority] = parser.octets()?;
        let since_ms = u64::from_be_bytes(parser.octets()?);
        let card = CardId::from_octets(parser.octets()?);
        parser.end().map(|()| Self { route, priority, since_ms, card })
    }

    /// The cards that wait for `route`, in the order in which they are served.
    #[must_use]
    pub fn of_route(route: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::Ready.builder().text(route))
    }
}

/// `0A endpoint(text, 00) seq(8)`: an event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The endpoint's id.
    pub endpoint: KeyText,
    /// Its place in the endpoint's order.
    pub seq: u64,
}

impl OutboxEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::Outbox.builder().text(&self.endpoint).octets(&self.seq.to_be_bytes()).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::Outbox.parser(key, "0A endpoint seq")?;
        let endpoint = parser.text()?;
        let seq = u64::from_be_bytes(parser.octets()?);
        parser.end().map(|()| Self { endpoint, seq })
    }

    /// The events of one endpoint, in order.
    #[must_use]
    pub fn of_endpoint(endpoint: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::Outbox.builder().text(endpoint))
    }
}

/// `0B CardId(16) seq(8)`: something that happened to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineEntry {
    /// The card.
    pub card: CardId,
    /// Its place in the card's timeline.
    pub seq: u64,
}

impl TimelineEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        card_entry(Space::Timeline, self.card, self.seq)
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let (card, seq) = parse_card_entry(Space::Timeline, key, "0B CardId seq")?;
        Ok(Self { card, seq })
    }

    /// The timeline of one card, in order.
    #[must_use]
    pub fn of_card(card: CardId) -> KeyRange {
        of_card(Space::Timeline, card)
    }
}

/// `0F CardId(16) seq(8)`: a consequence that waits for the card to take it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxEntry {
    /// The card.
    pub card: CardId,
    /// Its place in the card's inbox.
    pub seq: u64,
}

impl InboxEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        card_entry(Space::Inbox, self.card, self.seq)
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let (card, seq) = parse_card_entry(Space::Inbox, key, "0F CardId seq")?;
        Ok(Self { card, seq })
    }

    /// The inbox of one card, in order.
    #[must_use]
    pub fn of_card(card: CardId) -> KeyRange {
        of_card(Space::Inbox, card)
    }
}

/// `0D CardId(16) CNTR(5)`: the parts of a packet as they were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPartsKey {
    /// The card.
    pub card: CardId,
    /// The packet's counter.
    pub cntr: Cntr,
}

impl SealedPartsKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::SealedParts.builder().octets(&self.card.octets()).octets(&self.cntr.octets()).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::SealedParts.parser(key, "0D CardId CNTR")?;
        let card = CardId::from_octets(parser.octets()?);
        let cntr = Cntr::from_octets(parser.octets()?);
        parser.end().map(|()| Self { card, cntr })
    }

    /// The sealed packets of one card, the lowest counter first.
    #[must_use]
    pub fn of_card(card: CardId) -> KeyRange {
        of_card(Space::SealedParts, card)
    }
}

/// `0E source(text, 00) received(8) digest(8)`: a message of a card that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayKey {
    /// The sender's number.
    pub source: KeyText,
    /// When it came, unix milliseconds.
    pub received_ms: u64,
    /// Keeps apart what came in the same millisecond: the start of a digest of the message.
    pub digest: [u8; 8],
}

impl StrayKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        let sender = Space::Stray.builder().text(&self.source);
        sender.octets(&self.received_ms.to_be_bytes()).octets(&self.digest).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::Stray.parser(key, "0E source received digest")?;
        let source = parser.text()?;
        let received_ms = u64::from_be_bytes(parser.octets()?);
        let digest = parser.octets()?;
        parser.end().map(|()| Self { source, received_ms, digest })
    }

    /// The stray messages of one sender, the oldest first.
    #[must_use]
    pub fn of_sender(source: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::Stray.builder().text(source))
    }
}

fn card_entry(space: Space, card: CardId, seq: u64) -> Key {
    space.builder().octets(&card.octets()).octets(&seq.to_be_bytes()).key()
}

fn parse_card_entry(space: Space, key: &Key, expected: &'static str) -> Result<(CardId, u64), KeyError> {
    let mut parser = space.parser(key, expected)?;
    let card = CardId::from_octets(parser.octets()?);
    let seq = u64::from_be_bytes(parser.octets()?);
    parser.end().map(|()| (card, seq))
}

fn of_card(space: Space, card: CardId) -> KeyRange {
    KeyRange::prefix(space.builder().octets(&card.octets()))
}
