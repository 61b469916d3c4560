//! Networks and lists of them.

use std::fmt;
use std::str::FromStr;

use super::{EfError, Fields};
use crate::identity::Imsi;

/// Three octets of an unused entry.
const UNUSED: [u8; 3] = [0xFF; 3];
/// The nibble of the third network digit where there are two.
const NO_DIGIT: u8 = 0xF;

/// A public land mobile network: country code of 3 digits and network code of 2 or 3 (TS 24.008 §10.5.1.13). As text its
/// 5 or 6 digits; `001` and `01` are `00 F1 10`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plmn([u8; 3]);

impl Plmn {
    /// Reads three octets; `None` where they are FF.
    ///
    /// # Errors
    /// [`EfError::Plmn`] where a nibble is no digit; only the third one of the network code may be F.
    pub fn from_octets(octets: [u8; 3]) -> Result<Option<Self>, EfError> {
        if octets == UNUSED {
            return Ok(None);
        }
        let [mcc1, mcc2, mcc3, mnc1, mnc2, mnc3] = Self(octets).nibbles();
        let digits = [mcc1, mcc2, mcc3, mnc1, mnc2].iter().all(|digit| *digit <= 9);
        if digits && (mnc3 <= 9 || mnc3 == NO_DIGIT) { Ok(Some(Self(octets))) } else { Err(EfError::Plmn) }
    }

    /// The three octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 3] {
        self.0
    }

    /// The home network of a subscription, whose network code has `mnc_digits` digits (2 or 3; EF.AD says).
    ///
    /// # Errors
    /// [`EfError::Plmn`] for another number of digits.
    pub fn of_imsi(imsi: &Imsi, mnc_digits: u8) -> Result<Self, EfError> {
        imsi.as_str().get(..3 + usize::from(mnc_digits)).ok_or(EfError::Plmn)?.parse()
    }

    /// Country code, then network code.
    const fn nibbles(self) -> [u8; 6] {
        let [a, b, c] = self.0;
        [a & 0xF, a >> 4, b & 0xF, c & 0xF, c >> 4, b >> 4]
    }
}

impl FromStr for Plmn {
    type Err = EfError;

    /// 5 or 6 digits.
    fn from_str(text: &str) -> Result<Self, EfError> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(10).and_then(|digit| u8::try_from(digit).ok())).collect();
        let [mcc1, mcc2, mcc3, mnc1, mnc2, mnc3] = match *digits.ok_or(EfError::Plmn)? {
            [a, b, c, d, e] => [a, b, c, d, e, NO_DIGIT],
            [a, b, c, d, e, f] => [a, b, c, d, e, f],
            _ => return Err(EfError::Plmn),
        };
        Ok(Self([mcc2 << 4 | mcc1, mnc3 << 4 | mcc3, mnc2 << 4 | mnc1]))
    }
}

impl fmt::Display for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nibbles()
            .into_iter()
            .filter(|digit| *digit != NO_DIGIT)
            .try_for_each(|digit| write!(f, "{digit}"))
    }
}

impl fmt::Debug for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plmn({self})")
    }
}

/// Radio access technologies of a network, as the two octets of a list say them (TS 31.102 §4.2.5). As text their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessTechnologies(pub u16);

impl AccessTechnologies {
    const NAMES: [(u16, &str); 11] = [
        (0x8000, "UTRAN"),
        (0x4000, "E-UTRAN"),
        (0x2000, "WB-S1"),
        (0x1000, "NB-S1"),
        (0x0800, "NG-RAN"),
        (0x0080, "GSM"),
        (0x0040, "GSM COMPACT"),
        (0x0020, "cdma2000 HRPD"),
        (0x0010, "cdma2000 1xRTT"),
        (0x0008, "EC-GSM-IoT"),
        (0x0004, "GSM without EC-GSM-IoT"),
    ];

    /// GSM, UTRAN, E-UTRAN and NG-RAN.
    pub const ALL_3GPP: Self = Self(0xC880);
}

