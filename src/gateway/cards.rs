//! One card at a time: read, apply, seal, one commit, and then the effects.
//!
//! Jobs of one card wait in the queue of its shard. A commit that loses against a concurrent change is made anew from
//! what is stored now; octets sealed in vain never leave.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::applet::BindingRequest;
use crate::card::{
    Bearer, Bound, Card, CardId, Contested, DeviceView, End, Event, Fact, FromCard, Order, Refused,
    ResponseData, Step, Submission, WriteId, WriteState, apply,
};
use crate::identity::{Imei, Msisdn};
use crate::ota::{Cntr, Rsc};
use crate::store::records::{
    Device, IdempotencyKey, InboxRecord, RecordError, SealedParts, Write, decode_card, decode_device,
    decode_sealed_parts, decode_write, encode_card, encode_device, encode_idempotency, encode_inbox,
    encode_sealed_parts, encode_write,
};
use crate::store::{
    Commit, CommitError, EnvelopeError, Guarded, Key, KeyText, Seq, StoreError, Unguarded, keys,
};

use super::Gateway;
use super::changes::{TIMER_OF_CARD, TIMER_OF_WRITE, claimed_by, claims, fact_record, timer};
use super::job_writes::Writes;
use super::render::{RenderError, render};

/// The kind of the timeline's entries about what was posted back from a site.
pub(super) const RELAYED: &str = "card.relayed";

/// How often a job is applied again after it lost against a concurrent change.
const TRIES: usize = 16;

/// What is to happen to a card.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// An event that needs nothing else.
    Event(Event),
    /// A response packet that was opened. Where it came from on site, `relayed` says all that was posted back.
    Response { cntr: Cntr, rsc: Rsc, data: ResponseData, relayed: Option<String> },
    /// What was posted back from a site without a response packet that could be opened.
    Relayed { hint: Option<Hint>, relayed: String },
    /// The business platform says which device the card is in.
    Supplied { imei: Imei },
    /// An operator decides about the binding that is held.
    DecideBinding { accept: bool },
    /// A binding request: the device's record belongs to it.
    Binding { cntr: u64, digest: u64, from: Option<Msisdn>, request: BindingRequest },
    /// A write that was ordered for the device that this card is bound to.
    Order(Box<OrderInput>),
    /// A write is withdrawn by its owner or by its deadline.
    Withdraw { write: WriteId, end: End },
    /// Time has come.
    Timer { key: Key },
    /// A consequence of what happened to another card.
    Inbox { key: Key, record: InboxRecord },
}

/// Something that looks like a response and proves nothing.
#[derive(Debug, Clone)]
pub(super) struct Hint {
    pub(super) what: String,
    pub(super) cntr: Option<Cntr>,
    pub(super) rsc: Option<Rsc>,
}

impl Hint {
    pub(super) fn event(self, from: Option<Msisdn>) -> Event {
        let Self { what, cntr, rsc } = self;
        Event::Hint { what, cntr, rsc, from }
    }
}

/// An order with what must be committed beside the card.
#[derive(Debug, Clone)]
pub(super) struct OrderInput {
    pub(super) write: Write,
    pub(super) idempotency: Option<(Key, IdempotencyKey)>,
}

/// A job in a shard's queue.
pub(super) struct Job {
    card: CardId,
    input: Input,
    reply: oneshot::Sender<Result<Done, CardError>>,
}

