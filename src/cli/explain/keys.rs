//! The keys that an explanation may use: of a card file, or of the configured store through its vault.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::card::{CardId, Owner};
use crate::cli::cards::CardFileArguments;
use crate::cli::{ConfigArgument, open, sample};
use crate::config::Config;
use crate::explain::{CardKeys, Hint, Keys, NotOpened, Opened};
use crate::gateway::import::{CardFileError, CardRow, ImportTerms};
use crate::identity::EidChecksum;
use crate::ota::{Integrity, OpenedCommand, OpenedResponse, Spi1, Spi2};
use crate::store::keys::{self, Space};
use crate::store::records::decode_card;
use crate::store::{Guarded, Scan};
use crate::vault::{KeyRef, OpenRefused, Vault, VaultError};

/// Cards of a store whose keys are tried on a packet.
const CARDS_MAX: usize = 4096;

/// The keys of a card file. Its profiles are those of the configuration, where there is one, and those that come with the
/// program.
pub(super) fn of_file(
    path: &Path,
    arguments: &CardFileArguments,
    config: &ConfigArgument,
) -> Result<CardKeys> {
    let mut profiles = sample::profiles()?;
    if config.config.exists() {
        profiles.extend(config.load()?.profiles);
    }
    let owner: Owner = "default".parse()?;
    let terms = ImportTerms::new(&profiles, &owner, EidChecksum::Off);
    let file = arguments.read(path, terms).map_err(|error| match error.downcast::<CardFileError>() {
        // A line for each finding, and none of them names the file.
        Ok(error) => anyhow!("{}:\n{error}", path.display()),
        // It names the file already.
        Err(error) => error,
    })?;
    let mut keys = CardKeys::default();
    for row in &file.rows {
        let sets = row.keys.iter().map(|set| set.key_set()).collect::<Result<Vec<_>, _>>();
        let sets = sets.with_context(|| format!("{}: line {}", path.display(), row.line))?;
        keys.add(name_of(row), row.preset.as_ref().map(|preset| preset.msisdn.to_string()), sets);
    }
    Ok(keys)
}

fn name_of(row: &CardRow) -> String {
    match (row.eid, row.iccid) {
        (Some(eid), _) => format!("EID {eid}"),
        (None, Some(iccid)) => format!("ICCID {iccid}"),
        (None, None) => format!("line {}", row.line),
    }
}

/// The keys of the cards in the store. They stay in the vault.
pub(super) struct StoreKeys {
    vault: Arc<dyn Vault>,
    cards: Vec<StoreCard>,
    /// Whose number it is.
    numbers: BTreeMap<String, usize>,
}

struct StoreCard {
    id: CardId,
    name: String,
    key_set: u8,
    record: Bytes,
}

/// Reads the cards of the configured store.
pub(super) async fn of_store(config: &Config) -> Result<StoreKeys> {
    let store = open::store(config).await?;
    let vault = open::vault(config, &*store).await?;
    let found = store.scan(Scan::first(Space::Card.range(), CARDS_MAX)).await?.value;
    let (mut cards, mut numbers) = (Vec::new(), BTreeMap::new());
    for (_, value) in &found {
        let card = decode_card(Guarded::decode(value)?.body)?;
        let Some(record) = store.get_one(keys::card_keys(card.id)).await?.value else { continue };
        numbers.extend(card.numbers().into_iter().map(|number| (number.to_string(), cards.len())));
        let name = match (card.eid, card.iccid) {
            (Some(eid), _) => format!("EID {eid}"),
            (None, Some(iccid)) => format!("ICCID {iccid}"),
            (None, None) => card.id.to_string(),
        };
        cards.push(StoreCard { id: card.id, name, key_set: card.kvn, record });
    }
    if found.len() == CARDS_MAX {
        eprintln!("only the first {CARDS_MAX} cards of the store are tried");
    }
    store.close().await?;
    Ok(StoreKeys { vault, cards, numbers })
}

impl StoreKeys {
    fn hinted(&self, hint: Hint<'_>) -> Option<usize> {
        let of_card = |name: &str| self.cards.iter().position(|card| card.name == name);
        hint.card.and_then(of_card).or_else(|| self.numbers.get(hint.number?).copied())
    }
}

impl Keys for StoreKeys {
    fn command(&mut self, packet: &[u8], number: Option<&str>) -> Result<Opened<OpenedCommand>, NotOpened> {
        let first = self.hinted(Hint { card: None, number });
        let others = (0..self.cards.len()).filter(|index| Some(*index) != first);
        let candidates: Vec<(CardId, Bytes)> = first
            .into_iter()
            .chain(others)
            .filter_map(|index| self.cards.get(index))
            .map(|card| (card.id, card.record.clone()))
            .collect();
        // The level of the packet is what is to be explained.
        let opened = wait(self.vault.open_command(&candidates, packet, Spi1::NONE));
        let opened = opened.map_err(|refused| match refused {
            OpenRefused::Malformed(error) => NotOpened::Open(error),
            OpenRefused::NotAuthentic { .. } | OpenRefused::LevelTooLow { .. } => {
                NotOpened::Other("no card of the store has its keys".to_owned())
            }
            other @ OpenRefused::Record { .. } => NotOpened::Other(other.to_string()),
        })?;
        let index = self.cards.iter().position(|card| card.id == opened.card);
        if let (Some(number), Some(index)) = (number, index) {
            self.numbers.insert(number.to_owned(), index);
        }
        let card = index.and_then(|index| self.cards.get(index));
        let card = card.map_or_else(|| opened.card.to_string(), |card| card.name.clone());
        let key_set = opened.header.kid >> 4;
        // What is neither header nor data is padding.
        let header_len = packet.get(2).map_or(0, |chl| 3 + usize::from(*chl));
        let padding = packet.len().saturating_sub(header_len + opened.data.len());
        let pcntr = u8::try_from(padding).unwrap_or(u8::MAX);
        Ok(Opened {
            card,
            key_set,
            packet: OpenedCommand { header: opened.header, data: opened.data, pcntr },
        })
    }

    fn response(
        &mut self,
        packet: &[u8],
        asked: Spi2,
        key_set: Option<u8>,
        hint: Hint<'_>,
    ) -> Result<Opened<OpenedResponse>, NotOpened> {
        let hinted = self.hinted(hint);
        // Without a checksum any key opens it.
        let proves = asked.por_integrity() == Integrity::Cc;
        let others = (0..self.cards.len()).filter(|index| proves && Some(*index) != hinted);
        let mut failure = NotOpened::Other("no card of the store has its keys".to_owned());
        for index in hinted.into_iter().chain(others) {
            let Some(card) = self.cards.get(index) else { continue };
            let kvn = key_set.unwrap_or(card.key_set);
            let keys = KeyRef { card: card.id, record: &card.record, kvn };
            match wait(self.vault.open_response(keys, asked, packet)) {
                Ok(opened) => return Ok(Opened { card: card.name.clone(), key_set: kvn, packet: opened }),
                Err(VaultError::Open(error)) if Some(index) == hinted => failure = NotOpened::Open(error),
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

/// The vault's answers are futures because it may be a module of its own; here nothing else is to be done meanwhile.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(answer))
}
