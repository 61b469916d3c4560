//! Configuration of a link.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::smpp::CommandStatus;

/// One configured SMSC. Times are in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkConfig {
    /// The link's name in logs, metrics and records. Required.
    pub name: String,
    /// `host:port` of the SMSC. Required.
    pub address: String,
    /// Who we are for the SMSC. Required; at most 32 octets, 15 by the specification.
    pub system_id: String,
    /// The secret shared with the SMSC; at most 64 octets, 8 by the specification.
    #[serde(deserialize_with = "secret")]
    pub password: SecretString,
    /// Kind of system; some SMSCs ask for one.
    pub system_type: String,
    /// `trx` (one transceiver bind) or `tx_rx` (a transmitter and a receiver bind, each on its connection).
    pub bind: BindKind,
    /// How many submit_sm may wait for their response at one time: 1 to 1000 \[10\].
    pub window: u16,
    /// How long a request waits for its response, and a connection for being opened \[30000\].
    pub response_timeout_ms: u64,
    /// After how long without any octet from the SMSC enquire_link is sent; 0 never sends it \[30000\].
    pub enquire_link_ms: u64,
    /// How long the SMSC may stop reading before the connection is given up; also how long a graceful close
    /// waits for what is under way \[10000\].
    pub write_timeout_ms: u64,
    /// The first wait before connecting again; it doubles with each failure, with jitter \[500\].
    pub reconnect_first_ms: u64,
    /// The longest wait before connecting again \[30000\].
    pub reconnect_max_ms: u64,
    /// The source address of what we send: a number that routes MO back to this link.
    pub source: SourceConfig,
    /// TON of destination addresses \[1, international\].
    pub destination_ton: u8,
    /// NPI of destination addresses \[1, E.164\].
    pub destination_npi: u8,
    /// service_type of what we send: at most 5 octets, often empty.
    pub service_type: String,
    /// protocol_id (TP-PID) of messages to cards \[0x7F, (U)SIM data download\].
    pub protocol_id: u8,
    /// data_coding (TP-DCS) of messages to cards \[0xF6, 8-bit class 2; some SMSCs want 0x16 or 0x04\].
    pub data_coding: u8,
    /// How many deliver_sm of this link may wait for their answer at one time: 1 to 65535 \[256\].
    pub inbound_queue: u16,
    /// How a deliver_sm beyond that is answered: `msgqful` or `rx_t_appn`.
    pub inbound_full: InboundFull,
    /// Where the link's connections are recorded; they are not where it is missing.
    pub capture: Option<CaptureConfig>,
}

/// How connections are recorded: files of pcapng, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureConfig {
    /// Where the files are. It must be there. Required.
    pub directory: PathBuf,
    /// From how many MiB on a file is followed by another one: 1 to 65536 \[64\].
    #[serde(default = "capture_max_mib")]
    pub max_mib: u32,
    /// How many files are kept: 1 to 10000 \[8\].
    #[serde(default = "capture_files")]
    pub files: u32,
}

const fn capture_max_mib() -> u32 {
    64
}

const fn capture_files() -> u32 {
    8
}

/// The source address of messages to cards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// Digits without `+`: at most 20; empty leaves the choice to the SMSC.
    pub digits: String,
    /// TON \[1, international; short codes often 3 or 0\].
    pub ton: u8,
    /// NPI \[1, E.164; short codes often 0\].
    pub npi: u8,
}

/// Which binds a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindKind {
    /// One transceiver bind.
    #[default]
    Trx,
    /// A transmitter and a receiver bind.
    TxRx,
}

/// The answer to a deliver_sm that finds the inbound queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundFull {
    /// ESME_RMSGQFUL.
    #[default]
    Msgqful,
    /// ESME_RX_T_APPN.
    RxTAppn,
}

impl InboundFull {
    pub(super) const fn status(self) -> CommandStatus {
        match self {
            Self::Msgqful => CommandStatus::ESME_RMSGQFUL,
            Self::RxTAppn => CommandStatus::ESME_RX_T_APPN,
        }
    }
}

