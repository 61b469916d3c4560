//! Messages of the card-writing applet, data object by data object (`airwrite.asn1`).

use super::node::{Node, Span, octets};
use super::tlv::{self, Tlv};
use super::words::hex;
use crate::applet::{Message, detail};
use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};

/// The name of an applet message's node.
pub(super) const MESSAGE: &str = "applet message";

/// Whether octets begin as an applet message does: an application tag of its kinds, a length that fits, then the version.
pub(super) fn begins(octets: &[u8]) -> bool {
    matches!(octets, [0x61..=0x67, ..])
        && tlv::split(Span::whole(octets)).is_ok_and(|(message, behind)| {
            behind.is_empty() && matches!(message.value.octets, [0x80, 0x01, ..])
        })
}

/// Explains a message; the words say it in a line.
pub(super) fn explain(span: Span<'_>) -> (Node, String) {
    let node = Node::of(MESSAGE, span).clause("airwrite.asn1");
    let read = Message::from_der(span.octets);
    let words = match &read {
        Ok(message) => in_words(message),
        Err(_) => format!("{}, malformed", kind(span.first().unwrap_or_default())),
    };
    let node = match tlv::split(span) {
        Ok((message, behind)) => {
            let node = node.value(kind(message.tag)).children(tlv::all(message.value, field));
            if behind.is_empty() { node } else { node.child(Node::of("more octets", behind)) }
        }
        Err(problem) => node.problem(problem),
    };
    (node.checked(&read), words)
}

fn kind(tag: u8) -> &'static str {
    match tag {
        0x61 => "BindingRequest",
        0x62 => "BindingResponse",
        0x63 => "WriteCard",
        0x64 => "WriteResult",
        0x65 => "ResultAck",
        0x66 => "Poll",
        0x67 => "PollAnswer",
        _ => "no message of any kind",
    }
}

/// A tag means the same field in every message.
fn field(Tlv { tag, whole, value }: Tlv<'_>) -> Node {
    let value_octets = value.octets;
    let node = |name: &'static str| Node::of(name, whole);
    match (tag, value_octets) {
        (0x80, _) => node("ver").value(number(value_octets)),
        (0x81, _) => node("tid").value(number(value_octets)),
        (0x82, _) => identity(node("imei"), Imei::from_mobile_identity(value_octets)),
        (0x83, _) => match value_octets.try_into().map(Eid::from_octets) {
            Ok(eid) => identity(node("eid"), eid),
            Err(_) => node("eid").problem(format!("expected 16 octets, found {}", value.len())),
        },
        (0x84, _) => identity(node("imsi"), Imsi::from_ef(value_octets)),
        (0x85, _) => identity(node("iccid"), Iccid::from_octets(value_octets)),
        (0x86, _) => identity(node("msisdn"), Msisdn::from_bcd(value_octets)),
        (0x87, _) => identity(node("smsc"), Msisdn::from_bcd(value_octets)),
        (0x88, _) => named(node("trigger"), value_octets, &["boot", "imeiChanged", "retry", "polled"]),
        (0x89, _) => node("appVersion").value(number(value_octets)),
        (0x8A, _) => named(node("result"), value_octets, &["saved", "held", "rejected"]),
        (0x8B, [4]) => node("refresh").value("UICC reset").clause("TS 102 223 §8.6"),
        (0x8B, [5]) => node("refresh").value("NAA application reset").clause("TS 102 223 §8.6"),
        (0x8C, _) => flag(node("rollback"), value_octets),
        (0xAD, _) => node("bindingAck").children(tlv::all(value, field)),
        // Keys of the target, wrapped for the card.
        (0x8E, _) => node("keyBlock").value(format!("[{}]", octets(value.len()))).hide(),
        (0x8F, _) => named(node("status"), value_octets, &["accepted", "confirmed", "rolledBack", "refused"]),
        (0x90, [reason]) => node("detail").value(detail::words(*reason)),
        (0x91, _) => node("mtCounter").value(number(value_octets)),
        (0x92, _) => named(node("what"), value_octets, &["state"]),
        (0x93, _) => flag(node("bindingFlag"), value_octets),
        (0x94, _) => node("lastTid").value(number(value_octets)),
        (0x95, _) => named(
            node("lastState"),
            value_octets,
            &["none", "accepted", "confirmed", "rolledBack", "refused"],
        ),
        (0x96, _) => node("moCounter").value(number(value_octets)),
        (0xBE, _) => node("ext").value(format!("extensions, {}", octets(value.len()))).unknown(),
        _ => Node::of(format!("data object {tag:02X}"), whole).value(hex(value_octets)).unknown(),
    }
}

fn identity<T: std::fmt::Display>(node: Node, read: Result<T, crate::identity::IdentityError>) -> Node {
    match read {
        Ok(identity) => node.value(identity.to_string()),
        Err(error) => node.problem(error.to_string()),
    }
}

fn number(octets: &[u8]) -> String {
    match octets.len() {
        0..=8 => octets.iter().fold(0, |number: u64, octet| number << 8 | u64::from(*octet)).to_string(),
        _ => hex(octets),
    }
}

fn named(node: Node, octets: &[u8], names: &[&str]) -> Node {
    let name = match octets {
        [value] => names.get(usize::from(*value)),
        _ => None,
    };
    match name {
        Some(name) => node.value(*name),
        None => node.value(hex(octets)).problem("no value of this enumeration"),
    }
}

fn flag(node: Node, octets: &[u8]) -> Node {
    node.value(match octets {
        [0] => "FALSE",
        _ => "TRUE",
    })
}

/// A message in a line.
fn in_words(message: &Message) -> String {
    let none = || "none".to_owned();
    match message {
        Message::BindingRequest(request) => format!(
            "binding: IMEI {} has EID {}, IMSI {}",
            request.imei,
            request.eid,
            request.imsi.map_or_else(none, |imsi| imsi.to_string())
        ),
        Message::BindingResponse(response) => {
            format!("binding {}: {:?}", response.tid, response.result).to_lowercase()
        }
        Message::WriteCard(write) => {
            format!("write {}: IMSI {}, MSISDN {} for EID {}", write.tid, write.imsi, write.msisdn, write.eid)
        }
        Message::WriteResult(result) => {
            let status = format!("{:?}", result.status).to_lowercase();
            let reason = match result.detail {
                detail::NONE => String::new(),
                reason => format!(", {}", detail::words(reason)),
            };
            let imsi = result.imsi.map_or_else(none, |imsi| imsi.to_string());
            format!("write {} {status}{reason}, IMSI {imsi}", result.tid)
        }
        Message::ResultAck(ack) => {
            format!("result of write {} acknowledged: {:?}", ack.tid, ack.status).to_lowercase()
        }
        Message::Poll(poll) => format!("poll {}", poll.tid),
        Message::PollAnswer(answer) => format!(
            "poll {} answered: write {} {}, IMSI {}, IMEI {}",
            answer.tid,
            answer.last_tid,
            format!("{:?}", answer.last_state).to_lowercase(),
            answer.imsi.map_or_else(none, |imsi| imsi.to_string()),
            answer.imei
        ),
    }
}

/// A device's IMEI as an applet sends it without any message around: 8 octets (TS 24.008 §10.5.1.4).
pub(super) fn raw_imei(span: Span<'_>) -> Option<(Node, String)> {
    let imei = Imei::from_mobile_identity(span.octets).ok().filter(|_| span.len() == 8)?;
    let node = Node::of("IMEI", span).value(imei.to_string()).clause("TS 24.008 §10.5.1.4");
    Some((node, format!("binding: IMEI {imei} has the card of this number")))
}
