//! Every message both ways, its octets, its size, and what a reader does with what it does not know.

use proptest::prelude::*;

use super::*;
use crate::identity::{Eid, EidChecksum, Iccid, IdentityError, Imei, Imei14, Imsi, Msisdn};

/// What one part of a secured command, and the data of a PoR in one part, hold with AES and a CC of 8 octets.
const COMMAND_PART_OCTETS: usize = 98;
const RESPONSE_PART_OCTETS: usize = 113;

fn imei() -> Imei {
    "357805023984942".parse().unwrap()
}

fn eid() -> Eid {
    "89044011112233441122334411223321".parse().unwrap()
}

fn binding_request() -> Message {
    Message::BindingRequest(BindingRequest {
        tid: 1,
        imei: imei(),
        eid: eid(),
        imsi: Some("001010123456789".parse().unwrap()),
        trigger: Trigger::ImeiChanged,
        app_version: 0x0102,
    })
}

fn binding_response() -> Message {
    Message::BindingResponse(BindingResponse { tid: 1, result: BindingResult::Held })
}

/// The usual order: all that fits one part.
fn order() -> WriteCard {
    WriteCard {
        tid: 7,
        imei: imei(),
        eid: eid(),
        iccid: Some("89049032000000000011".parse().unwrap()),
        imsi: "460041234567890".parse().unwrap(),
        msisdn: "861064812345678".parse().unwrap(),
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: Some(BindingAck { tid: 1, result: BindingResult::Saved }),
        key_block: None,
    }
}

fn write_card() -> Message {
    Message::WriteCard(order())
}

fn write_result() -> Message {
    Message::WriteResult(WriteResult {
        tid: 7,
        eid: eid(),
        imsi: Some("460041234567890".parse().unwrap()),
        imei: imei(),
        status: WriteStatus::Confirmed,
        detail: 0xC8,
        mt_counter: 0xFF_FFFF_FFFF,
    })
}

fn result_ack() -> Message {
    Message::ResultAck(ResultAck { tid: 7, status: WriteStatus::RolledBack })
}

fn poll() -> Message {
    Message::Poll(Poll { tid: u32::MAX, what: PollWhat::State })
}

fn poll_answer() -> Message {
    Message::PollAnswer(PollAnswer {
        tid: u32::MAX,
        eid: eid(),
        imei: imei(),
        imsi: Some("460041234567890".parse().unwrap()),
        binding_flag: true,
        last_tid: 7,
        last_state: LastState::Confirmed,
        mo_counter: 3,
    })
}

