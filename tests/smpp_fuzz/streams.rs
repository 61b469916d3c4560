//! Any stream: it gives the same frames however it is cut, and none that it does not hold.

use airwrite::smpp::{Frame, FrameError, frame};
use bytes::BytesMut;

use crate::input::{Choices, samples};
use crate::iterations;

const MAX: usize = 1024;

#[test]
fn stream_target() {
    let samples = samples();
    bolero::check!(name = "streams").with_iterations(iterations()).with_max_len(300).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let cut = 1 + choices.below(60);
            let mut stream = BytesMut::new();
            if choices.octet().is_multiple_of(4) {
                stream.extend_from_slice(choices.0);
            } else {
                while !choices.is_empty() {
                    stream.extend_from_slice(&choices.damaged_pdu(&samples));
                }
            }
            check(&stream, cut);
        },
    );
}

fn check(stream: &BytesMut, cut: usize) {
    let mut whole = stream.clone();
    let (expected, end) = frames(&mut whole);
    let octets: usize = expected.iter().map(|frame| frame::HEADER_OCTETS + frame.body.len()).sum();
    assert_eq!(octets + whole.len(), stream.len());
    let (mut input, mut seen) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(cut) {
        input.extend_from_slice(piece);
        let (more, error) = frames(&mut input);
        seen.extend(more);
        if error.is_some() {
            assert_eq!(error, end);
            break;
        }
    }
    assert_eq!(seen, expected);
}

/// The frames up to the end, or up to a length that is none.
fn frames(input: &mut BytesMut) -> (Vec<Frame>, Option<FrameError>) {
    let mut frames = Vec::new();
    loop {
        let peeked = frame::peek(input, MAX).map(|pdu| pdu.map(|(header, body)| (header, body.to_vec())));
        match frame::next(input, MAX) {
            Ok(Some(frame)) => {
                assert_eq!(peeked, Ok(Some((frame.header, frame.body.to_vec()))));
                frames.push(frame);
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}
