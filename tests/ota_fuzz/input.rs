//! From octets of a fuzzer to what somebody may send.

use airwrite::ota::{Algorithm, Crc, Key, KeySet};

/// Choices taken from the front of a fuzzer's octets; 0 when they are used up.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn octet(&mut self) -> u8 {
        let Some((octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *octet
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let choice = usize::from(u16::from_be_bytes([self.octet(), self.octet()]));
        if end == 0 { 0 } else { choice % end }
    }

    /// The next octets, at most `len`.
    pub(crate) fn octets(&mut self, len: usize) -> &'a [u8] {
        let (octets, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        octets
    }

    /// Changes up to three octets, or cuts or lengthens. Three times of four a length field of two octets in front, if
    /// there is one, fits again, so that the fields behind it are reached.
    pub(crate) fn damage(&mut self, octets: &mut Vec<u8>, has_length: bool) {
        let kind = self.octet();
        match kind >> 6 {
            1 => octets.truncate(self.below(octets.len() + 1)),
            2 => octets.extend_from_slice(&[kind; 20][..usize::from(kind % 20)]),
            _ => {}
        }
        for _ in 0..kind & 3 {
            let (at, octet) = (self.below(octets.len()), self.octet());
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
        }
        if has_length && kind & 0b1100 != 0 {
            let following = u16::try_from(octets.len().saturating_sub(2)).unwrap();
            octets.iter_mut().zip(following.to_be_bytes()).for_each(|(to, from)| *to = from);
        }
    }
}

/// Key sets of every algorithm; number and algorithm of the first are those of most corpus packets.
pub(crate) fn key_sets() -> Vec<KeySet> {
    let key = |algorithm, octets: usize| Key::new(algorithm, &[0x5A; 32][..octets]).unwrap();
    let keys = |algorithm, octets, cc_len| {
        KeySet::new(1, key(algorithm, octets), key(algorithm, octets), cc_len).unwrap()
    };
    vec![
        keys(Algorithm::Aes, 16, 8),
        keys(Algorithm::Aes, 32, 4),
        keys(Algorithm::TripleDes2, 16, 8),
        keys(Algorithm::TripleDes3, 24, 8).with_crc(Crc::Crc16),
        keys(Algorithm::Des, 8, 8),
        keys(Algorithm::TripleDes2, 16, 8).in_ecb().unwrap(),
    ]
}
