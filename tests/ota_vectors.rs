//! Secured packets against vectors from the standards and from independent implementations and real cards
//! (`tests/data/ota-vectors.json`, which says the source of each).
//!
//! Which vectors are out of scope is decided by rule, from the octets of the vector ([`scope`]), and the numbers that run and
//! that do not are asserted, so that none drops out unseen.

use std::collections::BTreeMap;

use airwrite::ota::response::{self, ResponseHeader};
use airwrite::ota::{
    Algorithm, CommandHeader, Content, Cpi, CpiPosition, Insertion, Integrity, Joined, Key, KeySet,
    OpenError, PartSet, Reference, Rsc, Spi1, Spi2, SplitOptions, Tar, UserData, command, split,
};
use serde::Deserialize;

/// Responses of a card that fills up with 80 00 .. instead of zeros: opened like any other, but sealed differently.
const OTHER_PADDING: [&str; 3] = ["v219", "v220", "v291"];

#[derive(Deserialize)]
struct File {
    count: usize,
    vectors: Vec<Vector>,
}

/// One vector. Octets are hexadecimal; which fields there are depends on `kind`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Vector {
    id: String,
    kind: String,
    note: String,
    spi: Option<String>,
    kic: Option<String>,
    kid: Option<String>,
    kic_key: String,
    kid_key: String,
    tar: Option<String>,
    cntr: Option<String>,
    pcntr: Option<u8>,
    cc_len: Option<u8>,
    rsc: Option<String>,
    payload: String,
    packet: String,
    sms_ud: Option<String>,
    parts: Vec<String>,
    /// A negative vector: what has to happen. (Remote scripts use the name for other things.)
    expect: serde_json::Value,
    decode_only: bool,
    key: String,
    data: String,
    cc: String,
    sent_tar: String,
}

/// Whether a vector runs, or why it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Runs,
    RedundancyCheck,
    SingleDes,
    TripleDes3,
    /// KIc leaves the algorithm to an agreement: in these vectors DES or triple DES in ECB mode.
    ImplicitAlgorithm,
    RemoteScript,
}

/// How a vector is secured, read from its own octets.
struct Level {
    integrity: Integrity,
    ciphered: bool,
    kic: u8,
    kid: u8,
}

#[test]
fn every_vector_in_scope_holds_both_ways() {
    let file = vectors();
    assert_eq!(file.vectors.len(), file.count);
    let mut ran = BTreeMap::new();
    let mut out_of_scope = BTreeMap::new();
    for vector in &file.vectors {
        let scope = scope(vector);
        if scope == Scope::Runs {
            run(vector);
            *ran.entry(vector.kind.as_str()).or_insert(0) += 1;
        } else {
            *out_of_scope.entry((scope, vector.kind.as_str())).or_insert(0) += 1;
        }
    }
    let ran_expected = [
        ("cc", 6),
        ("command", 66),
        ("concat-command", 4),
        ("reassembly", 1),
        ("response", 49),
        ("response-negative", 7),
    ];
    assert_eq!(ran, BTreeMap::from(ran_expected));
    let out_of_scope_expected = [
        ((Scope::RedundancyCheck, "command"), 7),
        ((Scope::RedundancyCheck, "crc"), 5),
        ((Scope::RedundancyCheck, "response"), 10),
        ((Scope::SingleDes, "command"), 7),
        ((Scope::SingleDes, "response"), 1),
        ((Scope::TripleDes3, "command"), 14),
        ((Scope::TripleDes3, "response"), 2),
        ((Scope::ImplicitAlgorithm, "command"), 4),
        ((Scope::RemoteScript, "capdu-expanded"), 5),
        ((Scope::RemoteScript, "rapdu-compact"), 4),
        ((Scope::RemoteScript, "rapdu-expanded"), 6),
    ];
    assert_eq!(out_of_scope, BTreeMap::from(out_of_scope_expected));
}

fn scope(vector: &Vector) -> Scope {
    match vector.kind.as_str() {
        "crc" => return Scope::RedundancyCheck,
        "rapdu-compact" | "rapdu-expanded" | "capdu-expanded" => return Scope::RemoteScript,
        "cc" | "reassembly" => return Scope::Runs,
        // Malformed before any field that could put it out of scope.
        "command" if vector.expect == "reject" => return Scope::Runs,
        _ => {}
    }
    let Level { integrity, ciphered, kic, kid } = level(vector);
    if integrity == Integrity::Rc {
        return Scope::RedundancyCheck;
    }
    let used = [ciphered.then_some(kic), (integrity == Integrity::Cc).then_some(kid)];
    used.into_iter().flatten().map(key_scope).find(|scope| *scope != Scope::Runs).unwrap_or(Scope::Runs)
}

fn key_scope(kic_or_kid: u8) -> Scope {
    match kic_or_kid & 0x0F {
        0x2 | 0x5 => Scope::Runs,
        0x1 | 0xD => Scope::SingleDes,
        0x9 => Scope::TripleDes3,
        nibble if nibble & 0b11 == 0 => Scope::ImplicitAlgorithm,
        nibble => panic!("algorithm {nibble:X} is in no scope"),
    }
}

