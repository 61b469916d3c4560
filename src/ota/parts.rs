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
