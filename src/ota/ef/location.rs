//! Where the card was last: EF.LOCI, EF.PSLOCI, EF.EPSLOCI, EF.5GS3GPPLOCI, EF.5GSN3GPPLOCI.
//!
//! One form for all: temporary identities, the network, the area in it, and whether the network knows the card there.

use super::{Ef, EfError, Fields, Plmn, plmn};

/// Names and lengths of the fields before and behind the network, and how the area looks where there is none.
struct Layout {
    identities: &'static [(&'static str, usize)],
    area: &'static [(&'static str, usize)],
    no_area: &'static [u8],
    /// What status 03 means.
    area_not_allowed: Option<&'static str>,
}

const LOCI: Layout = Layout {
    identities: &[("TMSI", 4)],
    area: &[("LAC", 2), ("RFU", 1)],
    no_area: &[0x00, 0x00, 0xFF],
    area_not_allowed: Some("location area not allowed"),
};
const PS_LOCI: Layout = Layout {
    identities: &[("P-TMSI", 4), ("P-TMSI signature", 3)],
    area: &[("LAC", 2), ("RAC", 1)],
    no_area: &[0x00, 0x00, 0xFF],
    area_not_allowed: Some("routing area not allowed"),
};
const EPS_LOCI: Layout = Layout {
    identities: &[("GUTI", 12)],
    area: &[("TAC", 2)],
    no_area: &[0x00, 0x00],
    area_not_allowed: None,
};
const FIVE_GS_LOCI: Layout = Layout {
    identities: &[("5G-GUTI", 13)],
    area: &[("TAC", 3)],
    no_area: &[0x00, 0x00, 0x00],
    area_not_allowed: None,
};

impl Layout {
    const fn of(file: Ef) -> Option<&'static Self> {
        match file {
            Ef::Loci => Some(&LOCI),
            Ef::PsLoci => Some(&PS_LOCI),
            Ef::EpsLoci => Some(&EPS_LOCI),
            Ef::FiveGs3gppLoci | Ef::FiveGsN3gppLoci => Some(&FIVE_GS_LOCI),
            _ => None,
        }
    }

    fn identities_len(&self) -> usize {
        self.identities.iter().map(|(_, length)| length).sum()
    }
}

/// The contents of a location file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    file: Ef,
    /// TMSI; P-TMSI and its signature; GUTI; 5G-GUTI.
    identities: Vec<u8>,
    /// The network of the last registration.
    pub plmn: Option<Plmn>,
    /// LAC and an octet of no use; LAC and RAC; TAC.
    area: Vec<u8>,
    /// Update status: 00 the network knows the card there, 01 it does not, others that it refused it.
    pub status: u8,
}

/// Update status: not updated.
const NOT_UPDATED: u8 = 0x01;

impl Location {
    /// No temporary identity, no area of this network, not updated; `None` for files of another kind.
    #[must_use]
    pub fn unknown(file: Ef, plmn: Plmn) -> Option<Self> {
        let layout = Layout::of(file)?;
        Some(Self {
            file,
            identities: vec![0xFF; layout.identities_len()],
            plmn: Some(plmn),
            area: layout.no_area.to_vec(),
            status: NOT_UPDATED,
        })
    }

    pub(super) fn decode(file: Ef, octets: &[u8]) -> Result<Self, EfError> {
        let wrong = EfError::Length { file, expected: file.length(), found: octets.len() };
        let layout = Layout::of(file).ok_or(wrong)?;
        let (identities, rest) = octets.split_at_checked(layout.identities_len()).ok_or(wrong)?;
        let (plmn, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let (status, area) = rest.split_last().ok_or(wrong)?;
        Ok(Self {
            file,
            identities: identities.to_vec(),
            plmn: Plmn::from_octets(*plmn)?,
            area: area.to_vec(),
            status: *status,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.identities[..], &plmn::octets(self.plmn), &self.area, &[self.status]].concat()
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        let Some(layout) = Layout::of(self.file) else { return };
        put_all(fields, layout.identities, &self.identities);
        fields.put("PLMN", 3, plmn::text(self.plmn));
        put_all(fields, layout.area, &self.area);
        let status = match (self.status & 0b111, layout.area_not_allowed) {
            (0b000, _) => "updated",
            (0b001, _) => "not updated",
            (0b010, Some(_)) => "PLMN not allowed",
            (0b010, None) => "roaming not allowed",
            (0b011, Some(meaning)) => meaning,
            _ => "reserved",
        };
        fields.put("update status", 1, format_args!("{:02X} {status}", self.status));
    }
}

fn put_all(fields: &mut Fields, names: &[(&'static str, usize)], octets: &[u8]) {
    let mut rest = octets;
    for (name, length) in names {
        let (octets, after) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
        fields.put_octets(name, octets);
        rest = after;
    }
}
