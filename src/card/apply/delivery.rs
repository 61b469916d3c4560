//! Packets between the lane and the card: hand-out, the SMSC's answer, receipts, wake.

use super::Work;
use crate::card::packet::ANSWERED;
use crate::card::{
    Active, Cancellation, DeliveryHours, End, Leg, LegState, Notice, Purpose, Submission, Submitted, Timers,
    WriteState,
};
use crate::identity::Msisdn;
use crate::ota::Cntr;

/// Octets of a message id that are kept of a receipt (SMPP §5.2.23 without the end mark): a card's record is bounded.
const MESSAGE_ID_OCTETS_MAX: usize = 64;

/// Attempts to submit an answer that asks no PoR.
const NOTICE_ATTEMPTS: u8 = 5;

impl Work<'_> {
    /// Marks what is in the lane of `to` as handed over; this is durable before any octet leaves.
    pub(super) fn hand_out(&mut self, to: Msisdn) {
        self.hold_handed(to);
        let (now, deadline, hours) = (self.now, self.packet_deadline(), self.hours_of_packet());
        let timers = self.terms.timers;
        // An answer that was handed over before goes again only while it is the newest packet.
        let handed = |notice: &Notice| matches!(notice.leg.state, LegState::Handed { .. });
        if self.card.notice.as_ref().is_some_and(|notice| handed(notice) && !self.newest(notice.cntr)) {
            self.card.notice = None;
        }
        let hand = |leg: &mut Leg| {
            let since = leg.in_lane().filter(|_| leg.to == to)?;
            let again = matches!(leg.state, LegState::Handed { .. });
            leg.state = LegState::Handed { since, at: now };
            Some(again)
        };
        if let Some(notice) = &mut self.card.notice
            && hand(&mut notice.leg).is_some()
        {
            let validity_s = timers.validity(notice.leg.attempt);
            self.submissions.push(Submission { cntr: notice.cntr, to, validity_s, receipt: false });
        }
        let Some(packet) = &mut self.card.outstanding else { return };
        let mut handed = None;
        for leg in &mut packet.legs {
            if let Some(again) = hand(leg) {
                let validity_s = validity_s(timers, leg.attempt, now, deadline, hours);
                self.submissions.push(Submission { cntr: packet.cntr, to, validity_s, receipt: true });
                packet.repeated |= again;
                handed = Some(again);
            }
        }
        let Some(again) = handed else { return };
        let (purpose, cntr) = (packet.purpose, packet.cntr);
        // An answer with a lower CNTR that did not go out by now never will.
        let goes_too = self.submissions.iter().any(|submission| submission.cntr < cntr);
        if !goes_too && self.card.notice.as_ref().is_some_and(|notice| notice.cntr < cntr) {
            self.card.notice = None;
        }
        if purpose == Purpose::Write
            && let Some(active) = &mut self.card.active
        {
            active.handed_out = true;
            // Handed over once before without a noted answer: the SMSC may have taken it then.
            active.accepted |= again;
            active.resent += u32::from(again);
            if active.state == WriteState::Sealed {
                self.enter(WriteState::Sent);
                self.write_fact("write.sent", format!("to {to}"));
            }
        }
    }

    /// When what the outstanding packet is for is over, unix ms.
    fn packet_deadline(&self) -> u64 {
        match (&self.card.active, self.card.outstanding.as_ref().map(|packet| packet.purpose)) {
            (Some(active), Some(Purpose::Write)) => active.order.deadline,
            (Some(active), Some(Purpose::Poll)) => self.terms.give_up(active.order.deadline),
            _ => u64::MAX,
        }
    }

    pub(super) fn submitted(&mut self, cntr: Cntr, to: Msisdn, outcome: Submitted) {
        let (now, deadline, hours) = (self.now, self.packet_deadline(), self.hours_of_packet());
        let timers = self.terms.timers;
        let back_off = LegState::BackOff { until: now + timers.back_off_s * 1000 };
        let newest = self.newest(cntr);
        let (if_lost, if_delivered) = (self.silent_after_receipt(false), self.silent_after_receipt(true));
        if let Some(notice) = &mut self.card.notice
            && notice.cntr == cntr
            && matches!(notice.leg.state, LegState::Handed { .. })
        {
            notice.leg.attempt = notice.leg.attempt.saturating_add(1);
            let again = matches!(outcome, Submitted::Throttled | Submitted::Unanswered)
                && notice.leg.attempt < NOTICE_ATTEMPTS
                && newest;
            notice.leg.state = if again { back_off } else { LegState::Silent };
            return;
        }
        let Some(packet) = self.card.outstanding.as_mut().filter(|packet| packet.cntr == cntr) else {
            return self.submitted_in_vain(cntr, to, outcome);
        };
        let purpose = packet.purpose;
        let Some(leg) = packet.legs.iter_mut().find(|leg| leg.to == to) else { return };
        let LegState::Handed { at: handed_at, .. } = leg.state else { return };
        let validity_s = validity_s(timers, leg.attempt, handed_at, deadline, hours);
        let mut silent_at = now + (validity_s + timers.after_validity_s) * 1000;
        let receipt = leg.receipt.take();
        let named = match &outcome {
            Submitted::Accepted { message_id } => same_message(&leg.message_id, message_id),
            _ => true,
        };
        let receipt = receipt.filter(|_| named);
        if let Some(delivered) = receipt {
            silent_at = silent_at.min(if delivered { if_delivered } else { if_lost });
        }
        let taken = LegState::Taken { at: now, silent_at };
        match outcome {
            Submitted::Accepted { message_id } => {
                leg.message_id = message_id;
                leg.state = taken;
                self.noted_accepted(purpose);
            }
            Submitted::Throttled => leg.state = back_off,
            Submitted::Unanswered => {
                // A receipt says that it was taken all the same.
                leg.state = if receipt.is_some() { taken } else { back_off };
                packet.repeated = true;
                self.noted_accepted(purpose);
            }
            Submitted::Refused { status } => match (purpose, &self.card.active) {
                (Purpose::Write, Some(active)) if !active.accepted => {
                    self.end(End::Failed, Some(format!("smsc_refuses: {status}")));
                }
                (Purpose::Write, _) => self.doubt(&format!("the SMSC refuses a repetition: {status}")),
                // The other number may still answer; this one is asked again at its next attempt.
                (Purpose::Poll, _) => leg.state = taken,
            },
        }
    }

    /// The SMSC took a packet that has given way meanwhile: of a write that is to be cancelled it is told so.
    fn submitted_in_vain(&mut self, cntr: Cntr, to: Msisdn, outcome: Submitted) {
        let cancelled = |active: &Active| {
            active.cancel && active.cntr == Some(cntr) && active.state == WriteState::Unknown
        };
        if let Submitted::Accepted { message_id } = outcome
            && !message_id.is_empty()
            && self.card.active.as_ref().is_some_and(cancelled)
        {
            self.cancellations.push(Cancellation { to, message_id });
        }
    }

    fn noted_accepted(&mut self, purpose: Purpose) {
        if let Some(active) = &mut self.card.active
            && purpose == Purpose::Write
        {
            active.accepted = true;
        }
    }

    /// A receipt starts or ends the wait for the PoR; it proves nothing. One that comes before the SMSC's own answer is
    /// kept until that is noted.
    pub(super) fn receipt(&mut self, message_id: &str, to: Msisdn, delivered: bool, fcs: Option<u8>) {
        let silent_by = self.silent_after_receipt(delivered);
        let Some(packet) = &mut self.card.outstanding else { return };
        let mut heard = false;
        for leg in packet.legs.iter_mut().filter(|leg| leg.to == to) {
            match leg.state {
                LegState::Taken { at, silent_at } if same_message(&leg.message_id, message_id) => {
                    leg.state = LegState::Taken { at, silent_at: silent_at.min(silent_by) };
                    heard |= silent_by < silent_at;
                }
                // An id that is known already is that of the attempt before.
                LegState::Handed { .. }
                    if leg.message_id.is_empty() || !same_message(&leg.message_id, message_id) =>
                {
                    heard |= leg.receipt.is_none();
                    leg.receipt = Some(delivered);
                    // One that is too long to be kept is taken for any.
                    let kept = (message_id.len() <= MESSAGE_ID_OCTETS_MAX).then_some(message_id);
                    kept.unwrap_or_default().clone_into(&mut leg.message_id);
                }
                _ => {}
            }
        }
        // [K] TP-FCS (TS 23.040 §9.2.3.22).
        match fcs.filter(|_| heard && !delivered) {
            Some(0xD4) => self.fact("card.hint", "the card was busy (TP-FCS D4)"),
            Some(0xD5) => self.fact("card.hint", "the card refused the message (TP-FCS D5)"),
            _ => {}
        }
    }

    /// When an attempt counts as silent by its receipt, unix ms.
    fn silent_after_receipt(&self, delivered: bool) -> u64 {
        let timers = self.terms.timers;
        let wait_s = if delivered { timers.after_delivered_s } else { timers.back_off_s };
        self.now + wait_s * 1000
    }

    /// A sign of life: what waits for the card goes out at once, the same octets, not too often.
    pub(super) fn wake(&mut self) {
        let now = self.now;
        let wait = self.terms.timers.wake_s * 1000;
        if now < self.card.woken_at + wait || self.packet_held_until().is_some() {
            return;
        }
        let deadline = self.packet_deadline();
        let Some(packet) = self.card.outstanding.as_mut().filter(|_| now < deadline) else { return };
        let mut woken = 0;
        for leg in packet.legs.iter_mut().filter(|leg| leg.attempt != ANSWERED) {
            let stale = match leg.state {
                LegState::Taken { at, .. } => now >= at + wait,
                LegState::BackOff { .. } => true,
                LegState::Ready { .. } | LegState::Handed { .. } | LegState::Silent => false,
            };
            if stale {
                leg.state = LegState::Ready { since: now };
                woken += 1;
            }
        }
        if woken > 0 {
            packet.repeated = true;
            self.card.woken_at = now;
            if let Some(active) = &mut self.card.active
                && packet.purpose == Purpose::Write
            {
                active.resent += woken;
            }
        }
    }
}

