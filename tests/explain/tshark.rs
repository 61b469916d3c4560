//! What tshark (Wireshark on the command line) makes of the captures in `pcaps/`, against what `airwrite explain --json`
//! prints: the PDUs, their sequence numbers, addresses and texts. Runs where `AIRWRITE_TSHARK` names the program.

use std::process::Command;

use serde_json::Value;

use crate::cli_place::Place;
use crate::file;

const FIELDS: [&str; 6] = [
    "frame.number",
    "smpp.command_id",
    "smpp.sequence_number",
    "smpp.source_addr",
    "smpp.destination_addr",
    "smpp.message",
];

#[test]
fn tshark_sees_the_pdus_that_are_explained() {
    let Some(tshark) = std::env::var_os("AIRWRITE_TSHARK") else {
        eprintln!("!! SKIPPED: tshark against what is explained, because AIRWRITE_TSHARK names no tshark");
        return;
    };
    let place = Place::new();
    for name in ["write-card", "kannel", "npm-smpp", "smpp34"] {
        let capture = file(&format!("pcaps/{name}.pcapng"));
        let ran = place.run(&["explain", "--json", capture.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let explained: Value = serde_json::from_str(&ran.stdout).unwrap();
        let mut ours: Vec<_> = explained["pdus"].as_array().unwrap().iter().map(row).collect();
        let mut command = Command::new(&tshark);
        command.args(["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-Y", "smpp"]);
        command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
        let output = command.arg("-r").arg(&capture).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = String::from_utf8(output.stdout).unwrap();
        let mut theirs: Vec<_> = output.lines().flat_map(rows).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{name}");
        println!("{name}: {} PDUs as tshark has them", ours.len());
        assert!(!ours.is_empty());
    }
}

/// Packet, command_id and sequence_number of each PDU in a line of tshark; of a packet with one PDU also addresses and text.
fn rows(line: &str) -> Vec<[String; 6]> {
    let fields: Vec<Vec<&str>> = line.split('\t').map(|field| field.split('|').collect()).collect();
    let pdus = fields[1].len();
    let of =
        |field: usize, pdu: usize| fields[field].get(pdu).copied().unwrap_or_default().to_ascii_lowercase();
    let row = |pdu| {
        let mut row =
            [fields[0][0].to_owned(), of(1, pdu), of(2, pdu), String::new(), String::new(), String::new()];
        if pdus == 1 {
            (row[3], row[4], row[5]) = (of(3, 0), of(4, 0), of(5, 0).replace(':', ""));
        }
        row
    };
    (0..pdus).map(row).collect()
}

/// The same of a PDU that is explained.
fn row(event: &Value) -> [String; 6] {
    let tree = &event["tree"];
    let octets = tree["octets"].as_str().unwrap();
    let children = tree["children"].as_array().unwrap();
    let digits = |name: &str| {
        let field = children.iter().find(|field| field["name"] == name)?;
        let [from, to] = [0, 1].map(|end| usize::try_from(field["range"][end].as_u64().unwrap()).unwrap());
        Some(octets[2 * from..2 * to].to_ascii_lowercase())
    };
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    [
        event["packet"].to_string(),
        format!("0x{}", digits("command_id").unwrap()),
        event["sequence"].to_string(),
        text("source"),
        text("destination"),
        digits("short_message").unwrap_or_default(),
    ]
}
