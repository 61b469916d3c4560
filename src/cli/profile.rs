//! `airwrite profile`: what a profile makes of a write, and what is risky in it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::{Outcome, print_json};
use crate::card::plan::{Action, Cost, Plan, PlannedScript, write_card_cost};
use crate::card::{Finding, Method, Profile, Severity, Subscription};
use crate::identity::{Iccid, Imsi, Msisdn};

/// What `profile` can do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what a write with a profile sends, and what is risky in it
    Check(CheckArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Profiles (TOML)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// IMSI of the subscription to write
    #[arg(long, default_value = "001010123456789")]
    imsi: Imsi,
    /// Its number
    #[arg(long, default_value = "447779078484")]
    msisdn: Msisdn,
    /// Its own card number, where the order names one
    #[arg(long)]
    iccid: Option<Iccid>,
    /// The address of its SMSC, where the order names one
    #[arg(long)]
    smsc: Option<Msisdn>,
    /// Short messages that the link sends per second
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    rate: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one file comes to.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    /// Why it does not load; nothing follows then.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    checked: Option<Checked>,
}

/// What a profile that loads comes to.
#[derive(Debug, Serialize)]
struct Checked {
    profile: String,
    method: &'static str,
    packets: Vec<Packet>,
    left_out: Vec<String>,
    cost: Cost,
    messages: usize,
    findings: Vec<Finding>,
}

/// A packet of a write.
#[derive(Debug, Serialize)]
struct Packet {
    tar: String,
    commands: usize,
    octets: usize,
    parts: usize,
    responses: usize,
    files: Vec<String>,
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::Check(arguments) => check(&arguments),
    }
}

fn check(arguments: &CheckArguments) -> Outcome {
    let reports: Vec<Report> = arguments.files.iter().map(|file| Report::of(file, arguments)).collect();
    if arguments.json {
        print_json(&reports)?;
    } else {
        let mut out = io::stdout().lock();
        let shown = reports.iter().try_for_each(|report| show(&mut out, report, arguments.rate));
        // Whoever reads it may have seen enough.
        shown.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    }
    let wrong = reports.iter().any(Report::is_wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Report {
    fn of(file: &Path, arguments: &CheckArguments) -> Self {
        let (error, checked) = match Checked::of(file, arguments) {
            Ok(checked) => (None, Some(checked)),
            Err(error) => (Some(format!("{error:#}")), None),
        };
        Self { file: file.display().to_string(), error, checked }
    }

    fn is_wrong(&self) -> bool {
        let findings = self.checked.iter().flat_map(|checked| &checked.findings);
        self.error.is_some() || findings.into_iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl Checked {
    fn of(file: &Path, arguments: &CheckArguments) -> anyhow::Result<Self> {
        let profile = Profile::from_toml(&std::fs::read_to_string(file)?)?;
        let rate = arguments.rate;
        let order = Subscription {
            imsi: arguments.imsi,
            msisdn: arguments.msisdn,
            iccid: arguments.iccid,
            smsc: arguments.smsc,
        };
        let (packets, left_out, cost) = match profile.method {
            Method::Applet => {
                let cost = write_card_cost(&profile, rate).context("no write-card message")?;
                (vec![Packet::of_applet(&profile, &cost)], Vec::new(), cost)
            }
            Method::Rfm => {
                let plan = Plan::of(&profile, &order)?;
                let packets = plan.scripts.iter().map(|script| Packet::of_script(&profile, script)).collect();
                let left_out = plan.left_out.iter().map(ToString::to_string).collect();
                (packets, left_out, plan.cost(&profile, rate))
            }
        };
        Ok(Self {
            profile: profile.name.clone(),
            method: match profile.method {
                Method::Applet => "applet",
                Method::Rfm => "rfm",
            },
            packets,
            left_out,
            cost,
            messages: cost.messages(),
            findings: profile.lint(),
        })
    }
}

impl Packet {
    fn of_applet(profile: &Profile, cost: &Cost) -> Self {
        Self {
            tar: profile.mt.tar.to_string(),
            commands: 1,
            octets: cost.octets,
            parts: cost.parts,
            responses: cost.responses,
            files: vec!["write-card message, at its longest".to_owned()],
        }
    }

    fn of_script(profile: &Profile, script: &PlannedScript) -> Self {
        let worked = script.commands.iter().filter(|command| command.action != Action::Select);
        let files = worked.map(|command| match command.action {
            Action::Read => format!("{} read", command.file),
            _ => command.file.to_string(),
        });
        Self {
            tar: script.tar.to_string(),
            commands: script.commands.len(),
            octets: script.data.len(),
            parts: script.parts.into(),
            responses: script.responses(profile),
            files: files.collect(),
        }
    }
}

/// Writes a report for people, and an empty line.
fn show(out: &mut impl Write, report: &Report, rate: f64) -> io::Result<()> {
    writeln!(out, "{}", report.file)?;
    if let Some(error) = &report.error {
        writeln!(out, "  error    {}", error.trim_end().replace('\n', "\n           "))?;
    }
    let Some(checked) = &report.checked else { return writeln!(out) };
    writeln!(out, "  profile {}, method {}", checked.profile, checked.method)?;
    writeln!(out, "  packet  TAR     commands  octets  parts  answers")?;
    for (place, packet) in checked.packets.iter().enumerate() {
        let Packet { tar, commands, octets, parts, responses, .. } = packet;
        writeln!(out, "  {:<6}  {tar}  {commands:>8}  {octets:>6}  {parts:>5}  {responses:>7}", place + 1)?;
        for line in wrapped(&packet.files.join(", ")) {
            writeln!(out, "          {line}")?;
        }
    }
    for file in &checked.left_out {
        writeln!(
            out,
            "  left out: {file}, because the order names no such value; the card keeps what it has"
        )?;
    }
    let Cost { parts, responses, octets, seconds, .. } = checked.cost;
    writeln!(
        out,
        "  a write: {octets} octets, {parts} SMS to the card and {responses} from it; {seconds:.1} s to send at {rate} SMS/s"
    )?;
    for Finding { severity, key, text } in &checked.findings {
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        for (place, line) in wrapped(&format!("{key}: {text}")).iter().enumerate() {
            writeln!(out, "  {:<8} {line}", if place == 0 { severity } else { "" })?;
        }
    }
    writeln!(out)
}

/// Text in lines that a terminal shows whole.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 100;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < WIDTH => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "expected a number above 0".to_owned())
}
