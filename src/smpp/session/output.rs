//! What is to be written to the peer: whole PDUs, the urgent ones ahead of those that queue.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Octets to write. Whoever writes them takes them from the front; the rest of a PDU whose first octets are gone
/// stays at the front whatever is urgent.
#[derive(Debug, Default)]
pub(super) struct Output {
    octets: BytesMut,
    /// Octets put into `octets` since the session began.
    put: u64,
    /// Where PDUs in `octets` begin, counted like `put`; those of which something is taken may be missing.
    starts: VecDeque<u64>,
    /// PDUs for the next boundary of `octets`.
    urgent: BytesMut,
}

impl Output {
    /// Appends the PDU that `pdu` writes.
    pub(super) fn put(&mut self, pdu: impl FnOnce(&mut BytesMut)) {
        self.forget_taken();
        self.starts.push_back(self.put);
        let before = self.octets.len();
        pdu(&mut self.octets);
        self.put += octets(self.octets.len() - before);
    }

    /// The PDU that `pdu` writes goes out before all of which no octet has been taken.
    pub(super) fn put_urgent(&mut self, pdu: impl FnOnce(&mut BytesMut)) {
        pdu(&mut self.urgent);
    }

    /// The octets to write now.
    pub(super) fn octets(&mut self) -> &mut BytesMut {
        if !self.urgent.is_empty() {
            self.move_urgent();
        }
        &mut self.octets
    }

    fn move_urgent(&mut self) {
        let taken = self.forget_taken();
        let boundary = self.starts.front().copied().unwrap_or(self.put);
        let begun = usize::try_from(boundary - taken).unwrap_or(usize::MAX).min(self.octets.len());
        let queued = self.octets.split_off(begun);
        self.octets.extend_from_slice(&self.urgent);
        self.octets.extend_from_slice(&queued);
        let moved = octets(self.urgent.len());
        self.put += moved;
        self.starts.iter_mut().for_each(|start| *start += moved);
        self.starts.push_front(boundary);
        self.urgent.clear();
    }

    /// Forgets the PDUs that are taken, in part or in whole; how many octets that is.
    fn forget_taken(&mut self) -> u64 {
        let taken = self.put - octets(self.octets.len());
        while self.starts.front().is_some_and(|start| *start < taken) {
            self.starts.pop_front();
        }
        taken
    }
}

fn octets(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BufMut};

    use super::*;

    fn put(output: &mut Output, pdu: &'static [u8]) {
        output.put(|out| out.put_slice(pdu));
    }

    #[test]
    fn what_is_urgent_goes_ahead_of_whole_pdus_only() {
        for taken in 0..=6 {
            let mut output = Output::default();
            put(&mut output, b"abc");
            put(&mut output, b"def");
            output.octets().advance(taken);
            output.put_urgent(|out| out.put_slice(b"1"));
            output.put_urgent(|out| out.put_slice(b"2"));
            let expected = match taken {
                0 => &b"12abcdef"[..],
                1 => b"bc12def",
                2 => b"c12def",
                3 => b"12def",
                4 => b"ef12",
                5 => b"f12",
                _ => b"12",
            };
            assert_eq!(output.octets(), expected, "{taken} octets taken");
        }
    }

    #[test]
    fn what_is_urgent_keeps_its_order_and_counts_as_taken_like_the_rest() {
        let mut output = Output::default();
        put(&mut output, b"abc");
        output.octets().advance(1);
        output.put_urgent(|out| out.put_slice(b"12"));
        assert_eq!(output.octets(), &b"bc12"[..]);
        put(&mut output, b"def");
        output.octets().advance(3);
        output.put_urgent(|out| out.put_slice(b"34"));
        assert_eq!(output.octets(), &b"234def"[..]);
        output.octets().clear();
        put(&mut output, b"ghi");
        output.put_urgent(|out| out.put_slice(b"5"));
        assert_eq!(output.octets().split(), &b"5ghi"[..]);
        assert!(output.octets().is_empty());
        put(&mut output, b"jkl");
        assert_eq!(output.starts.len(), 1);
    }
}
