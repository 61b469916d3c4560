//! The dice: whether a fault of the plan happens now, and how often each has happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sim::fault_plan::{CardFaults, FaultPlan, Percent, StatusWord, WritePoint};
use crate::world::Rng;

/// A kind of fault, as the report counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    MtLost,
    MtDuplicated,
    MtReordered,
    MtDelayed,
    MoLost,
    MoDuplicated,
    MoReordered,
    MoDelayed,
    LinkDropped,
    LinkDroppedWithinPdu,
    SubmitSlow,
    SubmitThrottled,
    SubmitQueueFull,
    SubmitSystemError,
    SubmitLost,
    ReceiptMissing,
    ReceiptNegative,
    ReceiptSpelling,
    CardAsleep,
    PowerCut(WritePoint),
    EnvelopeRefused,
    RefreshRefused,
    AttachBarred,
    CardSilent,
}

impl Fault {
    /// Its name in the report.
    const fn name(self) -> &'static str {
        match self {
            Self::MtLost => "mt_lost",
            Self::MtDuplicated => "mt_duplicated",
            Self::MtReordered => "mt_reordered",
            Self::MtDelayed => "mt_delayed",
            Self::MoLost => "mo_lost",
            Self::MoDuplicated => "mo_duplicated",
            Self::MoReordered => "mo_reordered",
            Self::MoDelayed => "mo_delayed",
            Self::LinkDropped => "link_dropped",
            Self::LinkDroppedWithinPdu => "link_dropped_within_pdu",
            Self::SubmitSlow => "submit_slow",
            Self::SubmitThrottled => "submit_throttled",
            Self::SubmitQueueFull => "submit_queue_full",
            Self::SubmitSystemError => "submit_system_error",
            Self::SubmitLost => "submit_lost",
            Self::ReceiptMissing => "receipt_missing",
            Self::ReceiptNegative => "receipt_negative",
            Self::ReceiptSpelling => "receipt_spelling",
            Self::CardAsleep => "card_asleep",
            Self::PowerCut(WritePoint::WithinScript) => "power_cut_within_script",
            Self::PowerCut(WritePoint::Accepted) => "power_cut_accepted",
            Self::PowerCut(WritePoint::Written) => "power_cut_written",
            Self::PowerCut(WritePoint::Refreshed) => "power_cut_refreshed",
            Self::PowerCut(WritePoint::Undone) => "power_cut_undone",
            Self::PowerCut(WritePoint::Ended) => "power_cut_ended",
            Self::EnvelopeRefused => "envelope_refused",
            Self::RefreshRefused => "refresh_refused",
            Self::AttachBarred => "attach_barred",
            Self::CardSilent => "card_silent",
        }
    }

    const fn share(self, plan: &FaultPlan) -> Percent {
        match self {
            Self::MtLost => plan.mt.loss,
            Self::MtDuplicated => plan.mt.duplicate,
            Self::MtReordered => plan.mt.reorder,
            Self::MtDelayed => plan.mt.delay,
            Self::MoLost => plan.mo.loss,
            Self::MoDuplicated => plan.mo.duplicate,
            Self::MoReordered => plan.mo.reorder,
            Self::MoDelayed => plan.mo.delay,
            Self::LinkDropped => plan.link.drop,
            Self::LinkDroppedWithinPdu => plan.link.drop_within_pdu,
            Self::SubmitSlow => plan.smsc.slow,
            Self::SubmitThrottled => plan.smsc.throttled,
            Self::SubmitQueueFull => plan.smsc.queue_full,
            Self::SubmitSystemError => plan.smsc.system_error,
            Self::SubmitLost => plan.smsc.lost,
            Self::ReceiptMissing => plan.receipts.missing,
            Self::ReceiptNegative => plan.receipts.negative,
            Self::ReceiptSpelling => plan.receipts.spelling,
            Self::CardAsleep => plan.card.sleep,
            Self::PowerCut(_) => plan.card.power_cut,
            Self::EnvelopeRefused => plan.card.envelope_refused,
            Self::RefreshRefused => plan.card.refresh_refused,
            Self::AttachBarred => plan.card.barred,
            Self::CardSilent => plan.card.silent,
        }
    }
}

