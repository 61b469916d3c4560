//! Every kind of key: first octet the key space, then fields of fixed length and texts ended by 00.
//!
//! Numbers are big-endian and times unix milliseconds in 8 octets, so that key order is the order of time. Records
//! that are only looked up have a function here; those that are scanned have a type that builds ([`Timer::key`]),
//! reads back ([`Timer::parse`]) and spans ([`Timer::due`]) their keys.

use crate::card::{CardId, WriteId};

use super::key::{Key, KeyBuilder, KeyError, KeyParser, KeyRange, KeyText};

/// The key spaces: the first octet of every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Cards by [`CardId`]; guarded.
    Card = 0x01,
    /// Devices by IMEI (14 digits); guarded.
    Device = 0x02,
    /// Writes by [`WriteId`]; guarded.
    Write = 0x03,
    /// Sets of message parts that are not complete; guarded.
    PartSet = 0x04,
    /// Idempotency keys and target numbers that are taken; guarded.
    Claim = 0x05,
    /// EID or ICCID → card.
    CardIndex = 0x06,
    /// Number → card, up to four cards a number.
    Number = 0x07,
    /// What is to be done at a time.
    Timer = 0x08,
    /// Cards that wait for a free window slot of a route.
    Ready = 0x09,
    /// Events to be delivered to an endpoint.
    Outbox = 0x0A,
    /// What happened to a card, append-only.
    Timeline = 0x0B,
    /// Advisory facts about a write.
    Advisory = 0x0C,
    /// The sealed parts of a packet that may have to be sent again.
    SealedParts = 0x0D,
    /// Messages of unknown cards.
    Stray = 0x0E,
    /// Consequences for a card of what happened to another one.
    Inbox = 0x0F,
    /// Card keys, sealed by the vault.
    CardKeys = 0x10,
    /// API keys.
    ApiKey = 0x11,
    /// Webhook endpoints.
    Endpoint = 0x12,
    /// Facts about the store itself.
    Meta = 0xFF,
}

impl Space {
    const ALL: [Self; 19] = [
        Self::Card,
        Self::Device,
        Self::Write,
        Self::PartSet,
        Self::Claim,
        Self::CardIndex,
        Self::Number,
        Self::Timer,
        Self::Ready,
        Self::Outbox,
        Self::Timeline,
        Self::Advisory,
        Self::SealedParts,
        Self::Stray,
        Self::Inbox,
        Self::CardKeys,
        Self::ApiKey,
        Self::Endpoint,
        Self::Meta,
    ];

    /// The space that `key` lies in; `None` for a space of a later release.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        let first = key.octets().first()?;
        Self::ALL.into_iter().find(|space| *space as u8 == *first)
    }

    /// Every key of the space.
    #[must_use]
    pub fn range(self) -> KeyRange {
        KeyRange::prefix(self.builder())
    }

    fn builder(self) -> KeyBuilder {
        KeyBuilder::new(self as u8)
    }

    fn parser<'a>(self, key: &'a Key, expected: &'static str) -> Result<KeyParser<'a>, KeyError> {
        KeyParser::new(key, self as u8, expected)
    }
}

/// `01 CardId(16)`: the card.
#[must_use]
pub fn card(card: CardId) -> Key {
    Space::Card.builder().octets(&card.octets()).key()
}

/// The card that a key of [`Space::Card`] names.
///
/// # Errors
/// [`KeyError::Shape`] for any other key.
pub fn card_of(key: &Key) -> Result<CardId, KeyError> {
    let mut parser = Space::Card.parser(key, "01 CardId")?;
    let card = CardId::from_octets(parser.octets()?);
    parser.end().map(|()| card)
}

/// `02 IMEI(14)`: the device; TAC and serial number as ASCII digits, without check digit.
#[must_use]
pub fn device(imei14: &[u8; 14]) -> Key {
    Space::Device.builder().octets(imei14).key()
}

/// `03 WriteId(16)`: the write.
#[must_use]
pub fn write(write: WriteId) -> Key {
    Space::Write.builder().octets(&write.octets()).key()
}

