//! `airwrite demo`: an operator, a gateway and a business platform in one process, over real TCP and a durable store.
//!
//! | module | what it plays |
//! |---|---|
//! | `stage` | everything that runs: SMSC with cards, gateway, HTTP API |
//! | `platform` | the business platform: orders over HTTP, takes webhooks, checks their signatures |
//! | `verdict` | what came of it, from both sides |

mod platform;
mod stage;
mod verdict;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::Outcome;
use super::sample::sample;
use platform::Platform;
use stage::Stage;
use verdict::Verdict;

/// The demo fails when it takes longer.
const LIMIT: Duration = Duration::from_secs(55);

/// One order in so many is placed before its card is powered on.
const EARLY: usize = 3;

/// What the demo is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many cards to power on
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cards: u32,
    /// Stay up afterwards and say what to try next
    #[arg(long)]
    keep: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// What everything random in the simulated network follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let began = Instant::now();
    let sample = sample(arguments.cards, arguments.seed)?;
    let platform = Platform::start().await?;
    let stage = Stage::start(&sample, arguments.seed, platform.endpoint()?).await?;
    if !arguments.json {
        eprintln!("SMSC on {}, HTTP API on {}, {} cards imported", stage.smsc, stage.api, arguments.cards);
    }
    let progress = Progress::new(arguments.cards, arguments.json);

    let early = (0..sample.cards.len()).filter(|index| index % EARLY == 0);
    platform.order_all(&stage, &sample, early).await?;
    stage.power_on_all().await?;
    let in_time = platform.serve_customers(&stage, &sample, began + LIMIT, &progress).await?;
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
    bound: ProgressBar,
    effective: ProgressBar,
    lines: bool,
}

impl Progress {
    fn new(cards: u32, json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target =
            if terminal && !json { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let bar = |name: &'static str| {
            let style = ProgressStyle::with_template("{prefix:>10} {bar:40} {pos}/{len}");
            let bar = bars.add(ProgressBar::new(cards.into())).with_prefix(name);
            style.into_iter().for_each(|style| bar.set_style(style));
            bar
        };
        Self { bound: bar("bound"), effective: bar("effective"), lines: !terminal && !json }
    }

    fn show(&self, bound: usize, effective: usize) {
        self.bound.set_position(bound as u64);
        self.effective.set_position(effective as u64);
    }

    /// A line for those who have no terminal.
    fn line(&self) {
        if self.lines {
            eprintln!("bound {:>5}   effective {:>5}", self.bound.position(), self.effective.position());
        }
    }

    fn finish(&self) {
        self.line();
        self.bound.finish();
        self.effective.finish();
    }
}
