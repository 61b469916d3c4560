//! Response packets, the proof of receipt (PoR) of a command (TS 102 225 §5.2).
//!
//! ```text
//! RPL(2) RHL(1) TAR(3) | CNTR(5) PCNTR(1) RSC(1) check(0, RC 2 or 4, CC 4 or 8) data padding
//! ```
//! RPL counts what follows it, RHL the octets from TAR to the check. Ciphered is what stands after the bar. The check covers
//! everything but itself, padding included, and before it the three octets `02 71 00` of the user data header: always these
//! three, also when the response travelled in parts with other headers.
//!
//! A response does not say how it is secured. It is opened at the level that its command asked for, never at one that it
//! seems to have.

use std::fmt;

use super::fields::{Cntr, Tar};
use super::key_set::KeySet;
use super::packet::{
    Form, HEAD_LEN, Lengths, OpenError, SealError, Security, SecurityError, take, take_length, unpadded,
};
use super::spi::{Integrity, Spi2};

const FORM: Form = Form { header_length: "RHL", header_length_base: 0x0A, not_sent: UDH.len(), clear: 6 };
/// The user data header of an unsplit response.
const UDH: [u8; 3] = [0x02, 0x71, 0x00];

/// Response status code: what became of the command (TS 102 225 §5.2, table 5). Keeps every value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rsc(pub u8);

impl Rsc {
    /// Executed as far as the secured packet goes; a script inside may still have failed.
    pub const OK: Self = Self(0x00);
    /// RC, CC or DS failed.
    pub const CHECK_FAILED: Self = Self(0x01);
    /// The counter was not high enough.
    pub const CNTR_LOW: Self = Self(0x02);
    /// The counter was too high.
    pub const CNTR_HIGH: Self = Self(0x03);
    /// The counter is at its end.
    pub const CNTR_BLOCKED: Self = Self(0x04);
    /// Deciphering failed.
    pub const CIPHERING_ERROR: Self = Self(0x05);
    /// Security error that the card does not name.
    pub const SECURITY_ERROR: Self = Self(0x06);
    /// Not enough memory for the message.
    pub const NO_MEMORY: Self = Self(0x07);
    /// The card needs more time.
    pub const MORE_TIME: Self = Self(0x08);
    /// No application has this TAR.
    pub const TAR_UNKNOWN: Self = Self(0x09);
    /// The application asks for a higher security level.
    pub const LEVEL_TOO_LOW: Self = Self(0x0A);
    /// The real response follows by SMS-SUBMIT.
    pub const FOLLOWS_BY_SUBMIT: Self = Self(0x0B);
    /// The real response follows by USSD.
    pub const FOLLOWS_BY_USSD: Self = Self(0x0C);

    /// The meaning in words; `None` for a value that the specification does not define.
    #[must_use]
    pub const fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::OK => "PoR OK",
            Self::CHECK_FAILED => "RC/CC/DS failed",
            Self::CNTR_LOW => "CNTR low",
            Self::CNTR_HIGH => "CNTR high",
            Self::CNTR_BLOCKED => "CNTR blocked",
            Self::CIPHERING_ERROR => "ciphering error",
            Self::SECURITY_ERROR => "unidentified security error",
            Self::NO_MEMORY => "insufficient memory",
            Self::MORE_TIME => "more time needed",
            Self::TAR_UNKNOWN => "TAR unknown",
            Self::LEVEL_TOO_LOW => "insufficient security level",
            Self::FOLLOWS_BY_SUBMIT => "response follows by SMS-SUBMIT",
            Self::FOLLOWS_BY_USSD => "response follows by USSD",
            Self(_) => return None,
        })
    }
}

impl fmt::Display for Rsc {
    /// Two hexadecimal digits and the meaning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X} {}", self.0, self.meaning().unwrap_or("undefined"))
    }
}

impl fmt::Debug for Rsc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsc({self})")
    }
}

/// The header of a response packet, without what follows from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The application that answers: that of the command.
    pub tar: Tar,
    /// The counter of the command.
    pub cntr: Cntr,
    /// What became of the command.
    pub rsc: Rsc,
}

