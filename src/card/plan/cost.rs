//! What a write costs, before it is sent.

use serde::Serialize;

use super::capacity::{command_parts, response_parts};
use super::{Plan, PlannedScript};
use crate::applet::{BindingAck, BindingResult, Message, Refresh, WriteCard, WriteResult, WriteStatus};
use crate::card::profile::{Method, Profile};
use crate::card::subscription::Subscription;
use crate::identity::{Eid, Imei};
use crate::ota::Cntr;
use crate::ota::apdu::{Command, StatusWord};
use crate::ota::script::{ResponseApdu, ScriptResponse};

/// What a write costs when nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// Packets to the card, each answered before the next one is sent.
    pub scripts: usize,
    /// Short messages to the card.
    pub parts: usize,
    /// Octets of the scripts, before they are secured.
    pub octets: usize,
    /// Short messages from the card: the responses.
    pub responses: usize,
    /// Seconds that a link takes to send the parts; the waits for the card come on top.
    pub seconds: f64,
}

impl Cost {
    /// Short messages in all.
    #[must_use]
    pub const fn messages(&self) -> usize {
        self.parts + self.responses
    }
}

/// What the longest write-card message to the applet costs for a card of `profile`, over a link that sends `rate` short
/// messages a second. `None` where the profile's cards have no applet.
#[must_use]
pub fn write_card_cost(profile: &Profile, rate: f64) -> Option<Cost> {
    let refresh = profile.write.refresh.filter(|_| profile.method == Method::Applet)?;
    let (message, result) = longest_messages(refresh)?;
    let octets = message.to_der().ok()?.len();
    let parts = command_parts(&profile.mt, octets);
    let responses =
        if profile.asks_por() { response_parts(&profile.mt, result.to_der().ok()?.len()) } else { 0 };
    Some(Cost { scripts: 1, parts, octets, responses, seconds: parts as f64 / rate })
}

/// The longest write-card message without keys, and the longest answer.
fn longest_messages(refresh: Refresh) -> Option<(Message, Message)> {
    let Subscription { imsi, msisdn, iccid, smsc } = Subscription::fullest()?;
    let (imei, eid) = (
        Imei::from_mobile_identity(&[0x3A, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55]).ok()?,
        Eid::from_octets([0x89; 16]).ok()?,
    );
    let tid = u32::MAX;
    let write = WriteCard {
        tid,
        imei,
        eid,
        iccid,
        imsi,
        msisdn,
        smsc,
        refresh,
        rollback: true,
        binding_ack: Some(BindingAck { tid, result: BindingResult::Saved }),
        key_block: None,
    };
    let status = WriteStatus::Accepted;
    let result = WriteResult {
        tid,
        eid,
        imsi: Some(imsi),
        imei,
        status,
        detail: u8::MAX,
        mt_counter: Cntr::MAX.get(),
    };
    Some((Message::WriteCard(write), Message::WriteResult(result)))
}

impl Plan {
    /// What this plan costs for a card of `profile` over a link that sends `rate` short messages a second.
    #[must_use]
    pub fn cost(&self, profile: &Profile, rate: f64) -> Cost {
        let parts: usize = self.scripts.iter().map(|script| usize::from(script.parts)).sum();
        Cost {
            scripts: self.scripts.len(),
            parts,
            octets: self.scripts.iter().map(|script| script.data.len()).sum(),
            responses: self.scripts.iter().map(|script| script.responses(profile)).sum(),
            seconds: parts as f64 / rate,
        }
    }
}

impl PlannedScript {
    /// Short messages that the response takes at most where every command succeeds: a card may answer each one.
    #[must_use]
    pub fn responses(&self, profile: &Profile) -> usize {
        let responses = self.commands.iter().map(|command| {
            let octets = Command::parse(&command.apdu).map_or(0, |command| command.expected);
            ResponseApdu { data: vec![0; octets], status: StatusWord::OK }
        });
        let executed = u32::try_from(self.commands.len()).ok();
        let format = profile.write.format;
        let response = ScriptResponse { format, executed, responses: responses.collect(), problem: None };
        response_parts(&profile.mt, response.encode().len())
    }
}
