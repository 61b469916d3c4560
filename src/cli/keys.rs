//! `airwrite keys`: API keys in the store, and a new master key.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{ConfigArgument, Outcome, open, print_json};
use crate::api::{Scope, create_key, list_keys, revoke_key};
use crate::card::Owner;
use crate::store::records::ApiKey;
use crate::vault::MasterKey;
use crate::world::{SystemClock, SystemRng};

/// What `keys` can do. API keys live in the store, which one process has open: stop `airwrite serve` meanwhile.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an API key and show it, this once
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// Whose things it opens
        #[arg(long, default_value = "default")]
        owner: Owner,
        /// What people call it
        #[arg(long, default_value = "unnamed")]
        name: String,
        /// What it may do: orders:read, orders:write, cards:read, cards:write, admin; all but admin where none is named
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<Scope>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every API key, without its secret
    List {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an API key open nothing any more
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// The key's id: `key_…`
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a master key in a new file that only its owner may read
    Master {
        /// The file; never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// An API key as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    owner: &'a str,
    name: &'a str,
    scopes: Vec<Scope>,
    created_ms: u64,
    revoked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(key: &'a ApiKey, token: Option<&'a str>) -> Self {
        let (id, owner, name) = (key.id.as_str(), key.owner.as_str(), key.name.as_str());
        let scopes = Scope::of_key(key).into_iter().collect();
        Self { id, owner, name, scopes, created_ms: key.created, revoked: key.revoked, token }
    }
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::Create { config, owner, name, scope, json } => {
            let scopes = match scope.is_empty() {
                true => Scope::all_but_admin(),
                false => scope.into_iter().collect(),
            };
            create(&config, owner, &name, &scopes, json).await?;
        }
        Command::List { config, json } => list(&config, json).await?,
        Command::Revoke { config, id, json } => revoke(&config, &id, json).await?,
        Command::Master { out } => {
            let key = MasterKey::create(&out, &SystemRng)?;
            println!("{}: master key {}. Keep a copy apart from the store.", out.display(), key.id());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(
    config: &ConfigArgument,
    owner: Owner,
    name: &str,
    scopes: &BTreeSet<Scope>,
    json: bool,
) -> Result<()> {
    let store = open::store(&config.load()?).await?;
    let (key, token) = create_key(&*store, &SystemClock, &SystemRng, owner, name, scopes).await?;
    store.close().await?;
    if json {
        return print_json(&Shown::of(&key, Some(token.expose_secret())));
    }
    println!("{}", token.expose_secret());
    eprintln!("API key {} of {}; it cannot be shown again", key.id, key.owner);
    Ok(())
}

async fn list(config: &ConfigArgument, json: bool) -> Result<()> {
    let store = open::store(&config.load()?).await?;
    let keys = list_keys(&*store).await?;
    store.close().await?;
    if json {
        return print_json(&keys.iter().map(|key| Shown::of(key, None)).collect::<Vec<_>>());
    }
    for key in &keys {
        let state = if key.revoked { "revoked" } else { "valid" };
        let scopes: Vec<&str> = Scope::of_key(key).into_iter().map(Scope::name).collect();
        println!("{}  {state:7}  {}  {}  {}", key.id, key.owner, scopes.join(","), key.name);
    }
    Ok(())
}

async fn revoke(config: &ConfigArgument, id: &str, json: bool) -> Result<()> {
    let store = open::store(&config.load()?).await?;
    let key = revoke_key(&*store, id, None).await?;
    store.close().await?;
    if json {
        return print_json(&Shown::of(&key, None));
    }
    println!("{} is revoked", key.id);
    Ok(())
}
