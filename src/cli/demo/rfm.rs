//! Cards without an applet: the business platform says which device each is in, scripts write their files, and where the card
//! asks for no REFRESH somebody switches the device off and on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;

use super::files::SMSC;
use super::platform::{Platform, imei_of};
use super::stage::Stage;
use crate::applet::Refresh;
use crate::card::plan::{Cost, Plan};
use crate::card::{Profile, Subscription, Timers};
use crate::cli::sample::{self, Kind, Sample};
use crate::identity::Imei;
use crate::ota::script::Format;
use crate::sim::{Interim, RefreshHabit, Rfm};

/// The names of profiles that only the demo has.
const TWO_PARTS: &str = "usim-rfm-two-parts";
const EXPANDED: &str = "usim-rfm-expanded";

/// How often somebody looks which devices have to be switched off and on: their users are in a hurry.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The waits of writes that end with a question, as such cards say nothing of their own. A question that a device takes with
/// it when it is switched off is asked again soon.
pub(super) fn timers(timers: Timers) -> Timers {
    Timers { result_polls_s: vec![3, 6, 9], after_delivered_s: 5, ..timers }
}

/// The ways of the card in this place: some reset the terminal, some tell it of the file, some leave it to the user; some
/// announce their responses, before or after them.
pub(super) fn habits(index: usize, rfm: &mut Rfm) {
    rfm.refresh = match index % 3 {
        0 => RefreshHabit::UiccReset,
        1 => RefreshHabit::FileChange,
        _ => RefreshHabit::None,
    };
    rfm.interim = match index % 10 {
        3 => Interim::Before,
        7 => Interim::After,
        _ => Interim::None,
    };
}

/// The shipped profiles, and those of cards that join fewer parts, or want expanded scripts, by which they are also asked to
/// reset the terminal.
pub(super) fn profiles() -> Result<BTreeMap<String, Profile>> {
    let mut profiles = sample::profiles()?;
    let shipped = profiles.get("usim-rfm").context("a profile that is shipped")?;
    let (mut two_parts, mut expanded) = (shipped.clone(), shipped.clone());
    TWO_PARTS.clone_into(&mut two_parts.name);
    two_parts.mt.max_parts = 2;
    EXPANDED.clone_into(&mut expanded.name);
    expanded.write.format = Format::Expanded;
    expanded.write.refresh = Some(Refresh::UiccReset);
    profiles.extend([two_parts, expanded].map(|profile| (profile.name.clone(), profile)));
    Ok(profiles)
}

/// Gives some of these cards such a profile.
pub(super) fn vary(sample: &mut Sample) {
    for (index, card) in sample.cards.iter_mut().enumerate().filter(|(_, card)| Kind::of(card) == Kind::Rfm) {
        match index % 5 {
            2 => TWO_PARTS.clone_into(&mut card.profile),
            4 => EXPANDED.clone_into(&mut card.profile),
            _ => {}
        }
    }
}

/// What the writes of these cards are planned to send.
pub(super) fn announce(stage: &Stage, sample: &Sample) -> Result<()> {
    let mut plans = BTreeMap::new();
    for index in places(sample) {
        let place = sample.cards.get(index).zip(sample.targets.get(index));
        let (card, target) = place.context("a place of the sample")?;
        let (name, profile) =
            stage.profiles.get_key_value(&card.profile).context("each card has a profile")?;
        let smsc = Some(SMSC.parse()?);
        let target = Subscription { imsi: target.imsi, msisdn: target.msisdn, iccid: None, smsc };
        let cost = Plan::of(profile, &target)?.cost(profile, 1.0);
        plans.entry(name).or_insert((cost, 0)).1 += 1;
    }
    for (name, (Cost { scripts, octets, parts, responses, .. }, cards)) in plans {
        eprintln!(
            "  {cards:>3} cards {name:<20} a write: {octets} octets, scripts {scripts}, short messages {parts} and \
             {responses} in answer"
        );
    }
    Ok(())
}

/// The places of these cards.
fn places(sample: &Sample) -> Vec<usize> {
    let cards = (0..).zip(&sample.cards);
    cards.filter(|(_, card)| Kind::of(card) == Kind::Rfm).map(|(index, _)| index).collect()
}

/// Tells the gateway which of these cards is in which device: by EID where it has one, else by ICCID.
pub(super) async fn bind(stage: &Stage, sample: &Sample) -> Result<()> {
    for index in places(sample) {
        let card = sample.cards.get(index).context("a place of the sample")?;
        let named = match (card.eid, card.iccid) {
            (Some(eid), _) => json!({ "eid": eid }),
            (None, iccid) => json!({ "iccid": iccid }),
        };
        let path = format!("/v1/devices/{}/binding", imei_of(index)?);
        stage.api.put(&path, &json!({ "card": named })).await?;
    }
    Ok(())
}

/// Switches devices off and on whose cards were written and ask for no REFRESH, until the result is dropped.
pub(super) fn restart_written(stage: &Stage, platform: &Platform, sample: &Sample) -> Result<JoinSet<()>> {
    let asks_nothing = |index: &usize| {
        let mut rfm = Rfm::default();
        habits(*index, &mut rfm);
        rfm.refresh == RefreshHabit::None
    };
    let mut waiting: BTreeMap<Imei, usize> = places(sample)
        .into_iter()
        .filter(asks_nothing)
        .map(|index| Ok((imei_of(index)?, index)))
        .collect::<Result<_>>()?;
    let (sim, platform) = (stage.sim.clone(), platform.clone());
    let mut user = JoinSet::new();
    user.spawn(async move {
        while !waiting.is_empty() {
            let written: BTreeSet<Imei> = platform.notes(|notes| notes.written.clone());
            let restarted: Vec<usize> = written.iter().filter_map(|imei| waiting.remove(imei)).collect();
            if sim.power_on(restarted).await.is_err() {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    Ok(user)
}
