//! `airwrite cards`: card files into the store, and files with sample cards.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::sample::{self, Kinds};
use super::{ConfigArgument, Outcome, open, print_json};
use crate::card::Owner;
use crate::gateway::import::{self, CardFile, CardFileError, ImportTerms, Importer, read_cards};
use crate::world::{SystemClock, SystemRng};

/// How many refused lines are printed for people.
const REFUSALS_SHOWN: usize = 20;

/// What `cards` can do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put the cards of a CSV file into the store; run it again after a failure
    Import(ImportArguments),
    /// Write files with sample cards and with subscriptions to order
    Sample(SampleArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The card file (CSV with a header)
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgument,
    /// Owner of the cards whose line names none
    #[arg(long, default_value = "default")]
    owner: Owner,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct SampleArguments {
    /// How many cards with a preset subscription that secure their messages
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: u32,
    /// How many more without a preset subscription, to be served on site
    #[arg(long, value_name = "N", default_value_t = 0)]
    no_preset: u32,
    /// How many more whose own messages are plain DER
    #[arg(long, value_name = "N", default_value_t = 0)]
    plain: u32,
    /// How many more that only tell their IMEI, as it is
    #[arg(long, value_name = "N", default_value_t = 0)]
    raw: u32,
    /// How many more without an applet, to be written by remote file management
    #[arg(long, value_name = "N", default_value_t = 0)]
    rfm: u32,
    /// The card file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The file with as many subscriptions to write
    #[arg(long, value_name = "FILE")]
    subscriptions_out: PathBuf,
    /// What numbers and keys follow from; never a source of secrets
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::Import(arguments) => import(arguments).await,
        Command::Sample(arguments) => write_sample(&arguments),
    }
}

async fn import(arguments: ImportArguments) -> Outcome {
    let config = arguments.config.load()?;
    let terms = ImportTerms {
        profiles: &config.profiles,
        owner: &arguments.owner,
        eid_checksum: config.eid_checksum,
    };
    let file = match read_file(&arguments.file, &terms) {
        Ok(file) => file,
        Err(CardFileError::Contents(findings)) => {
            if arguments.json {
                print_json(&json!({ "errors": findings.shown, "errors_total": findings.total }))?;
            } else {
                eprintln!("{findings}");
                eprintln!("error: {}: nothing was imported", arguments.file.display());
            }
            return Ok(ExitCode::FAILURE);
        }
        Err(CardFileError::Io(error)) => {
            return Err(error).with_context(|| arguments.file.display().to_string());
        }
    };
    if file.warnings.total > 0 {
        eprintln!("{}\nwarning: taken all the same", file.warnings);
    }
    let store = open::store(&config).await?;
    let importer = Importer {
        vault: open::vault(&config, &*store).await?,
        store,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    let bar = progress_bar(file.rows.len())?;
    let report = import::import(&importer, file.rows, |done| bar.set_position(done as u64)).await;
    bar.finish_and_clear();
    let report = report.context("the import stopped; run it again to go on")?;
    importer.store.close().await?;
    if arguments.json {
        print_json(&report)?;
    } else {
        println!(
            "imported {}, already there {}, refused {}",
            report.imported,
            report.already_there,
            report.refused.len()
        );
        for refusal in report.refused.iter().take(REFUSALS_SHOWN) {
            eprintln!("line {}: {}", refusal.line, refusal.reason);
        }
        if report.refused.len() > REFUSALS_SHOWN {
            eprintln!("{REFUSALS_SHOWN} of {} refused lines shown; --json shows all", report.refused.len());
        }
    }
    Ok(if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads and checks a card file.
pub(super) fn read_file(path: &Path, terms: &ImportTerms<'_>) -> Result<CardFile, CardFileError> {
    read_cards(File::open(path)?, terms)
}

/// A bar on a terminal, and nothing elsewhere.
fn progress_bar(cards: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} cards, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(cards as u64).with_style(style))
}

fn write_sample(arguments: &SampleArguments) -> Outcome {
    let SampleArguments { count: secured, no_preset, plain, raw, rfm, .. } = *arguments;
    let sample = sample::sample_of(Kinds { secured, no_preset, plain, raw, rfm }, arguments.seed)?;
    let create = |path: &Path| File::create(path).with_context(|| path.display().to_string());
    sample::write_cards(&sample.cards, create(&arguments.out)?)?;
    sample::write_targets(&sample.targets, create(&arguments.subscriptions_out)?)?;
    println!(
        "{}: {} cards\n{}: {} subscriptions",
        arguments.out.display(),
        sample.cards.len(),
        arguments.subscriptions_out.display(),
        sample.targets.len()
    );
    Ok(ExitCode::SUCCESS)
}
