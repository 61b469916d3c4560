//! Elementary files: names and contents.

use super::node::{Node, Span, octets};

/// What a file is called.
pub(super) fn name(file: u16) -> String {
    format!("{file:04X}")
}

/// The contents of a file, or of a part of it.
pub(super) fn contents(file: u16, span: Span<'_>, node: Node) -> Node {
    let node = node.value(format!("[{}] of {}", octets(span.len()), name(file)));
    node.note("a file that is not known may hold keys").hide()
}
