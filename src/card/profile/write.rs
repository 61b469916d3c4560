//! What a write asks of the card (`[write]`), and the files that it writes (`[[write.step]]`).

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::file::FileName;
use super::octets::{refresh, some_tar};
use super::{Wrong, wrong};
use crate::applet::Refresh;
use crate::ota::Tar;
use crate::ota::ef::{Ef, Plmn, Structure};
use crate::ota::script::Format;

/// What a write asks of the card (`[write]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteTerms {
    /// The REFRESH that ends a write (TS 102 223 §8.6). Always there with the applet; with remote file management scripts of
    /// the expanded form can carry it.
    #[serde(deserialize_with = "refresh")]
    pub refresh: Option<Refresh>,
    /// The form of scripts (TS 102 226 §5.2).
    #[serde(default = "compact", deserialize_with = "format")]
    pub format: Format,
    /// The directory that is selected when a script begins.
    #[serde(default)]
    pub session: Session,
    /// Digits of the mobile network code in an ordered IMSI, 2 or 3: the IMSI does not say. Always there with remote file
    /// management.
    pub mnc_digits: Option<u8>,
    /// Octets of the alpha identifier in a record of EF.MSISDN, which has 14 more.
    pub msisdn_alpha: Option<u8>,
    /// Octets of the alpha identifier in a record of EF.SMSP, which has 28 more.
    pub smsp_alpha: Option<u8>,
    /// The files that remote file management writes, in their order.
    #[serde(default, rename = "step")]
    pub steps: Vec<WriteStep>,
}

/// The directory that is selected when the card begins with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// Nobody knows: each script selects every directory that it needs, from the root on.
    #[default]
    Any,
    /// The ADF of the application that the TAR belongs to (TS 102 226 §6: remote management of an ADF).
    Adf,
    /// The MF (TS 102 226 §6: remote management of the shared file system).
    Mf,
}

/// One file that a write changes (`[[write.step]]`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteStep {
    /// The file.
    pub file: FileName,
    /// Under which TAR it is written; `mt.tar` where `None`.
    #[serde(default, deserialize_with = "some_tar")]
    pub tar: Option<Tar>,
    /// Which record of a linear fixed file, from 1; a file without a name here is transparent where `None`.
    pub record: Option<u8>,
    /// Octets of the file, or of its records, on such cards: where the specification leaves it open, for contents that fill
    /// the file.
    pub length: Option<u8>,
    /// What is written.
    pub value: StepValue,
    /// Whether a card without the file is written all the same; otherwise the write fails there.
    #[serde(default)]
    pub optional: bool,
}

/// Files of a profile's steps that a card does not have: bit n stands for the step at place n, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MissingFiles(pub u32);

impl MissingFiles {
    /// The steps that can be left out: one for each bit.
    pub const STEPS_MAX: usize = 32;

    /// Whether the file of the step at `place` is one of them.
    #[must_use]
    pub fn has(self, place: usize) -> bool {
        u32::try_from(place)
            .ok()
            .and_then(|place| self.0.checked_shr(place))
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// These and the file of the step at `place`; `None` beyond [`Self::STEPS_MAX`].
    #[must_use]
    pub fn with(self, place: usize) -> Option<Self> {
        u32::try_from(place).ok().and_then(|place| 1_u32.checked_shl(place)).map(|bit| Self(self.0 | bit))
    }
}

/// What a step writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepValue {
    /// What follows from the subscription ordered. The step is left out where the order has no such value.
    Order,
    /// Contents that say nothing: no location, no keys, no forbidden networks.
    Blank,
    /// These octets.
    Octets(Vec<u8>),
    /// This name.
    Text(String),
    /// These networks.
    Plmns(Vec<Plmn>),
}

/// A text that is no value of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected \"order\", \"blank\", \"hex:…\" (octets), \"text:…\" (a name) or \"plmns:46000,46002\" (networks)"
)]
pub struct StepValueError;

impl WriteTerms {
    /// What every plan for remote file management keeps to.
    pub(super) fn check_rfm(&self) -> Result<(), Wrong> {
        if self.refresh.is_some() && self.format == Format::Compact {
            return Err(wrong("write.refresh", "\"none\": scripts of the compact form carry no REFRESH"));
        }
        if !matches!(self.mnc_digits, Some(2 | 3)) {
            return Err(wrong("write.mnc_digits", "2 or 3"));
        }
        let imsi = FileName::Known(Ef::Imsi);
        let writes_imsi = |step: &WriteStep| step.file == imsi && step.value == StepValue::Order;
        if !self.steps.last().is_some_and(writes_imsi) {
            let expected = "the last one with file = \"imsi\" and value = \"order\": until then the card stays what it was";
            return Err(wrong("write.step", expected));
        }
        if self.steps.iter().filter(|step| step.file == imsi).count() > 1 {
            return Err(wrong("write.step", "file = \"imsi\" once"));
        }
        for (place, step) in self.steps.iter().enumerate() {
            let key = || format!("write.step {} ({}): record", place + 1, step.file);
            if step.record.is_some() && step.record_number().is_none() {
                return Err(wrong(key(), "none: the file has no records"));
            }
            if step.record == Some(0) {
                return Err(wrong(key(), "1 to 255"));
            }
            if step.optional && (step.file == imsi || place >= MissingFiles::STEPS_MAX) {
                let key = format!("write.step {} ({}): optional", place + 1, step.file);
                return Err(wrong(key, "false: only the first 32 steps can be left out, and EF.IMSI never"));
            }
        }
        Ok(())
    }
}

impl WriteStep {
    /// The record that is written, from 1; `None` where the file is transparent.
    #[must_use]
    pub fn record_number(&self) -> Option<u8> {
        match &self.file {
            FileName::Known(ef) => {
                (ef.structure() == Structure::LinearFixed).then(|| self.record.unwrap_or(1))
            }
            FileName::Path(_) => self.record,
        }
    }
}

impl FromStr for StepValue {
    type Err = StepValueError;

    fn from_str(text: &str) -> Result<Self, StepValueError> {
        match text.split_once(':') {
            None if text == "order" => Ok(Self::Order),
            None if text == "blank" => Ok(Self::Blank),
            Some(("hex", octets)) if !octets.is_empty() => {
                hex::decode(octets).map(Self::Octets).map_err(|_| StepValueError)
            }
            Some(("text", name)) => Ok(Self::Text(name.to_owned())),
            Some(("plmns", list)) => {
                let plmns = list.split(',').map(|plmn| plmn.trim().parse()).collect::<Result<_, _>>();
                plmns.map(Self::Plmns).map_err(|_| StepValueError)
            }
            _ => Err(StepValueError),
        }
    }
}

impl<'de> Deserialize<'de> for StepValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "compact" => Ok(Format::Compact),
        "expanded" => Ok(Format::Expanded),
        "expanded_indefinite" => Ok(Format::ExpandedIndefinite),
        _ => Err(de::Error::custom("expected \"compact\", \"expanded\" or \"expanded_indefinite\"")),
    }
}

const fn compact() -> Format {
    Format::Compact
}
