//! From what a step says to one commit: the card and everything that follows from it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::card::plan::Plan;
use crate::card::{Card, CardId, End, Fact, Owner, Profile, Subscription, Terms, WriteChange, WriteState};
use crate::identity::Imei;
use crate::ota::Cntr;
use crate::store::records::{Claim, FactRecord, Holder, Write, WritePlan, encode_claim};
use crate::store::{Commit, Key, Unguarded, keys};

use super::Gateway;

/// Shards of the timer space, so that several nodes can share the draining.
pub(super) const TIMER_SHARDS: u8 = 16;

/// What a timer is about, as its value says.
pub(super) const TIMER_OF_CARD: u8 = b'c';
/// The deadline of a write that is not active.
pub(super) const TIMER_OF_WRITE: u8 = b'w';
/// A write that waits for its device: its card is looked up.
pub(super) const TIMER_OF_LOOK_UP: u8 = b'l';

/// The claims of a target (I10), each with the JSON field that names it.
pub(super) fn claims(target: &Subscription) -> Vec<(&'static str, Key)> {
    let mut claims = vec![
        ("subscription.imsi", keys::Claim::Imsi(target.imsi).key()),
        ("subscription.msisdn", keys::Claim::Msisdn(target.msisdn).key()),
    ];
    if let Some(iccid) = target.iccid {
        claims.push(("subscription.iccid", keys::Claim::Iccid(iccid).key()));
    }
    claims
}

/// The timer of a subject: which shard drains it follows from its id.
pub(super) fn timer(id: [u8; 16], due_ms: u64) -> Key {
    keys::Timer { shard: id.last().copied().unwrap_or(0) % TIMER_SHARDS, due_ms, id }.key()
}

impl Gateway {
    /// Everything that is found by way of a card and follows from its record alone.
    fn indexes(&self, card: &Card, terms: &Terms<'_>) -> BTreeMap<Key, Vec<u8>> {
        let mut indexes = BTreeMap::new();
        for number in card.numbers() {
            let entry = keys::NumberEntry { number, card: card.id };
            indexes.insert(entry.key(), Vec::new());
        }
        indexes.extend(self.lane_entries(card));
        if let Some(due) = card.due(terms) {
            indexes.insert(timer(card.id.octets(), due), vec![TIMER_OF_CARD]);
        }
        indexes
    }

    /// A card's places in the lanes, each with the numbers to send to.
    pub(super) fn lane_entries(&self, card: &Card) -> BTreeMap<Key, Vec<u8>> {
        let mut entries = BTreeMap::new();
        for (number, since_ms) in card.lanes() {
            let Some(route) = self.0.routes.of(&card.owner, &number) else { continue };
            let lane = keys::Ready { route: route.clone(), priority: 0, since_ms, card: card.id };
            let numbers: &mut Vec<u8> = entries.entry(lane.key()).or_default();
            if !numbers.is_empty() {
                numbers.push(b' ');
            }
            numbers.extend(number.to_string().into_bytes());
        }
        entries
    }

    /// Puts what changed between two states of a card, and drops what no longer holds.
    pub(super) fn put_indexes(&self, commit: &mut Commit, before: &Card, after: &Card, terms: &Terms<'_>) {
        let (old, new) = (self.indexes(before, terms), self.indexes(after, terms));
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            commit.delete(key.clone());
        }
        for (key, value) in &new {
            if old.get(key) != Some(value) {
                commit.put(key.clone(), Unguarded::encode(value));
            }
        }
        let kept = sealed(after);
        for cntr in sealed(before).into_iter().filter(|cntr| !kept.contains(cntr)) {
            commit.delete(keys::SealedPartsKey { card: before.id, cntr }.key());
        }
    }

    /// Notes in the write's record what a step says of it.
    pub(super) fn change_write(
        &self,
        write: &mut Write,
        change: &WriteChange,
        card: CardId,
        profile: &Profile,
        now: u64,
    ) {
        write.card = Some(card);
        write.updated = now;
        write.seq = change.seq;
        if change.reason.is_some() {
            write.reason.clone_from(&change.reason);
        }
        if let Some(active) = &change.active {
            write.tid = Some(active.tid);
            write.cntr = active.cntr.map(Cntr::get);
            write.resent = active.resent;
            write.cancel = active.cancel;
            write.hold = active.hold;
            write.decided = Some(active.bearer);
        }
        write.plan = write.plan.or_else(|| planned(profile, &write.target));
        if let Some(plan) = &mut write.plan {
            plan.step = match (change.state, &change.active) {
                (WriteState::Written | WriteState::Ended(End::Effective), _) => plan.scripts,
                (_, Some(active)) => active.step.into(),
                (_, None) => plan.step,
            };
        }
        if change.imei_verified.is_some() {
            write.imei_verified = change.imei_verified;
        }
        if change.state == WriteState::Written && write.state != WriteState::Written {
            write.written_at = Some(now);
        }
        if change.state.is_end() && !write.state.is_end() {
            write.ended_at = Some(now);
        }
        write.state = change.state;
    }
}

/// What it takes to write `target` to cards of this profile, where it is written by scripts.
fn planned(profile: &Profile, target: &Subscription) -> Option<WritePlan> {
    // At whichever rate: the parts alone count here.
    let cost = Plan::of(profile, target).ok()?.cost(profile, 1.0);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (scripts, parts, messages) = (number(cost.scripts), number(cost.parts), number(cost.messages()));
    Some(WritePlan { scripts, parts, messages, step: 0 })
}

/// The counters whose sealed parts a card still needs.
fn sealed(card: &Card) -> Vec<Cntr> {
    let outstanding = card.outstanding.iter().map(|packet| packet.cntr);
    let notice = card.notice.iter().map(|notice| notice.cntr);
    outstanding.chain(notice).collect()
}

/// A fact as it is stored.
pub(super) fn fact_record(fact: Fact, card: &Card, now: u64) -> FactRecord {
    FactRecord {
        at: now,
        owner: card.owner.clone(),
        kind: fact.kind,
        card: Some(card.id),
        seq: fact.seq,
        write: fact.write,
        imei: card.binding.as_ref().map(|binding| binding.imei),
        detail: fact.detail,
        link: None,
    }
}

/// A fact about a write that no card is known for.
pub(super) fn waiting_fact(write: &Write, kind: &str, owner: &Owner, imei: Imei, now: u64) -> FactRecord {
    FactRecord {
        at: now,
        owner: owner.clone(),
        kind: kind.to_owned(),
        card: None,
        seq: 0,
        write: Some((write.id, write.seq)),
        imei: Some(imei),
        detail: String::new(),
        link: None,
    }
}

/// The stored form of a claim by a write.
pub(super) fn claimed_by(write: &Write) -> Bytes {
    claim_value(&Claim { holder: Holder::Write(write.id) })
}

fn claim_value(claim: &Claim) -> Bytes {
    crate::store::Guarded::encode(1, &encode_claim(claim))
}
