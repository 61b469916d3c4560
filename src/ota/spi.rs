//! The security parameter indication: how a command is secured, and what its response has to look like
//! (TS 102 225 §5.1.1). Bits are counted from b1, the lowest.

use std::fmt;

/// The check that protects a packet against change (SPI1 b2b1, SPI2 b4b3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// No check.
    None,
    /// Redundancy check: a CRC, which finds accidents but no attack.
    Rc,
    /// Cryptographic checksum: a MAC under the KID key.
    Cc,
    /// Digital signature: reserved, used by nobody.
    Ds,
}

impl Integrity {
    const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::None,
            0b01 => Self::Rc,
            0b10 => Self::Cc,
            _ => Self::Ds,
        }
    }

    /// How much the check is worth. A signature is worth nothing here, because nobody can verify it.
    const fn worth(self) -> u8 {
        match self {
            Self::None | Self::Ds => 0,
            Self::Rc => 1,
            Self::Cc => 2,
        }
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no integrity check",
            Self::Rc => "a redundancy check",
            Self::Cc => "a cryptographic checksum",
            Self::Ds => "a digital signature",
        })
    }
}

/// What the card does with the CNTR of a command (SPI1 b5b4), from the weakest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterMode {
    /// 00: the field is there and ignored.
    Ignored,
    /// 01: stored without a check; lets the sender turn the card's counter back.
    Unchecked,
    /// 10: has to be higher than the last one. The default.
    Higher,
    /// 11: has to be exactly one higher than the last one.
    OneHigher,
}

/// The first octet of the SPI: how this command packet is secured. Keeps every bit; b8 to b6 are reserved and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spi1(pub u8);

impl Spi1 {
    /// Nothing secured, no counter.
    pub const NONE: Self = Self(0x00);
    /// CC, not ciphered, counter has to be higher.
    pub const CC_HIGHER: Self = Self(0x12);
    /// CC, ciphered, counter has to be higher. The default.
    pub const CC_CIPHERED_HIGHER: Self = Self(0x16);

    /// The check over the command (b2b1).
    #[must_use]
    pub const fn integrity(self) -> Integrity {
        Integrity::from_bits(self.0)
    }

    /// Whether the command is ciphered (b3).
    #[must_use]
    pub const fn ciphered(self) -> bool {
        self.0 & 0b100 != 0
    }

    /// What the receiver does with the counter (b5b4).
    #[must_use]
    pub const fn counter_mode(self) -> CounterMode {
        match (self.0 >> 3) & 0b11 {
            0b00 => CounterMode::Ignored,
            0b01 => CounterMode::Unchecked,
            0b10 => CounterMode::Higher,
            _ => CounterMode::OneHigher,
        }
    }

    /// Whether a packet with this octet is secured at least as well as `minimum` asks, in each respect: integrity check
    /// (none < RC < CC), ciphering, counter mode. Says what the packet claims; that the claim holds shows when it is opened.
    #[must_use]
    pub fn meets(self, minimum: Self) -> bool {
        self.integrity().worth() >= minimum.integrity().worth()
            && (self.ciphered() || !minimum.ciphered())
            && self.counter_mode() >= minimum.counter_mode()
    }
}

/// When a response packet (proof of receipt, PoR) is asked for (SPI2 b2b1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PorRequest {
    /// 00: never.
    None,
    /// 01: always.
    Always,
    /// 10: only when something went wrong.
    OnError,
    /// 11: reserved.
    Reserved,
}

/// The second octet of the SPI: what response is asked for. Keeps every bit; b8 and b7 are reserved and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spi2(pub u8);

impl Spi2 {
    /// No response.
    pub const NO_POR: Self = Self(0x00);
    /// Response always, with CC and ciphered, in the ENVELOPE response (SMS-DELIVER-REPORT). For the relay.
    pub const POR_CC_CIPHERED: Self = Self(0x19);
    /// Response always, with CC and ciphered, by SMS-SUBMIT. The default over SMPP.
    pub const POR_CC_CIPHERED_BY_SUBMIT: Self = Self(0x39);

    /// When a response is asked for (b2b1).
    #[must_use]
    pub const fn por(self) -> PorRequest {
        match self.0 & 0b11 {
            0b00 => PorRequest::None,
            0b01 => PorRequest::Always,
            0b10 => PorRequest::OnError,
            _ => PorRequest::Reserved,
        }
    }

    /// The check asked over the response (b4b3).
    #[must_use]
    pub const fn por_integrity(self) -> Integrity {
        Integrity::from_bits(self.0 >> 2)
    }

    /// Whether the response has to be ciphered (b5).
    #[must_use]
    pub const fn por_ciphered(self) -> bool {
        self.0 & 0b1_0000 != 0
    }

    /// Whether the response comes by SMS-SUBMIT (b6 = 1) or in the SMS-DELIVER-REPORT (b6 = 0; TS 31.115 §4.1).
    #[must_use]
    pub const fn por_by_submit(self) -> bool {
        self.0 & 0b10_0000 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spi1_bits_are_read_by_their_meaning() {
        let spi = Spi1::CC_CIPHERED_HIGHER;
        assert_eq!(
            (spi.integrity(), spi.ciphered(), spi.counter_mode()),
            (Integrity::Cc, true, CounterMode::Higher)
        );
        assert_eq!(Spi1(0x01).integrity(), Integrity::Rc);
        assert_eq!(Spi1(0x03).integrity(), Integrity::Ds);
        assert_eq!(Spi1(0x08).counter_mode(), CounterMode::Unchecked);
        assert_eq!(Spi1(0x18).counter_mode(), CounterMode::OneHigher);
        assert_eq!(Spi1::NONE.counter_mode(), CounterMode::Ignored);
    }

    #[test]
    fn spi2_bits_are_read_by_their_meaning() {
        let spi = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        assert_eq!((spi.por(), spi.por_integrity()), (PorRequest::Always, Integrity::Cc));
        assert!(spi.por_ciphered() && spi.por_by_submit());
        assert!(!Spi2::POR_CC_CIPHERED.por_by_submit());
        assert_eq!(Spi2(0x02).por(), PorRequest::OnError);
        assert_eq!(Spi2(0x05).por_integrity(), Integrity::Rc);
        assert_eq!(Spi2::NO_POR.por(), PorRequest::None);
    }

    #[test]
    fn a_level_is_met_only_if_no_respect_is_weaker() {
        let minimum = Spi1::CC_CIPHERED_HIGHER;
        assert!(minimum.meets(minimum));
        assert!(Spi1(0x1E).meets(minimum), "exactly one higher is stricter than higher");
        for weaker in [0x00, 0x04, 0x12, 0x15, 0x0E, 0x06, 0x17] {
            assert!(!Spi1(weaker).meets(minimum), "{weaker:02X}");
        }
    }

    #[test]
    fn reserved_bits_change_nothing() {
        assert!(Spi1(0xF6).meets(Spi1::CC_CIPHERED_HIGHER));
        assert_eq!(Spi2(0xF9).por(), Spi2(0x39).por());
    }
}
