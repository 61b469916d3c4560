//! Command and response APDUs (ISO/IEC 7816-4, ETSI TS 102 221 §10) as octets.

/// A command APDU taken apart: `data` is what Lc announced, `expected` is Le with 0 read as 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) class: u8,
    pub(super) instruction: u8,
    pub(super) p1: u8,
    pub(super) p2: u8,
    pub(super) data: &'a [u8],
    pub(super) expected: usize,
}

impl<'a> Command<'a> {
    /// Reads a short APDU: header of four octets, then nothing, Le, or Lc with data and perhaps Le.
    /// [`Status::WRONG_LENGTH`] where Lc and the octets disagree.
    pub(super) fn parse(apdu: &'a [u8]) -> Result<Self, Status> {
        let (header, body) = apdu.split_first_chunk::<4>().ok_or(Status::WRONG_LENGTH)?;
        let [class, instruction, p1, p2] = *header;
        let (data, expected): (&[u8], Option<u8>) = match body {
            [] => (&[], None),
            [le] => (&[], Some(*le)),
            [lc, rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(*lc)).ok_or(Status::WRONG_LENGTH)?;
                match le {
                    [] => (data, None),
                    [le] => (data, Some(*le)),
                    _ => return Err(Status::WRONG_LENGTH),
                }
            }
        };
        let expected = match expected {
            None => 0,
            Some(0) => 256,
            Some(le) => usize::from(le),
        };
        Ok(Self { class, instruction, p1, p2, data, expected })
    }

    /// P1 and P2 as one number: an offset for the binary commands.
    pub(super) fn p1p2(&self) -> usize {
        usize::from(self.p1) << 8 | usize::from(self.p2)
    }
}

/// SW1 SW2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16);

impl Status {
    pub(super) const OK: Self = Self(0x9000);
    pub(super) const SECURITY_NOT_SATISFIED: Self = Self(0x6982);
    pub(super) const WRONG_LENGTH: Self = Self(0x6700);
    pub(super) const NO_FILE_SELECTED: Self = Self(0x6986);
    pub(super) const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    pub(super) const INCOMPATIBLE_WITH_FILE: Self = Self(0x6981);
    pub(super) const WRONG_DATA: Self = Self(0x6A80);
    pub(super) const FILE_NOT_FOUND: Self = Self(0x6A82);
    pub(super) const RECORD_NOT_FOUND: Self = Self(0x6A83);
    pub(super) const WRONG_P1_P2: Self = Self(0x6B00);
    pub(super) const UNKNOWN_INSTRUCTION: Self = Self(0x6D00);
    pub(super) const UNKNOWN_CLASS: Self = Self(0x6E00);
    pub(super) const WRONG_MAC: Self = Self(0x9862);

    /// 61xx: that many octets wait for GET RESPONSE (0 stands for 256).
    pub(super) const fn waiting(octets: usize) -> Self {
        Self(0x6100 | low_octet(octets))
    }

    /// 91xx: a proactive command of that many octets waits for FETCH.
    pub(super) const fn fetch(octets: usize) -> Self {
        Self(0x9100 | low_octet(octets))
    }

    /// 6Cxx: wrong Le, the right one is xx.
    pub(super) const fn right_length(octets: usize) -> Self {
        Self(0x6C00 | low_octet(octets))
    }
}

const fn low_octet(octets: usize) -> u16 {
    (octets & 0xFF) as u16
}

/// What a command answers: data and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) data: Vec<u8>,
    pub(super) status: Status,
}

impl Answer {
    pub(super) const fn data(data: Vec<u8>) -> Self {
        Self { data, status: Status::OK }
    }

    pub(super) const fn ok() -> Self {
        Self { data: Vec::new(), status: Status::OK }
    }

    /// The R-APDU.
    pub(super) fn octets(self) -> Vec<u8> {
        let mut octets = self.data;
        octets.extend(self.status.0.to_be_bytes());
        octets
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self { data: Vec::new(), status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for apdu in [&[0, 0xA4, 0][..], &[0, 0xA4, 0, 4, 3, 1, 2], &[0, 0xA4, 0, 4, 1, 1, 2, 3]] {
            assert_eq!(Command::parse(apdu), Err(Status::WRONG_LENGTH));
        }
    }
}
