//! Which files there are, where they stand and how long they are.

use std::fmt;
use std::str::FromStr;

/// An elementary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ef {
    /// EF.IMSI: the subscription.
    Imsi,
    /// EF.ICCID: the card's serial number.
    Iccid,
    /// EF.MSISDN: numbers of the subscription.
    Msisdn,
    /// EF.SMSP: parameters of short messages, the service centre among them.
    Smsp,
    /// EF.AD: administrative data, the length of the network code among them.
    Ad,
    /// EF.ACC: access control classes.
    Acc,
    /// EF.SPN: the service provider's name.
    Spn,
    /// EF.LOCI: location in the circuit switched domain.
    Loci,
    /// EF.PSLOCI: location in the packet switched domain.
    PsLoci,
    /// EF.EPSLOCI: location in EPS.
    EpsLoci,
    /// EF.5GS3GPPLOCI: location in 5GS by 3GPP access.
    FiveGs3gppLoci,
    /// EF.5GSN3GPPLOCI: location in 5GS by other access.
    FiveGsN3gppLoci,
    /// EF.FPLMN: forbidden networks.
    Fplmn,
    /// EF.EHPLMN: networks equal to the home network.
    Ehplmn,
    /// EF.PLMNwAcT: networks that the user prefers.
    PlmnWact,
    /// EF.OPLMNwACT: networks that the operator prefers.
    OplmnWact,
    /// EF.HPLMNwAcT: the home network and its access technologies.
    HplmnWact,
    /// EF.Keys: keys of the circuit switched domain.
    Keys,
    /// EF.KeysPS: keys of the packet switched domain.
    KeysPs,
    /// EF.EPSNSC: security context of EPS.
    EpsNsc,
    /// EF.5GS3GPPNSC: security context of 5GS by 3GPP access.
    FiveGs3gppNsc,
    /// EF.5GSN3GPPNSC: security context of 5GS by other access.
    FiveGsN3gppNsc,
    /// EF.5GAUTHKEYS: keys of the last 5G authentication.
    FiveGAuthKeys,
}

/// How a file is made up (TS 102 221 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Octets, read and written from an offset.
    Transparent,
    /// Records of one length, counted from 1.
    LinearFixed,
}

/// Octets of a file, or of a record of a file with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always this.
    Exactly(u16),
    /// This or more: an alpha identifier of any length comes first, or fields may follow.
    AtLeast(u16),
    /// Entries of this length.
    Entries(u16),
}

impl Length {
    /// Whether a file or record may have that many octets.
    #[must_use]
    pub fn fits(self, octets: usize) -> bool {
        match self {
            Self::Exactly(length) => octets == usize::from(length),
            Self::AtLeast(length) => octets >= usize::from(length),
            Self::Entries(length) => octets > 0 && octets.is_multiple_of(length.into()),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(length) => write!(f, "{length}"),
            Self::AtLeast(length) => write!(f, "{length} or more"),
            Self::Entries(length) => write!(f, "a multiple of {length}"),
        }
    }
}

/// The root.
const MF: u16 = 0x3F00;
/// The application that is selected or that the TAR stands for; here always the USIM.
const ADF: u16 = 0x7FFF;
/// DF 5GS in the USIM.
const DF_5GS: u16 = 0x5FC0;

struct Row {
    key: &'static str,
    name: &'static str,
    path: &'static [u16],
    structure: Structure,
    length: Length,
}

impl Ef {
    /// All files.
    pub const ALL: [Self; 23] = [
        Self::Imsi,
        Self::Iccid,
        Self::Msisdn,
        Self::Smsp,
        Self::Ad,
        Self::Acc,
        Self::Spn,
        Self::Loci,
        Self::PsLoci,
        Self::EpsLoci,
        Self::FiveGs3gppLoci,
        Self::FiveGsN3gppLoci,
        Self::Fplmn,
        Self::Ehplmn,
        Self::PlmnWact,
        Self::OplmnWact,
        Self::HplmnWact,
        Self::Keys,
        Self::KeysPs,
        Self::EpsNsc,
        Self::FiveGs3gppNsc,
        Self::FiveGsN3gppNsc,
        Self::FiveGAuthKeys,
    ];

