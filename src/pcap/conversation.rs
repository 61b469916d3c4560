//! One connection as packets: IP and TCP headers around what was said.

use std::net::SocketAddr;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, TcpHeader};

use super::{Addresses, Both, Side};

/// Largest payload of one segment, so that with its headers it fits the 16-bit lengths of IP.
pub(super) const SEGMENT_OCTETS: usize = 64_000;

/// The receive window that every segment tells.
const WINDOW: u16 = u16::MAX;

/// TTL, or hop limit.
const HOPS: u8 = 64;

/// Makes the packets of one connection. The numbers follow from how many octets each side has sent, so that what was
/// not recorded shows as what it is: segments that the capture has not seen.
#[derive(Debug)]
pub(super) struct Conversation {
    addresses: Addresses,
    sides: Both<Direction>,
    reset: bool,
}

#[derive(Debug, Default)]
struct Direction {
    /// The sequence number of the first octet.
    first: u32,
    /// What the other side acknowledges next.
    next: u32,
    ended: bool,
}

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Reset,
}

impl Conversation {
    /// The `number`-th connection of a capture, from 1; numbers keep connections apart that use the same ports.
    pub(super) fn new(addresses: Addresses, number: u64) -> Self {
        // As different as initial sequence numbers are.
        let initial = (number as u32).wrapping_mul(0x9E37_79B1);
        let direction = |initial: u32| {
            let first = initial.wrapping_add(1);
            Direction { first, next: first, ended: false }
        };
        let sides = Both { client: direction(initial), server: direction(!initial) };
        Self { addresses, sides, reset: false }
    }

    /// The handshake.
    pub(super) fn open(&self, packets: &mut Vec<Vec<u8>>) {
        let before = |side: Side| self.sides.of(side).first.wrapping_sub(1);
        self.put(packets, Side::Client, before(Side::Client), Kind::Syn, &[]);
        self.put(packets, Side::Server, before(Side::Server), Kind::SynAck, &[]);
        self.put(packets, Side::Client, self.sides.client.first, Kind::Ack, &[]);
    }

    /// What a side said, from its `offset`-th octet on.
    pub(super) fn say(&mut self, packets: &mut Vec<Vec<u8>>, from: Side, offset: u64, octets: &[u8]) {
        let mut sequence = self.sides.of(from).at(offset);
        for payload in octets.chunks(SEGMENT_OCTETS) {
            self.put(packets, from, sequence, Kind::Data, payload);
            sequence = sequence.wrapping_add(payload.len() as u32);
        }
        self.sides.of_mut(from).next = sequence;
    }

    /// A side has said its last octet, the `offset`-th; or it has broken the connection.
    pub(super) fn end(&mut self, packets: &mut Vec<Vec<u8>>, from: Side, offset: u64, reset: bool) {
        if self.reset || (self.sides.of(from).ended && !reset) {
            return;
        }
        let sequence = self.sides.of(from).at(offset);
        if reset {
            self.put(packets, from, sequence, Kind::Reset, &[]);
            self.reset = true;
            return;
        }
        self.put(packets, from, sequence, Kind::Fin, &[]);
        *self.sides.of_mut(from) =
            Direction { next: sequence.wrapping_add(1), ended: true, ..*self.sides.of(from) };
        self.put(packets, from.other(), self.sides.of(from.other()).next, Kind::Ack, &[]);
    }

    fn put(&self, packets: &mut Vec<Vec<u8>>, from: Side, sequence: u32, kind: Kind, payload: &[u8]) {
        let (source, destination) = (self.addresses.of(from), self.addresses.of(from.other()));
        let mut tcp = TcpHeader::new(source.port(), destination.port(), sequence, WINDOW);
        tcp.syn = matches!(kind, Kind::Syn | Kind::SynAck);
        tcp.fin = kind == Kind::Fin;
        tcp.rst = kind == Kind::Reset;
        tcp.psh = kind == Kind::Data;
        tcp.ack = kind != Kind::Syn;
        if tcp.ack {
            tcp.acknowledgment_number = self.sides.of(from.other()).next;
        }
        let builder = PacketBuilder::ip(ip(source, destination)).tcp_header(tcp);
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        // The payload fits, and a vector takes what it is given.
        if builder.write(&mut packet, payload).is_ok() {
            packets.push(packet);
        }
    }
}

impl Direction {
    const fn at(&self, offset: u64) -> u32 {
        // Sequence numbers begin anew after 2^32 octets.
        self.first.wrapping_add(offset as u32)
    }
}

/// The IP header; the builder fills in lengths and checksums.
fn ip(source: SocketAddr, destination: SocketAddr) -> IpHeaders {
    match (source, destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            let header = Ipv4Header {
                time_to_live: HOPS,
                protocol: IpNumber::TCP,
                source: source.ip().octets(),
                destination: destination.ip().octets(),
                ..Ipv4Header::default()
            };
            IpHeaders::Ipv4(header, Default::default())
        }
        (source, destination) => {
            let octets = |address: SocketAddr| match address {
                SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
                SocketAddr::V6(v6) => v6.ip().octets(),
            };
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: 0,
                next_header: IpNumber::TCP,
                hop_limit: HOPS,
                source: octets(source),
                destination: octets(destination),
            };
            IpHeaders::Ipv6(header, Default::default())
        }
    }
}
