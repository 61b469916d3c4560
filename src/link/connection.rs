//! One connection from bind to close: the session's octets over a transport.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Answered;
use super::handle::{Command, Pending};
use super::metrics::count;
use super::task::{BindTask, decline};
use super::{Answer, Delivery, LinkState, SubmitOutcome, Transport, UnknownReason};
use crate::smpp::{
    Body, CloseReason, CommandStatus, End, Event, MessageId, Pdu, Role, Session, SessionConfig, Sm,
    UnansweredSm,
};

/// Room kept for one read.
const READ_OCTETS: usize = 16 * 1024;

/// With more than this unwritten nothing more is read: the peer does not read either.
const OUTPUT_OCTETS: usize = 256 * 1024;

/// How long the last octets (an unbind_resp, a generic_nack) may take once the session is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The link closes.
    Closed,
    /// The SMSC refuses the credentials.
    Refused(CommandStatus),
    /// Everything else; how long the bind was up.
    Lost { bound_for: Option<Duration> },
}

/// Whom the end of a request concerns.
enum Token {
    Bind,
    Submit(Pending),
}

/// One connection and its session.
pub(super) struct Connection<'a> {
    task: &'a mut BindTask,
    session: Session<Token>,
    answers: mpsc::Receiver<Answered>,
    answer: mpsc::Sender<Answered>,
    /// Messages handed to the gateway and not answered yet.
    unanswered: usize,
    bound_at: Option<Instant>,
    refused: Option<CommandStatus>,
    /// By when the graceful close must be done, once it has begun.
    close_by: Option<Instant>,
    /// By when the transport must take octets, while some wait.
    write_by: Option<Instant>,
}

/// What woke the connection.
enum Wake {
    Shutdown,
    Wrote(io::Result<()>),
    Commands(usize),
    Answers,
    Read(io::Result<usize>),
    Deadline,
}

impl<'a> Connection<'a> {
    /// A connection that has just come up.
    pub(super) fn new(task: &'a mut BindTask, now: Instant) -> Self {
        let config = &task.shared.config;
        let session = SessionConfig {
            window: config.window,
            response_timeout: config.response_timeout(),
            enquire_link: (config.enquire_link_ms > 0).then(|| Duration::from_millis(config.enquire_link_ms)),
            ..SessionConfig::new(Role::Esme)
        };
        // One answer for each message the session may hold unanswered.
        let (answer, answers) = mpsc::channel(config.inbound_queue.into());
        Self {
            session: Session::new(session, now.into_std()),
            answers,
            answer,
            unanswered: 0,
            bound_at: None,
            refused: None,
            close_by: None,
            write_by: None,
            task,
        }
    }

    /// Binds and serves until the connection is over. Every request handed over has its end then.
    pub(super) async fn serve(mut self, transport: Box<dyn Transport>) -> Over {
        let bind = self.task.shared.dialect.bind(self.task.mode);
        // A fresh session always takes a bind.
        let _ = self.session.send_bind(Instant::now().into_std(), &bind, Token::Bind);
        let (mut reader, mut writer) = tokio::io::split(transport);
        self.run(&mut reader, &mut writer).await;
        self.task.set_state(LinkState::Connecting);
        let farewell = async {
            writer.write_all_buf(self.session.output()).await?;
            writer.shutdown().await
        };
        tokio::select! {
            biased;
            never = decline(&mut self.task.commands) => match never {},
            // Nothing depends on whether it arrives.
            _ = timeout(FAREWELL, farewell) => {}
        }
        self.over()
    }