    /// The name in the specification: `EF.IMSI`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The name in profiles: that of the specification without `EF.` in lower case.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.row().key
    }

    /// The file identifiers from the root (3F00) or the application (7FFF) down.
    #[must_use]
    pub const fn path(self) -> &'static [u16] {
        self.row().path
    }

    /// The file with this path.
    #[must_use]
    pub fn of_path(path: &[u16]) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.path() == path)
    }

    /// How the file is made up.
    #[must_use]
    pub const fn structure(self) -> Structure {
        self.row().structure
    }

    /// How long the file, or a record of it, is.
    #[must_use]
    pub const fn length(self) -> Length {
        self.row().length
    }

    /// One row for each file; TS 31.102, EF.ICCID TS 102 221 §13.2.
    const fn row(self) -> Row {
        use Length::{AtLeast, Entries, Exactly};
        const fn binary(key: &'static str, name: &'static str, path: &'static [u16], length: Length) -> Row {
            Row { key, name, path, structure: Structure::Transparent, length }
        }
        const fn records(key: &'static str, name: &'static str, path: &'static [u16], least: u16) -> Row {
            Row { key, name, path, structure: Structure::LinearFixed, length: AtLeast(least) }
        }
        match self {
            Self::Iccid => binary("iccid", "EF.ICCID", &[MF, 0x2FE2], Exactly(10)),
            // §4.2.2, §4.2.26, §4.2.27, §4.2.18, §4.2.15, §4.2.12
            Self::Imsi => binary("imsi", "EF.IMSI", &[ADF, 0x6F07], Exactly(9)),
            Self::Msisdn => records("msisdn", "EF.MSISDN", &[ADF, 0x6F40], 14),
            Self::Smsp => records("smsp", "EF.SMSP", &[ADF, 0x6F42], 28),
            Self::Ad => binary("ad", "EF.AD", &[ADF, 0x6FAD], AtLeast(4)),
            Self::Acc => binary("acc", "EF.ACC", &[ADF, 0x6F78], Exactly(2)),
            Self::Spn => binary("spn", "EF.SPN", &[ADF, 0x6F46], Exactly(17)),
            // §4.2.17, §4.2.23, §4.2.91, §4.4.11.2, §4.4.11.3
            Self::Loci => binary("loci", "EF.LOCI", &[ADF, 0x6F7E], Exactly(11)),
            Self::PsLoci => binary("psloci", "EF.PSLOCI", &[ADF, 0x6F73], Exactly(14)),
            Self::EpsLoci => binary("epsloci", "EF.EPSLOCI", &[ADF, 0x6FE3], Exactly(18)),
            Self::FiveGs3gppLoci => {
                binary("5gs3gpploci", "EF.5GS3GPPLOCI", &[ADF, DF_5GS, 0x4F01], Exactly(20))
            }
            Self::FiveGsN3gppLoci => {
                binary("5gsn3gpploci", "EF.5GSN3GPPLOCI", &[ADF, DF_5GS, 0x4F02], Exactly(20))
            }
            // §4.2.16, §4.2.84, §4.2.5, §4.2.53, §4.2.54
            Self::Fplmn => binary("fplmn", "EF.FPLMN", &[ADF, 0x6F7B], Entries(3)),
            Self::Ehplmn => binary("ehplmn", "EF.EHPLMN", &[ADF, 0x6FD9], Entries(3)),
            Self::PlmnWact => binary("plmnwact", "EF.PLMNwAcT", &[ADF, 0x6F60], Entries(5)),
            Self::OplmnWact => binary("oplmnwact", "EF.OPLMNwACT", &[ADF, 0x6F61], Entries(5)),
            Self::HplmnWact => binary("hplmnwact", "EF.HPLMNwAcT", &[ADF, 0x6F62], Entries(5)),
            // §4.2.3, §4.2.4, §4.2.92, §4.4.11.4, §4.4.11.5, §4.4.11.6
            Self::Keys => binary("keys", "EF.Keys", &[ADF, 0x6F08], Exactly(33)),
            Self::KeysPs => binary("keysps", "EF.KeysPS", &[ADF, 0x6F09], Exactly(33)),
            Self::EpsNsc => records("epsnsc", "EF.EPSNSC", &[ADF, 0x6FE4], 54),
            Self::FiveGs3gppNsc => records("5gs3gppnsc", "EF.5GS3GPPNSC", &[ADF, DF_5GS, 0x4F03], 57),
            Self::FiveGsN3gppNsc => records("5gsn3gppnsc", "EF.5GSN3GPPNSC", &[ADF, DF_5GS, 0x4F04], 57),
            Self::FiveGAuthKeys => binary("5gauthkeys", "EF.5GAUTHKEYS", &[ADF, DF_5GS, 0x4F05], AtLeast(68)),
        }
    }
}

impl fmt::Display for Ef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is the key of no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("file: expected a name such as imsi, msisdn or 5gs3gpploci")]
pub struct UnknownEf;

impl FromStr for Ef {
    type Err = UnknownEf;

    /// Reads [`Ef::key`].
    fn from_str(text: &str) -> Result<Self, UnknownEf> {
        Self::ALL.into_iter().find(|file| file.key() == text).ok_or(UnknownEf)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_has_its_own_name_and_place() {
        for file in Ef::ALL {
            assert_eq!(file.key().parse(), Ok(file));
            assert_eq!(Ef::of_path(file.path()), Some(file));
            assert_eq!(format!("EF.{}", file.key()).to_lowercase(), file.name().to_lowercase());
        }
        assert_eq!(Ef::ALL.into_iter().collect::<BTreeSet<_>>().len(), Ef::ALL.len());
        assert_eq!(Ef::FiveGs3gppLoci.path(), [0x7FFF, 0x5FC0, 0x4F01]);
        assert_eq!(Ef::of_path(&[0x7FFF, 0x6F3C]), None);
        assert_eq!("sms".parse::<Ef>(), Err(UnknownEf));
        assert_eq!(Ef::Msisdn.structure(), Structure::LinearFixed);
        assert!(Ef::Fplmn.length().fits(12) && !Ef::Fplmn.length().fits(0) && !Ef::Fplmn.length().fits(13));
    }
}
