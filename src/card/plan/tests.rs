//! What a plan sends, and what answers to it mean.

use proptest::prelude::*;

use super::*;
use crate::card::profile::{Session, StepValue};
use crate::ota::apdu::StatusWord;
use crate::ota::command::{CommandHeader, seal};
use crate::ota::script::{ResponseApdu, ScriptResponse, decode_compact};
use crate::ota::{Algorithm, Cntr, Key, KeySet, Spi1, Spi2};

const RFM: &str = include_str!("../../../config/profiles/usim-rfm.toml");
const APPLET: &str = include_str!("../../../config/profiles/airwrite-applet.toml");

/// The shipped profile, for cards of which nobody knows what is selected when a script begins.
fn text() -> String {
    RFM.replace("session = \"adf\"", "session = \"any\"")
}

fn profile() -> Profile {
    Profile::from_toml(&text()).unwrap()
}

fn order() -> Subscription {
    Subscription {
        imsi: "001010123456789".parse().unwrap(),
        msisdn: "447779078484".parse().unwrap(),
        iccid: None,
        smsc: Some("447779078484".parse().unwrap()),
    }
}

/// What the scripts do, each command as its action and its file.
fn told(plan: &Plan) -> Vec<Vec<String>> {
    let tell = |command: &PlannedCommand| match command.action {
        Action::Select => format!("select {}", command.file),
        Action::Update => format!("update {}", command.file),
        Action::Read => format!("read {}", command.file),
    };
    plan.scripts.iter().map(|script| script.commands.iter().map(tell).collect()).collect()
}

fn updates(plan: &Plan) -> Vec<&PlannedCommand> {
    let commands = plan.scripts.iter().flat_map(|script| &script.commands);
    commands.filter(|command| command.action == Action::Update).collect()
}

#[test]
fn one_to_four_parts_hold_what_aes_leaves() {
    let mt = profile().mt;
    for (parts, octets) in [(1, 98), (2, 242), (3, 370), (4, 498)] {
        assert_eq!((command_parts(&mt, octets), command_parts(&mt, octets + 1)), (parts, parts + 1));
    }
    let mut narrow = mt;
    (narrow.cpi_every_part, narrow.ref_bits) = (true, 16);
    for (parts, octets) in [(1, 98), (2, 226), (3, 354), (4, 498)] {
        assert_eq!((command_parts(&narrow, octets), command_parts(&narrow, octets + 1)), (parts, parts + 1));
    }
}

#[test]
fn the_packet_takes_as_many_parts_as_were_planned() {
    let mt = profile().mt;
    let key = || Key::new(Algorithm::Aes, &[7; 16]).unwrap();
    let keys = KeySet::new(1, key(), key(), 8).unwrap();
    let header = CommandHeader::new(Spi1(0x16), Spi2(0x39), &keys, mt.tar, Cntr::ZERO);
    for octets in 0..520 {
        let packet = seal(&header, &keys, &vec![0; octets]).unwrap();
        let parts = crate::ota::split(&packet, crate::ota::Cpi::Command, &mt.split_options(9)).unwrap();
        assert_eq!(command_parts(&mt, octets), parts.len(), "{octets} octets");
    }
}

#[test]
fn a_full_subscription_is_one_script_of_four_parts() {
    let profile = profile();
    let plan = Plan::of(&profile, &order()).unwrap();
    assert!(plan.left_out.is_empty());
    let [script] = plan.scripts.as_slice() else { panic!("{} scripts", plan.scripts.len()) };
    assert_eq!((script.parts, script.data.len()), (4, 438));
    assert_eq!(updates(&plan).len(), 12);
    let apdus: Vec<&[u8]> = script.commands.iter().map(|command| command.apdu.as_slice()).collect();
    assert_eq!(decode_compact(&script.data).unwrap(), apdus);
    let told = told(&plan).concat();
    assert_eq!(told[..3], ["select 7FFF", "select EF.MSISDN", "update EF.MSISDN"]);
    assert_eq!(told[told.len() - 3..], ["select EF.IMSI", "update EF.IMSI", "read EF.IMSI"]);
    let end = "00a40004026f0700d600000908091010103254769800b0000009";
    assert!(hex::encode(&script.data).ends_with(end));

    let cost = plan.cost(&profile, 10.0);
    assert_eq!((cost.scripts, cost.parts, cost.octets, cost.responses), (1, 4, 438, 1));
    assert_eq!((cost.messages(), cost.seconds), (5, 0.4));
}

