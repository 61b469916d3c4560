//! What begins: the next write of the queue, a write packet, a poll, an answer.

use super::Work;
use crate::applet::{BindingAck, BindingResponse, Message, Poll, PollWhat, Refresh, ResultAck, WriteCard};
use crate::card::{
    Active, Answer, Bearer, COUNTERS_MAX, Counter, End, Leg, LegState, MissingFiles, Notice, Order,
    Outstanding, Owed, Payload, Purpose, ReadFile, Refused, ScriptOctets, Seal, Start, Timers, WriteState,
};
use crate::identity::{Eid, Msisdn};
use crate::ota::{Cntr, PorRequest, Spi2, Tar};

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
            step: 0,
            failure: None,
            missing: MissingFiles::default(),
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
        if self.card.question_at(self.terms).is_some_and(|at| at <= self.now) {
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
            // What an unresolved write left open is settled before anything new goes out. Of a card without PoR it cannot
            // be: the validity of its packets is over.
            WriteState::Queued if !self.card.unsettled.is_empty() && self.terms.profile.asks_por() => {
                self.seal_poll(LEGS_MAX)
            }
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
        let script = match self.next_script() {
            Ok(script) => script,
            Err(why) => return self.end(End::Failed, Some(format!("packet_cannot_be_made: {why}"))),
        };
        if script.is_none() && self.card.eid.is_none() {
            self.end(End::Failed, Some("the card has no EID: its applet cannot be addressed".to_owned()));
            return;
        }
        let Some(bearer) = self.card.active.as_ref().map(|active| active.bearer) else { return };
        let mt = &self.terms.profile.mt;
        let (legs, spi2) = match (bearer, &self.card.current) {
            (Bearer::Relay, _) => (Vec::new(), mt.spi2_relay),
            (Bearer::Sms, Some(current)) => (vec![Leg::new(current.msisdn, self.now)], mt.spi2_sms),
            (Bearer::Sms, None) => return,
        };
        let tar = script.as_ref().map_or(mt.tar, |script| script.tar);
        let Some(cntr) = self.next_cntr(tar) else { return };
        let acknowledges = self.take_owed_binding();
        let (Some(active), eid) = (&mut self.card.active, self.card.eid) else { return };
        active.cntr = Some(cntr);
        let payload = match (script, eid) {
            (Some(script), _) => Payload::Script(ScriptOctets(script.data)),
            (None, Some(eid)) => {
                Payload::Applet(write_card(active, eid, self.terms.profile.write.refresh, acknowledges))
            }
            (None, None) => return,
        };
        self.card.outstanding = Some(Outstanding {
            purpose: Purpose::Write,
            bearer,
            cntr,
            legs,
            repeated: false,
            low_at: None,
            acknowledges,
            reads: None,
        });
        self.enter(WriteState::Sealed);
        self.seal(cntr, spi2, tar, payload);
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

    /// Asks the card, where its profile lets it answer.
    pub(super) fn seal_poll_with(&mut self, bearer: Bearer, legs: Vec<Leg>) {
        let mt = &self.terms.profile.mt;
        let spi2 = if bearer == Bearer::Relay { mt.spi2_relay } else { mt.spi2_sms };
        if spi2.por() == PorRequest::None {
            return;
        }
        let question = self.is_rfm().then(|| self.question());
        let tar = question.as_ref().map_or(mt.tar, |(reads, _)| reads.tar);
        // Which card it is stands in another file than what became of its write.
        let proves = question.as_ref().is_none_or(|(reads, _)| reads.file == ReadFile::Iccid);
        self.card.ask &= !proves && self.may_prove_claim();
        self.card.asked_at = self.now;
        let Some(cntr) = self.next_cntr(tar) else { return };
        let (reads, payload) = match question {
            Some((reads, script)) => (Some(reads), Payload::Script(script)),
            None => {
                let poll = Poll { tid: poll_tid(cntr), what: PollWhat::State };
                (None, Payload::Applet(Message::Poll(poll)))
            }
        };
        self.card.outstanding = Some(Outstanding {
            purpose: Purpose::Poll,
            bearer,
            cntr,
            legs,
            repeated: false,
            low_at: None,
            acknowledges: None,
            reads,
        });
        self.seal(cntr, spi2, tar, payload);
    }

    /// The numbers where the card may be: the old one, and that of what may have been executed.
    pub(super) fn poll_numbers(&self) -> Vec<Msisdn> {
        let mut numbers: Vec<Msisdn> = self.card.current.iter().map(|current| current.msisdn).collect();
        let active = self.card.active.iter().filter(|active| active.handed_out);
        let targets = active.map(|active| (&active.order.target, active.step));
        let unsettled = self.card.unsettled.iter().rev().map(|unsettled| (&unsettled.target, unsettled.step));
        let executed = targets.chain(unsettled).find(|(target, step)| self.writes_imsi(target, *step));
        if let Some((target, _)) = executed
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
        let tar = self.terms.profile.mt.tar;
        let Some(cntr) = self.next_cntr(tar) else { return };
        self.card.owed.remove(0);
        self.card.notice = Some(Notice { cntr, leg: Leg::new(to, self.now), says: answer });
        let message = match answer {
            Answer::Binding(ack) => {
                Message::BindingResponse(BindingResponse { tid: ack.tid, result: ack.result })
            }
            Answer::Result { tid, status } => Message::ResultAck(ResultAck { tid, status }),
        };
        self.seal(cntr, Spi2::NO_POR, tar, Payload::Applet(message));
    }

    fn seal(&mut self, cntr: Cntr, spi2: Spi2, tar: Tar, payload: Payload) {
        let spi1 = self.terms.profile.mt.spi1;
        self.seal.push(Seal { cntr, kvn: self.card.kvn, spi1, spi2, tar, payload });
    }

    /// Whether no higher CNTR was issued since.
    pub(super) fn newest(&self, cntr: Cntr) -> bool {
        self.highest_cntr() <= cntr.get()
    }

    fn highest_cntr(&self) -> u64 {
        self.card.counters.iter().map(|counter| counter.last).max().unwrap_or(0)
    }

    /// The counter that packets to `tar` share with others.
    pub(super) fn scope(&self, tar: Tar) -> String {
        self.terms.profile.scope_of(self.card.kvn, tar)
    }

    /// Issues the next CNTR for a packet to `tar`: higher than any before in whichever scope, so that it names one packet
    /// of the card. Where the counter is used up the active write fails: no packet can reach this card any more.
    fn next_cntr(&mut self, tar: Tar) -> Option<Cntr> {
        let scope = self.scope(tar);
        let (epoch, highest) = (self.terms.epoch, self.highest_cntr());
        let counters = &mut self.card.counters;
        // An imported card has the counter of its scope; one imported before its profile changed gets it here.
        if !counters.iter().any(|counter| counter.scope == scope) {
            // The lowest says nothing that the highest does not.
            if counters.len() >= COUNTERS_MAX
                && let Some(lowest) = counters.iter().enumerate().min_by_key(|(_, counter)| counter.last)
            {
                counters.remove(lowest.0);
            }
            counters.push(Counter { scope: scope.clone(), last: 0, epoch });
        }
        let counter = counters.iter_mut().find(|counter| counter.scope == scope)?;
        let unknown = counter.last == 0 && self.terms.profile.mt.start == Start::Time;
        // Hundredths of a second.
        let start = if unknown { (self.now / 10).saturating_sub(1) } else { 0 };
        counter.last = highest.max(start);
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

    fn take_owed_binding(&mut self) -> Option<BindingAck> {
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
        // Without the applet nobody there would understand it.
        if self.is_rfm() {
            return;
        }
        let Some(to) = from.or(self.card.current.as_ref().map(|current| current.msisdn)) else { return };
        self.card.owed.retain(|owed| std::mem::discriminant(&owed.answer) != std::mem::discriminant(&answer));
        self.card.owed.push(Owed { answer, to });
    }
}

/// What the applet is told to write.
fn write_card(
    active: &Active,
    eid: Eid,
    refresh: Option<Refresh>,
    binding_ack: Option<BindingAck>,
) -> Message {
    let target = &active.order.target;
    Message::WriteCard(WriteCard {
        tid: active.tid,
        imei: active.order.imei,
        eid,
        iccid: target.iccid,
        imsi: target.imsi,
        msisdn: target.msisdn,
        smsc: target.smsc,
        refresh: refresh.unwrap_or(Refresh::UiccReset),
        rollback: true,
        binding_ack,
        key_block: None,
    })
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
