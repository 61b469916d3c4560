//! One connection from bind to close: the session's octets over a transport.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::answer::Answered;
use super::binds::Binds;
use super::handle::{Command, Pending, PendingRequest};
use super::metrics::count;
use super::task::BindTask;
use super::{Answer, Delivery, LinkState, RequestOutcome, SubmitOutcome, Transport};
use crate::smpp::{
    Body, CloseReason, CommandId, CommandStatus, End, Event, MessageId, Pdu, Role, Session, SessionConfig,
    Sm, Unanswered,
};

/// Room kept for one read.
const READ_OCTETS: usize = 16 * 1024;

/// PDUs taken in at one time. Then whoever waits for them has a turn, and what they ask for is written, while the rest of a long
/// read is still to be taken in: so the peer works on it at the same time.
const PDUS: usize = 50;

/// With more than this unwritten nothing more is read: the peer does not read either.
const OUTPUT_OCTETS: usize = 256 * 1024;

/// Answers taken from the gateway at one time.
const ANSWERS: usize = 256;

/// Odd PDUs of one connection that are logged; all are counted.
const ODD_TOLD: u32 = 100;

/// Warns of an odd PDU, unless the connection has brought very many.
macro_rules! tell_odd {
    ($connection:ident, $($told:tt)+) => {
        if $connection.odd < ODD_TOLD {
            $connection.odd += 1;
            tracing::warn!($($told)+);
            if $connection.odd == ODD_TOLD {
                tracing::warn!("further odd PDUs of this connection are counted only");
            }
        }
    };
}

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
    Request(PendingRequest),
}

impl Token {
    /// The request was not sent.
    fn decline(self, binds: &Arc<Binds>, now: Instant) {
        match self {
            Self::Bind => {}
            Self::Submit(pending) => pending.end(binds, now, SubmitOutcome::NotSent),
            Self::Request(pending) => pending.end(binds, now, RequestOutcome::NotSent),
        }
    }
}

/// One connection and its session.
pub(super) struct Connection<'a> {
    task: &'a mut BindTask,
    session: Session<Token>,
    /// What was read and is not a whole PDU yet.
    input: BytesMut,
    /// Whether what was read may hold whole PDUs that were not taken in.
    backlog: bool,
    /// Whether the transport may hold back octets it took.
    unflushed: bool,
    /// Taken from the task's queue; the two lists exchange places and keep their memory.
    commands: Vec<Command>,
    answers: mpsc::Receiver<Answered>,
    answer: mpsc::Sender<Answered>,
    answered: Vec<Answered>,
    bound_at: Option<Instant>,
    refused: Option<CommandStatus>,
    /// Odd PDUs that were logged.
    odd: u32,
    /// By when the graceful close must be done, once it has begun.
    close_by: Option<Instant>,
    /// By when the transport must take octets, while some wait.
    write_by: Option<Instant>,
}

impl<'a> Connection<'a> {
    /// A connection that has just come up.
    pub(super) fn new(task: &'a mut BindTask, now: Instant) -> Self {
        let config = &task.shared.config;
        let session = SessionConfig {
            window: config.window,
            response_timeout: config.response_timeout(),
            enquire_link: (config.enquire_link_ms > 0).then(|| Duration::from_millis(config.enquire_link_ms)),
            unanswered_max: config.inbound_queue.into(),
            full: config.inbound_full.status(),
            ..SessionConfig::new(Role::Esme)
        };
        // One answer for each message the session may hold unanswered.
        let (answer, answers) = mpsc::channel(config.inbound_queue.into());
        Self {
            session: Session::new(session, now.into_std()),
            input: BytesMut::new(),
            backlog: false,
            unflushed: false,
            commands: Vec::new(),
            answers,
            answer,
            answered: Vec::new(),
            bound_at: None,
            refused: None,
            odd: 0,
            close_by: None,
            write_by: None,
            task,
        }
    }

    /// Binds and serves until the connection is over. Every request handed over has its end then.
    pub(super) async fn serve(mut self, mut transport: Box<dyn Transport>) -> Over {
        let bind = self.task.shared.dialect.bind(self.task.mode);
        // A fresh session always takes a bind.
        let _ = self.session.send_bind(Instant::now().into_std(), &bind, Token::Bind);
        let shutdown = self.task.shared.shutdown.clone();
        let (mut shutdown, mut alarm) = (pin!(shutdown.cancelled()), pin!(sleep_until(Instant::now())));
        poll_fn(|cx| self.poll(cx, &mut *transport, shutdown.as_mut(), alarm.as_mut())).await;
        self.task.set_state(LinkState::Connecting);
        let farewell = async {
            transport.write_all_buf(self.session.output()).await?;
            transport.shutdown().await
        };
        tokio::select! {
            biased;
            never = self.task.decline() => match never {},
            // Nothing depends on whether it arrives.
            _ = timeout(FAREWELL, farewell) => {}
        }
        self.over()
    }

