//! Rooms use only rooms that stand lower: checked by reading the `crate::` paths of every source file.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, the highest first. A room uses rooms of lower floors only, and itself.
const FLOORS: [&[&str]; 14] = [
    &["main", "cli"],
    &["config"],
    &["api"],
    &["sim"],
    &["gateway"],
    &["explain"],
    &["pcap"],
    &["link", "store", "vault"],
    &["card"],
    &["applet"],
    &["ota"],
    &["smpp"],
    &["identity"],
    &["world"],
];

/// Libraries that enter the code in one room only.
const ONE_DOOR: [(&str, &[&str]); 11] = [
    ("sled", &["store"]),
    ("tokio_rustls", &["link", "sim"]),
    ("rasn", &["applet"]),
    ("axum", &["api", "cli"]),
    ("prost", &["store", "vault"]),
    ("clap", &["cli", "main"]),
    ("chacha20poly1305", &["vault"]),
    ("prometheus_client", &["link", "gateway", "api"]),
    ("anyhow", &["cli", "main"]),
    ("pcap_file", &["pcap"]),
    ("etherparse", &["pcap"]),
];

struct Source {
    room: String,
    path: PathBuf,
    text: String,
}

#[test]
fn rooms_use_only_rooms_below_them() {
    let mut wrong = Vec::new();
    for Source { room, path, text } in sources() {
        let floor =
            floor_of(&room).unwrap_or_else(|| panic!("{}: room {room} is on no floor", path.display()));
        for used in text.split("crate::").skip(1).flat_map(rooms_in) {
            let Some(used_floor) = floor_of(&used) else { continue };
            if used != room && used_floor <= floor {
                wrong.push(format!("{}: {room} uses {used}", path.display()));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_come_in_by_one_door() {
    let mut wrong = Vec::new();
    for Source { room, path, text } in sources() {
        for (library, rooms) in ONE_DOOR {
            let used = text.contains(&format!("use {library}::")) || text.contains(&format!(" {library}::"));
            if used && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{}: {room} uses {library}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_on_a_floor() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rooms: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(rooms.len(), 16, "{rooms:?}");
    for room in rooms {
        assert!(floor_of(room).is_some(), "{room}");
    }
}

/// The rooms that a path names, where `after` follows `crate::`: one, or those of a list in braces.
fn rooms_in(after: &str) -> Vec<String> {
    let name =
        |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    match after.strip_prefix('{').and_then(|list| list.split_once("};")) {
        Some((list, _)) => list.split(',').map(|item| name(item.trim())).collect(),
        None => vec![name(after)],
    }
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root().join("src")).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                if room != "lib" {
                    let text = code_of(&fs::read_to_string(&path).unwrap());
                    found.push(Source { room, path: inside.to_owned(), text });
                }
            }
        }
    }
    assert!(found.len() > 50, "the sources are found");
    found
}

/// The text without comments.
fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
