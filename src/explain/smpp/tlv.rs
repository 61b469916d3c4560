//! Optional parameters by name (SMPP 3.4 §5.3, SMPP 5.0 §4.8).

use super::fields::Message;
use super::words;
use crate::explain::context::Context;
use crate::explain::node::{Fields, Node, Span};
use crate::explain::words::{hex, text};
use crate::smpp::tag::{self, Shape};
use crate::smpp::{CommandStatus, MessageState, Version};

/// Takes the optional parameters, all that is left of a PDU.
pub(super) fn all(fields: &mut Fields<'_>, message: &Message<'_>, context: &mut Context<'_>) {
    while !fields.rest().is_empty() {
        let rest = fields.rest();
        let Some(&[t0, t1, l0, l1]) = rest.octets.first_chunk() else {
            fields.all("stray octets", |_, node| node.note("too few for an optional parameter"));
            return;
        };
        let (tag, length) = (u16::from_be_bytes([t0, t1]), usize::from(u16::from_be_bytes([l0, l1])));
        let name = tag::name(tag).map_or_else(|| format!("parameter {tag:04X}"), str::to_owned);
        let value = rest.behind(4).before(length);
        let found = rest.len() - 4;
        if found < length {
            fields.fail(name, format!("its length is {length}, found {found}"));
            return;
        }
        fields.take(name, 4 + length, |_, node| match tag {
            tag::MESSAGE_PAYLOAD if !message.has_short_message => {
                node.clause("SMPP 3.4 §5.3.2.32").children(message.explained(value, context))
            }
            _ => described(tag, value, node),
        });
    }
}

fn described(tag: u16, value: Span<'_>, node: Node) -> Node {
    let node = node.clause("SMPP 3.4 §5.3.2");
    let node = node.value(words_of(tag, value.octets));
    match tag::shape(tag) {
        Some(shape) if !shape.fits(value.octets) => {
            node.note("of another length than the specification says")
        }
        Some(_) => node,
        None => {
            node.note(if (0x1400..=0x3FFF).contains(&tag) { "of a vendor" } else { "not in SMPP 3.4 or 5.0" })
        }
    }
}

fn words_of(tag: u16, value: &[u8]) -> String {
    match (tag, value) {
        (tag::MESSAGE_STATE, [state]) => MessageState(*state).text().to_owned(),
        (tag::SC_INTERFACE_VERSION, [version]) => words::version(Version(*version)),
        (tag::NETWORK_ERROR_CODE, [network, high, low]) => {
            let network = match network {
                1 => "ANSI-136",
                2 => "IS-95",
                3 => "GSM",
                8 => "SMSC",
                _ => "network",
            };
            format!("{network} error {}", u16::from_be_bytes([*high, *low]))
        }
        (tag::BROADCAST_ERROR_STATUS, [a, b, c, d]) => {
            CommandStatus(u32::from_be_bytes([*a, *b, *c, *d])).to_string()
        }
        _ => match tag::shape(tag) {
            Some(Shape::Integer(_)) if value.len() <= 4 => {
                value.iter().fold(0, |number: u64, octet| number << 8 | u64::from(*octet)).to_string()
            }
            Some(Shape::COctetString { .. }) => {
                text(value.split(|octet| *octet == 0).next().unwrap_or(value))
            }
            _ => hex(value),
        },
    }
}
