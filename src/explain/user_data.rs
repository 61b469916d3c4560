//! The user data of a short message: header elements, parts, and what they carry (TS 23.040 §9.2.3.24, TS 31.115 §4).

use super::content;
use super::context::Context;
use super::node::{Fields, Node, Span, octets};
use super::secured;
use super::words::{count, hex};
use crate::ota::{Concatenation, Content, Insertion, UserData};
use crate::smpp::{DataCoding, EsmClass, MessageType};

/// The name of the node of a message that was joined from its parts.
pub(super) const JOINED: &str = "joined message";

/// What is wrong where a header announces a packet, and nothing is behind it.
const NO_PACKET: &str = "expected behind the header, found nothing";

/// The user data of a message in SMPP, whose fields say how they are to be read.
pub(super) fn of_message(
    span: Span<'_>,
    esm_class: EsmClass,
    data_coding: DataCoding,
    context: &mut Context<'_>,
) -> Vec<Node> {
    let receipt = matches!(
        esm_class.message_type(),
        MessageType::DeliveryReceipt | MessageType::IntermediateNotification
    );
    if esm_class.udhi() {
        with_header(span, context)
    } else if receipt {
        let text = String::from_utf8_lossy(span.octets).into_owned();
        context.verdict = Some("delivery receipt: it proves no execution".to_owned());
        vec![Node::of("receipt", span).value(text).clause("SMPP 3.4 appendix B")]
    } else {
        plain(span, data_coding, context)
    }
}

/// User data without a header: a message of an applet as it is, or text.
pub(super) fn plain(span: Span<'_>, data_coding: DataCoding, context: &mut Context<'_>) -> Vec<Node> {
    if let Some((node, words)) = content::plain(span) {
        context.verdict = Some(format!("{words}; not secured, nothing proves it"));
        return vec![node];
    }
    let node = Node::of("text", span);
    vec![match data_coding.0 {
        0x08 => {
            let (units, _) = span.octets.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text: String =
                char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            node.value(format!("{text:?}"))
        }
        _ if data_coding.is_octets() => Node::of("octets", span),
        _ => match str::from_utf8(span.octets) {
            Ok(text) => node.value(format!("{text:?}")),
            Err(_) => Node::of("octets", span),
        },
    }]
}

/// User data that begin with a header.
pub(super) fn with_header(span: Span<'_>, context: &mut Context<'_>) -> Vec<Node> {
    let mut fields = Fields::new(span);
    if header(&mut fields).is_some()
        && let Ok(user_data) = UserData::parse(span.octets)
    {
        payload(&mut fields, &user_data, context);
    }
    fields.finish()
}

fn header(fields: &mut Fields<'_>) -> Option<()> {
    let mut udhl = 0;
    fields.fixed("UDHL", |[len], node| {
        udhl = usize::from(len);
        node.value(octets(udhl)).clause("TS 23.040 §9.2.3.24")
    })?;
    let found = fields.rest().len();
    if found < udhl {
        fields.fail("UDH", format!("expected {}, found {found}", octets(udhl)));
        return None;
    }
    let end = fields.rest().at + udhl;
    while fields.rest().at < end {
        let left = end - fields.rest().at;
        let Some(&[iei, len]) = fields.rest().octets.first_chunk().filter(|_| left >= 2) else {
            fields.take("information element", left, |_, node| node.problem("ends before its length"));
            return None;
        };
        let whole = usize::from(len) + 2;
        if whole > left {
            let problem = format!("its length is {len}, found {}", left - 2);
            fields.take(element_name(iei), left, |_, node| node.problem(problem));
            return None;
        }
        fields.take(element_name(iei), whole, |span, node| element(iei, span.behind(2).octets, node))?;
    }
    Some(())
}

