//! The simulated operator over streams.

use std::sync::Arc;
use std::time::Duration;

use airwrite::applet::{BindingResponse, BindingResult, Message, WriteStatus};
use airwrite::identity::Msisdn;
use airwrite::ota::Spi2;
use airwrite::sim::{EsmeAccount, Latencies, OperatorConfig, SimConfig, SimHandle, start};
use airwrite::smpp::{
    Bind, BindMode, Body, CloseReason, CommandStatus, End, Event, MessageState, Password, Role, Session,
    SessionConfig, SystemId,
};
use airwrite::world::{SeededRng, SystemRng, TokioClock};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{
    CODE, Heard, START_MS, cards, hear, order, preset_number, submits, target_imsi, target_number,
};

pub(crate) struct Esme<S> {
    stream: S,
    pub(crate) session: Session<u32>,
    pub(crate) input: BytesMut,
    closed: Option<CloseReason>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Esme<S> {
    pub(crate) fn new(stream: S) -> Self {
        let session = Session::new(SessionConfig::new(Role::Esme), now());
        Self { stream, session, input: BytesMut::new(), closed: None }
    }

    pub(crate) async fn bind(&mut self, mode: BindMode, password: &str) -> CommandStatus {
        let system_id = SystemId::new(b"airwrite").unwrap();
        let bind = Bind::new(mode, system_id, Password::new(password).unwrap());
        self.session.send_bind(now(), &bind, 0).unwrap();
        match self.event().await {
            Event::Ended { end: End::Answered(pdu), .. } => {
                assert!(!pdu.status.is_ok() || matches!(pdu.body, Body::BindResp(_)));
                pdu.status
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next event; what stands in the output is written, time passes.
    pub(crate) async fn event(&mut self) -> Event<u32> {
        loop {
            let octets = self.session.output().split();
            self.stream.write_all(&octets).await.unwrap();
            if let Some(event) = self.session.next_event() {
                if let Event::Closed(reason) = &event {
                    self.closed = Some(*reason);
                }
                return event;
            }
            let deadline = self.session.next_deadline().map(tokio::time::Instant::from_std).unwrap();
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.input) => match read {
                    Ok(0) | Err(_) => self.session.close(now(), CloseReason::ConnectionLost),
                    Ok(_) => self.session.receive(now(), &mut self.input),
                },
                () = tokio::time::sleep_until(deadline) => self.session.handle_timeout(now()),
            }
        }
    }

    /// The next deliver_sm, answered; responses to submit_sm are checked on the way.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match self.event().await {
                Event::Sm(unanswered, sm) => {
                    self.session.answer_sm(now(), unanswered, CommandStatus::ESME_ROK, Default::default());
                    return hear(&sm);
                }
                Event::Ended { end: End::Answered(pdu), .. } => assert!(pdu.status.is_ok(), "{pdu:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn submit(&mut self, to: &Msisdn, cntr: u64, spi2: Spi2, message: &Message) {
        for sm in submits(to, cntr, spi2, message) {
            self.session.send_sm(now(), &sm, 1).unwrap();
        }
    }
}

pub(crate) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn config() -> SimConfig {
    let latencies = Latencies {
        attach_ms: 20,
        mt_ms: 5,
        mo_ms: 5,
        restart_ms: 20,
        status_ms: 500,
        ..Latencies::default()
    };
    SimConfig {
        operator: OperatorConfig { latencies, ..OperatorConfig::default() },
        accounts: vec![EsmeAccount {
            system_id: "airwrite".to_owned(),
            password: "secret".into(),
            short_codes: vec![CODE.to_owned()],
        }],
        ..SimConfig::default()
    }
}

async fn bind_write_and_prove<S: AsyncRead + AsyncWrite + Unpin>(sim: &SimHandle, esme: &mut Esme<S>) {
    sim.provision(target_imsi(0).parse().unwrap(), target_number(0)).await.unwrap();
    sim.power_on([0]).await.unwrap();
    let Heard::Own(_, Message::BindingRequest(request)) = esme.hear().await else {
        panic!("a binding request")
    };
    let saved = Message::BindingResponse(BindingResponse { tid: request.tid, result: BindingResult::Saved });
    esme.submit(&preset_number(0), 1, Spi2::NO_POR, &saved);
    assert!(matches!(esme.hear().await, Heard::Receipt(MessageState::DELIVERED)));
    let write = Message::WriteCard(order(0, 1));
    esme.submit(&preset_number(0), 2, Spi2::POR_CC_CIPHERED_BY_SUBMIT, &write);
    for _ in 0..2 {
        assert!(matches!(esme.hear().await, Heard::Receipt(_) | Heard::Por(..)));
    }
    let Heard::Own(from, Message::WriteResult(result)) = esme.hear().await else { panic!("a result") };
    assert_eq!((from.as_str(), result.status), (target_number(0).as_str(), WriteStatus::Confirmed));
    let report = sim.snapshot().await.unwrap();
    assert_eq!(report.cards[0].card.ef_msisdn, Some(target_number(0)));
}

#[tokio::test(start_paused = true)]
async fn over_a_duplex_stream_in_paused_time() {
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let sim = start(config(), &cards(1), clock, Arc::new(SeededRng::new(1)), None);
    let (stream, end) = tokio::io::duplex(64 * 1024);
    sim.serve(end);
    let mut esme = Esme::new(stream);
    assert_eq!(esme.bind(BindMode::Transceiver, "wrong").await, CommandStatus::ESME_RINVPASWD);
    assert_eq!(esme.bind(BindMode::Transceiver, "secret").await, CommandStatus::ESME_ROK);
    bind_write_and_prove(&sim, &mut esme).await;

    let stopped = tokio::spawn(sim.clone().stop());
    assert!(matches!(esme.event().await, Event::Closed(CloseReason::PeerUnbound)));
    drop(esme);
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap().unwrap();
    assert!(sim.snapshot().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_session_had_not_answered_goes_to_the_next_one() {
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let sim = start(config(), &cards(1), clock, Arc::new(SeededRng::new(1)), None);
    let (stream, end) = tokio::io::duplex(64 * 1024);
    sim.serve(end);
    let mut first = Esme::new(stream);
    first.bind(BindMode::Transceiver, "secret").await;
    sim.power_on([0]).await.unwrap();
    assert!(matches!(first.event().await, Event::Sm(..)), "and no answer");
    drop(first);
    let (stream, end) = tokio::io::duplex(64 * 1024);
    sim.serve(end);
    let mut second = Esme::new(stream);
    assert_eq!(second.bind(BindMode::Receiver, "secret").await, CommandStatus::ESME_ROK);
    assert!(matches!(second.hear().await, Heard::Own(_, Message::BindingRequest(_))));
    drop(second);
    sim.stop().await;
}

#[tokio::test]
async fn over_tcp_with_a_transmitter_and_a_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let sim = start(config(), &cards(1), clock, Arc::new(SystemRng), Some(listener));
    let connect = || TcpStream::connect(sim.address().unwrap());
    let mut transmitter = Esme::new(connect().await.unwrap());
    assert_eq!(transmitter.bind(BindMode::Transmitter, "secret").await, CommandStatus::ESME_ROK);
    let mut receiver = Esme::new(connect().await.unwrap());
    assert_eq!(receiver.bind(BindMode::Receiver, "secret").await, CommandStatus::ESME_ROK);
    sim.power_on([0]).await.unwrap();
    let Heard::Own(_, Message::BindingRequest(request)) = receiver.hear().await else { panic!("a request") };
    let saved = Message::BindingResponse(BindingResponse { tid: request.tid, result: BindingResult::Saved });
    transmitter.submit(&preset_number(0), 1, Spi2::NO_POR, &saved);
    assert!(matches!(transmitter.event().await, Event::Ended { end: End::Answered(_), .. }));
    assert!(matches!(receiver.hear().await, Heard::Receipt(MessageState::DELIVERED)));
    assert!(sim.snapshot().await.unwrap().cards[0].card.binding_flag);

    receiver.session.unbind(now());
    assert!(matches!(receiver.event().await, Event::Closed(CloseReason::Unbound)));
    drop(transmitter);
    sim.stop().await;
}
