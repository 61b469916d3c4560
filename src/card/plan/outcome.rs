//! What the response to a planned script says.

use super::{Action, PlannedScript};
use crate::card::profile::FileName;
use crate::ota::apdu::StatusWord;
use crate::ota::script::{ScriptResponse, Verdict, decode_response};

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every command was executed.
    Complete {
        /// What the last command read, where it reads.
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

    fn read(&self, response: ScriptResponse) -> Option<Vec<u8>> {
        let reads = self.commands.last().is_some_and(|last| last.action == Action::Read);
        response.responses.into_iter().last().filter(|_| reads).map(|last| last.data)
    }
}
