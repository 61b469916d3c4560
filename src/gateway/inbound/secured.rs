//! Secured messages: what a card sends on its own, and its answers to packets of ours.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::applet::Message;
use crate::card::{CardId, Event, FromCard};
use crate::gateway::Gateway;
use crate::gateway::job::{CardError, Hint, Input};
use crate::gateway::on_site::response_data;
use crate::identity::Msisdn;
use crate::ota::{Spi1, command};
use crate::vault::OpenRefused;

use super::{Candidate, Refusal, Taken, digest};

impl Gateway {
    /// A message that a card sends on its own: a command packet under the card's own TAR.
    pub(super) async fn take_command(&self, from: Option<Msisdn>, packet: &[u8]) -> Result<Taken, CardError> {
        let header = match command::peek(packet) {
            Ok(header) => header,
            Err(error) => return Ok(Refusal::Unreadable.because(error)),
        };
        let Some(from) = from else { return Ok(Refusal::Unreadable.because("no sender")) };
        let candidates = self.candidates(from).await?;
        if candidates.is_empty() {
            return Ok(Refusal::UnknownCard.because(format!("no card has the number {from}")));
        }
        // The profile's level and TAR are asked before anything is opened: nothing in the packet lowers them, and a
        // packet of ours that is sent back to us carries another TAR.
        let mut levels: BTreeMap<u8, Vec<(CardId, Bytes)>> = BTreeMap::new();
        let mut without_profile = None;
        for Candidate { card, keys } in &candidates {
            match self.profile(&card.profile) {
                Some(profile) if profile.mo.tar == Some(header.tar) => {
                    levels.entry(profile.mo.min_spi1.0).or_default().push((card.id, keys.clone()));
                }
                Some(_) => {}
                None => without_profile = Some(card.profile.clone()),
            }
        }
        let mut refusal = Refusal::Tar.because(format!("no card of {from} sends under TAR {}", header.tar));
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
                Err(error) => refusal = Refusal::NotAuthentic.because(error),
            }
        }
        let Some(opened) = opened else {
            // It may be of the card whose profile is missing: it is not lost for that.
            if let Some(profile) = without_profile {
                return Err(CardError::NoProfile(profile));
            }
            self.warn_cards(&candidates, &refusal).await?;
            return Ok(refusal);
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
            Ok(_) => return Ok(Refusal::Message.because("a message that only the platform sends")),
            Err(error) => return Ok(Refusal::Message.because(error)),
        };
        self.on_card(opened.card, input).await?;
        Ok(Taken::Applied)
    }

    /// The answer to a packet of ours, opened at the level that the stored command asked for.
    pub(super) async fn take_response(
        &self,
        from: Option<Msisdn>,
        packet: &[u8],
    ) -> Result<Taken, CardError> {
        let Some(from) = from else { return Ok(Refusal::Unreadable.because("no sender")) };
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
            let opened =
                self.open_response(card, keys, profile, command, profile.mt.spi2_sms, packet).await?;
            let Some(opened) = opened else { continue };
            let data = response_data(&opened.data);
            let input = Input::Response { cntr: opened.cntr, rsc: opened.rsc, data, relayed: None };
            self.on_card(card.id, input).await?;
            return Ok(Taken::Applied);
        }
        if let Some(profile) = without_profile {
            return Err(CardError::NoProfile(profile));
        }
        // In clear, or not to be opened: a hint for a card that has something outstanding, and nothing more (I7).
        let hint = Hint::of(packet);
        for Candidate { card, .. } in
            candidates.iter().filter(|candidate| candidate.card.outstanding.is_some())
        {
            self.on_card(card.id, Input::Event(hint.clone().event(Some(from)))).await?;
        }
        Ok(Refusal::Response.because(hint.what))
    }
}
