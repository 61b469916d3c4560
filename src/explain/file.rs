//! Elementary files: names and contents (TS 31.102 §4.2, TS 102 221 §13).

use std::fmt;

use super::node::{Node, Span, octets};
use super::words::hex;
use crate::ota::ef::{Content, Ef};

/// A file as commands have selected it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct File {
    /// The directory selected before.
    directory: Option<u16>,
    /// The elementary file.
    id: Option<u16>,
}

impl File {
    /// The same after SELECT of a file by its identifier.
    pub(super) const fn select(self, id: u16) -> Self {
        match id >> 8 {
            // MF, directories, applications.
            0x3F | 0x5F | 0x7F => Self { directory: Some(id), id: None },
            _ => Self { id: Some(id), ..self },
        }
    }

    /// The elementary file, where it is one that is known. Identifiers 4Fxx mean something in their directory only.
    fn ef(self) -> Option<Ef> {
        let id = self.id?;
        let in_place = |ef: &Ef| match *ef.path() {
            [.., directory, last] => last == id && (id >> 8 != 0x4F || self.directory == Some(directory)),
            _ => false,
        };
        Ef::ALL.into_iter().find(in_place)
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ef) = self.ef() {
            return f.write_str(ef.name());
        }
        match (self.directory, self.id) {
            (_, Some(id)) => write!(f, "file {id:04X}"),
            (Some(0x3F00), None) => f.write_str("MF"),
            (Some(0x7FFF), None) => f.write_str("ADF of the application"),
            (Some(0x7F10), None) => f.write_str("DF.TELECOM"),
            (Some(0x7F20), None) => f.write_str("DF.GSM"),
            (Some(0x5FC0), None) => f.write_str("DF.5GS"),
            (Some(id), None) => write!(f, "directory {id:04X}"),
            (None, None) => f.write_str("no file"),
        }
    }
}

/// The contents of a file or record, or a part of it. What may be a key is not shown.
pub(super) fn contents(file: File, span: Span<'_>, node: Node) -> Node {
    match file.ef() {
        Some(ef) => of_ef(ef, span, node),
        None => node
            .value(format!("[{}]", octets(span.len())))
            .note("contents of a file that is not known")
            .hide(),
    }
}

/// The contents of a file that is known.
pub(super) fn of_ef(ef: Ef, span: Span<'_>, node: Node) -> Node {
    let node = node.clause(match ef {
        Ef::Iccid => "TS 102 221 §13.2",
        _ => "TS 31.102 §4.2",
    });
    match Content::decode(ef, span.octets) {
        Ok(content) => {
            let fields = content.fields();
            let child = |field: &crate::ota::ef::Field| {
                let from = span.at + field.octets.start;
                let node = Node { range: Some([from, span.at + field.octets.end]), ..Node::new(field.name) };
                let node = node.value(field.value.clone());
                if field.value == NOT_SHOWN { node.hide() } else { node }
            };
            node.value(ef.name()).children(fields.iter().map(child).collect())
        }
        Err(error) if holds_keys(ef) => node.value(ef.name()).problem(error.to_string()).hide(),
        Err(error) => node.value(format!("{} {}", ef.name(), hex(span.octets))).note(error.to_string()),
    }
}

/// What stands for a key in the fields of a file.
const NOT_SHOWN: &str = "not shown";

/// Whether every octet of a file may belong to a key.
const fn holds_keys(ef: Ef) -> bool {
    matches!(
        ef,
        Ef::Keys | Ef::KeysPs | Ef::EpsNsc | Ef::FiveGs3gppNsc | Ef::FiveGsN3gppNsc | Ef::FiveGAuthKeys
    )
}
