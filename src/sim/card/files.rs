//! The card's file system: SELECT, READ and UPDATE (TS 102 221 §8, §11.1). What the files hold is in [`super::contents`].

use crate::ota::ef::{Ef, Structure};
use crate::sim::card::apdu::{Answer, Command, Status};

/// The identifiers of a directory and of those above it, from 3F00 (MF) or 7FFF (the USIM application) on.
type Path = &'static [u16];

/// MF, the root.
pub(super) const MF: Path = &[0x3F00];
/// The USIM application; 7FFF is its name inside the application itself.
pub(super) const USIM: Path = &[0x7FFF];
/// What this card calls its USIM application from outside.
const ADF_USIM: u16 = 0x7FF0;
/// The AID of a USIM without its proprietary end: RID of 3GPP and application code.
const AID_USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];

/// Who speaks to the card: the rights to update differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// Whoever holds the card by its contacts.
    Terminal,
    /// Remote file management, after its packet has proved itself.
    Remote,
}

/// Who may update a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Update {
    /// The terminal, and remote file management.
    Anyone,
    /// Remote file management only.
    Remote,
    /// Nobody.
    Never,
}

impl Update {
    /// 6982 where `party` may not.
    fn permits(self, party: Party) -> Result<(), Status> {
        match (self, party) {
            (Self::Anyone, _) | (Self::Remote, Party::Remote) => Ok(()),
            (Self::Remote, Party::Terminal) | (Self::Never, _) => Err(Status::SECURITY_NOT_SATISFIED),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) ef: Ef,
    update: Update,
    /// A transparent file is one record that is read with offsets.
    pub(super) records: Vec<Vec<u8>>,
}

impl File {
    pub(super) fn new(ef: Ef, update: Update, octets: Vec<u8>) -> Self {
        Self { ef, update, records: vec![octets] }
    }

    /// As many records like the one that is there.
    pub(super) fn with_records(mut self, number: usize) -> Self {
        let record = self.records.pop().unwrap_or_default();
        self.records = vec![record; number];
        self
    }

    fn is_linear(&self) -> bool {
        self.ef.structure() == Structure::LinearFixed
    }
}

/// All files. What is selected belongs to a session, not here.
#[derive(Debug, Clone)]
pub(super) struct Files(pub(super) Vec<File>);

/// What SELECT has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    folder: Path,
    file: Option<Ef>,
}

impl Selection {
    /// A session that begins in this directory.
    pub(super) const fn of(folder: Path) -> Self {
        Self { folder, file: None }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::of(MF)
    }
}

impl Files {
    /// A command on files, from SELECT to UPDATE; [`Status::UNKNOWN_INSTRUCTION`] for any other.
    pub(super) fn command(
        &mut self,
        selection: &mut Selection,
        command: &Command<'_>,
        party: Party,
    ) -> Result<Answer, Status> {
        match command.instruction {
            0xA4 => self.select(selection, command),
            0xB0 => self.read_binary(*selection, command),
            0xD6 => self.update_binary(*selection, command, party),
            0xB2 => self.read_record(*selection, command),
            0xDC => self.update_record(*selection, command, party),
            _ => Err(Status::UNKNOWN_INSTRUCTION),
        }
    }

    /// SELECT (TS 102 221 §11.1.1): by file identifier (P1 00) or by AID (P1 04).
    fn select(&self, selection: &mut Selection, command: &Command<'_>) -> Result<Answer, Status> {
        *selection = match command.p1 {
            0x04 if AID_USIM.starts_with(command.data) || command.data.starts_with(&AID_USIM) => {
                Selection::of(USIM)
            }
            0x04 => return Err(Status::FILE_NOT_FOUND),
            0x00 => {
                let identifier = command.data.try_into().map_err(|_| Status::WRONG_LENGTH)?;
                self.find(selection.folder, u16::from_be_bytes(identifier)).ok_or(Status::FILE_NOT_FOUND)?
            }
            _ => return Err(Status::WRONG_P1_P2),
        };
        // P2 0C: no data wanted; otherwise the control parameters wait for GET RESPONSE.
        if command.p2 & 0x0C == 0x0C {
            Ok(Answer::ok())
        } else {
            Ok(Answer::data(self.control_parameters(*selection)))
        }
    }

    /// What a file identifier names from within a directory (TS 102 221 §8.4.1): MF and application from everywhere, the
    /// directory itself, what is in it.
    fn find(&self, folder: Path, identifier: u16) -> Option<Selection> {
        if MF == [identifier] {
            return Some(Selection::of(MF));
        }
        if USIM == [identifier] || identifier == ADF_USIM {
            return Some(Selection::of(USIM));
        }
        if folder.last() == Some(&identifier) {
            return Some(Selection::of(folder));
        }
        self.0.iter().find_map(|file| match file.ef.path().strip_prefix(folder)? {
            [only] if *only == identifier => Some(Selection { folder, file: Some(file.ef) }),
            [directory, ..] if *directory == identifier => {
                file.ef.path().get(..=folder.len()).map(Selection::of)
            }
            _ => None,
        })
    }

