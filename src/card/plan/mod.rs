//! What a write by remote file management sends: the scripts of commands that write the files of a card (TS 102 226 §5.2),
//! each small enough for the parts that the card joins.
//!
//! The last command of the last script reads EF.IMSI, which is written last: until then the card stays what it was, and
//! what it then reads proves how far it came. Every script selects its files itself, so that each can go out again.

mod capacity;
mod cost;
mod outcome;
mod script;
mod values;

pub use capacity::command_parts;
pub use cost::{Cost, write_card_cost};
pub use outcome::Outcome;

use script::Draft;
use values::contents;

use super::profile::{FileName, Method, MissingFiles, Profile, WriteStep};
use super::subscription::Subscription;
use crate::ota::Tar;
use crate::ota::apdu;
use crate::ota::ef::Ef;
use crate::ota::script::ScriptOptions;

/// The most scripts that a write may take.
const SCRIPTS_MAX: usize = 255;
/// Octets of EF.IMSI and of EF.ICCID.
const IMSI_OCTETS: u8 = 9;
const ICCID_OCTETS: u8 = 10;

/// The scripts of one write, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is sent, one packet each.
    pub scripts: Vec<PlannedScript>,
    /// Files of the profile that stay as they are: the order names no value for them, or the card does not have them.
    pub left_out: Vec<FileName>,
}

/// One script: the data of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedScript {
    /// Where the packet goes.
    pub tar: Tar,
    /// The commands, in their order.
    pub commands: Vec<PlannedCommand>,
    /// What the script has besides them: the REFRESH at the end of a write, where the profile names one.
    pub options: ScriptOptions,
    /// The script as the card reads it.
    pub data: Vec<u8>,
    /// Short messages that its packet takes with the longest checksum and the longest cipher block.
    pub parts: u8,
}

/// One command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCommand {
    /// The command APDU.
    pub apdu: Vec<u8>,
    /// What it works on.
    pub file: FileName,
    /// What it does there.
    pub action: Action,
}

/// What a command does with its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SELECT.
    Select,
    /// UPDATE BINARY or UPDATE RECORD.
    Update,
    /// READ BINARY.
    Read,
}

/// Why there is no plan. Profiles that load have one for every subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The profile's cards are not written by remote file management.
    #[error("method: expected \"rfm\"")]
    Method,
    /// A step cannot write what it is to write.
    #[error("write.step {step} ({file}): expected {expected}")]
    Step {
        /// Its place, from 1.
        step: usize,
        /// Its file.
        file: FileName,
        /// What is missing, or would fit.
        expected: String,
    },
    /// More scripts than a write may have.
    #[error("write.step: expected at most {SCRIPTS_MAX} scripts, found {0}")]
    Scripts(usize),
}

impl Plan {
    /// Plans how `target` is written to a card of `profile`.
    ///
    /// # Errors
    /// [`PlanError`]: never for a profile that was read by [`Profile::from_toml`].
    pub fn of(profile: &Profile, target: &Subscription) -> Result<Self, PlanError> {
        Self::without(profile, target, MissingFiles::default())
    }

    /// The same for a card that does not have the files `missing`.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn without(
        profile: &Profile,
        target: &Subscription,
        missing: MissingFiles,
    ) -> Result<Self, PlanError> {
        if profile.method != Method::Rfm {
            return Err(PlanError::Method);
        }
        let (mut scripts, mut left_out) = (Vec::new(), Vec::new());
        let mut open: Option<Draft<'_>> = None;
        for (place, step) in profile.write.steps.iter().enumerate() {
            if missing.has(place) {
                left_out.push(step.file.clone());
                continue;
            }
            let refuse = |expected| PlanError::Step { step: place + 1, file: step.file.clone(), expected };
            let Some(octets) = contents(step, &profile.write, target).map_err(refuse)? else {
                left_out.push(step.file.clone());
                continue;
            };
            let work = work(step, &octets).map_err(|error| refuse(error.to_string()))?;
            let tar = step.tar.unwrap_or(profile.mt.tar);
            // A script has one TAR, and no more octets than the card joins.
            let ends = is_imsi(&step.file);
            let longer = open.as_ref().filter(|open| open.tar() == tar);
            let longer = longer.map(|open| open.with(&step.file, &work, ends)).filter(Draft::fits);
            let next = longer.unwrap_or_else(|| {
                scripts.extend(open.take().map(Draft::finish));
                Draft::new(profile, tar).with(&step.file, &work, ends)
            });
            if !next.fits() {
                let parts = profile.mt.max_parts;
                return Err(refuse(format!(
                    "no more octets than the parts of a packet hold (mt.max_parts = {parts})"
                )));
            }
            open = Some(next);
        }
        scripts.extend(open.map(Draft::finish));
        if scripts.len() > SCRIPTS_MAX {
            return Err(PlanError::Scripts(scripts.len()));
        }
        Ok(Self { scripts, left_out })
    }

    /// What settles whether the script at this place (from 0) was executed: a script under its TAR, after whose answer nothing
    /// older under that TAR can execute any more. It reads EF.IMSI where the plan writes it under the same TAR, else it selects
    /// the file that the script begins with. `None` where the plan has no such script.
    #[must_use]
    pub fn poll(&self, profile: &Profile, script: usize) -> Option<PlannedScript> {
        let asked = self.scripts.get(script)?;
        if self.scripts.last().is_some_and(|last| last.tar == asked.tar) {
            return Some(read_imsi(profile, asked.tar));
        }
        let first = asked.commands.iter().find(|command| command.action != Action::Select)?;
        Some(Draft::new(profile, asked.tar).with(&first.file, &[], false).finish())
    }
}

/// The script that reads EF.IMSI under this TAR.
#[must_use]
pub fn read_imsi(profile: &Profile, tar: Tar) -> PlannedScript {
    read(profile, tar, Ef::Imsi, IMSI_OCTETS)
}

/// The script that reads EF.ICCID: its answer proves which card it is.
#[must_use]
pub fn read_iccid(profile: &Profile) -> PlannedScript {
    read(profile, profile.poll.iccid_tar.unwrap_or(profile.mt.tar), Ef::Iccid, ICCID_OCTETS)
}

fn read(profile: &Profile, tar: Tar, ef: Ef, octets: u8) -> PlannedScript {
    let file = FileName::Known(ef);
    let read =
        PlannedCommand { apdu: apdu::read_binary(0, octets), file: file.clone(), action: Action::Read };
    Draft::new(profile, tar).with(&file, &[read], false).finish()
}

/// What is done with the file of a step once it is selected. EF.IMSI is read again behind its update.
fn work(step: &WriteStep, octets: &[u8]) -> Result<Vec<PlannedCommand>, apdu::ApduError> {
    let command = |apdu, action| PlannedCommand { apdu, file: step.file.clone(), action };
    let update = match step.record_number() {
        Some(number) => apdu::update_record(number, octets)?,
        None => apdu::update_binary(0, octets)?,
    };
    let mut commands = vec![command(update, Action::Update)];
    if is_imsi(&step.file) {
        commands.push(command(apdu::read_binary(0, IMSI_OCTETS), Action::Read));
    }
    Ok(commands)
}

fn is_imsi(file: &FileName) -> bool {
    *file == FileName::Known(Ef::Imsi)
}

#[cfg(test)]
mod tests;
