//! Import of cards: a file is read and checked as a whole ([`read_cards`]), then its cards are put into the store
//! ([`import`]), each by one commit of its own. Running the same file again changes nothing, so an import that was
//! interrupted is simply run again.

mod column_keys;
mod columns;
mod findings;
mod key_sets;
mod lines;
mod rows;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::card::{Card, CardId, Counter, Owner, Subscription};
use crate::identity::{Eid, Iccid};
use crate::ota::{Algorithm, Key, KeyError, KeySet};
use crate::store::records::{
    Claim, Holder, RecordError, decode_card, decode_claim, encode_card, encode_claim,
};
use crate::store::{Commit, CommitError, EnvelopeError, Guarded, Seq, Store, StoreError, Unguarded, keys};
use crate::vault::{ClearKeySet, Vault, VaultError};
use crate::world::{Clock, Rng};

pub use column_keys::{ColumnKeys, ColumnKeysError};
pub use findings::{CardFileError, Finding, Findings};
pub use rows::{CardFile, ImportTerms, read_cards};

/// Cards that are put into the store at the same time: what one group of commits makes durable.
const CARDS_AT_ONCE: usize = 64;

/// How often a card is looked up again because it changed meanwhile.
const ATTEMPTS: usize = 4;

/// A card as its file describes it.
#[derive(Debug, Clone)]
pub struct CardRow {
    /// The line of the file, from 1 (the header).
    pub line: u64,
    /// Its EID.
    pub eid: Option<Eid>,
    /// Its ICCID.
    pub iccid: Option<Iccid>,
    /// The subscription it left the factory with.
    pub preset: Option<Subscription>,
    /// Name of its profile.
    pub profile: String,
    /// Whose it is.
    pub owner: Owner,
    /// The number of the key set it is spoken to with, which is one of `keys`.
    pub kvn: u8,
    /// Its key sets, 1 to 15 with different numbers.
    pub keys: Vec<KeySetRow>,
    /// The least CNTR to use next, by counter scope.
    pub floors: Vec<(String, u64)>,
}

/// A key set in clear, on its way from the file into the vault. Shows no key and wipes itself.
#[derive(Clone)]
pub struct KeySetRow {
    /// Its number (KVN), 1 to 15.
    pub kvn: u8,
    /// The algorithm of all its keys.
    pub algorithm: Algorithm,
    /// Octets of the CC: 8, or 4 with AES.
    pub cc_len: u8,
    /// The key that ciphers.
    pub kic: Zeroizing<Vec<u8>>,
    /// The key that signs.
    pub kid: Zeroizing<Vec<u8>>,
    /// The key that wraps keys for the card.
    pub kik: Option<Zeroizing<Vec<u8>>>,
}

impl CardRow {
    /// The key set it is spoken to with.
    #[must_use]
    pub fn own_keys(&self) -> Option<&KeySetRow> {
        self.keys.iter().find(|keys| keys.kvn == self.kvn)
    }

    fn clear_keys(&self) -> Result<Vec<ClearKeySet>, ImportError> {
        let clear = self.keys.iter().map(KeySetRow::clear).collect::<Result<_, _>>();
        clear.map_err(|error| ImportError::Key { line: self.line, error })
    }
}

impl KeySetRow {
    /// What secures packets.
    ///
    /// # Errors
    /// [`KeyError`] names what does not fit.
    pub fn key_set(&self) -> Result<KeySet, KeyError> {
        let key = |octets: &[u8]| Key::new(self.algorithm, octets);
        KeySet::new(self.kvn, key(&self.kic)?, key(&self.kid)?, self.cc_len)
    }

    /// What the vault takes.
    ///
    /// # Errors
    /// [`KeyError`] names what does not fit.
    pub fn clear(&self) -> Result<ClearKeySet, KeyError> {
        let kik = self.kik.as_ref().map(|kik| kik.as_slice());
        ClearKeySet::new(self.kvn, self.algorithm, self.cc_len, &self.kic, &self.kid, kik)
    }
}

impl std::fmt::Debug for KeySetRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySetRow")
            .field("kvn", &self.kvn)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What became of the cards of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct ImportReport {
    /// Cards that are new.
    pub imported: usize,
    /// Cards that were there with the same identity and keys.
    pub already_there: usize,
    /// Lines that contradict what is there; nothing of them was stored.
    pub refused: Vec<Refusal>,
}