    async fn run(
        &mut self,
        reader: &mut ReadHalf<Box<dyn Transport>>,
        writer: &mut WriteHalf<Box<dyn Transport>>,
    ) {
        let shared = Arc::clone(&self.task.shared);
        let window = usize::from(shared.config.window);
        let mut input = BytesMut::with_capacity(READ_OCTETS);
        let (mut commands, mut answered) = (Vec::new(), Vec::new());
        let mut flush = false;
        loop {
            self.handle_events();
            if self.session.is_closed() {
                return;
            }
            let unwritten = self.session.output().len();
            if unwritten > 0 && self.write_by.is_none() {
                self.write_by = Some(Instant::now() + shared.config.write_timeout());
            }
            if input.capacity() - input.len() < READ_OCTETS / 4 {
                input.reserve(READ_OCTETS);
            }
            let deadline = self.next_deadline();
            let wake = tokio::select! {
                biased;
                () = shared.shutdown.cancelled(), if self.close_by.is_none() => Wake::Shutdown,
                written = write(writer, self.session.output()), if unwritten > 0 || flush => Wake::Wrote(written),
                () = at(deadline) => Wake::Deadline,
                count = next_commands(&mut self.task.commands, &mut commands, window) => Wake::Commands(count),
                _ = self.answers.recv_many(&mut answered, window.max(64)) => Wake::Answers,
                read = reader.read_buf(&mut input), if unwritten < OUTPUT_OCTETS => Wake::Read(read),
            };
            let now = Instant::now();
            match wake {
                Wake::Shutdown => {
                    self.close_by = Some(now + shared.config.write_timeout());
                    self.session.unbind(now.into_std());
                }
                Wake::Wrote(Ok(())) => {
                    self.write_by = None;
                    flush = unwritten > 0 && self.session.output().is_empty();
                }
                Wake::Commands(0) => self.task.commands = None,
                Wake::Commands(_) => commands.drain(..).for_each(|command| self.submit(now, command)),
                Wake::Answers => answered.drain(..).for_each(|answer| self.send_answer(now, answer)),
                Wake::Read(Ok(1..)) => self.session.receive(now.into_std(), &mut input),
                Wake::Wrote(ended) => self.lose(now, ended),
                Wake::Read(ended) => self.lose(now, ended.map(|_| ())),
                Wake::Deadline => self.handle_deadline(now),
            }
        }
    }

    fn submit(&mut self, now: Instant, command: Command) {
        let Command { sm, pending } = command;
        match self.session.send_sm(now.into_std(), &sm, Token::Submit(pending)) {
            Ok(_) => count(&self.task.shared.metrics.submitted),
            Err((_, Token::Submit(pending))) => pending.end(SubmitOutcome::NotSent),
            Err((_, Token::Bind)) => {}
        }
    }

    fn send_answer(&mut self, now: Instant, answered: Answered) {
        let Answered { sm, status, received } = answered;
        self.unanswered = self.unanswered.saturating_sub(1);
        self.task.shared.metrics.answer.record(now.saturating_duration_since(received));
        self.session.answer_sm(now.into_std(), sm, status, MessageId::EMPTY);
    }

    fn lose(&mut self, now: Instant, ended: io::Result<()>) {
        let (link, bind) = (&self.task.shared.name, self.task.mode);
        match ended {
            Ok(()) => tracing::warn!(%link, ?bind, "the SMSC closed the connection"),
            Err(error) => tracing::warn!(%link, ?bind, %error, "the connection broke"),
        }
        self.session.close(now.into_std(), CloseReason::ConnectionLost);
    }

    // ---- Time

    fn next_deadline(&self) -> Option<Instant> {
        let session = self.session.next_deadline().map(Instant::from_std);
        [session, self.write_by, self.close_by].into_iter().flatten().min()
    }