/// The octets another encoder makes of the same values from `airwrite.asn1`.
fn golden() -> [(Message, &'static str); 7] {
    [
        (
            binding_request(),
            concat!(
                "613780010181040000000182083a7508053289942483108904401111223344112233441122332184",
                "0908091010103254769888010189020102"
            ),
        ),
        (binding_response(), "620c8001018104000000018a0101"),
        (
            write_card(),
            concat!(
                "635880010181040000000782083a7508053289942483108904401111223344112233441122332185",
                "0a98400923000000000011840908490640214365870986099168014618325476f88b01048c01ffad",
                "098104000000018a0100"
            ),
        ),
        (
            write_result(),
            concat!(
                "643e8001018104000000078310890440111122334411223344112233218409084906402143658709",
                "82083a750805328994248f0101900200c89105ffffffffff"
            ),
        ),
        (result_ack(), "650c8001018104000000078f0102"),
        (poll(), "660c8001018104ffffffff920100"),
        (
            poll_answer(),
            concat!(
                "67438001018104ffffffff83108904401111223344112233441122332182083a7508053289942484",
                "090849064021436587099301ff94040000000795010296050000000003"
            ),
        ),
    ]
}

#[test]
fn every_message_has_the_octets_of_the_published_text() {
    for (message, octets) in golden() {
        assert_eq!(hex::encode(message.to_der().unwrap()), octets, "{message:?}");
        assert_eq!(Message::from_der(&hex::decode(octets).unwrap()), Ok(message));
    }
}

#[test]
fn the_usual_messages_fit_one_part() {
    let octets = |message: Message| message.to_der().unwrap().len();
    assert_eq!(octets(binding_request()), 57);
    assert_eq!(octets(binding_response()), 14);
    assert_eq!(octets(write_card()), 90);
    assert_eq!(octets(write_result()), 64);
    assert_eq!(octets(result_ack()), 14);
    assert_eq!(octets(poll()), 14);
    assert_eq!(octets(poll_answer()), 69);
}

#[test]
fn the_longest_forms_of_a_message_stay_in_their_part() {
    let Message::BindingRequest(mut request) = binding_request() else { unreachable!() };
    request.app_version = u16::MAX;
    assert!(Message::BindingRequest(request).to_der().unwrap().len() <= COMMAND_PART_OCTETS);
    assert!(write_card().to_der().unwrap().len() <= COMMAND_PART_OCTETS);
    assert!(write_result().to_der().unwrap().len() <= RESPONSE_PART_OCTETS);
    assert!(poll_answer().to_der().unwrap().len() <= RESPONSE_PART_OCTETS);
    let with_smsc = WriteCard { smsc: Some("861064812345678".parse().unwrap()), ..order() };
    let octets = Message::WriteCard(with_smsc).to_der().unwrap().len();
    assert!((COMMAND_PART_OCTETS + 1..=242).contains(&octets), "two parts: {octets}");
}

#[test]
fn a_write_may_carry_everything_or_little() {
    let full = WriteCard {
        smsc: Some("447797704848".parse().unwrap()),
        refresh: Refresh::NaaApplicationReset,
        key_block: Some(KeyBlock::new(vec![0x5A; KEY_BLOCK_OCTETS_MAX]).unwrap()),
        ..order()
    };
    let little = WriteCard { iccid: None, rollback: false, binding_ack: None, ..order() };
    for write in [full, little] {
        let message = Message::WriteCard(write);
        let octets = message.to_der().unwrap();
        assert!(octets.len() <= MESSAGE_OCTETS_MAX);
        assert_eq!(Message::from_der(&octets), Ok(message));
    }
}

#[test]
fn a_message_with_keys_does_not_show_them() {
    let write = WriteCard { key_block: Some(KeyBlock::new(vec![0x5A; 48]).unwrap()), ..order() };
    let shown = format!("{:?}", Message::WriteCard(write));
    assert!(shown.contains("KeyBlock(48 octets)"), "{shown}");
    assert!(!shown.contains("90, 90") && !shown.to_lowercase().contains("5a5a"), "{shown}");
}

#[test]
fn a_card_without_subscription_can_answer() {
    let Message::WriteResult(mut result) = write_result() else { unreachable!() };
    result.imsi = None;
    let Message::PollAnswer(mut answer) = poll_answer() else { unreachable!() };
    answer.imsi = None;
    let Message::BindingRequest(mut request) = binding_request() else { unreachable!() };
    request.imsi = None;
    for message in
        [Message::WriteResult(result), Message::PollAnswer(answer), Message::BindingRequest(request)]
    {
        assert_eq!(Message::from_der(&message.to_der().unwrap()), Ok(message));
    }
}

#[test]
fn a_counter_has_five_octets() {
    let Message::WriteResult(mut result) = write_result() else { unreachable!() };
    result.mt_counter = 1 << 40;
    assert_eq!(Message::WriteResult(result).to_der(), Err(AppletError::Counter { field: "mtCounter" }));
    let Message::PollAnswer(mut answer) = poll_answer() else { unreachable!() };
    answer.mo_counter = u64::MAX;
    assert_eq!(Message::PollAnswer(answer).to_der(), Err(AppletError::Counter { field: "moCounter" }));
}

#[test]
fn another_version_is_named_whatever_else_it_has() {
    let mut octets = poll().to_der().unwrap();
    octets[4] = 2;
    assert_eq!(Message::from_der(&octets), Err(AppletError::OtherVersion { found: 2 }));
    octets[4] = 0;
    assert_eq!(Message::from_der(&octets), Err(AppletError::OtherVersion { found: 0 }));
    // A later version: another kind, other fields, a version of two octets.
    let later = [0x69, 0x08, 0x80, 0x02, 0x01, 0x00, 0x9F, 0x50, 0x01, 0x00];
    assert_eq!(Message::from_der(&later), Err(AppletError::OtherVersion { found: 256 }));
}

#[test]
fn other_kinds_are_named() {
    let mut octets = poll().to_der().unwrap();
    for (tag, found) in [(0x60, 0), (0x68, 8), (0x7E, 30)] {
        octets[0] = tag;
        assert_eq!(Message::from_der(&octets), Err(AppletError::UnknownKind { found }));
    }
    for tag in [0x00, 0x30, 0x46, 0x7F, 0xA6, 0xE6] {
        octets[0] = tag;
        assert_eq!(Message::from_der(&octets), Err(AppletError::NoMessage), "{tag:#04x}");
    }
}

#[test]
fn what_does_not_start_like_a_message_is_none() {
    let all_ff = [0xFF; 20];
    for octets in
        [&[][..], &[0x61], &[0x61, 0x80], &[0x61, 0x03, 0x81, 0x01, 0x01], &[0x61, 0x02, 0x80, 0x00], &all_ff]
    {
        assert_eq!(Message::from_der(octets), Err(AppletError::NoMessage), "{octets:02X?}");
    }
}

#[test]
fn a_message_has_a_greatest_size() {
    let mut octets = poll().to_der().unwrap();
    octets.resize(MESSAGE_OCTETS_MAX + 1, 0);
    assert_eq!(Message::from_der(&octets), Err(AppletError::TooLong { found: MESSAGE_OCTETS_MAX + 1 }));
}

/// A poll's octets with `tail` behind its last field.
fn poll_with(tail: &[u8]) -> Vec<u8> {
    let mut octets = poll().to_der().unwrap();
    octets.extend_from_slice(tail);
    octets[1] += u8::try_from(tail.len()).unwrap();
    octets
}

#[test]
fn elements_of_ext_are_skipped() {
    // A private tag of two octets, a SEQUENCE, an empty element.
    let elements = [0xBE, 0x0B, 0x9F, 0x50, 0x01, 0xAA, 0x30, 0x03, 0x02, 0x01, 0x05, 0x80, 0x00];
    assert_eq!(Message::from_der(&poll_with(&elements)), Ok(poll()));
    assert_eq!(Message::from_der(&poll_with(&[0xBE, 0x00])), Ok(poll()), "an empty ext");
}

#[test]
fn an_unknown_field_outside_ext_is_an_error() {
    let malformed = |octets: &[u8]| {
        let result = Message::from_der(octets);
        assert!(matches!(result, Err(AppletError::Malformed { .. })), "{octets:02X?}: {result:?}");
    };
    malformed(&poll_with(&[0x97, 0x01, 0x00]));
    malformed(&poll_with(&[0x04, 0x01, 0x00]));
    malformed(&poll_with(&[0xBE, 0x00, 0x97, 0x01, 0x00]));
    malformed(&poll_with(&[0x97, 0x01, 0x00, 0xBE, 0x00]));
    malformed(&poll_with(&[0xBE, 0x00, 0xBE, 0x00]));
    malformed(&poll_with(&[0xBE, 0x02, 0x80, 0x05]));
    // Within the acknowledgement that a write carries.
    let octets = write_card().to_der().unwrap();
    let end = octets.len();
    assert_eq!(octets[end - 11..end - 9], [0xAD, 0x09]);
    let mut longer = [&octets, [0x97, 0x01, 0x00].as_slice()].concat();
    longer[end - 10] += 3;
    longer[1] += 3;
    malformed(&longer);
}

#[test]
fn only_der_is_read() {
    let malformed = |octets: &[u8]| {
        let result = Message::from_der(octets);
        assert!(matches!(result, Err(AppletError::Malformed { .. })), "{octets:02X?}: {result:?}");
    };
    let octets = poll().to_der().unwrap();
    malformed(&[&octets, [0x00].as_slice()].concat());
    let last = octets.len() - 1;
    malformed(&octets[..last]);
    let mut unknown_value = octets.clone();
    unknown_value[last] = 1;
    malformed(&unknown_value);
    let mut long_length = octets.clone();
    long_length.insert(1, 0x81);
    malformed(&long_length);
    let mut indefinite = octets.clone();
    indefinite[1] = 0x80;
    indefinite.extend([0, 0]);
    assert_eq!(Message::from_der(&indefinite), Err(AppletError::NoMessage));
}

#[test]
fn sizes_are_held() {
    let octets = poll().to_der().unwrap();
    // A transaction id of three octets.
    let short = [&[0x66, 0x0B], &octets[2..5], &[0x81, 0x03, 0, 0, 0], &octets[11..]].concat();
    assert!(matches!(Message::from_der(&short), Err(AppletError::Malformed { .. })));
    let write = write_card().to_der().unwrap();
    let at = write.windows(2).position(|window| window == [0x86, 0x09]).unwrap();
    // A number of TON/NPI and one octet.
    let mut short = [&write[..at], &[0x86, 0x02, 0x91, 0x21], &write[at + 11..]].concat();
    short[1] -= 7;
    assert!(matches!(Message::from_der(&short), Err(AppletError::Malformed { .. })));
}

#[test]
fn a_field_that_is_no_identifier_is_named() {
    let broken = |message: Message, head: [u8; 2], at: usize, octet: u8| {
        let mut octets = message.to_der().unwrap();
        let start = octets.windows(2).position(|window| window == head).unwrap();
        octets[start + 2 + at] = octet;
        match Message::from_der(&octets) {
            Err(AppletError::Identity { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(broken(binding_request(), [0x82, 8], 0, 0x39), "imei");
    assert_eq!(broken(binding_request(), [0x83, 16], 5, 0xAA), "eid");
    assert_eq!(broken(binding_request(), [0x84, 9], 0, 0x07), "imsi");
    assert_eq!(broken(write_card(), [0x85, 10], 0, 0xAA), "iccid");
    assert_eq!(broken(write_card(), [0x86, 9], 3, 0xAA), "msisdn");
    let with_smsc = WriteCard { smsc: Some("447797704848".parse().unwrap()), ..order() };
    assert_eq!(broken(Message::WriteCard(with_smsc), [0x87, 7], 3, 0xAA), "smsc");
    let error = AppletError::Identity {
        field: "eid",
        error: IdentityError::Symbol { field: "EID", expected: "a digit", position: 11 },
    };
    assert_eq!(error.to_string(), "applet message, field eid: EID: expected a digit at position 11");
}

fn imeis() -> impl Strategy<Value = Imei> {
    "[0-9]{14}".prop_map(|text| text.parse::<Imei14>().unwrap().into())
}

fn eids() -> impl Strategy<Value = Eid> {
    "[0-9]{32}".prop_map(|text| Eid::parse(&text, EidChecksum::Off).unwrap().0)
}

fn imsis() -> impl Strategy<Value = Imsi> {
    "[2-7][0-9]{13,14}".prop_map(|text| text.parse().unwrap())
}

fn numbers() -> impl Strategy<Value = Msisdn> {
    "[0-9]{3,15}".prop_map(|text| text.parse().unwrap())
}

fn iccids() -> impl Strategy<Value = Iccid> {
    "[0-9]{18}".prop_map(|text| text.parse().unwrap())
}

fn binding_results() -> impl Strategy<Value = BindingResult> {
    prop::sample::select(vec![BindingResult::Saved, BindingResult::Held, BindingResult::Rejected])
}

fn statuses() -> impl Strategy<Value = WriteStatus> {
    use WriteStatus::{Accepted, Confirmed, Refused, RolledBack};
    prop::sample::select(vec![Accepted, Confirmed, RolledBack, Refused])
}

fn writes() -> impl Strategy<Value = Message> {
    let identities =
        (imeis(), eids(), prop::option::of(iccids()), imsis(), numbers(), prop::option::of(numbers()));
    let ack = binding_results()
        .prop_flat_map(|result| any::<u32>().prop_map(move |tid| BindingAck { tid, result }));
    let keys = prop::collection::vec(any::<u8>(), 1..=KEY_BLOCK_OCTETS_MAX)
        .prop_map(|octets| KeyBlock::new(octets).unwrap());
    let refresh = prop::sample::select(vec![Refresh::UiccReset, Refresh::NaaApplicationReset]);
    let rest = (any::<u32>(), refresh, any::<bool>(), prop::option::of(ack), prop::option::of(keys));
    (identities, rest).prop_map(
        |((imei, eid, iccid, imsi, msisdn, smsc), (tid, refresh, rollback, binding_ack, key_block))| {
            Message::WriteCard(WriteCard {
                tid,
                imei,
                eid,
                iccid,
                imsi,
                msisdn,
                smsc,
                refresh,
                rollback,
                binding_ack,
                key_block,
            })
        },
    )
}

fn requests() -> impl Strategy<Value = Message> {
    use Trigger::{Boot, ImeiChanged, Polled, Retry};
    let triggers = prop::sample::select(vec![Boot, ImeiChanged, Retry, Polled]);
    (any::<u32>(), imeis(), eids(), prop::option::of(imsis()), triggers, any::<u16>()).prop_map(
        |(tid, imei, eid, imsi, trigger, app_version)| {
            Message::BindingRequest(BindingRequest { tid, imei, eid, imsi, trigger, app_version })
        },
    )
}

fn results() -> impl Strategy<Value = Message> {
    (any::<u32>(), eids(), prop::option::of(imsis()), imeis(), statuses(), any::<u8>(), 0..1_u64 << 40)
        .prop_map(|(tid, eid, imsi, imei, status, detail, mt_counter)| {
            Message::WriteResult(WriteResult { tid, eid, imsi, imei, status, detail, mt_counter })
        })
}

fn answers() -> impl Strategy<Value = Message> {
    use LastState::{Accepted, Confirmed, None, Refused, RolledBack};
    let states = prop::sample::select(vec![None, Accepted, Confirmed, RolledBack, Refused]);
    let last = (any::<bool>(), any::<u32>(), states, 0..1_u64 << 40);
    (any::<u32>(), eids(), imeis(), prop::option::of(imsis()), last).prop_map(
        |(tid, eid, imei, imsi, (binding_flag, last_tid, last_state, mo_counter))| {
            Message::PollAnswer(PollAnswer {
                tid,
                eid,
                imei,
                imsi,
                binding_flag,
                last_tid,
                last_state,
                mo_counter,
            })
        },
    )
}

fn short_messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u32>(), binding_results())
            .prop_map(|(tid, result)| Message::BindingResponse(BindingResponse { tid, result })),
        (any::<u32>(), statuses()).prop_map(|(tid, status)| Message::ResultAck(ResultAck { tid, status })),
        any::<u32>().prop_map(|tid| Message::Poll(Poll { tid, what: PollWhat::State })),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![writes(), requests(), results(), answers(), short_messages()]
}

proptest! {
    #[test]
    fn every_message_reads_back(message in messages()) {
        let octets = message.to_der().unwrap();
        prop_assert!(octets.len() <= MESSAGE_OCTETS_MAX);
        prop_assert_eq!(Message::from_der(&octets), Ok(message));
    }

    #[test]
    fn no_part_of_a_message_is_a_message(message in messages(), cut: prop::sample::Index) {
        let octets = message.to_der().unwrap();
        prop_assert!(Message::from_der(&octets[..cut.index(octets.len())]).is_err());
    }

    #[test]
    fn a_changed_octet_is_read_or_refused(message in messages(), at: prop::sample::Index, octet: u8) {
        let mut octets = message.to_der().unwrap();
        let at = at.index(octets.len());
        octets[at] = octet;
        if let Ok(read) = Message::from_der(&octets) {
            prop_assert_eq!(Message::from_der(&read.to_der().unwrap()), Ok(read));
        }
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::from_der(&octets);
    }

    #[test]
    fn any_octets_behind_a_head_are_read_or_refused(kind in 1_u8..=7, body in prop::collection::vec(any::<u8>(), 0..120)) {
        let head = [0x60 | kind, u8::try_from(body.len() + 3).unwrap(), 0x80, 0x01, 0x01];
        let _ = Message::from_der(&[&head, body.as_slice()].concat());
    }
}
