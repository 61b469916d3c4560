//! Writes by remote file management: scripts one after the other, and a card whose files say what became of them.

use airwrite::card::plan::{self, Action, Plan, PlannedScript};
use airwrite::card::{
    Bearer, Card, ClaimSource, Counter, DeliveryHours, DeviceView, End, Event, MissingFiles, Payload,
    Profile, Purpose, ReadFile, ResponseData, ScriptOctets, Seal, WriteState,
};
use airwrite::identity::{Iccid, Imsi};
use airwrite::ota::{Cntr, Rsc, Spi2, Tar};

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, START, imei, number, preset, target, write_id};

/// Where EF.MSISDN is written, by the first script.
const FIRST: Tar = Tar([0xB0, 0x00, 0x11]);
/// Where EF.LOCI and EF.IMSI are written, by the second.
const SECOND_TAR: Tar = Tar([0xB0, 0x00, 0x10]);

const PROFILE: &str = include_str!("../data/profiles/usim-two-tars.toml");

pub(crate) fn profile() -> Profile {
    Profile::from_toml(PROFILE).expect("the profile")
}

pub(crate) fn iccid() -> Iccid {
    "89049032000000000011".parse().expect("an ICCID")
}

/// A card without applet and without EID.
pub(crate) fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.profile = profile();
    rig.card.eid = None;
    rig.card.iccid = Some(iccid());
    let counter = |scope: &str, last| Counter { scope: scope.into(), last, epoch: 1 };
    rig.card.counters = vec![counter("tar:B00010", 100), counter("tar:B00011", 40)];
    rig
}

fn new_number() -> String {
    target(1).msisdn.to_string()
}

fn planned(rig: &Rig, script: usize) -> PlannedScript {
    Plan::of(&rig.profile, &target(1)).expect("a plan").scripts.swap_remove(script)
}

/// The response to a script all of whose commands were executed.
fn executed(script: &PlannedScript, read: &[u8]) -> ResponseData {
    let count = u8::try_from(script.commands.len()).expect("few commands");
    ResponseData::Script(ScriptOctets([&[count, 0x90, 0x00], read].concat()))
}

fn script_of(seal: &Seal) -> &[u8] {
    match &seal.payload {
        Payload::Script(script) => &script.0,
        Payload::Applet(message) => panic!("a message for a card without applet: {message:?}"),
    }
}

/// The card executes script `script` of the write; the last one is read back as `imsi`.
fn execute(rig: &mut Rig, script: usize, imsi: Option<Imsi>) {
    let planned = planned(rig, script);
    let read = imsi.map(|imsi| imsi.to_ef().to_vec()).unwrap_or_default();
    rig.answer_to(rig.outstanding(), Rsc::OK, executed(&planned, &read), Some(number(OLD)));
}

/// The first command of this action in the script answers with this status word.
fn fail(rig: &mut Rig, script: usize, action: Action, status: [u8; 2]) {
    let planned = planned(rig, script);
    let at = planned.commands.iter().position(|command| command.action == action).expect("such a command");
    let executed = u8::try_from(at + 1).expect("few commands");
    let response = ResponseData::Script(ScriptOctets([&[executed][..], &status].concat()));
    rig.answer_to(rig.outstanding(), Rsc::OK, response, Some(number(OLD)));
}

/// The card answers the outstanding poll with what EF.IMSI holds.
fn read_imsi(rig: &mut Rig, imsi: Imsi, from: Option<&str>) {
    assert_eq!(rig.reads(), Some(ReadFile::Imsi));
    let script = plan::read_imsi(&rig.profile, SECOND_TAR);
    assert_eq!(script_of(rig.last_seal()), script.data);
    let response = executed(&script, &imsi.to_ef());
    rig.answer_to(rig.outstanding(), Rsc::OK, response, from.map(number));
}

impl Rig {
    fn reads(&self) -> Option<ReadFile> {
        self.card.outstanding.as_ref().and_then(|packet| packet.reads).map(|reads| reads.file)
    }

    /// The scripts of write 1 that the card has answered.
    fn step(&self) -> u8 {
        self.card.active.as_ref().expect("a write").step
    }

    fn ended_because(&self) -> Option<&str> {
        self.step.writes.iter().rev().find_map(|change| change.reason.as_deref())
    }
}

/// The first script is with the card.
fn sent() -> Rig {
    let mut rig = rig();
    rig.order(1);
    rig.hand_over(OLD);
    rig.expect(WriteState::Sent);
    rig
}

/// The second script, which writes EF.IMSI, is with the card.
fn second_sent() -> Rig {
    let mut rig = sent();
    execute(&mut rig, 0, None);
    rig.hand_over(OLD);
    rig.expect(WriteState::Sent);
    rig
}

