//! From the lanes to the links: a card's packets leave when its link has room for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::card::{CardId, Event, Submission, Submitted};
use crate::identity::Msisdn;
use crate::link::{Link, Slot, SubmitOutcome};
use crate::smpp::CommandStatus;
use crate::store::{KeyText, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::job::Input;

/// Entries read from a lane at once.
const PAGE: usize = 256;

/// How often a later part of a packet is tried again while the SMSC is busy.
const PART_TRIES: u32 = 10;

/// Octets of a message id that are kept.
const MESSAGE_ID_MAX: usize = 64;

/// Wait after the store did not answer.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Wait before a card is tried again that only an operator can help: its profile or its keys are missing.
const CARD_WAIT: Duration = Duration::from_secs(300);

/// How long a lane rests when the SMSC is busy.
const REST: Duration = Duration::from_secs(1);

/// Cards of one lane that are served at once: those that wait for something hold no slot of the window.
const HAND_OVERS_MAX: usize = 1024;

/// What is being handed over on one route.
struct Traffic {
    /// Card and number, so that nothing goes out twice at once.
    in_flight: Mutex<BTreeSet<(CardId, Msisdn)>>,
    room: Arc<Semaphore>,
    /// Until when nothing new goes out, because the SMSC is busy.
    rests_until: Mutex<Instant>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            in_flight: Mutex::default(),
            room: Arc::new(Semaphore::new(HAND_OVERS_MAX)),
            rests_until: Mutex::new(Instant::now()),
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, BTreeSet<(CardId, Msisdn)>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + REST;
    }

    fn rests_until(&self) -> Instant {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a card among what is being handed over; given back when dropped.
struct Place {
    traffic: Arc<Traffic>,
    entry: (CardId, Msisdn),
}

impl Place {
    fn take(traffic: &Arc<Traffic>, entry: (CardId, Msisdn)) -> Option<Self> {
        let free = traffic.in_flight().insert(entry);
        free.then(|| Self { traffic: Arc::clone(traffic), entry })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.traffic.in_flight().remove(&self.entry);
    }
}

impl Gateway {
    /// Serves the lane of one route: one card after the other, as its link has free window slots.
    pub(super) async fn run_lane(self, route: KeyText, link: Link) {
        let traffic = Arc::new(Traffic::new());
        let mut page = VecDeque::new();
        loop {
            let next = tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                next = self.next_hand_over(&route, &link, &traffic, &mut page) => next,
            };
            let Some((room, slot, place)) = next else { return };
            let (gateway, link, route) = (self.clone(), link.clone(), route.clone());
            self.spawn(async move {
                gateway.hand_over(slot, &link, &place).await;
                drop((place, room));
                // What entered the lane for this number meanwhile was passed over.
                gateway.signal_lane(&route);
            });
        }
    }

    /// Waits until there is a card to serve and a slot to serve it with; `None` where the link is closed.
    async fn next_hand_over(
        &self,
        route: &KeyText,
        link: &Link,
        traffic: &Arc<Traffic>,
        page: &mut VecDeque<(CardId, Msisdn)>,
    ) -> Option<(OwnedSemaphorePermit, Slot, Place)> {
        let room = Arc::clone(&traffic.room).acquire_owned().await.ok()?;
        let place = self.next_in_lane(route, traffic, page).await;
        tokio::time::sleep_until(traffic.rests_until()).await;
        // Last: a slot that is kept may outlive its connection, and nothing counts as handed out to a dead link.
        let slot = link.slot().await.ok()?;
        Some((room, slot, place))
    }

    /// Waits for the next entry of the lane that is not being handed over already.
    async fn next_in_lane(
        &self,
        route: &KeyText,
        traffic: &Arc<Traffic>,
        page: &mut VecDeque<(CardId, Msisdn)>,
    ) -> Place {
        loop {
            while let Some(entry) = page.pop_front() {
                if let Some(place) = Place::take(traffic, entry) {
                    return place;
                }
            }
            match self.read_lane(route, traffic).await {
                Ok(entries) if !entries.is_empty() => page.extend(entries),
                // A signal given since the lane was read is kept.
                Ok(_) => match self.0.lanes.get(route) {
                    Some(lane) => lane.notified().await,
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
        traffic: &Traffic,
    ) -> Result<Vec<(CardId, Msisdn)>, StoreError> {
        let busy = traffic.in_flight().clone();
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

    /// Marks a card's packets as handed over, durably, and then hands them over, lowest CNTR first.
    async fn hand_over(&self, slot: Slot, link: &Link, place: &Place) {
        let (card, to) = place.entry;
        let done = match self.on_card(card, Input::Event(Event::HandOut { to })).await {
            Ok(done) => done,
            Err(error) => {
                // The entry is still in its lane: not again at once, and others may have the slot.
                drop(slot);
                self.pause(if error.passes() { STORE_WAIT } else { CARD_WAIT }).await;
                return;
            }
        };
        let mut slot = Some(slot);
        let mut held_up = false;
        for submission in done.submissions {
            // What has the lower CNTR goes first or not at all: the card would refuse it afterwards.
            let outcome = if held_up {
                Submitted::Throttled
            } else {
                let outcome = self.submit(&mut slot, link, card, &submission).await;
                self.0.metrics.count_submission(&outcome);
                outcome
            };
            match outcome {
                Submitted::Throttled => {
                    held_up = true;
                    place.traffic.rest();
                }
                Submitted::Unanswered => held_up = true,
                Submitted::Accepted { .. } | Submitted::Refused { .. } => {}
            }
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
        let parts = match self.sealed_parts(card, submission.cntr).await {
            Ok(Some(parts)) => parts,
            // Where the card has moved on meanwhile it does not care; else they could never be made.
            Ok(None) => {
                tracing::error!(%card, cntr = %submission.cntr, "no sealed parts for a packet in the lane");
                return Submitted::Refused { status: "the packet could not be sealed".to_owned() };
            }
            // Nothing has left: later again.
            Err(error) => {
                tracing::warn!(%card, cntr = %submission.cntr, %error, "sealed parts could not be read");
                return Submitted::Throttled;
            }
        };
        let mut last_id = String::new();
        for (index, part) in parts.parts.into_iter().enumerate() {
            match self.submit_patiently(slot, link, submission, index, part.into()).await {
                Submitted::Accepted { message_id } => last_id = message_id,
                verdict if index == 0 => return verdict,
                verdict => {
                    // The SMSC has some parts of the packet: all of them again.
                    tracing::warn!(%card, part = index + 1, ?verdict, "the SMSC does not take a later part");
                    return Submitted::Unanswered;
                }
            }
        }
        Submitted::Accepted { message_id: last_id }
    }

    /// Submits one part. The first one meets a busy SMSC once: the whole packet goes back to its lane. A later one is
    /// tried again, because the card waits for it.
    async fn submit_patiently(
        &self,
        slot: &mut Option<Slot>,
        link: &Link,
        submission: &Submission,
        index: usize,
        part: Bytes,
    ) -> Submitted {
        let back_off = Duration::from_secs(self.0.config.timers.back_off_s);
        let mut tries = 0;
        loop {
            let free = match slot.take() {
                Some(slot) => Some(slot),
                None => self.0.closing.run_until_cancelled(link.slot()).await.and_then(Result::ok),
            };
            let Some(free) = free else { return Submitted::Throttled };
            match submit_part(self.now(), free, link, submission, part.clone()).await {
                Submitted::Throttled if index > 0 && tries < PART_TRIES && !self.0.closing.is_cancelled() => {
                    tries += 1;
                    self.pause(back_off).await;
                }
                verdict => return verdict,
            }
        }
    }

    /// Waits, but not longer than the gateway works.
    async fn pause(&self, wait: Duration) {
        self.0.closing.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

async fn submit_part(
    now_ms: u64,
    slot: Slot,
    link: &Link,
    submission: &Submission,
    part: Bytes,
) -> Submitted {
    let dialect = link.dialect();
    let receipt = dialect.registered_delivery(submission.receipt);
    let sm = dialect.ota_sm(now_ms, submission.to.as_str(), part, submission.validity_s, receipt);
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
