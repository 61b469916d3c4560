//! `airwrite demo`: an operator, a gateway and a business platform in one process, over real TCP and a durable store.
//!
//! | module | what it plays |
//! |---|---|
//! | `stage` | everything that runs: SMSC with cards, gateway, HTTP API |
//! | `platform` | the business platform: orders over HTTP, takes webhooks, checks their signatures |
//! | `production` | the production line, where cards without preset are served on site |
//! | `verdict` | what came of it, from both sides |
//! | `rfm`, `files` | cards without an applet, and what their files must hold |
//! | `faulty` | the same with everything going wrong |
//! | `agreement` | what came of that, card by card |

mod agreement;
mod faulty;
mod files;
mod platform;
mod production;
mod rfm;
mod stage;
mod verdict;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::Outcome;
use super::sample::{Kinds, sample_of};
use platform::{Order, Platform};
use stage::{Stage, Terms};
use verdict::Verdict;

/// The demo fails when it takes longer.
const LIMIT: Duration = Duration::from_secs(55);

/// One order in so many is placed before its card is powered on.
const EARLY: usize = 3;

/// Cards with preset that secure their messages, where nobody chose a number.
const CARDS: u32 = 300;

/// What the demo is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How cards are written: by a message to the applet on them, or, without one, by remote file management
    #[arg(long, value_enum, default_value = "applet")]
    method: Method,
    /// How many cards to power on that secure their messages, or have no applet [default: 300, with --faults 150]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cards: Option<u32>,
    /// How many more without a preset number, served on site (with an applet only)
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(..=1_000))]
    on_site: u32,
    /// How many more with plain dialects, half of them DER, half of them the IMEI alone (with an applet only)
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=1_000))]
    plain: u32,
    /// Let everything go wrong that config/sample/faults.toml names; takes two minutes
    #[arg(long)]
    faults: bool,
    /// Stay up afterwards and say what to try next
    #[arg(long)]
    keep: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Record what gateway and SMSC say to this file, as pcapng for Wireshark
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// What everything random in the simulated network follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// How the cards of the demo are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// By a message to the applet
    Applet,
    /// By remote file management
    Rfm,
}

impl Arguments {
    /// The cards, of which there are `usual` unless somebody chose a number.
    fn kinds(&self, usual: u32) -> Kinds {
        let (cards, raw) = (self.cards.unwrap_or(usual), self.plain / 2);
        match self.method {
            Method::Applet => Kinds {
                secured: cards,
                no_preset: self.on_site,
                plain: self.plain - raw,
                raw,
                ..Kinds::default()
            },
            Method::Rfm => Kinds { rfm: cards, ..Kinds::default() },
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    if arguments.faults {
        return faulty::run(&arguments).await;
    }
    let began = Instant::now();
    let kinds = arguments.kinds(CARDS);
    let mut sample = sample_of(kinds, arguments.seed)?;
    rfm::vary(&mut sample);
    let platform = Platform::start(production::records(&sample)?).await?;
    let mut terms = Terms { capture: arguments.capture.clone(), ..Terms::calm(arguments.seed) };
    if arguments.method == Method::Rfm {
        terms.timers = rfm::timers(terms.timers);
    }
    let stage = Stage::start(&sample, terms, &platform).await?;
    if !arguments.json {
        eprintln!("SMSC on {}, HTTP API on {}, {} cards imported", stage.smsc, stage.address, kinds.total());
        rfm::announce(&stage, &sample)?;
    }
    let progress = Progress::new(kinds.total(), ["bound", "effective"], arguments.json);

    let on_site = production::on_site(&sample);
    let over_the_air: Vec<usize> = (0..sample.cards.len()).filter(|index| !on_site.contains(index)).collect();
    let early = over_the_air.iter().filter(|index| **index % EARLY == 0);
    let early = early.map(|index| Order::of(&sample, *index)).collect::<anyhow::Result<Vec<_>>>()?;
    platform.order_all(&stage, early).await?;
    let writes = production::order(&stage, &platform, &sample, &on_site).await?;
    rfm::bind(&stage, &sample).await?;
    // Dropped, and thereby ended, with this function.
    let _tools = production::serve(&stage, &writes, LIMIT).await?;
    let _user = rfm::restart_written(&stage, &platform, &sample)?;
    stage.power_on(&over_the_air).await?;
    let in_time = platform.serve_customers(&stage, &sample, &over_the_air, began + LIMIT, &progress).await?;
    progress.finish();

    let verdict = Verdict::reach(&stage, &platform, &sample, began.elapsed(), in_time).await?;
    if arguments.json {
        super::print_json(&verdict)?;
    } else {
        print!("{verdict}");
    }
    if arguments.keep {
        stage.describe(&sample);
        tokio::signal::ctrl_c().await?;
    }
    stage.stop().await;
    Ok(if verdict.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How far the demo is: bars on a terminal, a line now and then elsewhere.
struct Progress {
    bars: [(&'static str, ProgressBar); 2],
    lines: bool,
}

impl Progress {
    /// Two things are counted, up to the number of cards.
    fn new(cards: u32, names: [&'static str; 2], json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target =
            if terminal && !json { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let bar = |name: &'static str| {
            let style = ProgressStyle::with_template("{prefix:>10} {bar:40} {pos}/{len}");
            let bar = bars.add(ProgressBar::new(cards.into())).with_prefix(name);
            style.into_iter().for_each(|style| bar.set_style(style));
            (name, bar)
        };
        Self { bars: names.map(bar), lines: !terminal && !json }
    }

    fn show(&self, first: usize, second: usize) {
        for ((_, bar), count) in self.bars.iter().zip([first, second]) {
            bar.set_position(count as u64);
        }
    }

    /// A line for those who have no terminal.
    fn line(&self) {
        if self.lines {
            let [first, second] = &self.bars;
            let (a, b) = (first.1.position(), second.1.position());
            eprintln!("{} {a:>5}   {} {b:>5}", first.0, second.0);
        }
    }

    fn finish(&self) {
        self.line();
        self.bars.iter().for_each(|(_, bar)| bar.finish());
    }
}
