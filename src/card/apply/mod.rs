//! What follows from an event: the rules of a card, as one pure step.
//!
//! First epoch and clock are read ([`clock`]), then the event is applied, and last whatever may begin now begins:
//! the next write of the queue, a packet, an answer.

mod begin;
mod binding;
mod clock;
mod delivery;
mod ending;
mod files;
mod hours;
mod low_trust;
mod message;
mod relay;
mod response;

use super::{
    Bound, Cancellation, Card, Contested, Event, Fact, Order, Refused, Seal, Step, Submission, Subscription,
    Terms, Unproven, WriteChange, WriteId, WriteState,
};
use crate::ota::Cntr;

use response::Response;

/// Applies `event` to `card` at `now` (unix ms) and says what follows.
///
/// `next` is the order of the first write in the card's queue, where the card is free to begin it.
#[must_use]
pub fn apply(card: &Card, event: Event, next: Option<Order>, terms: &Terms<'_>, now: u64) -> Step {
    let mut work = Work::new(card, terms, now);
    work.read_epoch();
    work.read_clock();
    match event {
        Event::Ordered(order) => work.ordered(order),
        Event::Message { cntr, digest, from, message } => work.message(cntr, digest, from, message),
        Event::Claim { imei, from, source } => work.claim(imei, from, source),
        Event::PlainResult { result, from } => work.plain_result(&result, from),
        Event::Supplied { imei, device } => work.supplied(imei, device),
        Event::DecideBinding { accept, device } => work.decide_binding(accept, device),
        Event::DecideWrite { id, accept } => work.decide_write(id, accept),
        Event::DeviceMoved { imei, to, device } => work.device_moved(imei, to, &device),
        Event::Contested { imei, by } => work.contested(imei, by),
        Event::Export { id } => work.export(id),
        Event::Poll => work.ask(),
        Event::Alert => work.wake(),
        Event::Response { cntr, rsc, data, from, device } => {
            work.response(Response { cntr, rsc, data, from, device });
        }
        Event::Hint { what, cntr, rsc, from } => work.hint(what, cntr, rsc, from),
        Event::Unmade { cntr, why } => work.unmade(cntr, &why),
        Event::HandOut { to } => work.hand_out(to),
        Event::Submitted { cntr, to, outcome } => work.submitted(cntr, to, outcome),
        Event::Receipt { message_id, to, delivered, fcs } => work.receipt(&message_id, to, delivered, fcs),
        Event::Tick => {}
        Event::Withdraw { id, seq, target, end } => work.withdraw(id, seq, &target, end),
    }
    work.begin(next);
    work.finish(card)
}

/// A step in the making.
struct Work<'a> {
    card: Card,
    terms: &'a Terms<'a>,
    now: u64,
    seal: Vec<Seal>,
    writes: Vec<WriteChange>,
    facts: Vec<Fact>,
    bound: Option<Bound>,
    contested: Option<Contested>,
    freed: Vec<Subscription>,
    submissions: Vec<Submission>,
    cancellations: Vec<Cancellation>,
    refused: Option<Refused>,
}

impl<'a> Work<'a> {
    fn new(card: &Card, terms: &'a Terms<'a>, now: u64) -> Self {
        Self {
            card: card.clone(),
            terms,
            now,
            seal: Vec::new(),
            writes: Vec::new(),
            facts: Vec::new(),
            bound: None,
            contested: None,
            freed: Vec::new(),
            submissions: Vec::new(),
            cancellations: Vec::new(),
            refused: None,
        }
    }

    fn finish(mut self, before: &Card) -> Step {
        if let Some(active) = self.card.active.clone()
            && before.active.as_ref() != Some(&active)
        {
            self.change(active.order.id, active.state, active.order.seq, None);
        }
        // What gave way in the same step does not go out.
        let packet = self.card.outstanding.iter().map(|packet| packet.cntr);
        let kept: Vec<Cntr> = packet.chain(self.card.notice.iter().map(|notice| notice.cntr)).collect();
        self.submissions.retain(|submission| kept.contains(&submission.cntr));
        Step {
            changed: self.card != *before,
            card: self.card,
            seal: self.seal,
            writes: self.writes,
            facts: self.facts,
            bound: self.bound,
            contested: self.contested,
            freed: self.freed,
            submissions: self.submissions,
            cancellations: self.cancellations,
            refused: self.refused,
        }
    }

    /// Notes the state of a write; the last note of a write counts.
    fn change(&mut self, id: WriteId, state: WriteState, seq: u32, reason: Option<String>) {
        let active = self.card.active.clone().filter(|active| active.order.id == id);
        self.writes.retain(|change| change.id != id);
        self.writes.push(WriteChange { id, state, seq, reason, imei_verified: None, active });
    }

    /// Tells something about the card.
    fn fact(&mut self, kind: &str, detail: impl Into<String>) {
        self.card.seq += 1;
        self.facts.push(Fact {
            kind: kind.to_owned(),
            seq: self.card.seq,
            write: None,
            detail: detail.into(),
        });
    }

    /// Tells something that proves nothing, not as often as it comes.
    fn unproven(&mut self, what: Unproven, kind: &str, detail: impl Into<String>) {
        let mut detail = detail.into();
        match self.card.hints.take(what, self.now) {
            None => return,
            Some(0) => {}
            Some(untold) => detail.push_str(&format!("; {untold} more like it before")),
        }
        self.fact(kind, detail);
    }

    /// Tells something about the active write.
    fn write_fact(&mut self, kind: &str, detail: impl Into<String>) {
        let Some(active) = &mut self.card.active else { return };
        active.order.seq += 1;
        let write = Some((active.order.id, active.order.seq));
        self.card.seq += 1;
        self.facts.push(Fact { kind: kind.to_owned(), seq: self.card.seq, write, detail: detail.into() });
    }

    /// Moves the active write to `state`.
    fn enter(&mut self, state: WriteState) {
        if let Some(active) = &mut self.card.active {
            active.state = state;
            active.since = self.now;
        }
    }

    fn state(&self) -> Option<WriteState> {
        self.card.active.as_ref().map(|active| active.state)
    }
}