/// A response packet that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedResponse {
    /// The application that answers.
    pub tar: Tar,
    /// The counter of the command answered.
    pub cntr: Cntr,
    /// What became of the command.
    pub rsc: Rsc,
    /// Additional response data without padding.
    pub data: Vec<u8>,
    /// Whether a CC proved that the card sent it. If not, all of it is a hint.
    pub protected: bool,
}

/// Secures a response as the SPI2 of its command `asked` and returns the packet from RPL on. An RC is the one agreed on for
/// `keys` ([`KeySet::with_crc`]).
///
/// # Errors
/// [`SealError::Security`] for DS, [`SealError::TooLong`] if the packet exceeds its length field.
pub fn seal(header: &ResponseHeader, asked: Spi2, keys: &KeySet, data: &[u8]) -> Result<Vec<u8>, SealError> {
    let security = security(asked, keys)?;
    let lengths = security.lengths(data)?;
    let pcntr = lengths.pcntr;
    Ok(security.seal(&head(header, lengths), pcntr, data))
}

/// Opens a packet (from RPL on) at the level that the SPI2 of its command `asked` for. A packet with less is refused, also
/// when it reports an error in clear; [`read_clear`] reads that one as the hint it is. An RC is the one agreed on for `keys`
/// ([`KeySet::with_crc`]).
///
/// # Errors
/// [`OpenError`] if the packet is malformed, not at this level, not under these keys, or changed.
pub fn open(packet: &[u8], asked: Spi2, keys: &KeySet) -> Result<OpenedResponse, OpenError> {
    let Clear { rpl, rhl, tar, secured } = Clear::read(packet)?;
    let security = security(asked, keys)?;
    let deciphered = security.decipher(rhl, secured)?;
    let Status { cntr, pcntr, rsc, .. } = Status::read(&deciphered)?;
    let head = head(&ResponseHeader { tar, cntr, rsc }, Lengths { packet: rpl, header: rhl, pcntr });
    let data = security.data(&head, pcntr, deciphered)?;
    Ok(OpenedResponse { tar, cntr, rsc, data, protected: asked.por_integrity() == Integrity::Cc })
}

/// Reads the TAR of a packet (from RPL on), which always stands in clear. Nothing is proved by it.
///
/// # Errors
/// [`OpenError::TooShort`], [`OpenError::LengthMismatch`].
pub fn peek(packet: &[u8]) -> Result<Tar, OpenError> {
    Clear::read(packet).map(|clear| clear.tar)
}

/// Reads a packet (from RPL on) that carries no check, as if it were not ciphered either: what a card sends that cannot or
/// will not use its keys. `protected` is false: it is a hint about a failure and never proof of success.
///
/// # Errors
/// [`OpenError::LevelMismatch`] if the packet carries a check; other [`OpenError`]s if it is malformed.
pub fn read_clear(packet: &[u8]) -> Result<OpenedResponse, OpenError> {
    let Clear { rhl, tar, secured, .. } = Clear::read(packet)?;
    let expected = FORM.header_length_base;
    if rhl != expected {
        return Err(OpenError::LevelMismatch { field: FORM.header_length, expected, found: rhl });
    }
    let Status { cntr, pcntr, rsc, rest } = Status::read(secured)?;
    let data = rest.iter().copied().take(unpadded(rest.len(), pcntr)?).collect();
    Ok(OpenedResponse { tar, cntr, rsc, data, protected: false })
}

/// The fields before the part that may be ciphered.
struct Clear<'a> {
    rpl: [u8; 2],
    rhl: u8,
    tar: Tar,
    secured: &'a [u8],
}

impl<'a> Clear<'a> {
    fn read(packet: &'a [u8]) -> Result<Self, OpenError> {
        let mut rest = packet;
        let rpl = take_length(&mut rest, "RPL")?;
        let [rhl] = take(&mut rest, "RHL")?;
        let tar = Tar(take(&mut rest, "TAR")?);
        Ok(Self { rpl, rhl, tar, secured: rest })
    }
}

/// The fields after the TAR, deciphered.
struct Status<'a> {
    cntr: Cntr,
    pcntr: u8,
    rsc: Rsc,
    rest: &'a [u8],
}

