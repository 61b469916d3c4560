//! The lines of a card file, and the values of a line. Both may be keys, so the memory they are read into is wiped.

use std::io::{self, Read};

use zeroize::Zeroizing;

/// Most octets of one line.
pub(super) const LINE_OCTETS_MAX: usize = 16 * 1024;

/// Octets that are read at once; a line always fits.
const BUFFER_LEN: usize = 4 * LINE_OCTETS_MAX;

/// A file, line by line.
pub(super) struct Lines<R> {
    input: R,
    buffer: Zeroizing<Vec<u8>>,
    /// What of `buffer` is read from the file and not yet given away.
    start: usize,
    end: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn of(input: R) -> Self {
        Self { input, buffer: Zeroizing::new(vec![0; BUFFER_LEN]), start: 0, end: 0 }
    }

    /// The next line, without its line feed; `None` at the end of the file. A line of more than [`LINE_OCTETS_MAX`] is
    /// given as it begins, one octet longer than is allowed.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            let feed = unread[searched..].iter().position(|octet| *octet == b'\n').map(|at| searched + at);
            if let Some(len) = feed {
                let start = self.start;
                self.start += len + 1;
                return Ok(Some(&self.buffer[start..start + len.min(LINE_OCTETS_MAX + 1)]));
            }
            searched = unread.len();
            if searched > LINE_OCTETS_MAX {
                let start = self.start;
                self.start = self.end;
                return Ok(Some(&self.buffer[start..start + LINE_OCTETS_MAX + 1]));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, searched);
            let found = match self.input.read(&mut self.buffer[self.end..]) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.end += found;
            if found == 0 {
                self.start = self.end;
                return Ok((searched > 0).then(|| &self.buffer[..searched]));
            }
        }
    }
}

/// The values of one line (RFC 4180). No value of a card file holds a line break, so a line is always a record, and a
/// quotation mark that is never closed spoils no more than its line.
pub(super) struct Record {
    reader: csv_core::Reader,
    octets: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
    len: usize,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            octets: Zeroizing::new(vec![0; LINE_OCTETS_MAX + 1]),
            ends: vec![0; LINE_OCTETS_MAX + 1],
            len: 0,
        }
    }

    /// Takes the values of `line`, of at most [`LINE_OCTETS_MAX`], in the place of those of the last one.
    pub(super) fn read(&mut self, line: &str) {
        self.reader.reset();
        let (_, _, written, first) =
            self.reader.read_record(line.as_bytes(), &mut self.octets, &mut self.ends);
        // The end of the line is the end of the record.
        let (_, _, _, last) =
            self.reader.read_record(&[], &mut self.octets[written..], &mut self.ends[first..]);
        self.len = first + last;
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A value, without blanks around it.
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        if index >= self.len {
            return None;
        }
        let start = index.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before))?;
        let value = self.octets.get(*start..*self.ends.get(index)?)?;
        // Values end at ASCII characters, so they are UTF-8 as their line is.
        str::from_utf8(value).ok().map(str::trim)
    }

    /// The values.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len).filter_map(|index| self.get(index))
    }
}