#[test]
fn what_the_card_cannot_join_goes_in_several_scripts() {
    let mut profile = profile();
    let whole = Plan::of(&profile, &order()).unwrap();
    for (max_parts, scripts) in [(3, 2), (2, 2), (1, 7)] {
        profile.mt.max_parts = max_parts;
        let plan = Plan::of(&profile, &order()).unwrap();
        assert_eq!(plan.scripts.len(), scripts, "{max_parts}");
        assert!(plan.scripts.iter().all(|script| script.parts <= max_parts));
        assert_eq!(updates(&plan), updates(&whole));
        for script in told(&plan) {
            assert_eq!(script[0], "select 7FFF", "each script finds its files by itself");
        }
        assert_eq!(plan.cost(&profile, 10.0).responses, scripts);
    }
}

#[test]
fn another_tar_is_another_script() {
    let mut profile = profile();
    for place in [2, 3] {
        profile.write.steps[place].tar = Some(Tar([0xB0, 0, 0]));
    }
    let plan = Plan::of(&profile, &order()).unwrap();
    let tars: Vec<String> = plan.scripts.iter().map(|script| script.tar.to_string()).collect();
    assert_eq!(tars, ["B00010", "B00000", "B00010"]);
    assert_eq!(
        told(&plan)[1],
        ["select 7FFF", "select EF.ACC", "update EF.ACC", "select EF.LOCI", "update EF.LOCI"]
    );

    // Under the TAR that writes EF.IMSI it decides; under another one any answer will do.
    assert_eq!(plan.poll(&profile, 0), Some(read_imsi(&profile, profile.mt.tar)));
    let poll = plan.poll(&profile, 1).unwrap();
    assert_eq!(
        (poll.tar, hex::encode(&poll.data).as_str()),
        (Tar([0xB0, 0, 0]), "00a40004027fff00a40004026f78")
    );
    assert_eq!(plan.poll(&profile, 3), None);
}

