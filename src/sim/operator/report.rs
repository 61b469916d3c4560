//! What an observer sees of the whole network.

use std::collections::BTreeMap;

use crate::identity::{Imei, Imsi};
use crate::sim::card::CardReport;
use crate::sim::smsc::SmscTotals;

/// Everything at one moment.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// In the order in which the cards were given.
    pub cards: Vec<CardStatus>,
    /// Counts of the message centre.
    pub totals: SmscTotals,
    /// Faults that have happened, by kind; what has not happened is missing.
    pub faults: BTreeMap<String, u64>,
}

/// A terminal and its card.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CardStatus {
    /// The terminal.
    pub imei: Imei,
    /// Whether it is switched on.
    pub on: bool,
    /// Whom it is attached as.
    pub attached: Option<Imsi>,
    /// Whether the plan of faults bars this card: it finds no service under anything but its preset, so that every
    /// write is rolled back.
    pub barred: bool,
    /// Whether the plan of faults silences this card: once it has accepted a write it is never heard of again.
    pub silent: bool,
    /// What the card's memory holds.
    #[serde(flatten)]
    pub card: CardReport,
}