/// What came of a job; durable.
#[derive(Debug)]
pub(super) struct Done {
    /// Packets to hand to a link now.
    pub(super) submissions: Vec<Submission>,
    /// Why the event was refused.
    pub(super) refused: Option<Refused>,
    /// The write that the job was about, as it is now.
    pub(super) write: Option<Write>,
    /// The card as it is now.
    pub(super) card: Card,
}

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CardError {
    #[error("no such card")]
    NoSuchCard,
    #[error("the card's profile {0:?} is not configured")]
    NoProfile(String),
    #[error("card keys: {0}")]
    Keys(crate::vault::RecordError),
    #[error("the device is not bound to this card any more")]
    Moved,
    #[error("{0} is taken")]
    Claimed(&'static str),
    #[error("the idempotency key is taken")]
    IdempotencyKey,
    #[error("lost against concurrent changes {TRIES} times")]
    Contended,
    #[error("the gateway is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl CardError {
    /// Whether the same may well succeed a moment later; otherwise only an operator can help.
    pub(super) const fn passes(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Contended | Self::Stopping)
    }

    /// Whether it is an answer to the caller, and no fault of anything.
    const fn is_told(&self) -> bool {
        matches!(self, Self::Moved | Self::Claimed(_) | Self::IdempotencyKey | Self::Stopping)
    }
}

/// A guarded record as it was read: its version, 0 where there is none.
struct Stored<T> {
    version: u64,
    record: T,
}

/// Asserts a record as it was read.
pub(super) fn expect(commit: &mut Commit, key: Key, version: u64) {
    match version {
        0 => commit.expect_absent(key),
        _ => commit.expect_version(key, version),
    };
}

fn guarded<T>(
    value: Option<&Bytes>,
    decode: impl Fn(&[u8]) -> Result<T, RecordError>,
) -> Result<Option<Stored<T>>, CardError> {
    let Some(value) = value else { return Ok(None) };
    let Guarded { version, body } = Guarded::decode(value)?;
    Ok(Some(Stored { version, record: decode(body)? }))
}

impl Gateway {
    /// Brings `input` to the card's shard and waits until what came of it is durable.
    pub(super) async fn on_card(&self, card: CardId, input: Input) -> Result<Done, CardError> {
        let (reply, done) = oneshot::channel();
        let shard = usize::from(card.octets().last().copied().unwrap_or(0)) % self.0.shards.len();
        let queue = self.0.shards.get(shard).ok_or(CardError::Stopping)?;
        queue.send(Job { card, input, reply }).await.map_err(|_| CardError::Stopping)?;
        done.await.map_err(|_| CardError::Stopping)?
    }