/// A line that contradicts what is there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// The line of the file.
    pub line: u64,
    /// What is in its way.
    pub reason: String,
}

/// An import that stopped. What was imported so far stays; running the file again goes on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store does not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault does not do its work.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A key set that is none.
    #[error("line {line}: {error}")]
    Key {
        /// The line of the file.
        line: u64,
        /// Why.
        error: KeyError,
    },
    /// The store holds a record that cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store holds a value that cannot be read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A card changed again and again while it was looked up.
    #[error("line {line}: the card is being changed by somebody else; run the import again")]
    Busy {
        /// The line of the file.
        line: u64,
    },
}

/// What an import works with.
#[derive(Clone)]
pub struct Importer {
    /// Where the cards go.
    pub store: Arc<dyn Store>,
    /// What seals their keys.
    pub vault: Arc<dyn Vault>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is random.
    pub rng: Arc<dyn Rng>,
}

/// What became of one line.
enum Outcome {
    Imported,
    AlreadyThere(Seq),
    Refused(String),
}

/// Puts cards into the store. `progress` is told after each few how many lines are done.
///
/// A new card is one commit: card, keys, indexes, and the claims of its preset numbers, all of which must be free. A
/// card that is there already is compared by owner, identity, profile and keys and never changed; its counters have
/// moved on, so floors are not compared.
///
/// # Errors
/// [`ImportError`] where the store or the vault fails; the file can be run again.
pub async fn import(
    importer: &Importer,
    rows: Vec<CardRow>,
    mut progress: impl FnMut(usize),
) -> Result<ImportReport, ImportError> {
    let epoch = read_epoch(&*importer.store).await?;
    let mut report = ImportReport::default();
    let mut read_up_to = Seq::default();
    let mut rows = rows.into_iter();
    let mut done = 0;
    loop {
        let mut tasks = JoinSet::new();
        for row in rows.by_ref().take(CARDS_AT_ONCE) {
            let importer = importer.clone();
            tasks.spawn(async move { (row.line, importer.row(&row, epoch).await) });
        }
        if tasks.is_empty() {
            break;
        }
        while let Some(joined) = tasks.join_next().await {
            // A task ends only by its own return: nothing cancels it, and it does not panic.
            let Ok((line, outcome)) = joined else { continue };
            match outcome? {
                Outcome::Imported => report.imported += 1,
                Outcome::AlreadyThere(seq) => {
                    report.already_there += 1;
                    read_up_to = read_up_to.max(seq);
                }
                Outcome::Refused(reason) => report.refused.push(Refusal { line, reason }),
            }
            done += 1;
        }
        progress(done);
    }
    // What was found there may be as young as this import.
    importer.store.durable(read_up_to).await?;
    report.refused.sort_by_key(|refusal| refusal.line);
    Ok(report)
}

