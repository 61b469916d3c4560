//! Whatever octets there are: no panic, and a tree whose ranges stand in the octets they count in, each within the one above
//! and none over its neighbour.

use airwrite::explain::{CardKeys, Dialogues, Explainer, Kind, NoKeys, Node, capture, text};
use airwrite::ota::ef::Ef;
use airwrite::ota::{Algorithm, Key, KeySet};
use proptest::prelude::*;

use crate::{file, vectors};

/// Checks a tree; `within` is the range of the nearest node above with one, and `len` how many octets ranges count in.
fn check(node: &Node, within: [usize; 2], len: usize) {
    let range = node.range.unwrap_or(within);
    let [from, to] = range;
    assert!(from <= to && to <= len, "{}: {range:?} of {len}", node.name);
    assert!(within[0] <= from && to <= within[1], "{}: {range:?} in {within:?}", node.name);
    assert!(!node.hidden || node.children.is_empty(), "{}: a secret has no parts", node.name);
    let (inner, len) = match &node.octets {
        Some(octets) => ([0, octets.len()], octets.len()),
        None => (range, len),
    };
    let mut behind = inner[0];
    for child in &node.children {
        check(child, inner, len);
        if let Some([from, to]) = child.range {
            assert!(behind <= from, "{} in {}: {from} before {behind}", child.name, node.name);
            behind = to;
        }
    }
}

fn check_explained(kind: Kind, octets: &[u8], keys: &mut CardKeys) {
    let explanation = Explainer::new(keys).explain(Some(kind), octets).unwrap();
    check(&explanation.tree, [0, octets.len()], octets.len());
    let covered: usize =
        explanation.tree.children.iter().filter_map(|node| node.range).map(|[from, to]| to - from).sum();
    assert_eq!(covered, octets.len(), "{kind}: every octet is in a node");
    let json = serde_json::to_string(&explanation).unwrap();
    assert!(json.starts_with(&format!("{{\"kind\":\"{kind}\"")));
}

fn keys() -> CardKeys {
    let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
    let mut keys = CardKeys::default();
    keys.add("EID 1".to_owned(), Some("1".to_owned()), vec![KeySet::new(1, key(1), key(2), 8).unwrap()]);
    keys
}

/// Octets that mean something: every vector, and the PDUs of a capture.
fn meaningful() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vectors()
        .iter()
        .flat_map(|vector| ["sms_ud", "packet", "octets", "payload"].map(|field| vector[field].clone()))
        .filter_map(|octets| hex::decode(octets.as_str()?).ok())
        .collect();
    let pdus = airwrite::pcap::read(&std::fs::read(file("pcaps/write-card.pcapng")).unwrap()).unwrap();
    all.extend(pdus.dialogues[0].pdus.iter().map(|pdu| pdu.octets.to_vec()));
    all
}

#[test]
fn what_means_something_is_explained_as_every_kind() {
    let mut keys = keys();
    for octets in meaningful() {
        for kind in Kind::ALL {
            check_explained(kind, &octets, &mut keys);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_octets_are_explained(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut keys = keys();
        for kind in Kind::ALL {
            check_explained(kind, &octets, &mut keys);
        }
        let _ = Explainer::new(&mut NoKeys).explain(None, &octets);
    }

    #[test]
    fn any_change_to_what_means_something_is_explained(
        which: prop::sample::Index, kind: prop::sample::Index, cut: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let all = meaningful();
        let mut octets = all[which.index(all.len())].clone();
        prop_assume!(!octets.is_empty());
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        octets.truncate(cut.index(octets.len() + 1));
        check_explained(Kind::ALL[kind.index(Kind::ALL.len())], &octets, &mut keys());
        let (kinds, _) = Kind::guess(&octets);
        if let Some(kind) = kinds.first() {
            check_explained(*kind, &octets, &mut keys());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(given in "[ -~\\n]{0,80}") {
        let _ = text::read(&given);
    }
}

#[test]
fn every_pdu_of_every_capture_is_a_tree() {
    for name in ["write-card", "kannel", "npm-smpp", "smpp34"] {
        let octets = std::fs::read(file(&format!("pcaps/{name}.pcapng"))).unwrap();
        let read = airwrite::pcap::read(&octets).unwrap();
        let mut keys = NoKeys;
        let (Dialogues { pdus, .. }, events) = capture(&read, &mut keys);
        let events: Vec<_> = events.collect();
        let all = read.dialogues.iter().map(|dialogue| dialogue.pdus.len()).sum();
        assert_eq!((pdus, events.len()), (all, all));
        for event in &events {
            let len = event.tree.octets.as_ref().unwrap().len();
            check(&event.tree, [0, len], len);
            assert!(!event.tree.has_problem(), "{name}, packet {}: {:?}", event.packet, event.tree);
        }
    }
}

#[test]
fn what_octets_are_is_told_by_their_looks() {
    let guessed = |digits: &str| {
        let (kinds, fits) = Kind::guess(&hex::decode(digits.replace(' ', "")).unwrap());
        (kinds.first().copied(), fits)
    };
    for (digits, kind) in [
        ("00000010 00000015 00000000 00000007", Kind::Smpp),
        ("02 7000 000F", Kind::UserData),
        ("000E 0D 0000 1212 415731 0000000001 00", Kind::Command),
        ("000B 0A 415731 0000000001 00 02", Kind::Response),
        ("65 0C 800101 810400000001 8F0100", Kind::Message),
        ("00A4000402 6F07", Kind::Apdu),
        ("D0 09 810301010482028182", Kind::Toolkit),
        ("00A4000402 6F07 00B0000009", Kind::Script),
        ("44 05810106F4 7F F6 32114122310200 04 027000AB", Kind::Deliver),
        ("01 00 05810106F4 00 04 08 4A44444444444447", Kind::Submit),
        ("6A82", Kind::ApduResponse),
        ("02 6C09", Kind::ScriptResponse),
        ("08 0910101032547698", Kind::File(Ef::Imsi)),
    ] {
        assert_eq!(guessed(digits), (Some(kind), true), "{digits}");
        assert_eq!(kind.name().to_uppercase().parse(), Ok(kind));
    }
    // What is cut short is told by how it begins.
    assert_eq!(guessed("0000003C 00000004 00000000 00000001 0001"), (Some(Kind::Smpp), false));
    assert_eq!(guessed("0058 15 1600 1212 415732 A900"), (Some(Kind::Command), false));
    assert_eq!(guessed("0011223344"), (None, false));
}
