//! The card CSV: read and checked as a whole before anything of it is used.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::{self, BufRead, Read};

use csv::StringRecord;
use zeroize::Zeroizing;

use super::columns::{Column, Columns, KEY_SETS_MAX};
use super::{CardRow, KeySetRow};
use crate::card::{Method, Owner, Profile, Scope, Subscription};
use crate::identity::{Eid, EidChecksum, Iccid, Imsi, Msisdn};
use crate::ota::{Algorithm, Cntr, Key, KeySet};

/// Most lines of one file; larger deliveries come in several files.
const ROWS_MAX: usize = 1_000_000;

/// Most octets of one line.
const LINE_OCTETS_MAX: u64 = 16 * 1024;

/// How many findings are shown; the rest is counted.
const FINDINGS_SHOWN: usize = 20;

/// Octets of the CC where the column CMAC_LEN says nothing.
const CC_LEN: u8 = 8;

/// What a card file is checked against.
#[derive(Debug, Clone, Copy)]
pub struct ImportTerms<'a> {
    /// The profiles that lines may name.
    pub profiles: &'a BTreeMap<String, Profile>,
    /// The owner of the cards whose line names none.
    pub owner: &'a Owner,
    /// What to do with EIDs whose check digits are wrong.
    pub eid_checksum: EidChecksum,
}

/// A card file without errors.
#[derive(Debug)]
pub struct CardFile {
    /// Its cards, in the order of the lines.
    pub rows: Vec<CardRow>,
    /// What is odd and was taken all the same.
    pub warnings: Findings,
}

/// One thing that is wrong in a card file. Never repeats what the file holds: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The line, from 1 (the header).
    pub line: u64,
    /// The column's name, empty where it is the line as a whole.
    pub column: String,
    /// What was expected there.
    pub expected: String,
}

/// What is wrong in a card file: at most 20 findings, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The first ones.
    pub shown: Vec<Finding>,
    /// All of them.
    pub total: usize,
}

/// A card file that cannot be used; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CardFileError {
    /// It cannot be read.
    #[error("card file: {0}")]
    Io(#[from] io::Error),
    /// It has errors.
    #[error("{0}")]
    Contents(Findings),
}

impl Findings {
    pub(super) fn add(&mut self, line: u64, column: impl fmt::Display, expected: impl Into<String>) {
        self.total += 1;
        if self.shown.len() < FINDINGS_SHOWN {
            self.shown.push(Finding { line, column: column.to_string(), expected: expected.into() });
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.expected)
    }
}

impl fmt::Display for Findings {
    /// One finding a line, then the count where not all are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.shown.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        if self.total > self.shown.len() {
            write!(f, "\n{} of {} shown", self.shown.len(), self.total)?;
        }
        Ok(())
    }
}

/// Reads a card file and checks all of it: every value, and what may stand in one line only.
///
/// # Errors
/// [`CardFileError::Contents`] lists what is wrong with line and column; then nothing of the file is used.
pub fn read_cards(input: impl io::Read, terms: &ImportTerms<'_>) -> Result<CardFile, CardFileError> {
    let mut input = io::BufReader::new(input);
    let mut file =
        Reading { terms, seen: Seen::default(), errors: Findings::default(), warnings: Findings::default() };
    let mut rows = Vec::new();
    let mut columns = None;
    let mut octets = Zeroizing::new(Vec::new());
    for number in 1.. {
        octets.clear();
        let found = input.by_ref().take(LINE_OCTETS_MAX + 1).read_until(b'\n', &mut octets)?;
        if found == 0 {
            break;
        }
        if found as u64 > LINE_OCTETS_MAX {
            file.errors.add(number, "", format!("expected at most {LINE_OCTETS_MAX} octets"));
            break;
        }
        let Ok(text) = str::from_utf8(&octets) else {
            file.errors.add(number, "", "expected UTF-8");
            continue;
        };
        // A byte order mark, which spreadsheets put in front of the file.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let record = values(text)?;
        let Some(columns) = &columns else {
            columns = Some(Columns::of_header(&record, number, &mut file.errors));
            if file.errors.total > 0 {
                return Err(CardFileError::Contents(file.errors));
            }
            continue;
        };
        if rows.len() == ROWS_MAX {
            file.errors.add(number, "", format!("expected at most {ROWS_MAX} cards in one file"));
            break;
        }
        rows.extend(file.row(&Line { number, record: &record, columns }));
    }
    if columns.is_none() {
        file.errors.add(1, "", "expected a header with the names of the columns");
    }
    if file.errors.total > 0 {
        return Err(CardFileError::Contents(file.errors));
    }
    Ok(CardFile { rows, warnings: file.warnings })
}

