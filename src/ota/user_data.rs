//! The user data of a short message with a header (TP-UD with TP-UDHI set; TS 23.040 §9.2.3.24), and what the header says
//! about the contents (TS 31.115 §4).
//!
//! ```text
//! UDHL(1) { IEI(1) IEDL(1) data(IEDL) }* payload
//! ```

/// Information element: concatenated short messages, 8-bit reference number.
const IEI_CONCATENATION_8: u8 = 0x00;
/// Information element: concatenated short messages, 16-bit reference number.
const IEI_CONCATENATION_16: u8 = 0x08;
/// Information element: the payload is a command packet (CPI).
pub(super) const IEI_COMMAND: u8 = 0x70;
/// Information element: the payload is a response packet (RPI).
pub(super) const IEI_RESPONSE: u8 = 0x71;

/// User data taken apart. Keeps every element in its order, so that `encode` gives the same octets again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserData {
    /// The information elements of the header.
    pub elements: Vec<Element>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// An information element of a user data header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Identifier.
    pub iei: u8,
    /// Contents, at most 253 octets (a header has at most 255).
    pub data: Vec<u8>,
}

/// Why octets are no user data with a header, or user data cannot be put into octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// The octets end inside this field.
    #[error("{field}: expected {expected} octets, found {found}")]
    TooShort {
        /// `UDHL`, `UDH`, `IEDL` or `IE data`.
        field: &'static str,
        /// Octets that the field has.
        expected: usize,
        /// Octets that were left.
        found: usize,
    },
    /// The elements do not fit a header.
    #[error("UDH: expected at most 255 octets, found {0}")]
    HeaderTooLong(usize),
}

/// What a short message carries, by the elements of its header and by nothing else: cards use many TP-PIDs and TP-DCSs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A command packet (element 70).
    Command,
    /// A response packet (element 71).
    Response,
    /// No secured packet, or a later part of one.
    Plain,
}

/// The reference number that the parts of one message share; 8 and 16 bits are different number spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// Element 00.
    Bits8(u8),
    /// Element 08.
    Bits16(u16),
}

/// Which part of which message this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concatenation {
    /// The message.
    pub reference: Reference,
    /// Parts of the message, 1 to 255.
    pub total: u8,
    /// This part, 1 to `total`.
    pub number: u8,
}

impl UserData {
    /// Takes apart the user data of a short message whose user data header indicator (TP-UDHI) is set.
    ///
    /// # Errors
    /// [`UserDataError::TooShort`] names the field in which the octets end.
    pub fn parse(octets: &[u8]) -> Result<Self, UserDataError> {
        let (udhl, rest) = split(octets, 1, "UDHL")?;
        let udhl = udhl.iter().map(|len| usize::from(*len)).sum();
        let (mut header, payload) = split(rest, udhl, "UDH")?;
        let mut elements = Vec::new();
        while let Some((&iei, rest)) = header.split_first() {
            let (&len, rest) =
                rest.split_first().ok_or(UserDataError::TooShort { field: "IEDL", expected: 1, found: 0 })?;
            let (data, rest) = split(rest, usize::from(len), "IE data")?;
            elements.push(Element { iei, data: data.to_vec() });
            header = rest;
        }
        Ok(Self { elements, payload: payload.to_vec() })
    }

    /// The octets, header first.
    ///
    /// # Errors
    /// [`UserDataError::HeaderTooLong`] if the elements take more than 255 octets.
    pub fn encode(&self) -> Result<Vec<u8>, UserDataError> {
        let udhl = self.elements.iter().map(|element| 2 + element.data.len()).sum();
        let mut octets = Vec::with_capacity(1 + udhl + self.payload.len());
        octets.push(u8::try_from(udhl).map_err(|_| UserDataError::HeaderTooLong(udhl))?);
        for Element { iei, data } in &self.elements {
            // Shorter than the header, whose length fits.
            octets.extend([*iei, data.len() as u8]);
            octets.extend_from_slice(data);
        }
        octets.extend_from_slice(&self.payload);
        Ok(octets)
    }

    /// What the message carries. Where both elements stand, the first one counts.
    #[must_use]
    pub fn content(&self) -> Content {
        self.elements
            .iter()
            .find_map(|element| match element.iei {
                IEI_COMMAND => Some(Content::Command),
                IEI_RESPONSE => Some(Content::Response),
                _ => None,
            })
            .unwrap_or(Content::Plain)
    }

