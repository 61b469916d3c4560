//! One card at a time: read, apply, seal, one commit, and then the effects.
//!
//! Jobs of one card wait in the queue of its shard. A commit that loses against a concurrent change is made anew from
//! what is stored now; octets sealed in vain never leave.

use tokio::sync::{mpsc, oneshot};

use crate::card::{Bearer, Bound, Card, CardId, Contested, Fact, Step, Terms, WriteState, apply};
use crate::ota::Cntr;
use crate::store::records::{
    Device, InboxRecord, Write, decode_card, decode_device, encode_card, encode_inbox, encode_sealed_parts,
};
use crate::store::{Commit, CommitError, Guarded, KeyText, Unguarded, keys};

use super::Gateway;
use super::changes::{TIMER_OF_CARD, claims, fact_record, timer};
use super::job::{CardError, Done, Input};
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
        let (about_device, about_write) = input.about();
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
        let event = self.event(input, &card, device.as_ref(), &mut writes, &terms, &mut commit).await?;
        let reset_timer = matches!(input, Input::Timer { .. }) && !commit.ops.is_empty();
        let next = next.and_then(|id| writes.get(id)).map(Write::order);
        let mut step = apply(&card, event, next, &terms, now);
        let order = match input {
            Input::Order(order) if step.refused.is_none() => Some(order),
            _ => None,
        };
        if let Some(relayed) = input.relayed() {
            let write = card.active.as_ref().map(|active| active.order.id);
            note(&mut step, RELAYED, write.map_or(relayed.to_owned(), |write| format!("{write}: {relayed}")));
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

/// Adds an entry of the gateway's own to what a step tells.
fn note(step: &mut Step, kind: &str, detail: String) {
    step.card.seq += 1;
    step.changed = true;
    step.facts.push(Fact { kind: kind.to_owned(), seq: step.card.seq, write: None, detail });
}
