//! From what the card's rules ask for to octets: applet message, secured packet, parts.

use std::borrow::Cow;

use crate::applet::AppletError;
use crate::card::{Card, Payload, Profile, Seal};
use crate::ota::{Algorithm, Cpi, Integrity, SplitError, command, split};
use crate::store::records::SealedParts;
use crate::vault::{KeyRef, SealRequest, Vault, VaultError};

/// Why a packet could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    #[error("card keys: {0}")]
    Vault(#[from] VaultError),
    #[error("applet message: {0}")]
    Applet(#[from] AppletError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error("the key set is single DES, which profile {profile} does not allow (mt.algorithms)")]
    SingleDes { profile: String },
    #[error("the packet needs {found} parts, profile {profile} allows {limit}")]
    Parts { found: usize, limit: usize, profile: String },
}

impl RenderError {
    /// Whether the packet can never be made; otherwise the card's keys are missing, which an operator can mend.
    pub(super) const fn is_final(&self) -> bool {
        !matches!(self, Self::Vault(VaultError::Record(_) | VaultError::NoKeySet { .. }))
    }
}

/// Seals one packet at `now` (unix ms) and cuts it into whole TP-UDs of at most 140 octets. `originator` is the type of
/// address and the number that an export names as the sender.
pub(super) async fn render(
    vault: &dyn Vault,
    card: &Card,
    keys: &[u8],
    profile: &Profile,
    seal: &Seal,
    now: u64,
    originator: Option<(u8, String)>,
) -> Result<SealedParts, RenderError> {
    let data = match &seal.payload {
        Payload::Applet(message) => Cow::Owned(message.to_der()?),
        Payload::Script(script) => Cow::Borrowed(script.0.as_slice()),
    };
    let request =
        SealRequest { spi1: seal.spi1, spi2: seal.spi2, tar: seal.tar, cntr: seal.cntr, data: &data };
    let key = KeyRef { card: card.id, record: keys, kvn: seal.kvn };
    let packet = vault.seal(key, request).await?;
    if is_single_des(&packet) && !profile.mt.algorithms.contains(&Algorithm::Des) {
        return Err(RenderError::SingleDes { profile: profile.name.clone() });
    }
    // The reference follows the CNTR, so that no two open packets of a card share one.
    let [.., high, low] = seal.cntr.octets();
    let reference = u16::from_be_bytes([high, low]);
    let parts = split(&packet, Cpi::Command, &profile.mt.split_options(reference))?;
    let limit = usize::from(profile.mt.max_parts);
    if parts.len() > limit {
        return Err(RenderError::Parts { found: parts.len(), limit, profile: profile.name.clone() });
    }
    let (spi1, spi2, tar) = (seal.spi1.0, seal.spi2.0, seal.tar.0);
    Ok(SealedParts { kvn: seal.kvn, spi1, spi2, tar, parts, sealed_at: now, originator })
}

/// Whether single DES secures a packet: its keys are found in a day. KIc and KID say so in b4 to b1: 0001 in CBC mode, of
/// KIc also 1101 in ECB mode (TS 102 225 §5.1.2, §5.1.3).
fn is_single_des(packet: &[u8]) -> bool {
    let Ok(header) = command::peek(packet) else { return false };
    let ciphered = header.spi1.ciphered() && matches!(header.kic & 0x0F, 0x01 | 0x0D);
    let checked = header.spi1.integrity() == Integrity::Cc && header.kid & 0x0F == 0x01;
    ciphered || checked
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::card::{CardId, ScriptOctets};
    use crate::ota::{Cntr, Reference, UserData};
    use crate::vault::{ClearKeySet, MasterKey, SoftwareVault};
    use crate::world::SeededRng;

    const PROFILE: &str = include_str!("../../config/profiles/usim-rfm.toml");

    async fn rendered(profile: &Profile, cntr: u64) -> SealedParts {
        let vault = SoftwareVault::new(MasterKey::from_octets([9; 32]), Arc::new(SeededRng::new(1)));
        let id = CardId::from_octets([7; 16]);
        let keys = ClearKeySet::new(1, Algorithm::Aes, 8, &[1; 16], &[2; 16], None).unwrap();
        let record = vault.wrap(id, &[keys]).await.unwrap();
        let card = Card::new(id, "acme".parse().unwrap(), profile.name.clone(), 1);
        let seal = Seal {
            cntr: Cntr::try_from(cntr).unwrap(),
            kvn: 1,
            spi1: profile.mt.spi1,
            spi2: profile.mt.spi2_sms,
            tar: profile.mt.tar,
            payload: Payload::Script(ScriptOctets(vec![0; 300])),
        };
        render(&vault, &card, &record, profile, &seal, 0, None).await.unwrap()
    }

    /// The reference of every part, which all have the same.
    fn reference(sealed: &SealedParts) -> Reference {
        let of = |part: &Vec<u8>| UserData::parse(part).unwrap().concatenation().unwrap().reference;
        let references: Vec<Reference> = sealed.parts.iter().map(of).collect();
        assert!(references.len() > 1 && references.iter().all(|reference| *reference == references[0]));
        references[0]
    }

    #[tokio::test]
    async fn packets_that_may_be_open_at_once_have_references_of_their_own() {
        let bits8 = Profile::from_toml(PROFILE).unwrap();
        let bits16 = Profile::from_toml(&PROFILE.replace("ref_bits = 8", "ref_bits = 16")).unwrap();
        // A packet and those before it, over the wrap; the first after a restore, and the last that the copy knows.
        let gap = crate::card::RESTORE_GAP;
        for (older, newer) in [(0xFE, 0xFF), (0xFF, 0x100), (0x1_FFFF, 0x2_0000), (7, 7 + gap), (8, 8 + gap)]
        {
            for profile in [&bits8, &bits16] {
                let (older, newer) = (rendered(profile, older).await, rendered(profile, newer).await);
                assert_ne!(reference(&older), reference(&newer));
            }
        }
        assert_eq!(reference(&rendered(&bits8, 0x1234).await), Reference::Bits8(0x34));
        assert_eq!(reference(&rendered(&bits16, 0x1234).await), Reference::Bits16(0x1234));
        // The same packet is the same octets.
        assert_eq!(rendered(&bits8, 5).await.parts, rendered(&bits8, 5).await.parts);
    }

    #[test]
    fn single_des_is_told_by_kic_and_kid() {
        let packet = |spi1: u8, kic: u8, kid: u8| [&[0, 14, 13, spi1, 0, kic, kid][..], &[0; 9]].concat();
        for (spi1, kic, kid, single) in [
            (0x16, 0x11, 0x15, true),
            (0x16, 0x1D, 0x15, true),
            (0x16, 0x15, 0x11, true),
            (0x12, 0x11, 0x15, false),
            (0x12, 0x15, 0x31, true),
            (0x16, 0x15, 0x15, false),
            (0x16, 0x12, 0x12, false),
            (0x15, 0x12, 0x11, false),
        ] {
            assert_eq!(is_single_des(&packet(spi1, kic, kid)), single, "{spi1:02X} {kic:02X} {kid:02X}");
        }
    }
}
