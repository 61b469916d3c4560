//! One secured packet in as many short messages as it needs (TS 31.115 §4.3, §4.4).
//!
//! The packet is cut after it was secured. The first part carries a concatenation element and the one that says what packet
//! it is; later parts carry the concatenation element. Where the second one stands, and whether later parts repeat it,
//! differs between kinds of cards.

use super::user_data::{Concatenation, IEI_COMMAND, IEI_RESPONSE, Reference};

/// Octets of user data in one short message, header included.
pub const USER_DATA_LEN_MAX: usize = 140;

/// Which packet is split: the element that marks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpi {
    /// A command packet (element 70).
    Command,
    /// A response packet (element 71).
    Response,
}

/// Where the element that marks the packet stands in a header that also has a concatenation element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CpiPosition {
    /// Before the concatenation element.
    First,
    /// After it.
    #[default]
    AfterConcatenation,
}

/// How the headers of the parts look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// Reference number of the set. Not to be used again toward a card before the former set is done.
    pub reference: Reference,
    /// Where the element that marks the packet stands.
    pub cpi_position: CpiPosition,
    /// Whether later parts carry that element too.
    pub cpi_in_every_part: bool,
}

impl SplitOptions {
    /// The standard form: marked in the first part only, after the concatenation element.
    #[must_use]
    pub const fn new(reference: Reference) -> Self {
        Self { reference, cpi_position: CpiPosition::AfterConcatenation, cpi_in_every_part: false }
    }
}

/// Why a packet cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packet of {octets} octets: needs more than 255 short messages")]
pub struct SplitError {
    octets: usize,
}

/// Puts a packet into short messages, each a whole TP-UD with its header and at most 140 octets: one without concatenation
/// element if the packet fits (137 octets), else parts in their order.
///
/// # Errors
/// [`SplitError`] if 255 parts are not enough.
pub fn split(packet: &[u8], cpi: Cpi, options: &SplitOptions) -> Result<Vec<Vec<u8>>, SplitError> {
    let whole = [&header(&cpi.element()), packet].concat();
    if whole.len() <= USER_DATA_LEN_MAX {
        return Ok(vec![whole]);
    }
    let mut payloads = Vec::new();
    let mut rest = packet;
    while !rest.is_empty() {
        // The length of a header does not depend on its numbers.
        let room = USER_DATA_LEN_MAX - part_header(cpi, options, payloads.is_empty(), 0, 0).len();
        let (payload, left) = rest.split_at_checked(room).unwrap_or((rest, &[]));
        payloads.push(payload);
        rest = left;
    }
    let total = u8::try_from(payloads.len()).map_err(|_| SplitError { octets: packet.len() })?;
    let parts = (1..=total)
        .zip(payloads)
        .map(|(number, payload)| [&part_header(cpi, options, number == 1, total, number), payload].concat());
    Ok(parts.collect())
}

/// How many short messages [`split`] makes of a packet of `octets` octets; it refuses more than 255.
#[must_use]
pub fn parts_needed(octets: usize, cpi: Cpi, options: &SplitOptions) -> usize {
    if header(&cpi.element()).len() + octets <= USER_DATA_LEN_MAX {
        return 1;
    }
    // The length of a header does not depend on its numbers.
    let room = |first| USER_DATA_LEN_MAX - part_header(cpi, options, first, 0, 0).len();
    1 + octets.saturating_sub(room(true)).div_ceil(room(false))
}

fn part_header(cpi: Cpi, options: &SplitOptions, first: bool, total: u8, number: u8) -> Vec<u8> {
    let concatenation = Concatenation { reference: options.reference, total, number }.octets();
    if !first && !options.cpi_in_every_part {
        return header(&concatenation);
    }
    match options.cpi_position {
        CpiPosition::First => header(&[cpi.element().as_slice(), &concatenation].concat()),
        CpiPosition::AfterConcatenation => header(&[concatenation.as_slice(), &cpi.element()].concat()),
    }
}

/// A header of these elements: at most one concatenation element and one mark, 8 octets.
fn header(elements: &[u8]) -> Vec<u8> {
    [&[elements.len() as u8], elements].concat()
}

