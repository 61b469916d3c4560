//! SMS-DELIVER and SMS-SUBMIT, field by field (TS 23.040 §9.2.2).

use super::context::{Context, Direction};
use super::node::{Fields, Node, Span, octets};
use super::user_data;
use super::words::{self, flags, hex};
use crate::ota::tp::{self, TpAddress};
use crate::smpp::DataCoding;

/// Octets of a time stamp, and of a validity period in the forms other than the relative one.
const TIME_OCTETS: usize = 7;

/// Explains an SMS-DELIVER, to the card.
pub(super) fn deliver(span: Span<'_>, context: &mut Context<'_>) -> Node {
    context.direction = Some(Direction::ToCard);
    let mut fields = Fields::new(span);
    let _ = deliver_fields(&mut fields, context);
    Node::of("SMS-DELIVER", span).clause("TS 23.040 §9.2.2.1").children(fields.finish())
}

/// Explains an SMS-SUBMIT, from the card.
pub(super) fn submit(span: Span<'_>, context: &mut Context<'_>) -> Node {
    context.direction = Some(Direction::FromCard);
    let mut fields = Fields::new(span);
    let _ = submit_fields(&mut fields, context);
    Node::of("SMS-SUBMIT", span).clause("TS 23.040 §9.2.2.2").children(fields.finish())
}

