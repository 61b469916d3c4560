//! Each capture in `pcaps/` has a page that says what it shows, and lists it.

use std::fs;
use std::path::PathBuf;

use bytes::BytesMut;

use crate::captures;
use crate::listing::listing;

/// What stands around the list of a page.
const FENCE: &str = "```";

#[test]
fn every_capture_has_a_page_that_lists_it() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let index = fs::read_to_string(directory.join("README.md")).unwrap();
    for (name, capture) in captures() {
        assert!(index.contains(&format!("[{name}]({name}.md)")), "pcaps/README.md leads to {name}.md");
        let path = directory.join(format!("{name}.md"));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let [before, listed, after] =
            page.splitn(3, FENCE).collect::<Vec<_>>().try_into().expect("one list between fences");
        assert!(before.lines().count() > 4, "{name}.md says what it shows");
        let expected = format!("text\n{}", listing(&capture));
        if std::env::var_os("AIRWRITE_RENEW_GOLDEN").is_some() {
            fs::write(path, [before, FENCE, &expected, FENCE, after].concat()).unwrap();
        } else {
            assert_eq!(
                listed, expected,
                "{name}.md; after a change that is meant:\n\
                 AIRWRITE_RENEW_GOLDEN=1 cargo test --test captures pages && git diff pcaps"
            );
        }
    }
}

/// Small, whole, nothing that has to be kept secret, every PDU read and written again octet by octet.
#[test]
fn every_capture_is_read_and_encoded_again() {
    for (name, capture) in captures() {
        assert!(!capture.truncated, "{name}");
        assert_eq!(capture.others, 0, "{name}: nothing but TCP");
        let mut pdus = 0;
        for seen in capture.dialogues.iter().flat_map(|dialogue| &dialogue.pdus) {
            pdus += 1;
            let mut again = BytesMut::new();
            seen.pdu.encode(&mut again);
            assert_eq!(hex::encode(again), hex::encode(&seen.octets), "{name}, packet {}", seen.packet);
        }
        assert!((1..2000).contains(&pdus), "{name}: {pdus} PDUs");
    }
}