#[test]
fn directories_are_selected_as_the_session_needs_it() {
    let mut profile = profile();
    let steps = &mut profile.write.steps;
    steps.retain(|step| ["EF.IMSI", "EF.5GS3GPPLOCI", "EF.ACC"].contains(&step.file.to_string().as_str()));
    let mut iccid = steps[0].clone();
    (iccid.file, iccid.value) = (FileName::Known(Ef::Iccid), StepValue::Octets(vec![0x98; 10]));
    steps.insert(1, iccid);
    let mut selected = |session| {
        profile.write.session = session;
        let told = told(&Plan::of(&profile, &order()).unwrap()).concat();
        let selects = told.iter().filter_map(|command| command.strip_prefix("select "));
        selects.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let rest = "3F00 EF.ICCID 7FFF 7FFF/5FC0 EF.5GS3GPPLOCI 7FFF EF.IMSI";
    assert_eq!(selected(Session::Any), format!("7FFF EF.ACC {rest}"));
    assert_eq!(selected(Session::Mf), format!("7FFF EF.ACC {rest}"));
    assert_eq!(selected(Session::Adf), format!("EF.ACC {rest}"));
    profile.write.session = Session::Any;
    assert_eq!(hex::encode(read_iccid(&profile).data), "00a40004023f0000a40004022fe200b000000a");
    profile.write.session = Session::Mf;
    assert_eq!(hex::encode(read_iccid(&profile).data), "00a40004022fe200b000000a");
}

#[test]
fn what_the_order_does_not_name_is_left_out() {
    let plan = Plan::of(&profile(), &Subscription { smsc: None, ..order() }).unwrap();
    assert_eq!(plan.left_out, [FileName::Known(Ef::Smsp)]);
    assert_eq!(updates(&plan).len(), 11);
}

#[test]
fn an_answer_is_read_with_the_script() {
    let plan = Plan::of(&profile(), &order()).unwrap();
    let script = &plan.scripts[0];
    let sent = script.commands.len();
    let imsi = order().imsi.to_ef();
    let compact = |executed: usize, status: &str, data: &[u8]| {
        [&[executed as u8], &hex::decode(status).unwrap()[..], data].concat()
    };
    assert_eq!(
        script.outcome(&compact(sent, "9000", &imsi)),
        Outcome::Complete { read: Some(imsi.to_vec()) }
    );
    let failed = script.outcome(&compact(3, "6982", &[]));
    let file = FileName::Known(Ef::Msisdn);
    assert_eq!(failed, Outcome::Failed { file, status: StatusWord(0x6982), command: 2 });
    assert_eq!(
        script.outcome(&compact(3, "9000", &[])),
        Outcome::Unreadable(format!("3 of {sent} commands executed"))
    );
    assert!(matches!(script.outcome(&[1]), Outcome::Unreadable(_)));
    assert!(matches!(script.outcome(&compact(200, "9000", &[])), Outcome::Unreadable(_)));
}

#[test]
fn expanded_scripts_are_planned_and_read_too() {
    let text = text().replace("format = \"compact\"", "format = \"expanded\"");
    let profile = Profile::from_toml(&text).unwrap();
    let plan = Plan::of(&profile, &order()).unwrap();
    let [script] = plan.scripts.as_slice() else { panic!("{} scripts", plan.scripts.len()) };
    assert_eq!((script.parts, script.data.len()), (4, 438 + 2 * script.commands.len() + 4));
    let imsi = order().imsi.to_ef();
    let answer = |count: usize, last: ResponseApdu| {
        let response = ScriptResponse {
            format: profile.write.format,
            executed: u32::try_from(count).ok(),
            responses: vec![last],
            problem: None,
        };
        script.outcome(&response.encode())
    };
    let read = ResponseApdu { data: imsi.to_vec(), status: StatusWord::OK };
    assert_eq!(answer(script.commands.len(), read), Outcome::Complete { read: Some(imsi.to_vec()) });
    let refused = ResponseApdu { data: Vec::new(), status: StatusWord(0x6A82) };
    assert!(matches!(answer(1, refused), Outcome::Failed { command: 0, .. }));
    assert!(script.responses(&profile) > 1, "a card may answer every command");
}

#[test]
fn a_refresh_stands_behind_the_last_file() {
    let text = RFM
        .replace("format = \"compact\"", "format = \"expanded\"")
        .replace("\"none\"\n# The form", "\"04\"\n# The form");
    let mut profile = Profile::from_toml(&text).unwrap();
    profile.mt.max_parts = 2;
    let plan = Plan::of(&profile, &order()).unwrap();
    let refreshes: Vec<bool> = plan
        .scripts
        .iter()
        .map(|script| {
            hex::encode(&script.data).ends_with("810182810981030101048202 8182".replace(' ', "").as_str())
        })
        .collect();
    assert_eq!(refreshes, [false, false, true]);
    let last = &plan.scripts[2];
    assert!(last.parts <= 2);
    let response = ScriptResponse {
        format: profile.write.format,
        executed: u32::try_from(last.commands.len() + 2).ok(),
        responses: vec![ResponseApdu { data: vec![0xFF; 9], status: StatusWord::OK }],
        problem: None,
    };
    assert_eq!(last.outcome(&response.encode()), Outcome::Complete { read: Some(vec![0xFF; 9]) });
}

#[test]
fn only_profiles_of_files_have_a_plan() {
    let applet = Profile::from_toml(APPLET).unwrap();
    assert_eq!(Plan::of(&applet, &order()), Err(PlanError::Method));
    let cost = write_card_cost(&applet, 20.0).unwrap();
    assert_eq!((cost.scripts, cost.parts, cost.responses, cost.seconds), (1, 2, 1, 0.1));
    assert_eq!(write_card_cost(&profile(), 20.0), None);
}

proptest! {
    #[test]
    fn every_script_fits_and_selects_what_it_writes(
        order_of_steps in Just((0..11).collect::<Vec<usize>>()).prop_shuffle(),
        kept in 0usize..12,
        tars in prop::collection::vec(0u8..2, 12),
        max_parts in 1u8..6,
    ) {
        let mut profile = profile();
        profile.mt.max_parts = max_parts;
        let all = profile.write.steps.clone();
        profile.write.steps = order_of_steps.iter().take(kept).chain(&[11]).map(|place| {
            let mut step = all[*place].clone();
            step.tar = Some(Tar([0xB0, 0x00, tars[*place]]));
            step
        }).collect();
        let plan = Plan::of(&profile, &order()).unwrap();
        prop_assert_eq!(updates(&plan).len(), kept + 1);
        for script in &plan.scripts {
            prop_assert!(script.parts <= max_parts);
            prop_assert_eq!(decode_compact(&script.data).unwrap().len(), script.commands.len());
            for pair in script.commands.windows(2) {
                if pair[1].action == Action::Update {
                    prop_assert_eq!(pair[0].action, Action::Select);
                    prop_assert_eq!(&pair[0].file, &pair[1].file);
                }
            }
        }
        for pair in plan.scripts.windows(2) {
            let joined = pair[0].data.len() + pair[1].data.len();
            prop_assert!(pair[0].tar != pair[1].tar || command_parts(&profile.mt, joined) >= usize::from(max_parts));
        }
    }
}