    pub(super) async fn run_shard(self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let job = tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = self.0.idle.cancelled() => return,
            };
            let Some(Job { card, input, reply }) = job else { return };
            let result = self.process(card, input).await;
            match &result {
                Err(error) if error.is_told() => tracing::debug!(%card, %error, "refused"),
                Err(error) => tracing::warn!(%card, %error, "event of a card came to nothing"),
                Ok(_) => {}
            }
            let _ = reply.send(result);
        }
    }

    async fn process(&self, id: CardId, input: Input) -> Result<Done, CardError> {
        for _ in 0..TRIES {
            match self.try_once(id, &input).await? {
                Some(done) => return Ok(done),
                None => self.0.metrics.commit_conflicts.inc(),
            };
        }
        Err(CardError::Contended)
    }

    /// One try: `None` where the commit lost against a concurrent change.
    async fn try_once(&self, id: CardId, input: &Input) -> Result<Option<Done>, CardError> {
        let store = &*self.0.world.store;
        let now = self.now();
        let mut commit = Commit::new();

        // Read.
        let (about_device, about_write) = match input {
            Input::Binding { request, .. } => (Some(request.imei), None),
            Input::Order(order) => (Some(order.write.imei), None),
            Input::Withdraw { write, .. } => (None, Some(*write)),
            Input::Event(Event::DecideWrite { id, .. } | Event::Export { id }) => (None, Some(*id)),
            Input::Supplied { imei } | Input::Inbox { record: InboxRecord::DeviceMoved { imei, .. }, .. } => {
                (Some(*imei), None)
            }
            Input::Response { data: ResponseData::State(answer), .. } => (Some(answer.imei), None),
            Input::Event(_)
            | Input::Response { .. }
            | Input::Relayed { .. }
            | Input::DecideBinding { .. }
            | Input::Timer { .. }
            | Input::Inbox { .. } => (None, None),
        };
        let mut wanted = vec![keys::card(id), keys::card_keys(id)];
        wanted.extend(about_device.map(|imei| keys::device(imei.key())));
        let read = store.get(wanted).await?;
        let [card_value, card_keys, ..] = read.value.as_slice() else { return Err(CardError::NoSuchCard) };
        let Some(Stored { version, record: card }) = guarded(card_value.as_ref(), decode_card)? else {
            return Err(CardError::NoSuchCard);
        };
        let profile =
            self.profile(&card.profile).ok_or_else(|| CardError::NoProfile(card.profile.clone()))?;
        let terms = self.terms(profile);
        let mut device = guarded(read.value.get(2).and_then(Option::as_ref), decode_device)?;
        let mut seq = read.seq;
        if let (Input::DecideBinding { .. }, Some(held)) = (input, &card.held) {
            let read = store.get_one(keys::device(held.imei.key())).await?;
            device = guarded(read.value.as_ref(), decode_device)?;
            seq = seq.max(read.seq);
        }
        let mut writes = Writes::default();
        let next = card.active.is_none().then(|| card.queue.first().copied()).flatten();
        let named = [about_write, card.active.as_ref().map(|active| active.order.id), next];
        writes.read(self, named.into_iter().flatten()).await?;

        // Apply.
        let mut reset_timer = false;
        let mut relayed = None;
        let event = match input {
            Input::Event(event) => event.clone(),
            Input::Response { cntr, rsc, data, relayed: posted } => {
                relayed.clone_from(posted);
                let device = match data {
                    ResponseData::State(_) => {
                        Some(self.view_device(device.as_ref(), &card, &mut writes).await?)
                    }
                    _ => None,
                };
                Event::Response { cntr: *cntr, rsc: *rsc, data: data.clone(), device }
            }
            Input::Relayed { hint, relayed: posted } => {
                relayed = Some(posted.clone());
                hint.clone().map_or(Event::Tick, |hint| hint.event(None))
            }
            Input::Supplied { imei } => {
                let device = self.view_device(device.as_ref(), &card, &mut writes).await?;
                Event::Supplied { imei: *imei, device }
            }
            Input::DecideBinding { accept } => {
                let device = self.view_device(device.as_ref(), &card, &mut writes).await?;
                Event::DecideBinding { accept: *accept, device }
            }
            Input::Binding { cntr, digest, from, request } => {
                let view = self.view_device(device.as_ref(), &card, &mut writes).await?;
                let message = FromCard::Binding { request: request.clone(), device: view };
                Event::Message { cntr: *cntr, digest: *digest, from: *from, message }
            }
            Input::Order(order) => {
                let bound = device.as_ref().filter(|device| device.record.card == Some(id));
                let Some(bound) = bound else { return Err(CardError::Moved) };
                expect(&mut commit, keys::device(order.write.imei.key()), bound.version);
                Event::Ordered(order.write.order())
            }
            Input::Withdraw { write, end } => match writes.get(*write) {
                Some(write) if !write.state.is_end() => {
                    Event::Withdraw { id: write.id, seq: write.seq, target: write.target.clone(), end: *end }
                }
                _ => Event::Tick,
            },
            Input::Timer { key } => {
                let stands = card.due(&terms).map(|due| timer(id.octets(), due));
                if stands.as_ref() != Some(key) {
                    // Put off, or set under other waits: from here on the timer follows from the card again.
                    commit.delete(key.clone());
                    reset_timer = true;
                }
                Event::Tick
            }
            Input::Inbox { key, record: InboxRecord::DeviceMoved { imei, to } } => {
                commit.delete(key.clone());
                let device = self.view_device(device.as_ref(), &card, &mut writes).await?;
                Event::DeviceMoved { imei: *imei, to: *to, device }
            }
            Input::Inbox { key, record: InboxRecord::Contested { imei, by } } => {
                commit.delete(key.clone());
                Event::Contested { imei: *imei, by: *by }
            }
        };
        let next = next.and_then(|id| writes.get(id)).map(Write::order);
        let mut step = apply(&card, event, next, &terms, now);
        let order = match input {
            Input::Order(order) if step.refused.is_none() => Some(order),
            _ => None,
        };
        if let Some(relayed) = relayed {
            let write = card.active.as_ref().map(|active| active.order.id);
            note(&mut step, RELAYED, write.map_or(relayed.clone(), |write| format!("{write}: {relayed}")));
        }
        if !step.changed && commit.ops.is_empty() && order.is_none() {
            // "Nothing changed" is an answer too: what it rests on must be durable (I2).
            store.durable(seq.max(writes.seq)).await?;
            let write = about_write.and_then(|id| writes.get(id)).cloned();
            return Ok(Some(Done { submissions: Vec::new(), refused: step.refused, write, card }));
        }

        // Seal.
        let card_keys = card_keys.as_deref().unwrap_or_default();
        let mut unmade = Vec::new();
        for seal in &step.seal {
            let originator = self.originator(&step.card, seal.cntr);
            match render(&*self.0.world.vault, &card, card_keys, profile, seal, now, originator).await {
                Ok(parts) => {
                    let key = keys::SealedPartsKey { card: id, cntr: seal.cntr }.key();
                    commit.put(key, Unguarded::encode(&encode_sealed_parts(&parts)));
                }
                // It never can be made. What came from the card counts all the same; the packet stays without octets,
                // and its turn in the lane finds that out as a refusal.
                Err(error) if error.is_final() => {
                    tracing::error!(card = %id, cntr = %seal.cntr, %error, "a packet cannot be made");
                    unmade.push(format!("packet {} cannot be made: {error}", seal.cntr));
                }
                Err(error) => return Err(error.into()),
            }
        }

        for detail in unmade {
            note(&mut step, "card.hint", detail);
        }

        // Commit.
        let mut claim_names = Vec::new();
        if let Some(order) = order {
            writes.add(order.write.clone());
            put_order(&mut commit, order, &mut claim_names);
        }
        for subscription in &step.freed {
            for (_, key) in claims(subscription) {
                commit.delete(key);
            }
        }
        for change in &step.writes {
            writes.ensure(self, change.id).await?;
            if let Some(write) = writes.change(change.id) {
                self.change_write(write, change, id, now);
            }
        }
        writes.put(&mut commit);
        if let Some(bound) = &step.bound {
            self.put_binding(&mut commit, bound, device, id, now).await?;
        }
        if let Some(Contested { imei, card }) = step.contested {
            let entry = keys::InboxEntry { card, seq: self.next_serial() };
            let contested = InboxRecord::Contested { imei, by: id };
            commit.put(entry.key(), Unguarded::encode(&encode_inbox(&contested)));
        }
        let mut telling = self.telling();
        for fact in step.facts.iter().cloned() {
            self.put_fact(&mut commit, &fact_record(fact, &step.card, now), &mut telling);
        }
        expect(&mut commit, keys::card(id), version);
        commit.put(keys::card(id), Guarded::encode(version + 1, &encode_card(&step.card)));
        self.put_indexes(&mut commit, &card, &step.card, &terms);
        if let Some(due) = step.card.due(&terms).filter(|_| reset_timer) {
            commit.put(timer(id.octets(), due), Unguarded::encode(&[TIMER_OF_CARD]));
        }
        let done = store.commit(commit).await;
        drop(telling);
        match done {
            Ok(_) => {}
            Err(CommitError::Conflict(key)) => {
                return match claim_names.into_iter().find(|(_, claim)| *claim == key) {
                    Some((None, _)) => Err(CardError::IdempotencyKey),
                    Some((Some(field), _)) => Err(CardError::Claimed(field)),
                    None => Ok(None),
                };
            }
            Err(CommitError::Store(error)) => return Err(error.into()),
        }

        // Act.
        self.after(&step, &terms, &card);
        if let Some(order) = order {
            self.signal_timer(order.write.deadline);
        }
        let write = match input {
            Input::Order(order) => writes.get(order.write.id).cloned(),
            _ => about_write.and_then(|id| writes.get(id)).cloned(),
        };
        Ok(Some(Done { submissions: step.submissions, refused: step.refused, write, card: step.card }))
    }

    /// What a card that reports a device must know of it.
    async fn view_device(
        &self,
        device: Option<&Stored<Device>>,
        card: &Card,
        writes: &mut Writes,
    ) -> Result<DeviceView, CardError> {
        let Some(Stored { record: device, .. }) = device else { return Ok(DeviceView::default()) };
        writes.read(self, device.waiting.iter().copied()).await?;
        let of_owner = |id: &WriteId| {
            let write = writes.get(*id).filter(|write| write.owner == card.owner)?;
            let fits = write.profile.as_ref().is_none_or(|profile| *profile == card.profile)
                && write.card.is_none_or(|named| named == card.id);
            (write.state == WriteState::Waiting && fits).then(|| write.order())
        };
        Ok(DeviceView {
            card: device.card,
            waiting: device.waiting.iter().filter_map(of_owner).collect::<Vec<Order>>(),
        })
    }

    /// The device is this card's now; the card and the device that lose it hear of it.
    async fn put_binding(
        &self,
        commit: &mut Commit,
        bound: &Bound,
        device: Option<Stored<Device>>,
        card: CardId,
        now: u64,
    ) -> Result<(), CardError> {
        let (version, mut record) = match device {
            Some(Stored { version, record }) => (version, record),
            None => (0, Device { imei: bound.imei, card: None, since: now, waiting: Vec::new() }),
        };
        if record.card != Some(card) {
            record.since = now;
        }
        record.card = Some(card);
        record.waiting.retain(|id| !bound.taken.contains(id));
        put_device(commit, version, &record);
        if let Some(other) = bound.moved_from {
            let entry = keys::InboxEntry { card: other, seq: self.next_serial() };
            let moved = InboxRecord::DeviceMoved { imei: bound.imei, to: card };
            commit.put(entry.key(), Unguarded::encode(&encode_inbox(&moved)));
        }
        if let Some(left) = bound.left {
            let value = self.0.world.store.get_one(keys::device(left.key())).await?.value;
            if let Some(Stored { version, record }) = guarded(value.as_ref(), decode_device)?
                && record.card == Some(card)
            {
                put_device(commit, version, &Device { card: None, ..record });
            }
        }
        Ok(())
    }

    /// Once the commit is durable: wakes whoever has something to do now.
    fn after(&self, step: &Step, terms: &crate::card::Terms<'_>, before: &Card) {
        let inner = &self.0;
        for (number, _) in step.card.lanes() {
            match inner.routes.of(&step.card.owner, &number) {
                Some(route) => self.signal_lane(route),
                None => tracing::warn!(card = %step.card.id, %number, "no route serves this number"),
            }
        }
        if let Some(due) = step.card.due(terms)
            && before.due(terms) != Some(due)
        {
            self.signal_timer(due);
        }
        if step.bound.as_ref().is_some_and(|bound| bound.moved_from.is_some()) {
            inner.inbox.notify_one();
        }
        for fact in &step.facts {
            inner.metrics.count_fact(&fact.kind);
            let write = fact.write.map(|(id, seq)| format!("{id}.{seq}")).unwrap_or_default();
            let (card, kind, detail) = (step.card.id, &fact.kind, &fact.detail);
            if is_news(kind) {
                tracing::info!(%card, write, kind, detail, "fact");
            } else {
                tracing::debug!(%card, write, kind, detail, "fact");
            }
        }
    }

    /// Who is named as the sender where a packet is exported: the number that the card will know the platform by.
    fn originator(&self, card: &Card, cntr: Cntr) -> Option<(u8, String)> {
        card.outstanding.as_ref().filter(|packet| packet.cntr == cntr && packet.bearer == Bearer::Relay)?;
        let target = card.active.as_ref().map(|active| active.order.target.msisdn);
        let number = target.or_else(|| card.numbers().into_iter().next())?;
        let link = self.0.routes.link_of(&card.owner, &number)?;
        let link = self.0.config.links.iter().find(|config| config.name == link)?;
        let type_of_address = 0x80 | (link.source.ton & 0x07) << 4 | link.source.npi & 0x0F;
        Some((type_of_address, link.source.digits.clone()))
    }

    pub(super) fn signal_lane(&self, route: &KeyText) {
        if let Some(lane) = self.0.lanes.get(route) {
            lane.notify_one();
        }
    }

    /// Reads a write.
    pub(super) async fn read_write(&self, id: WriteId) -> Result<(Option<(u64, Write)>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::write(id)).await?;
        let stored = guarded(read.value.as_ref(), decode_write)?;
        Ok((stored.map(|stored| (stored.version, stored.record)), read.seq))
    }

    /// Reads a device.
    pub(super) async fn read_device(&self, imei: Imei) -> Result<(Option<(u64, Device)>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::device(imei.key())).await?;
        let stored = guarded(read.value.as_ref(), decode_device)?;
        Ok((stored.map(|stored| (stored.version, stored.record)), read.seq))
    }

    /// Reads a packet as it was sealed.
    pub(super) async fn sealed_parts(
        &self,
        card: CardId,
        cntr: Cntr,
    ) -> Result<Option<SealedParts>, CardError> {
        let read = self.0.world.store.get_one(keys::SealedPartsKey { card, cntr }.key()).await?;
        let Some(value) = read.value else { return Ok(None) };
        Ok(Some(decode_sealed_parts(Unguarded::decode(&value)?)?))
    }

    /// Reads a card.
    pub(super) async fn read_card(&self, id: CardId) -> Result<(Option<Card>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::card(id)).await?;
        Ok((guarded(read.value.as_ref(), decode_card)?.map(|stored| stored.record), read.seq))
    }
}

