//! One card at a time: read, apply, seal, one commit, and then the effects.
//!
//! Jobs of one card wait in the queue of its shard. A commit that loses against a concurrent change is made anew from
//! what is stored now; octets sealed in vain never leave.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::card::{
    Bearer, Bound, Card, CardId, Contested, Event, Fact, Profile, ResponseData, Step, Terms, WriteId,
    WriteState, apply,
};
use crate::ota::Cntr;
use crate::store::records::{
    Device, InboxRecord, Write, decode_card, decode_device, encode_card, encode_inbox, encode_sealed_parts,
};
use crate::store::{Commit, CommitError, Guarded, Key, KeyText, Read, Seq, Unguarded, keys};

use super::Gateway;
use super::changes::{TIMER_OF_CARD, claims, fact_record, timer};
use super::job::{CardError, Done, Input, OrderInput};
use super::job_writes::Writes;
use super::records::{Stored, expect, guarded, put_device, put_order};
use super::render::render;

/// The kind of the timeline's entries about what was posted back from a site.
pub(super) const RELAYED: &str = "card.relayed";

/// How often a job is applied again after it lost against a concurrent change.
pub(super) const TRIES: usize = 16;

/// A job in a shard's queue.
pub(super) struct Job {
    card: CardId,
    input: Input,
    reply: oneshot::Sender<Result<Done, CardError>>,
}

/// A card as a job finds it, with what it needs besides.
struct Found<'a> {
    version: u64,
    card: Card,
    card_keys: Bytes,
    profile: &'a Profile,
    device: Option<Stored<Device>>,
    writes: Writes,
    /// The first write of its queue, where the card is free to begin it.
    next: Option<WriteId>,
    /// What must be durable before anything that was read may leave.
    seq: Seq,
}

