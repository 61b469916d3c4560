//! Whether a script did all that it says.

use super::{Format, Problem, ScriptOptions, ScriptResponse};
use crate::ota::apdu::{Command, StatusWord, instruction, p3_is_le};

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All commands were executed and ended well.
    Complete,
    /// A command failed; those behind it have not run.
    Failed {
        /// Which command, counted from 0.
        command: usize,
        /// How it ended.
        status: StatusWord,
    },
    /// The card did not take the script, or not to its end.
    Refused(Problem),
    /// Nothing failed, but another number of commands was executed than was sent, or the answer does not say how the last one
    /// ended.
    Incomplete {
        /// Commands that were executed.
        executed: usize,
    },
}

impl ScriptResponse {
    /// What became of the script that was encoded from these options and commands.
    ///
    /// Good are 9000, 91xx and 920x; 63Cx of an update (done, after x retries); 61xx and 9Fxx (data waiting) of a command
    /// that brought data or has GET RESPONSE behind it. Everything else has failed, 62F1 included.
    ///
    /// With indefinite length there is no number: a failed command is counted as if every command before it had answered.
    pub fn verdict<C: AsRef<[u8]>>(&self, options: &ScriptOptions, commands: &[C]) -> Verdict {
        if let Some(problem) = self.problem {
            return Verdict::Refused(problem);
        }
        let commands: Vec<&[u8]> = commands.iter().map(AsRef::as_ref).collect();
        let executed = match self.executed_commands(options, &commands) {
            Ok(executed) => executed,
            Err(executed) => return Verdict::Incomplete { executed },
        };
        let answered = answered(&commands, executed, self.responses.len());
        let first = self.responses.len().saturating_sub(answered.len());
        for (response, &command) in self.responses.iter().skip(first).zip(&answered) {
            if !ended_well(&commands, command, response.status) {
                return Verdict::Failed { command, status: response.status };
            }
        }
        if executed == commands.len() && !answered.is_empty() {
            Verdict::Complete
        } else {
            Verdict::Incomplete { executed }
        }
    }

    /// Which command each of the [`ScriptResponse::responses`] answers, counted from 0, where the script was encoded from these
    /// options and commands; empty where their numbers cannot be brought together.
    pub fn answered<C: AsRef<[u8]>>(&self, options: &ScriptOptions, commands: &[C]) -> Vec<usize> {
        let commands: Vec<&[u8]> = commands.iter().map(AsRef::as_ref).collect();
        match self.executed_commands(options, &commands) {
            Ok(executed) => answered(&commands, executed, self.responses.len()),
            Err(_) => Vec::new(),
        }
    }

    /// How many commands were executed, or a number that cannot be one of these.
    fn executed_commands(&self, options: &ScriptOptions, commands: &[&[u8]]) -> Result<usize, usize> {
        let (sent, answers) = (commands.len(), self.responses.len());
        if answers > sent {
            return Err(answers);
        }
        let Some(executed) = self.executed else {
            let last = self.responses.last();
            let to_its_end = answers == asking(commands, sent).len()
                && last.is_some_and(|last| ended_well(commands, sent - 1, last.status));
            return Ok(if to_its_end { sent } else { answers });
        };
        let executed = usize::try_from(executed).unwrap_or(usize::MAX);
        let (before, objects) = match self.format {
            Format::Compact => (0, 0),
            _ => (options.objects_before(), options.objects()),
        };
        if executed > sent + objects {
            return Err(executed);
        }
        // Cards that count only commands are found out by their answers.
        Ok(executed.saturating_sub(before).max(answers.min(executed)).min(sent))
    }
}

/// Which of the executed commands the R-APDUs belong to: all of them, or those of [`asking`]; where neither number fits, the
/// last R-APDU to the last command.
fn answered(commands: &[&[u8]], executed: usize, answers: usize) -> Vec<usize> {
    let asking = asking(commands, executed);
    match answers {
        0 => Vec::new(),
        _ if answers == executed => (0..executed).collect(),
        _ if answers == asking.len() => asking,
        _ => executed.checked_sub(1).into_iter().collect(),
    }
}

/// The commands among the first `executed` that a card has to answer: those that asked for data, and the last one.
fn asking(commands: &[&[u8]], executed: usize) -> Vec<usize> {
    let expects_data = |apdu: &[u8]| Command::parse(apdu).is_ok_and(|command| command.expects_data());
    let asks =
        |(command, apdu): (usize, &&[u8])| (command + 1 == executed || expects_data(apdu)).then_some(command);
    commands.iter().take(executed).enumerate().filter_map(asks).collect()
}

