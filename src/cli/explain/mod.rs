//! `airwrite explain`: what octets and captures say, as a tree.

mod keys;
mod tree;

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};

use super::cards::CardFileArguments;
use super::{ConfigArgument, Outcome, WRONG_INPUT};
use crate::explain::text::{self, Given};
use crate::explain::{Explainer, Keys, Kind, NoKeys, capture};
use crate::pcap;

/// The most that is read of a file or a pipe.
const OCTETS_MAX: u64 = 1024 * 1024 * 1024;

/// How the formats of captures begin: pcapng, and pcap in both orders of octets with micro- and nanoseconds.
const CAPTURES: [[u8; 4]; 5] = [
    [0x0A, 0x0D, 0x0D, 0x0A],
    [0xA1, 0xB2, 0xC3, 0xD4],
    [0xD4, 0xC3, 0xB2, 0xA1],
    [0xA1, 0xB2, 0x3C, 0x4D],
    [0x4D, 0x3C, 0xB2, 0xA1],
];

/// What is explained, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Hexadecimal digits, or a file: a capture (pcapng, pcap) or a text with digits or AT+CSIM lines. `-` or nothing: standard
    /// input
    input: Vec<String>,
    #[arg(long = "as", value_name = "KIND", help = format!("What the octets are, where the guess is not wanted: {}", Kind::names()))]
    kind: Option<Kind>,
    /// Verify and decipher with the keys of this card file (CSV)
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    keys: Option<PathBuf>,
    /// Verify and decipher with the keys in the configured store; stop `airwrite serve` meanwhile
    #[arg(long)]
    store: bool,
    #[command(flatten)]
    card_file: CardFileArguments,
    #[command(flatten)]
    config: ConfigArgument,
    /// Show the SMPP layer of every PDU of a capture too
    #[arg(long)]
    full: bool,
    /// Print JSON: a line for each thing explained; of a capture a line of its own, then one for each PDU
    #[arg(long)]
    json: bool,
}

/// What was given.
enum Input {
    Capture(Vec<u8>),
    Octets(Vec<Given>),
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let input = match read(&arguments.input) {
        Ok(input) => input,
        Err(error) => return wrong(&error),
    };
    let mut keys: Box<dyn Keys> = match &arguments.keys {
        Some(file) => Box::new(keys::of_file(file, &arguments.card_file, &arguments.config)?),
        None if arguments.store => Box::new(keys::of_store(&arguments.config.load()?).await?),
        None => Box::new(NoKeys),
    };
    match input {
        Input::Capture(octets) => of_capture(&octets, &arguments, &mut *keys),
        Input::Octets(given) => of_text(&given, &arguments, &mut *keys),
    }
}

fn of_capture(octets: &[u8], arguments: &Arguments, keys: &mut dyn Keys) -> Outcome {
    let read = pcap::read(octets)?;
    let (dialogues, events) = capture(&read, keys);
    let mut whole = !dialogues.truncated;
    let several = dialogues.connections.len() > 1;
    let head = match arguments.json {
        true => json(&dialogues)?,
        false => tree::of_dialogues(&dialogues),
    };
    // One by one: a capture may be large, and the trees of all its PDUs are much larger.
    let events = events.map(|event| {
        whole &= !event.tree.has_problem();
        match arguments.json {
            true => json(&event),
            false => Ok(tree::of_event(&event, several, arguments.full)),
        }
    });
    print([Ok(head)].into_iter().chain(events))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn of_text(given: &[Given], arguments: &Arguments, keys: &mut dyn Keys) -> Outcome {
    let mut text = String::new();
    let mut whole = true;
    let mut explainer = Explainer::new(keys);
    for Given { kind, octets, note } in given {
        let explanation = match explainer.explain(arguments.kind.or(*kind), octets) {
            Ok(explanation) => explanation,
            Err(error) => return wrong(&anyhow!("{error} KIND: {}", Kind::names())),
        };
        whole &= note.is_none() && !explanation.tree.has_problem();
        if let Some(note) = note {
            eprintln!("{note}");
        }
        if given.len() > 1 && !arguments.json && !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&match arguments.json {
            true => json(&explanation)?,
            false => tree::of_explanation(&explanation),
        });
    }
    print([Ok(text)])?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// Prints texts one by one, until whoever reads stops reading.
fn print(texts: impl IntoIterator<Item = Result<String>>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for text in texts {
        match out.write_all(text?.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            printed => printed?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// The command line, or what it leads to, is nothing that can be explained.
fn wrong(error: &anyhow::Error) -> Outcome {
    eprintln!("error: {error:#}");
    Ok(ExitCode::from(WRONG_INPUT))
}

/// Digits on the command line, in one piece or several, else a file, else standard input.
fn read(input: &[String]) -> Result<Input> {
    match input {
        [] if io::stdin().is_terminal() => {
            eprintln!("reading hexadecimal digits up to the end of the input (Ctrl-D)");
            of_octets(read_all(io::stdin().lock())?)
        }
        [] => of_octets(read_all(io::stdin().lock())?),
        [dash] if dash == "-" => of_octets(read_all(io::stdin().lock())?),
        [one] => match (text::read(one), fs::File::open(one)) {
            (Ok(given), _) => Ok(Input::Octets(given)),
            (Err(_), Ok(file)) => read_all(file).and_then(of_octets).with_context(|| one.clone()),
            // What looks like digits was mistyped; anything else was to be a file.
            (Err(_), Err(_)) if one.contains(['/', '.']) => {
                Err(anyhow!("{one}: no such file, and no hexadecimal digits"))
            }
            (Err(error), Err(_)) => Err(error.into()),
        },
        several => Ok(Input::Octets(text::read(&several.join(" "))?)),
    }
}

fn of_octets(octets: Vec<u8>) -> Result<Input> {
    if octets.first_chunk().is_some_and(|first| CAPTURES.contains(first)) {
        return Ok(Input::Capture(octets));
    }
    let text = str::from_utf8(&octets);
    let text = text.map_err(|_| anyhow!("expected a capture or a text with hexadecimal digits"))?;
    Ok(Input::Octets(text::read(text)?))
}

fn read_all(input: impl Read) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    input.take(OCTETS_MAX).read_to_end(&mut octets)?;
    Ok(octets)
}
