//! Configuration of a link.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::numbers::{NumberConfig, NumberForm};
use super::{ReceiptId, TlsConfig};
use crate::smpp::{CommandStatus, RegisteredDelivery, Version, ton};

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
    /// The SMPP version to be spoken: `3.3`, `3.4` or `5.0`.
    pub interface_version: InterfaceVersion,
    /// The addresses whose messages the SMSC is to deliver, as the SMSC defines that.
    pub address_range: AddressRangeConfig,
    /// `trx` (transceiver binds) or `tx_rx` (pairs of a transmitter and a receiver bind, each on its connection).
    pub bind: BindKind,
    /// How many binds of that kind, or pairs: 1 to 32 \[1\].
    pub binds: u8,
    /// How many submit_sm may wait for their response at one time on each bind: 1 to 1000 \[10\].
    pub window: u16,
    /// How many submit_sm may leave per second, over all binds: 0 to 1000000; 0 sets no limit \[0\]. The link finds out
    /// by itself where the SMSC takes less.
    pub rate_max: u32,
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
    /// TON of destination addresses \[1, international; 2 goes with national ones\].
    pub destination_ton: u8,
    /// NPI of destination addresses \[1, E.164\].
    pub destination_npi: u8,
    /// service_type of what we send: at most 5 octets, often empty.
    pub service_type: String,
    /// protocol_id (TP-PID) of messages to cards \[0x7F, (U)SIM data download\].
    pub protocol_id: u8,
    /// data_coding (TP-DCS) of messages to cards \[0xF6, 8-bit class 2; some SMSCs want 0x16 or 0x04\].
    pub data_coding: u8,
    /// priority_flag of messages to cards: 0 (lowest) to 3.
    pub priority_flag: u8,
    /// Whether user data stand in the TLV message_payload instead of short_message.
    pub message_payload: bool,
    /// Which receipts are asked for, where the gateway wants one.
    pub registered_delivery: Receipts,
    /// What the message id of a receipt is to that of submit_sm_resp.
    pub receipt_id: ReceiptId,
    /// How validity_period is written.
    pub validity: ValidityForm,
    /// For absolute times: how many minutes the SMSC's clock is ahead of UTC; quarters of an hour, -720 to 720.
    pub utc_offset_minutes: i16,
    /// How many deliver_sm of this link may wait for their answer at one time: 1 to 65535 \[256\].
    pub inbound_queue: u16,
    /// How a deliver_sm beyond that is answered: `msgqful` or `rx_t_appn`.
    pub inbound_full: InboundFull,
    /// How numbers are written.
    pub numbers: NumberConfig,
    /// TLS below SMPP; none where absent.
    pub tls: Option<TlsConfig>,
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

/// address_range of the bind, with its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddressRangeConfig {
    /// Numbers or a pattern: at most 64 octets, 40 by the specification; mostly empty.
    pub range: String,
    /// addr_ton.
    pub ton: u8,
    /// addr_npi.
    pub npi: u8,
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

/// Which kind of binds a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindKind {
    /// Transceiver binds.
    #[default]
    Trx,
    /// Pairs of a transmitter and a receiver bind.
    TxRx,
}

/// interface_version of the bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum InterfaceVersion {
    /// SMPP 3.3.
    #[serde(rename = "3.3")]
    V3_3,
    /// SMPP 3.4.
    #[default]
    #[serde(rename = "3.4")]
    V3_4,
    /// SMPP 5.0.
    #[serde(rename = "5.0")]
    V5_0,
}

impl InterfaceVersion {
    pub(super) const fn version(self) -> Version {
        match self {
            Self::V3_3 => Version::V3_3,
            Self::V3_4 => Version::V3_4,
            Self::V5_0 => Version::V5_0,
        }
    }
}

/// Which receipts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipts {
    /// On the final outcome, good or bad.
    #[default]
    Final,
    /// And intermediate notifications before.
    FinalAndIntermediate,
    /// On a bad final outcome only.
    Failure,
    /// None: what a card does not answer is sent again when its validity is over.
    None,
}

impl Receipts {
    pub(super) const fn registered_delivery(self) -> RegisteredDelivery {
        match self {
            Self::Final => RegisteredDelivery::FINAL,
            Self::FinalAndIntermediate => RegisteredDelivery::FINAL_AND_INTERMEDIATE,
            Self::Failure => RegisteredDelivery::FAILURE,
            Self::None => RegisteredDelivery::NONE,
        }
    }
}

