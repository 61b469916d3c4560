//! The commands of the `airwrite` program: they read what they are told, wire the rooms together and report.
//!
//! What a command was asked for goes to standard output, for people or (`--json`) for programs; progress, logs and
//! errors go to standard error. The process ends with 0 where everything was done, 1 where something failed, and 2
//! where the command line or the configuration is wrong.

mod cards;
mod client;
mod demo;
mod explain;
mod keys;
mod open;
mod profile;
mod relay;
pub mod sample;
mod serve;
mod signals;
mod smsc;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment};

/// What a command comes to: the exit code, or an error that is shown in a line.
pub type Outcome = anyhow::Result<ExitCode>;

/// Exit code for a wrong command line or configuration; clap uses the same.
const WRONG_INPUT: u8 = 2;

/// Opens IoT eSIM cards over the air.
#[derive(Debug, Parser)]
#[command(name = "airwrite", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway: links to SMSCs, HTTP API, webhooks
    Serve(serve::Arguments),
    /// Run a simulated operator: SMSC, home register, devices with cards
    Smsc(Box<smsc::Arguments>),
    /// Import cards, or make sample cards
    #[command(subcommand)]
    Cards(cards::Command),
    /// Make, list and revoke API keys; make a master key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check profiles, the descriptions of kinds of cards
    #[command(subcommand)]
    Profile(profile::Command),
    /// Order a write at a running gateway
    Write(write::Arguments),
    /// Serve writes on site: bring packets to cards in APDUs, and post back their answers
    Relay(relay::Arguments),
    /// Show what packets and captures say, field by field
    Explain(explain::Arguments),
    /// Show everything at once: operator, gateway, bindings, orders, proofs
    Demo(demo::Arguments),
}

/// The configuration that a command works with.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "config/airwrite.toml")]
    config: PathBuf,
}

impl ConfigArgument {
    /// The configuration, with the environment's overrides.
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.config, &Environment::of_process())
    }
}

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(arguments.command)).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        let wrong_input = error.chain().any(|cause| cause.is::<ConfigError>());
        if wrong_input { ExitCode::from(WRONG_INPUT) } else { ExitCode::FAILURE }
    })
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Smsc(arguments) => smsc::run(*arguments).await,
        Command::Cards(command) => cards::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Profile(command) => profile::run(command).await,
        Command::Write(arguments) => write::run(arguments).await,
        Command::Relay(arguments) => relay::run(arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    }
}

/// Prints what a program reads: one JSON document on a line of its own.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
