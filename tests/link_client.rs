//! The link against an SMSC made of the session's other side: over in-memory pipes in paused time, and over TCP.

#[path = "common/pipes.rs"]
mod pipes;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use airwrite::link::{
    self, BindKind, Delivery, InboundFull, Link, LinkConfig, LinkState, LinksCollector, Refused,
    RequestOutcome, SourceConfig, SubmitOutcome, TcpConnector, Transport, UnknownReason,
};
use airwrite::smpp::{
    Address, BindMode, Body, CancelSm, CommandStatus, DataSm, End, Event, LongAddress, MessageId, Pdu,
    QuerySm, QuerySmResp, RegisteredDelivery, Role, Session, SessionConfig, Sm, SystemId, Tlvs, Unanswered,
    tag,
};
use airwrite::world::{Rng, SeededRng};
use bytes::{Bytes, BytesMut};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use pipes::Pipes;

const ROK: CommandStatus = CommandStatus::ESME_ROK;

// ---- The SMSC's end

/// One connection as the SMSC sees it.
struct Smsc<S> {
    stream: S,
    session: Session<u32>,
    input: BytesMut,
}

impl<S: Transport> Smsc<S> {
    fn new(stream: S) -> Self {
        let config = SessionConfig { window: 1000, enquire_link: None, ..SessionConfig::new(Role::Smsc) };
        Self { stream, session: Session::new(config, now()), input: BytesMut::new() }
    }

    async fn bound(stream: S) -> Self {
        let mut smsc = Self::new(stream);
        smsc.bind(ROK).await;
        smsc
    }

    /// Answers the bind that is expected now.
    async fn bind(&mut self, status: CommandStatus) -> BindMode {
        let Some(Event::Bind(unanswered, bind)) = self.event().await else { panic!("a bind") };
        assert_eq!((bind.system_id.as_bytes(), bind.password.as_bytes()), (&b"airwrite"[..], &b"secret"[..]));
        self.session.answer_bind(unanswered, status, SystemId::EMPTY);
        self.flush().await;
        bind.mode
    }

    /// The next event; `None` when the connection is closed.
    async fn event(&mut self) -> Option<Event<u32>> {
        loop {
            if let Some(event) = self.session.next_event() {
                return Some(event);
            }
            self.flush().await;
            match self.stream.read_buf(&mut self.input).await {
                Ok(1..) => self.session.receive(now(), &mut self.input),
                _ => return None,
            }
        }
    }

    async fn submit_sm(&mut self) -> (Unanswered, Sm) {
        match self.event().await {
            Some(Event::Sm(unanswered, sm)) => (unanswered, sm),
            other => panic!("a submit_sm expected, found {other:?}"),
        }
    }

    async fn answer(&mut self, sm: Unanswered, status: CommandStatus, message_id: &str) {
        self.session.answer_sm(now(), sm, status, message_id.parse().unwrap());
        self.flush().await;
    }

    /// The next request that is no submit_sm.
    async fn request(&mut self) -> (Unanswered, Body) {
        match self.event().await {
            Some(Event::Request(unanswered, body)) => (unanswered, body),
            other => panic!("a request expected, found {other:?}"),
        }
    }

    async fn answer_request(&mut self, request: Unanswered, body: &Body) {
        self.session.answer(now(), request, ROK, body).unwrap();
        self.flush().await;
    }

    async fn refuse(&mut self, request: Unanswered, status: CommandStatus) {
        self.session.reject(now(), request, status);
        self.flush().await;
    }

    async fn deliver(&mut self, token: u32) {
        self.session.send_sm(now(), &sm(), token).unwrap();
        self.flush().await;
    }

    /// The token and status of the next answer to a deliver_sm.
    async fn answered(&mut self) -> (u32, CommandStatus) {
        match self.event().await {
            Some(Event::Ended { token, end: End::Answered(pdu), .. }) => (token, pdu.status),
            other => panic!("an answer expected, found {other:?}"),
        }
    }

    async fn flush(&mut self) {
        // The other end may be gone.
        let _ = self.stream.write_all_buf(self.session.output()).await;
    }
}

// ---- Our end

struct Setup {
    link: Link,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    inbound: mpsc::Receiver<Delivery>,
    shutdown: CancellationToken,
}

impl Setup {
    fn new(config: LinkConfig) -> Self {
        Self::with(config, 1 << 16, 1000, 1)
    }

