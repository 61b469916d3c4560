//! Why a text or some octets are no identifier.

/// What is wrong with an identifier. Names the field and what was expected, in one line; never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Too short or too long.
    #[error("{field}: expected {expected}, found {found}")]
    Length {
        /// The identifier.
        field: &'static str,
        /// The lengths that are allowed, with their unit.
        expected: &'static str,
        /// The length found, in the unit of `expected`.
        found: usize,
    },
    /// Something that is no digit.
    #[error("{field}: expected {expected} at position {position}")]
    Symbol {
        /// The identifier.
        field: &'static str,
        /// What may stand there.
        expected: &'static str,
        /// Which digit, counted from 1.
        position: usize,
    },
    /// The last digit is not the check digit of those before it (ISO/IEC 7812-1, "Luhn").
    #[error("{field}: expected the check digit {expected} at the end")]
    CheckDigit {
        /// The identifier.
        field: &'static str,
        /// The right check digit, 0 to 9.
        expected: u8,
    },
    /// The number has another remainder than its two check digits promise (ISO 7064 MOD 97-10).
    #[error("{field}: expected the remainder 1 modulo 97, found {found}")]
    Remainder {
        /// The identifier.
        field: &'static str,
        /// The remainder found, 0 to 96.
        found: u8,
    },
    /// A value that the field cannot have.
    #[error("{field}: expected {expected}")]
    Value {
        /// The identifier.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}
