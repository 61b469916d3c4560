//! The vault in this process.

use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{
    BoxFuture, ClearKeySet, KeyRef, MasterKey, OpenRefused, OpenedBy, RecordError, SealRequest, Vault,
    VaultError, record, secret,
};
use crate::card::CardId;
use crate::ota::{
    CommandHeader, Integrity, KeySet, OpenedCommand, OpenedResponse, Spi1, Spi2, command, response,
};
use crate::world::Rng;

/// A vault that holds its master key in memory and computes where it is called.
pub struct SoftwareVault {
    master: MasterKey,
    rng: Arc<dyn Rng>,
}

impl SoftwareVault {
    /// A vault under `master`; nonces come from `rng`.
    #[must_use]
    pub const fn new(master: MasterKey, rng: Arc<dyn Rng>) -> Self {
        Self { master, rng }
    }

    fn key_set(&self, keys: KeyRef<'_>) -> Result<KeySet, VaultError> {
        let key_sets = record::unwrap(&self.master, keys.card, keys.record)?;
        let key_set = key_sets.iter().find(|key_set| key_set.kvn() == keys.kvn);
        let key_set = key_set.ok_or(VaultError::NoKeySet { kvn: keys.kvn })?;
        Ok(usable(key_set)?)
    }

    fn seal_now(&self, keys: KeyRef<'_>, request: SealRequest<'_>) -> Result<Vec<u8>, VaultError> {
        let key_set = self.key_set(keys)?;
        let header = CommandHeader::new(request.spi1, request.spi2, &key_set, request.tar, request.cntr);
        Ok(command::seal(&header, &key_set, request.data)?)
    }

    fn open_command_now(
        &self,
        candidates: &[(CardId, Bytes)],
        packet: &[u8],
        minimum: Spi1,
    ) -> Result<OpenedBy, OpenRefused> {
        let found = command::peek(packet).map_err(OpenRefused::Malformed)?.spi1;
        if !found.meets(minimum) || found.integrity() != Integrity::Cc {
            return Err(OpenRefused::LevelTooLow { found, minimum });
        }
        let mut unreadable = None;
        for (card, record) in candidates {
            match self.open_with(*card, record, packet) {
                Ok(Some(OpenedCommand { header, data, .. })) => {
                    return Ok(OpenedBy { card: *card, header, data });
                }
                Ok(None) => {}
                Err(error) => {
                    unreadable.get_or_insert(OpenRefused::Record { card: *card, error });
                }
            }
        }
        Err(unreadable.unwrap_or(OpenRefused::NotAuthentic { candidates: candidates.len() }))
    }

    /// Tries every key set of a card; those that the packet does not name fall out before any computation.
    fn open_with(
        &self,
        card: CardId,
        record: &[u8],
        packet: &[u8],
    ) -> Result<Option<OpenedCommand>, RecordError> {
        for key_set in record::unwrap(&self.master, card, record)? {
            if let Ok(opened) = command::open(packet, &usable(&key_set)?) {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    fn open_response_now(
        &self,
        keys: KeyRef<'_>,
        asked: Spi2,
        packet: &[u8],
    ) -> Result<OpenedResponse, VaultError> {
        Ok(response::open(packet, asked, &self.key_set(keys)?)?)
    }
}

/// The key set as packets take it; a record holds none that cannot be one.
fn usable(key_set: &ClearKeySet) -> Result<KeySet, RecordError> {
    key_set.key_set().map_err(|_| RecordError::Malformed { expected: "a key set that a card can have" })
}

impl std::fmt::Debug for SoftwareVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftwareVault").field("master", &self.master).finish_non_exhaustive()
    }
}

impl Vault for SoftwareVault {
    fn wrap<'a>(
        &'a self,
        card: CardId,
        key_sets: &'a [ClearKeySet],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>> {
        Box::pin(async move { Ok(record::wrap(&self.master, &*self.rng, card, key_sets)?) })
    }

