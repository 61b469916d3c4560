//! Card files: every error with its line and column, and an import that can be run again.

use std::collections::BTreeMap;
use std::sync::Arc;

use airwrite::card::{Owner, Profile};
use airwrite::cli::sample;
use airwrite::gateway::import::{
    CardFile, CardFileError, CardRow, Findings, ImportReport, ImportTerms, Importer, KeySetRow, import,
    read_cards,
};
use airwrite::identity::EidChecksum;
use airwrite::store::records::{Claim, Holder, decode_card, encode_claim};
use airwrite::store::{Commit, Guarded, MemoryStore, Store, Unguarded, keys};
use airwrite::vault::{KeyRef, MasterKey, SealRequest, SoftwareVault};
use airwrite::world::{SeededRng, TokioClock};

const PROFILE: &str = include_str!("../config/profiles/airwrite-applet.toml");
const EID: &str = "89034011560010000000000000000121";
const OTHER_EID: &str = "89001012012341234012345678901224";
const KEY: &str = "000102030405060708090A0B0C0D0E0F";

fn owner() -> Owner {
    "default".parse().unwrap()
}

fn profiles(text: &str) -> BTreeMap<String, Profile> {
    let profile = Profile::from_toml(text).unwrap();
    BTreeMap::from([(profile.name.clone(), profile)])
}

fn read_with(text: &str, profile: &str, eid_checksum: EidChecksum) -> Result<CardFile, Findings> {
    let terms = ImportTerms { profiles: &profiles(profile), owner: &owner(), eid_checksum };
    read_cards(text.as_bytes(), &terms).map_err(|error| match error {
        CardFileError::Contents(findings) => findings,
        CardFileError::Io(error) => panic!("{error}"),
    })
}

fn read(text: &str) -> Result<CardFile, Findings> {
    read_with(text, PROFILE, EidChecksum::Reject)
}

/// A file with the usual columns and this line.
fn line(values: &str) -> String {
    format!("EID,ICCID,IMSI,MSISDN,PRESET,PROFILE,ALG,KIC1,KID1,CNTR_FLOOR\n{values}\n")
}

fn errors(text: &str) -> Vec<String> {
    read(text).unwrap_err().shown.iter().map(ToString::to_string).collect()
}

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
        header(&format!("EID,PROFILE,ALG,KIC1,KID1,ADM1\n{EID},airwrite-applet,aes,{KEY},{KEY},1\n"));
    assert!(unknown.starts_with("line 1, column ADM1: unknown; expected EID, ICCID, "), "{unknown}");
    assert!(header("EID,EID,PROFILE,ALG,KIC1,KID1\n").contains("line 1, column EID: expected once"));
    let missing = header("PROFILE,ALG,KIC1\n");
    assert_eq!(
        missing,
        "line 1, column KID1: the column is missing\nline 1, column EID: the column is missing, and ICCID too"
    );
    assert_eq!(header(""), "line 1: expected a header with the names of the columns");
    assert!(!header(&format!("{KEY}{KEY},x\n")).contains("0001"), "a key in the header's place is not shown");
    assert!(header("EID,PROFILE,ALG,KIC1,KID1,KIC4\n").contains("column KIC4: unknown"));
}

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
    let terms = ImportTerms { profiles: &profiles(PROFILE), owner: &owner(), eid_checksum: EidChecksum::Off };
    let error = read_cards(&b"EID,PROFILE,ALG,KIC1,KID1\n\xFF\n"[..], &terms).unwrap_err();
    assert_eq!(error.to_string(), "line 2: expected UTF-8");
}

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
    for (algorithm, key, warnings) in [
        ("des", "0123456789ABCDEF", 0),
        ("des", "0101010101010101", 1),
        ("3des3", "0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123", 0),
        ("3des3", "0123456789ABCDEF23456789ABCDEF010123456789ABCDEF", 1),
    ] {
        let text = line(&format!("{EID},,,,,airwrite-applet,{algorithm},{key},{key},"));
        let file = read_with(&text, &des, EidChecksum::Reject).unwrap();
        assert_eq!(file.rows[0].keys[0].algorithm.to_string(), algorithm);
        assert_eq!(
            file.warnings.to_string().lines().count(),
            warnings,
            "{algorithm} {key}: {}",
            file.warnings
        );
    }
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

