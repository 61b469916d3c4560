//! Captures of other programs: every container and link type, segments in any shape, and octets that are no capture.

use std::borrow::Cow;
use std::time::Duration;

use airwrite::pcap::{self, Gap, ReadError, Side, StreamEnd};
use etherparse::{PacketBuilder, TcpHeader};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, TsResolution};
use proptest::prelude::*;

use crate::pdu;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 2775);

/// When the first packet was captured.
const START: Duration = Duration::new(1_800_000_000, 123_456_000);

/// An IPv4 packet with a TCP segment.
fn segment(from: Side, sequence: u32, payload: &[u8], flags: impl Fn(&mut TcpHeader)) -> Vec<u8> {
    let (source, destination) = if from == Side::Client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let mut tcp = TcpHeader::new(source.1, destination.1, sequence, 1000);
    flags(&mut tcp);
    let headers =
        etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::TCP, source.0, destination.0).unwrap();
    let builder = PacketBuilder::ip(etherparse::IpHeaders::Ipv4(headers, Default::default())).tcp_header(tcp);
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).unwrap();
    packet
}

fn data(from: Side, sequence: u32, payload: &[u8]) -> Vec<u8> {
    segment(from, sequence, payload, |tcp| tcp.ack = true)
}

/// The same packet behind the header of this link type.
fn on(link: DataLink, ip: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = match link {
        DataLink::ETHERNET => [&[2; 12][..], &[8, 0]].concat(),
        DataLink::NULL => vec![2, 0, 0, 0],
        DataLink::LINUX_SLL => [&[0; 14][..], &[8, 0]].concat(),
        DataLink::LINUX_SLL2 => [&[8, 0][..], &[0; 18]].concat(),
        _ => Vec::new(),
    };
    [&header[..], ip].concat()
}

