//! Command and response packets, field by field, opened where there are keys (TS 102 225 §5, TS 31.115 §4).

mod check;
mod layout;
mod verdict;

use super::context::{Answer, Context, Direction, Sent};
use super::keys::{Hint, NotOpened, Opened};
use super::node::{Fields, Node, Span};
use super::words;
use crate::ota::{Crc, Integrity, OpenedCommand, OpenedResponse, Spi1, Spi2, Tar, response};
use check::{Secured, check_name, is_right, not_opened, proof, redundancy};
use layout::{Found, Layout, header_length, length, tar};
use verdict::{Sealed, por_verdict};

/// The name of a command packet's node.
pub(in crate::explain) const COMMAND: &str = "command packet";
/// The name of a response packet's node.
pub(in crate::explain) const RESPONSE: &str = "response packet";

/// CHL of a packet without a check: SPI to PCNTR.
const CHL_BASE: u8 = 0x0D;
/// RHL of a packet without a check: TAR to RSC.
const RHL_BASE: u8 = 0x0A;
/// The user data header of a response, which its check covers.
const UDH: [u8; 3] = [0x02, 0x71, 0x00];
/// Octets of the smallest block that is ciphered.
const BLOCK_LEAST: usize = 8;
/// The last RSC that is defined.
const RSC_LAST: u8 = 0x0C;

/// Explains a command packet, from CPL on.
pub(in crate::explain) fn command(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let mut fields = Fields::new(span);
    let said = command_fields(&mut fields, span, context).is_some();
    let node = Node::of(COMMAND, span).clause("TS 102 225 §5.1").children(fields.finish());
    if !said {
        context.verdict = Some("command packet, incomplete".to_owned());
    }
    node
}

fn command_fields(fields: &mut Fields<'_>, span: Span<'_>, context: &mut Context<'_>) -> Option<()> {
    let whole = length(fields, "CPL")?;
    let [_, _, _, spi1, ..] = *span.octets else {
        fields.fail("header", "expected CHL and SPI");
        return None;
    };
    let spi1 = Spi1(spi1);
    let [chl] = header_length(fields, "CHL", CHL_BASE, Some(spi1.integrity()))?;
    fields.fixed("SPI1", |[octet], node| {
        let node = node.value(words::spi1(Spi1(octet))).clause("TS 102 225 §5.1.1");
        if octet & 0xE0 == 0 { node } else { node.note("reserved bits are set") }
    })?;
    let [spi2] = fields.fixed("SPI2", |[octet], node| {
        let node = node.value(words::spi2(Spi2(octet))).clause("TS 102 225 §5.1.1");
        if octet & 0xC0 == 0 { node } else { node.note("reserved bits are set") }
    })?;
    let spi2 = Spi2(spi2);
    let [kic] = fields.fixed("KIc", |[octet], node| {
        let node = node.value(words::kic(octet)).clause("TS 102 225 §5.1.2");
        if spi1.ciphered() || spi2.por_ciphered() { node } else { node.note("not used") }
    })?;
    let [kid] = fields.fixed("KID", |[octet], node| {
        let node = node.value(words::kid(octet, spi1.integrity())).clause("TS 102 225 §5.1.3");
        let used = spi1.integrity() != Integrity::None || spi2.por_integrity() != Integrity::None;
        if used { node } else { node.note("not used") }
    })?;
    let tar = tar(fields)?;

    let packet = span.octets;
    let opened = match whole {
        true => context.open_command(packet),
        false => Err(NotOpened::Other("its length is wrong".to_owned())),
    };
    let check_len = usize::from(chl.saturating_sub(CHL_BASE));
    let (card, secured, clear) = match opened {
        Ok(Opened { card, key_set, packet }) => {
            let secured = proof(&card, key_set, spi1.integrity());
            let OpenedCommand { header, data, pcntr } = packet;
            (Some(card), secured, Some((header.cntr, data, pcntr)))
        }
        Err(error) => (None, not_opened(&error), None),
    };
    let secured = match (spi1.integrity(), spi1.ciphered()) {
        (Integrity::Rc, false) => redundancy(&[], packet, check_len, secured),
        _ => secured,
    };
    let layout =
        Layout { check: check_name(spi1.integrity()), check_len, rsc: false, secured, tar, answered: None };
    let mut found = Found::default();
    match (spi1.ciphered(), clear) {
        (false, _) => {
            let _ = layout.fields(fields, false, context, &mut found);
        }
        (true, Some((cntr, data, pcntr))) => {
            let head = [&cntr.octets()[..], &[pcntr]].concat();
            layout.deciphered(fields, &head, data, pcntr, context, &mut found);
        }
        (true, None) => layout.ciphered(fields),
    }
    let sealed_as = Sealed { spi1, spi2, tar, cntr: found.cntr, words: found.words };
    let before = match context.direction {
        Some(Direction::FromCard) => None,
        _ => context.note_sent(
            packet,
            Sent {
                place: context.place,
                number: context.number().map(str::to_owned),
                card,
                tar,
                spi2,
                key_set: if spi2.por_ciphered() { kic >> 4 } else { kid >> 4 },
                cntr: found.cntr,
                script: found.script,
            },
        ),
    };
    context.verdict = Some(sealed_as.verdict(context.direction, &layout.secured, before));
    Some(())
}

/// Explains a response packet, from RPL on.
pub(in crate::explain) fn response(span: Span<'_>, context: &mut Context<'_>) -> Node {
    let mut fields = Fields::new(span);
    let mut node = Node::of(RESPONSE, span).clause("TS 102 225 §5.2");
    match response_fields(&mut fields, span, context) {
        Some(Some(note)) => node = node.note(note),
        Some(None) => {}
        None => context.verdict = Some("response packet (PoR), incomplete".to_owned()),
    }
    node.children(fields.finish())
}

