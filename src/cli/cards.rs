//! `airwrite cards`: card files into the store, and files with sample cards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use zeroize::Zeroizing;

use super::sample::{self, Kinds};
use super::{ConfigArgument, Outcome, open, print_json};
use crate::card::Owner;
use crate::gateway::import::{
    self, CardFile, CardFileError, ColumnKeys, Finding, Findings, ImportReport, ImportTerms, Importer,
    read_cards,
};
use crate::ota::Algorithm;
use crate::world::{SystemClock, SystemRng};

/// How many refused lines are printed for people.
const REFUSALS_SHOWN: usize = 20;

/// What `cards` can do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put the cards of a CSV file into the store, while `serve` is stopped
    ///
    /// The file has a header with the names of its columns, in any order: ICCID or EID or both, PROFILE, ALG, KIC1, KID1,
    /// and where there is something to say, KIK1, KVN, CMAC_LEN, OWNER, PRESET, IMSI, MSISDN, CNTR_FLOOR, CNTR_FLOOR:<TAR>.
    /// Files for pySim's card key provider are read as they are, with options for what they do not say; where there are
    /// KIC2, KID2 and so on, the numbers are those of the key sets, and KVN, or else the profile, says which is used.
    ///
    /// The whole file is checked first, and nothing is imported where anything is wrong. Importing a file again changes
    /// nothing; do so after a failure.
    #[command(verbatim_doc_comment)]
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
    /// Owner of the cards whose line names none (OWNER)
    #[arg(long, default_value = "default")]
    owner: Owner,
    #[command(flatten)]
    card_file: CardFileArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a card file does not say itself.
#[derive(Debug, clap::Args)]
pub(super) struct CardFileArguments {
    /// Profile of the cards whose line names none (PROFILE)
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Algorithm of the keys whose line names none (ALG): aes, 3des2, 3des3 or des
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// Cards left the factory with their IMSI and MSISDN where the line does not say (PRESET)
    #[arg(long)]
    preset: bool,
    /// Columns of the card file that are not read
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    ignore: Vec<String>,
    /// The file with the keys of enciphered columns, one a line: KIC1:000102…
    #[arg(long, value_name = "FILE")]
    column_keys: Option<PathBuf>,
}

impl CardFileArguments {
    /// Reads and checks a card file under `terms` and what else is said here.
    pub(super) fn read(&self, path: &Path, terms: ImportTerms<'_>) -> Result<CardFile> {
        let profile = self.profile.as_deref().map(|name| terms.named(name)).transpose();
        let column_keys = self.column_keys.as_deref().map(read_column_keys).transpose()?;
        let terms = ImportTerms {
            profile: profile.map_err(|expected| anyhow!("--profile: expected {expected}"))?,
            algorithm: self.algorithm,
            preset: self.preset,
            ignored: &self.ignore,
            column_keys: column_keys.as_ref(),
            ..terms
        };
        let named = || path.display().to_string();
        match read_cards(File::open(path).with_context(named)?, &terms) {
            Err(CardFileError::Io(error)) => Err(error).with_context(named),
            read => Ok(read?),
        }
    }
}

fn read_column_keys(path: &Path) -> Result<ColumnKeys> {
    let named = || format!("column keys {}", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).with_context(named)?);
    ColumnKeys::parse(&text).with_context(named)
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
    let terms = ImportTerms::new(&config.profiles, &arguments.owner, config.eid_checksum);
    let file = match arguments.card_file.read(&arguments.file, terms) {
        Ok(file) => file,
        Err(error) => {
            let Some(CardFileError::Contents(findings)) = error.downcast_ref() else { return Err(error) };
            if arguments.json {
                print_json(&json!({ "errors": findings.shown, "errors_total": findings.total }))?;
            } else {
                eprintln!("{findings}");
                eprintln!("error: {}: nothing was imported", arguments.file.display());
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    if !arguments.json {
        tell_warnings(&file.warnings, file.weak);
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
        print_json(&Imported {
            report: &report,
            warnings: &file.warnings.shown,
            warnings_total: file.warnings.total,
            weak_keys: file.weak,
        })?;
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

/// What became of a file, as JSON.
#[derive(serde::Serialize)]
struct Imported<'a> {
    #[serde(flatten)]
    report: &'a ImportReport,
    warnings: &'a [Finding],
    warnings_total: usize,
    /// Cards with weak keys.
    weak_keys: usize,
}

fn tell_warnings(warnings: &Findings, weak: usize) {
    for warning in &warnings.shown {
        eprintln!("warning: {warning}");
    }
    if warnings.total > warnings.shown.len() {
        eprintln!("warning: {} of {} warnings shown", warnings.shown.len(), warnings.total);
    }
    if weak > 0 {
        let cards = if weak == 1 { "card has" } else { "cards have" };
        eprintln!("warning: {weak} {cards} weak keys; taken all the same");
    }
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