/// What may happen to a device in its next step: cast beforehand, so that the device needs no dice of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Power is lost where the write reaches one of these.
    pub(super) power_cut_at: Vec<WritePoint>,
    /// The card refuses the next so many ENVELOPEs with a short message, with this status.
    pub(super) envelope_refusals: Option<(u32, StatusWord)>,
    /// The terminal refuses the next so many REFRESH.
    pub(super) refresh_refusals: u32,
}

/// The plan, the dice and the counts.
pub(super) struct Faults {
    plan: FaultPlan,
    rng: Arc<dyn Rng>,
    healed: bool,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan, rng: Arc<dyn Rng>) -> Self {
        Self { plan, rng, healed: false, counts: BTreeMap::new() }
    }

    pub(super) const fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// From now on nothing happens any more.
    pub(super) const fn heal(&mut self) {
        self.healed = true;
    }

    /// Whether this happens now. If so it is counted.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.cast(fault);
        if strikes {
            self.count(fault);
        }
        strikes
    }

    /// Like [`Faults::strikes`], not counted yet.
    pub(super) fn cast(&self, fault: Fault) -> bool {
        let share = fault.share(&self.plan);
        // A plan without this fault draws nothing, so that a run without faults is the same with and without a plan.
        !self.healed && share > Percent::NEVER && self.rng.below(10_000) < u64::from(share.hundredths())
    }

    /// It has happened.
    pub(super) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault.name()).or_default() += 1;
    }

    /// What may happen to a device in its next step.
    pub(super) fn trouble(&self) -> Trouble {
        let CardFaults { power_cut_at, envelope_refusals_max, envelope_status, refresh_refusals_max, .. } =
            &self.plan.card;
        let mut trouble = Trouble::default();
        if power_cut_at.first().is_some_and(|point| self.cast(Fault::PowerCut(*point))) {
            trouble.power_cut_at.clone_from(power_cut_at);
        }
        if self.cast(Fault::EnvelopeRefused)
            && let Some(status) = self.pick(envelope_status)
        {
            trouble.envelope_refusals = Some((self.times(*envelope_refusals_max), *status));
        }
        if self.cast(Fault::RefreshRefused) {
            trouble.refresh_refusals = self.times(*refresh_refusals_max);
        }
        trouble
    }

    /// Between 1 and `ms`; 0 of 0.
    pub(super) fn up_to(&self, ms: u64) -> u64 {
        if ms == 0 { 0 } else { 1 + self.rng.below(ms) }
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&self, among: &'a [T]) -> Option<&'a T> {
        let place = self.rng.below(among.len() as u64);
        among.get(usize::try_from(place).unwrap_or_default())
    }

    /// How often each kind has happened; what has not is missing.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn times(&self, max: u32) -> u32 {
        u32::try_from(self.up_to(u64::from(max))).unwrap_or(max).max(1)
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults")
            .field("plan", &self.plan)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fault_plan::MtFaults;
    use crate::world::SeededRng;

    fn faults(loss: f64) -> Faults {
        let mt = MtFaults { loss: loss.try_into().unwrap(), ..MtFaults::default() };
        Faults::new(FaultPlan { mt, ..FaultPlan::default() }, Arc::new(SeededRng::new(1)))
    }

    #[test]
    fn shares_hold_and_are_counted() {
        let mut faults = faults(10.0);
        let lost = (0..10_000).filter(|_| faults.strikes(Fault::MtLost)).count();
        assert!((900..1100).contains(&lost), "{lost}");
        assert!(!faults.strikes(Fault::MoLost));
        assert_eq!(faults.counts(), [("mt_lost".to_owned(), lost as u64)].into());
        faults.heal();
        assert!((0..1000).all(|_| !faults.strikes(Fault::MtLost)));
    }

    #[test]
    fn what_is_not_planned_draws_nothing() {
        let rng = Arc::new(SeededRng::new(5));
        let mut faults = Faults::new(FaultPlan::default(), rng.clone());
        assert!(!faults.strikes(Fault::MtLost));
        assert_eq!(faults.trouble(), Trouble::default());
        assert_eq!(rng.next_u64(), SeededRng::new(5).next_u64());
    }
}
