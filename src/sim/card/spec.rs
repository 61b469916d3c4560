//! What a card is made of.

use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};
use crate::ota::KeySet;
use crate::sim::card::AppletTiming;

/// What personalises a card, and the device that it is put into.
#[derive(Debug, Clone)]
pub struct CardSpec {
    /// The card's own identity, read-only.
    pub eid: Eid,
    /// EF.ICCID as it leaves the factory.
    pub iccid: Iccid,
    /// The terminal's identity.
    pub imei: Imei,
    /// The bootstrap subscription; `None`: the card has no service until it is written.
    pub preset: Option<Preset>,
    /// OTA keys, shared with the platform.
    pub keys: KeySet,
    /// Where the applet sends its messages: the platform's number, digits only.
    pub short_code: String,
    /// How the applet's own messages look; commands to it and their answers are secured in any case.
    pub mo_dialect: MoDialect,
    /// The applet's waits and limits.
    pub timing: AppletTiming,
}

impl CardSpec {
    /// The short code of the simulated platform where nobody chose one.
    pub const SHORT_CODE: &'static str = "10690";

    /// A card without a preset that secures its messages, with the usual short code and timing.
    #[must_use]
    pub fn new(eid: Eid, iccid: Iccid, imei: Imei, keys: KeySet) -> Self {
        let (short_code, timing) = (Self::SHORT_CODE.to_owned(), AppletTiming::default());
        Self { eid, iccid, imei, preset: None, keys, short_code, mo_dialect: MoDialect::Secured, timing }
    }
}

/// A bootstrap subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// EF.IMSI.
    pub imsi: Imsi,
    /// EF.MSISDN.
    pub msisdn: Msisdn,
}

/// How the messages look that an applet sends of its own accord.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MoDialect {
    /// A command packet to the platform: ciphered, with CC and counter.
    #[default]
    Secured,
    /// The message in DER as it is, in a plain 8-bit short message (TP-PID 00, TP-DCS 04, no UDH).
    PlainDer,
    /// Bindings only: the IMEI as mobile identity, 8 octets (TS 24.008 §10.5.1.4), in a plain 8-bit short message. Results
    /// are there for whoever polls. A poll tells the applet that it has been heard, as nothing else can.
    RawImei,
}

impl MoDialect {
    /// Whether results of writes go out.
    pub(super) const fn has_results(self) -> bool {
        !matches!(self, Self::RawImei)
    }
}
