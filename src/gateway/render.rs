//! From what the card's rules ask for to octets: applet message, secured packet, parts.

use crate::applet::AppletError;
use crate::card::{Card, Profile, Seal};
use crate::ota::{Cpi, SplitError, split};
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
    #[error("the packet needs {found} parts, profile {profile} allows {limit}")]
    Parts { found: usize, limit: u8, profile: String },
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
    let data = seal.message.to_der()?;
    let request =
        SealRequest { spi1: seal.spi1, spi2: seal.spi2, tar: seal.tar, cntr: seal.cntr, data: &data };
    let key = KeyRef { card: card.id, record: keys, kvn: seal.kvn };
    let packet = vault.seal(key, request).await?;
    // The reference follows the CNTR, so that no two open packets of a card share one.
    let [.., high, low] = seal.cntr.octets();
    let reference = u16::from_be_bytes([high, low]);
    let parts = split(&packet, Cpi::Command, &profile.mt.split_options(reference))?;
    let limit = profile.mt.max_parts;
    if parts.len() > usize::from(limit) {
        return Err(RenderError::Parts { found: parts.len(), limit, profile: profile.name.clone() });
    }
    let (spi1, spi2, tar) = (seal.spi1.0, seal.spi2.0, seal.tar.0);
    Ok(SealedParts { kvn: seal.kvn, spi1, spi2, tar, parts, sealed_at: now, originator })
}