    fn handle_deadline(&mut self, now: Instant) {
        let (link, bind) = (&self.task.shared.name, self.task.mode);
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.write_by) {
            tracing::warn!(%link, ?bind, "the SMSC has stopped reading");
            self.session.close(now.into_std(), CloseReason::ConnectionLost);
        } else if passed(self.close_by) {
            tracing::warn!(%link, ?bind, "closing without waiting any longer");
            self.session.close(now.into_std(), CloseReason::ConnectionLost);
        } else {
            self.session.handle_timeout(now.into_std());
        }
    }

    // ---- Events

    fn handle_events(&mut self) {
        while let Some(event) = self.session.next_event() {
            let shared = &self.task.shared;
            let (link, metrics) = (&shared.name, &shared.metrics);
            match event {
                Event::Sm(unanswered, sm) => self.deliver(unanswered, sm),
                Event::Ended { token: Token::Submit(pending), end, took, .. } => {
                    pending.end(self.outcome(end, took));
                }
                Event::Ended { token: Token::Bind, end, .. } => self.handle_bind_end(&end),
                Event::Late(pdu) => {
                    count(&metrics.late_responses);
                    tracing::warn!(%link, sequence = pdu.sequence, status = %pdu.status, "late response");
                }
                Event::Unexpected(pdu) => {
                    count(&metrics.unexpected_responses);
                    let (command, status) = (pdu.body.command_id(), pdu.status);
                    tracing::warn!(%link, sequence = pdu.sequence, %command, %status, "response to nothing");
                }
                Event::Refused { command_id, sequence, status, error } => {
                    count(&metrics.refused_requests);
                    let error = error.map(tracing::field::display);
                    tracing::warn!(%link, command = %command_id, sequence, %status, error, "request refused");
                }
                Event::Notification(Pdu { body: Body::AlertNotification(alert), .. }) => {
                    // An address too long for a number is of no card.
                    if alert.is_available()
                        && let Ok(source) = alert.source.try_into()
                    {
                        // Nobody may listen, and whoever is behind has missed a hint.
                        let _ = shared.alerts.send(source);
                    }
                }
                Event::Notification(pdu) => {
                    tracing::info!(%link, command = %pdu.body.command_id(), "notification ignored");
                }
                Event::Closed(reason) => self.handle_closed(reason),
                // An ESME's session has no binds to answer.
                Event::Bind(..) => {}
            }
        }
    }

    fn handle_bind_end(&mut self, end: &End) {
        let now = Instant::now();
        let (link, bind) = (&self.task.shared.name, self.task.mode);
        match end {
            End::Answered(pdu) if pdu.status.is_ok() => {
                tracing::info!(%link, ?bind, "bound");
                count(&self.task.shared.metrics.bound);
                self.bound_at = Some(now);
                self.task.set_state(LinkState::Bound);
                return;
            }
            End::Answered(pdu) => {
                tracing::warn!(%link, ?bind, status = %pdu.status, "bind refused");
                let credentials =
                    [CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RINVSYSID].contains(&pdu.status);
                self.refused = credentials.then_some(pdu.status);
            }
            End::TimedOut => tracing::warn!(%link, ?bind, "no answer to the bind"),
            End::Lost => {}
        }
        self.session.close(now.into_std(), CloseReason::ConnectionLost);
    }

    fn handle_closed(&mut self, reason: CloseReason) {
        let (link, bind) = (&self.task.shared.name, self.task.mode);
        if reason == CloseReason::Unbound {
            tracing::info!(%link, ?bind, "unbound");
        } else {
            count(&self.task.shared.metrics.lost);
            tracing::warn!(%link, ?bind, %reason, "session over");
        }
    }

    fn deliver(&mut self, unanswered: UnansweredSm, sm: Sm) {
        let shared = &self.task.shared;
        let full = shared.config.inbound_full.status();
        let (unanswered, status) = if self.unanswered >= usize::from(shared.config.inbound_queue) {
            (Some(unanswered), full)
        } else {
            let answer = Answer::new(self.answer.clone(), unanswered);
            let delivery = Delivery { link: Arc::clone(&shared.name), sm, answer };
            match self.task.inbound.try_send(delivery) {
                Ok(()) => {
                    self.unanswered += 1;
                    return count(&shared.metrics.delivered);
                }
                Err(mpsc::error::TrySendError::Full(delivery)) => (delivery.answer.take(), full),
                Err(mpsc::error::TrySendError::Closed(delivery)) => {
                    (delivery.answer.take(), CommandStatus::ESME_RX_T_APPN)
                }
            }
        };
        count(&shared.metrics.inbound_full);
        if let Some(unanswered) = unanswered {
            self.session.answer_sm(Instant::now().into_std(), unanswered, status, MessageId::EMPTY);
        }
    }

    fn outcome(&self, end: End, took: Duration) -> SubmitOutcome {
        let metrics = &self.task.shared.metrics;
        let Pdu { status, body, .. } = match end {
            End::Answered(pdu) => pdu,
            End::TimedOut => {
                count(&metrics.unknown);
                return SubmitOutcome::Unknown(UnknownReason::TimedOut);
            }
            End::Lost => {
                count(&metrics.unknown);
                return SubmitOutcome::Unknown(UnknownReason::ConnectionLost);
            }
        };
        metrics.response.record(took);
        count(match status {
            CommandStatus::ESME_ROK => &metrics.accepted,
            CommandStatus::ESME_RTHROTTLED | CommandStatus::ESME_RMSGQFUL => &metrics.throttled,
            _ => &metrics.rejected,
        });
        let message_id = match body {
            Body::SubmitSmResp(resp) => resp.message_id,
            _ => MessageId::EMPTY,
        };
        SubmitOutcome::Answered { status, message_id }
    }

    fn over(&self) -> Over {
        match (self.close_by, self.refused) {
            (Some(_), _) => Over::Closed,
            (None, Some(status)) => Over::Refused(status),
            (None, None) => Over::Lost { bound_for: self.bound_at.map(|at| at.elapsed()) },
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Writes once what the transport takes; with nothing to write, flushes. Cancelled, it has written nothing.
async fn write(writer: &mut WriteHalf<Box<dyn Transport>>, output: &mut BytesMut) -> io::Result<()> {
    if output.is_empty() {
        return writer.flush().await;
    }
    match writer.write_buf(output).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}

/// As many commands as are there, at most `limit`, at least one; 0 where no handle is left.
async fn next_commands(
    queue: &mut Option<mpsc::Receiver<Command>>,
    commands: &mut Vec<Command>,
    limit: usize,
) -> usize {
    match queue {
        Some(queue) => queue.recv_many(commands, limit).await,
        None => std::future::pending().await,
    }
}
