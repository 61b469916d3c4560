//! Command APDUs for remote file management and the status words that answer them (ETSI TS 102 221 §10, §11;
//! ISO/IEC 7816-4). Short APDUs only: Lc and Le have one octet.

use std::fmt;

/// Instructions (TS 102 221 §10.1.2) by their octet.
pub mod instruction {
    /// SELECT.
    pub const SELECT: u8 = 0xA4;
    /// READ BINARY.
    pub const READ_BINARY: u8 = 0xB0;
    /// UPDATE BINARY.
    pub const UPDATE_BINARY: u8 = 0xD6;
    /// READ RECORD.
    pub const READ_RECORD: u8 = 0xB2;
    /// UPDATE RECORD.
    pub const UPDATE_RECORD: u8 = 0xDC;
    /// INCREASE.
    pub const INCREASE: u8 = 0x32;
    /// GET RESPONSE.
    pub const GET_RESPONSE: u8 = 0xC0;
    /// GET DATA (GlobalPlatform).
    pub const GET_DATA: u8 = 0xCA;
    /// RETRIEVE DATA.
    pub const RETRIEVE_DATA: u8 = 0xCB;
    /// GET CHALLENGE.
    pub const GET_CHALLENGE: u8 = 0x84;
    /// STATUS; GET STATUS for an application manager (GlobalPlatform).
    pub const STATUS: u8 = 0xF2;
}

/// Class of the commands that are built here: interindustry, basic logical channel, no secure messaging.
const CLASS: u8 = 0x00;
/// P2 of the record commands: P1 is the number of the record.
const ABSOLUTE: u8 = 0x04;

/// Why octets are no command APDU, or a command cannot be put into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApduError {
    /// Fewer than CLA, INS, P1, P2.
    #[error("C-APDU: expected at least 4 octets, found {0}")]
    Header(usize),
    /// What follows the header is neither Le nor Lc, that many octets and perhaps Le.
    #[error("C-APDU: expected the data that Lc announces and at most Le behind it, found {0} octets")]
    Lc(usize),
    /// Data that does not fit Lc, or no data.
    #[error("C-APDU data: expected 1 to 255 octets, found {0}")]
    Data(usize),
}

/// SELECT a file by its identifier, in the current directory, its parent, or as a directory (`00 A4 00 04 02`; TS 102 221
/// §11.1.1). The card may answer with the file's control parameters.
#[must_use]
pub fn select(file: u16) -> Vec<u8> {
    let [high, low] = file.to_be_bytes();
    vec![CLASS, instruction::SELECT, 0x00, 0x04, 2, high, low]
}

/// READ BINARY of `length` octets, 0 for 256 or all there are (`00 B0`; TS 102 221 §11.1.3). `offset` is at most 7FFF: with
/// its highest bit P1 would name a short file identifier.
#[must_use]
pub fn read_binary(offset: u16, length: u8) -> Vec<u8> {
    let [high, low] = offset.to_be_bytes();
    vec![CLASS, instruction::READ_BINARY, high, low, length]
}

/// UPDATE BINARY (`00 D6`; TS 102 221 §11.1.4). `offset` as in [`read_binary`].
///
/// # Errors
/// [`ApduError::Data`].
pub fn update_binary(offset: u16, data: &[u8]) -> Result<Vec<u8>, ApduError> {
    let [high, low] = offset.to_be_bytes();
    with_data([CLASS, instruction::UPDATE_BINARY, high, low], data)
}

/// READ RECORD `number`, counted from 1, of `length` octets (`00 B2 nn 04`; TS 102 221 §11.1.5). Cards want the whole record.
#[must_use]
pub fn read_record(number: u8, length: u8) -> Vec<u8> {
    vec![CLASS, instruction::READ_RECORD, number, ABSOLUTE, length]
}

/// UPDATE RECORD `number`, counted from 1, with the whole record (`00 DC nn 04`; TS 102 221 §11.1.6).
///
/// # Errors
/// [`ApduError::Data`].
pub fn update_record(number: u8, data: &[u8]) -> Result<Vec<u8>, ApduError> {
    with_data([CLASS, instruction::UPDATE_RECORD, number, ABSOLUTE], data)
}

/// GET RESPONSE of `length` octets, 0 for 256 or all there are (`00 C0 00 00`; TS 102 221 §11.3.1).
#[must_use]
pub fn get_response(length: u8) -> Vec<u8> {
    vec![CLASS, instruction::GET_RESPONSE, 0x00, 0x00, length]
}

