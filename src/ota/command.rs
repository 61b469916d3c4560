//! Command packets: what is sent to an application on a card, or by one (TS 102 225 §5.1).
//!
//! ```text
//! CPL(2) CHL(1) SPI1 SPI2 KIc KID TAR(3) | CNTR(5) PCNTR(1) check(0, RC 2 or 4, CC 4 or 8) data padding
//! ```
//! CPL counts what follows it, CHL the octets from SPI1 to the check. Ciphered is what stands after the bar. The check
//! covers everything but itself, padding included, and is computed before ciphering.

use std::fmt;

use super::fields::{Cntr, Tar};
use super::key_set::KeySet;
use super::packet::{
    Form, HEAD_LEN, Lengths, OpenError, SealError, Security, SecurityError, take, take_length,
};
use super::spi::{Spi1, Spi2};

const FORM: Form = Form { header_length: "CHL", header_length_base: 0x0D, not_sent: 0, clear: 10 };

/// The header of a command packet, without what follows from the data (lengths, padding, check).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandHeader {
    /// How the command is secured.
    pub spi1: Spi1,
    /// What response is asked for.
    pub spi2: Spi2,
    /// Key set number and algorithm of the ciphering key.
    pub kic: u8,
    /// Key set number and algorithm of the signing key, or the kind of RC.
    pub kid: u8,
    /// The application addressed.
    pub tar: Tar,
    /// Replay counter.
    pub cntr: Cntr,
}

impl CommandHeader {
    /// A header whose KIc and KID name `keys`, or with an RC the one agreed on for them.
    #[must_use]
    pub const fn new(spi1: Spi1, spi2: Spi2, keys: &KeySet, tar: Tar, cntr: Cntr) -> Self {
        Self { spi1, spi2, kic: keys.kic_octet(), kid: keys.kid_octet_for(spi1, spi2), tar, cntr }
    }
}

/// What anybody can read of a command packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearHeader {
    /// How the command claims to be secured.
    pub spi1: Spi1,
    /// What response it asks for.
    pub spi2: Spi2,
    /// Key set number and algorithm of the ciphering key.
    pub kic: u8,
    /// Key set number and algorithm of the signing key, or the kind of RC.
    pub kid: u8,
    /// The application addressed.
    pub tar: Tar,
    /// Replay counter, unless it is ciphered.
    pub cntr: Option<Cntr>,
}

/// A command packet that was opened. What its SPI1 claims held.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedCommand {
    /// The header.
    pub header: CommandHeader,
    /// The data without padding. It may hold secrets, so `Debug` shows its length only.
    pub data: Vec<u8>,
    /// Octets of padding that followed the data.
    pub pcntr: u8,
}

impl fmt::Debug for OpenedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedCommand")
            .field("header", &self.header)
            .field("data", &format_args!("[{} octets]", self.data.len()))
            .field("pcntr", &self.pcntr)
            .finish()
    }
}

/// Secures `data` as `header.spi1` asks and returns the packet from CPL on. The same input gives the same octets.
///
/// # Errors
/// [`SealError::Security`] if SPI1 asks for a DS, KID names no RC where one is asked for, or a key that is used is not the
/// one that KIc or KID name; [`SealError::TooLong`] if the packet exceeds its length field.
pub fn seal(header: &CommandHeader, keys: &KeySet, data: &[u8]) -> Result<Vec<u8>, SealError> {
    let security = security(header.spi1, header.kic, header.kid, keys)?;
    let lengths = security.lengths(data)?;
    let pcntr = lengths.pcntr;
    Ok(security.seal(&head(header, lengths), pcntr, data))
}

/// Opens a packet (from CPL on) at the level that its own SPI1 claims. Whether that level is enough is for the caller to
/// decide first, by [`peek`] and [`Spi1::meets`].
///
/// # Errors
/// [`OpenError`] if the packet is malformed, not for these keys, or changed.
pub fn open(packet: &[u8], keys: &KeySet) -> Result<OpenedCommand, OpenError> {
    let Clear { cpl, chl, spi1, spi2, kic, kid, tar, secured } = Clear::read(packet)?;
    let security = security(spi1, kic, kid, keys)?;
    let deciphered = security.decipher(chl, secured)?;
    let mut counters = deciphered.as_slice();
    let cntr = Cntr::from_octets(take(&mut counters, "CNTR")?);
    let [pcntr] = take(&mut counters, "PCNTR")?;
    let header = CommandHeader { spi1, spi2, kic, kid, tar, cntr };
    let head = head(&header, Lengths { packet: cpl, header: chl, pcntr });
    let data = security.data(&head, pcntr, deciphered)?;
    Ok(OpenedCommand { header, data, pcntr })
}

