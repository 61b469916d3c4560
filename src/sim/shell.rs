//! The operator on a network: one task owns the [`Operator`] and the time, one task each session of an ESME.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::identity::{Imsi, Msisdn};
use crate::pcap::{Addresses, Recorder, Side};
use crate::sim::card::CardSpec;
use crate::sim::deliveries::EsmeId;
use crate::sim::hlr::TerminalId;
use crate::sim::milenage::Credentials;
use crate::sim::operator::{Input, Operator, OperatorConfig, Output, Report};
use crate::sim::session;
use crate::sim::tls::TlsServer;
use crate::world::{Clock, Rng};

/// Commands that wait for the operator; then sessions stop reading.
const COMMANDS_MAX: usize = 1024;
/// Results that wait for a session: what it may have asked, and what it may be sent.
const OUTPUTS_MAX: usize = session::SUBMITS_MAX + 1024;
/// Connections at one time.
const SESSIONS_MAX: usize = 256;
/// After an accept that failed, as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// An ESME that may bind.
#[derive(Debug, Clone)]
pub struct EsmeAccount {
    /// system_id of the bind.
    pub system_id: String,
    /// password of the bind.
    pub password: SecretString,
    /// The short codes whose messages it gets, digits only.
    pub short_codes: Vec<String>,
}

/// What a simulated operator is set up with.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Register, message centre, latencies.
    pub operator: OperatorConfig,
    /// Who may bind.
    pub accounts: Vec<EsmeAccount>,
    /// system_id in the answer to a bind.
    pub system_id: String,
    /// How long a deliver_sm waits for its response.
    pub response_timeout: Duration,
    /// After so long without a word from the ESME it is asked by enquire_link.
    pub enquire_link: Duration,
    /// Records the connections that the listener takes.
    pub recorder: Option<Recorder>,
    /// TLS on the listener; none where absent.
    pub tls: Option<TlsServer>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            operator: OperatorConfig::default(),
            accounts: Vec::new(),
            system_id: "SIMSMSC".to_owned(),
            response_timeout: Duration::from_secs(8),
            enquire_link: Duration::from_secs(30),
            recorder: None,
            tls: None,
        }
    }
}

/// The operator has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulated operator has been stopped")]
pub struct Stopped;

/// What the task that owns the operator is asked.
pub(super) enum Request {
    Input(Input),
    /// A session has bound, and takes its outputs here.
    Bound(EsmeId, mpsc::Sender<Output>, Input),
    /// A C-APDU for a card, and where its R-APDU goes.
    Transmit(TerminalId, Vec<u8>, oneshot::Sender<Vec<u8>>),
    Snapshot(oneshot::Sender<Report>),
}

/// Starts an operator whose terminals, in the order of `cards`, are off. Without a `listener` ESMEs come by
/// [`SimHandle::serve`] only. Needs a tokio runtime.
#[must_use]
pub fn start(
    config: SimConfig,
    cards: &[CardSpec],
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    listener: Option<TcpListener>,
) -> SimHandle {
    let (requests, inbox) = mpsc::channel(COMMANDS_MAX);
    let operator = Operator::new(config.operator.clone(), cards, rng);
    let handle = SimHandle {
        requests,
        shared: Arc::new(Shared {
            config,
            address: listener.as_ref().and_then(|listener| listener.local_addr().ok()),
            last_esme: AtomicU64::new(0),
            leave: CancellationToken::new(),
            stop: CancellationToken::new(),
            sessions: TaskTracker::new(),
            owner: TaskTracker::new(),
        }),
    };
    handle.shared.owner.spawn(own(operator, clock, inbox, handle.shared.stop.clone()));
    if let Some(listener) = listener {
        let acceptor = handle.clone();
        handle.shared.sessions.spawn(async move { acceptor.accept(listener).await });
    }
    handle
}

