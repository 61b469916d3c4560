//! Files for pySim's card key provider, as they are.

use airwrite::gateway::import::{CardRow, ColumnKeys};
use airwrite::ota::Algorithm;

use crate::*;

/// The columns of such files, as card makers deliver them.
const CLEAR: &str = include_str!("../data/pysim/cards.csv");

/// The same cards with columns enciphered by openssl: `encipher` beside it made it.
const ENCIPHERED: &str = include_str!("../data/pysim/cards-enciphered.csv");
const COLUMN_KEYS: &str = include_str!("../data/pysim/column-keys.txt");

/// Cards without an applet, which need no EID.
const USIM: &str = include_str!("../../config/profiles/usim-rfm.toml");

const SAID: Said<'_> =
    Said { profile: true, algorithm: Some(Algorithm::Aes), preset: true, ignored: &[], column_keys: "" };

/// Everything of a card but where it stood, keys included.
fn shown(row: &CardRow) -> String {
    let keys: Vec<_> = row.keys.iter().map(|keys| (keys.kvn, &keys.kic, &keys.kid, &keys.kik)).collect();
    format!("{row:?} {keys:02X?}")
}

#[test]
fn a_file_is_read_with_what_it_does_not_say() {
    let file = read_as(CLEAR.as_bytes(), USIM, SAID).unwrap();
    let [first, second] = file.rows.as_slice() else { panic!("two cards") };
    assert_eq!((first.iccid.unwrap().as_str(), first.eid), ("8988211000000000011", None));
    let preset = second.preset.as_ref().unwrap();
    assert_eq!(
        (preset.imsi.to_string().as_str(), preset.msisdn.to_string().as_str()),
        ("001010000000029", "4479000000029")
    );
    assert_eq!((first.kvn, first.keys.iter().map(|set| set.kvn).collect::<Vec<_>>()), (1, vec![1, 2, 3]));
    assert_eq!(hex::encode_upper(&*first.keys[2].kid), "606162636465666768696A6B6C6D6E6F");
    assert_eq!(hex::encode_upper(&**first.keys[1].kik.as_ref().unwrap()), "808182838485868788898A8B8C8D8E8F");
    assert!(first.keys[2].kik.is_none());
    assert_eq!((second.keys[2].kic.len(), second.keys[0].algorithm), (32, Algorithm::Aes));
    assert_eq!(
        file.warnings.to_string(),
        "line 1, column CARD_TYPE_ID, FORMFACTOR_ID, PIN1, PUK1, PIN2, PUK2, KI, ADM1, ADM2, PROPRIETARY, ACC, OPC, \
         SCP03_ENC_ISDR, SCP03_MAC_ISDR, SCP03_DEK_ISDR: not read"
    );
    assert!(!file.warnings.to_string().contains("5C2D"));
}

#[test]
fn enciphered_columns_are_those_of_the_clear_file() {
    let clear = read_as(CLEAR.as_bytes(), USIM, SAID).unwrap();
    let said = Said { column_keys: COLUMN_KEYS, ..SAID };
    let enciphered = read_as(ENCIPHERED.as_bytes(), USIM, said).unwrap();
    let all = |file: &CardFile| file.rows.iter().map(shown).collect::<Vec<_>>();
    assert_eq!(all(&enciphered), all(&clear));
    assert_eq!(enciphered.warnings, clear.warnings);
}

/// A file that pySim's own tool enciphered (`contrib/rcp/usage_example`), with the names of its only key set unnumbered.
#[test]
fn pysims_own_example_is_read() {
    let text = "\"ICCID\",\"KIC\",\"KID\",\"KIK\"\n\"8949440000001155306\",\"eae46224fa0a4ac1c12cba9d102f1188\",\
                \"3f14b978ddb38c08d832d4e4c2e0639d\",\"9e19db4a5ed5cb8c4f5d96283eab273a\"\n";
    let key = "00112233445566778899AABBCCDDEEFF";
    let column_keys = format!("kic:{key}\nkid:{key}\nkik:{key}\n");
    let said = Said { algorithm: Some(Algorithm::TripleDes2), column_keys: &column_keys, ..SAID };
    let errors = read_as(text.as_bytes(), USIM, said).unwrap_err().to_string();
    assert!(errors.starts_with("line 2, column IMSI: expected a value where PRESET is yes"), "{errors}");
    let file = read_as(text.as_bytes(), USIM, Said { preset: false, ..said }).unwrap();
    let keys = &file.rows[0].keys[0];
    assert_eq!(hex::encode_upper(&*keys.kic), "F09C43EE1A0391665CC9F05AF4E0BD10");
    assert_eq!(hex::encode_upper(&*keys.kid), "01981F4A20999F62AF99988007BAF6CA");
    assert_eq!(hex::encode_upper(&**keys.kik.as_ref().unwrap()), "8F8AEE5CDCC5D361368BC45673D99195");
}

