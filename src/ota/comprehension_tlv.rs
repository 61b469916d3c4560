//! The data objects of the terminal's toolkit interface: COMPREHENSION-TLV (TS 101 220 §7.1.1, TS 102 223 §8) and the
//! BER-TLV with a one-octet tag that wraps them.
//!
//! Lengths are one octet up to 127, else `81 xx`, `82 xx xx` or `83 xx xx xx`; written as short as possible,
//! read in any of these forms. The indefinite form is no length here.

/// Tags of COMPREHENSION-TLV objects without the comprehension flag (TS 101 220 §7.2).
pub mod tag {
    /// Command details: number, type, qualifier.
    pub const COMMAND_DETAILS: u16 = 0x01;
    /// Device identities: source, destination.
    pub const DEVICE_IDENTITIES: u16 = 0x02;
    /// Result of a proactive command.
    pub const RESULT: u16 = 0x03;
    /// Duration.
    pub const DURATION: u16 = 0x04;
    /// Alpha identifier.
    pub const ALPHA_IDENTIFIER: u16 = 0x05;
    /// Address: TON/NPI and digits.
    pub const ADDRESS: u16 = 0x06;
    /// SMS TPDU.
    pub const SMS_TPDU: u16 = 0x0B;
    /// Text string.
    pub const TEXT_STRING: u16 = 0x0D;
    /// File list.
    pub const FILE_LIST: u16 = 0x12;
    /// Location information.
    pub const LOCATION_INFORMATION: u16 = 0x13;
    /// IMEI, as a mobile identity.
    pub const IMEI: u16 = 0x14;
    /// Event list.
    pub const EVENT_LIST: u16 = 0x19;
    /// Location status.
    pub const LOCATION_STATUS: u16 = 0x1B;
}

/// Tags of the BER-TLV templates (TS 101 220 §7.2).
pub mod template {
    /// Proactive command, from the card.
    pub const PROACTIVE_COMMAND: u8 = 0xD0;
    /// SMS-PP download, in an ENVELOPE to the card.
    pub const SMS_PP_DOWNLOAD: u8 = 0xD1;
    /// Event download, in an ENVELOPE to the card.
    pub const EVENT_DOWNLOAD: u8 = 0xD6;
}

/// Types of proactive command, in [`tag::COMMAND_DETAILS`] (TS 102 223 §9.4).
pub mod command {
    /// REFRESH.
    pub const REFRESH: u8 = 0x01;
    /// SET UP EVENT LIST.
    pub const SET_UP_EVENT_LIST: u8 = 0x05;
    /// SEND SHORT MESSAGE.
    pub const SEND_SHORT_MESSAGE: u8 = 0x13;
    /// PROVIDE LOCAL INFORMATION.
    pub const PROVIDE_LOCAL_INFORMATION: u8 = 0x26;
    /// Qualifier of PROVIDE LOCAL INFORMATION that asks for the IMEI (TS 102 223 §8.6).
    pub const LOCAL_INFORMATION_IMEI: u8 = 0x01;
}

/// Device identities, in [`tag::DEVICE_IDENTITIES`] (TS 102 223 §8.7).
pub mod device {
    /// The card.
    pub const UICC: u8 = 0x81;
    /// The terminal.
    pub const TERMINAL: u8 = 0x82;
    /// The network.
    pub const NETWORK: u8 = 0x83;
}

/// Events, in [`tag::EVENT_LIST`] (TS 102 223 §8.25).
pub mod event {
    /// The location status has changed.
    pub const LOCATION_STATUS: u8 = 0x03;
}

/// A COMPREHENSION-TLV data object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComprehensionTlv<'a> {
    /// Tag without the comprehension flag: 01 to 7E in one octet, others in three.
    pub tag: u16,
    /// Whether the receiver has to understand the object (CR).
    pub comprehension_required: bool,
    /// Value.
    pub value: &'a [u8],
}

/// A BER-TLV data object with a tag of one octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BerTlv<'a> {
    /// Tag.
    pub tag: u8,
    /// Value.
    pub value: &'a [u8],
}

/// Why octets are no TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The octets end inside a tag or a length.
    #[error("TLV: ends inside the {0}")]
    Ends(&'static str),
    /// 00, 80 and FF are no tags.
    #[error("TLV: {0:#04X} is no tag")]
    Tag(u8),
    /// The first octet of the length is 80 or above 83.
    #[error("TLV: {0:#04X} begins no length")]
    Length(u8),
    /// The value is shorter than its length says.
    #[error("TLV: expected {expected} octets of value, found {found}")]
    Value {
        /// What the length says.
        expected: usize,
        /// Octets that are left.
        found: usize,
    },
}

/// Reads all the COMPREHENSION-TLV objects that `octets` consist of, in their order.
///
/// # Errors
/// [`TlvError`] for the first one that is malformed.
pub fn read_all(octets: &[u8]) -> Result<Vec<ComprehensionTlv<'_>>, TlvError> {
    let mut objects = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let (tag, comprehension_required) = take_tag(&mut rest)?;
        let value = take_value(&mut rest)?;
        objects.push(ComprehensionTlv { tag, comprehension_required, value });
    }
    Ok(objects)
}

/// The value of the first object with this tag.
#[must_use]
pub fn find<'a>(objects: &[ComprehensionTlv<'a>], tag: u16) -> Option<&'a [u8]> {
    objects.iter().find(|object| object.tag == tag).map(|object| object.value)
}

