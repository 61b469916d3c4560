//! Cards and subscriptions to try things with: any number of them, the same for the same seed.

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, Result, ensure};
use zeroize::Zeroizing;

use crate::card::{Owner, Profile, Subscription};
use crate::config::{APPLET_PLAIN_PROFILE, APPLET_PROFILE, APPLET_RAW_PROFILE};
use crate::gateway::import::{CardRow, KeySetRow};
use crate::identity::{Eid, Iccid, Imei, Imei14, Imsi, Msisdn};
use crate::ota::Algorithm;
use crate::world::{Rng, SeededRng};

/// Most cards of one sample, and of one simulated operator: their number fills six digits.
pub const CARDS_MAX: u32 = 999_999;

/// How many cards of each kind a sample has, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// With a preset subscription; they secure their messages.
    pub secured: u32,
    /// Without a preset; they are served on site.
    pub no_preset: u32,
    /// With a preset; their own messages are plain DER.
    pub plain: u32,
    /// With a preset; they only tell their IMEI.
    pub raw: u32,
}

/// What kind of card a row describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// With a preset subscription; it secures its messages.
    Secured,
    /// Without a preset; it is served on site.
    NoPreset,
    /// Its own messages are plain DER.
    Plain,
    /// It only tells its IMEI.
    Raw,
}

impl Kind {
    /// The kind of this card of a sample.
    #[must_use]
    pub fn of(card: &CardRow) -> Self {
        match card.profile.as_str() {
            _ if card.preset.is_none() => Self::NoPreset,
            PLAIN => Self::Plain,
            RAW => Self::Raw,
            _ => Self::Secured,
        }
    }
}

impl Kinds {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u32 {
        [self.no_preset, self.plain, self.raw].into_iter().fold(self.secured, u32::saturating_add)
    }

    /// What the card with this number, from 1, is: the profile's name, and whether it has a preset.
    fn of(self, number: u32) -> (&'static str, bool) {
        let Self { secured, no_preset, plain, .. } = self;
        match number - 1 {
            place if place < secured => (APPLET, true),
            place if place < secured + no_preset => (APPLET, false),
            place if place < secured + no_preset + plain => (PLAIN, true),
            _ => (RAW, true),
        }
    }
}

/// The names of the profiles of sample cards.
const APPLET: &str = "airwrite-applet";
const PLAIN: &str = "airwrite-applet-plain";
const RAW: &str = "airwrite-applet-raw";

/// The type allocation code of the simulated devices.
const TAC: &str = "35780502";

/// The header of a file with subscriptions.
const SUBSCRIPTIONS_HEADER: [&str; 2] = ["IMSI", "MSISDN"];

/// The header of a card file, as [`write_cards`] fills it.
const CARDS_HEADER: [&str; 13] = [
    "EID",
    "ICCID",
    "IMSI",
    "MSISDN",
    "PRESET",
    "PROFILE",
    "OWNER",
    "KVN",
    "ALG",
    "CMAC_LEN",
    "KIC1",
    "KID1",
    "CNTR_FLOOR",
];

/// Cards, and a target subscription for each.
#[derive(Debug)]
pub struct Sample {
    /// The cards, as their file would be read.
    pub cards: Vec<CardRow>,
    /// As many subscriptions as there are cards.
    pub targets: Vec<Target>,
}

/// A subscription that an order can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its IMSI.
    pub imsi: Imsi,
    /// Its number.
    pub msisdn: Msisdn,
}

/// The profiles of sample cards, by name.
///
/// # Errors
/// None, as long as the files of this program are whole.
pub fn profiles() -> Result<BTreeMap<String, Profile>> {
    [APPLET_PROFILE, APPLET_PLAIN_PROFILE, APPLET_RAW_PROFILE]
        .into_iter()
        .map(|text| {
            let profile = Profile::from_toml(text)?;
            Ok((profile.name.clone(), profile))
        })
        .collect()
}

/// The IMEI of the device that the simulated operator puts its `number`-th card into: from 1 to [`CARDS_MAX`].
///
/// # Errors
/// Where the number does not fit six digits.
pub fn device_imei(number: u32) -> Result<Imei> {
    ensure!(number <= CARDS_MAX, "at most {CARDS_MAX} cards fit one simulated operator");
    let key: Imei14 = format!("{TAC}{number:06}").parse()?;
    Ok(key.into())
}

