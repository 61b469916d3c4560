//! What came of the demo: what the gateway says, held against what the cards hold.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::platform::{Platform, imei_of};
use super::production::on_site;
use super::stage::Stage;
use crate::cli::sample::{Kind, Sample};
use crate::store::{KeyText, Scan, keys};

/// How long the last webhooks and acknowledgements may take.
const LAST_WEBHOOKS: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    cards: usize,
    bound: usize,
    effective: usize,
    /// The same by kind of card, each with how many there are.
    kinds: Vec<(&'static str, usize, usize)>,
    /// Cards whose files hold what was ordered (those of an applet: EF.IMSI), and that are attached with it.
    cards_agree: usize,
    /// Short messages to the cards, and from them.
    messages: [u64; 2],
    resent: u64,
    webhooks_delivered: usize,
    webhooks_left: usize,
    webhooks_badly_signed: usize,
    /// CNTRs with two contents, writes executed twice, writes with two ends: all must be none.
    faults: usize,
    p50_ms: u128,
    p99_ms: u128,
    seconds: f64,
    in_time: bool,
    /// The first differences between what was ordered and what is.
    differences: Vec<String>,
}

impl Verdict {
    pub(super) async fn reach(
        stage: &Stage,
        platform: &Platform,
        sample: &Sample,
        took: Duration,
        in_time: bool,
    ) -> Result<Self> {
        let webhooks_left = wait_for_webhooks(stage).await?;
        let writes = stage.all_writes().await?;
        let report = stage.sim.snapshot().await?;
        let mut differences = Vec::new();
        let (mut effective, mut cards_agree, mut faults) = (0, 0, 0);
        let mut kinds: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
        for (index, (target, card)) in sample.targets.iter().zip(&report.cards).enumerate() {
            let imei = imei_of(index)?;
            let write = writes.iter().find(|write| write["device"]["imei"] == imei.to_string().as_str());
            let state = write.and_then(|write| write["state"].as_str()).unwrap_or("not ordered");
            let wrong = stage.wrong_files(sample, index, &card.card)?;
            let agrees = wrong.is_empty() && card.attached == Some(target.imsi);
            let kind = sample.cards.get(index).map_or(Kind::Secured, Kind::of);
            let (of_kind, all) = kinds.entry(kind).or_default();
            *all += 1;
            *of_kind += usize::from(state == "effective");
            effective += usize::from(state == "effective");
            cards_agree += usize::from(agrees);
            faults += card.card.cntr_conflicts.len();
            faults += card.card.executed.values().filter(|times| **times > 1).count();
            if state != "effective" || !agrees {
                let ef_imsi = card.card.ef_imsi.map(|imsi| imsi.to_string()).unwrap_or_default();
                let reason = write.and_then(|write| write["reason"].as_str()).unwrap_or("no reason");
                differences.push(format!(
                    "{imei}: ordered {}, card holds {ef_imsi:?}, wrong files {wrong:?}, write is {state} ({reason})",
                    target.imsi
                ));
            }
        }
        differences.truncate(10);
        let on_site = on_site(sample).into_iter().map(imei_of).collect::<Result<Vec<_>>>()?;
        let (mut waits, bound, delivered, badly_signed, two_ends) = platform.notes(|notes| {
            let waits: Vec<Duration> = notes
                .effective
                .iter()
                .filter(|(imei, _)| !on_site.contains(imei))
                .filter_map(|(imei, at)| {
                    let begun = (*notes.ordered.get(imei)?).max(*notes.bound.get(imei)?);
                    Some(at.saturating_duration_since(begun))
                })
                .collect();
            let two_ends = notes.ends.values().filter(|ends| ends.len() > 1).count();
            (waits, notes.bound.len(), notes.ids.len(), notes.badly_signed, two_ends)
        });
        waits.sort();
        Ok(Self {
            cards: sample.cards.len(),
            bound,
            effective,
            kinds: kinds.into_iter().map(|(kind, (effective, all))| (name(kind), effective, all)).collect(),
            cards_agree,
            messages: [report.totals.submits, report.totals.mo],
            resent: writes.iter().filter_map(|write| write["resent"].as_u64()).sum(),
            webhooks_delivered: delivered,
            webhooks_left,
            webhooks_badly_signed: badly_signed,
            faults: faults + two_ends,
            p50_ms: percentile(&waits, 50),
            p99_ms: percentile(&waits, 99),
            seconds: took.as_secs_f64(),
            in_time,
            differences,
        })
    }

    pub(super) fn good(&self) -> bool {
        self.in_time
            && self.effective == self.cards
            && self.cards_agree == self.cards
            && self.faults == 0
            && self.webhooks_badly_signed == 0
            && self.webhooks_left == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: usize| format!("{count} of {}", self.cards);
        let mut rows = vec![("bound", of(self.bound)), ("effective", of(self.effective))];
        rows.extend(self.kinds.iter().map(|(name, effective, all)| (*name, format!("{effective} of {all}"))));
        rows.extend([
            ("cards hold what was ordered", of(self.cards_agree)),
            ("messages to cards, from cards", format!("{}, {}", self.messages[0], self.messages[1])),
            ("resent packets", self.resent.to_string()),
            ("webhooks delivered", format!("{} ({} left)", self.webhooks_delivered, self.webhooks_left)),
            ("CNTR, execution or end twice", self.faults.to_string()),
            ("order to effective, p50", format!("{:.2} s", self.p50_ms as f64 / 1000.0)),
            ("order to effective, p99", format!("{:.2} s", self.p99_ms as f64 / 1000.0)),
            ("whole run", format!("{:.1} s", self.seconds)),
        ]);
        writeln!(f)?;
        for (name, value) in rows {
            writeln!(f, "  {name:<30} {value}")?;
        }
        writeln!(f, "  (over the air; an order placed before its card was known counts from then)\n")?;
        for difference in &self.differences {
            writeln!(f, "  {difference}")?;
        }
        let verdict =
            if self.good() { "All orders are effective, and every card proves it." } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

/// How the cards of a kind are served, indented under the sum.
const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Secured => "  over the air",
        Kind::NoPreset => "  on site, through relay",
        Kind::Plain => "  over the air, plain DER",
        Kind::Raw => "  over the air, raw IMEI",
        Kind::Rfm => "  by remote file management",
    }
}

/// The nearest-rank percentile in milliseconds; 0 of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0, Duration::as_millis)
}

/// Waits until the outbox is empty and says how many events were left in it.
async fn wait_for_webhooks(stage: &Stage) -> Result<usize> {
    let outbox = keys::OutboxEntry::of_endpoint(&KeyText::new("demo")?);
    let end = tokio::time::Instant::now() + LAST_WEBHOOKS;
    loop {
        let left = stage.gateway.store().scan(Scan::first(outbox.clone(), 4096)).await?.value.len();
        if left == 0 || tokio::time::Instant::now() >= end {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
