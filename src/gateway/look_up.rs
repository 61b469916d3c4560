//! The card of a device that no card has reported: named by the order, or asked of the business platform
//! (R11b). It happens after the order is durable, by a timer of the write, again and again until a card is
//! known or the write is over.

use std::sync::Arc;
use std::time::Duration;

use crate::card::{CardId, Owner, WriteId, WriteState};
use crate::identity::Imei;
use crate::link::BoxFuture;
use crate::store::records::Write;
use crate::store::{Commit, Key, Unguarded};

use super::Gateway;
use super::changes::{TIMER_OF_LOOK_UP, timer};
use super::job::{CardError, Input};
use super::read::CardRef;

/// Look-ups under way at once.
pub(super) const AT_ONCE: usize = 32;

/// How long one look-up may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Wait where as many look-ups are under way as may.
const BUSY_MS: u64 = 1_000;

/// The shortest and the longest wait before a card is looked up again; in between it is the age of the write.
const AGAIN_MIN_MS: u64 = 10_000;
const AGAIN_MAX_MS: u64 = 6 * 3_600_000;

/// The longest where the device has its card, which had no room for the write: nobody else is asked.
const ROOM_MAX_MS: u64 = 600_000;

/// What knows which card a device holds: the business platform.
pub trait CardLookup: Send + Sync + 'static {
    /// The card of a device of this owner; `None` where it is not known. Asked again for the same device
    /// while writes wait for it: what answers is to keep its answers for a while.
    ///
    /// # Errors
    /// [`LookupError`] where there is no answer; then it is asked again later.
    fn look_up<'a>(
        &'a self,
        owner: &'a Owner,
        imei: Imei,
    ) -> BoxFuture<'a, Result<Option<CardRef>, LookupError>>;
}

/// Why a look-up has no answer, in a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("card look-up: {0}")]
pub struct LookupError(pub String);

/// What became of one try.
enum Found {
    /// The write has its card, or waits for a decision: nothing is left to look up.
    Settled,
    /// Later again.
    Nothing,
}

impl Gateway {
    /// When the card of a new write is first looked up, where it is at all, unix ms.
    pub(super) fn look_up_at(&self, write: &Write) -> Option<u64> {
        match (write.card, &self.0.world.lookup) {
            // The order itself brings the card to its device; the timer mends what a crash leaves open.
            (Some(_), _) => Some(write.created + AGAIN_MIN_MS),
            (None, Some(_)) => Some(write.created),
            (None, None) => None,
        }
        .filter(|at| *at < write.deadline)
    }

    /// A write goes on waiting although its device has a card: that is looked at again later. One whose card is looked up
    /// anyway has its timer.
    pub(super) fn put_look_up(&self, commit: &mut Commit, write: &Write, now: u64) {
        let at = now + AGAIN_MIN_MS;
        if self.look_up_at(write).is_none() && at < write.deadline {
            commit.put(timer(write.id.octets(), at), Unguarded::encode(&[TIMER_OF_LOOK_UP]));
            self.signal_timer(at);
        }
    }

    /// Serves the timer `key` of a write that waits for its device.
    pub(super) async fn serve_look_up(&self, key: &Key, id: WriteId) -> Result<(), CardError> {
        let (write, _) = self.read_write(id).await?;
        let now = self.now();
        let write = write.map(|(_, write)| write).filter(|write| write.state == WriteState::Waiting);
        let bound = match &write {
            Some(write) => self.bound_card(write).await?,
            None => None,
        };
        let waits = |write: &Write| bound.is_some() || self.look_up_at(write).is_some();
        let Some(write) = write.filter(waits) else {
            self.move_timer(key, None).await;
            return Ok(());
        };
        let Ok(room) = Arc::clone(&self.0.look_ups).try_acquire_owned() else {
            self.put_off_look_up(key, &write, now + BUSY_MS).await;
            return Ok(());
        };
        let longest = if bound.is_some() { ROOM_MAX_MS } else { AGAIN_MAX_MS };
        let again = now.saturating_sub(write.created).clamp(AGAIN_MIN_MS, longest);
        let later = self.put_off_look_up(key, &write, now + again).await;
        let gateway = self.clone();
        // On its own: other timers do not wait for it.
        self.spawn(async move {
            let found = gateway.find_card(&write, bound).await;
            drop(room);
            match (found, later) {
                (Ok(Found::Settled), Some(later)) => gateway.move_timer(&later, None).await,
                (Ok(_), _) => {}
                (Err(error), _) => tracing::warn!(write = %id, %error, "a card could not be looked up"),
            }
        });
        Ok(())
    }