/// `count` cards with presets that secure their messages, and as many targets.
///
/// # Errors
/// Where there are more than [`CARDS_MAX`].
pub fn sample(count: u32, seed: u64) -> Result<Sample> {
    sample_of(Kinds { secured: count, ..Kinds::default() }, seed)
}

/// Cards of these kinds, one kind after the other, and as many targets. Of five cards one has two-key triple DES, two
/// AES-128, one AES-192 and one AES-256.
///
/// Seeds that end in other two digits give other identities; the keys follow from the whole seed. They are no secrets.
///
/// # Errors
/// Where there are more than [`CARDS_MAX`].
pub fn sample_of(kinds: Kinds, seed: u64) -> Result<Sample> {
    let count = kinds.total();
    ensure!(count <= CARDS_MAX, "at most {CARDS_MAX} cards fit one sample");
    let rng = SeededRng::new(seed);
    let series = seed % 100;
    let owner: Owner = "default".parse()?;
    let mut sample = Sample { cards: Vec::new(), targets: Vec::new() };
    for number in 1..=count {
        let subscription = |kind: u8| -> Result<Target> {
            Ok(Target {
                imsi: format!("00101{kind}0{series:02}{number:06}").parse()?,
                msisdn: format!("861064{kind}{series:02}{number:06}").parse()?,
            })
        };
        let (profile, has_preset) = kinds.of(number);
        let preset = if has_preset { Some(subscription(1)?) } else { None };
        sample.targets.push(subscription(2)?);
        sample.cards.push(CardRow {
            line: u64::from(number) + 1,
            eid: Some(eid(&format!("89001012{series:012}{number:010}"))?),
            iccid: Some(iccid(&format!("8900101{series:05}{number:06}"))?),
            preset: preset.map(|Target { imsi, msisdn }| Subscription {
                imsi,
                msisdn,
                iccid: None,
                smsc: None,
            }),
            profile: profile.to_owned(),
            owner: owner.clone(),
            kvn: 1,
            keys: vec![key_set(number, &rng)],
            floors: vec![("*".to_owned(), 1)],
        });
    }
    Ok(sample)
}

/// 30 digits with the check digits that belong to them.
fn eid(body: &str) -> Result<Eid> {
    (0..97)
        .find_map(|check| format!("{body}{check:02}").parse().ok())
        .context("the body of an EID has 30 digits")
}

/// 18 digits with the check digit that belongs to them.
fn iccid(body: &str) -> Result<Iccid> {
    (0..10)
        .find_map(|check| format!("{body}{check}").parse().ok())
        .context("the body of an ICCID has 18 digits")
}

fn key_set(number: u32, rng: &SeededRng) -> KeySetRow {
    let (algorithm, octets) = match number % 5 {
        0 => (Algorithm::TripleDes2, 16),
        1 | 2 => (Algorithm::Aes, 16),
        3 => (Algorithm::Aes, 24),
        _ => (Algorithm::Aes, 32),
    };
    let key = || {
        let mut key = Zeroizing::new(vec![0; octets]);
        rng.fill(&mut key);
        key
    };
    KeySetRow { kvn: 1, algorithm, cc_len: 8, kic: key(), kid: key(), kik: None }
}

/// Writes cards as a card file with one key set and one counter floor each.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_cards(cards: &[CardRow], to: impl io::Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(CARDS_HEADER)?;
    for card in cards {
        let keys = card.keys.first().context("a card has a key set")?;
        let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string).unwrap_or_default();
        let preset = card.preset.as_ref();
        csv.write_record([
            text(card.eid.as_ref().map(|eid| eid as _)),
            text(card.iccid.as_ref().map(|iccid| iccid as _)),
            text(preset.map(|preset| &preset.imsi as _)),
            text(preset.map(|preset| &preset.msisdn as _)),
            if preset.is_some() { "yes" } else { "no" }.to_owned(),
            card.profile.clone(),
            card.owner.to_string(),
            card.kvn.to_string(),
            keys.algorithm.to_string(),
            keys.cc_len.to_string(),
            hex::encode_upper(&keys.kic),
            hex::encode_upper(&keys.kid),
            card.floors.first().map(|(_, floor)| floor.to_string()).unwrap_or_default(),
        ])?;
    }
    Ok(csv.flush()?)
}

