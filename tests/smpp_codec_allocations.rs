//! How often the codec asks for memory, counted exactly. One test, since the count is that of the whole process.

use std::alloc::System;

use airwrite::smpp::{
    Address, Body, CommandStatus, EsmClass, Frame, Pdu, RegisteredDelivery, ShortMessage, Sm, SmView, Tlvs,
    frame, tag,
};
use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PDUS: usize = 64;

#[test]
fn nothing_is_allocated_where_nothing_needs_to_be() {
    assert_eq!(allocations(|| drop(vec![1_u8])), 1, "they are counted");
    for body in [Body::SubmitSm(secured_packet()), Body::DeliverSm(receipt())] {
        decoding(&body);
        encoding(&body);
    }
}

/// Framing and decoding, owned and borrowed: 0 per PDU.
fn decoding(body: &Body) {
    let mut input = BytesMut::new();
    for _ in 0..=PDUS {
        body.encode(CommandStatus::ESME_ROK, 7, &mut input);
    }
    let take = |input: &mut BytesMut| -> Frame { frame::next(input, input.len()).unwrap().unwrap() };
    // A buffer allocates once, at the first piece of it that is handed out.
    let first = take(&mut input);
    let view = allocations(|| assert!(SmView::decode(&first.body).is_ok()));
    assert_eq!(view, 0, "borrowed {}", body.command_id());
    let owned = allocations(|| {
        for _ in 0..PDUS {
            let pdu = Pdu::decode(take(&mut input));
            assert_eq!(pdu.body.command_id(), body.command_id());
            let (Body::SubmitSm(sm) | Body::DeliverSm(sm)) = &pdu.body else { panic!("{pdu:?}") };
            assert!(!sm.short_message.as_bytes().is_empty());
        }
    });
    assert_eq!(owned, 0, "owned {}", body.command_id());
    assert!(input.is_empty());
}

/// Into a buffer that was emptied: 0 per PDU.
fn encoding(body: &Body) {
    let mut output = BytesMut::with_capacity(PDUS * 256);
    for round in 0..3 {
        output.clear();
        let count = allocations(|| {
            for _ in 0..PDUS {
                body.encode(CommandStatus::ESME_ROK, 7, &mut output);
            }
        });
        assert_eq!(count, 0, "{} in round {round}", body.command_id());
    }
}

/// Allocations and reallocations during `work`.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

fn secured_packet() -> Sm {
    let source = Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() };
    let destination = Address::international("491700000001").unwrap();
    let packet: Bytes = [0x02, 0x70, 0x00].into_iter().chain(0..137).collect();
    Sm {
        validity_period: "000002000000000R".parse().unwrap(),
        registered_delivery: RegisteredDelivery::FINAL,
        ..Sm::submit_ota(source, destination, ShortMessage::try_from(packet).unwrap())
    }
}

fn receipt() -> Sm {
    let text = Bytes::from_static(b"id:0af1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:");
    let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"0af1\0").unwrap();
    Sm {
        source: Address::international("491700000001").unwrap(),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: ShortMessage::try_from(text).unwrap(),
        tlvs: tlvs.with(tag::MESSAGE_STATE, &[2]).unwrap(),
        ..Sm::default()
    }
}
