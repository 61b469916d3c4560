//! The records of the store: what is written is read again, by this release and by every later one.

mod examples;
mod generate;

use std::fmt::Debug;
use std::path::PathBuf;

use airwrite::card::{Bearer, COUNTERS_MAX, Card, Counter, Order, UNPROVEN_KINDS};
use airwrite::store::records::*;
use airwrite::store::{Guarded, VALUE_OCTETS_MAX};
use examples::*;
use proptest::prelude::*;

type Encode<T> = fn(&T) -> Vec<u8>;
type Decode<T> = fn(&[u8]) -> Result<T, RecordError>;

/// A later release's field, tag 500: `later: "new"`.
const LATER_FIELD: [u8; 6] = [0xA2, 0x1F, 3, b'n', b'e', b'w'];

/// Calls `$check(name, full example, minimal example, encode, decode)` for every kind of record.
macro_rules! every_kind {
    ($check:ident) => {
        $check("card", &full_card(), &minimal_card(), encode_card, decode_card);
        $check("write", &full_write(), &minimal_write(), encode_write, decode_write);
        $check("device", &full_device(), &minimal_device(), encode_device, decode_device);
        $check("claim", &claim_of_write(), &claim_of_card(), encode_claim, decode_claim);
        $check(
            "idempotency",
            &full_idempotency(),
            &minimal_idempotency(),
            encode_idempotency,
            decode_idempotency,
        );
        $check(
            "sealed_parts",
            &full_sealed_parts(),
            &minimal_sealed_parts(),
            encode_sealed_parts,
            decode_sealed_parts,
        );
        $check("fact", &full_fact(), &minimal_fact(), encode_fact, decode_fact);
        $check("outbox", &full_outbox(), &minimal_outbox(), encode_outbox, decode_outbox);
        $check("stray", &full_stray(), &minimal_stray(), encode_stray, decode_stray);
        $check("inbox", &full_inbox(), &minimal_inbox(), encode_inbox, decode_inbox);
        $check("api_key", &full_api_key(), &minimal_api_key(), encode_api_key, decode_api_key);
        $check("part_set", &full_part_set(), &minimal_part_set(), encode_part_set, decode_part_set);
    };
}

#[test]
fn bodies_of_version_1_decode_for_ever() {
    every_kind!(matches_golden_files);
}

#[test]
fn bodies_of_version_2_decode_for_ever() {
    let v2 = "v2";
    check_golden_files(
        v2,
        "card",
        [("on_site", &on_site_card()), ("claimed", &claimed_card())],
        encode_card,
        decode_card,
    );
    let writes = [("retried", &retried_write()), ("over_the_air", &write_over_the_air())];
    check_golden_files(v2, "write", writes, encode_write, decode_write);
    let parts = [("exported", &exported_parts())];
    check_golden_files(v2, "sealed_parts", parts, encode_sealed_parts, decode_sealed_parts);
    check_golden_files(v2, "stray", [("secured", &secured_stray())], encode_stray, decode_stray);
    check_golden_files(v2, "inbox", [("contested", &contested_inbox())], encode_inbox, decode_inbox);
    check_golden_files(v2, "api_key", [("scoped", &scoped_api_key())], encode_api_key, decode_api_key);
    check_golden_files(v2, "outbox", [("failed", &failed_outbox())], encode_outbox, decode_outbox);
    let endpoints = [("full", &full_endpoint()), ("minimal", &minimal_endpoint())];
    check_golden_files(v2, "endpoint", endpoints, encode_endpoint, decode_endpoint);
}

#[test]
fn bodies_of_version_3_decode_for_ever() {
    check_golden_files("v3", "card", [("hinted", &hinted_card())], encode_card, decode_card);
    check_golden_files("v3", "write", [("as_ordered", &write_as_ordered())], encode_write, decode_write);
    check_golden_files("v3", "fact", [("of_link", &fact_of_link())], encode_fact, decode_fact);
    let links = [("full", &full_link()), ("minimal", &minimal_link())];
    check_golden_files("v3", "link", links, encode_link, decode_link);
}

#[test]
fn bodies_of_version_4_decode_for_ever() {
    check_golden_files("v4", "card", [("scripted", &scripted_card())], encode_card, decode_card);
    check_golden_files("v4", "write", [("scripted", &scripted_write())], encode_write, decode_write);
}

