//! Cards without an applet: scripts write their files, and the terminal attaches as whoever they are then.

use airwrite::identity::{Imei, Imsi};
use airwrite::ota::apdu::{StatusWord, read_binary, read_record, select, update_binary};
use airwrite::ota::script::{Format, ScriptOptions, ScriptResponse, decode_response, encode};
use airwrite::ota::{PartSet, Rsc, Spi1, Spi2, Tar, response};
use airwrite::sim::operator::Input;
use airwrite::sim::{
    CardSpec, FaultPlan, Interim, MoDialect, OperatorConfig, RefreshHabit, Rfm, RfmApplication, SessionStart,
};
use airwrite::smpp::{CommandStatus, MessageState};

use crate::bench::{
    Bench, ESME, Heard, IMEIS, cards, keys, preset_number, submits_to, target_imsi, target_number,
};

const USIM: Tar = Tar([0xB0, 0x00, 0x10]);
const SHARED: Tar = Tar([0xB0, 0x00, 0x00]);
const BY_SUBMIT: Spi2 = Spi2::POR_CC_CIPHERED_BY_SUBMIT;

fn rfm() -> Rfm {
    let application = |tar, start| RfmApplication { tar, start, min_spi1: Spi1::CC_CIPHERED_HIGHER };
    Rfm {
        applications: vec![application(USIM, SessionStart::Usim), application(SHARED, SessionStart::Mf)],
        ..Rfm::default()
    }
}

/// One card with this management, which says nothing of its own, switched on and attached.
fn bench(rfm: Rfm, faults: &str) -> Bench {
    let faults = FaultPlan::from_toml(faults).unwrap();
    let card = CardSpec { eid: None, rfm: Some(rfm), mo_dialect: MoDialect::Silent, ..cards(1).remove(0) };
    let mut bench = Bench::with(OperatorConfig { faults, ..OperatorConfig::default() }, &[card], 7);
    bench.input(Input::PowerOn(0));
    bench.run_until(|report| report.cards[0].attached.is_some());
    bench
}

impl Bench {
    fn script(&mut self, tar: Tar, cntr: u64, format: Format, commands: &[Vec<u8>]) {
        let script = encode(format, &ScriptOptions::default(), commands).unwrap();
        for sm in submits_to(&preset_number(0), tar, cntr, BY_SUBMIT, &script) {
            self.input(Input::Submit { esme: ESME, token: 1, sm: Box::new(sm) });
        }
    }

