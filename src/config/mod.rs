//! The configuration: one TOML file, a few environment variables over it, checked as a whole before anything starts.
//!
//! `config/airwrite.toml` explains every key. Paths in the file are relative to the file's directory, paths in the
//! environment to the working directory. Keys that nobody knows are refused, in the file and in the environment.

mod environment;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::api::webhook::{EndpointConfig, WebhookConfig};
use crate::api::{ApiConfig, LookupConfig};
use crate::card::{Owner, Profile, Timers};
use crate::gateway::{DeliveryHoursConfig, Retention, RouteConfig};
use crate::identity::EidChecksum;
use crate::link::{Dialect, LinkConfig, TlsConfig};
use crate::store::StoreConfig;

pub use environment::Environment;
pub use error::ConfigError;

/// Largest configuration file, in octets.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;

/// The profile of cards with the Airwrite applet, as `config/profiles/airwrite-applet.toml` has it.
pub const APPLET_PROFILE: &str = include_str!("../../config/profiles/airwrite-applet.toml");

/// The same applet where its own messages are DER without security.
pub const APPLET_PLAIN_PROFILE: &str = include_str!("../../config/profiles/airwrite-applet-plain.toml");

/// The same applet where it only tells its IMEI, without security.
pub const APPLET_RAW_PROFILE: &str = include_str!("../../config/profiles/airwrite-applet-raw.toml");

/// The same applet where its card cannot answer a packet.
pub const APPLET_NO_POR_PROFILE: &str = include_str!("../../config/profiles/airwrite-applet-no-por.toml");

/// USIM cards without an applet, written by remote file management under TAR B00010.
pub const RFM_PROFILE: &str = include_str!("../../config/profiles/usim-rfm.toml");

/// The same under TAR B00011.
pub const RFM_B00011_PROFILE: &str = include_str!("../../config/profiles/usim-rfm-b00011.toml");

/// Everything that `airwrite` is told by its configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Where things are remembered.
    pub store: StoreConfig,
    /// Where the master key is.
    pub vault: VaultConfig,
    /// Where the HTTP API listens.
    pub api: ApiConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The waits of a write.
    pub timers: Timers,
    /// What to do with EIDs whose check digits are wrong.
    pub eid_checksum: EidChecksum,
    /// Kinds of cards by name.
    pub profiles: BTreeMap<String, Profile>,
    /// SMSCs.
    pub links: Vec<LinkConfig>,
    /// Which links serve which cards.
    pub routes: Vec<RouteConfig>,
    /// When cards may be written over the air.
    pub delivery_hours: Vec<DeliveryHoursConfig>,
    /// How long what is over is kept.
    pub retention: Retention,
    /// How events are sent.
    pub webhooks: WebhookConfig,
    /// Who is told of events.
    pub endpoints: Vec<EndpointConfig>,
    /// Who is asked for the card of a device, one for each owner that wants it.
    pub lookups: Vec<LookupConfig>,
}

/// `[vault]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// The file with the master key: 64 hexadecimal digits.
    pub master_key_file: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// One line of text, or one JSON object, for each event.
    pub format: LogFormat,
    /// The least level, or a filter as `tracing_subscriber::EnvFilter` reads it.
    pub level: String,
}

/// How an event of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    eid_checksum: EidChecksum,
    profiles: Vec<PathBuf>,
    store: StoreConfig,
    vault: VaultConfig,
    #[serde(default)]
    api: ApiConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    timers: Timers,
    #[serde(default)]
    link: Vec<Spanned<LinkConfig>>,
    #[serde(default)]
    route: Vec<RouteConfig>,
    #[serde(default)]
    delivery_hours: Vec<DeliveryHoursConfig>,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    webhooks: WebhookConfig,
    #[serde(default)]
    webhook: Vec<EndpointConfig>,
    #[serde(default)]
    lookup: Vec<LookupConfig>,
}

