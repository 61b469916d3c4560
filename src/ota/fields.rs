//! Header fields that command and response packets share: TAR and CNTR (TS 102 225 §5.1, §5.2).

use std::fmt;
use std::str::FromStr;

/// Toolkit application reference: names the application on the card, three octets (TS 101 220 annex D).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tar(pub [u8; 3]);

impl fmt::Display for Tar {
    /// Six upper-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl fmt::Debug for Tar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tar({self})")
    }
}

/// A text that is no TAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TAR: expected 6 hexadecimal digits")]
pub struct TarError;

impl FromStr for Tar {
    type Err = TarError;

    fn from_str(text: &str) -> Result<Self, TarError> {
        let mut octets = [0; 3];
        hex::decode_to_slice(text, &mut octets).map_err(|_| TarError)?;
        Ok(Self(octets))
    }
}

/// The replay counter: an unsigned number of five octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cntr(u64);

impl Cntr {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// FFFFFFFFFF. A card whose counter stands here is blocked for good.
    pub const MAX: Self = Self(0xFF_FFFF_FFFF);

    /// The five octets on the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 5] {
        let [_, _, _, a, b, c, d, e] = self.0.to_be_bytes();
        [a, b, c, d, e]
    }

    /// The counter that these five octets are.
    #[must_use]
    pub const fn from_octets(octets: [u8; 5]) -> Self {
        let [a, b, c, d, e] = octets;
        Self(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next higher counter; `None` after [`Cntr::MAX`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 < Self::MAX.0 { Some(Self(self.0 + 1)) } else { None }
    }
}

/// A number that does not fit the five octets of a CNTR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("CNTR: expected at most 1099511627775 (5 octets), found {0}")]
pub struct CntrError(u64);

impl TryFrom<u64> for Cntr {
    type Error = CntrError;

    fn try_from(number: u64) -> Result<Self, CntrError> {
        if number <= Self::MAX.0 { Ok(Self(number)) } else { Err(CntrError(number)) }
    }
}

impl From<Cntr> for u64 {
    fn from(cntr: Cntr) -> Self {
        cntr.0
    }
}

impl fmt::Display for Cntr {
    /// Ten upper-case hexadecimal digits, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_five_octets_and_ends() {
        let cntr = Cntr::try_from(0x01_0203_0405).unwrap();
        assert_eq!(cntr.octets(), [1, 2, 3, 4, 5]);
        assert_eq!(Cntr::from_octets([1, 2, 3, 4, 5]), cntr);
        assert_eq!(cntr.to_string(), "0102030405");
        assert_eq!(cntr.next().map(Cntr::get), Some(0x01_0203_0406));
        assert_eq!(Cntr::MAX.next(), None);
        assert_eq!(Cntr::try_from(1 << 40), Err(CntrError(1 << 40)));
    }

    #[test]
    fn a_tar_is_read_as_it_is_written() {
        assert_eq!("b00011".parse(), Ok(Tar([0xB0, 0x00, 0x11])));
        assert_eq!(Tar([0xB0, 0x00, 0x11]).to_string(), "B00011");
        assert_eq!("B0001".parse::<Tar>(), Err(TarError));
        assert_eq!("B0001100".parse::<Tar>(), Err(TarError));
    }
}