fn with_data(header: [u8; 4], data: &[u8]) -> Result<Vec<u8>, ApduError> {
    match u8::try_from(data.len()) {
        Ok(lc @ 1..) => Ok([&header[..], &[lc], data].concat()),
        _ => Err(ApduError::Data(data.len())),
    }
}

/// A command APDU taken apart: `data` is what Lc announced, `expected` is Le with 00 read as 256, and 0 where there is none.
/// `Debug` leaves the data out, as files may be given keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// CLA.
    pub class: u8,
    /// INS.
    pub instruction: u8,
    /// P1.
    pub p1: u8,
    /// P2.
    pub p2: u8,
    /// The command's data.
    pub data: &'a [u8],
    /// Octets of data that the response may have.
    pub expected: usize,
}

impl<'a> Command<'a> {
    /// Reads a short APDU: header of four octets, then nothing, Le, or Lc with data and perhaps Le.
    ///
    /// # Errors
    /// [`ApduError::Header`], [`ApduError::Lc`].
    pub fn parse(apdu: &'a [u8]) -> Result<Self, ApduError> {
        let (header, body) = apdu.split_first_chunk::<4>().ok_or(ApduError::Header(apdu.len()))?;
        let [class, instruction, p1, p2] = *header;
        let (data, expected): (&[u8], Option<u8>) = match body {
            [] => (&[], None),
            [le] => (&[], Some(*le)),
            [lc, rest @ ..] => match rest.split_at_checked((*lc).into()) {
                Some((data, [])) => (data, None),
                Some((data, [le])) => (data, Some(*le)),
                _ => return Err(ApduError::Lc(rest.len())),
            },
        };
        let expected = match expected {
            None => 0,
            Some(0) => 256,
            Some(le) => usize::from(le),
        };
        Ok(Self { class, instruction, p1, p2, data, expected })
    }

    /// P1 and P2 as one number: an offset for the binary commands.
    #[must_use]
    pub fn p1p2(&self) -> usize {
        usize::from(self.p1) << 8 | usize::from(self.p2)
    }

    /// Whether the command has data to bring back, and so answers with more than a status word (cases 2 and 4).
    #[must_use]
    pub const fn expects_data(&self) -> bool {
        self.expected > 0
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, instruction, p1, p2, data, expected } = self;
        let data = data.len();
        write!(f, "Command({class:02X} {instruction:02X} {p1:02X} {p2:02X}, {data} octets, Le {expected})")
    }
}

/// Whether P3 of a command of five octets is Le, not Lc: the transport protocol T=0 and the compact format of remote commands
/// tell the two apart by the instruction alone. Known are the instructions of TS 102 226 §6 and §8.
#[must_use]
pub const fn p3_is_le(ins: u8, p1: u8, p2: u8) -> bool {
    use instruction::*;
    match ins {
        READ_BINARY | READ_RECORD | GET_RESPONSE | GET_DATA | GET_CHALLENGE => true,
        // The first block names the data object; further blocks only fetch.
        RETRIEVE_DATA => p2 & 0x80 == 0,
        // GET STATUS (what is asked for in b8 to b5 of P1) has search criteria.
        STATUS => p1 & 0xF0 == 0,
        _ => false,
    }
}