impl Config {
    /// Reads the file and the profiles it names, lets `environment` override, and checks everything.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line or with its key.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let mut raw: Raw = toml::from_str(&text).map_err(|error| ConfigError::toml(path, &text, &error))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let captures =
            raw.link.iter_mut().filter_map(|link| Some(&mut link.as_mut().capture.as_mut()?.directory));
        for relative in captures.chain([&mut raw.store.directory, &mut raw.vault.master_key_file]) {
            *relative = directory.join(&*relative);
        }
        for file in
            raw.link.iter_mut().filter_map(|link| link.as_mut().tls.as_mut()).flat_map(TlsConfig::files_mut)
        {
            *file = directory.join(&*file);
        }
        environment.override_in(&mut raw)?;
        for link in &raw.link {
            let checked = link.as_ref().check().and_then(|()| Dialect::try_from(link.as_ref()).map(drop));
            checked.map_err(|error| ConfigError::at(path, &text, link.span().start, &error))?;
        }
        let mut profiles = BTreeMap::new();
        for file in &raw.profiles {
            let file = directory.join(file);
            let profile = Profile::from_toml(&read(&file)?)
                .map_err(|error| ConfigError::Profile { path: file.clone(), error })?;
            if let Some(twin) = profiles.insert(profile.name.clone(), profile) {
                return Err(value(
                    path,
                    "profiles",
                    format!("profiles of different names, {} is there twice", twin.name),
                ));
            }
        }
        let config = Self {
            store: raw.store,
            vault: raw.vault,
            api: raw.api,
            log: raw.log,
            timers: raw.timers,
            eid_checksum: raw.eid_checksum,
            profiles,
            links: raw.link.into_iter().map(Spanned::into_inner).collect(),
            routes: raw.route,
            delivery_hours: raw.delivery_hours,
            retention: raw.retention,
            webhooks: raw.webhooks,
            endpoints: raw.webhook,
            lookups: raw.lookup,
        };
        config.check(path)?;
        Ok(config)
    }

    /// What no single key shows: names that must be unique, and names of other things.
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        self.store.check().map_err(|error| ConfigError::Store { path: path.to_owned(), error })?;
        if self.profiles.is_empty() {
            return Err(value(path, "profiles", "at least one file with a profile".to_owned()));
        }
        if self.timers.validity_s.is_empty() || self.timers.result_polls_s.is_empty() {
            return Err(value(
                path,
                "timers",
                "at least one entry in validity_s and in result_polls_s".to_owned(),
            ));
        }
        self.retention.check().map_err(|(key, expected)| value(path, key, expected.to_owned()))?;
        unique(path, "link.name", self.links.iter().map(|link| link.name.as_str()))?;
        unique(path, "route.name", self.routes.iter().map(|route| route.name.as_str()))?;
        unique(path, "webhook.name", self.endpoints.iter().map(|endpoint| endpoint.name.as_str()))?;
        unique(path, "lookup.owner", self.lookups.iter().map(|lookup| lookup.owner.as_str()))?;
        for route in &self.routes {
            route
                .check(self.links.iter().map(|link| link.name.as_str()))
                .map_err(|(key, expected)| value(path, key, expected))?;
            if let Some(Err(error)) = route.owner.as_ref().map(|owner| owner.parse::<Owner>()) {
                return Err(value(path, "route.owner", error.to_string()));
            }
            if !route.prefix.bytes().all(|octet| octet.is_ascii_digit()) {
                return Err(value(path, "route.prefix", "digits without +, or nothing".to_owned()));
            }
        }
        for hours in &self.delivery_hours {
            if let Some(Err(error)) = hours.owner.as_ref().map(|owner| owner.parse::<Owner>()) {
                return Err(value(path, "delivery_hours.owner", error.to_string()));
            }
            if let Some(name) = &hours.route
                && !self.routes.iter().any(|route| route.name == *name)
            {
                let expected = format!("the name of a [[route]], found {name:?}");
                return Err(value(path, "delivery_hours.route", expected));
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let error = |error| ConfigError::Read { path: path.to_owned(), error };
    if fs::metadata(path).map_err(error)?.len() > FILE_OCTETS_MAX {
        return Err(value(path, "file", format!("at most {FILE_OCTETS_MAX} octets")));
    }
    fs::read_to_string(path).map_err(error)
}

/// Names are keys of the store and labels of metrics: given, short and unique.
fn unique<'a>(
    path: &Path,
    key: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
        if !fits {
            return Err(value(path, key, format!("1 to 64 letters, digits, '.', '_', '-', found {name:?}")));
        }
        if !seen.insert(name) {
            return Err(value(path, key, format!("different names, {name:?} is there twice")));
        }
    }
    Ok(())
}

fn value(path: &Path, key: &'static str, expected: String) -> ConfigError {
    ConfigError::Value { path: path.to_owned(), key, expected }
}

#[cfg(test)]
mod tests;