/// The values of one line. No value of this file holds a line break, so a line is always a record, and a quotation mark
/// that is never closed spoils no more than its line.
fn values(line: &str) -> io::Result<StringRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .buffer_capacity(line.len())
        .from_reader(line.as_bytes());
    let mut record = StringRecord::new();
    reader.read_record(&mut record)?;
    Ok(record)
}

/// One line of the file.
struct Line<'a> {
    number: u64,
    record: &'a StringRecord,
    columns: &'a Columns,
}

impl Line<'_> {
    /// What stands in a column, if anything does.
    fn text(&self, column: Column) -> Option<&str> {
        self.record.get(self.columns.place(column)?).filter(|text| !text.is_empty())
    }
}

/// Where an identifier stood first.
#[derive(Default)]
struct Seen {
    eids: BTreeMap<Eid, u64>,
    iccids: BTreeMap<Iccid, u64>,
    imsis: BTreeMap<Imsi, u64>,
    msisdns: BTreeMap<Msisdn, u64>,
}

/// A file under way.
struct Reading<'a> {
    terms: &'a ImportTerms<'a>,
    seen: Seen,
    errors: Findings,
    warnings: Findings,
}

impl<'a> Reading<'a> {
    /// The card of a line; `None` where the line has errors, which are noted.
    fn row(&mut self, line: &Line<'_>) -> Option<CardRow> {
        let before = self.errors.total;
        if line.record.len() != line.columns.count() {
            let (expected, found) = (line.columns.count(), line.record.len());
            self.errors.add(line.number, "", format!("expected {expected} values, found {found}"));
            return None;
        }
        let profile = self.profile(line);
        let owner = self.parsed(line, Column::Owner, str::parse::<Owner>);
        let (eid, iccid) = self.card(line, profile);
        let preset = self.preset(line);
        let (kvn, keys) = self.keys(line, profile);
        let floors = profile.map(|profile| self.floors(line, profile, kvn)).unwrap_or_default();
        self.once(line, eid, iccid, preset.as_ref());
        if self.errors.total > before {
            return None;
        }
        Some(CardRow {
            line: line.number,
            eid,
            iccid,
            preset,
            profile: profile?.name.clone(),
            owner: owner.unwrap_or_else(|| self.terms.owner.clone()),
            kvn,
            keys,
            floors,
        })
    }

    /// The value of a column, where there is one; an error is noted.
    fn parsed<T, E: fmt::Display>(
        &mut self,
        line: &Line<'_>,
        column: Column,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(line.text(column)?) {
            Ok(value) => Some(value),
            Err(error) => {
                // The errors of the types name their field, which here is the column.
                let text = error.to_string();
                let expected = text.split_once(": ").map_or(text.as_str(), |(_, expected)| expected);
                self.errors.add(line.number, column, expected);
                None
            }
        }
    }

    fn required<'l>(&mut self, line: &'l Line<'_>, column: Column, expected: &str) -> Option<&'l str> {
        let text = line.text(column);
        if text.is_none() {
            self.errors.add(line.number, column, format!("expected {expected}, found nothing"));
        }
        text
    }