    /// READ BINARY (TS 102 221 §11.1.3).
    fn read_binary(&self, selection: Selection, command: &Command<'_>) -> Result<Answer, Status> {
        let octets = self.transparent(selection)?;
        let rest = octets.get(command.p1p2()..).ok_or(Status::WRONG_P1_P2)?;
        let wanted = if command.expected == 256 { rest.len() } else { command.expected };
        rest.get(..wanted).map(|data| Answer::data(data.to_vec())).ok_or(Status::right_length(rest.len()))
    }

    /// UPDATE BINARY (TS 102 221 §11.1.4).
    fn update_binary(
        &mut self,
        selection: Selection,
        command: &Command<'_>,
        party: Party,
    ) -> Result<Answer, Status> {
        self.transparent(selection)?;
        let file = self.selected_for_update(selection, party)?;
        let octets = file.records.first_mut().ok_or(Status::NO_FILE_SELECTED)?;
        let start = command.p1p2();
        octets
            .get_mut(start..start + command.data.len())
            .ok_or(Status::WRONG_P1_P2)?
            .copy_from_slice(command.data);
        Ok(Answer::ok())
    }

    /// READ RECORD (TS 102 221 §11.1.5), absolute mode only.
    fn read_record(&self, selection: Selection, command: &Command<'_>) -> Result<Answer, Status> {
        let file = self.selected(selection)?;
        let record = record_index(file, command)?;
        let octets = file.records.get(record).ok_or(Status::RECORD_NOT_FOUND)?;
        if command.expected != 256 && command.expected != octets.len() {
            return Err(Status::right_length(octets.len()));
        }
        Ok(Answer::data(octets.clone()))
    }

    /// UPDATE RECORD (TS 102 221 §11.1.6), absolute mode only.
    fn update_record(
        &mut self,
        selection: Selection,
        command: &Command<'_>,
        party: Party,
    ) -> Result<Answer, Status> {
        let record = record_index(self.selected(selection)?, command)?;
        let file = self.selected_for_update(selection, party)?;
        let octets = file.records.get_mut(record).ok_or(Status::RECORD_NOT_FOUND)?;
        if command.data.len() != octets.len() {
            return Err(Status::WRONG_LENGTH);
        }
        octets.copy_from_slice(command.data);
        Ok(Answer::ok())
    }

    fn transparent(&self, selection: Selection) -> Result<&[u8], Status> {
        let file = self.selected(selection)?;
        if file.is_linear() {
            return Err(Status::INCOMPATIBLE_WITH_FILE);
        }
        file.records.first().map(Vec::as_slice).ok_or(Status::NO_FILE_SELECTED)
    }

    fn selected(&self, selection: Selection) -> Result<&File, Status> {
        selection.file.and_then(|ef| self.file(ef)).ok_or(Status::NO_FILE_SELECTED)
    }

    fn selected_for_update(&mut self, selection: Selection, party: Party) -> Result<&mut File, Status> {
        let ef = selection.file.ok_or(Status::NO_FILE_SELECTED)?;
        let file = self.0.iter_mut().find(|file| file.ef == ef).ok_or(Status::NO_FILE_SELECTED)?;
        file.update.permits(party)?;
        Ok(file)
    }

    fn file(&self, ef: Ef) -> Option<&File> {
        self.0.iter().find(|file| file.ef == ef)
    }

    /// The file control parameters (TS 102 221 §11.1.1.3): file descriptor, identifier, size.
    fn control_parameters(&self, selection: Selection) -> Vec<u8> {
        let file = selection.file.and_then(|ef| self.file(ef));
        let mut inside = match file {
            Some(file) if file.is_linear() => {
                let length = file.records.first().map_or(0, Vec::len);
                vec![0x82, 5, 0x42, 0x21, 0, low_octet(length), low_octet(file.records.len())]
            }
            Some(_) => vec![0x82, 2, 0x41, 0x21],
            None => vec![0x82, 2, 0x78, 0x21],
        };
        let path = selection.file.map_or(selection.folder, Ef::path);
        let identifier = path.last().copied().unwrap_or_default();
        inside.extend([0x83, 2]);
        inside.extend(if USIM == [identifier] { ADF_USIM } else { identifier }.to_be_bytes());
        if let Some(file) = file {
            inside.extend([0x80, 2, 0, low_octet(file.records.iter().map(Vec::len).sum())]);
        }
        let mut template = vec![0x62, low_octet(inside.len())];
        template.extend(inside);
        template
    }