fn element_name(iei: u8) -> String {
    let name = match iei {
        0x00 => "concatenation, 8-bit reference",
        0x01 => "special message indication",
        0x04 => "port numbers, 8 bits",
        0x05 => "port numbers, 16 bits",
        0x06 => "SMSC control parameters",
        0x08 => "concatenation, 16-bit reference",
        0x24 => "national language single shift",
        0x25 => "national language locking shift",
        0x70 => "CPI",
        0x71 => "RPI",
        _ => return format!("element {iei:02X}"),
    };
    name.to_owned()
}

fn element(iei: u8, data: &[u8], node: Node) -> Node {
    let node = node.clause(match iei {
        0x70 | 0x71 => "TS 31.115 §4.1",
        _ => "TS 23.040 §9.2.3.24",
    });
    match (iei, data) {
        (0x70, []) => node.value("a command packet follows"),
        (0x71, []) => node.value("a response packet follows"),
        (0x00, [reference, total, number]) => part(node, u16::from(*reference), *total, *number),
        (0x08, [high, low, total, number]) => part(node, u16::from_be_bytes([*high, *low]), *total, *number),
        (0x05, [d1, d0, s1, s0]) => node.value(format!(
            "to {}, from {}",
            u16::from_be_bytes([*d1, *d0]),
            u16::from_be_bytes([*s1, *s0])
        )),
        (0x00 | 0x08 | 0x70 | 0x71, _) => node.value(hex(data)).problem("of a wrong length"),
        _ => node.value(hex(data)),
    }
}

fn part(node: Node, reference: u16, total: u8, number: u8) -> Node {
    let node = node.value(format!("part {number} of {total}, reference {reference}"));
    if (1..=total).contains(&number) {
        node
    } else {
        node.problem("no such part: the element does not count")
    }
}

fn payload(fields: &mut Fields<'_>, user_data: &UserData, context: &mut Context<'_>) {
    let Some(part) = user_data.concatenation().filter(|part| part.total > 1) else {
        return whole(fields, user_data.content(), context);
    };
    let Concatenation { total, number, .. } = part;
    context.verdict = Some(format!("part {number} of {total}"));
    fields.all("part of a packet", |span, node| {
        let carries = match user_data.content() {
            Content::Command => " of a command packet",
            Content::Response => " of a response packet",
            Content::Plain => "",
        };
        node.value(format!("{}, part {number} of {total}{carries}", octets(span.len())))
    });
    let parts = match context.take_part(part, user_data) {
        Ok(parts) => parts,
        Err(error) => return fields.push(Node::new("parts").problem(error.to_string())),
    };
    if parts.insertion == Insertion::Duplicate {
        context.verdict = Some(format!("part {number} of {total}, once more"));
        fields.push(Node::new("parts").note("this part was there before"));
        return;
    }
    let Some(joined) = parts.joined else {
        let node = Node::new("parts").value(format!("{} missing yet", count(parts.missing, "part")));
        return fields.push(node);
    };
    let mut inner = Fields::new(Span::whole(&joined.payload));
    whole(&mut inner, joined.content, context);
    let from = format!("{total} parts, the first one in {}", parts.begun);
    let node = Node::new(JOINED).value(format!("{} of {from}", octets(joined.payload.len())));
    fields.push(node.clause("TS 31.115 §4.3").children(inner.finish()).in_octets(&joined.payload));
}

/// What a whole message carries.
fn whole(fields: &mut Fields<'_>, content: Content, context: &mut Context<'_>) {
    let span = fields.rest();
    match content {
        Content::Command if span.is_empty() => fields.fail(secured::COMMAND, NO_PACKET),
        Content::Response if span.is_empty() => fields.fail(secured::RESPONSE, NO_PACKET),
        Content::Command => fields.all(secured::COMMAND, |_, _| secured::command(span, context)),
        Content::Response => fields.all(secured::RESPONSE, |_, _| secured::response(span, context)),
        Content::Plain => {
            let nodes = plain(span, DataCoding::OCTETS, context);
            fields.all("payload", |_, node| node.children(nodes));
        }
    }
}
