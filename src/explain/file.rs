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
    /// The short identifier that a command named it by. Which file that is, the card's directories say.
    short_id: Option<u8>,
}

impl File {
    /// The same after SELECT of a file by its identifier.
    pub(super) const fn select(self, id: u16) -> Self {
        match id >> 8 {
            // MF, directories, applications.
            0x3F | 0x5F | 0x7F => Self { directory: Some(id), id: None, short_id: None },
            _ => Self { id: Some(id), short_id: None, ..self },
        }
    }

    /// The same after a command that named a file by its short identifier.
    pub(super) const fn select_short(self, short_id: u8) -> Self {
        Self { id: None, short_id: Some(short_id), ..self }
    }

    /// Where the file is specified, or else how files are referred to.
    pub(super) fn clause(self) -> &'static str {
        match (self.ef(), self.directory, self.id) {
            (Some(ef), _, _) => clause(ef),
            (None, Some(0x5FC0), None) => "TS 31.102 §4.4.11",
            _ => "TS 102 221 §8.3",
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
        if let Some(short_id) = self.short_id {
            return write!(f, "short file id {short_id:02X}");
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
        // A part of a file may be read and written too.
        Some(ef) => match decoded(ef, span, node) {
            (node, None) => node,
            (node, Some(not_whole)) => node.note(not_whole),
        },
        None => node
            .value(format!("[{}]", octets(span.len())))
            .note("contents of a file that is not known")
            .hide(),
    }
}

/// The whole contents of a file or record that is known.
pub(super) fn of_ef(ef: Ef, span: Span<'_>, node: Node) -> Node {
    match decoded(ef, span, node) {
        (node, None) => node,
        (node, Some(not_whole)) => node.problem(not_whole),
    }
}

/// Contents as fields, or as octets with why they are not the contents of a whole file or record.
fn decoded(ef: Ef, span: Span<'_>, node: Node) -> (Node, Option<String>) {
    let node = node.clause(clause(ef));
    match Content::decode(ef, span.octets) {
        Ok(content) => {
            let fields = content.fields();
            let child = |field: &crate::ota::ef::Field| {
                let from = span.at + field.octets.start;
                let node = Node { range: Some([from, span.at + field.octets.end]), ..Node::new(field.name) };
                let node = node.value(field.value.clone());
                if field.value == NOT_SHOWN { node.hide() } else { node }
            };
            (node.value(ef.name()).children(fields.iter().map(child).collect()), None)
        }
        Err(error) if holds_keys(ef) => (node.value(ef.name()).problem(error.to_string()).hide(), None),
        Err(error) => (node.value(format!("{} {}", ef.name(), hex(span.octets))), Some(error.to_string())),
    }
}

/// Where a file is specified.
const fn clause(ef: Ef) -> &'static str {
    match ef {
        Ef::Iccid => "TS 102 221 §13.2",
        Ef::Imsi => "TS 31.102 §4.2.2",
        Ef::Keys => "TS 31.102 §4.2.3",
        Ef::KeysPs => "TS 31.102 §4.2.4",
        Ef::PlmnWact => "TS 31.102 §4.2.5",
        Ef::Spn => "TS 31.102 §4.2.12",
        Ef::Acc => "TS 31.102 §4.2.15",
        Ef::Fplmn => "TS 31.102 §4.2.16",
        Ef::Loci => "TS 31.102 §4.2.17",
        Ef::Ad => "TS 31.102 §4.2.18",
        Ef::PsLoci => "TS 31.102 §4.2.23",
        Ef::Msisdn => "TS 31.102 §4.2.26",
        Ef::Smsp => "TS 31.102 §4.2.27",
        Ef::OplmnWact => "TS 31.102 §4.2.53",
        Ef::HplmnWact => "TS 31.102 §4.2.54",
        Ef::Ehplmn => "TS 31.102 §4.2.84",
        Ef::EpsLoci => "TS 31.102 §4.2.91",
        Ef::EpsNsc => "TS 31.102 §4.2.92",
        Ef::FiveGs3gppLoci => "TS 31.102 §4.4.11.2",
        Ef::FiveGsN3gppLoci => "TS 31.102 §4.4.11.3",
        Ef::FiveGs3gppNsc => "TS 31.102 §4.4.11.4",
        Ef::FiveGsN3gppNsc => "TS 31.102 §4.4.11.5",
        Ef::FiveGAuthKeys => "TS 31.102 §4.4.11.6",
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