/// Whether a fact is of the few that are told at the usual log level: bindings and the ends of writes.
fn is_news(kind: &str) -> bool {
    let state = kind.strip_prefix("write.").and_then(WriteState::from_name);
    kind.starts_with("binding.") || state.is_some_and(WriteState::is_end)
}

/// Adds an entry of the gateway's own to what a step tells.
fn note(step: &mut Step, kind: &str, detail: String) {
    step.card.seq += 1;
    step.changed = true;
    step.facts.push(Fact { kind: kind.to_owned(), seq: step.card.seq, write: None, detail });
}

/// Puts a new write with its claims, its idempotency key and the timer of its deadline.
fn put_order(commit: &mut Commit, order: &OrderInput, claimed: &mut Vec<(Option<&'static str>, Key)>) {
    // First: the same order twice at once is the same order, not one that takes the numbers of the other.
    if let Some((key, record)) = &order.idempotency {
        commit.expect_absent(key.clone());
        commit.put(key.clone(), Guarded::encode(1, &encode_idempotency(record)));
        claimed.push((None, key.clone()));
    }
    for (field, key) in claims(&order.write.target) {
        commit.expect_absent(key.clone());
        commit.put(key.clone(), claimed_by(&order.write));
        claimed.push((Some(field), key));
    }
    let deadline = timer(order.write.id.octets(), order.write.deadline);
    commit.put(deadline, Unguarded::encode(&[TIMER_OF_WRITE]));
}

/// Puts an order that waits for its device.
pub(super) fn put_waiting(commit: &mut Commit, order: &OrderInput) -> Vec<(Option<&'static str>, Key)> {
    let mut claimed = Vec::new();
    put_order(commit, order, &mut claimed);
    commit.expect_absent(keys::write(order.write.id));
    put_write(commit, 0, &order.write);
    claimed
}

/// Puts the next version of a write.
pub(super) fn put_write(commit: &mut Commit, version: u64, write: &Write) {
    commit.put(keys::write(write.id), Guarded::encode(version + 1, &encode_write(write)));
}

/// Puts the next version of a device, asserting the one that was read; version 0 where there was none.
pub(super) fn put_device(commit: &mut Commit, version: u64, device: &Device) {
    let key = keys::device(device.imei.key());
    expect(commit, key.clone(), version);
    commit.put(key, Guarded::encode(version + 1, &encode_device(device)));
}
