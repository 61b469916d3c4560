//! The packets of a capture, pcapng or pcap, as TCP segments.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

/// What a pcapng file begins with: the type of a section header block.
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length, and the length once more.
const BLOCK_OCTETS_MIN: usize = 12;

/// Microseconds, where an interface does not say otherwise.
const RESOLUTION: u8 = 6;

const NANOSECONDS: u128 = 1_000_000_000;

/// Why a capture cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The first octets are those of no capture.
    #[error("expected a capture, pcapng or pcap")]
    NoCapture,
    /// A block of a pcapng file, or a record of a pcap file.
    #[error("octet {offset}: {source}")]
    Block {
        /// Where it begins.
        offset: usize,
        /// What is wrong with it.
        source: PcapError,
    },
    /// A simple packet block: it has no time.
    #[error("octet {offset}: expected packets with times, found a simple packet block")]
    NoTime {
        /// Where it begins.
        offset: usize,
    },
    /// A packet of an interface that no block describes.
    #[error("octet {offset}: interface {id} is not described")]
    NoInterface {
        /// Where the block begins.
        offset: usize,
        /// The number of the interface.
        id: u32,
    },
}

/// A packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) time_ns: u64,
    link: DataLink,
    octets: &'a [u8],
}

/// A TCP segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpSegment<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

/// Hands every packet of a capture to `take`, in the order of the file. False where the file ends within a packet, as one
/// does that is still being written.
pub(super) fn packets<'a>(capture: &'a [u8], take: impl FnMut(Packet<'a>)) -> Result<bool, ReadError> {
    if capture.first_chunk().is_some_and(|first| u32::from_be_bytes(*first) == SECTION_HEADER) {
        pcapng(capture, take)
    } else {
        pcap(capture, take)
    }
}

fn pcapng<'a>(capture: &'a [u8], mut take: impl FnMut(Packet<'a>)) -> Result<bool, ReadError> {
    let (mut rest, mut parser) =
        PcapNgParser::new(capture).map_err(|source| ReadError::Block { offset: 0, source })?;
    while !rest.is_empty() {
        let offset = capture.len() - rest.len();
        let failed = |source| ReadError::Block { offset, source };
        let Some((kind, length)) = block_header(rest, parser.section().endianness) else { return Ok(false) };
        if length < BLOCK_OCTETS_MIN || length % 4 != 0 {
            return Err(failed(PcapError::InvalidField("block length")));
        }
        let Some(behind) = rest.get(length..) else { return Ok(false) };
        match kind {
            SIMPLE_PACKET => return Err(ReadError::NoTime { offset }),
            SECTION_HEADER | INTERFACE_DESCRIPTION | ENHANCED_PACKET => {
                let (_, block) = parser.next_block(rest).map_err(failed)?;
                if let Block::EnhancedPacket(packet) = &block {
                    let id = packet.interface_id;
                    let interface =
                        parser.packet_interface(packet).ok_or(ReadError::NoInterface { offset, id })?;
                    // The parser takes the units that were counted for nanoseconds, whatever they are.
                    let time_ns = nanoseconds(packet.timestamp.as_nanos(), &interface.options);
                    let octets = octets_of(rest, packet.data.len());
                    take(Packet { time_ns, link: interface.linktype, octets });
                }
            }
            // Names, statistics, keys: nothing of what was said.
            _ => {}
        }
        rest = behind;
    }
    Ok(true)
}

/// Type and length of the block that begins here. A section header tells its own octet order.
fn block_header(block: &[u8], endianness: Endianness) -> Option<(u32, usize)> {
    let [k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3] = *block.first_chunk::<BLOCK_OCTETS_MIN>()?;
    let kind = [k0, k1, k2, k3];
    let little = match u32::from_be_bytes(kind) {
        SECTION_HEADER => [m0, m1, m2, m3] == 0x1A2B_3C4D_u32.to_le_bytes(),
        _ => endianness.is_little(),
    };
    let number = if little { u32::from_le_bytes } else { u32::from_be_bytes };
    Some((number(kind), usize::try_from(number([l0, l1, l2, l3])).ok()?))
}

