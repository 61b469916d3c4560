//! Decoding and encoding of the submit_sm of a secured packet: 189 octets.

pub(crate) mod reference;

use std::hint::black_box;

use airwrite::smpp::{
    Address, Body, CommandStatus, Pdu, RegisteredDelivery, ShortMessage, Sm, SmView, frame,
};
use bytes::{Bytes, BytesMut};
use rusmpp::tokio_codec::CommandCodec;
use smpp34::{CommandHeader, submit_sm};
use tokio_util::codec::{Decoder, Encoder};

use crate::measure::{Contender, Measured, in_pairs, quartiles, time};
use crate::table::Group;

/// PDUs of one run: what a read buffer of 12 kB holds.
const BATCH: usize = 64;
/// Runs of one measurement.
const BATCHES: usize = 60;
const ROUNDS: usize = 101;

/// Both tables.
pub(crate) fn measure() -> Vec<Group> {
    let octets = submit_sm_of_a_secured_packet();
    assert_eq!(octets.len(), 189);
    vec![
        Group { title: "decode submit_sm, 189 octets", rows: decode(&octets) },
        Group { title: "encode submit_sm, 189 octets", rows: encode(&octets) },
    ]
}

pub(crate) fn submit_sm_of_a_secured_packet() -> BytesMut {
    let source = Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() };
    let destination = Address::international("491700000001").unwrap();
    let packet: Bytes = [0x02, 0x70, 0x00].into_iter().chain(0..137).collect();
    let sm = Sm {
        registered_delivery: RegisteredDelivery::FINAL,
        ..Sm::submit_ota(source, destination, ShortMessage::try_from(packet).unwrap())
    };
    let mut octets = BytesMut::new();
    Body::SubmitSm(sm).encode(CommandStatus::ESME_ROK, 7, &mut octets);
    octets
}

/// Every contender is given the same octets: one whole PDU, or (where framing is included) a buffer of many.
fn decode(pdu: &BytesMut) -> Vec<Measured> {
    let max = frame::DEFAULT_MAX_OCTETS;
    let buffer = || BytesMut::from(&pdu.repeat(BATCH)[..]);
    let reference = Contender::new("bare reference, borrowed", || {
        per_call(|| {
            black_box(reference::decode(black_box(pdu)).unwrap());
        })
    });
    let borrowed = Contender::new("airwrite, borrowed", || {
        per_call(|| {
            let (header, body) = frame::peek(black_box(pdu), max).unwrap().unwrap();
            black_box(header);
            black_box(SmView::decode(body).unwrap());
        })
    });
    let owned = Contender::new("airwrite, owned, framing included", || {
        per_pdu(buffer, |mut input| {
            while let Some(frame) = frame::next(&mut input, max).unwrap() {
                black_box(Pdu::decode(frame));
            }
        })
    });
    let rusmpp = Contender::new("rusmpp, owned, framing included", || {
        let mut codec = CommandCodec::new();
        per_pdu(buffer, |mut input| {
            while let Some(command) = codec.decode(&mut input).unwrap() {
                black_box(command);
            }
        })
    });
    let smpp34 = Contender::new("smpp34, owned, framing not included", || {
        per_call(|| {
            let header = CommandHeader::decode(black_box(pdu)).unwrap();
            black_box(submit_sm::decode(header, pdu).unwrap());
        })
    });
    in_pairs(ROUNDS, reference, vec![borrowed.aims_at(1.5), owned.aims_at(5.0), rusmpp, smpp34])
}

/// Into a buffer that has room, as a session's output has; smpp34 makes a new one for each PDU.
fn encode(pdu: &BytesMut) -> Vec<Measured> {
    let view = reference::decode(pdu).unwrap();
    let ours = Pdu::decode(frame::next(&mut pdu.clone(), pdu.len()).unwrap().unwrap());
    let command = CommandCodec::new().decode(&mut pdu.clone()).unwrap().unwrap();
    let theirs = submit_sm::decode(CommandHeader::decode(pdu).unwrap(), pdu).unwrap();
    let buffer = || BytesMut::with_capacity(pdu.len() * BATCH);

    let reference = Contender::new("bare reference", || {
        per_pdu(buffer, |mut out| (0..BATCH).for_each(|_| reference::encode(black_box(&view), &mut out)))
    });
    let airwrite = Contender::new("airwrite", || {
        per_pdu(buffer, |mut out| (0..BATCH).for_each(|_| black_box(&ours).encode(&mut out)))
    });
    let rusmpp = Contender::new("rusmpp", || {
        let mut codec = CommandCodec::new();
        per_pdu(buffer, |mut out| {
            (0..BATCH).for_each(|_| codec.encode(black_box(&command), &mut out).unwrap());
        })
    });
    let smpp34 = Contender::new("smpp34", || {
        per_pdu(
            || vec![theirs.clone(); BATCH],
            |pdus| {
                for pdu in pdus {
                    black_box(pdu.encode());
                }
            },
        )
    });
    in_pairs(ROUNDS, reference, vec![airwrite.aims_at(1.2), rusmpp, smpp34])
}

/// Nanoseconds per PDU of `run`, which handles [`BATCH`] of them; what `prepare` does is not counted. The median of
/// many runs: one of them may be interrupted.
fn per_pdu<T>(mut prepare: impl FnMut() -> T, mut run: impl FnMut(T)) -> f64 {
    let runs = (0..BATCHES).map(|_| {
        let prepared = prepare();
        time(|| run(prepared)).as_secs_f64() * 1e9 / BATCH as f64
    });
    quartiles(runs.collect())[1]
}

/// Nanoseconds per call.
fn per_call(mut call: impl FnMut()) -> f64 {
    per_pdu(|| (), |()| (0..BATCH).for_each(|_| call()))
}
