//! The card's file system: the few elementary files that matter here (TS 102 221 §13, TS 31.102 §4).

use crate::identity::{Iccid, Imsi, Msisdn};
use crate::sim::card::apdu::{Answer, Command, Status};

/// MF, the root.
const MF: u16 = 0x3F00;
/// The selected USIM application; 7FFF is its name inside the application itself.
const ADF_USIM: u16 = 0x7FF0;
const ADF_CURRENT: u16 = 0x7FFF;
/// The AID of a USIM without its proprietary end: RID of 3GPP and application code.
const AID_USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
/// Octets of the name in an EF.MSISDN record; a record has 14 more.
const MSISDN_ALPHA: u8 = 10;
const SMSP_ALPHA: usize = 10;
/// No location known, not updated, last PLMN 001/01 (TS 31.102 §4.2.17).
const LOCI_UNKNOWN: [u8; 11] = [0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xF1, 0x10, 0, 0, 0xFF, 1];

/// Elementary files by identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileId {
    Iccid = 0x2FE2,
    Imsi = 0x6F07,
    Acc = 0x6F78,
    Ad = 0x6FAD,
    Loci = 0x6F7E,
    Msisdn = 0x6F40,
    Smsp = 0x6F42,
}

#[derive(Debug, Clone)]
struct File {
    id: FileId,
    /// MF or the USIM application.
    parent: u16,
    /// Whether a terminal may write it; the applet on the card always may.
    writable: bool,
    /// A transparent file is one record that is read with offsets.
    linear: bool,
    records: Vec<Vec<u8>>,
}

/// All files. What is selected belongs to the terminal session, not here.
#[derive(Debug, Clone)]
pub(super) struct Files(Vec<File>);

/// What SELECT has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    folder: u16,
    file: Option<FileId>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { folder: MF, file: None }
    }
}

/// The files that a write changes, as they were: what a roll-back brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubscriptionFiles {
    iccid: Vec<u8>,
    imsi: Vec<u8>,
    acc: Vec<u8>,
    msisdn: Vec<u8>,
    smsp: Vec<u8>,
    loci: Vec<u8>,
}