fn written() -> Rig {
    let mut rig = second_sent();
    execute(&mut rig, 1, Some(target(1).imsi));
    rig.expect(WriteState::Written);
    rig
}

/// Nothing was heard of the script that is with the card.
fn silent(mut rig: Rig) -> Rig {
    rig.answer(Rsc::CNTR_LOW, ResponseData::Script(ScriptOctets(Vec::new())));
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    rig
}

/// What a card lacks that the profile can do without is left out, and what is left of the plan goes out from its beginning.
#[test]
fn a_card_without_an_optional_file_is_written_without_it() {
    let mut rig = rig();
    let optional = PROFILE.replace("file = \"msisdn\"", "file = \"msisdn\"\noptional = true");
    rig.profile = Profile::from_toml(&optional).expect("the profile");
    rig.order(1);
    rig.hand_over(OLD);
    assert_eq!(rig.last_seal().tar, FIRST);
    fail(&mut rig, 0, Action::Select, [0x6A, 0x82]);
    rig.expect(WriteState::Sealed);
    assert!(
        rig.step.facts.iter().any(|fact| fact.detail.contains("EF.MSISDN is left out")),
        "{:?}",
        rig.step.facts
    );
    let missing = rig.card.active.as_ref().expect("a write").missing;
    assert_eq!(missing, MissingFiles(1));
    let rest = Plan::without(&rig.profile, &target(1), missing).expect("a plan");
    let [script] = rest.scripts.as_slice() else { panic!("only the files of the second TAR are left") };
    assert_eq!((rig.last_seal().tar, script_of(rig.last_seal())), (SECOND_TAR, script.data.as_slice()));
    rig.hand_over(OLD);
    let response = executed(script, &target(1).imsi.to_ef());
    rig.answer_to(rig.outstanding(), Rsc::OK, response, Some(number(OLD)));
    rig.expect(WriteState::Written);
}

/// Another refusal of an optional file, and one of a file that is needed, are no reason to go on.
#[test]
fn only_a_missing_optional_file_is_left_out() {
    for (optional, action, status) in [
        (false, Action::Select, [0x6A, 0x82]),
        (true, Action::Select, [0x69, 0x82]),
        (true, Action::Update, [0x6A, 0x82]),
    ] {
        let mut rig = rig();
        let text = if optional { "file = \"msisdn\"\noptional = true" } else { "file = \"msisdn\"" };
        let profile = PROFILE.replace("file = \"msisdn\"", text);
        rig.profile = Profile::from_toml(&profile).expect("the profile");
        rig.order(1);
        rig.hand_over(OLD);
        fail(&mut rig, 0, action, status);
        rig.expect(WriteState::Unknown);
    }
}

/// Which script is open is not known any more once the plan is another one: EF.IMSI decides.
#[test]
fn an_unresolved_write_without_an_optional_file_is_settled_by_ef_imsi() {
    let mut rig = rig();
    let optional = PROFILE.replace("file = \"msisdn\"", "file = \"msisdn\"\noptional = true");
    rig.profile = Profile::from_toml(&optional).expect("the profile");
    rig.order(1);
    rig.hand_over(OLD);
    fail(&mut rig, 0, Action::Select, [0x6A, 0x82]);
    rig.hand_over(OLD);
    let mut rig = silent(rig);
    rig.run_for(38 * DAY);
    rig.expect_end(1, End::Unresolved);
    assert_eq!(rig.freed, []);
    rig.order(2);
    rig.hand_over(OLD);
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number()]);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect(WriteState::Sealed);
    assert_eq!((rig.last_seal().tar, rig.freed.as_slice()), (FIRST, &[target(1)][..]));
}

