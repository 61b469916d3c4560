//! What tshark (Wireshark on the command line) makes of the captures in `pcaps/`, against what `airwrite explain --json`
//! prints: the PDUs, their sequence numbers, addresses and texts. Runs where `AIRWRITE_TSHARK` names the program.

use std::collections::BTreeMap;
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
        let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut ours: BTreeMap<String, [Vec<String>; 5]> = BTreeMap::new();
        // The first line says what the capture holds.
        for event in lines.skip(1) {
            let packet = ours.entry(event["packet"].to_string()).or_default();
            for (values, value) in packet.iter_mut().zip(row(&event)) {
                values.extend(Some(value).filter(|value| !value.is_empty()));
            }
        }
        let mut command = Command::new(&tshark);
        command.args(["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-Y", "smpp"]);
        command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
        let output = command.arg("-r").arg(&capture).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = String::from_utf8(output.stdout).unwrap();
        let theirs: BTreeMap<_, _> = output.lines().map(rows).collect();
        assert_eq!(ours, theirs, "{name}");
        let pdus: usize = ours.values().map(|[commands, ..]| commands.len()).sum();
        println!("{name}: {pdus} PDUs as tshark has them");
        assert!(pdus > 0);
    }
}

/// The packet of a line of tshark, and what its PDUs say, field by field.
fn rows(line: &str) -> (String, [Vec<String>; 5]) {
    let mut fields = line.split('\t').map(|field| {
        let values = field.split('|').filter(|value| !value.is_empty());
        values.map(|value| value.to_ascii_lowercase().replace(':', "")).collect::<Vec<_>>()
    });
    let packet = fields.next().unwrap().remove(0);
    (packet, std::array::from_fn(|_| fields.next().unwrap_or_default()))
}

/// The same fields of a PDU that is explained.
fn row(event: &Value) -> [String; 5] {
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
        format!("0x{}", digits("command_id").unwrap()),
        event["sequence"].to_string(),
        text("source"),
        text("destination"),
        digits("short_message").unwrap_or_default(),
    ]
}