    fn profile(&mut self, line: &Line<'_>) -> Option<&'a Profile> {
        let profiles = self.terms.profiles;
        let known = || profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let name = self.required(line, Column::Profile, "the name of a profile")?;
        let profile = profiles.get(name);
        if profile.is_none() {
            self.errors.add(
                line.number,
                Column::Profile,
                format!("expected a configured profile: {}", known()),
            );
        }
        profile
    }

    /// What the card is known by.
    fn card(&mut self, line: &Line<'_>, profile: Option<&Profile>) -> (Option<Eid>, Option<Iccid>) {
        let checksum = self.terms.eid_checksum;
        let eid = self.parsed(line, Column::Eid, |text| Eid::parse(text, checksum));
        let iccid = self.parsed(line, Column::Iccid, str::parse::<Iccid>);
        if let Some((_, false)) = eid {
            self.warnings.add(line.number, Column::Eid, "the check digits are wrong");
        }
        if line.text(Column::Eid).is_none() {
            if profile.is_some_and(|profile| profile.method == Method::Applet) {
                let expected = "expected an EID: the applet names its card by it";
                self.errors.add(line.number, Column::Eid, expected);
            } else if line.text(Column::Iccid).is_none() {
                self.errors.add(line.number, Column::Eid, "expected an EID or an ICCID");
            }
        }
        (eid.map(|(eid, _)| eid), iccid)
    }

    fn preset(&mut self, line: &Line<'_>) -> Option<Subscription> {
        let preset = self.parsed(line, Column::Preset, |text| match text {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err("expected yes or no"),
        });
        let imsi = self.parsed(line, Column::Imsi, str::parse::<Imsi>);
        let msisdn = self.parsed(line, Column::Msisdn, str::parse::<Msisdn>);
        for column in [Column::Imsi, Column::Msisdn] {
            match (preset.or(line.text(Column::Preset).is_none().then_some(false)), line.text(column)) {
                (Some(true), None) => {
                    self.errors.add(line.number, column, "expected a value where PRESET is yes");
                }
                (Some(false), Some(_)) => {
                    self.errors.add(line.number, column, "expected nothing where PRESET is not yes");
                }
                _ => {}
            }
        }
        Some(Subscription { imsi: imsi?, msisdn: msisdn?, iccid: None, smsc: None })
    }

    /// The number of the first key set, and the key sets.
    fn keys(&mut self, line: &Line<'_>, profile: Option<&Profile>) -> (u8, Vec<KeySetRow>) {
        let kvn = self
            .parsed(line, Column::Kvn, |text| {
                text.parse().ok().filter(|kvn| (1..=15).contains(kvn)).ok_or("expected 1 to 15")
            })
            .or(profile.map(|profile| profile.mt.kvn))
            .unwrap_or(1);
        let algorithm = self.algorithm(line, profile);
        let cc_len = self.parsed(line, Column::CmacLen, |text| match text {
            "8" => Ok(8),
            "4" => Ok(4),
            _ => Err("expected 8 or 4"),
        });
        let Some(algorithm) = algorithm else { return (kvn, Vec::new()) };
        let cc_len = cc_len.unwrap_or(CC_LEN);
        let mut sets = Vec::new();
        for index in 1..=KEY_SETS_MAX {
            let columns = [Column::Kic(index), Column::Kid(index), Column::Kik(index)];
            if index > 1 && columns.iter().all(|column| line.text(*column).is_none()) {
                continue;
            }
            sets.extend(self.key_set(line, index, kvn, algorithm, cc_len));
        }
        (kvn, sets)
    }

    fn algorithm(&mut self, line: &Line<'_>, profile: Option<&Profile>) -> Option<Algorithm> {
        let name = self.required(line, Column::Alg, "aes, 3des2, 3des3 or des")?;
        let algorithm = self.parsed(line, Column::Alg, str::parse)?;
        let allowed = profile.filter(|profile| !profile.mt.algorithms.iter().any(|allowed| allowed == name));
        if let Some(profile) = allowed {
            let expected = format!(
                "expected what the profile {} allows: {}",
                profile.name,
                profile.mt.algorithms.join(", ")
            );
            self.errors.add(line.number, Column::Alg, expected);
            return None;
        }
        Some(algorithm)
    }

    /// The key set in the columns with `index`. Its number is that many above KVN.
    fn key_set(
        &mut self,
        line: &Line<'_>,
        index: u8,
        kvn: u8,
        algorithm: Algorithm,
        cc_len: u8,
    ) -> Option<KeySetRow> {
        self.required(line, Column::Kic(index), "a key in hexadecimal digits");
        self.required(line, Column::Kid(index), "a key in hexadecimal digits");
        let kic = self.key(line, Column::Kic(index), algorithm);
        let kid = self.key(line, Column::Kid(index), algorithm);
        let kik = self.key(line, Column::Kik(index), algorithm);
        let (kic, kic_octets) = kic?;
        let (kid, kid_octets) = kid?;
        let number = kvn + index - 1;
        if number > 15 {
            self.errors.add(
                line.number,
                Column::Kic(index),
                format!("expected a key set number up to 15, found {number}"),
            );
            return None;
        }
        if let Err(error) = KeySet::new(number, kic, kid, cc_len) {
            self.errors.add(line.number, Column::CmacLen, error.to_string());
            return None;
        }
        let keys = KeySetRow {
            kvn: number,
            algorithm,
            cc_len,
            kic: kic_octets,
            kid: kid_octets,
            kik: kik.map(|(_, octets)| octets),
        };
        if keys.clear().is_ok_and(|keys| keys.is_weak()) {
            self.warnings.add(
                line.number,
                Column::Kic(index),
                "the key set has a weak key: all zero, equal parts, or known as weak for DES",
            );
        }
        Some(keys)
    }

    fn key(
        &mut self,
        line: &Line<'_>,
        column: Column,
        algorithm: Algorithm,
    ) -> Option<(Key, Zeroizing<Vec<u8>>)> {
        self.parsed(line, column, |text| {
            let octets = Zeroizing::new(hex::decode(text).map_err(|_| {
                // The decoder's own error repeats what stands there.
                "expected a key in hexadecimal digits, two for each octet".to_owned()
            })?);
            let key = Key::new(algorithm, &octets).map_err(|error| error.to_string())?;
            Ok::<_, String>((key, octets))
        })
    }

    /// Scope and least CNTR of each counter that the line gives a floor to.
    fn floors(&mut self, line: &Line<'_>, profile: &Profile, kvn: u8) -> Vec<(String, u64)> {
        let own = profile.scope(kvn);
        let mut floors = BTreeMap::new();
        // In this order the column of one TAR overrides the general one.
        for column in line.columns.floors() {
            let Some(floor) = self.parsed(line, column, floor) else { continue };
            match column {
                Column::CntrFloorOf(_) if profile.mt.scope != Scope::Tar => {
                    let expected =
                        format!("expected nothing: the profile {} has no counters by TAR", profile.name);
                    self.errors.add(line.number, column, expected);
                }
                Column::CntrFloorOf(tar) => {
                    floors.insert(format!("tar:{tar}"), floor);
                }
                _ => {
                    floors.insert(own.clone(), floor);
                }
            }
        }
        floors.into_iter().collect()
    }

    /// Notes identifiers that an earlier line has.
    fn once(
        &mut self,
        line: &Line<'_>,
        eid: Option<Eid>,
        iccid: Option<Iccid>,
        preset: Option<&Subscription>,
    ) {
        let seen = &mut self.seen;
        let number = line.number;
        let earlier = [
            (Column::Eid, eid.and_then(|eid| first(&mut seen.eids, eid, number))),
            (Column::Iccid, iccid.and_then(|iccid| first(&mut seen.iccids, iccid, number))),
            (Column::Imsi, preset.and_then(|preset| first(&mut seen.imsis, preset.imsi, number))),
            (Column::Msisdn, preset.and_then(|preset| first(&mut seen.msisdns, preset.msisdn, number))),
        ];
        for (column, earlier) in earlier {
            if let Some(earlier) = earlier {
                self.errors.add(number, column, format!("expected another than in line {earlier}"));
            }
        }
    }
}

/// The line where `value` stood before; where there is none, it is `line` from now on.
fn first<T: Ord>(seen: &mut BTreeMap<T, u64>, value: T, line: u64) -> Option<u64> {
    match seen.entry(value) {
        Entry::Occupied(entry) => Some(*entry.get()),
        Entry::Vacant(entry) => {
            entry.insert(line);
            None
        }
    }
}

/// The least CNTR to use next: FFFFFFFFFF itself is never used.
fn floor(text: &str) -> Result<u64, String> {
    let most = Cntr::MAX.get() - 1;
    let floor = text.parse().ok().filter(|floor| *floor <= most);
    floor.ok_or_else(|| format!("expected a number up to {most}"))
}