    /// Which part of a message this is; `None` if it is whole. An element with impossible numbers is ignored, and of several
    /// the last one counts, as TS 23.040 §9.2.3.24 asks.
    #[must_use]
    pub fn concatenation(&self) -> Option<Concatenation> {
        self.elements.iter().rev().find_map(Concatenation::read)
    }
}

impl Concatenation {
    /// The octets of the element that says so, identifier and length first.
    pub(super) fn octets(self) -> Vec<u8> {
        let Self { reference, total, number } = self;
        match reference {
            Reference::Bits8(reference) => vec![IEI_CONCATENATION_8, 3, reference, total, number],
            Reference::Bits16(reference) => {
                let [high, low] = reference.to_be_bytes();
                vec![IEI_CONCATENATION_16, 4, high, low, total, number]
            }
        }
    }

    fn read(element: &Element) -> Option<Self> {
        let (reference, total, number) = match (element.iei, element.data.as_slice()) {
            (IEI_CONCATENATION_8, &[reference, total, number]) => {
                (Reference::Bits8(reference), total, number)
            }
            (IEI_CONCATENATION_16, &[high, low, total, number]) => {
                (Reference::Bits16(u16::from_be_bytes([high, low])), total, number)
            }
            _ => return None,
        };
        (1..=total).contains(&number).then_some(Self { reference, total, number })
    }
}

fn split<'a>(
    octets: &'a [u8],
    len: usize,
    field: &'static str,
) -> Result<(&'a [u8], &'a [u8]), UserDataError> {
    octets.split_at_checked(len).ok_or(UserDataError::TooShort { field, expected: len, found: octets.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kind_is_read_from_the_elements() {
        for (header, content) in [
            (&[2, 0x70, 0][..], Content::Command),
            (&[2, 0x71, 0], Content::Response),
            (&[7, 0, 3, 9, 2, 1, 0x71, 0], Content::Response),
            (&[7, 0x70, 0, 0, 3, 9, 2, 1], Content::Command),
            (&[5, 0, 3, 9, 2, 2], Content::Plain),
            (&[0], Content::Plain),
        ] {
            assert_eq!(UserData::parse(header).unwrap().content(), content, "{header:02X?}");
        }
    }

    #[test]
    fn concatenation_is_read_in_both_forms() {
        let read = |header: &[u8]| UserData::parse(header).unwrap().concatenation();
        let part = |reference, total, number| Some(Concatenation { reference, total, number });
        assert_eq!(read(&[5, 0, 3, 9, 2, 1]), part(Reference::Bits8(9), 2, 1));
        assert_eq!(read(&[6, 8, 4, 1, 2, 3, 3]), part(Reference::Bits16(0x0102), 3, 3));
        assert_eq!(
            read(&[10, 0, 3, 9, 2, 1, 0, 3, 8, 3, 2]),
            part(Reference::Bits8(8), 3, 2),
            "the last one counts"
        );
        for impossible in [[9, 0, 0], [9, 2, 0], [9, 2, 3]] {
            assert_eq!(read(&[&[5, 0, 3][..], &impossible].concat()), None, "{impossible:?}");
        }
        assert_eq!(read(&[4, 0, 2, 9, 2]), None, "wrong length");
    }

    #[test]
    fn malformed_headers_are_named() {
        let error = |field, expected, found| Err(UserDataError::TooShort { field, expected, found });
        assert_eq!(UserData::parse(&[]), error("UDHL", 1, 0));
        assert_eq!(UserData::parse(&[3, 0x70, 0]), error("UDH", 3, 2));
        assert_eq!(UserData::parse(&[1, 0x70]), error("IEDL", 1, 0));
        assert_eq!(UserData::parse(&[2, 0x70, 1, 0]), error("IE data", 1, 0));
        let long =
            UserData { elements: vec![Element { iei: 0xA0, data: vec![0; 254] }], payload: Vec::new() };
        assert_eq!(long.encode(), Err(UserDataError::HeaderTooLong(256)));
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_encoded_to_the_same_octets(octets in prop::collection::vec(any::<u8>(), 0..260)) {
            if let Ok(user_data) = UserData::parse(&octets) {
                let _ = (user_data.content(), user_data.concatenation());
                prop_assert_eq!(user_data.encode(), Ok(octets));
            }
        }

        #[test]
        fn what_is_encoded_is_parsed(
            elements in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..8),
            payload in prop::collection::vec(any::<u8>(), 0..140),
        ) {
            let elements = elements.into_iter().map(|(iei, data)| Element { iei, data }).collect();
            let user_data = UserData { elements, payload };
            prop_assert_eq!(UserData::parse(&user_data.encode().unwrap()), Ok(user_data));
        }
    }
}
