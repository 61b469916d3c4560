//! Writes on site: sealed packets go out as APDUs to the business platform, which relays
//! them and posts back what the card answered. The card's own checksum proves the answer: the relay is not
//! trusted.

use bytes::Bytes;

use crate::applet::Message;
use crate::card::{
    Bearer, Card, End, Event, Method, Owner, Profile, ResponseData, ScriptOctets, WriteId, WriteState,
};
use crate::ota::tp::TpAddress;
use crate::ota::{Cntr, OpenedResponse, Spi2, Tar, response};
use crate::store::records::{SealedParts, Write};
use crate::store::{StoreError, keys};
use crate::vault::KeyRef;

use super::Gateway;
use super::job::{CardError, Hint, Input};
use super::relay::{GET_RESPONSE, at_line, envelope, response_packets};

/// Most R-APDUs in one post-back: each part, its follow-ups and a few repetitions.
const RESPONSES_MAX: usize = 64;

/// Octets of an R-APDU: at most 256 of data, then SW1 SW2.
const RAPDU_OCTETS_MAX: usize = 258;

/// Characters of the timeline's entry about one post-back.
const NOTE_MAX: usize = 1024;

/// What is to be brought to a card on site. Reading it again gives the same octets while nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The write.
    pub write: WriteId,
    /// Which packet of the write this is; posted back with the answers.
    pub attempt: u32,
    /// The parts, to be brought to the card in this order.
    pub parts: Vec<ExportPart>,
    /// What follows an answer `61xx`: these hexadecimal digits, then `xx`.
    pub on_61: String,
    /// What follows an answer `6Cxx` to that: these hexadecimal digits, then `xx`.
    pub on_6c: String,
}

/// One part of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPart {
    /// Its number, from 1.
    pub n: u8,
    /// The C-APDU: ENVELOPE (SMS-PP download), without Le.
    pub apdu: Vec<u8>,
    /// The same as a line for a modem: `AT+CSIM=<digits>,"<hexadecimal digits>"`.
    pub at: String,
}

/// Why there is nothing to export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The owner has no such write.
    #[error("no such write")]
    NotFound,
    /// Nothing of the write is to be brought to the card on site, or not now.
    #[error("nothing is to be brought to the card on site: the write is {}", .0.name())]
    Nothing(WriteState),
    /// The packet cannot be made: what it lacks, or why.
    #[error("the packet cannot be made: {0}")]
    Impossible(String),
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a post-back was refused; nothing of it was taken then.
#[derive(Debug, thiserror::Error)]
pub enum ResponsesError {
    /// The owner has no such write.
    #[error("no such write")]
    NotFound,
    /// Nothing of the write was ever exported.
    #[error("nothing of this write was exported")]
    NotExported,
    /// Too many R-APDUs at once, or none.
    #[error("responses: expected 1 to 64, found {0}")]
    Count(usize),
    /// What is no R-APDU.
    #[error("responses[{index}]: expected an R-APDU of 2 to 258 octets")]
    Form {
        /// Its place, from 0.
        index: usize,
    },
    /// The answers cannot be opened: what the card lacks.
    #[error("the card cannot be served: {0}")]
    Impossible(String),
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CardError> for ExportError {
    fn from(error: CardError) -> Self {
        match (error.lacks(), error) {
            (Some(lacks), _) => Self::Impossible(lacks),
            (None, CardError::Store(error)) => Self::Store(error),
            (None, _) => Self::Busy,
        }
    }
}

impl From<CardError> for ResponsesError {
    fn from(error: CardError) -> Self {
        match (error.lacks(), error) {
            (Some(lacks), _) => Self::Impossible(lacks),
            (None, CardError::Store(error)) => Self::Store(error),
            (None, _) => Self::Busy,
        }
    }
}

impl Gateway {
    /// What is to be brought to the card of a write on site: the write itself, and once it is written the question what
    /// became of it. Sealed at the first reading.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, owner: &Owner, id: WriteId) -> Result<Export, ExportError> {
        if self.0.closing.is_cancelled() {
            return Err(ExportError::Busy);
        }
        let write = self.write(owner, id).await?.ok_or(ExportError::NotFound)?;
        let card = match write.card {
            Some(card) if !write.state.is_end() && write.state != WriteState::Waiting => card,
            _ => return Err(ExportError::Nothing(write.state)),
        };
        let done = self.on_card(card, Input::Event(Event::Export { id })).await?;
        let write = done.write.unwrap_or(write);
        let nothing = || match &write.reason {
            Some(reason) if write.state == WriteState::Ended(End::Failed) => {
                ExportError::Impossible(reason.clone())
            }
            _ => ExportError::Nothing(write.state),
        };
        let ours = done.card.active.as_ref().is_some_and(|active| active.order.id == id);
        let wanted = done.card.outstanding.filter(|packet| ours && packet.bearer == Bearer::Relay);
        let packet = wanted.filter(|_| done.refused.is_none()).ok_or_else(nothing)?;
        let Some(sealed) = self.sealed_parts(card, packet.cntr).await? else {
            // The card has moved on since; or the packet could not be made, and a stop came before that was noted.
            let why = "its octets were never stored".to_owned();
            self.on_card(card, Input::Event(Event::Unmade { cntr: packet.cntr, why })).await?;
            return Err(ExportError::Busy);
        };
        Ok(Export {
            write: id,
            attempt: attempt(packet.cntr),
            parts: parts(&sealed)?,
            on_61: GET_RESPONSE.to_owned(),
            on_6c: GET_RESPONSE.to_owned(),
        })
    }

