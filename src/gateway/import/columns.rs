//! The columns of the card CSV.

use std::collections::BTreeMap;
use std::fmt;

use super::findings::Findings;
use super::lines::Record;
use super::rows::ImportTerms;
use crate::ota::Tar;

/// The highest number of a key set in KIc and KID (TS 102 225 §5.1.2).
pub(super) const KVN_MAX: u8 = 15;

/// How many names of columns are shown at once.
const NAMES_SHOWN: usize = 20;

/// Most columns with a counter floor: a card has at most 16 counters.
const FLOORS_MAX: usize = 16;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Eid,
    Iccid,
    Imsi,
    Msisdn,
    Preset,
    Profile,
    Owner,
    Kvn,
    Alg,
    CmacLen,
    /// KIC1 to KIC15; KIC is KIC1, and so on.
    Kic(u8),
    Kid(u8),
    Kik(u8),
    CntrFloor,
    /// `CNTR_FLOOR:415731`
    CntrFloorOf(Tar),
}

/// What an unknown column is told.
const KNOWN: &str = "unknown; `ignore` leaves a column out; expected EID, ICCID, IMSI, MSISDN, PRESET, PROFILE, OWNER, KVN, ALG, \
                     CMAC_LEN, KIC1 to KIC15, KID1 to KID15, KIK1 to KIK15, CNTR_FLOOR or CNTR_FLOOR:<TAR>";

impl Column {
    /// The column with a name in capital letters.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "EID" => Self::Eid,
            "ICCID" => Self::Iccid,
            "IMSI" => Self::Imsi,
            "MSISDN" => Self::Msisdn,
            "PRESET" => Self::Preset,
            "PROFILE" => Self::Profile,
            "OWNER" => Self::Owner,
            "KVN" => Self::Kvn,
            "ALG" => Self::Alg,
            "CMAC_LEN" => Self::CmacLen,
            "CNTR_FLOOR" => Self::CntrFloor,
            _ => match (name.split_at_checked(3)?, name.strip_prefix("CNTR_FLOOR:")) {
                (_, Some(tar)) => Self::CntrFloorOf(tar.parse().ok()?),
                (("KIC", number), _) => Self::Kic(key_set(number)?),
                (("KID", number), _) => Self::Kid(key_set(number)?),
                (("KIK", number), _) => Self::Kik(key_set(number)?),
                _ => return None,
            },
        })
    }

    /// Whether keys stand in it.
    pub(super) fn is_key(self) -> bool {
        self.key_set().is_some()
    }

    /// The number in its name, where keys stand in it.
    fn key_set(self) -> Option<u8> {
        match self {
            Self::Kic(number) | Self::Kid(number) | Self::Kik(number) => Some(number),
            _ => None,
        }
    }
}

/// The number behind KIC, KID or KIK, 1 where there is none.
fn key_set(number: &str) -> Option<u8> {
    (1..=KVN_MAX).find(|kvn| number == kvn.to_string() || (number.is_empty() && *kvn == 1))
}

/// Whether card files of pySim and of card makers have a column of this name, in capital letters, that says nothing about
/// secured packets: PINs, subscriber keys, the keys of security domains on the card.
pub(super) fn is_elsewhere(name: &str) -> bool {
    let one_of_several = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let names = ["KI", "K", "OP", "OPC", "ACC", "CARD_TYPE_ID", "FORMFACTOR_ID", "PROPRIETARY"];
    let families = ["SCP02_", "SCP03_", "UICC_SCP02", "UICC_SCP03"];
    names.contains(&name)
        || families.iter().any(|family| name.starts_with(family))
        || ["ADM", "PIN", "PUK"].into_iter().any(one_of_several)
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eid => f.write_str("EID"),
            Self::Iccid => f.write_str("ICCID"),
            Self::Imsi => f.write_str("IMSI"),
            Self::Msisdn => f.write_str("MSISDN"),
            Self::Preset => f.write_str("PRESET"),
            Self::Profile => f.write_str("PROFILE"),
            Self::Owner => f.write_str("OWNER"),
            Self::Kvn => f.write_str("KVN"),
            Self::Alg => f.write_str("ALG"),
            Self::CmacLen => f.write_str("CMAC_LEN"),
            Self::Kic(index) => write!(f, "KIC{index}"),
            Self::Kid(index) => write!(f, "KID{index}"),
            Self::Kik(index) => write!(f, "KIK{index}"),
            Self::CntrFloor => f.write_str("CNTR_FLOOR"),
            Self::CntrFloorOf(tar) => write!(f, "CNTR_FLOOR:{tar}"),
        }
    }
}

/// Which column stands where.
#[derive(Debug)]
pub(super) struct Columns {
    places: BTreeMap<Column, usize>,
    count: usize,
}

