//! The columns of the card CSV.

use std::collections::BTreeMap;
use std::fmt;

use csv::StringRecord;

use super::rows::Findings;
use crate::ota::Tar;

/// Most key sets in one line.
pub(super) const KEY_SETS_MAX: u8 = 3;

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
    /// KIC1 to KIC3.
    Kic(u8),
    Kid(u8),
    Kik(u8),
    CntrFloor,
    /// `CNTR_FLOOR:415731`
    CntrFloorOf(Tar),
}

/// What an unknown column is told.
const KNOWN: &str = "expected EID, ICCID, IMSI, MSISDN, PRESET, PROFILE, OWNER, KVN, ALG, CMAC_LEN, KIC1 to KIC3, \
                     KID1 to KID3, KIK1 to KIK3, CNTR_FLOOR or CNTR_FLOOR:<TAR>";

impl Column {
    fn of_name(name: &str) -> Option<Self> {
        let numbered = |digit: &str| digit.parse().ok().filter(|index| (1..=KEY_SETS_MAX).contains(index));
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
                (("KIC", digit), _) => Self::Kic(numbered(digit)?),
                (("KID", digit), _) => Self::Kid(numbered(digit)?),
                (("KIK", digit), _) => Self::Kik(numbered(digit)?),
                _ => return None,
            },
        })
    }
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
}

impl Columns {
    /// Reads the header; what is wrong with it is noted in `errors`.
    pub(super) fn of_header(header: &StringRecord, line: u64, errors: &mut Findings) -> Self {
        let mut places = BTreeMap::new();
        for (place, name) in header.iter().enumerate() {
            match Column::of_name(name) {
                None => errors.add(line, shown(name), format!("unknown; {KNOWN}")),
                Some(column) => {
                    if places.insert(column, place).is_some() {
                        errors.add(line, column, "expected once");
                    }
                }
            }
        }
        for column in [Column::Profile, Column::Alg, Column::Kic(1), Column::Kid(1)] {
            if !places.contains_key(&column) {
                errors.add(line, column, "the column is missing");
            }
        }
        if !places.contains_key(&Column::Eid) && !places.contains_key(&Column::Iccid) {
            errors.add(line, Column::Eid, "the column is missing, and ICCID too");
        }
        let columns = Self { places };
        if columns.floors().count() > FLOORS_MAX {
            errors.add(line, Column::CntrFloor, format!("expected at most {FLOORS_MAX} columns with floors"));
        }
        columns
    }

    pub(super) fn place(&self, column: Column) -> Option<usize> {
        self.places.get(&column).copied()
    }

    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// The columns with counter floors that the file has, the general one first.
    pub(super) fn floors(&self) -> impl Iterator<Item = Column> {
        self.places.range(Column::CntrFloor..).map(|(column, _)| *column)
    }
}

/// An unknown name in a message: at most 40 characters of it. A file without header has a key there.
fn shown(name: &str) -> String {
    let hidden = name.len() >= 16 && name.bytes().all(|octet| octet.is_ascii_hexdigit());
    if hidden { "(hexadecimal digits)".to_owned() } else { name.chars().take(40).collect() }
}