fn ended_well(commands: &[&[u8]], command: usize, status: StatusWord) -> bool {
    let header = |command: usize| commands.get(command).and_then(|apdu| apdu.first_chunk::<4>()).copied();
    let Some([_, ins, p1, p2]) = header(command) else { return false };
    let next_fetches = matches!(header(command + 1), Some([_, instruction::GET_RESPONSE, ..]));
    let updates =
        matches!(ins, instruction::UPDATE_BINARY | instruction::UPDATE_RECORD | instruction::INCREASE);
    status.is_success()
        || status.has_data_waiting() && (next_fetches || !p3_is_le(ins, p1, p2))
        || status.0 & 0xFFF0 == 0x63C0 && updates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::apdu::{get_response, read_binary, select, update_binary};
    use crate::ota::script::{Action, Chaining, decode_response};

    /// Of SELECT, UPDATE BINARY, READ BINARY.
    fn verdict(response: &str) -> Verdict {
        verdict_of(response, &ScriptOptions::default(), &write())
    }

    fn verdict_of(response: &str, options: &ScriptOptions, commands: &[Vec<u8>]) -> Verdict {
        let response = hex::decode(response.replace(' ', "")).unwrap();
        decode_response(&response).unwrap().verdict(options, commands)
    }

    fn write() -> Vec<Vec<u8>> {
        vec![select(0x6F07), update_binary(0, &[8; 9]).unwrap(), read_binary(0, 9)]
    }

    fn failed(command: usize, status: u16) -> Verdict {
        Verdict::Failed { command, status: StatusWord(status) }
    }

    #[test]
    fn a_compact_answer_is_judged_by_number_and_last_status() {
        assert_eq!(verdict("03 9000 0102"), Verdict::Complete);
        assert_eq!(verdict("03 910b"), Verdict::Complete);
        assert_eq!(verdict("02 6982"), failed(1, 0x6982));
        assert_eq!(verdict("01 6a82"), failed(0, 0x6A82));
        assert_eq!(verdict("03 6c0a"), failed(2, 0x6C0A));
        assert_eq!(verdict("03 62f1 01"), failed(2, 0x62F1));
        assert_eq!(verdict("03 6109"), failed(2, 0x6109), "what was to be read still waits");
        assert_eq!(verdict("02 9000"), Verdict::Incomplete { executed: 2 });
        assert_eq!(verdict("04 9000"), Verdict::Incomplete { executed: 4 });
        assert_eq!(verdict("00"), Verdict::Incomplete { executed: 0 });
        assert_eq!(
            verdict_of("00 9000", &ScriptOptions::default(), &write()[..1]),
            Verdict::Incomplete { executed: 0 }
        );
        assert_eq!(verdict("00 6f00"), Verdict::Incomplete { executed: 0 });
    }

    #[test]
    fn data_waiting_is_good_where_it_is_fetched_or_not_wanted() {
        let none = ScriptOptions::default();
        let increase = vec![0x00, 0x32, 0, 0, 3, 0, 0, 1];
        assert_eq!(verdict_of("01 612f", &none, &[select(0x3F00)]), Verdict::Complete);
        assert_eq!(verdict_of("01 9f0f", &none, std::slice::from_ref(&increase)), Verdict::Complete);
        let fetched = [increase, get_response(0)];
        assert_eq!(
            verdict_of("ab0f 800102 2302 6104 2306 00000001 9000", &none, &fetched),
            Verdict::Complete
        );
        let updates = [update_binary(0, &[1]).unwrap()];
        assert_eq!(verdict_of("01 63c2", &none, &updates), Verdict::Complete);
        assert_eq!(verdict_of("01 63c2", &none, &[select(0x3F00)]), failed(0, 0x63C2));
    }

    #[test]
    fn an_expanded_answer_has_every_command_or_those_that_asked() {
        assert_eq!(verdict("ab10 800103 2302 9000 2302 9000 2303 01 9000"), Verdict::Complete);
        assert_eq!(verdict("ab08 800103 2303 01 9000"), Verdict::Complete);
        assert_eq!(verdict("ab07 800102 2302 6982"), failed(1, 0x6982));
        assert_eq!(verdict("ab0b 800102 2302 9000 2302 6982"), failed(1, 0x6982));
        assert_eq!(verdict("ab0f 800103 2302 9000 2302 6a82 2302 9000"), failed(1, 0x6A82));
        assert_eq!(verdict("ab03 800103"), Verdict::Incomplete { executed: 3 });
        assert_eq!(verdict("ab07 800102 2302 9000"), Verdict::Incomplete { executed: 2 });
        assert_eq!(verdict("ab07 8001ff 2302 9000"), Verdict::Incomplete { executed: 255 });
        let bad_format = Problem::BadFormat(crate::ota::script::BadFormat::WRONG_LENGTH);
        assert_eq!(verdict("ab0a 800101 2302 9000 900102"), Verdict::Refused(bad_format));
    }

    #[test]
    fn without_a_number_the_answers_are_counted() {
        assert_eq!(verdict("af80 2302 9000 2302 9000 2303 01 9000 0000"), Verdict::Complete);
        assert_eq!(verdict("af80 2303 01 9000 0000"), Verdict::Complete);
        assert_eq!(verdict("af80 2302 6a82 0000"), failed(0, 0x6A82));
        assert_eq!(verdict("af80 2302 9000 2302 6982 0000"), failed(1, 0x6982));
        assert_eq!(verdict("af80 2302 9000 2302 9000 0000"), Verdict::Incomplete { executed: 2 });
        assert_eq!(verdict("af80 0000"), Verdict::Incomplete { executed: 0 });
        assert_eq!(
            verdict("af80 2302 9000 2302 9000 2302 9000 2302 9000 0000"),
            Verdict::Incomplete { executed: 4 }
        );
    }

    #[test]
    fn actions_and_chaining_are_counted_as_well() {
        let options = ScriptOptions {
            chaining: Some(Chaining::FirstKeep),
            error_action: None,
            immediate_actions: vec![Action::EarlyResponse, Action::refresh(4)],
        };
        let verdict = |response: &str| verdict_of(response, &options, &write());
        // All objects, those up to the early response, or only commands.
        for executed in ["06", "05", "04"] {
            assert_eq!(verdict(&format!("ab08 8001{executed} 2303 01 9000")), Verdict::Complete);
        }
        assert_eq!(verdict("ab10 800103 2302 9000 2302 9000 2303 01 9000"), Verdict::Complete);
        assert_eq!(verdict("ab07 800103 2302 6982"), failed(1, 0x6982));
        assert_eq!(verdict("ab03 800107"), Verdict::Incomplete { executed: 7 });
        let refused = Verdict::Refused(Problem::Chaining(2));
        assert_eq!(verdict("ab06 800100 830102"), refused);
    }
}
