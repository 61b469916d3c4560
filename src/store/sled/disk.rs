//! The one file that knows sled.
//!
//! What has to be known about sled 0.34: `flush` does not reach the disk (it is `sync_file_range` on Linux), so the
//! `db` file is synchronised through a handle of our own. One tree and `apply_batch`: batches on two trees are not
//! atomic together. An abrupt stop may leave an unfinished `snap.*.generating`, which sled then takes for a damaged
//! snapshot. Errors stick until the database is reopened.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bytes::Bytes;
use sled::{Batch, Db, IVec, Mode};

use crate::store::{Entries, Key, Op, STORE_VERSION, Scan, StoreError, Unguarded, keys};

/// The database as its only writer holds it.
pub(super) struct Disk {
    db: Db,
    /// The file that holds the log, for `sync_data`.
    file: File,
}

/// The database as readers hold it. The directory stays locked as long as one of these or the [`Disk`] lives.
pub(super) struct Reader(Db);

/// How making everything durable failed.
#[derive(Debug)]
pub(super) enum DurableError {
    /// Octets could not be written; the file itself is sound, and reopening may help.
    Write(StoreError),
    /// The disk did not confirm what was written. A later success would prove nothing: pages may have been dropped.
    Sync(StoreError),
}

impl Disk {
    /// Opens the database in `directory`, or makes one, and checks its format.
    pub(super) fn open(directory: &Path, cache_octets: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(io_error)?;
        let db = match open_database(directory, cache_octets) {
            Err(sled::Error::Corruption { .. })
                if move_unfinished_snapshots_aside(directory).map_err(io_error)? =>
            {
                open_database(directory, cache_octets)
            }
            opened => opened,
        };
        let db = db.map_err(|error| open_error(directory, error))?;
        let file = File::options().read(true).write(true).open(directory.join("db")).map_err(io_error)?;
        let disk = Self { db, file };
        disk.check_version(directory)?;
        Ok(disk)
    }

    /// A handle for readers.
    pub(super) fn reader(&self) -> Reader {
        Reader(self.db.clone())
    }

    /// The value under `key`.
    pub(super) fn get(&self, key: &Key) -> Result<Option<impl AsRef<[u8]> + use<>>, StoreError> {
        self.db.get(key).map_err(sled_error)
    }

    /// Applies `ops` in one piece. Not durable before [`make_durable`](Self::make_durable).
    pub(super) fn apply(&self, ops: &[Op]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for op in ops {
            match op {
                Op::Put(key, value) => batch.insert(key.octets(), &value[..]),
                Op::Delete(key) => batch.remove(key.octets()),
            }
        }
        self.db.apply_batch(batch).map_err(sled_error)
    }

    /// Brings everything that was applied onto the disk.
    pub(super) fn make_durable(&self) -> Result<(), DurableError> {
        let written = self.db.flush();
        // Also after a failed write: the kernel reports a lost page to this handle too, and that must not be missed.
        self.file.sync_data().map_err(|error| DurableError::Sync(io_error(error)))?;
        written.map(drop).map_err(|error| DurableError::Write(sled_error(error)))
    }

    /// Refuses a store of another format; marks a new one.
    fn check_version(&self, directory: &Path) -> Result<(), StoreError> {
        let key = keys::Meta::StoreVersion.key();
        if self.db.is_empty() {
            self.apply(&[Op::Put(key, Unguarded::encode(&STORE_VERSION.to_be_bytes()))])?;
            return self.make_first_durable(directory);
        }
        let value = self.db.get(&key).map_err(sled_error)?;
        let body = value.as_ref().and_then(|value| Unguarded::decode(value).ok());
        match body.and_then(|body| body.try_into().ok()).map_or(0, u32::from_be_bytes) {
            STORE_VERSION => Ok(()),
            found => Err(StoreError::OtherVersion { found, expected: STORE_VERSION }),
        }
    }

    /// The first record, and the names of the files themselves.
    fn make_first_durable(&self, directory: &Path) -> Result<(), StoreError> {
        self.make_durable().map_err(DurableError::into_inner)?;
        let directory = directory.canonicalize().map_err(io_error)?;
        for directory in directory.ancestors().take(2) {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error)?;
        }
        Ok(())
    }
}

impl DurableError {
    fn into_inner(self) -> StoreError {
        match self {
            Self::Write(error) | Self::Sync(error) => error,
        }
    }
}

impl Reader {
    /// The values under `keys`, in their order.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| Ok(self.0.get(key).map_err(sled_error)?.map(|value| octets(&value)))).collect()
    }

    /// The entries that `scan` asks for.
    pub(super) fn scan(&self, scan: &Scan) -> Result<Entries, StoreError> {
        let Some(bounds) = scan.range.bounds() else { return Ok(Vec::new()) };
        let entries = self.0.range::<&[u8], _>(bounds);
        if scan.reverse { collect(entries.rev(), scan.limit) } else { collect(entries, scan.limit) }
    }
}

type Entry = sled::Result<(IVec, IVec)>;

fn collect(entries: impl Iterator<Item = Entry>, limit: usize) -> Result<Entries, StoreError> {
    let entry = |entry: Entry| {
        let (key, value) = entry.map_err(sled_error)?;
        let key = Key::from_octets(octets(&key)).map_err(StoreError::DamagedKey)?;
        Ok((key, octets(&value)))
    };
    entries.take(limit).map(entry).collect()
}

fn octets(value: &IVec) -> Bytes {
    Bytes::copy_from_slice(value)
}

fn open_database(directory: &Path, cache_octets: u64) -> sled::Result<Db> {
    sled::Config::new()
        .path(directory)
        .cache_capacity(cache_octets)
        .mode(Mode::HighThroughput)
        .flush_every_ms(None)
        .open()
}

/// Renames what an abrupt stop left of a snapshot that was being written. Whether there was any.
fn move_unfinished_snapshots_aside(directory: &Path) -> io::Result<bool> {
    let mut moved = false;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::rename(directory.join(name), directory.join(format!("aside.{name}")))?;
            tracing::warn!(file = name, "unfinished snapshot of an abrupt stop moved aside");
            moved = true;
        }
    }
    Ok(moved)
}

fn open_error(directory: &Path, error: sled::Error) -> StoreError {
    match error {
        // sled has no error of its own for a lock that is held.
        sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
            StoreError::AnotherProcess(directory.display().to_string())
        }
        error => sled_error(error),
    }
}

fn sled_error(error: sled::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
