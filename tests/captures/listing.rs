//! A dialogue as text, a line for each PDU.

use std::fmt::Write as _;

use airwrite::pcap::{Capture, Dialogue, DialoguePdu, Side, StreamEnd};
use airwrite::smpp::{Address, Body, Pdu, Sm, Tlvs};

/// Octets of a message that are shown.
const SHOWN: usize = 16;

/// Every PDU of a capture.
pub(crate) fn listing(capture: &Capture) -> String {
    let first_ns = capture.dialogues.iter().flat_map(|dialogue| &dialogue.pdus).map(|pdu| pdu.time_ns).min();
    let mut text = String::new();
    for (number, dialogue) in (1..).zip(&capture.dialogues) {
        writeln!(text, "connection {number}: {} to {}", dialogue.client, dialogue.server).unwrap();
        for pdu in &dialogue.pdus {
            writeln!(text, "{}", line(pdu, first_ns.unwrap_or_default()).trim_end()).unwrap();
        }
        writeln!(text, "{}", end(dialogue)).unwrap();
    }
    text
}

fn line(seen: &DialoguePdu, first_ns: u64) -> String {
    let DialoguePdu { from, time_ns, pdu, .. } = seen;
    let Pdu { status, sequence, body } = pdu;
    let from = match from {
        Side::Client => "client",
        Side::Server => "server",
    };
    let seconds = (time_ns - first_ns) as f64 / 1e9;
    let status = if status.is_ok() { String::new() } else { format!("{status} ") };
    let command = body.command_id().to_string();
    format!("{seconds:>10.6}  {from}  {command:<22} {sequence:>4}  {status}{}", fields(body))
}

fn fields(body: &Body) -> String {
    match body {
        Body::Bind(bind) => {
            let of =
                |name: &str, text: String| if text.is_empty() { text } else { format!(" {name} {text}") };
            let kind = of("system_type", bind.system_type.to_string());
            let range = of("address_range", bind.address_range.to_string());
            let password = bind.password.as_bytes().escape_ascii();
            let tlvs = tlvs(&bind.tlvs);
            let version = bind.interface_version.0;
            format!(
                "system_id {} password {password}{kind} version {version:02X}{range}{tlvs}",
                bind.system_id
            )
        }
        Body::BindResp(resp) => format!("system_id {}{}", resp.system_id, tlvs(&resp.tlvs)),
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => message(sm),
        Body::Outbind(outbind) => {
            format!("system_id {} password {}", outbind.system_id, outbind.password.as_bytes().escape_ascii())
        }
        Body::DataSm(sm) => format!(
            "{} to {} esm_class {:02X} data_coding {:02X} registered_delivery {:02X}{}",
            sm.source.digits,
            sm.destination.digits,
            sm.esm_class.0,
            sm.data_coding.0,
            sm.registered_delivery.0,
            tlvs(&sm.tlvs)
        ),
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => {
            let id = if resp.message_id.is_empty() {
                String::new()
            } else {
                format!("message_id {}", resp.message_id)
            };
            format!("{id}{}", tlvs(&resp.tlvs))
        }
        Body::QuerySm(query) => format!("message_id {} from {}", query.message_id, query.source.digits),
        Body::QuerySmResp(resp) => format!("message_id {} state {}", resp.message_id, resp.message_state.0),
        Body::CancelSm(cancel) => format!("message_id {} from {}", cancel.message_id, cancel.source.digits),
        Body::AlertNotification(alert) => format!("source {}{}", alert.source.digits, tlvs(&alert.tlvs)),
        Body::Malformed(_, error) => format!("malformed: {error}"),
        _ => String::new(),
    }
}

fn message(sm: &Sm) -> String {
    let address = |address: &Address| format!("{} ({}/{})", address.digits, address.ton, address.npi);
    let text = sm.short_message.as_bytes();
    let shown = text.get(..SHOWN).unwrap_or(text);
    let printable = shown.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
    let shown =
        if printable { format!("{:?}", shown.escape_ascii().to_string()) } else { hex::encode(shown) };
    let more = if text.len() > SHOWN { "…" } else { "" };
    format!(
        "{} to {} esm_class {:02X} protocol_id {:02X} data_coding {:02X} registered_delivery {:02X} sm_length {} {shown}{more}{}",
        address(&sm.source),
        address(&sm.destination),
        sm.esm_class.0,
        sm.protocol_id,
        sm.data_coding.0,
        sm.registered_delivery.0,
        text.len(),
        tlvs(&sm.tlvs)
    )
}

fn tlvs(tlvs: &Tlvs) -> String {
    tlvs.iter().map(|tlv| format!(" {:04X}={}", tlv.tag, hex::encode(tlv.value))).collect()
}

fn end(dialogue: &Dialogue) -> String {
    let of = |side| {
        let end = match dialogue.stream(side).end {
            StreamEnd::Open => "open",
            StreamEnd::Finished => "finished",
            StreamEnd::Reset => "reset",
        };
        let unframed = dialogue.unframed(side);
        if unframed == 0 { end.to_owned() } else { format!("{end}, {unframed} octets beside PDUs") }
    };
    format!("client {}; server {}", of(Side::Client), of(Side::Server))
}
