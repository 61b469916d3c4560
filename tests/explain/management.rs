//! A dialogue of remote file management: scripts in parts, their responses, contents of files, and keys that are not shown.

use airwrite::explain::{CardKeys, Explainer, Explanation, Kind, Node};
use airwrite::identity::Imsi;
use airwrite::ota::script::{self, Action, Format, ScriptOptions};
use airwrite::ota::{
    Algorithm, Cntr, CommandHeader, Cpi, Key, KeySet, Reference, ResponseHeader, Rsc, Spi1, Spi2,
    SplitOptions, Tar, apdu, command, response, split,
};
use airwrite::smpp::{Address, Body, CommandStatus, Pdu, ShortMessage, Sm};
use bytes::{Bytes, BytesMut};

const TAR: Tar = Tar([0xB0, 0x00, 0x10]);
const ASKED: Spi2 = Spi2::POR_CC_CIPHERED_BY_SUBMIT;

fn key_set() -> KeySet {
    let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
    KeySet::new(1, key(1), key(2), 8).unwrap()
}

fn card_keys() -> CardKeys {
    let mut keys = CardKeys::default();
    keys.add("ICCID 1".to_owned(), None, vec![key_set()]);
    keys
}

/// The PDUs that carry a packet, to the card or from it.
fn pdus(out: &mut BytesMut, cpi: Cpi, packet: &[u8], sequence: u32) {
    let (platform, card) = ("10690".parse().unwrap(), "861064101000001".parse().unwrap());
    let [platform, card] = [platform, card].map(|digits| Address { ton: 1, npi: 1, digits });
    let options = SplitOptions::new(Reference::Bits8(7));
    for (sequence, tp_ud) in (sequence..).zip(split(packet, cpi, &options).unwrap()) {
        let tp_ud = ShortMessage::try_from(Bytes::from(tp_ud)).unwrap();
        let body = match cpi {
            Cpi::Command => Body::SubmitSm(Sm::submit_ota(platform, card, tp_ud)),
            Cpi::Response => Body::DeliverSm(Sm::submit_ota(card, platform, tp_ud)),
        };
        Pdu { status: CommandStatus::ESME_ROK, sequence, body }.encode(out);
    }
}

/// A script sent, and `answer` as the data of its PoR; explained with the card's keys.
fn dialogue(commands: &[Vec<u8>], format: Format, answer: &[u8]) -> Explanation {
    dialogue_with(&ScriptOptions::default(), commands, format, answer)
}

fn dialogue_with(
    options: &ScriptOptions,
    commands: &[Vec<u8>],
    format: Format,
    answer: &[u8],
) -> Explanation {
    let keys = key_set();
    let cntr = Cntr::try_from(5).unwrap();
    let script = script::encode(format, options, commands).unwrap();
    let header = CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, ASKED, &keys, TAR, cntr);
    let mut octets = BytesMut::new();
    pdus(&mut octets, Cpi::Command, &command::seal(&header, &keys, &script).unwrap(), 1);
    let header = ResponseHeader { tar: TAR, cntr, rsc: Rsc::OK };
    pdus(&mut octets, Cpi::Response, &response::seal(&header, ASKED, &keys, answer).unwrap(), 9);
    let explanation = Explainer::new(&mut card_keys()).explain(None, &octets).unwrap();
    assert_eq!((explanation.kind, &explanation.assumed), ("smpp", &None));
    assert!(!explanation.tree.has_problem(), "{:?}", explanation.tree);
    explanation
}

fn imsi() -> [u8; 9] {
    "001012001000001".parse::<Imsi>().unwrap().to_ef()
}

/// Selects a file below the application, then does this.
fn at(file: u16, command: Vec<u8>) -> [Vec<u8>; 2] {
    [apdu::select(file), command]
}

fn value<'a>(tree: &'a Node, name: &str) -> Option<&'a str> {
    tree.find(name)?.value.as_deref()
}

#[test]
fn what_was_read_is_the_file_that_the_script_selected() {
    let [select, update] = at(0x6F07, apdu::update_binary(0, &imsi()).unwrap());
    let commands = [select, update, apdu::read_binary(0, 9)];
    let answer = [&[3, 0x90, 0x00][..], &imsi()].concat();
    let Explanation { tree, verdict, .. } = dialogue(&commands, Format::Compact, &answer);
    assert_eq!(verdict.unwrap(), "PoR 00: all of 3 commands executed; CC verified; answers sequence 1");
    assert_eq!(value(tree.find("script").unwrap(), "IMSI"), Some("001012001000001"));
    assert_eq!(value(tree.find("last data").unwrap(), "IMSI"), Some("001012001000001"));
}

