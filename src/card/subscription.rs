//! What a card can be: a subscription, preset at the factory or written by an order.

use crate::identity::{Iccid, Imsi, Msisdn};

/// The numbers of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Mobile user id.
    pub imsi: Imsi,
    /// Operator number id: the address of the card while this subscription is in effect.
    pub msisdn: Msisdn,
    /// The subscription's own card number, where the operator gives it one.
    pub iccid: Option<Iccid>,
    /// Service centre address to write, where the order names one.
    pub smsc: Option<Msisdn>,
}

impl Subscription {
    /// A subscription that names everything, each number as long as it can be: what a write takes at most shows in it.
    pub(super) fn fullest() -> Option<Self> {
        Some(Self {
            imsi: "001010123456789".parse().ok()?,
            msisdn: "861064812345678".parse().ok()?,
            iccid: Some("89049032000000000011".parse().ok()?),
            smsc: Some("861064812345678".parse().ok()?),
        })
    }
}
