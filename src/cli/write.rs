//! `airwrite write`: a client of the HTTP API that places one order and, if asked, follows it to its end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::{Api, ApiArguments, is_end, text};
use super::{Outcome, print_json};
use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};
use crate::world::{Rng, SystemRng};

/// First and longest wait between two looks at the write.
const LOOK_FIRST: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(2);

/// What `write` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// The device whose card is to be opened
    #[arg(long)]
    imei: Imei,
    /// The card in the device, where no card has reported it: an order that is served on site
    #[arg(long)]
    eid: Option<Eid>,
    /// The subscription's IMSI
    #[arg(long)]
    imsi: Imsi,
    /// The subscription's number
    #[arg(long)]
    msisdn: Msisdn,
    /// The subscription's own card number
    #[arg(long)]
    iccid: Option<Iccid>,
    /// The service centre address to write
    #[arg(long)]
    smsc: Option<Msisdn>,
    /// Follow the write to its end; ends with 0 only where it is effective
    #[arg(long)]
    wait: bool,
    /// Print the write as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let api = arguments.api.client()?;
    let mut write = order(&api, &arguments).await?;
    let id = text(&write, "id")?.to_owned();
    if !arguments.json {
        println!("{id} {}", text(&write, "state")?);
    }
    if arguments.wait {
        write = follow(&api, &id, write, arguments.json).await?;
    }
    if arguments.json {
        print_json(&write)?;
    }
    let state = text(&write, "state")?;
    if !arguments.wait || state == "effective" {
        return Ok(ExitCode::SUCCESS);
    }
    if let Ok(reason) = text(&write, "reason") {
        eprintln!("{id} is {state}: {reason}");
    }
    Ok(ExitCode::FAILURE)
}

/// Places the order. However often it is sent, it is one: all attempts carry the same idempotency key.
async fn order(api: &Api, arguments: &Arguments) -> Result<Value> {
    let mut subscription = json!({ "imsi": arguments.imsi, "msisdn": arguments.msisdn });
    let optional =
        [("iccid", arguments.iccid.map(|v| v.to_string())), ("smsc", arguments.smsc.map(|v| v.to_string()))];
    for (field, value) in optional {
        if let Some(value) = value {
            subscription[field] = value.into();
        }
    }
    let mut body = json!({ "device": { "imei": arguments.imei }, "subscription": subscription });
    if let Some(eid) = &arguments.eid {
        body["card"] = json!({ "eid": eid });
    }
    let mut once = [0; 16];
    SystemRng.fill(&mut once);
    Ok(api.post_once("/v1/writes", &hex::encode(once), &body).await?)
}

/// Looks at the write until it has ended. Every change of state is printed, unless `quiet`.
async fn follow(api: &Api, id: &str, mut write: Value, quiet: bool) -> Result<Value> {
    let path = format!("/v1/writes/{id}");
    let mut wait = LOOK_FIRST;
    let mut state = text(&write, "state")?.to_owned();
    while !is_end(&state) {
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(LOOK_MAX);
        write = api.get(&path).await?;
        let now = text(&write, "state")?;
        if now != state {
            if !quiet {
                println!("{id} {now}");
            }
            now.clone_into(&mut state);
            wait = LOOK_FIRST;
        }
    }
    Ok(write)
}
