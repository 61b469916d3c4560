//! Orders and their withdrawal, as the HTTP API asks for them.

use sha2::{Digest, Sha256};

use crate::card::{DEADLINE_PASSED, End, Owner, Refused, Subscription, WriteId, WriteState};
use crate::identity::Imei;
use crate::store::records::{Device, IdempotencyKey, Write, decode_idempotency};
use crate::store::{Commit, CommitError, Guarded, Key, KeyText, StoreError, keys};

use super::Gateway;
use super::cards::{CardError, Done, Input, OrderInput, put_device, put_waiting, put_write};
use super::changes::{claims, waiting_fact};

/// Most writes that wait for one device.
const WAITING_MAX: usize = 8;

/// The farthest deadline, ms from now.
const DEADLINE_MAX_MS: u64 = 400 * 86_400_000;

/// How often an order is tried again after it lost against concurrent changes.
const TRIES: usize = 16;

/// An order to open the card of a device.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The device.
    pub imei: Imei,
    /// What to write.
    pub subscription: Subscription,
    /// Unix ms; the configured one where absent.
    pub deadline: Option<u64>,
    /// The caller's own id of the order.
    pub client_order_id: Option<String>,
    /// Refuse an order for a device that no card has reported yet.
    pub require_bound: bool,
}

/// What makes a repeated order the same order.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_digest: [u8; 32],
}

/// An order that is durable.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The write.
    pub write: Write,
    /// Whether an earlier request with the same key had made it.
    pub replayed: bool,
}

