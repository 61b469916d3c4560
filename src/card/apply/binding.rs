//! Which device the card is in: reports that can be trusted, and decisions about what contradicts.

use super::Work;
use crate::applet::{BindingAck, BindingRequest, BindingResult, PollAnswer};
use crate::card::{
    Answer, Binding, BindingPolicy, Bound, CardId, Contested, DeviceView, HeldBinding, QUEUE_MAX, Refused,
    WriteState,
};
use crate::identity::{Iccid, Imei, Msisdn};

/// A device that the card is in, as somebody says who is trusted for it.
#[derive(Clone, Copy)]
struct Report {
    imei: Imei,
    /// The card's MO counter then.
    mo_cntr: u64,
    /// The card's own sequence, where it waits for an answer.
    tid: Option<u32>,
    from: Option<Msisdn>,
}

/// What a report contradicts.
struct Contradiction {
    /// The card that the device is bound to.
    other_card: Option<CardId>,
    /// The device that this card is bound to.
    left: Option<Imei>,
}

impl Contradiction {
    fn exists(&self) -> bool {
        self.other_card.is_some() || self.left.is_some()
    }
}

impl Work<'_> {
    /// A secured binding request.
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
        if self.card.binding.as_ref().is_some_and(|binding| cntr < binding.mo_cntr) {
            self.fact("card.hint", "an older binding request came late");
            return;
        }
        self.report(Report { imei: request.imei, mo_cntr: cntr, tid: Some(request.tid), from }, device);
    }

    /// The owner's own word: it needs no proof, and changes what stands no more easily than the card's.
    pub(super) fn supplied(&mut self, imei: Imei, device: DeviceView) {
        let report = Report { imei, mo_cntr: self.card.mo.highest, tid: None, from: None };
        let stored = self.card.binding.as_ref().map(|binding| binding.imei.key());
        let stands = stored == Some(imei.key()) && device.card == Some(self.card.id);
        let nothing_to_take = device.waiting.is_empty() || self.card.queue.len() >= QUEUE_MAX;
        if stands && nothing_to_take && self.card.held.is_none() {
            return;
        }
        self.refused = match self.report(report, device) {
            BindingResult::Saved => None,
            BindingResult::Held => Some(Refused::BindingHeld),
            BindingResult::Rejected => Some(Refused::BindingRejected),
        };
    }

    /// The card says, authenticated, which device it is in: what was only claimed is proved, or disproved.
    pub(super) fn settle_claim(&mut self, answer: &PollAnswer, device: Option<DeviceView>) {
        let Some(device) = device else { return };
        let Some(claimed) = self.card.claimed.take() else { return };
        let proved = claimed.imei.key() == answer.imei.key();
        if !proved {
            let (claimed, imei) = (claimed.imei, answer.imei);
            self.fact("binding.suspect", format!("imei {claimed} was claimed, the card says {imei}"));
        }
        let tid = claimed.tid.filter(|_| proved);
        let report = Report { imei: answer.imei, mo_cntr: answer.mo_counter, tid, from: claimed.from };
        self.report(report, device);
    }

    /// The card that answers has this ICCID in its files, or none that can be read. The right one proves the card; the
    /// device stays a claim, which is taken where the profile says so.
    pub(super) fn settle_claim_by_iccid(&mut self, read: Option<Iccid>, device: Option<DeviceView>) {
        let Some(device) = device else { return };
        let Some(claimed) = self.card.claimed.take() else { return };
        // A poll of its write gave way to this one.
        if self.state() == Some(WriteState::Written) {
            self.poll_from(self.now);
        }
        let imei = claimed.imei;
        match read {
            Some(iccid) if self.may_hold(iccid) => {
                self.fact("card.hint", format!("EF.ICCID proves the card; imei {imei} stays claimed"));
                let mo_cntr = self.card.mo.highest;
                self.report(Report { imei, mo_cntr, tid: None, from: claimed.from }, device);
            }
            Some(iccid) => {
                self.fact("binding.suspect", format!("imei {imei} was claimed, EF.ICCID holds {iccid}"));
            }
            None => self.fact("binding.suspect", format!("imei {imei} was claimed, EF.ICCID cannot be read")),
        }
    }

    /// Whether EF.ICCID of the card may have these contents: those it came with, or what a write gave it.
    fn may_hold(&self, iccid: Iccid) -> bool {
        let written = self.card.active.iter().map(|active| &active.order.target).chain(&self.card.current);
        let unsettled = self.card.unsettled.iter().map(|unsettled| &unsettled.target);
        let written = written.chain(unsettled).filter_map(|target| target.iccid);
        written.chain(self.card.iccid).any(|known| known == iccid)
    }

    /// Whether a claim can be proved by the card's files, and is of use then.
    pub(super) fn may_prove_claim(&self) -> bool {
        let taken = self.is_rfm() && self.terms.profile.trust.allow_claimed_imei;
        taken && self.card.claimed.is_some() && self.card.iccid.is_some()
    }

    /// Takes a report by the profile's policy, and owes the answer where the card waits for one.
    fn report(&mut self, report: Report, device: DeviceView) -> BindingResult {
        let contradiction = self.contradiction(report.imei, &device);
        // A binding that was lost to another card meanwhile is made anew; so is one whose device has writes waiting.
        let stored = self.card.binding.is_some();
        let known = stored && device.card == Some(self.card.id) && device.waiting.is_empty();
        let what = self.told(report.imei, &contradiction);
        let policy = self.terms.profile.trust.binding_policy;
        let result = match policy {
            _ if known && !contradiction.exists() => {
                (self.card.held, self.card.claimed) = (None, None);
                self.fact("binding.repeated", what);
                BindingResult::Saved
            }
            _ if !contradiction.exists() => {
                self.bind(report, device, &contradiction);
                self.fact(if stored { "binding.repeated" } else { "binding.created" }, what);
                BindingResult::Saved
            }
            BindingPolicy::Accept => {
                self.bind(report, device, &contradiction);
                self.fact("binding.changed", what);
                BindingResult::Saved
            }
            BindingPolicy::Hold => {
                let before = self.card.held.as_ref().filter(|held| held.imei.key() == report.imei.key());
                let since = before.map_or(self.now, |held| held.since);
                let Report { imei, mo_cntr, tid, .. } = report;
                self.card.held = Some(HeldBinding { imei, tid, mo_cntr, since });
                self.fact("binding.held", what);
                BindingResult::Held
            }
            BindingPolicy::Reject => {
                self.fact("binding.rejected", what);
                BindingResult::Rejected
            }
        };
        if result != BindingResult::Saved {
            self.contested = contradiction.other_card.map(|card| Contested { imei: report.imei, card });
        }
        if !known && is_default(report.imei) {
            self.fact("binding.suspect", format!("default IMEI {}", report.imei));
        }
        self.answer_report(report, result);
        result
    }

    fn contradiction(&self, imei: Imei, device: &DeviceView) -> Contradiction {
        let stored = self.card.binding.as_ref().map(|binding| binding.imei);
        Contradiction {
            other_card: device.card.filter(|card| *card != self.card.id),
            left: stored.filter(|stored| stored.key() != imei.key()),
        }
    }

    fn told(&self, imei: Imei, contradiction: &Contradiction) -> String {
        match (contradiction.left, contradiction.other_card) {
            (Some(left), _) => format!("imei {imei}, before {left}"),
            (None, Some(other)) => format!("imei {imei}, before on {other}"),
            (None, None) => format!("imei {imei}"),
        }
    }

    /// The device is this card's, and so are the writes that wait for it.
    fn bind(&mut self, report: Report, device: DeviceView, contradiction: &Contradiction) {
        let stored = self.card.binding.as_ref().filter(|binding| binding.imei.key() == report.imei.key());
        self.card.binding = Some(Binding {
            imei: report.imei,
            since: stored.map_or(self.now, |binding| binding.since),
            mo_cntr: report.mo_cntr,
            answered: stored.and_then(|binding| binding.answered),
        });
        (self.card.held, self.card.claimed) = (None, None);
        let (mut taken, mut left_waiting) = (Vec::new(), Vec::new());
        for order in device.waiting {
            // The first of all becomes the active one and takes no room.
            if self.card.queue.len() < QUEUE_MAX {
                taken.push(order.id);
                self.take(order);
            } else {
                left_waiting.push(order.id);
            }
        }
        if !left_waiting.is_empty() {
            let left = left_waiting.len();
            let what =
                format!("{QUEUE_MAX} writes wait for the card: {left} more go on waiting for the device");
            self.fact("card.hint", what);
        }
        let Contradiction { other_card: moved_from, left } = *contradiction;
        self.bound = Some(Bound { imei: report.imei, moved_from, left, taken, left_waiting });
    }

    fn answer_report(&mut self, report: Report, result: BindingResult) {
        let ack = report.tid.map(|tid| BindingAck { tid, result });
        if let Some(binding) = &mut self.card.binding {
            if ack.is_some() {
                binding.answered = ack;
            }
            if result == BindingResult::Saved {
                binding.mo_cntr = binding.mo_cntr.max(report.mo_cntr);
            }
        }
        if let Some(ack) = ack {
            self.owe(Answer::Binding(ack), report.from);
        }
    }

    /// An operator decides about what is held; the card hears of it without asking again.
    pub(super) fn decide_binding(&mut self, accept: bool, device: DeviceView) {
        let Some(HeldBinding { imei, tid, mo_cntr, .. }) = self.card.held.take() else {
            self.refused = Some(Refused::NothingHeld);
            return;
        };
        let report = Report { imei, mo_cntr, tid, from: None };
        let contradiction = self.contradiction(imei, &device);
        let what = self.told(imei, &contradiction);
        if accept {
            self.bind(report, device, &contradiction);
            self.fact("binding.changed", what);
            self.answer_report(report, BindingResult::Saved);
        } else {
            self.fact("binding.rejected", what);
            self.answer_report(report, BindingResult::Rejected);
        }
    }

    pub(super) fn device_moved(&mut self, imei: Imei, to: CardId, device: &DeviceView) {
        // It is back already, and this is old news.
        if device.card == Some(self.card.id) {
            return;
        }
        if self.is_bound_to(imei) {
            self.card.binding = None;
            self.fact("binding.changed", format!("imei {imei} is on {to} now"));
        }
    }

    pub(super) fn contested(&mut self, imei: Imei, by: CardId) {
        if self.is_bound_to(imei) {
            self.fact("binding.suspect", format!("imei {imei} is reported by {by} too"));
        }
    }

    pub(super) fn is_bound_to(&self, imei: Imei) -> bool {
        self.card.binding.as_ref().is_some_and(|binding| binding.imei.key() == imei.key())
    }
}

/// Whether an IMEI is one that many devices may have: never personalised, or from a test range.
fn is_default(imei: Imei) -> bool {
    let key = imei.key();
    let digits = key.as_str();
    // Reporting body 00 numbers test equipment (GSMA TS.06).
    let test_tac = ["00", "01234567", "12345678", "11111111", "99999999"];
    digits.ends_with("000000") || test_tac.iter().any(|tac| digits.starts_with(tac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_imeis_are_told_from_real_ones() {
        let imei = |digits: &str| Imei::from(digits.parse::<crate::identity::Imei14>().unwrap());
        for default in ["35780502000000", "00499901064000", "01234567890123", "12345678901234"] {
            assert!(is_default(imei(default)), "{default}");
        }
        for real in ["35780502398494", "49015420323751", "86012304000001"] {
            assert!(!is_default(imei(real)), "{real}");
        }
    }
}
