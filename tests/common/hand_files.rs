//! A card without applet by hand: its files, and the scripts that work on them.

use std::collections::BTreeMap;

use airwrite::identity::{Iccid, Imsi};
use airwrite::ota::apdu::{Command, instruction};
use airwrite::ota::reassembly::PartSet;
use airwrite::ota::script::decode_compact;
use airwrite::ota::{Cntr, KeySet, ResponseHeader, Rsc, Spi2, Tar, UserData, command, response};

use super::hand_card::response_user_data;
use super::scene::Scene;
use super::smsc::Smsc;

const MF: u16 = 0x3F00;
const ADF: u16 = 0x7FFF;
pub(crate) const IMSI: [u16; 2] = [ADF, 0x6F07];
pub(crate) const ICCID: [u16; 2] = [MF, 0x2FE2];
pub(crate) const MSISDN: [u16; 2] = [ADF, 0x6F40];
pub(crate) const LOCI: [u16; 2] = [ADF, 0x6F7E];

/// The card of a row of the sample.
pub(crate) struct HandFiles {
    keys: KeySet,
    /// What it had from the factory.
    pub(crate) number: String,
    /// Contents by path; of a file with records those of the first one.
    pub(crate) files: BTreeMap<Vec<u16>, Vec<u8>>,
    /// Files that are not to be updated.
    pub(crate) protected: Vec<Vec<u16>>,
}

/// A script, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) tar: Tar,
    pub(crate) cntr: Cntr,
    pub(crate) asked: Spi2,
    pub(crate) data: Vec<u8>,
}

impl HandFiles {
    pub(crate) fn new(scene: &Scene, index: usize) -> Self {
        let row = &scene.sample.cards[index];
        let preset = row.preset.as_ref().unwrap();
        let files = [
            (IMSI.to_vec(), preset.imsi.to_ef().to_vec()),
            (ICCID.to_vec(), row.iccid.unwrap().octets().to_vec()),
            (MSISDN.to_vec(), vec![0xFF; 24]),
            (LOCI.to_vec(), vec![0; 11]),
        ];
        let keys = row.keys[0].key_set().unwrap();
        let number = preset.msisdn.as_str().to_owned();
        Self { keys, number, files: files.into(), protected: Vec::new() }
    }

    pub(crate) fn imsi(&self) -> Imsi {
        Imsi::from_ef(&self.files[&IMSI.to_vec()]).unwrap()
    }

    pub(crate) fn set_iccid(&mut self, iccid: Iccid) {
        self.files.insert(ICCID.to_vec(), iccid.octets().to_vec());
    }

    /// The next packet that is submitted, in one part, and where it goes.
    pub(crate) async fn next(&self, smsc: &mut Smsc) -> (String, Script) {
        let sm = smsc.submitted("1").await;
        let packet = UserData::parse(&sm.user_data()).unwrap().payload;
        (sm.destination.digits.to_str_lossy().into_owned(), self.open(&packet))
    }

    /// Puts a packet together of its parts.
    pub(crate) fn join(&self, parts: &[Vec<u8>]) -> Script {
        let parts: Vec<UserData> = parts.iter().map(|part| UserData::parse(part).unwrap()).collect();
        let mut set = PartSet::new(parts[0].concatenation().unwrap());
        for part in &parts {
            set.insert(part).unwrap();
        }
        self.open(&set.joined().unwrap().payload)
    }

    pub(crate) fn open(&self, packet: &[u8]) -> Script {
        let opened = command::open(packet, &self.keys).unwrap();
        let header = opened.header;
        Script { tar: header.tar, cntr: header.cntr, asked: header.spi2, data: opened.data }
    }

    /// Executes a script of the compact form, and gives the response packet as a whole TP-UD.
    pub(crate) fn execute(&mut self, script: &Script) -> Vec<u8> {
        let (mut executed, mut status, mut read) = (0, 0x9000_u16, Vec::new());
        let mut selected: Vec<u16> = Vec::new();
        for apdu in decode_compact(&script.data).unwrap() {
            executed += 1;
            (status, read) = self.command(&Command::parse(apdu).unwrap(), &mut selected);
            if status != 0x9000 {
                break;
            }
        }
        let data = [&[executed][..], &status.to_be_bytes(), &read].concat();
        self.por(script, Rsc::OK, &data)
    }

    /// The response packet to a script, as a whole TP-UD.
    pub(crate) fn por(&self, script: &Script, rsc: Rsc, data: &[u8]) -> Vec<u8> {
        let header = ResponseHeader { tar: script.tar, cntr: script.cntr, rsc };
        response_user_data(&response::seal(&header, script.asked, &self.keys, data).unwrap())
    }

    fn command(&mut self, command: &Command<'_>, selected: &mut Vec<u16>) -> (u16, Vec<u8>) {
        match command.instruction {
            instruction::SELECT => {
                let id = u16::from_be_bytes(command.data.try_into().unwrap());
                let is_file = self.files.contains_key(selected.as_slice());
                let mut path = match id {
                    MF | ADF => Vec::new(),
                    _ if is_file => selected[..selected.len() - 1].to_vec(),
                    _ => selected.clone(),
                };
                path.push(id);
                if !self.files.keys().any(|known| known.starts_with(&path)) {
                    return (0x6A82, Vec::new());
                }
                *selected = path;
                (0x9000, Vec::new())
            }
            instruction::UPDATE_BINARY | instruction::UPDATE_RECORD => {
                if self.protected.contains(selected) {
                    return (0x6982, Vec::new());
                }
                match self.files.get_mut(selected.as_slice()) {
                    Some(file) if file.len() == command.data.len() => {
                        *file = command.data.to_vec();
                        (0x9000, Vec::new())
                    }
                    Some(_) => (0x6700, Vec::new()),
                    None => (0x6986, Vec::new()),
                }
            }
            instruction::READ_BINARY => match self.files.get(selected.as_slice()) {
                Some(file) => (0x9000, file.clone()),
                None => (0x6986, Vec::new()),
            },
            other => panic!("instruction {other:02X}"),
        }
    }
}
