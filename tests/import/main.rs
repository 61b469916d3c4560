//! Card files: every error with its line and column, and an import that can be run again.

mod columns;
mod key_sets;
mod lines;
mod pysim;
mod store;

use std::collections::BTreeMap;
use std::io;

use airwrite::card::{Owner, Profile};
use airwrite::gateway::import::{CardFile, CardFileError, ColumnKeys, Findings, ImportTerms, read_cards};
use airwrite::identity::EidChecksum;
use airwrite::ota::Algorithm;

pub(crate) const PROFILE: &str = include_str!("../../config/profiles/airwrite-applet.toml");
pub(crate) const EID: &str = "89034011560010000000000000000121";
pub(crate) const OTHER_EID: &str = "89001012012341234012345678901224";
pub(crate) const KEY: &str = "000102030405060708090A0B0C0D0E0F";

pub(crate) fn owner() -> Owner {
    "default".parse().unwrap()
}

pub(crate) fn profiles(text: &str) -> BTreeMap<String, Profile> {
    let profile = Profile::from_toml(text).unwrap();
    BTreeMap::from([(profile.name.clone(), profile)])
}

/// What is said of a file as a whole.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    /// Whether the only profile is that of all cards.
    pub(crate) profile: bool,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) preset: bool,
    pub(crate) ignored: &'a [&'a str],
    pub(crate) column_keys: &'a str,
}

/// Reads a file where `profile` is the only one.
pub(crate) fn read_as(file: impl io::Read, profile: &str, said: Said<'_>) -> Result<CardFile, Findings> {
    let (profiles, owner) = (profiles(profile), owner());
    let ignored: Vec<_> = said.ignored.iter().map(ToString::to_string).collect();
    let column_keys = ColumnKeys::parse(said.column_keys).unwrap();
    let terms = ImportTerms {
        profile: profiles.values().next().filter(|_| said.profile),
        algorithm: said.algorithm,
        preset: said.preset,
        ignored: &ignored,
        column_keys: Some(&column_keys).filter(|_| !said.column_keys.is_empty()),
        ..ImportTerms::new(&profiles, &owner, EidChecksum::Reject)
    };
    contents(read_cards(file, &terms))
}

pub(crate) fn read_with(text: &str, profile: &str, eid_checksum: EidChecksum) -> Result<CardFile, Findings> {
    contents(read_cards(text.as_bytes(), &ImportTerms::new(&profiles(profile), &owner(), eid_checksum)))
}

fn contents(read: Result<CardFile, CardFileError>) -> Result<CardFile, Findings> {
    read.map_err(|error| match error {
        CardFileError::Contents(findings) => findings,
        CardFileError::Io(error) => panic!("{error}"),
    })
}

pub(crate) fn read(text: &str) -> Result<CardFile, Findings> {
    read_with(text, PROFILE, EidChecksum::Reject)
}

/// A file with the usual columns and this line.
pub(crate) fn line(values: &str) -> String {
    format!("EID,ICCID,IMSI,MSISDN,PRESET,PROFILE,ALG,KIC1,KID1,CNTR_FLOOR\n{values}\n")
}

pub(crate) fn errors(text: &str) -> Vec<String> {
    read(text).unwrap_err().shown.iter().map(ToString::to_string).collect()
}
