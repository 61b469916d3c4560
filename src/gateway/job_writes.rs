//! The writes that a job of a card reads and changes.

use crate::card::WriteId;
use crate::store::records::Write;
use crate::store::{Commit, Seq, keys};

use super::Gateway;
use super::job::CardError;
use super::records::{expect, put_write};

/// The writes that a job reads and changes.
#[derive(Default)]
pub(super) struct Writes {
    /// Each with the version that is stored and whether it is to be put.
    writes: Vec<(u64, Write, bool)>,
    /// What must be durable before anything that was read here may leave.
    pub(super) seq: Seq,
}

impl Writes {
    pub(super) async fn read(
        &mut self,
        gateway: &Gateway,
        ids: impl Iterator<Item = WriteId>,
    ) -> Result<(), CardError> {
        for id in ids {
            self.ensure(gateway, id).await?;
        }
        Ok(())
    }

    pub(super) async fn ensure(&mut self, gateway: &Gateway, id: WriteId) -> Result<(), CardError> {
        if self.get(id).is_some() {
            return Ok(());
        }
        let (stored, seq) = gateway.read_write(id).await?;
        self.seq = self.seq.max(seq);
        self.writes.extend(stored.map(|(version, write)| (version, write, false)));
        Ok(())
    }

    pub(super) fn add(&mut self, write: Write) {
        self.writes.push((0, write, true));
    }

    pub(super) fn get(&self, id: WriteId) -> Option<&Write> {
        self.writes.iter().map(|(_, write, _)| write).find(|write| write.id == id)
    }

    pub(super) fn change(&mut self, id: WriteId) -> Option<&mut Write> {
        let (_, write, changed) = self.writes.iter_mut().find(|(_, write, _)| write.id == id)?;
        *changed = true;
        Some(write)
    }

    pub(super) fn put(&self, commit: &mut Commit) {
        for (version, write, _) in self.writes.iter().filter(|(_, _, changed)| *changed) {
            expect(commit, keys::write(write.id), *version);
            put_write(commit, *version, write);
        }
    }
}
