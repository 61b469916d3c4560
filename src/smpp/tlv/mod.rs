//! Optional parameters: tag, length, value (SMPP 3.4 §3.2.4, SMPP 5.0 §4.8).

pub mod tag;
mod values;

use bytes::{BufMut, Bytes, BytesMut};

use super::DecodeError;
use super::reader::Reader;

pub use values::{CongestionState, DeliveryFailureReason, MsAvailabilityStatus, NetworkErrorCode, Segment};

/// Octets of tag and length.
const HEADER: usize = 4;

/// The optional parameters of a PDU, as they stand on the wire: order, unknown tags and repeated tags are kept.
///
/// Up to three octets after the last TLV (too few for another) are kept and ignored: peers send them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tlvs {
    octets: Bytes,
}

/// One optional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag; [`tag`] names the known ones.
    pub tag: u16,
    /// The value: at most 65535 octets, of whatever length the peer sent.
    pub value: &'a [u8],
}

/// A value too long for a TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TLV {tag:#06X}: at most 65535 octets expected, found {found}")]
pub struct TlvTooLong {
    /// The tag.
    pub tag: u16,
    /// Octets of the value.
    pub found: usize,
}

impl Tlvs {
    /// Takes what `reader` has left of the body `octets`.
    pub(super) fn read(reader: Reader<'_>, octets: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self::of_checked(octets.slice_ref(reader.tlvs()?)))
    }

    /// The optional part of a body: what [`check`] let pass.
    pub(super) fn of_checked(octets: Bytes) -> Self {
        debug_assert_eq!(check(&octets), Ok(()));
        Self { octets }
    }

    /// The same parameters and one more behind them.
    ///
    /// # Errors
    /// The value has more than 65535 octets.
    pub fn with(self, tag: u16, value: &[u8]) -> Result<Self, TlvTooLong> {
        let length = u16::try_from(value.len()).map_err(|_| TlvTooLong { tag, found: value.len() })?;
        let mut octets = BytesMut::with_capacity(self.octets.len() + HEADER + value.len());
        for tlv in self.iter() {
            put(&mut octets, tlv.tag, u16::try_from(tlv.value.len()).unwrap_or(u16::MAX), tlv.value);
        }
        put(&mut octets, tag, length, value);
        Ok(Self { octets: octets.freeze() })
    }

    /// All parameters in their order on the wire.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'_>> {
        iter(&self.octets)
    }

    /// The value of the first parameter with this tag.
    #[must_use]
    pub fn find(&self, tag: u16) -> Option<&[u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// Like [`Self::find`], sharing the memory of the PDU.
    #[must_use]
    pub fn find_bytes(&self, tag: u16) -> Option<Bytes> {
        self.find(tag).map(|value| self.octets.slice_ref(value))
    }

    /// The octets on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// Whether there is no parameter at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}

/// Whether every parameter ends within `octets`.
#[inline]
pub(super) fn check(octets: &[u8]) -> Result<(), DecodeError> {
    let mut rest = octets;
    while !rest.is_empty() {
        rest = match split_first(rest) {
            Split::Tlv(_, rest) => rest,
            Split::Stray => break,
            Split::PastEnd { tag, length, left } => return Err(DecodeError::Tlv { tag, length, left }),
        };
    }
    Ok(())
}

/// All parameters of the optional part of a body, up to the first that does not end within it.
pub(super) fn iter(octets: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    let mut rest = octets;
    std::iter::from_fn(move || match split_first(rest) {
        Split::Tlv(tlv, after) => {
            rest = after;
            Some(tlv)
        }
        Split::Stray | Split::PastEnd { .. } => None,
    })
}

enum Split<'a> {
    Tlv(Tlv<'a>, &'a [u8]),
    Stray,
    PastEnd { tag: u16, length: u16, left: usize },
}

fn split_first(octets: &[u8]) -> Split<'_> {
    let Some((&[t0, t1, l0, l1], rest)) = octets.split_first_chunk::<HEADER>() else {
        return Split::Stray;
    };
    let (tag, length) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([l0, l1]));
    match rest.split_at_checked(usize::from(length)) {
        Some((value, rest)) => Split::Tlv(Tlv { tag, value }, rest),
        None => Split::PastEnd { tag, length, left: rest.len() },
    }
}

fn put(out: &mut BytesMut, tag: u16, length: u16, value: &[u8]) {
    out.put_u16(tag);
    out.put_u16(length);
    out.put_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_unknown_tags_and_repeats() {
        let octets = Bytes::from_static(&[0x14, 0x01, 0, 1, 7, 0x04, 0x27, 0, 1, 2, 0x14, 0x01, 0, 0]);
        check(&octets).unwrap();
        let tlvs = Tlvs::of_checked(octets.clone());
        let seen: Vec<_> = tlvs.iter().map(|tlv| (tlv.tag, tlv.value.to_vec())).collect();
        assert_eq!(seen, [(0x1401, vec![7]), (0x0427, vec![2]), (0x1401, vec![])]);
        assert_eq!(tlvs.as_bytes(), octets);
        assert_eq!(tlvs.find(tag::MESSAGE_STATE), Some(&[2][..]));
        assert_eq!(tlvs.find(tag::MESSAGE_PAYLOAD), None);
    }

    #[test]
    fn tells_stray_octets_from_a_value_past_the_end() {
        let stray = [0x04, 0x27, 0, 1, 2, 0xAA, 0xBB, 0xCC];
        assert_eq!((check(&stray), iter(&stray).count()), (Ok(()), 1));
        let past_end = DecodeError::Tlv { tag: 0x0424, length: 9, left: 2 };
        assert_eq!(check(&[0x04, 0x24, 0, 9, 1, 2]), Err(past_end));
    }

    #[test]
    fn appends() {
        let tlvs = Tlvs::default().with(tag::MESSAGE_STATE, &[2]).unwrap();
        let tlvs = tlvs.with(tag::RECEIPTED_MESSAGE_ID, b"7\0").unwrap();
        assert_eq!(tlvs.as_bytes(), [0x04, 0x27, 0, 1, 2, 0, 0x1E, 0, 2, b'7', 0]);
        assert_eq!(tlvs.find_bytes(tag::RECEIPTED_MESSAGE_ID).unwrap(), &b"7\0"[..]);
        let error = tlvs.with(0x1400, &[0; 65536]).unwrap_err();
        assert_eq!(error, TlvTooLong { tag: 0x1400, found: 65536 });
    }
}