/// The note says which command it answers.
fn response_fields(
    fields: &mut Fields<'_>,
    span: Span<'_>,
    context: &mut Context<'_>,
) -> Option<Option<String>> {
    let whole = length(fields, "RPL")?;
    let check_len = span.octets.get(2).map_or(0, |rhl| usize::from(rhl.saturating_sub(RHL_BASE)));
    header_length(fields, "RHL", RHL_BASE, None)?;
    let tar = tar(fields)?;
    let level = if whole { level(span.octets, tar, check_len, context) } else { Level::clear(None) };
    let Level { asked, opened, answered, certain } = level;
    let integrity = asked.map_or_else(|| of_length(check_len), Spi2::por_integrity);
    let integrity = match asked {
        // Four octets are a CRC-32 or a short CC: the packet tells.
        None if check_len == 4 && is_right(Crc::Crc32, &UDH, span.octets) => Integrity::Rc,
        _ => integrity,
    };
    let (secured, clear) = match opened {
        Ok(Opened { card, key_set, packet }) => (proof(&card, key_set, integrity), Some(packet)),
        Err(error) => (not_opened(&error), None),
    };
    let ciphered = asked.map_or_else(|| !seems_clear(fields.rest()), Spi2::por_ciphered);
    let secured = match (integrity, ciphered) {
        (Integrity::Rc, false) => redundancy(&UDH, span.octets, check_len, secured),
        _ => secured,
    };
    let of_command = answered.clone();
    let mut layout =
        Layout { check: check_name(integrity), check_len, rsc: true, secured, tar, answered: of_command };
    let mut found = Found::default();
    match (ciphered, clear) {
        (true, Some(OpenedResponse { cntr, rsc, data, .. })) => {
            let secured_len = fields.rest().len();
            let pcntr = secured_len.saturating_sub(7 + check_len + data.len());
            // Shorter than a block.
            let pcntr = u8::try_from(pcntr).unwrap_or(u8::MAX);
            let head = [&cntr.octets()[..], &[pcntr, rsc.0]].concat();
            layout.deciphered(fields, &head, data, pcntr, context, &mut found);
        }
        // An error may come in clear although more was asked for.
        (true, None) if check_len == 0 && seems_clear(fields.rest()) => {
            layout.secured = Secured::Opened("in clear".to_owned());
            let _ = layout.fields(fields, false, context, &mut found);
        }
        (true, None) => layout.ciphered(fields),
        (false, _) => {
            let _ = layout.fields(fields, false, context, &mut found);
        }
    }
    context.verdict = Some(por_verdict(&found, &layout.secured, answered.as_ref().filter(|_| certain)));
    let in_clear = asked.filter(|asked| asked.por_integrity() != Integrity::None && check_len == 0);
    let answered = answered.map(|sent| {
        let how = if certain { "answers the command in" } else { "seems to answer the command in" };
        let less = in_clear.map_or("", |_| ", without the check that it asks for: a hint at most");
        format!("{how} {}{less}", sent.place)
    });
    Some(match (answered, asked) {
        (None, None) => Some(if ciphered {
            "its command says how it is secured, and is not known: taken as ciphered".to_owned()
        } else {
            "its command says how it is secured, and is not known: read as not ciphered".to_owned()
        }),
        (answered, _) => answered,
    })
}

/// At which level a response was opened, and what it answers.
struct Level {
    asked: Option<Spi2>,
    opened: Result<Opened<OpenedResponse>, NotOpened>,
    answered: Option<Sent>,
    certain: bool,
}

impl Level {
    const fn clear(asked: Option<Spi2>) -> Self {
        Self { asked, opened: Err(NotOpened::NoKeys), answered: None, certain: false }
    }
}

/// Opens a response: at the level that a command seen before asks for, else at those that its header fits.
fn level(packet: &[u8], tar: Tar, check_len: usize, context: &mut Context<'_>) -> Level {
    let by_command = context.open_response(packet, tar);
    let Some(Answer { opened, sent, certain }) = by_command else {
        let number = context.number().map(str::to_owned);
        let hint = Hint { card: None, number: number.as_deref() };
        let mut failure = NotOpened::NoKeys;
        // PoR always, with CC or RC, ciphered first.
        let levels: &[u8] = match check_len {
            0 => &[],
            2 => &[0x15],
            4 => &[0x19, 0x09, 0x15],
            _ => &[0x19, 0x09],
        };
        for asked in levels.iter().copied().map(Spi2) {
            match context.keys.response(packet, asked, None, hint) {
                Ok(opened) => {
                    return Level { asked: Some(asked), opened: Ok(opened), answered: None, certain: false };
                }
                Err(error) => failure = error,
            }
        }
        return Level { opened: Err(failure), ..Level::clear(None) };
    };
    let in_clear = response::read_clear(packet).ok().filter(|_| opened.is_err() && check_len == 0);
    let certain = certain || in_clear.is_some_and(|read| Some(read.cntr) == sent.cntr);
    Level { asked: Some(sent.spi2), opened, answered: Some(sent), certain }
}

/// Which check a response seems to have, by its length.
const fn of_length(check_len: usize) -> Integrity {
    match check_len {
        0 => Integrity::None,
        2 => Integrity::Rc,
        _ => Integrity::Cc,
    }
}

/// Whether a response is not ciphered, by its looks: no padding and a status that is defined, or no whole blocks.
fn seems_clear(secured: Span<'_>) -> bool {
    matches!(secured.octets, [_, _, _, _, _, 0, 0..=RSC_LAST, ..])
        || !secured.len().is_multiple_of(BLOCK_LEAST)
}