/// A file that several steps write is left out with each of them, and where one of them is needed, the write stops.
#[test]
fn a_missing_file_of_several_steps_is_never_asked_for_without_end() {
    let record = |record: u8, tar: &str, optional: bool| {
        format!(
            "[[write.step]]\nfile = \"msisdn\"\nrecord = {record}\ntar = \"{tar}\"\noptional = {optional}\nvalue = \"order\"\n"
        )
    };
    let (steps, rest) = PROFILE.split_once("[[write.step]]").expect("steps");
    let rest = rest.split_once("[[write.step]]").expect("a second step").1;
    let without = |first: String, second: String| {
        let mut rig = rig();
        let text = format!("{steps}{first}{second}[[write.step]]{rest}");
        rig.profile = Profile::from_toml(&text).expect("the profile");
        rig.order(1);
        for _ in 0..2 {
            rig.hand_over(OLD);
            match rig.purpose() {
                Some(Purpose::Write) if rig.last_seal().tar == FIRST => {
                    let response = ResponseData::Script(ScriptOctets(vec![2, 0x6A, 0x82]));
                    rig.answer_to(rig.outstanding(), Rsc::OK, response, Some(number(OLD)));
                }
                Some(Purpose::Write) => execute(&mut rig, 0, None),
                _ => {}
            }
        }
        rig
    };
    let missing = |rig: &Rig| rig.card.active.as_ref().expect("a write").missing;
    let rig = without(record(1, "B00011", true), record(2, "B00011", true));
    assert_eq!((missing(&rig), rig.last_seal().tar), (MissingFiles(0b11), SECOND_TAR));
    for (first, second) in [(true, false), (false, true)] {
        let rig = without(record(1, "B00011", first), record(2, "B00011", second));
        rig.expect(WriteState::Unknown);
    }
    // Under another TAR it is there.
    let rig = without(record(1, "B00010", true), record(2, "B00011", true));
    assert_eq!((missing(&rig), rig.last_seal().tar), (MissingFiles(0b10), SECOND_TAR));
}

/// R15, R18: script by script, then in the files, then in effect.
#[test]
fn a_write_goes_script_by_script_until_the_new_number_answers() {
    let mut rig = sent();
    let first = planned(&rig, 0);
    assert_eq!((rig.last_seal().tar, script_of(rig.last_seal())), (FIRST, first.data.as_slice()));
    assert_eq!((rig.last_seal().cntr.get(), rig.last_seal().spi2), (101, Spi2(0x39)));
    execute(&mut rig, 0, None);
    // The next one is sealed at once, under a CNTR above all others.
    rig.expect(WriteState::Sealed);
    let second = planned(&rig, 1);
    assert_eq!((rig.last_seal().tar, script_of(rig.last_seal())), (SECOND_TAR, second.data.as_slice()));
    assert_eq!((rig.last_seal().cntr.get(), rig.step()), (102, 1));
    let told = rig.step.facts.iter().map(|fact| (fact.kind.as_str(), fact.detail.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("write.step", "script 1 of 2: EF.MSISDN")]);
    rig.hand_over(OLD);
    execute(&mut rig, 1, Some(target(1).imsi));
    rig.expect(WriteState::Written);
    assert_eq!(rig.step.facts[0].detail, "EF.LOCI, EF.IMSI");
    assert_eq!(rig.card.current, Some(preset()));
    // Asked at both numbers: at the old one the card still has its old service.
    rig.run_for(10 * MINUTE);
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number()]);
    read_imsi(&mut rig, target(1).imsi, Some(OLD));
    rig.expect(WriteState::Written);
    assert_eq!(rig.card.current, Some(preset()));
    rig.run_for(50 * MINUTE);
    read_imsi(&mut rig, target(1).imsi, Some(&new_number()));
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
    let change = rig.step.writes.last().expect("the write");
    assert_eq!(change.imei_verified, Some(false), "a file says nothing about the device");
    let kinds = ["accepted", "sent", "step", "sent", "written", "effective"];
    assert_eq!(rig.kinds(1), kinds.map(|kind| format!("write.{kind}")));
}

#[test]
fn a_script_that_stops_is_told_with_file_and_status_word_once_ef_imsi_was_read() {
    let mut rig = sent();
    fail(&mut rig, 0, Action::Update, [0x69, 0x82]);
    rig.expect(WriteState::Unknown);
    assert!(rig.step.facts[0].detail.starts_with("EF.MSISDN: 6982"), "{:?}", rig.step.facts);
    // No IMSI went out yet: nobody has the new number.
    assert_eq!(rig.leg_numbers(), [OLD]);
    rig.hand_over(OLD);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::Failed);
    let reason = rig.ended_because().expect("a reason").to_owned();
    assert!(reason.starts_with("EF.MSISDN: 6982"), "{reason}");
    assert_eq!(rig.freed, [target(1)]);

    let mut rig = second_sent();
    fail(&mut rig, 1, Action::Select, [0x6A, 0x82]);
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number()]);
    rig.hand_over(OLD);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::Failed);
    let selected = planned(&rig, 1).commands[0].file.to_string();
    assert_eq!(rig.ended_because(), Some(format!("{selected}: 6A82 file not found").as_str()));
}

