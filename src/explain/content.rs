//! The data of a packet, and what a message carries without one: which format it is, by how it begins.

use super::context::Context;
use super::message;
use super::node::{Node, Span, octets};
use crate::ota::Tar;

/// Where data stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// In a response packet, not in a command packet.
    pub(super) response: bool,
    /// In what was deciphered: what is not understood may be a key, and is not shown.
    pub(super) deciphered: bool,
    pub(super) tar: Tar,
}

/// Explains the data of a packet; with words where it is understood.
pub(super) fn data(span: Span<'_>, place: Place, _context: &mut Context<'_>) -> (Node, Option<String>) {
    let node = Node::of("data", span);
    if message::begins(span.octets) {
        let (inner, words) = message::explain(span);
        return (node.child(inner), Some(words));
    }
    let _ = place.response;
    let _ = place.tar;
    let node = node.value(octets(span.len()));
    if place.deciphered { (node.hide().note("not understood, and not shown"), None) } else { (node, None) }
}

/// Explains what a message carries without header and packet, if it is something that a card sends.
pub(super) fn plain(span: Span<'_>) -> Option<(Node, String)> {
    if message::begins(span.octets) {
        return Some(message::explain(span));
    }
    message::raw_imei(span)
}