/// The claims that a commit makes, each with the JSON field that names it.
type Claimed = Vec<(Option<&'static str>, Key)>;

impl Found<'_> {
    /// What follows from the event, with what the timeline keeps of the input itself.
    fn apply(&self, event: Event, input: &Input, terms: &Terms<'_>, now: u64) -> Step {
        let next = self.next.and_then(|id| self.writes.get(id)).map(Write::order);
        let mut step = apply(&self.card, event, next, terms, now);
        if let Some(relayed) = input.relayed() {
            let write = self.card.active.as_ref().map(|active| active.order.id);
            let detail = write.map_or(relayed.to_owned(), |write| format!("{write}: {relayed}"));
            step.card.seq += 1;
            step.changed = true;
            step.facts.push(Fact { kind: RELAYED.to_owned(), seq: step.card.seq, write: None, detail });
        }
        step
    }
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
        let mut done = self.apply_input(id, &input).await?;
        // What can never be made is told to the card's rules at once. Where that fails, its turn to go out
        // finds the same.
        for _ in 0..TRIES {
            let Some((cntr, why)) = done.unmade.pop() else { break };
            match self.apply_input(id, &Input::Event(Event::Unmade { cntr, why })).await {
                Ok(told) => {
                    done.card = told.card;
                    done.unmade.extend(told.unmade);
                }
                Err(error) => {
                    tracing::warn!(card = %id, %cntr, %error, "not noted that a packet cannot be made")
                }
            }
            if let Some(write) = &done.write {
                done.write = self.read_write(write.id).await?.0.map(|(_, write)| write);
            }
        }
        Ok(done)
    }

    async fn apply_input(&self, id: CardId, input: &Input) -> Result<Done, CardError> {
        for _ in 0..TRIES {
            match self.try_once(id, input).await? {
                Some(done) => return Ok(done),
                None => self.0.metrics.commit_conflicts.inc(),
            };
        }
        Err(CardError::Contended)
    }

    /// One try: `None` where the commit lost against a concurrent change.
    async fn try_once(&self, id: CardId, input: &Input) -> Result<Option<Done>, CardError> {
        let now = self.now();
        let mut found = self.find(id, input).await?;
        let terms = self.terms(found.profile, &found.card);
        let mut commit = Commit::new();
        let (card, device) = (&found.card, found.device.as_ref());
        let event = self.event(input, card, device, &mut found.writes, &terms, &mut commit).await?;
        let reset_timer = matches!(input, Input::Timer { .. }) && !commit.ops.is_empty();
        let step = found.apply(event, input, &terms, now);
        let order = match input {
            Input::Order(order) if step.refused.is_none() => Some(&**order),
            _ => None,
        };
        if !step.changed && commit.ops.is_empty() && order.is_none() {
            return self.unchanged(found, &step, input).await.map(Some);
        }
        let unmade = self.seal(&found, &step, &mut commit, now).await?;
        let claimed = self.put_step(&mut commit, &mut found, &step, order, now).await?;
        self.put_indexes(&mut commit, &found.card, &step.card, &terms);
        if let Some(due) = step.card.due(&terms).filter(|_| reset_timer) {
            commit.put(timer(id.octets(), due), Unguarded::encode(&[TIMER_OF_CARD]));
        }
        if !self.commit_step(commit, &step, &claimed, now).await? {
            return Ok(None);
        }
        self.after(&step, &terms, &found.card);
        if let Some(order) = order {
            self.signal_timer(order.write.deadline);
        }
        let write = input.write().and_then(|id| found.writes.get(id)).cloned();
        let Step { submissions, refused, card, .. } = step;
        Ok(Some(Done { submissions, refused, write, card, unmade }))
    }

    /// Reads the card and what a job about it needs.
    async fn find(&self, id: CardId, input: &Input) -> Result<Found<'_>, CardError> {
        let store = &*self.0.world.store;
        let (about_device, about_write) = input.about();
        let mut wanted = vec![keys::card(id), keys::card_keys(id)];
        wanted.extend(about_device.map(|imei| keys::device(imei.key())));
        let Read { value, mut seq } = store.get(wanted).await?;
        let mut value = value.into_iter();
        let stored = guarded(value.next().flatten().as_ref(), decode_card)?;
        let Stored { version, record: card } = stored.ok_or(CardError::NoSuchCard)?;
        let card_keys = value.next().flatten().unwrap_or_default();
        let profile =
            self.profile(&card.profile).ok_or_else(|| CardError::NoProfile(card.profile.clone()))?;
        let mut device = guarded(value.next().flatten().as_ref(), decode_device)?;
        // What the card has reported, and what was claimed of it, is not said again.
        let named = match input {
            Input::DecideBinding { .. } => card.held.as_ref().map(|held| held.imei),
            Input::Response { data: ResponseData::Script(_), .. } => {
                card.claimed.as_ref().map(|claimed| claimed.imei)
            }
            _ => None,
        };
        if let Some(imei) = named {
            let read = store.get_one(keys::device(imei.key())).await?;
            device = guarded(read.value.as_ref(), decode_device)?;
            seq = seq.max(read.seq);
        }
        let next = card.active.is_none().then(|| card.queue.first().copied()).flatten();
        let mut writes = Writes::default();
        let named = [about_write, card.active.as_ref().map(|active| active.order.id), next];
        writes.read(self, named.into_iter().flatten()).await?;
        Ok(Found { version, card, card_keys, profile, device, writes, next, seq })
    }

    /// "Nothing changed" is an answer too: what it rests on must be durable (I2).
    async fn unchanged(&self, found: Found<'_>, step: &Step, input: &Input) -> Result<Done, CardError> {
        self.0.world.store.durable(found.seq.max(found.writes.seq)).await?;
        let (_, about_write) = input.about();
        let write = about_write.and_then(|id| found.writes.get(id)).cloned();
        self.cancel_submissions(&found.card, &step.cancellations);
        let (submissions, unmade) = (Vec::new(), Vec::new());
        Ok(Done { submissions, refused: step.refused, write, card: found.card, unmade })
    }

    /// Makes the packets that a step asks for, and says which never can be made. What came from the card counts all the
    /// same; such a packet stays without octets.
    async fn seal(
        &self,
        found: &Found<'_>,
        step: &Step,
        commit: &mut Commit,
        now: u64,
    ) -> Result<Vec<(Cntr, String)>, CardError> {
        let vault = &*self.0.world.vault;
        let Found { card, card_keys, profile, .. } = found;
        let mut unmade = Vec::new();
        for seal in &step.seal {
            let originator = self.originator(&step.card, seal.cntr);
            match render(vault, card, card_keys, profile, seal, now, originator).await {
                Ok(parts) => {
                    let key = keys::SealedPartsKey { card: card.id, cntr: seal.cntr }.key();
                    commit.put(key, Unguarded::encode(&encode_sealed_parts(&parts)));
                }
                Err(error) if error.is_final() => {
                    tracing::error!(card = %card.id, cntr = %seal.cntr, %error, "a packet cannot be made");
                    unmade.push((seal.cntr, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unmade)
    }

    /// Puts what a step changes: card, writes, claims, device, inboxes. Gives the claims that an order makes, each with
    /// the JSON field that names it.
    async fn put_step(
        &self,
        commit: &mut Commit,
        found: &mut Found<'_>,
        step: &Step,
        order: Option<&OrderInput>,
        now: u64,
    ) -> Result<Claimed, CardError> {
        let id = step.card.id;
        let mut claimed = Vec::new();
        if let Some(order) = order {
            found.writes.add(order.write.clone());
            put_order(commit, order, &mut claimed);
        }
        for subscription in &step.freed {
            for (_, key) in claims(subscription) {
                commit.delete(key);
            }
        }
        for change in &step.writes {
            found.writes.ensure(self, change.id).await?;
            if let Some(write) = found.writes.change(change.id) {
                self.change_write(write, change, id, found.profile, now);
            }
        }
        found.writes.put(commit);
        if let Some(bound) = &step.bound {
            self.put_binding(commit, bound, found, now).await?;
        }
        if let Some(Contested { imei, card }) = step.contested {
            let entry = keys::InboxEntry { card, seq: self.next_serial() };
            let contested = InboxRecord::Contested { imei, by: id };
            commit.put(entry.key(), Unguarded::encode(&encode_inbox(&contested)));
        }
        expect(commit, keys::card(id), found.version);
        commit.put(keys::card(id), Guarded::encode(found.version + 1, &encode_card(&step.card)));
        Ok(claimed)
    }

    /// Commits a step with what it tells. False where it lost against a concurrent change.
    async fn commit_step(
        &self,
        mut commit: Commit,
        step: &Step,
        claimed: &Claimed,
        now: u64,
    ) -> Result<bool, CardError> {
        let mut telling = self.telling();
        for fact in step.facts.iter().cloned() {
            self.put_fact(&mut commit, &fact_record(fact, &step.card, now), &mut telling);
        }
        match self.0.world.store.commit(commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(key)) => match claimed.iter().find(|(_, claim)| *claim == key) {
                Some((None, _)) => Err(CardError::IdempotencyKey),
                Some((Some(field), _)) => Err(CardError::Claimed(field)),
                None => Ok(false),
            },
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The device is this card's now; the card and the device that lose it hear of it.
    async fn put_binding(
        &self,
        commit: &mut Commit,
        bound: &Bound,
        found: &mut Found<'_>,
        now: u64,
    ) -> Result<(), CardError> {
        let card = found.card.id;
        let (version, mut record) = match found.device.take() {
            Some(Stored { version, record }) => (version, record),
            None => (0, Device { imei: bound.imei, card: None, since: now, waiting: Vec::new() }),
        };
        if record.card != Some(card) {
            record.since = now;
        }
        record.card = Some(card);
        record.waiting.retain(|id| !bound.taken.contains(id));
        put_device(commit, version, &record);
        for write in bound.left_waiting.iter().filter_map(|id| found.writes.get(*id)) {
            self.put_look_up(commit, write, now);
        }
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
    fn after(&self, step: &Step, terms: &Terms<'_>, before: &Card) {
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
        self.cancel_submissions(&step.card, &step.cancellations);
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
}

/// Whether a fact is of the few that are told at the usual log level: bindings and the ends of writes.
fn is_news(kind: &str) -> bool {
    let state = kind.strip_prefix("write.").and_then(WriteState::from_name);
    kind.starts_with("binding.") || state.is_some_and(WriteState::is_end)
}
