//! The dialogues of a capture.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use super::packets::{ReadError, TcpSegment, packets};
use super::reassembly::{Brought, Reassembly, Segment, Stream, StreamEnd};
use super::{Both, Side};
use crate::smpp::{CommandId, Frame, Pdu, frame};

/// What a capture holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Every TCP connection, in the order of their first packets.
    pub dialogues: Vec<Dialogue>,
    /// How many packets there are.
    pub packets: usize,
    /// How many of them are no TCP segment, or none that can be read: other protocols, fragments of IP packets, link
    /// types other than Ethernet, IP, loopback and Linux cooked.
    pub others: usize,
    /// Whether the file ends within a packet.
    pub truncated: bool,
}

/// One TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    /// Who opened it; where the capture does not show that, the side with the higher port.
    pub client: SocketAddr,
    /// Who took it.
    pub server: SocketAddr,
    /// The PDUs of both sides in the order in which they were complete.
    pub pdus: Vec<DialoguePdu>,
    streams: Both<Stream>,
    unframed: Both<usize>,
}

/// A PDU of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialoguePdu {
    /// Who said it.
    pub from: Side,
    /// The packet that made it complete: its number in the capture, from 1.
    pub packet: usize,
    /// When that was captured: nanoseconds since 1970-01-01T00:00:00Z.
    pub time_ns: u64,
    /// The PDU as it was sent, header included.
    pub octets: Bytes,
    /// What it says.
    pub pdu: Pdu,
}

impl Dialogue {
    /// What a side said.
    #[must_use]
    pub const fn stream(&self, side: Side) -> &Stream {
        self.streams.of(side)
    }

    /// How many octets of a side belong to no PDU: the rest of one that was never complete, what follows a gap until the
    /// next PDU that can be made out, or something that is not SMPP.
    #[must_use]
    pub const fn unframed(&self, side: Side) -> usize {
        *self.unframed.of(side)
    }
}

/// Reads a capture, pcapng or pcap. Segments that came twice, early or in any pieces are put together; what the capture
/// has not seen is a [`Gap`](super::Gap), and PDUs are read on behind it where a segment begins with one.
///
/// # Errors
/// [`ReadError`]: no capture, or a damaged one. Odd packets and odd PDUs are none.
pub fn read(capture: &[u8]) -> Result<Capture, ReadError> {
    let mut connections = Connections::default();
    let (mut count, mut others) = (0, 0);
    let whole = packets(capture, |packet| {
        count += 1;
        match packet.segment() {
            Some(segment) => connections.take(&segment, Brought { packet: count, time_ns: packet.time_ns }),
            None => others += 1,
        }
    })?;
    let dialogues = connections.all.into_iter().map(Connection::finish).collect();
    Ok(Capture { dialogues, packets: count, others, truncated: !whole })
}

/// The connections of a capture.
#[derive(Default)]
struct Connections<'a> {
    all: Vec<Connection<'a>>,
    /// The last connection between two addresses, the lower one first.
    last: BTreeMap<[SocketAddr; 2], usize>,
}

struct Connection<'a> {
    client: SocketAddr,
    server: SocketAddr,
    sides: Both<Reassembly<'a>>,
    reset: bool,
}

impl<'a> Connections<'a> {
    fn take(&mut self, segment: &TcpSegment<'a>, brought: Brought) {
        let TcpSegment { source, destination, sequence, payload, .. } = *segment;
        let mut key = [source, destination];
        key.sort_unstable();
        let known = self.last.get(&key).and_then(|index| self.all.get(*index));
        let index = match self.last.get(&key) {
            Some(index) if known.is_some_and(|known| !known.is_over_with(segment)) => *index,
            _ => {
                self.all.push(Connection::new(segment));
                let index = self.all.len() - 1;
                self.last.insert(key, index);
                index
            }
        };
        let Some(connection) = self.all.get_mut(index) else { return };
        let from = if source == connection.client { Side::Client } else { Side::Server };
        let side = connection.sides.of_mut(from);
        // SYN takes a number of its own.
        let first = sequence.wrapping_add(u32::from(segment.syn));
        if segment.syn {
            side.begin(first);
        }
        side.take(first, payload, brought);
        if segment.rst {
            side.end(StreamEnd::Reset);
            connection.reset = true;
        } else if segment.fin {
            side.end(StreamEnd::Finished);
        }
    }
}

