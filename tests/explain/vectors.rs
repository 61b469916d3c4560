//! The vectors of other implementations: what is guessed, verified and deciphered.

use airwrite::explain::{CardKeys, Explainer, Explanation, Node};
use airwrite::ota::{Algorithm, Key, KeySet};
use serde_json::Value;

use crate::vectors;

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} of {vector}"))
}

fn octet(vector: &Value, field: &str) -> u8 {
    u8::from_str_radix(text(vector, field), 16).unwrap()
}

/// In the DES family the length names the algorithm.
fn key(vector: &Value, named: u8, field: &str) -> Key {
    let octets = hex::decode(text(vector, field)).unwrap();
    let algorithm = match (named & 0x0F, octets.len()) {
        (0x2, _) | (_, 32) => Algorithm::Aes,
        (_, 8) => Algorithm::Des,
        (_, 16) => Algorithm::TripleDes2,
        _ => Algorithm::TripleDes3,
    };
    Key::new(algorithm, &octets).unwrap()
}

/// The keys of a vector, as those of one card.
fn keys(vector: &Value, ciphered: bool) -> CardKeys {
    let (kic, kid) = (octet(vector, "kic"), octet(vector, "kid"));
    let kid_key = key(vector, kid, "kid_key");
    let cc_len = vector["cc_len"].as_u64().filter(|_| kid_key.algorithm() == Algorithm::Aes).unwrap_or(8);
    let version = if ciphered { kic } else { kid } >> 4;
    let cc_len = u8::try_from(cc_len).unwrap();
    let keys = KeySet::new(version, key(vector, kic, "kic_key"), kid_key, cc_len).unwrap();
    let mut card = CardKeys::default();
    card.add("EID 1".to_owned(), None, vec![keys]);
    card
}

/// Whether the packet itself is as it should be; the data of many vectors are no script.
fn is_well_formed(node: &Node) -> bool {
    let data = ["script", "script response"].contains(&&*node.name);
    data || node.problem.is_none() && node.children.iter().all(is_well_formed)
}

fn value<'a>(tree: &'a Node, name: &str) -> Option<&'a str> {
    tree.find(name)?.value.as_deref()
}

#[test]
fn every_command_is_taken_for_one_and_opened() {
    let (mut verified, mut deciphered) = (0, 0);
    let all = vectors();
    let named = |vector: &&Value| vector["kind"] == "command" && vector["spi"].is_string();
    for vector in all.iter().filter(named).filter(|vector| vector["expect"].is_null()) {
        let id = text(vector, "id");
        // A few are given without their user data header.
        let packet = vector["packet"].as_str().map(|packet| format!("027000{packet}"));
        let octets =
            hex::decode(vector["sms_ud"].as_str().map_or_else(|| packet.unwrap(), str::to_owned)).unwrap();
        let spi1 = u8::from_str_radix(&text(vector, "spi")[..2], 16).unwrap();
        let mut keys = keys(vector, spi1 & 0b100 != 0);
        let Explanation { kind, assumed, tree, .. } =
            Explainer::new(&mut keys).explain(None, &octets).unwrap();
        assert_eq!((kind, assumed), ("ud", None), "{id}");
        assert!(is_well_formed(&tree), "{id}: {tree:?}");
        let cntr = u64::from_str_radix(text(vector, "cntr"), 16).unwrap();
        assert_eq!(value(&tree, "CNTR"), Some(cntr.to_string().as_str()), "{id}");
        if spi1 & 0b11 == 0b10 {
            assert_eq!(
                value(&tree, "CC"),
                Some(format!("verified: EID 1, key set {}", octets[8] >> 4).as_str()),
                "{id}"
            );
            verified += 1;
        }
        if spi1 & 0b100 != 0 {
            let inner = tree.find("ciphered").and_then(|node| node.octets.as_ref()).unwrap();
            let payload = hex::decode(text(vector, "payload")).unwrap();
            // Behind CNTR, PCNTR and the check.
            let from = 6 + usize::from(octets[5] - 0x0D);
            let shown: Vec<_> = inner.shown([from, from + payload.len()]).collect();
            assert_eq!(shown.len(), payload.len(), "{id}");
            assert!(
                shown.iter().zip(&payload).all(|(shown, octet)| shown.is_none_or(|shown| shown == *octet)),
                "{id}"
            );
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
        let spi2 = u8::from_str_radix(&text(vector, "spi")[2..4], 16).unwrap();
        let mut keys = keys(vector, spi2 & 0b1_0000 != 0);
        let Explanation { kind, tree, .. } = Explainer::new(&mut keys).explain(None, &octets).unwrap();
        assert_eq!(kind, "ud", "{id}");
        assert_eq!(is_well_formed(&tree), vector["expect"].is_null(), "{id}: {tree:?}");
        if vector["expect"].is_null() && spi2 >> 2 & 0b11 == 0b10 {
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
    let Explanation { verdict, tree, .. } =
        Explainer::new(&mut keys(vector, true)).explain(None, &octets).unwrap();
    assert!(tree.find("ciphered").unwrap().problem.as_deref().unwrap().contains("the packet was changed"));
    assert!(verdict.unwrap().contains("the packet was changed"));
}
