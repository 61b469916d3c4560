//! What an explanation knows beside the octets it is at: keys, what was said before, where a message comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::file::File;
use super::keys::{Hint, Keys, NotOpened, Opened};
use super::script::Script;
use crate::ota::{
    Cntr, Concatenation, Insertion, Joined, OpenedCommand, OpenedResponse, PartError, PartSet, Reference,
    Spi2, Tar, UserData,
};
use crate::smpp::CommandId;

/// Sets of parts that are open at a time; the one that was begun first is given up.
const PART_SETS_MAX: usize = 4096;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    ToCard,
    FromCard,
}

/// Where something was seen: places are in the order of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The packet of the capture, from 1; 0 where there is no capture.
    pub(super) packet: usize,
    /// sequence_number of the PDU.
    pub(super) sequence: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packet > 0 {
            write!(f, "packet {}, ", self.packet)?;
        }
        write!(f, "sequence {}", self.sequence)
    }
}

/// Whose parts they are: source, destination, reference number, number of parts.
type SetKey = (String, String, Reference, u8);

pub(super) struct Context<'k> {
    pub(super) keys: &'k mut dyn Keys,
    /// Where this is.
    pub(super) place: Place,
    /// Whether the PDU is of the side that opened the connection, where that is known: mostly the ESME.
    pub(super) from_client: Option<bool>,
    /// Which way the message goes, where that is known.
    pub(super) direction: Option<Direction>,
    source: String,
    destination: String,
    sets: BTreeMap<SetKey, (PartSet, Place)>,
    sent: Vec<Sent>,
    /// The file that the commands of a script have selected.
    pub(super) file: File,
    /// What the message comes to, in a line.
    pub(super) verdict: Option<String>,
}

/// A command packet that was sent to a card, as far as its response needs it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// Where it was seen.
    pub(super) place: Place,
    /// The card's number.
    pub(super) number: Option<String>,
    /// The card whose keys opened it.
    pub(super) card: Option<String>,
    pub(super) tar: Tar,
    pub(super) spi2: Spi2,
    /// Number of the key set.
    pub(super) key_set: u8,
    /// CNTR, where it could be read.
    pub(super) cntr: Option<Cntr>,
    /// The packet from CPL on.
    pub(super) packet: Vec<u8>,
    /// The script in it.
    pub(super) script: Option<Rc<Script>>,
}

/// The parts of a message that have come.
pub(super) struct Parts {
    /// Where the first one was seen.
    pub(super) begun: Place,
    pub(super) missing: usize,
    pub(super) joined: Option<Joined>,
    pub(super) insertion: Insertion,
}

impl<'k> Context<'k> {
    pub(super) fn new(keys: &'k mut dyn Keys) -> Self {
        Self {
            keys,
            place: Place::default(),
            from_client: None,
            direction: None,
            source: String::new(),
            destination: String::new(),
            sets: BTreeMap::new(),
            sent: Vec::new(),
            file: File::default(),
            verdict: None,
        }
    }

    /// Another PDU begins.
    pub(super) fn begin_pdu(&mut self, command: CommandId, sequence: u32) {
        self.verdict = None;
        self.place.sequence = sequence;
        self.direction = match command {
            CommandId::SUBMIT_SM | CommandId::SUBMIT_MULTI | CommandId::REPLACE_SM => Some(Direction::ToCard),
            CommandId::DELIVER_SM => Some(Direction::FromCard),
            _ => self.from_client.map(|client| if client { Direction::ToCard } else { Direction::FromCard }),
        };
        (self.source, self.destination) = Default::default();
    }

    /// The addresses of the message that is explained now.
    pub(super) fn begin_message(&mut self, source: &[u8], destination: &[u8]) {
        let text = |octets| String::from_utf8_lossy(octets).trim_start_matches('+').to_owned();
        (self.source, self.destination) = (text(source), text(destination));
    }

    /// The number of the card that the message is to or from.
    pub(super) fn number(&self) -> Option<&str> {
        let number = match self.direction? {
            Direction::ToCard => &self.destination,
            Direction::FromCard => &self.source,
        };
        (!number.is_empty()).then_some(number)
    }

    /// Opens a command packet.
    pub(super) fn open_command(&mut self, packet: &[u8]) -> Result<Opened<OpenedCommand>, NotOpened> {
        let number = self.number().map(str::to_owned);
        self.keys.command(packet, number.as_deref())
    }

    /// Takes a part of a message.
    pub(super) fn take_part(
        &mut self,
        part: Concatenation,
        user_data: &UserData,
    ) -> Result<Parts, PartError> {
        let key = (self.source.clone(), self.destination.clone(), part.reference, part.total);
        if self.sets.len() >= PART_SETS_MAX && !self.sets.contains_key(&key) {
            let oldest = self.sets.iter().min_by_key(|(_, (_, begun))| *begun).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.sets.remove(&oldest));
        }
        let place = self.place;
        let (set, begun) = self.sets.entry(key.clone()).or_insert_with(|| (PartSet::new(part), place));
        let insertion = match set.insert(user_data) {
            // The number is used for another message: the former one is not completed any more.
            Err(PartError::Differs { .. }) => {
                (*set, *begun) = (PartSet::new(part), place);
                set.insert(user_data)?
            }
            insertion => insertion?,
        };
        let parts = Parts { begun: *begun, missing: set.missing().count(), joined: set.joined(), insertion };
        if parts.joined.is_some() {
            self.sets.remove(&key);
        }
        Ok(parts)
    }

    /// Notes a command packet to a card. Where the same octets went out before, it gives where.
    pub(super) fn note_sent(&mut self, sent: Sent) -> Option<Place> {
        let before = self.sent.iter().find(|before| before.packet == sent.packet).map(|before| before.place);
        self.sent.push(sent);
        before
    }

    /// Opens a response by the commands that were sent before: those to its number, then those to its application, the last
    /// one first. Gives the command that it answers, where its CNTR tells.
    pub(super) fn open_response(
        &mut self,
        packet: &[u8],
        tar: Tar,
    ) -> Option<(Result<Opened<OpenedResponse>, NotOpened>, Sent, bool)> {
        let number = self.number().map(str::to_owned);
        let of_number = |sent: &&Sent| sent.tar == tar && sent.number == number;
        let others = |sent: &&Sent| sent.tar == tar && sent.number != number && sent.card.is_some();
        let first = self.sent.iter().rev().filter(of_number);
        let candidates: Vec<Sent> = first.chain(self.sent.iter().rev().filter(others)).cloned().collect();
        let mut tried = Vec::new();
        let mut failure = None;
        for sent in &candidates {
            let how = (sent.spi2, sent.key_set, sent.card.clone());
            if tried.contains(&how) {
                continue;
            }
            let hint = Hint { card: sent.card.as_deref(), number: number.as_deref() };
            match self.keys.response(packet, sent.spi2, Some(sent.key_set), hint) {
                Ok(opened) => {
                    let cntr = Some(opened.packet.cntr);
                    let same = |sent: &&Sent| {
                        sent.cntr == cntr && sent.card.as_ref().is_none_or(|card| *card == opened.card)
                    };
                    let answered = candidates.iter().find(same);
                    let certain = answered.is_some();
                    return Some((Ok(opened), answered.unwrap_or(sent).clone(), certain));
                }
                Err(error) => drop(failure.get_or_insert((error, sent.clone()))),
            }
            tried.push(how);
        }
        failure.map(|(error, sent)| (Err(error), sent, false))
    }
}
