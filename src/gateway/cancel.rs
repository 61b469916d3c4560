//! Writes that are withdrawn, by their owner or by their deadline.

use crate::card::{DEADLINE_PASSED, End, Owner, Refused, WriteId, WriteState};
use crate::store::records::Write;
use crate::store::{Commit, CommitError, StoreError, keys};

use super::Gateway;
use super::changes::{claims, waiting_fact};
use super::job::{CardError, Input};
use super::orders::TRIES;
use super::records::{put_device, put_write};

/// Why a write was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The owner has no such write.
    #[error("no such write")]
    NotFound,
    /// The card has written already.
    #[error("the card has written already")]
    AlreadyWritten,
    /// The write is over.
    #[error("the write has ended: {}", .0.name())]
    Ended(WriteState),
    /// Lost against concurrent changes: try again.
    #[error("busy")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CardError> for CancelError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

impl Gateway {
    /// Withdraws a write, as far as it still can be: after octets have gone out that is a request, granted by a fence.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, owner: &Owner, id: WriteId) -> Result<Write, CancelError> {
        if self.0.closing.is_cancelled() {
            return Err(CancelError::Busy);
        }
        let (write, seq) = self.read_write(id).await?;
        let write = write.map(|(_, write)| write).filter(|write| write.owner == *owner);
        let write = write.ok_or(CancelError::NotFound)?;
        if write.state.is_end() {
            self.0.world.store.durable(seq).await?;
            return Err(CancelError::Ended(write.state));
        }
        self.withdraw(id, End::Cancelled).await?.ok_or(CancelError::NotFound)
    }

    /// Withdraws a write wherever it stands; `None` where there is no such write.
    pub(super) async fn withdraw(&self, id: WriteId, end: End) -> Result<Option<Write>, CancelError> {
        for _ in 0..TRIES {
            let (stored, seq) = self.read_write(id).await?;
            let Some((version, write)) = stored else { return Ok(None) };
            if write.state.is_end() {
                self.0.world.store.durable(seq).await?;
                return Ok(Some(write));
            }
            // While it waits, the card is only the one that its order names.
            if let Some(card) = write.card.filter(|_| write.state != WriteState::Waiting) {
                let done = self.on_card(card, Input::Withdraw { write: id, end }).await?;
                return match done.refused {
                    Some(Refused::AlreadyWritten) if end == End::Cancelled => {
                        Err(CancelError::AlreadyWritten)
                    }
                    _ => Ok(done.write),
                };
            }
            if let Some(write) = self.withdraw_waiting(version, write, end).await? {
                return Ok(Some(write));
            }
        }
        Err(CancelError::Busy)
    }

    /// One try to end a write that waits for its device: `None` where something changed meanwhile.
    async fn withdraw_waiting(
        &self,
        version: u64,
        mut write: Write,
        end: End,
    ) -> Result<Option<Write>, CancelError> {
        let now = self.now();
        let (device, _) = self.read_device(write.imei).await?;
        write.state = WriteState::Ended(end);
        write.seq += 1;
        write.updated = now;
        write.ended_at = Some(now);
        if end == End::Expired {
            write.reason = Some(DEADLINE_PASSED.to_owned());
        }
        let mut commit = Commit::new();
        commit.expect_version(keys::write(write.id), version);
        put_write(&mut commit, version, &write);
        if let Some((version, mut device)) = device {
            device.waiting.retain(|waiting| *waiting != write.id);
            put_device(&mut commit, version, &device);
        }
        for (_, key) in claims(&write.target) {
            commit.delete(key);
        }
        let kind = format!("write.{}", write.state.name());
        let mut telling = self.telling();
        self.put_fact(&mut commit, &waiting_fact(&write, &kind, &write.owner, write.imei, now), &mut telling);
        let done = self.0.world.store.commit(commit).await;
        drop(telling);
        match done {
            Ok(_) => {
                self.0.metrics.count_fact(&kind);
                Ok(Some(write))
            }
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}