impl<'a> Connection<'a> {
    fn new(segment: &TcpSegment<'_>) -> Self {
        let TcpSegment { source, destination, .. } = *segment;
        let from_client = match (segment.syn, segment.ack) {
            (true, ack) => !ack,
            (false, _) => source.port() >= destination.port(),
        };
        let (client, server) = if from_client { (source, destination) } else { (destination, source) };
        Self { client, server, sides: Both::default(), reset: false }
    }

    /// Whether this segment opens another connection between the same addresses.
    fn is_over_with(&self, segment: &TcpSegment<'_>) -> bool {
        let from = if segment.source == self.client { Side::Client } else { Side::Server };
        let side = self.sides.of(from);
        let first = segment.sequence.wrapping_add(1);
        segment.syn && !segment.ack && side.has_begun() && (self.reset || !side.begins_at(first))
    }

    fn finish(self) -> Dialogue {
        let streams = Both { client: self.sides.client.finish(), server: self.sides.server.finish() };
        let mut pdus = Vec::new();
        let mut unframed = Both::default();
        for side in [Side::Client, Side::Server] {
            let stream = streams.of(side);
            let of_pdus = cut(side, stream, &mut pdus);
            *unframed.of_mut(side) = stream.octets.len() - of_pdus;
        }
        pdus.sort_by_key(|pdu| pdu.packet);
        Dialogue { client: self.client, server: self.server, pdus, streams, unframed }
    }
}

/// Cuts a stream into PDUs; gives how many octets they have.
fn cut(from: Side, stream: &Stream, pdus: &mut Vec<DialoguePdu>) -> usize {
    let mut framed = 0;
    let gaps = || stream.gaps.iter().map(|gap| gap.at);
    let mut at = if gaps().any(|at| at == 0) { next_begin(stream, 0) } else { 0 };
    for end in gaps().filter(|at| *at > 0).chain([stream.octets.len()]) {
        while at < end {
            let rest = stream.octets.get(at..end).unwrap_or_default();
            match frame::peek(rest, frame::DEFAULT_MAX_OCTETS) {
                Ok(Some((header, body))) => {
                    let length = frame::HEADER_OCTETS + body.len();
                    let octets = stream.octets.slice(at..at + length);
                    let pdu = Pdu::decode(Frame { header, body: octets.slice(frame::HEADER_OCTETS..) });
                    let Segment { packet, time_ns, .. } = brought(stream, at + length - 1);
                    pdus.push(DialoguePdu { from, packet, time_ns, octets, pdu });
                    at += length;
                    framed += length;
                }
                Ok(None) => break,
                Err(_) => at = next_begin(stream, at + 1),
            }
        }
        at = next_begin(stream, end.max(at));
    }
    framed
}

/// The segment that brought this octet.
fn brought(stream: &Stream, at: usize) -> Segment {
    let behind = stream.segments.partition_point(|segment| segment.at <= at);
    stream.segments.get(behind.saturating_sub(1)).copied().unwrap_or_default()
}

/// Where, from here on, a segment begins that seems to begin with a PDU; the end where there is none.
fn next_begin(stream: &Stream, from: usize) -> usize {
    let first = stream.segments.partition_point(|segment| segment.at < from);
    let begins = |at: usize| {
        let Some([l0, l1, l2, l3, c0, c1, c2, c3]) = stream.octets.get(at..).and_then(<[u8]>::first_chunk)
        else {
            return false;
        };
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        let command = CommandId(u32::from_be_bytes([*c0, *c1, *c2, *c3]));
        (frame::HEADER_OCTETS..=frame::DEFAULT_MAX_OCTETS).contains(&length) && command.name().is_some()
    };
    let mut segments = stream.segments.get(first..).unwrap_or_default().iter();
    segments.find(|segment| begins(segment.at)).map_or(stream.octets.len(), |segment| segment.at)
}
