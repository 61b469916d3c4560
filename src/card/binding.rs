//! The relation device ↔ card, and what stands before one takes effect.

use crate::applet::BindingAck;
use crate::identity::{Imei, Msisdn};

/// The relation device ↔ card, as the card proved it or its owner supplied it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The device.
    pub imei: Imei,
    /// Since when, unix ms.
    pub since: u64,
    /// The card's MO counter when it was made; a binding changes only by a newer request.
    pub mo_cntr: u64,
    /// How the card's last request was answered, where it made one.
    pub answered: Option<BindingAck>,
}

/// A binding that contradicts another one and waits for a decision (policy `hold`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBinding {
    /// The device.
    pub imei: Imei,
    /// The card's own sequence of the request; `None` where no answer is owed.
    pub tid: Option<u32>,
    /// The card's MO counter of the request.
    pub mo_cntr: u64,
    /// Since when, unix ms.
    pub since: u64,
}

/// A device that a card without binding was claimed to be in; only the card's secured answer makes it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The device.
    pub imei: Imei,
    /// Since when, unix ms.
    pub since: u64,
    /// The card's own sequence of the request; `None` where no answer is expected.
    pub tid: Option<u32>,
    /// The number it came from.
    pub from: Option<Msisdn>,
}
