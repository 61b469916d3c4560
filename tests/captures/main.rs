//! Captures: recorded and read back, read from any shape of file, and those in `pcaps/` with their pages.

#[path = "../cli_place/mod.rs"]
mod cli_place;
mod listing;
mod pages;
mod programs;
mod reading;
mod recording;
mod replay;
mod tshark;

use std::fs;
use std::path::{Path, PathBuf};

use airwrite::pcap::{self, Capture};

/// The captures in `pcaps/`, by name.
fn captures() -> Vec<(String, Capture)> {
    let named = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, pcap::read(&fs::read(path).unwrap()).unwrap())
    };
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")).into_iter().map(named).collect()
}

/// The captures in a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "pcapng")).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", directory.display());
    files
}

/// A PDU as octets.
fn pdu(command_id: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &command_id.to_be_bytes(), &[0; 4], &sequence.to_be_bytes(), body].concat()
}
