//! Keys that the card agreed on with a network: EF.Keys, EF.KeysPS, EF.EPSNSC and their kin of 5G. They are worthless in a
//! new subscription and are taken away with the old one.

use std::fmt;

use zeroize::Zeroizing;

use super::{BLANK, Ef, EfError, Fields};
use crate::ota::comprehension_tlv::{BerTlv, read_ber};

/// The key set identifier that says that there are no keys.
const NO_KEYS: u8 = 0x07;

/// EF.Keys or EF.KeysPS (TS 31.102 §4.2.3, §4.2.4): key set identifier, CK and IK. Wiped when dropped, and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Key set identifier: which authentication they are from, 0 to 6; 7 for none.
    identifier: u8,
    keys: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// No keys.
    #[must_use]
    pub fn none() -> Self {
        Self { identifier: NO_KEYS, keys: Zeroizing::new([BLANK; 32]) }
    }

    pub(super) fn decode(file: Ef, octets: &[u8]) -> Result<Self, EfError> {
        let wrong = EfError::Length { file, expected: file.length(), found: octets.len() };
        let (&identifier, keys) = octets.split_first().ok_or(wrong)?;
        Ok(Self { identifier, keys: Zeroizing::new(keys.try_into().map_err(|_| wrong)?) })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&[self.identifier], &self.keys[..]].concat()
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        let none = if self.identifier == NO_KEYS { " no keys" } else { "" };
        fields.put("key set identifier", 1, format_args!("{:02X}{none}", self.identifier));
        fields.put_secret("CK", 16);
        fields.put_secret("IK", 16);
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:02X}, ..)", self.identifier)
    }
}

/// A security context of EPS or 5GS in a template A0 (TS 31.102 §4.2.92, §4.4.11.4), or the objects of EF.5GAUTHKEYS. Wiped
/// when dropped, and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecurityContext {
    octets: Zeroizing<Vec<u8>>,
    file: Ef,
}

/// Names of the objects in a template, and whether they are keys.
const OBJECTS: [(u8, &str, bool); 6] = [
    (0x80, "key set identifier", false),
    (0x81, "key", true),
    (0x82, "uplink NAS count", false),
    (0x83, "downlink NAS count", false),
    (0x84, "NAS algorithms", false),
    (0x85, "EPS NAS algorithms", false),
];
const TEMPLATE: u8 = 0xA0;

impl SecurityContext {
    pub(super) fn decode(file: Ef, octets: &[u8]) -> Result<Self, EfError> {
        let context = Self { octets: Zeroizing::new(octets.to_vec()), file };
        context.objects()?;
        Ok(context)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.octets.to_vec()
    }

    /// The objects up to the fillers, each with the octets of its tag, length and value. None for EF.5GAUTHKEYS, all of which
    /// is keys.
    fn objects(&self) -> Result<Vec<(usize, BerTlv<'_>)>, EfError> {
        if self.file == Ef::FiveGAuthKeys {
            return Ok(Vec::new());
        }
        let (template, _) = read_ber(&self.octets)?;
        let mut rest = if template.tag == TEMPLATE { template.value } else { &[] };
        let mut objects = Vec::new();
        while !matches!(rest.first(), None | Some(&BLANK)) {
            let (object, after) = read_ber(rest)?;
            objects.push((rest.len() - after.len(), object));
            rest = after;
        }
        Ok(objects)
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        let objects = self.objects().unwrap_or_default();
        let inside: usize = objects.iter().map(|(length, _)| length).sum();
        let head = match read_ber(&self.octets) {
            Ok((template, rest)) if inside > 0 => self.octets.len() - rest.len() - template.value.len(),
            _ => 0,
        };
        fields.put("template", head, format_args!("{TEMPLATE:02X}"));
        for (length, object) in objects {
            match OBJECTS.iter().find(|(tag, ..)| *tag == object.tag) {
                Some((_, name, false)) => fields.put(name, length, hex::encode_upper(object.value)),
                Some((_, name, true)) => fields.put_secret(name, length),
                None => fields.put_secret("object", length),
            }
        }
        fields
            .put_secret(if inside > 0 { "behind it" } else { "contents" }, self.octets.len() - head - inside);
    }
}

impl fmt::Debug for SecurityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecurityContext({} octets)", self.octets.len())
    }
}
