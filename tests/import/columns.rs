//! The header.

use airwrite::identity::EidChecksum;
use airwrite::ota::Algorithm;

use crate::*;

#[test]
fn columns_come_in_any_order_and_may_be_left_out() {
    let text = format!(
        "\u{feff}KID1, PROFILE ,KIC1,ALG,EID\r\n\"{KEY}\",airwrite-applet,{KEY},aes,{EID}\r\n\r\n\
         {KEY},airwrite-applet,{KEY},3des2,{OTHER_EID}"
    );
    let file = read(&text).unwrap();
    let [first, second] = file.rows.as_slice() else { panic!("two cards") };
    assert_eq!((first.line, second.line), (2, 4));
    assert_eq!(first.eid.unwrap().to_string(), EID);
    assert_eq!((first.kvn, first.owner.as_str(), first.preset.is_none()), (1, "default", true));
    assert_eq!((first.keys[0].cc_len, first.keys[0].kic.len()), (8, 16));
    assert!(first.floors.is_empty());
}

#[test]
fn the_header_is_checked() {
    let header = |text: &str| read(text).unwrap_err().to_string();
    let unknown =
        header(&format!("EID,PROFILE,ALG,KIC1,KID1,COLOUR\n{EID},airwrite-applet,aes,{KEY},{KEY},1\n"));
    let expected = "line 1, column COLOUR: unknown; `ignore` leaves a column out; expected EID, ICCID, ";
    assert!(unknown.starts_with(expected), "{unknown}");
    assert!(header("EID,EID,PROFILE,ALG,KIC1,KID1\n").contains("line 1, column EID: expected once"));
    let missing = header("PROFILE,ALG,KIC1\n");
    assert_eq!(
        missing,
        "line 1, column KID1: the column is missing\nline 1, column EID: the column is missing, and ICCID too"
    );
    assert_eq!(header(""), "line 1: expected a header with the names of the columns");
    for unknown in ["KIC16", "KID0", "KIK01", "KIC-1", "CNTR_FLOR", "CNTR_FLOOR:B000", "ADMIN", "SCP80_ENC"] {
        let errors = header(&format!("EID,PROFILE,ALG,KIC1,KID1,{unknown}\n"));
        assert!(errors.starts_with(&format!("line 1, column {unknown}: unknown")), "{errors}");
    }
    assert!(header("EID,PROFILE,ALG,KIC,KIC1,KID1\n").contains("line 1, column KIC1: expected once"));
}

