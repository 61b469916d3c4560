//! Remote file management (TS 102 226 §5, §8): scripts that run against the files, and what the card does about an
//! EF.IMSI that they have changed.

mod session;

use crate::ota::Tar;
use crate::sim::card::RefreshHabit;
use crate::sim::card::files::{Files, MF, Selection, USIM};
use crate::sim::card::spec::{Rfm, SessionStart};
use crate::sim::card::toolkit::Proactive;
use crate::sim::fault_plan::WritePoint;
use session::Session;

/// Qualifier of REFRESH: UICC reset (TS 102 223 §8.6).
const UICC_RESET: u8 = 0x04;

/// Where the card stands with an EF.IMSI that a script has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The terminal has read what is there.
    #[default]
    Read,
    /// The response to the script has yet to go out.
    Changed,
    /// REFRESH is to come, after so many STATUS.
    RefreshDue(u32),
    /// The terminal has REFRESH and has not answered it.
    Refreshing,
    /// The terminal reads anew; there is no service yet.
    ServiceDue,
}

/// The applications, and what a script has left to do.
#[derive(Debug, Clone, Default)]
pub(super) struct FileManagement {
    rfm: Rfm,
    retry_status: u32,
    phase: Phase,
    /// A script has changed files, and its response has yet to go out.
    por_due: bool,
    /// The qualifier of a REFRESH that a script asked for.
    asked: Option<u8>,
    power_cut: PowerCut,
}

/// Power that is lost in the middle of a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum PowerCut {
    #[default]
    None,
    /// Once a file has been updated.
    Expected,
    /// Just now.
    Struck,
}

impl FileManagement {
    /// A REFRESH that the terminal refuses is tried again after `retry_status` STATUS commands.
    pub(super) fn new(rfm: Option<Rfm>, retry_status: u32) -> Self {
        Self { rfm: rfm.unwrap_or_default(), retry_status, ..Self::default() }
    }

    /// Whether this card has it.
    pub(super) const fn is_there(&self) -> bool {
        !self.rfm.applications.is_empty()
    }

    /// Runs a script for an application; gives the data of its response. `None` where it is none of these.
    pub(super) fn execute(&mut self, tar: Tar, data: &[u8], files: &mut Files) -> Option<Vec<u8>> {
        let application = self.rfm.applications.iter().find(|application| application.tar == tar)?;
        let selection = Selection::of(match application.start {
            SessionStart::Mf => MF,
            SessionStart::Usim => USIM,
        });
        let (imsi, power_cut) = (files.imsi(), self.power_cut);
        let mut session = Session::new(files, selection, power_cut);
        let response = session.run(data).encode();
        (self.por_due, self.power_cut) = (self.por_due || session.changed, session.power_cut);
        let asked = session.refresh;
        self.asked = asked.or(self.asked);
        if files.imsi() != imsi || asked.is_some() {
            self.phase = Phase::Changed;
        }
        Some(response)
    }

    /// The response has gone out, or never will.
    pub(super) fn por_gone(&mut self) {
        self.por_due = false;
        let refreshes = self.asked.is_some() || self.rfm.refresh != RefreshHabit::None;
        if self.phase == Phase::Changed && refreshes {
            self.phase = Phase::RefreshDue(0);
        }
    }

    /// STATUS: the clock of a card.
    pub(super) fn status(&mut self) {
        if let Phase::RefreshDue(wait) = &mut self.phase {
            *wait = wait.saturating_sub(1);
        }
    }

    /// Whether power is lost once the next script has updated a file.
    pub(super) const fn expect_power_cut(&mut self, expected: bool) {
        self.power_cut = if expected { PowerCut::Expected } else { PowerCut::None };
    }

    /// A reset: the terminal reads the files anew in any case.
    pub(super) fn reset(&mut self) {
        (self.por_due, self.asked, self.power_cut) = (false, None, PowerCut::None);
        if self.phase != Phase::Read {
            self.phase = Phase::ServiceDue;
        }
    }

    /// The REFRESH that is to go out now.
    pub(super) fn poll_refresh(&mut self) -> Option<Proactive> {
        if self.phase != Phase::RefreshDue(0) {
            return None;
        }
        self.phase = Phase::Refreshing;
        match (self.asked, self.rfm.refresh) {
            (Some(qualifier), _) => Some(Proactive::Refresh(qualifier)),
            (None, RefreshHabit::None) => None,
            (None, RefreshHabit::UiccReset) => Some(Proactive::Refresh(UICC_RESET)),
            (None, RefreshHabit::FileChange) => Some(Proactive::ImsiChanged),
        }
    }

    /// How the terminal took REFRESH. A UICC reset is not answered: [`FileManagement::reset`] follows instead.
    pub(super) fn refresh_answered(&mut self, done: bool) {
        match self.phase {
            Phase::Refreshing if done => (self.phase, self.asked) = (Phase::ServiceDue, None),
            Phase::Refreshing => self.phase = Phase::RefreshDue(self.retry_status),
            _ => {}
        }
    }

    /// AUTHENTICATE succeeded under the present EF.IMSI.
    pub(super) fn authenticated(&mut self) {
        if self.phase == Phase::ServiceDue {
            self.phase = Phase::Read;
        }
    }

    /// Where the write is that these scripts are steps of, as far as the card can tell.
    pub(super) const fn write_point(&self) -> Option<WritePoint> {
        match self.phase {
            _ if matches!(self.power_cut, PowerCut::Struck) => Some(WritePoint::WithinScript),
            _ if self.por_due => Some(WritePoint::Accepted),
            Phase::Read | Phase::Changed => None,
            Phase::RefreshDue(_) | Phase::Refreshing => Some(WritePoint::Written),
            Phase::ServiceDue => Some(WritePoint::Refreshed),
        }
    }
}

#[cfg(test)]
mod tests;
