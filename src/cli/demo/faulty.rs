//! `airwrite demo --faults`: everything goes wrong that the plan of `config/sample/faults.toml` names, some orders are
//! withdrawn and some have hardly any time, and still gateway and cards agree in the end, one by one.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::agreement::Agreement;
use super::platform::{Order, Platform};
use super::production::{self, eid_of, on_site};
use super::stage::{Stage, Terms};
use super::{Arguments, Method, Progress, rfm};
use crate::api::Timestamp;
use crate::card::Timers;
use crate::cli::Outcome;
use crate::cli::client::is_end;
use crate::cli::sample::{Sample, device_imei, sample_of};
use crate::sim::{AppletTiming, FaultPlan, Latencies, OperatorConfig, SmscConfig};
use crate::world::{Clock, SystemClock};

/// What goes wrong.
const PLAN: &str = include_str!("../../../config/sample/faults.toml");

/// Cards where nobody chose a number; the other kinds stay as they are in the demo without faults.
const CARDS: u32 = 150;

/// The run has failed when it takes longer.
const LIMIT: Duration = Duration::from_secs(170);

/// When the faults end. What they have done by then has to be got over until writes are given up.
const FAULTS: Duration = Duration::from_secs(55);

/// Devices that are switched on late come after so long.
const LATE: Duration = Duration::from_secs(9);

/// Orders are withdrawn this long after they were placed.
const CANCEL: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// The deadline of orders that have hardly any time, in seconds.
const SHORT_DEADLINE_S: u64 = 6;

/// How long everything may take to come to rest when all writes have ended.
const SETTLE: Duration = Duration::from_secs(20);

/// Between two looks at the writes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The waits of a write where days have become seconds. By files it takes seven messages where an applet takes two, and the
/// link is slow with an SMSC that throttles it.
fn timers(method: Method) -> Timers {
    Timers {
        validity_s: vec![4, 6, 8, 10],
        after_delivered_s: 2,
        after_validity_s: 1,
        back_off_s: 1,
        no_memory_s: 2,
        result_polls_s: vec![5, 10, 15, 20],
        wake_s: 2,
        repeat_answer_s: 1,
        give_up_s: 65,
        deadline_s: match method {
            Method::Applet => 45,
            Method::Rfm => 75,
        },
    }
}

fn terms(seed: u64, method: Method) -> Result<Terms> {
    let latencies = Latencies {
        attach_ms: 300,
        attach_again_ms: 2_000,
        mt_ms: 100,
        mo_ms: 100,
        restart_ms: 400,
        status_ms: 1_500,
    };
    let smsc = SmscConfig {
        retry_ms: 500,
        retry_ms_max: 2_000,
        deliver_retry_ms: 300,
        deliver_retry_ms_max: 2_000,
        ..SmscConfig::default()
    };
    let operator =
        OperatorConfig { latencies, smsc, faults: FaultPlan::from_toml(PLAN)?, ..OperatorConfig::default() };
    let applet = AppletTiming {
        binding_repeat_status: 3,
        binding_repeats_max: 20,
        no_service_status_max: 5,
        result_repeat_status: 3,
        results_max: 20,
        refresh_retry_status: 1,
        send_retry_status: 1,
    };
    Ok(Terms { seed, operator, applet, timers: timers(method), capture: None })
}

/// What the business platform does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has time.
    Served,
    /// It is withdrawn, early or late.
    Cancelled(usize),
    /// It has hardly any time, and the device may be switched on too late.
    Short { late: bool },
    /// On site: it is for another device than the card is in.
    WrongDevice,
}

impl Fate {
    fn of(index: usize, on_site: bool) -> Self {
        match (on_site, index % 12) {
            (true, 5 | 11) => Self::WrongDevice,
            (true, _) => Self::Served,
            (false, 3) => Self::Cancelled(0),
            (false, 5) => Self::Cancelled(1),
            (false, 7) => Self::Short { late: false },
            (false, 9) => Self::Short { late: true },
            (false, _) => Self::Served,
        }
    }
}