#[test]
fn a_failed_script_is_written_where_ef_imsi_is_the_target_all_the_same() {
    let mut rig = second_sent();
    fail(&mut rig, 1, Action::Read, [0x69, 0x82]);
    rig.hand_over(OLD);
    // Not to be read this time either: nothing is decided.
    let unreadable = ResponseData::Script(ScriptOctets(vec![1, 0x69, 0x82]));
    rig.answer_to(rig.outstanding(), Rsc::OK, unreadable, Some(number(OLD)));
    rig.expect(WriteState::Unknown);
    assert_eq!(rig.facts(), ["card.hint"]);
    read_imsi(&mut rig, target(1).imsi, Some(OLD));
    rig.expect(WriteState::Written);
}

/// Where EF.IMSI is never read the write stays open; what the card refused is told all the same.
#[test]
fn a_stopped_script_is_told_at_give_up_too() {
    let mut rig = second_sent();
    fail(&mut rig, 1, Action::Update, [0x69, 0x82]);
    rig.run_for(38 * DAY);
    rig.expect_end(1, End::Unresolved);
    let reason = rig.ended_because().expect("a reason");
    assert!(reason.starts_with("EF.LOCI: 6982"), "{reason}");
}

/// I6: the same PoR again, and one that nobody can read.
#[test]
fn i6_a_response_counts_once_and_an_unreadable_one_ends_the_write_after_the_read() {
    let mut rig = sent();
    let (cntr, first) = (rig.outstanding(), planned(&rig, 0));
    execute(&mut rig, 0, None);
    rig.answer_to(cntr, Rsc::OK, executed(&first, &[]), Some(number(OLD)));
    assert!(!rig.step.changed);
    rig.hand_over(OLD);
    let cntr = rig.outstanding();
    for _ in 0..2 {
        let unreadable = ResponseData::Script(ScriptOctets(vec![0xAB, 0x05]));
        rig.answer_to(cntr, Rsc::OK, unreadable, Some(number(OLD)));
        rig.expect(WriteState::Unknown);
    }
    assert!(!rig.step.changed);
    rig.hand_over(OLD);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    assert_eq!(rig.ended_because(), Some("its response cannot be read"));
}

/// Silence within the plan: a fence in the scope of the script, without reading what it cannot have written.
#[test]
fn an_unanswered_script_is_fenced_under_its_own_tar_and_sealed_anew() {
    let mut rig = silent(sent());
    assert_eq!((rig.last_seal().tar, rig.reads()), (FIRST, Some(ReadFile::Nothing)));
    assert_eq!(rig.leg_numbers(), [OLD]);
    // Whatever the card says about the file: it says it authentically.
    let refused = ResponseData::Script(ScriptOctets(vec![1, 0x6A, 0x82]));
    rig.answer_to(rig.outstanding(), Rsc::OK, refused.clone(), Some(number(OLD)));
    rig.expect(WriteState::Sealed);
    assert_eq!((rig.last_seal().tar, rig.step()), (FIRST, 0));
    assert_eq!(script_of(rig.last_seal()), planned(&rig, 0).data);
    // A card that goes on like this is written by the plan of attempts.
    rig.hand_over(OLD);
    let mut rig = silent(rig);
    rig.answer_to(rig.outstanding(), Rsc::OK, refused, Some(number(OLD)));
    rig.expect(WriteState::Queued);
    rig.run_for(301 * SECOND);
    rig.expect(WriteState::Sealed);
}

#[test]
fn after_silence_ef_imsi_decides_about_the_last_script() {
    let mut rig = silent(second_sent());
    assert_eq!((rig.last_seal().tar, rig.reads()), (SECOND_TAR, Some(ReadFile::Imsi)));
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number()]);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect(WriteState::Sealed);
    // What was answered does not go out again.
    assert_eq!((rig.step(), script_of(rig.last_seal())), (1, planned(&rig, 1).data.as_slice()));

    let mut rig = silent(second_sent());
    read_imsi(&mut rig, target(1).imsi, Some(OLD));
    rig.expect(WriteState::Written);

    let mut rig = silent(second_sent());
    read_imsi(&mut rig, target(1).imsi, Some(&new_number()));
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
}

/// A PoR 00 beats 02 for the same CNTR, in any order of arrival.
#[test]
fn a_late_por_of_a_script_overtakes_its_poll() {
    let rig = second_sent();
    let (cntr, second) = (rig.outstanding(), planned(&rig, 1));
    let mut rig = silent(rig);
    rig.answer_to(cntr, Rsc::OK, executed(&second, &target(1).imsi.to_ef()), Some(number(OLD)));
    rig.expect(WriteState::Written);
    assert_eq!(rig.purpose(), None, "the poll gives way");

    let mut rig = sent();
    let (cntr, first) = (rig.outstanding(), planned(&rig, 0));
    rig = silent(rig);
    rig.answer_to(cntr, Rsc::OK, executed(&first, &[]), Some(number(OLD)));
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.step(), 1);
    // Behind a fence it says nothing any more.
    let mut rig = sent();
    let cntr = rig.outstanding();
    rig = silent(rig);
    rig.answer_to(rig.outstanding(), Rsc::OK, executed(&first, &[]), Some(number(OLD)));
    rig.answer_to(cntr, Rsc::OK, executed(&first, &[]), Some(number(OLD)));
    assert!(!rig.step.changed);
}

