//! The production line of the demo: cards without a preset subscription, ordered and served on site through the code of
//! `airwrite relay`, over HTTP to the gateway and over TCP to the cards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::platform::{Order, Platform, imei_of};
use super::stage::Stage;
use crate::cli::relay::line::LineCard;
use crate::cli::relay::serve_write;
use crate::cli::sample::{Kind, Sample};
use crate::identity::{Eid, Imei};

/// Tools on the line that work at the same time.
const TOOLS: usize = 8;

/// How the platform learns which card is in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The order names it.
    Ordered,
    /// The business platform has supplied the binding.
    Supplied,
    /// The platform looks it up.
    LookedUp,
}

impl Known {
    fn of(index: usize) -> Self {
        [Self::Ordered, Self::Supplied, Self::LookedUp][index % 3]
    }
}

/// The places of the cards without preset.
pub(super) fn on_site(sample: &Sample) -> Vec<usize> {
    (0..)
        .zip(&sample.cards)
        .filter(|(_, card)| Kind::of(card) == Kind::NoPreset)
        .map(|(index, _)| index)
        .collect()
}

/// What the line recorded of the devices whose cards are looked up.
pub(super) fn records(sample: &Sample) -> Result<BTreeMap<Imei, Eid>> {
    let looked_up = on_site(sample).into_iter().filter(|index| Known::of(*index) == Known::LookedUp);
    looked_up.map(|index| Ok((imei_of(index)?, eid_of(sample, index)?))).collect()
}

/// Orders a write for each of these cards; gives their ids.
pub(super) async fn order(
    stage: &Stage,
    platform: &Platform,
    sample: &Sample,
    cards: &[usize],
) -> Result<BTreeMap<usize, String>> {
    let mut orders = Vec::new();
    for index in cards.iter().copied() {
        let order = Order::of(sample, index)?;
        let eid = eid_of(sample, index)?;
        orders.push(match Known::of(index) {
            Known::Ordered => order.naming(eid),
            Known::LookedUp => order,
            Known::Supplied => {
                let path = format!("/v1/devices/{}/binding", order.imei);
                stage.api.put(&path, &json!({ "card": { "eid": eid } })).await?;
                order
            }
        });
    }
    platform.order_all(stage, orders).await
}

/// Brings these writes to their cards, several at a time, until each has ended or `patience` is over.
pub(super) async fn serve(
    stage: &Stage,
    writes: &BTreeMap<usize, String>,
    patience: Duration,
) -> Result<JoinSet<()>> {
    let room = Arc::new(Semaphore::new(TOOLS));
    let mut tools = JoinSet::new();
    for (index, write) in writes.clone() {
        let (api, cards, imei, room) = (stage.api.clone(), stage.cards, imei_of(index)?, room.clone());
        tools.spawn(async move {
            let Ok(_place) = room.acquire_owned().await else { return };
            let served = async {
                let mut card = LineCard::connect(cards, imei).await?;
                serve_write(&api, &write, &mut card, patience, |_| ()).await
            };
            // The verdict shows what did not end.
            if let Err(error) = served.await {
                tracing::warn!(%write, %imei, error = format!("{error:#}"), "relay");
            }
        });
    }
    Ok(tools)
}

pub(super) fn eid_of(sample: &Sample, index: usize) -> Result<Eid> {
    sample.cards.get(index).and_then(|card| card.eid).context("each card of a sample has an EID")
}
