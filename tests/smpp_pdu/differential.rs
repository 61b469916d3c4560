//! Another stack, rusmpp, on the same octets: what both read they read alike, and where they differ is a rule here.

use airwrite::smpp::*;
use bytes::BytesMut;
use proptest::prelude::*;
use rusmpp::tokio_codec::CommandCodec;
use tokio_util::codec::{Decoder, Encoder};

use crate::generate;
use crate::{decode, encode, ok, whole};

/// rusmpp's reading of a PDU, and the octets it writes for it; `None` where it refuses the PDU, or leaves out its
/// body.
fn through_rusmpp(octets: &[u8]) -> Option<(rusmpp::Command, BytesMut)> {
    let mut codec = CommandCodec::new().without_max_length();
    let command = codec.decode(&mut BytesMut::from(octets)).ok().flatten()?;
    let mut again = BytesMut::new();
    codec.encode(&command, &mut again).unwrap();
    (again.len() == octets.len()).then_some((command, again))
}

proptest! {
    #[test]
    fn what_is_within_the_letter_of_the_specification_both_read_and_write_alike(
        body in generate::body(),
        sequence in any::<u32>(),
    ) {
        let pdu = ok(sequence, to_the_letter(body));
        let octets = encode(&pdu);
        let read = through_rusmpp(&octets);
        prop_assert!(read.is_some(), "{:?}", pdu);
        let (command, again) = read.unwrap();
        prop_assert_eq!(u32::from(command.id()), pdu.body.command_id().0);
        prop_assert_eq!(command.sequence_number(), sequence);
        prop_assert_eq!(&again, &octets);
        // The other way: we read what they wrote.
        prop_assert_eq!(decode(&again), pdu);
    }

    #[test]
    fn whatever_they_read_we_read(
        body in generate::body(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut octets = encode(&ok(1, to_the_letter(body)));
        for (at, octet) in changes {
            if octets.len() > 16 {
                let at = 16 + at.index(octets.len() - 16);
                octets[at] = octet;
            }
        }
        if let Some((_, again)) = through_rusmpp(&octets) && again == octets {
            let pdu = decode(&octets);
            // They pass over the length of a TLV whose value has a fixed one, even where it runs past the end.
            let past_end = matches!(pdu.body, Body::Malformed(_, DecodeError::Tlv { .. }));
            prop_assert!(past_end || !matches!(pdu.body, Body::Malformed(..)), "{:?}", pdu);
            prop_assert_eq!(encode(&pdu), octets);
        }
    }
}

#[test]
fn we_read_more_than_the_letter_allows() {
    let with = |tag, value: &[u8]| Sm { tlvs: Tlvs::default().with(tag, value).unwrap(), ..Sm::default() };
    let latin = Address { digits: COctetString::new(b"caf\xe9").unwrap(), ..Address::default() };
    let long_id = MessageId::new(&[b'7'; 66]).unwrap();
    for (rule, body) in [
        ("texts are octets, not ASCII", Body::SubmitSm(Sm { source: latin, ..Sm::default() })),
        (
            "a time of any length up to 16 octets",
            Body::SubmitSm(Sm { validity_period: "261123".parse().unwrap(), ..Sm::default() }),
        ),
        (
            "a message_id of up to 127 octets",
            Body::SubmitSmResp(SmResp { message_id: long_id, ..SmResp::default() }),
        ),
        (
            "a system_id of up to 32 octets, a password of up to 64",
            Body::Bind(Box::new(Bind::new(
                BindMode::Receiver,
                "a_system_id_of_more_than_15".parse().unwrap(),
                Password::new("more than eight octets").unwrap(),
            ))),
        ),
        ("a TLV of a wrong length", Body::DeliverSm(with(tag::MESSAGE_STATE, &[2, 2]))),
        ("a C-Octet String without NUL as value", Body::DeliverSm(with(tag::RECEIPTED_MESSAGE_ID, b"7"))),
        (
            "source_telematics_id of one octet, as the specification has it",
            Body::SubmitSm(with(tag::SOURCE_TELEMATICS_ID, &[0x7F])),
        ),
        (
            "an address of data_sm of up to 64 octets, as the specification has it",
            Body::DataSm(DataSm {
                source: Address { digits: COctetString::new(&[b'7'; 64]).unwrap(), ..LongAddress::default() },
                ..DataSm::default()
            }),
        ),
        (
            "TLVs in every PDU with a body",
            Body::QuerySm(QuerySm {
                tlvs: Tlvs::default().with(0x1400, b"vendor").unwrap(),
                ..QuerySm::default()
            }),
        ),
    ] {
        let pdu = ok(1, body);
        let octets = encode(&pdu);
        assert_eq!(decode(&octets), pdu, "{rule}");
        assert!(through_rusmpp(&octets).is_none(), "no difference any more: {rule}");
    }
    let stray = whole(0x04, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xAA\xBB");
    assert!(matches!(decode(&stray).body, Body::SubmitSm(_)), "octets behind the last TLV");
    assert!(through_rusmpp(&stray).is_none());
    let enquire_link = whole(0x15, b"\0\0\0\0");
    assert_eq!(decode(&enquire_link).body, Body::EnquireLink, "octets behind a bare header");
    assert!(through_rusmpp(&enquire_link).is_none());
}

/// The same PDU with every field cut to what the specification allows, and only the TLVs it lists.
fn to_the_letter(body: Body) -> Body {
    match body {
        Body::Bind(bind) => Body::Bind(Box::new(Bind {
            system_id: text(bind.system_id, 15),
            password: Password::new("secret").unwrap(),
            system_type: text(bind.system_type, 12),
            address_range: text(bind.address_range, 40),
            tlvs: Tlvs::default(),
            ..*bind
        })),
        Body::BindResp(resp) => Body::BindResp(BindResp {
            system_id: text(resp.system_id, 15),
            tlvs: one_of(&resp.tlvs, tag::SC_INTERFACE_VERSION),
            ..resp
        }),
        Body::Outbind(outbind) => Body::Outbind(Outbind {
            system_id: text(outbind.system_id, 15),
            password: Password::new("secret").unwrap(),
            tlvs: Tlvs::default(),
        }),
        Body::AlertNotification(alert) => Body::AlertNotification(AlertNotification {
            source: address(alert.source, 64),
            esme: address(alert.esme, 64),
            tlvs: one_of(&alert.tlvs, tag::MS_AVAILABILITY_STATUS),
        }),
        Body::SubmitSm(message) => Body::SubmitSm(sm(message)),
        Body::DeliverSm(message) => Body::DeliverSm(sm(message)),
        Body::SubmitMulti(multi) => Body::SubmitMulti(SubmitMulti {
            service_type: text(multi.service_type, 5),
            source: address(multi.source, 20),
            destinations: destinations(&multi.destinations),
            schedule_delivery_time: time(multi.schedule_delivery_time),
            validity_period: time(multi.validity_period),
            tlvs: tlvs(&multi.tlvs),
            ..multi
        }),
        Body::DataSm(data) => Body::DataSm(DataSm {
            service_type: text(data.service_type, 5),
            source: address(data.source, 20),
            destination: address(data.destination, 20),
            tlvs: tlvs(&data.tlvs),
            ..data
        }),
        Body::SubmitSmResp(message) => Body::SubmitSmResp(resp(message)),
        Body::DeliverSmResp(message) => Body::DeliverSmResp(resp(message)),
        Body::DataSmResp(message) => Body::DataSmResp(resp(message)),
        Body::BroadcastSmResp(message) => Body::BroadcastSmResp(resp(message)),
        Body::QueryBroadcastSmResp(message) => Body::QueryBroadcastSmResp(resp(message)),
        Body::SubmitMultiResp(multi) => Body::SubmitMultiResp(SubmitMultiResp {
            message_id: id(&multi.message_id),
            unsuccess_smes: unsuccess_smes(&multi.unsuccess_smes),
            tlvs: tlvs(&multi.tlvs),
        }),
        Body::QuerySm(query) => Body::QuerySm(QuerySm {
            message_id: id(&query.message_id),
            source: address(query.source, 20),
            tlvs: Tlvs::default(),
        }),
        Body::QuerySmResp(resp) => Body::QuerySmResp(QuerySmResp {
            message_id: id(&resp.message_id),
            final_date: time(resp.final_date),
            tlvs: Tlvs::default(),
            ..resp
        }),
        Body::CancelSm(cancel) => Body::CancelSm(CancelSm {
            service_type: text(cancel.service_type, 5),
            message_id: id(&cancel.message_id),
            source: address(cancel.source, 20),
            destination: address(cancel.destination, 20),
            tlvs: Tlvs::default(),
        }),
        Body::ReplaceSm(replace) => Body::ReplaceSm(ReplaceSm {
            message_id: id(&replace.message_id),
            source: address(replace.source, 20),
            schedule_delivery_time: time(replace.schedule_delivery_time),
            validity_period: time(replace.validity_period),
            tlvs: one_of(&replace.tlvs, tag::MESSAGE_PAYLOAD),
            ..replace
        }),
        Body::BroadcastSm(broadcast) => Body::BroadcastSm(BroadcastSm {
            service_type: text(broadcast.service_type, 5),
            source: address(broadcast.source, 20),
            message_id: id(&broadcast.message_id),
            schedule_delivery_time: time(broadcast.schedule_delivery_time),
            validity_period: time(broadcast.validity_period),
            tlvs: tlvs(&broadcast.tlvs),
            ..broadcast
        }),
        Body::QueryBroadcastSm(query) => Body::QueryBroadcastSm(QuerySm {
            message_id: id(&query.message_id),
            source: address(query.source, 20),
            tlvs: one_of(&query.tlvs, tag::USER_MESSAGE_REFERENCE),
        }),
        Body::CancelBroadcastSm(cancel) => Body::CancelBroadcastSm(CancelBroadcastSm {
            service_type: text(cancel.service_type, 5),
            message_id: id(&cancel.message_id),
            source: address(cancel.source, 20),
            tlvs: tlvs(&cancel.tlvs),
        }),
        bare => bare,
    }
}

fn sm(sm: Sm) -> Sm {
    Sm {
        service_type: text(sm.service_type, 5),
        source: address(sm.source, 20),
        destination: address(sm.destination, 20),
        schedule_delivery_time: time(sm.schedule_delivery_time),
        validity_period: time(sm.validity_period),
        tlvs: tlvs(&sm.tlvs),
        ..sm
    }
}

fn resp(resp: SmResp) -> SmResp {
    SmResp { message_id: id(&resp.message_id), tlvs: tlvs(&resp.tlvs) }
}

fn address<const N: usize>(address: Address<N>, max: usize) -> Address<N> {
    Address { digits: text(address.digits, max), ..address }
}

fn destinations(list: &Destinations) -> Destinations {
    let to_the_letter = |destination: &Destination| match destination {
        Destination::Sme(sme) => Destination::Sme(address(*sme, 20)),
        Destination::DistributionList(name) => Destination::DistributionList(text(*name, 20)),
    };
    Destinations::try_from(list.as_slice().iter().map(to_the_letter).collect::<Vec<_>>()).unwrap()
}

fn unsuccess_smes(list: &UnsuccessSmes) -> UnsuccessSmes {
    let to_the_letter = |sme: &UnsuccessSme| UnsuccessSme { address: address(sme.address, 20), ..*sme };
    UnsuccessSmes::try_from(list.as_slice().iter().map(to_the_letter).collect::<Vec<_>>()).unwrap()
}

/// ASCII, at most `max` octets.
fn text<const N: usize>(text: COctetString<N>, max: usize) -> COctetString<N> {
    let ascii: Vec<u8> = text.as_bytes().iter().take(max).map(|octet| (octet & 0x7F).max(1)).collect();
    COctetString::new(&ascii).unwrap()
}

/// As [`text`], with what the specification allows.
fn id(id: &MessageId) -> MessageId {
    let ascii: Vec<u8> = id.as_bytes().iter().take(64).map(|octet| (octet & 0x7F).max(1)).collect();
    MessageId::new(&ascii).unwrap()
}

/// Empty or of all 16 octets.
fn time(time: COctetString<16>) -> COctetString<16> {
    if time.as_bytes().len() < 16 { COctetString::EMPTY } else { text(time, 16) }
}

/// Where rusmpp asks for another number of octets than the specification (one of broadcast_rep_num, two of
/// source_telematics_id, one or four of ms_validity, at least seven of a network id) or loses reserved bits (the other
/// two).
const APART: [u16; 7] = [
    tag::BROADCAST_REP_NUM,
    tag::SOURCE_TELEMATICS_ID,
    tag::MS_VALIDITY,
    tag::SOURCE_NETWORK_ID,
    tag::DEST_NETWORK_ID,
    tag::MS_MSG_WAIT_FACILITIES,
    tag::CALLBACK_NUM_PRES_IND,
];

/// TLVs of the specifications, each of its shape.
fn tlvs(all: &Tlvs) -> Tlvs {
    let fitting = all.iter().filter(|tlv| {
        let fits = tag::shape(tlv.tag).is_some_and(|shape| shape.fits(tlv.value) && tlv.value.is_ascii());
        fits && !APART.contains(&tlv.tag)
    });
    fitting.fold(Tlvs::default(), |tlvs, tlv| tlvs.with(tlv.tag, tlv.value).unwrap())
}

/// Only the first TLV with this tag.
fn one_of(all: &Tlvs, tag: u16) -> Tlvs {
    tlvs(all).find(tag).map_or_else(Tlvs::default, |value| Tlvs::default().with(tag, value).unwrap())
}
