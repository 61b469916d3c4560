//! What octets are: said, or guessed.

use std::fmt;
use std::str::FromStr;

use super::apdu;
use super::message;
use super::node::Span;
use super::script;
use super::tlv;
use crate::ota::apdu::StatusWord;
use crate::ota::ef::{Content, Ef};
use crate::ota::tp::{Deliver, Submit};
use crate::ota::{Integrity, Spi1, UserData};
use crate::smpp::CommandId;

/// What octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SMPP PDUs, one or several behind each other.
    Smpp,
    /// An SMS-DELIVER (TPDU to the card).
    Deliver,
    /// An SMS-SUBMIT (TPDU from the card).
    Submit,
    /// User data of a short message that begin with a header.
    UserData,
    /// A command packet from CPL on.
    Command,
    /// A response packet from RPL on.
    Response,
    /// A message of the card-writing applet.
    Message,
    /// A C-APDU.
    Apdu,
    /// An R-APDU.
    ApduResponse,
    /// A template of the toolkit: a proactive command, or what an ENVELOPE carries.
    Toolkit,
    /// A script for remote management.
    Script,
    /// What answers a script.
    ScriptResponse,
    /// The contents of a file, or of a record of it.
    File(Ef),
}

/// A name that no kind has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, found {found:?}", Kind::names())]
pub struct KindError {
    found: String,
}

impl Kind {
    /// Every kind but the files, those first that are guessed first.
    pub const ALL: [Self; 12] = [
        Self::Smpp,
        Self::UserData,
        Self::Command,
        Self::Response,
        Self::Message,
        Self::Apdu,
        Self::Toolkit,
        Self::Script,
        Self::Deliver,
        Self::Submit,
        Self::ApduResponse,
        Self::ScriptResponse,
    ];

    /// The name by which it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smpp => "smpp",
            Self::Deliver => "deliver",
            Self::Submit => "submit",
            Self::UserData => "ud",
            Self::Command => "command",
            Self::Response => "por",
            Self::Message => "message",
            Self::Apdu => "apdu",
            Self::ApduResponse => "rapdu",
            Self::Toolkit => "toolkit",
            Self::Script => "script",
            Self::ScriptResponse => "script-response",
            Self::File(ef) => ef.name(),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Smpp => "an SMPP PDU",
            Self::Deliver => "an SMS-DELIVER",
            Self::Submit => "an SMS-SUBMIT",
            Self::UserData => "user data with a header",
            Self::Command => "a command packet",
            Self::Response => "a response packet (PoR)",
            Self::Message => "an applet message",
            Self::Apdu => "a C-APDU",
            Self::ApduResponse => "an R-APDU",
            Self::Toolkit => "a template of the toolkit",
            Self::Script => "a script",
            Self::ScriptResponse => "a response to a script",
            Self::File(ef) => ef.name(),
        }
    }

    /// The names of all kinds.
    #[must_use]
    pub fn names() -> String {
        format!("{}, EF.<NAME> (EF.IMSI, EF.SMSP, …)", Self::ALL.map(Self::name).join(", "))
    }

    /// What these octets can be, the likeliest first. All lengths have to fit; where nothing does, it is what they begin
    /// like, as far as that can be told: then the second value is false.
    ///
    /// | kind | recognized by |
    /// |---|---|
    /// | SMPP | command_length and a command_id of the specification, PDU after PDU up to the end |
    /// | user data | UDHL and elements that fit, among them concatenation, CPI or RPI |
    /// | command packet | CPL counts the rest, CHL fits the check that SPI names, no reserved bit is set |
    /// | response packet | RPL counts the rest, RHL is one of a response |
    /// | applet message | an application tag 1 to 7 whose length counts the rest, then the version |
    /// | C-APDU | a class and an instruction that are known, Lc and Le fit |
    /// | template of the toolkit | a tag D0 to D7 whose length counts the rest |
    /// | script | a template AA or AE, or commands with classes and instructions that are known, one behind the other |
    /// | SMS-DELIVER, SMS-SUBMIT | every field fits up to the last octet, the type of address is one |
    /// | R-APDU | the last two octets are a status word |
    /// | response to a script | a template AB or AF, or a number and a status word |
    /// | EF.IMSI, EF.ICCID | their length, first octet and digits; no other file can be told by its looks |
    ///
    /// An SMPP PDU, user data with CPI or RPI, and an applet message are taken for nothing else beside.
    #[must_use]
    pub fn guess(octets: &[u8]) -> (Vec<Self>, bool) {
        let mut fits: Vec<Self> = Self::ALL.into_iter().filter(|kind| kind.fits(octets)).collect();
        let marked = matches!(octets, [_, 0x70 | 0x71, 0x00, ..] | [_, 0x00, 0x03, _, _, _, 0x70 | 0x71, ..]);
        if matches!(fits.first(), Some(Self::Smpp | Self::Message)) || marked {
            fits.truncate(1);
        }
        // The only files that can be told by their looks.
        fits.extend(
            [Ef::Imsi, Ef::Iccid]
                .map(Self::File)
                .into_iter()
                .filter(|file| matches!(octets, [0x08 | 0x98, ..]) && file.fits(octets)),
        );
        if fits.is_empty() { (begun(octets).into_iter().collect(), false) } else { (fits, true) }
    }

    fn fits(self, octets: &[u8]) -> bool {
        match self {
            Self::Smpp => is_smpp(octets),
            Self::UserData => UserData::parse(octets).is_ok_and(|user_data| {
                let known = |iei| matches!(iei, 0x00 | 0x08 | 0x70 | 0x71);
                user_data.elements.iter().any(|element| known(element.iei))
            }),
            Self::Command => counts_rest(octets) && is_command_header(octets),
            Self::Response => counts_rest(octets) && matches!(octets, [_, _, 0x0A | 0x0C | 0x0E | 0x12, ..]),
            Self::Message => message::begins(octets),
            Self::Apdu => is_apdu(octets),
            Self::Deliver => is_address(octets.get(1..)) && Deliver::parse(octets).is_ok(),
            Self::Submit => is_address(octets.get(2..)) && Submit::parse(octets).is_ok(),
            Self::ApduResponse => is_status(octets) && !is_template(octets),
            Self::Toolkit => {
                matches!(octets, [0xD0..=0xD7, ..])
                    && tlv::split(Span::whole(octets)).is_ok_and(|(_, behind)| behind.is_empty())
            }
            Self::Script => script::is_script(octets),
            Self::ScriptResponse => script::is_response(octets),
            Self::File(ef) => Content::decode(ef, octets).is_ok(),
        }
    }
}

