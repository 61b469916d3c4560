//! Any octets as a packet: opening them ends well or in an error, and what a CC lets through is what was sealed.

use airwrite::ota::response::{self, ResponseHeader};
use airwrite::ota::{Cntr, CommandHeader, Integrity, KeySet, Rsc, Spi1, Spi2, Tar, command};

use crate::input::{Choices, key_sets};
use crate::iterations;

const TAR: Tar = Tar([0xB0, 0x00, 0x11]);

/// An odd first octet: the rest is the packet. An even one: a packet is sealed as the next octets say, and damaged.
#[test]
fn command_target() {
    let key_sets = key_sets();
    bolero::check!(name = "commands").with_iterations(iterations()).with_max_len(400).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let first = choices.octet();
            let keys = &key_sets[usize::from(first >> 1) % key_sets.len()];
            if first & 1 == 1 {
                open_command(choices.0, keys);
                return;
            }
            let header = CommandHeader {
                tar: Tar([choices.octet(), 0, 1]),
                ..CommandHeader::new(Spi1(choices.octet()), Spi2(choices.octet()), keys, TAR, Cntr::ZERO)
            };
            let len = usize::from(choices.octet());
            let Ok(sealed) = command::seal(&header, keys, choices.octets(len)) else {
                assert_eq!(header.spi1.integrity(), Integrity::Ds);
                return;
            };
            let mut packet = sealed.clone();
            choices.damage(&mut packet, true);
            let passed = open_command(&packet, keys);
            assert!(passed != Some(Integrity::Cc) || packet == sealed || keys.cc_len() == 4);
            assert!(passed.is_some() || packet != sealed);
        },
    );
}

/// The check of a packet that was opened. What was opened can be sealed again.
fn open_command(packet: &[u8], keys: &KeySet) -> Option<Integrity> {
    let clear = command::peek(packet);
    let opened = match command::open(packet, keys) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let (header, clear) = (opened.header, clear.unwrap());
    assert_eq!(
        (clear.spi1, clear.spi2, clear.kic, clear.kid),
        (header.spi1, header.spi2, header.kic, header.kid)
    );
    let again = command::seal(&header, keys, &opened.data).unwrap();
    let again = command::open(&again, keys).unwrap();
    assert_eq!((again.header, again.data), (header, opened.data));
    Some(header.spi1.integrity())
}

/// As with commands.
#[test]
fn response_target() {
    let key_sets = key_sets();
    bolero::check!(name = "responses").with_iterations(iterations()).with_max_len(400).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let first = choices.octet();
            let keys = &key_sets[usize::from(first >> 1) % key_sets.len()];
            let asked = Spi2(choices.octet());
            if first & 1 == 1 {
                open_response(choices.0, asked, keys);
                return;
            }
            let header = ResponseHeader { tar: TAR, cntr: Cntr::MAX, rsc: Rsc(choices.octet()) };
            let len = usize::from(choices.octet());
            let Ok(sealed) = response::seal(&header, asked, keys, choices.octets(len)) else {
                assert_eq!(asked.por_integrity(), Integrity::Ds);
                return;
            };
            let mut packet = sealed.clone();
            choices.damage(&mut packet, true);
            let passed = open_response(&packet, asked, keys);
            assert!(passed != Some(true) || packet == sealed || keys.cc_len() == 4);
            assert!(passed.is_some() || packet != sealed);
        },
    );
}

/// Whether a response that was opened is proved.
fn open_response(packet: &[u8], asked: Spi2, keys: &KeySet) -> Option<bool> {
    let tar = response::peek(packet);
    if let Ok(hint) = response::read_clear(packet) {
        assert_eq!((Ok(hint.tar), hint.protected), (tar, false));
    }
    let opened = match response::open(packet, asked, keys) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    assert_eq!((Ok(opened.tar), opened.protected), (tar, asked.por_integrity() == Integrity::Cc));
    let header = ResponseHeader { tar: opened.tar, cntr: opened.cntr, rsc: opened.rsc };
    let again = response::seal(&header, asked, keys, &opened.data).unwrap();
    assert_eq!(response::open(&again, asked, keys).map(|again| again.data), Ok(opened.data));
    Some(opened.protected)
}
