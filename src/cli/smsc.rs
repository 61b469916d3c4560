//! `airwrite smsc`: a simulated operator whose cards are those of a card file, each in a device of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::relay::line;
use super::signals::Signals;
use super::{Outcome, cards, sample};
use crate::card::{Dialect, Owner};
use crate::gateway::import::{CardFileError, CardRow, ImportTerms};
use crate::identity::EidChecksum;
use crate::pcap::Recorder;
use crate::sim::{
    self, CardSpec, EsmeAccount, FaultPlan, MoDialect, OperatorConfig, Preset, Report, SimConfig, SimHandle,
    TlsServer,
};
use crate::world::{Rng, SeededRng, SystemClock, SystemRng};

/// How often the report is written.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What `smsc` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where ESMEs connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2775")]
    listen: SocketAddr,
    /// The card file (CSV, as `cards import` takes it)
    #[arg(long, value_name = "FILE")]
    cards: PathBuf,
    /// Subscriptions to provision (CSV with IMSI and MSISDN), so that written cards find service
    #[arg(long, value_name = "FILE")]
    subscribers: Option<PathBuf>,
    /// Write what every card holds to this file, as JSON, each second and at the end
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How many devices to switch on: all, or the first N
    #[arg(long, value_name = "all|N", default_value = "all")]
    power_on: PowerOn,
    /// What everything random follows from, for a run that can be repeated
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// system_id of the ESME that may bind
    #[arg(long, default_value = "airwrite")]
    system_id: String,
    /// Its password
    #[arg(long, env = "AIRWRITE_SMSC_PASSWORD", hide_env_values = true, default_value = "secret")]
    password: String,
    /// The number that the cards send to, and whose messages that ESME gets
    #[arg(long, value_name = "DIGITS", default_value = CardSpec::SHORT_CODE)]
    short_code: String,
    /// Let `airwrite relay` speak to the cards here
    #[arg(long, value_name = "ADDRESS:PORT")]
    relay: Option<SocketAddr>,
    /// Speak TLS to ESMEs, with this certificate (PEM, with those between it and its authority)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Ask ESMEs for a certificate of one of these authorities (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,
    /// What goes wrong, and how often: a fault plan (config/sample/faults.toml is one)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Record every connection to this file, as pcapng for Wireshark
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Do not print the cards
    #[arg(long)]
    quiet: bool,
}

/// Which devices are switched on at the start.
#[derive(Debug, Clone, Copy)]
enum PowerOn {
    All,
    First(usize),
}

impl FromStr for PowerOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::First).map_err(|_| "expected all or a number")
    }
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let rows = read_cards(&arguments.cards)?;
    let specs = specs(&rows, &arguments.short_code)?;
    let targets = match &arguments.subscribers {
        None => Vec::new(),
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            sample::read_targets(file).with_context(|| path.display().to_string())?
        }
    };
    let mut signals = Signals::listen()?;
    let listen = arguments.listen;
    let listener = bind(listen, "--listen").await?;
    let relay = match arguments.relay {
        Some(relay) => Some(bind(relay, "--relay").await?),
        None => None,
    };
    let account = EsmeAccount {
        system_id: arguments.system_id.clone(),
        password: arguments.password.clone().into(),
        short_codes: vec![arguments.short_code.clone()],
    };
    let faults = arguments.faults.as_deref().map(read_faults).transpose()?.unwrap_or_default();
    let operator = OperatorConfig { faults, ..OperatorConfig::default() };
    let recorder = match &arguments.capture {
        Some(path) => Some(Recorder::to_file(path, Arc::new(SystemClock)).await?),
        None => None,
    };
    let tls = match (&arguments.tls_certificate, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(TlsServer::new(certificate, key, arguments.tls_client_ca.as_deref())?)
        }
        _ => None,
    };
    let spoken = if tls.is_some() { " with TLS" } else { "" };
    let config = SimConfig {
        operator,
        accounts: vec![account],
        tls,
        recorder: recorder.clone(),
        ..SimConfig::default()
    };
    let rng: Arc<dyn Rng> = match arguments.seed {
        Some(seed) => Arc::new(SeededRng::new(seed)),
        None => Arc::new(SystemRng),
    };
    let operator = sim::start(config, &specs, Arc::new(SystemClock), rng, Some(listener));
    for target in &targets {
        operator.provision(target.imsi, target.msisdn).await?;
    }
    // Dropped, and thereby ended, with everything else.
    let mut relays = JoinSet::new();
    if let Some(listener) = relay {
        println!("cards for `airwrite relay --sim` on {}", listener.local_addr()?);
        relays.spawn(line::serve(listener, operator.clone(), specs.iter().map(|spec| spec.imei).collect()));
    }
    if !arguments.quiet {
        print_cards(&specs);
    }
    let on = match arguments.power_on {
        PowerOn::All => specs.len(),
        PowerOn::First(count) => count.min(specs.len()),
    };
    operator.power_on(0..on).await?;
    println!(
        "SMSC on {}{spoken}: {} cards, {on} switched on, {} subscriptions to order; system_id {}",
        operator.address().unwrap_or(listen),
        specs.len(),
        targets.len(),
        arguments.system_id
    );

    let signal = match &arguments.report {
        None => signals.asked_to_end().await,
        Some(path) => report_until_asked(&operator, path, &mut signals).await?,
    };
    eprintln!("{signal}: ending");
    let last = operator.snapshot().await?;
    operator.stop().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    if let Some(path) = &arguments.report {
        write_report(path, &last)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} (choose another {option} where the port is taken)"))
}