/// Why an order was refused.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No card of this owner has reported the device, and the order asks for one; or the device is another owner's.
    #[error("the device is not known")]
    DeviceUnknown,
    /// The number belongs to another open write or to a card (I10).
    #[error("{field} belongs to another open write or to a card")]
    TargetInUse {
        /// The JSON field.
        field: &'static str,
    },
    /// As many writes wait for the card or the device as may.
    #[error("8 writes wait for this card already")]
    QueueFull,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used for another order")]
    IdempotencyMismatch,
    /// The deadline cannot be met.
    #[error("deadline: expected {expected}")]
    Deadline {
        /// What was expected.
        expected: &'static str,
    },
    /// Lost against concurrent changes, or the card cannot be served now: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a write was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The owner has no such write.
    #[error("no such write")]
    NotFound,
    /// The card has written already.
    #[error("the card has written already")]
    AlreadyWritten,
    /// The write is over.
    #[error("the write has ended: {}", .0.name())]
    Ended(WriteState),
    /// Lost against concurrent changes: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CardError> for OrderError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Claimed(field) => Self::TargetInUse { field },
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl From<CardError> for CancelError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl Gateway {
    /// Takes an order; it is durable when this returns (I2).
    ///
    /// # Errors
    /// [`OrderError`]. Nothing was stored then, except that after [`OrderError::Store`] nobody knows: the same order with
    /// the same idempotency key finds out.
    pub async fn order(
        &self,
        owner: &Owner,
        order: NewOrder,
        idempotency: Option<Idempotency>,
    ) -> Result<Placed, OrderError> {
        if self.0.closing.is_cancelled() {
            return Err(OrderError::Busy);
        }
        let now = self.now();
        let deadline = order.deadline.unwrap_or(now + self.0.config.timers.deadline_s * 1000);
        let idempotency = match idempotency {
            Some(Idempotency { key, body_digest }) => Some((idempotency_key(owner, &key)?, body_digest)),
            None => None,
        };
        for _ in 0..TRIES {
            if let Some((key, digest)) = &idempotency
                && let Some(placed) = self.replayed(key, digest).await?
            {
                return Ok(placed);
            }
            if deadline <= now {
                return Err(OrderError::Deadline { expected: "a time in the future" });
            }
            if deadline > now + DEADLINE_MAX_MS {
                return Err(OrderError::Deadline { expected: "at most 400 days from now" });
            }
            let write = self.new_write(owner, &order, deadline, now);
            let idempotency = idempotency.as_ref().map(|(key, body_digest)| {
                (key.clone(), IdempotencyKey { write: write.id, body_digest: *body_digest, at: now })
            });
            let input = OrderInput { write, idempotency };
            match self.try_order(owner, &order, input).await {
                Ok(Some(write)) => return Ok(Placed { write, replayed: false }),
                Ok(None) => {}
                // Whoever holds what this order wanted must be there to stay before anybody hears of it.
                Err(error) => {
                    self.settled().await?;
                    return Err(error);
                }
            }
        }
        Err(OrderError::Busy)
    }

    /// One try: `None` where something changed meanwhile.
    async fn try_order(
        &self,
        owner: &Owner,
        order: &NewOrder,
        input: OrderInput,
    ) -> Result<Option<Write>, OrderError> {
        let (device, _) = self.read_device(order.imei).await?;
        if let Some(card) = device.as_ref().and_then(|(_, device)| device.card) {
            let (record, _) = self.read_card(card).await?;
            if record.is_none_or(|record| record.owner != *owner) {
                return Err(OrderError::DeviceUnknown);
            }
            return match self.on_card(card, Input::Order(Box::new(input))).await {
                Ok(Done { refused: Some(Refused::QueueFull), .. }) => Err(OrderError::QueueFull),
                Ok(done) => Ok(done.write),
                Err(CardError::Moved | CardError::IdempotencyKey) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        if order.require_bound {
            return Err(OrderError::DeviceUnknown);
        }
        self.put_waiting(owner, order, input, device).await
    }

    /// Stores an order for a device that no card has reported yet.
    async fn put_waiting(
        &self,
        owner: &Owner,
        order: &NewOrder,
        mut input: OrderInput,
        device: Option<(u64, Device)>,
    ) -> Result<Option<Write>, OrderError> {
        let now = self.now();
        let (version, mut device) = device
            .unwrap_or_else(|| (0, Device { imei: order.imei, card: None, since: now, waiting: Vec::new() }));
        if device.waiting.len() >= WAITING_MAX {
            return Err(OrderError::QueueFull);
        }
        device.waiting.push(input.write.id);
        input.write.seq = 1;
        let mut commit = Commit::new();
        let claimed = put_waiting(&mut commit, &input);
        put_device(&mut commit, version, &device);
        let telling = self.telling();
        let fact = waiting_fact(&input.write, "write.accepted", owner, order.imei, now);
        self.put_fact(&mut commit, &fact, &telling);
        let done = self.0.world.store.commit(commit).await;
        drop(telling);
        match done {
            Ok(_) => {
                self.0.metrics.count_fact("write.accepted");
                self.0.outbox.notify_one();
                self.signal_timer(input.write.deadline);
                Ok(Some(input.write))
            }
            Err(CommitError::Conflict(key)) => match claimed.into_iter().find(|(_, claim)| *claim == key) {
                Some((Some(field), _)) => Err(OrderError::TargetInUse { field }),
                _ => Ok(None),
            },
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The write that an earlier request with this key made.
    async fn replayed(&self, key: &Key, digest: &[u8; 32]) -> Result<Option<Placed>, OrderError> {
        let read = self.0.world.store.get_one(key.clone()).await?;
        let Some(value) = read.value else { return Ok(None) };
        let record = Guarded::decode(&value).map_err(CardError::from)?.body;
        let record = decode_idempotency(record).map_err(CardError::from)?;
        let (write, seq) = self.read_write(record.write).await?;
        self.0.world.store.durable(seq.max(read.seq)).await?;
        if record.body_digest != *digest {
            return Err(OrderError::IdempotencyMismatch);
        }
        Ok(write.map(|(_, write)| Placed { write, replayed: true }))
    }

    fn new_write(&self, owner: &Owner, order: &NewOrder, deadline: u64, now: u64) -> Write {
        let mut random = [0; 10];
        self.0.world.rng.fill(&mut random);
        Write {
            id: WriteId::new(now, &random),
            owner: owner.clone(),
            imei: order.imei,
            target: order.subscription.clone(),
            client_order_id: order.client_order_id.clone(),
            created: now,
            updated: now,
            deadline,
            state: WriteState::Waiting,
            reason: None,
            hold: None,
            card: None,
            tid: None,
            cntr: None,
            resent: 0,
            cancel: false,
            seq: 0,
            written_at: None,
            ended_at: None,
            bearer: None,
            retry_of: None,
            imei_verified: None,
        }
    }

    /// Withdraws a write, as far as it still can be: after octets have gone out that is a request, granted by a fence.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, owner: &Owner, id: WriteId) -> Result<Write, CancelError> {
        if self.0.closing.is_cancelled() {
            return Err(CancelError::Busy);
        }
        let (write, seq) = self.read_write(id).await?;
        let write = write.map(|(_, write)| write).filter(|write| write.owner == *owner);
        let write = write.ok_or(CancelError::NotFound)?;
        if write.state.is_end() {
            self.0.world.store.durable(seq).await?;
            return Err(CancelError::Ended(write.state));
        }
        self.withdraw(id, End::Cancelled).await?.ok_or(CancelError::NotFound)
    }

    /// Withdraws a write wherever it stands; `None` where there is no such write.
    pub(super) async fn withdraw(&self, id: WriteId, end: End) -> Result<Option<Write>, CancelError> {
        for _ in 0..TRIES {
            let (stored, seq) = self.read_write(id).await?;
            let Some((version, write)) = stored else { return Ok(None) };
            if write.state.is_end() {
                self.0.world.store.durable(seq).await?;
                return Ok(Some(write));
            }
            if let Some(card) = write.card {
                let done = self.on_card(card, Input::Withdraw { write: id, end }).await?;
                return match done.refused {
                    Some(Refused::AlreadyWritten) if end == End::Cancelled => {
                        Err(CancelError::AlreadyWritten)
                    }
                    _ => Ok(done.write),
                };
            }
            if let Some(write) = self.withdraw_waiting(version, write, end).await? {
                return Ok(Some(write));
            }
        }
        Err(CancelError::Busy)
    }

    /// One try to end a write that waits for its device: `None` where something changed meanwhile.
    async fn withdraw_waiting(
        &self,
        version: u64,
        mut write: Write,
        end: End,
    ) -> Result<Option<Write>, CancelError> {
        let now = self.now();
        let (device, _) = self.read_device(write.imei).await?;
        write.state = WriteState::Ended(end);
        write.seq += 1;
        write.updated = now;
        write.ended_at = Some(now);
        if end == End::Expired {
            write.reason = Some(DEADLINE_PASSED.to_owned());
        }
        let mut commit = Commit::new();
        commit.expect_version(keys::write(write.id), version);
        put_write(&mut commit, version, &write);
        if let Some((version, mut device)) = device {
            device.waiting.retain(|waiting| *waiting != write.id);
            put_device(&mut commit, version, &device);
        }
        for (_, key) in claims(&write.target) {
            commit.delete(key);
        }
        let kind = format!("write.{}", write.state.name());
        let telling = self.telling();
        self.put_fact(&mut commit, &waiting_fact(&write, &kind, &write.owner, write.imei, now), &telling);
        let done = self.0.world.store.commit(commit).await;
        drop(telling);
        match done {
            Ok(_) => {
                self.0.metrics.count_fact(&kind);
                self.0.outbox.notify_one();
                Ok(Some(write))
            }
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Waits until everything that can be seen now is durable.
    async fn settled(&self) -> Result<(), StoreError> {
        let seen = self.0.world.store.get(Vec::new()).await?.seq;
        self.0.world.store.durable(seen).await
    }
}

/// The key of an idempotency record; the caller's text, which may hold anything, goes in as its digest.
fn idempotency_key(owner: &Owner, key: &str) -> Result<Key, OrderError> {
    let text = |text: &str| KeyText::new(text).map_err(|_| OrderError::Busy);
    let value = text(&hex::encode(Sha256::digest(key.as_bytes())))?;
    Ok(keys::Claim::Idempotency { owner: text(owner.as_str())?, value }.key())
}
