//! Octets of the specification's layout, PDU by PDU, and bodies that lie.

use airwrite::smpp::*;
use bytes::Bytes;

use crate::{MAX, decode, encode, ok, whole};

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
        source: Address::international("491700").unwrap().into(),
        esme: short("1234").into(),
        tlvs: Tlvs::default().with(tag::MS_AVAILABILITY_STATUS, &[2]).unwrap(),
    };
    let pdu = ok(9, Body::AlertNotification(alert));
    assert_eq!(encode(&pdu), expected);
    assert_eq!(decode(&expected), pdu);
    let cut = [&[0, 0, 0, 19][..], &expected[4..19]].concat();
    let missing = DecodeError::Unterminated { field: Field::SourceAddr };
    assert!(matches!(decode(&cut).body, Body::Malformed(_, error) if error == missing));
}

/// A PDU whose body stands so in the specification: `octets` and `body` are the same, in both directions.
fn stands(command_id: u32, octets: &[u8], body: Body) {
    let octets = whole(command_id, octets);
    let pdu = ok(1, body);
    assert_eq!(encode(&pdu), octets[..], "{pdu:?}");
    assert_eq!(decode(&octets), pdu);
    assert_eq!(pdu.body.command_id(), CommandId(command_id));
}

fn short(digits: &str) -> Address {
    Address { ton: 3, npi: 0, digits: digits.parse().unwrap() }
}

#[test]
fn pdus_of_a_session_stand_as_the_specification_lays_them_out() {
    let password = Password::new("secret").unwrap();
    let bind = Bind {
        system_type: "OTA".parse().unwrap(),
        interface_version: Version::V5_0,
        addr_ton: 1,
        addr_npi: 2,
        address_range: "49".parse().unwrap(),
        ..Bind::new(BindMode::Transceiver, "airwrite".parse().unwrap(), password)
    };
    stands(0x0000_0009, b"airwrite\0secret\0OTA\0\x50\x01\x0249\0", Body::Bind(Box::new(bind)));
    let tlvs = Tlvs::default().with(tag::SC_INTERFACE_VERSION, &[0x50]).unwrap();
    let resp = BindResp { mode: BindMode::Receiver, system_id: "smsc".parse().unwrap(), tlvs };
    stands(0x8000_0001, b"smsc\0\x02\x10\0\x01\x50", Body::BindResp(resp));
    let outbind = Outbind { system_id: "smsc".parse().unwrap(), password, tlvs: Tlvs::default() };
    stands(0x0000_000B, b"smsc\0secret\0", Body::Outbind(outbind));
}

#[test]
fn submit_multi_stands_as_the_specification_lays_it_out() {
    let destinations = vec![
        Destination::Sme(Address::international("491700").unwrap()),
        Destination::DistributionList("meters".parse().unwrap()),
    ];
    let multi = SubmitMulti {
        service_type: "CMT".parse().unwrap(),
        source: short("1234"),
        destinations: Destinations::try_from(destinations).unwrap(),
        esm_class: EsmClass::UDHI,
        protocol_id: 0x7F,
        priority_flag: 1,
        validity_period: "000002000000000R".parse().unwrap(),
        registered_delivery: RegisteredDelivery::FINAL,
        replace_if_present_flag: 2,
        data_coding: DataCoding(0xF6),
        sm_default_msg_id: 3,
        short_message: ShortMessage::try_from(Bytes::from_static(b"hi")).unwrap(),
        ..SubmitMulti::default()
    };
    let octets = b"CMT\0\x03\x001234\0\x02\x01\x01\x01491700\0\x02meters\0\x40\x7F\x01\0\
        000002000000000R\0\x01\x02\xF6\x03\x02hi";
    stands(0x0000_0021, octets, Body::SubmitMulti(multi));
    let failed = UnsuccessSme {
        address: Address::international("491700").unwrap(),
        status: CommandStatus::ESME_RINVDSTADR,
    };
    let resp = SubmitMultiResp {
        message_id: "7".parse().unwrap(),
        unsuccess_smes: UnsuccessSmes::try_from(vec![failed]).unwrap(),
        tlvs: Tlvs::default(),
    };
    stands(0x8000_0021, b"7\0\x01\x01\x01491700\0\0\0\0\x0B", Body::SubmitMultiResp(resp));
}

#[test]
fn data_sm_stands_as_the_specification_lays_it_out() {
    let data = DataSm {
        source: short("1234").into(),
        destination: LongAddress {
            ton: 5,
            npi: 14,
            digits: "[2001:db8::1]:2775 of a meter".parse().unwrap(),
        },
        esm_class: EsmClass::UDHI,
        registered_delivery: RegisteredDelivery::FINAL,
        data_coding: DataCoding(0xF6),
        tlvs: Tlvs::default().with(tag::MESSAGE_PAYLOAD, b"hi").unwrap(),
        ..DataSm::default()
    };
    let octets = b"\0\x03\x001234\0\x05\x0E[2001:db8::1]:2775 of a meter\0\x40\x01\xF6\x04\x24\0\x02hi";
    stands(0x0000_0103, octets, Body::DataSm(data));
    let resp = SmResp { message_id: "7".parse().unwrap(), tlvs: Tlvs::default() };
    stands(0x8000_0103, b"7\0", Body::DataSmResp(resp));
}

