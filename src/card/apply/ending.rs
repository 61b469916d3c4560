//! How a write ends, and what may still come after.

use super::Work;
use crate::applet::WriteStatus;
use crate::card::{
    Bearer, Cancellation, DEADLINE_PASSED, End, Fact, Hold, Leg, MissingFiles, Outstanding, Purpose, Refused,
    Subscription, UNSETTLED_MAX, Unsettled, WriteId, WriteState,
};
use crate::identity::{Imei, Imsi};

impl Work<'_> {
    /// Ends the active write. Claims of its target are freed, unless it is in effect or may still be.
    pub(super) fn end(&mut self, end: End, reason: Option<String>) {
        let (state, rfm) = (WriteState::Ended(end), self.is_rfm());
        self.write_fact(&format!("write.{}", state.name()), reason.clone().unwrap_or_default());
        let Some(active) = &mut self.card.active else { return };
        active.state = state;
        let active = active.clone();
        self.change(active.order.id, state, active.order.seq, reason);
        if let Some(change) = self.writes.last_mut().filter(|_| end == End::Effective) {
            // The files of a card do not say which device it is in.
            change.imei_verified = Some(active.hold.is_none() && !rfm);
        }
        self.card.active = None;
        // A fence for what was unresolved before goes on.
        let packet = self.card.outstanding.as_ref();
        let ends_too =
            |packet: &Outstanding| packet.purpose == Purpose::Write || packet.bearer == Bearer::Relay;
        if active.handed_out || packet.is_some_and(ends_too) {
            self.drop_packet();
        }
        match end {
            End::Effective => self.card.last_result = Some((active.tid, active.order.id)),
            End::Unresolved => {
                if self.card.unsettled.len() >= UNSETTLED_MAX {
                    self.card.unsettled.remove(0);
                }
                let (write, tid, target) = (active.order.id, active.tid, active.order.target);
                // The places of scripts are those of the whole plan: past its end is where EF.IMSI may be written.
                let whole = active.missing == MissingFiles::default();
                let step = if whole { active.step } else { u8::MAX };
                self.card.unsettled.push(Unsettled { write, tid, target, step });
            }
            End::Failed | End::RolledBack | End::Cancelled | End::Expired => {
                if matches!(end, End::Failed | End::RolledBack) {
                    self.card.last_result = Some((active.tid, active.order.id));
                }
                self.free(active.order.target);
            }
        }
    }

    /// The numbers of `subscription` may be ordered again, unless they are in effect or may still come into effect.
    fn free(&mut self, subscription: Subscription) {
        let unsettled = self.card.unsettled.iter().map(|unsettled| &unsettled.target);
        let active = self.card.active.iter().map(|active| &active.order.target);
        if !unsettled.chain(active).chain(&self.card.current).any(|held| *held == subscription) {
            self.freed.push(subscription);
        }
    }

    /// The card proves that it runs under `imsi`, in the device `imei`.
    pub(super) fn confirmed(&mut self, imsi: Option<Imsi>, imei: Imei) {
        let Some(active) = &self.card.active else { return };
        let (target, ordered) = (active.order.target.clone(), active.order.imei);
        if imsi != Some(target.imsi) {
            self.fact("card.hint", "confirms the write under another IMSI");
            self.written();
            return;
        }
        self.replace_subscription(target);
        if imei.key() == ordered.key() {
            self.end(End::Effective, None);
            return;
        }
        // Proof, but not of what was ordered: somebody has to look at it.
        self.written();
        self.drop_packet();
        if let Some(active) = &mut self.card.active
            && active.hold.is_none()
        {
            active.hold = Some(Hold::WrongDevice);
            self.write_fact("write.held", format!("{}: {imei}", Hold::WrongDevice.name()));
        }
    }

    /// R18: the target replaces what was in effect; the numbers of the latter are free.
    pub(super) fn replace_subscription(&mut self, target: Subscription) {
        if self.card.current.as_ref() == Some(&target) {
            return;
        }
        let detail = format!("imsi {}, msisdn {}", target.imsi, target.msisdn);
        if let Some(old) = self.card.current.replace(target) {
            self.free(old.clone());
            self.card.previous = Some(old);
            self.card.replaced_at = self.now;
        }
        self.fact("card.subscription_changed", detail);
    }

    /// An operator decides about a write that is held.
    pub(super) fn decide_write(&mut self, id: WriteId, accept: bool) {
        let Some(active) = self.card.active.as_ref().filter(|active| active.order.id == id) else {
            self.refused = Some(Refused::NoSuchWrite);
            return;
        };
        let Some(hold) = active.hold else {
            self.refused = Some(Refused::NothingHeld);
            return;
        };
        let (end, decision) =
            if accept { (End::Effective, "accepted") } else { (End::Unresolved, "rejected") };
        self.end(end, Some(format!("{decision}: {}", hold.name())));
    }

    /// Word of a write that ended unresolved: it changes the card, never the end.
    pub(super) fn late_proof(&mut self, tid: u32, status: WriteStatus, imsi: Option<Imsi>) {
        let Some(at) = self.card.unsettled.iter().position(|unsettled| unsettled.tid == tid) else { return };
        let in_effect =
            self.card.unsettled.get(at).is_some_and(|unsettled| imsi == Some(unsettled.target.imsi));
        match status {
            WriteStatus::Accepted => return,
            WriteStatus::Confirmed if !in_effect => {
                self.fact("card.hint", "confirms an unresolved write under another IMSI");
                return;
            }
            WriteStatus::Confirmed | WriteStatus::RolledBack | WriteStatus::Refused => {}
        }
        let Unsettled { write, target, .. } = self.card.unsettled.remove(at);
        self.card.last_result = Some((tid, write));
        if status == WriteStatus::Confirmed {
            self.replace_subscription(target);
        } else {
            self.free(target);
        }
    }

    /// The order is withdrawn, as far as it still can be.
    pub(super) fn withdraw(&mut self, id: WriteId, seq: u32, target: &Subscription, end: End) {
        if let Some(at) = self.card.queue.iter().position(|queued| *queued == id) {
            self.card.queue.remove(at);
            self.withdrawn(id, seq, end, target);
            return;
        }
        let Some(active) = self.card.active.as_mut().filter(|active| active.order.id == id) else {
            self.refused = Some(Refused::NoSuchWrite);
            return;
        };
        match active.state {
            WriteState::Written => self.refused = Some(Refused::AlreadyWritten),
            // Its own deadline is read by the clock.
            _ if end == End::Expired => {}
            WriteState::Queued | WriteState::Sealed if !active.handed_out => self.end(end, None),
            // Octets are out: only a fence can grant it.
            _ => {
                active.cancel = true;
                if active.state != WriteState::Unknown {
                    self.cancel_submission();
                    self.doubt("cancellation asked for");
                }
            }
        }
    }

    /// What the SMSC may still have of the active write is not wanted any more.
    fn cancel_submission(&mut self) {
        let packet = self.card.outstanding.iter().filter(|packet| packet.purpose == Purpose::Write);
        // An id from a receipt alone may be spelled otherwise than the SMSC's own answer will.
        let named = |leg: &&Leg| !leg.message_id.is_empty() && leg.receipt.is_none();
        let cancelled = packet
            .flat_map(|packet| packet.legs.iter().filter(named))
            .map(|leg| Cancellation { to: leg.to, message_id: leg.message_id.clone() });
        self.cancellations.extend(cancelled);
    }

    /// A queued write that ends before its turn.
    pub(super) fn withdrawn(&mut self, id: WriteId, seq: u32, end: End, target: &Subscription) {
        let state = WriteState::Ended(end);
        let reason = (end == End::Expired).then(|| DEADLINE_PASSED.to_owned());
        self.card.seq += 1;
        self.facts.push(Fact {
            kind: format!("write.{}", state.name()),
            seq: self.card.seq,
            write: Some((id, seq + 1)),
            detail: reason.clone().unwrap_or_default(),
        });
        self.change(id, state, seq + 1, reason);
        self.free(target.clone());
    }
}
