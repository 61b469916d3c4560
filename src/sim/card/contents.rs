//! What stands in the card's files: from the factory, and once a subscription is written (TS 31.102 §4.2).

use std::collections::BTreeMap;

use crate::identity::{Iccid, Imsi, Msisdn};
use crate::ota::ef::{Acc, Content, Ef, Smsp};
use crate::sim::card::files::{File, Files, Update};

/// Octets of the name in a record of EF.MSISDN; a record has 14 more.
pub(super) const MSISDN_ALPHA: u8 = 10;
/// Octets of the name in a record of EF.SMSP; a record has 28 more.
const SMSP_ALPHA: u8 = 10;
/// No location known, not updated, last PLMN 001/01 (TS 31.102 §4.2.17).
const LOCI_UNKNOWN: [u8; 11] = [0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xF1, 0x10, 0, 0, 0xFF, 1];
/// The PLMN of the bootstrap subscription's last location, 001/01, and one where it was refused, 310/410.
const HERE: [u8; 3] = [0x00, 0xF1, 0x10];
const REFUSED: [u8; 3] = [0x13, 0x00, 0x14];

/// The files that a write of the applet changes, as they were: what a roll-back brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubscriptionFiles([(Ef, Vec<u8>); 6]);

impl Files {
    /// Files of a card that has left the factory, with or without a preset subscription. Locations, keys and forbidden
    /// networks are those of somebody who has been there: a write that leaves them shows.
    pub(super) fn personalised(iccid: &Iccid, preset: Option<(&Imsi, &Msisdn)>) -> Self {
        use Update::{Anyone, Never, Remote};
        let mut files = Self(vec![
            File::new(Ef::Iccid, Never, iccid.octets().to_vec()),
            File::new(Ef::Imsi, Remote, vec![0xFF; 9]),
            File::new(Ef::Keys, Anyone, keys(1)),
            File::new(Ef::KeysPs, Anyone, keys(2)),
            File::new(Ef::Msisdn, Anyone, vec![0xFF; usize::from(MSISDN_ALPHA) + 14]).with_records(2),
            File::new(Ef::Smsp, Anyone, vec![0xFF; usize::from(SMSP_ALPHA) + 28]),
            File::new(Ef::Spn, Remote, padded(&[&[1], b"Bootstrap".as_slice()].concat(), 17)),
            File::new(Ef::PlmnWact, Anyone, padded(&[&HERE[..], &[0x40, 0]].concat(), 40)),
            File::new(Ef::OplmnWact, Remote, padded(&[&HERE[..], &[0x40, 0]].concat(), 40)),
            File::new(Ef::HplmnWact, Remote, padded(&[&HERE[..], &[0x40, 0]].concat(), 20)),
            File::new(Ef::PsLoci, Anyone, [&[7; 7][..], &HERE, &[0, 1, 1, 0]].concat()),
            File::new(Ef::Acc, Remote, vec![0; 2]),
            File::new(Ef::Fplmn, Anyone, padded(&REFUSED, 12)),
            File::new(Ef::Loci, Anyone, LOCI_UNKNOWN.to_vec()),
            File::new(Ef::Ad, Remote, vec![0, 0, 0, 2]),
            File::new(Ef::Ehplmn, Remote, padded(&HERE, 12)),
            File::new(Ef::EpsLoci, Anyone, [&[11; 12][..], &HERE, &[0, 1, 0]].concat()),
            File::new(Ef::EpsNsc, Anyone, vec![3; 54]),
            File::new(Ef::FiveGs3gppLoci, Anyone, [&[13; 13][..], &HERE, &[0, 0, 1, 0]].concat()),
            File::new(Ef::FiveGs3gppNsc, Anyone, vec![5; 57]),
            File::new(Ef::FiveGAuthKeys, Anyone, vec![5; 68]),
        ]);
        if let Some((imsi, msisdn)) = preset {
            files.write_subscription(None, imsi, msisdn, None);
        }
        // Where the terminal was last, under the preset.
        files.put(Ef::Loci, [&[4; 4][..], &HERE, &[0, 1, 0xFF, 0]].concat());
        files
    }