#[test]
fn response_status_codes_other_than_00() {
    let nothing = || ResponseData::Script(ScriptOctets(Vec::new()));
    for rsc in [Rsc::CNTR_LOW, Rsc::CNTR_HIGH, Rsc(4), Rsc(6)] {
        let mut rig = second_sent();
        rig.answer(rsc, nothing());
        rig.expect(WriteState::Unknown);
        assert_eq!(rig.purpose(), Some(Purpose::Poll), "{rsc}");
    }
    for rsc in [Rsc::MORE_TIME, Rsc::FOLLOWS_BY_SUBMIT, Rsc::FOLLOWS_BY_USSD] {
        let mut rig = second_sent();
        rig.answer(rsc, nothing());
        rig.expect(WriteState::Sent);
        execute(&mut rig, 1, Some(target(1).imsi));
        rig.expect(WriteState::Written);
    }
    let mut rig = second_sent();
    rig.answer(Rsc::NO_MEMORY, nothing());
    rig.expect(WriteState::Queued);
    rig.run_for(301 * SECOND);
    rig.expect(WriteState::Sealed);
    assert_eq!((rig.last_seal().cntr.get(), rig.step()), (103, 1));
    for rsc in [Rsc::CHECK_FAILED, Rsc::CIPHERING_ERROR, Rsc::TAR_UNKNOWN, Rsc::LEVEL_TOO_LOW] {
        let mut rig = second_sent();
        let cntr = Cntr::try_from(0).ok();
        rig.event(Event::Hint { what: "in clear".into(), cntr, rsc: Some(rsc), from: Some(number(OLD)) });
        rig.expect(WriteState::Unknown);
        let give_up = rig.timers.deadline_s + rig.timers.give_up_s;
        rig.run_for(give_up * SECOND);
        rig.expect_end(1, End::Unresolved);
        assert_eq!(rig.ended_because(), Some("card_refuses_unauthenticated"), "{rsc}");
    }
}

#[test]
fn a_card_that_does_not_hold_what_it_updated_is_asked_once_more() {
    let mut rig = second_sent();
    execute(&mut rig, 1, Some(preset().imsi));
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::Failed);
    assert_eq!(rig.ended_because(), Some("EF.IMSI does not hold what was written"));
}

/// The card may refresh before its answer goes out.
#[test]
fn a_response_from_the_new_number_proves_service_too() {
    let mut rig = second_sent();
    let read = executed(&planned(&rig, 1), &target(1).imsi.to_ef());
    rig.answer_to(rig.outstanding(), Rsc::OK, read, Some(target(1).msisdn));
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
}

#[test]
fn a_cancellation_is_granted_before_a_script_leaves_and_behind_a_fence_after_it() {
    let mut rig = sent();
    execute(&mut rig, 0, None);
    rig.cancel(1);
    rig.expect_end(1, End::Cancelled);

    let mut rig = sent();
    rig.cancel(1);
    rig.expect(WriteState::Unknown);
    rig.hand_over(OLD);
    rig.answer_to(rig.outstanding(), Rsc::OK, ResponseData::Script(ScriptOctets(vec![2, 0x90, 0])), None);
    rig.expect_end(1, End::Cancelled);

    // Its PoR is a fence too, as long as EF.IMSI is not written.
    let mut rig = sent();
    let (cntr, first) = (rig.outstanding(), planned(&rig, 0));
    rig.cancel(1);
    rig.answer_to(cntr, Rsc::OK, executed(&first, &[]), Some(number(OLD)));
    rig.expect_end(1, End::Cancelled);

    let mut rig = second_sent();
    rig.cancel(1);
    rig.hand_over(OLD);
    read_imsi(&mut rig, target(1).imsi, Some(OLD));
    rig.expect(WriteState::Written);
}

#[test]
fn the_deadline_is_granted_behind_a_fence_and_between_scripts() {
    let mut rig = silent(second_sent());
    rig.now = START + 31 * DAY;
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::Expired);

    let mut rig = sent();
    rig.now = START + 30 * DAY - SECOND;
    execute(&mut rig, 0, None);
    rig.run_for(SECOND);
    rig.expect_end(1, End::Expired);
}