fn level(vector: &Vector) -> Level {
    // Where a command vector does not name its fields, its packet does.
    let packet = hex(&vector.packet);
    let field =
        |text: &Option<String>, at: usize| text.as_deref().map_or_else(|| packet[at..at + 2].to_vec(), hex);
    let (spi, kic, kid) = (field(&vector.spi, 3), field(&vector.kic, 5)[0], field(&vector.kid, 6)[0]);
    if vector.kind.contains("command") {
        let spi1 = Spi1(spi[0]);
        Level { integrity: spi1.integrity(), ciphered: spi1.ciphered(), kic, kid }
    } else {
        let spi2 = Spi2(spi[1]);
        Level { integrity: spi2.por_integrity(), ciphered: spi2.por_ciphered(), kic, kid }
    }
}

/// The key set of a vector. A key that the vector does not use may be of any algorithm; the other one stands in for it.
fn keys(vector: &Vector) -> KeySet {
    let Level { integrity, ciphered, kic, kid } = level(vector);
    let (kic_key, kid_key) = match (ciphered, integrity) {
        (true, Integrity::Cc) => (&vector.kic_key, &vector.kid_key),
        (true, _) => (&vector.kic_key, &vector.kic_key),
        (false, Integrity::Cc) => (&vector.kid_key, &vector.kid_key),
        (false, _) => return key_set(0, Algorithm::Aes, &[0; 16], &[0; 16], 8),
    };
    let named = if ciphered { kic } else { kid };
    let algorithm = if named & 0x0F == 0x2 { Algorithm::Aes } else { Algorithm::TripleDes2 };
    key_set(named >> 4, algorithm, &hex(kic_key), &hex(kid_key), vector.cc_len.unwrap_or(8))
}

fn key_set(version: u8, algorithm: Algorithm, kic: &[u8], kid: &[u8], cc_len: u8) -> KeySet {
    let key = |octets| Key::new(algorithm, octets).unwrap();
    KeySet::new(version, key(kic), key(kid), cc_len).unwrap()
}

fn run(vector: &Vector) {
    println!("{} {}: {}", vector.id, vector.kind, vector.note);
    match (vector.kind.as_str(), vector.expect.as_str()) {
        ("command", None) => run_command(vector),
        ("response", None) => run_response(vector),
        ("command", Some("reject")) => {
            let keys = key_set(1, Algorithm::TripleDes2, &hex(&vector.kic_key), &hex(&vector.kid_key), 8);
            let opened = command::open(&hex(&vector.packet), &keys);
            assert!(matches!(opened, Err(OpenError::LengthMismatch { field: "CPL", .. })), "{opened:?}");
        }
        ("response" | "response-negative", Some(expect)) => run_refused_response(vector, expect),
        ("concat-command", None) => {
            run_command(vector);
            run_parts(vector);
        }
        ("reassembly", None) => {
            let whole = UserData::parse(&hex(vector.sms_ud.as_deref().unwrap())).unwrap();
            let joined = Joined { content: Content::Response, payload: whole.payload };
            assert_joined_in_any_order(&vector.parts, &joined);
        }
        ("cc", None) => {
            let algorithm = if vector.note.ends_with("AES") { Algorithm::Aes } else { Algorithm::TripleDes2 };
            let key = hex(&vector.key);
            let data = hex(&vector.data);
            let (head, body) = data.split_first_chunk().unwrap();
            assert_eq!(key_set(1, algorithm, &key, &key, 8).cc(head, body).as_slice(), hex(&vector.cc));
        }
        other => panic!("nothing runs {other:?}"),
    }
}

fn run_command(vector: &Vector) {
    let packet = hex(&vector.packet);
    let keys = keys(vector);
    let opened = command::open(&packet, &keys).unwrap();
    assert_eq!(opened.data, hex(&vector.payload));
    let CommandHeader { spi1, spi2, kic, kid, tar, cntr } = opened.header;
    assert_field(&vector.spi, &[spi1.0, spi2.0]);
    assert_field(&vector.kic, &[kic]);
    assert_field(&vector.kid, &[kid]);
    assert_field(&vector.tar, &tar.0);
    assert_field(&vector.cntr, &cntr.octets());
    assert_eq!(vector.pcntr.unwrap_or(opened.pcntr), opened.pcntr);

    let clear = command::peek(&packet).unwrap();
    assert_eq!((clear.spi1, clear.spi2, clear.kic, clear.kid, clear.tar), (spi1, spi2, kic, kid, tar));
    assert_eq!(clear.cntr, (!spi1.ciphered()).then_some(cntr));

    if !vector.decode_only {
        assert_eq!(command::seal(&opened.header, &keys, &opened.data).unwrap(), packet);
    }
    if let Some(sms_ud) = vector.sms_ud.as_deref().map(hex) {
        let user_data = UserData::parse(&sms_ud).unwrap();
        assert_eq!((user_data.content(), &user_data.payload), (Content::Command, &packet));
        assert_eq!(user_data.encode().unwrap(), sms_ud);
        let options = SplitOptions::new(Reference::Bits8(1));
        assert_eq!(split(&packet, Cpi::Command, &options).unwrap(), [sms_ud]);
    }
    assert_changes_refused(&packet, spi1.integrity(), |packet| command::open(packet, &keys).err());
}