/// How validity_period is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityForm {
    /// How long, counted from when the SMSC receives the message.
    #[default]
    Relative,
    /// Until when, by the SMSC's clock.
    Absolute,
    /// Not at all: the SMSC decides.
    None,
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
            interface_version: InterfaceVersion::default(),
            address_range: AddressRangeConfig::default(),
            bind: BindKind::default(),
            binds: 1,
            window: 10,
            rate_max: 0,
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
            priority_flag: 0,
            message_payload: false,
            registered_delivery: Receipts::default(),
            receipt_id: ReceiptId::default(),
            validity: ValidityForm::default(),
            utc_offset_minutes: 0,
            inbound_queue: 256,
            inbound_full: InboundFull::default(),
            capture: None,
            numbers: NumberConfig::default(),
            tls: None,
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
    pub fn check(&self) -> Result<(), LinkConfigError> {
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
        within("binds", self.binds.into(), 1..=32)?;
        within("window", self.window.into(), 1..=1000)?;
        within("rate_max", self.rate_max.into(), 0..=1_000_000)?;
        within("inbound_queue", self.inbound_queue.into(), 1..=65_535)?;
        within("response_timeout_ms", self.response_timeout_ms, 1..=HOUR_MS)?;
        within("enquire_link_ms", self.enquire_link_ms, 0..=HOUR_MS)?;
        within("write_timeout_ms", self.write_timeout_ms, 1..=HOUR_MS)?;
        if let Some(capture) = &self.capture {
            within("capture.max_mib", capture.max_mib.into(), 1..=65_536)?;
            within("capture.files", capture.files.into(), 1..=10_000)?;
        }
        within("reconnect_max_ms", self.reconnect_max_ms, 1..=HOUR_MS)?;
        within("reconnect_first_ms", self.reconnect_first_ms, 1..=self.reconnect_max_ms)?;
        within("priority_flag", self.priority_flag.into(), 0..=3)?;
        if self.utc_offset_minutes % 15 != 0 || !(-720..=720).contains(&self.utc_offset_minutes) {
            let expected = "-720 to 720 in steps of 15 expected, found";
            return Err(self.error("utc_offset_minutes", format!("{expected} {}", self.utc_offset_minutes)));
        }
        self.numbers.check().map_err(|(key, expected)| self.error(key, expected))?;
        if self.numbers.destination == NumberForm::National && self.destination_ton == ton::INTERNATIONAL {
            return Err(self.error(
                "destination_ton",
                "2 (or what the SMSC wants) for national destinations expected, found 1",
            ));
        }
        Ok(())
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
            interface_version = "5.0"
            registered_delivery = "final_and_intermediate"
            receipt_id = "decimal_to_hex"
            validity = "absolute"
            utc_offset_minutes = 480
            destination_ton = 2
            numbers = { country_code = "86", destination = "national" }
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
        assert_eq!((config.receipt_id, config.validity), (ReceiptId::DecimalToHex, ValidityForm::Absolute));
        assert_eq!(
            config.registered_delivery.registered_delivery(),
            RegisteredDelivery::FINAL_AND_INTERMEDIATE
        );
        assert_eq!(
            (config.interface_version.version(), config.numbers.destination),
            (Version::V5_0, NumberForm::National)
        );
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
        let config = LinkConfig { window: 1, ..config };
        let key = |config: LinkConfig| config.check().unwrap_err().key;
        assert_eq!(key(LinkConfig { reconnect_first_ms: 40_000, ..config.clone() }), "reconnect_first_ms");
        assert_eq!(key(LinkConfig { binds: 33, ..config.clone() }), "binds");
        assert_eq!(key(LinkConfig { priority_flag: 4, ..config.clone() }), "priority_flag");
        for minutes in [7, 735, -735, i16::MIN] {
            let config = LinkConfig { utc_offset_minutes: minutes, ..config.clone() };
            assert_eq!(config.check().unwrap_err().key, "utc_offset_minutes", "{minutes}");
        }
        let numbers = NumberConfig {
            country_code: "49".into(),
            destination: NumberForm::National,
            ..NumberConfig::default()
        };
        assert_eq!(key(LinkConfig { numbers: numbers.clone(), ..config.clone() }), "destination_ton");
        assert_eq!(LinkConfig { numbers, destination_ton: 2, ..config }.check(), Ok(()));
    }
}
