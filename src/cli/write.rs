//! `airwrite write`: a client of the HTTP API that places one order and, if asked, follows it to its end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Outcome, print_json};
use crate::identity::{Iccid, Imei, Imsi, Msisdn};
use crate::world::{Rng, SystemRng};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is tried that found nobody, or a gateway that is busy.
const ATTEMPTS: u32 = 6;

/// The first wait between two attempts; doubles.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// First and longest wait between two looks at the write.
const LOOK_FIRST: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The ends of a write.
const ENDS: [&str; 6] = ["effective", "failed", "rolled_back", "cancelled", "expired", "unresolved"];

/// What `write` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the HTTP API is
    #[arg(long, value_name = "URL", env = "AIRWRITE_URL", default_value = "http://127.0.0.1:8080")]
    api: String,
    /// An API key (`airwrite keys create`)
    #[arg(long, value_name = "TOKEN", env = "AIRWRITE_KEY", hide_env_values = true)]
    key: SecretString,
    /// The device whose card is to be opened
    #[arg(long)]
    imei: Imei,
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
    let api = Api::new(&arguments.api, &arguments.key)?;
    let mut write = api.order(&arguments).await?;
    let id = text(&write, "id")?.to_owned();
    if !arguments.json {
        println!("{id} {}", text(&write, "state")?);
    }
    if arguments.wait {
        write = api.follow(&id, write, arguments.json).await?;
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

/// The gateway's HTTP API.
struct Api {
    client: Client,
    writes: String,
    authorization: HeaderValue,
}

impl Api {
    fn new(url: &str, key: &SecretString) -> Result<Self> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
            .map_err(|_| anyhow!("--key: expected a token as `airwrite keys create` prints it"))?;
        authorization.set_sensitive(true);
        let client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("HTTP client")?;
        Ok(Self { client, writes: format!("{}/v1/writes", url.trim_end_matches('/')), authorization })
    }

    /// Places the order. However often it is sent, it is one: all attempts carry the same idempotency key.
    async fn order(&self, arguments: &Arguments) -> Result<Value> {
        let mut subscription = json!({ "imsi": arguments.imsi, "msisdn": arguments.msisdn });
        let optional = [
            ("iccid", arguments.iccid.map(|v| v.to_string())),
            ("smsc", arguments.smsc.map(|v| v.to_string())),
        ];
        for (field, value) in optional {
            if let Some(value) = value {
                subscription[field] = value.into();
            }
        }
        let body = json!({ "device": { "imei": arguments.imei }, "subscription": subscription });
        let mut once = [0; 16];
        SystemRng.fill(&mut once);
        let once = hex::encode(once);
        self.answer(|| self.client.post(&self.writes).header("Idempotency-Key", &once).json(&body)).await
    }

    /// Looks at the write until it has ended. Every change of state is printed, unless `quiet`.
    async fn follow(&self, id: &str, mut write: Value, quiet: bool) -> Result<Value> {
        let url = format!("{}/{id}", self.writes);
        let mut wait = LOOK_FIRST;
        let mut state = text(&write, "state")?.to_owned();
        while !ENDS.contains(&state.as_str()) {
            tokio::time::sleep(wait).await;
            wait = (wait * 3 / 2).min(LOOK_MAX);
            write = self.answer(|| self.client.get(&url)).await?;
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

    /// The body of the answer to a request that may be sent several times.
    async fn answer(&self, request: impl Fn() -> RequestBuilder) -> Result<Value> {
        let mut wait = RETRY_FIRST;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = request().header(AUTHORIZATION, self.authorization.clone()).send().await;
            let last = attempt == ATTEMPTS;
            match sent {
                Ok(response) if response.status().is_success() => {
                    return response.json().await.context("the answer is no JSON: is --api an Airwrite API?");
                }
                Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE || last => {
                    bail!(refusal(response.status(), &response.json().await.unwrap_or_default()));
                }
                Err(error) if last || error.is_builder() => {
                    let hint = format!("{}: is `airwrite serve` running there?", self.writes);
                    return Err(anyhow::Error::new(error).context(hint));
                }
                _ => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}

/// What a problem document (RFC 9457) says, in a line.
fn refusal(status: StatusCode, problem: &Value) -> String {
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut line = part("title").map_or_else(|| status.to_string(), str::to_owned);
    if let Some(field) = part("field") {
        line = format!("{line} ({field})");
    }
    for name in ["detail", "expected"] {
        if let Some(text) = part(name) {
            line = format!("{line}: {text}");
        }
    }
    line
}

fn text<'a>(write: &'a Value, field: &str) -> Result<&'a str> {
    write.get(field).and_then(Value::as_str).with_context(|| format!("the answer has no {field}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line() {
        let problem =
            json!({ "title": "A field is not valid", "detail": "Read the field.", "field": "device.imei" });
        let line = refusal(StatusCode::BAD_REQUEST, &problem);
        assert_eq!(line, "A field is not valid (device.imei): Read the field.");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, &Value::Null), "502 Bad Gateway");
    }
}
