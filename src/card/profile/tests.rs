//! What a profile may hold, and how it is told what is wrong with it.

use super::*;

const APPLET: &str = include_str!("../../../config/profiles/airwrite-applet.toml");

/// The applet's profile with `from` in it replaced.
fn applet_with(from: &str, to: &str) -> Result<Profile, String> {
    assert!(APPLET.contains(from), "{from}");
    Profile::from_toml(&APPLET.replace(from, to)).map_err(|error| error.to_string())
}

#[test]
fn what_the_dialect_does_not_need_may_be_missing() {
    let silent = APPLET.replace("tar = \"415732\"", "").replace("window = 64", "").replace("min_spi1", "#");
    let error = Profile::from_toml(&silent).unwrap_err().to_string();
    assert_eq!(error, "profile airwrite-applet: mo.tar: expected the TAR under which the card sends");
    let profile = Profile::from_toml(&silent.replace("\"secured\"", "\"none\"")).unwrap();
    assert_eq!((profile.mo.dialect, profile.mo.tar), (Dialect::Silent, None));
    assert_eq!((profile.mo.min_spi1.0, profile.mo.window), (0x16, 64));
}

#[test]
fn a_card_without_por_is_served_by_its_applet() {
    let profile = applet_with("spi2_sms = \"39\"", "spi2_sms = \"00\"").unwrap();
    assert!(!profile.asks_por());
    assert!(applet_with("name", "name").unwrap().asks_por());
    let error = applet_with("spi2_sms = \"39\"", "spi2_sms = \"3A\"").unwrap_err();
    assert_eq!(
        error,
        "profile airwrite-applet: mt.spi2_sms: expected a response always (as \"39\") or never (\"00\")"
    );
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_what_was_expected() {
    for (from, to, expected) in [
        ("mode = \"10\"", "mode = \"11\"", "mt.mode: expected \"10\" (must be higher): \"11\""),
        (
            "mode = \"10\"",
            "mode = \"01\"",
            "mt.mode: expected \"10\" (must be higher): a card that does not check",
        ),
        (
            "\nspi1 = \"16\"",
            "\nspi1 = \"0E\"",
            "mt.spi1: expected an octet whose bits 5 and 4 are those of mt.mode",
        ),
        ("kvn = 1", "kvn = 16", "mt.kvn: expected 1 to 15"),
        ("ref_bits = 8", "ref_bits = 9", "mt.ref_bits: expected 8 or 16"),
        ("max_parts = 5", "max_parts = 0", "mt.max_parts: expected 1 to 16, found 0"),
        ("max_parts = 5", "max_parts = 17", "mt.max_parts: expected 1 to 16, found 17"),
        ("[\"aes\", \"3des2\"]", "[]", "mt.algorithms: expected one or more"),
        ("window = 64", "window = 32", "mo.window: expected 64"),
        ("kind = \"applet\"", "kind = \"read_imsi\"", "poll.kind: expected \"applet\""),
        ("refresh = \"04\"", "refresh = \"04\"\nmnc_digits = 2", "write: expected refresh alone"),
        ("refresh = \"04\"", "refresh = \"none\"", "write.refresh: expected \"04\" or \"05\""),
    ] {
        let error = applet_with(from, to).unwrap_err();
        assert!(error.starts_with(&format!("profile airwrite-applet: {expected}")), "{error}");
    }
}

#[test]
fn what_the_file_cannot_mean_is_told_with_its_line() {
    let line = |error: &str, of: &str| {
        let number = 1 + APPLET.lines().position(|line| line.starts_with(of)).unwrap();
        assert!(error.contains(&format!("line {number}, ")), "{error}");
    };
    for (from, to, of, expected) in [
        ("ref_bits = 8", "ref_bit = 8", "ref_bits", "unknown field `ref_bit`"),
        ("\nspi1 = \"16\"", "\nspi1 = \"6\"", "spi1", "expected 2 hexadecimal digits in quotes"),
        (
            "start = \"import\"",
            "start = \"now\"",
            "start",
            "unknown variant `now`, expected `import` or `time`",
        ),
        ("[\"aes\", \"3des2\"]", "[\"3des\"]", "algorithms", "expected aes, 3des2, 3des3 or des"),
        ("refresh = \"04\"", "refresh = \"01\"", "refresh", "expected \"04\" (UICC reset), \"05\""),
    ] {
        let error = applet_with(from, to).unwrap_err();
        assert!(error.contains(expected), "{error}");
        line(&error, of);
    }
}

#[test]
fn a_counter_may_start_at_the_time() {
    assert_eq!(applet_with("name", "name").unwrap().mt.start, Start::Import);
    assert_eq!(applet_with("start = \"import\"", "start = \"time\"").unwrap().mt.start, Start::Time);
}

const RFM: &str = include_str!("../../../config/profiles/usim-rfm.toml");

/// The profile for file management with `from` in it replaced.
fn rfm_with(from: &str, to: &str) -> Result<Profile, String> {
    assert!(RFM.contains(from), "{from}");
    Profile::from_toml(&RFM.replace(from, to)).map_err(|error| error.to_string())
}

#[test]
fn files_are_named_or_given_by_their_path() {
    for (text, file) in [("imsi", "EF.IMSI"), ("7FFF/6F07", "EF.IMSI"), ("7fff/5fc0/4f07", "7FFF/5FC0/4F07")] {
        assert_eq!(text.parse::<FileName>().unwrap().to_string(), file);
    }
    for text in ["", "msisdn2", "6F07", "7FF0/6F07", "7FFF", "7FFF/6F0", "7FFF/6F07/", "7FFF/+F07"] {
        assert!(text.parse::<FileName>().is_err(), "{text}");
    }
}

#[test]
fn values_are_what_they_say() {
    let plmns = vec!["46000".parse().unwrap(), "310410".parse().unwrap()];
    for (text, value) in [
        ("order", StepValue::Order),
        ("blank", StepValue::Blank),
        ("hex:01fF", StepValue::Octets(vec![1, 0xFF])),
        ("text:A: b", StepValue::Text("A: b".to_owned())),
        ("plmns:46000, 310410", StepValue::Plmns(plmns)),
    ] {
        assert_eq!(text.parse(), Ok(value));
    }
    for text in ["", "orders", "hex:", "hex:0", "hex:0G", "plmns:", "plmns:4600", "name:A"] {
        assert_eq!(text.parse::<StepValue>(), Err(StepValueError), "{text}");
    }
}

#[test]
fn a_plan_that_cannot_be_is_told_with_its_step() {
    for (from, to, expected) in [
        ("spi2_relay = \"19\"", "spi2_relay = \"00\"", "mt.spi2_relay: expected a response always, as \"19\""),
        ("kind = \"read_imsi\"", "kind = \"applet\"", "poll.kind: expected \"read_imsi\""),
        ("mnc_digits = 2", "", "write.mnc_digits: expected 2 or 3"),
        ("\nsmsp_alpha = 10", "", "write.step 2 (EF.SMSP): expected write.smsp_alpha"),
        ("file = \"acc\"", "file = \"imsi\"", "write.step: expected file = \"imsi\" once"),
        ("file = \"acc\"", "file = \"loci\"", "write.step 3 (EF.LOCI): expected value = \"blank\" or \"hex:…\""),
        ("file = \"acc\"", "file = \"7FFF/6F99\"", "write.step 3 (7FFF/6F99): expected value = \"hex:…\""),
        ("file = \"acc\"", "file = \"acc\"\nrecord = 1", "write.step 3 (EF.ACC): record: expected none"),
        ("file = \"msisdn\"", "file = \"msisdn\"\nrecord = 0", "write.step 1 (EF.MSISDN): record: expected 1 to 255"),
        ("length = 54", "", "write.step 11 (EF.EPSNSC): expected length"),
        ("length = 54", "length = 53", "write.step 11 (EF.EPSNSC): expected 54 or more octets, found 53"),
        ("file = \"acc\"\nvalue = \"order\"", "file = \"acc\"\nvalue = \"blank\"", "write.step 3 (EF.ACC): expected value"),
        ("file = \"acc\"\nvalue = \"order\"", "file = \"acc\"\nvalue = \"hex:01\"", "write.step 3 (EF.ACC): expected 2 octets"),
        ("file = \"acc\"\nvalue = \"order\"", "file = \"spn\"\nvalue = \"text:Seventeen letters\"", "write.step 3 (EF.SPN)"),
    ] {
        let error = rfm_with(from, to).unwrap_err();
        assert!(error.starts_with(&format!("profile usim-rfm: {expected}")), "{error}");
    }
}

#[test]
fn a_file_that_no_packet_holds_is_refused() {
    let step = format!("[[write.step]]\nfile = \"7FFF/6F99\"\nvalue = \"hex:{}\"\n\n", "00".repeat(86));
    let first = RFM.find("[[write.step]]").unwrap();
    let with_step = |max_parts: &str| {
        let text = [&RFM[..first], &step, &RFM[first..]].concat();
        Profile::from_toml(&text.replace("max_parts = 4", max_parts)).map_err(|error| error.to_string())
    };
    assert!(with_step("max_parts = 2").is_ok());
    let error = with_step("max_parts = 1").unwrap_err();
    assert_eq!(
        error,
        "profile usim-rfm: write.step 1 (7FFF/6F99): expected no more octets than the parts of a packet hold (mt.max_parts = 1)"
    );
}

#[test]
fn other_files_are_written_as_the_profile_says() {
    let last = "[[write.step]]\nfile = \"imsi\"";
    let more = "[[write.step]]\nfile = \"ad\"\nvalue = \"order\"\n\n[[write.step]]\nfile = \"spn\"\nvalue = \"text:Op\"\n\n\
                [[write.step]]\nfile = \"hplmnwact\"\nlength = 10\nvalue = \"plmns:46000\"\n\n\
                [[write.step]]\nfile = \"7FFF/6F99\"\nrecord = 2\nvalue = \"hex:AB\"\n\n";
    let profile = rfm_with(last, &format!("{more}{last}")).unwrap();
    let plan = Plan::of(&profile, &Subscription::fullest().unwrap()).unwrap();
    let data: String = plan.scripts.iter().map(|script| hex::encode(&script.data)).collect();
    for expected in [
        "6fad00d600000400000002",
        "6f4600d6000011014f70ffffffff",
        "6f6200d600000a64f000c880ffffff0000",
        "6f9900dc020401ab",
    ] {
        assert!(data.contains(expected), "{expected} in {data}");
    }
}