/// What octets begin like that fit nothing.
fn begun(octets: &[u8]) -> Option<Kind> {
    match octets {
        [_, _, _, _, id @ ..]
            if id.first_chunk().is_some_and(|id| CommandId(u32::from_be_bytes(*id)).name().is_some()) =>
        {
            Some(Kind::Smpp)
        }
        [0x02..=0xFF, 0x70 | 0x71, 0x00, ..]
        | [0x05..=0xFF, 0x00, 0x03, ..]
        | [0x06..=0xFF, 0x08, 0x04, ..] => Some(Kind::UserData),
        [0x61..=0x67, _, 0x80, 0x01, ..] | [0x61..=0x67, 0x81, _, 0x80, 0x01, ..] => Some(Kind::Message),
        _ if is_command_header(octets) => Some(Kind::Command),
        [0x00, _, 0x0A | 0x0C | 0x0E | 0x12, _, _, _, ..] => Some(Kind::Response),
        [0x00 | 0x80 | 0xA0, 0xA4 | 0xB0 | 0xB2 | 0xC0 | 0xC2 | 0xD6 | 0xDC, _, _, ..] => Some(Kind::Apdu),
        [first, ..] if first & 0b11 == 0b00 && is_address(octets.get(1..)) => Some(Kind::Deliver),
        [first, ..] if first & 0b11 == 0b01 && is_address(octets.get(2..)) => Some(Kind::Submit),
        _ => None,
    }
}

fn is_smpp(octets: &[u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        let &[l0, l1, l2, l3, c0, c1, c2, c3] = rest.first_chunk().unwrap_or(&[0; 8]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let named = CommandId(u32::from_be_bytes([c0, c1, c2, c3])).name().is_some();
        match rest.split_at_checked(length) {
            Some((_, behind)) if named && length >= 16 => rest = behind,
            _ => return false,
        }
    }
    !octets.is_empty()
}

/// Whether the first two octets count the others.
fn counts_rest(octets: &[u8]) -> bool {
    octets
        .split_first_chunk()
        .is_some_and(|(length, rest)| usize::from(u16::from_be_bytes(*length)) == rest.len())
}

/// CHL and SPI that go together, nothing reserved set.
fn is_command_header(octets: &[u8]) -> bool {
    let [_, _, chl, spi1, spi2, kic, kid, _, _, _, ..] = octets else { return false };
    let check: &[u8] = match Spi1(*spi1).integrity() {
        Integrity::None => &[0x0D],
        Integrity::Rc => &[0x0F, 0x11],
        Integrity::Cc => &[0x11, 0x15],
        Integrity::Ds => return false,
    };
    check.contains(chl) && spi1 & 0xE0 == 0 && spi2 & 0xC0 == 0 && kic & 0b11 != 0b11 && kid & 0b11 != 0b11
}

/// Number of digits and a type of address.
fn is_address(octets: Option<&[u8]>) -> bool {
    matches!(octets, Some([1..=20, 0x80..=0xFF, ..]))
}

fn is_apdu(octets: &[u8]) -> bool {
    let [cla, ins, _, _, body @ ..] = octets else { return false };
    let lengths = match body {
        [] | [_] => true,
        [lc, data @ ..] => data.len() == usize::from(*lc) || data.len() == usize::from(*lc) + 1,
    };
    apdu::is_known(*cla, *ins) && lengths
}

/// Whether octets are a response to a script in an expanded format.
fn is_template(octets: &[u8]) -> bool {
    matches!(octets, [0xAB | 0xAF, ..]) && script::is_response(octets)
}

fn is_status(octets: &[u8]) -> bool {
    let status = octets.split_last_chunk().map(|(_, status)| StatusWord(u16::from_be_bytes(*status)));
    match (octets.len(), status) {
        (2, Some(status)) => status.meaning().is_some(),
        (_, Some(status)) => status.is_success() || status.has_data_waiting(),
        (_, None) => false,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        let files = Ef::ALL.into_iter().map(Self::File);
        let mut kinds = Self::ALL.into_iter().chain(files);
        kinds
            .find(|kind| kind.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| KindError { found: text.to_owned() })
    }
}
