//! A whole capture: every PDU of every connection in the order of time, and what packets come to.

use std::net::SocketAddr;

use serde::Serialize;

use super::context::Context;
use super::keys::Keys;
use super::message::MESSAGE;
use super::node::{Node, Span};
use super::secured::{COMMAND, RESPONSE};
use super::smpp;
use super::user_data::JOINED;
use crate::pcap::{Capture, DialoguePdu, Side};
use crate::smpp::{Body, MessageState, Sm, receipt};

/// What a capture holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dialogues {
    /// Always `capture`.
    pub kind: &'static str,
    /// The connections with SMPP, in the order of their first packets.
    pub connections: Vec<Connection>,
    /// How many PDUs there are.
    pub pdus: usize,
    /// Packets that are no TCP segment, or none that can be read.
    pub others: usize,
    /// Whether the file ends within a packet.
    pub truncated: bool,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Who opened it.
    pub client: SocketAddr,
    /// Who took it.
    pub server: SocketAddr,
    /// Octets that belong to no PDU, both sides.
    pub unframed: usize,
}

/// A PDU of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The packet that made it complete: its number in the capture, from 1.
    pub packet: usize,
    /// The place of its connection in [`Dialogues::connections`].
    pub connection: usize,
    /// Nanoseconds since the first packet with a PDU.
    pub time_ns: u64,
    /// `client` or `server`: who said it.
    pub from: &'static str,
    /// command_id.
    pub command: String,
    /// sequence_number.
    pub sequence: u32,
    /// command_status, in a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// source_addr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// destination_addr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// What it comes to, in a line: of bindings, commands, PoRs, receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The PDU.
    pub tree: Node,
}

impl Event {
    /// The part of the tree that the platform and the cards care for: a message joined from its parts, a packet, or a
    /// message without one.
    #[must_use]
    pub fn inner(&self) -> Option<&Node> {
        [JOINED, COMMAND, RESPONSE, MESSAGE, "IMEI"].iter().find_map(|name| self.tree.find(name))
    }
}

/// Explains a capture, PDU by PDU in the order in which they were complete.
pub fn capture<'a>(
    capture: &'a Capture,
    keys: &'a mut dyn Keys,
) -> (Dialogues, impl Iterator<Item = Event> + 'a) {
    let mut seen: Vec<(usize, &DialoguePdu)> = Vec::new();
    let mut connections = Vec::new();
    for dialogue in capture.dialogues.iter().filter(|dialogue| !dialogue.pdus.is_empty()) {
        seen.extend(dialogue.pdus.iter().map(|pdu| (connections.len(), pdu)));
        connections.push(Connection {
            client: dialogue.client,
            server: dialogue.server,
            unframed: dialogue.unframed(Side::Client) + dialogue.unframed(Side::Server),
        });
    }
    // Within a packet they stay in their order.
    seen.sort_by_key(|(_, pdu)| (pdu.time_ns, pdu.packet));
    let first_ns = seen.first().map_or(0, |(_, pdu)| pdu.time_ns);
    let Capture { others, truncated, .. } = *capture;
    let dialogues = Dialogues { kind: "capture", connections, pdus: seen.len(), others, truncated };
    let mut context = Context::new(keys);
    let events = seen.into_iter().map(move |(connection, pdu)| {
        event(pdu, connection, pdu.time_ns.saturating_sub(first_ns), &mut context)
    });
    (dialogues, events)
}

fn event(seen: &DialoguePdu, connection: usize, time_ns: u64, context: &mut Context<'_>) -> Event {
    let DialoguePdu { from, packet, octets, pdu, .. } = seen;
    context.place.packet = *packet;
    context.from_client = Some(*from == Side::Client);
    let tree = smpp::pdu(Span::whole(octets), context).in_octets(octets);
    let verdict = message_of(&pdu.body)
        .and_then(|sm| receipt::parse(&sm))
        .map(|receipt| in_words(&receipt))
        .or_else(|| context.verdict.take());
    let command = pdu.body.command_id();
    let (source, destination) = addresses(&pdu.body).unzip();
    Event {
        packet: *packet,
        connection,
        time_ns,
        from: match from {
            Side::Client => "client",
            Side::Server => "server",
        },
        command: command.to_string(),
        sequence: pdu.sequence,
        status: command.is_response().then(|| pdu.status.to_string()),
        source,
        destination,
        verdict,
        tree,
    }
}

fn message_of(body: &Body) -> Option<Sm> {
    match body {
        Body::DeliverSm(sm) => Some(sm.clone()),
        Body::DataSm(data) => Sm::try_from(data.clone()).ok(),
        _ => None,
    }
}

fn in_words(receipt: &receipt::Receipt) -> String {
    let kind = if receipt.intermediate { "intermediate notification" } else { "delivery receipt" };
    let state = match receipt.state {
        MessageState::DELIVERED => "delivered to the device, which proves no execution".to_owned(),
        state => state.text().to_owned(),
    };
    format!("{kind} of message {}: {state}", receipt.message_id)
}

fn addresses(body: &Body) -> Option<(String, String)> {
    match body {
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => {
            Some((sm.source.digits.to_string(), sm.destination.digits.to_string()))
        }
        Body::DataSm(sm) => Some((sm.source.digits.to_string(), sm.destination.digits.to_string())),
        _ => None,
    }
}