    /// Puts a subscription in place: EF.IMSI, EF.ACC (the class of the IMSI's last digit), EF.MSISDN, and
    /// EF.ICCID and EF.SMSP where given. EF.LOCI is forgotten, as it belongs to the former subscription.
    pub(super) fn write_subscription(
        &mut self,
        iccid: Option<&Iccid>,
        imsi: &Imsi,
        msisdn: &Msisdn,
        smsc: Option<&Msisdn>,
    ) {
        if let Some(iccid) = iccid {
            self.put(Ef::Iccid, iccid.octets().to_vec());
        }
        if let Some(smsc) = smsc {
            self.put(Ef::Smsp, Content::Smsp(Smsp::of_service_centre(smsc, SMSP_ALPHA)).encode());
        }
        self.put(Ef::Msisdn, msisdn.to_ef_record(MSISDN_ALPHA));
        self.put(Ef::Acc, Acc::of_imsi(imsi).encode().to_vec());
        self.put(Ef::Loci, LOCI_UNKNOWN.to_vec());
        self.put(Ef::Imsi, imsi.to_ef().to_vec());
    }

    /// The present contents of what [`Files::write_subscription`] changes.
    pub(super) fn subscription(&self) -> SubscriptionFiles {
        let files = [Ef::Iccid, Ef::Smsp, Ef::Msisdn, Ef::Acc, Ef::Loci, Ef::Imsi];
        SubscriptionFiles(files.map(|ef| (ef, self.octets(ef).to_vec())))
    }

    /// Brings back what [`Files::subscription`] kept.
    pub(super) fn restore(&mut self, former: SubscriptionFiles) {
        for (ef, octets) in former.0 {
            self.put(ef, octets);
        }
    }

    /// EF.IMSI, `None` where it is blank.
    pub(super) fn imsi(&self) -> Option<Imsi> {
        Imsi::from_ef(self.octets(Ef::Imsi)).ok()
    }

    /// EF.MSISDN, `None` where it is blank.
    pub(super) fn msisdn(&self) -> Option<Msisdn> {
        Msisdn::from_ef_record(self.octets(Ef::Msisdn)).ok().flatten()
    }

    /// Every record in hexadecimal, by the file's name.
    pub(super) fn contents(&self) -> BTreeMap<&'static str, Vec<String>> {
        let records = |file: &File| file.records.iter().map(hex::encode_upper).collect();
        self.0.iter().map(|file| (file.ef.name(), records(file))).collect()
    }

    /// EF.ICCID.
    pub(super) fn iccid(&self) -> Option<Iccid> {
        Iccid::from_octets(self.octets(Ef::Iccid)).ok()
    }
}

/// EF.Keys with a key set identifier and keys that follow from a number.
fn keys(number: u8) -> Vec<u8> {
    let mut octets = vec![number];
    octets.resize(33, number);
    octets
}

/// Octets, filled with FF to a length.
fn padded(octets: &[u8], length: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets.resize(length, 0xFF);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_undone_octet_by_octet() {
        let iccid = "8986040000000000012".parse().unwrap();
        let (old, number) = ("460040000000001".parse().unwrap(), "861064800000001".parse().unwrap());
        let mut files = Files::personalised(&iccid, Some((&old, &number)));
        let former = files.subscription();
        let (imsi, msisdn) = ("460041234567895".parse().unwrap(), "861064812345678".parse().unwrap());
        files.write_subscription(None, &imsi, &msisdn, Some(&"8613800100500".parse().unwrap()));
        assert_eq!((files.imsi(), files.msisdn()), (Some(imsi), Some(msisdn)));
        assert_eq!(files.octets(Ef::Acc), [0, 0x20]);
        assert_eq!(files.octets(Ef::Smsp).len(), 38);
        assert_ne!(files.subscription(), former);
        files.restore(former.clone());
        assert_eq!(files.subscription(), former);
        assert_eq!(files.imsi(), Some(old));
    }
}
