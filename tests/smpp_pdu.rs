//! The codec: octets of the specification's layout, roundtrips, any split of any stream, bodies that lie.

use airwrite::smpp::{
    Address, AlertNotification, Bind, BindMode, BindResp, Body, COctetString, CommandId, CommandStatus,
    DataCoding, DecodeError, EsmClass, Field, Pdu, RegisteredDelivery, ShortMessage, Sm, SmResp, Tlvs, frame,
    tag,
};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const MAX: usize = frame::DEFAULT_MAX_OCTETS;

fn encode(pdu: &Pdu) -> BytesMut {
    let mut octets = BytesMut::new();
    pdu.encode(&mut octets);
    octets
}

fn decode(octets: &[u8]) -> Pdu {
    let mut input = BytesMut::from(octets);
    let frame = frame::next(&mut input, MAX).unwrap().expect("a whole PDU");
    assert!(input.is_empty());
    Pdu::decode(frame)
}

fn ok(sequence: u32, body: Body) -> Pdu {
    Pdu { status: CommandStatus::ESME_ROK, sequence, body }
}

fn secured_packet() -> Sm {
    let packet = Bytes::from_static(&[0x02, 0x70, 0x00, 0x00, 0x01]);
    Sm {
        validity_period: "000002000000000R".parse().unwrap(),
        registered_delivery: RegisteredDelivery::FINAL,
        ..Sm::submit_ota(
            Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() },
            Address::international("491700").unwrap(),
            ShortMessage::try_from(packet).unwrap(),
        )
    }
}

#[test]
fn submit_sm_of_a_secured_packet_stands_as_the_specification_lays_it_out() {
    let mut expected = vec![0, 0, 0, 64, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9];
    expected.extend_from_slice(b"\0\x03\x001234\0\x01\x01491700\0\x40\x7F\0");
    expected.extend_from_slice(b"\x00000002000000000R\0\x01\0\xF6\0\x05\x02\x70\0\0\x01");
    let pdu = ok(9, Body::SubmitSm(secured_packet()));
    assert_eq!(encode(&pdu), expected);
    assert_eq!(decode(&expected), pdu);
}

#[test]
fn alert_notification_stands_as_the_specification_lays_it_out() {
    let mut expected = vec![0, 0, 0, 37, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9];
    expected.extend_from_slice(b"\x01\x01491700\0\x03\x001234\0\x04\x22\0\x01\x02");
    let alert = AlertNotification {
        source: Address::international("491700").unwrap(),
        esme: Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() },
        tlvs: Tlvs::default().with(tag::MS_AVAILABILITY_STATUS, &[2]).unwrap(),
    };
    let pdu = ok(9, Body::AlertNotification(alert));
    assert_eq!(encode(&pdu), expected);
    assert_eq!(decode(&expected), pdu);
    let (_, again) = through_rusmpp(&pdu);
    assert_eq!(again, expected);
    let cut = [&[0, 0, 0, 19][..], &expected[4..19]].concat();
    let missing = DecodeError::Unterminated { field: Field::SourceAddr };
    assert!(matches!(decode(&cut).body, Body::Malformed(_, error) if error == missing));
}

/// The other stack decodes and encodes again what we wrote.
fn through_rusmpp(pdu: &Pdu) -> (rusmpp::Command, BytesMut) {
    use tokio_util::codec::{Decoder, Encoder};
    let mut codec = rusmpp::tokio_codec::CommandCodec::new();
    let command = codec.decode(&mut encode(pdu)).unwrap().expect("a whole PDU");
    let mut again = BytesMut::new();
    codec.encode(&command, &mut again).unwrap();
    (command, again)
}

#[test]
fn another_stack_reads_what_we_write() {
    let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"0af1\0").unwrap();
    let tlvs = tlvs.with(tag::MESSAGE_STATE, &[2]).unwrap().with(0x1401, &[1, 2, 3]).unwrap();
    let receipt = Sm { esm_class: EsmClass::DELIVERY_RECEIPT, tlvs, ..secured_packet() };
    let password = airwrite::smpp::Password::new("secret").unwrap();
    let resp = SmResp { message_id: "0af1".parse().unwrap(), tlvs: Tlvs::default() };
    for body in [
        Body::SubmitSm(secured_packet()),
        Body::DeliverSm(receipt),
        Body::SubmitSmResp(resp),
        Body::DeliverSmResp(SmResp::default()),
        Body::Bind(Bind::new(BindMode::Transceiver, "airwrite".parse().unwrap(), password)),
        Body::Bind(Bind::new(BindMode::Transmitter, "airwrite".parse().unwrap(), password)),
        Body::Bind(Bind::new(BindMode::Receiver, "airwrite".parse().unwrap(), password)),
        Body::Unbind,
        Body::UnbindResp,
        Body::EnquireLink,
        Body::EnquireLinkResp,
        Body::GenericNack,
    ] {
        let pdu = ok(9, body);
        let (command, again) = through_rusmpp(&pdu);
        assert_eq!(u32::from(command.id()), pdu.body.command_id().0);
        assert_eq!(command.sequence_number(), 9);
        assert_eq!(again, encode(&pdu), "{pdu:?}");
    }
    let (command, _) = through_rusmpp(&ok(9, Body::SubmitSm(secured_packet())));
    let Some(rusmpp::Pdu::SubmitSm(seen)) = command.pdu() else { panic!("a submit_sm") };
    assert_eq!(seen.short_message().as_ref(), &secured_packet().short_message.as_bytes()[..]);
    assert_eq!((seen.protocol_id, u8::from(seen.data_coding)), (0x7F, 0xF6));
    assert_eq!(seen.destination_addr.to_string(), "491700");
}

