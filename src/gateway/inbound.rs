//! Messages from the links: opened, decoded, brought to their card, and answered once that is durable (I1).

mod plain;
mod secured;

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};

use crate::card::{Card, Event};
use crate::identity::Msisdn;
use crate::link::Delivery;
use crate::ota::{Content, UserData};
use crate::smpp::receipt::{self, ErrorCode};
use crate::smpp::{Address, CommandStatus, MessageState, Sm};
use crate::store::records::decode_card;
use crate::store::{Guarded, Scan, keys};

use super::Gateway;
use super::job::{CardError, Input};
use super::part_sets::Part;

/// Messages that are worked on at once.
const WORKERS: usize = 256;

/// Cards that may share a number over time; the cryptographic checksum tells them apart.
const CANDIDATES_MAX: usize = 4;

/// What became of a message; it is durable.
pub(super) enum Taken {
    /// It had its effect, now or before.
    Applied,
    /// It can have none, for this reason.
    Refused(Refusal, String),
}

/// Why a message is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// It cannot be read.
    Unreadable,
    /// It is a part of no message.
    Part,
    /// No card has the sender's number.
    UnknownCard,
    /// It is under a TAR that the sender's card does not send under.
    Tar,
    /// It is below the level that its card must have, or not the card's.
    NotAuthentic,
    /// It is not secured, and no card of the sender sends such messages.
    Plain,
    /// It says what no card says.
    Message,
    /// It is an answer that proves nothing.
    Response,
}

impl Refusal {
    /// Its name in metrics and in the list of strays.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "stray.unreadable",
            Self::Part => "stray.part",
            Self::UnknownCard => "stray.unknown_card",
            Self::Tar => "stray.tar",
            Self::NotAuthentic => "stray.refused",
            Self::Plain => "stray.plain",
            Self::Message => "stray.message",
            Self::Response => "stray.response",
        }
    }

    fn because(self, reason: impl ToString) -> Taken {
        Taken::Refused(self, reason.to_string())
    }
}

/// A message as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// What it carries.
    pub(super) content: Content,
    /// A packet from CPL or RPL on, or a plain message.
    pub(super) payload: Vec<u8>,
}

/// A candidate: the card and its stored keys.
pub(super) struct Candidate {
    pub(super) card: Card,
    keys: Bytes,
}

impl Gateway {
    pub(super) async fn run_inbound(self, mut deliveries: mpsc::Receiver<Delivery>) {
        let workers = Arc::new(Semaphore::new(WORKERS));
        loop {
            let delivery = tokio::select! {
                biased;
                // What is left unanswered is answered "again" by the link.
                () = self.0.closing.cancelled() => return,
                delivery = deliveries.recv() => delivery,
            };
            let Some(Delivery { link, sm, answer }) = delivery else { return };
            let Ok(worker) = Arc::clone(&workers).acquire_owned().await else { return };
            let gateway = self.clone();
            self.spawn(async move {
                // What is waited for in vain may still come about: the message then comes again as a duplicate.
                let done = gateway.0.overdue.run_until_cancelled(gateway.deliver(&link, &sm)).await;
                let status = done.unwrap_or(CommandStatus::ESME_RX_T_APPN);
                gateway.0.metrics.count_delivery(status);
                answer.send(status);
                drop(worker);
            });
        }
    }

    /// Does what a message asks for and says how to answer it.
    async fn deliver(&self, link: &str, sm: &Sm) -> CommandStatus {
        let result = match receipt::parse(sm) {
            Some(receipt) => self.take_receipt(link, sm, &receipt).await,
            None => self.take_message(link, sm).await,
        };
        match result {
            Ok(()) => CommandStatus::ESME_ROK,
            Err(error) => {
                tracing::warn!(link, from = %sm.source.digits, %error, "message not taken: it will come again");
                CommandStatus::ESME_RX_T_APPN
            }
        }
    }

    /// Brings a receipt to the packets under way to its number: where the SMSC's ids say nothing, that alone decides.
    async fn take_receipt(&self, link: &str, sm: &Sm, receipt: &receipt::Receipt) -> Result<(), CardError> {
        if receipt.intermediate {
            return Ok(());
        }
        let delivered = match receipt.state {
            MessageState::DELIVERED => true,
            MessageState::EXPIRED
            | MessageState::DELETED
            | MessageState::UNDELIVERABLE
            | MessageState::REJECTED => false,
            _ => return Ok(()),
        };
        let Some(to) = self.number(link, &sm.source) else { return Ok(()) };
        let message_id = receipt.message_id.clone();
        let message_id = match self.0.links.get(link) {
            Some(link) => link.dialect().receipt_id(message_id),
            None => message_id,
        };
        let message_id = message_id.to_str_lossy().into_owned();
        for Candidate { card, .. } in self.candidates(to).await? {
            let event = Event::Receipt { message_id: message_id.clone(), to, delivered, fcs: fcs(receipt) };
            self.on_card(card.id, Input::Event(event)).await?;
        }
        Ok(())
    }

