use super::*;
use crate::ota::Spi1;
use crate::ota::apdu::{get_response, read_binary, read_record, select, update_binary, update_record};
use crate::ota::script::{
    Action, BadFormat, Chaining, Format, Problem, ScriptOptions, ScriptResponse, Verdict, decode_response,
    encode,
};
use crate::sim::card::apdu::Status;
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
