//! What an observer may know of a card that the card itself would not tell.

use std::collections::BTreeMap;

use crate::applet::LastState;
use crate::identity::{Eid, Iccid, Imsi, Msisdn};
use crate::sim::card::Card;

/// What the report says of a card.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CardReport {
    /// The card; a plain UICC has none.
    pub eid: Option<Eid>,
    /// EF.ICCID.
    pub iccid: Option<Iccid>,
    /// EF.IMSI; `None` where it is blank.
    pub ef_imsi: Option<Imsi>,
    /// EF.MSISDN; `None` where it is blank.
    pub ef_msisdn: Option<Msisdn>,
    /// Binding requests that the network has taken.
    pub bindings_sent: u64,
    /// Whether the platform has confirmed the binding.
    pub binding_flag: bool,
    /// Command packets received, whatever became of them.
    pub mt_packets: u64,
    /// Transaction ids of writes that were carried out, and how often: more than once is a fault of the card.
    pub executed: BTreeMap<u32, u32>,
    /// CNTRs that came with two different contents, both authentic: any is a fault of the platform.
    pub cntr_conflicts: Vec<u64>,
    /// CNTR of the card's last own message.
    pub mo_counter: u64,
    /// Transaction id of the last write; 0 before the first.
    pub last_tid: u32,
    /// How far that write came: `none`, `accepted`, `confirmed`, `rolled_back`, `refused`.
    pub last_state: &'static str,
    /// The records of every file in hexadecimal, by its name, of a card with remote file management; of a transparent file
    /// there is one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<&'static str, Vec<String>>,
}

impl Card {
    /// What the card's memory holds.
    #[must_use]
    pub fn report(&self) -> CardReport {
        let memory = self.applet.memory();
        CardReport {
            eid: self.eid,
            iccid: self.files.iccid(),
            ef_imsi: self.files.imsi(),
            ef_msisdn: self.files.msisdn(),
            bindings_sent: memory.bindings_sent,
            binding_flag: memory.bound,
            mt_packets: self.secured.received(),
            executed: memory.executed.clone(),
            cntr_conflicts: self.secured.conflicts().iter().map(|cntr| cntr.get()).collect(),
            mo_counter: self.secured.mo_counter().get(),
            last_tid: memory.last_tid,
            last_state: state_name(memory.last_state),
            files: if self.rfm.is_there() { self.files.contents() } else { BTreeMap::new() },
        }
    }
}

const fn state_name(state: LastState) -> &'static str {
    match state {
        LastState::None => "none",
        LastState::Accepted => "accepted",
        LastState::Confirmed => "confirmed",
        LastState::RolledBack => "rolled_back",
        LastState::Refused => "refused",
    }
}