fn matches_golden_files<T: PartialEq + Debug>(
    kind: &str,
    full: &T,
    minimal: &T,
    encode: Encode<T>,
    decode: Decode<T>,
) {
    check_golden_files("v1", kind, [("full", full), ("minimal", minimal)], encode, decode);
}

fn check_golden_files<T: PartialEq + Debug, const N: usize>(
    version: &str,
    kind: &str,
    examples: [(&str, &T); N],
    encode: Encode<T>,
    decode: Decode<T>,
) {
    for (example, record) in examples {
        let written = encode(record);
        let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/golden/records"].iter().collect();
        let file = file.join(version);
        let file = file.join(format!("{kind}.{example}.hex"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; a new example's file holds\n{}", file.display(), hex::encode(&written))
        });
        let golden = hex::decode(text.split_whitespace().collect::<String>()).expect("hexadecimal digits");
        assert_eq!(
            decode(&golden).as_ref(),
            Ok(record),
            "{}: these bytes must always decode to this. Stores in the field hold them: mend the reader, not the file",
            file.display()
        );
        assert_eq!(
            hex::encode(&written),
            hex::encode(&golden),
            "{}: what is written has changed. Where that is meant, the new bytes get the directory of a new \
             version, and the old bytes stay",
            file.display()
        );
    }
}

#[test]
fn fields_of_a_later_release_are_skipped() {
    every_kind!(skips_later_fields);
    let fact = [encode_fact(&full_fact()), LATER_FIELD.to_vec()].concat();
    let nested = [vec![0x0A, u8::try_from(fact.len()).expect("a short fact")], fact].concat();
    assert_eq!(decode_outbox(&nested).map(|event| event.fact), Ok(full_fact()), "in a nested message too");
}

fn skips_later_fields<T: PartialEq + Debug>(
    kind: &str,
    full: &T,
    minimal: &T,
    encode: Encode<T>,
    decode: Decode<T>,
) {
    for record in [full, minimal] {
        let body = [encode(record), LATER_FIELD.to_vec()].concat();
        assert_eq!(decode(&body).as_ref(), Ok(record), "{kind}");
    }
}

#[test]
fn the_largest_card_stays_below_4_kib() {
    let card = largest_card();
    let body = encode_card(&card);
    assert!(body.len() <= CARD_OCTETS_MAX, "{} octets", body.len());
    assert!(Guarded::encode(u64::MAX, &body).len() < 4096);
    assert_eq!(decode_card(&body), Ok(card));
}

#[test]
fn lists_beyond_their_limits_are_refused() {
    let too_many = |record, field, found, limit| RecordError::TooMany { record, field, found, limit };
    let card = |change: fn(&mut Card)| {
        let mut card = largest_card();
        change(&mut card);
        decode_card(&encode_card(&card)).expect_err("a list beyond its limit")
    };
    let counters = |card: &mut Card| {
        card.counters.push(Counter { scope: "*".to_owned(), last: 0, epoch: 0 });
    };
    assert_eq!(card(counters), too_many("card", "counters", 17, COUNTERS_MAX));
    assert_eq!(card(|card| card.queue.push(write_id(1))), too_many("card", "queue", 9, 8));
    assert_eq!(card(|card| card.mo.seen.push_back((1, 1))), too_many("card", "mo.seen", 65, 64));
    assert_eq!(card(|card| card.owed.extend_from_within(..1)), too_many("card", "owed", 3, OWED_MAX));
    assert_eq!(card(|card| card.unsettled.extend_from_within(..1)), too_many("card", "unsettled", 5, 4));
    let body = encode_card(&minimal_card());
    // Tag 32, with seven times and seven numbers.
    let hints = [&[0x82, 2, 18, 0x0A, 7][..], &[1; 7], &[0x12, 7], &[1; 7]].concat();
    let error = decode_card(&[&body[..], &hints].concat());
    assert_eq!(error, Err(too_many("card", "hints", 7, UNPROVEN_KINDS)));
    let legs = |card: &mut Card| {
        card.outstanding.as_mut().expect("a packet").legs.extend_from_within(..1);
    };
    assert_eq!(card(legs), too_many("card", "outstanding.legs", 3, LEGS_MAX));

    let device = Device { waiting: vec![write_id(1); 9], ..full_device() };
    assert_eq!(decode_device(&encode_device(&device)), Err(too_many("device", "waiting", 9, WAITING_MAX)));

    let sealed =
        |parts| decode_sealed_parts(&encode_sealed_parts(&SealedParts { parts, ..full_sealed_parts() }));
    assert!(sealed(vec![vec![0; 255]; 16]).is_ok());
    assert_eq!(sealed(vec![vec![0; 255]; 17]), Err(too_many("sealed parts", "parts", 17, SEALED_PARTS_MAX)));
    let expected = "parts of 1 to 255 octets";
    let refused = RecordError::Field { record: "sealed parts", field: "parts", expected };
    assert_eq!(sealed(vec![vec![0; 256]]), Err(refused.clone()));
    assert_eq!(sealed(vec![vec![]]), Err(refused));

    let set = |parts| decode_part_set(&encode_part_set(&PartSet { parts, ..full_part_set() }));
    assert_eq!(set(vec![(1, vec![]); 4]), Err(too_many("part set", "parts", 4, 3)));
    assert!(set(vec![(3, vec![0; 255])]).is_ok());
    let error = |parts| set(parts).expect_err("a part that cannot be").to_string();
    assert_eq!(error(vec![(0, vec![])]), "part set record: parts.number: expected 1 to the total");
    assert_eq!(error(vec![(4, vec![])]), "part set record: parts.number: expected 1 to the total");
    assert_eq!(error(vec![(1, vec![0; 256])]), "part set record: parts.octets: expected at most 255 octets");

    let found = VALUE_OCTETS_MAX + 1;
    let too_long = RecordError::TooLong { record: "stray", found, limit: VALUE_OCTETS_MAX };
    assert_eq!(decode_stray(&vec![0; found]), Err(too_long));
}