/// A value of a link's configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("link {link:?}: {key}: {expected}")]
pub struct LinkConfigError {
    /// The link's name.
    pub link: String,
    /// The key.
    pub key: &'static str,
    /// What was expected.
    pub expected: String,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: String::new(),
            system_id: String::new(),
            password: SecretString::default(),
            system_type: String::new(),
            bind: BindKind::default(),
            window: 10,
            response_timeout_ms: 30_000,
            enquire_link_ms: 30_000,
            write_timeout_ms: 10_000,
            reconnect_first_ms: 500,
            reconnect_max_ms: 30_000,
            source: SourceConfig::default(),
            destination_ton: 1,
            destination_npi: 1,
            service_type: String::new(),
            protocol_id: 0x7F,
            data_coding: 0xF6,
            inbound_queue: 256,
            inbound_full: InboundFull::default(),
            capture: None,
        }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self { digits: String::new(), ton: 1, npi: 1 }
    }
}

impl LinkConfig {
    /// Checks what needs no other type to be checked: required keys and ranges.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub(super) fn check(&self) -> Result<(), LinkConfigError> {
        for (key, value) in [("name", &self.name), ("address", &self.address), ("system_id", &self.system_id)]
        {
            if value.is_empty() {
                return Err(self.error(key, "a value is required"));
            }
        }
        const HOUR_MS: u64 = 3_600_000;
        let within = |key, value, range: RangeInclusive<u64>| match range.contains(&value) {
            true => Ok(()),
            false => {
                Err(self.error(key, format!("{} to {} expected, found {value}", range.start(), range.end())))
            }
        };
        within("window", self.window.into(), 1..=1000)?;
        within("inbound_queue", self.inbound_queue.into(), 1..=65_535)?;
        within("response_timeout_ms", self.response_timeout_ms, 1..=HOUR_MS)?;
        within("enquire_link_ms", self.enquire_link_ms, 0..=HOUR_MS)?;
        within("write_timeout_ms", self.write_timeout_ms, 1..=HOUR_MS)?;
        if let Some(capture) = &self.capture {
            within("capture.max_mib", capture.max_mib.into(), 1..=65_536)?;
            within("capture.files", capture.files.into(), 1..=10_000)?;
        }
        within("reconnect_max_ms", self.reconnect_max_ms, 1..=HOUR_MS)?;
        within("reconnect_first_ms", self.reconnect_first_ms, 1..=self.reconnect_max_ms)
    }

    pub(super) fn error(&self, key: &'static str, expected: impl ToString) -> LinkConfigError {
        LinkConfigError { link: self.name.clone(), key, expected: expected.to_string() }
    }

    pub(super) const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(super) const fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn reads_every_key_and_defaults_the_rest() {
        let config: LinkConfig = toml::from_str(
            r#"
            name = "north"
            address = "smsc.example:2775"
            system_id = "airwrite"
            password = "tr0ub4dor"
            bind = "tx_rx"
            inbound_full = "rx_t_appn"
            source = { digits = "49170000", ton = 3 }
            capture = { directory = "captures", files = 3 }
            "#,
        )
        .unwrap();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.password.expose_secret(), "tr0ub4dor");
        assert_eq!((config.bind, config.inbound_full), (BindKind::TxRx, InboundFull::RxTAppn));
        assert_eq!((config.source.ton, config.source.npi), (3, 1));
        assert_eq!((config.window, config.protocol_id, config.data_coding), (10, 0x7F, 0xF6));
        let capture = CaptureConfig { directory: "captures".into(), max_mib: 64, files: 3 };
        assert_eq!(config.capture, Some(capture.clone()));
        assert!(!format!("{config:?}").contains("tr0ub4dor"));
        let config = LinkConfig { capture: Some(CaptureConfig { files: 0, ..capture }), ..config };
        assert_eq!(config.check().unwrap_err().key, "capture.files");
    }

    #[test]
    fn refuses_unknown_keys_and_values_out_of_range() {
        assert!(toml::from_str::<LinkConfig>("windwo = 3").is_err());
        let config = LinkConfig {
            name: "n".into(),
            address: "a:1".into(),
            system_id: "s".into(),
            window: 0,
            ..LinkConfig::default()
        };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            r#"link "n": window: 1 to 1000 expected, found 0"#
        );
        assert_eq!(LinkConfig::default().check().unwrap_err().key, "name");
        let config = LinkConfig { window: 1, reconnect_first_ms: 40_000, ..config };
        assert_eq!(config.check().unwrap_err().key, "reconnect_first_ms");
    }
}
