//! What anybody could have sent: plain messages, and errors in clear. None of it changes a subscription, a binding or the
//! end of a write; it may only make the platform ask the card.

use super::Work;
use crate::applet::{BindingAck, BindingResult, WriteResult, WriteStatus};
use crate::card::{Answer, ClaimSource, Claimed, LegState, Purpose, ReadFile, Unproven, WriteState};
use crate::identity::{Eid, Imei, Msisdn};
use crate::ota::{Cntr, Rsc};

impl Work<'_> {
    /// A device that the card is said to be in.
    pub(super) fn claim(&mut self, imei: Imei, from: Option<Msisdn>, source: ClaimSource) {
        let tid = match source {
            ClaimSource::PlainDer { eid, .. } if !self.may_be(eid) => {
                let what = format!("a request without proof names {eid}");
                self.unproven(Unproven::Claim, "binding.suspect", what);
                return;
            }
            ClaimSource::PlainDer { tid, .. } => Some(tid),
            ClaimSource::RawImei => None,
        };
        match self.card.binding.as_ref().map(|binding| binding.imei) {
            Some(bound) if bound.key() == imei.key() => self.repeat_claim(tid, from),
            Some(bound) => {
                let what = format!("imei {imei} without proof, bound to {bound}");
                self.unproven(Unproven::Claim, "binding.suspect", what);
            }
            None => {
                let before = self.card.claimed.as_ref().filter(|claimed| claimed.imei.key() == imei.key());
                let since = before.map(|claimed| claimed.since);
                self.card.claimed = Some(Claimed { imei, since: since.unwrap_or(self.now), tid, from });
                let asked = !self.is_rfm() || self.may_prove_claim();
                if since.is_none() {
                    let why = if asked { "" } else { "; this card has no proof that the profile takes" };
                    let what = format!("unconfirmed: imei {imei}{why}");
                    self.unproven(Unproven::Claim, "binding.held", what);
                }
                if asked {
                    self.ask();
                }
            }
        }
        self.wake();
    }

    /// Whether the card may be the one of `eid`. One that is known by its ICCID alone proves itself by that.
    fn may_be(&self, eid: Eid) -> bool {
        self.card.eid.map_or(self.is_rfm(), |known| known == eid)
    }

    /// What is known already. Such messages have no counter, so that a duplicate shows by its time only.
    fn repeat_claim(&mut self, tid: Option<u32>, from: Option<Msisdn>) {
        if !self.may_repeat_answer() {
            return;
        }
        self.fact("binding.repeated", "without proof");
        if let (Some(tid), Some(binding)) = (tid, &mut self.card.binding) {
            let ack = BindingAck { tid, result: BindingResult::Saved };
            binding.answered = Some(ack);
            self.owe(Answer::Binding(ack), from);
        }
    }

    /// Whether an answer may be repeated now; notes that it is.
    pub(super) fn may_repeat_answer(&mut self) -> bool {
        let may = self.now >= self.card.repeated_at + self.terms.timers.repeat_answer_s * 1000;
        if may {
            self.card.repeated_at = self.now;
        }
        may
    }

    /// What a write is said to have come to: only the card's secured answer decides.
    pub(super) fn plain_result(&mut self, result: &WriteResult, from: Option<Msisdn>) {
        let WriteResult { tid, status, .. } = *result;
        let what = format!("a result without proof: {status:?}, tid {tid}");
        self.unproven(Unproven::Result, "card.hint", what);
        self.wake();
        if self.card.eid != Some(result.eid) {
            return;
        }
        let may_ask = self.now >= self.card.asked_at + self.terms.timers.wake_s * 1000;
        let (now, ours) = (self.now, self.card.active.as_ref().is_some_and(|active| active.tid == tid));
        match self.state().filter(|_| ours) {
            Some(WriteState::Sent | WriteState::OnSite) => {
                self.doubt("a result without proof");
                self.poll_from(now);
            }
            Some(WriteState::Written) if may_ask => self.poll_from(now),
            Some(_) => {}
            None if self.card.unsettled.iter().any(|unsettled| unsettled.tid == tid) => self.ask(),
            None => self.acknowledge_again(tid, status, from),
        }
    }

    /// A card repeats its result until a secured message acknowledges it: that tells nobody anything new.
    fn acknowledge_again(&mut self, tid: u32, status: WriteStatus, from: Option<Msisdn>) {
        if status != WriteStatus::Accepted && self.taken_before(tid) && self.may_repeat_answer() {
            self.owe(Answer::Result { tid, status }, from);
        }
    }

    /// The polls of the active write go on at `at`.
    pub(super) fn poll_from(&mut self, at: u64) {
        if let Some(active) = &mut self.card.active {
            active.not_before = at;
        }
    }

    /// Something that looks like an answer and proves nothing. A refusal in clear stops the repetition of octets that the
    /// card may never take: the card is asked instead.
    pub(super) fn hint(&mut self, what: String, cntr: Option<Cntr>, rsc: Option<Rsc>, from: Option<Msisdn>) {
        let refuses = matches!(
            rsc,
            Some(Rsc::CHECK_FAILED | Rsc::CIPHERING_ERROR | Rsc::TAR_UNKNOWN | Rsc::LEVEL_TOO_LOW)
        );
        let kind = match rsc {
            None => Unproven::Message,
            Some(_) if refuses => Unproven::Refusal,
            Some(_) => Unproven::Response,
        };
        self.unproven(kind, "card.hint", what);
        let Some(packet) = self.card.outstanding.as_ref().filter(|packet| packet.left()) else { return };
        let in_flight = cntr.is_none_or(|cntr| cntr.get() == 0 || cntr == packet.cntr);
        if !refuses || !in_flight || self.is_strangers(from) {
            return;
        }
        let purpose = packet.purpose;
        if purpose == Purpose::Write {
            self.doubt("refused in clear");
        }
        if let Some(active) = &mut self.card.active {
            active.refused_in_clear = true;
        }
    }

    /// Whether a number may still be another card's: the target's, while the card has not written it.
    fn is_strangers(&self, from: Option<Msisdn>) -> bool {
        let Some(active) = &self.card.active else { return false };
        let current = self.card.current.as_ref().map(|current| current.msisdn);
        active.state != WriteState::Written
            && from == Some(active.order.target.msisdn)
            && current != Some(active.order.target.msisdn)
    }

    /// The card's state is wanted, for more than its active write; the answer to a poll on its way will do.
    pub(super) fn ask(&mut self) {
        let asked = self.card.outstanding.as_ref().is_some_and(|packet| {
            packet.purpose == Purpose::Poll
                && packet.legs.iter().any(|leg| leg.state != LegState::Silent)
                && packet.reads.is_none_or(|reads| reads.file == ReadFile::Iccid || !self.may_prove_claim())
        });
        self.card.ask |= !asked;
    }
}
