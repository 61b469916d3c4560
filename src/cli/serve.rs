//! `airwrite serve`: the gateway with its HTTP API, until it is asked to end.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::signals::{Asked, Signals};
use super::{ConfigArgument, Outcome, open};
use crate::api::webhook::{self, Webhooks};
use crate::api::{self, ApiMetrics, ApiState, HttpLookup};
use crate::config::{Config, ConfigError, LogConfig, LogFormat};
use crate::gateway::{CardLookup, EndpointRef, Gateway, GatewayConfig, World};
use crate::link::{LinkState, TcpConnector};
use crate::world::{SystemClock, SystemRng};

/// How long each part of the gateway may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// When the process ends although something still goes on.
const GRACE_MAX: Duration = Duration::from_secs(25);

/// What `serve` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let config = arguments.config.load()?;
    start_log(&config.log)?;
    let mut signals = Signals::listen()?;
    let listen = config.api.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("HTTP API on {listen} (choose another [api] listen where the port is taken)")
    })?;
    let address = listener.local_addr()?;

    let store = open::store(&config).await?;
    let world = World {
        vault: open::vault(&config, &*store).await?,
        store,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        connector: Arc::new(TcpConnector),
        lookup: card_lookup(&config)?,
    };
    let metrics = Arc::new(ApiMetrics::default());
    let stop = CancellationToken::new();
    let outboxes = webhook::World {
        store: world.store.clone(),
        clock: world.clock.clone(),
        rng: world.rng.clone(),
        metrics: Arc::clone(&metrics),
    };
    let gateway = Gateway::start(gateway_config(&config), world).await?;
    let webhooks = Webhooks::start(&outboxes, &config.webhooks, &config.endpoints, &stop)?;
    let sending = tokio::spawn(webhooks.clone().follow(gateway.clone()));
    let api = ApiState::new(gateway.clone(), &config.api, metrics).with_webhooks(webhooks);
    let mut serving = tokio::spawn(api::serve(listener, api, stop.clone()));
    tracing::info!(api = %format!("http://{address}"), "airwrite serves");

    let ended_early = tokio::select! {
        biased;
        signal = serve_signals(&mut signals, &gateway) => {
            tracing::info!(signal, "ending");
            None
        }
        ended = &mut serving => Some(ended),
    };
    stop.cancel();
    let end = async {
        // What the API has begun needs the gateway.
        if ended_early.is_none() {
            log_end((&mut serving).await);
        }
        if let Err(error) = sending.await {
            tracing::warn!(%error, "webhooks");
        }
        gateway.shutdown(GRACE).await;
    };
    let in_time = tokio::time::timeout(GRACE_MAX, end).await.is_ok();
    if !in_time {
        tracing::warn!("something did not end in time; what is durable is taken up at the next start");
    }
    match ended_early {
        Some(ended) => Err(anyhow!("the HTTP API ended: {ended:?}")),
        None if in_time => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

/// Waits until the process is asked to end. Until then, SIGHUP lets every link try again whose bind the SMSC has refused.
async fn serve_signals(signals: &mut Signals, gateway: &Gateway) -> &'static str {
    loop {
        match signals.next().await {
            Asked::End(signal) => return signal,
            Asked::TryAgain => {
                for link in gateway.links() {
                    if matches!(*link.state().borrow(), LinkState::Refused(_)) {
                        tracing::info!(link = %link.name(), "resumed by SIGHUP");
                    }
                    // A link that is usable may have a refused bind as well.
                    link.resume();
                }
            }
        }
    }
}

fn log_end(ended: Result<std::io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "HTTP API"),
        Err(error) => tracing::warn!(%error, "HTTP API"),
    }
}

/// Who is asked for cards; nobody where nothing is configured.
fn card_lookup(config: &Config) -> Result<Option<Arc<dyn CardLookup>>> {
    if config.lookups.is_empty() {
        return Ok(None);
    }
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let lookup = HttpLookup::new(&config.lookups, config.eid_checksum, clock, rng);
    Ok(Some(Arc::new(lookup.context("[[lookup]]")?)))
}

/// What the gateway needs of the configuration.
fn gateway_config(config: &Config) -> GatewayConfig {
    let outbox = |endpoint: &webhook::EndpointConfig| EndpointRef {
        name: endpoint.name.clone(),
        owner: endpoint.owner.clone(),
    };
    GatewayConfig {
        profiles: config.profiles.clone(),
        timers: config.timers.clone(),
        links: config.links.clone(),
        routes: config.routes.clone(),
        endpoints: config.endpoints.iter().map(outbox).collect(),
        eid_checksum: config.eid_checksum,
        delivery_hours: config.delivery_hours.clone(),
        retention: config.retention.clone(),
    }
}

fn start_log(config: &LogConfig) -> Result<()> {
    let filter =
        EnvFilter::try_new(&config.level).map_err(|_| ConfigError::Log { level: config.level.clone() })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| anyhow!("log: {error}"))
}
