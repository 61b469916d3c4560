//! Lists that the HTTP API reads piece by piece: cards, and messages of cards that are not known.

use std::fmt;
use std::str::FromStr;

use crate::card::{Card, CardId, Owner};
use crate::store::records::{StrayRecord, decode_card, decode_stray};
use crate::store::{Guarded, Key, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::cards::CardError;
use super::read::{Page, unreadable};

/// Entries read at once while looking for those of an owner.
const PAGE: usize = 512;

/// Most entries looked at for one page of a list.
const LOOKED_AT_MAX: usize = 8 * PAGE;

/// A message that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Where the list goes on after it.
    pub cursor: StrayCursor,
    /// The message.
    pub record: StrayRecord,
}

/// A place in the list of strays; as text, hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayCursor(Key);

/// A text that is no place in the list of strays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cursor: expected the `next` of an earlier page")]
pub struct StrayCursorError;

impl fmt::Display for StrayCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.octets()))
    }
}

impl FromStr for StrayCursor {
    type Err = StrayCursorError;

    fn from_str(text: &str) -> Result<Self, StrayCursorError> {
        let octets = hex::decode(text).map_err(|_| StrayCursorError)?;
        let key = Key::from_octets(octets).map_err(|_| StrayCursorError)?;
        keys::StrayKey::parse(&key).map_err(|_| StrayCursorError)?;
        Ok(Self(key))
    }
}

impl Gateway {
    /// Cards of this owner in the order in which they were imported, after `after`. A page may be short, or empty, and
    /// still have a next one.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn cards(
        &self,
        owner: &Owner,
        after: Option<CardId>,
        limit: usize,
    ) -> Result<Page<Card, CardId>, StoreError> {
        let mut items = Vec::new();
        let mut next = after;
        let mut looked_at = 0;
        let everything = keys::Space::Card.range();
        while items.len() < limit && looked_at < LOOKED_AT_MAX {
            let range = match next {
                Some(id) => everything.clone().after(&keys::card(id)),
                None => everything.clone(),
            };
            let read = self.store().scan(Scan::first(range, PAGE)).await?;
            self.store().durable(read.seq).await?;
            let found = read.value.len();
            looked_at += found;
            for (key, value) in read.value {
                if items.len() == limit {
                    return Ok(Page { items, next });
                }
                let card = card_of(&value).map_err(|error| {
                    tracing::error!(?key, %error, "a stored card cannot be read");
                    unreadable(error)
                })?;
                next = Some(card.id);
                if card.owner == *owner {
                    items.push(card);
                }
            }
            if found < PAGE {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next })
    }

    /// Messages that were refused for good, after `after`, by sender and then by time. They have no owner: nobody knows
    /// whose they are.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not answer.
    pub async fn strays(
        &self,
        after: Option<StrayCursor>,
        limit: usize,
    ) -> Result<Page<Stray, StrayCursor>, StoreError> {
        let everything = keys::Space::Stray.range();
        let range = match after {
            Some(StrayCursor(key)) => everything.after(&key),
            None => everything,
        };
        let read = self.store().scan(Scan::first(range, limit)).await?;
        self.store().durable(read.seq).await?;
        let whole_page = read.value.len() == limit;
        let mut items = Vec::new();
        for (key, value) in read.value {
            let record = stray_of(&value).map_err(unreadable)?;
            items.push(Stray { cursor: StrayCursor(key), record });
        }
        let next = items.last().filter(|_| whole_page).map(|stray| stray.cursor.clone());
        Ok(Page { items, next })
    }
}

fn card_of(value: &[u8]) -> Result<Card, CardError> {
    Ok(decode_card(Guarded::decode(value)?.body)?)
}

/// A stray in its stored value.
pub(super) fn stray_of(value: &[u8]) -> Result<StrayRecord, CardError> {
    Ok(decode_stray(Unguarded::decode(value)?)?)
}
