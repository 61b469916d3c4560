//! What begins: the next write of the queue, a write packet, a poll, an answer.

use super::Work;
use crate::applet::{BindingResponse, Message, Poll, PollWhat, Refresh, ResultAck, WriteCard};
use crate::card::{
    Active, Answer, Bearer, Counter, End, Leg, LegState, Notice, Order, Outstanding, Owed, Purpose, Refused,
    Seal, Timers, WriteState,
};
use crate::identity::Msisdn;
use crate::ota::{Cntr, Spi2};

/// Most numbers that a packet goes to: the old one and the new one.
const LEGS_MAX: usize = 2;

impl Work<'_> {
    pub(super) fn ordered(&mut self, order: Order) {
        let busy = self.card.active.is_some() || !self.card.queue.is_empty();
        if busy && self.card.queue.len() >= crate::card::QUEUE_MAX {
            self.refused = Some(Refused::QueueFull);
            return;
        }
        let (id, seq) = (order.id, order.seq + 1);
        self.card.seq += 1;
        self.facts.push(crate::card::Fact {
            kind: "write.accepted".to_owned(),
            seq: self.card.seq,
            write: Some((id, seq)),
            detail: format!(
                "imei {}, imsi {}, msisdn {}",
                order.imei, order.target.imsi, order.target.msisdn
            ),
        });
        self.take(Order { seq, ..order });
    }

    /// Makes the order the active write, or queues it behind what is there.
    pub(super) fn take(&mut self, order: Order) {
        if self.card.active.is_none() && self.card.queue.is_empty() {
            self.activate(order);
        } else {
            self.card.queue.push(order.id);
            self.change(order.id, WriteState::Queued, order.seq, None);
        }
    }

    fn activate(&mut self, order: Order) {
        if self.now >= order.deadline {
            self.withdrawn(order.id, order.seq, End::Expired, &order.target);
            return;
        }
        // A poll that no unresolved write needs gives way; what it was to settle is asked later.
        if self.card.unsettled.is_empty() {
            let gave_way = self.card.outstanding.take().is_some();
            self.card.ask |= gave_way && (self.card.claimed.is_some() || self.card.restored);
        }
        self.card.last_tid += 1;
        let by_air = if self.card.current.is_some() { Bearer::Sms } else { Bearer::Relay };
        self.card.active = Some(Active {
            bearer: order.bearer.unwrap_or(by_air),
            order,
            tid: self.card.last_tid,
            state: WriteState::Queued,
            since: self.now,
            not_before: self.now,
            cntr: None,
            handed_out: false,
            accepted: false,
            resent: 0,
            polls: 0,
            cancel: false,
            hold: None,
            refused_in_clear: false,
        });
    }

    pub(super) fn begin(&mut self, next: Option<Order>) {
        if self.card.active.is_none()
            && let Some(order) = next
            && self.card.queue.first() == Some(&order.id)
        {
            self.card.queue.remove(0);
            self.activate(order);
        }
        self.give_way_to_air();
        self.let_answers_pass();
        if self.card.outstanding.is_none() {
            self.begin_packet();
        }
        if self.card.question_at(self.terms.timers).is_some_and(|at| at <= self.now) {
            self.card.resynced_at = self.now;
            self.seal_poll(LEGS_MAX);
        }
        if self.card.outstanding.is_none() {
            self.begin_answer();
        }
    }

    fn begin_packet(&mut self) {
        let closed_until = self.closed_until();
        let Some(active) = &mut self.card.active else { return };
        let on_site = active.bearer == Bearer::Relay;
        match active.state {
            // Sealed when it is read.
            WriteState::Queued if on_site => {}
            WriteState::Queued | WriteState::Written if self.now < active.not_before => {}
            WriteState::Unknown if on_site && self.now < active.not_before => {}
            // What an unresolved write left open is settled before anything new goes out.
            WriteState::Queued if !self.card.unsettled.is_empty() => self.seal_poll(LEGS_MAX),
            WriteState::Queued => match closed_until {
                Some(opens) => active.not_before = opens,
                None => self.seal_write(),
            },
            WriteState::Unknown if !on_site => self.seal_poll(LEGS_MAX),
            WriteState::Unknown | WriteState::Written if active.hold.is_none() => {
                active.not_before = next_result_poll(active.since, self.terms.timers, self.now);
                self.seal_poll(LEGS_MAX);
            }
            _ => {}
        }
    }

    pub(super) fn seal_write(&mut self) {
        let Some(eid) = self.card.eid else {
            self.end(End::Failed, Some("the card has no EID: its applet cannot be addressed".to_owned()));
            return;
        };
        let Some(bearer) = self.card.active.as_ref().map(|active| active.bearer) else { return };
        let mt = &self.terms.profile.mt;
        let (legs, spi2) = match (bearer, &self.card.current) {
            (Bearer::Relay, _) => (Vec::new(), mt.spi2_relay),
            (Bearer::Sms, Some(current)) => (vec![Leg::new(current.msisdn, self.now)], mt.spi2_sms),
            (Bearer::Sms, None) => return,
        };
        let Some(cntr) = self.next_cntr() else { return };
        let binding_ack = self.take_owed_binding();
        let Some(active) = &mut self.card.active else { return };
        active.cntr = Some(cntr);
        let target = &active.order.target;
        let message = Message::WriteCard(WriteCard {
            tid: active.tid,
            imei: active.order.imei,
            eid,
            iccid: target.iccid,
            imsi: target.imsi,
            msisdn: target.msisdn,
            smsc: target.smsc,
            // A profile of the applet always names one.
            refresh: self.terms.profile.write.refresh.unwrap_or(Refresh::UiccReset),
            rollback: true,
            binding_ack,
            key_block: None,
        });
        self.card.outstanding = Some(Outstanding {
            purpose: Purpose::Write,
            bearer,
            cntr,
            legs,
            repeated: false,
            low_at: None,
            acknowledges: binding_ack,
        });
        self.enter(WriteState::Sealed);
        self.seal(cntr, spi2, message);
    }

    /// Asks the card, at the first `legs` of the numbers where it may be.
    pub(super) fn seal_poll(&mut self, legs: usize) {
        let mut numbers = self.poll_numbers();
        numbers.truncate(legs);
        if !numbers.is_empty() {
            let legs = numbers.into_iter().map(|to| Leg::new(to, self.now)).collect();
            self.seal_poll_with(Bearer::Sms, legs);
        }
    }

    pub(super) fn seal_poll_with(&mut self, bearer: Bearer, legs: Vec<Leg>) {
        (self.card.ask, self.card.asked_at) = (false, self.now);
        let Some(cntr) = self.next_cntr() else { return };
        self.card.outstanding = Some(Outstanding {
            purpose: Purpose::Poll,
            bearer,
            cntr,
            legs,
            repeated: false,
            low_at: None,
            acknowledges: None,
        });
        let message = Message::Poll(Poll { tid: poll_tid(cntr), what: PollWhat::State });
        let mt = &self.terms.profile.mt;
        let spi2 = if bearer == Bearer::Relay { mt.spi2_relay } else { mt.spi2_sms };
        self.seal(cntr, spi2, message);
    }

    /// The numbers where the card may be: the old one, and that of what may have been executed.
    pub(super) fn poll_numbers(&self) -> Vec<Msisdn> {
        let mut numbers: Vec<Msisdn> = self.card.current.iter().map(|current| current.msisdn).collect();
        let targets = self.card.active.iter().filter(|active| active.handed_out).map(|a| &a.order.target);
        let unsettled = self.card.unsettled.iter().rev().map(|unsettled| &unsettled.target);
        if let Some(target) = targets.chain(unsettled).next()
            && !numbers.contains(&target.msisdn)
        {
            numbers.push(target.msisdn);
        }
        numbers
    }

    /// Sends what is owed; the same answer as before goes out in the same octets while no higher CNTR was issued.
    fn begin_answer(&mut self) {
        let Some(Owed { answer, to }) = self.card.owed.first().copied() else { return };
        let same = self.card.notice.as_ref().is_some_and(|notice| self.newest(notice.cntr));
        if let Some(notice) = &mut self.card.notice {
            let busy = !matches!(notice.leg.state, LegState::Silent);
            if same && notice.says == answer && notice.leg.to == to {
                self.card.owed.remove(0);
                if !busy {
                    notice.leg.state = LegState::Ready { since: self.now };
                }
                return;
            }
            if busy {
                return;
            }
        }
        let Some(cntr) = self.next_cntr() else { return };
        self.card.owed.remove(0);
        self.card.notice = Some(Notice { cntr, leg: Leg::new(to, self.now), says: answer });
        let message = match answer {
            Answer::Binding(ack) => {
                Message::BindingResponse(BindingResponse { tid: ack.tid, result: ack.result })
            }
            Answer::Result { tid, status } => Message::ResultAck(ResultAck { tid, status }),
        };
        self.seal(cntr, Spi2::NO_POR, message);
    }

    fn seal(&mut self, cntr: Cntr, spi2: Spi2, message: Message) {
        let mt = &self.terms.profile.mt;
        self.seal.push(Seal { cntr, kvn: self.card.kvn, spi1: mt.spi1, spi2, tar: mt.tar, message });
    }

    /// Whether no higher CNTR was issued since.
    pub(super) fn newest(&self, cntr: Cntr) -> bool {
        self.card.counters.iter().any(|counter| counter.last == cntr.get())
    }

    /// Issues the next CNTR. Where the counter is used up the active write fails: no packet can reach this card any more.
    fn next_cntr(&mut self) -> Option<Cntr> {
        let scope = self.terms.profile.scope(self.card.kvn);
        let epoch = self.terms.epoch;
        // An imported card has the counter of its scope; one imported before its profile changed gets it here.
        if !self.card.counters.iter().any(|counter| counter.scope == scope) {
            self.card.counters.push(Counter { scope: scope.clone(), last: 0, epoch });
        }
        let counter = self.card.counters.iter_mut().find(|counter| counter.scope == scope)?;
        let next = counter.next();
        if let Some(cntr) = next {
            counter.last = cntr.get();
        } else {
            self.card.owed.clear();
            self.card.resync = false;
            self.fact("card.counter", format!("the counter of scope {scope} is used up"));
            let handed_out = self.card.active.as_ref().is_some_and(|active| active.handed_out);
            let end = if handed_out { End::Unresolved } else { End::Failed };
            self.end(end, Some("counter_used_up".to_owned()));
        }
        next
    }

    fn take_owed_binding(&mut self) -> Option<crate::applet::BindingAck> {
        let at = self.card.owed.iter().position(|owed| matches!(owed.answer, Answer::Binding(_)))?;
        match self.card.owed.remove(at).answer {
            Answer::Binding(ack) => Some(ack),
            Answer::Result { .. } => None,
        }
    }

    /// A packet of this CNTR was to be sealed and never can be. A write ends with it: no other packet of it can be made
    /// either, and of what went out before nothing can be executed any more.
    pub(super) fn unmade(&mut self, cntr: Cntr, why: &str) {
        let packet = self.card.outstanding.as_ref().filter(|packet| packet.cntr == cntr);
        match packet.map(|packet| (packet.purpose, packet.bearer)) {
            Some((Purpose::Write, _)) => {
                self.end(End::Failed, Some(format!("packet_cannot_be_made: {why}")));
                return;
            }
            // Over the air its turn in the lane ends the attempt, and the next poll comes by the plan.
            Some((Purpose::Poll, Bearer::Sms)) => {}
            Some((Purpose::Poll, Bearer::Relay)) => self.card.outstanding = None,
            None if self.card.notice.as_ref().is_some_and(|notice| notice.cntr == cntr) => {
                self.card.notice = None;
            }
            // The card has moved on.
            None => return,
        }
        self.fact("card.hint", format!("packet {cntr} cannot be made: {why}"));
    }

    /// The outstanding packet is over. Where it never left, the answer to a binding that it carried is owed again.
    pub(super) fn drop_packet(&mut self) {
        let Some(packet) = self.card.outstanding.take() else { return };
        if !packet.left() {
            self.owe_again(&packet);
        }
    }

    /// The card has not taken what `packet` acknowledges.
    pub(super) fn owe_again(&mut self, packet: &Outstanding) {
        let newer = self.card.owed.iter().any(|owed| matches!(owed.answer, Answer::Binding(_)));
        let by_air = packet.legs.first().map(|leg| leg.to);
        let to = by_air.or(self.card.current.as_ref().map(|current| current.msisdn));
        if let (Some(ack), Some(to), false) = (packet.acknowledges, to, newer) {
            self.card.owed.push(Owed { answer: Answer::Binding(ack), to });
        }
    }

    /// Owes the card an answer; a newer one of the same kind replaces the older.
    pub(super) fn owe(&mut self, answer: Answer, from: Option<Msisdn>) {
        let Some(to) = from.or(self.card.current.as_ref().map(|current| current.msisdn)) else { return };
        self.card.owed.retain(|owed| std::mem::discriminant(&owed.answer) != std::mem::discriminant(&answer));
        self.card.owed.push(Owed { answer, to });
    }
}

/// The next poll after `now`, unix ms, of a write that is written since `since`: what was missed is not caught up on.
pub(super) fn next_result_poll(since: u64, timers: &Timers, now: u64) -> u64 {
    let plan = timers.result_polls_s.iter().map(|offset_s| since + offset_s * 1000);
    let last_s = timers.result_polls_s.last().copied().unwrap_or(3_600);
    plan.into_iter().find(|at| *at > now).unwrap_or(now + last_s * 1000)
}

/// The transaction id of a poll: the low four octets of its CNTR.
pub(super) fn poll_tid(cntr: Cntr) -> u32 {
    u32::try_from(cntr.get() & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