    /// Takes a message or a part of one, and records it where it is refused for good.
    async fn take_message(&self, link: &str, sm: &Sm) -> Result<(), CardError> {
        let octets = sm.user_data();
        let plain = || Whole { content: Content::Plain, payload: octets.to_vec() };
        if !sm.esm_class.udhi() {
            return self.take(link, sm, plain()).await;
        }
        let user_data = match UserData::parse(&octets) {
            Ok(user_data) => user_data,
            Err(error) => {
                return self.refuse(link, sm, plain(), Refusal::Unreadable, error.to_string()).await;
            }
        };
        let Some(place) = user_data.concatenation() else {
            let whole = Whole { content: user_data.content(), payload: user_data.payload };
            return self.take(link, sm, whole).await;
        };
        match self.take_part(link, sm, place, &octets).await? {
            Part::Stored | Part::DoneBefore => Ok(()),
            Part::Foreign(reason) => self.refuse(link, sm, plain(), Refusal::Part, reason).await,
            Part::Whole(joined, set) => {
                let whole = Whole { content: joined.content, payload: joined.payload };
                self.take(link, sm, whole).await?;
                self.close_part_set(set);
                Ok(())
            }
        }
    }

    async fn take(&self, link: &str, sm: &Sm, whole: Whole) -> Result<(), CardError> {
        match self.take_whole(self.number(link, &sm.source), &whole).await? {
            Taken::Applied => Ok(()),
            Taken::Refused(refusal, reason) => self.refuse(link, sm, whole, refusal, reason).await,
        }
    }

    /// Brings a message to its card.
    pub(super) async fn take_whole(&self, from: Option<Msisdn>, whole: &Whole) -> Result<Taken, CardError> {
        match whole.content {
            Content::Command => self.take_command(from, &whole.payload).await,
            Content::Response => self.take_response(from, &whole.payload).await,
            Content::Plain => self.take_plain(from, &whole.payload).await,
        }
    }

    async fn refuse(
        &self,
        link: &str,
        sm: &Sm,
        whole: Whole,
        refusal: Refusal,
        reason: String,
    ) -> Result<(), CardError> {
        tracing::info!(link, from = %sm.source.digits, kind = refusal.name(), reason, "message refused for good");
        self.0.metrics.count_fact(refusal.name());
        self.put_stray(link, sm, &whole, refusal, reason).await
    }

    /// The number in international form that an address of this link is, where it is one.
    pub(super) fn number<const N: usize>(&self, link: &str, address: &Address<N>) -> Option<Msisdn> {
        self.0.links.get(link)?.dialect().number(address)
    }

    /// The cards that have or had this number, with their keys.
    ///
    /// There is no other way to a card: its numbers are those of its record (imported, ordered, proved), so that an
    /// authenticated message never comes from a number that is new for its card, and there is none to be learned.
    pub(super) async fn candidates(&self, number: Msisdn) -> Result<Vec<Candidate>, CardError> {
        let store = &self.0.world.store;
        let scan = Scan::first(keys::NumberEntry::of_number(number), CANDIDATES_MAX);
        let mut candidates = Vec::new();
        for (key, _) in store.scan(scan).await?.value {
            let Ok(entry) = keys::NumberEntry::parse(&key) else { continue };
            let read = store.get(vec![keys::card(entry.card), keys::card_keys(entry.card)]).await?;
            if let [Some(card), Some(keys)] = read.value.as_slice() {
                let card = decode_card(Guarded::decode(card)?.body)?;
                candidates.push(Candidate { card, keys: keys.clone() });
            }
        }
        Ok(candidates)
    }
}

/// Eight octets that tell two packets apart.
pub(super) fn digest(octets: &[u8]) -> u64 {
    let digest = Sha256::digest(octets);
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}

/// The failure cause that the card's own answer gave (TP-FCS, one octet from 80 on), where a receipt names it.
fn fcs(receipt: &receipt::Receipt) -> Option<u8> {
    match receipt.error_code {
        Some(ErrorCode::Network(error)) => u8::try_from(error.code).ok().filter(|fcs| *fcs >= 0x80),
        _ => None,
    }
}
