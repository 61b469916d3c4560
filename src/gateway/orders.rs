//! Orders and their withdrawal, as the HTTP API asks for them.

use sha2::{Digest, Sha256};

use crate::card::{Bearer, Card, End, Owner, QUEUE_MAX, Refused, Subscription, WriteId, WriteState};
use crate::identity::Imei;
use crate::store::records::{Device, IdempotencyKey, Write, decode_idempotency};
use crate::store::{Commit, CommitError, Guarded, Key, KeyText, StoreError, Unguarded, keys};

use super::Gateway;
use super::changes::{TIMER_OF_LOOK_UP, timer, waiting_fact};
use super::job::{CardError, Done, Input, OrderInput};
use super::read::CardRef;
use super::records::{put_device, put_waiting};

/// Most writes that wait for one device.
const WAITING_MAX: usize = 8;

/// The farthest deadline, ms from now.
const DEADLINE_MAX_MS: u64 = 400 * 86_400_000;

/// How often an order is tried again after it lost against concurrent changes.
pub(super) const TRIES: usize = 16;

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
    /// The card, where the business platform knows it: the device becomes this card's.
    pub card: Option<CardRef>,
    /// How the write is to reach the card; where absent, the card's current subscription decides.
    pub bearer: Option<Bearer>,
    /// The profile that the card must have.
    pub profile: Option<String>,
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
    /// The owner has no such card as the order names.
    #[error("the card is not known")]
    CardUnknown,
    /// The order names another card than the one that has reported the device.
    #[error("the device is bound to another card")]
    OtherCard,
    /// The card has another profile than the order names, or no such profile is configured.
    #[error("profile: expected {expected}")]
    Profile {
        /// What was expected.
        expected: String,
    },
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

/// Why a write was not tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The owner has no such write.
    #[error("no such write")]
    NotFound,
    /// It has not ended, or it is effective.
    #[error("the write is {}", .0.name())]
    State(WriteState),
    /// The new write was refused.
    #[error(transparent)]
    Order(#[from] OrderError),
}

impl From<StoreError> for RetryError {
    fn from(error: StoreError) -> Self {
        Self::Order(error.into())
    }
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
        self.place(owner, order, None, idempotency).await
    }

    /// Orders an ended write again: a new write with the same contents, and the deadline that is usual from now on.
    ///
    /// # Errors
    /// [`RetryError`].
    pub async fn retry(
        &self,
        owner: &Owner,
        id: WriteId,
        idempotency: Option<Idempotency>,
    ) -> Result<Placed, RetryError> {
        let write = self.write(owner, id).await?.ok_or(RetryError::NotFound)?;
        if !write.state.is_end() || write.state == WriteState::Ended(End::Effective) {
            return Err(RetryError::State(write.state));
        }
        let (device, _) = self.read_device(write.imei).await.map_err(OrderError::from)?;
        let bound = device.is_some_and(|(_, device)| device.card.is_some());
        let order = NewOrder {
            imei: write.imei,
            subscription: write.target,
            deadline: None,
            client_order_id: write.client_order_id,
            require_bound: false,
            // What has reported the device since counts more.
            card: write.card.filter(|_| !bound).map(CardRef::Id),
            bearer: write.bearer,
            profile: write.profile,
        };
        Ok(self.place(owner, order, Some(id), idempotency).await?)
    }

    async fn place(
        &self,
        owner: &Owner,
        order: NewOrder,
        retry_of: Option<WriteId>,
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
            let mut write = self.new_write(owner, &order, deadline, now);
            write.retry_of = retry_of;
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
        self.check_profile(order, None)?;
        let (device, _) = self.read_device(order.imei).await?;
        let named = match &order.card {
            Some(card) => Some(self.card(owner, card).await?.ok_or(OrderError::CardUnknown)?),
            None => None,
        };
        if let Some(card) = device.as_ref().and_then(|(_, device)| device.card) {
            let (record, _) = self.read_card(card).await?;
            let record = record.filter(|record| record.owner == *owner).ok_or(OrderError::DeviceUnknown)?;
            if named.is_some_and(|named| named.id != card) {
                return Err(OrderError::OtherCard);
            }
            self.check_profile(order, Some(&record))?;
            return match self.on_card(card, Input::Order(Box::new(input))).await {
                Ok(Done { refused: Some(Refused::QueueFull), .. }) => Err(OrderError::QueueFull),
                Ok(done) => Ok(done.write),
                Err(CardError::Moved | CardError::IdempotencyKey) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let Some(named) = named else {
            if order.require_bound {
                return Err(OrderError::DeviceUnknown);
            }
            return self.put_waiting(owner, order, input, device).await;
        };
        self.check_profile(order, Some(&named))?;
        if named.queue.len() >= QUEUE_MAX {
            return Err(OrderError::QueueFull);
        }
        let input = OrderInput { write: Write { card: Some(named.id), ..input.write }, ..input };
        let Some(write) = self.put_waiting(owner, order, input, device).await? else { return Ok(None) };
        // Durable: what fails from here on is made up for by the write's timer.
        if let Err(error) = self.give_named_card(&write).await {
            tracing::warn!(write = %write.id, %error, "the card of an order could not be brought to its device yet");
        }
        let (now, seq) = self.read_write(write.id).await?;
        self.0.world.store.durable(seq).await?;
        Ok(Some(now.map_or(write, |(_, write)| write)))
    }

    /// The profile that the order names must be there, and be that of the card where one is known.
    fn check_profile(&self, order: &NewOrder, card: Option<&Card>) -> Result<(), OrderError> {
        let Some(name) = &order.profile else { return Ok(()) };
        let expected = match card {
            Some(card) if card.profile == *name => return Ok(()),
            Some(card) => format!("that of the card, {}", card.profile),
            None if self.profile(name).is_some() => return Ok(()),
            None => {
                let known: Vec<&str> = self.0.config.profiles.keys().map(String::as_str).collect();
                format!("a configured profile: {}", known.join(", "))
            }
        };
        Err(OrderError::Profile { expected })
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
        let look_up_at = self.look_up_at(&input.write);
        if let Some(at) = look_up_at {
            let look_up = timer(input.write.id.octets(), at);
            commit.put(look_up, Unguarded::encode(&[TIMER_OF_LOOK_UP]));
        }
        put_device(&mut commit, version, &device);
        let mut telling = self.telling();
        let fact = waiting_fact(&input.write, "write.accepted", owner, order.imei, now);
        self.put_fact(&mut commit, &fact, &mut telling);
        let done = self.0.world.store.commit(commit).await;
        drop(telling);
        match done {
            Ok(_) => {
                self.0.metrics.count_fact("write.accepted");
                self.signal_timer(look_up_at.unwrap_or(input.write.deadline));
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
            bearer: order.bearer,
            decided: None,
            retry_of: None,
            imei_verified: None,
            profile: order.profile.clone(),
            plan: None,
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
