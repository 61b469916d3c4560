//! Which file of a card a step writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::ota::ef::Ef;

/// Directories that a path may begin with: the MF and the ADF of the application in use (TS 102 221 §8.6).
const ROOTS: [u16; 2] = [0x3F00, 0x7FFF];

/// A file of a card. Displayed as `EF.MSISDN`, or as its path (`7FFF/6F7E`) where it has no name here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// A file whose contents are known.
    Known(Ef),
    /// A path from the MF (3F00) or the ADF (7FFF) to any other file, that itself included: 2 to 5 identifiers.
    Path(Vec<u16>),
}

/// A text that names no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a file's name as \"imsi\", or its path from the MF or the ADF as \"7FFF/6F7E\", found {0:?}"
)]
pub struct FileNameError(String);

impl FileName {
    /// The directories that lead to the file and the file, from the MF (3F00) or the ADF (7FFF).
    #[must_use]
    pub fn path(&self) -> &[u16] {
        match self {
            Self::Known(ef) => ef.path(),
            Self::Path(path) => path,
        }
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        if let Ok(ef) = text.parse() {
            return Ok(Self::Known(ef));
        }
        let identifier = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| text.len() == 4);
        let path: Option<Vec<u16>> = text.split('/').map(identifier).collect();
        let path = path.filter(|path| {
            (2..=5).contains(&path.len()) && path.first().is_some_and(|root| ROOTS.contains(root))
        });
        let path = path.ok_or_else(|| FileNameError(text.to_owned()))?;
        Ok(Ef::of_path(&path).map_or(Self::Path(path), Self::Known))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(ef) => ef.fmt(f),
            Self::Path(path) => path.iter().enumerate().try_for_each(|(place, identifier)| {
                write!(f, "{}{identifier:04X}", if place == 0 { "" } else { "/" })
            }),
        }
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
