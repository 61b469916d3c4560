//! C-APDUs and R-APDUs, with what ENVELOPE, FETCH and their like carry (TS 102 221 §10, §11; TS 102 223 §6 to §9).

use super::context::Context;
use super::file::{self, File};
use super::node::{Fields, Node, Span, octets};
use super::tlv::{self, Tlv};
use super::words::hex;
use super::{tpdu, user_data};
use crate::ota::apdu::{StatusWord, instruction};
use crate::ota::comprehension_tlv::{command, tag, template};

/// AUTHENTICATE, whose response holds keys.
const AUTHENTICATE: u8 = 0x88;
const UNKNOWN: &str = "unknown instruction";

/// Explains a C-APDU.
pub(super) fn command(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let mut fields = Fields::new(span);
    let _ = command_fields(&mut fields, context);
    Node::of("C-APDU", span).value(name(span.octets)).clause("TS 102 221 §10.1").children(fields.finish())
}

fn command_fields(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<()> {
    let name = name(fields.rest().octets);
    fields.fixed("CLA", |[cla], node| node.value(class(cla)).clause("TS 102 221 §10.1.1"))?;
    let [ins] = fields.fixed("INS", |[_], node| node.value(name).clause("TS 102 221 §10.1.2"))?;
    // GET RESPONSE fetches what AUTHENTICATE came to.
    if (ins, context.instruction) != (instruction::GET_RESPONSE, Some(AUTHENTICATE)) {
        context.instruction = Some(ins);
    }
    let [p1, p2] = fields.fixed("P1 P2", |p1p2, node| match parameters(ins, p1p2) {
        Some(words) => node.value(words),
        None => node,
    })?;
    if let Some(short_id) = short_id(ins, [p1, p2]) {
        context.file = context.file.select_short(short_id);
    }
    let rest = fields.rest();
    let len = match rest.octets {
        [] => return Some(()),
        [_] => {
            fields.fixed("Le", |[le], node| {
                let expected = if le == 0 { 256 } else { usize::from(le) };
                node.value(format!("up to {} expected", octets(expected)))
            })?;
            return Some(());
        }
        [len, ..] => usize::from(*len),
    };
    fields.fixed("Lc", |[lc], node| node.value(octets(lc.into())))?;
    let found = fields.rest().len();
    if found < len {
        let problem = format!("Lc says {}, found {found}", octets(len));
        fields.all("data", |span, node| data(ins, p1 == 0x04, span, node, context).problem(problem));
        return None;
    }
    if len > 0 {
        fields.take("data", len, |span, node| data(ins, p1 == 0x04, span, node, context))?;
    }
    if !fields.rest().is_empty() {
        fields.fixed("Le", |[le], node| {
            let expected = if le == 0 { 256 } else { usize::from(le) };
            node.value(format!("up to {} expected", octets(expected)))
        })?;
    }
    Some(())
}

/// Explains an R-APDU.
pub(super) fn response(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let mut fields = Fields::new(span);
    let data_len = span.len().saturating_sub(2);
    let instruction = context.instruction.take();
    if data_len > 0 {
        fields.take("data", data_len, |span, node| match span.octets {
            _ if matches!(instruction, Some(instruction::READ_BINARY | instruction::READ_RECORD)) => {
                file::contents(context.file, span, node)
            }
            // RES, CK and IK.
            _ if instruction == Some(AUTHENTICATE) => node.hide(),
            [0xDB, ..] => node.hide(),
            // A response packet as the user data of an SMS-DELIVER-REPORT.
            [_, 0x71, 0x00, ..] => node.children(user_data::with_header(span, context)),
            [template::PROACTIVE_COMMAND, ..] => node.child(self::template(span, context)),
            _ => node,
        });
    }
    let sw = fields.fixed("SW", |sw: [u8; 2], node| status(u16::from_be_bytes(sw), node));
    if instruction == Some(AUTHENTICATE) && matches!(sw, Some([0x61 | 0x9F, _])) {
        context.instruction = instruction;
    }
    if instruction == Some(instruction::SELECT) && !matches!(sw, Some([0x61 | 0x90 | 0x91 | 0x9F, _])) {
        // Whatever was selected before still is, and may hold keys.
        context.file = File::default();
    }
    Node::of("R-APDU", span).clause("TS 102 221 §10.2").children(fields.finish())
}

/// SW1 SW2.
pub(super) fn status(sw: u16, node: Node) -> Node {
    let node = node.clause("TS 102 221 §10.2.1");
    match StatusWord(sw).meaning() {
        Some(meaning) => node.value(meaning),
        None => node.value("not defined").unknown(),
    }
}

/// The data of a command. SELECT is `by_name` of an application (P1 = 04), or by identifiers.
fn data(ins: u8, by_name: bool, span: Span<'_>, node: Node, context: &mut Context<'_>) -> Node {
    match ins {
        0xC2 => node.child(template(span, context)),
        0x14 => node.children(tlv::all(span, |tlv| object(tlv, context))),
        0xA4 => match (by_name, span.octets.as_chunks()) {
            (false, (ids, [])) => {
                context.file = ids.iter().fold(context.file, |file, id| file.select(u16::from_be_bytes(*id)));
                node.value(context.file.to_string()).clause(context.file.clause())
            }
            _ => {
                context.file = File::default();
                node.value(hex(span.octets))
            }
        },
        0xD6 | 0xDC => file::contents(context.file, span, node),
        // PINs; PUT KEY, SET DATA, STORE DATA.
        0x20 | 0x24 | 0x26 | 0x28 | 0x2C | 0xD8 | 0xDB | 0xE2 => node.hide(),
        _ => node,
    }
}

/// A BER-TLV template of the toolkit and its COMPREHENSION-TLV objects.
pub(super) fn template(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let (template, behind) = match tlv::split(span) {
        Ok(split) => split,
        Err(problem) => return Node::of("template", span).problem(problem),
    };
    let name = match template.tag {
        template::PROACTIVE_COMMAND => "proactive command",
        template::SMS_PP_DOWNLOAD => "SMS-PP download",
        0xD2 => "cell broadcast download",
        0xD3 => "menu selection",
        0xD4 => "call control",
        0xD5 => "MO short message control",
        template::EVENT_DOWNLOAD => "event download",
        0xD7 => "timer expiration",
        _ => "template",
    };
    let submit = template.tag == template::PROACTIVE_COMMAND;
    let objects = tlv::all(template.value, |tlv| match tlv.tag & 0x7F {
        tpdu if u16::from(tpdu) == tag::SMS_TPDU && submit => {
            Node::of("SMS TPDU", tlv.whole).child(tpdu::submit(tlv.value, context))
        }
        _ => object(tlv, context),
    });
    let node = Node::of(name, span).clause("TS 101 220 §7.2").children(objects);
    if behind.is_empty() {
        node
    } else {
        node.child(Node::of("more octets", behind).note("behind the template"))
    }
}

/// A COMPREHENSION-TLV object (TS 102 223 §8).
fn object(Tlv { tag: tag_octet, whole, value }: Tlv<'_>, context: &mut Context<'_>) -> Node {
    let octets = value.octets;
    let node = |name: &'static str| Node::of(name, whole);
    match (u16::from(tag_octet & 0x7F), octets) {
        (tag::COMMAND_DETAILS, [number, kind, qualifier]) => node("command details")
            .value(format!("{}, number {number}, qualifier {qualifier:02X}", proactive(*kind)))
            .clause("TS 102 223 §8.6"),
        (tag::DEVICE_IDENTITIES, [from, to]) => node("device identities")
            .value(format!("{} to {}", device(*from), device(*to)))
            .clause("TS 102 223 §8.7"),
        (tag::RESULT, [result, ..]) => node("result").value(result_words(*result)).clause("TS 102 223 §8.12"),
        (tag::ADDRESS, [ton, digits @ ..]) => {
            let filler = usize::from(digits.last().is_some_and(|octet| octet >> 4 == 0xF));
            node("address")
                .value(tpdu::number(*ton, digits, digits.len() * 2 - filler))
                .clause("TS 102 223 §8.1")
        }
        (tag::SMS_TPDU, _) => {
            node("SMS TPDU").clause("TS 102 223 §8.13").child(tpdu::deliver(value, context))
        }
        (tag::ALPHA_IDENTIFIER, _) => {
            node("alpha identifier").value(super::words::text(octets)).clause("TS 102 223 §8.2")
        }
        (tag::FILE_LIST, [number, files @ ..]) => {
            node("file list").value(format!("{number}: {}", hex(files))).clause("TS 102 223 §8.18")
        }
        (tag::LOCATION_INFORMATION, _) => {
            node("location information").value(hex(octets)).clause("TS 102 223 §8.19")
        }
        (tag::IMEI, _) => {
            let node = node("IMEI").clause("TS 102 223 §8.20");
            match crate::identity::Imei::from_mobile_identity(octets) {
                Ok(imei) => node.value(imei.to_string()),
                Err(error) => node.problem(error.to_string()),
            }
        }
        (tag::EVENT_LIST, events) => {
            let words: Vec<&str> = events.iter().map(|event| self::event(*event)).collect();
            node("event list").value(words.join(", ")).clause("TS 102 223 §8.25")
        }
        (tag::LOCATION_STATUS, [status]) => {
            let words = match status {
                0 => "normal service",
                1 => "limited service",
                _ => "no service",
            };
            node("location status").value(words).clause("TS 102 223 §8.27")
        }
        (number, _) => Node::of(format!("object {number:02X}"), whole)
            .value(hex(octets))
            .clause("TS 101 220 §7.2")
            .unknown(),
    }
}

fn class(cla: u8) -> String {
    let (kind, channel) = match cla {
        0xA0 => return "SIM".to_owned(),
        0x00..=0x0F => ("interindustry", cla & 3),
        0x40..=0x4F => ("interindustry", 4 + (cla & 0x0F)),
        0x80..=0x8F => ("TS 102 221 or GlobalPlatform", cla & 3),
        0xC0..=0xCF => ("TS 102 221 or GlobalPlatform", 4 + (cla & 0x0F)),
        _ => return "proprietary".to_owned(),
    };
    let secured = if cla & 0x40 == 0 && cla & 0x0C != 0 { ", secure messaging" } else { "" };
    match channel {
        0 => format!("{kind}{secured}"),
        channel => format!("{kind}, channel {channel}{secured}"),
    }
}

/// The name of a C-APDU.
pub(super) fn name(command: &[u8]) -> &'static str {
    match command {
        // What is asked for, in b8 to b5 of P1.
        [0x80..=0xFF, 0xF2, 0x10..=0xFF, ..] => "GET STATUS",
        [_, ins, ..] => instruction(*ins),
        _ => "header",
    }
}

