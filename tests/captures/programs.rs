//! Captures as people make them: by `airwrite smsc --capture`, and by `[link.capture]` of `airwrite serve`.

use std::fs;
use std::path::Path;

use airwrite::pcap::{self, Dialogue, Side};

use crate::cli_place::{Place, ROOT};

fn only(path: &Path) -> Dialogue {
    let capture = pcap::read(&fs::read(path).unwrap()).unwrap();
    let [dialogue] = <[_; 1]>::try_from(capture.dialogues).unwrap();
    dialogue
}

/// Adds a link to this SMSC, recorded in this directory.
fn link_to(place: &Place, address: &str, directory: &str) {
    let mut config = fs::read_to_string(place.path("airwrite.toml")).unwrap();
    config.push_str(&format!(
        "[[link]]\nname = \"north\"\naddress = \"{address}\"\nsystem_id = \"airwrite\"\npassword = \"secret\"\n\
         [link.capture]\ndirectory = \"{directory}\"\nfiles = 2\n"
    ));
    fs::write(place.path("airwrite.toml"), config).unwrap();
}

#[test]
fn both_ends_of_a_link_record_the_same() {
    let place = Place::with_key();
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let arguments = [
        "smsc",
        "--listen",
        "127.0.0.1:0",
        "--quiet",
        "--capture",
        "smsc.pcapng",
        "--cards",
        cards.to_str().unwrap(),
    ];
    let smsc = place.start(&arguments, "SMSC on ");
    let address = smsc.line("SMSC on ").split(' ').nth(2).unwrap().trim_end_matches(':').to_owned();
    fs::create_dir(place.path("seen")).unwrap();
    link_to(&place, &address, "seen");
    let serving = place.start(&["serve", "--config", "airwrite.toml"], "bound");
    assert_eq!(serving.end("-TERM"), 0);
    assert_eq!(smsc.end("-TERM"), 0);

    let (ours, theirs) = (only(&place.path("seen/north-00000001.pcapng")), only(&place.path("smsc.pcapng")));
    assert_eq!(ours.server, address.parse().unwrap());
    assert_eq!((ours.client, ours.server), (theirs.client, theirs.server));
    assert!(ours.pdus.len() >= 4, "bind and unbind, each answered");
    for side in [Side::Client, Side::Server] {
        assert_eq!(ours.stream(side).octets, theirs.stream(side).octets);
    }
}

#[test]
fn a_capture_that_cannot_be_written_is_refused() {
    let place = Place::with_key();
    link_to(&place, "127.0.0.1:1", "absent");
    let serve = place.configured(&["serve"]);
    let expected = format!("error: capture {}: No such file", Path::new("absent").display());
    assert_eq!((serve.code, serve.stderr.contains(&expected)), (1, true), "{}", serve.stderr);
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let arguments =
        ["smsc", "--listen", "127.0.0.1:0", "--capture", "absent/file", "--cards", cards.to_str().unwrap()];
    let smsc = place.run(&arguments);
    assert_eq!(smsc.code, 1);
    assert!(smsc.stderr.starts_with("error: capture absent/file: No such file"), "{}", smsc.stderr);
}