/// Appends a COMPREHENSION-TLV object.
pub fn put(out: &mut Vec<u8>, tag: u16, comprehension_required: bool, value: &[u8]) {
    let [high, low] = tag.to_be_bytes();
    match tag {
        0x01..=0x7E => out.push(low | u8::from(comprehension_required) << 7),
        _ => out.extend([0x7F, high & 0x7F | u8::from(comprehension_required) << 7, low]),
    }
    put_value(out, value);
}

/// Reads one BER-TLV object and returns it with what follows it.
///
/// # Errors
/// [`TlvError`].
pub fn read_ber(octets: &[u8]) -> Result<(BerTlv<'_>, &[u8]), TlvError> {
    let (&tag, mut rest) = octets.split_first().ok_or(TlvError::Ends("tag"))?;
    let value = take_value(&mut rest)?;
    Ok((BerTlv { tag, value }, rest))
}

/// Appends a BER-TLV object.
pub fn put_ber(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    put_value(out, value);
}

fn take_tag(rest: &mut &[u8]) -> Result<(u16, bool), TlvError> {
    let (&first, after) = rest.split_first().ok_or(TlvError::Ends("tag"))?;
    let (tag, flagged, after) = match first {
        0x00 | 0x80 | 0xFF => return Err(TlvError::Tag(first)),
        0x7F => {
            let (&[high, low], after) = after.split_first_chunk().ok_or(TlvError::Ends("tag"))?;
            (u16::from_be_bytes([high & 0x7F, low]), high, after)
        }
        _ => (u16::from(first & 0x7F), first, after),
    };
    *rest = after;
    Ok((tag, flagged & 0x80 != 0))
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], TlvError> {
    let (&first, after) = rest.split_first().ok_or(TlvError::Ends("length"))?;
    let extra = match first {
        0x00..=0x7F => 0,
        0x81..=0x83 => usize::from(first & 0x0F),
        _ => return Err(TlvError::Length(first)),
    };
    let (length, after) = after.split_at_checked(extra).ok_or(TlvError::Ends("length"))?;
    let expected = match extra {
        0 => usize::from(first),
        _ => length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)),
    };
    let (value, after) =
        after.split_at_checked(expected).ok_or(TlvError::Value { expected, found: after.len() })?;
    *rest = after;
    Ok(value)
}

fn put_value(out: &mut Vec<u8>, value: &[u8]) {
    match value.len() {
        short @ 0..=0x7F => out.push(short as u8),
        long => {
            let octets = long.to_be_bytes();
            let significant = octets.iter().skip_while(|octet| **octet == 0);
            out.push(0x80 | significant.clone().count() as u8);
            out.extend(significant);
        }
    }
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_envelope_is_written_as_the_specification_shows_it() {
        let mut objects = Vec::new();
        put(&mut objects, tag::DEVICE_IDENTITIES, true, &[0x83, 0x81]);
        put(&mut objects, tag::SMS_TPDU, true, &[0xAA; 130]);
        let mut envelope = Vec::new();
        put_ber(&mut envelope, template::SMS_PP_DOWNLOAD, &objects);
        assert_eq!(envelope[..11], [0xD1, 0x81, 137, 0x82, 0x02, 0x83, 0x81, 0x8B, 0x81, 130, 0xAA]);

        let (template, rest) = read_ber(&envelope).unwrap();
        assert_eq!((template.tag, rest.len()), (0xD1, 0));
        let objects = read_all(template.value).unwrap();
        assert_eq!(find(&objects, tag::DEVICE_IDENTITIES), Some(&[0x83, 0x81][..]));
        assert_eq!(find(&objects, tag::SMS_TPDU).map(<[u8]>::len), Some(130));
        assert!(objects.iter().all(|object| object.comprehension_required));
        assert_eq!(find(&objects, tag::RESULT), None);
    }

    #[test]
    fn every_form_of_length_is_read() {
        for length in [&[3][..], &[0x81, 3], &[0x82, 0, 3], &[0x83, 0, 0, 3]] {
            let octets = [&[0x05], length, &[1, 2, 3]].concat();
            assert_eq!(read_all(&octets).unwrap()[0].value, [1, 2, 3]);
        }
    }

    #[test]
    fn malformed_objects_are_named() {
        assert_eq!(read_all(&[0x05]), Err(TlvError::Ends("length")));
        assert_eq!(read_all(&[0x05, 0x82, 0]), Err(TlvError::Ends("length")));
        assert_eq!(read_all(&[0x7F, 1]), Err(TlvError::Ends("tag")));
        assert_eq!(read_all(&[0x05, 0x80]), Err(TlvError::Length(0x80)));
        assert_eq!(read_all(&[0x05, 0x84, 0, 0, 0, 0]), Err(TlvError::Length(0x84)));
        assert_eq!(read_all(&[0x05, 2, 1]), Err(TlvError::Value { expected: 2, found: 1 }));
        for tag in [0x00, 0x80, 0xFF] {
            assert_eq!(read_all(&[tag, 0]), Err(TlvError::Tag(tag)));
        }
        assert_eq!(read_ber(&[]), Err(TlvError::Ends("tag")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tag in 1u16..0x8000, flag: bool, value in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut octets = Vec::new();
            put(&mut octets, tag, flag, &value);
            let object = ComprehensionTlv { tag, comprehension_required: flag, value: &value };
            prop_assert_eq!(read_all(&octets), Ok(vec![object]));
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_all(&octets);
            let _ = read_ber(&octets);
        }
    }
}