/// SW1 SW2: how a command ended (TS 102 221 §10.2). Keeps every value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Normal ending.
    pub const OK: Self = Self(0x9000);
    /// The response was cut off; the rest of the script has not run (TS 102 226 §5.2.1.1).
    pub const MORE_DATA_AVAILABLE: Self = Self(0x62F1);
    /// Wrong length.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// The command does not fit the structure of the file.
    pub const INCOMPATIBLE_WITH_FILE: Self = Self(0x6981);
    /// The access conditions of the file are not fulfilled.
    pub const SECURITY_NOT_SATISFIED: Self = Self(0x6982);
    /// Conditions of use not satisfied.
    pub const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    /// No elementary file is selected.
    pub const NO_FILE_SELECTED: Self = Self(0x6986);
    /// The data cannot be right.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// File not found.
    pub const FILE_NOT_FOUND: Self = Self(0x6A82);
    /// Record not found.
    pub const RECORD_NOT_FOUND: Self = Self(0x6A83);
    /// Wrong P1 or P2.
    pub const WRONG_P1_P2: Self = Self(0x6B00);
    /// Instruction not supported.
    pub const UNKNOWN_INSTRUCTION: Self = Self(0x6D00);
    /// Class not supported.
    pub const UNKNOWN_CLASS: Self = Self(0x6E00);
    /// Authentication failed: incorrect MAC.
    pub const WRONG_MAC: Self = Self(0x9862);

    /// 61xx: that many octets wait for GET RESPONSE (00 stands for 256).
    #[must_use]
    pub const fn waiting(octets: usize) -> Self {
        Self(0x6100 | low_octet(octets))
    }

    /// 91xx: a proactive command of that many octets waits for FETCH.
    #[must_use]
    pub const fn fetch(octets: usize) -> Self {
        Self(0x9100 | low_octet(octets))
    }

    /// 6Cxx: wrong Le, the right one is xx.
    #[must_use]
    pub const fn right_length(octets: usize) -> Self {
        Self(0x6C00 | low_octet(octets))
    }

    /// Whether the file that was to be selected is not there: 6A82, and 9404 of class A0.
    #[must_use]
    pub const fn is_file_not_found(self) -> bool {
        matches!(self.0, 0x6A82 | 0x9404)
    }

    /// Whether the command has done all of its work: 9000, 91xx (a proactive command waits) and 920x (after x internal
    /// retries).
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0x9000 || self.0 & 0xFF00 == 0x9100 || self.0 & 0xFFF0 == 0x9200
    }

    /// Whether the command has done its work and its data wait for GET RESPONSE: 61xx, and 9Fxx in class A0.
    #[must_use]
    pub const fn has_data_waiting(self) -> bool {
        matches!(self.0 >> 8, 0x61 | 0x9F)
    }

    /// The meaning in words; `None` for a value that TS 102 221 §10.2.1, TS 102 226 and, in class A0, TS 51.011 §9.4 do
    /// not define.
    #[must_use]
    pub const fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            0x9000 => "normal ending",
            0x6100..=0x61FF | 0x9F00..=0x9FFF => "response data waiting",
            0x9100..=0x91FF => "normal ending, proactive command pending",
            0x9200..=0x920F => "normal ending after internal retries",
            0x9240 | 0x6581 => "memory problem",
            0x9300 => "toolkit busy",
            0x9400 => "no EF selected",
            0x9402 => "address out of range",
            0x9404 | 0x6A82 => "file not found",
            0x9408 | 0x6981 => "command incompatible with file structure",
            0x9802 => "no CHV initialised",
            0x9804 => "access condition not fulfilled",
            0x9808 => "in contradiction with CHV status",
            0x9810 => "in contradiction with invalidation status",
            0x9840 => "CHV blocked",
            0x9850 => "increase beyond the maximum",
            0x9862 => "authentication error, incorrect MAC",
            0x9863 => "security session invalid",
            0x9864 => "authentication error, security context not supported",
            0x6200 => "warning, memory unchanged",
            0x6281 => "part of the data may be corrupted",
            0x6282 => "end of file or record before Le octets",
            0x6283 => "selected file deactivated",
            0x6285 => "selected file terminated",
            0x62F1 => "response truncated, more data available",
            0x62F2 => "more data available, proactive command pending",
            0x62F3 => "response data available",
            0x6300 => "warning, memory changed",
            0x63F1 => "more data expected",
            0x63F2 => "more data expected, proactive command pending",
            0x63C0..=0x63CF => "retries left, or update after internal retries",
            0x6400 => "execution error, memory unchanged",
            0x6500 => "execution error, memory changed",
            0x6700..=0x67FF => "wrong length",
            0x6800 => "function in CLA not supported",
            0x6881 => "logical channel not supported",
            0x6882 => "secure messaging not supported",
            0x6900 => "command not allowed",
            0x6982 => "security status not satisfied",
            0x6983 => "PIN or key blocked",
            0x6984 => "referenced data invalidated",
            0x6985 => "conditions of use not satisfied",
            0x6986 => "command not allowed, no EF selected",
            0x6989 => "command not allowed, security not satisfied",
            0x6A80 => "incorrect data",
            0x6A81 => "function not supported",
            0x6A83 => "record not found",
            0x6A84 => "not enough memory",
            0x6A86 => "incorrect P1 P2",
            0x6A87 => "Lc inconsistent with P1 P2",
            0x6A88 => "referenced data not found",
            0x6A89 => "file identifier already exists",
            0x6A8A => "DF name already exists",
            0x6B00..=0x6BFF => "wrong P1 P2",
            0x6C00..=0x6CFF => "wrong Le, SW2 is the right one",
            0x6D00..=0x6DFF => "instruction not supported",
            0x6E00..=0x6EFF => "class not supported",
            0x6F00..=0x6FFF => "technical problem",
            _ => return None,
        })
    }
}

