//! Messages that were refused for good: kept for a while, told to the cards that they claim to be of, and
//! tried again when the card that they are of is imported.

use crate::identity::Msisdn;
use crate::ota::{Content, UserData};
use crate::smpp::Sm;
use crate::store::records::{StrayRecord, encode_stray};
use crate::store::{Commit, CommitError, Key, KeyText, Scan, StoreError, Unguarded, keys};

use super::Gateway;
use super::inbound::{Candidate, Refusal, Taken, Whole, digest};
use super::job::{CardError, Hint, Input};
use super::lists::stray_of;

/// Messages of one sender that are kept; the oldest gives way.
const OF_SENDER_MAX: usize = 16;

/// Octets that are kept of one.
const OCTETS_MAX: usize = 2048;

/// Entries read at once.
const PAGE: usize = 256;

impl Gateway {
    /// Leaves a trace of a refused message on the cards that it claims to be of.
    pub(super) async fn warn_cards(&self, candidates: &[Candidate], taken: &Taken) -> Result<(), CardError> {
        let Taken::Refused(refusal, reason) = taken else { return Ok(()) };
        for Candidate { card, .. } in candidates {
            let what = format!("{}: {reason}", refusal.name());
            let hint = Hint { what, cntr: None, rsc: None };
            self.on_card(card.id, Input::Event(hint.event(None))).await?;
        }
        Ok(())
    }

    /// Records what was refused for good, whole; the oldest of a sender gives way.
    pub(super) async fn put_stray(
        &self,
        link: &str,
        sm: &Sm,
        whole: &Whole,
        refusal: Refusal,
        reason: String,
    ) -> Result<(), CardError> {
        let store = &self.0.world.store;
        let source = match self.number(link, &sm.source) {
            Some(number) => number.to_string(),
            None => sm.source.digits.to_str_lossy().into_owned(),
        };
        let Ok(sender) = KeyText::new(if source.is_empty() { "-" } else { &source }) else { return Ok(()) };
        let mut commit = Commit::new();
        let kept = store.scan(Scan::last(keys::StrayKey::of_sender(&sender), 2 * OF_SENDER_MAX)).await?;
        for (oldest, _) in kept.value.into_iter().skip(OF_SENDER_MAX - 1) {
            commit.delete(oldest);
        }
        let now = self.now();
        let octets = whole.user_data();
        let record = StrayRecord {
            at: now,
            link: link.to_owned(),
            source,
            destination: sm.destination.digits.to_str_lossy().into_owned(),
            reason: format!("{}: {reason}", refusal.name()),
            user_data: octets.iter().copied().take(OCTETS_MAX).collect(),
            udhi: whole.content != Content::Plain,
        };
        let key = keys::StrayKey { source: sender, received_ms: now, digest: digest(&octets).to_be_bytes() };
        commit.put(key.key(), Unguarded::encode(&encode_stray(&record)));
        match store.commit(commit).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(CardError::Contended),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Tries again what came from these numbers before their cards were known.
    pub(super) async fn retry_strays_of(&self, numbers: &[Msisdn]) -> Result<(), StoreError> {
        for number in numbers {
            let Ok(source) = KeyText::new(number.as_str()) else { continue };
            let range = keys::StrayKey::of_sender(&source);
            let strays = self.0.world.store.scan(Scan::first(range, PAGE)).await?.value;
            for (key, value) in strays {
                self.retry_stray(&key, &value).await;
            }
        }
        Ok(())
    }

    /// Tries again whatever came from cards that were not known then: cards may have been imported while nobody served.
    pub(super) async fn retry_strays(self) {
        let mut range = keys::Space::Stray.range();
        while !self.0.closing.is_cancelled() {
            let page = match self.0.world.store.scan(Scan::first(range.clone(), PAGE)).await {
                Ok(page) => page.value,
                Err(error) => {
                    tracing::warn!(%error, "strays could not be read");
                    return;
                }
            };
            let Some((last, _)) = page.last() else { return };
            range = range.after(last);
            for (key, value) in page {
                self.retry_stray(&key, &value).await;
            }
        }
    }

    /// Where this fails the stray stays; it is tried again at the next start.
    async fn retry_stray(&self, key: &Key, value: &[u8]) {
        let Ok(record) = stray_of(value) else { return };
        if !record.reason.starts_with(Refusal::UnknownCard.name()) {
            return;
        }
        let Some(whole) = Whole::of_stray(&record) else { return };
        match self.take_whole(record.source.parse().ok(), &whole).await {
            Ok(Taken::Applied) => {
                tracing::info!(from = record.source, "a stray message found its card");
                let mut commit = Commit::new();
                commit.delete(key.clone());
                // Lost, this costs one more look at a message that changes nothing twice.
                self.0.world.store.submit(commit);
            }
            Ok(Taken::Refused(..)) => {}
            Err(error) => tracing::warn!(%error, "a stray message could not be tried again"),
        }
    }
}

impl Whole {
    /// As user data of one message, however many it came in.
    fn user_data(&self) -> Vec<u8> {
        let header: &[u8] = match self.content {
            Content::Command => &[0x02, 0x70, 0x00],
            Content::Response => &[0x02, 0x71, 0x00],
            Content::Plain => &[],
        };
        [header, &self.payload].concat()
    }

    /// The message that was recorded; `None` where it was cut.
    fn of_stray(record: &StrayRecord) -> Option<Self> {
        if record.user_data.len() >= OCTETS_MAX {
            return None;
        }
        if !record.udhi {
            return Some(Self { content: Content::Plain, payload: record.user_data.clone() });
        }
        let user_data = UserData::parse(&record.user_data).ok()?;
        Some(Self { content: user_data.content(), payload: user_data.payload })
    }
}
