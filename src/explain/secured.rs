//! Command and response packets, field by field, opened where there are keys (TS 102 225 §5, TS 31.115 §4).

use std::rc::Rc;

use super::content;
use super::context::{Context, Direction, Place, Sent};
use super::keys::{Hint, NotOpened, Opened};
use super::node::{Fields, Node, Span, octets};
use super::script::Script;
use super::words::{self, hex};
use crate::ota::{
    Cntr, Crc, Integrity, OpenError, OpenedCommand, OpenedResponse, PorRequest, Rsc, Spi1, Spi2, Tar,
    response,
};

/// The name of a command packet's node.
pub(super) const COMMAND: &str = "command packet";
/// The name of a response packet's node.
pub(super) const RESPONSE: &str = "response packet";

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

/// What is known of the secured part of a packet.
enum Secured {
    /// It is as it says.
    Proved(String),
    /// It was opened, and nothing proves that.
    Opened(String),
    /// It does not open.
    Failed(String),
    /// Nothing was tried.
    Unknown(String),
}

/// Explains a command packet, from CPL on.
pub(super) fn command(span: Span<'_>, context: &mut Context<'_>) -> Node {
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
    let mut layout =
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
        _ => context.note_sent(Sent {
            place: context.place,
            number: context.number().map(str::to_owned),
            card,
            tar,
            spi2,
            key_set: if spi2.por_ciphered() { kic >> 4 } else { kid >> 4 },
            cntr: found.cntr,
            packet: packet.to_vec(),
            script: found.script,
        }),
    };
    context.verdict = Some(sealed_as.verdict(context.direction, &layout.secured, before));
    Some(())
}