    // ---- One wake-up

    /// Takes in all there is, then writes what comes of it at once. Ready when the session is over.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut dyn Transport,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
        mut alarm: Pin<&mut Sleep>,
    ) -> Poll<()> {
        loop {
            let now = Instant::now();
            let mut busy = self.poll_shutdown(cx, now, shutdown.as_mut());
            busy |= self.poll_read(cx, now, transport);
            busy |= self.poll_answers(cx, now);
            busy |= self.poll_commands(cx, now);
            if !self.session.is_closed() {
                busy |= self.poll_write(cx, now, transport);
                busy |= self.poll_alarm(cx, alarm.as_mut());
            }
            self.handle_events(now);
            if self.session.is_closed() {
                return Poll::Ready(());
            }
            if self.backlog && self.reads() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !busy {
                return Poll::Pending;
            }
        }
    }

    fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        if self.close_by.is_some() || shutdown.poll(cx).is_pending() {
            return false;
        }
        self.close_by = Some(now + self.task.shared.config.write_timeout());
        self.session.unbind(now.into_std());
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, now: Instant, transport: &mut dyn Transport) -> bool {
        if !self.reads() {
            return false;
        }
        if !self.backlog {
            if self.input.capacity() - self.input.len() < READ_OCTETS / 4 {
                self.input.reserve(READ_OCTETS);
            }
            match pin!(transport.read_buf(&mut self.input)).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(ended) => {
                    self.lose(now, ended.map(|_| ()));
                    return true;
                }
            }
        }
        self.backlog = self.take_in(now);
        true
    }

    fn reads(&mut self) -> bool {
        self.session.output().len() < OUTPUT_OCTETS
    }

    /// Takes in what was read, at most [`PDUS`] of it; whether there may be more.
    fn take_in(&mut self, now: Instant) -> bool {
        for _ in 0..PDUS {
            if !self.session.receive_one(now.into_std(), &mut self.input) {
                return false;
            }
            self.handle_events(now);
        }
        true
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut answered = std::mem::take(&mut self.answered);
        let some = self.answers.poll_recv_many(cx, &mut answered, ANSWERS).is_ready();
        answered.drain(..).for_each(|answer| self.send_answer(now, answer));
        self.answered = answered;
        some
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.task.queue().poll_take(cx, &mut self.commands).is_pending() {
            return false;
        }
        let mut commands = std::mem::take(&mut self.commands);
        commands.drain(..).for_each(|command| self.request(now, command));
        self.commands = commands;
        true
    }

    /// Whether it lets reading go on.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant, transport: &mut dyn Transport) -> bool {
        let reading = self.reads();
        loop {
            match self.poll_write_once(cx, Pin::new(&mut *transport)) {
                Poll::Ready(Ok(true)) => self.write_by = None,
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => {
                    self.lose(now, Err(error));
                    break;
                }
                Poll::Pending => {
                    let write_timeout = self.task.shared.config.write_timeout();
                    self.write_by.get_or_insert(now + write_timeout);
                    break;
                }
            }
        }
        !reading && self.reads()
    }

    /// Hands over what the transport takes at once, in the end lets it flush; false when nothing is left to do.
    fn poll_write_once(
        &mut self,
        cx: &mut Context<'_>,
        transport: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<io::Result<bool>> {
        let output = self.session.output();
        if output.is_empty() {
            if !self.unflushed {
                return Poll::Ready(Ok(false));
            }
            ready!(transport.poll_flush(cx))?;
            self.unflushed = false;
            return Poll::Ready(Ok(true));
        }
        match ready!(transport.poll_write(cx, output))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            // Begins again at the front of its memory.
            all if all == output.len() => output.clear(),
            some => output.advance(some),
        }
        self.unflushed = true;
        Poll::Ready(Ok(true))
    }

    /// The alarm is moved only where it would go off too late: most deadlines move on before it does.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> bool {
        let Some(deadline) = self.next_deadline() else { return false };
        if alarm.is_elapsed() || deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        if alarm.poll(cx).is_pending() {
            return false;
        }
        self.handle_deadline(Instant::now());
        true
    }

    // ---- What is to be sent

    fn request(&mut self, now: Instant, command: Command) {
        // It may have been on its way while one connection went and the next one came.
        let binds = &self.task.shared.binds;
        if !binds.lasts(command.seat()) {
            return command.decline(binds);
        }
        let sent_at = now.into_std();
        let sent = match command {
            Command::Submit(sm, pending) => self
                .session
                .send_sm(sent_at, &sm, Token::Submit(pending))
                .inspect(|_| count(&self.task.shared.metrics.submitted)),
            Command::Request(body, pending) => self.session.send(sent_at, &body, Token::Request(pending)),
        };
        if let Err((_, token)) = sent {
            token.decline(binds, now);
        }
    }

    fn send_answer(&mut self, now: Instant, answered: Answered) {
        let Answered { sm, status, received } = answered;
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

    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.session.next_event() {
            let shared = &self.task.shared;
            let (link, binds, metrics) = (&shared.name, &shared.binds, &shared.metrics);
            match event {
                Event::Sm(unanswered, sm) => self.deliver(now, unanswered, sm),
                Event::Request(unanswered, Body::DataSm(data)) => match Sm::try_from(data) {
                    Ok(sm) => self.deliver(now, unanswered, sm),
                    Err(error) => {
                        metrics.refused_requests.count(CommandId::DATA_SM, error.status(), true);
                        tell_odd!(self, %link, %error, "data_sm refused");
                        self.session.reject(now.into_std(), unanswered, error.status());
                    }
                },
                Event::Request(unanswered, body) => {
                    let (command, status) = (body.command_id(), CommandStatus::ESME_RINVCMDID);
                    metrics.refused_requests.count(command, status, false);
                    tell_odd!(self, %link, %command, "request not served");
                    self.session.reject(now.into_std(), unanswered, status);
                }
                Event::Ended { token: Token::Submit(pending), ref end, took, .. } => {
                    pending.note_congestion(binds, end);
                    pending.end(binds, now, SubmitOutcome::counted(end, took, metrics));
                }
                Event::Ended { token: Token::Request(pending), end, .. } => {
                    pending.end(binds, now, RequestOutcome::counted(end, metrics));
                }
                Event::Ended { token: Token::Bind, end, .. } => self.handle_bind_end(now, &end),
                Event::Late(pdu) => {
                    count(&metrics.late_responses);
                    tell_odd!(self, %link, sequence = pdu.sequence, status = %pdu.status, "late response");
                }
                Event::Unexpected(pdu) => {
                    count(&metrics.unexpected_responses);
                    let (command, status) = (pdu.body.command_id(), pdu.status);
                    tell_odd!(self, %link, sequence = pdu.sequence, %command, %status, "response to nothing");
                }
                Event::Refused { command_id, sequence, status, error } => {
                    metrics.refused_requests.count(command_id, status, error.is_some());
                    let error = error.map(tracing::field::display);
                    tell_odd!(self, %link, command = %command_id, sequence, %status, error, "request refused");
                }
                Event::Full(_) => count(&metrics.inbound_full),
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

    fn handle_bind_end(&mut self, now: Instant, end: &End) {
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

    fn deliver(&mut self, now: Instant, unanswered: Unanswered, sm: Sm) {
        let shared = &self.task.shared;
        let answer = Answer::new(self.answer.clone(), unanswered, now);
        let delivery = Delivery { link: Arc::clone(&shared.name), sm, answer };
        let (delivery, status) = match self.task.inbound.try_send(delivery) {
            Ok(()) => return count(&shared.metrics.delivered),
            Err(TrySendError::Full(delivery)) => (delivery, shared.config.inbound_full.status()),
            Err(TrySendError::Closed(delivery)) => (delivery, CommandStatus::ESME_RX_T_APPN),
        };
        count(&shared.metrics.inbound_full);
        if let Some(unanswered) = delivery.answer.take() {
            self.session.answer_sm(now.into_std(), unanswered, status, MessageId::EMPTY);
        }
    }

    fn over(&self) -> Over {
        match (self.close_by, self.refused) {
            (Some(_), _) => Over::Closed,
            (None, Some(status)) => Over::Refused(status),
            (None, None) => Over::Lost { bound_for: self.bound_at.map(|at| at.elapsed()) },
        }
    }
}
