//! Any octets as what carries a packet: short messages, their user data, and the parts of one message.

use airwrite::ota::tp::{Deliver, Submit};
use airwrite::ota::{Cpi, CpiPosition, Insertion, Joined, PartSet, Reference, SplitOptions, UserData, split};

use crate::input::Choices;
use crate::iterations;

#[test]
fn user_data_target() {
    bolero::check!(name = "user_data").with_iterations(iterations()).with_max_len(260).for_each(
        |octets: &[u8]| {
            let Ok(user_data) = UserData::parse(octets) else { return };
            assert_eq!(user_data.encode().as_deref(), Ok(octets));
            if let Some(part) = user_data.concatenation() {
                assert!((1..=part.total).contains(&part.number), "{part:?}");
                let mut set = PartSet::new(part);
                assert_eq!(set.insert(&user_data), Ok(Insertion::New));
                assert_eq!(set.missing().count(), usize::from(part.total) - 1);
                assert_eq!(set.joined().is_some(), part.total == 1);
            }
            let _ = user_data.content();
        },
    );
}

/// A packet is cut, and its parts arrive in any order, damaged, and several times: the set takes what it can and never
/// becomes another packet unless a part was damaged.
#[test]
fn parts_target() {
    bolero::check!(name = "parts").with_iterations(iterations()).with_max_len(400).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let habits = choices.octet();
            let number = choices.octet();
            let options = SplitOptions {
                reference: match habits & 1 {
                    0 => Reference::Bits8(number),
                    _ => Reference::Bits16(u16::from(number) << 7),
                },
                cpi_position: match habits & 2 {
                    0 => CpiPosition::AfterConcatenation,
                    _ => CpiPosition::First,
                },
                cpi_in_every_part: habits & 4 != 0,
            };
            let len = 138 + choices.below(700);
            let packet: Vec<u8> = (0..len).map(|octet| octet as u8).collect();
            let parts = split(&packet, Cpi::Command, &options).unwrap();
            let first = UserData::parse(&parts[0]).unwrap();
            let mut set = PartSet::new(first.concatenation().unwrap());
            let mut damaged = false;
            for _ in 0..3 * parts.len() {
                let mut part = parts[choices.below(parts.len())].clone();
                if choices.octet() == 0xFF {
                    choices.damage(&mut part, false);
                    damaged = true;
                }
                if let Ok(part) = UserData::parse(&part) {
                    let before = set.missing().count();
                    let new = set.insert(&part) == Ok(Insertion::New);
                    assert_eq!(set.missing().count(), before - usize::from(new));
                }
            }
            match set.joined() {
                Some(Joined { payload, .. }) => {
                    assert!(damaged || payload == packet);
                    assert_eq!(set.missing().count(), 0);
                }
                None => assert!(set.missing().count() > 0),
            }
        },
    );
}

#[test]
fn tpdu_target() {
    bolero::check!(name = "tpdus").with_iterations(iterations()).with_max_len(200).for_each(
        |octets: &[u8]| {
            if let Ok(deliver) = Deliver::parse(octets) {
                let _ = deliver.originator.digits();
                // User data in septets is read and never written.
                if let Ok(again) = deliver.encode() {
                    assert_eq!(Deliver::parse(&again).as_ref(), Ok(&deliver));
                }
                if deliver.udhi {
                    let _ = UserData::parse(&deliver.user_data);
                }
            }
            if let Ok(submit) = Submit::parse(octets) {
                let _ = submit.destination.digits();
                if let Ok(again) = submit.encode() {
                    assert_eq!(Submit::parse(&again).as_ref(), Ok(&submit));
                }
            }
        },
    );
}
