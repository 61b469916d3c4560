//! What tshark (Wireshark on the command line) makes of the captures in `pcaps/`, and in the directory that
//! `AIRWRITE_CAPTURES` names, against what we make of them. Runs where `AIRWRITE_TSHARK` names the program:
//! `AIRWRITE_TSHARK=tshark cargo test --test captures tshark -- --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use airwrite::pcap::{self, DialoguePdu};
use airwrite::smpp::{Address, Body, Sm, Tlvs};
use serde_json::Value;

use crate::files;

#[test]
fn tshark_reads_every_capture_as_we_do() {
    let Some(tshark) = std::env::var_os("AIRWRITE_TSHARK") else {
        eprintln!(
            "!! SKIPPED: tshark against our reading of pcaps/, because AIRWRITE_TSHARK names no tshark"
        );
        return;
    };
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let others = std::env::var_os("AIRWRITE_CAPTURES").map(PathBuf::from);
    for path in [Some(pcaps), others].iter().flatten().flat_map(|directory| files(directory)) {
        let name = path.file_stem().unwrap().display();
        let capture = pcap::read(&fs::read(&path).unwrap()).unwrap();
        let output = Command::new(&tshark)
            .args(["-T", "json", "--no-duplicate-keys", "-Y", "smpp", "-r"])
            .arg(&path)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", tshark.display()));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let packets: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let mut theirs: BTreeMap<usize, Vec<&Value>> = BTreeMap::new();
        for packet in &packets {
            let layers = &packet["_source"]["layers"];
            let number = layers["frame"]["frame.number"].as_str().unwrap().parse().unwrap();
            theirs.insert(number, several(&layers["smpp"]));
        }
        let (mut pdus, mut fields) = (0, 0);
        for seen in capture.dialogues.iter().flat_map(|dialogue| &dialogue.pdus) {
            // What is odd, each takes in its own way.
            if matches!(seen.pdu.body, Body::Malformed(..) | Body::Unknown(_)) {
                continue;
            }
            let sequence = seen.pdu.sequence.to_string();
            let command = format!("{:#010x}", seen.pdu.body.command_id().0);
            let same = |pdu: &&&Value| {
                pdu["smpp.sequence_number"] == *sequence && pdu["smpp.command_id"] == *command
            };
            let of_packet = theirs.get(&seen.packet).map(Vec::as_slice).unwrap_or_default();
            let their = of_packet.iter().find(same);
            let their = their.unwrap_or_else(|| {
                panic!("{name}: tshark has no {command} {sequence} in packet {}", seen.packet)
            });
            for (field, our) in ours(seen) {
                let their: Vec<_> = several(&their[&field]).into_iter().filter_map(Value::as_str).collect();
                let lower = their.iter().map(|their| their.to_ascii_lowercase()).collect::<Vec<_>>();
                assert_eq!(lower, [our.to_ascii_lowercase()], "{name}: {field} in packet {}", seen.packet);
                fields += 1;
            }
            let parameters = several(&their["smpp.opt_params"]["smpp.opt_param"]);
            let their = parameters.iter().map(|tlv| (text(tlv, "opt_param_tag"), text(tlv, "opt_param_len")));
            let our = tlvs(&seen.pdu.body).into_iter().flat_map(Tlvs::iter);
            let our: Vec<_> =
                our.map(|tlv| (format!("{:#06x}", tlv.tag), tlv.value.len().to_string())).collect();
            assert_eq!(
                their.collect::<Vec<_>>(),
                our,
                "{name}: optional parameters in packet {}",
                seen.packet
            );
            fields += our.len();
            pdus += 1;
        }
        println!("{name}: {pdus} PDUs and {fields} fields as tshark has them");
        assert!(pdus > 0, "{name}");
    }
}

/// The one value, or those of the list.
fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// The fields of a PDU as tshark writes them.
fn ours(seen: &DialoguePdu) -> Vec<(String, String)> {
    let mut fields = vec![("command_length", seen.octets.len().to_string())];
    if seen.pdu.body.command_id().is_response() {
        fields.push(("command_status", format!("{:#010x}", seen.pdu.status.0)));
    }
    match &seen.pdu.body {
        Body::Bind(bind) => {
            fields.push(("system_id", bind.system_id.to_string()));
            fields.push(("password", String::from_utf8_lossy(bind.password.as_bytes()).into_owned()));
            fields.push(("interface_version", bind.interface_version.0.to_string()));
        }
        Body::BindResp(resp) if !resp.system_id.is_empty() => {
            fields.push(("system_id", resp.system_id.to_string()));
        }
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => message(&mut fields, sm),
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) if !resp.message_id.is_empty() => {
            fields.push(("message_id", resp.message_id.to_string()));
        }
        _ => {}
    }
    fields.into_iter().map(|(field, value)| (format!("smpp.{field}"), value)).collect()
}

fn message(fields: &mut Vec<(&str, String)>, sm: &Sm) {
    let octet = |value: u8| format!("{value:#04x}");
    let mut address = |names: [&'static str; 3], address: &Address| {
        fields.push((names[0], octet(address.ton)));
        fields.push((names[1], octet(address.npi)));
        if !address.digits.is_empty() {
            fields.push((names[2], address.digits.to_string()));
        }
    };
    address(["source_addr_ton", "source_addr_npi", "source_addr"], &sm.source);
    address(["dest_addr_ton", "dest_addr_npi", "destination_addr"], &sm.destination);
    // Mode, type and features are bits 0 and 1, 2 to 5, and 6 and 7.
    fields.push(("esm.submit.msg_mode", octet(sm.esm_class.0 & 0x03)));
    fields.push(("esm.submit.msg_type", octet(sm.esm_class.0 >> 2 & 0x0F)));
    fields.push(("esm.submit.features", octet(sm.esm_class.0 >> 6)));
    fields.push(("protocol_id", octet(sm.protocol_id)));
    fields.push(("priority_flag", octet(sm.priority_flag)));
    fields.push(("replace_if_present_flag", octet(sm.replace_if_present_flag)));
    fields.push(("regdel.receipt", octet(sm.registered_delivery.0 & 0x03)));
    fields.push(("data_coding", octet(sm.data_coding.0)));
    fields.push(("sm_length", sm.short_message.as_bytes().len().to_string()));
    if !sm.short_message.as_bytes().is_empty() {
        fields.push(("message", with_colons(sm.short_message.as_bytes())));
    }
}

fn tlvs(body: &Body) -> Option<&Tlvs> {
    match body {
        Body::Bind(bind) => Some(&bind.tlvs),
        Body::BindResp(resp) => Some(&resp.tlvs),
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => Some(&sm.tlvs),
        Body::DataSm(sm) => Some(&sm.tlvs),
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => Some(&resp.tlvs),
        _ => None,
    }
}

fn text(value: &Value, field: &str) -> String {
    value[format!("smpp.{field}")].as_str().unwrap_or_default().to_ascii_lowercase()
}

fn with_colons(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}
