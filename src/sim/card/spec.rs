//! What a card is made of.

use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};
use crate::ota::{KeySet, Spi1, Tar};
use crate::sim::card::AppletTiming;

/// What personalises a card, and the device that it is put into.
#[derive(Debug, Clone)]
pub struct CardSpec {
    /// The card's own identity, read-only; an applet has one, a plain UICC need not.
    pub eid: Option<Eid>,
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
    /// Which commands share one replay counter.
    pub scope: CounterScope,
    /// Remote file management in place of the write applet: the card is written as files, and what is left of the applet
    /// at most tells which device it is in.
    pub rfm: Option<Rfm>,
}

impl CardSpec {
    /// The short code of the simulated platform where nobody chose one.
    pub const SHORT_CODE: &'static str = "10690";

    /// A card without a preset that secures its messages, with the usual short code and timing.
    #[must_use]
    pub fn new(eid: Eid, iccid: Iccid, imei: Imei, keys: KeySet) -> Self {
        Self {
            eid: Some(eid),
            iccid,
            imei,
            preset: None,
            keys,
            short_code: Self::SHORT_CODE.to_owned(),
            mo_dialect: MoDialect::Secured,
            timing: AppletTiming::default(),
            scope: CounterScope::default(),
            rfm: None,
        }
    }
}

/// Which commands share one replay counter on a card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CounterScope {
    /// Those to one application, whatever the key set.
    #[default]
    Tar,
    /// All of them.
    Card,
}

/// Remote file management as a card does it (TS 102 226 §5, §8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rfm {
    /// The applications that take scripts.
    pub applications: Vec<RfmApplication>,
    /// How the terminal learns of another EF.IMSI.
    pub refresh: RefreshHabit,
    /// Whether a response by SMS-SUBMIT is announced.
    pub interim: Interim,
}

/// One remote file management application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RfmApplication {
    /// Its address.
    pub tar: Tar,
    /// Where its sessions start.
    pub start: SessionStart,
    /// The least security of a command that it takes.
    pub min_spi1: Spi1,
}

/// The directory that is selected when a script begins (TS 102 226 §8.2.1, §8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStart {
    /// MF: the shared file system of the UICC.
    Mf,
    /// The USIM application's own directory.
    Usim,
}

/// What a card does after a script has changed EF.IMSI and its response has gone out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefreshHabit {
    /// Nothing: the terminal learns of it when it is switched on again.
    #[default]
    None,
    /// REFRESH, UICC reset (TS 102 223 §8.6, qualifier 04).
    UiccReset,
    /// REFRESH, file change notification (01) that names EF.IMSI.
    FileChange,
}

/// Whether a card says 0B (the response follows by SMS-SUBMIT) besides the response itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interim {
    /// It does not.
    #[default]
    None,
    /// Before the response.
    Before,
    /// After it.
    After,
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
    /// Nothing: the card sends no message of its own accord.
    Silent,
    /// Bindings only: the IMEI as mobile identity, 8 octets (TS 24.008 §10.5.1.4), in a plain 8-bit short message. Results
    /// are there for whoever polls. A poll tells the applet that it has been heard, as nothing else can.
    RawImei,
}

impl MoDialect {
    /// Whether results of writes go out.
    pub(super) const fn has_results(self) -> bool {
        !matches!(self, Self::RawImei | Self::Silent)
    }
}
