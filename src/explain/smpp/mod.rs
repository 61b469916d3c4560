//! SMPP PDUs: header, every mandatory field, TLVs by name (SMPP 3.4 §3.2, §4, §5; SMPP 5.0 §4).

mod fields;
mod tlv;
mod words;

use super::context::Context;
use super::node::{Fields, Node, Span};
use crate::smpp::{CommandId, CommandStatus, frame};
use fields::Message;

/// Explains one PDU, from command_length on.
pub(super) fn pdu(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let mut fields = Fields::new(span);
    let header = header(&mut fields, span.len());
    let name = header.map_or_else(|| "SMPP PDU".to_owned(), |(command, _)| command.to_string());
    if let Some((command, sequence)) = header {
        context.begin_pdu(command, sequence);
        body(command, &mut fields, context);
    }
    Node::of(name, span).clause("SMPP 3.4 §3.2").children(fields.finish())
}

/// The PDUs that `span` consists of.
pub(super) fn pdus(span: Span<'_>, context: &mut Context<'_>) -> Vec<Node> {
    let (mut rest, mut nodes) = (span, Vec::new());
    while !rest.is_empty() {
        let length = rest.octets.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        let (pdu_span, behind) = match rest.split(length) {
            Some(split) if length >= frame::HEADER_OCTETS => split,
            // It ends too early, or its length is none: one PDU, whatever it says.
            _ => (rest, rest.behind(rest.len())),
        };
        nodes.push(pdu(pdu_span, context));
        rest = behind;
    }
    nodes
}

fn header(fields: &mut Fields<'_>, found: usize) -> Option<(CommandId, u32)> {
    fields.fixed("command_length", |octets, node| {
        let length = u32::from_be_bytes(octets);
        let node = node.value(length.to_string()).clause("SMPP 3.4 §5.1.1");
        if length as usize == found { node } else { node.problem(format!("found {found} octets")) }
    })?;
    let mut command = None;
    fields.fixed("command_id", |octets, node| {
        let id = CommandId(u32::from_be_bytes(octets));
        command = Some(id);
        let node = node.value(id.to_string()).clause("SMPP 3.4 §5.1.2");
        if id.name().is_some() { node } else { node.problem("no command of SMPP 3.4 or 5.0") }
    })?;
    fields.fixed("command_status", |octets, node| {
        let status = CommandStatus(u32::from_be_bytes(octets));
        node.value(status.to_string()).clause("SMPP 3.4 §5.1.3")
    })?;
    let sequence = fields.fixed("sequence_number", |octets, node| {
        node.value(u32::from_be_bytes(octets).to_string()).clause("SMPP 3.4 §5.1.4")
    })?;
    Some((command?, u32::from_be_bytes(sequence)))
}

fn body(command: CommandId, fields: &mut Fields<'_>, context: &mut Context<'_>) {
    let mut message = Message::default();
    if fields::mandatory(command, fields, &mut message, context).is_none() {
        return;
    }
    match command.name() {
        Some(_) => tlv::all(fields, &message, context),
        None => fields.all("body", |_, node| node),
    }
}