#[test]
fn an_error_response_goes_and_comes_without_a_body() {
    let status = CommandStatus::ESME_RTHROTTLED;
    let octets = [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x58, 0, 0, 0, 3];
    let pdu = Pdu { status, sequence: 3, body: Body::SubmitSmResp(SmResp::default()) };
    assert_eq!(encode(&pdu), octets[..]);
    assert_eq!(decode(&octets), pdu);
    let bind = [0, 0, 0, 16, 0x80, 0, 0, 9, 0, 0, 0, 0x0E, 0, 0, 0, 1];
    let Body::BindResp(resp) = decode(&bind).body else { panic!("a bind response") };
    assert_eq!(resp.mode, BindMode::Transceiver);
    assert!(resp.system_id.is_empty());
}

#[test]
fn a_deliver_sm_resp_always_has_its_empty_message_id() {
    let pdu = Pdu {
        status: CommandStatus::ESME_RX_T_APPN,
        sequence: 3,
        body: Body::DeliverSmResp(SmResp::default()),
    };
    assert_eq!(encode(&pdu), [0, 0, 0, 17, 0x80, 0, 0, 5, 0, 0, 0, 0x64, 0, 0, 0, 3, 0][..]);
}

#[test]
fn a_body_that_lies_is_data_with_its_error() {
    let whole = encode(&ok(
        1,
        Body::DeliverSm(Sm {
            source: Address::international("491700000001").unwrap(),
            short_message: ShortMessage::try_from(Bytes::from_static(b"abc")).unwrap(),
            ..Sm::default()
        }),
    ));
    // Every truncation, its length field made to fit.
    for cut in 16..whole.len() {
        let mut octets = whole[..cut].to_vec();
        octets[..4].copy_from_slice(&u32::try_from(cut).unwrap().to_be_bytes());
        let pdu = decode(&octets);
        assert_eq!(pdu.body.command_id(), CommandId::DELIVER_SM);
        assert!(matches!(pdu.body, Body::Malformed(..)), "cut to {cut}: {pdu:?}");
        assert_eq!(encode(&pdu), octets[..]);
    }
    let mut octets = whole.to_vec();
    let sm_length = octets.len() - 4;
    octets[sm_length] = 200;
    let Body::Malformed(_, error) = decode(&octets).body else { panic!("sm_length past the end") };
    assert_eq!(error, DecodeError::ShortMessage { length: 200, left: 3 });
    assert_eq!(error.status(), CommandStatus::ESME_RINVMSGLEN);
}

#[test]
fn errors_name_the_field_and_what_was_expected() {
    let error = DecodeError::TooLong { field: Field::SourceAddr, max: 20, found: 22 };
    assert_eq!(error.to_string(), "source_addr: at most 20 octets expected, found 22");
    assert_eq!(error.status(), CommandStatus::ESME_RINVSRCADR);
}

#[test]
fn a_malformed_bind_does_not_show_its_password() {
    let mut bind = Bind::new(
        BindMode::Transceiver,
        "airwrite".parse().unwrap(),
        airwrite::smpp::Password::new("geheim42").unwrap(),
    );
    bind.address_range = "49".parse().unwrap();
    let mut octets = encode(&ok(1, Body::Bind(bind.clone())));
    octets.truncate(octets.len() - 1);
    let length = u32::try_from(octets.len()).unwrap();
    octets[..4].copy_from_slice(&length.to_be_bytes());
    let pdu = decode(&octets);
    assert!(matches!(pdu.body, Body::Malformed(..)));
    let shown = format!("{pdu:?} {bind:?}");
    assert!(!shown.contains("geheim42") && !shown.contains("103, 101, 104"), "{shown}");
}