#[test]
fn outside_the_delivery_hours_the_next_script_waits() {
    let mut rig = sent();
    rig.hours = Some(DeliveryHours { from_min: 8 * 60, to_min: 20 * 60, utc_offset_min: 0 });
    rig.run_until(START + 30 * MINUTE);
    execute(&mut rig, 0, None);
    rig.expect(WriteState::Queued);
    assert_eq!((rig.step(), rig.purpose()), (1, None));
    rig.run_until(START + 8 * HOUR);
    rig.expect(WriteState::Sealed);
    assert_eq!(script_of(rig.last_seal()), planned(&rig, 1).data);
}

#[test]
fn a_card_that_has_its_old_imsi_back_is_rolled_back() {
    let mut rig = written();
    rig.run_for(10 * MINUTE);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::RolledBack);
    assert_eq!(rig.freed, [target(1)]);
    assert_eq!(rig.ended_because(), Some(format!("EF.IMSI holds {}", preset().imsi).as_str()));
}

/// I7, I10: an answer without the contents of EF.IMSI says nothing of them.
#[test]
fn a_read_that_brings_too_few_octets_is_no_roll_back() {
    let mut rig = written();
    rig.run_for(10 * MINUTE);
    rig.hand_over(OLD);
    let read = plan::read_imsi(&rig.profile, SECOND_TAR);
    for octets in [&[][..], &[0xFF; 8]] {
        rig.answer_to(rig.outstanding(), Rsc::OK, executed(&read, octets), Some(number(OLD)));
        rig.expect(WriteState::Written);
        assert_eq!(rig.freed, []);
    }

    // After silence it does not say that the card is to be written again.
    let mut rig = silent(second_sent());
    rig.answer_to(rig.outstanding(), Rsc::OK, executed(&read, &[]), Some(number(OLD)));
    rig.expect(WriteState::Unknown);
}

#[test]
fn without_any_answer_it_stays_written_until_give_up() {
    let mut rig = written();
    rig.run_for(36 * DAY);
    rig.expect(WriteState::Written);
    rig.run_for(2 * DAY);
    rig.expect_end(1, End::Unresolved);
    assert_eq!(rig.card.unsettled.len(), 1);
}

/// I3: one CNTR names one packet of the card, whichever scope it is of.
#[test]
fn i3_the_next_cntr_is_above_those_of_all_scopes() {
    let mut rig = second_sent();
    let last = |rig: &Rig, scope: &str| {
        rig.card.counters.iter().find(|counter| counter.scope == scope).map(|counter| counter.last)
    };
    assert_eq!((last(&rig, "tar:B00011"), last(&rig, "tar:B00010")), (Some(101), Some(102)));
    // A scope that is not known yet begins above the others, too.
    rig.card.counters.retain(|counter| counter.scope != "tar:B00010");
    rig = silent(rig);
    assert_eq!((last(&rig, "tar:B00011"), last(&rig, "tar:B00010")), (Some(101), Some(102)));

    let mut rig = rig_with_time();
    rig.order(1);
    assert_eq!(rig.last_seal().cntr.get(), START / 10);
    rig.hand_over(OLD);
    rig.now += HOUR;
    execute(&mut rig, 0, None);
    assert_eq!(rig.last_seal().cntr.get(), (START + HOUR) / 10, "the first of this scope");

    // There is room for 16: the lowest says nothing that the highest does not.
    let mut rig = self::rig();
    rig.card.counters =
        (1..=16).map(|n| Counter { scope: format!("tar:{n:06X}"), last: 1000 - n, epoch: 1 }).collect();
    rig.order(1);
    assert_eq!((rig.last_seal().cntr.get(), rig.card.counters.len()), (1000, 16));
    assert_eq!((last(&rig, "tar:000010"), last(&rig, "tar:B00011")), (None, Some(1000)));
}

fn rig_with_time() -> Rig {
    let mut rig = rig();
    rig.card.counters.clear();
    rig.profile = Profile::from_toml(&PROFILE.replace("\"import\"", "\"time\"")).expect("the profile");
    rig
}

#[test]
fn a_counter_that_is_behind_jumps_in_the_scope_of_the_poll() {
    let mut rig = sent();
    rig = silent(rig);
    rig.answer_to(rig.outstanding(), Rsc::CNTR_LOW, ResponseData::None, Some(number(OLD)));
    rig.run_for(90 * SECOND);
    assert_eq!(rig.last_seal().tar, FIRST);
    assert!(rig.last_seal().cntr.get() > 1 << 16);
    let behind = rig.card.counters.iter().find(|counter| counter.scope == "tar:B00010");
    assert_eq!(behind.map(|counter| counter.last), Some(100));
}