#[test]
fn questions_about_messages_stand_as_the_specification_lays_them_out() {
    let message_id = MessageId::new(b"7").unwrap();
    let (source, destination) = (short("1234"), Address::international("491700").unwrap());
    let query = QuerySm { message_id: message_id.clone(), source, tlvs: Tlvs::default() };
    stands(0x0000_0003, b"7\0\x03\x001234\0", Body::QuerySm(query));
    let resp = QuerySmResp {
        message_id: message_id.clone(),
        final_date: "261123120000000+".parse().unwrap(),
        message_state: MessageState::DELIVERED,
        error_code: 9,
        tlvs: Tlvs::default(),
    };
    stands(0x8000_0003, b"7\x00261123120000000+\0\x02\x09", Body::QuerySmResp(resp));
    let service_type = "CMT".parse().unwrap();
    let cancel =
        CancelSm { service_type, message_id: message_id.clone(), source, destination, tlvs: Tlvs::default() };
    stands(0x0000_0008, b"CMT\x007\0\x03\x001234\0\x01\x01491700\0", Body::CancelSm(cancel));
    stands(0x8000_0008, b"", Body::CancelSmResp);
    let replace = ReplaceSm {
        message_id,
        source,
        validity_period: "000002000000000R".parse().unwrap(),
        registered_delivery: RegisteredDelivery::FINAL,
        sm_default_msg_id: 4,
        short_message: ShortMessage::try_from(Bytes::from_static(b"hi")).unwrap(),
        ..ReplaceSm::default()
    };
    let octets = b"7\0\x03\x001234\0\x00000002000000000R\0\x01\x04\x02hi";
    stands(0x0000_0007, octets, Body::ReplaceSm(replace));
    stands(0x8000_0007, b"", Body::ReplaceSmResp);
}

#[test]
fn broadcasts_stand_as_the_specification_lays_them_out() {
    let (message_id, source) = (MessageId::new(b"7").unwrap(), short("1234"));
    let broadcast = BroadcastSm {
        service_type: "CBS".parse().unwrap(),
        source,
        priority_flag: 1,
        validity_period: "000002000000000R".parse().unwrap(),
        replace_if_present_flag: 2,
        data_coding: DataCoding(0xF6),
        sm_default_msg_id: 3,
        tlvs: Tlvs::default().with(tag::BROADCAST_REP_NUM, &[0, 4]).unwrap(),
        ..BroadcastSm::default()
    };
    let octets = b"CBS\0\x03\x001234\0\0\x01\x00000002000000000R\0\x02\xF6\x03\x06\x04\0\x02\0\x04";
    stands(0x0000_0111, octets, Body::BroadcastSm(broadcast));
    let resp = SmResp { message_id: message_id.clone(), tlvs: Tlvs::default() };
    stands(0x8000_0111, b"7\0", Body::BroadcastSmResp(resp.clone()));
    let query = QuerySm { message_id: message_id.clone(), source, tlvs: Tlvs::default() };
    stands(0x0000_0112, b"7\0\x03\x001234\0", Body::QueryBroadcastSm(query));
    let areas = resp.tlvs.with(tag::BROADCAST_AREA_SUCCESS, &[99]).unwrap();
    let areas = SmResp { message_id: message_id.clone(), tlvs: areas };
    stands(0x8000_0112, b"7\0\x06\x08\0\x01\x63", Body::QueryBroadcastSmResp(areas));
    let service_type = "CBS".parse().unwrap();
    let cancel = CancelBroadcastSm { service_type, message_id, source, tlvs: Tlvs::default() };
    stands(0x0000_0113, b"CBS\x007\0\x03\x001234\0", Body::CancelBroadcastSm(cancel));
    stands(0x8000_0113, b"", Body::CancelBroadcastSmResp);
}

#[test]
fn error_responses_of_every_kind_go_and_come_without_a_body() {
    for command_id in [0x8000_0001, 2, 3, 4, 7, 8, 9, 0x21, 0x103, 0x111, 0x112, 0x113_u32] {
        let mut octets = whole(command_id | 0x8000_0000, b"");
        octets[11] = 0x45;
        let pdu = decode(&octets);
        assert!(!matches!(pdu.body, Body::Malformed(..) | Body::Unknown(_)), "{pdu:?}");
        assert_eq!(encode(&pdu), octets[..]);
    }
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
fn no_form_of_a_pdu_shows_its_password() {
    let password = Password::new("geheim42").unwrap();
    let mut bind = Bind::new(BindMode::Transceiver, "airwrite".parse().unwrap(), password);
    bind.address_range = "49".parse().unwrap();
    let outbind = Outbind { system_id: "smsc".parse().unwrap(), password, tlvs: Tlvs::default() };
    for (body, without_nul) in [(Body::Bind(Box::new(bind)), 1), (Body::Outbind(outbind), 1)] {
        let pdu = ok(1, body);
        let whole = encode(&pdu);
        let frame = frame::next(&mut whole.clone(), MAX).unwrap().unwrap();
        let mut cut = whole.clone();
        cut.truncate(whole.len() - without_nul);
        let length = u32::try_from(cut.len()).unwrap();
        cut[..4].copy_from_slice(&length.to_be_bytes());
        let malformed = decode(&cut);
        assert!(matches!(malformed.body, Body::Malformed(..)));
        let shown = format!("{pdu:?} {pdu:#?} {frame:?} {malformed:?}");
        assert!(!shown.contains("geheim42") && !shown.contains("103, 101, 104"), "{shown}");
        assert!(shown.contains("Password(..)"), "{shown}");
    }
}
