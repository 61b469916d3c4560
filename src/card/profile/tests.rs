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
        ("max_parts = 5", "max_parts = 0", "mt.max_parts: expected 1 to 255"),
        ("[\"aes\", \"3des2\"]", "[]", "mt.algorithms: expected at least one of"),
        ("[\"aes\", \"3des2\"]", "[\"3des\"]", "mt.algorithms: expected names among"),
        ("window = 64", "window = 32", "mo.window: expected 64"),
        ("kind = \"applet\"", "kind = \"read_imsi\"", "poll.kind: expected \"applet\""),
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
