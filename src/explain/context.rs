//! What an explanation knows beside the octets it is at: keys, what was said before, where a message comes from.

use std::collections::{BTreeMap, BTreeSet};
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
    /// sequence_number of the PDU; 0 outside of one.
    pub(super) sequence: u32,
    /// Which of the things given.
    pub(super) item: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { packet: 0, sequence: 0, item } => write!(f, "item {item}"),
            Self { packet: 0, sequence, .. } => write!(f, "sequence {sequence}"),
            Self { packet, sequence, .. } => write!(f, "packet {packet}, sequence {sequence}"),
        }
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
    /// The places in `sent` of what went to an application of a number.
    sent_to: BTreeMap<(Tar, Option<String>), Vec<usize>>,
    /// Where a packet was seen first.
    packets: BTreeMap<Vec<u8>, Place>,
    /// The file that the commands of a script have selected.
    pub(super) file: File,
    /// The last C-APDU's instruction, which its R-APDU does not repeat.
    pub(super) instruction: Option<u8>,
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
    /// The script in it.
    pub(super) script: Option<Rc<Script>>,
}

/// A response held against the commands that were sent.
pub(super) struct Answer {
    pub(super) opened: Result<Opened<OpenedResponse>, NotOpened>,
    /// The command that it answers.
    pub(super) sent: Sent,
    /// Whether the CNTR says so.
    pub(super) certain: bool,
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
            sent_to: BTreeMap::new(),
            packets: BTreeMap::new(),
            file: File::default(),
            instruction: None,
            verdict: None,
        }
    }

    /// Another of the things given begins.
    pub(super) fn begin_item(&mut self) {
        self.place = Place { item: self.place.item + 1, ..Place::default() };
        self.verdict = None;
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
    pub(super) fn note_sent(&mut self, packet: &[u8], sent: Sent) -> Option<Place> {
        let before = self.packets.get(packet).copied();
        if before.is_none() {
            self.packets.insert(packet.to_vec(), sent.place);
        }
        self.sent_to.entry((sent.tar, sent.number.clone())).or_default().push(self.sent.len());
        self.sent.push(sent);
        before
    }

    /// Opens a response by the commands that were sent before: those to its number, then (a card answers from its new number
    /// too) those to its application, the last one first.
    pub(super) fn open_response(&mut self, packet: &[u8], tar: Tar) -> Option<Answer> {
        let number = self.number().map(str::to_owned);
        let of_number = self.sent_to.get(&(tar, number.clone())).cloned().unwrap_or_default();
        let mut tried = BTreeSet::new();
        let mut failure = None;
        for index in of_number.iter().rev().copied().chain((0..self.sent.len()).rev()) {
            let Some(sent) = self.sent.get(index).filter(|sent| sent.tar == tar).cloned() else { continue };
            let known = sent.number == number || sent.card.is_some();
            if !known || !tried.insert((sent.spi2.0, sent.key_set, sent.card.clone())) {
                continue;
            }
            let hint = Hint { card: sent.card.as_deref(), number: number.as_deref() };
            match self.keys.response(packet, sent.spi2, Some(sent.key_set), hint) {
                Ok(opened) => {
                    let answered = self.answered(&opened, tar, &of_number);
                    let certain = answered.is_some();
                    return Some(Answer { opened: Ok(opened), sent: answered.unwrap_or(sent), certain });
                }
                Err(error) => {
                    let over = error == NotOpened::NoKeys;
                    failure.get_or_insert(Answer { opened: Err(error), sent, certain: false });
                    if over {
                        break;
                    }
                }
            }
        }
        failure
    }

    /// The command with the CNTR of this response, of the same card.
    fn answered(&self, opened: &Opened<OpenedResponse>, tar: Tar, of_number: &[usize]) -> Option<Sent> {
        let is_it = |sent: &&Sent| {
            sent.tar == tar
                && sent.cntr == Some(opened.packet.cntr)
                && sent.card.as_ref().is_none_or(|card| *card == opened.card)
        };
        let candidates = of_number.iter().rev().copied().chain((0..self.sent.len()).rev());
        candidates.filter_map(|index| self.sent.get(index)).find(is_it).cloned()
    }
}