    /// The octets of a transparent file, or of the first record.
    pub(super) fn octets(&self, ef: Ef) -> &[u8] {
        self.file(ef).and_then(|file| file.records.first()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Writes a transparent file, or the first record, whoever may.
    pub(super) fn put(&mut self, ef: Ef, octets: Vec<u8>) {
        let file = self.0.iter_mut().find(|file| file.ef == ef);
        if let Some(record) = file.and_then(|file| file.records.first_mut()) {
            *record = octets;
        }
    }
}

/// The place of the record that P1 names; P2 must say absolute mode.
fn record_index(file: &File, command: &Command<'_>) -> Result<usize, Status> {
    if !file.is_linear() {
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
    use crate::identity::{Imsi, Msisdn};
    use crate::sim::card::contents::MSISDN_ALPHA;

    const OLD_IMSI: &str = "460040000000001";

    fn files() -> Files {
        let iccid = "8986040000000000012".parse().unwrap();
        Files::personalised(&iccid, Some((&OLD_IMSI.parse().unwrap(), &"861064800000001".parse().unwrap())))
    }

    fn run(
        files: &mut Files,
        selection: &mut Selection,
        apdu: &[u8],
        party: Party,
    ) -> Result<Vec<u8>, Status> {
        files.command(selection, &Command::parse(apdu).unwrap(), party).map(|answer| answer.data)
    }

    fn select(files: &mut Files, selection: &mut Selection, id: u16) -> Result<Vec<u8>, Status> {
        let [high, low] = id.to_be_bytes();
        run(files, selection, &[0, 0xA4, 0, 0x0C, 2, high, low], Party::Terminal)
    }

    #[test]
    fn a_file_is_found_only_in_its_directory() {
        let mut files = files();
        let selection = &mut Selection::default();
        assert_eq!(select(&mut files, selection, 0x6F07), Err(Status::FILE_NOT_FOUND));
        select(&mut files, selection, 0x7FFF).unwrap();
        select(&mut files, selection, 0x6F07).unwrap();
        let octets = run(&mut files, selection, &[0, 0xB0, 0, 0, 9], Party::Terminal).unwrap();
        assert_eq!(Imsi::from_ef(&octets).unwrap().to_string(), OLD_IMSI);
        assert_eq!(select(&mut files, selection, 0x2FE2), Err(Status::FILE_NOT_FOUND));
        // The directory of 5G files, in it, and by its parent back.
        assert_eq!(select(&mut files, selection, 0x4F01), Err(Status::FILE_NOT_FOUND));
        for id in [0x5FC0, 0x4F01, 0x5FC0, 0x7FFF, 0x6F07, 0x3F00, 0x2FE2] {
            select(&mut files, selection, id).unwrap();
        }
    }

    #[test]
    fn a_terminal_may_write_the_number_and_remote_management_the_imsi_too() {
        let mut files = files();
        let selection = &mut Selection::of(USIM);
        select(&mut files, selection, 0x6F07).unwrap();
        let update = [0, 0xD6, 0, 0, 1, 8];
        let refused = Err(Status::SECURITY_NOT_SATISFIED);
        assert_eq!(run(&mut files, selection, &update, Party::Terminal), refused);
        run(&mut files, selection, &update, Party::Remote).unwrap();
        select(&mut files, selection, 0x6F40).unwrap();
        let number: Msisdn = "861064899999999".parse().unwrap();
        let mut apdu = vec![0, 0xDC, 1, 4, 24];
        apdu.extend(number.to_ef_record(MSISDN_ALPHA));
        run(&mut files, selection, &apdu, Party::Terminal).unwrap();
        assert_eq!(files.msisdn(), Some(number));
        apdu[2] = 3;
        assert_eq!(run(&mut files, selection, &apdu, Party::Remote), Err(Status::RECORD_NOT_FOUND));
        apdu[2] = 1;
        apdu[4] = 23;
        apdu.pop();
        assert_eq!(run(&mut files, selection, &apdu, Party::Remote), Err(Status::WRONG_LENGTH));
        select(&mut files, selection, 0x3F00).unwrap();
        select(&mut files, selection, 0x2FE2).unwrap();
        assert_eq!(run(&mut files, selection, &update, Party::Remote), refused);
    }

    #[test]
    fn reading_past_the_end_names_the_right_length() {
        let mut files = files();
        let selection = &mut Selection::default();
        select(&mut files, selection, 0x2FE2).unwrap();
        let mut read = |apdu: &[u8]| run(&mut files, selection, apdu, Party::Terminal);
        assert_eq!(read(&[0, 0xB0, 0, 0, 11]), Err(Status::right_length(10)));
        assert_eq!(read(&[0, 0xB0, 0, 11, 1]), Err(Status::WRONG_P1_P2));
        assert_eq!(read(&[0, 0xB0, 0, 8, 0]).unwrap().len(), 2);
    }

    #[test]
    fn select_tells_what_was_selected() {
        let mut files = files();
        let selection = &mut Selection::default();
        let mut parameters = |id: [u8; 2]| {
            run(&mut files, selection, &[0, 0xA4, 0, 4, 2, id[0], id[1]], Party::Terminal).unwrap()
        };
        assert_eq!(parameters([0x7F, 0xFF]), [0x62, 8, 0x82, 2, 0x78, 0x21, 0x83, 2, 0x7F, 0xF0]);
        let imsi = [0x62, 12, 0x82, 2, 0x41, 0x21, 0x83, 2, 0x6F, 0x07, 0x80, 2, 0, 9];
        assert_eq!(parameters([0x6F, 0x07]), imsi);
        let number = parameters([0x6F, 0x40]);
        assert_eq!(number[..9], [0x62, 15, 0x82, 5, 0x42, 0x21, 0, 24, 2]);
    }
}
