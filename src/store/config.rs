//! The `[store]` table of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where and how the store on disk works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The directory that holds the store; created if it is missing. One process at a time.
    pub directory: PathBuf,
    /// Memory for cached pages, in MiB, 8 to 65536; 64 where it is missing. The process takes more than
    /// this: measure.
    #[serde(default = "StoreConfig::default_cache_mib")]
    pub cache_mib: u32,
    /// Most commits that wait for the committer, 1 to 65536; 1024 where it is missing. A full queue makes awaited
    /// commits wait and drops advisory ones.
    #[serde(default = "StoreConfig::default_commit_queue")]
    pub commit_queue: usize,
    /// Threads that read, 1 to 64; 2 where it is missing.
    #[serde(default = "StoreConfig::default_readers")]
    pub readers: usize,
}

impl StoreConfig {
    /// A store in `directory`, everything else at its default.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_mib: Self::default_cache_mib(),
            commit_queue: Self::default_commit_queue(),
            readers: Self::default_readers(),
        }
    }

    /// Checks the ranges of the fields.
    ///
    /// # Errors
    /// [`StoreConfigError`] names the first field that is out of its range.
    pub fn check(&self) -> Result<(), StoreConfigError> {
        let in_range = |field, found: usize, min, max| {
            if (min..=max).contains(&found) {
                Ok(())
            } else {
                Err(StoreConfigError { field, found, min, max })
            }
        };
        in_range("cache_mib", self.cache_mib as usize, 8, 65536)?;
        in_range("commit_queue", self.commit_queue, 1, 65536)?;
        in_range("readers", self.readers, 1, 64)
    }

    const fn default_cache_mib() -> u32 {
        64
    }

    const fn default_commit_queue() -> usize {
        1024
    }

    const fn default_readers() -> usize {
        2
    }
}

/// A field of [`StoreConfig`] that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store.{field} is {found}, expected {min} to {max}")]
pub struct StoreConfigError {
    field: &'static str,
    found: usize,
    min: usize,
    max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_unknown_fields_are_refused() {
        let config: StoreConfig = toml::from_str("directory = \"d\"").expect("only the directory is needed");
        assert_eq!(config, StoreConfig::in_directory("d"));
        assert_eq!(config.check(), Ok(()));
        assert!(toml::from_str::<StoreConfig>("directory = \"d\"\ncache = 1").is_err());
    }

    #[test]
    fn a_field_out_of_range_is_named() {
        let config = StoreConfig { readers: 0, ..StoreConfig::in_directory("d") };
        let error = config.check().expect_err("no readers");
        assert_eq!(error.to_string(), "store.readers is 0, expected 1 to 64");
    }
}