/// Explains a response packet, from RPL on.
pub(super) fn response(span: Span<'_>, context: &mut Context<'_>) -> Node {
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
        // An error may come in clear although ciphering was asked for.
        (true, None) if check_len == 0 && seems_clear(fields.rest()) => {
            let _ = layout.fields(fields, false, context, &mut found);
        }
        (true, None) => layout.ciphered(fields),
        (false, _) => {
            let _ = layout.fields(fields, false, context, &mut found);
        }
    }
    context.verdict = Some(por_verdict(&found, &layout.secured, answered.as_ref().filter(|_| certain)));
    let answered = answered.map(|sent| {
        let how = if certain { "answers the command in" } else { "seems to answer the command in" };
        format!("{how} {}", sent.place)
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
    let Some((opened, sent, certain)) = by_command else {
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

/// How the fields behind the TAR are laid out, and what is known of them.
struct Layout {
    check: &'static str,
    check_len: usize,
    /// Whether there is a response status code.
    rsc: bool,
    secured: Secured,
    tar: Tar,
    /// The command that a response answers.
    answered: Option<Sent>,
}

/// What the fields behind the TAR say.
#[derive(Default)]
struct Found {
    cntr: Option<Cntr>,
    rsc: Option<Rsc>,
    /// The data in words.
    words: Option<String>,
    /// The script that the data are.
    script: Option<Rc<Script>>,
}

impl Layout {
    /// CNTR, PCNTR, RSC, the check, data and padding.
    fn fields(
        &mut self,
        fields: &mut Fields<'_>,
        deciphered: bool,
        context: &mut Context<'_>,
        found: &mut Found,
    ) -> Option<()> {
        let cntr = fields.fixed("CNTR", |octets, node| {
            let cntr = Cntr::from_octets(octets);
            node.value(cntr.get().to_string()).clause("TS 102 225 §5.1.4")
        })?;
        found.cntr = Some(Cntr::from_octets(cntr));
        let [pcntr] = fields.fixed("PCNTR", |[pcntr], node| {
            node.value(format!("{} of padding", octets(pcntr.into()))).clause("TS 102 225 §5.1")
        })?;
        if self.rsc {
            let [rsc] = fields.fixed("RSC", |[rsc], node| {
                let node = node.value(Rsc(rsc).meaning().unwrap_or("undefined")).clause("TS 102 225 §5.2");
                if rsc > RSC_LAST { node.problem("no status that is defined") } else { node }
            })?;
            found.rsc = Some(Rsc(rsc));
        }
        if self.check_len > 0 {
            fields.take(self.check, self.check_len, |_, node| {
                let node = node.clause("TS 102 225 §5.1");
                let node = match &self.secured {
                    Secured::Proved(words) | Secured::Opened(words) => node.value(words.clone()),
                    Secured::Failed(problem) => node.problem(problem.clone()),
                    Secured::Unknown(why) => node.note(format!("not verified: {why}")),
                };
                // It is verified, and not handed out.
                if deciphered { node.hide() } else { node }
            })?;
        }
        let Some(data_len) = fields.rest().len().checked_sub(pcntr.into()) else {
            fields.fail("data", format!("PCNTR says {}", octets(pcntr.into())));
            return None;
        };
        if data_len > 0 {
            let data = fields.rest().before(data_len);
            let place = content::Place {
                response: self.rsc,
                deciphered,
                tar: self.tar,
                answered: self.answered.as_ref(),
            };
            let content::Data { node, words, script } = content::data(data, place, context);
            (found.words, found.script) = (words, script);
            fields.take("data", data_len, |_, _| node)?;
        }
        fields.all("padding", |_, node| node);
        Some(())
    }

    /// The same fields as they stand in what was deciphered: `head` is what stands before the check.
    fn deciphered(
        &mut self,
        fields: &mut Fields<'_>,
        head: &[u8],
        data: Vec<u8>,
        pcntr: u8,
        context: &mut Context<'_>,
        found: &mut Found,
    ) {
        let data = zeroize::Zeroizing::new(data);
        let check = vec![0; self.check_len];
        let clear = zeroize::Zeroizing::new([head, &check, &data, vec![0; pcntr.into()].as_slice()].concat());
        let mut inner = Fields::new(Span::whole(&clear));
        let _ = self.fields(&mut inner, true, context, found);
        let children = inner.finish().into_iter().map(Node::hide_unknown).collect();
        fields.all("ciphered", |span, node| {
            let value = format!("{}, deciphered", octets(span.len()));
            node.value(value).clause("TS 102 225 §5.1.2").children(children).in_octets(&clear)
        });
    }

    fn ciphered(&self, fields: &mut Fields<'_>) {
        fields.all("ciphered", |span, node| {
            let node = node.value(octets(span.len())).clause("TS 102 225 §5.1.2");
            match &self.secured {
                Secured::Failed(problem) => node.problem(problem.clone()),
                Secured::Unknown(why) | Secured::Proved(why) | Secured::Opened(why) => {
                    node.note(format!("not deciphered: {why}"))
                }
            }
        });
    }
}

/// A command in a line.
struct Sealed {
    spi1: Spi1,
    spi2: Spi2,
    tar: Tar,
    cntr: Option<Cntr>,
    words: Option<String>,
}

impl Sealed {
    fn verdict(&self, direction: Option<Direction>, secured: &Secured, before: Option<Place>) -> String {
        let mut words = vec![match direction {
            Some(Direction::FromCard) => "command packet of the card".to_owned(),
            Some(Direction::ToCard) => "command to the card".to_owned(),
            None => "command packet".to_owned(),
        }];
        words.push(format!("TAR {}", self.tar));
        words.extend(self.cntr.map(|cntr| format!("CNTR {}", cntr.get())));
        let mut line = match &self.words {
            Some(content) => format!("{content} ({})", words.join(", ")),
            None => words.join(", "),
        };
        match secured {
            Secured::Proved(_) => line.push_str("; CC verified"),
            Secured::Failed(problem) => line.push_str(&format!("; {problem}")),
            Secured::Opened(_) | Secured::Unknown(_) if self.spi1.integrity() == Integrity::None => {
                line.push_str("; nothing proves it");
            }
            Secured::Opened(_) | Secured::Unknown(_) => {}
        }
        match (before, self.spi2.por()) {
            (Some(place), _) => line.push_str(&format!("; the same packet as in {place}")),
            (None, PorRequest::None) => {}
            (None, PorRequest::OnError) => line.push_str("; PoR asked on error"),
            (None, _) => line.push_str("; PoR asked"),
        }
        line
    }
}

fn por_verdict(found: &Found, secured: &Secured, answered: Option<&Sent>) -> String {
    let mut line = match (found.rsc, &found.words) {
        (None, _) => "PoR, not deciphered".to_owned(),
        (Some(Rsc::OK), Some(words)) => format!("PoR 00: {words}"),
        (Some(rsc), words) => {
            let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
            format!("PoR {:02X}: {}{words}", rsc.0, rsc.meaning().unwrap_or("undefined"))
        }
    };
    match secured {
        Secured::Proved(_) => line.push_str("; CC verified"),
        Secured::Failed(problem) => line.push_str(&format!("; {problem}")),
        Secured::Opened(_) => line.push_str("; nothing proves it"),
        Secured::Unknown(_) => {}
    }
    if let Some(sent) = answered {
        line.push_str(&format!("; answers {}", sent.place));
    }
    line
}

/// The packet length; whether it is right.
fn length(fields: &mut Fields<'_>, name: &'static str) -> Option<bool> {
    let found = fields.rest().len().saturating_sub(2);
    let mut right = false;
    fields.fixed(name, |field, node| {
        let said = usize::from(u16::from_be_bytes(field));
        right = said == found;
        let node = node.value(format!("{} follow", octets(said))).clause("TS 102 225 §5.1");
        match right {
            true => node,
            false if said > found => node.problem(format!("found {found}: {} missing", said - found)),
            false => node.problem(format!("found {found}: {} too many", found - said)),
        }
    })?;
    Some(right)
}

/// The header length; `integrity` is the check that the header names, which a response leaves to its command.
fn header_length(
    fields: &mut Fields<'_>,
    name: &'static str,
    base: u8,
    integrity: Option<Integrity>,
) -> Option<[u8; 1]> {
    fields.fixed(name, |[len], node| {
        let node = node.clause("TS 102 225 §5.1");
        let Some(check) = len.checked_sub(base) else {
            return node.value(len.to_string()).problem(format!("expected at least {base}"));
        };
        let (expected, check_name): (&[u8], _) = match integrity {
            Some(Integrity::None) => (&[0], "check"),
            Some(Integrity::Rc) => (&[2, 4], "RC"),
            Some(Integrity::Cc) => (&[4, 8], "CC"),
            Some(Integrity::Ds) => (&[], "DS"),
            None => (
                &[0, 2, 4, 8],
                if check == 2 {
                    "RC"
                } else if check == 8 {
                    "CC"
                } else {
                    "RC or CC"
                },
            ),
        };
        let node = match check {
            0 => node.value(format!("{len}, no check")),
            check => node.value(format!("{len}, {check} of {check_name}")),
        };
        if expected.contains(&check) { node } else { node.problem("does not fit the check that SPI names") }
    })
}

fn tar(fields: &mut Fields<'_>) -> Option<Tar> {
    let tar = fields.fixed("TAR", |tar, node| {
        let node = node.clause("TS 101 220 annex D");
        match words::tar(Tar(tar)) {
            Some(name) => node.value(name),
            None => node.value(hex(&tar)),
        }
    })?;
    Some(Tar(tar))
}

/// Whether the RC of a packet that is not ciphered is right; `before` is what it covers beside the packet.
fn redundancy(before: &[u8], packet: &[u8], check_len: usize, otherwise: Secured) -> Secured {
    let crc = match check_len {
        2 => Crc::Crc16,
        4 => Crc::Crc32,
        _ => return otherwise,
    };
    match is_right(crc, before, packet) {
        true => Secured::Opened("right; it proves no sender".to_owned()),
        false => Secured::Failed("the RC is wrong: the packet was changed".to_owned()),
    }
}

/// Whether a packet that is not ciphered has this RC. It covers `before` and what stands before it, 16 octets, and what
/// stands behind.
fn is_right(crc: Crc, before: &[u8], packet: &[u8]) -> bool {
    let split = packet.split_at_checked(16 - before.len());
    let split = split.and_then(|(head, behind)| Some((head, behind.split_at_checked(crc.len())?)));
    split.is_some_and(|(head, (found, body))| {
        crc.checksum(&[before, head].concat(), body).get(..crc.len()) == Some(found)
    })
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

const fn check_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "check",
        Integrity::Rc => "RC",
        Integrity::Cc => "CC",
        Integrity::Ds => "DS",
    }
}

fn proof(card: &str, key_set: u8, integrity: Integrity) -> Secured {
    match integrity {
        Integrity::Cc => Secured::Proved(format!("verified: {card}, key set {key_set}")),
        Integrity::Rc => Secured::Opened("verified; an RC proves no sender".to_owned()),
        _ => Secured::Opened(format!("opened with key set {key_set} of {card}; nothing proves it")),
    }
}

fn not_opened(error: &NotOpened) -> Secured {
    match error {
        NotOpened::Open(OpenError::BadChecksum) => {
            Secured::Failed("the check fails: other keys, or the packet was changed".to_owned())
        }
        error if error.failed() => Secured::Failed(error.to_string()),
        error => Secured::Unknown(error.to_string()),
    }
}
