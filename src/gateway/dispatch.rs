//! From the lanes to the links: a card's packets leave when a link of its route has room for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::card::{CardId, Event, Submission, Submitted};
use crate::identity::Msisdn;
use crate::link::{Link, Slot, SubmitOutcome};
use crate::smpp::CommandStatus;
use crate::store::{KeyText, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::job::Input;
use super::serving::Serving;

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

/// Cards of one lane that are served at once: those that wait for something hold no slot of the window.
const HAND_OVERS_MAX: usize = 1024;

/// What is being handed over on one route.
struct Traffic {
    /// Card and number, so that nothing goes out twice at once.
    in_flight: Mutex<BTreeSet<(CardId, Msisdn)>>,
    room: Arc<Semaphore>,
}

impl Traffic {
    fn new() -> Self {
        Self { in_flight: Mutex::default(), room: Arc::new(Semaphore::new(HAND_OVERS_MAX)) }
    }

    fn in_flight(&self) -> MutexGuard<'_, BTreeSet<(CardId, Msisdn)>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Serves the lane of one route: one card after the other, as its links have free window slots.
    pub(super) async fn run_lane(self, route: KeyText, mut serving: Serving) {
        let traffic = Arc::new(Traffic::new());
        let mut page = VecDeque::new();
        loop {
            let next = tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                next = self.next_hand_over(&route, &mut serving, &traffic, &mut page) => next,
            };
            let Some((room, (link, slot), place)) = next else { return };
            let (gateway, route) = (self.clone(), route.clone());
            self.spawn(async move {
                gateway.hand_over(slot, &link, &place).await;
                drop((place, room));
                // What entered the lane for this number meanwhile was passed over.
                gateway.signal_lane(&route);
            });
        }
    }

    /// Waits until there is a card to serve and a slot to serve it with.
    async fn next_hand_over(
        &self,
        route: &KeyText,
        serving: &mut Serving,
        traffic: &Arc<Traffic>,
        page: &mut VecDeque<(CardId, Msisdn)>,
    ) -> Option<(OwnedSemaphorePermit, (Link, Slot), Place)> {
        let room = Arc::clone(&traffic.room).acquire_owned().await.ok()?;
        let place = self.next_in_lane(route, traffic, page).await;
        // Last: a slot that is kept may outlive its connection, and nothing counts as handed out to a dead link.
        Some((room, serving.slot().await, place))
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
                // It is the link that slows down; the card tries again after its back-off.
                Submitted::Throttled | Submitted::Unanswered => held_up = true,
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
        let count = parts.parts.len();
        for (index, part) in parts.parts.into_iter().enumerate() {
            let part = Part { index, last: index + 1 == count, tp_ud: part.into() };
            match self.submit_patiently(slot, link, submission, part).await {
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
    /// tried again, because the card waits for it: over the same link, whose source address the card has seen. While the
    /// SMSC takes them, all go over the same connection.
    async fn submit_patiently(
        &self,
        slot: &mut Option<Slot>,
        link: &Link,
        submission: &Submission,
        part: Part,
    ) -> Submitted {
        let back_off = Duration::from_secs(self.0.config.timers.back_off_s);
        let mut tries = 0;
        loop {
            let free = match slot.take() {
                Some(slot) => Some(slot),
                None => {
                    let free = tokio::time::timeout(back_off, link.slot());
                    self.0.closing.run_until_cancelled(free).await.and_then(Result::ok).and_then(Result::ok)
                }
            };
            let (verdict, kept) = match free {
                Some(free) => submit_part(self.now(), free, link, submission, &part).await,
                None => (Submitted::Throttled, None),
            };
            let again = part.index > 0 && tries < PART_TRIES && !self.0.closing.is_cancelled();
            if verdict == Submitted::Throttled && again {
                tries += 1;
                // Meanwhile the place in the window is somebody else's.
                drop(kept);
                self.pause(back_off).await;
            } else {
                *slot = kept;
                return verdict;
            }
        }
    }

    /// Waits, but not longer than the gateway works.
    async fn pause(&self, wait: Duration) {
        self.0.closing.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

/// One part of a packet.
struct Part {
    index: usize,
    last: bool,
    tp_ud: Bytes,
}

/// What became of the part; and the slot for the next one.
async fn submit_part(
    now_ms: u64,
    slot: Slot,
    link: &Link,
    submission: &Submission,
    part: &Part,
) -> (Submitted, Option<Slot>) {
    let dialect = link.dialect();
    let receipt = dialect.registered_delivery(submission.receipt);
    let tp_ud = part.tp_ud.clone();
    let sm = dialect.ota_sm(now_ms, submission.to.as_str(), tp_ud, submission.validity_s, receipt);
    let sm = match sm {
        Ok(sm) => sm,
        Err(error) => return (Submitted::Refused { status: error.to_string() }, None),
    };
    let (outcome, kept) = if part.last { (slot.submit(sm).await, None) } else { slot.submit_part(sm).await };
    let verdict = match outcome {
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
    };
    (verdict, kept)
}
