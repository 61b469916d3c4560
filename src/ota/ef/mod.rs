//! Elementary files that make up a subscription, their contents both ways (TS 31.102 §4.2, §4.4.11; TS 102 221 §13.2).
//!
//! [`Ef`] is the table of the files, [`Content`] what stands in one. A file or record of nothing but FF is blank, whatever
//! file it is. Contents are read as they are found: what a card says of itself is a fact, even where it is odd.

pub mod alpha;
mod field;
mod keys;
mod location;
mod plmn;
mod record;
mod service;
mod table;

pub use field::Field;
pub use keys::{Keys, SecurityContext};
pub use location::Location;
pub use plmn::{AccessTechnologies, Plmn, PlmnEntry};
pub use record::{MsisdnRecord, Smsp};
pub use service::{Acc, Ad, Spn};
pub use table::{Ef, Length, Structure, UnknownEf};

use field::Fields;

use super::comprehension_tlv::TlvError;
use crate::identity::{Iccid, IdentityError, Imsi};

/// Octet of a file that nothing has been written to.
const BLANK: u8 = 0xFF;

/// Why octets are not the contents of a file, or a value does not go into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EfError {
    /// A file or record of another length.
    #[error("{file}: expected {expected} octets, found {found}")]
    Length {
        /// The file.
        file: Ef,
        /// Lengths that it may have.
        expected: Length,
        /// Octets found.
        found: usize,
    },
    /// An identifier.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A PLMN.
    #[error("PLMN: expected 3 digits of the country and 2 or 3 of the network")]
    Plmn,
    /// An address in EF.SMSP.
    #[error("EF.SMSP {field}: expected {expected}")]
    Address {
        /// TP-Destination address or TS-Service centre address.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A name that is too long.
    #[error("name: expected at most {fits} octets, found {found}")]
    NameLength {
        /// Octets that there are.
        fits: usize,
        /// Octets that the name takes.
        found: usize,
    },
    /// Octets that are no name.
    #[error("name: expected the 7-bit default alphabet, or UCS2 behind 80, 81 or 82")]
    Name,
    /// A security context.
    #[error("security context: {0}")]
    Tlv(#[from] TlvError),
}

/// What stands in a file, or in one record of a file with records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// That many octets FF.
    Blank(usize),
    /// EF.IMSI.
    Imsi(Imsi),
    /// EF.ICCID.
    Iccid(Iccid),
    /// A record of EF.MSISDN.
    Msisdn(MsisdnRecord),
    /// A record of EF.SMSP.
    Smsp(Smsp),
    /// EF.AD.
    Ad(Ad),
    /// EF.ACC.
    Acc(Acc),
    /// EF.SPN.
    Spn(Spn),
    /// EF.LOCI, EF.PSLOCI, EF.EPSLOCI, EF.5GS3GPPLOCI, EF.5GSN3GPPLOCI.
    Location(Location),
    /// EF.FPLMN, EF.EHPLMN; `None` is an unused entry.
    Plmns(Vec<Option<Plmn>>),
    /// EF.PLMNwAcT, EF.OPLMNwACT, EF.HPLMNwAcT.
    PlmnsWithTechnologies(Vec<PlmnEntry>),
    /// EF.Keys, EF.KeysPS.
    Keys(Keys),
    /// A record of EF.EPSNSC, EF.5GS3GPPNSC, EF.5GSN3GPPNSC; EF.5GAUTHKEYS.
    SecurityContext(SecurityContext),
}

