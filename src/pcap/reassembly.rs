//! What one side of a connection said, put together from its TCP segments.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What one side of a connection said, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The octets.
    pub octets: Bytes,
    /// Which packets brought them. Octets that came early belong to the packet that closed the gap before them.
    pub segments: Vec<Segment>,
    /// What the capture has not seen; the first one where it begins in the middle.
    pub gaps: Vec<Gap>,
    /// How it ended.
    pub end: StreamEnd,
}

/// Octets of a stream that one packet brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segment {
    /// The place of the first one in the stream's octets.
    pub at: usize,
    /// The packet: its number in the capture, from 1.
    pub packet: usize,
    /// When it was captured: nanoseconds since 1970-01-01T00:00:00Z.
    pub time_ns: u64,
}

/// Octets of a stream that the capture has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The place in the stream's octets before which they are missing.
    pub at: usize,
    /// How many; `None` where the beginning is missing.
    pub octets: Option<u64>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamEnd {
    /// Not within the capture.
    #[default]
    Open,
    /// In order.
    Finished,
    /// Broken off.
    Reset,
}

/// A packet of the capture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    pub(super) packet: usize,
    pub(super) time_ns: u64,
}

/// Puts a stream together.
#[derive(Debug, Default)]
pub(super) struct Reassembly<'a> {
    /// The sequence number of the octet that comes next.
    next: Option<u32>,
    octets: Vec<u8>,
    stream: Stream,
    /// Segments that came early, by how far ahead of the first octet they begin; of those that begin together
    /// the longest.
    early: BTreeMap<u64, (&'a [u8], Brought)>,
    /// How far ahead of the first octet the next one is.
    offset: u64,
}

impl<'a> Reassembly<'a> {
    /// The stream begins with the octet of this sequence number.
    pub(super) fn begin(&mut self, sequence: u32) {
        self.next.get_or_insert(sequence);
    }

    /// Whether anything is known of the stream.
    pub(super) const fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Whether it is certain that the stream begins with this octet.
    pub(super) fn begins_at(&self, sequence: u32) -> bool {
        self.next.is_some_and(|next| next.wrapping_sub(self.offset as u32) == sequence)
            && self.stream.gaps.is_empty()
    }

    pub(super) fn end(&mut self, end: StreamEnd) {
        self.stream.end = end;
    }

    /// Takes a segment with data.
    pub(super) fn take(&mut self, sequence: u32, octets: &'a [u8], brought: Brought) {
        if octets.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert_with(|| {
            self.stream.gaps.push(Gap { at: 0, octets: None });
            sequence
        });
        // How far ahead: negative for what came before.
        let ahead = i64::from(sequence.wrapping_sub(next).cast_signed());
        match u64::try_from(ahead) {
            Ok(0) => self.push(octets, brought),
            Ok(ahead) => {
                let early = self.early.entry(self.offset + ahead).or_insert((octets, brought));
                if octets.len() > early.0.len() {
                    early.0 = octets;
                }
                return;
            }
            Err(_) => {
                // What is known already is not taken again, even if it differs.
                let known = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
                self.push(octets.get(known..).unwrap_or_default(), brought);
            }
        }
        while let Some((at, (octets, _))) = self.early.first_key_value().map(|(at, early)| (*at, *early)) {
            if at > self.offset {
                return;
            }
            self.early.pop_first();
            let known = usize::try_from(self.offset - at).unwrap_or(usize::MAX);
            self.push(octets.get(known..).unwrap_or_default(), brought);
        }
    }

    /// Nothing comes any more: what is missing is missing.
    pub(super) fn finish(mut self) -> Stream {
        while let Some((at, (octets, brought))) = self.early.pop_first() {
            let known = self.offset.saturating_sub(at);
            if at > self.offset {
                self.stream.gaps.push(Gap { at: self.octets.len(), octets: Some(at - self.offset) });
                self.offset = at;
            }
            self.push(
                octets.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default(),
                brought,
            );
        }
        Stream { octets: self.octets.into(), ..self.stream }
    }

    fn push(&mut self, octets: &[u8], Brought { packet, time_ns }: Brought) {
        if octets.is_empty() {
            return;
        }
        self.stream.segments.push(Segment { at: self.octets.len(), packet, time_ns });
        self.octets.extend_from_slice(octets);
        self.offset += octets.len() as u64;
        self.next = self.next.map(|next| next.wrapping_add(octets.len() as u32));
    }
}
