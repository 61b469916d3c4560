//! Passwords out of a stream of PDUs, however it is cut.

use crate::smpp::{CommandId, frame::HEADER_OCTETS};

/// What stands for an octet that is not shown.
const MASK: u8 = b'*';

/// A command_length above this is none: the stream is not SMPP, or has lost its boundaries. It is also the most that has
/// to be held of a PDU that is not complete.
const LENGTH_MAX: u32 = 1024 * 1024;

/// Follows the PDUs of one direction and masks the password of every bind and outbind, octet by octet, so that lengths
/// stay. Behind a command_length that can be none, everything is masked: nobody knows where a password is there.
#[derive(Debug)]
pub(super) struct Mask(State);

#[derive(Debug)]
enum State {
    /// So many octets of a header.
    Header([u8; HEADER_OCTETS], usize),
    /// In a C-Octet String before the end of the PDU, so many octets away.
    Text(Text, usize),
    /// Before the end of the PDU.
    Rest(usize),
    /// Nowhere.
    Unframed,
}

/// The first fields of bind and outbind (§4.1, §4.1.7).
#[derive(Debug, Clone, Copy)]
enum Text {
    SystemId,
    Password,
}

/// Before the first octet of a PDU.
const BOUNDARY: State = State::Header([0; HEADER_OCTETS], 0);

impl Mask {
    pub(super) const fn new() -> Self {
        Self(BOUNDARY)
    }

    /// Masks what is to be masked in the octets that come next. Gives up to where they can be passed on: behind the last
    /// PDU that ends in them, or all of them where there are no PDUs any more.
    pub(super) fn apply(&mut self, octets: &mut [u8]) -> Option<usize> {
        let (mut at, mut boundary) = (0, None);
        while at < octets.len() {
            at += self.step(&mut octets[at..]);
            if matches!(self.0, State::Header(_, 0) | State::Unframed) {
                boundary = Some(at);
            }
        }
        boundary
    }

    /// Takes some octets; at least one, at most what is there.
    fn step(&mut self, octets: &mut [u8]) -> usize {
        let (next, taken) = match &mut self.0 {
            State::Header(header, filled) => {
                let taken = octets.len().min(HEADER_OCTETS - *filled);
                header[*filled..*filled + taken].copy_from_slice(&octets[..taken]);
                *filled += taken;
                let next =
                    if *filled == HEADER_OCTETS { behind(header) } else { State::Header(*header, *filled) };
                (next, taken)
            }
            State::Text(text, left) => {
                let room = octets.len().min(*left);
                let within = &mut octets[..room];
                let end = within.iter().position(|octet| *octet == 0);
                let before = end.unwrap_or(within.len());
                if matches!(text, Text::Password) {
                    within[..before].fill(MASK);
                }
                let taken = before + usize::from(end.is_some());
                let left = *left - taken;
                let next = match (end, *text) {
                    _ if left == 0 => BOUNDARY,
                    (None, text) => State::Text(text, left),
                    (Some(_), Text::SystemId) => State::Text(Text::Password, left),
                    (Some(_), Text::Password) => State::Rest(left),
                };
                (next, taken)
            }
            State::Rest(left) => {
                let taken = octets.len().min(*left);
                let left = *left - taken;
                (if left == 0 { BOUNDARY } else { State::Rest(left) }, taken)
            }
            State::Unframed => {
                octets.fill(MASK);
                (State::Unframed, octets.len())
            }
        };
        self.0 = next;
        taken
    }
}

/// What follows this header.
fn behind(header: &[u8; HEADER_OCTETS]) -> State {
    let [l0, l1, l2, l3, c0, c1, c2, c3, ..] = *header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    let body = match usize::try_from(length) {
        Ok(octets) if length <= LENGTH_MAX => octets.checked_sub(HEADER_OCTETS),
        _ => None,
    };
    match (body, CommandId(u32::from_be_bytes([c0, c1, c2, c3]))) {
        (None, _) => State::Unframed,
        (Some(0), _) => BOUNDARY,
        (
            Some(body),
            CommandId::BIND_RECEIVER
            | CommandId::BIND_TRANSMITTER
            | CommandId::BIND_TRANSCEIVER
            | CommandId::OUTBIND,
        ) => State::Text(Text::SystemId, body),
        (Some(body), _) => State::Rest(body),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::smpp::{Bind, BindMode, Body, CommandStatus, Password, Pdu};

    /// bind, enquire_link, outbind, a bind without NULs, and what each looks like masked.
    fn stream() -> (Vec<u8>, Vec<u8>) {
        let encoded = |body: Body| {
            let mut octets = BytesMut::new();
            Pdu { status: CommandStatus::ESME_ROK, sequence: 1, body }.encode(&mut octets);
            octets.to_vec()
        };
        let bind = |password| {
            let password = Password::new(password).unwrap();
            encoded(Body::Bind(Box::new(Bind::new(
                BindMode::Transceiver,
                "secret".parse().unwrap(),
                password,
            ))))
        };
        let raw = |command: CommandId, body: &[u8]| {
            let length = 16 + u32::try_from(body.len()).unwrap();
            [&length.to_be_bytes()[..], &command.0.to_be_bytes(), &[0; 8], body].concat()
        };
        let outbind = |body| raw(CommandId::OUTBIND, body);
        let cut = |body| raw(CommandId::BIND_RECEIVER, body);
        let idle = encoded(Body::EnquireLink);
        (
            [&bind("tr0ub4d"), &idle, &outbind(b"smsc\0pw\0"), &cut(b"system\0pass"), &cut(b"system"), &idle]
                .map(Vec::as_slice)
                .concat(),
            [&bind("*******"), &idle, &outbind(b"smsc\0**\0"), &cut(b"system\0****"), &cut(b"system"), &idle]
                .map(Vec::as_slice)
                .concat(),
        )
    }

    proptest! {
        #[test]
        fn passwords_are_masked_however_the_stream_is_cut(cuts in prop::collection::vec(1_usize..20, 1..60)) {
            let (mut octets, masked) = stream();
            let (mut mask, mut at) = (Mask::new(), 0);
            for cut in cuts {
                let end = octets.len().min(at + cut);
                mask.apply(&mut octets[at..end]);
                at = end;
            }
            let left = octets.len() - at;
            let boundary = mask.apply(&mut octets[at..]);
            prop_assert_eq!(octets, masked);
            prop_assert_eq!(boundary, (left > 0).then_some(left));
        }
    }

    #[test]
    fn behind_a_length_that_is_none_everything_is_masked() {
        for length in [15_u32, 0x2F00_0000] {
            let mut octets =
                [&length.to_be_bytes()[..], &[0, 0, 0, 9], &[0; 8], b"airwrite\0secret\0"].concat();
            let mut mask = Mask::new();
            assert_eq!(mask.apply(&mut octets[..3]), None);
            assert_eq!(mask.apply(&mut octets[3..]), Some(29));
            assert_eq!(octets[..4], length.to_be_bytes());
            assert_eq!(octets[16..], [b'*'; 16]);
        }
    }
}
