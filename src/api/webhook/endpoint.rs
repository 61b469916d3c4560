//! An endpoint: where the events of one owner go, and how one event is sent there.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::card::Owner;
use crate::store::KeyText;

use super::WebhookConfig;
use super::event::Event;
use super::signature::SigningKey;
use super::target::{PublicOnly, is_public};

/// Most octets of an answer that are read; what it says does not matter.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;

/// An endpoint that webhooks are sent to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Its name, 1 to 64 octets; events on their way are stored under it, so a new name is a new endpoint.
    pub name: String,
    /// Whose events it gets.
    #[serde(deserialize_with = "owner")]
    pub owner: Owner,
    /// `https://…` or `http://…`, without user and password.
    pub url: String,
    /// The signing key: `whsec_` and the base64 of 24 to 64 random octets.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// The URL may hold what only the endpoint may know: of it and the secret nothing is shown.
impl std::fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, owner, url: _, secret: _, allow_private } = self;
        f.debug_struct("EndpointConfig")
            .field("name", name)
            .field("owner", owner)
            .field("allow_private", allow_private)
            .finish_non_exhaustive()
    }
}

impl EndpointConfig {
    /// Whether it can be sent to.
    pub(in crate::api) fn check(&self, config: &WebhookConfig) -> Result<(), EndpointError> {
        Endpoint::new(self, config.timeout()).map(|_| ())
    }
}

fn owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// What is wrong with an endpoint's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {name:?}: {field}: expected {expected}")]
pub struct EndpointError {
    /// The endpoint's name.
    pub name: String,
    /// The field.
    pub field: &'static str,
    /// What it may be.
    pub expected: &'static str,
}

/// An endpoint ready to be sent to.
#[derive(Debug)]
pub(in crate::api) struct Endpoint {
    pub(in crate::api) name: KeyText,
    pub(in crate::api) owner: Owner,
    pub(in crate::api) url: Url,
    key: SigningKey,
    client: Client,
}

impl Endpoint {
    /// Checks a configuration. `timeout` is for a whole attempt.
    pub(super) fn new(config: &EndpointConfig, timeout: Duration) -> Result<Self, EndpointError> {
        let wrong = |field, expected| EndpointError { name: config.name.clone(), field, expected };
        let name = KeyText::new(&config.name)
            .ok()
            .filter(|name| name.as_str().len() <= 64 && !name.as_str().starts_with('@'))
            .ok_or_else(|| wrong("name", "1 to 64 octets, the first no @"))?;
        let url = public_url(&config.url, config.allow_private).map_err(|expected| wrong("url", expected))?;
        let key = SigningKey::parse(config.secret.expose_secret())
            .ok_or_else(|| wrong("secret", "whsec_ and the base64 of 24 to 64 octets"))?;
        let client = client(timeout, config.allow_private)
            .map_err(|_| wrong("url", "a URL that TLS can be set up for"))?;
        Ok(Self { name, owner: config.owner.clone(), url, key, client })
    }

