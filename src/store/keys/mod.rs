//! Every kind of key: first octet the key space, then fields of fixed length and texts ended by 00.
//!
//! Numbers are big-endian and times unix milliseconds in 8 octets, so that key order is the order of time. Records
//! that are only looked up have a function here; those that are scanned have a type that builds ([`Timer::key`]),
//! reads back ([`Timer::parse`]) and spans ([`Timer::due`]) their keys.

use crate::card::{CardId, WriteId};
use crate::identity::{Eid, Iccid, Imei14, Imsi, Msisdn};

use super::key::{Key, KeyBuilder, KeyError, KeyParser, KeyRange, KeyText};

mod scanned;

pub use scanned::{
    InboxEntry, NumberEntry, OutboxEntry, PartSetKey, Ready, SealedPartsKey, StrayKey, TimelineEntry, Timer,
};

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
    /// What was last told of a link.
    Link = 0x13,
    /// Facts about the store itself.
    Meta = 0xFF,
}

impl Space {
    const ALL: [Self; 20] = [
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
        Self::Link,
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
pub fn device(imei: Imei14) -> Key {
    Space::Device.builder().octets(&imei.octets()).key()
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
pub fn eid(eid: Eid) -> Key {
    Space::CardIndex.builder().octets(&[0]).octets(&eid.octets()).key()
}

/// `06 01 ICCID(10)`: the card with this ICCID (as EF.ICCID holds it).
#[must_use]
pub fn iccid(iccid: Iccid) -> Key {
    Space::CardIndex.builder().octets(&[1]).octets(&iccid.octets()).key()
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

/// `13 name(text, 00)`: what was last told of the link.
#[must_use]
pub fn link(name: &KeyText) -> Key {
    Space::Link.builder().text(name).key()
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
    Imsi(Imsi),
    /// `05 02 digits(text, 00)`: a target MSISDN.
    Msisdn(Msisdn),
    /// `05 03 digits(text, 00)`: a target ICCID.
    Iccid(Iccid),
}

impl Claim {
    /// The key of the claim.
    #[must_use]
    pub fn key(&self) -> Key {
        let space = Space::Claim.builder();
        match self {
            Self::Idempotency { owner, value } => space.octets(&[0]).text(owner).text(value).key(),
            Self::Imsi(imsi) => space.octets(&[1]).digits(imsi.as_str()).key(),
            Self::Msisdn(msisdn) => space.octets(&[2]).digits(msisdn.as_str()).key(),
            Self::Iccid(iccid) => space.octets(&[3]).digits(iccid.as_str()).key(),
        }
    }
}

/// Every [`Claim::Idempotency`], whose ever it is.
#[must_use]
pub fn idempotency_keys() -> KeyRange {
    KeyRange::prefix(Space::Claim.builder().octets(&[0]))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ota::Cntr;

    const CARD: CardId = CardId::from_octets([0xCA; 16]);

    fn text(text: &str) -> KeyText {
        KeyText::new(text).expect("a text for keys")
    }

    /// Layouts are dear to change, so they stand here octet by octet.
    #[test]
    fn keys_have_their_documented_octets() {
        let ca = "ca".repeat(16);
        let hex = |key: Key| hex::encode(key.octets());
        assert_eq!(hex(card(CARD)), format!("01{ca}"));
        let imei: Imei14 = "49015420323751".parse().expect("an IMEI");
        assert_eq!(hex(device(imei)), "023439303135343230333233373531");
        assert_eq!(hex(write(WriteId::from_octets([7; 16]))), format!("03{}", "07".repeat(16)));
        let set = PartSetKey { source: text("44"), destination: text("a"), reference: 0x0102, total: 3 };
        assert_eq!(hex(set.key()), "0434340061000102".to_owned() + "03");
        let claim = Claim::Idempotency { owner: text("o"), value: text("v") };
        assert_eq!(hex(claim.key()), "05006f007600");
        let digits = |digits: &str| hex::encode(digits);
        let imsi = Claim::Imsi("001010123456789".parse().expect("an IMSI"));
        assert_eq!(hex(imsi.key()), format!("0501{}00", digits("001010123456789")));
        let msisdn: Msisdn = "+4477".parse().expect("a number");
        assert_eq!(hex(Claim::Msisdn(msisdn).key()), format!("0502{}00", digits("4477")));
        let card_number: Iccid = "89049032000000000011".parse().expect("an ICCID");
        assert_eq!(hex(Claim::Iccid(card_number).key()), format!("0503{}00", digits("89049032000000000011")));
        assert_eq!(hex(iccid(card_number)), "060198400923000000000011");
        let card_eid = Eid::from_octets([0x89; 16]).expect("an EID");
        assert_eq!(hex(eid(card_eid)), format!("0600{}", "89".repeat(16)));
        assert_eq!(hex(NumberEntry { number: msisdn, card: CARD }.key()), format!("073434373700{ca}"));
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
            hex(SealedPartsKey { card: CARD, cntr: Cntr::from_octets([0, 0, 0, 1, 2]) }.key()),
            format!("0d{ca}0000000102")
        );
        let stray = StrayKey { source: text("4"), received_ms: 5, digest: [6; 8] };
        assert_eq!(hex(stray.key()), format!("0e34000000000000000005{}", "06".repeat(8)));
        assert_eq!(hex(InboxEntry { card: CARD, seq: 4 }.key()), format!("0f{ca}0000000000000004"));
        assert_eq!(hex(card_keys(CARD)), format!("10{ca}"));
        assert_eq!(hex(api_key(&text("k"))), "116b00");
        assert_eq!(hex(endpoint(&text("e"))), "126500");
        assert_eq!(hex(link(&text("n"))), "136e00");
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
            a in any_text(), b in any_text(), number: u64, short: u16, octet: u8, id: [u8; 16], digest: [u8; 8], cntr: [u8; 5], digits in "[0-9]{3,15}",
        ) {
            let card_id = CardId::from_octets(id);
            prop_assert_eq!(card_of(&card(card_id)), Ok(card_id));
            let set = PartSetKey { source: a.clone(), destination: b, reference: short, total: octet };
            prop_assert_eq!(PartSetKey::parse(&set.key()), Ok(set));
            let entry = NumberEntry { number: digits.parse().expect("a number"), card: card_id };
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
            let parts = SealedPartsKey { card: card_id, cntr: Cntr::from_octets(cntr) };
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
