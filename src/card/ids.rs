//! Typed identifiers: a time-ordered uuid (version 7) that knows what it names.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

/// A text that is no identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_<32 hexadecimal digits>")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id: `now_ms` is unix time in milliseconds, `random` ten random octets.
            #[must_use]
            pub fn new(now_ms: u64, random: &[u8; 10]) -> Self {
                Self(Builder::from_unix_timestamp_millis(now_ms, random).into_uuid().into_bytes())
            }

            /// What every id made at `unix_ms` or later comes after, or is.
            #[must_use]
            pub fn first_at(unix_ms: u64) -> Self {
                // An id begins with the low 48 bits of its time.
                Self((u128::from(unix_ms) << 80).to_be_bytes())
            }

            /// The id that these octets are.
            #[must_use]
            pub const fn from_octets(octets: [u8; 16]) -> Self {
                Self(octets)
            }

            /// The 16 octets of the uuid, most significant first.
            #[must_use]
            pub const fn octets(&self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), Uuid::from_bytes(self.0).simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError { prefix: $prefix };
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(error.clone())?;
                if digits.len() != 32 {
                    return Err(error);
                }
                Uuid::try_parse(digits).map(|uuid| Self(uuid.into_bytes())).map_err(|_| error)
            }
        }
    };
}

id!(
    /// A card, for as long as the platform knows it.
    CardId,
    "crd"
);
id!(
    /// A write: one order to open a card.
    WriteId,
    "wrt"
);
