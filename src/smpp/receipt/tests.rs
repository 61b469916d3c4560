//! Receipts as SMSCs write them.

use bytes::Bytes;

use super::*;
use crate::smpp::{DataSm, EsmClass, ShortMessage, Tlvs, tag};

fn receipt(text: &[u8]) -> Sm {
    Sm {
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: ShortMessage::try_from(Bytes::copy_from_slice(text)).unwrap(),
        ..Sm::default()
    }
}

const DELIVERED: MessageState = MessageState::DELIVERED;
const UNDELIVERABLE: MessageState = MessageState::UNDELIVERABLE;
const UNKNOWN: MessageState = MessageState::UNKNOWN;
const ENROUTE: MessageState = MessageState::ENROUTE;

/// Text, message id, state, error.
type Row = (&'static str, &'static str, MessageState, Option<&'static str>);

/// What real SMSCs, aggregators and gateways write, one peculiarity a line.
const SPELLINGS: [Row; 44] = [
    // As appendix B has it.
    (
        "id:0123456789 sub:001 dlvrd:001 submit date:2611230930 done date:2611230931 stat:DELIVRD err:000 text:hi",
        "0123456789",
        DELIVERED,
        Some("000"),
    ),
    (
        "id:12 sub:001 dlvrd:000 submit date:2611230930 done date:2611230931 stat:UNDELIV err:0D4 Text:",
        "12",
        UNDELIVERABLE,
        Some("0D4"),
    ),
    // Ids.
    ("id:a1f-7 stat:UNDELIV err:1", "a1f-7", UNDELIVERABLE, Some("1")),
    ("id:4F2A9C stat:DELIVRD err:0", "4F2A9C", DELIVERED, Some("0")),
    ("id:00000000000000004711 stat:DELIVRD", "00000000000000004711", DELIVERED, None),
    (
        "id:7b1c0d3e-5f70-4a57-9d0a-2b6b9f0e1c55 stat:DELIVRD",
        "7b1c0d3e-5f70-4a57-9d0a-2b6b9f0e1c55",
        DELIVERED,
        None,
    ),
    ("id:smsc1@node.7/9 stat:DELIVRD", "smsc1@node.7/9", DELIVERED, None),
    ("id:1A:2B:3C stat:DELIVRD", "1A:2B:3C", DELIVERED, None),
    ("id:      42 sub:001 stat:DELIVRD", "42", DELIVERED, None),
    ("id: sub:001 dlvrd:001 stat:REJECTD err: text:", "", MessageState::REJECTED, None),
    ("id: submit date:2611230930 stat:DELIVRD", "", DELIVERED, None),
    ("id:0 sub:001 stat:DELIVRD", "0", DELIVERED, None),
    ("stat:EXPIRED", "", MessageState::EXPIRED, None),
    ("msgid:9 id:7 stat:DELIVRD", "7", DELIVERED, None),
    ("message_id:9 status:DELIVRD", "9", DELIVERED, None),
    // Names and what stands between them.
    ("ID: 42 SUB:001 STAT: delivered ERR: 1", "42", DELIVERED, Some("1")),
    (
        "Id:42 SubmitDate:261123093011 DoneDate:261123093012 Stat:delivrd Err:0D5",
        "42",
        DELIVERED,
        Some("0D5"),
    ),
    (
        "id:42 sub:1 dlvrd:1 submitdate:2611230930 donedate:2611230931 stat:DELIVRD err:0 text:",
        "42",
        DELIVERED,
        Some("0"),
    ),
    ("id : 42 stat : DELIVRD err : 000", "42", DELIVERED, Some("000")),
    ("id=42 stat=DELIVRD err=000", "42", DELIVERED, Some("000")),
    ("id:42,sub:001,dlvrd:001,stat:DELIVRD,err:000", "42", DELIVERED, Some("000")),
    ("id:42;stat:DELIVRD;err:000;", "42", DELIVERED, Some("000")),
    ("id:42\nstat:DELIVRD\r\nerr:000\r\n", "42", DELIVERED, Some("000")),
    ("  id:42   stat:DELIVRD   err:000  ", "42", DELIVERED, Some("000")),
    ("id:42\tstat:DELIVRD\terr:000", "42", DELIVERED, Some("000")),
    ("id:42 sub:001 dlvrd:001 stat:DELIVRD err:000\0", "42", DELIVERED, Some("000")),
    ("stat:DELIVRD err:000 id:42", "42", DELIVERED, Some("000")),
    ("id:42 stat:UNDELIV error:27", "42", UNDELIVERABLE, Some("27")),
    // States.
    ("id:42 stat:2 err:0", "42", DELIVERED, Some("0")),
    ("id:42 stat:005 err:0", "42", UNDELIVERABLE, Some("0")),
    ("id:42 stat:DELIVERED", "42", DELIVERED, None),
    ("id:42 stat:DELIVERY_FAILED", "42", UNDELIVERABLE, None),
    ("id:42 stat:FAILED err:34", "42", UNDELIVERABLE, Some("34")),
    ("id:42 stat:ENROUTE", "42", ENROUTE, None),
    ("id:42 stat:BUFFRED", "42", ENROUTE, None),
    ("id:42 stat:ACCEPTD", "42", MessageState::ACCEPTED, None),
    ("id:42 stat:DELETED", "42", MessageState::DELETED, None),
    ("id:42 stat:REJECTED err:8", "42", MessageState::REJECTED, Some("8")),
    ("id:42 stat:WHATEVER err:8", "42", UNKNOWN, Some("8")),
    ("id:42 sub:001 dlvrd:001", "42", UNKNOWN, None),
    // Errors.
    ("id:42 stat:UNDELIV err:ABSENT_S", "42", UNDELIVERABLE, Some("ABSENT_S")),
    ("id:42 stat:UNDELIV err:-1", "42", UNDELIVERABLE, Some("-1")),
    // The beginning of the message that it is about.
    ("id:7 stat:DELIVRD text:id:8 stat:EXPIRED err:9", "7", DELIVERED, None),
    ("id:7 stat:DELIVRD err:000 Text:Dear id: 8", "7", DELIVERED, Some("000")),
];

#[test]
fn reads_the_text_in_its_dialects() {
    for (text, id, state, error) in SPELLINGS {
        let receipt = parse(&receipt(text.as_bytes())).unwrap_or_else(|| panic!("{text}: a receipt"));
        let code = error.map(|code| ErrorCode::Text(code.parse().unwrap()));
        assert_eq!(
            (receipt.message_id.to_string(), receipt.state, receipt.error_code),
            (id.to_owned(), state, code),
            "{text}"
        );
        assert!(!receipt.intermediate);
    }
}

#[test]
fn reads_times_in_their_lengths() {
    let time = |text: &str| {
        let receipt = parse(&receipt(format!("id:1 submit date:{text} stat:DELIVRD").as_bytes())).unwrap();
        receipt.submitted.map(|time| time.to_string())
    };
    let at = |time: &str| Some(time.to_owned());
    for (text, expected) in [
        ("2611230930", at("2026-11-23 09:30:00")),
        ("261123093011", at("2026-11-23 09:30:11")),
        ("202611230930", at("2026-11-23 09:30:00")),
        ("20261123093011", at("2026-11-23 09:30:11")),
        ("2026-11-23 09:30:11", at("2026-11-23 09:30:11")),
        ("2026/11/23T09:30:11", at("2026-11-23 09:30:11")),
        ("261123093011032+", at("2026-11-23 09:30:11")),
        ("2613320930", None),
        ("261123", None),
        ("1764000000", None),
        ("now", None),
        ("", None),
    ] {
        assert_eq!(time(text), expected, "{text}");
    }
    let text = b"id:1 submit date:2611230930 done date:261123093112 stat:DELIVRD err:000 text:hi";
    assert_eq!(parse(&receipt(text)).unwrap().done.unwrap().to_string(), "2026-11-23 09:31:12");
}

#[test]
fn text_in_ucs2_is_read() {
    let text: Vec<u8> = b"id:42 stat:DELIVRD err:000".iter().flat_map(|octet| [0, *octet]).collect();
    let receipt = parse(&receipt(&text)).unwrap();
    assert_eq!((receipt.message_id.as_bytes(), receipt.state), (&b"42"[..], DELIVERED));
}

#[test]
fn tlvs_win_over_the_text() {
    let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"ABC\0").unwrap();
    let tlvs = tlvs.with(tag::MESSAGE_STATE, &[5]).unwrap();
    let tlvs = tlvs.with(tag::NETWORK_ERROR_CODE, &[3, 0, 0xD4]).unwrap();
    let sm = Sm { tlvs, ..receipt(b"id:1 stat:DELIVRD err:000") };
    let expected = Receipt {
        message_id: MessageId::new(b"ABC").unwrap(),
        state: UNDELIVERABLE,
        intermediate: false,
        error_code: Some(ErrorCode::Network(NetworkErrorCode { network: 3, code: 0xD4 })),
        submitted: None,
        done: None,
    };
    assert_eq!(parse(&sm), Some(expected.clone()));
    // The TLVs alone make a receipt, whatever esm_class says.
    assert_eq!(parse(&Sm { esm_class: EsmClass::DEFAULT, ..sm }), Some(expected));
}

