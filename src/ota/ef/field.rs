//! Contents of a file as text, with the octets that say it.

use std::fmt;
use std::ops::Range;

/// One field of a file or record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name in the specification.
    pub name: &'static str,
    /// Where it stands.
    pub octets: Range<usize>,
    /// What it says; `not shown` for a key.
    pub value: String,
}

/// Fields one behind the other.
#[derive(Default)]
pub(super) struct Fields {
    fields: Vec<Field>,
    end: usize,
}

impl Fields {
    /// The next field, of `length` octets; none where there are no octets.
    pub(super) fn put(&mut self, name: &'static str, length: usize, value: impl fmt::Display) {
        if length > 0 {
            let start = self.end;
            self.end += length;
            self.fields.push(Field { name, octets: start..self.end, value: value.to_string() });
        }
    }

    /// A field whose value is its octets.
    pub(super) fn put_octets(&mut self, name: &'static str, octets: &[u8]) {
        self.put(name, octets.len(), hex::encode_upper(octets));
    }

    /// A field that holds a key.
    pub(super) fn put_secret(&mut self, name: &'static str, length: usize) {
        self.put(name, length, "not shown");
    }

    pub(super) fn done(self) -> Vec<Field> {
        self.fields
    }
}
