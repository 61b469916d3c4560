//! The codec: octets of the specification's layout, bodies that lie, properties over every PDU, and another stack's
//! reading of the same octets.

mod differential;
mod generate;
mod layout;
mod properties;

use airwrite::smpp::{Body, CommandStatus, Pdu, frame};
use bytes::BytesMut;

const MAX: usize = frame::DEFAULT_MAX_OCTETS;

fn encode(pdu: &Pdu) -> BytesMut {
    let mut octets = BytesMut::new();
    pdu.encode(&mut octets);
    octets
}

fn decode(octets: &[u8]) -> Pdu {
    let mut input = BytesMut::from(octets);
    let frame = frame::next(&mut input, MAX).unwrap().expect("a whole PDU");
    assert!(input.is_empty());
    Pdu::decode(frame)
}

fn ok(sequence: u32, body: Body) -> Pdu {
    Pdu { status: CommandStatus::ESME_ROK, sequence, body }
}

/// A PDU of these octets behind a header of status ESME_ROK and sequence 1.
fn whole(command_id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &command_id.to_be_bytes(), &[0; 4], &[0, 0, 0, 1], body].concat()
}
