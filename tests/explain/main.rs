//! What is explained: trees of any octets, the vectors of other implementations, captures, and the command.

#[path = "../cli_place/mod.rs"]
mod cli_place;
mod command;
mod management;
mod trees;
mod tshark;
mod vectors;

use std::fs;
use std::path::PathBuf;

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The vectors of other implementations.
fn vectors() -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file("tests/data/ota-vectors.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}
