//! Scripts of command APDUs in secured packets, and what a card answers to them (ETSI TS 102 226 §5).
//!
//! | format | script | response |
//! |---|---|---|
//! | compact, §5.1 | the commands one after another, each CLA INS P1 P2 P3 and data | number executed (1), last SW1 SW2, last data |
//! | expanded, §5.2 | `AA len` objects | `AB len` objects |
//! | expanded with indefinite length | `AE 80` objects `00 00` | `AF 80` objects `00 00` |
//!
//! In the compact format P3 is either Lc or Le and the instruction says which; only the last command's data come back, so a
//! command with data both ways is followed by GET RESPONSE with P3 = 00. In the expanded format each command is a whole
//! C-APDU, and the card answers with an R-APDU for each one that asked for data and for the last one it executed; many
//! cards answer every one. A card stops at the first command that fails.
//!
//! | object of a script | | object of a response | |
//! |---|---|---|---|
//! | `22` | C-APDU | `80` | number of executed objects; not with indefinite length |
//! | `81` | immediate action | `23` | R-APDU |
//! | `82` | error action | `81`, `83` | what is wrong with an immediate action, with chaining |
//! | `83` | script chaining | `90` | bad format |

mod command;
mod response;
mod verdict;

pub use command::{
    Action, BadFormat, Chaining, ExpandedScript, Object, ScriptOptions, decode_compact, decode_expanded,
    encode,
};
pub use response::{Problem, ResponseApdu, ScriptResponse, decode_response};
pub use verdict::Verdict;

use super::comprehension_tlv::{TlvError, read_ber};

/// How a script and its response are coded. The application on the card (the TAR) knows one of them, or tells them apart by
/// the first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Compact remote commands.
    Compact,
    /// Expanded, with definite length: templates AA and AB.
    Expanded,
    /// Expanded, with indefinite length: templates AE and AF.
    ExpandedIndefinite,
}

impl Format {
    /// The format of a script, by its first octet: no class is AA or AE.
    #[must_use]
    pub const fn of_script(data: &[u8]) -> Self {
        match data.first() {
            Some(&template::SCRIPT) => Self::Expanded,
            Some(&template::SCRIPT_INDEFINITE) => Self::ExpandedIndefinite,
            _ => Self::Compact,
        }
    }
}

/// Tags of the templates (TS 101 220 §7.2).
mod template {
    pub(super) const SCRIPT: u8 = 0xAA;
    pub(super) const SCRIPT_INDEFINITE: u8 = 0xAE;
    pub(super) const RESPONSE: u8 = 0xAB;
    pub(super) const RESPONSE_INDEFINITE: u8 = 0xAF;
}

/// Tags of the objects in the templates (TS 101 220 §7.2).
mod tag {
    pub(super) const C_APDU: u8 = 0x22;
    pub(super) const R_APDU: u8 = 0x23;
    pub(super) const NUMBER_EXECUTED: u8 = 0x80;
    pub(super) const IMMEDIATE_ACTION: u8 = 0x81;
    pub(super) const ERROR_ACTION: u8 = 0x82;
    pub(super) const CHAINING: u8 = 0x83;
    pub(super) const BAD_FORMAT: u8 = 0x90;
    /// The comprehension flag, that some set on C-APDU and R-APDU.
    pub(super) const FLAG: u8 = 0x80;
}

/// The length octet that announces a template of indefinite length, and what ends it.
const INDEFINITE: u8 = 0x80;
const END_OF_CONTENTS: [u8; 2] = [0x00, 0x00];

/// Why octets are no script or no response, or commands do not go into a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// No commands.
    #[error("script: expected at least one command")]
    Empty,
    /// A command that cannot stand in a script of this format.
    #[error("command {command}: expected {expected}")]
    Command {
        /// Which one, counted from 0.
        command: usize,
        /// What it has to be.
        expected: &'static str,
    },
    /// Actions and chaining in the compact format.
    #[error("script options: expected none in the compact format")]
    Options,
    /// The first octet begins no template.
    #[error("template: expected {0} as its first octet")]
    Template(&'static str),
    /// The length of the template, or an object of a response.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// A template of indefinite length without `00 00` behind its objects.
    #[error("template: expected 00 00 at its end")]
    EndOfContents,
    /// Octets behind the template.
    #[error("template: {0} octets more than its length says")]
    Trailing(usize),
    /// An object of a response that has not the length it must have.
    #[error("response object {tag:02X}: expected {expected}, found {found}")]
    Object {
        /// Its tag.
        tag: u8,
        /// Allowed lengths, in octets.
        expected: &'static str,
        /// Octets found.
        found: usize,
    },
    /// A compact response that is neither the octet 00 nor a number, a status word and data.
    #[error("compact response: expected 3 octets or more, found {0}")]
    Response(usize),
}

/// The objects of a template: what stands between its length and its end, for the indefinite form without the end.
struct Template<'a> {
    indefinite: bool,
    objects: &'a [u8],
}

/// Takes a template apart. For the indefinite form `objects` goes to the end of the octets, `00 00` included.
fn open_template<'a>(
    data: &'a [u8],
    tags: [u8; 2],
    expected: &'static str,
) -> Result<Template<'a>, ScriptError> {
    let [definite, indefinite] = tags;
    match data {
        [tag, INDEFINITE, objects @ ..] if *tag == indefinite => Ok(Template { indefinite: true, objects }),
        [tag, length, ..] if *tag == indefinite => Err(TlvError::Length(*length).into()),
        [tag, ..] if *tag == definite => match read_ber(data)? {
            (template, []) => Ok(Template { indefinite: false, objects: template.value }),
            (_, rest) => Err(ScriptError::Trailing(rest.len())),
        },
        _ => Err(ScriptError::Template(expected)),
    }
}

/// Octets of the number without zeros in front; 0 is one octet.
fn number_octets(number: u32) -> Vec<u8> {
    let octets = number.to_be_bytes();
    let zeros = octets.iter().take(3).take_while(|octet| **octet == 0).count();
    octets.into_iter().skip(zeros).collect()
}