impl Content {
    /// Reads a file, or one record of a file with records.
    ///
    /// # Errors
    /// [`EfError`] names the file and what was expected.
    pub fn decode(file: Ef, octets: &[u8]) -> Result<Self, EfError> {
        let (expected, found) = (file.length(), octets.len());
        if !expected.fits(found) {
            return Err(EfError::Length { file, expected, found });
        }
        if octets.iter().all(|octet| *octet == BLANK) {
            return Ok(Self::Blank(found));
        }
        Ok(match file {
            Ef::Imsi => Self::Imsi(Imsi::from_ef(octets)?),
            Ef::Iccid => Self::Iccid(Iccid::from_octets(octets)?),
            Ef::Msisdn => Self::Msisdn(MsisdnRecord::decode(octets)?),
            Ef::Smsp => Self::Smsp(Smsp::decode(octets)?),
            Ef::Ad => Self::Ad(Ad::decode(octets)?),
            Ef::Acc => Self::Acc(Acc::decode(octets)?),
            Ef::Spn => Self::Spn(Spn::decode(octets)?),
            Ef::Loci | Ef::PsLoci | Ef::EpsLoci | Ef::FiveGs3gppLoci | Ef::FiveGsN3gppLoci => {
                Self::Location(Location::decode(file, octets)?)
            }
            Ef::Fplmn | Ef::Ehplmn => Self::Plmns(plmn::decode_list(octets)?),
            Ef::PlmnWact | Ef::OplmnWact | Ef::HplmnWact => {
                Self::PlmnsWithTechnologies(PlmnEntry::decode_list(octets)?)
            }
            Ef::Keys | Ef::KeysPs => Self::Keys(Keys::decode(file, octets)?),
            Ef::EpsNsc | Ef::FiveGs3gppNsc | Ef::FiveGsN3gppNsc | Ef::FiveGAuthKeys => {
                Self::SecurityContext(SecurityContext::decode(file, octets)?)
            }
        })
    }

    /// What a file holds on a card that no network has seen yet: no location (`home` stands for the PLMN), no keys, no
    /// forbidden or preferred networks; FF for files that say nothing of this. `length` is that of the file or record, for
    /// files that have no fixed one.
    #[must_use]
    pub fn unused(file: Ef, home: Plmn, length: usize) -> Self {
        let length = if let Length::Exactly(octets) = file.length() { octets.into() } else { length };
        match file {
            Ef::Loci | Ef::PsLoci | Ef::EpsLoci | Ef::FiveGs3gppLoci | Ef::FiveGsN3gppLoci => {
                Location::unknown(file, home).map_or(Self::Blank(length), Self::Location)
            }
            Ef::PlmnWact | Ef::OplmnWact | Ef::HplmnWact => {
                Self::PlmnsWithTechnologies(vec![PlmnEntry::UNUSED; length / PlmnEntry::LEN])
            }
            Ef::Keys | Ef::KeysPs => Self::Keys(Keys::none()),
            _ => Self::Blank(length),
        }
    }

    /// The octets of the file or record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Blank(length) => vec![BLANK; *length],
            Self::Imsi(imsi) => imsi.to_ef().to_vec(),
            Self::Iccid(iccid) => iccid.octets().to_vec(),
            Self::Msisdn(record) => record.encode(),
            Self::Smsp(record) => record.encode(),
            Self::Ad(ad) => ad.encode(),
            Self::Acc(acc) => acc.encode().to_vec(),
            Self::Spn(spn) => spn.encode().to_vec(),
            Self::Location(location) => location.encode(),
            Self::Plmns(plmns) => plmns.iter().flat_map(|plmn| plmn::octets(*plmn)).collect(),
            Self::PlmnsWithTechnologies(entries) => entries.iter().flat_map(|entry| entry.encode()).collect(),
            Self::Keys(keys) => keys.encode(),
            Self::SecurityContext(context) => context.encode(),
        }
    }

    /// The fields in the order of their octets, which are those of [`Content::encode`]. Keys are not shown.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Fields::default();
        match self {
            Self::Blank(length) => fields.put("contents", *length, "blank"),
            Self::Imsi(imsi) => {
                fields.put("length", 1, 8);
                fields.put("IMSI", 8, imsi);
            }
            Self::Iccid(iccid) => fields.put("ICCID", 10, iccid),
            Self::Msisdn(record) => record.describe(&mut fields),
            Self::Smsp(record) => record.describe(&mut fields),
            Self::Ad(ad) => ad.describe(&mut fields),
            Self::Acc(acc) => fields.put("access control classes", 2, acc),
            Self::Spn(spn) => spn.describe(&mut fields),
            Self::Location(location) => location.describe(&mut fields),
            Self::Plmns(plmns) => plmns.iter().for_each(|plmn| fields.put("PLMN", 3, plmn::text(*plmn))),
            Self::PlmnsWithTechnologies(entries) => {
                entries.iter().for_each(|entry| entry.describe(&mut fields));
            }
            Self::Keys(keys) => keys.describe(&mut fields),
            Self::SecurityContext(context) => context.describe(&mut fields),
        }
        fields.done()
    }
}

#[cfg(test)]
mod tests;
