//! The demonstration, small: every kind of card, over real TCP and a durable store.

mod cli_place;

use std::fs;

use airwrite::pcap;
use airwrite::smpp::CommandId;
use cli_place::Place;

#[test]
fn every_kind_of_card_is_opened_and_proves_it() {
    let place = Place::new();
    let demo =
        ["demo", "--cards", "6", "--on-site", "4", "--plain", "4", "--json", "--capture", "demo.pcapng"];
    let demo = place.run(&demo);
    let verdict = demo.json();
    assert_eq!((demo.code, verdict["effective"].as_u64()), (0, Some(14)), "{verdict}");
    let kinds: Vec<_> =
        verdict["kinds"].as_array().unwrap().iter().map(|kind| (&kind[1], &kind[2])).collect();
    assert_eq!(serde_json::json!(kinds), serde_json::json!([[6, 6], [4, 4], [2, 2], [2, 2]]));
    // What gateway and SMSC have said, each deliver_sm and submit_sm with its answer.
    let capture = pcap::read(&fs::read(place.path("demo.pcapng")).unwrap()).unwrap();
    let commands = || capture.dialogues.iter().flat_map(|d| &d.pdus).map(|seen| seen.pdu.body.command_id());
    let count = |command| commands().filter(|found| *found == command).count();
    for request in [CommandId::DELIVER_SM, CommandId::SUBMIT_SM, CommandId::UNBIND] {
        assert!(count(request) > 0);
        assert_eq!(count(request), count(request.response()));
    }
}

#[test]
fn cards_without_an_applet_are_written_file_by_file() {
    let place = Place::new();
    let demo = place.run(&["demo", "--method", "rfm", "--cards", "6", "--json"]);
    let verdict = demo.json();
    let counts = ["cards", "bound", "effective", "cards_agree"].map(|name| verdict[name].as_u64());
    assert_eq!((demo.code, counts), (0, [Some(6); 4]), "{verdict}");
    assert_eq!(verdict["kinds"], serde_json::json!([["  by remote file management", 6, 6]]));
}
