//! How often securing and opening a packet asks for memory, counted exactly: once, for what is returned. One test, since the
//! count is that of the whole process.

use std::alloc::System;

use airwrite::ota::response::{self, ResponseHeader};
use airwrite::ota::{Algorithm, Cntr, CommandHeader, Key, KeySet, Rsc, Spi1, Spi2, Tar, command};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TAR: Tar = Tar([0xB0, 0x00, 0x11]);

#[test]
fn memory_is_asked_for_once() {
    assert_eq!(allocations(|| vec![1_u8]).0, 1, "they are counted");
    for (algorithm, octets) in [(Algorithm::Aes, 32), (Algorithm::TripleDes3, 24), (Algorithm::Des, 8)] {
        let key = || Key::new(algorithm, &[0xA5; 32][..octets]).unwrap();
        let keys = KeySet::new(1, key(), key(), 8).unwrap();
        // None, RC and CC, in clear and ciphered.
        for level in [0b000, 0b100, 0b001, 0b101, 0b010, 0b110] {
            for data in [&[][..], &[7; 98], &[7; 400]] {
                command(Spi1(level), &keys, data);
                // The same bits are two higher in SPI2, where they ask for a response.
                response(Spi2(level << 2), &keys, data);
            }
        }
    }
}

fn command(spi1: Spi1, keys: &KeySet, data: &[u8]) {
    let header = CommandHeader::new(spi1, Spi2::NO_POR, keys, TAR, Cntr::ZERO);
    let (sealing, packet) = allocations(|| command::seal(&header, keys, data).unwrap());
    assert_eq!(allocations(|| command::peek(&packet).unwrap()).0, 0);
    let (opening, opened) = allocations(|| command::open(&packet, keys).unwrap());
    assert_eq!((sealing, opening), (1, 1), "{spi1:?} {} octets", data.len());
    assert_eq!(opened.data, data);
}

fn response(asked: Spi2, keys: &KeySet, data: &[u8]) {
    let header = ResponseHeader { tar: TAR, cntr: Cntr::ZERO, rsc: Rsc::OK };
    let (sealing, packet) = allocations(|| response::seal(&header, asked, keys, data).unwrap());
    assert_eq!(allocations(|| response::peek(&packet).unwrap()).0, 0);
    let (opening, opened) = allocations(|| response::open(&packet, asked, keys).unwrap());
    assert_eq!((sealing, opening), (1, 1), "{asked:?} {} octets", data.len());
    assert_eq!(opened.data, data);
}

/// Allocations and reallocations during `work`, and what it returned. The least of a few runs: the test harness, on another
/// thread, may ask for memory meanwhile.
fn allocations<T>(work: impl Fn() -> T) -> (usize, T) {
    let run = || {
        let region = Region::new(ALLOCATOR);
        let returned = work();
        let change = region.change();
        (change.allocations + change.reallocations, returned)
    };
    let (least, returned) = run();
    ((0..4).fold(least, |least, _| least.min(run().0)), returned)
}