    /// Takes what a card answered on site: part number and R-APDU each, in the order in which they came. All of it is
    /// recorded, and the card's response packet is looked for in it. Posted again, it changes nothing again.
    ///
    /// # Errors
    /// [`ResponsesError`].
    pub async fn responses(
        &self,
        owner: &Owner,
        id: WriteId,
        attempt: u32,
        responses: Vec<(u8, Vec<u8>)>,
    ) -> Result<Write, ResponsesError> {
        if self.0.closing.is_cancelled() {
            return Err(ResponsesError::Busy);
        }
        if !(1..=RESPONSES_MAX).contains(&responses.len()) {
            return Err(ResponsesError::Count(responses.len()));
        }
        let whole = |(_, rapdu): &(u8, Vec<u8>)| (2..=RAPDU_OCTETS_MAX).contains(&rapdu.len());
        if let Some(index) = responses.iter().position(|response| !whole(response)) {
            return Err(ResponsesError::Form { index });
        }
        let write = self.write(owner, id).await?.ok_or(ResponsesError::NotFound)?;
        let exported = write.reaches_by() == Some(Bearer::Relay) && write.cntr.is_some();
        let Some(card) = write.card.filter(|_| exported) else { return Err(ResponsesError::NotExported) };
        let read = self.0.world.store.get_one(keys::card_keys(card)).await?;
        let card_keys = read.value.unwrap_or_default();
        let (card, _) = self.read_card(card).await?;
        let card = card.ok_or(ResponsesError::NotExported)?;

        let profile =
            self.profile(&card.profile).ok_or_else(|| CardError::NoProfile(card.profile.clone()))?;

        let mut relayed = note(attempt, &responses);
        let mut hint = None;
        let mut opened_any = false;
        for packet in response_packets(responses.iter().map(|(_, rapdu)| rapdu.as_slice())) {
            let Some(opened) = self.open_relayed(&card, &card_keys, profile, attempt, &packet).await? else {
                hint = Some(Hint::of(&packet));
                continue;
            };
            let input = Input::Response {
                cntr: opened.cntr,
                rsc: opened.rsc,
                data: response_data(profile, opened.data),
                from: None,
                relayed: Some(std::mem::replace(&mut relayed, "another response packet".to_owned())),
            };
            self.on_card(card.id, input).await?;
            opened_any = true;
        }
        if !opened_any {
            self.on_card(card.id, Input::Relayed { hint, relayed }).await?;
        }
        self.write(owner, id).await?.ok_or(ResponsesError::NotFound)
    }

    /// Opens a response packet at the level that the exported command asked for.
    async fn open_relayed(
        &self,
        card: &Card,
        card_keys: &Bytes,
        profile: &Profile,
        of: u32,
        packet: &[u8],
    ) -> Result<Option<OpenedResponse>, CardError> {
        let outstanding = card.outstanding.as_ref().filter(|packet| attempt(packet.cntr) == of);
        let command = match outstanding {
            Some(packet) => self.sealed_parts(card.id, packet.cntr).await?,
            None => None,
        };
        self.open_response(card, card_keys, profile, command, profile.mt.spi2_relay, packet).await
    }