fn text<const N: usize>() -> impl Strategy<Value = COctetString<N>> {
    prop::collection::vec(1..=255_u8, 0..=N).prop_map(|octets| COctetString::new(&octets).unwrap())
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    let known = prop::sample::select(vec![
        tag::RECEIPTED_MESSAGE_ID,
        tag::MESSAGE_PAYLOAD,
        tag::MESSAGE_STATE,
        tag::NETWORK_ERROR_CODE,
    ]);
    let tag = prop_oneof![known, any::<u16>()];
    let tlv = (tag, prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(tlv, 0..4).prop_map(|list| {
        list.iter().fold(Tlvs::default(), |tlvs, (tag, value)| tlvs.with(*tag, value).unwrap())
    })
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text()).prop_map(|(ton, npi, digits)| Address { ton, npi, digits })
}

fn sm() -> impl Strategy<Value = Sm> {
    let head = (text(), address(), address(), text(), text());
    let octets = any::<[u8; 7]>();
    let user_data = prop::collection::vec(any::<u8>(), 0..=255);
    (head, octets, user_data, tlvs()).prop_map(|(head, octets, user_data, tlvs)| {
        let (service_type, source, destination, schedule_delivery_time, validity_period) = head;
        let [esm_class, protocol_id, priority_flag, registered, replace, data_coding, default_msg] = octets;
        Sm {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            protocol_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered),
            replace_if_present_flag: replace,
            data_coding: DataCoding(data_coding),
            sm_default_msg_id: default_msg,
            short_message: ShortMessage::try_from(Bytes::from(user_data)).unwrap(),
            tlvs,
        }
    })
}

fn mode() -> impl Strategy<Value = BindMode> {
    prop::sample::select(vec![BindMode::Receiver, BindMode::Transmitter, BindMode::Transceiver])
}

fn body() -> impl Strategy<Value = Body> {
    let resp = || (text(), tlvs()).prop_map(|(message_id, tlvs)| SmResp { message_id, tlvs });
    let bind = (mode(), text(), text(), text(), any::<[u8; 3]>(), tlvs()).prop_map(
        |(mode, system_id, system_type, address_range, [interface_version, addr_ton, addr_npi], tlvs)| Bind {
            system_type,
            interface_version,
            addr_ton,
            addr_npi,
            address_range,
            tlvs,
            ..Bind::new(mode, system_id, airwrite::smpp::Password::new("pwd").unwrap())
        },
    );
    prop_oneof![
        bind.prop_map(Body::Bind),
        (mode(), text(), tlvs()).prop_map(|(mode, system_id, tlvs)| Body::BindResp(BindResp {
            mode,
            system_id,
            tlvs
        })),
        Just(Body::Unbind),
        Just(Body::UnbindResp),
        Just(Body::EnquireLink),
        Just(Body::EnquireLinkResp),
        sm().prop_map(Body::SubmitSm),
        resp().prop_map(Body::SubmitSmResp),
        sm().prop_map(Body::DeliverSm),
        resp().prop_map(Body::DeliverSmResp),
        Just(Body::GenericNack),
    ]
}

fn pdu() -> impl Strategy<Value = Pdu> {
    (any::<u32>(), any::<u32>(), body()).prop_map(|(status, sequence, body)| Pdu {
        status: CommandStatus(status),
        sequence,
        body,
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(pdu in pdu()) {
        prop_assert_eq!(decode(&encode(&pdu)), pdu);
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_pdus(
        pdus in prop::collection::vec(pdu(), 1..6),
        cuts in prop::collection::vec(1..200_usize, 1..20),
    ) {
        let mut stream = BytesMut::new();
        for pdu in &pdus {
            pdu.encode(&mut stream);
        }
        let (mut input, mut seen) = (BytesMut::new(), Vec::new());
        let mut rest: &[u8] = &stream;
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*cut));
            input.extend_from_slice(now);
            while let Some(frame) = frame::next(&mut input, MAX).unwrap() {
                seen.push(Pdu::decode(frame));
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(seen, pdus);
    }

    #[test]
    fn any_body_decodes_to_something_that_encodes_to_the_same_octets(
        command in prop::sample::select(vec![1_u32, 2, 4, 5, 9, 0x103, 0x8000_0004, 0x8000_0005, 0x8000_0009]),
        octets in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..120),
    ) {
        let mut whole = BytesMut::new();
        whole.extend_from_slice(&u32::try_from(octets.len() + 16).unwrap().to_be_bytes());
        whole.extend_from_slice(&command.to_be_bytes());
        whole.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        whole.extend_from_slice(&octets);
        let again = encode(&decode(&whole));
        // A response without body is written with its empty id.
        if octets.is_empty() && command > 0x8000_0000 {
            prop_assert_eq!(&again[16..], &[0][..]);
        } else {
            prop_assert_eq!(again, whole);
        }
    }
}
