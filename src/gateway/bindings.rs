//! Devices and their cards, as the business platform supplies, reads and decides them.

use crate::card::{Card, CardId, Event, Owner, Refused, WriteId};
use crate::identity::Imei;
use crate::store::StoreError;
use crate::store::records::{Device, Write};

use super::Gateway;
use super::job::{CardError, Input};
use super::read::{CardRef, unreadable};

/// A device, as far as it is the owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device.
    pub imei: Imei,
    /// The card in it.
    pub card: Option<CardId>,
    /// Since when the card is in it, unix ms; where there is no card, since when the device is known.
    pub since: u64,
    /// The owner's writes that wait for it, oldest first.
    pub waiting: Vec<WriteId>,
}

/// Why a binding that was supplied did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// The owner has no such card.
    #[error("no such card")]
    CardUnknown,
    /// The device belongs to another owner's card.
    #[error("the device is not known")]
    DeviceUnknown,
    /// It contradicts the binding that is there, and waits for a decision.
    #[error("the binding contradicts another one and is held for a decision")]
    Held,
    /// It contradicts the binding that is there, and the card's profile refuses such bindings.
    #[error("the binding contradicts another one")]
    Rejected,
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The owner has no such write or card.
    #[error("no such write or card")]
    NotFound,
    /// Nothing waits for a decision.
    #[error("nothing waits for a decision")]
    NothingHeld,
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a card was not asked.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The owner has no such card.
    #[error("no such card")]
    NotFound,
    /// The card's profile has it answer no packet.
    #[error("the card answers no packet")]
    NoAnswers,
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CardError> for SupplyError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl From<CardError> for DecisionError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl From<CardError> for PollError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl Gateway {
    /// A device, where a card of this owner is in it or writes of this owner wait for it.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn device(&self, owner: &Owner, imei: Imei) -> Result<Option<DeviceInfo>, StoreError> {
        let (device, mut seq) = self.read_device(imei).await.map_err(unreadable)?;
        let Some((_, device)) = device else {
            self.store().durable(seq).await?;
            return Ok(None);
        };
        let mut card = None;
        if let Some(id) = device.card {
            let (found, read) = self.read_card(id).await.map_err(unreadable)?;
            seq = seq.max(read);
            card = found.filter(|card| card.owner == *owner).map(|card| card.id);
        }
        let mut waiting = Vec::new();
        for id in device.waiting {
            let (write, read) = self.read_write(id).await.map_err(unreadable)?;
            seq = seq.max(read);
            waiting.extend(write.map(|(_, write)| write).filter(|write| write.owner == *owner).map(|w| w.id));
        }
        self.store().durable(seq).await?;
        let known = card.is_some() || !waiting.is_empty();
        Ok(known.then_some(DeviceInfo { imei: device.imei, card, since: device.since, waiting }))
    }

    /// The card is in this device: the business platform says so, and is trusted for what is its own. Writes that wait for
    /// the device go to the card. The profile's policy decides where it contradicts another binding.
    ///
    /// # Errors
    /// [`SupplyError`].
    pub async fn supply_binding(
        &self,
        owner: &Owner,
        imei: Imei,
        card: CardRef,
    ) -> Result<DeviceInfo, SupplyError> {
        if self.0.closing.is_cancelled() {
            return Err(SupplyError::Busy);
        }
        let card = self.card(owner, &card).await?.ok_or(SupplyError::CardUnknown)?;
        let (device, _) = self.read_device(imei).await?;
        if let Some((_, Device { card: Some(bound), .. })) = device {
            let (bound, _) = self.read_card(bound).await?;
            if bound.is_none_or(|bound| bound.owner != *owner) {
                return Err(SupplyError::DeviceUnknown);
            }
        }
        let done = self.on_card(card.id, Input::Supplied { imei }).await?;
        match done.refused {
            Some(Refused::BindingHeld) => return Err(SupplyError::Held),
            Some(Refused::BindingRejected) => return Err(SupplyError::Rejected),
            _ => {}
        }
        self.device(owner, imei).await?.ok_or(SupplyError::Busy)
    }

    /// Decides about the binding that a card's profile holds (`binding_policy = "hold"`).
    ///
    /// # Errors
    /// [`DecisionError`].
    pub async fn decide_binding(
        &self,
        owner: &Owner,
        card: &CardRef,
        accept: bool,
    ) -> Result<Card, DecisionError> {
        if self.0.closing.is_cancelled() {
            return Err(DecisionError::Busy);
        }
        let card = self.card(owner, card).await?.ok_or(DecisionError::NotFound)?;
        let done = self.on_card(card.id, Input::DecideBinding { accept }).await?;
        match done.refused {
            Some(Refused::NothingHeld) => Err(DecisionError::NothingHeld),
            _ => Ok(done.card),
        }
    }

    /// Decides about a write that is held: accepted it is effective, rejected it ends unresolved.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub async fn decide_write(
        &self,
        owner: &Owner,
        id: WriteId,
        accept: bool,
    ) -> Result<Write, DecisionError> {
        if self.0.closing.is_cancelled() {
            return Err(DecisionError::Busy);
        }
        let write = self.write(owner, id).await?.ok_or(DecisionError::NotFound)?;
        let Some(card) = write.card.filter(|_| write.hold.is_some()) else {
            return Err(DecisionError::NothingHeld);
        };
        let done = self.on_card(card, Input::Event(Event::DecideWrite { id, accept })).await?;
        match (done.refused, done.write) {
            (None, Some(write)) => Ok(write),
            (None, None) => Err(DecisionError::NotFound),
            (Some(_), _) => Err(DecisionError::NothingHeld),
        }
    }

    /// Asks a card for its state, as soon as nothing else is outstanding.
    ///
    /// # Errors
    /// [`PollError`].
    pub async fn poll_card(&self, owner: &Owner, card: &CardRef) -> Result<Card, PollError> {
        if self.0.closing.is_cancelled() {
            return Err(PollError::Busy);
        }
        let card = self.card(owner, card).await?.ok_or(PollError::NotFound)?;
        if self.profile(&card.profile).is_some_and(|profile| !profile.asks_por()) {
            return Err(PollError::NoAnswers);
        }
        Ok(self.on_card(card.id, Input::Event(Event::Poll)).await?.card)
    }
}