pub(super) async fn run(arguments: &Arguments) -> Outcome {
    let began = Instant::now();
    let kinds = arguments.kinds(CARDS);
    let mut sample = sample_of(kinds, arguments.seed)?;
    rfm::vary(&mut sample);
    let platform = Platform::start(BTreeMap::new()).await?;
    let terms = Terms { capture: arguments.capture.clone(), ..terms(arguments.seed, arguments.method)? };
    let stage = Stage::start(&sample, terms, &platform).await?;
    if !arguments.json {
        announce(&stage, kinds.total(), timers(arguments.method));
        rfm::announce(&stage, &sample)?;
    }
    let progress = Progress::new(kinds.total(), ["ended", "effective"], arguments.json);

    let placed = place(&stage, &platform, &sample).await?;
    let ended = {
        let acts = act(&stage, &platform, &sample, &placed, began);
        let watched = watch(&stage, placed.len(), began, &progress);
        tokio::pin!(acts);
        tokio::pin!(watched);
        let mut acting = true;
        loop {
            tokio::select! {
                biased;
                done = &mut acts, if acting => { done?; acting = false; }
                ended = &mut watched => break ended?,
            }
        }
    };
    progress.finish();

    let agreement = settle(&stage, &platform, &sample, &placed, began, ended).await?;
    if arguments.json {
        crate::cli::print_json(&agreement)?;
    } else {
        print!("{agreement}");
    }
    if arguments.keep {
        stage.describe(&sample);
        tokio::signal::ctrl_c().await?;
    }
    stage.stop().await;
    Ok(if agreement.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn announce(stage: &Stage, cards: u32, timers: Timers) {
    let Timers {
        validity_s,
        after_delivered_s,
        after_validity_s,
        back_off_s,
        no_memory_s,
        result_polls_s,
        wake_s,
        repeat_answer_s,
        give_up_s,
        deadline_s,
    } = timers;
    eprintln!("SMSC on {}, HTTP API on {}, {cards} cards imported", stage.smsc, stage.address);
    eprintln!(
        "Faults of config/sample/faults.toml for {} s. Timers, shortened to seconds:",
        FAULTS.as_secs()
    );
    eprintln!(
        "  validity {validity_s:?}, after a receipt {after_delivered_s}, after validity {after_validity_s}"
    );
    eprintln!("  back-off {back_off_s}, no memory {no_memory_s}, result polls {result_polls_s:?}");
    eprintln!("  wake {wake_s}, repeated answers {repeat_answer_s}");
    eprintln!("  deadline {deadline_s} (some orders {SHORT_DEADLINE_S}), give-up {give_up_s} after it");
}

/// Places all orders, before any device is switched on; gives the ids of the writes.
async fn place(stage: &Stage, platform: &Platform, sample: &Sample) -> Result<BTreeMap<usize, String>> {
    let without_preset = on_site(sample);
    let short = Timestamp::from_unix_ms(SystemClock.now_ms() + SHORT_DEADLINE_S * 1000);
    let mut orders = Vec::new();
    for index in 0..sample.cards.len() {
        let on_site = without_preset.contains(&index);
        let mut order = Order::of(sample, index)?;
        if on_site {
            order = order.naming(eid_of(sample, index)?);
        }
        match Fate::of(index, on_site) {
            Fate::WrongDevice => order = order.in_device(wrong_device(index)?),
            Fate::Short { .. } => order.body["deadline"] = json!(short),
            Fate::Served | Fate::Cancelled(_) => {}
        }
        orders.push(order);
    }
    platform.order_all(stage, orders).await
}

/// A device that no card of the sample is in.
fn wrong_device(index: usize) -> Result<crate::identity::Imei> {
    device_imei(900_000 + u32::try_from(index)?)
}

/// Switches devices on, serves what is on site, withdraws orders, and ends the faults in time.
async fn act(
    stage: &Stage,
    platform: &Platform,
    sample: &Sample,
    placed: &BTreeMap<usize, String>,
    began: Instant,
) -> Result<()> {
    let without_preset = on_site(sample);
    let over_the_air: Vec<usize> =
        (0..sample.cards.len()).filter(|index| !without_preset.contains(index)).collect();
    let fated =
        |fate: Fate| over_the_air.iter().copied().filter(move |index| Fate::of(*index, false) == fate);
    let on_site: BTreeMap<usize, String> = placed
        .iter()
        .filter(|(index, _)| without_preset.contains(index))
        .map(|(index, write)| (*index, write.clone()))
        .collect();
    // Dropped, and thereby ended, when all writes have ended.
    let _tools = production::serve(stage, &on_site, LIMIT).await?;
    let _user = rfm::restart_written(stage, platform, sample)?;
    rfm::bind(stage, sample).await?;

    tokio::time::sleep_until(began + CANCEL[0]).await;
    cancel(stage, placed, fated(Fate::Cancelled(0))).await;
    let late = Fate::Short { late: true };
    let in_time: Vec<usize> =
        over_the_air.iter().copied().filter(|index| Fate::of(*index, false) != late).collect();
    stage.power_on(&in_time).await?;
    tokio::time::sleep_until(began + CANCEL[1]).await;
    cancel(stage, placed, fated(Fate::Cancelled(1))).await;
    tokio::time::sleep_until(began + LATE).await;
    stage.power_on(&fated(late).collect::<Vec<_>>()).await?;
    tokio::time::sleep_until(began + FAULTS).await;
    stage.sim.heal().await?;
    // The tools work until somebody drops this.
    std::future::pending().await
}

/// Withdraws these orders. What the card has written already stays, and says so.
async fn cancel(stage: &Stage, placed: &BTreeMap<usize, String>, orders: impl Iterator<Item = usize>) {
    for write in orders.filter_map(|index| placed.get(&index)) {
        if let Err(error) = stage.api.post(&format!("/v1/writes/{write}/cancel"), &json!({})).await {
            tracing::info!(%write, %error, "too late to withdraw");
        }
    }
}

/// Waits until all writes have ended; `false` where that took too long.
async fn watch(stage: &Stage, orders: usize, began: Instant, progress: &Progress) -> Result<bool> {
    for round in 0_u32.. {
        let writes = stage.all_writes().await?;
        let state = |write: &Value| write["state"].as_str().unwrap_or_default().to_owned();
        let ended = writes.iter().filter(|write| is_end(&state(write))).count();
        progress.show(ended, writes.iter().filter(|write| state(write) == "effective").count());
        if ended == orders {
            return Ok(true);
        }
        if began.elapsed() >= LIMIT - SETTLE {
            return Ok(false);
        }
        if round % 5 == 4 {
            progress.line();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(false)
}

/// Compares when everything has come to rest: the last results may be on their way, and devices without power.
async fn settle(
    stage: &Stage,
    platform: &Platform,
    sample: &Sample,
    placed: &BTreeMap<usize, String>,
    began: Instant,
    ended: bool,
) -> Result<Agreement> {
    stage.sim.heal().await?;
    let until = Instant::now() + SETTLE;
    loop {
        let agreement = Agreement::reach(stage, platform, sample, placed, began.elapsed(), ended).await?;
        if agreement.good() || Instant::now() >= until {
            return Ok(agreement);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_whole_and_every_fate_occurs() {
        let plan = FaultPlan::from_toml(PLAN).unwrap();
        assert!(plan.card.silent.hundredths() > 0 && plan.card.barred.hundredths() > 0);
        let fates: Vec<Fate> = (0..12).map(|index| Fate::of(index, false)).collect();
        for fate in [Fate::Cancelled(0), Fate::Cancelled(1), Fate::Short { late: true }, Fate::Served] {
            assert!(fates.contains(&fate), "{fate:?}");
        }
        assert_eq!(Fate::of(5, true), Fate::WrongDevice);
        for timers in [Method::Applet, Method::Rfm].map(timers) {
            let longest = Duration::from_secs(timers.deadline_s + timers.give_up_s);
            assert!(longest + SETTLE < LIMIT, "silent cards are given up in time");
        }
    }
}
