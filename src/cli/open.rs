//! Store and vault as a command opens them, with what to do where they do not open.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use crate::config::Config;
use crate::ota::{Cntr, Spi1, Spi2, Tar};
use crate::store::keys::{self, Space};
use crate::store::{OnFatal, Scan, SledStore, Store, StoreError};
use crate::vault::{KeyRef, MasterKey, MasterKeyError, SealRequest, SoftwareVault, Vault, VaultError};
use crate::world::SystemRng;

/// Exit code of a process whose disk no longer confirms what is written; its supervisor starts it anew.
const DISK_FAILED: i32 = 1;

/// Opens the configured store. Where the disk fails later on, the process ends.
pub(super) async fn store(config: &Config) -> Result<Arc<dyn Store>> {
    let on_fatal: OnFatal = Arc::new(|error| {
        eprintln!("error: {error}; ending, so that nothing is promised that is not on the disk");
        std::process::exit(DISK_FAILED);
    });
    let directory = config.store.directory.display();
    let store = SledStore::open(&config.store, on_fatal).await.map_err(|error| {
        let advice = match &error {
            StoreError::AnotherProcess(_) => {
                "; stop that process (`airwrite serve`?) or choose another [store] directory"
            }
            StoreError::OtherVersion { .. } => {
                "; use the program that wrote it, or another [store] directory"
            }
            _ => "",
        };
        anyhow!("store {directory}: {error}{advice}")
    })?;
    Ok(Arc::new(store))
}

/// The vault under the configured master key, which must be the one that the keys in `store` were sealed under.
pub(super) async fn vault(config: &Config, store: &dyn Store) -> Result<Arc<dyn Vault>> {
    let path = &config.vault.master_key_file;
    let master = MasterKey::read(path).map_err(|error| match &error {
        MasterKeyError::File { error: io, .. } if io.kind() == std::io::ErrorKind::NotFound => {
            anyhow!("{error}; make one with `airwrite keys master --out {}`", path.display())
        }
        _ => anyhow!(error),
    })?;
    let vault = SoftwareVault::new(master, Arc::new(SystemRng));
    check_master_key(&vault, store)
        .await
        .with_context(|| format!("master key file {} does not fit the store", path.display()))?;
    Ok(Arc::new(vault))
}

/// Lets the vault open the first key record of the store. Every record was sealed after this check, so one stands for
/// all; a store without cards takes any key.
async fn check_master_key(vault: &dyn Vault, store: &dyn Store) -> Result<()> {
    let first = store.scan(Scan::first(Space::Card.range(), 1)).await?.value;
    let Some((key, _)) = first.first() else { return Ok(()) };
    let card = keys::card_of(key)?;
    let record = store.get_one(keys::card_keys(card)).await?.value;
    let record = record.with_context(|| format!("{card} has no keys in the store"))?;
    let request = SealRequest { spi1: Spi1(0), spi2: Spi2(0), tar: Tar([0; 3]), cntr: Cntr::ZERO, data: &[] };
    match vault.seal(KeyRef { card, record: &record, kvn: 1 }, request).await {
        Err(error @ VaultError::Record(_)) => Err(error.into()),
        // The record opened; what became of the packet is of no interest.
        _ => Ok(()),
    }
}