    /// Sends one event; `now_ms` is the time of the attempt. `Ok` where the endpoint answered 2xx.
    pub(in crate::api) async fn send(&self, event: &Event<'_>, now_ms: u64) -> Result<(), SendError> {
        let id = event.id();
        let body = serde_json::to_vec(event).map_err(|error| SendError(error.to_string()))?;
        let timestamp = now_ms / 1000;
        let signature = self.key.sign(id, timestamp, &body);
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature);
        let mut response = request.body(body).send().await.map_err(SendError::of)?;
        let status = response.status();
        if !status.is_success() {
            return Err(SendError(format!("answered {status}")));
        }
        // Read to its end, so that the connection can be used again. Whatever comes, the event has arrived.
        let mut octets = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            octets += chunk.len();
            if octets > ANSWER_OCTETS_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// A URL that requests may go to; where it is none, what was expected.
pub(in crate::api) fn public_url(text: &str, allow_private: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or("an http or https URL without user and password")?;
    if !allow_private && literal(&url).is_some_and(|address| !is_public(address)) {
        return Err("a public address, or that private ones are allowed by the configuration");
    }
    Ok(url)
}

/// What makes the requests; `timeout` is for a whole one. Names are resolved to public addresses only, unless private ones
/// are allowed.
pub(in crate::api) fn client(timeout: Duration, allow_private: bool) -> Result<Client, reqwest::Error> {
    let mut client = Client::builder()
        .redirect(Policy::none())
        .timeout(timeout)
        // A proxy would make the connection in our place, and look at no address.
        .no_proxy()
        .user_agent(concat!("airwrite/", env!("CARGO_PKG_VERSION")));
    if !allow_private {
        client = client.dns_resolver(std::sync::Arc::new(PublicOnly));
    }
    client.build()
}

/// The address in a URL that names its host by address.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Why an attempt failed, in a line without the URL.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::api) struct SendError(String);

impl SendError {
    pub(in crate::api) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut line = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn config(url: &str, allow_private: bool) -> EndpointConfig {
        let (name, owner) = ("console".to_owned(), "acme".parse().unwrap());
        EndpointConfig { name, owner, url: url.into(), secret: SECRET.into(), allow_private }
    }

    fn wrong(config: &EndpointConfig) -> &'static str {
        Endpoint::new(config, Duration::from_secs(1)).unwrap_err().field
    }

    #[test]
    fn private_targets_need_permission() {
        for url in ["http://127.0.0.1:9/x", "https://[::1]/", "https://10.0.0.1/", "http://2130706433/"] {
            assert_eq!(wrong(&config(url, false)), "url", "{url}");
            assert!(Endpoint::new(&config(url, true), Duration::from_secs(1)).is_ok(), "{url}");
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        for url in ["", "ftp://example.net/", "https://user@example.net/", "https://a:b@example.net/", "/x"] {
            assert_eq!(wrong(&config(url, true)), "url", "{url}");
        }
        let right = config("https://example.net/hooks", false);
        assert!(Endpoint::new(&right, Duration::from_secs(1)).is_ok());
        assert_eq!(wrong(&EndpointConfig { secret: "whsec_short".into(), ..right.clone() }), "secret");
        assert_eq!(wrong(&EndpointConfig { name: String::new(), ..right.clone() }), "name");
        assert_eq!(wrong(&EndpointConfig { name: "x".repeat(65), ..right }), "name");
    }

    #[tokio::test]
    async fn a_name_is_refused_where_it_leads_into_a_private_network() {
        let endpoint = Endpoint::new(&config("http://localhost:9/", false), Duration::from_secs(5)).unwrap();
        let error = endpoint.send(&Event::example(), 0).await.unwrap_err().to_string();
        assert!(error.contains("no public address"), "{error}");
    }

    #[test]
    fn configuration_is_read_and_shows_no_secret() {
        let text = format!(
            "name = \"console\"\nowner = \"acme\"\nurl = \"https://example.net/token-4711\"\nsecret = \"{SECRET}\"\n"
        );
        let config: EndpointConfig = toml::from_str(&text).unwrap();
        assert!(!config.allow_private);
        assert_eq!(config.secret.expose_secret(), SECRET);
        let shown = format!("{config:?} {:?}", Endpoint::new(&config, Duration::from_secs(1)).unwrap().key);
        assert!(!shown.contains("whsec") && !shown.contains("4711"), "{shown}");
        assert!(toml::from_str::<EndpointConfig>(&format!("{text}colour = 1\n")).is_err());
        assert!(toml::from_str::<EndpointConfig>(&text.replace("acme", "A C")).is_err());
    }

    #[tokio::test]
    async fn errors_do_not_show_the_url() {
        // Nothing listens on port 1.
        let endpoint =
            Endpoint::new(&config("http://127.0.0.1:1/token-4711", true), Duration::from_secs(5)).unwrap();
        let error = endpoint.send(&Event::example(), 0).await.unwrap_err().to_string();
        assert!(error.contains("onnect") && !error.contains("4711"), "{error}");
    }
}