fn deliver_fields(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<()> {
    let names = [
        (0x08, "TP-LP"),
        (0x20, "TP-SRI: status report"),
        (0x40, "TP-UDHI: header"),
        (0x80, "TP-RP: reply path"),
    ];
    let first = first_octet(fields, 0b00, "SMS-DELIVER", |octet| {
        let mms = if octet & 0x04 == 0 { "TP-MMS 0: more messages" } else { "TP-MMS 1: no more messages" };
        [vec![mms], flags(octet, &names)].concat()
    })?;
    address(fields, "TP-OA")?;
    let dcs = pid_and_dcs(fields)?;
    fields.take("TP-SCTS", TIME_OCTETS, |span, node| {
        node.value(time_stamp(span.octets)).clause("TS 23.040 §9.2.3.11")
    })?;
    data(fields, first & 0x40 != 0, dcs, context)
}

fn submit_fields(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<()> {
    let names = [
        (0x04, "TP-RD: reject duplicates"),
        (0x20, "TP-SRR: status report"),
        (0x40, "TP-UDHI: header"),
        (0x80, "TP-RP: reply path"),
    ];
    let first = first_octet(fields, 0b01, "SMS-SUBMIT", |octet| flags(octet, &names))?;
    fields
        .fixed("TP-MR", |[reference], node| node.value(reference.to_string()).clause("TS 23.040 §9.2.3.6"))?;
    address(fields, "TP-DA")?;
    let dcs = pid_and_dcs(fields)?;
    let (len, clause) = match first >> 3 & 0b11 {
        0b00 => (0, ""),
        0b10 => (1, "TS 23.040 §9.2.3.12.1"),
        0b11 => (TIME_OCTETS, "TS 23.040 §9.2.3.12.2"),
        _ => (TIME_OCTETS, "TS 23.040 §9.2.3.12.3"),
    };
    if len > 0 {
        fields.take("TP-VP", len, |span, node| {
            let value = match (first >> 3 & 0b11, span.octets) {
                (0b10, [period]) => relative(*period),
                (0b11, octets) => time_stamp(octets),
                (_, octets) => format!("enhanced form {}", hex(octets)),
            };
            node.value(value).clause(clause)
        })?;
    }
    data(fields, first & 0x40 != 0, dcs, context)
}

fn first_octet(
    fields: &mut Fields<'_>,
    expected: u8,
    name: &'static str,
    describe: impl FnOnce(u8) -> Vec<&'static str>,
) -> Option<u8> {
    let [first] = fields.fixed("TP-MTI and flags", |[octet], node| {
        let node = node.clause("TS 23.040 §9.2.3.1");
        let found = octet & 0b11;
        if found != expected {
            return node.problem(format!("TP-MTI is {found:02b}, expected {expected:02b} ({name})"));
        }
        node.value([vec![name], describe(octet)].concat().join(", "))
    })?;
    Some(first)
}

fn address(fields: &mut Fields<'_>, name: &'static str) -> Option<()> {
    let digits = usize::from(fields.rest().first().unwrap_or_default());
    if digits > 20 {
        fields.fail(name, format!("expected at most 20 digits, found {digits}"));
        return None;
    }
    fields
        .take(name, 2 + digits.div_ceil(2), |span, node| {
            let node = node.clause("TS 23.040 §9.1.2.5");
            let (toa, octets) = match span.octets {
                [_, toa, octets @ ..] => (*toa, octets),
                _ => return node,
            };
            node.value(number(toa, octets, digits))
        })
        .map(drop)
}

/// A number with its type: swapped digits, of which `digits` count.
pub(super) fn number(toa: u8, octets: &[u8], digits: usize) -> String {
    let nibbles = octets.iter().flat_map(|octet| [octet & 0x0F, octet >> 4]).take(digits);
    let number: String =
        nibbles.map(|nibble| "0123456789*#abc".chars().nth(nibble.into()).unwrap_or('?')).collect();
    match toa {
        TpAddress::INTERNATIONAL => format!("+{number}"),
        _ if toa & 0x70 == 0x50 => format!("alphanumeric {}", hex(octets)),
        TpAddress::UNKNOWN => number,
        _ => format!("{number} (type {toa:02X})"),
    }
}

fn pid_and_dcs(fields: &mut Fields<'_>) -> Option<u8> {
    fields.fixed("TP-PID", |[pid], node| node.value(words::pid(pid)).clause("TS 23.040 §9.2.3.9"))?;
    let [dcs] = fields.fixed("TP-DCS", |[dcs], node| node.value(words::dcs(dcs)).clause("TS 23.038 §4"))?;
    Some(dcs)
}

fn data(fields: &mut Fields<'_>, udhi: bool, dcs: u8, context: &mut Context<'_>) -> Option<()> {
    let septets = tp::counts_septets(dcs);
    let [udl] = fields.fixed("TP-UDL", |[udl], node| {
        let unit = if septets { "septets" } else { "octets" };
        node.value(format!("{udl} {unit}")).clause("TS 23.040 §9.2.3.16")
    })?;
    let len = if septets { (usize::from(udl) * 7).div_ceil(8) } else { usize::from(udl) };
    let found = fields.rest().len();
    let mut explained = |span: Span<'_>, node: Node| {
        let children = match (udhi, septets) {
            (true, _) => user_data::with_header(span, context),
            (false, true) => Vec::new(),
            (false, false) => user_data::plain(span, DataCoding(dcs), context),
        };
        node.clause("TS 23.040 §9.2.3.24").children(children)
    };
    if found < len {
        let problem = format!("TP-UDL says {}, found {found}", octets(len));
        fields.all("TP-UD", |span, node| explained(span, node).problem(problem));
        return None;
    }
    if len > 0 {
        fields.take("TP-UD", len, explained)?;
    }
    Some(())
}

/// `2023-11-14 22:13:20 +0`: digits are swapped; the zone is in quarters of an hour.
fn time_stamp(octets: &[u8]) -> String {
    let numbers: Vec<String> =
        octets.iter().map(|octet| format!("{:X}{:X}", octet & 0x0F, octet >> 4)).collect();
    match (numbers.as_slice(), octets.last()) {
        ([year, month, day, hour, minute, second, _], Some(zone)) => {
            let sign = if zone & 0x08 == 0 { '+' } else { '-' };
            let quarters = u32::from(zone & 0x07) * 10 + u32::from(zone >> 4);
            let (hours, minutes) = (quarters / 4, quarters % 4 * 15);
            format!("20{year}-{month}-{day} {hour}:{minute}:{second} {sign}{hours:02}:{minutes:02}")
        }
        _ => hex(octets),
    }
}

/// TP-VP in the relative form, in words.
fn relative(period: u8) -> String {
    let period = u32::from(period);
    match period {
        0..=143 => format!("{} minutes", (period + 1) * 5),
        144..=167 => format!("{} minutes", 12 * 60 + (period - 143) * 30),
        168..=196 => format!("{} days", period - 166),
        _ => format!("{} weeks", period - 192),
    }
}