impl Files {
    /// Files of a card that has left the factory, with or without a preset subscription.
    pub(super) fn personalised(iccid: &Iccid, preset: Option<(&Imsi, &Msisdn)>) -> Self {
        let transparent = |id, parent, writable, octets: Vec<u8>| File {
            id,
            parent,
            writable,
            linear: false,
            records: vec![octets],
        };
        let linear = |id, length| File {
            id,
            parent: ADF_USIM,
            writable: true,
            linear: true,
            records: vec![vec![0xFF; length]],
        };
        let mut files = Self(vec![
            transparent(FileId::Iccid, MF, false, iccid.octets().to_vec()),
            transparent(FileId::Imsi, ADF_USIM, false, vec![0xFF; 9]),
            transparent(FileId::Acc, ADF_USIM, false, vec![0; 2]),
            transparent(FileId::Ad, ADF_USIM, false, vec![0, 0, 0, 2]),
            transparent(FileId::Loci, ADF_USIM, true, LOCI_UNKNOWN.to_vec()),
            linear(FileId::Msisdn, usize::from(MSISDN_ALPHA) + 14),
            linear(FileId::Smsp, SMSP_ALPHA + 28),
        ]);
        if let Some((imsi, msisdn)) = preset {
            files.write_subscription(None, imsi, msisdn, None);
        }
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
            self.put(FileId::Iccid, iccid.octets().to_vec());
        }
        if let Some(smsc) = smsc {
            self.put(FileId::Smsp, smsp_record(smsc));
        }
        self.put(FileId::Msisdn, msisdn.to_ef_record(MSISDN_ALPHA));
        self.put(FileId::Acc, access_class(imsi).to_vec());
        self.put(FileId::Loci, LOCI_UNKNOWN.to_vec());
        self.put(FileId::Imsi, imsi.to_ef().to_vec());
    }

    /// The present contents of what [`Files::write_subscription`] changes.
    pub(super) fn subscription(&self) -> SubscriptionFiles {
        SubscriptionFiles {
            iccid: self.octets(FileId::Iccid),
            imsi: self.octets(FileId::Imsi),
            acc: self.octets(FileId::Acc),
            msisdn: self.octets(FileId::Msisdn),
            smsp: self.octets(FileId::Smsp),
            loci: self.octets(FileId::Loci),
        }
    }

    /// Brings back what [`Files::subscription`] kept.
    pub(super) fn restore(&mut self, former: SubscriptionFiles) {
        self.put(FileId::Iccid, former.iccid);
        self.put(FileId::Smsp, former.smsp);
        self.put(FileId::Msisdn, former.msisdn);
        self.put(FileId::Acc, former.acc);
        self.put(FileId::Loci, former.loci);
        self.put(FileId::Imsi, former.imsi);
    }

    /// EF.IMSI, `None` where it is blank.
    pub(super) fn imsi(&self) -> Option<Imsi> {
        Imsi::from_ef(&self.octets(FileId::Imsi)).ok()
    }

    /// EF.MSISDN, `None` where it is blank.
    pub(super) fn msisdn(&self) -> Option<Msisdn> {
        Msisdn::from_ef_record(&self.octets(FileId::Msisdn)).ok().flatten()
    }

    /// EF.ICCID.
    pub(super) fn iccid(&self) -> Option<Iccid> {
        Iccid::from_octets(&self.octets(FileId::Iccid)).ok()
    }

    /// SELECT (TS 102 221 §11.1.1): by file identifier (P1 00) or by AID (P1 04).
    pub(super) fn select(&self, selection: &mut Selection, command: &Command<'_>) -> Result<Answer, Status> {
        match command.p1 {
            0x04 if AID_USIM.starts_with(command.data) || command.data.starts_with(&AID_USIM) => {
                *selection = Selection { folder: ADF_USIM, file: None };
            }
            0x04 => return Err(Status::FILE_NOT_FOUND),
            0x00 => {
                let id = u16::from_be_bytes(command.data.try_into().map_err(|_| Status::WRONG_LENGTH)?);
                match id {
                    MF => *selection = Selection::default(),
                    ADF_USIM | ADF_CURRENT => *selection = Selection { folder: ADF_USIM, file: None },
                    _ => {
                        let file = self
                            .0
                            .iter()
                            .find(|file| file.id as u16 == id && file.parent == selection.folder)
                            .ok_or(Status::FILE_NOT_FOUND)?;
                        selection.file = Some(file.id);
                    }
                }
            }
            _ => return Err(Status::WRONG_P1_P2),
        }
        // P2 0C: no data wanted; otherwise the control parameters wait for GET RESPONSE.
        if command.p2 & 0x0C == 0x0C {
            Ok(Answer::ok())
        } else {
            Ok(Answer::data(self.control_parameters(*selection)))
        }
    }

    /// READ BINARY (TS 102 221 §11.1.3).
    pub(super) fn read_binary(&self, selection: Selection, command: &Command<'_>) -> Result<Answer, Status> {
        let octets = self.transparent(selection)?;
        let rest = octets.get(command.p1p2()..).ok_or(Status::WRONG_P1_P2)?;
        let wanted = if command.expected == 256 { rest.len() } else { command.expected };
        rest.get(..wanted).map(|data| Answer::data(data.to_vec())).ok_or(Status::right_length(rest.len()))
    }

    /// UPDATE BINARY (TS 102 221 §11.1.4).
    pub(super) fn update_binary(
        &mut self,
        selection: Selection,
        command: &Command<'_>,
    ) -> Result<Answer, Status> {
        self.transparent(selection)?;
        let file = self.selected_for_update(selection)?;
        let octets = file.records.first_mut().ok_or(Status::NO_FILE_SELECTED)?;
        let start = command.p1p2();
        octets
            .get_mut(start..start + command.data.len())
            .ok_or(Status::WRONG_P1_P2)?
            .copy_from_slice(command.data);
        Ok(Answer::ok())
    }

    /// READ RECORD (TS 102 221 §11.1.5), absolute mode only.
    pub(super) fn read_record(&self, selection: Selection, command: &Command<'_>) -> Result<Answer, Status> {
        let file = self.selected(selection)?;
        let record = record_index(file, command)?;
        let octets = file.records.get(record).ok_or(Status::RECORD_NOT_FOUND)?;
        if command.expected != 256 && command.expected != octets.len() {
            return Err(Status::right_length(octets.len()));
        }
        Ok(Answer::data(octets.clone()))
    }

    /// UPDATE RECORD (TS 102 221 §11.1.6), absolute mode only.
    pub(super) fn update_record(
        &mut self,
        selection: Selection,
        command: &Command<'_>,
    ) -> Result<Answer, Status> {
        let record = record_index(self.selected(selection)?, command)?;
        let file = self.selected_for_update(selection)?;
        let octets = file.records.get_mut(record).ok_or(Status::RECORD_NOT_FOUND)?;
        if command.data.len() != octets.len() {
            return Err(Status::WRONG_LENGTH);
        }
        octets.copy_from_slice(command.data);
        Ok(Answer::ok())
    }

    fn transparent(&self, selection: Selection) -> Result<&[u8], Status> {
        let file = self.selected(selection)?;
        if file.linear {
            return Err(Status::INCOMPATIBLE_WITH_FILE);
        }
        file.records.first().map(Vec::as_slice).ok_or(Status::NO_FILE_SELECTED)
    }

    fn selected(&self, selection: Selection) -> Result<&File, Status> {
        let id = selection.file.ok_or(Status::NO_FILE_SELECTED)?;
        self.0.iter().find(|file| file.id == id).ok_or(Status::NO_FILE_SELECTED)
    }

    fn selected_for_update(&mut self, selection: Selection) -> Result<&mut File, Status> {
        let id = selection.file.ok_or(Status::NO_FILE_SELECTED)?;
        let file = self.0.iter_mut().find(|file| file.id == id).ok_or(Status::NO_FILE_SELECTED)?;
        if file.writable { Ok(file) } else { Err(Status::SECURITY_NOT_SATISFIED) }
    }

    /// The file control parameters (TS 102 221 §11.1.1.3): file descriptor, identifier, size.
    fn control_parameters(&self, selection: Selection) -> Vec<u8> {
        let file = selection.file.and_then(|id| self.0.iter().find(|file| file.id == id));
        let mut inside = match file {
            Some(File { linear: true, records, .. }) => {
                let length = records.first().map_or(0, Vec::len);
                vec![0x82, 5, 0x42, 0x21, 0, low_octet(length), low_octet(records.len())]
            }
            Some(_) => vec![0x82, 2, 0x41, 0x21],
            None => vec![0x82, 2, 0x78, 0x21],
        };
        let id = file.map_or(selection.folder, |file| file.id as u16);
        inside.extend([0x83, 2]);
        inside.extend(id.to_be_bytes());
        if let Some(file) = file {
            inside.extend([0x80, 2, 0, low_octet(file.records.iter().map(Vec::len).sum())]);
        }
        let mut template = vec![0x62, low_octet(inside.len())];
        template.extend(inside);
        template
    }

    fn octets(&self, id: FileId) -> Vec<u8> {
        self.0
            .iter()
            .find(|file| file.id == id)
            .and_then(|file| file.records.first())
            .cloned()
            .unwrap_or_default()
    }

    fn put(&mut self, id: FileId, octets: Vec<u8>) {
        if let Some(record) =
            self.0.iter_mut().find(|file| file.id == id).and_then(|file| file.records.first_mut())
        {
            *record = octets;
        }
    }
}

