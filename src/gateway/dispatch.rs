//! From the lanes to the links: a card's packets leave when its link has room for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::card::{CardId, Event, Submission, Submitted};
use crate::identity::Msisdn;
use crate::link::{Link, Slot, SubmitOutcome};
use crate::smpp::{CommandStatus, RegisteredDelivery};
use crate::store::records::decode_sealed_parts;
use crate::store::{KeyText, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::cards::Input;

/// Entries read from a lane at once.
const PAGE: usize = 256;

/// How often a later part of a packet is tried again while the SMSC is busy.
const PART_TRIES: u32 = 10;

/// Octets of a message id that are kept.
const MESSAGE_ID_MAX: usize = 64;

/// Wait after a lane could not be read.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// What is being handed over: card and number, so that nothing goes out twice at once.
type InFlight = Arc<Mutex<BTreeSet<(CardId, Msisdn)>>>;

/// The place of a card among what is being handed over; given back when dropped.
struct Place {
    in_flight: InFlight,
    entry: (CardId, Msisdn),
}

impl Place {
    fn take(in_flight: &InFlight, entry: (CardId, Msisdn)) -> Option<Self> {
        let free = in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(entry);
        free.then(|| Self { in_flight: Arc::clone(in_flight), entry })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}

impl Gateway {
    /// Serves the lane of one route: for each free window slot of its link the next card.
    pub(super) async fn run_lane(self, route: KeyText, link: Link) {
        let in_flight = InFlight::default();
        let mut page = VecDeque::new();
        loop {
            let slot = tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                slot = link.slot() => slot,
            };
            let Ok(slot) = slot else { return };
            let place = tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                place = self.next_in_lane(&route, &in_flight, &mut page) => place,
            };
            let (gateway, link, route) = (self.clone(), link.clone(), route.clone());
            self.spawn(async move {
                gateway.hand_over(slot, &link, place.entry).await;
                drop(place);
                // What entered the lane for this number meanwhile was passed over.
                gateway.signal_lane(&route);
            });
        }
    }

    /// Waits for the next entry of the lane that is not being handed over already.
    async fn next_in_lane(
        &self,
        route: &KeyText,
        in_flight: &InFlight,
        page: &mut VecDeque<(CardId, Msisdn)>,
    ) -> Place {
        loop {
            while let Some(entry) = page.pop_front() {
                if let Some(place) = Place::take(in_flight, entry) {
                    return place;
                }
            }
            // Told before the lane is read, so that nothing that comes after is missed.
            let signal = self.0.lanes.get(route).map(|lane| lane.notified());
            match self.read_lane(route, in_flight).await {
                Ok(entries) if !entries.is_empty() => page.extend(entries),
                Ok(_) => match signal {
                    Some(signal) => signal.await,
                    None => std::future::pending().await,
                },
                Err(error) => {
                    tracing::warn!(route = %route.as_str(), %error, "a lane could not be read");
                    tokio::time::sleep(STORE_WAIT).await;
                }
            }
        }
    }

    /// The first entries of the lane that are not being handed over.
    async fn read_lane(
        &self,
        route: &KeyText,
        in_flight: &InFlight,
    ) -> Result<Vec<(CardId, Msisdn)>, StoreError> {
        let busy = in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let scan = Scan::first(keys::Ready::of_route(route), PAGE + 2 * busy.len());
        let entries = self.0.world.store.scan(scan).await?.value;
        let cards = entries.iter().filter_map(|(key, value)| {
            let lane = keys::Ready::parse(key).ok()?;
            let numbers = std::str::from_utf8(Unguarded::decode(value).ok()?).ok()?.to_owned();
            Some((lane.card, numbers))
        });
        let mut found = Vec::new();
        for (card, numbers) in cards {
            let numbers = numbers.split(' ').filter_map(|number| number.parse().ok());
            found.extend(numbers.map(|number| (card, number)).filter(|entry| !busy.contains(entry)));
        }
        Ok(found)
    }

    /// Marks a card's packets as handed over, durably, and then hands them over.
    async fn hand_over(&self, slot: Slot, link: &Link, (card, to): (CardId, Msisdn)) {
        let Ok(done) = self.on_card(card, Input::Event(Event::HandOut { to })).await else {
            // The entry is still in its lane: not again at once.
            tokio::time::sleep(STORE_WAIT).await;
            return;
        };
        let mut slot = Some(slot);
        for submission in done.submissions {
            let outcome = self.submit(&mut slot, link, card, &submission).await;
            self.0.metrics.count_submission(&outcome);
            let event = Event::Submitted { cntr: submission.cntr, to, outcome };
            // Where this is lost the same octets go out once more.
            let _ = self.on_card(card, Input::Event(event)).await;
        }
    }

    /// Submits the parts of a packet one after the other.
    async fn submit(
        &self,
        slot: &mut Option<Slot>,
        link: &Link,
        card: CardId,
        submission: &Submission,
    ) -> Submitted {
        let key = keys::SealedPartsKey { card, cntr: submission.cntr }.key();
        let stored = self.0.world.store.get_one(key).await;
        let parts = stored
            .ok()
            .and_then(|read| read.value)
            .and_then(|value| decode_sealed_parts(Unguarded::decode(&value).ok()?).ok());
        let Some(parts) = parts else {
            tracing::error!(%card, cntr = %submission.cntr, "no sealed parts for a packet in the lane");
            return Submitted::Unanswered;
        };
        let back_off = Duration::from_secs(self.0.config.timers.back_off_s);
        let mut last_id = String::new();
        for (index, part) in parts.parts.into_iter().enumerate() {
            let mut tries = 0;
            loop {
                let free = match slot.take() {
                    Some(slot) => Ok(slot),
                    None => link.slot().await,
                };
                let Ok(free) = free else { return Submitted::Unanswered };
                let verdict = submit_part(free, link, submission, part.clone().into()).await;
                match verdict {
                    Submitted::Accepted { message_id } => {
                        last_id = message_id;
                        break;
                    }
                    // The first part: the whole packet goes back to its lane. A later one: this part again.
                    Submitted::Throttled if index > 0 && tries < PART_TRIES => {
                        tries += 1;
                        tokio::time::sleep(back_off).await;
                    }
                    Submitted::Refused { status } if index > 0 => {
                        tracing::warn!(%card, part = index + 1, status, "the SMSC refuses a later part");
                        return Submitted::Unanswered;
                    }
                    verdict => return verdict,
                }
            }
        }
        Submitted::Accepted { message_id: last_id }
    }
}

async fn submit_part(slot: Slot, link: &Link, submission: &Submission, part: Bytes) -> Submitted {
    let receipt = if submission.receipt { RegisteredDelivery::FINAL } else { RegisteredDelivery::NONE };
    let sm = link.dialect().ota_sm(&submission.to.to_string(), part, submission.validity_s, receipt);
    let sm = match sm {
        Ok(sm) => sm,
        Err(error) => return Submitted::Refused { status: error.to_string() },
    };
    match slot.submit(sm).await {
        SubmitOutcome::Answered { status, message_id } if status.is_ok() => {
            // §5.2.23 allows 65 octets; what is longer is no id that a receipt could name.
            let message_id = message_id.to_str_lossy().chars().take(MESSAGE_ID_MAX).collect();
            Submitted::Accepted { message_id }
        }
        SubmitOutcome::Answered { status, .. } => match status {
            CommandStatus::ESME_RTHROTTLED | CommandStatus::ESME_RMSGQFUL | CommandStatus::ESME_RSYSERR => {
                Submitted::Throttled
            }
            status => Submitted::Refused { status: status.to_string() },
        },
        SubmitOutcome::NotSent => Submitted::Throttled,
        SubmitOutcome::Unknown(_) => Submitted::Unanswered,
    }
}