fn read_faults(path: &Path) -> Result<FaultPlan> {
    let named = || path.display().to_string();
    FaultPlan::from_toml(&fs::read_to_string(path).with_context(named)?).with_context(named)
}

fn read_cards(path: &Path) -> Result<Vec<CardRow>> {
    let profiles = sample::profiles()?;
    let owner: Owner = "default".parse()?;
    // What the operator's cards are called is the operator's business.
    let terms = ImportTerms { profiles: &profiles, owner: &owner, eid_checksum: EidChecksum::Off };
    match cards::read_file(path, &terms) {
        Ok(file) => Ok(file.rows),
        Err(CardFileError::Contents(findings)) => {
            eprintln!("{findings}");
            bail!("{}: no card was made", path.display());
        }
        Err(CardFileError::Io(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// The cards as they are personalised, in devices with the numbers 1, 2, ….
pub(super) fn specs(rows: &[CardRow], short_code: &str) -> Result<Vec<CardSpec>> {
    let profiles = sample::profiles()?;
    let mut specs = Vec::new();
    for (row, number) in rows.iter().zip(1..) {
        let of_line = || format!("line {}", row.line);
        let (Some(eid), Some(iccid), Some(keys)) = (row.eid, row.iccid, row.keys.first()) else {
            bail!("{}: a simulated card needs an EID and an ICCID", of_line());
        };
        let keys = keys.key_set().with_context(of_line)?;
        let mut spec = CardSpec::new(eid, iccid, sample::device_imei(number)?, keys);
        spec.preset = row.preset.as_ref().map(|preset| Preset { imsi: preset.imsi, msisdn: preset.msisdn });
        spec.mo_dialect = match profiles.get(&row.profile).map(|profile| profile.mo.dialect) {
            Some(Dialect::Plain) => MoDialect::PlainDer,
            Some(Dialect::RawImei) => MoDialect::RawImei,
            Some(Dialect::Secured | Dialect::Silent) | None => MoDialect::Secured,
        };
        short_code.clone_into(&mut spec.short_code);
        specs.push(spec);
    }
    Ok(specs)
}

fn print_cards(specs: &[CardSpec]) {
    println!("{:15}  {:32}  {:15}  MSISDN", "IMEI", "EID", "IMSI");
    for spec in specs {
        let (imsi, msisdn) = spec.preset.map_or_else(
            || ("none".to_owned(), String::new()),
            |p| (p.imsi.to_string(), p.msisdn.to_string()),
        );
        println!("{}  {}  {imsi:15}  {msisdn}", spec.imei, spec.eid);
    }
}

/// Writes the report each second until a signal comes.
async fn report_until_asked(
    operator: &SimHandle,
    path: &Path,
    signals: &mut Signals,
) -> Result<&'static str> {
    let mut every = tokio::time::interval(REPORT_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            signal = signals.asked_to_end() => return Ok(signal),
            _ = every.tick() => write_report(path, &operator.snapshot().await?)?,
        }
    }
}

/// Puts a whole report in the place of the last one, so that nobody reads half of one.
fn write_report(path: &Path, report: &Report) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || {
        fs::write(&beside, serde_json::to_vec(report)?)?;
        fs::rename(&beside, path)
    };
    write().with_context(|| path.display().to_string())
}
