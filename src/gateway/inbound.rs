//! Messages from the links: opened, decoded, brought to their card, and answered once that is durable (I1).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};

use crate::applet::Message;
use crate::card::{Card, CardId, Event, FromCard, ResponseData};
use crate::identity::Msisdn;
use crate::link::Delivery;
use crate::ota::{Content, Spi1, Spi2, Tar, UserData, command, response};
use crate::smpp::{Address, CommandStatus, MessageState, Sm, receipt};
use crate::store::records::{StrayRecord, decode_card, encode_stray};
use crate::store::{Commit, CommitError, Guarded, KeyText, Scan, Unguarded, keys};
use crate::vault::{KeyRef, OpenRefused};

use super::Gateway;
use super::cards::{CardError, Input};
use super::part_sets::Part;

/// Messages that are worked on at once.
const WORKERS: usize = 256;

/// Cards that may share a number over time; the cryptographic checksum tells them apart.
const CANDIDATES_MAX: usize = 4;

/// Messages of one sender that no card could be found for.
const STRAYS_PER_SENDER: usize = 16;

/// Octets that are kept of a message that no card could be found for.
const STRAY_OCTETS_MAX: usize = 2048;

/// What became of a message; it is durable.
enum Taken {
    /// It had its effect, now or before.
    Applied,
    /// It can have none, for this reason.
    Refused(&'static str, String),
}

/// A candidate: the card and its stored keys.
struct Candidate {
    card: Card,
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
                let status = gateway.deliver(&link, &sm).await;
                gateway.0.metrics.count_delivery(status);
                answer.send(status);
                drop(worker);
            });
        }
    }

    /// Does what a message asks for and says how to answer it (`rules` section 5).
    async fn deliver(&self, link: &str, sm: &Sm) -> CommandStatus {
        let result = match receipt::parse(sm) {
            Some(receipt) => self.take_receipt(sm, &receipt).await,
            None => self.take_message(link, sm).await,
        };
        let taken = match result {
            Ok(Taken::Refused(kind, reason)) => {
                tracing::info!(link, from = %sm.source.digits, kind, reason, "message refused for good");
                self.0.metrics.count_fact(kind);
                self.put_stray(link, sm, kind, reason).await
            }
            Ok(Taken::Applied) => Ok(()),
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => CommandStatus::ESME_ROK,
            Err(error) => {
                tracing::warn!(link, from = %sm.source.digits, %error, "message not taken: it will come again");
                CommandStatus::ESME_RX_T_APPN
            }
        }
    }

    async fn take_receipt(&self, sm: &Sm, receipt: &receipt::Receipt) -> Result<Taken, CardError> {
        let delivered = match receipt.state {
            MessageState::DELIVERED => true,
            MessageState::EXPIRED
            | MessageState::DELETED
            | MessageState::UNDELIVERABLE
            | MessageState::REJECTED => false,
            _ => return Ok(Taken::Applied),
        };
        let Some(to) = number(&sm.source) else { return Ok(Taken::Applied) };
        let message_id = receipt.message_id.to_str_lossy().into_owned();
        for Candidate { card, .. } in self.candidates(to).await? {
            let event = Event::Receipt { message_id: message_id.clone(), to, delivered, fcs: None };
            self.on_card(card.id, Input::Event(event)).await?;
        }
        Ok(Taken::Applied)
    }

    async fn take_message(&self, link: &str, sm: &Sm) -> Result<Taken, CardError> {
        let octets = sm.user_data();
        if !sm.esm_class.udhi() {
            return Ok(Taken::Refused("stray.plain", "no user data header: no secured packet".to_owned()));
        }
        let user_data = match UserData::parse(&octets) {
            Ok(user_data) => user_data,
            Err(error) => return Ok(Taken::Refused("stray.unreadable", error.to_string())),
        };
        let from = number(&sm.source);
        let (content, packet, parts) = match user_data.concatenation() {
            None => (user_data.content(), user_data.payload, None),
            Some(place) => {
                let (Ok(link), Ok(source)) =
                    (KeyText::new(link), KeyText::new(&sm.source.digits.to_str_lossy()))
                else {
                    return Ok(Taken::Refused("stray.unreadable", "a part without a sender".to_owned()));
                };
                match self.take_part(&link, &source, place, &octets).await? {
                    Part::Stored | Part::DoneBefore => return Ok(Taken::Applied),
                    Part::Foreign(reason) => return Ok(Taken::Refused("stray.part", reason)),
                    Part::Whole(joined, whole) => (joined.content, joined.payload, Some(whole)),
                }
            }
        };
        let taken = match content {
            Content::Command => self.take_command(from, &packet).await,
            Content::Response => self.take_response(from, &packet).await,
            Content::Plain => Ok(Taken::Refused("stray.plain", "no secured packet".to_owned())),
        }?;
        if let Some(whole) = parts {
            self.close_part_set(whole);
        }
        Ok(taken)
    }

    /// A message that a card sends on its own: a command packet under the card's own TAR.
    async fn take_command(&self, from: Option<Msisdn>, packet: &[u8]) -> Result<Taken, CardError> {
        let refused = |kind, reason: String| Ok(Taken::Refused(kind, reason));
        let header = match command::peek(packet) {
            Ok(header) => header,
            Err(error) => return refused("stray.unreadable", error.to_string()),
        };
        let Some(from) = from else { return refused("stray.unreadable", "no sender".to_owned()) };
        let candidates = self.candidates(from).await?;
        if candidates.is_empty() {
            return refused("stray.unknown_card", format!("no card has the number {from}"));
        }
        // The profile's level and TAR are asked before anything is opened: nothing in the packet lowers them, and a
        // packet of ours that is sent back to us carries another TAR.
        let mut levels: BTreeMap<u8, Vec<(CardId, Bytes)>> = BTreeMap::new();
        let mut without_profile = None;
        for Candidate { card, keys } in &candidates {
            match self.profile(&card.profile) {
                Some(profile) if profile.mo.tar == header.tar => {
                    levels.entry(profile.mo.min_spi1.0).or_default().push((card.id, keys.clone()));
                }
                Some(_) => {}
                None => without_profile = Some(card.profile.clone()),
            }
        }
        let mut refusal = ("stray.tar", format!("no card of {from} sends under TAR {}", header.tar));
        let mut opened = None;
        for (minimum, keys) in levels {
            match self.0.world.vault.open_command(&keys, packet, Spi1(minimum)).await {
                Ok(by) => {
                    opened = Some(by);
                    break;
                }
                Err(OpenRefused::Record { card, error }) => {
                    tracing::error!(%card, %error, "the keys of a card cannot be read");
                    return Err(CardError::Keys(error));
                }
                Err(error) => refusal = ("stray.refused", error.to_string()),
            }
        }
        let Some(opened) = opened else {
            // It may be of the card whose profile is missing: it is not lost for that.
            return match without_profile {
                Some(profile) => Err(CardError::NoProfile(profile)),
                None => refused(refusal.0, refusal.1),
            };
        };
        let (cntr, digest) = (opened.header.cntr.get(), digest(packet));
        let input = match Message::from_der(&opened.data) {
            Ok(Message::BindingRequest(request)) => {
                Input::Binding { cntr, digest, from: Some(from), request }
            }
            Ok(Message::WriteResult(result)) => Input::Event(Event::Message {
                cntr,
                digest,
                from: Some(from),
                message: FromCard::Result(result),
            }),
            Ok(_) => return refused("stray.message", "a message that only the platform sends".to_owned()),
            Err(error) => return refused("stray.message", error.to_string()),
        };
        self.on_card(opened.card, input).await?;
        Ok(Taken::Applied)
    }

    /// The answer to a packet of ours, opened at the level that the stored command asked for.
    async fn take_response(&self, from: Option<Msisdn>, packet: &[u8]) -> Result<Taken, CardError> {
        let Some(from) = from else {
            return Ok(Taken::Refused("stray.unreadable", "no sender".to_owned()));
        };
        let candidates = self.candidates(from).await?;
        let mut without_profile = None;
        for Candidate { card, keys } in &candidates {
            let Some(profile) = self.profile(&card.profile) else {
                without_profile = Some(card.profile.clone());
                continue;
            };
            // The level is that of the stored command; where it is over already, the profile's.
            let command = match &card.outstanding {
                Some(packet) => self.sealed_parts(card.id, packet.cntr).await?,
                None => None,
            };
            let (kvn, asked, tar) = command
                .map_or((card.kvn, profile.mt.spi2_sms, profile.mt.tar), |command| {
                    (command.kvn, Spi2(command.spi2), Tar(command.tar))
                });
            let key = KeyRef { card: card.id, record: keys, kvn };
            let Ok(opened) = self.0.world.vault.open_response(key, asked, packet).await else { continue };
            if !opened.protected || opened.tar != tar {
                continue;
            }
            let data = match Message::from_der(&opened.data) {
                Ok(Message::WriteResult(result)) => ResponseData::Result(result),
                Ok(Message::PollAnswer(answer)) => ResponseData::State(answer),
                _ => ResponseData::None,
            };
            let event = Event::Response { cntr: opened.cntr, rsc: opened.rsc, data, device: None };
            self.on_card(card.id, Input::Event(event)).await?;
            return Ok(Taken::Applied);
        }
        if let Some(profile) = without_profile {
            return Err(CardError::NoProfile(profile));
        }
        // In clear, or not to be opened: a hint for a card that has something outstanding, and nothing more (I7).
        let (what, cntr, rsc) = match response::read_clear(packet) {
            Ok(clear) => (format!("PoR in clear: {}", clear.rsc), Some(clear.cntr), Some(clear.rsc)),
            Err(error) => (format!("PoR that no key opens: {error}"), None, None),
        };
        for Candidate { card, .. } in
            candidates.iter().filter(|candidate| candidate.card.outstanding.is_some())
        {
            let hint = Event::Hint { what: what.clone(), cntr, rsc, from: Some(from) };
            self.on_card(card.id, Input::Event(hint)).await?;
        }
        Ok(Taken::Refused("stray.response", what))
    }

    /// The cards that have or had this number, with their keys.
    async fn candidates(&self, number: Msisdn) -> Result<Vec<Candidate>, CardError> {
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

    /// Records what was refused for good; the oldest of a sender gives way.
    async fn put_stray(&self, link: &str, sm: &Sm, kind: &str, reason: String) -> Result<(), CardError> {
        let store = &self.0.world.store;
        let octets = sm.user_data();
        let source = sm.source.digits.to_str_lossy().into_owned();
        let Ok(sender) = KeyText::new(if source.is_empty() { "-" } else { &source }) else { return Ok(()) };
        let mut commit = Commit::new();
        let kept = store.scan(Scan::last(keys::StrayKey::of_sender(&sender), 2 * STRAYS_PER_SENDER)).await?;
        for (oldest, _) in kept.value.into_iter().skip(STRAYS_PER_SENDER - 1) {
            commit.delete(oldest);
        }
        let now = self.now();
        let record = StrayRecord {
            at: now,
            link: link.to_owned(),
            source,
            destination: sm.destination.digits.to_str_lossy().into_owned(),
            reason: format!("{kind}: {reason}"),
            user_data: octets.iter().copied().take(STRAY_OCTETS_MAX).collect(),
        };
        let key = keys::StrayKey { source: sender, received_ms: now, digest: digest(&octets).to_be_bytes() };
        commit.put(key.key(), Unguarded::encode(&encode_stray(&record)));
        match store.commit(commit).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(CardError::Contended),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// A sender's number in international form, where the address is one.
fn number(address: &Address) -> Option<Msisdn> {
    address.digits.to_str_lossy().parse().ok()
}

/// Eight octets that tell two packets apart.
fn digest(octets: &[u8]) -> u64 {
    let digest = Sha256::digest(octets);
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}