/// Reads what stands in clear in every command packet (from CPL on), and the CNTR of one that is not ciphered. Nothing of
/// it is proved.
///
/// # Errors
/// [`OpenError::TooShort`], [`OpenError::LengthMismatch`].
pub fn peek(packet: &[u8]) -> Result<ClearHeader, OpenError> {
    let Clear { spi1, spi2, kic, kid, tar, mut secured, .. } = Clear::read(packet)?;
    let cntr = Cntr::from_octets(take(&mut secured, "CNTR")?);
    Ok(ClearHeader { spi1, spi2, kic, kid, tar, cntr: (!spi1.ciphered()).then_some(cntr) })
}

/// The fields before the part that may be ciphered.
struct Clear<'a> {
    cpl: [u8; 2],
    chl: u8,
    spi1: Spi1,
    spi2: Spi2,
    kic: u8,
    kid: u8,
    tar: Tar,
    secured: &'a [u8],
}

impl<'a> Clear<'a> {
    fn read(packet: &'a [u8]) -> Result<Self, OpenError> {
        let mut rest = packet;
        let cpl = take_length(&mut rest, "CPL")?;
        let [chl] = take(&mut rest, "CHL")?;
        let [spi1, spi2] = take(&mut rest, "SPI")?;
        let [kic] = take(&mut rest, "KIc")?;
        let [kid] = take(&mut rest, "KID")?;
        let tar = Tar(take(&mut rest, "TAR")?);
        Ok(Self { cpl, chl, spi1: Spi1(spi1), spi2: Spi2(spi2), kic, kid, tar, secured: rest })
    }
}

/// Everything before the check: the first 16 octets that it covers, and of the packet.
const fn head(header: &CommandHeader, lengths: Lengths) -> [u8; HEAD_LEN] {
    let Lengths { packet: [l1, l2], header: chl, pcntr } = lengths;
    let CommandHeader { spi1, spi2, kic, kid, tar: Tar([t1, t2, t3]), cntr } = *header;
    let [c1, c2, c3, c4, c5] = cntr.octets();
    [l1, l2, chl, spi1.0, spi2.0, kic, kid, t1, t2, t3, c1, c2, c3, c4, c5, pcntr]
}