    /// The next response, from this number; receipts are passed over.
    fn response(&mut self, from: &str) -> ScriptResponse {
        loop {
            match self.hear() {
                Heard::Receipt(state) => assert_eq!(state, MessageState::DELIVERED),
                Heard::Script(sender, response) => {
                    assert_eq!(sender, from);
                    return response;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn refusal(&mut self) -> Rsc {
        loop {
            match self.hear() {
                Heard::Receipt(_) => {}
                Heard::Refused(rsc) => return rsc,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn imsi() -> Imsi {
    target_imsi(0).parse().unwrap()
}

fn write_imsi() -> Vec<Vec<u8>> {
    vec![select(0x6F07), update_binary(0, &imsi().to_ef()).unwrap(), read_binary(0, 9)]
}

#[test]
fn the_terminal_attaches_as_the_new_subscriber_however_it_hears_of_it() {
    for refresh in [RefreshHabit::UiccReset, RefreshHabit::FileChange, RefreshHabit::None] {
        let mut bench = bench(Rfm { refresh, ..rfm() }, "");
        bench.script(USIM, 1, Format::Compact, &write_imsi());
        let response = bench.response(preset_number(0).as_str());
        assert_eq!(
            (response.executed, response.responses[0].status),
            (Some(3), StatusWord::OK),
            "{refresh:?}"
        );
        assert_eq!(response.responses[0].data, imsi().to_ef());
        if refresh == RefreshHabit::None {
            while bench.hear_and_answer(600_000, CommandStatus::ESME_ROK).is_some() {}
            assert_ne!(bench.operator.snapshot().cards[0].attached, Some(imsi()));
            bench.input(Input::PowerOn(0));
        }
        bench.run_until(|report| report.cards[0].attached == Some(imsi()));
        // Read at the new number.
        let script = encode(Format::Compact, &ScriptOptions::default(), &[select(0x6F07), read_binary(0, 9)]);
        for sm in submits_to(&target_number(0), USIM, 2, BY_SUBMIT, &script.unwrap()) {
            bench.input(Input::Submit { esme: ESME, token: 1, sm: Box::new(sm) });
        }
        assert_eq!(bench.response(target_number(0).as_str()).responses[0].data, imsi().to_ef());
        let card = &bench.operator.snapshot().cards[0].card;
        assert_eq!((card.eid, card.ef_imsi, card.bindings_sent), (None, Some(imsi()), 0));
        assert_eq!(card.files["EF.IMSI"], [hex::encode_upper(imsi().to_ef())]);
    }
}

#[test]
fn each_application_has_its_counter_and_nobody_else_is_there() {
    let mut bench = bench(rfm(), "");
    bench.script(USIM, 9, Format::Compact, &[select(0x6F78), read_binary(0, 2)]);
    assert_eq!(bench.response(preset_number(0).as_str()).responses[0].data.len(), 2);
    bench.script(SHARED, 3, Format::Compact, &[select(0x2FE2), read_binary(0, 10)]);
    assert_eq!(bench.response(preset_number(0).as_str()).responses[0].data.len(), 10);
    bench.script(USIM, 8, Format::Compact, &write_imsi());
    assert_eq!(bench.refusal(), Rsc::CNTR_LOW);
    assert_eq!(bench.operator.snapshot().cards[0].card.ef_imsi.unwrap().as_str(), "460040000000000");
}

#[test]
fn a_long_response_comes_in_parts() {
    let mut bench = bench(rfm(), "");
    let commands: Vec<_> = (0..8).flat_map(|_| [select(0x6F42), read_record(1, 38)]).collect();
    bench.script(USIM, 1, Format::Expanded, &commands);
    let mut parts: Option<PartSet> = None;
    let joined = loop {
        match bench.hear() {
            Heard::Receipt(_) => {}
            Heard::Part(part) => {
                let set = parts.get_or_insert_with(|| PartSet::new(part.concatenation().unwrap()));
                set.insert(&part).unwrap();
                if let Some(joined) = set.joined() {
                    break joined;
                }
            }
            other => panic!("{other:?}"),
        }
    };
    let por = response::open(&joined.payload, BY_SUBMIT, &keys()).unwrap();
    let response = decode_response(&por.data).unwrap();
    assert_eq!((response.executed, response.responses.len(), por.protected), (Some(16), 8, true));
    assert!(response.responses.iter().all(|answer| answer.data.len() == 38));
}

#[test]
fn a_response_may_be_announced_before_it_or_after_it() {
    for interim in [Interim::Before, Interim::After] {
        let mut bench = bench(Rfm { interim, ..rfm() }, "");
        bench.script(USIM, 1, Format::Compact, &write_imsi());
        let mut order = Vec::new();
        while order.len() < 2 {
            match bench.hear() {
                Heard::Receipt(_) => {}
                Heard::Script(..) => order.push(None),
                Heard::Refused(rsc) => order.push(Some(rsc)),
                other => panic!("{other:?}"),
            }
        }
        let announced = Some(Rsc::FOLLOWS_BY_SUBMIT);
        let expected = if interim == Interim::Before { [announced, None] } else { [None, announced] };
        assert_eq!(order, expected);
    }
}

#[test]
fn a_terminal_that_refuses_refresh_is_asked_again() {
    let mut bench = bench(Rfm { refresh: RefreshHabit::FileChange, ..rfm() }, "");
    bench.input(Input::RefuseRefresh(0, 3));
    bench.script(USIM, 1, Format::Compact, &write_imsi());
    bench.run_until(|report| report.cards[0].attached == Some(imsi()));
}

#[test]
fn power_may_be_lost_before_the_response_and_before_refresh() {
    for point in ["accepted", "written", "refreshed"] {
        let plan = format!("[card]\npower_cut = 100\npower_cut_at = [\"{point}\"]\npower_off_ms = 1000");
        let mut bench = bench(Rfm { refresh: RefreshHabit::UiccReset, ..rfm() }, &plan);
        bench.script(USIM, 1, Format::Compact, &write_imsi());
        bench.run_until(|report| report.faults.contains_key(&format!("power_cut_{point}")));
        bench.input(Input::Heal);
        bench.run_until(|report| report.cards[0].attached == Some(imsi()));
    }
}

/// The files that come first are written, and the same script again writes them all.
#[test]
fn power_may_be_lost_between_two_files() {
    let plan = "[card]\npower_cut = 100\npower_cut_at = [\"within_script\"]\npower_off_ms = 1000";
    let mut bench = bench(Rfm { refresh: RefreshHabit::UiccReset, ..rfm() }, plan);
    let mut commands = vec![select(0x6F78), update_binary(0, &[0x02, 0x00]).unwrap()];
    commands.extend(write_imsi());
    bench.script(USIM, 1, Format::Compact, &commands);
    bench.run_until(|report| report.faults.contains_key("power_cut_within_script"));
    bench.input(Input::Heal);
    bench.run_until(|report| report.cards[0].attached.is_some());
    let card = &bench.operator.snapshot().cards[0].card;
    assert_eq!(
        (card.files["EF.ACC"].as_slice(), card.ef_imsi != Some(imsi())),
        (&["0200".to_owned()][..], true)
    );
    bench.script(USIM, 2, Format::Compact, &commands);
    let response = loop {
        match bench.hear() {
            // The message that nobody acknowledged comes once more.
            Heard::Receipt(_) | Heard::Refused(Rsc::CNTR_LOW) => {}
            Heard::Script(_, response) => break response,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(response.executed, Some(5));
    bench.run_until(|report| report.cards[0].attached == Some(imsi()));
}

#[test]
fn a_card_may_tell_its_device_and_no_more() {
    let card = CardSpec { rfm: Some(rfm()), mo_dialect: MoDialect::RawImei, ..cards(1).remove(0) };
    let mut bench = Bench::with(OperatorConfig::default(), &[card], 7);
    bench.input(Input::PowerOn(0));
    let Heard::Plain(from, data) = bench.hear() else { panic!("the IMEI") };
    assert_eq!(from, preset_number(0).as_str());
    assert_eq!(Imei::from_mobile_identity(&data).unwrap().to_string(), IMEIS[0]);
}