/// The name of an instruction (TS 102 221 §10.1.2, GlobalPlatform).
fn instruction(ins: u8) -> &'static str {
    match ins {
        0x04 => "DEACTIVATE FILE",
        0x10 => "TERMINAL PROFILE",
        0x12 => "FETCH",
        0x14 => "TERMINAL RESPONSE",
        0x20 => "VERIFY PIN",
        0x24 => "CHANGE PIN",
        0x26 => "DISABLE PIN",
        0x28 => "ENABLE PIN",
        0x2C => "UNBLOCK PIN",
        0x32 => "INCREASE",
        0x44 => "ACTIVATE FILE",
        0x50 => "INITIALIZE UPDATE",
        0x70 => "MANAGE CHANNEL",
        0x82 => "EXTERNAL AUTHENTICATE",
        0x88 => "AUTHENTICATE",
        0xA2 => "SEARCH RECORD",
        0xA4 => "SELECT",
        0xB0 => "READ BINARY",
        0xB2 => "READ RECORD",
        0xC0 => "GET RESPONSE",
        0xC2 => "ENVELOPE",
        0xCA => "GET DATA",
        0xCB => "RETRIEVE DATA",
        0xD6 => "UPDATE BINARY",
        0xD8 => "PUT KEY",
        0xDB => "SET DATA",
        0xDC => "UPDATE RECORD",
        0xE0 => "CREATE FILE",
        0xE2 => "STORE DATA",
        0xE4 => "DELETE",
        0xE6 => "INSTALL",
        0xE8 => "LOAD",
        0xF0 => "SET STATUS",
        0xF2 => "STATUS",
        _ => UNKNOWN,
    }
}