/// A key that is not used may be named in any way.
fn security(spi1: Spi1, kic: u8, kid: u8, keys: &KeySet) -> Result<Security<'_>, SecurityError> {
    if spi1.ciphered() {
        keys.check_kic(kic)?;
    }
    let check = keys.command_check(spi1, kid)?;
    Ok(Security { form: &FORM, keys, check, ciphered: spi1.ciphered() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ota::crc::Crc;
    use crate::ota::key::{Algorithm, Key};
    use crate::ota::spi::Integrity;

    const TAR: Tar = Tar([0xB0, 0x00, 0x11]);

    fn aes(version: u8, octet: u8) -> KeySet {
        let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
        KeySet::new(version, key(octet), key(octet + 1), 8).unwrap()
    }

    fn header(spi1: u8, keys: &KeySet) -> CommandHeader {
        CommandHeader::new(Spi1(spi1), Spi2::POR_CC_CIPHERED_BY_SUBMIT, keys, TAR, Cntr::ZERO)
    }

    fn key_sets() -> impl Strategy<Value = KeySet> {
        let algorithms = [
            (Algorithm::Aes, 16),
            (Algorithm::Aes, 24),
            (Algorithm::Aes, 32),
            (Algorithm::TripleDes2, 16),
            (Algorithm::TripleDes3, 24),
            (Algorithm::Des, 8),
        ];
        let key = || {
            (prop::sample::select(algorithms.to_vec()), any::<[u8; 32]>())
                .prop_map(|((algorithm, len), octets)| Key::new(algorithm, &octets[..len]).unwrap())
        };
        (key(), key(), 0u8..=15, any::<[bool; 3]>()).prop_map(
            |(kic, kid, version, [short_cc, ecb, crc_16])| {
                let cc_len = if short_cc && kid.algorithm() == Algorithm::Aes { 4 } else { 8 };
                let keys = KeySet::new(version, kic, kid, cc_len).unwrap();
                let keys = if crc_16 { keys.with_crc(Crc::Crc16) } else { keys };
                if ecb { keys.clone().in_ecb().unwrap_or(keys) } else { keys }
            },
        )
    }

    /// Every check that is built, with and without ciphering, any counter mode, any reserved bits.
    fn levels() -> impl Strategy<Value = u8> {
        any::<u8>().prop_filter("no signature", |spi1| Spi1(*spi1).integrity() != Integrity::Ds)
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(
            keys in key_sets(), spi1 in levels(), spi2: u8, tar: [u8; 3], cntr in 0u64..1 << 40,
            data in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let cntr = Cntr::try_from(cntr).unwrap();
            let header = CommandHeader::new(Spi1(spi1), Spi2(spi2), &keys, Tar(tar), cntr);
            let packet = seal(&header, &keys, &data).unwrap();
            let opened = open(&packet, &keys).unwrap();
            prop_assert_eq!((opened.header, opened.data), (header, data));
            prop_assert!(usize::from(opened.pcntr) < keys.block_len());
        }

        #[test]
        fn any_changed_bit_is_refused_under_a_cc(
            keys in key_sets(), ciphered: bool, data in prop::collection::vec(any::<u8>(), 0..60), at: prop::sample::Index,
        ) {
            let spi1 = if ciphered { Spi1::CC_CIPHERED_HIGHER } else { Spi1::CC_HIGHER };
            let mut packet = seal(&header(spi1.0, &keys), &keys, &data).unwrap();
            let bit = at.index(packet.len() * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&packet, &keys).is_err());
        }

        #[test]
        fn no_octets_panic(keys in key_sets(), packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = peek(&packet);
            let _ = open(&packet, &keys);
        }

        #[test]
        fn no_change_to_a_packet_panics(
            keys in key_sets(), spi1 in levels(), data in prop::collection::vec(any::<u8>(), 0..60),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), len: prop::sample::Index,
        ) {
            let mut packet = seal(&header(spi1, &keys), &keys, &data).unwrap();
            for (at, octet) in changes {
                let at = at.index(packet.len());
                packet[at] = octet;
            }
            packet.truncate(len.index(packet.len() + 1));
            // Also with a length field that fits, so that the fields behind it are reached.
            let mut fitting = packet.clone();
            let following = (packet.len().saturating_sub(2) as u16).to_be_bytes();
            fitting.iter_mut().zip(following).for_each(|(to, from)| *to = from);
            for packet in [packet, fitting] {
                let _ = peek(&packet);
                let _ = open(&packet, &keys);
            }
        }
    }

    #[test]
    fn every_truncation_names_its_field() {
        let keys = aes(1, 1);
        let packet = seal(&header(0x16, &keys), &keys, &[0xAA; 20]).unwrap();
        for len in 0..packet.len() {
            let error = open(&packet[..len], &keys).unwrap_err();
            let expected = match len {
                0 | 1 => OpenError::TooShort { field: "CPL", expected: 2, found: len },
                _ => OpenError::LengthMismatch { field: "CPL", said: packet.len() - 2, found: len - 2 },
            };
            assert_eq!(error, expected);
        }
        // With a CPL that fits, the field in which the octets end is named.
        for (len, field) in
            [(2, "CHL"), (4, "SPI"), (5, "KIc"), (6, "KID"), (8, "TAR"), (14, "CNTR"), (15, "PCNTR")]
        {
            let mut short = seal(&header(0x12, &keys), &keys, &[]).unwrap()[..len].to_vec();
            short[1] = len as u8 - 2;
            assert!(
                matches!(open(&short, &keys), Err(OpenError::TooShort { field: found, .. }) if found == field),
                "{len} octets: {:?}",
                open(&short, &keys)
            );
        }
    }

    #[test]
    fn only_the_named_key_set_opens() {
        let keys = aes(1, 1);
        let packet = seal(&header(0x16, &keys), &keys, b"data").unwrap();
        assert_eq!(open(&packet, &aes(1, 7)), Err(OpenError::BadChecksum));
        let other = SecurityError::OtherKeySet { field: "KIc", found: 0x12, expected: 0x22 };
        assert_eq!(open(&packet, &aes(2, 1)), Err(other.into()));
        let mut header = header(0x16, &keys);
        header.kid = 0x15;
        let other = SecurityError::OtherKeySet { field: "KID", found: 0x15, expected: 0x12 };
        assert_eq!(seal(&header, &keys, b"data"), Err(other.into()));
        // "Implicitly known" fits any algorithm.
        header.kid = 0x10;
        let packet = seal(&header, &keys, b"data").unwrap();
        assert_eq!(open(&packet, &keys).unwrap().header, header);
    }

    #[test]
    fn signatures_are_refused_by_name() {
        let keys = aes(1, 1);
        let unsupported = SecurityError::Unsupported(Integrity::Ds);
        assert_eq!(seal(&header(0x03, &keys), &keys, &[]), Err(unsupported.into()));
        let mut packet = seal(&header(0x00, &keys), &keys, &[]).unwrap();
        packet[3] = 0x03;
        assert_eq!(open(&packet, &keys), Err(unsupported.into()));
    }

    #[test]
    fn an_rc_is_the_one_that_kid_names() {
        let keys = aes(1, 1);
        let mut header = header(0x01, &keys);
        assert_eq!(header.kid, 0x15);
        assert_eq!(seal(&header, &keys, &[]).unwrap()[..3], [0x00, 0x12, 0x11]);
        // The key set has agreed on the other one.
        header.kid = 0x11;
        let packet = seal(&header, &keys, b"data").unwrap();
        assert_eq!(packet[..3], [0x00, 0x14, 0x0F]);
        assert_eq!(open(&packet, &keys).unwrap().data, b"data");
        header.kid = 0x12;
        assert_eq!(seal(&header, &keys, &[]), Err(SecurityError::NoCrc(0x12).into()));
    }

    #[test]
    fn a_header_length_of_another_level_is_refused() {
        let keys = aes(1, 1);
        let mut packet = seal(&header(0x12, &keys), &keys, &[]).unwrap();
        packet[2] = 0x11;
        let mismatch = OpenError::LevelMismatch { field: "CHL", expected: 0x15, found: 0x11 };
        assert_eq!(open(&packet, &keys), Err(mismatch));
    }

    #[test]
    fn ciphered_octets_are_whole_blocks_and_pcntr_fits_the_data() {
        let keys = aes(1, 1);
        let mut packet = seal(&header(0x04, &keys), &keys, &[0; 10]).unwrap();
        packet.push(0);
        packet[1] += 1;
        assert_eq!(open(&packet, &keys), Err(OpenError::BlockLength { block: 16, found: 17 }));
        let mut packet = seal(&header(0x00, &keys), &keys, &[0; 10]).unwrap();
        packet[15] = 11;
        assert_eq!(open(&packet, &keys), Err(OpenError::Padding { pcntr: 11, data: 10 }));
    }

    #[test]
    fn the_length_field_bounds_the_data() {
        let keys = aes(1, 1);
        let most = vec![0; 0xFFFF - 14];
        let packet = seal(&header(0x00, &keys), &keys, &most).unwrap();
        assert_eq!(open(&packet, &keys).unwrap().data.len(), most.len());
        let more = vec![0; most.len() + 1];
        assert_eq!(seal(&header(0x00, &keys), &keys, &more), Err(SealError::TooLong(0x1_0000)));
    }

    #[test]
    fn debug_output_shows_no_data() {
        let keys = aes(1, 1);
        let packet = seal(&header(0x16, &keys), &keys, &[0xCD; 3]).unwrap();
        let text = format!("{:?}", open(&packet, &keys).unwrap());
        assert!(text.contains("[3 octets]") && !text.contains("205"), "{text}");
    }
}