/// The write that a key of [`Space::Write`] names.
///
/// # Errors
/// [`KeyError::Shape`] for any other key.
pub fn write_of(key: &Key) -> Result<WriteId, KeyError> {
    let mut parser = Space::Write.parser(key, "03 WriteId")?;
    let write = WriteId::from_octets(parser.octets()?);
    parser.end().map(|()| write)
}

/// `06 00 EID(16)`: the card with this EID (32 digits packed, two an octet).
#[must_use]
pub fn eid(eid: &[u8; 16]) -> Key {
    Space::CardIndex.builder().octets(&[0]).octets(eid).key()
}

/// `06 01 ICCID(10)`: the card with this ICCID (as EF.ICCID holds it).
#[must_use]
pub fn iccid(iccid: &[u8; 10]) -> Key {
    Space::CardIndex.builder().octets(&[1]).octets(iccid).key()
}

/// `0C WriteId(16)`: advisory facts about the write.
#[must_use]
pub fn advisory(write: WriteId) -> Key {
    Space::Advisory.builder().octets(&write.octets()).key()
}

/// `10 CardId(16)`: the sealed keys of the card.
#[must_use]
pub fn card_keys(card: CardId) -> Key {
    Space::CardKeys.builder().octets(&card.octets()).key()
}

/// `11 id(text, 00)`: the API key.
#[must_use]
pub fn api_key(id: &KeyText) -> Key {
    Space::ApiKey.builder().text(id).key()
}

/// `12 id(text, 00)`: the webhook endpoint.
#[must_use]
pub fn endpoint(id: &KeyText) -> Key {
    Space::Endpoint.builder().text(id).key()
}

/// What may be taken only once: `05 kind(1) value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// `05 00 owner(text, 00) value(text, 00)`: an idempotency key of an owner.
    Idempotency {
        /// The tenant.
        owner: KeyText,
        /// The value of the `Idempotency-Key` header.
        value: KeyText,
    },
    /// `05 01 digits(text, 00)`: a target IMSI.
    Imsi(KeyText),
    /// `05 02 digits(text, 00)`: a target MSISDN, international, without `+`.
    Msisdn(KeyText),
    /// `05 03 digits(text, 00)`: a target ICCID.
    Iccid(KeyText),
}

impl Claim {
    /// The key of the claim.
    #[must_use]
    pub fn key(&self) -> Key {
        let space = Space::Claim.builder();
        match self {
            Self::Idempotency { owner, value } => space.octets(&[0]).text(owner).text(value).key(),
            Self::Imsi(digits) => space.octets(&[1]).text(digits).key(),
            Self::Msisdn(digits) => space.octets(&[2]).text(digits).key(),
            Self::Iccid(digits) => space.octets(&[3]).text(digits).key(),
        }
    }
}

/// `FF name(text, 00)`: facts about the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// The store format, 4 octets; written by the backend.
    StoreVersion,
    /// How often this store was restored from a backup.
    Epoch,
}

impl Meta {
    /// The key of the fact.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::StoreVersion => Space::Meta.builder().octets(b"version\0").key(),
            Self::Epoch => Space::Meta.builder().octets(b"epoch\0").key(),
        }
    }
}

/// `04 link(text, 00) source(text, 00) reference(2) total(1)`: the parts of one concatenated message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSetKey {
    /// The link that the parts come over.
    pub link: KeyText,
    /// The sender's number.
    pub source: KeyText,
    /// The concatenation reference number.
    pub reference: u16,
    /// How many parts the set has.
    pub total: u8,
}

impl PartSetKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        let sender = Space::PartSet.builder().text(&self.link).text(&self.source);
        sender.octets(&self.reference.to_be_bytes()).octets(&[self.total]).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::PartSet.parser(key, "04 link source reference total")?;
        let (link, source) = (parser.text()?, parser.text()?);
        let reference = u16::from_be_bytes(parser.octets()?);
        let [total] = parser.octets()?;
        parser.end().map(|()| Self { link, source, reference, total })
    }

    /// The part sets of one sender on one link.
    #[must_use]
    pub fn of_sender(link: &KeyText, source: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::PartSet.builder().text(link).text(source))
    }
}

/// `07 number(text, 00) CardId(16)`: a card that has or had this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberEntry {
    /// The number, international, digits only.
    pub number: KeyText,
    /// The card.
    pub card: CardId,
}

