//! From a stream of octets to PDUs with a header and an undecoded body (SMPP 3.4 §3.2).

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{CommandId, CommandStatus};

/// Octets of the header: command_length, command_id, command_status, sequence_number, four each.
pub const HEADER_OCTETS: usize = 16;

/// A PDU length that takes every submit_sm and deliver_sm, one message_payload of 65535 octets included.
pub const DEFAULT_MAX_OCTETS: usize = 68 * 1024;

/// The header without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the PDU is.
    pub command_id: CommandId,
    /// Outcome in a response, 0 in a request.
    pub status: CommandStatus,
    /// Correlates a response with its request: 1 to 7FFFFFFF, 0 in a generic_nack about an unreadable header.
    pub sequence: u32,
}

/// One PDU cut from the stream, its body not looked at. `Debug` shows only how long that is: a bind carries a
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// Everything behind the header.
    pub body: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {} octets", self.header, self.body.len())
    }
}

/// A command_length after which no frame boundary is known: the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("command_length: 16 to {max} expected, found {found}")]
pub struct FrameError {
    /// The configured maximum.
    pub max: usize,
    /// What the peer sent.
    pub found: u32,
}

/// Takes the next whole PDU from the front of `input`; `None` (and `input` unchanged) while it is incomplete.
///
/// # Errors
/// A command_length below 16 or above `max`; it is told as soon as the length is there.
#[inline]
pub fn next(input: &mut BytesMut, max: usize) -> Result<Option<Frame>, FrameError> {
    let Some(length) = length(input, max)? else { return Ok(None) };
    if input.len() < length {
        // Room for the rest at once, instead of growing read by read.
        input.reserve(length - input.len());
        return Ok(None);
    }
    let mut body = input.split_to(length).freeze();
    let header = split_header(&body).map(|(header, _)| header);
    body.advance(HEADER_OCTETS);
    Ok(header.map(|header| Frame { header, body }))
}

/// Looks at the first PDU of `input`: its header and its body; `None` while it is incomplete.
///
/// # Errors
/// As [`next`].
#[inline]
pub fn peek(input: &[u8], max: usize) -> Result<Option<(Header, &[u8])>, FrameError> {
    let length = length(input, max)?;
    Ok(length.and_then(|length| input.get(..length)).and_then(split_header))
}

/// command_length of the first PDU, where it is there.
#[inline]
fn length(input: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(&length) = input.first_chunk::<4>() else { return Ok(None) };
    let found = u32::from_be_bytes(length);
    match usize::try_from(found) {
        Ok(length) if (HEADER_OCTETS..=max).contains(&length) => Ok(Some(length)),
        _ => Err(FrameError { max, found }),
    }
}

/// The header of a whole PDU, and its body.
#[inline]
fn split_header(pdu: &[u8]) -> Option<(Header, &[u8])> {
    let (header, body) = pdu.split_first_chunk::<HEADER_OCTETS>()?;
    let (&[_, command_id, status, sequence], []) = header.as_chunks::<4>() else { return None };
    let header = Header {
        command_id: CommandId(u32::from_be_bytes(command_id)),
        status: CommandStatus(u32::from_be_bytes(status)),
        sequence: u32::from_be_bytes(sequence),
    };
    Some((header, body))
}

/// Appends a PDU: the header, then whatever `body` appends.
#[inline]
pub(super) fn put(out: &mut BytesMut, header: Header, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    let mut octets = [0; HEADER_OCTETS];
    let (words, _) = octets.as_chunks_mut::<4>();
    // command_length comes last, once it is known.
    for (word, value) in words.iter_mut().skip(1).zip([header.command_id.0, header.status.0, header.sequence])
    {
        *word = value.to_be_bytes();
    }
    out.put_slice(&octets);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..).and_then(|pdu| pdu.first_chunk_mut()) {
        *field = length.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enquire_link() -> BytesMut {
        BytesMut::from(&[0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 7][..])
    }

    #[test]
    fn waits_for_the_whole_pdu() {
        let whole = enquire_link();
        for cut in 0..whole.len() {
            let mut input = BytesMut::from(&whole[..cut]);
            assert_eq!(next(&mut input, 64), Ok(None), "{cut} octets");
            assert_eq!(input, whole[..cut]);
        }
        let frame = next(&mut whole.clone(), 64).unwrap().unwrap();
        assert_eq!(frame.header.command_id, CommandId::ENQUIRE_LINK);
        assert_eq!(frame.header.sequence, 7);
        assert!(frame.body.is_empty());
    }

    #[test]
    fn refuses_lengths_without_a_boundary() {
        for (found, octets) in
            [(0, [0, 0, 0, 0]), (15, [0, 0, 0, 15]), (65, [0, 0, 0, 65]), (u32::MAX, [255; 4])]
        {
            let error = next(&mut BytesMut::from(&octets[..]), 64).unwrap_err();
            assert_eq!(error, FrameError { max: 64, found });
        }
    }

    #[test]
    fn leaves_what_follows() {
        let mut input = enquire_link();
        input.extend_from_slice(&[0, 0]);
        assert!(next(&mut input, 64).unwrap().is_some());
        assert_eq!(input, [0, 0][..]);
    }
}