fn pcapng(link: DataLink, resolution: Option<u8>, packets: &[Vec<u8>]) -> Vec<u8> {
    let options = resolution.map(InterfaceDescriptionOption::IfTsResol).into_iter().collect();
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Big).unwrap();
    writer.write_pcapng_block(InterfaceDescriptionBlock { linktype: link, snaplen: 0, options }).unwrap();
    for (packet, number) in packets.iter().zip(0..) {
        let units = match resolution {
            Some(9) => (START + Duration::from_millis(number)).as_nanos(),
            Some(3) => (START + Duration::from_millis(number)).as_millis(),
            _ => (START + Duration::from_millis(number)).as_micros(),
        };
        let data: Cow<'_, [u8]> = Cow::Owned(on(link, packet));
        // The library writes the nanoseconds that it is given as units of the interface.
        let timestamp = Duration::from_nanos(u64::try_from(units).unwrap());
        let original_len = u32::try_from(data.len()).unwrap();
        let block =
            EnhancedPacketBlock { interface_id: 0, timestamp, original_len, data, options: Vec::new() };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

fn classic(ts_resolution: TsResolution, endianness: Endianness, packets: &[Vec<u8>]) -> Vec<u8> {
    let header = PcapHeader { ts_resolution, endianness, datalink: DataLink::RAW, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for (packet, number) in packets.iter().zip(0..) {
        let length = u32::try_from(packet.len()).unwrap();
        writer.write_packet(&PcapPacket::new(START + Duration::from_millis(number), length, packet)).unwrap();
    }
    writer.into_writer()
}

/// A short dialogue: handshake, two PDUs and their answers, FIN.
fn dialogue() -> (Vec<Vec<u8>>, [Vec<u8>; 2]) {
    let said = [
        [pdu(9, 1, b"a\0b\0\0\x34\0\0\0"), pdu(0x15, 2, &[])].concat(),
        [pdu(0x8000_0009, 1, b"s\0"), pdu(0x8000_0015, 2, &[])].concat(),
    ];
    let packets = vec![
        segment(Side::Client, 99, &[], |tcp| tcp.syn = true),
        segment(Side::Server, 499, &[], |tcp| (tcp.syn, tcp.ack) = (true, true)),
        data(Side::Client, 100, &said[0][..24]),
        data(Side::Server, 500, &said[1][..18]),
        data(Side::Client, 124, &said[0][24..]),
        data(Side::Server, 518, &said[1][18..]),
        segment(Side::Client, 141, &[], |tcp| (tcp.fin, tcp.ack) = (true, true)),
        segment(Side::Server, 534, &[], |tcp| (tcp.rst, tcp.ack) = (true, true)),
    ];
    (packets, said)
}

#[test]
fn every_container_and_link_type_gives_the_same_dialogue() {
    let (packets, said) = dialogue();
    let links = [
        DataLink::ETHERNET,
        DataLink::RAW,
        DataLink::IPV4,
        DataLink::NULL,
        DataLink::LINUX_SLL,
        DataLink::LINUX_SLL2,
    ];
    let files = links.map(|link| pcapng(link, None, &packets)).into_iter().chain([
        pcapng(DataLink::RAW, Some(9), &packets),
        pcapng(DataLink::RAW, Some(3), &packets),
        classic(TsResolution::MicroSecond, Endianness::Little, &packets),
        classic(TsResolution::NanoSecond, Endianness::Big, &packets),
    ]);
    for (number, file) in files.enumerate() {
        let capture = pcap::read(&file).unwrap();
        assert_eq!((capture.packets, capture.others, capture.truncated), (8, 0, false), "file {number}");
        let [dialogue] = &capture.dialogues[..] else { panic!("one connection in file {number}") };
        assert_eq!(dialogue.client.to_string(), "10.0.0.1:40000");
        assert_eq!(dialogue.server.to_string(), "10.0.0.2:2775");
        assert_eq!(dialogue.stream(Side::Client).octets, said[0]);
        assert_eq!(dialogue.stream(Side::Server).octets, said[1]);
        assert_eq!(dialogue.stream(Side::Client).end, StreamEnd::Finished);
        assert_eq!(dialogue.stream(Side::Server).end, StreamEnd::Reset);
        let seen: Vec<_> = dialogue.pdus.iter().map(|pdu| (pdu.packet, pdu.from, pdu.pdu.sequence)).collect();
        let (client, server) = (Side::Client, Side::Server);
        assert_eq!(seen, [(4, server, 1), (5, client, 1), (5, client, 2), (6, server, 2)]);
        let first = START + Duration::from_millis(3);
        let fine = if number == 7 { 1_000_000 } else { 1 };
        assert_eq!(u128::from(dialogue.pdus[0].time_ns) / fine, first.as_nanos() / fine, "file {number}");
    }
}

/// Segments of a stream in any pieces, some twice, some overlapping, out of order.
fn pieces(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let piece = (0..length, 1_usize..400).prop_map(move |(at, more)| (at, length.min(at + more)));
    prop::collection::vec(piece, 0..60)
}

const STREAM: usize = 4000;

proptest! {
    #[test]
    fn segments_of_any_shape_give_the_stream(
        first in any::<u32>(),
        extra in pieces(STREAM),
        cuts in prop::collection::btree_set(1..STREAM, 0..30),
        keys in prop::collection::vec(any::<u32>(), 100),
    ) {
        let mut stream: Vec<u8> = (1..).flat_map(|number: u32| pdu(4, number, &vec![number as u8; 30 + number as usize])).take(STREAM).collect();
        stream.truncate(STREAM);
        let ends = cuts.iter().copied().chain([STREAM]);
        let begins = [0].into_iter().chain(cuts.iter().copied());
        let mut ranges: Vec<_> = begins.zip(ends).chain(extra).zip(keys).collect();
        ranges.sort_by_key(|(_, key)| *key);
        let sequence = |at: usize| first.wrapping_add(1).wrapping_add(at as u32);
        let mut packets = vec![segment(Side::Client, first, &[], |tcp| tcp.syn = true)];
        packets.extend(ranges.iter().map(|((from, to), _)| data(Side::Client, sequence(*from), &stream[*from..*to])));
        let capture = pcap::read(&pcapng(DataLink::RAW, None, &packets)).unwrap();
        let [dialogue] = &capture.dialogues[..] else { panic!("one connection") };
        let seen = dialogue.stream(Side::Client);
        prop_assert!(seen.octets == stream);
        prop_assert!(seen.gaps.is_empty());
        prop_assert!(dialogue.pdus.iter().map(|pdu| pdu.pdu.sequence).eq(1..=dialogue.pdus.len() as u32));
        prop_assert!(dialogue.pdus.is_sorted_by_key(|pdu| pdu.packet));
        prop_assert!(dialogue.pdus.last().is_some_and(|pdu| pdu.packet <= packets.len()));
    }

    /// Damaged captures are an error or something less; reading them never panics.
    #[test]
    fn damage_is_never_a_panic(
        container in 0_usize..3,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..12),
    ) {
        let (packets, _) = dialogue();
        let mut file = match container {
            0 => pcapng(DataLink::ETHERNET, Some(6), &packets),
            1 => pcapng(DataLink::LINUX_SLL, None, &packets),
            _ => classic(TsResolution::MicroSecond, Endianness::Little, &packets),
        };
        for (at, octet, kind) in damage {
            let at = at.index(file.len().max(1));
            match kind {
                0 => file.truncate(at.max(1)),
                1 => file.insert(at, octet),
                2 if file.len() > 1 => drop(file.remove(at)),
                _ => file[at] = octet,
            }
        }
        if let Ok(capture) = pcap::read(&file) {
            prop_assert!(capture.packets <= packets.len() + 12);
        }
    }

    #[test]
    fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..400), magic in 0_usize..3) {
        let magics: [&[u8]; 3] = [&[], &[0x0A, 0x0D, 0x0D, 0x0A], &[0xD4, 0xC3, 0xB2, 0xA1]];
        if let Ok(capture) = pcap::read(&[magics[magic], &octets].concat()) {
            prop_assert!(capture.packets <= 400);
        }
    }
}