#[test]
fn after_an_unresolved_write_the_next_one_begins_with_a_fence_in_its_scope() {
    let unresolved = |rig: Rig| {
        let mut rig = silent(rig);
        rig.run_for(38 * DAY);
        rig.expect_end(1, End::Unresolved);
        rig.order(2);
        rig.hand_over(OLD);
        rig
    };
    // Its first script is open: EF.IMSI cannot be the target, and need not be read.
    let mut rig = unresolved(sent());
    assert_eq!((rig.last_seal().tar, rig.reads()), (FIRST, Some(ReadFile::Nothing)));
    let selected = ResponseData::Script(ScriptOctets(vec![2, 0x90, 0]));
    rig.answer_to(rig.outstanding(), Rsc::OK, selected, Some(number(OLD)));
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.freed, [target(1)]);

    let mut rig = unresolved(second_sent());
    assert_eq!(rig.leg_numbers(), [OLD.to_owned(), new_number()]);
    // In the files, and not yet in use: nothing new goes out before.
    read_imsi(&mut rig, target(1).imsi, Some(OLD));
    rig.expect(WriteState::Queued);
    rig.run_for(10 * MINUTE);
    read_imsi(&mut rig, target(1).imsi, Some(&new_number()));
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.card.current, Some(target(1)));
    assert!(rig.freed.contains(&preset()));
}

// Which device it is in.

fn waiting() -> DeviceView {
    DeviceView { card: None, waiting: vec![Rig::new().new_order(1)] }
}

fn claim(rig: &mut Rig) {
    rig.event(Event::Claim { imei: imei(), from: Some(number(OLD)), source: ClaimSource::RawImei });
}

fn answer_iccid(rig: &mut Rig, iccid: Iccid) {
    assert_eq!(rig.reads(), Some(ReadFile::Iccid));
    let script = plan::read_iccid(&rig.profile);
    let response = executed(&script, &iccid.octets());
    rig.answer_to(rig.outstanding(), Rsc::OK, response, Some(number(OLD)));
}

#[test]
fn r9_a_claimed_device_is_bound_once_ef_iccid_proves_the_card() {
    let mut rig = rig();
    rig.device = waiting();
    claim(&mut rig);
    assert_eq!(rig.facts(), ["binding.held"]);
    assert!(rig.card.binding.is_none());
    rig.hand_over(OLD);
    answer_iccid(&mut rig, iccid());
    assert_eq!(rig.facts(), ["card.hint", "binding.created"]);
    // What waits for the device goes out; nobody there understands an acknowledgement.
    assert_eq!((rig.last_seal().tar, rig.card.owed.len()), (FIRST, 0));
    rig.expect(WriteState::Sealed);
    // A repetition changes nothing.
    let seals = rig.seals.len();
    claim(&mut rig);
    assert_eq!(rig.seals.len(), seals);
}

#[test]
fn a_claim_is_not_taken_from_another_card_nor_against_the_profile() {
    let mut other = rig();
    claim(&mut other);
    other.hand_over(OLD);
    answer_iccid(&mut other, "89049032000000000029".parse().expect("an ICCID"));
    assert_eq!(other.facts(), ["binding.suspect"]);
    assert!(other.card.binding.is_none() && other.card.claimed.is_none());

    let mut other = rig();
    claim(&mut other);
    other.hand_over(OLD);
    let refused = ResponseData::Script(ScriptOctets(vec![2, 0x6A, 0x82]));
    other.answer_to(other.outstanding(), Rsc::OK, refused, Some(number(OLD)));
    assert_eq!(other.facts(), ["binding.suspect"]);
    assert!(other.card.claimed.is_none());

    for refuse in
        [|rig: &mut Rig| rig.profile.trust.allow_claimed_imei = false, |rig: &mut Rig| rig.card.iccid = None]
    {
        let mut rig = rig();
        refuse(&mut rig);
        claim(&mut rig);
        rig.run_for(DAY);
        assert!(rig.seals.is_empty() && rig.card.binding.is_none());
        assert!(rig.card.claimed.is_some(), "it may still be supplied or looked at");
    }
}

/// R9: the polls of a write read another file.
#[test]
fn a_claim_that_comes_during_a_write_is_looked_into_after_it() {
    let mut rig = sent();
    claim(&mut rig);
    fail(&mut rig, 0, Action::Update, [0x69, 0x82]);
    rig.hand_over(OLD);
    read_imsi(&mut rig, preset().imsi, Some(OLD));
    rig.expect_end(1, End::Failed);
    rig.run_for(2 * MINUTE);
    assert_eq!(rig.reads(), Some(ReadFile::Iccid));
    answer_iccid(&mut rig, iccid());
    assert!(rig.card.binding.is_some());
}

