//! Messages from the card: binding requests and write results (`rules` section 4).

use super::Work;
use super::begin::next_result_poll;
use crate::applet::{BindingAck, BindingRequest, BindingResult, WriteResult, WriteStatus};
use crate::card::{
    Answer, Binding, BindingPolicy, Bound, CardId, DeviceView, End, FromCard, Purpose, QUEUE_MAX, WriteState,
};
use crate::identity::{Imei, Imsi, Msisdn};

impl Work<'_> {
    pub(super) fn binding(
        &mut self,
        cntr: u64,
        request: &BindingRequest,
        from: Option<Msisdn>,
        device: DeviceView,
    ) {
        if self.card.eid != Some(request.eid) {
            self.fact("binding.suspect", format!("the card says it is {}", request.eid));
            return;
        }
        let stored = self.card.binding.clone();
        if stored.as_ref().is_some_and(|binding| cntr < binding.mo_cntr) {
            self.fact("card.hint", "an older binding request came late");
            return;
        }
        let other_card = device.card.filter(|card| *card != self.card.id);
        let left =
            stored.as_ref().map(|binding| binding.imei).filter(|imei| imei.key() != request.imei.key());
        // A binding that was lost to another card meanwhile is made anew; so is one whose device has writes waiting.
        let known = device.card == Some(self.card.id) && stored.is_some() && device.waiting.is_empty();
        let policy = self.terms.profile.trust.binding_policy;
        let contradiction = other_card.is_some() || left.is_some();
        let what = match (left, other_card) {
            (Some(left), _) => format!("imei {}, before {left}", request.imei),
            (None, Some(other)) => format!("imei {}, before on {other}", request.imei),
            (None, None) => format!("imei {}", request.imei),
        };
        let result = match policy {
            _ if known && !contradiction => {
                self.fact("binding.repeated", what);
                BindingResult::Saved
            }
            _ if !contradiction => {
                let kind = if stored.is_some() { "binding.repeated" } else { "binding.created" };
                self.bind(cntr, request, device, None, None);
                self.fact(kind, what);
                BindingResult::Saved
            }
            BindingPolicy::Accept => {
                self.bind(cntr, request, device, other_card, left);
                self.fact("binding.changed", what);
                BindingResult::Saved
            }
            BindingPolicy::Hold => {
                self.fact("binding.held", what);
                BindingResult::Held
            }
            BindingPolicy::Reject => {
                self.fact("binding.rejected", what);
                BindingResult::Rejected
            }
        };
        let ack = BindingAck { tid: request.tid, result };
        if let Some(binding) = &mut self.card.binding {
            binding.answered = Some(ack);
            if result == BindingResult::Saved {
                binding.mo_cntr = cntr;
            }
        }
        self.owe(Answer::Binding(ack), from);
    }

    fn bind(
        &mut self,
        mo_cntr: u64,
        request: &BindingRequest,
        device: DeviceView,
        moved_from: Option<CardId>,
        left: Option<Imei>,
    ) {
        let stored = self.card.binding.as_ref().filter(|binding| binding.imei.key() == request.imei.key());
        self.card.binding = Some(Binding {
            imei: request.imei,
            since: stored.map_or(self.now, |binding| binding.since),
            mo_cntr,
            answered: Some(BindingAck { tid: request.tid, result: BindingResult::Saved }),
        });
        let room = QUEUE_MAX.saturating_sub(self.card.queue.len());
        let mut taken = Vec::new();
        for order in device.waiting.into_iter().take(room) {
            taken.push(order.id);
            self.take(order);
        }
        self.bound = Some(Bound { imei: request.imei, moved_from, left, taken });
    }

    pub(super) fn device_moved(&mut self, imei: Imei, to: CardId) {
        if self.card.binding.as_ref().is_some_and(|binding| binding.imei.key() == imei.key()) {
            self.card.binding = None;
            self.fact("binding.changed", format!("imei {imei} is on {to} now"));
        }
    }

    /// The same packet again: nothing changes, the answer is repeated, not too often.
    pub(super) fn repeat_answer(&mut self, message: &FromCard, from: Option<Msisdn>) {
        if self.now < self.card.repeated_at + self.terms.timers.repeat_answer_s * 1000 {
            return;
        }
        let answer = match message {
            FromCard::Binding { request, .. } => {
                let answered = self.card.binding.as_ref().and_then(|binding| binding.answered);
                answered.filter(|ack| ack.tid == request.tid).map(Answer::Binding)
            }
            FromCard::Result(result) => self
                .taken_before(result.tid)
                .then_some(Answer::Result { tid: result.tid, status: result.status }),
        };
        if let Some(answer) = answer {
            self.card.repeated_at = self.now;
            self.owe(answer, from);
        }
    }

    fn taken_before(&self, tid: u32) -> bool {
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
    pub(super) fn verdict(&mut self, status: WriteStatus, detail: u8, imsi: Option<Imsi>, imei: Imei) {
        match status {
            WriteStatus::Accepted => self.written(),
            WriteStatus::Confirmed => self.confirmed(imsi, imei),
            WriteStatus::RolledBack => self.end(End::RolledBack, Some(format!("card_detail: {detail:02x}"))),
            WriteStatus::Refused => self.end(End::Failed, Some(format!("card_refuses: {detail:02x}"))),
        }
    }

    /// The card has taken the write and will try it.
    pub(super) fn written(&mut self) {
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
        }
        self.write_fact("write.written", "");
    }
}
