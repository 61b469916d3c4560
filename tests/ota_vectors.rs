//! Secured packets against vectors from the standards and from independent implementations and real cards
//! (`tests/data/ota-vectors.json`, which says the source of each), in both directions.
//!
//! `AIRWRITE_OTA_VECTORS=FILE cargo test --test ota_vectors` runs another file of the same form.

use std::collections::BTreeMap;

use airwrite::ota::response::{self, ResponseHeader};
use airwrite::ota::{
    Algorithm, CommandHeader, Content, Cpi, CpiPosition, Crc, Insertion, Integrity, Joined, Key, KeySet,
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
    crc16: String,
    crc32: String,
    sent_tar: String,
}

/// How a vector is secured, read from its own octets.
struct Level {
    integrity: Integrity,
    ciphered: bool,
    kic: u8,
    kid: u8,
}

#[test]
fn every_vector_holds_both_ways() {
    let other = std::env::var_os("AIRWRITE_OTA_VECTORS");
    let text = other.as_ref().map_or_else(
        || include_str!("data/ota-vectors.json").to_owned(),
        |path| std::fs::read_to_string(path).unwrap(),
    );
    let file: File = serde_json::from_str(&text).unwrap();
    assert_eq!(file.vectors.len(), file.count);
    let mut ran = BTreeMap::new();
    // Remote scripts are no packets.
    for vector in file.vectors.iter().filter(|vector| !vector.kind.contains("apdu")) {
        run(vector);
        *ran.entry(vector.kind.as_str()).or_insert(0) += 1;
    }
    if other.is_none() {
        let expected = [
            ("cc", 6),
            ("command", 98),
            ("concat-command", 4),
            ("crc", 5),
            ("reassembly", 1),
            ("response", 62),
            ("response-negative", 7),
        ];
        assert_eq!(ran, BTreeMap::from(expected), "none drops out unseen");
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

/// The key set of a vector. The octets KIc and KID of the vector say little about keys that it does not use.
fn keys(vector: &Vector) -> KeySet {
    let Level { integrity, ciphered, kic, kid } = level(vector);
    let version = if ciphered { kic } else { kid } >> 4;
    let kid_key = key(kid, &vector.kid_key);
    let cc_len = if kid_key.algorithm() == Algorithm::Aes { vector.cc_len.unwrap_or(8) } else { 8 };
    let keys = KeySet::new(version, key(kic, &vector.kic_key), kid_key, cc_len).unwrap();
    // Where both sides know the algorithm, these cards have agreed on ECB mode.
    let ecb = ciphered && (kic & 0x0F == 0x0D || kic & 0b11 == 0);
    let keys = if ecb { keys.in_ecb().unwrap() } else { keys };
    // A response does not name its RC; its command did.
    match Crc::named_by(kid) {
        Some(crc) if !vector.kind.contains("command") && integrity == Integrity::Rc => keys.with_crc(crc),
        _ => keys,
    }
}

/// In the DES family the length names the algorithm.
fn key(kic_or_kid: u8, octets: &str) -> Key {
    let octets = hex(octets);
    let algorithm = match (kic_or_kid & 0x0F, octets.len()) {
        (0x2, _) | (_, 32) => Algorithm::Aes,
        (_, 8) => Algorithm::Des,
        (_, 16) => Algorithm::TripleDes2,
        _ => Algorithm::TripleDes3,
    };
    Key::new(algorithm, &octets).unwrap()
}

fn run(vector: &Vector) {
    println!("{} {}: {}", vector.id, vector.kind, vector.note);
    match (vector.kind.as_str(), vector.expect.as_str()) {
        ("command", None) => run_command(vector),
        ("response", None) => run_response(vector),
        ("command", Some(expect)) if expect.starts_with("reject") => {
            let opened = command::open(&hex(&vector.packet), &keys(vector));
            println!("{}", opened.expect_err(expect));
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
            let nibble = if vector.note.ends_with("AES") { 0x2 } else { 0x5 };
            let key = || key(nibble, &vector.key);
            let data = hex(&vector.data);
            let (head, body) = data.split_first_chunk().unwrap();
            let keys = KeySet::new(1, key(), key(), 8).unwrap();
            assert_eq!(keys.cc(head, body).as_slice(), hex(&vector.cc));
        }
        ("crc", None) => {
            let data = hex(&vector.data);
            for (crc, expected) in [(Crc::Crc16, &vector.crc16), (Crc::Crc32, &vector.crc32)] {
                for at in 0..=data.len() {
                    let (head, body) = data.split_at(at);
                    assert_eq!(crc.checksum(head, body)[..crc.len()], hex(expected));
                }
            }
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
    let named = CommandHeader::new(spi1, spi2, &keys.clone().with_crc(crc(kid)), tar, cntr);
    if spi1.ciphered() {
        assert_eq!(named.kic, kic);
    }
    if spi1.integrity() != Integrity::None {
        assert_eq!(named.kid, kid);
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

/// The RC that a KID octet names, any for another one.
fn crc(kid: u8) -> Crc {
    Crc::named_by(kid).unwrap_or(Crc::Crc32)
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

/// A packet with a check is refused after any change of one bit, and any packet that ends early or late.
fn assert_changes_refused(packet: &[u8], integrity: Integrity, refused: impl Fn(&[u8]) -> Option<OpenError>) {
    let longer = (1..4).map(|more| [packet, &[0xFF; 3][..more]].concat());
    for other in (0..packet.len()).map(|len| packet[..len].to_vec()).chain(longer) {
        let error = refused(&other);
        assert!(
            matches!(error, Some(OpenError::TooShort { .. } | OpenError::LengthMismatch { .. })),
            "{} octets: {error:?}",
            other.len()
        );
    }
    if integrity != Integrity::None {
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