/// A running operator. Clones are the same operator; it runs until [`SimHandle::stop`].
#[derive(Clone)]
pub struct SimHandle {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

struct Shared {
    config: SimConfig,
    address: Option<SocketAddr>,
    last_esme: AtomicU64,
    leave: CancellationToken,
    stop: CancellationToken,
    sessions: TaskTracker,
    owner: TaskTracker,
}

impl std::fmt::Debug for SimHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimHandle").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl SimHandle {
    /// Where ESMEs connect; `None` without a listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.address
    }

    /// Switches terminals on, by their place in the list of cards. One that is on starts anew.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn power_on(&self, terminals: impl IntoIterator<Item = TerminalId>) -> Result<(), Stopped> {
        for terminal in terminals {
            self.send(Request::Input(Input::PowerOn(terminal))).await?;
        }
        Ok(())
    }

    /// Switches terminals off. What the cards have stored stays.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn power_off(&self, terminals: impl IntoIterator<Item = TerminalId>) -> Result<(), Stopped> {
        for terminal in terminals {
            self.send(Request::Input(Input::PowerOff(terminal))).await?;
        }
        Ok(())
    }

    /// Adds a subscriber with the keys that every card's pool holds for this IMSI, or gives it another number.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn provision(&self, imsi: Imsi, msisdn: Msisdn) -> Result<(), Stopped> {
        self.send(Request::Input(Input::Provision(imsi, msisdn))).await
    }

    /// Adds a subscriber with keys that no card has: whoever is written with it finds no service.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn provision_with(
        &self,
        imsi: Imsi,
        msisdn: Msisdn,
        credentials: Credentials,
    ) -> Result<(), Stopped> {
        self.send(Request::Input(Input::ProvisionWith(imsi, msisdn, credentials))).await
    }

    /// Lets a terminal refuse its next so many REFRESH.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn refuse_refresh(&self, terminal: TerminalId, times: u32) -> Result<(), Stopped> {
        self.send(Request::Input(Input::RefuseRefresh(terminal, times))).await
    }

    /// Passes one C-APDU to the card in the `terminal`-th device, as a tool on a production line does by
    /// AT+CSIM, and gives the R-APDU: data, SW1, SW2. 61xx is for the tool to fetch by GET RESPONSE (00 C0 00
    /// 00 xx); 91xx is the device's affair: it serves the card's proactive commands, and after a REFRESH it
    /// resets the card and attaches as whoever the card is then. Until a response has been fetched the device
    /// keeps its own commands back.
    ///
    /// A device that is off, or about to start again, is switched on first; without any sign of the card, or of a device
    /// in that place, the answer is 6F00.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn transmit(&self, terminal: TerminalId, apdu: Vec<u8>) -> Result<Vec<u8>, Stopped> {
        let (answer, response) = oneshot::channel();
        self.send(Request::Transmit(terminal, apdu, answer)).await?;
        response.await.map_err(|_| Stopped)
    }

    /// Resets the card in the `terminal`-th device, by switching that off and on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn reset(&self, terminal: TerminalId) -> Result<(), Stopped> {
        self.power_on([terminal]).await
    }

    /// Ends the plan of faults: from now on nothing more goes wrong, what is asleep or refused comes back at once, what
    /// has no power or is late comes within the plan's times. Cards that are barred or silent stay so.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn heal(&self) -> Result<(), Stopped> {
        self.send(Request::Input(Input::Heal)).await
    }

    /// What everything is like now.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn snapshot(&self) -> Result<Report, Stopped> {
        let (answer, report) = oneshot::channel();
        self.send(Request::Snapshot(answer)).await?;
        report.await.map_err(|_| Stopped)
    }

    /// Serves an ESME on a stream that is already connected, in a task of its own.
    pub fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let esme = EsmeId(self.shared.last_esme.fetch_add(1, Ordering::Relaxed) + 1);
        let (requests, shared) = (self.requests.clone(), Arc::clone(&self.shared));
        self.shared.sessions.spawn(async move {
            session::serve(stream, esme, &shared.config, OUTPUTS_MAX, &requests, &shared.leave).await;
        });
    }

    /// Serves an ESME, and records what is said where that is asked for.
    fn serve_recorded<S>(&self, stream: S, addresses: Option<Addresses>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match &self.shared.config.recorder {
            Some(recorder) => self.serve(recorder.record(stream, Side::Server, addresses)),
            None => self.serve(stream),
        }
    }

    fn serve_tls(&self, tls: TlsServer, stream: TcpStream, peer: SocketAddr, addresses: Option<Addresses>) {
        let handle = self.clone();
        self.shared.sessions.spawn(self.shared.leave.clone().run_until_cancelled_owned(async move {
            match tls.accept(stream).await {
                Ok(stream) => handle.serve_recorded(stream, addresses),
                Err(error) => tracing::warn!(%peer, %error, "TLS handshake"),
            }
        }));
    }

    /// Unbinds every session, then ends. Waits until all is done.
    pub async fn stop(self) {
        self.shared.leave.cancel();
        self.shared.sessions.close();
        self.shared.sessions.wait().await;
        self.shared.stop.cancel();
        self.shared.owner.close();
        self.shared.owner.wait().await;
    }

    async fn send(&self, request: Request) -> Result<(), Stopped> {
        self.requests.send(request).await.map_err(|_| Stopped)
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            let accepted: io::Result<_> = tokio::select! {
                biased;
                () = self.shared.leave.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if self.shared.sessions.len() <= SESSIONS_MAX => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::warn!(%peer, %error, "no TCP_NODELAY");
                    }
                    let addresses = stream.local_addr().ok().map(|server| Addresses { client: peer, server });
                    match self.shared.config.tls.clone() {
                        None => self.serve_recorded(stream, addresses),
                        Some(tls) => self.serve_tls(tls, stream, peer, addresses),
                    }
                }
                Ok((_, peer)) => tracing::warn!(%peer, "too many connections"),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Owns the operator: hands it what comes in and the time, and spreads what comes out.
async fn own(
    mut operator: Operator,
    clock: Arc<dyn Clock>,
    mut inbox: mpsc::Receiver<Request>,
    stop: CancellationToken,
) {
    let mut esmes: BTreeMap<EsmeId, mpsc::Sender<Output>> = BTreeMap::new();
    loop {
        let wait_ms = operator.next_deadline().map(|due| due.saturating_sub(clock.now_ms()));
        let request = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            request = inbox.recv() => match request {
                Some(request) => request,
                None => return,
            },
            () = tokio::time::sleep(Duration::from_millis(wait_ms.unwrap_or_default())), if wait_ms.is_some() => {
                Request::Input(Input::Tick)
            }
        };
        match request {
            Request::Input(input) => {
                if let Input::Unbound(esme) = &input {
                    esmes.remove(esme);
                }
                operator.handle(clock.now_ms(), input);
            }
            Request::Bound(esme, outputs, input) => {
                esmes.insert(esme, outputs);
                operator.handle(clock.now_ms(), input);
            }
            Request::Transmit(terminal, apdu, answer) => {
                // Whoever asked may be gone.
                let _ = answer.send(operator.transmit(clock.now_ms(), terminal, &apdu));
            }
            Request::Snapshot(answer) => {
                operator.handle(clock.now_ms(), Input::Tick);
                // Whoever asked may be gone.
                let _ = answer.send(operator.snapshot());
            }
        }
        while let Some(output) = operator.poll_output() {
            let esme = output.esme();
            // A session that does not take what it has room for is lost; its end gives back what it held.
            if esmes.get(&esme).is_some_and(|outputs| outputs.try_send(output).is_err()) {
                esmes.remove(&esme);
            }
        }
    }
}