impl fmt::Display for AccessTechnologies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name);
        match names.collect::<Vec<_>>() {
            names if names.is_empty() => f.write_str("none"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// An entry of EF.PLMNwAcT, EF.OPLMNwACT or EF.HPLMNwAcT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlmnEntry {
    /// The network; `None` in an unused entry.
    pub plmn: Option<Plmn>,
    /// How to look for it.
    pub technologies: AccessTechnologies,
}

impl PlmnEntry {
    /// Octets of an entry.
    pub(super) const LEN: usize = 5;
    /// `FF FF FF 00 00`.
    pub const UNUSED: Self = Self { plmn: None, technologies: AccessTechnologies(0) };

    pub(super) fn decode_list(octets: &[u8]) -> Result<Vec<Self>, EfError> {
        let (entries, _) = octets.as_chunks::<{ Self::LEN }>();
        let entry = |&[a, b, c, high, low]: &[u8; Self::LEN]| {
            let technologies = AccessTechnologies(u16::from_be_bytes([high, low]));
            Ok(Self { plmn: Plmn::from_octets([a, b, c])?, technologies })
        };
        entries.iter().map(entry).collect()
    }

    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let [a, b, c] = octets(self.plmn);
        let [high, low] = self.technologies.0.to_be_bytes();
        [a, b, c, high, low]
    }

    pub(super) fn describe(self, fields: &mut Fields) {
        fields.put("PLMN", 3, text(self.plmn));
        fields.put("access technologies", 2, self.technologies);
    }
}

/// Reads a list of networks.
pub(super) fn decode_list(octets: &[u8]) -> Result<Vec<Option<Plmn>>, EfError> {
    let (entries, _) = octets.as_chunks::<3>();
    entries.iter().map(|entry| Plmn::from_octets(*entry)).collect()
}

/// The octets of an entry.
pub(super) fn octets(plmn: Option<Plmn>) -> [u8; 3] {
    plmn.map_or(UNUSED, Plmn::octets)
}

/// An entry in words.
pub(super) fn text(plmn: Option<Plmn>) -> String {
    plmn.map_or_else(|| "none".to_owned(), |plmn| plmn.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn network_codes_have_two_or_three_digits() {
        let plmn: Plmn = "00101".parse().unwrap();
        assert_eq!(plmn.octets(), [0x00, 0xF1, 0x10]);
        assert_eq!("310410".parse::<Plmn>().unwrap().octets(), [0x13, 0x00, 0x14]);
        let imsi = "310410123456789".parse().unwrap();
        assert_eq!(Plmn::of_imsi(&imsi, 3), "310410".parse());
        assert_eq!(Plmn::of_imsi(&imsi, 2), "31041".parse());
        for wrong in [1, 4, 200] {
            assert_eq!(Plmn::of_imsi(&imsi, wrong), Err(EfError::Plmn));
        }
        for wrong in ["", "0010", "0010101", "0010a", "٠٠١٠١"] {
            assert_eq!(wrong.parse::<Plmn>(), Err(EfError::Plmn), "{wrong}");
        }
        assert_eq!(Plmn::from_octets([0xFF; 3]), Ok(None));
        assert_eq!(Plmn::from_octets([0x0A, 0xF1, 0x10]), Err(EfError::Plmn));
        assert_eq!(Plmn::from_octets([0x00, 0xA1, 0x10]), Err(EfError::Plmn));
    }

    #[test]
    fn access_technologies_have_names() {
        assert_eq!(AccessTechnologies::ALL_3GPP.to_string(), "UTRAN, E-UTRAN, NG-RAN, GSM");
        assert_eq!(AccessTechnologies(0).to_string(), "none");
        let entry = PlmnEntry::decode_list(&[0x62, 0xF2, 0x10, 0x40, 0x00]).unwrap()[0];
        assert_eq!(
            (entry.plmn, entry.technologies.to_string()),
            (Some("26201".parse().unwrap()), "E-UTRAN".into())
        );
    }

    proptest! {
        #[test]
        fn a_network_reads_as_it_is_written(text in "[0-9]{5,6}") {
            let plmn: Plmn = text.parse().unwrap();
            prop_assert_eq!(plmn.to_string(), text);
            prop_assert_eq!(Plmn::from_octets(plmn.octets()), Ok(Some(plmn)));
        }
    }
}