impl NumberEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::Number.builder().text(&self.number).octets(&self.card.octets()).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::Number.parser(key, "07 number CardId")?;
        let number = parser.text()?;
        let card = CardId::from_octets(parser.octets()?);
        parser.end().map(|()| Self { number, card })
    }

    /// The cards of one number.
    #[must_use]
    pub fn of_number(number: &KeyText) -> KeyRange {
        KeyRange::prefix(Space::Number.builder().text(number))
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
    /// The packet's counter, 5 octets (TS 102 225 §5.1).
    pub cntr: [u8; 5],
}

impl SealedPartsKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Space::SealedParts.builder().octets(&self.card.octets()).octets(&self.cntr).key()
    }

    /// What the key names.
    ///
    /// # Errors
    /// [`KeyError::Shape`] for a key of another shape.
    pub fn parse(key: &Key) -> Result<Self, KeyError> {
        let mut parser = Space::SealedParts.parser(key, "0D CardId CNTR")?;
        let card = CardId::from_octets(parser.octets()?);
        let cntr = parser.octets()?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CARD: CardId = CardId::from_octets([0xCA; 16]);

    fn text(text: &str) -> KeyText {
        KeyText::new(text).expect("a text for keys")
    }

    /// The layouts of `formats.md`: dear to change, so they stand here octet by octet.
    #[test]
    fn keys_have_their_documented_octets() {
        let ca = "ca".repeat(16);
        let hex = |key: Key| hex::encode(key.octets());
        assert_eq!(hex(card(CARD)), format!("01{ca}"));
        assert_eq!(hex(device(b"49015420323751")), "023439303135343230333233373531");
        assert_eq!(hex(write(WriteId::from_octets([7; 16]))), format!("03{}", "07".repeat(16)));
        let set = PartSetKey { link: text("a"), source: text("44"), reference: 0x0102, total: 3 };
        assert_eq!(hex(set.key()), "0461003434000102".to_owned() + "03");
        let claim = Claim::Idempotency { owner: text("o"), value: text("v") };
        assert_eq!(hex(claim.key()), "05006f007600");
        assert_eq!(hex(Claim::Imsi(text("1")).key()), "05013100");
        assert_eq!(hex(Claim::Msisdn(text("1")).key()), "05023100");
        assert_eq!(hex(Claim::Iccid(text("1")).key()), "05033100");
        assert_eq!(hex(eid(&[0x89; 16])), format!("0600{}", "89".repeat(16)));
        assert_eq!(hex(iccid(&[0x98; 10])), format!("0601{}", "98".repeat(10)));
        assert_eq!(hex(NumberEntry { number: text("44"), card: CARD }.key()), format!("07343400{ca}"));
        assert_eq!(
            hex(Timer { shard: 9, due_ms: 1, id: [2; 16] }.key()),
            format!("08090000000000000001{}", "02".repeat(16))
        );
        let ready = Ready { route: text("r"), priority: 5, since_ms: 2, card: CARD };
        assert_eq!(hex(ready.key()), format!("097200050000000000000002{ca}"));
        assert_eq!(hex(OutboxEntry { endpoint: text("e"), seq: 3 }.key()), "0a65000000000000000003");
        assert_eq!(hex(TimelineEntry { card: CARD, seq: 4 }.key()), format!("0b{ca}0000000000000004"));
        assert_eq!(hex(advisory(WriteId::from_octets([7; 16]))), format!("0c{}", "07".repeat(16)));
        assert_eq!(
            hex(SealedPartsKey { card: CARD, cntr: [0, 0, 0, 1, 2] }.key()),
            format!("0d{ca}0000000102")
        );
        let stray = StrayKey { source: text("4"), received_ms: 5, digest: [6; 8] };
        assert_eq!(hex(stray.key()), format!("0e34000000000000000005{}", "06".repeat(8)));
        assert_eq!(hex(InboxEntry { card: CARD, seq: 4 }.key()), format!("0f{ca}0000000000000004"));
        assert_eq!(hex(card_keys(CARD)), format!("10{ca}"));
        assert_eq!(hex(api_key(&text("k"))), "116b00");
        assert_eq!(hex(endpoint(&text("e"))), "126500");
        assert_eq!(hex(Meta::StoreVersion.key()), format!("ff{}00", hex::encode("version")));
        assert_eq!(hex(Meta::Epoch.key()), format!("ff{}00", hex::encode("epoch")));
    }

    #[test]
    fn due_takes_its_own_millisecond_and_no_later_one() {
        let range = Timer::due(1, 1000);
        let holds = |shard, due_ms| {
            let key = Timer { shard, due_ms, id: [0xFF; 16] }.key();
            key.octets() >= range.start() && range.end().is_none_or(|end| key.octets() < end)
        };
        assert!(holds(1, 0) && holds(1, 1000));
        assert!(!holds(1, 1001) && !holds(0, 0) && !holds(2, 0));
        assert_eq!(Timer::due(1, u64::MAX), Timer::of_shard(1));
    }

    #[test]
    fn foreign_keys_are_refused() {
        let long = Key::from_octets([card(CARD).octets(), b"x"].concat()).expect("a key");
        assert!(card_of(&long).is_err());
        assert!(write_of(&card(CARD)).is_err());
        assert!(Timer::parse(&card(CARD)).is_err());
        let open_text = Key::from_octets(&b"\x0Aendpoint"[..]).expect("a key");
        assert!(OutboxEntry::parse(&open_text).is_err());
        assert_eq!(Space::of(&Key::from_octets(&[0x77][..]).expect("a key")), None);
    }

    fn any_text() -> impl Strategy<Value = KeyText> {
        "[^\\x00]{1,20}".prop_map(|any| text(&any))
    }

    proptest! {
        #[test]
        fn keys_read_back(
            a in any_text(), b in any_text(), number: u64, short: u16, octet: u8, id: [u8; 16], digest: [u8; 8], cntr: [u8; 5],
        ) {
            let card_id = CardId::from_octets(id);
            prop_assert_eq!(card_of(&card(card_id)), Ok(card_id));
            let set = PartSetKey { link: a.clone(), source: b, reference: short, total: octet };
            prop_assert_eq!(PartSetKey::parse(&set.key()), Ok(set));
            let entry = NumberEntry { number: a.clone(), card: card_id };
            prop_assert_eq!(NumberEntry::parse(&entry.key()), Ok(entry));
            let timer = Timer { shard: octet, due_ms: number, id };
            prop_assert_eq!(Timer::parse(&timer.key()), Ok(timer));
            let ready = Ready { route: a.clone(), priority: octet, since_ms: number, card: card_id };
            prop_assert_eq!(Ready::parse(&ready.key()), Ok(ready));
            let outbox = OutboxEntry { endpoint: a.clone(), seq: number };
            prop_assert_eq!(OutboxEntry::parse(&outbox.key()), Ok(outbox));
            let timeline = TimelineEntry { card: card_id, seq: number };
            prop_assert_eq!(TimelineEntry::parse(&timeline.key()), Ok(timeline));
            let inbox = InboxEntry { card: card_id, seq: number };
            prop_assert_eq!(InboxEntry::parse(&inbox.key()), Ok(inbox));
            let parts = SealedPartsKey { card: card_id, cntr };
            prop_assert_eq!(SealedPartsKey::parse(&parts.key()), Ok(parts));
            let stray = StrayKey { source: a, received_ms: number, digest };
            prop_assert_eq!(StrayKey::parse(&stray.key()), Ok(stray));
        }

        #[test]
        fn no_octets_make_a_parser_panic(octets in proptest::collection::vec(any::<u8>(), 1..64)) {
            let key = Key::from_octets(octets).expect("a key");
            let _ = (PartSetKey::parse(&key), Ready::parse(&key), Timer::parse(&key), StrayKey::parse(&key));
            let _ = (NumberEntry::parse(&key), OutboxEntry::parse(&key), SealedPartsKey::parse(&key), Space::of(&key));
        }

        #[test]
        fn timers_sort_by_shard_then_time(a: (u8, u64), b: (u8, u64)) {
            let key = |(shard, due_ms)| Timer { shard, due_ms, id: [0; 16] }.key();
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }
    }
}
