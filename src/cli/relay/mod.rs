//! `airwrite relay`: the tool on the production line. It fetches what a write on site has for its card, brings it there in
//! APDUs, and posts back what the card answered, until the write has ended.
//!
//! | module | |
//! |---|---|
//! | `card` | a card in APDUs, and how the parts of a packet are brought to it |
//! | `line` | simulated cards: a line protocol on TCP, both ends |
//! | `modem` | a real card: `AT+CSIM` on a serial port |
//! | `serve` | one write from its export to its end |
//!
//! It needs no trust: packets and answers are secured between gateway and card.

mod card;
pub(super) mod line;
mod modem;
mod serve;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Api, ApiArguments, text};
use super::{Outcome, print_json};
use crate::card::{WriteId, WriteState};
use crate::identity::Imei;
use line::LineCard;
use modem::Modem;

pub(super) use serve::serve_write;

/// Simulated devices that are served at the same time.
const DEVICES_AT_ONCE: usize = 16;

/// Entries of one page of a list.
const PAGE: usize = 100;

/// What `relay` is told.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("cards").required(true).args(["sim", "serial"])))]
#[command(group(clap::ArgGroup::new("writes").required(true).args(["write", "all"])))]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// The write to serve
    write: Option<WriteId>,
    /// Serve every open write that goes on site; with --serial those of the modem's device
    #[arg(long)]
    all: bool,
    /// Simulated cards: where `airwrite smsc --relay` listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    sim: Option<SocketAddr>,
    /// A real card: the serial port of a modem that knows AT+CSIM
    #[arg(long, value_name = "PORT")]
    serial: Option<PathBuf>,
    /// Speed of the serial port
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    /// Give a write up after so many seconds without a change
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    /// Print the writes as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let api = arguments.api.client()?;
    let writes = match &arguments.write {
        Some(id) => vec![api.get(&format!("/v1/writes/{id}")).await?],
        None => open_on_site(&api).await?,
    };
    let writes = writes.iter().map(Job::of).collect::<Result<Vec<_>>>()?;
    let terms = Terms { patience: Duration::from_secs(arguments.patience), quiet: arguments.json };
    let served = match (&arguments.serial, arguments.sim) {
        (Some(port), _) => {
            let mut modem = Modem::open(port, arguments.baud).await?;
            let own = if arguments.all { Some(modem.imei().await?) } else { None };
            let jobs = writes.into_iter().filter(|job| own.is_none_or(|imei| imei.key() == job.imei.key()));
            serve_device(&api, &mut modem, jobs.collect(), terms).await
        }
        (None, Some(cards)) => serve_simulated(&api, cards, writes, terms).await,
        (None, None) => Vec::new(),
    };
    report(&served, arguments.json)
}

/// A write to be served.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    imei: Imei,
}

impl Job {
    fn of(write: &Value) -> Result<Self> {
        let imei = text(&write["device"], "imei")?.parse().context("the answer's device.imei")?;
        Ok(Self { id: text(write, "id")?.to_owned(), imei })
    }
}

/// What holds for every write.
#[derive(Debug, Clone, Copy)]
struct Terms {
    patience: Duration,
    quiet: bool,
}

/// What became of a write.
struct Served {
    job: Job,
    end: Result<Value>,
}

/// Every open write that goes on site, the oldest first.
async fn open_on_site(api: &Api) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let states =
        WriteState::NAMES.iter().filter(|(state, _)| !state.is_end() && *state != WriteState::Waiting);
    for (_, state) in states {
        let mut cursor = String::new();
        loop {
            let mut page = api.get(&format!("/v1/writes?state={state}&limit={PAGE}{cursor}")).await?;
            let items = page["items"].as_array_mut().context("the answer has no items")?;
            found.extend(items.drain(..).filter(|write| write["bearer"] == "relay"));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    // A write that moved on while the lists were read is in two of them. Ids begin with the time of the order.
    found.sort_by_cached_key(|write| write["id"].as_str().map(str::to_owned));
    found.dedup_by_key(|write| write["id"].clone());
    Ok(found)
}

/// Each device on a connection of its own, its writes one after the other.
async fn serve_simulated(api: &Api, cards: SocketAddr, jobs: Vec<Job>, terms: Terms) -> Vec<Served> {
    let mut devices: BTreeMap<Imei, Vec<Job>> = BTreeMap::new();
    for job in jobs {
        devices.entry(job.imei).or_default().push(job);
    }
    let mut served = Vec::new();
    let mut working = JoinSet::new();
    for (imei, jobs) in devices {
        if working.len() >= DEVICES_AT_ONCE
            && let Some(done) = working.join_next().await
        {
            served.extend(done.unwrap_or_default());
        }
        let api = api.clone();
        working.spawn(async move {
            match LineCard::connect(cards, imei).await {
                Ok(mut card) => serve_device(&api, &mut card, jobs, terms).await,
                Err(error) => {
                    let end = |job| Served { job, end: Err(anyhow!("{error:#}")) };
                    jobs.into_iter().map(end).collect()
                }
            }
        });
    }
    while let Some(done) = working.join_next().await {
        served.extend(done.unwrap_or_default());
    }
    served.sort_by(|a, b| a.job.id.cmp(&b.job.id));
    served
}

/// The writes of one device, one after the other.
async fn serve_device(
    api: &Api,
    card: &mut impl card::CardPort,
    jobs: Vec<Job>,
    terms: Terms,
) -> Vec<Served> {
    let mut served = Vec::new();
    for job in jobs {
        let tell = |step: &str| {
            if !terms.quiet {
                eprintln!("{} {} {step}", job.id, job.imei);
            }
        };
        let end = serve_write(api, &job.id, card, terms.patience, tell).await;
        served.push(Served { job, end });
    }
    served
}

/// Says what became of the writes. Only effective is success.
fn report(served: &[Served], json: bool) -> Outcome {
    let mut all_effective = true;
    let mut shown = Vec::new();
    for Served { job, end } in served {
        let (state, why) = match end {
            Ok(write) => {
                (write["state"].as_str().unwrap_or_default(), write["reason"].as_str().map(str::to_owned))
            }
            Err(error) => ("not served", Some(format!("{error:#}"))),
        };
        all_effective &= state == "effective";
        if json {
            shown.push(json!({ "write": job.id, "imei": job.imei, "state": state, "reason": why }));
        } else {
            println!("{} {} {state}", job.id, job.imei);
            if let Some(why) = why {
                eprintln!("{} is {state}: {why}", job.id);
            }
        }
    }
    if json {
        print_json(&shown)?;
    } else if served.is_empty() {
        println!("no open write goes on site");
    }
    Ok(if all_effective { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