#[test]
fn what_is_not_seen_is_a_gap_and_pdus_are_read_behind_it() {
    let at = |sequence: u32| 1000 + 20 * (sequence - 1);
    let one = |sequence: u32| data(Side::Client, at(sequence), &pdu(4, sequence, &[0; 4]));
    // From the middle on, one packet of the second PDU on is missing, and something that is no PDU.
    let noise = data(Side::Client, at(5), &[0xFF; 20]);
    let packets = [data(Side::Client, 995, &[1; 5]), one(1), one(4), noise, one(6)];
    let capture = pcap::read(&pcapng(DataLink::RAW, None, &packets)).unwrap();
    let [dialogue] = &capture.dialogues[..] else { panic!("one connection") };
    let sequences: Vec<_> = dialogue.pdus.iter().map(|pdu| (pdu.packet, pdu.pdu.sequence)).collect();
    assert_eq!(sequences, [(2, 1), (3, 4), (5, 6)]);
    let stream = dialogue.stream(Side::Client);
    assert_eq!(stream.gaps, [Gap { at: 0, octets: None }, Gap { at: 25, octets: Some(40) }]);
    assert_eq!((dialogue.unframed(Side::Client), stream.end), (25, StreamEnd::Open));
    assert_eq!(dialogue.client.port(), 40_000, "the higher port, where nothing else tells");
}

#[test]
fn the_same_ports_again_are_another_dialogue() {
    let (mut packets, _) = dialogue();
    let (again, _) = dialogue();
    packets.extend(again);
    packets[8] = segment(Side::Client, 7099, &[], |tcp| tcp.syn = true);
    let capture = pcap::read(&pcapng(DataLink::RAW, None, &packets)).unwrap();
    assert_eq!(capture.dialogues.len(), 2);
    assert_eq!(capture.dialogues[0].pdus.len(), 4);
}

#[test]
fn what_is_no_capture_is_said() {
    assert!(matches!(pcap::read(b""), Err(ReadError::NoCapture)));
    assert_eq!(
        pcap::read(b"GET / HTTP/1.1\r\nHost: here\r\n").unwrap_err().to_string(),
        "expected a capture, pcapng or pcap"
    );
    let (packets, _) = dialogue();
    let file = pcapng(DataLink::RAW, None, &packets);
    let capture = pcap::read(&file[..file.len() - 3]).unwrap();
    assert_eq!((capture.packets, capture.truncated), (7, true));
    let capture = pcap::read(&pcapng(DataLink::IEEE802_11, None, &packets)).unwrap();
    assert_eq!((capture.packets, capture.others, capture.dialogues.len()), (8, 8, 0));
    let mut damaged = file.clone();
    // Where an interface description has zeros.
    damaged[38] = 9;
    assert!(pcap::read(&damaged).unwrap_err().to_string().starts_with("octet 28: "));
}