    fn holds<'a>(
        &'a self,
        card: CardId,
        record: &'a [u8],
        key_sets: &'a [ClearKeySet],
    ) -> BoxFuture<'a, Result<bool, VaultError>> {
        Box::pin(async move {
            let stored = record::unwrap(&self.master, card, record)?;
            let holds = |key_set: &ClearKeySet| stored.iter().any(|stored| stored.is(key_set));
            Ok(stored.len() == key_sets.len() && key_sets.iter().all(holds))
        })
    }

    fn seal<'a>(
        &'a self,
        keys: KeyRef<'a>,
        request: SealRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>> {
        Box::pin(async move { self.seal_now(keys, request) })
    }

    fn open_command<'a>(
        &'a self,
        candidates: &'a [(CardId, Bytes)],
        packet: &'a [u8],
        minimum: Spi1,
    ) -> BoxFuture<'a, Result<OpenedBy, OpenRefused>> {
        Box::pin(async move { self.open_command_now(candidates, packet, minimum) })
    }

    fn open_response<'a>(
        &'a self,
        keys: KeyRef<'a>,
        asked: Spi2,
        packet: &'a [u8],
    ) -> BoxFuture<'a, Result<OpenedResponse, VaultError>> {
        Box::pin(async move { self.open_response_now(keys, asked, packet) })
    }

    fn seal_secret<'a>(
        &'a self,
        name: &'a str,
        secret: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>> {
        Box::pin(async move { Ok(secret::seal(&self.master, &*self.rng, name, secret)?) })
    }

    fn open_secret<'a>(
        &'a self,
        name: &'a str,
        sealed: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, VaultError>> {
        Box::pin(async move { Ok(secret::open(&self.master, name, sealed)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::{Algorithm, Cntr, Key, OpenError, ResponseHeader, Rsc, Tar};
    use crate::world::SeededRng;

    const TAR: Tar = Tar([0xB0, 0x00, 0x10]);
    const MINIMUM: Spi1 = Spi1::CC_CIPHERED_HIGHER;

    fn card(n: u8) -> CardId {
        CardId::from_octets([n; 16])
    }

    fn vault() -> SoftwareVault {
        SoftwareVault::new(MasterKey::from_octets([0x4D; 32]), Arc::new(SeededRng::new(7)))
    }

    /// The keys of card `n`: key set 1, AES, KIc all `n`, KID all `n + 100`.
    fn keys_on_card(n: u8) -> KeySet {
        let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).expect("a key");
        KeySet::new(1, key(n), key(n + 100), 8).expect("a key set")
    }

    /// The records of cards 1 to `last`.
    async fn records(vault: &dyn Vault, last: u8) -> Vec<(CardId, Bytes)> {
        let mut records = Vec::new();
        for n in 1..=last {
            let other =
                ClearKeySet::new(2, Algorithm::TripleDes2, 8, &[n; 16], &[n; 16], None).expect("keys");
            let used = ClearKeySet::new(1, Algorithm::Aes, 8, &[n; 16], &[n + 100; 16], None).expect("keys");
            let record = vault.wrap(card(n), &[other, used]).await.expect("wraps");
            records.push((card(n), record.into()));
        }
        records
    }

    fn header(spi1: Spi1, keys: &KeySet) -> CommandHeader {
        CommandHeader::new(spi1, Spi2::NO_POR, keys, TAR, Cntr::try_from(5).expect("a counter"))
    }

    fn packet_of(n: u8, spi1: Spi1) -> Vec<u8> {
        let keys = keys_on_card(n);
        command::seal(&header(spi1, &keys), &keys, b"binding request").expect("seals")
    }

    #[tokio::test]
    async fn the_card_opens_what_the_vault_has_sealed() {
        let vault: Arc<dyn Vault> = Arc::new(vault());
        let records = records(&*vault, 1).await;
        let keys = KeyRef { card: card(1), record: &records[0].1, kvn: 1 };
        let request = SealRequest {
            spi1: MINIMUM,
            spi2: Spi2::POR_CC_CIPHERED_BY_SUBMIT,
            tar: TAR,
            cntr: Cntr::try_from(9).expect("a counter"),
            data: b"write card",
        };
        let packet = vault.seal(keys, request).await.expect("seals");
        assert_eq!(vault.seal(keys, request).await, Ok(packet.clone()), "the same octets again");
        let opened = command::open(&packet, &keys_on_card(1)).expect("opens on the card");
        assert_eq!(opened.data, b"write card");
        assert_eq!((opened.header.kic, opened.header.kid), (0x12, 0x12));
        assert_eq!((opened.header.tar, opened.header.cntr.get()), (TAR, 9));
        assert_eq!(opened.header.spi2, Spi2::POR_CC_CIPHERED_BY_SUBMIT);
    }

    #[tokio::test]
    async fn the_checksum_chooses_the_card() {
        let vault = vault();
        let candidates = records(&vault, 4).await;
        for n in 1..=4 {
            let opened =
                vault.open_command(&candidates, &packet_of(n, MINIMUM), MINIMUM).await.expect("opens");
            assert_eq!(opened.card, card(n));
            assert_eq!(opened.data, b"binding request");
            assert_eq!(opened.header, header(MINIMUM, &keys_on_card(n)));
        }
        let stranger = vault.open_command(&candidates, &packet_of(5, MINIMUM), MINIMUM).await;
        assert_eq!(stranger, Err(OpenRefused::NotAuthentic { candidates: 4 }));
        let nobody = vault.open_command(&[], &packet_of(1, MINIMUM), MINIMUM).await;
        assert_eq!(nobody, Err(OpenRefused::NotAuthentic { candidates: 0 }));
    }

    #[tokio::test]
    async fn the_level_is_checked_before_any_key_is_touched() {
        let vault = vault();
        // A record that cannot be read shows whether keys were looked at.
        let candidates = [(card(1), Bytes::from_static(b"\x01junk"))];
        for (found, minimum) in [
            (Spi1::NONE, MINIMUM),
            (Spi1::CC_HIGHER, MINIMUM),
            (Spi1(0x06), MINIMUM),
            (MINIMUM, Spi1(0x1E)),
            // Nothing proves a card in a packet without checksum, whatever the minimum.
            (Spi1::NONE, Spi1::NONE),
            (Spi1(0x04), Spi1::NONE),
        ] {
            let refused = vault.open_command(&candidates, &packet_of(1, found), minimum).await;
            assert_eq!(refused, Err(OpenRefused::LevelTooLow { found, minimum }));
        }
        let refused = vault.open_command(&candidates, b"\x00\x05junk!", MINIMUM).await;
        assert!(matches!(refused, Err(OpenRefused::Malformed(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_better_level_than_the_minimum_is_taken() {
        let vault = vault();
        let candidates = records(&vault, 1).await;
        let opened =
            vault.open_command(&candidates, &packet_of(1, MINIMUM), Spi1::CC_HIGHER).await.expect("opens");
        assert_eq!(opened.header.spi1, MINIMUM);
    }

    #[tokio::test]
    async fn an_unreadable_record_is_told_only_where_no_other_card_opens() {
        let vault = vault();
        let mut candidates = records(&vault, 2).await;
        candidates[0].1 = Bytes::from_static(b"\x02");
        assert!(vault.open_command(&candidates, &packet_of(2, MINIMUM), MINIMUM).await.is_ok());
        let refused = vault.open_command(&candidates, &packet_of(1, MINIMUM), MINIMUM).await;
        assert_eq!(
            refused,
            Err(OpenRefused::Record { card: card(1), error: RecordError::Version { found: 2 } })
        );
    }

    #[tokio::test]
    async fn a_record_moved_to_another_card_is_refused() {
        let vault = vault();
        let mut candidates = records(&vault, 2).await;
        candidates[1].1 = candidates[0].1.clone();
        let moved = [candidates[1].clone()];
        let refused = vault.open_command(&moved, &packet_of(1, MINIMUM), MINIMUM).await;
        assert_eq!(refused, Err(OpenRefused::Record { card: card(2), error: RecordError::NotAuthentic }));
    }

    #[tokio::test]
    async fn responses_open_at_the_level_that_was_asked() {
        let vault = vault();
        let records = records(&vault, 1).await;
        let keys = KeyRef { card: card(1), record: &records[0].1, kvn: 1 };
        let asked = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        let said = ResponseHeader { tar: TAR, cntr: Cntr::try_from(9).expect("a counter"), rsc: Rsc::OK };
        let packet = response::seal(&said, asked, &keys_on_card(1), b"result").expect("seals");
        let opened = vault.open_response(keys, asked, &packet).await.expect("opens");
        assert_eq!((opened.rsc, opened.data.as_slice(), opened.protected), (Rsc::OK, &b"result"[..], true));

        let in_clear = response::seal(&said, Spi2::NO_POR, &keys_on_card(1), b"result").expect("seals");
        let refused = vault.open_response(keys, asked, &in_clear).await;
        assert!(matches!(refused, Err(VaultError::Open(OpenError::LevelMismatch { .. }))), "{refused:?}");
        let of_another = response::seal(&said, asked, &keys_on_card(2), b"result").expect("seals");
        assert!(matches!(vault.open_response(keys, asked, &of_another).await, Err(VaultError::Open(_))));
        let no_set = vault.open_response(KeyRef { kvn: 7, ..keys }, asked, &packet).await;
        assert_eq!(no_set, Err(VaultError::NoKeySet { kvn: 7 }));
    }

    #[test]
    fn debug_shows_neither_keys_nor_data() {
        let request =
            SealRequest { spi1: MINIMUM, spi2: Spi2::NO_POR, tar: TAR, cntr: Cntr::ZERO, data: b"secret" };
        let opened =
            OpenedBy { card: card(1), header: header(MINIMUM, &keys_on_card(1)), data: b"secret".to_vec() };
        for shown in [format!("{request:?}"), format!("{opened:?}")] {
            assert!(shown.contains("6 octets") && !shown.contains("115, 101"), "{shown}");
        }
        assert!(!format!("{:?}", vault()).contains("4d4d"));
    }
}