/// Whether a class and an instruction are what cards of this kind know.
pub(super) fn is_known(cla: u8, ins: u8) -> bool {
    matches!(cla, 0x00..=0x03 | 0x80..=0x84 | 0xA0) && instruction(ins) != UNKNOWN
}

/// The short file identifier that a command names a file by (TS 102 221 §11.1.3 to §11.1.6).
fn short_id(ins: u8, [p1, p2]: [u8; 2]) -> Option<u8> {
    match ins {
        instruction::READ_BINARY | instruction::UPDATE_BINARY if p1 & 0x80 != 0 => Some(p1 & 0x1F),
        instruction::READ_RECORD | instruction::UPDATE_RECORD if p2 >> 3 != 0 => Some(p2 >> 3),
        _ => None,
    }
}

/// P1 and P2, where they are more than zeros.
fn parameters(ins: u8, [p1, p2]: [u8; 2]) -> Option<String> {
    Some(match (ins, p1) {
        (0xA4, _) => {
            let by = match p1 {
                0x00 => "by file id",
                0x04 => "by application id",
                0x08 => "by path from the MF",
                0x09 => "by path from the current DF",
                _ => "in another way",
            };
            let answer = match p2 & 0x1C {
                0x04 => ", answer FCP",
                0x0C => ", no answer",
                _ => "",
            };
            format!("{by}{answer}")
        }
        (0xB2 | 0xDC, number) => {
            let file =
                short_id(ins, [p1, p2]).map(|id| format!("short file id {id:02X}, ")).unwrap_or_default();
            match number {
                0 => format!("{file}current record"),
                number => format!("{file}record {number}"),
            }
        }
        (0xB0 | 0xD6, high) if high & 0x80 != 0 => format!("short file id {:02X}, offset {p2}", high & 0x1F),
        (0xB0 | 0xD6, _) => format!("offset {}", u16::from_be_bytes([p1, p2])),
        (_, 0) if p2 == 0 => return None,
        _ => format!("{p1:02X} {p2:02X}"),
    })
}

