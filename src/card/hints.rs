//! What anybody could have sent in the card's name is told, but not as often as it comes.

/// How long nothing more of a kind is told, ms.
const QUIET_MS: u64 = 60_000;

/// Kinds of [`Unproven`].
pub const UNPROVEN_KINDS: usize = 6;

/// What proves nothing: anybody could have sent it, or sent it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// A message that cannot be read, or was refused before that.
    Message = 0,
    /// An answer that is not protected as it was asked to be.
    Response = 1,
    /// An answer in clear that refuses a packet.
    Refusal = 2,
    /// A plain message about the device that the card is in.
    Claim = 3,
    /// A plain message about what became of a write.
    Result = 4,
    /// A message of the card once more, octet by octet.
    Repetition = 5,
}

/// When what proves nothing was last told, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints(pub [Told; UNPROVEN_KINDS]);

/// One kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// When it was last told, unix ms.
    pub at: u64,
    /// How often it has come since and was not told.
    pub untold: u32,
}

impl Hints {
    /// Takes note of something of this kind. Says how much of it was not told before, where this is to be told; the first
    /// always is.
    pub fn take(&mut self, kind: Unproven, now: u64) -> Option<u32> {
        let told = self.0.get_mut(kind as usize)?;
        if told.at != 0 && now < told.at.saturating_add(QUIET_MS) {
            told.untold = told.untold.saturating_add(1);
            return None;
        }
        let untold = told.untold;
        *told = Told { at: now, untold: 0 };
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_the_next_a_minute_later_with_what_came_between() {
        let mut hints = Hints::default();
        assert_eq!(hints.take(Unproven::Claim, 5), Some(0));
        assert_eq!(hints.take(Unproven::Claim, 6), None);
        assert_eq!(hints.take(Unproven::Response, 6), Some(0), "every kind for itself");
        assert_eq!(hints.take(Unproven::Claim, 60_004), None);
        assert_eq!(hints.take(Unproven::Claim, 60_005), Some(2));
        assert_eq!(hints.take(Unproven::Claim, 120_005), Some(0));
    }
}
