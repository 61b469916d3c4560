//! Response packets that were opened at the asked level.

use super::Work;
use super::begin::{next_result_poll, poll_tid};
use crate::applet::{LastState, PollAnswer, WriteResult, WriteStatus, detail};
use crate::card::packet::ANSWERED;
use crate::card::{
    Active, Bearer, DEADLINE_PASSED, DeviceView, End, LegState, Purpose, ResponseData, WriteState,
};
use crate::identity::Msisdn;
use crate::ota::{Cntr, Rsc};

/// An opened response packet.
pub(super) struct Response {
    /// CNTR of the command.
    pub(super) cntr: Cntr,
    pub(super) rsc: Rsc,
    pub(super) data: ResponseData,
    /// The number it came from; none on site.
    pub(super) from: Option<Msisdn>,
    /// What is stored of the device that it names, or that was claimed.
    pub(super) device: Option<DeviceView>,
}

impl Work<'_> {
    pub(super) fn response(&mut self, response: Response) {
        let outstanding = self.card.outstanding.as_ref().filter(|packet| packet.cntr == response.cntr);
        match (outstanding.map(|packet| packet.purpose), &response.data) {
            (Some(Purpose::Write), data) => self.write_response(response.rsc, data, response.from),
            (Some(Purpose::Poll), _) => self.poll_response(response),
            // Late: only a clear word about the write still counts, so that 00 beats 02 in any order.
            (None, ResponseData::Script(script)) if response.rsc == Rsc::OK => {
                if self.is_unanswered(response.cntr) {
                    self.script_response(script, response.from);
                }
            }
            (None, data) if response.rsc == Rsc::OK && !self.is_busy(data) => {
                let _ = self.write_result(data);
            }
            (None, _) => {}
        }
    }

    /// Whether it is asked what became of the script that went out under this CNTR.
    fn is_unanswered(&self, cntr: Cntr) -> bool {
        let asked = |active: &Active| {
            active.state == WriteState::Unknown && active.cntr == Some(cntr) && active.failure.is_none()
        };
        self.card.active.as_ref().is_some_and(asked)
    }

    fn write_response(&mut self, rsc: Rsc, data: &ResponseData, from: Option<Msisdn>) {
        match rsc {
            Rsc::OK if let ResponseData::Script(script) = data => self.script_response(script, from),
            Rsc::OK => {
                let acknowledged = self.card.outstanding.as_ref().and_then(|packet| packet.acknowledges);
                if self.is_busy(data) {
                    self.write_later("the card is busy with another write");
                } else if self.write_result(data) {
                    self.card.owed.retain(|owed| {
                        !matches!(owed.answer, crate::card::Answer::Binding(ack) if Some(ack) == acknowledged)
                    });
                } else {
                    self.doubt("PoR 00 without a readable result");
                }
            }
            Rsc::NO_MEMORY => self.write_later("the card has no memory (RSC 07)"),
            Rsc::MORE_TIME | Rsc::FOLLOWS_BY_SUBMIT | Rsc::FOLLOWS_BY_USSD => {
                self.answered_for_now(self.terms.timers.after_delivered_s);
            }
            _ => self.doubt(&format!("PoR {rsc}")),
        }
    }

    /// The card has not taken the write up and can do so later: under a new CNTR.
    fn write_later(&mut self, why: &str) {
        if let Some(packet) = self.card.outstanding.take() {
            self.owe_again(&packet);
        }
        if let Some(active) = &mut self.card.active {
            active.not_before = self.now + self.terms.timers.no_memory_s * 1000;
        }
        self.enter(WriteState::Queued);
        self.fact("card.hint", format!("{why}: later, with a new CNTR"));
    }

    /// The result that a PoR carries, where it is one of the active write.
    fn result_of_write<'d>(&self, data: &'d ResponseData) -> Option<&'d WriteResult> {
        let ResponseData::Result(result) = data else { return None };
        let ours = self.card.active.as_ref().is_some_and(|active| active.tid == result.tid);
        (ours && self.card.eid == Some(result.eid)).then_some(result)
    }

    fn is_busy(&self, data: &ResponseData) -> bool {
        let busy =
            |result: &WriteResult| result.status == WriteStatus::Refused && result.detail == detail::BUSY;
        self.result_of_write(data).is_some_and(busy)
    }

    /// Takes the result that a PoR carries; `false` where it is none of the active write.
    fn write_result(&mut self, data: &ResponseData) -> bool {
        let Some(result) = self.result_of_write(data) else { return false };
        if self.card.outstanding.as_ref().is_some_and(|packet| packet.purpose == Purpose::Write) {
            self.card.outstanding = None;
        }
        self.verdict(result.status, result.detail, result.imsi, result.imei);
        true
    }

    /// An answer that is none: the real one follows in `wait_s`, or the card is asked anew.
    fn answered_for_now(&mut self, wait_s: u64) {
        let silent_at = self.now + wait_s * 1000;
        let Some(packet) = &mut self.card.outstanding else { return };
        if packet.bearer == Bearer::Relay {
            packet.low_at.get_or_insert(self.now);
        }
        for leg in &mut packet.legs {
            leg.attempt = ANSWERED;
            leg.state = LegState::Taken { at: self.now, silent_at };
        }
    }

    fn poll_response(&mut self, Response { cntr, rsc, data, from, device }: Response) {
        let timers = self.terms.timers;
        let on_site = self.card.outstanding.as_ref().is_some_and(|packet| packet.bearer == Bearer::Relay);
        if let (Rsc::OK, ResponseData::Script(script)) = (rsc, &data)
            && let Some(packet) = self.card.outstanding.take()
        {
            if packet.reads.is_some_and(|reads| self.files_read(reads, script, from, device.clone())) {
                return;
            }
            self.card.outstanding = Some(packet);
        }
        match (rsc, data) {
            (Rsc::OK, ResponseData::State(answer))
                if answer.tid == poll_tid(cntr) && self.card.eid == Some(answer.eid) =>
            {
                self.card.outstanding = None;
                self.fenced(&answer, device);
            }
            (Rsc::MORE_TIME | Rsc::FOLLOWS_BY_SUBMIT | Rsc::FOLLOWS_BY_USSD, _) => {
                self.answered_for_now(timers.after_delivered_s);
            }
            _ if on_site => self.relayed_poll_failed(rsc),
            (Rsc::CNTR_LOW, _) => {
                if let Some(packet) = &mut self.card.outstanding {
                    packet.low_at.get_or_insert(self.now);
                }
            }
            (Rsc::NO_MEMORY, _) => self.answered_for_now(timers.no_memory_s),
            // A card that refuses polls is not asked at the pace of its answers.
            _ => {
                self.fact("card.hint", format!("a poll is answered with PoR {rsc} and no state"));
                self.answered_for_now(timers.validity(1));
            }
        }
    }

    /// Nothing older than the poll can execute any more, and the card says how far it came.
    fn fenced(&mut self, answer: &PollAnswer, device: Option<DeviceView>) {
        if self.card.resync || self.card.restored {
            self.card.mo.reset(answer.mo_counter);
            if let Some(binding) = &mut self.card.binding {
                binding.mo_cntr = binding.mo_cntr.min(answer.mo_counter);
            }
            (self.card.resync, self.card.restored) = (false, false);
            self.card.resynced_at = self.now;
            self.fact("card.counter", format!("MO window restarts at {}", answer.mo_counter));
        }
        self.settle_claim(answer, device);
        if let Some(active) = &mut self.card.active {
            active.refused_in_clear = false;
        }
        let reached = |tid| if answer.last_tid == tid { answer.last_state } else { LastState::None };
        for unsettled in self.card.unsettled.clone() {
            match reached(unsettled.tid) {
                // The card is still on its way: the fence says no more than that.
                LastState::Accepted => {}
                LastState::Confirmed if answer.imsi == Some(unsettled.target.imsi) => {
                    self.late_proof(unsettled.tid, WriteStatus::Confirmed, answer.imsi);
                }
                // Not in effect, and nothing older can change that any more.
                _ => self.late_proof(unsettled.tid, WriteStatus::Refused, answer.imsi),
            }
        }
        let still_open = !self.card.unsettled.is_empty();
        let Some(active) = &mut self.card.active else { return };
        match (active.state, reached(active.tid)) {
            // What was unresolved is still on its way: asked again later, and nothing new goes out before.
            (WriteState::Queued, _) if still_open => {
                let wait_s = self.terms.timers.result_polls_s.first().copied().unwrap_or(600);
                active.not_before = self.now + wait_s * 1000;
            }
            (WriteState::Unknown, LastState::None) => self.not_applied(),
            (WriteState::Unknown, LastState::Accepted) => self.written(),
            (WriteState::Written, LastState::Accepted) => self.result_is_to_come(),
            (WriteState::Unknown | WriteState::Written, LastState::Confirmed) => {
                self.confirmed(answer.imsi, answer.imei);
            }
            (WriteState::Unknown | WriteState::Written, LastState::RolledBack) => {
                self.end(End::RolledBack, Some("poll".to_owned()));
            }
            (WriteState::Unknown | WriteState::Written, LastState::Refused) => {
                self.end(End::Failed, Some("card_refuses".to_owned()));
            }
            (WriteState::Written, LastState::None) => {
                self.result_is_to_come();
                self.fact("card.hint", "the card does not know the write it had accepted");
            }
            _ => {}
        }
    }

    /// The write stays written: the polls that fell due while this one waited for its answer are not made up for.
    pub(super) fn result_is_to_come(&mut self) {
        if let Some(active) = &mut self.card.active {
            active.not_before = next_result_poll(active.since, self.terms.timers, self.now);
        }
    }

    /// The write, or a script of it, never reached the card, and no older octets can any more.
    pub(super) fn not_applied(&mut self) {
        let Some(active) = &mut self.card.active else { return };
        // At once the first time; a card that goes on refusing what it is sent is written by the plan of attempts.
        let wait_s = active.polls.checked_sub(1).map_or(0, |again| self.terms.timers.validity(again));
        active.polls = active.polls.saturating_add(1);
        self.resume(wait_s);
        if let Some(active) = &mut self.card.active {
            active.cntr = None;
        }
    }

    /// The card has answered a script in full: the one at `step` is next.
    pub(super) fn resume_at(&mut self, step: u8) {
        let Some(active) = &mut self.card.active else { return };
        (active.step, active.polls, active.refused_in_clear) = (step, 0, false);
        self.resume(0);
    }

    /// What is left of the write goes out after `wait_s`: of what went out before, nothing can be executed any more.
    fn resume(&mut self, wait_s: u64) {
        let Some(active) = &mut self.card.active else { return };
        if active.cancel {
            self.end(End::Cancelled, Some("fenced".to_owned()));
        } else if self.now >= active.order.deadline {
            self.end(End::Expired, Some(DEADLINE_PASSED.to_owned()));
        } else {
            active.not_before = self.now + wait_s * 1000;
            (active.handed_out, active.accepted) = (false, false);
            self.enter(WriteState::Queued);
        }
    }
}
