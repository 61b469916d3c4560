//! The lines.

use airwrite::gateway::import::{ImportTerms, read_cards};
use airwrite::identity::EidChecksum;

use crate::*;

#[test]
fn every_error_names_line_column_and_what_was_expected() {
    let cases = [
        (format!("{EID}1,,,,,airwrite-applet,aes,{KEY},{KEY},"), "EID: expected 32 digits, found 33"),
        (
            format!("{},,,,,airwrite-applet,aes,{KEY},{KEY},", EID.replace("121", "122")),
            "EID: expected the remainder 1 modulo 97, found 2",
        ),
        (
            format!("{EID},8988211000000000000,,,,airwrite-applet,aes,{KEY},{KEY},"),
            "ICCID: expected the check digit",
        ),
        (
            format!(",,,,,airwrite-applet,aes,{KEY},{KEY},"),
            "EID: expected an EID: the applet names its card by it",
        ),
        (
            format!("{EID},,,,,other,aes,{KEY},{KEY},"),
            "PROFILE: expected a configured profile: airwrite-applet",
        ),
        (format!("{EID},,,,,,aes,{KEY},{KEY},"), "PROFILE: expected the name of a profile, found nothing"),
        (format!("{EID},,,,maybe,airwrite-applet,aes,{KEY},{KEY},"), "PRESET: expected yes or no"),
        (
            format!("{EID},,001010000000001,,yes,airwrite-applet,aes,{KEY},{KEY},"),
            "MSISDN: expected a value where PRESET is yes",
        ),
        (
            format!("{EID},,001010000000001,,no,airwrite-applet,aes,{KEY},{KEY},"),
            "IMSI: expected nothing where PRESET is not yes",
        ),
        (
            format!("{EID},,,4912345,,airwrite-applet,aes,{KEY},{KEY},"),
            "MSISDN: expected nothing where PRESET is not yes",
        ),
        (
            format!("{EID},,12,4912345,yes,airwrite-applet,aes,{KEY},{KEY},"),
            "IMSI: expected 14 or 15 digits, found 2",
        ),
        (format!("{EID},,,,,airwrite-applet,rsa,{KEY},{KEY},"), "ALG: expected aes, 3des2, 3des3 or des"),
        (
            format!("{EID},,,,,airwrite-applet,,{KEY},{KEY},"),
            "ALG: expected aes, 3des2, 3des3 or des, found nothing",
        ),
        (format!("{EID},,,,,airwrite-applet,aes,{KEY}00,{KEY},"), "KIC1: expected 16, 24 or 32 octets"),
        (format!("{EID},,,,,airwrite-applet,aes,{KEY},xy,"), "KID1: expected a key in hexadecimal digits"),
        (
            format!("{EID},,,,,airwrite-applet,aes,,{KEY},"),
            "KIC1: expected a key in hexadecimal digits, found nothing",
        ),
        (
            format!("{EID},,,,,airwrite-applet,aes,{KEY},{KEY},-1"),
            "CNTR_FLOOR: expected a number up to 1099511627774",
        ),
        (
            format!("{EID},,,,,airwrite-applet,aes,{KEY},{KEY},1099511627775"),
            "CNTR_FLOOR: expected a number up to",
        ),
    ];
    for (values, expected) in cases {
        let errors = errors(&line(&values));
        assert_eq!(errors.len(), 1, "{values}: {errors:?}");
        assert!(errors[0].starts_with(&format!("line 2, column {expected}")), "{values}: {}", errors[0]);
        assert!(!errors[0].contains(KEY));
    }
    assert_eq!(errors(&line(EID)), ["line 2: expected 10 values, found 1"]);
    assert_eq!(errors(&line(&"9".repeat(20_000))), ["line 2: expected at most 16384 octets"]);
    let error = read_as(&b"EID,PROFILE,ALG,KIC1,KID1\n\xFF\n"[..], PROFILE, Said::default()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: expected UTF-8");
}

#[test]
fn what_an_earlier_line_has_is_refused() {
    let text = line(&format!(
        "{EID},,001010000000001,4912345,yes,airwrite-applet,aes,{KEY},{KEY},\n\
         {EID},,001010000000001,4912345,yes,airwrite-applet,aes,{KEY},{KEY},"
    ));
    assert_eq!(
        errors(&text),
        [
            "line 3, column EID: expected another than in line 2",
            "line 3, column IMSI: expected another than in line 2",
            "line 3, column MSISDN: expected another than in line 2",
        ]
    );
}

#[test]
fn twenty_errors_are_shown_and_all_are_counted() {
    let lines: Vec<_> = (0..30).map(|_| format!(",,,,,airwrite-applet,aes,{KEY},{KEY},")).collect();
    let findings = read(&line(&lines.join("\n"))).unwrap_err();
    assert_eq!((findings.shown.len(), findings.total), (20, 30));
    assert!(findings.to_string().ends_with("\n20 of 30 shown"));
    assert_eq!(findings.to_string().lines().count(), 21);
}

#[test]
fn eid_check_digits_follow_the_policy() {
    let text = line(&format!("{},,,,,airwrite-applet,aes,{KEY},{KEY},", EID.replace("121", "122")));
    assert!(read_with(&text, PROFILE, EidChecksum::Reject).is_err());
    let warned = read_with(&text, PROFILE, EidChecksum::Warn).unwrap();
    assert_eq!(warned.warnings.to_string(), "line 2, column EID: the check digits are wrong");
    assert_eq!(read_with(&text, PROFILE, EidChecksum::Off).unwrap().warnings.total, 0);
}

/// A quotation mark that is never closed, and what spreadsheets make of a file.
#[test]
fn quotes_blanks_and_line_ends_are_those_of_any_spreadsheet() {
    let good = format!("{EID},,,,,airwrite-applet,aes,{KEY},{KEY},");
    let quoted = format!("\"{}\"", good.replace(',', "\",\""));
    let text = format!("\u{feff}{}", line(&format!("\n{quoted}\n \n")).replace('\n', "\r\n"));
    assert_eq!(read(&text).unwrap().rows[0].line, 3);
    let unclosed = good.replacen(",,", ",\",", 1);
    let text = line(&format!("{unclosed}\n{}", good.replace(EID, OTHER_EID)));
    assert_eq!(errors(&text), ["line 2: expected 10 values, found 2"]);
}

/// The file comes in pieces of any size, and lines are longer than what was left of the last piece.
#[test]
fn a_file_of_many_lines_is_read_whole() {
    struct Pieces<'a>(&'a [u8], usize);
    impl std::io::Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1 % 7_000 + 613;
            let len = self.1.min(buffer.len()).min(self.0.len());
            let (piece, rest) = self.0.split_at(len);
            buffer[..len].copy_from_slice(piece);
            self.0 = rest;
            Ok(len)
        }
    }
    let owner = owner();
    let mut text = "ICCID,PROFILE,ALG,KIC1,KID1,EID\n".to_owned();
    for number in 0..2_000 {
        // 18 digits have no check digit; the blanks make lines of very different lengths.
        let blanks = " ".repeat(number % 977);
        text += &format!("894900{number:012},airwrite-applet,aes,{KEY},{KEY},{blanks}{}\n", eid(number));
    }
    let terms = profiles(PROFILE);
    let terms = ImportTerms::new(&terms, &owner, EidChecksum::Off);
    let rows = read_cards(Pieces(text.trim_end().as_bytes(), 0), &terms).unwrap().rows;
    assert_eq!(rows.len(), 2_000);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.iccid.unwrap().as_str(), format!("894900{number:012}"));
        assert_eq!((row.eid.unwrap().to_string(), row.line), (eid(number), number as u64 + 2));
    }
}

fn eid(number: usize) -> String {
    format!("8903401156{number:022}")
}

#[test]
fn a_line_of_the_longest_length_is_read() {
    let values = format!("{EID},,,,,airwrite-applet,aes,{KEY},{KEY},");
    let long = |octets: usize| line(&format!("{values}{}", " ".repeat(octets - values.len())));
    assert_eq!(read(&long(16_384)).unwrap().rows.len(), 1);
    assert_eq!(errors(&long(16_385)), ["line 2: expected at most 16384 octets"]);
}
