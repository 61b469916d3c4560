//! Other secrets that the store keeps, sealed under the master key: signing keys of webhook endpoints.
//!
//! ```text
//! 01 | master key id(8) | nonce(24) | sealed | tag(16)
//! ```
//! XChaCha20-Poly1305. The additional data is `airwrite secret`, 00, version(1), master key id(8) and the name of what
//! the secret is for: it does not open under another name, and is no record of card keys.

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{MasterKey, MasterKeyId, RecordError};
use crate::world::Rng;

/// The version that is written and read here.
const VERSION: u8 = 1;

/// What tells these secrets from everything else that is sealed under the master key.
const DOMAIN: &[u8] = b"airwrite secret\0";

/// Seals `secret` for what `name` names.
pub(super) fn seal(
    master: &MasterKey,
    rng: &dyn Rng,
    name: &str,
    secret: &[u8],
) -> Result<Vec<u8>, RecordError> {
    let mut nonce = [0; 24];
    rng.fill(&mut nonce);
    let id = master.id();
    let mut octets = Zeroizing::new(secret.to_vec());
    let tag = XChaCha20Poly1305::new(master.octets().into())
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            &additional_data(name, id),
            octets.as_mut_slice().into(),
        )
        .map_err(|_| RecordError::Malformed { expected: "fewer octets" })?;
    Ok([&[VERSION], id.0.as_slice(), &nonce, octets.as_slice(), &tag].concat())
}

/// Opens what [`seal`] made for the same name.
pub(super) fn open(master: &MasterKey, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    let malformed = RecordError::Malformed { expected: "a sealed secret" };
    let sealed = match sealed.split_first() {
        Some((&VERSION, sealed)) => sealed,
        Some((&found, _)) => return Err(RecordError::Version { found }),
        None => return Err(malformed),
    };
    let (found, sealed) = sealed.split_first_chunk::<8>().ok_or(malformed)?;
    let (found, expected) = (MasterKeyId(*found), master.id());
    if found != expected {
        return Err(RecordError::OtherMasterKey { found, expected });
    }
    let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or(malformed)?;
    let (sealed, tag) = sealed.split_last_chunk::<16>().ok_or(malformed)?;
    let mut octets = Zeroizing::new(sealed.to_vec());
    XChaCha20Poly1305::new(master.octets().into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            &additional_data(name, expected),
            octets.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| RecordError::NotAuthentic)?;
    Ok(octets)
}

fn additional_data(name: &str, master: MasterKeyId) -> Vec<u8> {
    [DOMAIN, &[VERSION], &master.0, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SeededRng;

    fn master(octet: u8) -> MasterKey {
        MasterKey::from_octets([octet; 32])
    }

    #[test]
    fn a_secret_opens_under_its_name_and_master_key_only() {
        let rng = SeededRng::new(1);
        let sealed = seal(&master(1), &rng, "end_1", b"whsec").expect("seals");
        assert_eq!(open(&master(1), "end_1", &sealed).expect("opens").as_slice(), b"whsec");
        assert!(!sealed.windows(5).any(|octets| octets == b"whsec"));
        assert_ne!(seal(&master(1), &rng, "end_1", b"whsec").expect("seals"), sealed, "another nonce");
        assert_eq!(open(&master(1), "end_2", &sealed), Err(RecordError::NotAuthentic));
        let other = open(&master(2), "end_1", &sealed);
        assert!(matches!(other, Err(RecordError::OtherMasterKey { .. })));
    }

    #[test]
    fn changed_and_short_octets_are_refused() {
        let sealed = seal(&master(1), &SeededRng::new(1), "end_1", b"whsec").expect("seals");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(open(&master(1), "end_1", &changed).is_err(), "octet {index}");
            assert!(open(&master(1), "end_1", &sealed[..index]).is_err(), "{index} octets");
        }
    }
}