impl<'a> Status<'a> {
    fn read(secured: &'a [u8]) -> Result<Self, OpenError> {
        let mut rest = secured;
        let cntr = Cntr::from_octets(take(&mut rest, "CNTR")?);
        let [pcntr] = take(&mut rest, "PCNTR")?;
        let [rsc] = take(&mut rest, "RSC")?;
        Ok(Self { cntr, pcntr, rsc: Rsc(rsc), rest })
    }
}

/// The user data header and everything before the check: the first 16 octets that it covers.
const fn head(header: &ResponseHeader, lengths: Lengths) -> [u8; HEAD_LEN] {
    let [u1, u2, u3] = UDH;
    let Lengths { packet: [l1, l2], header: rhl, pcntr } = lengths;
    let ResponseHeader { tar: Tar([t1, t2, t3]), cntr, rsc } = *header;
    let [c1, c2, c3, c4, c5] = cntr.octets();
    [u1, u2, u3, l1, l2, rhl, t1, t2, t3, c1, c2, c3, c4, c5, pcntr, rsc.0]
}

fn security(asked: Spi2, keys: &KeySet) -> Result<Security<'_>, SecurityError> {
    Ok(Security { form: &FORM, keys, check: keys.response_check(asked)?, ciphered: asked.por_ciphered() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ota::crc::Crc;
    use crate::ota::key::{Algorithm, Key};

    const HEADER: ResponseHeader =
        ResponseHeader { tar: Tar([0xB0, 0x00, 0x11]), cntr: Cntr::ZERO, rsc: Rsc::OK };

    fn keys(algorithm: Algorithm) -> KeySet {
        let octets = match algorithm {
            Algorithm::Aes | Algorithm::TripleDes2 => 16,
            Algorithm::TripleDes3 => 24,
            Algorithm::Des => 8,
        };
        let key = |octet| Key::new(algorithm, &[octet; 24][..octets]).unwrap();
        KeySet::new(1, key(1), key(2), 8).unwrap()
    }

    /// Every check that is built, with and without ciphering, any reserved bits.
    fn asked() -> impl Strategy<Value = Spi2> {
        any::<u8>().prop_map(Spi2).prop_filter("no signature", |asked| asked.por_integrity() != Integrity::Ds)
    }

    fn algorithms() -> impl Strategy<Value = Algorithm> {
        prop::sample::select(&Algorithm::ALL[..])
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(
            algorithm in algorithms(), asked in asked(), tar: [u8; 3], cntr in 0u64..1 << 40, rsc: u8,
            data in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let header = ResponseHeader { tar: Tar(tar), cntr: Cntr::try_from(cntr).unwrap(), rsc: Rsc(rsc) };
            let packet = seal(&header, asked, &keys(algorithm), &data).unwrap();
            let opened = open(&packet, asked, &keys(algorithm)).unwrap();
            prop_assert_eq!((opened.tar, opened.cntr, opened.rsc), (header.tar, header.cntr, header.rsc));
            prop_assert_eq!(opened.data, data);
            prop_assert_eq!(opened.protected, asked.por_integrity() == Integrity::Cc);
        }

        #[test]
        fn any_changed_bit_is_refused_under_a_cc(
            algorithm in algorithms(), ciphered: bool, data in prop::collection::vec(any::<u8>(), 0..60),
            at: prop::sample::Index,
        ) {
            let asked = if ciphered { Spi2(0x39) } else { Spi2(0x29) };
            let mut packet = seal(&HEADER, asked, &keys(algorithm), &data).unwrap();
            let bit = at.index(packet.len() * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&packet, asked, &keys(algorithm)).is_err());
        }

        #[test]
        fn no_octets_panic(asked: u8, packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = peek(&packet);
            let _ = read_clear(&packet);
            let _ = open(&packet, Spi2(asked), &keys(Algorithm::Aes));
        }

        #[test]
        fn no_change_to_a_packet_panics(
            algorithm in algorithms(), asked in asked(), data in prop::collection::vec(any::<u8>(), 0..60),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), len: prop::sample::Index,
        ) {
            let mut packet = seal(&HEADER, asked, &keys(algorithm), &data).unwrap();
            for (at, octet) in changes {
                let at = at.index(packet.len());
                packet[at] = octet;
            }
            packet.truncate(len.index(packet.len() + 1));
            // With a length field that fits, so that the fields behind it are reached.
            let following = (packet.len().saturating_sub(2) as u16).to_be_bytes();
            packet.iter_mut().zip(following).for_each(|(to, from)| *to = from);
            let _ = peek(&packet);
            let _ = read_clear(&packet);
            let _ = open(&packet, asked, &keys(algorithm));
        }
    }

    #[test]
    fn a_level_below_the_asked_one_is_refused() {
        let keys = keys(Algorithm::Aes);
        let asked = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        let clear = seal(&HEADER, Spi2(0x21), &keys, &[1]).unwrap();
        let mismatch = OpenError::LevelMismatch { field: "RHL", expected: 0x12, found: 0x0A };
        assert_eq!(open(&clear, asked, &keys), Err(mismatch));
        // Signed in clear although ciphering was asked too.
        let signed = seal(&HEADER, Spi2(0x29), &keys, &[1; 8]).unwrap();
        assert!(open(&signed, asked, &keys).is_err());
        // Ciphered without a CC.
        let ciphered = seal(&HEADER, Spi2(0x31), &keys, &[1]).unwrap();
        assert_eq!(open(&ciphered, asked, &keys), Err(mismatch));
    }

    #[test]
    fn a_clear_error_is_read_as_a_hint_only() {
        let keys = keys(Algorithm::Aes);
        let header = ResponseHeader { rsc: Rsc::TAR_UNKNOWN, ..HEADER };
        let clear = seal(&header, Spi2(0x21), &keys, &[1]).unwrap();
        let hint = read_clear(&clear).unwrap();
        assert_eq!((hint.rsc, hint.data.as_slice(), hint.protected), (Rsc::TAR_UNKNOWN, &[1][..], false));
        let signed = seal(&header, Spi2(0x29), &keys, &[1]).unwrap();
        assert!(matches!(read_clear(&signed), Err(OpenError::LevelMismatch { .. })));
    }

    #[test]
    fn every_field_is_named_where_the_octets_end() {
        let keys = keys(Algorithm::Aes);
        for (len, field) in
            [(1, "RPL"), (2, "RHL"), (5, "TAR"), (8, "CNTR"), (11, "PCNTR"), (12, "RSC"), (20, "CC")]
        {
            let mut short = seal(&HEADER, Spi2(0x29), &keys, &[]).unwrap()[..len].to_vec();
            if let Some(low) = short.get_mut(1) {
                *low = len as u8 - 2;
            }
            assert!(
                matches!(open(&short, Spi2(0x29), &keys), Err(OpenError::TooShort { field: found, .. }) if found == field),
                "{len} octets: {:?}",
                open(&short, Spi2(0x29), &keys)
            );
        }
    }

    #[test]
    fn signatures_are_refused_by_name() {
        let keys = keys(Algorithm::Aes);
        let unsupported = SecurityError::Unsupported(Integrity::Ds);
        assert_eq!(seal(&HEADER, Spi2(0x0D), &keys, &[]), Err(unsupported.into()));
        let clear = seal(&HEADER, Spi2(0x01), &keys, &[]).unwrap();
        assert_eq!(open(&clear, Spi2(0x0D), &keys), Err(unsupported.into()));
    }

    #[test]
    fn an_rc_is_the_one_agreed_on() {
        let keys = keys(Algorithm::Aes);
        let asked = Spi2(0x25);
        let packet = seal(&HEADER, asked, &keys, b"data").unwrap();
        assert_eq!(packet[..3], [0x00, 0x13, 0x0E]);
        let opened = open(&packet, asked, &keys).unwrap();
        assert_eq!((opened.data.as_slice(), opened.protected), (&b"data"[..], false), "it proves nothing");
        let crc_16 = keys.with_crc(Crc::Crc16);
        let mismatch = OpenError::LevelMismatch { field: "RHL", expected: 0x0C, found: 0x0E };
        assert_eq!(open(&packet, asked, &crc_16), Err(mismatch));
        assert_eq!(seal(&HEADER, asked, &crc_16, b"data").unwrap()[..3], [0x00, 0x11, 0x0C]);
    }

    #[test]
    fn status_codes_have_names() {
        assert_eq!(Rsc::CNTR_LOW.to_string(), "02 CNTR low");
        assert_eq!(Rsc(0x7F).to_string(), "7F undefined");
    }
}
