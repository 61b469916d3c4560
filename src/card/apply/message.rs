//! What the card itself says, secured: how its messages are taken, and what became of a write.

use super::Work;
use super::begin::next_result_poll;
use crate::applet::{BindingAck, BindingResult, WriteResult, WriteStatus, detail};
use crate::card::{Answer, ClaimSource, End, FromCard, Purpose, Replay, Unproven, WriteState};
use crate::identity::{Imei, Imsi, Msisdn};

impl Work<'_> {
    pub(super) fn message(&mut self, cntr: u64, digest: u64, from: Option<Msisdn>, message: FromCard) {
        match self.card.mo.judge(cntr, digest) {
            Replay::New => {
                self.card.mo.accept(cntr, digest);
                match message {
                    // It may be one of those that the older copy does not know: as good as one without proof.
                    FromCard::Binding { request, .. } if self.card.restored => {
                        let source = ClaimSource::PlainDer { tid: request.tid, eid: request.eid };
                        self.claim(request.imei, from, source);
                        self.ask();
                    }
                    FromCard::Result(result) if self.card.restored => {
                        self.plain_result(&result, from);
                        self.ask();
                    }
                    FromCard::Binding { request, device } => self.binding(cntr, &request, from, device),
                    FromCard::Result(result) => self.result_message(&result, from),
                }
                self.wake();
            }
            Replay::Duplicate => {
                let kind = match message {
                    FromCard::Binding { .. } => "binding.repeated",
                    FromCard::Result(_) => "card.hint",
                };
                let what = format!("the same message again, counter {cntr}");
                self.unproven(Unproven::Repetition, kind, what);
                self.repeat_answer(&message, from);
            }
            // Told once: the next is told after the card has been asked.
            Replay::Refused if self.card.resync => {}
            Replay::Refused => {
                self.fact("card.hint", format!("replayed or too old message, counter {cntr}"));
                self.card.resync = true;
            }
        }
    }

    /// The same packet again: nothing changes, it is told and its answer repeated, not too often.
    pub(super) fn repeat_answer(&mut self, message: &FromCard, from: Option<Msisdn>) {
        let answer = match message {
            FromCard::Binding { request, .. } => {
                let answered = self.card.binding.as_ref().and_then(|binding| binding.answered);
                let held = self.card.held.as_ref().and_then(|held| held.tid);
                let held = held.map(|tid| BindingAck { tid, result: BindingResult::Held });
                answered.or(held).filter(|ack| ack.tid == request.tid).map(Answer::Binding)
            }
            FromCard::Result(result) => self
                .taken_before(result.tid)
                .then_some(Answer::Result { tid: result.tid, status: result.status }),
        };
        if let Some(answer) = answer
            && self.may_repeat_answer()
        {
            self.owe(answer, from);
        }
    }

    pub(super) fn taken_before(&self, tid: u32) -> bool {
        self.card.last_result.is_some_and(|(taken, _)| taken == tid)
    }

    pub(super) fn result_message(&mut self, result: &WriteResult, from: Option<Msisdn>) {
        if self.card.eid != Some(result.eid) {
            self.fact("card.hint", format!("a write result of {}", result.eid));
            return;
        }
        let ours = self.card.active.as_ref().is_some_and(|active| active.tid == result.tid);
        if ours {
            self.verdict(result.status, result.detail, result.imsi, result.imei);
        } else if self.card.unsettled.iter().any(|unsettled| unsettled.tid == result.tid) {
            self.late_proof(result.tid, result.status, result.imsi);
        } else if !self.taken_before(result.tid) {
            self.fact("card.hint", format!("a result of an unknown write, tid {}", result.tid));
            return;
        }
        if result.status != WriteStatus::Accepted {
            self.owe(Answer::Result { tid: result.tid, status: result.status }, from);
        }
    }

    /// What the card itself says, authenticated, of the active write.
    pub(super) fn verdict(&mut self, status: WriteStatus, why: u8, imsi: Option<Imsi>, imei: Imei) {
        let words = detail::words(why);
        match status {
            WriteStatus::Accepted => self.written(),
            WriteStatus::Confirmed => self.confirmed(imsi, imei),
            WriteStatus::RolledBack => self.end(End::RolledBack, Some(format!("card_detail: {words}"))),
            // No verdict: it says that the card was busy when it got those octets, whichever of ours they were.
            WriteStatus::Refused if why == detail::BUSY => {}
            WriteStatus::Refused => self.end(End::Failed, Some(format!("card_refuses: {words}"))),
        }
    }

    /// The card has taken the write and will try it.
    pub(super) fn written(&mut self) {
        self.written_with("");
    }

    /// The card has taken the write; `files` are those that it has just updated.
    pub(super) fn written_with(&mut self, files: &str) {
        if self.state().is_none_or(|state| state == WriteState::Written) {
            return;
        }
        if self.card.outstanding.as_ref().is_some_and(|packet| packet.purpose == Purpose::Write) {
            self.drop_packet();
        }
        self.enter(WriteState::Written);
        if let Some(active) = &mut self.card.active {
            active.polls = 0;
            active.not_before = next_result_poll(self.now, self.terms.timers, self.now);
            active.handed_out = true;
            active.refused_in_clear = false;
        }
        self.write_fact("write.written", files);
    }
}