/// EF.ACC: one bit of 16 for the class, which is the IMSI's last digit (TS 31.102 §4.2.15).
fn access_class(imsi: &Imsi) -> [u8; 2] {
    let class = imsi.to_string().bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0') & 0x0F);
    (1_u16 << class).to_be_bytes()
}

/// An EF.SMSP record in which only the service centre is present (TS 31.102 §4.2.27).
fn smsp_record(smsc: &Msisdn) -> Vec<u8> {
    let mut record = vec![0xFF; SMSP_ALPHA];
    record.push(0xFD);
    record.extend([0xFF; 12]);
    let address = smsc.to_bcd(0x91);
    record.push(low_octet(address.len()));
    record.extend(address);
    record.resize(SMSP_ALPHA + 28, 0xFF);
    record
}

/// The place of the record that P1 names; P2 must say absolute mode.
fn record_index(file: &File, command: &Command<'_>) -> Result<usize, Status> {
    if !file.linear {
        return Err(Status::INCOMPATIBLE_WITH_FILE);
    }
    if command.p2 != 0x04 {
        return Err(Status::WRONG_P1_P2);
    }
    usize::from(command.p1).checked_sub(1).ok_or(Status::RECORD_NOT_FOUND)
}

/// For lengths that are below 256 by construction.
fn low_octet(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD_IMSI: &str = "460040000000001";
    const OLD_NUMBER: &str = "861064800000001";

    fn files() -> Files {
        let iccid = "8986040000000000012".parse().unwrap();
        Files::personalised(&iccid, Some((&OLD_IMSI.parse().unwrap(), &OLD_NUMBER.parse().unwrap())))
    }

    fn select(files: &Files, selection: &mut Selection, id: [u8; 2]) -> Result<Answer, Status> {
        files.select(selection, &Command::parse(&[0, 0xA4, 0, 0x0C, 2, id[0], id[1]]).unwrap())
    }

    #[test]
    fn a_file_is_found_only_in_its_folder() {
        let files = files();
        let mut selection = Selection::default();
        assert_eq!(select(&files, &mut selection, [0x6F, 0x07]), Err(Status::FILE_NOT_FOUND));
        select(&files, &mut selection, [0x7F, 0xFF]).unwrap();
        select(&files, &mut selection, [0x6F, 0x07]).unwrap();
        let answer = files.read_binary(selection, &Command::parse(&[0, 0xB0, 0, 0, 9]).unwrap()).unwrap();
        assert_eq!(Imsi::from_ef(&answer.data).unwrap().to_string(), OLD_IMSI);
        assert_eq!(select(&files, &mut selection, [0x2F, 0xE2]), Err(Status::FILE_NOT_FOUND));
    }

    #[test]
    fn the_terminal_may_write_the_number_but_not_the_imsi() {
        let mut files = files();
        let mut selection = Selection::default();
        select(&files, &mut selection, [0x7F, 0xF0]).unwrap();
        select(&files, &mut selection, [0x6F, 0x07]).unwrap();
        let update = Command::parse(&[0, 0xD6, 0, 0, 1, 8]).unwrap();
        assert_eq!(files.update_binary(selection, &update), Err(Status::SECURITY_NOT_SATISFIED));
        select(&files, &mut selection, [0x6F, 0x40]).unwrap();
        let number: Msisdn = "861064899999999".parse().unwrap();
        let mut apdu = vec![0, 0xDC, 1, 4, 24];
        apdu.extend(number.to_ef_record(MSISDN_ALPHA));
        files.update_record(selection, &Command::parse(&apdu).unwrap()).unwrap();
        assert_eq!(files.msisdn(), Some(number));
        apdu[2] = 2;
        assert_eq!(
            files.update_record(selection, &Command::parse(&apdu).unwrap()),
            Err(Status::RECORD_NOT_FOUND)
        );
    }

    #[test]
    fn a_write_is_undone_octet_by_octet() {
        let mut files = files();
        let former = files.subscription();
        let (imsi, msisdn) = ("460041234567895".parse().unwrap(), "861064812345678".parse().unwrap());
        files.write_subscription(None, &imsi, &msisdn, Some(&"8613800100500".parse().unwrap()));
        assert_eq!((files.imsi(), files.msisdn()), (Some(imsi), Some(msisdn)));
        assert_eq!(files.octets(FileId::Acc), [0, 0x20]);
        assert_eq!(files.octets(FileId::Smsp).len(), 38);
        files.restore(former.clone());
        assert_eq!(files.subscription(), former);
        assert_eq!(files.imsi().unwrap().to_string(), OLD_IMSI);
    }

    #[test]
    fn reading_past_the_end_names_the_right_length() {
        let files = files();
        let mut selection = Selection::default();
        select(&files, &mut selection, [0x2F, 0xE2]).unwrap();
        let read = |apdu: &[u8]| files.read_binary(selection, &Command::parse(apdu).unwrap());
        assert_eq!(read(&[0, 0xB0, 0, 0, 11]), Err(Status::right_length(10)));
        assert_eq!(read(&[0, 0xB0, 0, 11, 1]), Err(Status::WRONG_P1_P2));
        assert_eq!(read(&[0, 0xB0, 0, 8, 0]).unwrap().data.len(), 2);
    }
}
