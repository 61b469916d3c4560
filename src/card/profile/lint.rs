//! What is risky, or comes to nothing, in a profile that loads.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Dialect, FileName, Method, Profile};
use crate::card::plan::{Plan, write_card_cost};
use crate::card::subscription::Subscription;
use crate::ota::apdu::{Command, instruction};
use crate::ota::ef::Ef;
use crate::ota::script::Format;
use crate::ota::{Algorithm, CounterMode, Integrity, PorRequest, Tar};

/// Parts that most cards join (TS 31.115 sets no limit).
const PARTS_COMMON: u8 = 5;
/// TARs of the applications that take the expanded form of scripts (TS 101 220 annex D): B00120 to B0013F and B00140 to
/// B001FF; the rest of B0xxxx takes the compact one.
const EXPANDED: std::ops::RangeInclusive<[u8; 3]> = [0xB0, 0x01, 0x20]..=[0xB0, 0x01, 0xFF];
const FILE_MANAGEMENT: u8 = 0xB0;

/// Files that belong to a subscription, and what follows where the former one's contents stay.
const EXPECTED: [(Ef, &str); 5] = [
    (Ef::Acc, "the card keeps its access class, which should follow from the IMSI"),
    (Ef::Msisdn, "the device shows the former number"),
    (Ef::Loci, "the device registers with the former temporary identity and location"),
    (Ef::EpsLoci, "the device registers with the former temporary identity and location"),
    (Ef::Keys, "the former ciphering keys stay on the card"),
];

/// Something to know about a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The key that causes it, with its table.
    pub key: String,
    /// What follows from its value.
    pub text: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Cards can be written by others, or no write is ever proved.
    Error,
    /// Less secure, or less certain, than it could be.
    Warning,
    /// Good to know.
    Note,
}

