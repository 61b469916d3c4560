//! One session of an ESME: octets to and from the stream, the rules in [`crate::smpp::Session`], everything else at
//! the operator.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::sim::deliveries::{DeliveryId, EsmeId};
use crate::sim::operator::{Input, Output};
use crate::sim::shell::{EsmeAccount, Request, SimConfig};
use crate::smpp::{
    Bind, CloseReason, CommandStatus, End, Event, MessageId, Role, Session, SessionConfig, SystemId,
    Unanswered, UnansweredBind,
};

/// Requests without an answer, above which nothing is read.
pub(super) const SUBMITS_MAX: usize = 1024;
/// Room kept for one read.
const READ_OCTETS: usize = 16 * 1024;
/// An ESME that does not take what is written for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// After the operator wants to leave, a session has so long to end by unbind.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves an ESME until the session ends, and tells the operator so.
pub(super) async fn serve<S>(
    stream: S,
    esme: EsmeId,
    config: &SimConfig,
    outputs_max: usize,
    operator: &mpsc::Sender<Request>,
    leave: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (to_session, outputs) = mpsc::channel(outputs_max);
    let session_config = SessionConfig {
        window: u16::try_from(config.operator.smsc.deliver_window).unwrap_or(u16::MAX),
        response_timeout: config.response_timeout,
        enquire_link: Some(config.enquire_link),
        ..SessionConfig::new(Role::Smsc)
    };
    let mut server = Server {
        esme,
        config,
        operator,
        to_session: Some(to_session),
        session: Session::new(session_config, now()),
        unanswered: BTreeMap::new(),
        last_token: 0,
        cut: None,
    };
    let reason = server.run(stream, outputs, leave).await;
    tracing::debug!(esme = esme.0, %reason, "session ended");
    // The operator may have been stopped before.
    let _ = operator.send(Request::Input(Input::Unbound(esme))).await;
}

struct Server<'a> {
    esme: EsmeId,
    config: &'a SimConfig,
    operator: &'a mpsc::Sender<Request>,
    /// Given to the operator with the first bind that succeeds.
    to_session: Option<mpsc::Sender<Output>>,
    session: Session<DeliveryId>,
    unanswered: BTreeMap<u64, Unanswered>,
    last_token: u64,
    cut: Option<Cut>,
}

/// How the connection is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    AtOnce,
    /// In the middle of what is written next.
    WithinPdu,
}

