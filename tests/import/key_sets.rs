//! Keys, their algorithm and numbers, and floors of counters.

use airwrite::identity::EidChecksum;

use crate::*;

#[test]
fn the_algorithm_must_be_the_profiles() {
    let aes_only = PROFILE.replace("[\"aes\", \"3des2\"]", "[\"aes\"]");
    for algorithm in ["3des2", "3des3", "des"] {
        let text = line(&format!("{EID},,,,,airwrite-applet,{algorithm},{KEY},{KEY},"));
        let findings = read_with(&text, &aes_only, EidChecksum::Reject).unwrap_err();
        assert_eq!(
            findings.to_string(),
            "line 2, column ALG: expected what the profile airwrite-applet allows: aes"
        );
    }
}

/// DES is taken where a profile says so aloud; no shipped one does.
#[test]
fn des_is_for_profiles_that_name_it() {
    let des = PROFILE.replace("[\"aes\", \"3des2\"]", "[\"des\", \"3des3\"]");
    for (algorithm, key, weak) in [
        ("des", "0123456789ABCDEF", 0),
        ("des", "0101010101010101", 1),
        ("3des3", "0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123", 0),
        ("3des3", "0123456789ABCDEF23456789ABCDEF010123456789ABCDEF", 1),
    ] {
        let text = line(&format!("{EID},,,,,airwrite-applet,{algorithm},{key},{key},"));
        let file = read_with(&text, &des, EidChecksum::Reject).unwrap();
        assert_eq!(file.rows[0].keys[0].algorithm.to_string(), algorithm);
        assert_eq!((file.weak, file.warnings.total), (weak, weak), "{algorithm} {key}: {}", file.warnings);
    }
}

#[test]
fn weak_keys_are_taken_with_a_warning() {
    let file = read(&line(&format!("{EID},,,,,airwrite-applet,aes,{KEY},{},", "00".repeat(16)))).unwrap();
    let expected = "line 2, column KID1: a weak key: all zero, equal parts, or known as weak for DES";
    assert_eq!((file.rows.len(), file.weak, file.warnings.to_string().as_str()), (1, 1, expected));
}

#[test]
fn every_card_with_weak_keys_is_one_warning() {
    let halves = "0102030405060708".repeat(2);
    let zero = "00".repeat(16);
    let text = format!(
        "EID,PROFILE,ALG,KIC1,KID1,KIK1,KIC2,KID2\n{EID},airwrite-applet,3des2,{halves},{KEY},{zero},{KEY},{halves}\n\
         {OTHER_EID},airwrite-applet,aes,{halves},{KEY},,,\n"
    );
    let file = read(&text).unwrap();
    // Equal halves make triple DES single, and nothing of AES.
    let expected =
        "line 2, column KIC1, KIK1, KID2: a weak key: all zero, equal parts, or known as weak for DES";
    assert_eq!((file.weak, file.warnings.to_string().as_str()), (1, expected));
}

/// Numbers and properties of the key sets of the only card of a file.
fn sets(text: &str) -> (u8, Vec<(u8, u8, bool)>) {
    let row = &read(text).unwrap().rows[0];
    (row.kvn, row.keys.iter().map(|set| (set.kvn, set.cc_len, set.kik.is_some())).collect())
}

#[test]
fn the_only_key_set_has_the_number_in_use() {
    let text = format!(
        "EID,PROFILE,ALG,KVN,CMAC_LEN,KIC1,KID1,KIK1\n{EID},airwrite-applet,aes,3,4,{KEY},{KEY},{KEY}\n"
    );
    assert_eq!(sets(&text), (3, vec![(3, 4, true)]));
    assert_eq!(sets(&text.replace("aes,3,", "aes,15,")), (15, vec![(15, 4, true)]));
    assert_eq!(sets(&text.replace("aes,3,", "aes,,").replace("aes,,4", "aes,,")), (1, vec![(1, 8, true)]));
    assert!(errors(&text.replace("aes,3,", "aes,0,"))[0].contains("column KVN: expected 1 to 15"));
    assert!(errors(&text.replace("aes,3,", "aes,16,"))[0].contains("column KVN: expected 1 to 15"));
    assert!(errors(&text.replace("aes,3,4", "3des2,3,4"))[0].contains("column CMAC_LEN: "));
}

#[test]
fn several_key_sets_have_the_numbers_of_their_columns() {
    let text = format!(
        "EID,PROFILE,ALG,KVN,KIC1,KID1,KIK1,KIC2,KID2,KIC15,KID15\n\
         {EID},airwrite-applet,aes,2,,,,{KEY}{KEY},{KEY},{KEY},{KEY}\n"
    );
    assert_eq!(sets(&text), (2, vec![(2, 8, false), (15, 8, false)]));
    let row = &read(&text).unwrap().rows[0];
    assert_eq!(row.own_keys().unwrap().kic.len(), 32, "the keys in use are those of KVN");
    assert_eq!(
        errors(&text.replace("aes,2,", "aes,3,")),
        [
            "line 2, column KIC3: expected a key in hexadecimal digits, found nothing",
            "line 2, column KID3: expected a key in hexadecimal digits, found nothing",
        ]
    );
    // Without KVN it is the profile's.
    assert!(errors(&text.replace("aes,2,", "aes,,"))[0].starts_with("line 2, column KIC1: expected a key"));
    let profile = PROFILE.replace("kvn = 1", "kvn = 15");
    let row = &read_with(&text.replace("aes,2,", "aes,,"), &profile, EidChecksum::Reject).unwrap().rows[0];
    assert_eq!((row.kvn, row.own_keys().unwrap().kvn), (15, 15));
    let half = text.replace(&format!("{KEY}{KEY},{KEY},"), &format!("{KEY}{KEY},,"));
    assert_eq!(errors(&half), ["line 2, column KID2: expected a key in hexadecimal digits, found nothing"]);
}

#[test]
fn floors_by_tar_need_a_profile_that_counts_by_tar() {
    let text = format!(
        "EID,PROFILE,ALG,KIC1,KID1,CNTR_FLOOR,CNTR_FLOOR:B00001\n{EID},airwrite-applet,aes,{KEY},{KEY},7,9\n"
    );
    assert_eq!(
        errors(&text),
        [
            "line 2, column CNTR_FLOOR:B00001: expected nothing: the profile airwrite-applet has no counters by TAR"
        ]
    );
    let by_tar = PROFILE.replace("scope = \"card\"", "scope = \"tar\"");
    let row = &read_with(&text, &by_tar, EidChecksum::Reject).unwrap().rows[0];
    assert_eq!(row.floors, [("tar:415731".to_owned(), 7), ("tar:B00001".to_owned(), 9)]);
    let own = text.replace("B00001", "415731");
    let row = &read_with(&own, &by_tar, EidChecksum::Reject).unwrap().rows[0];
    assert_eq!(row.floors, [("tar:415731".to_owned(), 9)], "the column of the TAR goes first");
}
