//! What the response to a planned script says.

use super::{Action, PlannedScript};
use crate::card::profile::{FileName, MissingFiles, Profile};
use crate::ota::apdu::{Command, StatusWord};
use crate::ota::script::{ScriptResponse, Verdict, decode_response};

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every command was executed.
    Complete {
        /// What the last command read, where it reads and the card has sent as much as was asked for.
        read: Option<Vec<u8>>,
    },
    /// A command was refused, and none after it was executed.
    Failed {
        /// What it worked on.
        file: FileName,
        /// What the card said.
        status: StatusWord,
        /// Its place in the script, from 0.
        command: usize,
    },
    /// The response is none to this script: why.
    Unreadable(String),
}

impl PlannedScript {
    /// What the data of the response packet says about this script.
    #[must_use]
    pub fn outcome(&self, response: &[u8]) -> Outcome {
        let response = match decode_response(response) {
            Ok(response) => response,
            Err(error) => return Outcome::Unreadable(error.to_string()),
        };
        let commands: Vec<&[u8]> = self.commands.iter().map(|command| command.apdu.as_slice()).collect();
        match response.verdict(&self.options, &commands) {
            Verdict::Complete => Outcome::Complete { read: self.read(response) },
            Verdict::Failed { command, status } => match self.commands.get(command) {
                Some(failed) => Outcome::Failed { file: failed.file.clone(), status, command },
                None => Outcome::Unreadable(format!(
                    "command {} of {}: {status}",
                    command + 1,
                    self.commands.len()
                )),
            },
            Verdict::Refused(problem) => Outcome::Unreadable(problem.to_string()),
            Verdict::Incomplete { executed } => {
                Outcome::Unreadable(format!("{executed} of {} commands executed", self.commands.len()))
            }
        }
    }

    /// The place among the profile's steps of the optional file that the card does not have, where that is why `command` was
    /// refused: with the file itself, or a directory on the way to it. Steps that are `left_out` are none of this script's.
    #[must_use]
    pub fn missing(
        &self,
        profile: &Profile,
        left_out: MissingFiles,
        command: usize,
        status: StatusWord,
    ) -> Option<usize> {
        let mut rest = self.commands.iter().skip(command);
        let selects = rest.clone().next().is_some_and(|refused| refused.action == Action::Select);
        if !selects || !status.is_file_not_found() {
            return None;
        }
        let update = rest.find(|command| command.action == Action::Update)?;
        let mut steps = profile.write.steps.iter().enumerate();
        let (place, step) = steps.find(|(place, step)| {
            let tar = step.tar.unwrap_or(profile.mt.tar);
            step.file == update.file && tar == self.tar && !left_out.has(*place)
        })?;
        step.optional.then_some(place)
    }

    fn read(&self, response: ScriptResponse) -> Option<Vec<u8>> {
        let last = self.commands.last().filter(|last| last.action == Action::Read)?;
        let asked = Command::parse(&last.apdu).ok()?.expected;
        let data = response.responses.into_iter().last()?.data;
        (data.len() == asked).then_some(data)
    }
}