impl Profile {
    /// What is risky or comes to nothing in this profile, the worst first.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.lint_packets(&mut findings);
        self.lint_responses(&mut findings);
        self.lint_messages(&mut findings);
        match self.method {
            Method::Applet => self.lint_write_card(&mut findings),
            Method::Rfm => self.lint_files(&mut findings),
        }
        findings.0.sort_by_key(|finding| finding.severity);
        findings.0
    }

    fn lint_packets(&self, findings: &mut Findings) {
        let mt = &self.mt;
        if mt.spi1.integrity() != Integrity::Cc {
            findings.error(
                "mt.spi1",
                "no cryptographic checksum: anybody who can send an SMS can write such a card",
            );
        }
        if !mt.spi1.ciphered() {
            findings.warning("mt.spi1", "not ciphered: whoever sees the SMS reads the subscription");
        }
        if mt.algorithms.contains(&Algorithm::Des) {
            findings.warning(
                "mt.algorithms",
                "single DES: its key is found from one response of a card within minutes. Only for cards that have no other",
            );
        }
        if mt.max_parts > PARTS_COMMON {
            let text = format!("{}: many cards join no more than 2 to {PARTS_COMMON} parts", mt.max_parts);
            findings.warning("mt.max_parts", text);
        }
    }

    fn lint_responses(&self, findings: &mut Findings) {
        for (key, spi2) in [("mt.spi2_sms", self.mt.spi2_sms), ("mt.spi2_relay", self.mt.spi2_relay)] {
            if spi2.por() == PorRequest::None {
                continue;
            }
            if spi2.por_integrity() != Integrity::Cc {
                findings.error(
                    key,
                    "responses without cryptographic checksum: they are hints, and prove nothing",
                );
            } else if !spi2.por_ciphered() {
                findings.warning(key, "responses are not ciphered: whoever sees the SMS reads them");
            }
        }
        if !self.asks_por() {
            findings.warning(
                "mt.spi2_sms",
                "no response is asked for, so that there is no fence: what a silent card did is known only once it tells, and a \
                 packet counts as lost only after its validity",
            );
            if self.mo.dialect != Dialect::Secured {
                findings
                    .error("mo.dialect", "neither a response nor a secured message: no write is ever proved");
            }
        }
    }

    fn lint_messages(&self, findings: &mut Findings) {
        let mo = &self.mo;
        if mo.tar == Some(self.mt.tar) {
            findings.error(
                "mo.tar",
                "the same as mt.tar: a packet of ours that comes back could be taken for the card's",
            );
        }
        match mo.dialect {
            Dialect::Secured => {
                if mo.min_spi1.integrity() != Integrity::Cc {
                    findings.error(
                        "mo.min_spi1",
                        "messages are accepted without cryptographic checksum: anybody can send them",
                    );
                }
                if !mo.min_spi1.ciphered() {
                    findings.warning("mo.min_spi1", "messages are accepted that are not ciphered");
                }
                if mo.min_spi1.counter_mode() < CounterMode::Higher {
                    findings.warning("mo.min_spi1", "messages are accepted whose counter need not rise");
                }
            }
            Dialect::Plain | Dialect::RawImei if self.trust.allow_claimed_imei => findings.warning(
                "trust.allow_claimed_imei",
                "a write goes out on a message that anybody can forge; which device the card is in is not verified",
            ),
            Dialect::Plain | Dialect::RawImei if self.method == Method::Rfm => findings.warning(
                "trust.allow_claimed_imei",
                "false: reading files cannot confirm the device that a message claims, so that writes wait for a binding that the \
                 business platform supplies",
            ),
            Dialect::Plain | Dialect::RawImei => {
                findings.note("mo.dialect", "messages are not secured: they count once the applet's answer confirms them");
            }
            Dialect::Silent if mo.tar.is_some() => {
                findings.warning("mo.tar", "has no use where the card sends nothing");
            }
            Dialect::Silent => {
                findings.note("mo.dialect", "the card reports no device: the business platform supplies the binding");
            }
        }
    }

    fn lint_write_card(&self, findings: &mut Findings) {
        let most = self.mt.max_parts;
        if let Some(cost) = write_card_cost(self, 1.0).filter(|cost| cost.parts > most.into()) {
            let text = format!("{most}: the write-card message takes up to {} parts", cost.parts);
            findings.error("mt.max_parts", text);
        }
    }

    fn lint_files(&self, findings: &mut Findings) {
        let steps = &self.write.steps;
        if self.write.refresh.is_none() {
            findings.note(
                "write.refresh",
                "none: the subscription is used once the card refreshes by itself or the terminal starts anew; until the card \
                 answers at its new number a write is \"written\"",
            );
        }
        let mut seen = BTreeSet::new();
        for (place, step) in steps.iter().enumerate() {
            if !seen.insert((&step.file, step.record_number())) {
                let text = format!("{} is written twice: the last one stands", step.file);
                findings.warning(format!("write.step {}", place + 1), text);
            }
        }
        let records = self.record_lengths();
        if !records.is_empty() {
            let text =
                format!("a card refuses records of another length than its own: here {}", records.join(", "));
            findings.note("write.step", text);
        }
        for (missing, text) in EXPECTED {
            if !steps.iter().any(|step| step.file == FileName::Known(missing)) {
                findings.warning("write.step", format!("{} is not written: {text}", missing.name()));
            }
        }
        let tars: BTreeSet<Tar> = steps.iter().filter_map(|step| step.tar).chain([self.mt.tar]).collect();
        for tar in tars.into_iter().filter(|tar| tar.0.first() == Some(&FILE_MANAGEMENT)) {
            let expanded = EXPANDED.contains(&tar.0);
            if expanded != (self.write.format != Format::Compact) {
                let form = if expanded { "expanded" } else { "compact" };
                findings.warning(
                    "write.format",
                    format!("TAR {tar} is for the {form} form (TS 101 220 annex D)"),
                );
            }
        }
    }

    /// The files whose records are written, and how long these are.
    fn record_lengths(&self) -> Vec<String> {
        let plan = Subscription::fullest().and_then(|order| Plan::of(self, &order).ok());
        let commands = plan.iter().flat_map(|plan| &plan.scripts).flat_map(|script| &script.commands);
        let records = commands.filter_map(|command| {
            let apdu = Command::parse(&command.apdu).ok()?;
            let is_record = apdu.instruction == instruction::UPDATE_RECORD;
            is_record.then(|| format!("{} {} octets", command.file, apdu.data.len()))
        });
        records.collect()
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Error, key, text);
    }

    fn warning(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Warning, key, text);
    }

    fn note(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Note, key, text);
    }

    fn add(&mut self, severity: Severity, key: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { severity, key: key.into(), text: text.into() });
    }
}