/// A type of proactive command (TS 102 223 §9.4).
pub(super) fn proactive(kind: u8) -> String {
    match kind {
        command::REFRESH => "REFRESH",
        0x02 => "MORE TIME",
        0x03 => "POLL INTERVAL",
        command::SET_UP_EVENT_LIST => "SET UP EVENT LIST",
        0x10 => "SET UP CALL",
        0x11 => "SEND SS",
        0x12 => "SEND USSD",
        command::SEND_SHORT_MESSAGE => "SEND SHORT MESSAGE",
        0x21 => "DISPLAY TEXT",
        0x25 => "SET UP MENU",
        command::PROVIDE_LOCAL_INFORMATION => "PROVIDE LOCAL INFORMATION",
        0x27 => "TIMER MANAGEMENT",
        0x40 => "OPEN CHANNEL",
        other => return format!("command {other:02X}"),
    }
    .to_owned()
}

fn device(identity: u8) -> String {
    match identity {
        0x01 => "keypad".to_owned(),
        0x02 => "display".to_owned(),
        0x81 => "UICC".to_owned(),
        0x82 => "terminal".to_owned(),
        0x83 => "network".to_owned(),
        other => format!("device {other:02X}"),
    }
}

fn event(event: u8) -> &'static str {
    match event {
        0x00 => "MT call",
        0x01 => "call connected",
        0x02 => "call disconnected",
        0x03 => "location status",
        0x04 => "user activity",
        0x05 => "idle screen available",
        0x09 => "data available",
        0x0A => "channel status",
        _ => "another event",
    }
}

fn result_words(result: u8) -> String {
    match result {
        0x00 => "performed".to_owned(),
        0x01 => "performed with partial comprehension".to_owned(),
        0x02 => "performed, with missing information".to_owned(),
        0x20 => "terminal is busy".to_owned(),
        0x21 => "network is busy".to_owned(),
        0x30 => "beyond the terminal's capabilities".to_owned(),
        0x32 => "command data not understood".to_owned(),
        0x35 => "SMS RP-ERROR".to_owned(),
        other => format!("result {other:02X}"),
    }
}