fn run_response(vector: &Vector) {
    let sms_ud = hex(vector.sms_ud.as_deref().unwrap());
    let user_data = UserData::parse(&sms_ud).unwrap();
    assert_eq!(user_data.content(), Content::Response);
    let packet = user_data.payload;
    let (keys, asked) = (keys(vector), asked(vector));
    let opened = response::open(&packet, asked, &keys).unwrap();
    assert_eq!(opened.data, hex(&vector.payload));
    assert_field(&vector.tar, &opened.tar.0);
    assert_field(&vector.cntr, &opened.cntr.octets());
    assert_field(&vector.rsc, &[opened.rsc.0]);
    assert_eq!(opened.protected, asked.por_integrity() == Integrity::Cc);
    assert_eq!(response::peek(&packet), Ok(opened.tar));

    let header = ResponseHeader { tar: opened.tar, cntr: opened.cntr, rsc: opened.rsc };
    let sealed = response::seal(&header, asked, &keys, &opened.data).unwrap();
    assert_eq!(sealed == packet, !OTHER_PADDING.contains(&vector.id.as_str()));
    assert_changes_refused(&packet, asked.por_integrity(), |packet| {
        response::open(packet, asked, &keys).err()
    });
}

/// A packet with a CC is refused after any change of one bit, and any packet that ends early.
fn assert_changes_refused(packet: &[u8], integrity: Integrity, refused: impl Fn(&[u8]) -> Option<OpenError>) {
    for len in 0..packet.len() {
        let error = refused(&packet[..len]);
        assert!(
            matches!(error, Some(OpenError::TooShort { .. } | OpenError::LengthMismatch { .. })),
            "{len} octets: {error:?}"
        );
    }
    if integrity == Integrity::Cc {
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(refused(&changed), None, "bit {bit}");
        }
    }
}

fn run_refused_response(vector: &Vector, expect: &str) {
    let sms_ud = hex(vector.sms_ud.as_deref().unwrap());
    let user_data = UserData::parse(&sms_ud);
    if expect == "reject: not a response packet" {
        assert!(user_data.is_err(), "{user_data:?}");
        return;
    }
    let packet = user_data.unwrap().payload;
    let opened = response::open(&packet, asked(vector), &keys(vector));
    let claim = expect.split(" (").next().unwrap();
    match (claim, opened) {
        ("reject: CC", Err(OpenError::BadChecksum))
        | ("reject: RPL", Err(OpenError::LengthMismatch { field: "RPL", .. }))
        | ("reject: PCNTR", Err(OpenError::Padding { .. }))
        | ("reject: security downgrade", Err(OpenError::LevelMismatch { field: "RHL", .. })) => {}
        ("accept as UNAUTHENTICATED error indication", Err(OpenError::LevelMismatch { .. })) => {
            let hint = response::read_clear(&packet).unwrap();
            assert_eq!((hint.rsc, hint.protected), (Rsc::TAR_UNKNOWN, false));
        }
        ("reject or leave uncorrelated: TAR differs from the command", Ok(opened)) => {
            assert_ne!(opened.tar, vector.sent_tar.parse::<Tar>().unwrap());
        }
        other => panic!("{other:?}"),
    }
}

fn run_parts(vector: &Vector) {
    let packet = hex(&vector.packet);
    let first = UserData::parse(&hex(&vector.parts[0])).unwrap();
    let options = SplitOptions {
        reference: first.concatenation().unwrap().reference,
        cpi_position: CpiPosition::AfterConcatenation,
        cpi_in_every_part: false,
    };
    let parts: Vec<String> =
        split(&packet, Cpi::Command, &options).unwrap().iter().map(hex::encode).collect();
    assert_eq!(parts, vector.parts);
    assert_joined_in_any_order(&vector.parts, &Joined { content: Content::Command, payload: packet });
}

/// Joins the parts first to last and last to first, each part twice.
fn assert_joined_in_any_order(parts: &[String], joined: &Joined) {
    let mut parts: Vec<UserData> = parts.iter().map(|part| UserData::parse(&hex(part)).unwrap()).collect();
    for _ in 0..2 {
        let mut set = PartSet::new(parts[0].concatenation().unwrap());
        for part in &parts {
            assert_eq!(set.joined(), None);
            assert_eq!(set.insert(part), Ok(Insertion::New));
            assert_eq!(set.insert(part), Ok(Insertion::Duplicate));
        }
        assert_eq!(set.joined().as_ref(), Some(joined));
        parts.reverse();
    }
}

fn asked(vector: &Vector) -> Spi2 {
    Spi2(hex(vector.spi.as_deref().unwrap())[1])
}

fn assert_field(expected: &Option<String>, found: &[u8]) {
    if let Some(expected) = expected {
        assert_eq!(hex::encode(found), *expected);
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn vectors() -> File {
    serde_json::from_str(include_str!("data/ota-vectors.json")).unwrap()
}
