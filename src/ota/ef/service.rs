//! What a terminal needs for service: EF.AD, EF.ACC, EF.SPN (TS 31.102 §4.2.18, §4.2.15, §4.2.12).

use std::fmt;

use super::{Ef, EfError, Fields, alpha};
use crate::identity::Imsi;

/// Octets of a name in EF.SPN.
const NAME_LEN: usize = 16;

/// EF.AD, administrative data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ad {
    /// How the terminal works: 00 normal; 80, 01, 81, 02, 04 are for type approval, facilities, maintenance and cell test.
    pub operation_mode: u8,
    /// Additional information, by operation mode.
    pub additional: [u8; 2],
    /// The fourth octet, see [`Ad::mnc_digits`].
    pub mnc_length: u8,
    /// Octets of later releases.
    pub rest: Vec<u8>,
}

impl Ad {
    /// Normal operation; the network code in the IMSI has `mnc_digits` digits.
    #[must_use]
    pub const fn normal(mnc_digits: u8) -> Self {
        Self { operation_mode: 0, additional: [0; 2], mnc_length: mnc_digits, rest: Vec::new() }
    }

    /// Digits of the network code in the IMSI; `None` where the file does not say 2 or 3.
    #[must_use]
    pub const fn mnc_digits(&self) -> Option<u8> {
        match self.mnc_length & 0x0F {
            digits @ (2 | 3) => Some(digits),
            _ => None,
        }
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, EfError> {
        let wrong = EfError::Length { file: Ef::Ad, expected: Ef::Ad.length(), found: octets.len() };
        let (&[operation_mode, high, low, mnc_length], rest) = octets.split_first_chunk().ok_or(wrong)?;
        Ok(Self { operation_mode, additional: [high, low], mnc_length, rest: rest.to_vec() })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let [high, low] = self.additional;
        [&[self.operation_mode, high, low, self.mnc_length], &self.rest[..]].concat()
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        let mode = match self.operation_mode {
            0x00 => "normal",
            0x80 => "type approval",
            0x01 => "normal, specific facilities",
            0x81 => "type approval, specific facilities",
            0x02 => "maintenance",
            0x04 => "cell test",
            _ => "reserved",
        };
        fields.put("UE operation mode", 1, format_args!("{:02X} {mode}", self.operation_mode));
        fields.put_octets("additional information", &self.additional);
        let digits = self.mnc_digits().map_or_else(
            || format!("{:02X} not 2 or 3", self.mnc_length),
            |digits| format!("{digits} digits"),
        );
        fields.put("length of MNC in the IMSI", 1, digits);
        fields.put_octets("RFU", &self.rest);
    }
}

/// EF.ACC: the access control classes 0 to 15 as bits (TS 22.011 §4.2). As text their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acc(pub u16);

impl Acc {
    /// The class of an ordinary subscription: the last digit of its IMSI.
    #[must_use]
    pub fn of_imsi(imsi: &Imsi) -> Self {
        let class = imsi.as_str().bytes().last().map_or(0, |digit| digit & 0x0F);
        Self(1 << class)
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, EfError> {
        let wrong = EfError::Length { file: Ef::Acc, expected: Ef::Acc.length(), found: octets.len() };
        octets.try_into().map(|octets| Self(u16::from_be_bytes(octets))).map_err(|_| wrong)
    }

    /// The two octets of the file.
    #[must_use]
    pub const fn encode(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Acc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<_> =
            (0..16).filter(|class| self.0 & 1 << class != 0).map(|class| class.to_string()).collect();
        f.write_str(if classes.is_empty() { "none" } else { "" })?;
        f.write_str(&classes.join(", "))
    }
}

/// EF.SPN, the service provider's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spn {
    /// When it is displayed: b1 = 1 with the PLMN in the home network, b2 = 1 not at all outside the provider's networks.
    pub display_condition: u8,
    name: [u8; NAME_LEN],
}

impl Spn {
    /// A name that is shown with the PLMN in the home network.
    ///
    /// # Errors
    /// [`EfError::NameLength`]: 16 characters of the default alphabet, or 7 others.
    pub fn new(name: &str) -> Result<Self, EfError> {
        let octets = alpha::encode(name, NAME_LEN)?;
        let found = octets.len();
        let name = octets.try_into().map_err(|_| EfError::NameLength { fits: NAME_LEN, found })?;
        Ok(Self { display_condition: 0x01, name })
    }

    /// The name.
    ///
    /// # Errors
    /// [`EfError::Name`].
    pub fn name(&self) -> Result<String, EfError> {
        alpha::decode(&self.name)
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, EfError> {
        let wrong = EfError::Length { file: Ef::Spn, expected: Ef::Spn.length(), found: octets.len() };
        let (&display_condition, name) = octets.split_first().ok_or(wrong)?;
        Ok(Self { display_condition, name: name.try_into().map_err(|_| wrong)? })
    }

    pub(super) fn encode(&self) -> [u8; 1 + NAME_LEN] {
        let mut octets = [self.display_condition; 1 + NAME_LEN];
        if let Some(name) = octets.last_chunk_mut() {
            *name = self.name;
        }
        octets
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        fields.put("display condition", 1, format_args!("{:02X}", self.display_condition));
        let name = self.name().map_or_else(|_| hex::encode_upper(self.name), |name| format!("{name:?}"));
        fields.put("name", NAME_LEN, name);
    }
}
