//! What holds for every PDU and every octet.

use airwrite::smpp::{Body, CommandId, Frame, Pdu, SmView, frame};
use bytes::BytesMut;
use proptest::prelude::*;

use crate::generate::{body, pdu, sm};
use crate::{MAX, decode, encode, ok, whole};

/// Every command_id of the specifications, and one of none.
fn command_ids() -> impl Strategy<Value = u32> {
    let requests = (1..=0x0B_u32).chain([0x15, 0x21]).chain(0x102..=0x113);
    let named = requests.flat_map(|id| [id, id | 0x8000_0000]);
    let named = named.filter(|id| CommandId(*id).name().is_some());
    prop::sample::select(named.chain([0x8000_0000, 0x0001_0203]).collect::<Vec<_>>())
}

fn frames(input: &mut BytesMut) -> Vec<Frame> {
    std::iter::from_fn(|| frame::next(input, MAX).unwrap()).collect()
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(pdu in pdu()) {
        prop_assert!(!matches!(pdu.body, Body::Unknown(_) | Body::Malformed(..)));
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
            seen.extend(frames(&mut input).into_iter().map(Pdu::decode));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(seen, pdus);
    }

    #[test]
    fn a_stream_cut_in_two_anywhere_gives_the_same_frames(bodies in prop::collection::vec(body(), 1..4)) {
        let mut stream = BytesMut::new();
        for (sequence, body) in (1..).zip(bodies) {
            ok(sequence, body).encode(&mut stream);
        }
        let expected = frames(&mut stream.clone());
        // Every cut of what is short, 200 evenly spread ones of what is long.
        for cut in (0..=stream.len()).step_by(stream.len() / 200 + 1) {
            let mut input = BytesMut::from(&stream[..cut]);
            let mut seen = frames(&mut input);
            input.extend_from_slice(&stream[cut..]);
            seen.extend(frames(&mut input));
            prop_assert_eq!(&seen, &expected, "cut at {}", cut);
        }
    }

    #[test]
    fn the_borrowed_view_reads_what_the_owned_message_holds(sm in sm()) {
        let octets = encode(&ok(1, Body::SubmitSm(sm.clone())));
        let view = SmView::decode(&octets[16..]).unwrap();
        prop_assert_eq!(view.service_type, sm.service_type.as_bytes());
        for (view, address) in [(view.source, sm.source), (view.destination, sm.destination)] {
            prop_assert_eq!((view.ton, view.npi, view.digits), (address.ton, address.npi, address.digits.as_bytes()));
        }
        prop_assert_eq!((view.esm_class, view.protocol_id), (sm.esm_class, sm.protocol_id));
        prop_assert_eq!((view.priority_flag, view.registered_delivery), (sm.priority_flag, sm.registered_delivery));
        prop_assert_eq!(view.schedule_delivery_time, sm.schedule_delivery_time.as_bytes());
        prop_assert_eq!(view.validity_period, sm.validity_period.as_bytes());
        prop_assert_eq!((view.replace_if_present_flag, view.data_coding), (sm.replace_if_present_flag, sm.data_coding));
        prop_assert_eq!(view.sm_default_msg_id, sm.sm_default_msg_id);
        prop_assert_eq!(view.short_message, &sm.short_message.as_bytes()[..]);
        prop_assert_eq!(view.tlvs().collect::<Vec<_>>(), sm.tlvs.iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_body_decodes_to_something_that_encodes_to_the_same_octets(
        command in command_ids(),
        octets in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => 0..4_u8, 3 => any::<u8>()], 0..160),
    ) {
        let octets = whole(command, &octets);
        let pdu = decode(&octets);
        let again = encode(&pdu);
        prop_assert_eq!(&decode(&again), &pdu);
        match pdu.body {
            // Octets behind a bare header are ignored.
            Body::Unbind | Body::UnbindResp | Body::EnquireLink | Body::EnquireLinkResp | Body::CancelSmResp
            | Body::ReplaceSmResp | Body::CancelBroadcastSmResp | Body::GenericNack => prop_assert_eq!(again.len(), 16),
            // A response without a body is written with its fields empty.
            _ if octets.len() == 16 && command > 0x8000_0000 => {
                prop_assert!(again.len() > 16 && again[16..].iter().all(|octet| *octet == 0));
            }
            _ => prop_assert_eq!(again, octets),
        }
    }
}
