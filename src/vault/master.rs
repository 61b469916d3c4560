//! The master key, under which the card keys of the store are sealed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::world::Rng;

/// What is hashed before the key to name it, so that the name says nothing about any other use of the key.
const ID_DOMAIN: &[u8] = b"airwrite master key id\0";

/// The 32 octets under which card keys are sealed. Shows only its id, and wipes itself.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// The name of a master key: the first 8 octets of SHA-256 over `airwrite master key id`, 00 and the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKeyId(pub [u8; 8]);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("master key file {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The text is no key.
    #[error("master key: expected 64 hexadecimal digits")]
    Digits,
}

impl MasterKey {
    /// The key that these octets are.
    #[must_use]
    pub const fn from_octets(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The key that a text of 64 hexadecimal digits is; white space around it does not count.
    ///
    /// # Errors
    /// [`MasterKeyError::Digits`].
    pub fn from_hex(text: &str) -> Result<Self, MasterKeyError> {
        let mut key = Self([0; 32]);
        hex::decode_to_slice(text.trim(), &mut key.0).map_err(|_| MasterKeyError::Digits)?;
        Ok(key)
    }

    /// Reads the key from a file of 64 hexadecimal digits. A file that others than its owner may read is warned of.
    ///
    /// # Errors
    /// [`MasterKeyError`] where the file cannot be read or holds no key.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let read = || {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "others than its owner may read the master key file");
            }
            fs::read_to_string(path).map(Zeroizing::new)
        };
        Self::from_hex(&read().map_err(|error| file_error(path, error))?)
    }

    /// Makes a new key and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`MasterKeyError::File`] where the file exists already or cannot be written.
    pub fn create(path: &Path, rng: &dyn Rng) -> Result<Self, MasterKeyError> {
        let mut key = Self([0; 32]);
        rng.fill(&mut key.0);
        let digits = Zeroizing::new(hex::encode(key.0));
        let write = || {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(digits.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|error| file_error(path, error))?;
        Ok(key)
    }

    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> MasterKeyId {
        let digest = Sha256::new().chain_update(ID_DOMAIN).chain_update(self.0).finalize();
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        MasterKeyId(id)
    }

    pub(super) const fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

fn file_error(path: &Path, error: io::Error) -> MasterKeyError {
    MasterKeyError::File { path: path.display().to_string(), error }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl fmt::Display for MasterKeyId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SeededRng;

    #[test]
    fn a_created_key_is_read_back_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master.key");
        let created = MasterKey::create(&path, &SeededRng::new(1)).expect("creates");
        assert_eq!(MasterKey::read(&path).expect("reads").octets(), created.octets());
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
        let again = MasterKey::create(&path, &SeededRng::new(2)).expect_err("never overwrites");
        assert!(matches!(again, MasterKeyError::File { .. }));
        assert_eq!(MasterKey::read(&path).expect("reads").octets(), created.octets());
    }

    #[test]
    fn only_64_digits_are_a_key() {
        assert!(MasterKey::from_hex(&format!(" {}\n", "a5".repeat(32))).is_ok());
        for text in ["", &"a5".repeat(31), &"a5".repeat(33), &"x5".repeat(32)] {
            assert!(matches!(MasterKey::from_hex(text), Err(MasterKeyError::Digits)), "{text}");
        }
        let missing = MasterKey::read(Path::new("/nonexistent/key")).expect_err("no file");
        assert!(missing.to_string().starts_with("master key file /nonexistent/key: "));
    }

    #[test]
    fn debug_shows_the_id_only() {
        let key = MasterKey::from_octets([0xA5; 32]);
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
        assert!(!format!("{key:?}").contains("a5a5"));
        assert_ne!(key.id(), MasterKey::from_octets([0xA6; 32]).id());
    }
}
