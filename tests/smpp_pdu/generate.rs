//! Any PDU, with any TLVs.

use airwrite::smpp::*;
use bytes::Bytes;
use proptest::prelude::*;

/// Any PDU of any status: a request has one as well on the wire.
pub(crate) fn pdu() -> impl Strategy<Value = Pdu> {
    (any::<u32>(), any::<u32>(), body()).prop_map(|(status, sequence, body)| Pdu {
        status: CommandStatus(status),
        sequence,
        body,
    })
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    let session = prop_oneof![
        bind().prop_map(Box::new).prop_map(Body::Bind),
        (mode(), text(), tlvs())
            .prop_map(|(mode, system_id, tlvs)| { Body::BindResp(BindResp { mode, system_id, tlvs }) }),
        (text(), password(), tlvs())
            .prop_map(|(system_id, password, tlvs)| { Body::Outbind(Outbind { system_id, password, tlvs }) }),
        (long_address(), long_address(), tlvs()).prop_map(|(source, esme, tlvs)| {
            Body::AlertNotification(AlertNotification { source, esme, tlvs })
        }),
        prop::sample::select(vec![
            Body::Unbind,
            Body::UnbindResp,
            Body::EnquireLink,
            Body::EnquireLinkResp,
            Body::CancelSmResp,
            Body::ReplaceSmResp,
            Body::CancelBroadcastSmResp,
            Body::GenericNack,
        ]),
    ];
    let messages = prop_oneof![
        sm().prop_map(Body::SubmitSm),
        sm().prop_map(Body::DeliverSm),
        submit_multi().prop_map(Body::SubmitMulti),
        data_sm().prop_map(Body::DataSm),
        broadcast_sm().prop_map(Body::BroadcastSm),
        sm_resp().prop_map(Body::SubmitSmResp),
        sm_resp().prop_map(Body::DeliverSmResp),
        sm_resp().prop_map(Body::DataSmResp),
        sm_resp().prop_map(Body::BroadcastSmResp),
        sm_resp().prop_map(Body::QueryBroadcastSmResp),
        submit_multi_resp().prop_map(Body::SubmitMultiResp),
    ];
    let about_messages = prop_oneof![
        (message_id(), address(), tlvs())
            .prop_map(|(message_id, source, tlvs)| { Body::QuerySm(QuerySm { message_id, source, tlvs }) }),
        (message_id(), text(), any::<[u8; 2]>(), tlvs()).prop_map(
            |(message_id, final_date, [state, error_code], tlvs)| {
                let message_state = MessageState(state);
                Body::QuerySmResp(QuerySmResp { message_id, final_date, message_state, error_code, tlvs })
            }
        ),
        (text(), message_id(), address(), address(), tlvs()).prop_map(
            |(service_type, message_id, source, destination, tlvs)| {
                Body::CancelSm(CancelSm { service_type, message_id, source, destination, tlvs })
            }
        ),
        replace_sm().prop_map(Body::ReplaceSm),
        (message_id(), address(), tlvs()).prop_map(|(message_id, source, tlvs)| {
            Body::QueryBroadcastSm(QuerySm { message_id, source, tlvs })
        }),
        (text(), message_id(), address(), tlvs()).prop_map(|(service_type, message_id, source, tlvs)| {
            Body::CancelBroadcastSm(CancelBroadcastSm { service_type, message_id, source, tlvs })
        }),
    ];
    prop_oneof![session, messages, about_messages]
}

/// Every tag of the specifications with a value of its shape, known tags with any value, vendors' tags, repeats.
pub(crate) fn tlvs() -> impl Strategy<Value = Tlvs> {
    let any_value = (any_tag(), prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(prop_oneof![3 => tlv(), 1 => any_value], 0..5).prop_map(|list| {
        list.iter().fold(Tlvs::default(), |tlvs, (tag, value)| tlvs.with(*tag, value).unwrap())
    })
}

/// A TLV of the specifications whose value has the shape it must have.
pub(crate) fn tlv() -> impl Strategy<Value = (u16, Vec<u8>)> {
    prop::sample::select(tag::ALL).prop_flat_map(|tag| {
        let value = match tag::shape(tag).unwrap() {
            tag::Shape::Integer(octets) => octets_of(octets, octets),
            tag::Shape::Octets { min, max } => octets_of(min, max.min(300)),
            tag::Shape::COctetString { max } => {
                prop::collection::vec(1..=255_u8, 0..max).prop_map(|text| [&text[..], &[0]].concat()).boxed()
            }
        };
        (Just(tag), value)
    })
}

fn any_tag() -> impl Strategy<Value = u16> {
    prop_oneof![prop::sample::select(tag::ALL), any::<u16>()]
}

fn octets_of(min: usize, max: usize) -> BoxedStrategy<Vec<u8>> {
    prop::collection::vec(any::<u8>(), min..=max).boxed()
}

fn text<const N: usize>() -> impl Strategy<Value = COctetString<N>> {
    prop::collection::vec(1..=255_u8, 0..=N).prop_map(|octets| COctetString::new(&octets).unwrap())
}

fn message_id() -> impl Strategy<Value = MessageId> {
    text::<127>().prop_map(|text| MessageId::new(text.as_bytes()).unwrap())
}

fn password() -> impl Strategy<Value = Password> {
    "[ -~]{0,64}".prop_map(|text| Password::new(&text).unwrap())
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text()).prop_map(|(ton, npi, digits)| Address { ton, npi, digits })
}