impl Columns {
    /// Reads the header; what is wrong with it is noted in `errors`, what is left out or odd in `warnings`.
    pub(super) fn of_header(
        header: &Record,
        line: u64,
        terms: &ImportTerms<'_>,
        errors: &mut Findings,
        warnings: &mut Findings,
    ) -> Self {
        let mut columns = Self { places: BTreeMap::new(), count: header.len() };
        if let Some(found) = other_separator(header) {
            errors.add(line, "", format!("expected commas between values, found {found}"));
            return columns;
        }
        let is_ignored = |name: &str| {
            is_elsewhere(name)
                || terms.ignored.iter().any(|ignored| ignored.trim().eq_ignore_ascii_case(name))
        };
        let (mut left_out, mut unknown) = (Vec::new(), Vec::new());
        for (place, name) in header.iter().enumerate() {
            let name = name.to_ascii_uppercase();
            match Column::of_name(&name) {
                _ if is_ignored(&name) => left_out.push(name),
                None => unknown.push(name),
                Some(column) => {
                    if columns.places.insert(column, place).is_some() {
                        errors.add(line, column, "expected once");
                    }
                }
            }
        }
        if !unknown.is_empty() {
            errors.add(line, shown(&unknown), KNOWN);
        }
        columns.check(line, terms, errors);
        if !left_out.is_empty() {
            warnings.add(line, shown(&left_out), "not read");
        }
        let clear = columns.places.keys().filter(|column| column.is_key());
        let clear: Vec<_> = match terms.column_keys {
            Some(keys) => clear.filter(|column| !keys.has(**column)).map(ToString::to_string).collect(),
            None => Vec::new(),
        };
        if !clear.is_empty() {
            warnings.add(line, clear.join(", "), "taken as clear, for want of a column key");
        }
        columns
    }

    /// What must be there.
    fn check(&self, line: u64, terms: &ImportTerms<'_>, errors: &mut Findings) {
        let has = |column| self.places.contains_key(&column);
        if !has(Column::Profile) && terms.profile.is_none() {
            errors.add(line, Column::Profile, "the column is missing; `profile` can say it for all lines");
        }
        if !has(Column::Alg) && terms.algorithm.is_none() {
            let mut profiles = terms.profiles.values().filter(|_| has(Column::Profile)).chain(terms.profile);
            // A profile with one algorithm says it.
            if profiles.any(|profile| profile.mt.algorithms.len() != 1) {
                let expected = "the column is missing; `algorithm` can say it for all lines (a key does not tell whether it \
                                is for AES or triple DES)";
                errors.add(line, Column::Alg, expected);
            }
        }
        let families: [fn(u8) -> Column; 2] = [Column::Kic, Column::Kid];
        for family in families {
            if !(1..=KVN_MAX).any(|number| has(family(number))) {
                errors.add(line, family(1), "the column is missing");
            }
        }
        if !has(Column::Eid) && !has(Column::Iccid) {
            errors.add(line, Column::Eid, "the column is missing, and ICCID too");
        }
        if self.floors().count() > FLOORS_MAX {
            errors.add(line, Column::CntrFloor, format!("expected at most {FLOORS_MAX} columns with floors"));
        }
    }

    /// Whether there are columns for more than one key set. Then their numbers are those of the key sets.
    pub(super) fn several_key_sets(&self) -> bool {
        self.places.keys().any(|column| column.key_set().is_some_and(|number| number > 1))
    }

    pub(super) fn place(&self, column: Column) -> Option<usize> {
        self.places.get(&column).copied()
    }

    /// How many values a line has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The columns with counter floors that the file has, the general one first.
    pub(super) fn floors(&self) -> impl Iterator<Item = Column> {
        self.places.range(Column::CntrFloor..).map(|(column, _)| *column)
    }
}

/// What stands between the values of a header that is no comma, in words.
fn other_separator(header: &Record) -> Option<&'static str> {
    let name = header.get(0).filter(|_| header.len() == 1)?;
    [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")]
        .into_iter()
        .find_map(|(separator, found)| name.contains(separator).then_some(found))
}

/// Names of columns in a message, the first ones. What does not look like one is not shown: it may be a key, where a file
/// has no header.
fn shown(names: &[String]) -> String {
    let is_part = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.: ".contains(&octet);
    let is_key = |name: &str| name.len() >= 8 && name.bytes().all(|octet| octet.is_ascii_hexdigit());
    let is_name = |name: &str| {
        name.len() <= 40
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(is_part)
            && !is_key(name)
    };
    let mut shown: Vec<_> = names
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| if is_name(name) { name.as_str() } else { "(not shown)" })
        .collect();
    if names.len() > NAMES_SHOWN {
        shown.push("…");
    }
    shown.join(", ")
}