/// R9: a write may have given the card another ICCID than it came with.
#[test]
fn an_iccid_that_was_written_proves_the_card_too() {
    let written: Iccid = "89049032000000000029".parse().expect("an ICCID");
    let mut rig = rig();
    rig.card.current.as_mut().expect("a subscription").iccid = Some(written);
    claim(&mut rig);
    rig.hand_over(OLD);
    answer_iccid(&mut rig, written);
    assert!(rig.card.binding.is_some());
}

#[test]
fn a_supplied_device_needs_no_claim_and_no_eid() {
    let mut rig = rig();
    rig.event(Event::Supplied { imei: imei(), device: waiting() });
    rig.expect(WriteState::Sealed);
    assert_eq!(rig.facts()[0], "binding.created");
}

// On site.

/// R19, R20: script by script, then the reset, then the read.
#[test]
fn r19_r20_on_site_each_read_brings_the_next_script_and_after_the_reset_the_poll() {
    let mut rig = rig();
    (rig.card.preset, rig.card.current) = (None, None);
    rig.order(1);
    assert_eq!(rig.card.active.as_ref().map(|active| active.bearer), Some(Bearer::Relay));
    for script in 0..2 {
        rig.expect(WriteState::Queued);
        rig.event(Event::Export { id: write_id(1) });
        rig.expect(WriteState::OnSite);
        let sealed = rig.last_seal().clone();
        assert_eq!((script_of(&sealed), sealed.spi2), (planned(&rig, script).data.as_slice(), Spi2(0x19)));
        // Read again it is the same.
        rig.event(Event::Export { id: write_id(1) });
        assert!(rig.step.seal.is_empty());
        let planned = planned(&rig, script);
        let read = if script == 1 { target(1).imsi.to_ef().to_vec() } else { Vec::new() };
        rig.answer_to(sealed.cntr, Rsc::OK, executed(&planned, &read), None);
    }
    rig.expect(WriteState::Written);
    rig.event(Event::Export { id: write_id(1) });
    read_imsi(&mut rig, target(1).imsi, None);
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.card.current, Some(target(1)));
}

#[test]
fn on_site_a_doubtful_script_is_read_first_and_a_stopped_one_fails() {
    let mut rig = rig();
    (rig.card.preset, rig.card.current) = (None, None);
    rig.order(1);
    rig.event(Event::Export { id: write_id(1) });
    rig.answer(Rsc::CNTR_LOW, ResponseData::None);
    rig.expect(WriteState::Unknown);
    rig.event(Event::Export { id: write_id(1) });
    assert_eq!((rig.last_seal().tar, rig.reads()), (FIRST, Some(ReadFile::Nothing)));
    rig.answer(Rsc::OK, ResponseData::Script(ScriptOctets(vec![2, 0x90, 0])));
    rig.expect(WriteState::Queued);
    rig.event(Event::Export { id: write_id(1) });
    fail(&mut rig, 0, Action::Update, [0x69, 0x82]);
    rig.event(Event::Export { id: write_id(1) });
    read_imsi(&mut rig, preset().imsi, None);
    rig.expect_end(1, End::Failed);
}

#[test]
fn a_card_that_is_asked_for_nothing_else_tells_what_is_odd() {
    let mut rig = rig();
    for (imsi, told) in [(preset().imsi, vec![]), (target(3).imsi, vec!["card.hint"])] {
        rig.run_for(2 * MINUTE);
        rig.event(Event::Poll);
        rig.hand_over(OLD);
        read_imsi(&mut rig, imsi, Some(OLD));
        assert_eq!(rig.facts(), told);
        assert_eq!(rig.card.current, Some(preset()));
    }
}

#[test]
fn nothing_is_owed_to_a_card_without_applet() {
    let mut rig = rig();
    let card: &Card = &rig.card;
    assert!(card.owed.is_empty());
    let source = ClaimSource::PlainDer { tid: 4, eid: crate::harness::eid() };
    rig.event(Event::Claim { imei: imei(), from: Some(number(OLD)), source });
    rig.hand_over(OLD);
    answer_iccid(&mut rig, iccid());
    let source = ClaimSource::PlainDer { tid: 5, eid: crate::harness::eid() };
    rig.run_for(2 * MINUTE);
    rig.event(Event::Claim { imei: imei(), from: Some(number(OLD)), source });
    assert_eq!(rig.facts(), ["binding.repeated"]);
    assert!(rig.card.owed.is_empty() && rig.card.notice.is_none());
}