    async fn put_off_look_up(&self, key: &Key, write: &Write, at: u64) -> Option<Key> {
        // After the deadline there is nothing to look up; the deadline's own timer ends the write.
        let later = (at < write.deadline).then(|| timer(write.id.octets(), at));
        let value = Unguarded::encode(&[TIMER_OF_LOOK_UP]);
        self.move_timer(key, later.clone().map(|later| (later, &*value))).await;
        later
    }

    /// The card of this owner that the device is bound to.
    async fn bound_card(&self, write: &Write) -> Result<Option<CardId>, CardError> {
        let (device, _) = self.read_device(write.imei).await?;
        let Some(card) = device.and_then(|(_, device)| device.card) else { return Ok(None) };
        let (card, _) = self.read_card(card).await?;
        Ok(card.filter(|card| card.owner == write.owner).map(|card| card.id))
    }

    async fn find_card(&self, write: &Write, bound: Option<CardId>) -> Result<Found, CardError> {
        let card = match write.card.or(bound) {
            Some(card) => Some(card),
            None => self.ask_for_card(write).await?,
        };
        match card {
            Some(card) => self.give_card(write, card).await,
            None => Ok(Found::Nothing),
        }
    }

    /// Asks the business platform.
    async fn ask_for_card(&self, write: &Write) -> Result<Option<CardId>, CardError> {
        let Some(lookup) = &self.0.world.lookup else { return Ok(None) };
        let answer = tokio::time::timeout(TIMEOUT, lookup.look_up(&write.owner, write.imei)).await;
        let error = match answer {
            Ok(Ok(Some(named))) => match self.card(&write.owner, &named).await? {
                Some(card) => return Ok(Some(card.id)),
                None => "the owner has no card such as the one that was named".to_owned(),
            },
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(write = %write.id, imei = %write.imei, error, "card look-up");
        Ok(None)
    }

    /// The device becomes the card's, and the card takes the writes that wait for it.
    async fn give_card(&self, write: &Write, card: CardId) -> Result<Found, CardError> {
        // A card has reported the device meanwhile: its word stands.
        let (device, _) = self.read_device(write.imei).await?;
        if device.is_some_and(|(_, device)| device.card.is_some_and(|bound| bound != card)) {
            return Ok(Found::Nothing);
        }
        let done = self.on_card(card, Input::Supplied { imei: write.imei }).await?;
        let taken = done.card.queue.contains(&write.id)
            || done.card.active.is_some_and(|active| active.order.id == write.id);
        // A card whose queue is full takes it at a later try; what is held waits for a decision.
        Ok(if taken || done.refused.is_some() { Found::Settled } else { Found::Nothing })
    }

    /// Brings the card that an order names to its device.
    pub(super) async fn give_named_card(&self, write: &Write) -> Result<(), CardError> {
        let Some(card) = write.card else { return Ok(()) };
        if let (Found::Settled, Some(at)) = (self.give_card(write, card).await?, self.look_up_at(write)) {
            let mut commit = Commit::new();
            commit.delete(timer(write.id.octets(), at));
            // Lost, this costs one more look.
            self.0.world.store.submit(commit);
        }
        Ok(())
    }
}
