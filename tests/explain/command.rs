//! `airwrite explain` as people run it.

use std::io::Write;
use std::process::Stdio;

use airwrite::applet::{KeyBlock, Message, Refresh, WriteCard};
use airwrite::identity::{Eid, EidChecksum};
use serde_json::Value;

use crate::cli_place::{Place, Ran};
use crate::file;

fn capture(name: &str) -> String {
    file(&format!("pcaps/{name}.pcapng")).to_str().unwrap().to_owned()
}

/// The cards of `pcaps/write-card`: those that the demo makes of the same seed.
fn place_with_cards() -> Place {
    let place = Place::new();
    let made = place.run(&[
        "cards",
        "sample",
        "--seed",
        "1",
        "--count",
        "2",
        "--plain",
        "1",
        "--raw",
        "1",
        "--out",
        "cards.csv",
        "--subscriptions-out",
        "targets.csv",
    ]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    place
}

#[test]
fn a_capture_of_the_demo_tells_every_binding_command_and_por_with_its_verdict() {
    let place = place_with_cards();
    let ran = place.run(&["explain", &capture("write-card"), "--keys", "cards.csv"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let verdicts: Vec<&str> = ran.stdout.lines().filter_map(|line| line.trim().strip_prefix("=> ")).collect();
    let count = |part: &str| verdicts.iter().filter(|verdict| verdict.contains(part)).count();
    assert_eq!(count("binding: IMEI"), 5, "one of four cards reports twice");
    assert_eq!(count(" confirmed, IMSI 001012001"), 5, "three tell it, two are asked");
    assert_eq!(count("delivery receipt of message"), 8);
    assert_eq!(count("PoR 00: write"), 4);
    assert_eq!(count("PoR 00: poll"), 4);
    assert_eq!(count("; answers "), 8, "every PoR is that of its command");
    assert_eq!(count("not verified"), 0);
    let packets =
        ran.stdout.matches("command packet  ").count() + ran.stdout.matches("response packet ").count();
    assert_eq!(packets, ran.stdout.matches("verified: EID 8900101200000000").count());
}

#[test]
fn the_example_of_the_readme_is_what_is_printed() {
    let readme = std::fs::read_to_string(file("README.md")).unwrap();
    let (_, example) = readme.split_once("$ airwrite explain --keys cards.csv ").unwrap();
    let (octets, behind) = example.split_once('\n').unwrap();
    let (printed, _) = behind.split_once("```").unwrap();
    let ran = place_with_cards().run(&["explain", "--keys", "cards.csv", octets]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, printed));
}

#[test]
fn without_keys_the_outside_of_a_packet_is_told() {
    let place = Place::new();
    let ran = place.run(&["explain", &capture("write-card")]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("not deciphered: no keys given"));
    assert!(ran.stdout.contains("seems to answer the command in packet 8, sequence 2"));
    assert!(!ran.stdout.contains("verified: EID"));
}

#[test]
fn no_key_and_no_password_is_printed() {
    let place = place_with_cards();
    let cards = std::fs::read_to_string(place.path("cards.csv")).unwrap();
    let keys: Vec<String> = cards
        .split([',', '\n'])
        .filter(|value| value.len() >= 32 && value.bytes().all(|octet| octet.is_ascii_hexdigit()))
        .filter(|value| !value.starts_with("8900"))
        .map(str::to_owned)
        .collect();
    assert_eq!(keys.len(), 8);
    for json in [false, true] {
        let capture = capture("write-card");
        let mut arguments = vec!["explain", &capture, "--keys", "cards.csv", "--full"];
        arguments.extend(json.then_some("--json"));
        let shown = place.run(&arguments).stdout.replace(' ', "").to_uppercase();
        assert!(shown.len() > 10_000);
        assert!(keys.iter().all(|key| !shown.contains(key.as_str())));
        assert!(!shown.contains("2A2A2A2A2A2A2A2A"), "not even the mask of a password");
    }
    // bind_transmitter of "me" with the password "secret".
    let bind =
        "0000002500000002000000000000000 16d6500736563726574000034000000".replace(' ', "") + "00000000";
    let ran = place.run(&["explain", "--as", "smpp", &bind]);
    assert!(ran.stdout.contains("[7 octets]") && !ran.stdout.contains("73 65 63"), "{}", ran.stdout);
    assert!(!place.run(&["explain", "--as", "smpp", "--json", &bind]).stdout.contains("736563726574"));
}

#[test]
fn a_key_block_is_never_shown() {
    let message = Message::WriteCard(WriteCard {
        tid: 1,
        imei: "357805020000015".parse().unwrap(),
        eid: Eid::parse("89001012000000000001000000000100", EidChecksum::Reject).unwrap().0,
        iccid: None,
        imsi: "001012001000001".parse().unwrap(),
        msisdn: "861064201000001".parse().unwrap(),
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: None,
        key_block: Some(KeyBlock::new(vec![0xC0, 0xFF, 0xEE, 0x11]).unwrap()),
    });
    let message = &hex::encode(message.to_der().unwrap());
    let place = Place::new();
    for arguments in [&["explain", message][..], &["explain", "--json", message][..]] {
        let ran = place.run(arguments);
        let shown = ran.stdout.replace(' ', "").to_uppercase();
        assert!(shown.contains("WRITECARD") && shown.contains("[4OCTETS]"), "{shown}");
        assert!(!shown.contains("C0FFEE"), "{shown}");
    }
}

/// EF.Keys may be written and read by its short identifier, or still be selected where another SELECT failed; Kc is fetched
/// by GET RESPONSE.
#[test]
fn keys_that_stand_elsewhere_than_it_seems_are_not_shown() {
    let place = Place::new();
    let keys = format!("07{}", "C1".repeat(32));
    let binary = format!("00A40004026F0700D6880021{keys}");
    let record = format!("00A40004026F0700DC014421{keys}");
    let read = ["00A40004026F07\"\n+CSIM: 4,\"9000", "00B0880021"];
    let failed =
        ["00A40004026F08\"\n+CSIM: 4,\"9000\"\nAT+CSIM=14,\"00A40004026F07\"\n+CSIM: 4,\"6A82", "00B0000021"];
    let challenge = "10AABBCCDDEEFF00112233445566778899".repeat(2);
    let fetched = format!("04AABBCCDD08{}9000", "C1".repeat(8));
    let gsm = format!(
        "AT+CSIM=78,\"0088008022{challenge}\"\n+CSIM: 4,\"610E\"\nAT+CSIM=10,\"00C000000E\"\n+CSIM: 32,\"{fetched}\"\n"
    );
    std::fs::write(place.path("gsm.txt"), gsm).unwrap();
    let data_object = format!("00DB00801A8018{}", "C1".repeat(24));
    for (name, [select, read]) in [("read.txt", read), ("failed.txt", failed)] {
        let log = format!("AT+CSIM=14,\"{select}\"\nAT+CSIM=10,\"{read}\"\n+CSIM: 70,\"{keys}9000\"\n");
        std::fs::write(place.path(name), log).unwrap();
    }
    for arguments in [
        &["explain", "--as", "script", &binary][..],
        &["explain", "--as", "script", &record],
        &["explain", "read.txt"],
        &["explain", "failed.txt"],
        &["explain", "gsm.txt"],
        &["explain", "--as", "apdu", &data_object],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        let json = place.run(&[arguments, &["--json"]].concat());
        for shown in [&ran.stdout, &json.stdout] {
            assert!(!shown.replace(' ', "").contains("C1C1"), "{arguments:?}: {shown}");
        }
    }
    let ran = place.run(&["explain", "--as", "script", &binary]);
    assert!(ran.stdout.contains("=> script of 2 commands: update short file id 08"), "{}", ran.stdout);
}

#[test]
fn octets_come_as_argument_file_and_pipe() {
    let place = Place::new();
    let digits = "027000 000b 0d 0000 1212 415731 0000000001 00";
    let expected = place.run(&["explain", digits]);
    assert_eq!(expected.code, 1, "CPL says one octet too few");
    assert!(expected.stdout.contains("!! found 14: 3 too many"), "{}", expected.stdout);
    let split: Vec<&str> = ["explain"].into_iter().chain(digits.split(' ')).collect();
    assert_eq!(place.run(&split).stdout, expected.stdout);
    std::fs::write(place.path("packet.txt"), digits.replace(' ', ":\n")).unwrap();
    assert_eq!(place.run(&["explain", "packet.txt"]).stdout, expected.stdout);
    for arguments in [&["explain"][..], &["explain", "-"]] {
        let mut command = place.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(digits.as_bytes()).unwrap();
        assert_eq!(Ran::of(child.wait_with_output().unwrap()).stdout, expected.stdout);
    }
}

#[test]
fn what_cannot_be_explained_is_refused_with_what_is_expected() {
    let place = Place::new();
    for (arguments, error) in [
        (&["explain", "0270 0g"][..], "error: expected hexadecimal digits, found 'g' as character 7\n"),
        (&["explain", "02700"], "error: expected two hexadecimal digits for each octet, found 5 in all\n"),
        (&["explain", "none.pcapng"], "error: none.pcapng: no such file, and no hexadecimal digits\n"),
        (&["explain", "--as", "script-response", ""], "error: expected hexadecimal digits, found nothing\n"),
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (2, error), "{arguments:?}");
    }
    let no_file = place.run(&["explain", "--keys", "none.csv", "027000"]);
    assert_eq!((no_file.code, no_file.stderr.matches("none.csv").count()), (1, 1), "{}", no_file.stderr);
    std::fs::write(place.path("short.csv"), "ICCID\n8988211000000000011\n").unwrap();
    let no_columns = place.run(&["explain", "--keys", "short.csv", "027000"]).stderr;
    assert!(no_columns.starts_with("error: short.csv:\nline 1, column PROFILE: "), "{no_columns}");
    let unknown = place.run(&["explain", "0011223344"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("say what it is with --as KIND: smpp, ud, "), "{}", unknown.stderr);
    let kind = place.run(&["explain", "--as", "nothing", "00"]);
    assert_eq!(kind.code, 2);
    assert!(kind.stderr.contains("expected one of smpp, "), "{}", kind.stderr);
}

#[test]
fn what_is_wrong_is_a_problem_and_ends_with_1() {
    let place = Place::new();
    for (arguments, problem) in [
        (&["explain", "027000"][..], "command packet  !! expected behind the header, found nothing"),
        (&["explain", "027100"], "response packet  !! expected behind the header, found nothing"),
        (&["explain", "--as", "EF.IMSI", "0849"], "EF.IMSI 0849  !! EF.IMSI: expected 9 octets, found 2"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stdout.contains(problem), "{}", ran.stdout);
    }
}

#[test]
fn an_rc_proves_nothing() {
    let ran = Place::new().run(&["explain", "001c0f01013531b00011000000000000f67e00a40004026f0700b0000009"]);
    assert!(ran.stdout.contains("RC      right; it proves no sender"), "{}", ran.stdout);
    assert!(ran.stdout.contains("CNTR 0); nothing proves it; PoR asked"), "{}", ran.stdout);
}

#[test]
fn names_and_clauses_are_those_of_the_command_and_the_file() {
    let place = Place::new();
    let script = "00A40004026F0700A40004025FC000A40004024F01";
    let select = place.run(&["explain", "--as", "script", script]).stdout;
    assert!(select.contains("EF.IMSI  [TS 31.102 §4.2.2]"), "{select}");
    assert!(select.contains("DF.5GS  [TS 31.102 §4.4.11]"), "{select}");
    assert!(select.contains("EF.5GS3GPPLOCI  [TS 31.102 §4.4.11.2]"), "{select}");
    let get_status = place.run(&["explain", "aa0a220880f24002024f0000"]).stdout;
    assert_eq!(get_status.matches("GET STATUS").count(), 3, "{get_status}");
    let full = place.run(&["explain", "--full", &capture("write-card")]).stdout;
    let mut destinations = full.lines().filter(|line| line.contains("destination_addr "));
    assert!(destinations.all(|line| line.contains("[SMPP 3.4 §5.2.9]")), "{full}");
}

#[test]
fn lines_of_a_modem_are_apdus() {
    let place = Place::new();
    std::fs::write(
        place.path("log.txt"),
        "AT+CSIM=14,\"00A40004026F07\"\r\n\r\n+CSIM: 4,\"612F\"\r\n\r\nOK\r\nAT+CSIM=9,00B0000009\r\n",
    )
    .unwrap();
    let ran = place.run(&["explain", "log.txt", "--json"]);
    let shown: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = shown.iter().map(|shown| shown["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["apdu", "rapdu", "apdu"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "the line says 9 digits, found 10\n"));
    assert_eq!(shown[2]["tree"]["children"][0]["value"], "READ BINARY");
}

#[test]
fn what_a_modem_reads_is_the_file_that_was_selected() {
    let place = Place::new();
    let lines =
        "AT+CSIM=14,00A40004026F07\n+CSIM: 4,6132\nAT+CSIM=10,00B0000009\n+CSIM: 22,0809101001200000109000\n";
    std::fs::write(place.path("log.txt"), lines).unwrap();
    let ran = place.run(&["explain", "log.txt"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains("001011002000001"), "{}", ran.stdout);
    // AUTHENTICATE gives CK and IK, VERIFY has a PIN.
    let secrets =
        "AT+CSIM=14,00880081021122\n+CSIM: 12,C0FFEE009000\nAT+CSIM=26,002000010831323334C0FFEEFF\n";
    std::fs::write(place.path("log.txt"), secrets).unwrap();
    for json in [&[][..], &["--json"]] {
        let ran = place.run(&[&["explain", "log.txt"], json].concat());
        assert_eq!(ran.code, 0, "{}", ran.stdout);
        assert!(!ran.stdout.replace(' ', "").contains("C0FFEE"), "{}", ran.stdout);
    }
}

#[test]
fn the_parts_of_a_message_in_several_lines_are_joined() {
    let place = Place::new();
    let packet = format!("0010 0d 0000 1212 415731 0000000001 00 {}", "AB".repeat(2));
    let digits = packet.replace(' ', "");
    let (first, second) = digits.split_at(12);
    std::fs::write(place.path("parts.txt"), format!("0700030902017000{first}\n0500030902 02{second}\n"))
        .unwrap();
    let ran = place.run(&["explain", "parts.txt"]);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("18 octets of 2 parts, the first one in item 1"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("=> command packet, TAR 415731, CNTR 1; nothing proves it"),
        "{}",
        ran.stdout
    );
}

#[test]
fn the_store_verifies_as_the_card_file_does() {
    let place = place_with_cards();
    assert_eq!(place.run(&["keys", "master", "--out", "key"]).code, 0);
    let profiles =
        ["", "-plain", "-raw"].map(|name| file(&format!("config/profiles/airwrite-applet{name}.toml")));
    let config = std::fs::read_to_string(place.path("airwrite.toml")).unwrap();
    let (_, rest) = config.split_once('\n').unwrap();
    std::fs::write(place.path("airwrite.toml"), format!("profiles = {profiles:?}\n{rest}")).unwrap();
    let imported = place.configured(&["cards", "import", "cards.csv"]);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let by_file = place.run(&["explain", &capture("write-card"), "--keys", "cards.csv"]);
    let by_store = place.configured(&["explain", &capture("write-card"), "--store"]);
    assert_eq!(by_store.stdout, by_file.stdout);
}