#[test]
fn a_command_that_failed_is_named_with_its_file() {
    let commands = at(0x6F40, apdu::update_record(1, &[0xFF; 24]).unwrap());
    let Explanation { verdict, .. } = dialogue(&commands, Format::Compact, &[2, 0x69, 0x82]);
    assert_eq!(
        verdict.unwrap(),
        "PoR 00: command 2 of 2, UPDATE RECORD of EF.MSISDN, failed: 6982 security status not satisfied; CC verified; \
         answers sequence 1"
    );
}

#[test]
fn a_script_in_parts_is_joined() {
    let commands =
        [at(0x6F42, apdu::update_record(1, &[0xFF; 200]).unwrap()), at(0x6F07, apdu::read_binary(0, 9))];
    let commands = commands.concat();
    let answer = [&[0xAB, 0x10, 0x80, 1, 4, 0x23, 11][..], &imsi(), &[0x90, 0x00]].concat();
    let Explanation { tree, verdict, .. } = dialogue(&commands, Format::Expanded, &answer);
    assert_eq!(verdict.unwrap(), "PoR 00: all of 4 commands executed; CC verified; answers sequence 2");
    let joined = tree.find("joined message").unwrap();
    assert!(joined.value.as_ref().unwrap().ends_with(" octets of 2 parts, the first one in sequence 1"));
    assert_eq!(value(joined, "script"), Some("expanded, 4 commands"));
    assert_eq!(value(tree.find("R-APDU").unwrap(), "IMSI"), Some("001012001000001"));
}

#[test]
fn actions_count_among_what_was_executed() {
    let options = ScriptOptions { immediate_actions: vec![Action::refresh(4)], ..ScriptOptions::default() };
    let commands = at(0x6F07, apdu::update_binary(0, &imsi()).unwrap());
    let answer = [0xAB, 0x07, 0x80, 1, 3, 0x23, 2, 0x90, 0x00];
    let Explanation { tree, verdict, .. } = dialogue_with(&options, &commands, Format::Expanded, &answer);
    assert_eq!(verdict.unwrap(), "PoR 00: all of 2 commands executed; CC verified; answers sequence 1");
    assert_eq!(value(&tree, "immediate action"), Some("REFRESH, qualifier 04"));
}

#[test]
fn an_error_in_clear_is_a_hint() {
    let keys = key_set();
    let cntr = Cntr::try_from(5).unwrap();
    let header = CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, ASKED, &keys, TAR, cntr);
    let mut octets = BytesMut::new();
    pdus(&mut octets, Cpi::Command, &command::seal(&header, &keys, &apdu::select(0x6F07)).unwrap(), 1);
    let header = ResponseHeader { tar: TAR, cntr, rsc: Rsc::CNTR_LOW };
    pdus(&mut octets, Cpi::Response, &response::seal(&header, Spi2(0x21), &keys, &[]).unwrap(), 2);
    let Explanation { verdict, tree, .. } = Explainer::new(&mut card_keys()).explain(None, &octets).unwrap();
    assert_eq!(verdict.unwrap(), "PoR 02: CNTR low; nothing proves it; answers sequence 1");
    let note = tree.find("response packet").unwrap().note.as_deref().unwrap();
    assert_eq!(note, "answers the command in sequence 1, without the check that it asks for: a hint at most");
}

#[test]
fn what_may_be_a_key_is_in_no_tree() {
    let secret = [0xC7; 16];
    let keys = [&[0x00][..], &secret, &secret].concat();
    let script = [
        at(0x6F08, apdu::update_binary(0, &keys).unwrap()),
        at(0x6F99, apdu::update_binary(0, &secret).unwrap()),
        at(0x3F00, [&[0x80, 0xD8, 0x01, 0x81, 16][..], &secret].concat()),
    ]
    .concat();
    for answer in [&[&[1, 0x90, 0x00][..], &secret].concat(), &[&[6][..], &secret].concat()] {
        let explanation = dialogue(&script, Format::Compact, answer);
        for shown in [serde_json::to_string(&explanation).unwrap(), format!("{explanation:?}")] {
            assert!(!shown.contains("C7C7") && !shown.contains("199, 199"), "{shown}");
        }
        assert_eq!(value(&explanation.tree, "script"), Some("compact, 6 commands"));
    }
    // The same in clear.
    let clear = script::encode(Format::Compact, &ScriptOptions::default(), &script).unwrap();
    let explanation = Explainer::new(&mut card_keys()).explain(Some(Kind::Script), &clear).unwrap();
    assert!(!serde_json::to_string(&explanation).unwrap().contains("C7C7"));
}