/// The last field of a tag counts, so a field is changed by putting another one behind the body.
#[test]
fn errors_name_record_field_and_expectation() {
    let write = |field: &[u8]| {
        let error = decode_write(&[&encode_write(&full_write()), field].concat());
        error.expect_err("a field that cannot be").to_string()
    };
    assert_eq!(write(&[0x48, 14]), "write record: state: expected a number that this release knows");
    assert_eq!(write(&[0x48, 0]), "write record: state: expected a number that this release knows");
    assert_eq!(write(&[0x58, 2]), "write record: hold: expected a number that this release knows");
    assert_eq!(write(&[0x0A, 1, 7]), "write record: id: expected a write id of 16 octets");
    assert_eq!(write(&[0x12, 1, b'A']), "write record: owner: expected an owner's name");
    assert_eq!(write(&[0x1A, 0]), "write record: imei: expected an IMEI as mobile identity of 8 octets");
    assert_eq!(
        write(&[0x22, 3, 0x0A, 1, 8]),
        "write record: target: expected an IMSI as EF.IMSI of 9 octets"
    );
    assert_eq!(write(&[0x48]), "write record: expected its protocol buffer", "a field cut short");
    assert_eq!(write(&[0x4A, 0]), "write record: expected its protocol buffer", "a number sent as text");

    let card = |field: &[u8]| {
        let error = decode_card(&[&encode_card(&full_card()), field].concat());
        error.expect_err("a field that cannot be").to_string()
    };
    assert_eq!(card(&[0x30, 0x80, 2]), "card record: kvn: expected 0 to 255");
    assert_eq!(card(&[0x5A, 2, 0x10, 1]), "card record: mo.seen: expected a digest for every counter");
    // The minimal card has no notice yet: this one has no leg.
    let body = [&encode_card(&minimal_card())[..], &[0x8A, 1, 2, 0x08, 5]].concat();
    let error = decode_card(&body).expect_err("a notice without its leg").to_string();
    assert_eq!(error, "card record: notice.leg: expected to be there");

    for error in [decode_claim(&[]).map(drop), decode_inbox(&[]).map(drop), decode_outbox(&[]).map(drop)] {
        assert!(matches!(error, Err(RecordError::Field { .. })), "an empty body: {error:?}");
    }
}

