//! `airwrite profile check`: what a write with a profile sends, what is risky in it, and what is wrong with it.

mod cli_place;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use cli_place::{Place, ROOT, Ran};
use serde_json::json;

fn shipped(name: &str) -> String {
    Path::new(ROOT).join("config/profiles").join(name).display().to_string()
}

/// The shipped profile with some of its text replaced, checked.
fn changed(name: &str, changes: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let place = Place::new();
    let mut text = fs::read_to_string(shipped(name)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(place.path("profile.toml"), text).unwrap();
    place.run(&[&["profile", "check", "profile.toml"], arguments].concat())
}

#[test]
fn every_shipped_profile_is_fine() {
    let files: Vec<String> = fs::read_dir(Path::new(ROOT).join("config/profiles"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    let arguments: Vec<&str> =
        ["profile", "check", "--json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ran = Place::new().run(&arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let reports = ran.json();
    assert_eq!(reports.as_array().unwrap().len(), files.len());
    for report in reports.as_array().unwrap() {
        assert_eq!(report.get("error"), None);
        let worst =
            report["findings"].as_array().unwrap().iter().any(|finding| finding["severity"] == "error");
        assert!(!worst, "{report}");
    }
}

#[test]
fn a_full_subscription_shows_its_cost_before_it_is_sent() {
    let file = shipped("usim-rfm.toml");
    let whole = ["profile", "check", &file, "--smsc", "447779078484", "--rate", "20"];
    let ran = Place::new().run(&[&whole[..], &["--json"]].concat());
    let report = &ran.json()[0];
    assert_eq!(
        report["cost"],
        json!({"scripts": 1, "parts": 4, "octets": 431, "responses": 1, "seconds": 0.2})
    );
    assert_eq!(
        report["packets"][0]["files"].as_array().unwrap().len(),
        13,
        "12 files, and the read of EF.IMSI"
    );
    assert_eq!((&report["messages"], &report["left_out"]), (&json!(5), &json!([])));

    let shown = Place::new().run(&whole).stdout;
    assert!(shown.contains("EF.EPSNSC, EF.IMSI, EF.IMSI read"), "{shown}");
    assert!(
        shown.contains("a write: 431 octets, 4 SMS to the card and 1 from it; 0.2 s to send at 20 SMS/s"),
        "{shown}"
    );
}

#[test]
fn what_the_order_does_not_name_is_told() {
    let ran = Place::new().run(&["profile", "check", &shipped("usim-rfm.toml")]);
    assert_eq!(ran.code, 0);
    let records =
        "a card refuses records of another length than its own: here EF.MSISDN 24 octets, EF.SMSP 38 octets";
    assert!(ran.stdout.replace("\n          ", "").contains(records), "{}", ran.stdout);
    let expected = "left out: EF.SMSP, because the order names no such value; the card keeps what it has";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
}

#[test]
fn a_card_that_joins_less_takes_more_packets() {
    let ran = changed(
        "usim-rfm.toml",
        &[("max_parts = 4", "max_parts = 2")],
        &["--json", "--smsc", "447779078484"],
    );
    let report = &ran.json()[0];
    assert_eq!(
        (ran.code, &report["cost"]["scripts"], &report["cost"]["responses"]),
        (0, &json!(2), &json!(2))
    );
    for packet in report["packets"].as_array().unwrap() {
        assert!(packet["parts"].as_u64().unwrap() <= 2, "{packet}");
    }
    let short = changed("airwrite-applet.toml", &[("max_parts = 5", "max_parts = 1")], &[]);
    assert_eq!(short.code, 1);
    assert!(
        short.stdout.contains("error    mt.max_parts: 1: the write-card message takes up to 2 parts"),
        "{}",
        short.stdout
    );
}

#[test]
fn what_makes_a_card_unsafe_is_an_error() {
    for (name, from, to, expected) in [
        (
            "usim-rfm.toml",
            "\nspi1 = \"16\"",
            "\nspi1 = \"10\"",
            "error    mt.spi1: no cryptographic checksum",
        ),
        (
            "usim-rfm.toml",
            "spi2_sms = \"39\"",
            "spi2_sms = \"21\"",
            "error    mt.spi2_sms: responses without",
        ),
        (
            "airwrite-applet.toml",
            "tar = \"415732\"",
            "tar = \"415731\"",
            "error    mo.tar: the same as mt.tar",
        ),
        (
            "airwrite-applet.toml",
            "min_spi1 = \"16\"",
            "min_spi1 = \"00\"",
            "error    mo.min_spi1: messages are accepted",
        ),
        (
            "airwrite-applet-plain.toml",
            "spi2_sms = \"39\"",
            "spi2_sms = \"00\"",
            "error    mo.dialect: neither",
        ),
    ] {
        let ran = changed(name, &[(from, to)], &[]);
        assert_eq!(ran.code, 1, "{to}");
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
}

#[test]
fn what_is_weak_or_incomplete_is_a_warning() {
    for (from, to, expected) in [
        ("\nspi1 = \"16\"", "\nspi1 = \"12\"", "warning  mt.spi1: not ciphered"),
        ("\"3des3\"]", "\"des\"]", "warning  mt.algorithms: single DES"),
        ("max_parts = 4", "max_parts = 9", "warning  mt.max_parts: 9"),
        ("file = \"acc\"", "file = \"loci\"", "warning  write.step 4: EF.LOCI is written twice"),
        (
            "format = \"compact\"",
            "format = \"expanded\"",
            "warning  write.format: TAR B00010 is for the compact form",
        ),
        ("dialect = \"none\"", "dialect = \"raw_imei\"", "warning  trust.allow_claimed_imei: false"),
        ("spi2_relay = \"19\"", "spi2_relay = \"09\"", "warning  mt.spi2_relay: responses are not ciphered"),
    ] {
        let value = ("file = \"acc\"\nvalue = \"order\"", "file = \"acc\"\nvalue = \"blank\"");
        let changes = if from.contains("acc") { vec![value, (from, to)] } else { vec![(from, to)] };
        let ran = changed("usim-rfm.toml", &changes, &[]);
        assert_eq!(ran.code, 0, "{to} {}", ran.stdout);
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
}

#[test]
fn a_profile_that_does_not_load_says_where_and_why() {
    let last = "[[write.step]]\nfile = \"imsi\"\nvalue = \"order\"\n";
    for (from, to, expected) in [
        ("ref_bits = 8", "ref_bit = 8", "unknown field `ref_bit`"),
        ("spi2_sms = \"39\"", "spi2_sms = \"00\"", "mt.spi2_sms: expected a response always, as \"39\""),
        (
            "mode = \"10\"",
            "mode = \"01\"",
            "mt.mode: expected \"10\" (must be higher): a card that does not check",
        ),
        (last, "", "write.step: expected the last one with file = \"imsi\""),
        ("msisdn_alpha = 10", "", "write.step 1 (EF.MSISDN): expected write.msisdn_alpha"),
        ("file = \"keys\"", "file = \"key\"", "expected a file's name as \"imsi\""),
        ("refresh = \"none\"", "refresh = \"04\"", "write.refresh: expected \"none\""),
    ] {
        let ran = changed("usim-rfm.toml", &[(from, to)], &[]);
        assert_eq!(ran.code, 1, "{to}");
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
    let text = fs::read_to_string(shipped("usim-rfm.toml")).unwrap();
    let line = 1 + text.lines().position(|line| line == "kvn = 1").unwrap();
    let ran = changed("usim-rfm.toml", &[("kvn = 1", "kvm = 1")], &[]);
    assert!(ran.stdout.contains(&format!("line {line}, column 1")), "{}", ran.stdout);
    let ran = Place::new().run(&["profile", "check", "nowhere.toml", &shipped("usim-rfm.toml"), "--json"]);
    assert_eq!(ran.code, 1);
    let reports = ran.json();
    assert!(reports[0]["error"].as_str().unwrap().contains("No such file"), "{reports}");
    assert_eq!(reports[1]["profile"], "usim-rfm");
}

#[test]
fn a_rate_is_a_number_above_0() {
    let ran = Place::new().run(&["profile", "check", &shipped("usim-rfm.toml"), "--rate", "0"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("expected a number above 0"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let mut command = place.command(&["profile", "check", &shipped("usim-rfm.toml")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
}
