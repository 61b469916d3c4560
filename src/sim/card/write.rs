//! One write as the card keeps it: accepted, carried out, refreshed, confirmed or rolled back.

use crate::applet::{LastState, WriteCard, WriteStatus, detail};
use crate::sim::card::contents::SubscriptionFiles;
use crate::sim::card::files::Files;
use crate::sim::fault_plan::WritePoint;

/// How far a write has come. How it ended is its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Accepted; the files change once the PoR has gone out.
    PorDue,
    /// The files have changed, the terminal has yet to read them again.
    RefreshDue,
    /// Waits for service under the new subscription.
    ServiceDue,
    /// Nothing left but the result.
    Done,
}

/// The last write that was taken up, carried out or refused.
#[derive(Debug, Clone)]
pub(super) struct Write {
    order: WriteCard,
    state: LastState,
    phase: Phase,
    detail: u8,
    /// What a roll-back brings back; `None` where there was no subscription, or the order wants no roll-back.
    former: Option<SubscriptionFiles>,
    blank_before: bool,
    results_left: u32,
    acknowledged: bool,
}

impl Write {
    /// Takes an order up: accepted if there is nothing to say against it (`why` is [`detail::NONE`]), else refused.
    pub(super) fn new(order: &WriteCard, why: u8, files: &Files, results_max: u32) -> Self {
        let accepted = why == detail::NONE;
        let blank_before = files.imsi().is_none();
        Self {
            // The card has no use for keys that it cannot unwrap.
            order: WriteCard { key_block: None, ..order.clone() },
            state: if accepted { LastState::Accepted } else { LastState::Refused },
            phase: if accepted { Phase::PorDue } else { Phase::Done },
            detail: why,
            former: (order.rollback && !blank_before).then(|| files.subscription()),
            blank_before,
            results_left: results_max,
            acknowledged: false,
        }
    }

    pub(super) const fn tid(&self) -> u32 {
        self.order.tid
    }

    pub(super) const fn state(&self) -> LastState {
        self.state
    }

    pub(super) const fn detail(&self) -> u8 {
        self.detail
    }

    /// The qualifier of the REFRESH that follows.
    pub(super) const fn refresh(&self) -> u8 {
        self.order.refresh.qualifier()
    }

    /// Whether the card is not yet done with it.
    pub(super) fn is_open(&self) -> bool {
        self.phase != Phase::Done
    }

    /// Where it is; `None` where nothing is left to do or to say.
    pub(super) fn point(&self) -> Option<WritePoint> {
        match (self.phase, self.state) {
            (Phase::PorDue, _) => Some(WritePoint::Accepted),
            (Phase::RefreshDue, LastState::RolledBack) => Some(WritePoint::Undone),
            (Phase::RefreshDue, _) => Some(WritePoint::Written),
            (Phase::ServiceDue, _) => Some(WritePoint::Refreshed),
            (Phase::Done, _) => self.result_is_due().then_some(WritePoint::Ended),
        }
    }

    /// The state as a result says it.
    pub(super) const fn status(&self) -> WriteStatus {
        match self.state {
            LastState::None | LastState::Accepted => WriteStatus::Accepted,
            LastState::Confirmed => WriteStatus::Confirmed,
            LastState::RolledBack => WriteStatus::RolledBack,
            LastState::Refused => WriteStatus::Refused,
        }
    }

    /// Writes the files, if that is what comes next; gives the transaction id if so.
    pub(super) fn execute(&mut self, files: &mut Files) -> Option<u32> {
        if self.phase != Phase::PorDue {
            return None;
        }
        let WriteCard { iccid, imsi, msisdn, smsc, .. } = &self.order;
        files.write_subscription(iccid.as_ref(), imsi, msisdn, smsc.as_ref());
        self.phase = Phase::RefreshDue;
        Some(self.order.tid)
    }

    /// The terminal reads the files anew. True if the write has waited for it.
    pub(super) fn refreshed(&mut self) -> bool {
        if self.phase != Phase::RefreshDue {
            return false;
        }
        if self.state == LastState::RolledBack {
            self.phase = Phase::Done;
        } else if self.blank_before {
            // Without a former subscription there is nothing to go back to, and nothing to wait for.
            self.state = LastState::Confirmed;
            self.phase = Phase::Done;
        } else {
            self.phase = Phase::ServiceDue;
        }
        true
    }

    /// There is service under the new subscription. True if the write has waited for it.
    pub(super) fn confirm(&mut self) -> bool {
        if self.phase != Phase::ServiceDue {
            return false;
        }
        self.state = LastState::Confirmed;
        self.phase = Phase::Done;
        true
    }

    /// Brings the former subscription back, if the write waits for service in vain and may. True if so.
    pub(super) fn roll_back(&mut self, files: &mut Files) -> bool {
        if self.phase != Phase::ServiceDue {
            return false;
        }
        let Some(former) = self.former.take() else { return false };
        files.restore(former);
        self.state = LastState::RolledBack;
        self.detail = detail::NO_SERVICE;
        self.phase = Phase::RefreshDue;
        true
    }

    /// Whether the platform has yet to hear how it ended.
    pub(super) fn result_is_due(&self) -> bool {
        self.phase == Phase::Done
            && matches!(self.state, LastState::Confirmed | LastState::RolledBack)
            && !self.acknowledged
            && self.results_left > 0
    }

    /// The result has gone out once more.
    pub(super) fn result_sent(&mut self) {
        self.results_left = self.results_left.saturating_sub(1);
    }

    /// The platform has stored this result. True if it is ours.
    pub(super) fn acknowledge(&mut self, tid: u32, status: WriteStatus) -> bool {
        let ours = self.order.tid == tid && self.status() == status;
        self.acknowledged |= ours;
        ours
    }
}