#[test]
fn a_write_gives_its_order() {
    let write = full_write();
    let order = Order {
        id: write.id,
        imei: write.imei,
        target: long_subscription(),
        deadline: NOW + 2,
        seq: 5,
        bearer: None,
    };
    assert_eq!(write.order(), order);
    // What is decided later stands beside what was ordered.
    let begun = Write { decided: Some(Bearer::Sms), ..write };
    assert_eq!((begun.order(), begun.reaches_by()), (order, Some(Bearer::Sms)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_card_reads_back(card in generate::card()) {
        prop_assert_eq!(decode_card(&encode_card(&card)), Ok(card));
    }

    #[test]
    fn any_write_reads_back(write in generate::write()) {
        prop_assert_eq!(decode_write(&encode_write(&write)), Ok(write));
    }

    #[test]
    fn any_device_reads_back(device in generate::device()) {
        prop_assert_eq!(decode_device(&encode_device(&device)), Ok(device));
    }

    #[test]
    fn any_claim_reads_back(claim in generate::claim(), key in generate::idempotency()) {
        prop_assert_eq!(decode_claim(&encode_claim(&claim)), Ok(claim));
        prop_assert_eq!(decode_idempotency(&encode_idempotency(&key)), Ok(key));
    }

    #[test]
    fn any_parts_read_back(sealed in generate::sealed_parts(), set in generate::part_set()) {
        prop_assert_eq!(decode_sealed_parts(&encode_sealed_parts(&sealed)), Ok(sealed));
        prop_assert_eq!(decode_part_set(&encode_part_set(&set)), Ok(set));
    }

    #[test]
    fn any_fact_reads_back(fact in generate::fact(), event in generate::outbox()) {
        prop_assert_eq!(decode_fact(&encode_fact(&fact)), Ok(fact));
        prop_assert_eq!(decode_outbox(&encode_outbox(&event)), Ok(event));
    }

    #[test]
    fn any_message_aside_reads_back(
        stray in generate::stray(), inbox in generate::inbox(), link in generate::link()
    ) {
        prop_assert_eq!(decode_link(&encode_link(&link)), Ok(link));
        prop_assert_eq!(decode_stray(&encode_stray(&stray)), Ok(stray));
        prop_assert_eq!(decode_inbox(&encode_inbox(&inbox)), Ok(inbox));
    }

    #[test]
    fn any_endpoint_reads_back(endpoint in generate::endpoint()) {
        prop_assert_eq!(decode_endpoint(&encode_endpoint(&endpoint)), Ok(endpoint));
    }

    #[test]
    fn any_api_key_reads_back(key in generate::api_key()) {
        prop_assert_eq!(decode_api_key(&encode_api_key(&key)), Ok(key));
    }
}

/// What is read from octets nobody wrote is a record like any other, or it is refused.
fn reads_or_refuses<T: PartialEq + Debug>(octets: &[u8], encode: Encode<T>, decode: Decode<T>) {
    if let Ok(record) = decode(octets) {
        assert_eq!(decode(&encode(&record)).as_ref(), Ok(&record));
    }
}

fn any_decoder_reads_or_refuses(octets: &[u8]) {
    reads_or_refuses(octets, encode_card, decode_card);
    reads_or_refuses(octets, encode_write, decode_write);
    reads_or_refuses(octets, encode_device, decode_device);
    reads_or_refuses(octets, encode_claim, decode_claim);
    reads_or_refuses(octets, encode_idempotency, decode_idempotency);
    reads_or_refuses(octets, encode_sealed_parts, decode_sealed_parts);
    reads_or_refuses(octets, encode_fact, decode_fact);
    reads_or_refuses(octets, encode_outbox, decode_outbox);
    reads_or_refuses(octets, encode_stray, decode_stray);
    reads_or_refuses(octets, encode_inbox, decode_inbox);
    reads_or_refuses(octets, encode_api_key, decode_api_key);
    reads_or_refuses(octets, encode_part_set, decode_part_set);
}

proptest! {
    #[test]
    fn no_octets_make_a_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        any_decoder_reads_or_refuses(&octets);
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(at: prop::sample::Index, octet: u8, cut: prop::sample::Index) {
        fn damaged(body: Vec<u8>, at: prop::sample::Index, octet: u8, cut: prop::sample::Index) {
            let mut changed = body.clone();
            *at.get_mut(&mut changed) = octet;
            any_decoder_reads_or_refuses(&changed);
            any_decoder_reads_or_refuses(body.get(..cut.index(body.len())).unwrap_or_default());
        }
        damaged(encode_card(&full_card()), at, octet, cut);
        damaged(encode_write(&full_write()), at, octet, cut);
        damaged(encode_device(&full_device()), at, octet, cut);
        damaged(encode_outbox(&full_outbox()), at, octet, cut);
        damaged(encode_sealed_parts(&full_sealed_parts()), at, octet, cut);
        damaged(encode_part_set(&full_part_set()), at, octet, cut);
    }
}
