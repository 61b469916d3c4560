//! Parts of longer messages: each is durable before its own answer (I1), and parts may come over different binds.

use crate::ota::reassembly::{Joined, PartSet as Assembly};
use crate::ota::{Concatenation, Reference, UserData};
use crate::store::records::{PartSet, decode_part_set, encode_part_set};
use crate::store::{Commit, CommitError, Guarded, KeyText, Scan, keys};

use super::Gateway;
use super::cards::CardError;

/// Open sets of one sender on one link; the oldest gives way.
const SETS_PER_SENDER: usize = 4;

/// A set older than this is over: its reference number may stand for another message.
const AGE_MAX_MS: u64 = 24 * 3_600_000;

/// Most parts of one message: a set stays below the size of a stored value.
const PARTS_MAX: u8 = 64;

const TRIES: usize = 16;

/// What a part did.
pub(super) enum Part {
    /// More parts are to come.
    Stored,
    /// The message is whole; its set is closed once its effect is durable.
    Whole(Joined, keys::PartSetKey),
    /// The message was whole, and done with, before.
    DoneBefore,
    /// It belongs to no set: another message under the same reference number.
    Foreign(String),
}

impl Gateway {
    /// Stores one part.
    pub(super) async fn take_part(
        &self,
        link: &KeyText,
        source: &KeyText,
        place: Concatenation,
        user_data: &[u8],
    ) -> Result<Part, CardError> {
        if place.total > PARTS_MAX {
            return Ok(Part::Foreign(format!("{} parts, expected at most {PARTS_MAX}", place.total)));
        }
        let reference = match place.reference {
            Reference::Bits8(reference) => u16::from(reference),
            Reference::Bits16(reference) => reference,
        };
        let key =
            keys::PartSetKey { link: link.clone(), source: source.clone(), reference, total: place.total };
        for _ in 0..TRIES {
            let now = self.now();
            let stored = self.0.world.store.get_one(key.key()).await?.value;
            let (version, mut set) = match stored.as_deref().map(Guarded::decode).transpose()? {
                Some(Guarded { version, body }) => (version, decode_part_set(body)?),
                None => (0, PartSet { total: place.total, parts: Vec::new(), created: now, done: false }),
            };
            if set.created + AGE_MAX_MS < now {
                set = PartSet { total: place.total, parts: Vec::new(), created: now, done: false };
            }
            if set.done {
                return Ok(Part::DoneBefore);
            }
            set.parts.push((place.number, user_data.to_vec()));
            let joined = match join(place, &set) {
                Ok(joined) => joined,
                Err(reason) => return Ok(Part::Foreign(reason)),
            };
            set.parts.sort();
            set.parts.dedup();
            let mut commit = Commit::new();
            match version {
                0 => {
                    commit.expect_absent(key.key());
                    self.make_room(&mut commit, &key).await?;
                }
                _ => {
                    commit.expect_version(key.key(), version);
                }
            }
            commit.put(key.key(), Guarded::encode(version + 1, &encode_part_set(&set)));
            match self.0.world.store.commit(commit).await {
                Ok(_) => return Ok(joined.map_or(Part::Stored, |joined| Part::Whole(joined, key))),
                Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(CardError::Contended)
    }

    /// Closes a set whose message had its effect: its parts coming again change nothing.
    pub(super) fn close_part_set(&self, key: &keys::PartSetKey) {
        let done = PartSet { total: key.total, parts: Vec::new(), created: self.now(), done: true };
        let mut commit = Commit::new();
        // Lost, this costs one more look at a message that changes nothing twice.
        commit.put(key.key(), Guarded::encode(u64::MAX >> 1, &encode_part_set(&done)));
        self.0.world.store.submit(commit);
    }

    async fn make_room(&self, commit: &mut Commit, key: &keys::PartSetKey) -> Result<(), CardError> {
        let of_sender = keys::PartSetKey::of_sender(&key.link, &key.source);
        let sets = self.0.world.store.scan(Scan::first(of_sender, 4 * SETS_PER_SENDER)).await?.value;
        let mut ages = Vec::new();
        for (key, value) in sets {
            let set = decode_part_set(Guarded::decode(&value)?.body)?;
            ages.push((set.created, key));
        }
        ages.sort();
        let excess = (ages.len() + 1).saturating_sub(SETS_PER_SENDER);
        for (_, key) in ages.into_iter().take(excess) {
            commit.delete(key);
        }
        Ok(())
    }
}

/// Puts the parts together; `None` while some are missing.
fn join(place: Concatenation, set: &PartSet) -> Result<Option<Joined>, String> {
    let mut assembly = Assembly::new(place);
    for (_, octets) in &set.parts {
        let part = UserData::parse(octets).map_err(|error| error.to_string())?;
        assembly.insert(&part).map_err(|error| error.to_string())?;
    }
    Ok(assembly.joined())
}
