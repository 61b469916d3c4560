//! The vectors of other implementations: what is guessed, verified and deciphered.

use airwrite::explain::{CardKeys, Explanation, Node, explain};
use airwrite::ota::{Algorithm, Crc, Key, KeySet};
use serde_json::Value;

use crate::vectors;

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} of {vector}"))
}

/// The keys of a vector, as those of one card.
fn keys(vector: &Value) -> CardKeys {
    let algorithm = match text(vector, "alg") {
        "des" => Algorithm::Des,
        "3des2" => Algorithm::TripleDes2,
        "3des3" => Algorithm::TripleDes3,
        alg if alg.starts_with("aes") => Algorithm::Aes,
        alg => panic!("{alg}"),
    };
    let key = |field| Key::new(algorithm, &hex::decode(text(vector, field)).unwrap()).unwrap();
    let named = u8::from_str_radix(text(vector, "kid"), 16).unwrap();
    let cc_len = u8::try_from(vector["cc_len"].as_u64().unwrap_or(8)).unwrap();
    let keys = KeySet::new(named >> 4, key("kic_key"), key("kid_key"), cc_len).unwrap();
    let keys = Crc::named_by(named).map_or(keys.clone(), |crc| keys.with_crc(crc));
    let mut card = CardKeys::default();
    card.add("EID 1".to_owned(), None, vec![keys]);
    card
}

fn value<'a>(tree: &'a Node, name: &str) -> Option<&'a str> {
    tree.find(name)?.value.as_deref()
}

#[test]
fn every_command_is_taken_for_one_and_opened() {
    let (mut verified, mut deciphered) = (0, 0);
    for vector in vectors().iter().filter(|vector| vector["kind"] == "command") {
        let id = text(vector, "id");
        let octets = hex::decode(text(vector, "sms_ud")).unwrap();
        let Explanation { kind, assumed, tree, .. } = explain(None, &octets, &mut keys(vector)).unwrap();
        assert_eq!((kind, assumed), ("ud", None), "{id}");
        assert!(!tree.has_problem(), "{id}: {tree:?}");
        let cntr = u64::from_str_radix(text(vector, "cntr"), 16).unwrap();
        assert_eq!(value(&tree, "CNTR"), Some(cntr.to_string().as_str()), "{id}");
        let spi1 = u8::from_str_radix(&text(vector, "spi")[..2], 16).unwrap();
        if spi1 & 0b11 == 0b10 {
            assert_eq!(value(&tree, "CC"), Some(format!("verified: EID 1, key set {}", octets[8] >> 4).as_str()), "{id}");
            verified += 1;
        }
        if spi1 & 0b100 != 0 {
            let inner = tree.find("ciphered").and_then(|node| node.octets.as_ref()).unwrap();
            let payload = hex::decode(text(vector, "payload")).unwrap();
            let [from, to] = match tree.find("ciphered").unwrap().children.iter().find(|node| node.range.unwrap()[0] >= 6 && !["RC", "CC"].contains(&&*node.name) && node.name != "padding") {
                Some(node) => node.range.unwrap(),
                None => [0, 0],
            };
            assert_eq!(to - from, payload.len(), "{id}");
            let shown: Vec<_> = inner.shown([from, to]).collect();
            assert!(shown.iter().zip(&payload).all(|(shown, octet)| shown.is_none_or(|shown| shown == *octet)), "{id}");
            deciphered += 1;
        }
    }
    assert!(verified >= 40 && deciphered >= 30, "{verified} {deciphered}");
}

#[test]
fn every_response_is_taken_for_one() {
    let mut verified = 0;
    for vector in vectors().iter().filter(|vector| vector["kind"] == "response") {
        let id = text(vector, "id");
        let Some(octets) = vector["sms_ud"].as_str() else { continue };
        let octets = hex::decode(octets).unwrap();
        let Explanation { kind, tree, .. } = explain(None, &octets, &mut keys(vector)).unwrap();
        assert_eq!(kind, "ud", "{id}");
        assert!(!tree.has_problem(), "{id}: {tree:?}");
        let spi2 = u8::from_str_radix(&text(vector, "spi")[2..4], 16).unwrap();
        if spi2 >> 2 & 0b11 == 0b10 {
            assert!(value(&tree, "CC").is_some_and(|cc| cc.starts_with("verified")), "{id}: {tree:?}");
            assert!(value(&tree, "RSC").is_some(), "{id}");
            verified += 1;
        }
    }
    assert!(verified >= 20, "{verified}");
}

#[test]
fn a_packet_that_was_changed_is_told() {
    let all = vectors();
    let vector = all.iter().find(|vector| vector["kind"] == "command" && vector["spi"] == "1639").unwrap();
    let mut octets = hex::decode(text(vector, "sms_ud")).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    let Explanation { verdict, tree, .. } = explain(None, &octets, &mut keys(vector)).unwrap();
    assert!(tree.find("ciphered").unwrap().problem.as_deref().unwrap().contains("the packet was changed"));
    assert!(verdict.unwrap().contains("the packet was changed"));
}
