//! What came of the demo with faults: every write held against the files of its card.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::platform::{Platform, imei_of};
use super::stage::Stage;
use crate::cli::sample::{Sample, Target};
use crate::identity::Imsi;
use crate::sim::CardStatus;

/// Differences that are shown.
const SHOWN_MAX: usize = 20;

#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    cards: usize,
    /// Writes by state.
    writes: BTreeMap<String, usize>,
    /// Cards that hold and do what their write's end says.
    agree: usize,
    /// Cards that the plan keeps silent.
    silent: usize,
    /// Faults that have happened, by kind.
    faults: BTreeMap<String, u64>,
    faults_total: u64,
    /// The same octets again, of all writes.
    resent: u64,
    /// Writes whose outcome was unknown, so that a poll had to fence them.
    fences: usize,
    rolled_back: usize,
    /// CNTRs with two contents, writes executed twice, writes with two ends: all must be none.
    broken: usize,
    seconds: f64,
    all_ended: bool,
    /// The first differences between gateway and cards.
    differences: Vec<String>,
}

impl Agreement {
    pub(super) async fn reach(
        stage: &Stage,
        platform: &Platform,
        sample: &Sample,
        placed: &BTreeMap<usize, String>,
        took: Duration,
        all_ended: bool,
    ) -> Result<Self> {
        let shown = stage.all_writes().await?;
        let by_id: BTreeMap<&str, &serde_json::Value> =
            shown.iter().filter_map(|write| Some((write["id"].as_str()?, write))).collect();
        let report = stage.sim.snapshot().await?;
        let (mut writes, mut differences) = (BTreeMap::new(), Vec::new());
        let (mut agree, mut broken) = (0, 0);
        for (index, id) in placed {
            let card = report.cards.get(*index).context("a card for each order")?;
            let row = sample.cards.get(*index).context("a card for each order")?;
            let target = sample.targets.get(*index).context("a target for each order")?;
            let write = by_id.get(id.as_str());
            let state = write.and_then(|write| write["state"].as_str()).unwrap_or("missing");
            *writes.entry(state.to_owned()).or_default() += 1;
            broken += card.card.cntr_conflicts.len();
            broken += card.card.executed.values().filter(|times| **times > 1).count();
            let old = row.preset.as_ref().map(|preset| preset.imsi);
            let wrong = stage.wrong_files(sample, *index, &card.card)?;
            match agrees(state, target, old, card, &wrong) {
                Ok(()) => agree += 1,
                Err(expected) => differences.push(format!(
                    "{} {id} is {state} ({}): expected {expected}; the card holds {}, is attached as {}, tells {}",
                    imei_of(*index)?,
                    write.and_then(|write| write["reason"].as_str()).unwrap_or("no reason"),
                    text(card.card.ef_imsi),
                    text(card.attached),
                    card.card.last_state,
                )),
            }
        }
        differences.truncate(SHOWN_MAX);
        let (two_ends, fences) = platform.notes(|notes| {
            let two_ends = notes.ends.values().filter(|ends| ends.len() > 1).count();
            (two_ends, notes.types.get("write.unknown").copied().unwrap_or_default())
        });
        Ok(Self {
            cards: placed.len(),
            rolled_back: writes.get("rolled_back").copied().unwrap_or_default(),
            writes,
            agree,
            silent: report.cards.iter().filter(|card| card.silent).count(),
            faults_total: report.faults.values().sum(),
            faults: report.faults,
            resent: shown.iter().filter_map(|write| write["resent"].as_u64()).sum(),
            fences,
            broken: broken + two_ends,
            seconds: took.as_secs_f64(),
            all_ended,
            differences,
        })
    }

    pub(super) fn good(&self) -> bool {
        self.all_ended && self.agree == self.cards && self.broken == 0
    }
}