/// The packet within an enhanced packet block: behind type, length, interface, time and two lengths.
fn octets_of(block: &[u8], length: usize) -> &[u8] {
    block.get(28..28 + length).unwrap_or_default()
}

/// Nanoseconds since 1970, of a time in the units of the interface.
fn nanoseconds(units: u128, options: &[InterfaceDescriptionOption<'_>]) -> u64 {
    let (mut resolution, mut offset_s) = (RESOLUTION, 0);
    for option in options {
        match option {
            InterfaceDescriptionOption::IfTsResol(resol) => resolution = *resol,
            InterfaceDescriptionOption::IfTsOffset(offset) => {
                offset_s = i64::from_ne_bytes(offset.to_ne_bytes())
            }
            _ => {}
        }
    }
    let exponent = u32::from(resolution & 0x7F);
    // Units of a power of ten, or of two, of a second.
    let per_second =
        if resolution & 0x80 == 0 { 10_u128.checked_pow(exponent) } else { 2_u128.checked_pow(exponent) };
    let ns = per_second.and_then(|per_second| units.checked_mul(NANOSECONDS)?.checked_div(per_second));
    let ns = i128::try_from(ns.unwrap_or_default()).unwrap_or_default();
    u64::try_from(ns + i128::from(offset_s) * NANOSECONDS as i128).unwrap_or_default()
}

fn pcap<'a>(capture: &'a [u8], mut take: impl FnMut(Packet<'a>)) -> Result<bool, ReadError> {
    let (mut rest, parser) = PcapParser::new(capture).map_err(|_| ReadError::NoCapture)?;
    let header = parser.header();
    let fraction_ns = match header.ts_resolution {
        TsResolution::MicroSecond => 1000,
        TsResolution::NanoSecond => 1,
    };
    while !rest.is_empty() {
        let offset = capture.len() - rest.len();
        let (behind, record) = match parser.next_raw_packet(rest) {
            Ok(next) => next,
            Err(PcapError::IncompleteBuffer) => return Ok(false),
            Err(source) => return Err(ReadError::Block { offset, source }),
        };
        let time_ns = u64::from(record.ts_sec) * 1_000_000_000 + u64::from(record.ts_frac) * fraction_ns;
        let octets = rest.get(16..16 + record.data.len()).unwrap_or_default();
        take(Packet { time_ns, link: header.datalink, octets });
        rest = behind;
    }
    Ok(true)
}

impl<'a> Packet<'a> {
    /// The TCP segment in the packet; `None` for other protocols, fragments, and what cannot be read.
    pub(super) fn segment(&self) -> Option<TcpSegment<'a>> {
        let octets = self.octets;
        let behind = |header: usize| octets.get(header..);
        let ethertype =
            |at: usize| octets.get(at..)?.first_chunk().map(|octets| EtherType(u16::from_be_bytes(*octets)));
        let sliced = match self.link {
            DataLink::ETHERNET => LaxSlicedPacket::from_ethernet(octets).ok()?,
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LaxSlicedPacket::from_ip(octets).ok()?,
            DataLink::NULL | DataLink::LOOP => LaxSlicedPacket::from_ip(behind(4)?).ok()?,
            DataLink::LINUX_SLL => LaxSlicedPacket::from_ether_type(ethertype(14)?, behind(16)?),
            DataLink::LINUX_SLL2 => LaxSlicedPacket::from_ether_type(ethertype(0)?, behind(20)?),
            _ => return None,
        };
        let (source, destination): (IpAddr, IpAddr) = match &sliced.net? {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
        Some(TcpSegment {
            source: SocketAddr::new(source, tcp.source_port()),
            destination: SocketAddr::new(destination, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: tcp.payload(),
        })
    }
}
