//! One write on site, from its export to its end.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::card::{Answer, Brought, CardPort, Export, Part, bring};
use crate::cli::client::{Api, CallError, is_end, text};

/// First and longest wait between two looks at a write for which there is nothing to bring.
const LOOK_FIRST: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(3);

/// The gateway takes so many R-APDUs at once: what came last matters.
const ANSWERS_MAX: usize = 64;

/// Serves a write until it has ended, and gives it as it is then. `tell` hears of every step, in a few words.
///
/// # Errors
/// Where the API or the card cannot be reached, and where nothing changed for `patience`.
pub(in crate::cli) async fn serve_write(
    api: &Api,
    id: &str,
    card: &mut impl CardPort,
    patience: Duration,
    tell: impl Fn(&str),
) -> Result<Value> {
    let mut known = String::new();
    let mut progress = Instant::now();
    let mut wait = LOOK_FIRST;
    // What was brought before had no effect that shows: the device reads its card anew first.
    let mut reset_first = false;
    loop {
        let mut write = api.get(&format!("/v1/writes/{id}")).await?;
        let mut brought = false;
        if !is_end(text(&write, "state")?)
            && let Some(export) = export(api, id).await?
        {
            if reset_first || text(&write, "state")? == "written" {
                card.reset().await.context("reset")?;
            }
            let Brought { answers, stopped } = bring(card, &export).await?;
            if let Some(stopped) = stopped {
                tell(&format!("{} parts, {stopped}", export.parts.len()));
            }
            if let Some(after) = post_back(api, id, export.attempt, answers).await? {
                write = after;
            }
            (brought, reset_first) = (true, true);
        }
        let state = text(&write, "state")?;
        if state != known {
            tell(state);
            state.clone_into(&mut known);
            (progress, wait) = (Instant::now(), LOOK_FIRST);
            // The next step of the write is brought to the card as soon as it has been reset.
            if brought && state == "written" {
                continue;
            }
        }
        if is_end(state) {
            return Ok(write);
        }
        if progress.elapsed() >= patience {
            bail!("{id} is {state} and has not changed for {} s; {}", patience.as_secs(), advice(&write));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(LOOK_MAX);
    }
}

/// What can be done about a write that does not go on.
fn advice(write: &Value) -> &'static str {
    match (write["state"].as_str(), write["hold"].is_string()) {
        (_, true) => "it waits for a decision: POST /v1/writes/{id}/decision",
        (Some("waiting"), _) => {
            "no card is known for its device: name the card in the order, or supply the binding"
        }
        (Some("queued"), _) => "another write of the card may be in its way, or it goes by SMS",
        _ => "is it the right card?",
    }
}

/// What is to be brought to the card now; `None` where there is nothing.
async fn export(api: &Api, id: &str) -> Result<Option<Export>> {
    match api.get(&format!("/v1/writes/{id}/export")).await {
        Ok(export) => read_export(&export).map(Some),
        Err(error) if error.is_problem("nothing-to-export") || error.is_problem("write-ended") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_export(export: &Value) -> Result<Export> {
    let octets = |text: &str| hex::decode(text).context("export: expected octets in hexadecimal digits");
    let parts = export["parts"].as_array().context("export: no parts")?;
    let part = |part: &Value| -> Result<Part> {
        Ok(Part {
            n: part["n"].as_u64().context("export: a part without n")?,
            apdu: octets(text(part, "apdu")?)?,
        })
    };
    Ok(Export {
        attempt: export["attempt"].as_u64().context("export: no attempt")?,
        parts: parts.iter().map(part).collect::<Result<_>>()?,
        get_response: octets(text(export, "on_61")?)?,
    })
}

/// Posts what the card answered; the write as it is then, where the gateway took it.
async fn post_back(api: &Api, id: &str, attempt: u64, mut answers: Vec<Answer>) -> Result<Option<Value>> {
    answers.drain(..answers.len().saturating_sub(ANSWERS_MAX));
    if answers.is_empty() {
        return Ok(None);
    }
    let responses: Vec<Value> = answers
        .iter()
        .map(|answer| json!({ "n": answer.n, "rapdu": hex::encode_upper(&answer.rapdu) }))
        .collect();
    let body = json!({ "attempt": attempt, "responses": responses });
    match api.post(&format!("/v1/writes/{id}/responses"), &body).await {
        Ok(write) => Ok(Some(write)),
        // The write has moved on, as by a message of the card itself.
        Err(error) if error.is_problem("other-attempt") || error.is_problem("write-ended") => Ok(None),
        Err(error @ CallError::Refused { .. }) => Err(error).context("responses"),
        Err(error) => Err(error.into()),
    }
}