impl fmt::Display for StatusWord {
    /// Four hexadecimal digits and the meaning where there is one: `6A82 file not found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)?;
        self.meaning().map_or(Ok(()), |meaning| write!(f, " {meaning}"))
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:04X})", self.0)
    }
}

const fn low_octet(octets: usize) -> u16 {
    (octets & 0xFF) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_built_octet_by_octet() {
        let built = [
            (select(0x6F07), "00a40004026f07"),
            (read_binary(0x0102, 9), "00b0010209"),
            (update_binary(0, &[8, 9]).unwrap(), "00d60000020809"),
            (read_record(1, 38), "00b2010426"),
            (update_record(2, &[0xFF]).unwrap(), "00dc020401ff"),
            (get_response(0), "00c0000000"),
        ];
        for (apdu, expected) in built {
            assert_eq!(hex::encode(&apdu), expected);
            assert!(Command::parse(&apdu).is_ok());
        }
        assert_eq!(update_binary(0, &[]), Err(ApduError::Data(0)));
        assert_eq!(update_record(1, &[0; 256]), Err(ApduError::Data(256)));
    }

    #[test]
    fn four_cases_of_a_short_apdu() {
        let case1 = Command::parse(&[0, 0xA4, 0, 4]).unwrap();
        assert_eq!((case1.data, case1.expected), ([].as_slice(), 0));
        let case2 = Command::parse(&[0, 0xB0, 0, 0, 0]).unwrap();
        assert_eq!((case2.data, case2.expected), ([].as_slice(), 256));
        let case3 = Command::parse(&[0, 0xA4, 0, 4, 2, 0x6F, 7]).unwrap();
        assert_eq!((case3.data, case3.expected), ([0x6F, 7].as_slice(), 0));
        let case4 = Command::parse(&[0, 0xA4, 0, 4, 2, 0x6F, 7, 9]).unwrap();
        assert_eq!((case4.data, case4.expected), ([0x6F, 7].as_slice(), 9));
        assert_eq!(
            [case1, case2, case3, case4].map(|command| command.expects_data()),
            [false, true, false, true]
        );
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(Command::parse(&[0, 0xA4, 0]), Err(ApduError::Header(3)));
        assert_eq!(Command::parse(&[0, 0xA4, 0, 4, 3, 1, 2]), Err(ApduError::Lc(2)));
        assert_eq!(Command::parse(&[0, 0xA4, 0, 4, 1, 1, 2, 3]), Err(ApduError::Lc(3)));
    }

    #[test]
    fn p3_is_told_by_the_instruction() {
        assert!(p3_is_le(0xB0, 0, 0) && p3_is_le(0xC0, 0, 0) && p3_is_le(0xF2, 0, 0x0C));
        assert!(!p3_is_le(0xF2, 0x40, 0x02), "GET STATUS");
        assert!(!p3_is_le(0xCB, 0, 0x80) && p3_is_le(0xCB, 0, 0));
        assert!(!p3_is_le(0xD6, 0, 0) && !p3_is_le(0xA4, 0, 4));
    }

    #[test]
    fn status_words_say_what_became_of_the_command() {
        let words = |octets: &[u16]| octets.iter().map(|octets| StatusWord(*octets)).collect::<Vec<_>>();
        assert!(words(&[0x9000, 0x910B, 0x9203]).into_iter().all(StatusWord::is_success));
        let others = words(&[0x6109, 0x9F0F, 0x9240, 0x62F1, 0x63C1, 0x6A82, 0x9300]);
        assert!(!others.iter().any(|word| word.is_success()));
        let waiting = others.iter().filter(|word| word.has_data_waiting()).count();
        assert_eq!((waiting, StatusWord::waiting(256)), (2, StatusWord(0x6100)));
        assert_eq!(StatusWord(0x6A82).to_string(), "6A82 file not found");
        assert_eq!(StatusWord(0x6C09).to_string(), "6C09 wrong Le, SW2 is the right one");
        assert_eq!(StatusWord(0x1234).to_string(), "1234");
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Command::parse(&octets).map(|command| command.p1p2());
        }
    }
}
