//! Records of the store as the gateway reads and asserts them.

use bytes::Bytes;

use crate::card::{Card, CardId, WriteId};
use crate::identity::Imei;
use crate::ota::Cntr;
use crate::store::records::{
    Device, RecordError, SealedParts, Write, decode_card, decode_device, decode_sealed_parts, decode_write,
    encode_device, encode_idempotency, encode_write,
};
use crate::store::{Commit, Guarded, Key, Seq, Unguarded, keys};

use super::Gateway;
use super::changes::{TIMER_OF_WRITE, claimed_by, claims, timer};
use super::job::{CardError, OrderInput};

/// A guarded record as it was read: its version, 0 where there is none.
pub(super) struct Stored<T> {
    pub(super) version: u64,
    pub(super) record: T,
}

/// Asserts a record as it was read.
pub(super) fn expect(commit: &mut Commit, key: Key, version: u64) {
    match version {
        0 => commit.expect_absent(key),
        _ => commit.expect_version(key, version),
    };
}

/// Reads a guarded record.
pub(super) fn guarded<T>(
    value: Option<&Bytes>,
    decode: impl Fn(&[u8]) -> Result<T, RecordError>,
) -> Result<Option<Stored<T>>, CardError> {
    let Some(value) = value else { return Ok(None) };
    let Guarded { version, body } = Guarded::decode(value)?;
    Ok(Some(Stored { version, record: decode(body)? }))
}

impl Gateway {
    /// Reads a write.
    pub(super) async fn read_write(&self, id: WriteId) -> Result<(Option<(u64, Write)>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::write(id)).await?;
        let stored = guarded(read.value.as_ref(), decode_write)?;
        Ok((stored.map(|stored| (stored.version, stored.record)), read.seq))
    }

    /// Reads a device.
    pub(super) async fn read_device(&self, imei: Imei) -> Result<(Option<(u64, Device)>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::device(imei.key())).await?;
        let stored = guarded(read.value.as_ref(), decode_device)?;
        Ok((stored.map(|stored| (stored.version, stored.record)), read.seq))
    }

    /// Reads a packet as it was sealed.
    pub(super) async fn sealed_parts(
        &self,
        card: CardId,
        cntr: Cntr,
    ) -> Result<Option<SealedParts>, CardError> {
        let read = self.0.world.store.get_one(keys::SealedPartsKey { card, cntr }.key()).await?;
        let Some(value) = read.value else { return Ok(None) };
        Ok(Some(decode_sealed_parts(Unguarded::decode(&value)?)?))
    }

    /// Reads a card.
    pub(super) async fn read_card(&self, id: CardId) -> Result<(Option<Card>, Seq), CardError> {
        let read = self.0.world.store.get_one(keys::card(id)).await?;
        Ok((guarded(read.value.as_ref(), decode_card)?.map(|stored| stored.record), read.seq))
    }
}

/// Puts a new write with its claims, its idempotency key and the timer of its deadline.
pub(super) fn put_order(
    commit: &mut Commit,
    order: &OrderInput,
    claimed: &mut Vec<(Option<&'static str>, Key)>,
) {
    // First: the same order twice at once is the same order, not one that takes the numbers of the other.
    if let Some((key, record)) = &order.idempotency {
        commit.expect_absent(key.clone());
        commit.put(key.clone(), Guarded::encode(1, &encode_idempotency(record)));
        claimed.push((None, key.clone()));
    }
    for (field, key) in claims(&order.write.target) {
        commit.expect_absent(key.clone());
        commit.put(key.clone(), claimed_by(&order.write));
        claimed.push((Some(field), key));
    }
    let deadline = timer(order.write.id.octets(), order.write.deadline);
    commit.put(deadline, Unguarded::encode(&[TIMER_OF_WRITE]));
}

/// Puts an order that waits for its device.
pub(super) fn put_waiting(commit: &mut Commit, order: &OrderInput) -> Vec<(Option<&'static str>, Key)> {
    let mut claimed = Vec::new();
    put_order(commit, order, &mut claimed);
    commit.expect_absent(keys::write(order.write.id));
    put_write(commit, 0, &order.write);
    claimed
}

/// Puts the next version of a write.
pub(super) fn put_write(commit: &mut Commit, version: u64, write: &Write) {
    commit.put(keys::write(write.id), Guarded::encode(version + 1, &encode_write(write)));
}

/// Puts the next version of a device, asserting the one that was read; version 0 where there was none.
pub(super) fn put_device(commit: &mut Commit, version: u64, device: &Device) {
    let key = keys::device(device.imei.key());
    expect(commit, key.clone(), version);
    commit.put(key, Guarded::encode(version + 1, &encode_device(device)));
}