#[test]
fn tlvs_that_say_nothing_fall_back_to_the_text() {
    let tlvs = Tlvs::default().with(tag::MESSAGE_STATE, &[5, 5]).unwrap();
    let tlvs = tlvs.with(tag::NETWORK_ERROR_CODE, &[3]).unwrap();
    let tlvs = tlvs.with(tag::RECEIPTED_MESSAGE_ID, b"  \0").unwrap();
    let receipt = parse(&Sm { tlvs, ..receipt(b"id:1 stat:DELIVRD err:012") }).unwrap();
    assert_eq!((receipt.message_id.as_bytes(), receipt.state), (&b"1"[..], DELIVERED));
    assert_eq!(receipt.error_code, Some(ErrorCode::Text("012".parse().unwrap())));
}

#[test]
fn an_intermediate_notification_is_marked() {
    let sm = Sm { esm_class: EsmClass(0x20), ..receipt(b"id:1 stat:UNDELIV err:027") };
    assert!(parse(&sm).unwrap().intermediate);
}

#[test]
fn a_receipt_may_be_in_message_payload_and_in_data_sm() {
    let tlvs = Tlvs::default().with(tag::MESSAGE_PAYLOAD, b"id:42 stat:EXPIRED").unwrap();
    let told = parse(&Sm { tlvs: tlvs.clone(), ..receipt(b"") }).unwrap();
    assert_eq!((told.message_id.as_bytes(), told.state), (&b"42"[..], MessageState::EXPIRED));
    let data_sm = DataSm { esm_class: EsmClass::DELIVERY_RECEIPT, tlvs, ..DataSm::default() };
    assert_eq!(parse(&Sm::try_from(data_sm).unwrap()), Some(told));
    let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"42\0").unwrap();
    let tlvs = tlvs.with(tag::MESSAGE_STATE, &[8]).unwrap();
    let told = parse(&Sm::try_from(DataSm { tlvs, ..DataSm::default() }).unwrap()).unwrap();
    assert_eq!((told.message_id.as_bytes(), told.state), (&b"42"[..], MessageState::REJECTED));
    assert_eq!(parse(&Sm::try_from(DataSm::default()).unwrap()), None);
}

#[test]
fn other_messages_are_no_receipts() {
    assert_eq!(parse(&Sm { esm_class: EsmClass::UDHI, ..receipt(b"id:1 stat:DELIVRD") }), None);
    assert_eq!(parse(&receipt(b"thank you for your message")), None);
    assert_eq!(parse(&receipt(b"")), None);
    // A message that a terminal acknowledges names the acknowledged one, and is no receipt.
    let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"7\0").unwrap();
    assert_eq!(parse(&Sm { esm_class: EsmClass(0x10), tlvs, ..receipt(b"read") }), None);
}
