//! What the HTTP API reads. Nothing leaves before it is durable, and another owner's things do not exist.

use std::str::FromStr;

use crate::card::{Card, CardId, IdError, Owner, WriteId, WriteState};
use crate::identity::{Eid, EidChecksum, Iccid, IdentityError};
use crate::store::records::{FactRecord, Write, decode_fact, decode_write};
use crate::store::{Guarded, Key, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::job::CardError;

/// Entries read at once while looking for those of an owner.
const PAGE: usize = 512;

/// Most entries looked at for one page of a list.
const LOOKED_AT_MAX: usize = 8 * PAGE;

/// How a caller names a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardRef {
    /// `crd_…`
    Id(CardId),
    /// `eid:…`
    Eid(Eid),
    /// `iccid:…`
    Iccid(Iccid),
}

/// A text that names no card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRefError {
    /// None of the three forms.
    #[error("card: expected crd_…, eid:… or iccid:…")]
    Form,
    /// A wrong id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A wrong EID or ICCID.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl FromStr for CardRef {
    type Err = CardRefError;

    fn from_str(text: &str) -> Result<Self, CardRefError> {
        if let Some(eid) = text.strip_prefix("eid:") {
            // Which check digits are right was decided at import.
            Ok(Self::Eid(Eid::parse(eid, EidChecksum::Off)?.0))
        } else if let Some(iccid) = text.strip_prefix("iccid:") {
            Ok(Self::Iccid(iccid.parse()?))
        } else if text.starts_with("crd_") {
            Ok(Self::Id(text.parse()?))
        } else {
            Err(CardRefError::Form)
        }
    }
}

/// Which writes are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteFilter {
    /// Only those in this state.
    pub state: Option<WriteState>,
    /// Only those made at this time or later, unix ms.
    pub created_after: Option<u64>,
    /// Only those made before this time, unix ms.
    pub created_before: Option<u64>,
}

impl WriteFilter {
    /// The id that every write wanted comes after: ids begin with the time (uuid version 7).
    fn first(&self) -> Option<WriteId> {
        Some(WriteId::first_at(self.created_after?))
    }

    fn takes(&self, write: &Write) -> bool {
        self.state.is_none_or(|state| write.state == state)
            && self.created_after.is_none_or(|time| write.created >= time)
    }
}

/// A piece of a list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next piece begins; absent at the end.
    pub next: Option<C>,
}

impl Gateway {
    /// A write of this owner.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn write(&self, owner: &Owner, id: WriteId) -> Result<Option<Write>, StoreError> {
        let (write, seq) = self.read_write(id).await.map_err(unreadable)?;
        self.store().durable(seq).await?;
        Ok(write.map(|(_, write)| write).filter(|write| write.owner == *owner))
    }

    /// Writes of this owner in the order in which they were made, after `after`. A page may be short, or empty, and
    /// still have a next one.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn writes(
        &self,
        owner: &Owner,
        filter: WriteFilter,
        after: Option<WriteId>,
        limit: usize,
    ) -> Result<Page<Write, WriteId>, StoreError> {
        let mut items = Vec::new();
        let mut next = after.max(filter.first());
        let mut looked_at = 0;
        let everything = keys::Space::Write.range();
        while items.len() < limit && looked_at < LOOKED_AT_MAX {
            let range = match next {
                Some(id) => everything.clone().after(&keys::write(id)),
                None => everything.clone(),
            };
            let read = self.store().scan(Scan::first(range, PAGE)).await?;
            self.store().durable(read.seq).await?;
            let found = read.value.len();
            looked_at += found;
            for (key, value) in read.value {
                let write = write_of(&key, &value)?;
                if items.len() == limit {
                    return Ok(Page { items, next });
                }
                if filter.created_before.is_some_and(|time| write.created >= time) {
                    return Ok(Page { items, next: None });
                }
                next = Some(write.id);
                if write.owner == *owner && filter.takes(&write) {
                    items.push(write);
                }
            }
            if found < PAGE {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next })
    }

    /// A card of this owner.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn card(&self, owner: &Owner, card: &CardRef) -> Result<Option<Card>, StoreError> {
        let index = match card {
            CardRef::Id(id) => return self.owned_card(owner, *id).await,
            CardRef::Eid(eid) => keys::eid(*eid),
            CardRef::Iccid(iccid) => keys::iccid(*iccid),
        };
        let read = self.store().get_one(index).await?;
        let id = read.value.as_deref().and_then(|value| {
            let octets = Unguarded::decode(value).ok()?.try_into().ok()?;
            Some(CardId::from_octets(octets))
        });
        match id {
            Some(id) => self.owned_card(owner, id).await,
            None => Ok(None),
        }
    }

    async fn owned_card(&self, owner: &Owner, id: CardId) -> Result<Option<Card>, StoreError> {
        let (card, seq) = self.read_card(id).await.map_err(unreadable)?;
        self.store().durable(seq).await?;
        Ok(card.filter(|card| card.owner == *owner))
    }

    /// What happened to a card of this owner, after the entry `after` (0: from the start).
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn timeline(
        &self,
        owner: &Owner,
        card: &CardRef,
        after: u64,
        limit: usize,
    ) -> Result<Option<Page<FactRecord, u64>>, StoreError> {
        let Some(card) = self.card(owner, card).await? else { return Ok(None) };
        let of_card = keys::TimelineEntry::of_card(card.id);
        let range = of_card.after(&keys::TimelineEntry { card: card.id, seq: after }.key());
        let read = self.store().scan(Scan::first(range, limit)).await?;
        self.store().durable(read.seq).await?;
        let whole_page = read.value.len() == limit;
        let facts = read.value.iter().map(|(_, value)| {
            let body = Unguarded::decode(value).map_err(CardError::from)?;
            decode_fact(body).map_err(CardError::from)
        });
        let items = facts.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let next = items.last().filter(|_| whole_page).map(|fact| fact.seq);
        Ok(Some(Page { items, next }))
    }
}

fn write_of(key: &Key, value: &[u8]) -> Result<Write, StoreError> {
    let read = || -> Result<Write, CardError> { Ok(decode_write(Guarded::decode(value)?.body)?) };
    read().map_err(|error| {
        tracing::error!(?key, %error, "a stored write cannot be read");
        unreadable(error)
    })
}

/// A record that cannot be read is a fault of the store.
pub(super) fn unreadable(error: CardError) -> StoreError {
    match error {
        CardError::Store(error) => error,
        error => StoreError::Io(error.to_string()),
    }
}
