//! The redundancy checks of TS 102 225 §5.1.3.1 and annex B: reversed CRCs with inverted start and end.

use crc::{CRC_16_IBM_SDLC, CRC_32_ISO_HDLC, Crc as Table};

static CRC_16: Table<u16> = Table::<u16>::new(&CRC_16_IBM_SDLC);
static CRC_32: Table<u32> = Table::<u32>::new(&CRC_32_ISO_HDLC);

/// A redundancy check (RC). It finds accidents but no attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crc {
    /// Two octets.
    Crc16,
    /// Four octets.
    Crc32,
}

impl Crc {
    /// The check that the low nibble of a KID octet names where an RC is asked for: 1 or 5. `None` for every other one,
    /// also for "implicitly known" (b2b1 = 00).
    #[must_use]
    pub const fn named_by(kid: u8) -> Option<Self> {
        match kid & 0x0F {
            0x1 => Some(Self::Crc16),
            0x5 => Some(Self::Crc32),
            _ => None,
        }
    }

    /// Octets of the check.
    #[expect(clippy::len_without_is_empty, reason = "it is the length of a field, which is never empty")]
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Crc16 => 2,
            Self::Crc32 => 4,
        }
    }

    /// The check over `head` followed by `body`, as it is sent: most significant octet first in the first
    /// [`Crc::len`] octets of four. In packets `head` is what stands before the check.
    #[must_use]
    pub fn checksum(self, head: &[u8], body: &[u8]) -> [u8; 4] {
        match self {
            Self::Crc16 => {
                let mut digest = CRC_16.digest();
                digest.update(head);
                digest.update(body);
                let [first, second] = digest.finalize().to_be_bytes();
                [first, second, 0, 0]
            }
            Self::Crc32 => {
                let mut digest = CRC_32.digest();
                digest.update(head);
                digest.update(body);
                digest.finalize().to_be_bytes()
            }
        }
    }

    /// The low nibble of a KID octet that names it.
    pub(super) const fn nibble(self) -> u8 {
        match self {
            Self::Crc16 => 0x1,
            Self::Crc32 => 0x5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of annex B.
    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(Crc::Crc16.checksum(&[1, 2, 3], &[4, 5]), [0x22, 0xEC, 0, 0]);
        assert_eq!(Crc::Crc32.checksum(&[1, 2, 3], &[4, 5]), [0x47, 0x0B, 0x99, 0xF4]);
    }

    #[test]
    fn kid_names_a_check_by_its_low_nibble() {
        for kid in 0..=u8::MAX {
            let expected = match kid & 0x0F {
                1 => Some(Crc::Crc16),
                5 => Some(Crc::Crc32),
                _ => None,
            };
            assert_eq!(Crc::named_by(kid), expected, "{kid:02X}");
        }
    }
}
