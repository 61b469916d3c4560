//! The task of one endpoint: takes events from its outbox, sends them, and puts off what failed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::store::keys::OutboxEntry;
use crate::store::records::{OutboxRecord, decode_outbox, encode_outbox};
use crate::store::{Commit, Key, KeyRange, Read, Scan, StoreError, Unguarded};

use super::endpoint::{Endpoint, SendError};
use super::event::Event;
use super::{News, STORE_PAUSE, WebhookConfig, World};

/// Entries read from the outbox at once.
const PAGE: usize = 256;

/// How often the last entries are looked at again: commits can become visible in another order than that of their
/// sequence numbers.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After how many such looks the whole outbox is read again.
const LOOKS_PER_SWEEP: u32 = 60;

/// Most events whose next attempt is remembered; what exceeds it is found again by a sweep.
const PUT_OFF_MAX: usize = 4096;

/// Most settled events remembered.
const SETTLED_MAX: usize = 65_536;

/// Characters that are kept of why an attempt failed.
const ERROR_MAX: usize = 256;

/// How long attempts under way may take after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);

/// `not_before` of an event that was given up.
pub(super) const DEAD: u64 = u64::MAX;

/// What is known of an entry that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Read and not yet sent, or being sent.
    InHand,
    /// Not tried again before, unix ms.
    PutOff(u64),
    /// Delivered or given up; the store may still show it for a moment.
    Settled,
}

/// An attempt that has ended.
struct Attempt {
    seq: u64,
    record: OutboxRecord,
    result: Result<(), SendError>,
}

/// The task of one endpoint.
pub(super) struct Courier {
    world: World,
    config: WebhookConfig,
    endpoint: Arc<Endpoint>,
    attempts: JoinSet<Attempt>,
    /// Read and not yet begun, in order.
    in_hand: VecDeque<(u64, OutboxRecord)>,
    /// Every entry that must not be taken up again when it is read again.
    standing: BTreeMap<u64, Standing>,
    /// The entries put off, the next one first.
    put_off: BTreeSet<(u64, u64)>,
    /// The outbox is read from behind this entry on.
    position: Option<u64>,
    /// Whether there may be something behind `position`.
    more: bool,
    /// The last entry seen, and as it was at the last two looks, the older first.
    last: Option<u64>,
    looked: [Option<u64>; 2],
    looks: u32,
}

impl Courier {
    pub(super) fn new(world: World, config: WebhookConfig, endpoint: Arc<Endpoint>) -> Self {
        Self {
            world,
            config,
            endpoint,
            attempts: JoinSet::new(),
            in_hand: VecDeque::new(),
            standing: BTreeMap::new(),
            put_off: BTreeSet::new(),
            position: None,
            more: true,
            last: None,
            looked: [None; 2],
            looks: 0,
        }
    }