#[test]
fn weak_keys_are_taken_with_a_warning() {
    let file = read(&line(&format!("{EID},,,,,airwrite-applet,aes,{KEY},{},", "00".repeat(16)))).unwrap();
    let expected =
        "line 2, column KIC1: the key set has a weak key: all zero, equal parts, or known as weak for DES";
    assert_eq!((file.rows.len(), file.warnings.to_string().as_str()), (1, expected));
}

#[test]
fn several_key_sets_follow_the_first_ones_number() {
    let text = format!(
        "EID,PROFILE,ALG,KVN,CMAC_LEN,KIC1,KID1,KIK1,KIC2,KID2\n{EID},airwrite-applet,aes,3,4,{KEY},{KEY},{KEY},{KEY}{KEY},{KEY}\n"
    );
    let row = &read(&text).unwrap().rows[0];
    let sets: Vec<_> = row.keys.iter().map(|set| (set.kvn, set.cc_len, set.kik.is_some())).collect();
    assert_eq!((row.kvn, sets), (3, vec![(3, 4, true), (4, 4, false)]));
    assert!(errors(&text.replace("aes,3,", "aes,15,"))[0].contains("up to 15, found 16"));
    assert!(errors(&text.replace("aes,3,", "aes,0,"))[0].contains("column KVN: expected 1 to 15"));
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

fn importer(store: &Arc<MemoryStore>) -> Importer {
    let rng = Arc::new(SeededRng::new(1));
    Importer {
        store: store.clone(),
        vault: Arc::new(SoftwareVault::new(MasterKey::from_octets([7; 32]), rng.clone())),
        clock: Arc::new(TokioClock::starting_at(1_000)),
        rng,
    }
}

async fn imported(importer: &Importer, rows: Vec<CardRow>) -> ImportReport {
    import(importer, rows, |_| {}).await.unwrap()
}

fn report(imported: usize, already_there: usize) -> ImportReport {
    ImportReport { imported, already_there, refused: Vec::new() }
}

async fn entries(store: &MemoryStore) -> usize {
    store
        .scan(airwrite::store::Scan::first(airwrite::store::KeyRange::all(), 4096))
        .await
        .unwrap()
        .value
        .len()
}

/// R14: the registry of cards says by EID whether a card has a preset subscription.
#[tokio::test]
async fn a_card_is_there_with_all_that_finds_it() {
    let store = Arc::new(MemoryStore::new());
    let mut epoch = Commit::new();
    epoch.put(keys::Meta::Epoch.key(), Unguarded::encode(&3u64.to_be_bytes()));
    store.commit(epoch).await.unwrap();
    let importer = importer(&store);
    let mut rows = sample::sample(1, 0).unwrap().cards;
    rows[0].floors = vec![("*".to_owned(), 500)];
    let row = rows[0].clone();
    assert_eq!(imported(&importer, rows).await, report(1, 0));

    let preset = row.preset.as_ref().unwrap();
    let index = [keys::eid(row.eid.unwrap()), keys::iccid(row.iccid.unwrap())];
    let found = store.get(index.to_vec()).await.unwrap().value;
    assert_eq!(found[0], found[1]);
    let id: [u8; 16] = Unguarded::decode(found[0].as_ref().unwrap()).unwrap().try_into().unwrap();
    let id = airwrite::card::CardId::from_octets(id);

    let stored = store.get_one(keys::card(id)).await.unwrap().value.unwrap();
    let guarded = Guarded::decode(&stored).unwrap();
    assert_eq!(guarded.version, 1);
    let card = decode_card(guarded.body).unwrap();
    assert_eq!((card.id, card.eid, card.iccid, card.kvn), (id, row.eid, row.iccid, 1));
    assert_eq!((&card.preset, &card.current), (&row.preset, &row.preset));
    let counter = &card.counters[0];
    assert_eq!((counter.scope.as_str(), counter.last, counter.epoch), ("*", 499, 3));
    assert_eq!(counter.next().unwrap().get(), 500);

    for claim in [keys::Claim::Imsi(preset.imsi), keys::Claim::Msisdn(preset.msisdn)] {
        let claim = store.get_one(claim.key()).await.unwrap().value.unwrap();
        let body = Guarded::decode(&claim).unwrap().body.to_vec();
        assert_eq!(body, encode_claim(&Claim { holder: Holder::Card(id) }));
    }
    let number = keys::NumberEntry { number: preset.msisdn, card: id };
    assert!(store.get_one(number.key()).await.unwrap().value.is_some());

    let record = store.get_one(keys::card_keys(id)).await.unwrap().value.unwrap();
    assert!(!record.windows(16).any(|window| window == &row.keys[0].kic[..16]), "keys are sealed");
    let request = SealRequest {
        spi1: airwrite::ota::Spi1(0x16),
        spi2: airwrite::ota::Spi2(0x39),
        tar: airwrite::ota::Tar([1, 2, 3]),
        cntr: airwrite::ota::Cntr::ZERO,
        data: b"x",
    };
    importer.vault.seal(KeyRef { card: id, record: &record, kvn: 1 }, request).await.unwrap();
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let mut told = Vec::new();
    let rows = sample::sample(150, 0).unwrap().cards;
    let first = import(&importer, rows.clone(), |done| told.push(done)).await.unwrap();
    assert_eq!(first, report(150, 0));
    assert_eq!(told, [64, 128, 150]);
    let before = entries(&store).await;
    assert_eq!(imported(&importer, rows.clone()).await, report(0, 150));
    assert_eq!(entries(&store).await, before);
    // What an interrupted import had not reached comes with the next run.
    let more = sample::sample(151, 0).unwrap().cards;
    assert_eq!(imported(&importer, more).await, report(1, 150));
}

#[tokio::test]
async fn a_card_that_is_there_is_never_overwritten() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let mut rows = sample::sample(2, 0).unwrap().cards;
    rows[0].keys[0].kik = Some(rows[1].keys[0].kic.clone());
    assert_eq!(imported(&importer, rows.clone()).await, report(2, 0));

    let refused = async |change: &dyn Fn(&mut CardRow)| {
        let mut row = rows[0].clone();
        change(&mut row);
        let report = imported(&importer, vec![row]).await;
        assert_eq!((report.imported, report.already_there, report.refused[0].line), (0, 0, 2));
        report.refused[0].reason.clone()
    };
    let reason = refused(&|row| row.keys[0].kid[3] ^= 1).await;
    assert!(reason.starts_with("crd_") && reason.ends_with(" is there with another keys"), "{reason}");
    assert!(refused(&|row| row.keys[0].kic[0] ^= 1).await.ends_with("another keys"));
    assert!(refused(&|row| row.keys[0].kik.as_mut().unwrap()[0] ^= 1).await.ends_with("another keys"));
    assert!(refused(&|row| row.keys[0].kik = None).await.ends_with("another keys"));
    let second = KeySetRow { kvn: 2, ..rows[0].keys[0].clone() };
    assert!(refused(&|row| row.keys.push(second.clone())).await.ends_with("another keys"));
    assert!(refused(&|row| row.keys[0].cc_len = 4).await.ends_with("another keys"));
    assert!(refused(&|row| row.owner = "acme".parse().unwrap()).await.ends_with("another OWNER"));
    assert!(refused(&|row| row.preset = None).await.ends_with("another preset subscription"));
    assert!(refused(&|row| row.iccid = None).await.ends_with("another ICCID"));
    assert!(refused(&|row| row.iccid = rows[1].iccid).await.starts_with("EID is of crd_"));
    assert_eq!(imported(&importer, rows.clone()).await, report(0, 2), "nothing has changed");
}

#[tokio::test]
async fn a_preset_number_of_somebody_else_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let rows = sample::sample(2, 0).unwrap().cards;
    assert_eq!(imported(&importer, rows[..1].to_vec()).await, report(1, 0));
    let mut thief = rows[1].clone();
    thief.preset.as_mut().unwrap().msisdn = rows[0].preset.as_ref().unwrap().msisdn;
    let before = entries(&store).await;
    let refused = imported(&importer, vec![thief]).await.refused;
    assert!(refused[0].reason.starts_with("MSISDN is that of crd_"), "{}", refused[0].reason);
    assert_eq!(entries(&store).await, before);

    let write = airwrite::card::WriteId::new(5, &[1; 10]);
    let mut claim = Commit::new();
    let imsi = rows[1].preset.as_ref().unwrap().imsi;
    claim.put(
        keys::Claim::Imsi(imsi).key(),
        Guarded::encode(1, &encode_claim(&Claim { holder: Holder::Write(write) })),
    );
    store.commit(claim).await.unwrap();
    let refused = imported(&importer, rows[1..].to_vec()).await.refused;
    assert_eq!(refused[0].reason, format!("IMSI is the target of {write}"));
}