/// The validity in seconds that an attempt handed over at `at` asks for: never more than is left until `deadline`, nor
/// until the delivery hours that it keeps to end.
fn validity_s(timers: &Timers, attempt: u8, at: u64, deadline: u64, hours: Option<DeliveryHours>) -> u64 {
    let ends = hours.map_or(deadline, |hours| hours.closes(at).min(deadline));
    let left_s = ends.saturating_sub(at) / 1000;
    timers.validity(attempt).min(left_s.max(1))
}

/// Whether two message ids may be the same one: SMSCs leave them out, pad them, and write in the receipt in decimal what
/// they answered in hexadecimal.
fn same_message(answered: &str, named: &str) -> bool {
    let plain = |id: &str| id.trim_start_matches('0').to_ascii_lowercase();
    let hex = |id: &str| u64::from_str_radix(id, 16).ok();
    let decimal = |id: &str| id.parse::<u64>().ok();
    let equal = |a: Option<u64>, b: Option<u64>| a.is_some() && a == b;
    answered.is_empty()
        || named.is_empty()
        || plain(answered) == plain(named)
        || equal(hex(answered), decimal(named))
        || equal(decimal(answered), hex(named))
}

#[cfg(test)]
mod tests {
    use super::same_message;

    #[test]
    fn message_ids_are_compared_as_smscs_write_them() {
        for (answered, named) in
            [("", "7"), ("7", ""), ("4F2", "4f2"), ("000A", "10"), ("10", "000A"), ("07", "7")]
        {
            assert!(same_message(answered, named), "{answered} {named}");
        }
        for (answered, named) in [("4F2", "4F3"), ("m1", "another"), ("7", "8")] {
            assert!(!same_message(answered, named), "{answered} {named}");
        }
    }
}