    /// Sends until `stop` is cancelled; `news` says that something was put into an outbox.
    pub(super) async fn run(mut self, news: Arc<News>, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let filled = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                filled = self.fill() => filled,
            };
            let wake = match filled {
                Ok(()) => self.next_due(),
                Err(error) => {
                    warn!(endpoint = self.name(), %error, "outbox cannot be read");
                    self.more = true;
                    Some(Instant::now() + STORE_PAUSE)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(attempt) = self.attempts.join_next() => self.settle(attempt),
                () = news.new.notified() => {
                    self.more = true;
                    self.revive(&news);
                }
                _ = look.tick() => self.look_again(),
                () = sleep_until(wake) => {}
            }
        }
        self.finish().await;
    }

    fn name(&self) -> &str {
        self.endpoint.name.as_str()
    }

    fn key(&self, seq: u64) -> Key {
        OutboxEntry { endpoint: self.endpoint.name.clone(), seq }.key()
    }

    /// Begins as many attempts as may run at once.
    async fn fill(&mut self) -> Result<(), StoreError> {
        while self.attempts.len() < self.config.concurrency.max(1) {
            let Some((seq, record)) = self.next().await? else { break };
            self.begin(seq, record);
        }
        Ok(())
    }

    /// The next event to be sent: what was put off until now, then what is new.
    async fn next(&mut self) -> Result<Option<(u64, OutboxRecord)>, StoreError> {
        loop {
            if let Some(&(due, seq)) = self.put_off.first().filter(|(due, _)| *due <= self.now()) {
                let record = self.read(seq).await?;
                self.put_off.remove(&(due, seq));
                match record {
                    Some(record) => {
                        self.standing.insert(seq, Standing::InHand);
                        return Ok(Some((seq, record)));
                    }
                    None => self.standing.remove(&seq),
                };
            } else if let Some(next) = self.in_hand.pop_front() {
                return Ok(Some(next));
            } else if self.more {
                self.read_page().await?;
            } else {
                return Ok(None);
            }
        }
    }

    async fn read(&self, seq: u64) -> Result<Option<OutboxRecord>, StoreError> {
        let stored = self.world.store.get_one(self.key(seq)).await?.value;
        Ok(stored.and_then(|value| self.decode(seq, &value)))
    }

    /// Reads on in the outbox. Nothing of it is sent before it is durable.
    async fn read_page(&mut self) -> Result<(), StoreError> {
        let whole: KeyRange = OutboxEntry::of_endpoint(&self.endpoint.name);
        let range = match self.position {
            Some(seq) => whole.after(&self.key(seq)),
            None => whole,
        };
        let Read { value: page, seq } = self.world.store.scan(Scan::first(range, PAGE)).await?;
        self.world.store.durable(seq).await?;
        self.more = page.len() == PAGE;
        let now = self.now();
        for (key, value) in page {
            let Ok(OutboxEntry { seq, .. }) = OutboxEntry::parse(&key) else { continue };
            self.position = Some(seq);
            self.last = self.last.max(Some(seq));
            if self.standing.contains_key(&seq) {
                continue;
            }
            let Some(record) = self.decode(seq, &value) else { continue };
            if record.not_before == DEAD {
                continue;
            }
            if record.not_before > now {
                self.put_off(seq, record.not_before);
            } else {
                self.standing.insert(seq, Standing::InHand);
                self.in_hand.push_back((seq, record));
            }
        }
        Ok(())
    }

    fn decode(&self, seq: u64, value: &[u8]) -> Option<OutboxRecord> {
        let cause = match Unguarded::decode(value).map(decode_outbox) {
            Ok(Ok(record)) => return Some(record),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        error!(endpoint = self.name(), seq, cause, "event in the outbox cannot be read");
        None
    }

    fn begin(&mut self, seq: u64, record: OutboxRecord) {
        let (endpoint, now) = (Arc::clone(&self.endpoint), self.now());
        let record =
            if record.first_tried == 0 { OutboxRecord { first_tried: now, ..record } } else { record };
        self.attempts.spawn(async move {
            let result = endpoint.send(&Event::from(&record.fact), now).await;
            Attempt { seq, record, result }
        });
    }

    /// Notes how an attempt ended. The note is advisory: where it is lost, the event is sent once more.
    fn settle(&mut self, attempt: Result<Attempt, tokio::task::JoinError>) {
        let Attempt { seq, mut record, result } = match attempt {
            Ok(attempt) => attempt,
            Err(error) => {
                error!(endpoint = self.name(), %error, "an attempt ended without result; the next start repeats it");
                return;
            }
        };
        let mut commit = Commit::new();
        match result {
            Ok(()) => {
                self.world.metrics.count_delivered(self.name());
                commit.delete(self.key(seq));
                self.standing.insert(seq, Standing::Settled);
            }
            Err(cause) => {
                self.world.metrics.count_failure(self.name());
                self.fail(seq, &mut record, &cause);
                commit.put(self.key(seq), Unguarded::encode(&encode_outbox(&record)));
            }
        }
        self.world.store.submit(commit);
    }

    fn fail(&mut self, seq: u64, record: &mut OutboxRecord, cause: &SendError) {
        record.attempts = record.attempts.saturating_add(1);
        record.error = cause.to_string().chars().take(ERROR_MAX).collect();
        let attempts = record.attempts;
        let next = self.now().saturating_add(self.config.back_off_ms(attempts, self.world.rng.as_ref()));
        let event = Event::from(&record.fact).id().to_owned();
        if next > record.first_tried.saturating_add(self.config.keep_ms) {
            record.not_before = DEAD;
            self.world.metrics.count_dead(self.name());
            error!(endpoint = self.name(), event, attempts, %cause, "event given up; it stays in the outbox");
            self.standing.insert(seq, Standing::Settled);
        } else {
            record.not_before = next;
            debug!(endpoint = self.name(), event, attempts, %cause, "event not delivered");
            self.put_off(seq, next);
        }
    }

    /// Takes up again what was put back into the outbox.
    fn revive(&mut self, news: &News) {
        let seqs = std::mem::take(&mut *news.revived.lock().unwrap_or_else(PoisonError::into_inner));
        for seq in seqs {
            match self.standing.get(&seq) {
                Some(&Standing::PutOff(until)) => {
                    self.put_off.remove(&(until, seq));
                }
                Some(Standing::Settled) | None => {}
                Some(Standing::InHand) => continue,
            }
            self.standing.remove(&seq);
            // Read again from before the first of them.
            self.position = self.position.min(Some(seq.saturating_sub(1)));
        }
    }

    fn put_off(&mut self, seq: u64, until: u64) {
        self.standing.insert(seq, Standing::PutOff(until));
        self.put_off.insert((until, seq));
        if self.put_off.len() > PUT_OFF_MAX {
            // The farthest one: long before it is due, a sweep finds it again.
            if let Some((_, seq)) = self.put_off.pop_last() {
                self.standing.remove(&seq);
            }
        }
    }

    /// Reads on from what was new at the last but one look, now and then from the start.
    fn look_again(&mut self) {
        if self.more {
            return;
        }
        self.more = true;
        self.looks = (self.looks + 1) % LOOKS_PER_SWEEP;
        let [oldest, later] = self.looked;
        self.position = if self.looks == 0 { None } else { oldest };
        self.looked = [later, self.last];
        let settled = |standing: &Standing| *standing == Standing::Settled;
        let crowded = self.standing.values().filter(|standing| settled(standing)).count() > SETTLED_MAX;
        self.standing.retain(|seq, standing| !settled(standing) || (!crowded && Some(*seq) > oldest));
    }

    fn now(&self) -> u64 {
        self.world.clock.now_ms()
    }

    /// When the next event that was put off is due; not asked where no attempt could begin anyway.
    fn next_due(&self) -> Option<Instant> {
        let (due, _) = self.put_off.first()?;
        if self.attempts.len() >= self.config.concurrency.max(1) {
            return None;
        }
        Some(Instant::now() + Duration::from_millis(due.saturating_sub(self.now())))
    }

    /// Lets the attempts under way end.
    async fn finish(mut self) {
        let rest = async {
            while let Some(attempt) = self.attempts.join_next().await {
                self.settle(attempt);
            }
        };
        // What does not end in time is sent again by the next start.
        let _ = tokio::time::timeout(GRACE, rest).await;
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