/// Writes subscriptions as CSV with the columns IMSI and MSISDN.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_targets(targets: &[Target], to: impl io::Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(SUBSCRIPTIONS_HEADER)?;
    for target in targets {
        csv.write_record([target.imsi.as_str(), target.msisdn.as_str()])?;
    }
    Ok(csv.flush()?)
}

/// Reads what [`write_targets`] writes.
///
/// # Errors
/// The first line that is no subscription, with the column.
pub fn read_targets(from: impl io::Read) -> Result<Vec<Target>> {
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(from);
    let header = csv.headers()?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let (Some(imsi), Some(msisdn), 2) = (place("IMSI"), place("MSISDN"), header.len()) else {
        anyhow::bail!("line 1: expected the columns IMSI and MSISDN");
    };
    let mut targets = Vec::new();
    for record in csv.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let value = |place| record.get(place).unwrap_or_default();
        targets.push(Target {
            imsi: value(imsi).parse().with_context(|| format!("line {line}, column IMSI"))?,
            msisdn: value(msisdn).parse().with_context(|| format!("line {line}, column MSISDN"))?,
        });
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Dialect;

    #[test]
    fn kinds_follow_one_another_and_change_nothing_of_the_cards_before() {
        let kinds = Kinds { secured: 3, no_preset: 2, plain: 2, raw: 1 };
        let mixed = sample_of(kinds, 1).unwrap();
        let profiles = profiles().unwrap();
        use Kind::{NoPreset, Plain, Raw, Secured};
        let found: Vec<_> = mixed.cards.iter().map(Kind::of).collect();
        assert_eq!(found, [Secured, Secured, Secured, NoPreset, NoPreset, Plain, Plain, Raw]);
        let dialect = |place: usize| profiles[&mixed.cards[place].profile].mo.dialect;
        let expected = (Dialect::Secured, Dialect::Secured, Dialect::Plain, Dialect::RawImei);
        assert_eq!((dialect(0), dialect(3), dialect(5), dialect(7)), expected);
        let secured_only = sample(3, 1).unwrap();
        assert_eq!(mixed.cards[2].eid, secured_only.cards[2].eid);
        assert_eq!(mixed.targets[..3], secured_only.targets);
        assert!(sample_of(Kinds { raw: u32::MAX, ..kinds }, 1).is_err(), "too many");
    }

    #[test]
    fn a_sample_has_a_triple_des_card_in_five_and_follows_from_its_seed() {
        let first = sample(300, 7).unwrap();
        let triple_des = |card: &&CardRow| card.keys[0].algorithm == Algorithm::TripleDes2;
        assert_eq!(first.cards.iter().filter(triple_des).count(), 60);
        let text = |sample: &Sample| {
            let mut octets = Vec::new();
            write_cards(&sample.cards, &mut octets).unwrap();
            octets
        };
        assert_eq!(text(&first), text(&sample(300, 7).unwrap()));
        assert_ne!(text(&first), text(&sample(300, 107).unwrap()), "the keys are others");
        assert_ne!(first.targets, sample(300, 8).unwrap().targets);
    }

    #[test]
    fn targets_are_read_as_they_were_written() {
        let targets = sample(3, 0).unwrap().targets;
        let mut octets = Vec::new();
        write_targets(&targets, &mut octets).unwrap();
        assert_eq!(read_targets(&octets[..]).unwrap(), targets);
        let wrong = format!("{:#}", read_targets(&b"MSISDN,IMSI\n123456,12\n"[..]).unwrap_err());
        assert_eq!(wrong, "line 2, column IMSI: IMSI: expected 14 or 15 digits, found 2");
    }

    #[test]
    fn devices_have_the_cards_number() {
        assert_eq!(device_imei(1).unwrap().key().as_str(), "35780502000001");
        assert!(device_imei(1_000_000).is_err());
    }
}
