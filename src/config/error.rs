//! Why there is no configuration.

use std::io;
use std::path::{Path, PathBuf};

use crate::card::ProfileError;
use crate::store::StoreConfigError;

/// What is wrong with the configuration. One line; says where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No TOML, an unknown key, a missing key, or a value that cannot be.
    #[error("{}:{line}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there, with the key.
        message: String,
    },
    /// A value that contradicts another one.
    #[error("{}: {key}: expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with its table.
        key: &'static str,
        /// What was expected.
        expected: String,
    },
    /// A value of `[store]` that is out of its range.
    #[error("{}: {error}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Which, and the range.
        error: StoreConfigError,
    },
    /// A profile that cannot be used.
    #[error("{}: {error}", path.display())]
    Profile {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: ProfileError,
    },
    /// `[log]` `level` is no filter.
    #[error("log.level {level:?}: expected a level, or levels by room as in \"info,airwrite::link=debug\"")]
    Log {
        /// What it is.
        level: String,
    },
    /// A variable of the environment that nobody knows, or with a value that cannot be used.
    #[error("environment variable {name}: expected {expected}")]
    Environment {
        /// The variable.
        name: String,
        /// What was expected.
        expected: String,
    },
}

impl ConfigError {
    /// What is wrong with the value that begins `start` octets into this file with this text.
    pub(super) fn at(path: &Path, text: &str, start: usize, message: &dyn std::fmt::Display) -> Self {
        let line = 1 + text.bytes().take(start).filter(|octet| *octet == b'\n').count();
        Self::Toml { path: path.to_owned(), line, message: message.to_string() }
    }

    /// An error of the TOML reader in this file with this text.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        Self::at(path, text, start, &error.message().trim().replace('\n', "; "))
    }
}
