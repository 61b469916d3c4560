//! What time alone does: deadlines, give-up, silence, back-off.

use super::Work;
use crate::card::{End, LegState, Purpose, RESTORE_GAP, WriteState};

impl Work<'_> {
    pub(super) fn read_clock(&mut self) {
        self.read_deadlines();
        self.read_legs();
        self.read_counter_low();
    }

    fn read_deadlines(&mut self) {
        let Some(active) = &self.card.active else { return };
        let deadline = active.order.deadline;
        match active.state {
            WriteState::Queued | WriteState::Sealed if self.now >= deadline => {
                self.end(End::Expired, Some("deadline passed".to_owned()));
            }
            WriteState::Sent | WriteState::Unknown | WriteState::Written
                if self.now >= deadline + self.terms.timers.give_up_s * 1000 =>
            {
                self.end(End::Unresolved, Some("no verdict until give-up".to_owned()));
            }
            _ => {}
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
        let attempts = u8::try_from(self.terms.timers.validity_s.len()).unwrap_or(u8::MAX);
        let Some(packet) = &mut self.card.outstanding else { return };
        let past_deadline = self.card.active.as_ref().is_some_and(|active| now >= active.order.deadline);
        let mut resent = 0;
        for leg in &mut packet.legs {
            match leg.state {
                LegState::BackOff { until } if until <= now => {
                    leg.state = LegState::Ready { since: now };
                    // What the SMSC only refused never went out.
                    resent += u32::from(packet.repeated);
                }
                LegState::Taken { silent_at, .. } if silent_at <= now => {
                    let next = leg.attempt.saturating_add(1);
                    let again = match packet.purpose {
                        Purpose::Write => next < attempts && !past_deadline,
                        Purpose::Poll => true,
                    };
                    if again {
                        leg.attempt = next;
                        leg.state = LegState::Ready { since: now };
                        packet.repeated = true;
                        resent += 1;
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
        if silent && purpose == Purpose::Write {
            self.doubt("silence");
        }
    }

    /// A poll answered with "counter low" is made anew once a late answer to it can no longer be expected.
    /// The counter jumps only where the answer cannot be explained by a repetition of ours.
    fn read_counter_low(&mut self) {
        let wait = self.terms.timers.after_delivered_s * 1000;
        let Some(packet) = &self.card.outstanding else { return };
        if packet.low_at.is_none_or(|at| at + wait > self.now) {
            return;
        }
        let (purpose, sent_once) = (packet.purpose, packet.legs.len() == 1 && !packet.repeated);
        self.card.outstanding = None;
        if purpose == Purpose::Poll {
            if sent_once {
                let scope = self.terms.profile.scope(self.card.kvn);
                if let Some(counter) = self.card.counters.iter_mut().find(|c| c.scope == scope) {
                    counter.last = counter.last.saturating_add(RESTORE_GAP);
                }
                self.fact(
                    "card.counter",
                    format!("the card's counter is ahead: ours jumps by {RESTORE_GAP}"),
                );
            }
            self.poll_again();
        }
    }

    /// The outcome of the write is open: the card must be asked.
    pub(super) fn doubt(&mut self, why: &str) {
        self.card.outstanding = None;
        self.enter(WriteState::Unknown);
        self.write_fact("write.unknown", why);
    }

    /// A poll of a written write that brought nothing is due again at once.
    fn poll_again(&mut self) {
        if let Some(active) = &mut self.card.active
            && active.state == WriteState::Written
        {
            active.polls = active.polls.saturating_sub(1);
        }
    }
}
