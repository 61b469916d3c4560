//! Parts of longer messages: each is durable before its own answer (I1), and parts may come over different binds and
//! links.

use sha2::{Digest, Sha256};

use crate::identity::Msisdn;
use crate::ota::reassembly::{Joined, PartSet as Assembly};
use crate::ota::{Concatenation, Reference, UserData};
use crate::smpp::{Address, Sm, ton};
use crate::store::records::{PartSet, decode_part_set, encode_part_set};
use crate::store::{Commit, CommitError, Guarded, KeyText, Scan, keys};

use super::Gateway;
use super::job::CardError;

/// Open sets of one sender; the oldest gives way.
const SETS_PER_SENDER: usize = 4;

/// A set older than this is over: its reference number may stand for another message.
pub(super) const AGE_MAX_MS: u64 = 24 * 3_600_000;

/// Most parts of one message: a set stays below the size of a stored value.
const PARTS_MAX: u8 = 64;

/// Most octets of one part (TS 23.040 §9.2.3.24): a short message holds no more.
const PART_OCTETS_MAX: usize = 140;

const TRIES: usize = 16;

/// What a part did.
pub(super) enum Part {
    /// More parts are to come.
    Stored,
    /// The message is whole; its set is closed once its effect is durable.
    Whole(Joined, Whole),
    /// The message was whole, and done with, before.
    DoneBefore,
    /// It is no part of any message.
    Foreign(String),
}

/// A set whose parts are all there.
pub(super) struct Whole {
    key: keys::PartSetKey,
    version: u64,
    set: PartSet,
}

impl Gateway {
    /// Stores one part, which `sm` brought over `link`.
    pub(super) async fn take_part(
        &self,
        link: &str,
        sm: &Sm,
        place: Concatenation,
        user_data: &[u8],
    ) -> Result<Part, CardError> {
        let Some(key) = set_key(link, self.number(link, &sm.source), sm, place) else {
            return Ok(Part::Foreign("a part without a sender".to_owned()));
        };
        if place.total > PARTS_MAX {
            return Ok(Part::Foreign(format!("{} parts, expected at most {PARTS_MAX}", place.total)));
        }
        if user_data.len() > PART_OCTETS_MAX {
            return Ok(Part::Foreign(format!(
                "part of {} octets, expected at most {PART_OCTETS_MAX}",
                user_data.len()
            )));
        }
        for _ in 0..TRIES {
            let now = self.now();
            let fresh = PartSet { total: place.total, parts: Vec::new(), created: now, done: false };
            let stored = self.0.world.store.get_one(key.key()).await?;
            let (version, mut set) = match stored.value.as_deref().map(Guarded::decode).transpose()? {
                Some(Guarded { version, body }) => (version, decode_part_set(body)?),
                None => (0, fresh.clone()),
            };
            if set.done && set.parts.contains(&(place.number, part_digest(user_data))) {
                // What it rests on must be durable before its answer leaves (I1).
                self.0.world.store.durable(stored.seq).await?;
                return Ok(Part::DoneBefore);
            }
            if set.done || set.created + AGE_MAX_MS < now {
                set = fresh.clone();
            }
            let joined = match insert(place, &mut set, user_data) {
                Ok(joined) => joined,
                // Another message under the same reference number: the card has given up the one before.
                Err(_) => {
                    set = fresh;
                    match insert(place, &mut set, user_data) {
                        Ok(joined) => joined,
                        Err(reason) => return Ok(Part::Foreign(reason)),
                    }
                }
            };
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
                Ok(_) => {
                    return Ok(joined.map_or(Part::Stored, |joined| {
                        Part::Whole(joined, Whole { key, version: version + 1, set })
                    }));
                }
                Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(CardError::Contended)
    }

    /// Closes a set whose message had its effect: its parts coming again change nothing. What is kept of them tells them
    /// from those of another message under the same reference number.
    pub(super) fn close_part_set(&self, whole: Whole) {
        let Whole { key, version, set } = whole;
        let parts = set.parts.iter().map(|(number, octets)| (*number, part_digest(octets))).collect();
        let done = PartSet { parts, done: true, ..set };
        let mut commit = Commit::new();
        // Lost, this costs one more look at a message that changes nothing twice.
        commit.expect_version(key.key(), version);
        commit.put(key.key(), Guarded::encode(version + 1, &encode_part_set(&done)));
        self.0.world.store.submit(commit);
    }

    async fn make_room(&self, commit: &mut Commit, key: &keys::PartSetKey) -> Result<(), CardError> {
        let of_sender = keys::PartSetKey::of_sender(&key.source);
        let sets = self.0.world.store.scan(Scan::first(of_sender, 4 * SETS_PER_SENDER)).await?.value;
        let mut ages = Vec::new();
        for (key, value) in sets {
            let set = decode_part_set(Guarded::decode(&value)?.body)?;
            // What is done with goes before what is still to be completed.
            ages.push((!set.done, set.created, key));
        }
        ages.sort();
        let excess = (ages.len() + 1).saturating_sub(SETS_PER_SENDER);
        for (_, _, key) in ages.into_iter().take(excess) {
            commit.delete(key);
        }
        Ok(())
    }
}

/// Which set a part belongs to; `None` for one without a sender. `number` is the sender's in international form.
fn set_key(link: &str, number: Option<Msisdn>, sm: &Sm, place: Concatenation) -> Option<keys::PartSetKey> {
    let reference = match place.reference {
        Reference::Bits8(reference) => u16::from(reference),
        Reference::Bits16(reference) => reference,
    };
    let destination = sm.destination.digits.to_str_lossy();
    let destination = destination.trim_start_matches('+');
    Some(keys::PartSetKey {
        source: sender(link, number, &sm.source)?,
        destination: KeyText::new(if destination.is_empty() { "-" } else { destination }).ok()?,
        reference,
        total: place.total,
    })
}

/// Who sends. An international number is one sender on every link, so that parts that an SMSC spreads over several links
/// find each other. Any other address may stand for somebody else in another network: it counts on its own link only.
fn sender(link: &str, number: Option<Msisdn>, source: &Address) -> Option<KeyText> {
    let international = |number: &Msisdn| {
        matches!(source.ton, ton::UNKNOWN | ton::INTERNATIONAL)
            || number.as_str().as_bytes() != source.digits.as_bytes()
    };
    match number.filter(international) {
        Some(number) => KeyText::new(number.as_str()).ok(),
        None if source.digits.is_empty() => None,
        None => KeyText::new(&format!("{}@{link}", source.digits)).ok(),
    }
}

/// Puts a part into its set, and the whole message together; `None` while parts are missing.
fn insert(place: Concatenation, set: &mut PartSet, user_data: &[u8]) -> Result<Option<Joined>, String> {
    let mut assembly = Assembly::new(place);
    let before = set.parts.iter().map(|(_, octets)| octets.as_slice());
    for octets in before.chain([user_data]) {
        let part = UserData::parse(octets).map_err(|error| error.to_string())?;
        assembly.insert(&part).map_err(|error| error.to_string())?;
    }
    set.parts.push((place.number, user_data.to_vec()));
    set.parts.sort();
    set.parts.dedup();
    Ok(assembly.joined())
}

/// Stands for a part that is done with.
fn part_digest(user_data: &[u8]) -> Vec<u8> {
    Sha256::digest(user_data).iter().copied().take(16).collect()
}
