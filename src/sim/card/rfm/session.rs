//! One script at work: commands on files with a selection of their own, up to the first that fails.

use super::PowerCut;
use crate::ota::apdu::instruction;
use crate::ota::comprehension_tlv::{command, find, read_all, tag};
use crate::ota::script::{
    Action, BadFormat, ExpandedScript, Format, Object, Problem, ResponseApdu, ScriptResponse, decode_compact,
    decode_expanded,
};
use crate::sim::card::apdu::{Answer, Command, Status};
use crate::sim::card::files::{Files, Party, Selection};

/// The class of commands to a UICC.
const CLASS: u8 = 0x00;
/// What nobody hears of a card without power.
const NO_POWER: Status = Status(0x6F00);
/// What an expanded response says of an immediate action and of a chain that are not possible (TS 102 226 §5.2.2).
const SUSPENSION_ERROR: u8 = 0x01;
const CHAINING_NOT_SUPPORTED: u8 = 0x02;

/// A session of an application, from one script to its end.
pub(super) struct Session<'a> {
    files: &'a mut Files,
    selection: Selection,
    /// Data of the last command, for GET RESPONSE.
    waiting: Option<Vec<u8>>,
    /// A file has been updated.
    pub(super) changed: bool,
    /// The qualifier of a REFRESH that the script asks for.
    pub(super) refresh: Option<u8>,
    pub(super) power_cut: PowerCut,
}

impl<'a> Session<'a> {
    pub(super) const fn new(files: &'a mut Files, selection: Selection, power_cut: PowerCut) -> Self {
        Self { files, selection, waiting: None, changed: false, refresh: None, power_cut }
    }

    /// Runs a script up to the first command that fails. The first octet tells the formats apart.
    pub(super) fn run(&mut self, script: &[u8]) -> ScriptResponse {
        if Format::of_script(script) == Format::Compact {
            return self.compact(script);
        }
        match decode_expanded(script) {
            Ok(script) => self.expanded(&script),
            Err(_) => ScriptResponse {
                format: Format::Expanded,
                executed: Some(0),
                responses: Vec::new(),
                problem: Some(Problem::BadFormat(BadFormat::WRONG_LENGTH)),
            },
        }
    }

    /// What the last command answered, and how many there were (TS 102 226 §5.1). A script that ends within a command is
    /// not begun.
    fn compact(&mut self, script: &[u8]) -> ScriptResponse {
        let (mut executed, mut last) = (0, Status::WRONG_LENGTH.into());
        for command in decode_compact(script).unwrap_or_default() {
            executed += 1;
            last = self.command(command, false);
            if !goes_on(&last) {
                break;
            }
        }
        let responses = vec![response(last)];
        ScriptResponse { format: Format::Compact, executed: Some(executed), responses, problem: None }
    }

    /// What each command answered that asked for data, and the last one (TS 102 226 §5.2). Chains of scripts are beyond
    /// this card.
    fn expanded(&mut self, script: &ExpandedScript<'_>) -> ScriptResponse {
        let (mut executed, mut responses, mut problem) = (0, Vec::new(), None);
        let mut last = None;
        for object in &script.objects {
            executed += 1;
            match object {
                Object::Command(apdu) => {
                    responses.extend(last.take().filter(|last: &Answer| !last.data.is_empty()).map(response));
                    let answer = self.command(apdu, true);
                    let ends = !goes_on(&answer);
                    last = Some(answer);
                    if ends {
                        break;
                    }
                }
                Object::ErrorAction(_) => {}
                Object::ImmediateAction(value) => {
                    let possible = self.act(Action::read(value));
                    problem = (!possible).then_some(Problem::ImmediateAction(SUSPENSION_ERROR));
                }
                Object::Chaining(_) => problem = Some(Problem::Chaining(CHAINING_NOT_SUPPORTED)),
            }
            if problem.is_some() {
                break;
            }
        }
        let whole = executed == script.objects.len() && last.as_ref().is_none_or(goes_on);
        let problem = problem.or(script.bad_format.filter(|_| whole).map(Problem::BadFormat));
        responses.extend(last.map(response));
        let executed = (script.format == Format::Expanded).then_some(executed.try_into().unwrap_or(u32::MAX));
        ScriptResponse { format: script.format, executed, responses, problem }
    }

    /// Whether this card can do that besides the commands: REFRESH, once its response is out.
    fn act(&mut self, action: Option<Action>) -> bool {
        match action {
            // There is no session that it would have to wait for, and its responses are early.
            Some(Action::SessionIndication | Action::EarlyResponse) => true,
            Some(Action::Proactive(objects)) => {
                let objects = read_all(&objects).unwrap_or_default();
                let details = find(&objects, tag::COMMAND_DETAILS);
                self.refresh = match details {
                    Some([_, command::REFRESH, qualifier]) => Some(*qualifier),
                    _ => return false,
                };
                true
            }
            Some(Action::Record(_)) | None => false,
        }
    }

    /// One command. Data of a command with data come at once where the format lets it say Le (`at_once`), else they wait.
    fn command(&mut self, apdu: &[u8], at_once: bool) -> Answer {
        let Ok(command) = Command::parse(apdu) else { return Status::WRONG_LENGTH.into() };
        let waiting = self.waiting.take();
        if command.class != CLASS {
            return Status::UNKNOWN_CLASS.into();
        }
        if command.instruction == instruction::GET_RESPONSE {
            return waiting.map_or(Status::CONDITIONS_NOT_SATISFIED.into(), |data| fetched(data, &command));
        }
        let answer = match self.files.command(&mut self.selection, &command, Party::Remote) {
            Ok(answer) => answer,
            Err(status) => return status.into(),
        };
        if matches!(command.instruction, instruction::UPDATE_BINARY | instruction::UPDATE_RECORD) {
            self.changed = true;
            if self.power_cut == PowerCut::Expected {
                self.power_cut = PowerCut::Struck;
                return NO_POWER.into();
            }
        }
        if command.data.is_empty() || answer.data.is_empty() {
            return answer;
        }
        if at_once && command.expects_data() {
            return fetched(answer.data, &command);
        }
        let status = Status::waiting(answer.data.len());
        self.waiting = Some(answer.data);
        status.into()
    }
}

/// As many octets as Le asks, or the right Le.
fn fetched(data: Vec<u8>, command: &Command<'_>) -> Answer {
    match command.expected {
        256 => Answer::data(data),
        expected if expected == data.len() => Answer::data(data),
        _ => Status::right_length(data.len()).into(),
    }
}

/// Whether the command after this one is executed.
fn goes_on(answer: &Answer) -> bool {
    answer.status.is_success() || answer.status.has_data_waiting()
}

fn response(answer: Answer) -> ResponseApdu {
    ResponseApdu { data: answer.data, status: answer.status }
}