    fn with(config: LinkConfig, pipe_octets: usize, inbound: usize, seed: u64) -> Self {
        let (pipes, connections) = Pipes::new(pipe_octets);
        let (deliveries, inbound) = mpsc::channel(inbound);
        let shutdown = CancellationToken::new();
        let connector = Arc::new(pipes);
        let rng = Arc::new(SeededRng::new(seed));
        let link = link::start(config, connector, rng, deliveries, &shutdown).unwrap();
        Self { link, connections, inbound, shutdown }
    }

    async fn bound(&mut self) -> Smsc<DuplexStream> {
        let smsc = Smsc::bound(self.connections.recv().await.unwrap()).await;
        wait_for(&self.link, LinkState::Bound).await;
        smsc
    }

    /// Submits in a task of its own.
    fn submit(&self) -> tokio::task::JoinHandle<SubmitOutcome> {
        let link = self.link.clone();
        tokio::spawn(async move { link.slot().await.unwrap().submit(sm()).await })
    }

    /// Sends another request in a task of its own.
    fn request(&self, body: Body) -> tokio::task::JoinHandle<RequestOutcome> {
        let link = self.link.clone();
        tokio::spawn(async move { link.slot().await.unwrap().request(body).await })
    }
}

fn config() -> LinkConfig {
    LinkConfig {
        name: "north".into(),
        address: Pipes::ADDRESS.into(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        source: SourceConfig { digits: "4917".into(), ..SourceConfig::default() },
        ..LinkConfig::default()
    }
}

fn dialect() -> link::Dialect {
    link::Dialect::try_from(&config()).unwrap()
}

fn sm() -> Sm {
    let tp_ud = Bytes::from_static(&[2, 0x70, 0, 1, 2, 3]);
    dialect().ota_sm(0, "491700000001", tp_ud, 3600, RegisteredDelivery::FINAL).unwrap()
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn wait_for(link: &Link, wanted: LinkState) {
    let mut state = link.state();
    timeout(Duration::from_secs(3600), state.wait_for(|state| *state == wanted))
        .await
        .unwrap_or_else(|_| panic!("{wanted:?} expected, found {:?}", *link.state().borrow()))
        .unwrap();
}

fn answered(status: CommandStatus, message_id: &str) -> SubmitOutcome {
    SubmitOutcome::Answered { status, message_id: message_id.parse().unwrap() }
}

const LOST: SubmitOutcome = SubmitOutcome::Unknown(UnknownReason::ConnectionLost);

// ---- Submitting

#[tokio::test(start_paused = true)]
async fn a_message_is_submitted_and_its_answer_told() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    let outcome = setup.submit();
    let (unanswered, received) = smsc.submit_sm().await;
    assert_eq!(received, sm());
    smsc.answer(unanswered, ROK, "0af1").await;
    assert_eq!(outcome.await.unwrap(), answered(ROK, "0af1"));

    let outcome = setup.submit();
    let (unanswered, _) = smsc.submit_sm().await;
    smsc.answer(unanswered, CommandStatus::ESME_RTHROTTLED, "").await;
    assert_eq!(outcome.await.unwrap(), answered(CommandStatus::ESME_RTHROTTLED, ""));
    let metrics = setup.link.metrics();
    assert_eq!((metrics.submitted.load(Relaxed), metrics.accepted.load(Relaxed)), (2, 1));
    assert_eq!((metrics.throttled.load(Relaxed), metrics.rejected.load(Relaxed)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_window_is_waited_for_in_order_and_a_dropped_wait_takes_nothing() {
    let mut setup = Setup::new(LinkConfig { window: 2, ..config() });
    let mut smsc = setup.bound().await;
    let (first, _second) = (setup.submit(), setup.submit());
    let (one, _) = smsc.submit_sm().await;
    let (two, _) = smsc.submit_sm().await;

    let gives_up = timeout(Duration::from_secs(1), setup.link.slot()).await;
    assert!(gives_up.is_err(), "the window is full");
    let waits = setup.submit();
    let unused = timeout(Duration::from_secs(1), smsc.event()).await;
    assert!(unused.is_err(), "nothing goes out beyond the window");

    smsc.answer(two, ROK, "2").await;
    let (three, _) = smsc.submit_sm().await;
    smsc.answer(three, ROK, "3").await;
    assert_eq!(waits.await.unwrap(), answered(ROK, "3"));
    smsc.answer(one, ROK, "1").await;
    assert_eq!(first.await.unwrap(), answered(ROK, "1"));

    // A slot dropped unused gives its place back.
    let slots = [setup.link.slot().await.unwrap(), setup.link.slot().await.unwrap()];
    drop(slots);
    timeout(Duration::from_secs(1), setup.link.slot()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_unknown_and_a_late_one_is_counted() {
    let mut setup = Setup::new(LinkConfig { window: 1, ..config() });
    let mut smsc = setup.bound().await;
    let start = Instant::now();
    let outcome = setup.submit();
    let (unanswered, _) = smsc.submit_sm().await;
    assert_eq!(outcome.await.unwrap(), SubmitOutcome::Unknown(UnknownReason::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 30);

    smsc.answer(unanswered, ROK, "late").await;
    let outcome = setup.submit();
    let (unanswered, _) = smsc.submit_sm().await;
    smsc.answer(unanswered, ROK, "2").await;
    assert_eq!(outcome.await.unwrap(), answered(ROK, "2"));
    assert_eq!(setup.link.metrics().late_responses.load(Relaxed), 1);
    assert_eq!(setup.link.metrics().connected.load(Relaxed), 1);
}

// ---- Other requests

fn cancel_sm() -> Body {
    Body::CancelSm(dialect().cancel_sm("491700000001", "0af1".parse().unwrap()).unwrap())
}

/// The status that a request was answered with.
async fn status_of(outcome: tokio::task::JoinHandle<RequestOutcome>) -> (CommandStatus, Body) {
    match outcome.await.unwrap() {
        RequestOutcome::Answered(pdu) => (pdu.status, pdu.body),
        other => panic!("an answer expected, found {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn other_requests_are_answered_in_the_same_window_and_counted_apart() {
    let mut setup = Setup::new(LinkConfig { window: 1, ..config() });
    let mut smsc = setup.bound().await;
    let outcome = setup.request(cancel_sm());
    let waits = setup.submit();
    let (unanswered, body) = smsc.request().await;
    let Body::CancelSm(CancelSm { service_type, message_id, source, destination, .. }) = body else {
        panic!("{body:?}")
    };
    assert_eq!((service_type, source, destination), (sm().service_type, sm().source, sm().destination));
    assert_eq!(message_id.as_bytes(), b"0af1");
    assert!(timeout(Duration::from_secs(1), smsc.event()).await.is_err(), "its place is taken");
    assert_eq!(setup.link.metrics().in_flight(), 0, "no submit_sm");
    smsc.answer_request(unanswered, &Body::CancelSmResp).await;
    assert_eq!(status_of(outcome).await, (ROK, Body::CancelSmResp));

    let (unanswered, _) = smsc.submit_sm().await;
    smsc.answer(unanswered, ROK, "1").await;
    assert_eq!(waits.await.unwrap(), answered(ROK, "1"));

    let outcome = setup.request(cancel_sm());
    let (unanswered, _) = smsc.request().await;
    smsc.refuse(unanswered, CommandStatus::ESME_RCANCELFAIL).await;
    assert_eq!(status_of(outcome).await.0, CommandStatus::ESME_RCANCELFAIL);

    let query = QuerySm { message_id: "0af1".parse().unwrap(), source: sm().source, tlvs: Tlvs::default() };
    let outcome = setup.request(Body::QuerySm(query.clone()));
    let (unanswered, body) = smsc.request().await;
    assert_eq!(body, Body::QuerySm(query));
    let resp = Body::QuerySmResp(QuerySmResp { error_code: 7, ..QuerySmResp::default() });
    smsc.answer_request(unanswered, &resp).await;
    assert_eq!(status_of(outcome).await, (ROK, resp));

    let metrics = setup.link.metrics();
    assert_eq!((metrics.submitted.load(Relaxed), metrics.accepted.load(Relaxed)), (1, 1));
    assert_eq!((metrics.requests_done.load(Relaxed), metrics.requests_refused.load(Relaxed)), (2, 1));
    assert_eq!(metrics.requests_unknown.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn another_request_ends_by_generic_nack_by_time_and_with_its_connection() {
    let mut setup = Setup::new(LinkConfig { window: 1, ..config() });
    let mut smsc = setup.bound().await;
    let outcome = setup.request(cancel_sm());
    let _ = smsc.request().await;
    // The second request after the bind.
    let nack = Pdu { status: CommandStatus::ESME_RINVCMDID, sequence: 2, body: Body::GenericNack };
    let mut octets = BytesMut::new();
    nack.encode(&mut octets);
    smsc.stream.write_all_buf(&mut octets).await.unwrap();
    assert_eq!(status_of(outcome).await, (CommandStatus::ESME_RINVCMDID, Body::GenericNack));

    let asked = Instant::now();
    let outcome = setup.request(cancel_sm());
    let _ = smsc.request().await;
    assert_eq!(outcome.await.unwrap(), RequestOutcome::Unknown(UnknownReason::TimedOut));
    assert_eq!(asked.elapsed().as_secs(), 30);

    let outcome = setup.request(cancel_sm());
    let _ = smsc.request().await;
    let link = setup.link.clone();
    let late = tokio::spawn(async move { link.slot().await.unwrap() });
    drop(smsc);
    assert_eq!(outcome.await.unwrap(), RequestOutcome::Unknown(UnknownReason::ConnectionLost));
    // The place has gone with its connection, and the next connection has all of its own.
    let mut smsc = setup.bound().await;
    let outcome = tokio::spawn(late.await.unwrap().request(cancel_sm()));
    let (unanswered, _) = smsc.request().await;
    smsc.refuse(unanswered, CommandStatus::ESME_RINVMSGID).await;
    assert_eq!(status_of(outcome).await.0, CommandStatus::ESME_RINVMSGID);

    let metrics = setup.link.metrics();
    assert_eq!((metrics.requests_refused.load(Relaxed), metrics.requests_unknown.load(Relaxed)), (2, 2));
    assert_eq!((metrics.unknown.load(Relaxed), metrics.submitted.load(Relaxed)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_or_has_no_connection_any_more_is_not_sent() {
    let mut setup = Setup::new(LinkConfig { window: 1, ..config() });
    let smsc = setup.bound().await;
    for body in [Body::CancelSmResp, Body::EnquireLink, Body::GenericNack] {
        let outcome = timeout(Duration::from_secs(1), setup.request(body)).await.unwrap();
        assert_eq!(outcome.unwrap(), RequestOutcome::NotSent);
    }
    let slot = setup.link.slot().await.unwrap();
    drop(smsc);
    wait_for(&setup.link, LinkState::Connecting).await;
    assert_eq!(slot.request(cancel_sm()).await, RequestOutcome::NotSent);
    assert_eq!(setup.link.metrics().requests_unknown.load(Relaxed), 0);
}

// ---- Connections

#[tokio::test(start_paused = true)]
async fn a_lost_connection_ends_what_is_under_way_at_once_and_is_replaced() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    let outcomes: Vec<_> = (0..10).map(|_| setup.submit()).collect();
    for _ in 0..10 {
        let _ = smsc.submit_sm().await;
    }
    let waits = setup.submit();
    let held = Instant::now();
    drop(smsc);
    for outcome in outcomes {
        assert_eq!(outcome.await.unwrap(), LOST);
    }
    assert!(held.elapsed() <= Duration::from_millis(100), "{:?}", held.elapsed());
    assert_eq!(*setup.link.state().borrow(), LinkState::Connecting);

    let mut smsc = setup.bound().await;
    assert!(held.elapsed() <= Duration::from_secs(1), "{:?}", held.elapsed());
    let (unanswered, _) = smsc.submit_sm().await;
    smsc.answer(unanswered, ROK, "1").await;
    assert_eq!(waits.await.unwrap(), answered(ROK, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_slot_of_a_lost_connection_sends_nothing() {
    let mut setup = Setup::new(config());
    let smsc = setup.bound().await;
    let slot = setup.link.slot().await.unwrap();
    drop(smsc);
    wait_for(&setup.link, LinkState::Connecting).await;
    assert_eq!(slot.submit(sm()).await, SubmitOutcome::NotSent);
}

#[tokio::test(start_paused = true)]
async fn reconnects_with_growing_waits_while_binds_fail() {
    let mut setup = Setup::new(config());
    let (mut last, mut waits) = (Instant::now(), Vec::new());
    for status in [CommandStatus::ESME_RALYBND, CommandStatus::ESME_RBINDFAIL, CommandStatus::ESME_RSYSERR]
        .into_iter()
        .cycle()
        .take(9)
    {
        let mut smsc = Smsc::new(setup.connections.recv().await.unwrap());
        waits.push(last.elapsed());
        smsc.bind(status).await;
        // The old connection is gone before a new one is opened.
        assert!(smsc.event().await.is_none());
        assert!(setup.connections.try_recv().is_err());
        last = Instant::now();
    }
    for (wait, whole_ms) in waits.iter().skip(1).zip([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
        let wait_ms = wait.as_millis();
        assert!((whole_ms / 2..=whole_ms + 10).contains(&wait_ms), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_credentials_stop_the_link_until_resumed() {
    let mut setup = Setup::new(config());
    let mut smsc = Smsc::new(setup.connections.recv().await.unwrap());
    smsc.bind(CommandStatus::ESME_RINVPASWD).await;
    wait_for(&setup.link, LinkState::Refused(CommandStatus::ESME_RINVPASWD)).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(setup.connections.try_recv().is_err(), "no attempt while refused");
    setup.link.resume();
    setup.bound().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_dead_after_the_write_time_out() {
    let mut setup = Setup::with(LinkConfig { response_timeout_ms: 60_000, ..config() }, 200, 1000, 1);
    let smsc = setup.bound().await;
    let start = Instant::now();
    let outcomes: Vec<_> = (0..10).map(|_| setup.submit()).collect();
    for outcome in outcomes {
        assert_eq!(outcome.await.unwrap(), LOST);
    }
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(smsc);
}

#[tokio::test(start_paused = true)]
async fn a_silent_smsc_is_asked_and_then_left() {
    let mut setup = Setup::new(config());
    let smsc = setup.bound().await;
    let start = Instant::now();
    wait_for(&setup.link, LinkState::Connecting).await;
    assert_eq!(start.elapsed().as_secs(), 60);
    drop(smsc);
    // One that answers is kept.
    let mut smsc = setup.bound().await;
    assert!(timeout(Duration::from_secs(3000), smsc.event()).await.is_err());
    assert_eq!(setup.link.metrics().connected.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_never_answers_a_bind_is_left() {
    let mut setup = Setup::new(config());
    let silent = setup.connections.recv().await.unwrap();
    let start = Instant::now();
    let second = setup.connections.recv().await.unwrap();
    assert!((30..32).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    drop((silent, second));
}

#[tokio::test(start_paused = true)]
async fn transmitter_and_receiver_share_the_link() {
    let mut setup = Setup::new(LinkConfig { bind: BindKind::TxRx, ..config() });
    let mut peers = Vec::new();
    for _ in 0..2 {
        assert_eq!(*setup.link.state().borrow(), LinkState::Connecting);
        let mut smsc = Smsc::new(setup.connections.recv().await.unwrap());
        let mode = smsc.bind(ROK).await;
        peers.push((mode, smsc));
    }
    wait_for(&setup.link, LinkState::Bound).await;
    peers.sort_by_key(|(mode, _)| mode.delivers());
    let [(BindMode::Transmitter, mut tx), (BindMode::Receiver, mut rx)] =
        <[_; 2]>::try_from(peers).unwrap_or_else(|_| panic!("two binds"))
    else {
        panic!("one of each kind")
    };
    let outcome = setup.submit();
    let (unanswered, _) = tx.submit_sm().await;
    tx.answer(unanswered, ROK, "1").await;
    assert_eq!(outcome.await.unwrap(), answered(ROK, "1"));
    rx.deliver(7).await;
    setup.inbound.recv().await.unwrap().answer.send(ROK);
    assert_eq!(rx.answered().await, (7, ROK));

    // Without the receiver the link still sends, and says that it is not whole.
    drop(rx);
    wait_for(&setup.link, LinkState::Connecting).await;
    let outcome = setup.submit();
    let (unanswered, _) = tx.submit_sm().await;
    tx.answer(unanswered, ROK, "2").await;
    assert_eq!(outcome.await.unwrap(), answered(ROK, "2"));
    let mut rx = Smsc::new(setup.connections.recv().await.unwrap());
    assert_eq!(rx.bind(ROK).await, BindMode::Receiver);
    wait_for(&setup.link, LinkState::Bound).await;
}

// ---- Deliveries

#[tokio::test(start_paused = true)]
async fn deliveries_are_answered_by_their_answer_in_any_order() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    for token in 1..=3 {
        smsc.deliver(token).await;
    }
    let one = setup.inbound.recv().await.unwrap();
    let two = setup.inbound.recv().await.unwrap();
    let three = setup.inbound.recv().await.unwrap();
    assert_eq!((&*one.link, &one.sm), ("north", &sm()));
    three.answer.send(ROK);
    assert_eq!(smsc.answered().await, (3, ROK));
    drop(two);
    assert_eq!(smsc.answered().await, (2, CommandStatus::ESME_RX_T_APPN));
    one.answer.send(CommandStatus::ESME_RX_P_APPN);
    assert_eq!(smsc.answered().await, (1, CommandStatus::ESME_RX_P_APPN));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_answers_at_once_as_configured() {
    // The link's own limit of unanswered messages, then the gateway's queue.
    for (inbound_queue, gateway_queue) in [(2, 1000), (1000, 2)] {
        for (inbound_full, status) in [
            (InboundFull::Msgqful, CommandStatus::ESME_RMSGQFUL),
            (InboundFull::RxTAppn, CommandStatus::ESME_RX_T_APPN),
        ] {
            let config = LinkConfig { inbound_queue, inbound_full, ..config() };
            let mut setup = Setup::with(config, 1 << 16, gateway_queue, 1);
            let mut smsc = setup.bound().await;
            for token in 1..=3 {
                smsc.deliver(token).await;
            }
            assert_eq!(smsc.answered().await, (3, status));
            for token in 1..=2 {
                setup.inbound.recv().await.unwrap().answer.send(ROK);
                assert_eq!(smsc.answered().await, (token, ROK));
            }
            // There is room again.
            smsc.deliver(4).await;
            setup.inbound.recv().await.unwrap().answer.send(ROK);
            assert_eq!(smsc.answered().await, (4, ROK));
            assert_eq!(setup.link.metrics().inbound_full.load(Relaxed), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_sm_is_delivered_like_a_short_message() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    let tlvs = Tlvs::default().with(tag::MESSAGE_PAYLOAD, b"a receipt, perhaps").unwrap();
    let data = DataSm { source: Address::international("4915").unwrap().into(), tlvs, ..DataSm::default() };
    smsc.session.send(now(), &Body::DataSm(data.clone()), 1).unwrap();
    smsc.flush().await;
    let delivery = setup.inbound.recv().await.unwrap();
    assert_eq!(delivery.sm.source, Address::international("4915").unwrap());
    assert_eq!(delivery.sm.user_data(), &b"a receipt, perhaps"[..]);
    delivery.answer.send(ROK);
    assert_eq!(smsc.answered().await, (1, ROK));
    // No number is so long.
    let long = LongAddress { digits: "1234567890123456789012".parse().unwrap(), ..LongAddress::default() };
    smsc.session.send(now(), &Body::DataSm(DataSm { source: long, ..data }), 2).unwrap();
    smsc.flush().await;
    assert_eq!(smsc.answered().await, (2, CommandStatus::ESME_RINVSRCADR));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_gone_asks_for_another_delivery() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    setup.inbound.close();
    smsc.deliver(1).await;
    assert_eq!(smsc.answered().await, (1, CommandStatus::ESME_RX_T_APPN));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_lost_connection_goes_nowhere() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    smsc.deliver(1).await;
    let delivery = setup.inbound.recv().await.unwrap();
    drop(smsc);
    let mut smsc = setup.bound().await;
    delivery.answer.send(ROK);
    smsc.deliver(2).await;
    setup.inbound.recv().await.unwrap().answer.send(ROK);
    assert_eq!(smsc.answered().await, (2, ROK));
}

// ---- Closing

#[tokio::test(start_paused = true)]
async fn close_lets_what_is_under_way_end_and_unbinds() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    let outcome = setup.submit();
    let (unanswered, _) = smsc.submit_sm().await;
    smsc.deliver(1).await;
    let delivery = setup.inbound.recv().await.unwrap();

    let link = setup.link.clone();
    let closing = tokio::spawn(async move { link.close().await });
    sleep(Duration::from_secs(1)).await;
    assert!(setup.link.slot().await.is_err());
    smsc.answer(unanswered, ROK, "1").await;
    assert_eq!(outcome.await.unwrap(), answered(ROK, "1"));
    assert!(!closing.is_finished());
    delivery.answer.send(ROK);
    assert_eq!(smsc.answered().await, (1, ROK));
    let Some(Event::Closed(reason)) = smsc.event().await else { panic!("unbound") };
    assert_eq!(reason.to_string(), "the peer unbound");
    smsc.flush().await;
    closing.await.unwrap();
    assert_eq!(*setup.link.state().borrow(), LinkState::Closed);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_ever() {
    let mut setup = Setup::new(config());
    let mut smsc = setup.bound().await;
    let outcome = setup.submit();
    let _ = smsc.submit_sm().await;
    let start = Instant::now();
    setup.shutdown.cancel();
    wait_for(&setup.link, LinkState::Closed).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(outcome.await.unwrap(), LOST);
    // While connecting it is over at once.
    let setup = Setup::new(config());
    setup.link.close().await;
    assert!(setup.link.slot().await.is_err());
}

// ---- Whatever happens

/// Submits from many tasks while the SMSC answers, refuses, stays silent and breaks the connection as the seed
/// says: each submit ends, and in the end the whole window is free.
async fn storm(seed: u64) {
    const SUBMITS: usize = 120;
    let window = 8;
    let mut setup = Setup::with(LinkConfig { window, ..config() }, 4096, 1000, seed);
    let rng = SeededRng::new(seed ^ 0xD1CE);
    let mut submits = tokio::task::JoinSet::new();
    for _ in 0..SUBMITS {
        let link = setup.link.clone();
        let give_up = Duration::from_millis(rng.below(20_000));
        submits.spawn(async move {
            // Some give up waiting, once.
            let slot = match timeout(give_up, link.slot()).await {
                Ok(slot) => slot,
                Err(_) => link.slot().await,
            };
            slot.unwrap().submit(sm()).await
        });
    }
    let smsc = async {
        loop {
            let mut smsc = Smsc::new(setup.connections.recv().await.unwrap());
            if rng.below(4) == 0 {
                continue;
            }
            smsc.bind(ROK).await;
            while let Some(event) = smsc.event().await {
                let Event::Sm(unanswered, _) = event else { continue };
                match rng.below(20) {
                    0 => break,
                    1 => drop(unanswered),
                    2 => smsc.answer(unanswered, CommandStatus::ESME_RTHROTTLED, "").await,
                    _ => {
                        sleep(Duration::from_millis(rng.below(50))).await;
                        smsc.answer(unanswered, ROK, "1").await;
                    }
                }
            }
        }
    };
    let all = async {
        let mut ends = 0;
        while let Some(outcome) = submits.join_next().await {
            outcome.unwrap();
            ends += 1;
        }
        assert_eq!(ends, SUBMITS);
        let mut slots = Vec::new();
        for _ in 0..window {
            slots.push(setup.link.slot().await.unwrap());
        }
        let metrics = setup.link.metrics();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        let ended = count(&metrics.accepted) + count(&metrics.throttled) + count(&metrics.unknown);
        assert_eq!(count(&metrics.submitted), ended);
    };
    tokio::select! {
        biased;
        done = timeout(Duration::from_secs(36_000), all) => done.unwrap_or_else(|_| panic!("seed {seed}: stuck")),
        () = smsc => pending().await,
    }
}

/// Everything the link has counted, as Prometheus reads it.
fn exposition(link: &Link) -> String {
    let mut registry = Registry::with_prefix("airwrite");
    registry.register_collector(Box::new(LinksCollector::new(vec![link.clone()])));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn what_a_link_counts_is_read_by_prometheus() {
    let mut setup = Setup::new(LinkConfig { response_timeout_ms: 1000, ..config() });
    let mut smsc = setup.bound().await;
    // Answered after 20 ms, too busy, not in time.
    let mut late = None;
    for status in [Some(ROK), Some(CommandStatus::ESME_RTHROTTLED), None] {
        let outcome = setup.submit();
        let (unanswered, _) = smsc.submit_sm().await;
        assert!(exposition(&setup.link).contains("airwrite_link_submits_in_flight{link=\"north\"} 1\n"));
        sleep(Duration::from_millis(20)).await;
        match status {
            Some(status) => smsc.answer(unanswered, status, "1").await,
            None => late = Some(unanswered),
        }
        outcome.await.unwrap();
    }
    smsc.answer(late.unwrap(), ROK, "1").await;
    smsc.deliver(1).await;
    let delivery = setup.inbound.recv().await.unwrap();
    sleep(Duration::from_millis(3)).await;
    delivery.answer.send(ROK);
    assert_eq!(smsc.answered().await, (1, ROK));
    // A response to nothing, a deliver_sm without an end, an unknown command.
    for octets in [
        &b"\0\0\0\x10\x80\0\0\x04\0\0\0\0\0\0\x03\xE7"[..],
        b"\0\0\0\x11\0\0\0\x05\0\0\0\0\0\0\0\x09\xFF",
        b"\0\0\0\x10\0\x01\x02\x03\0\0\0\0\0\0\0\x0A",
    ] {
        smsc.stream.write_all(octets).await.unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    let text = exposition(&setup.link);
    for sample in [
        "link_bound{link=\"north\"} 1",
        "link_binds_up{link=\"north\"} 1",
        "link_submits_in_flight{link=\"north\"} 0",
        "link_connections_total{link=\"north\"} 1",
        "link_binds_total{link=\"north\"} 1",
        "link_connections_lost_total{link=\"north\"} 0",
        "link_submit_sm_total{link=\"north\",outcome=\"accepted\"} 1",
        "link_submit_sm_total{link=\"north\",outcome=\"throttled\"} 1",
        "link_submit_sm_total{link=\"north\",outcome=\"rejected\"} 0",
        "link_submit_sm_total{link=\"north\",outcome=\"unknown\"} 1",
        "link_requests_total{link=\"north\",outcome=\"done\"} 0",
        "link_deliver_sm_total{link=\"north\",outcome=\"taken\"} 1",
        "link_deliver_sm_total{link=\"north\",outcome=\"queue_full\"} 0",
        "link_odd_pdus_total{link=\"north\",kind=\"late_response\"} 1",
        "link_odd_pdus_total{link=\"north\",kind=\"unexpected_response\"} 1",
        "link_odd_pdus_total{link=\"north\",kind=\"malformed\",command=\"deliver_sm\"} 1",
        "link_odd_pdus_total{link=\"north\",kind=\"unknown_command\",command=\"unknown\"} 1",
        "link_window_wait_seconds_count{link=\"north\"} 3",
        "link_response_seconds_bucket{le=\"0.01\",link=\"north\"} 0",
        "link_response_seconds_bucket{le=\"0.025\",link=\"north\"} 2",
        "link_response_seconds_count{link=\"north\"} 2",
        "link_acknowledgement_seconds_bucket{le=\"0.0025\",link=\"north\"} 0",
        "link_acknowledgement_seconds_bucket{le=\"0.005\",link=\"north\"} 1",
    ] {
        assert!(text.contains(&format!("\nairwrite_{sample}\n")), "{sample}: {text}");
    }
    // Buckets stand once each, the last without a bound.
    let buckets = text.matches("link_response_seconds_bucket").count();
    assert_eq!(buckets, link::BUCKETS_S.len() + 1);
    assert_eq!(text.matches("# TYPE airwrite_link_odd_pdus ").count(), 1);
    let refused = &setup.link.metrics().refused_requests;
    assert_eq!(refused.of(Refused::Malformed, "deliver_sm"), 1);
}

#[test]
fn every_submit_ends_and_no_slot_leaks_in_a_storm() {
    for seed in 0..40 {
        println!("seed {seed}");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(storm(seed));
    }
}

#[tokio::test]
async fn works_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (deliveries, mut inbound) = mpsc::channel(10);
    let shutdown = CancellationToken::new();
    let rng = Arc::new(SeededRng::new(1));
    let config = LinkConfig { address, window: 50, ..config() };
    let link = link::start(config, Arc::new(TcpConnector), rng, deliveries, &shutdown).unwrap();
    let smsc = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut smsc = Smsc::bound(stream).await;
        smsc.deliver(1).await;
        let mut answered = 0;
        loop {
            match smsc.event().await {
                Some(Event::Sm(unanswered, _)) => {
                    smsc.session.answer_sm(now(), unanswered, ROK, MessageId::EMPTY);
                }
                Some(Event::Ended { token: 1, end: End::Answered(pdu), .. }) => {
                    assert_eq!(pdu.status, ROK);
                    answered += 1;
                }
                Some(Event::Closed(_)) => smsc.flush().await,
                None => return answered,
                other => panic!("{other:?}"),
            }
        }
    });
    let mut submits = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let link = link.clone();
        submits.spawn(async move { link.slot().await.unwrap().submit(sm()).await });
    }
    inbound.recv().await.unwrap().answer.send(ROK);
    let outcomes = timeout(Duration::from_secs(20), submits.join_all()).await.unwrap();
    assert_eq!(outcomes, vec![answered(ROK, ""); 500]);
    link.close().await;
    assert_eq!(smsc.await.unwrap(), 1);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let (deliveries, _inbound) = mpsc::channel(1);
    let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
    let start = |config| {
        let shutdown = CancellationToken::new();
        link::start(config, Arc::new(TcpConnector), rng.clone(), deliveries.clone(), &shutdown).map(|_| ())
    };
    let error = start(LinkConfig { password: "p".repeat(65).into(), ..config() }).unwrap_err();
    assert_eq!(error.to_string(), r#"link "north": password: at most 64 octets expected, found 65"#);
    assert_eq!(start(LinkConfig { window: 1001, ..config() }).unwrap_err().key, "window");
}
