//! The data of a packet, and what a message carries without one: which format it is, by how it begins.

use std::rc::Rc;

use super::context::{Context, Sent};
use super::message;
use super::node::{Node, Span, octets};
use super::script::{self, Script};
use crate::ota::Tar;

/// Where data stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// In a response packet, not in a command packet.
    pub(super) response: bool,
    /// In what was deciphered: what is not understood may be a key, and is not shown.
    pub(super) deciphered: bool,
    pub(super) tar: Tar,
    /// The command that a response answers.
    pub(super) answered: Option<&'a Sent>,
}

/// Data explained.
pub(super) struct Data {
    pub(super) node: Node,
    /// In a line, where it is understood.
    pub(super) words: Option<String>,
    pub(super) script: Option<Rc<Script>>,
}

/// Explains the data of a packet.
pub(super) fn data(span: Span<'_>, place: Place<'_>, context: &mut Context<'_>) -> Data {
    if message::begins(span.octets) {
        let (node, words) = message::explain(span);
        return Data { node, words: Some(words), script: None };
    }
    let managed = matches!(place.tar.0, [0xB0, ..] | [0x00, 0x00, 0x00] | [0xB2, 0x01, 0x00]);
    let sent = place.answered.and_then(|sent| sent.script.as_deref());
    if !place.response && (script::is_script(span.octets) || managed) {
        let (node, words, script) = script::script(span, context);
        return Data { node, words: Some(words), script: Some(Rc::new(script)) };
    }
    if place.response && (sent.is_some() || managed || script::is_response(span.octets)) {
        let (node, words) = script::response(span, sent, place.deciphered);
        return Data { node, words: Some(words), script: None };
    }
    let node = Node::of("data", span).value(octets(span.len()));
    let node = if place.deciphered { node.note("not understood, and not shown").hide() } else { node };
    Data { node, words: None, script: None }
}

/// Explains what a message carries without header and packet, if it is something that a card sends.
pub(super) fn plain(span: Span<'_>) -> Option<(Node, String)> {
    if message::begins(span.octets) {
        return Some(message::explain(span));
    }
    message::raw_imei(span)
}
