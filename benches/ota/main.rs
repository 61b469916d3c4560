//! What securing and opening a packet costs, next to the ciphers alone.
//!
//! The reference computes the checksum and ciphers, or deciphers and computes the checksum, over exactly the octets of the
//! packet in a buffer that is there already, with the same libraries; it makes both key schedules each time, as one has to
//! where every packet is for another card. Nothing can do less. Ours is given the data and returns a packet, or is given a
//! packet and returns the data: it also lays out the header, checks every field and takes memory for what it returns.
//!
//! One part is the most data that fits one short message with either block length; several parts is a script of 400 octets,
//! as a whole subscription takes. `cargo bench --bench ota`

#[path = "../smpp/measure.rs"]
mod measure;
mod raw;
#[path = "../smpp/table.rs"]
mod table;

use std::hint::black_box;

use airwrite::ota::{Algorithm, Cntr, CommandHeader, Key, KeySet, Spi1, Spi2, Tar, command};

use measure::{Contender, Measured, in_pairs, quartiles, time};
use table::Group;

const ONE_PART: usize = 98;
const FOUR_PARTS: usize = 400;

/// Calls of one run: few, so that a machine with other work seldom interrupts one.
const BATCH: usize = 8;
/// Runs of one measurement.
const BATCHES: usize = 40;
const ROUNDS: usize = 51;

/// Octets of a command packet that are never ciphered, and of its CNTR, PCNTR and CC.
const CLEAR: usize = 10;
const BEFORE_DATA: usize = CLEAR + 14;

fn main() {
    // `cargo test` runs benches, too: they measure nothing there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    table::print(&[
        Group { title: "seal, one part", rows: each(ONE_PART, seal) },
        Group { title: "open, one part", rows: each(ONE_PART, open) },
        Group { title: "seal, four parts", rows: each(FOUR_PARTS, seal) },
        Group { title: "open, four parts", rows: each(FOUR_PARTS, open) },
    ]);
}

/// One algorithm, both of whose keys are `octets` long.
struct Case {
    names: [&'static str; 2],
    algorithm: Algorithm,
    octets: usize,
    raw: raw::Raw,
    target: f64,
}

fn each(data: usize, measure: impl Fn(&Case, &[u8]) -> Vec<Measured>) -> Vec<Measured> {
    let aes = |names, octets, raw| Case { names, algorithm: Algorithm::Aes, octets, raw, target: 1.3 };
    let cases = [
        aes(["AES-128, ciphers alone", "AES-128, airwrite"], 16, raw::AES_128),
        aes(["AES-192, ciphers alone", "AES-192, airwrite"], 24, raw::AES_192),
        aes(["AES-256, ciphers alone", "AES-256, airwrite"], 32, raw::AES_256),
        Case {
            names: ["triple DES, 2 keys, ciphers alone", "triple DES, 2 keys, airwrite"],
            algorithm: Algorithm::TripleDes2,
            octets: 16,
            raw: raw::TRIPLE_DES_2,
            target: 1.1,
        },
        Case {
            names: ["triple DES, 3 keys, ciphers alone", "triple DES, 3 keys, airwrite"],
            algorithm: Algorithm::TripleDes3,
            octets: 24,
            raw: raw::TRIPLE_DES_3,
            target: 1.1,
        },
    ];
    let data: Vec<u8> = (0..data).map(|octet| octet as u8).collect();
    cases.iter().flat_map(|case| measure(case, &data)).collect()
}

fn seal(case: &Case, data: &[u8]) -> Vec<Measured> {
    let (keys, header, [kic, kid]) = case.keys();
    let mut packet = command::seal(&header, &keys, data).unwrap();
    let alone = Contender::new(case.names[0], || {
        per_call(|| {
            let (before_data, body) = packet.split_at_mut(BEFORE_DATA);
            black_box((case.raw.mac)(black_box(&kid), [&before_data[..16], body]));
            (case.raw.encipher)(black_box(&kic), black_box(&mut packet[CLEAR..]));
        })
    });
    let ours = Contender::new(case.names[1], || {
        per_call(|| {
            black_box(command::seal(black_box(&header), black_box(&keys), black_box(data)).unwrap());
        })
    });
    in_pairs(ROUNDS, alone, vec![ours.aims_at(case.target)])
}

fn open(case: &Case, data: &[u8]) -> Vec<Measured> {
    let (keys, header, [kic, kid]) = case.keys();
    let packet = command::seal(&header, &keys, data).unwrap();
    let mut buffer = packet.clone();
    let alone = Contender::new(case.names[0], || {
        per_call(|| {
            (case.raw.decipher)(black_box(&kic), black_box(&mut buffer[CLEAR..]));
            let (before_data, body) = buffer.split_at(BEFORE_DATA);
            black_box((case.raw.mac)(black_box(&kid), [&before_data[..16], body]));
        })
    });
    let ours = Contender::new(case.names[1], || {
        per_call(|| {
            black_box(command::open(black_box(&packet), black_box(&keys)).unwrap());
        })
    });
    in_pairs(ROUNDS, alone, vec![ours.aims_at(case.target)])
}

impl Case {
    fn keys(&self) -> (KeySet, CommandHeader, [Vec<u8>; 2]) {
        let octets = [0x10, 0x80].map(|first| (first..).take(self.octets).collect::<Vec<u8>>());
        let [kic, kid] = octets.each_ref().map(|octets| Key::new(self.algorithm, octets).unwrap());
        let keys = KeySet::new(1, kic, kid, 8).unwrap();
        let (spi1, spi2) = (Spi1::CC_CIPHERED_HIGHER, Spi2::POR_CC_CIPHERED_BY_SUBMIT);
        let header = CommandHeader::new(spi1, spi2, &keys, Tar([0xB0, 0x00, 0x11]), Cntr::ZERO);
        (keys, header, octets)
    }
}

/// Nanoseconds per call: the median of many runs, one of which may be interrupted.
fn per_call(mut call: impl FnMut()) -> f64 {
    let runs = (0..BATCHES).map(|_| {
        let took = time(|| (0..BATCH).for_each(|_| call()));
        took.as_secs_f64() * 1e9 / BATCH as f64
    });
    quartiles(runs.collect())[1]
}