impl Server<'_> {
    async fn run<S>(
        &mut self,
        mut stream: S,
        mut outputs: mpsc::Receiver<Output>,
        leave: &CancellationToken,
    ) -> CloseReason
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut input = BytesMut::new();
        let mut leave_by: Option<Instant> = None;
        loop {
            let closed = self.handle_events().await;
            if closed.is_none() && self.cut_now(&mut stream).await {
                continue;
            }
            if !self.session.output().is_empty() {
                let octets = self.session.output().split();
                let written = tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(&octets)).await;
                if !matches!(written, Ok(Ok(()))) && closed.is_none() {
                    self.session.close(now(), CloseReason::ConnectionLost);
                    continue;
                }
            }
            if let Some(reason) = closed {
                // A peer that is gone already does not mind.
                let _ = stream.shutdown().await;
                return reason;
            }
            let deadline = self.session.next_deadline().map(Instant::from_std);
            let deadline = [deadline, leave_by].into_iter().flatten().min();
            let reading = self.session.unanswered() < SUBMITS_MAX;
            if input.capacity() - input.len() < READ_OCTETS / 4 {
                input.reserve(READ_OCTETS);
            }
            tokio::select! {
                biased;
                () = leave.cancelled(), if leave_by.is_none() => {
                    leave_by = Some(Instant::now() + LEAVE_TIMEOUT);
                    self.session.unbind(now());
                }
                output = outputs.recv() => match output {
                    Some(output) => self.handle_output(output).await,
                    None => self.session.close(now(), CloseReason::ConnectionLost),
                },
                read = stream.read_buf(&mut input), if reading => match read {
                    Ok(0) | Err(_) => self.session.close(now(), CloseReason::ConnectionLost),
                    Ok(_) => self.session.receive(now(), &mut input),
                },
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.session.handle_timeout(now());
                    if leave_by.is_some_and(|by| by <= Instant::now()) {
                        self.session.close(now(), CloseReason::ConnectionLost);
                    }
                }
            }
        }
    }

    /// Cuts the connection if that is to be done now: not a word more, or half of what there is to say.
    async fn cut_now<S>(&mut self, stream: &mut S) -> bool
    where
        S: AsyncWrite + Unpin,
    {
        let octets = match self.cut {
            Some(Cut::WithinPdu) if !self.session.output().is_empty() => self.session.output().split(),
            Some(Cut::AtOnce) => BytesMut::new(),
            Some(Cut::WithinPdu) | None => return false,
        };
        // It is to be lost, so losing it is no error.
        let half = octets.get(..octets.len() / 2).unwrap_or_default();
        let _ = tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(half)).await;
        self.session.output().clear();
        self.session.close(now(), CloseReason::ConnectionLost);
        true
    }

    async fn handle_events(&mut self) -> Option<CloseReason> {
        while let Some(event) = self.session.next_event() {
            match event {
                Event::Bind(unanswered, bind) => self.bind(unanswered, &bind).await,
                Event::Sm(unanswered, sm) => {
                    let (esme, token) = (self.esme, self.keep(unanswered));
                    self.tell(Input::Submit { esme, token, sm: Box::new(sm) }).await;
                }
                Event::Ended { token, end, .. } => {
                    let status = match end {
                        End::Answered(pdu) => Some(pdu.status),
                        End::TimedOut | End::Lost => None,
                    };
                    self.tell(Input::Answered(token, status)).await;
                }
                Event::Refused { command_id, status, .. } => {
                    tracing::debug!(esme = self.esme.0, %command_id, %status, "refused");
                }
                Event::Request(unanswered, body) => {
                    let (esme, token) = (self.esme, self.keep(unanswered));
                    self.tell(Input::Request { esme, token, body: Box::new(body) }).await;
                }
                Event::Late(_) | Event::Unexpected(_) | Event::Notification(_) | Event::Full(_) => {}
                Event::Closed(reason) => return Some(reason),
            }
        }
        None
    }

    /// Keeps the right to answer until the operator has the answer.
    fn keep(&mut self, unanswered: Unanswered) -> u64 {
        self.last_token += 1;
        self.unanswered.insert(self.last_token, unanswered);
        self.last_token
    }

    async fn bind(&mut self, unanswered: UnansweredBind, bind: &Bind) {
        let status = match account(self.config, bind) {
            Ok(account) => match self.to_session.take() {
                Some(outputs) => {
                    let input = Input::Bound {
                        esme: self.esme,
                        system_id: account.system_id.clone(),
                        short_codes: account.short_codes.clone(),
                        delivers: bind.mode.delivers(),
                    };
                    match self.operator.send(Request::Bound(self.esme, outputs, input)).await {
                        Ok(()) => CommandStatus::ESME_ROK,
                        Err(_) => CommandStatus::ESME_RSYSERR,
                    }
                }
                None => CommandStatus::ESME_RALYBND,
            },
            Err(status) => status,
        };
        let system_id = SystemId::new(self.config.system_id.as_bytes()).unwrap_or_default();
        self.session.answer_bind(unanswered, status, system_id);
    }

    async fn handle_output(&mut self, output: Output) {
        match output {
            Output::SubmitAnswer { token, answer, .. } => {
                if let Some(unanswered) = self.unanswered.remove(&token) {
                    let (status, id) = match answer {
                        Ok(id) => (CommandStatus::ESME_ROK, id.parse().unwrap_or_default()),
                        Err(status) => (status, MessageId::default()),
                    };
                    self.session.answer_sm(now(), unanswered, status, id);
                }
            }
            Output::Answer { token, answer, .. } => {
                let Some(unanswered) = self.unanswered.remove(&token) else { return };
                match answer {
                    // Of another kind it is answered with an error.
                    Ok(body) => {
                        let _ = self.session.answer(now(), unanswered, CommandStatus::ESME_ROK, &body);
                    }
                    Err(status) => self.session.reject(now(), unanswered, status),
                }
            }
            Output::Cut { within_pdu, .. } => {
                self.cut = Some(if within_pdu { Cut::WithinPdu } else { Cut::AtOnce });
            }
            Output::Deliver { delivery, sm, .. } => {
                if let Err((_, delivery)) = self.session.send_sm(now(), &sm, delivery) {
                    self.tell(Input::Answered(delivery, None)).await;
                }
            }
        }
    }

    /// A stopped operator needs to know nothing any more; the session ends by itself then.
    async fn tell(&self, input: Input) {
        let _ = self.operator.send(Request::Input(input)).await;
    }
}

/// The account that this bind proves to be of.
fn account<'a>(config: &'a SimConfig, bind: &Bind) -> Result<&'a EsmeAccount, CommandStatus> {
    let account = config
        .accounts
        .iter()
        .find(|account| account.system_id.as_bytes() == bind.system_id.as_bytes())
        .ok_or(CommandStatus::ESME_RINVSYSID)?;
    let genuine = account.password.expose_secret().as_bytes() == bind.password.as_bytes();
    if genuine { Ok(account) } else { Err(CommandStatus::ESME_RINVPASWD) }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