impl Cpi {
    const fn element(self) -> [u8; 2] {
        match self {
            Self::Command => [IEI_COMMAND, 0],
            Self::Response => [IEI_RESPONSE, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ota::reassembly::{Joined, PartSet};
    use crate::ota::user_data::{Content, UserData};

    #[test]
    fn one_message_holds_137_octets_and_two_hold_266() {
        let options = SplitOptions::new(Reference::Bits8(1));
        for (octets, parts) in [(0, 1), (137, 1), (138, 2), (132 + 134, 2), (132 + 134 + 1, 3)] {
            let split = split(&vec![0; octets], Cpi::Command, &options).unwrap();
            assert_eq!(split.len(), parts, "{octets} octets");
            assert_eq!(parts_needed(octets, Cpi::Command, &options), parts, "{octets} octets");
        }
        let wide = SplitOptions::new(Reference::Bits16(1));
        assert_eq!(split(&[0; 131 + 133], Cpi::Command, &wide).unwrap().len(), 2);
        assert_eq!(split(&[0; 131 + 134], Cpi::Command, &wide).unwrap().len(), 3);
    }

    #[test]
    fn the_mark_stands_where_the_card_wants_it() {
        let headers = |cpi_position, cpi_in_every_part| {
            let options = SplitOptions { reference: Reference::Bits8(9), cpi_position, cpi_in_every_part };
            let parts = split(&[0xAA; 200], Cpi::Response, &options).unwrap();
            parts.iter().map(|part| part[..=usize::from(part[0])].to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(
            headers(CpiPosition::AfterConcatenation, false),
            [vec![7, 0, 3, 9, 2, 1, 0x71, 0], vec![5, 0, 3, 9, 2, 2]]
        );
        assert_eq!(
            headers(CpiPosition::First, false),
            [vec![7, 0x71, 0, 0, 3, 9, 2, 1], vec![5, 0, 3, 9, 2, 2]]
        );
        assert_eq!(
            headers(CpiPosition::First, true),
            [vec![7, 0x71, 0, 0, 3, 9, 2, 1], vec![7, 0x71, 0, 0, 3, 9, 2, 2]]
        );
    }

    #[test]
    fn more_than_255_parts_are_refused() {
        let options = SplitOptions::new(Reference::Bits8(1));
        let most = 132 + 254 * 134;
        assert_eq!(split(&vec![0; most], Cpi::Command, &options).unwrap().len(), 255);
        assert_eq!(split(&vec![0; most + 1], Cpi::Command, &options), Err(SplitError { octets: most + 1 }));
    }

    proptest! {
        #[test]
        fn parts_fit_a_message_and_join_to_the_packet_in_any_order(
            packet in prop::collection::vec(any::<u8>(), 138..1000),
            reference in prop_oneof![
                any::<u8>().prop_map(Reference::Bits8), any::<u16>().prop_map(Reference::Bits16),
            ],
            cpi in prop::sample::select(vec![Cpi::Command, Cpi::Response]),
            cpi_position in prop::sample::select(vec![CpiPosition::First, CpiPosition::AfterConcatenation]),
            cpi_in_every_part: bool,
            order: u64,
        ) {
            let options = SplitOptions { reference, cpi_position, cpi_in_every_part };
            let mut parts = split(&packet, cpi, &options).unwrap();
            prop_assert_eq!(parts_needed(packet.len(), cpi, &options), parts.len());
            let full = parts.len() - 1;
            prop_assert!(parts.iter().take(full).all(|part| part.len() == USER_DATA_LEN_MAX));
            prop_assert!(parts.iter().all(|part| part.len() <= USER_DATA_LEN_MAX));

            parts.sort_by_key(|part| part.iter().fold(order, |hash, octet| {
                (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
            }));
            let parts: Vec<_> = parts.iter().map(|part| UserData::parse(part).unwrap()).collect();
            let mut set = PartSet::new(parts[0].concatenation().unwrap());
            for part in parts.iter().chain(&parts) {
                set.insert(part).unwrap();
            }
            let content = match cpi { Cpi::Command => Content::Command, Cpi::Response => Content::Response };
            prop_assert_eq!(set.joined(), Some(Joined { content, payload: packet }));
        }
    }
}