    /// Opens a response packet as the stored `command` asked for it; where that is over, at the level `otherwise` of the
    /// profile. `None` where it is not what was asked for.
    pub(super) async fn open_response(
        &self,
        card: &Card,
        card_keys: &Bytes,
        profile: &Profile,
        command: Option<SealedParts>,
        otherwise: Spi2,
        packet: &[u8],
    ) -> Result<Option<OpenedResponse>, CardError> {
        let (kvn, asked, tar) = command.map_or((card.kvn, otherwise, profile.mt.tar), |command| {
            (command.kvn, Spi2(command.spi2), Tar(command.tar))
        });
        let key = KeyRef { card: card.id, record: card_keys, kvn };
        let opened = self.0.world.vault.open_response(key, asked, packet).await;
        // A script's answer may overtake that to a poll, or come after it, and the two go to different TARs.
        let ours = |answers: Tar| answers == tar || is_planned(profile, answers);
        Ok(opened.ok().filter(|opened| opened.protected && ours(opened.tar)))
    }
}

/// Whether a profile has scripts go to this TAR.
fn is_planned(profile: &Profile, tar: Tar) -> bool {
    let steps = profile.write.steps.iter().map(|step| step.tar.unwrap_or(profile.mt.tar));
    profile.method == Method::Rfm
        && steps.chain(profile.poll.iccid_tar).chain([profile.mt.tar]).any(|planned| planned == tar)
}

/// What a response packet of a card of this profile carries for the card's rules.
pub(super) fn response_data(profile: &Profile, data: Vec<u8>) -> ResponseData {
    if profile.method == Method::Rfm {
        return ResponseData::Script(ScriptOctets(data));
    }
    match Message::from_der(&data) {
        Ok(Message::WriteResult(result)) => ResponseData::Result(result),
        Ok(Message::PollAnswer(answer)) => ResponseData::State(answer),
        _ => ResponseData::None,
    }
}

impl Hint {
    /// A response packet that was not opened: in clear it says something, and proves nothing (I7).
    pub(super) fn of(packet: &[u8]) -> Self {
        match response::read_clear(packet) {
            Ok(clear) => Self {
                what: format!("PoR in clear: {}", clear.rsc),
                cntr: Some(clear.cntr),
                rsc: Some(clear.rsc),
            },
            Err(error) => Self { what: format!("PoR that no key opens: {error}"), cntr: None, rsc: None },
        }
    }
}

/// Which packet it is: the low four octets of its CNTR.
fn attempt(cntr: Cntr) -> u32 {
    u32::try_from(cntr.get() & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// The parts as APDUs: everything in them was fixed when they were sealed.
fn parts(sealed: &SealedParts) -> Result<Vec<ExportPart>, ExportError> {
    let nobody = (TpAddress::UNKNOWN, String::new());
    let (type_of_address, digits) = sealed.originator.as_ref().unwrap_or(&nobody);
    let damaged = |error: crate::ota::tp::TpError| StoreError::Io(format!("sealed parts: {error}"));
    // A sender that is a name and no number is left out.
    let originator = TpAddress::new(*type_of_address, digits)
        .or_else(|_| TpAddress::new(nobody.0, &nobody.1))
        .map_err(damaged)?;
    let part = |(n, user_data): (u8, &Vec<u8>)| {
        let apdu = envelope(user_data, &originator, sealed.sealed_at).map_err(damaged)?;
        Ok(ExportPart { n, at: at_line(&apdu), apdu })
    };
    (1..).zip(&sealed.parts).map(part).collect()
}

/// The timeline's entry about a post-back: the R-APDUs as they came.
fn note(attempt: u32, responses: &[(u8, Vec<u8>)]) -> String {
    let answers = responses.iter().map(|(n, rapdu)| format!(" {n}:{}", hex::encode_upper(rapdu)));
    let note = format!("attempt {attempt},{}", answers.collect::<String>());
    note.chars().take(NOTE_MAX).collect()
}
