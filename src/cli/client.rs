//! A client of the HTTP API, as the commands `write` and `relay` use it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is tried that found nobody, or a gateway that is busy.
const ATTEMPTS: u32 = 6;

/// The first wait between two attempts; doubles.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// The ends of a write.
const ENDS: [&str; 6] = ["effective", "failed", "rolled_back", "cancelled", "expired", "unresolved"];

/// Where the API is, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct ApiArguments {
    /// Where the HTTP API is
    #[arg(long, value_name = "URL", env = "AIRWRITE_URL", default_value = "http://127.0.0.1:8080")]
    api: String,
    /// An API key (`airwrite keys create`)
    #[arg(long, value_name = "TOKEN", env = "AIRWRITE_KEY", hide_env_values = true)]
    key: SecretString,
}

impl ApiArguments {
    /// The client for it.
    pub(super) fn client(&self) -> Result<Api> {
        Api::new(&self.api, &self.key)
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The gateway said no.
    #[error("{}", self.line())]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The problem document (RFC 9457); null where there was none.
        problem: Value,
    },
    /// Nobody answered, again and again.
    #[error("{url}: is `airwrite serve` running there?")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Something answered that is no Airwrite API.
    #[error("the answer is no JSON: is --api an Airwrite API?")]
    NoJson(#[source] reqwest::Error),
}

impl CallError {
    /// Whether the gateway refused with this kind of problem: the last part of its `type`.
    pub(super) fn is_problem(&self, kind: &str) -> bool {
        let Self::Refused { problem, .. } = self else { return false };
        let described = problem.get("type").and_then(Value::as_str).unwrap_or_default();
        described.rsplit(['/', ':', '#']).next() == Some(kind)
    }

    /// What a problem document says, in a line.
    fn line(&self) -> String {
        let Self::Refused { status, problem } = self else { return String::new() };
        let part = |name: &str| problem.get(name).and_then(Value::as_str);
        let mut line = part("title").map_or_else(|| status.to_string(), str::to_owned);
        let detail = part("detail").unwrap_or_default().trim_end_matches('.');
        // Mostly the detail says both.
        let more = |name| part(name).filter(|text| !detail.contains(text));
        if let Some(field) = more("field") {
            line = format!("{line} ({field})");
        }
        if !detail.is_empty() {
            line = format!("{line}: {detail}");
        }
        if let Some(expected) = more("expected") {
            line = format!("{line}; expected {expected}");
        }
        line
    }
}

/// The gateway's HTTP API. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    base: String,
    authorization: HeaderValue,
}

impl Api {
    /// The API at this URL, without a path, for the holder of this key.
    pub(super) fn new(url: &str, key: &SecretString) -> Result<Self> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
            .map_err(|_| anyhow!("--key: expected a token as `airwrite keys create` prints it"))?;
        authorization.set_sensitive(true);
        let client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("HTTP client")?;
        Ok(Self { client, base: url.trim_end_matches('/').to_owned(), authorization })
    }

    /// What is at this path, with its query.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.answer(path, |url| self.client.get(url)).await
    }

    /// Posts a document. It may arrive several times: the route must not mind.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.answer(path, |url| self.client.post(url).json(body)).await
    }

    /// Puts a document.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.answer(path, |url| self.client.put(url).json(body)).await
    }

    /// Posts a document that counts once, however often it arrives.
    pub(super) async fn post_once(&self, path: &str, once: &str, body: &Value) -> Result<Value, CallError> {
        self.answer(path, |url| self.client.post(url).header("Idempotency-Key", once).json(body)).await
    }

    /// The body of the answer to a request that may be sent several times.
    async fn answer(&self, path: &str, request: impl Fn(&str) -> RequestBuilder) -> Result<Value, CallError> {
        let url = format!("{}{path}", self.base);
        let mut wait = RETRY_FIRST;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = request(&url).header(AUTHORIZATION, self.authorization.clone()).send().await;
            let last = attempt == ATTEMPTS;
            match sent {
                Ok(response) if response.status().is_success() => {
                    return response.json().await.map_err(CallError::NoJson);
                }
                Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE || last => {
                    let status = response.status();
                    let problem = response.json().await.unwrap_or_default();
                    return Err(CallError::Refused { status, problem });
                }
                Err(source) if last || source.is_builder() => {
                    return Err(CallError::Unreachable { url, source });
                }
                _ => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}

/// A member of an answer that is text.
pub(super) fn text<'a>(answer: &'a Value, member: &str) -> Result<&'a str> {
    answer.get(member).and_then(Value::as_str).with_context(|| format!("the answer has no {member}"))
}

/// Whether a write in this state is over.
pub(super) fn is_end(state: &str) -> bool {
    ENDS.contains(&state)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_one_line() {
        let problem = json!({
            "type": "urn:airwrite:problem:invalid-field", "title": "A field is not valid", "detail": "Read the field.",
            "field": "device.imei",
        });
        let refused = CallError::Refused { status: StatusCode::BAD_REQUEST, problem };
        assert_eq!(refused.to_string(), "A field is not valid (device.imei): Read the field");
        assert!(refused.is_problem("invalid-field") && !refused.is_problem("field"));
        let problem = json!({
            "title": "The API key lacks a scope", "detail": "It lacks the scope admin.", "field": "Authorization",
            "expected": "a key with the scope admin",
        });
        let refused = CallError::Refused { status: StatusCode::FORBIDDEN, problem };
        let line = "The API key lacks a scope (Authorization): It lacks the scope admin; expected a key with the scope admin";
        assert_eq!(refused.to_string(), line);
        let problem = json!({
            "title": "A field is not valid", "detail": "device.imei: IMEI: expected 15 digits.", "field": "device.imei",
            "expected": "15 digits",
        });
        let refused = CallError::Refused { status: StatusCode::BAD_REQUEST, problem };
        assert_eq!(refused.to_string(), "A field is not valid: device.imei: IMEI: expected 15 digits");
        let bare = CallError::Refused { status: StatusCode::BAD_GATEWAY, problem: Value::Null };
        assert_eq!(bare.to_string(), "502 Bad Gateway");
    }

    #[test]
    fn ends_are_those_of_the_card_room() {
        use crate::card::WriteState;
        for (state, name) in WriteState::NAMES {
            assert_eq!(is_end(name), state.is_end(), "{name}");
        }
    }
}
