//! Writes by remote file management: a plan of scripts, each answered before the next one goes out. What became of them is
//! read from the card's files.

use super::Work;
use crate::applet::WriteStatus;
use crate::card::plan::{self, Action, Outcome, Plan, PlannedScript};
use crate::card::{
    Active, DeviceView, End, Method, MissingFiles, Profile, ReadFile, Reads, Scope, ScriptOctets,
    StepFailure, Subscription, Unsettled, WriteState,
};
use crate::identity::{Iccid, Imsi, Msisdn};
use crate::ota::Tar;
use crate::ota::apdu::StatusWord;

/// What EF.IMSI holds, as the card answers; `None` where it holds no IMSI.
type Found = Option<Imsi>;

impl Work<'_> {
    pub(super) fn is_rfm(&self) -> bool {
        self.terms.profile.method == Method::Rfm
    }

    /// The next script of the active write's plan; `None` where an applet is told what to write.
    pub(super) fn next_script(&mut self) -> Result<Option<PlannedScript>, String> {
        let profile = self.terms.profile;
        let Some(active) = self.card.active.as_mut().filter(|_| profile.method == Method::Rfm) else {
            return Ok(None);
        };
        let plan = Plan::without(profile, &active.order.target, active.missing);
        let plan = plan.map_err(|error| error.to_string())?;
        // A plan that has become shorter begins anew: what is written twice is the same.
        if usize::from(active.step) >= plan.scripts.len() {
            active.step = 0;
        }
        let script = plan.scripts.into_iter().nth(active.step.into());
        script.map(Some).ok_or_else(|| "its plan has no script".to_owned())
    }

    fn plan(&self, target: &Subscription) -> Option<Plan> {
        let active = self.card.active.as_ref().filter(|active| active.order.target == *target);
        let missing = active.map(|active| active.missing).unwrap_or_default();
        Plan::without(self.terms.profile, target, missing).ok()
    }

    /// How many scripts the plan of this target has.
    fn scripts(&self, target: &Subscription) -> usize {
        self.plan(target).map_or(0, |plan| plan.scripts.len())
    }

    /// Whether EF.IMSI of the card may be that of `target` once `step` was handed out.
    pub(super) fn writes_imsi(&self, target: &Subscription, step: u8) -> bool {
        !self.is_rfm() || usize::from(step) + 1 >= self.scripts(target)
    }

    /// The card's response to the next script of the active write, from a number or on site.
    pub(super) fn script_response(&mut self, response: &ScriptOctets, from: Option<Msisdn>) {
        self.card.outstanding = None;
        let Ok(Some(script)) = self.next_script() else {
            return self.doubt("the plan is not to be had any more");
        };
        let Some(active) = &self.card.active else { return };
        let (target, step) = (active.order.target.clone(), active.step);
        let files = updated(&script);
        match script.outcome(&response.0) {
            Outcome::Complete { read } if self.writes_imsi(&target, step) => {
                if read.as_deref().and_then(imsi) != Some(target.imsi) {
                    let command = u8::try_from(script.commands.len().saturating_sub(1)).unwrap_or(u8::MAX);
                    return self.stopped(StepFailure { command, status: Some(StatusWord::OK) });
                }
                self.written_with(&files);
                // It has refreshed before its answer went out.
                if from == Some(target.msisdn) {
                    self.in_files(target, from);
                }
            }
            Outcome::Complete { .. } => {
                let what = format!("script {} of {}: {files}", step.saturating_add(1), self.scripts(&target));
                self.write_fact("write.step", what);
                self.resume_at(step.saturating_add(1));
            }
            Outcome::Failed { command, status, .. }
                if let Some(place) = script.missing(self.terms.profile, active.missing, command, status)
                    && let Some(missing) = active.missing.with(place) =>
            {
                self.go_without(missing, place);
            }
            Outcome::Failed { command, status, .. } => {
                let command = u8::try_from(command).unwrap_or(u8::MAX);
                self.stopped(StepFailure { command, status: Some(status) });
            }
            Outcome::Unreadable(why) => {
                self.fact("card.hint", format!("a response that cannot be read: {why}"));
                self.stopped(StepFailure { command: 0, status: None });
            }
        }
    }

    /// The card does not have the file of the step at `place`. The plan without it begins anew, as its scripts may be other
    /// ones: what is written twice is the same.
    fn go_without(&mut self, missing: MissingFiles, place: usize) {
        let Some(active) = &mut self.card.active else { return };
        active.missing = missing;
        if let Some(step) = self.terms.profile.write.steps.get(place) {
            self.write_fact("write.step", format!("{} is left out: the card has no such file", step.file));
        }
        self.resume_at(0);
    }

    /// The card has stopped within a script: before the write ends, its EF.IMSI is read.
    fn stopped(&mut self, failure: StepFailure) {
        if let Some(active) = &mut self.card.active {
            active.failure = Some(failure);
        }
        let why = self.why_stopped();
        self.doubt(&why);
    }

    /// File and status word where the active write stopped.
    pub(super) fn why_stopped(&mut self) -> String {
        let failure = self.card.active.as_ref().and_then(|active| active.failure);
        let Some(StepFailure { command, status: Some(status) }) = failure else {
            return "its response cannot be read".to_owned();
        };
        let script = self.next_script().ok().flatten();
        let file = script.and_then(|script| Some(script.commands.get(usize::from(command))?.file.clone()));
        match (file, status) {
            (Some(file), StatusWord::OK) => format!("{file} does not hold what was written"),
            (Some(file), status) => format!("{file}: {status}"),
            (None, status) => status.to_string(),
        }
    }

    /// What a poll asks now, and the script that does it.
    pub(super) fn question(&self) -> (Reads, ScriptOctets) {
        let profile = self.terms.profile;
        let of_unsettled = || self.card.unsettled.last().map(|last| (&last.target, last.step));
        let asked = match self.card.active.as_ref().map(|active| (active.state, active)) {
            Some((WriteState::Unknown, active)) if active.failure.is_none() => {
                Some((&active.order.target, active.step))
            }
            Some((WriteState::Unknown, _)) => None,
            Some((WriteState::Queued, _)) => of_unsettled(),
            _ if self.may_prove_claim() => {
                let script = plan::read_iccid(profile);
                return (Reads { tar: script.tar, file: ReadFile::Iccid }, ScriptOctets(script.data));
            }
            Some(_) => None,
            None => of_unsettled(),
        };
        // What may still be executed is asked for where it would be: the answer is a fence there.
        let poll = asked.and_then(|(target, step)| self.plan(target)?.poll(profile, usize::from(step)));
        let poll = poll.unwrap_or_else(|| plan::read_imsi(profile, imsi_tar(profile)));
        let reads = poll.commands.last().is_some_and(|last| last.action == Action::Read);
        let file = if reads { ReadFile::Imsi } else { ReadFile::Nothing };
        (Reads { tar: poll.tar, file }, ScriptOctets(poll.data))
    }

    /// An authenticated answer to a poll; `false` where it does not say what was asked.
    pub(super) fn files_read(
        &mut self,
        reads: Reads,
        response: &ScriptOctets,
        from: Option<Msisdn>,
        device: Option<DeviceView>,
    ) -> bool {
        let profile = self.terms.profile;
        (self.card.resync, self.card.restored) = (false, false);
        match reads.file {
            ReadFile::Nothing => self.files_fenced(reads.tar, None, from),
            ReadFile::Imsi => match plan::read_imsi(profile, reads.tar).outcome(&response.0) {
                Outcome::Complete { read: Some(octets) } => {
                    self.files_fenced(reads.tar, Some(imsi(&octets)), from)
                }
                _ => self.files_fenced(reads.tar, None, from),
            },
            ReadFile::Iccid => {
                let read = match plan::read_iccid(profile).outcome(&response.0) {
                    Outcome::Complete { read } => read,
                    Outcome::Failed { .. } | Outcome::Unreadable(_) => None,
                };
                self.settle_claim_by_iccid(
                    read.as_deref().and_then(|octets| Iccid::from_octets(octets).ok()),
                    device,
                );
                true
            }
        }
    }

    /// Nothing older than the poll can execute any more in the scope of its TAR; `found` is what EF.IMSI holds, where it
    /// was read. `false` where that would have to be known.
    fn files_fenced(&mut self, tar: Tar, found: Option<Found>, from: Option<Msisdn>) -> bool {
        if let Some(active) = &mut self.card.active {
            active.refused_in_clear = false;
        }
        let settled = self.settle_by_files(tar, found, from);
        let still_open = !self.card.unsettled.is_empty();
        let Some(active) = self.card.active.clone() else {
            self.tell_odd_imsi(found);
            return found.is_some() || settled;
        };
        let target = &active.order.target;
        let has_target = found == Some(Some(target.imsi));
        let may_have = active.failure.is_some() || self.writes_imsi(target, active.step);
        match active.state {
            WriteState::Queued if still_open && !settled => {
                let wait_s = self.terms.timers.result_polls_s.first().copied().unwrap_or(600);
                self.poll_from(self.now + wait_s * 1000);
            }
            WriteState::Unknown if has_target && may_have => self.in_files(target.clone(), from),
            WriteState::Unknown if found.is_none() && self.writes_imsi(target, active.step) => return false,
            WriteState::Unknown if active.failure.is_some() => {
                let why = self.why_stopped();
                self.end(End::Failed, Some(why));
            }
            WriteState::Unknown => self.not_applied(),
            WriteState::Written if has_target => self.in_files(target.clone(), from),
            WriteState::Written if found.is_some() => {
                self.end(End::RolledBack, Some(holds(found.flatten())));
            }
            _ => return found.is_some() || settled,
        }
        true
    }

    /// A card that no write is about has another IMSI than it is known by.
    fn tell_odd_imsi(&mut self, found: Option<Found>) {
        let current = self.card.current.as_ref().map(|current| current.imsi);
        if let (Some(found), Some(current)) = (found, current)
            && found != Some(current)
        {
            self.fact("card.hint", format!("{}, the card is known by {current}", holds(found)));
        }
    }

    /// The card has the IMSI of the active write in its files: in effect where it answers under that subscription.
    fn in_files(&mut self, target: Subscription, from: Option<Msisdn>) {
        if self.answers_as(&target, from) {
            self.replace_subscription(target);
            self.end(End::Effective, None);
        } else {
            self.written();
            self.result_is_to_come();
        }
    }

    /// Whether an answer shows that the card has service as `target`, or on site that it was reset since.
    fn answers_as(&self, target: &Subscription, from: Option<Msisdn>) -> bool {
        let not_reset =
            |active: &Active| active.order.target == *target && active.state != WriteState::Written;
        from.map_or(!self.card.active.as_ref().is_some_and(not_reset), |from| from == target.msisdn)
    }

    /// What writes before came to that ended unresolved; whether any is settled.
    fn settle_by_files(&mut self, tar: Tar, found: Option<Found>, from: Option<Msisdn>) -> bool {
        let mut settled = false;
        for Unsettled { tid, target, step, .. } in self.card.unsettled.clone() {
            let plan = self.plan(&target);
            let script = plan.as_ref().and_then(|plan| plan.scripts.get(usize::from(step)));
            let asked = script.map_or(imsi_tar(self.terms.profile), |script| script.tar);
            let fenced = self.terms.profile.mt.scope != Scope::Tar || asked == tar;
            let status = match found {
                _ if !fenced => continue,
                Some(found) if found == Some(target.imsi) && self.answers_as(&target, from) => {
                    WriteStatus::Confirmed
                }
                // The card has it in its files, and has not begun to use it.
                Some(found) if found == Some(target.imsi) => continue,
                None if self.writes_imsi(&target, step) => continue,
                Some(_) | None => WriteStatus::Refused,
            };
            self.late_proof(tid, status, found.flatten());
            settled = true;
        }
        settled
    }
}

/// The files that a script updates.
fn updated(script: &PlannedScript) -> String {
    let updates = script.commands.iter().filter(|command| command.action == Action::Update);
    updates.map(|command| command.file.to_string()).collect::<Vec<_>>().join(", ")
}

/// What EF.IMSI holds, in words.
fn holds(found: Found) -> String {
    found.map_or("EF.IMSI holds no IMSI".to_owned(), |imsi| format!("EF.IMSI holds {imsi}"))
}

/// Where EF.IMSI is written and read.
fn imsi_tar(profile: &Profile) -> Tar {
    profile.write.steps.last().and_then(|step| step.tar).unwrap_or(profile.mt.tar)
}

/// The IMSI in the octets of EF.IMSI.
fn imsi(octets: &[u8]) -> Found {
    Imsi::from_ef(octets).ok()
}