/// Where there is no header, or one that is not understood, keys and PINs stand in its place.
#[test]
fn what_stands_in_the_place_of_a_header_is_not_shown() {
    let columns = "ICCID,PROFILE,ALG,KIC1,KID1,ADM1\n";
    let values = format!("8949440000001155306,usim,aes,{KEY},AFFEAFFE,12345678\n");
    for headless in [values.clone(), values.to_lowercase()] {
        let errors = read(&headless).unwrap_err().to_string();
        let first = errors.lines().next().unwrap();
        let expected =
            "line 1, column (not shown), USIM, AES, (not shown), (not shown), (not shown): unknown; ";
        assert!(first.starts_with(expected), "{errors}");
        assert!(!errors.contains("0001") && !errors.to_uppercase().contains("AFFE"), "{errors}");
    }
    // UTF-16, with and without its mark in front.
    for mark in [&b"\xFF\xFE"[..], b""] {
        let wide = format!("{columns}{values}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let errors = read_as([mark, &wide].concat().as_slice(), PROFILE, Said::default()).unwrap_err();
        assert_eq!(errors.to_string(), "line 1: expected UTF-8");
    }
    let many: Vec<_> = (0..30).map(|number| format!("C{number}")).collect();
    let errors = read(&many.join(",")).unwrap_err();
    assert!(errors.shown[0].column.ends_with("C18, C19, …"), "{errors}");
}

#[test]
fn other_separators_are_named() {
    for (separator, name) in [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")] {
        let text = line(&format!("{EID},,,,,airwrite-applet,aes,{KEY},{KEY},")).replace(',', separator);
        assert_eq!(errors(&text), [format!("line 1: expected commas between values, found {name}")]);
    }
}

#[test]
fn columns_may_be_left_out_of_what_is_read() {
    let text = format!(
        "eid,Colour,profile,alg,imsi,kic1,kid1,Adm1\n{EID},\"green, or so\",airwrite-applet,aes,001,{KEY},{KEY},12345678\n"
    );
    let read_without =
        |ignored: &[&str]| read_as(text.as_bytes(), PROFILE, Said { ignored, ..Said::default() });
    let file = read_without(&["COLOUR", "imsi"]).unwrap();
    assert_eq!((file.rows.len(), file.rows[0].preset.is_none()), (1, true));
    assert_eq!(file.warnings.to_string(), "line 1, column COLOUR, IMSI, ADM1: not read");
    let errors = read_without(&["COLOUR", "EID"]).unwrap_err().to_string();
    assert_eq!(errors, "line 1, column EID: the column is missing, and ICCID too");
}

#[test]
fn what_the_lines_do_not_say_can_be_said_for_all() {
    let text = format!("EID,KIC1,KID1\n{EID},{KEY},{KEY}\n");
    assert_eq!(
        errors(&text),
        ["line 1, column PROFILE: the column is missing; `profile` can say it for all lines"]
    );
    let with_profile = |text: &str, algorithm, preset| {
        let said = Said { profile: true, algorithm, preset, ..Said::default() };
        read_as(text.as_bytes(), PROFILE, said).map_err(|findings| findings.to_string())
    };
    let error = with_profile(&text, None, false).unwrap_err();
    assert!(
        error.starts_with("line 1, column ALG: the column is missing; `algorithm` can say it"),
        "{error}"
    );
    let row = &with_profile(&text, Some(Algorithm::TripleDes2), false).unwrap().rows[0];
    assert_eq!((row.profile.as_str(), row.keys[0].algorithm), ("airwrite-applet", Algorithm::TripleDes2));

    // What a line says goes first.
    let text = format!(
        "EID,KIC1,KID1,ALG,PROFILE,PRESET,IMSI,MSISDN\n{EID},{KEY},{KEY},aes,,,001010000000001,4912345\n\
         {OTHER_EID},{KEY},{KEY},,,no,,\n"
    );
    let file = with_profile(&text, Some(Algorithm::TripleDes2), true).unwrap();
    let said: Vec<_> = file.rows.iter().map(|row| (row.keys[0].algorithm, row.preset.is_some())).collect();
    assert_eq!(said, [(Algorithm::Aes, true), (Algorithm::TripleDes2, false)]);
    let error = with_profile(&text, None, false).unwrap_err();
    assert!(
        error.contains("line 2, column IMSI: expected nothing where PRESET is not yes; `preset` can"),
        "{error}"
    );
    assert!(
        error.contains("line 3, column ALG: expected aes, 3des2, 3des3 or des, found nothing"),
        "{error}"
    );
    let numberless = text.replace("4912345", "");
    let error = with_profile(&numberless, Some(Algorithm::Aes), true).unwrap_err();
    assert_eq!(error, "line 2, column MSISDN: expected a value where PRESET is yes");
}

#[test]
fn a_profile_with_one_algorithm_says_it() {
    let text = format!("EID,PROFILE,KIC1,KID1\n{EID},airwrite-applet,{KEY},{KEY}\n");
    let aes_only = PROFILE.replace("[\"aes\", \"3des2\"]", "[\"aes\"]");
    let row = &read_with(&text, &aes_only, EidChecksum::Reject).unwrap().rows[0];
    assert_eq!(row.keys[0].algorithm, Algorithm::Aes);
    assert!(errors(&text)[0].starts_with("line 1, column ALG: the column is missing"));
}