fn long_address() -> impl Strategy<Value = LongAddress> {
    (any::<u8>(), any::<u8>(), text()).prop_map(|(ton, npi, digits)| LongAddress { ton, npi, digits })
}

fn short_message() -> impl Strategy<Value = ShortMessage> {
    prop::collection::vec(any::<u8>(), 0..=255)
        .prop_map(|octets| ShortMessage::try_from(Bytes::from(octets)).unwrap())
}

fn mode() -> impl Strategy<Value = BindMode> {
    prop::sample::select(vec![BindMode::Receiver, BindMode::Transmitter, BindMode::Transceiver])
}

fn bind() -> impl Strategy<Value = Bind> {
    (mode(), text(), password(), text(), any::<[u8; 3]>(), text(), tlvs()).prop_map(
        |(mode, system_id, password, system_type, [version, addr_ton, addr_npi], address_range, tlvs)| Bind {
            mode,
            system_id,
            password,
            system_type,
            interface_version: Version(version),
            addr_ton,
            addr_npi,
            address_range,
            tlvs,
        },
    )
}

pub(crate) fn sm() -> impl Strategy<Value = Sm> {
    let head = (text(), address(), address(), text(), text());
    (head, any::<[u8; 7]>(), short_message(), tlvs()).prop_map(|(head, octets, short_message, tlvs)| {
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
            short_message,
            tlvs,
        }
    })
}

fn sm_resp() -> impl Strategy<Value = SmResp> {
    (message_id(), tlvs()).prop_map(|(message_id, tlvs)| SmResp { message_id, tlvs })
}

fn data_sm() -> impl Strategy<Value = DataSm> {
    (text(), long_address(), long_address(), any::<[u8; 3]>(), tlvs()).prop_map(
        |(service_type, source, destination, [esm_class, registered, data_coding], tlvs)| DataSm {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            registered_delivery: RegisteredDelivery(registered),
            data_coding: DataCoding(data_coding),
            tlvs,
        },
    )
}

fn submit_multi() -> impl Strategy<Value = SubmitMulti> {
    let destination =
        prop_oneof![address().prop_map(Destination::Sme), text().prop_map(Destination::DistributionList)];
    (sm(), prop_oneof![3 => prop::collection::vec(destination.clone(), 0..6), 1 => prop::collection::vec(destination, 250..=255)])
        .prop_map(|(sm, destinations)| SubmitMulti {
            service_type: sm.service_type,
            source: sm.source,
            destinations: Destinations::try_from(destinations).unwrap(),
            esm_class: sm.esm_class,
            protocol_id: sm.protocol_id,
            priority_flag: sm.priority_flag,
            schedule_delivery_time: sm.schedule_delivery_time,
            validity_period: sm.validity_period,
            registered_delivery: sm.registered_delivery,
            replace_if_present_flag: sm.replace_if_present_flag,
            data_coding: sm.data_coding,
            sm_default_msg_id: sm.sm_default_msg_id,
            short_message: sm.short_message,
            tlvs: sm.tlvs,
        })
}

fn submit_multi_resp() -> impl Strategy<Value = SubmitMultiResp> {
    let unsuccess_sme = (address(), any::<u32>())
        .prop_map(|(address, status)| UnsuccessSme { address, status: CommandStatus(status) });
    (message_id(), prop::collection::vec(unsuccess_sme, 0..6), tlvs()).prop_map(|(message_id, list, tlvs)| {
        SubmitMultiResp { message_id, unsuccess_smes: UnsuccessSmes::try_from(list).unwrap(), tlvs }
    })
}

fn replace_sm() -> impl Strategy<Value = ReplaceSm> {
    (message_id(), address(), text(), text(), any::<[u8; 2]>(), short_message(), tlvs()).prop_map(
        |(message_id, source, schedule_delivery_time, validity_period, octets, short_message, tlvs)| {
            let [registered, sm_default_msg_id] = octets;
            ReplaceSm {
                message_id,
                source,
                schedule_delivery_time,
                validity_period,
                registered_delivery: RegisteredDelivery(registered),
                sm_default_msg_id,
                short_message,
                tlvs,
            }
        },
    )
}

fn broadcast_sm() -> impl Strategy<Value = BroadcastSm> {
    (text(), address(), message_id(), any::<[u8; 4]>(), text(), text(), tlvs()).prop_map(
        |(service_type, source, message_id, octets, schedule_delivery_time, validity_period, tlvs)| {
            let [priority_flag, replace_if_present_flag, data_coding, sm_default_msg_id] = octets;
            BroadcastSm {
                service_type,
                source,
                message_id,
                priority_flag,
                schedule_delivery_time,
                validity_period,
                replace_if_present_flag,
                data_coding: DataCoding(data_coding),
                sm_default_msg_id,
                tlvs,
            }
        },
    )
}
