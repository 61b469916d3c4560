//! The card CSV: read and checked as a whole before anything of it is used.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;

use super::CardRow;
use super::column_keys::ColumnKeys;
use super::columns::{Column, Columns};
use super::findings::{CardFileError, Findings};
use super::lines::{LINE_OCTETS_MAX, Lines, Record};
use crate::card::{Method, Owner, Profile, Subscription};
use crate::identity::{Eid, EidChecksum, Iccid, Imsi, Msisdn};
use crate::ota::Algorithm;

/// Most lines of one file; larger deliveries come in several files.
const ROWS_MAX: usize = 1_000_000;

/// What a card file is checked against, and what holds for the lines that do not say it themselves.
#[derive(Debug, Clone, Copy)]
pub struct ImportTerms<'a> {
    /// The profiles that lines may name.
    pub profiles: &'a BTreeMap<String, Profile>,
    /// The owner of the cards whose line names none.
    pub owner: &'a Owner,
    /// What to do with EIDs whose check digits are wrong.
    pub eid_checksum: EidChecksum,
    /// The profile of the cards whose line names none.
    pub profile: Option<&'a Profile>,
    /// The algorithm of the keys where the column ALG says nothing. Where this says nothing either, a profile with one
    /// algorithm does.
    pub algorithm: Option<Algorithm>,
    /// Whether cards left the factory with their IMSI and MSISDN where the column PRESET says nothing.
    pub preset: bool,
    /// Columns that are not read, in letters of either case.
    pub ignored: &'a [String],
    /// The keys of enciphered columns.
    pub column_keys: Option<&'a ColumnKeys>,
}

impl<'a> ImportTerms<'a> {
    /// Terms under which every line says everything but the owner itself, and no column is enciphered.
    #[must_use]
    pub const fn new(
        profiles: &'a BTreeMap<String, Profile>,
        owner: &'a Owner,
        eid_checksum: EidChecksum,
    ) -> Self {
        let (profile, algorithm, preset, ignored, column_keys) = (None, None, false, &[], None);
        Self { profiles, owner, eid_checksum, profile, algorithm, preset, ignored, column_keys }
    }

    /// The profile with a name.
    ///
    /// # Errors
    /// What was expected: the names that there are.
    pub fn named(&self, name: &str) -> Result<&'a Profile, String> {
        let known = || self.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.profiles.get(name).ok_or_else(|| format!("a configured profile: {}", known()))
    }
}

/// A card file without errors.
#[derive(Debug)]
pub struct CardFile {
    /// Its cards, in the order of the lines.
    pub rows: Vec<CardRow>,
    /// What is odd and was taken all the same.
    pub warnings: Findings,
    /// How many of the cards have weak keys; the warnings name them.
    pub weak: usize,
}

/// Reads a card file and checks all of it: every value, and what may stand in one line only.
///
/// # Errors
/// [`CardFileError::Contents`] lists what is wrong with line and column; then nothing of the file is used.
pub fn read_cards(input: impl io::Read, terms: &ImportTerms<'_>) -> Result<CardFile, CardFileError> {
    let mut lines = Lines::of(input);
    let mut record = Record::new();
    let mut file = Reading::new(terms);
    let mut rows = Vec::new();
    let mut columns = None;
    for number in 1.. {
        let Some(octets) = lines.next()? else { break };
        if octets.len() > LINE_OCTETS_MAX {
            file.errors.add(number, "", format!("expected at most {LINE_OCTETS_MAX} octets"));
            break;
        }
        // UTF-16 has zeros between its letters.
        let Some(text) = str::from_utf8(octets).ok().filter(|text| !text.contains('\0')) else {
            file.errors.add(number, "", "expected UTF-8");
            match columns {
                Some(_) => continue,
                None => break,
            }
        };
        // A byte order mark, which spreadsheets put in front of the file.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        record.read(text);
        let Some(columns) = &columns else {
            columns = Some(Columns::of_header(&record, number, terms, &mut file.errors, &mut file.warnings));
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
    if columns.is_none() && file.errors.total == 0 {
        file.errors.add(1, "", "expected a header with the names of the columns");
    }
    if file.errors.total > 0 {
        return Err(CardFileError::Contents(file.errors));
    }
    Ok(CardFile { rows, warnings: file.warnings, weak: file.weak })
}

/// One line of the file.
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) record: &'a Record,
    pub(super) columns: &'a Columns,
}

impl Line<'_> {
    /// What stands in a column, if anything does.
    pub(super) fn text(&self, column: Column) -> Option<&str> {
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
pub(super) struct Reading<'a> {
    pub(super) terms: &'a ImportTerms<'a>,
    seen: Seen,
    pub(super) errors: Findings,
    pub(super) warnings: Findings,
    pub(super) weak: usize,
}

impl<'a> Reading<'a> {
    fn new(terms: &'a ImportTerms<'a>) -> Self {
        let (errors, warnings) = Default::default();
        Self { terms, seen: Seen::default(), errors, warnings, weak: 0 }
    }

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
    pub(super) fn parsed<T, E: fmt::Display>(
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

    pub(super) fn required<'l>(
        &mut self,
        line: &'l Line<'_>,
        column: Column,
        expected: &str,
    ) -> Option<&'l str> {
        let text = line.text(column);
        if text.is_none() {
            self.errors.add(line.number, column, format!("expected {expected}, found nothing"));
        }
        text
    }

    fn profile(&mut self, line: &Line<'_>) -> Option<&'a Profile> {
        if let Some(profile) = self.terms.profile.filter(|_| line.text(Column::Profile).is_none()) {
            return Some(profile);
        }
        let name = self.required(line, Column::Profile, "the name of a profile")?;
        match self.terms.named(name) {
            Ok(profile) => Some(profile),
            Err(expected) => {
                self.errors.add(line.number, Column::Profile, format!("expected {expected}"));
                None
            }
        }
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
        let preset = match line.text(Column::Preset) {
            None => Some(self.terms.preset),
            Some(_) => preset,
        };
        for column in [Column::Imsi, Column::Msisdn] {
            match (preset, line.text(column)) {
                (Some(true), None) => {
                    self.errors.add(line.number, column, "expected a value where PRESET is yes");
                }
                (Some(false), Some(_)) => {
                    let expected = "expected nothing where PRESET is not yes; `preset` can say that for all lines, and \
                                    `ignore` leaves a column out";
                    self.errors.add(line.number, column, expected);
                }
                _ => {}
            }
        }
        Some(Subscription { imsi: imsi?, msisdn: msisdn?, iccid: None, smsc: None })
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