/// Whether a card is as a write in this state leaves it; if not, what was expected. `old` is what it held before.
/// `wrong` are files that hold something else than ordered.
fn agrees(
    state: &str,
    target: &Target,
    old: Option<Imsi>,
    card: &CardStatus,
    wrong: &[String],
) -> Result<(), String> {
    let holds = card.card.ef_imsi;
    let (right, expected) = match state {
        "effective" => {
            let there = wrong.is_empty() && card.attached == Some(target.imsi);
            (there, format!("{} attached, and other contents of {wrong:?}", target.imsi))
        }
        "failed" | "cancelled" | "expired" | "rolled_back" => {
            (holds == old, format!("{} in the files", text(old)))
        }
        "unresolved" => {
            // Without an applet nothing brings a card back that its network bars.
            let by_files = !card.card.files.is_empty();
            let lost = card.silent || card.barred && by_files && holds == Some(target.imsi);
            (lost, "a card that the plan keeps silent, or bars".to_owned())
        }
        _ => (false, "an end".to_owned()),
    };
    if right { Ok(()) } else { Err(expected) }
}

fn text(imsi: Option<Imsi>) -> String {
    imsi.map_or_else(|| "nothing".to_owned(), |imsi| imsi.to_string())
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            writeln!(f, "  {:<42} {value}", name.replace('_', " "))
        };
        writeln!(f, "\nFaults injected")?;
        for (name, count) in &self.faults {
            row(f, name, count)?;
        }
        row(f, "in all", &self.faults_total)?;
        writeln!(f, "\nWrites")?;
        for (state, count) in &self.writes {
            row(f, state, count)?;
        }
        writeln!(f)?;
        row(f, "resent packets", &self.resent)?;
        row(f, "outcome unknown, fenced by a poll", &self.fences)?;
        row(f, "rolled back by the card", &self.rolled_back)?;
        row(f, "CNTR, execution or end twice", &self.broken)?;
        row(f, "cards that the plan keeps silent", &self.silent)?;
        row(f, "gateway and card agree", &format!("{} of {}", self.agree, self.cards))?;
        row(f, "whole run", &format!("{:.1} s", self.seconds))?;
        writeln!(f)?;
        for difference in &self.differences {
            writeln!(f, "  {difference}")?;
        }
        let verdict = match (self.good(), self.all_ended) {
            (true, _) => "Every write has one end, and every card agrees.",
            (false, true) => "FAILED",
            (false, false) => "FAILED: not all writes ended in time",
        };
        writeln!(f, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::CardReport;

    fn card(holds: Option<Imsi>, attached: Option<Imsi>, silent: bool) -> CardStatus {
        let card = CardReport {
            eid: "89001012000000000000000000000150".parse().ok(),
            iccid: None,
            ef_imsi: holds,
            ef_msisdn: None,
            bindings_sent: 0,
            binding_flag: true,
            mt_packets: 1,
            executed: BTreeMap::new(),
            cntr_conflicts: Vec::new(),
            mo_counter: 1,
            last_tid: 1,
            last_state: "confirmed",
            files: BTreeMap::new(),
        };
        let imei = "357805020000015".parse().unwrap();
        CardStatus { imei, on: true, attached, barred: false, silent, card }
    }

    #[test]
    fn each_end_asks_its_own_of_the_card() {
        let imsi = |text: &str| Some(text.parse::<Imsi>().unwrap());
        let (old, new) = (imsi("001011000000001"), imsi("001012000000001"));
        let target = Target { imsi: new.unwrap(), msisdn: "861064200000001".parse().unwrap() };
        let agrees = |state, holds, attached, silent| {
            let wrong = if holds == new { vec![] } else { vec!["EF.IMSI".to_owned()] };
            agrees(state, &target, old, &card(holds, attached, silent), &wrong).is_ok()
        };
        assert!(agrees("effective", new, new, false));
        assert!(!agrees("effective", new, None, false), "not attached");
        assert!(!agrees("effective", old, old, false));
        for end in ["failed", "cancelled", "expired", "rolled_back"] {
            assert!(agrees(end, old, None, false) && !agrees(end, new, new, false), "{end}");
        }
        assert!(agrees("unresolved", new, None, true) && !agrees("unresolved", new, new, false));
        assert!(!agrees("written", new, new, true), "no end");

        // Barred: an applet rolls back; a card without one keeps what its files say.
        let mut barred = CardStatus { barred: true, ..card(new, None, false) };
        assert!(super::agrees("unresolved", &target, old, &barred, &[]).is_err());
        barred.card.files = [("EF.IMSI", Vec::new())].into();
        assert!(super::agrees("unresolved", &target, old, &barred, &[]).is_ok());
    }
}