impl Importer {
    async fn row(&self, row: &CardRow, epoch: u64) -> Result<Outcome, ImportError> {
        for _ in 0..ATTEMPTS {
            let index: Vec<_> =
                row.eid.map(keys::eid).into_iter().chain(row.iccid.map(keys::iccid)).collect();
            let found = self.store.get(index).await?;
            let mut cards = found.value.iter().flatten().map(indexed_card);
            match (cards.next().transpose()?, cards.next().transpose()?) {
                (Some(eid), Some(iccid)) if eid != iccid => {
                    return Ok(Outcome::Refused(format!("EID is of {eid}, ICCID is of {iccid}")));
                }
                (Some(card), _) => return self.compare(row, card).await,
                (None, _) => {}
            }
            if let Some(reason) = self.claimed(row).await? {
                return Ok(Outcome::Refused(reason));
            }
            match self.store.commit(self.new_card(row, epoch).await?).await {
                Ok(_) => return Ok(Outcome::Imported),
                Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(ImportError::Busy { line: row.line })
    }

    /// Everything of a card that is not there yet.
    async fn new_card(&self, row: &CardRow, epoch: u64) -> Result<Commit, ImportError> {
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let id = CardId::new(self.clock.now_ms(), &random);
        let mut card = Card::new(id, row.owner.clone(), row.profile.clone(), row.kvn);
        card.eid = row.eid;
        card.iccid = row.iccid;
        card.preset.clone_from(&row.preset);
        card.current.clone_from(&row.preset);
        card.counters = row
            .floors
            .iter()
            .map(|(scope, floor)| Counter { scope: scope.clone(), last: floor.saturating_sub(1), epoch })
            .collect();
        let clear = row.clear_keys()?;
        let mut commit = Commit::new();
        let index = Unguarded::encode(&id.octets());
        for key in row.eid.map(keys::eid).into_iter().chain(row.iccid.map(keys::iccid)) {
            commit.expect_absent(key.clone()).put(key, index.clone());
        }
        for key in claims(row) {
            let claim = Claim { holder: Holder::Card(id) };
            commit.expect_absent(key.clone()).put(key, Guarded::encode(1, &encode_claim(&claim)));
        }
        for number in card.numbers() {
            commit.put(keys::NumberEntry { number, card: id }.key(), Unguarded::encode(&[]));
        }
        commit.put(keys::card_keys(id), self.vault.wrap(id, &clear).await?);
        commit.expect_absent(keys::card(id)).put(keys::card(id), Guarded::encode(1, &encode_card(&card)));
        Ok(commit)
    }

    /// Who has one of the preset numbers of a new card.
    async fn claimed(&self, row: &CardRow) -> Result<Option<String>, ImportError> {
        let found = self.store.get(claims(row)).await?;
        for (value, field) in found.value.iter().zip(["IMSI", "MSISDN"]) {
            let Some(value) = value else { continue };
            return Ok(Some(match decode_claim(Guarded::decode(value)?.body)?.holder {
                Holder::Card(card) => format!("{field} is that of {card}"),
                Holder::Write(write) => format!("{field} is the target of {write}"),
            }));
        }
        Ok(None)
    }

    /// Whether the card that is there is the one of the line.
    async fn compare(&self, row: &CardRow, id: CardId) -> Result<Outcome, ImportError> {
        let found = self.store.get(vec![keys::card(id), keys::card_keys(id)]).await?;
        let [Some(card), Some(sealed)] = found.value.as_slice() else {
            return Ok(Outcome::Refused(format!("{id} is in the index, and its record is missing")));
        };
        let card = decode_card(Guarded::decode(card)?.body)?;
        let differs = [
            ("EID", card.eid == row.eid),
            ("ICCID", card.iccid == row.iccid),
            ("preset subscription", card.preset == row.preset),
            ("PROFILE", card.profile == row.profile),
            ("OWNER", card.owner == row.owner),
            ("KVN", card.kvn == row.kvn),
        ];
        let mut differs: Vec<_> =
            differs.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect();
        if !self.vault.holds(id, sealed, &row.clear_keys()?).await? {
            differs.push("keys");
        }
        if differs.is_empty() {
            return Ok(Outcome::AlreadyThere(found.seq));
        }
        Ok(Outcome::Refused(format!("{id} is there already and differs in {}", differs.join(", "))))
    }
}

/// The card that a value of the EID or ICCID index names.
fn indexed_card(value: &Bytes) -> Result<CardId, EnvelopeError> {
    let body = Unguarded::decode(value)?;
    let octets = body.try_into().map_err(|_| EnvelopeError::Short { found: body.len(), expected: 16 })?;
    Ok(CardId::from_octets(octets))
}

/// The claims of the preset numbers: IMSI, then MSISDN.
fn claims(row: &CardRow) -> Vec<crate::store::Key> {
    row.preset
        .iter()
        .flat_map(|preset| [keys::Claim::Imsi(preset.imsi).key(), keys::Claim::Msisdn(preset.msisdn).key()])
        .collect()
}

/// How often the store was restored from a backup; 0 where it never was.
async fn read_epoch(store: &dyn Store) -> Result<u64, ImportError> {
    let value = store.get_one(keys::Meta::Epoch.key()).await?.value;
    let Some(value) = value else { return Ok(0) };
    let body = Unguarded::decode(&value)?;
    let octets = body.try_into().map_err(|_| EnvelopeError::Short { found: body.len(), expected: 8 })?;
    Ok(u64::from_be_bytes(octets))
}
