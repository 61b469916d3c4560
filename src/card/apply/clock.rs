//! What time alone does: deadlines, give-up, silence, back-off.

use super::Work;
use super::begin::next_result_poll;
use crate::card::packet::ANSWERED;
use crate::card::{Bearer, DEADLINE_PASSED, End, LegState, Outstanding, Purpose, RESTORE_GAP, WriteState};
use crate::ota::Tar;

/// The gap of [`RESTORE_GAP`] in transaction ids: the card executes none twice.
const RESTORE_GAP_OF_TIDS: u32 = 1 << 16;

impl Work<'_> {
    /// In a store that was restored from an older copy, what was issued and taken since is not known: counters and
    /// transaction ids leave a gap, and the card is asked before anything is taken from it.
    pub(super) fn read_epoch(&mut self) {
        let epoch = self.terms.epoch;
        if self.card.counters.iter().all(|counter| counter.last == 0 || counter.epoch >= epoch) {
            return;
        }
        for counter in &mut self.card.counters {
            counter.catch_up(epoch);
        }
        self.card.last_tid = self.card.last_tid.saturating_add(RESTORE_GAP_OF_TIDS);
        // A card that cannot be asked would not be heard again.
        self.card.restored = self.terms.profile.asks_por();
    }

    pub(super) fn read_clock(&mut self) {
        self.read_previous();
        self.read_deadlines();
        self.read_legs();
        self.read_hours();
        self.read_counter_low();
    }

    /// The number before the present one has been the card's long enough.
    fn read_previous(&mut self) {
        if self.card.previous_until(self.terms).is_some_and(|until| until <= self.now) {
            (self.card.previous, self.card.replaced_at) = (None, 0);
        }
    }

    fn read_deadlines(&mut self) {
        let Some(active) = &self.card.active else { return };
        let (deadline, handed_out) = (active.order.deadline, active.handed_out);
        let open = matches!(active.state, WriteState::Queued | WriteState::Sealed | WriteState::OnSite);
        if open && self.now >= deadline {
            if handed_out {
                self.doubt(DEADLINE_PASSED);
            } else {
                self.end(End::Expired, Some(DEADLINE_PASSED.to_owned()));
            }
        }
        let give_up = self.terms.give_up(deadline);
        if let Some(active) = self.card.active.as_ref().filter(|_| self.now >= give_up) {
            let reason = match (active.failure, active.refused_in_clear) {
                (Some(_), _) => self.why_stopped(),
                (None, true) => "card_refuses_unauthenticated".to_owned(),
                (None, false) => "no verdict until give-up".to_owned(),
            };
            self.end(End::Unresolved, Some(reason));
        }
    }

    fn read_legs(&mut self) {
        let now = self.now;
        if let Some(notice) = &mut self.card.notice
            && let LegState::BackOff { until } = notice.leg.state
            && until <= now
        {
            notice.leg.state = LegState::Ready { since: now };
        }
        let held_until = self.packet_held_until();
        let attempts = u8::try_from(self.terms.timers.validity_s.len()).unwrap_or(u8::MAX);
        let numbers = self.poll_numbers().len();
        let by_air = |packet: &&mut Outstanding| packet.bearer == Bearer::Sms;
        let Some(packet) = self.card.outstanding.as_mut().filter(by_air) else { return };
        let active = self.card.active.as_ref();
        let late = packet.purpose == Purpose::Write && active.is_some_and(|a| now >= a.order.deadline);
        let one_of_two = packet.legs.len() < numbers;
        let mut resent = 0;
        for leg in &mut packet.legs {
            match leg.state {
                LegState::Ready { .. } | LegState::Handed { .. } | LegState::BackOff { .. } if late => {
                    leg.state = LegState::Silent;
                }
                LegState::BackOff { until } if until <= now => match held_until {
                    Some(until) => leg.state = LegState::BackOff { until },
                    None => {
                        leg.state = LegState::Ready { since: now };
                        // What the SMSC only refused never went out.
                        resent += u32::from(packet.repeated);
                    }
                },
                LegState::Taken { silent_at, .. } if silent_at <= now => {
                    let next = leg.attempt.saturating_add(1);
                    let again = match packet.purpose {
                        Purpose::Write => next < attempts && !late,
                        // One that no write waits for ends with the plan.
                        Purpose::Poll if active.is_none() => next < attempts,
                        Purpose::Poll => leg.attempt != ANSWERED && !one_of_two,
                    };
                    if again {
                        leg.attempt = next;
                        leg.state = held_until
                            .map_or(LegState::Ready { since: now }, |until| LegState::BackOff { until });
                        packet.repeated = true;
                        resent += u32::from(held_until.is_none());
                    } else {
                        leg.state = LegState::Silent;
                    }
                }
                _ => {}
            }
        }
        let silent = packet.legs.iter().all(|leg| leg.state == LegState::Silent);
        let purpose = packet.purpose;
        if let Some(active) = &mut self.card.active
            && purpose == Purpose::Write
        {
            active.resent += resent;
        }
        match purpose {
            Purpose::Write if silent => self.doubt("silence"),
            Purpose::Poll if silent => self.poll_again(),
            _ => {}
        }
    }

    /// A poll answered with "counter low" is made anew once a late answer to it can no longer be expected.
    /// The counter jumps only where the answer cannot be explained by a repetition of ours, so that a poll which went
    /// to two numbers is followed by one to the old number alone: there a card is whose counter we do not know.
    fn read_counter_low(&mut self) {
        let wait = self.terms.timers.after_delivered_s * 1000;
        let Some(packet) = &self.card.outstanding else { return };
        if packet.low_at.is_none_or(|at| at + wait > self.now) {
            return;
        }
        if packet.bearer == Bearer::Relay {
            // The answer that was to follow did not.
            match packet.purpose {
                Purpose::Write => self.doubt("silence"),
                Purpose::Poll => self.card.outstanding = None,
            }
            return;
        }
        let (legs, repeated, tar) = (packet.legs.len(), packet.repeated, self.asked_tar(packet));
        self.poll_again();
        if legs == 1 && !repeated {
            self.jump(tar);
        } else if legs > 1 && matches!(self.state(), Some(WriteState::Queued | WriteState::Unknown)) {
            self.seal_poll(1);
        }
    }

    /// Where a poll goes.
    pub(super) fn asked_tar(&self, packet: &Outstanding) -> Tar {
        packet.reads.map_or(self.terms.profile.mt.tar, |reads| reads.tar)
    }

    /// The card's counter is ahead of ours in the scope of `tar`.
    pub(super) fn jump(&mut self, tar: Tar) {
        let scope = self.scope(tar);
        if let Some(counter) = self.card.counters.iter_mut().find(|counter| counter.scope == scope) {
            counter.last = counter.last.saturating_add(RESTORE_GAP);
        }
        self.fact("card.counter", format!("the card's counter is ahead: ours jumps by {RESTORE_GAP}"));
    }

    /// The outcome of the write is open: the card must be asked. On site that is done when the next packet is read, and
    /// over the air only where nobody reads it.
    pub(super) fn doubt(&mut self, why: &str) {
        self.drop_packet();
        self.enter(WriteState::Unknown);
        let (now, timers) = (self.now, self.terms.timers);
        if let Some(active) = self.card.active.as_mut().filter(|active| active.bearer == Bearer::Relay) {
            active.not_before = next_result_poll(now, timers, now);
        }
        self.write_fact("write.unknown", why);
    }

    /// The outstanding poll brought nothing; where a write waits for it the next one is due at once.
    fn poll_again(&mut self) {
        self.card.outstanding = None;
        if let Some(active) = &mut self.card.active
            && active.state == WriteState::Written
        {
            active.not_before = self.now;
        }
    }
}