#[test]
fn a_column_without_a_key_beside_others_is_told() {
    let keys: String = COLUMN_KEYS
        .lines()
        .filter(|line| !line.starts_with("KID2"))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = read_as(ENCIPHERED.as_bytes(), USIM, Said { column_keys: &keys, ..SAID }).unwrap();
    assert_eq!(
        file.warnings.shown[1].to_string(),
        "line 1, column KID2: taken as clear, for want of a column key"
    );
}

#[test]
fn what_no_column_key_can_have_enciphered_is_told() {
    let said = Said { column_keys: COLUMN_KEYS, ..SAID };
    for (from, to, expected) in [
        (
            "c78ad241bebd1b0eaeec9855604c8ece",
            "c78ad241bebd1b0eaeec9855604c8e",
            "KIC1: expected whole blocks of 16 octets",
        ),
        (
            "c78ad241bebd1b0eaeec9855604c8ece",
            "c78ad241bebd1b0eaeec9855604c8ecx",
            "KIC1: expected a key in hexadecimal digits",
        ),
        ("c78ad241bebd1b0eaeec9855604c8ece", "", "KIC1: expected a key in hexadecimal digits, found nothing"),
    ] {
        let read = read_as(ENCIPHERED.replace(from, to).as_bytes(), USIM, said);
        let errors = read.unwrap_err().to_string();
        assert!(errors.contains(expected), "{errors}");
        assert!(!errors.contains("c78a"), "{errors}");
    }
    // 24 octets are no whole number of blocks, and 48 no key of any algorithm.
    let three = "00".repeat(48);
    let errors =
        read_as(ENCIPHERED.replace("c78ad241bebd1b0eaeec9855604c8ece", &three).as_bytes(), USIM, said);
    assert_eq!(
        errors.unwrap_err().to_string(),
        "line 2, column KIC1: expected 16, 24 or 32 octets for aes, found 48"
    );
}

#[test]
fn a_card_of_an_applet_needs_an_eid_in_such_files_too() {
    let errors = read_as(CLEAR.as_bytes(), PROFILE, SAID).unwrap_err().to_string();
    assert!(
        errors.starts_with("line 2, column EID: expected an EID: the applet names its card by it"),
        "{errors}"
    );
    let neither = "ICCID,KIC1,KID1\n,00,00\n";
    let errors = read_as(neither.as_bytes(), USIM, SAID).unwrap_err().to_string();
    assert!(errors.contains("line 2, column EID: expected an EID or an ICCID"), "{errors}");
}

#[test]
fn what_is_said_of_the_whole_file_must_fit_it() {
    let keys = ColumnKeys::parse(COLUMN_KEYS).unwrap();
    assert!(!format!("{keys:?}").contains("0004"), "{keys:?}");
    let aes_only = USIM.replace("[\"aes\", \"3des2\", \"3des3\"]", "[\"aes\"]");
    let said = Said { algorithm: Some(Algorithm::TripleDes2), ..SAID };
    let errors = read_as(CLEAR.as_bytes(), &aes_only, said).unwrap_err();
    assert_eq!(errors.total, 2);
    assert_eq!(
        errors.shown[0].to_string(),
        "line 2, column ALG: expected what the profile usim-rfm allows: aes"
    );
    // The keys of the second card are too long for triple DES.
    let errors = read_as(CLEAR.as_bytes(), USIM, said).unwrap_err().to_string();
    assert!(errors.starts_with("line 3, column KIC3: expected 16 octets"), "{errors}");
}
