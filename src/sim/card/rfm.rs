//! Remote file management (TS 102 226 §5, §8): scripts that run against the files, and what the card does about an
//! EF.IMSI that they have changed.

use crate::ota::Tar;
use crate::ota::apdu::instruction;
use crate::ota::comprehension_tlv::{command, find, read_all, tag};
use crate::ota::script::{
    Action, BadFormat, ExpandedScript, Format, Object, Problem, ResponseApdu, ScriptResponse, decode_compact,
    decode_expanded,
};
use crate::sim::card::RefreshHabit;
use crate::sim::card::apdu::{Answer, Command, Status};
use crate::sim::card::files::{Files, MF, Party, Selection, USIM};
use crate::sim::card::spec::{Rfm, SessionStart};
use crate::sim::card::toolkit::Proactive;
use crate::sim::fault_plan::WritePoint;

/// The class of commands to a UICC.
const CLASS: u8 = 0x00;
/// Qualifier of REFRESH: UICC reset (TS 102 223 §8.6).
const UICC_RESET: u8 = 0x04;
/// What nobody hears of a card without power.
const NO_POWER: Status = Status(0x6F00);
/// What an expanded response says of an immediate action and of a chain that are not possible (TS 102 226 §5.2.2).
const SUSPENSION_ERROR: u8 = 0x01;
const CHAINING_NOT_SUPPORTED: u8 = 0x02;

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
        let mut session =
            Session { files, selection, waiting: None, changed: false, refresh: None, power_cut };
        let response = session.run(data).encode();
        (self.por_due, self.power_cut) = (session.changed, session.power_cut);
        self.asked = session.refresh;
        if files.imsi() != imsi || self.asked.is_some() {
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
        self.por_due = false;
        self.power_cut = PowerCut::None;
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
        if self.phase == Phase::Refreshing {
            self.phase = if done { Phase::ServiceDue } else { Phase::RefreshDue(self.retry_status) };
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

/// One script at work.
struct Session<'a> {
    files: &'a mut Files,
    selection: Selection,
    /// Data of the last command, for GET RESPONSE.
    waiting: Option<Vec<u8>>,
    /// A file has been updated.
    changed: bool,
    /// The qualifier of a REFRESH that the script asks for.
    refresh: Option<u8>,
    power_cut: PowerCut,
}

impl Session<'_> {
    /// Runs a script up to the first command that fails. The first octet tells the formats apart.
    fn run(&mut self, script: &[u8]) -> ScriptResponse {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::Spi1;
    use crate::ota::apdu::{get_response, read_binary, read_record, select, update_binary, update_record};
    use crate::ota::script::{Chaining, ScriptOptions, Verdict, decode_response, encode};
    use crate::sim::card::spec::RfmApplication;

    const USIM_TAR: Tar = Tar([0xB0, 0x00, 0x10]);
    const SHARED_TAR: Tar = Tar([0xB0, 0x00, 0x00]);
    /// EF.IMSI of 001010123456789.
    const IMSI: [u8; 9] = [0x08, 0x09, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98];

    struct Bench {
        rfm: FileManagement,
        files: Files,
    }

    impl Bench {
        fn new(refresh: RefreshHabit) -> Self {
            let application = |tar, start| RfmApplication { tar, start, min_spi1: Spi1::CC_CIPHERED_HIGHER };
            let applications =
                vec![application(USIM_TAR, SessionStart::Usim), application(SHARED_TAR, SessionStart::Mf)];
            let rfm = Rfm { applications, refresh, ..Rfm::default() };
            let files = Files::personalised(&"8986040000000000012".parse().unwrap(), None);
            Self { rfm: FileManagement::new(Some(rfm), 2), files }
        }

        fn run(&mut self, tar: Tar, format: Format, commands: &[Vec<u8>]) -> ScriptResponse {
            let script = encode(format, &ScriptOptions::default(), commands).unwrap();
            decode_response(&self.rfm.execute(tar, &script, &mut self.files).unwrap()).unwrap()
        }

        /// Executed, last status, last data.
        fn compact(&mut self, tar: Tar, commands: &[Vec<u8>]) -> (u32, u16, Vec<u8>) {
            let response = self.run(tar, Format::Compact, commands);
            let last = response.responses.into_iter().last().unwrap();
            (response.executed.unwrap(), last.status.0, last.data)
        }
    }

    #[test]
    fn a_session_starts_where_its_application_is() {
        let mut bench = Bench::new(RefreshHabit::None);
        let imsi = [select(0x6F07), update_binary(0, &IMSI).unwrap(), read_binary(0, 9)];
        assert_eq!(bench.compact(USIM_TAR, &imsi), (3, 0x9000, IMSI.to_vec()));
        assert_eq!(bench.compact(SHARED_TAR, &imsi), (1, 0x6A82, vec![]));
        let iccid = [select(0x2FE2), read_binary(0, 10)];
        let (executed, status, data) = bench.compact(SHARED_TAR, &iccid);
        assert_eq!((executed, status, data.len()), (2, 0x9000, 10));
        assert_eq!(bench.compact(USIM_TAR, &iccid).1, 0x6A82, "another session, another selection");
        let mut from_root = vec![select(0x3F00)];
        from_root.extend(iccid);
        assert_eq!(bench.compact(USIM_TAR, &from_root).1, 0x9000);
        assert!(bench.rfm.execute(Tar([1, 2, 3]), &[], &mut bench.files).is_none());
    }

    #[test]
    fn a_script_stops_where_a_command_fails() {
        let mut bench = Bench::new(RefreshHabit::None);
        let before = bench.files.contents();
        let script = [
            vec![select(0x6F40), update_record(1, &[0xFF; 23]).unwrap()],
            vec![select(0x6F07), update_binary(0, &IMSI).unwrap()],
        ];
        assert_eq!(bench.compact(USIM_TAR, &script.concat()), (2, 0x6700, vec![]));
        let response = bench.run(USIM_TAR, Format::Expanded, &script.concat());
        let failed = Verdict::Failed { command: 1, status: Status::WRONG_LENGTH };
        assert_eq!(response.verdict(&ScriptOptions::default(), &script.concat()), failed);
        assert_eq!(response.executed, Some(2));
        let iccid = [select(0x3F00), select(0x2FE2), update_binary(0, &[0x98; 10]).unwrap()];
        assert_eq!(bench.compact(USIM_TAR, &iccid), (3, 0x6982, vec![]));
        assert_eq!(bench.compact(USIM_TAR, &[vec![0xA0, 0xA4, 0, 0, 2, 0x6F, 7]]), (1, 0x6E00, vec![]));
        assert_eq!(bench.compact(USIM_TAR, &[vec![0x00, 0x88, 0, 0x81, 1, 0]]), (1, 0x6D00, vec![]));
        assert_eq!(bench.files.contents(), before);
        // What ends within a command is not begun.
        let cut = bench.rfm.execute(USIM_TAR, &[0, 0xA4, 0, 4, 2, 0x6F], &mut bench.files).unwrap();
        assert_eq!(hex::encode(cut), "006700");
    }

    #[test]
    fn data_wait_for_get_response_or_come_with_le() {
        let mut bench = Bench::new(RefreshHabit::None);
        let (executed, status, data) = bench.compact(USIM_TAR, &[select(0x6F07), get_response(0)]);
        assert_eq!((executed, status, &data[..2]), (2, 0x9000, &[0x62, 12][..]));
        assert_eq!(bench.compact(USIM_TAR, &[select(0x6F07)]), (1, 0x610E, vec![]));
        assert_eq!(bench.compact(USIM_TAR, &[select(0x6F07), get_response(3)]).1, 0x6C0E);
        let commands = [
            [select(0x6F07), vec![0]].concat(),
            update_binary(0, &IMSI).unwrap(),
            read_binary(0, 9),
            select(0x6F40),
            read_record(2, 24),
            select(0x6F78),
        ];
        for format in [Format::Expanded, Format::ExpandedIndefinite] {
            let response = bench.run(USIM_TAR, format, &commands);
            let verdict = response.verdict(&ScriptOptions::default(), &commands);
            assert_eq!((response.format, verdict), (format, Verdict::Complete));
            let lengths: Vec<_> = response.responses.iter().map(|answer| answer.data.len()).collect();
            assert_eq!(lengths, [14, 9, 24, 0]);
        }
    }

    #[test]
    fn what_is_beyond_the_card_is_said() {
        let mut bench = Bench::new(RefreshHabit::None);
        let mut answer = |script: &[u8]| {
            decode_response(&bench.rfm.execute(USIM_TAR, script, &mut bench.files).unwrap()).unwrap()
        };
        let chained = ScriptOptions { chaining: Some(Chaining::FirstKeep), ..ScriptOptions::default() };
        let chained = encode(Format::Expanded, &chained, &[select(0x6F07)]).unwrap();
        assert_eq!(answer(&chained).problem, Some(Problem::Chaining(2)));
        let record = ScriptOptions { immediate_actions: vec![Action::Record(1)], ..ScriptOptions::default() };
        let record = answer(&encode(Format::Expanded, &record, &[select(0x6F07)]).unwrap());
        assert_eq!((record.executed, record.problem), (Some(2), Some(Problem::ImmediateAction(1))));
        let unknown = answer(&hex::decode("aa0c220700a40004026f0744010a").unwrap());
        assert_eq!(
            (unknown.executed, unknown.problem),
            (Some(1), Some(Problem::BadFormat(BadFormat::UNKNOWN_TAG)))
        );
        assert_eq!(answer(&[0xAA, 5, 0x22]).executed, Some(0));
    }

    #[test]
    fn the_terminal_hears_of_another_imsi_once_the_response_is_out() {
        let imsi = [select(0x6F07), update_binary(0, &IMSI).unwrap()];
        let mut bench = Bench::new(RefreshHabit::UiccReset);
        bench.compact(USIM_TAR, &[select(0x6F78), update_binary(0, &[0x02, 0x00]).unwrap()]);
        assert_eq!(bench.rfm.write_point(), Some(WritePoint::Accepted));
        bench.rfm.por_gone();
        assert_eq!((bench.rfm.poll_refresh(), bench.rfm.write_point()), (None, None));
        bench.compact(USIM_TAR, &imsi);
        assert_eq!(bench.rfm.poll_refresh(), None);
        bench.rfm.por_gone();
        assert_eq!(bench.rfm.poll_refresh(), Some(Proactive::Refresh(UICC_RESET)));
        assert_eq!((bench.rfm.poll_refresh(), bench.rfm.write_point()), (None, Some(WritePoint::Written)));
        // The terminal refuses; after two STATUS it is asked again, and starts anew.
        bench.rfm.refresh_answered(false);
        assert_eq!(bench.rfm.poll_refresh(), None);
        bench.rfm.status();
        bench.rfm.status();
        assert!(bench.rfm.poll_refresh().is_some());
        bench.rfm.reset();
        assert_eq!(bench.rfm.write_point(), Some(WritePoint::Refreshed));
        bench.rfm.authenticated();
        assert_eq!(bench.rfm.write_point(), None);
        // The same again changes nothing that the terminal would have to know.
        bench.compact(USIM_TAR, &imsi);
        bench.rfm.por_gone();
        assert_eq!(bench.rfm.poll_refresh(), None);

        let mut quiet = Bench::new(RefreshHabit::None);
        quiet.compact(USIM_TAR, &imsi);
        quiet.rfm.por_gone();
        assert_eq!(quiet.rfm.poll_refresh(), None);
        quiet.rfm.reset();
        assert_eq!(quiet.rfm.write_point(), Some(WritePoint::Refreshed));
        // Unless the script asks for it.
        let actions = vec![Action::SessionIndication, Action::refresh(5)];
        let options = ScriptOptions { immediate_actions: actions, ..ScriptOptions::default() };
        let script = encode(Format::Expanded, &options, &imsi).unwrap();
        let response = quiet.rfm.execute(USIM_TAR, &script, &mut quiet.files).unwrap();
        assert_eq!(decode_response(&response).unwrap().verdict(&options, &imsi), Verdict::Complete);
        quiet.rfm.por_gone();
        assert_eq!(quiet.rfm.poll_refresh(), Some(Proactive::Refresh(5)));
    }
}
