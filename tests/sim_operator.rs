//! The simulated operator from end to end: without I/O, over a duplex stream in paused time, and over TCP. The test plays
//! the platform.

use std::sync::Arc;
use std::time::Duration;

use airwrite::applet::{
    BindingResponse, BindingResult, Message, Refresh, ResultAck, Trigger, WriteCard, WriteResult, WriteStatus,
};
use airwrite::identity::{Imei, Msisdn};
use airwrite::ota::{
    Algorithm, CommandHeader, Content, Cpi, Key, KeySet, Reference, Spi1, Spi2, SplitOptions, UserData,
    command, response, split,
};
use airwrite::sim::card::MT_TAR;
use airwrite::sim::operator::{Input, Operator, Output};
use airwrite::sim::{
    CardSpec, EsmeAccount, EsmeId, Latencies, OperatorConfig, OperatorSecret, Preset, SimConfig, SimHandle,
    SmscConfig, start,
};
use airwrite::smpp::{
    Address, Bind, BindMode, Body, CloseReason, CommandStatus, End, Event, MessageState, MessageType,
    Password, RegisteredDelivery, Role, Session, SessionConfig, ShortMessage, Sm, SystemId, receipt,
};
use airwrite::world::{SeededRng, SystemRng, TokioClock};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const START_MS: u64 = 1_700_000_000_000;
const CODE: &str = "10690";
const EIDS: [&str; 3] = [
    "89034011560010000000000000000121",
    "89001012012341234012345678901224",
    "89044011112233441122334411223321",
];
const IMEIS: [&str; 3] = ["490154203237518", "357805023984942", "352099001761481"];

fn keys() -> KeySet {
    let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
    KeySet::new(1, key(1), key(2), 8).unwrap()
}

fn preset_number(card: usize) -> Msisdn {
    format!("86106480000000{card}").parse().unwrap()
}

fn target_number(card: usize) -> Msisdn {
    format!("86106481234567{card}").parse().unwrap()
}

fn target_imsi(card: usize) -> String {
    format!("46004123456789{card}")
}

fn cards(count: usize) -> Vec<CardSpec> {
    (0..count)
        .map(|card| {
            let imei: Imei = IMEIS[card].parse().unwrap();
            let iccid = "8986040000000000012".parse().unwrap();
            let mut spec = CardSpec::new(EIDS[card].parse().unwrap(), iccid, imei, keys());
            let imsi = format!("46004000000000{card}").parse().unwrap();
            spec.preset = Some(Preset { imsi, msisdn: preset_number(card) });
            spec
        })
        .collect()
}

fn order(card: usize, tid: u32) -> WriteCard {
    WriteCard {
        tid,
        imei: IMEIS[card].parse().unwrap(),
        eid: EIDS[card].parse().unwrap(),
        iccid: None,
        imsi: target_imsi(card).parse().unwrap(),
        msisdn: target_number(card),
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: None,
        key_block: None,
    }
}

/// A submit_sm for each part of a command.
fn submits(to: &Msisdn, cntr: u64, spi2: Spi2, message: &Message) -> Vec<Sm> {
    let header =
        CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, spi2, &keys(), MT_TAR, cntr.try_into().unwrap());
    let packet = command::seal(&header, &keys(), &message.to_der().unwrap()).unwrap();
    let source = Address { ton: 0, npi: 1, digits: CODE.parse().unwrap() };
    let destination = Address::international(to.as_str()).unwrap();
    split(&packet, Cpi::Command, &SplitOptions::new(Reference::Bits8(1)))
        .unwrap()
        .into_iter()
        .map(|part| Sm {
            registered_delivery: RegisteredDelivery::FINAL,
            ..Sm::submit_ota(source, destination, ShortMessage::try_from(Bytes::from(part)).unwrap())
        })
        .collect()
}

/// What a deliver_sm is to the platform.
#[derive(Debug)]
enum Heard {
    Receipt(MessageState),
    /// From this number.
    Own(String, Message),
    Por(String, Message),
}

fn hear(sm: &Sm) -> Heard {
    let from = sm.source.digits.to_str_lossy().into_owned();
    if sm.esm_class.message_type() == MessageType::DeliveryReceipt {
        return Heard::Receipt(receipt::parse(sm).unwrap().state);
    }
    assert_eq!((sm.esm_class.udhi(), sm.destination.digits.to_str_lossy().as_ref()), (true, CODE));
    let user_data = UserData::parse(&sm.user_data()).unwrap();
    match user_data.content() {
        Content::Command => Heard::Own(
            from,
            Message::from_der(&command::open(&user_data.payload, &keys()).unwrap().data).unwrap(),
        ),
        Content::Response => {
            let por = response::open(&user_data.payload, Spi2::POR_CC_CIPHERED_BY_SUBMIT, &keys()).unwrap();
            Heard::Por(from, Message::from_der(&por.data).unwrap())
        }
        Content::Plain => panic!("plain"),
    }
}

// ---- Without I/O

const ESME: EsmeId = EsmeId(1);

struct Bench {
    operator: Operator,
    now_ms: u64,
    cntr: u64,
    submitted: Vec<Result<String, CommandStatus>>,
}

impl Bench {
    fn new(config: OperatorConfig, count: usize) -> Self {
        let mut operator = Operator::new(config, &cards(count), Arc::new(SeededRng::new(7)));
        let (system_id, short_codes) = ("airwrite".to_owned(), vec![CODE.to_owned()]);
        operator.handle(START_MS, Input::Bound { esme: ESME, system_id, short_codes, delivers: true });
        for card in 0..count {
            operator
                .handle(START_MS, Input::Provision(target_imsi(card).parse().unwrap(), target_number(card)));
        }
        Self { operator, now_ms: START_MS, cntr: 0, submitted: Vec::new() }
    }

    fn input(&mut self, input: Input) {
        self.operator.handle(self.now_ms, input);
    }

    fn submit(&mut self, to: &Msisdn, spi2: Spi2, message: &Message) {
        self.cntr += 1;
        for sm in submits(to, self.cntr, spi2, message) {
            self.input(Input::Submit { esme: ESME, token: 1, sm: Box::new(sm) });
        }
    }

    /// The next thing heard within `within_ms`; answered with `status`.
    fn hear_and_answer(&mut self, within_ms: u64, status: CommandStatus) -> Option<Heard> {
        let until = self.now_ms + within_ms;
        loop {
            while let Some(output) = self.operator.poll_output() {
                match output {
                    Output::SubmitAnswer { answer, .. } => self.submitted.push(answer),
                    Output::Deliver { delivery, sm, .. } => {
                        self.input(Input::Answered(delivery, Some(status)));
                        return Some(hear(&sm));
                    }
                    Output::Cut { .. } => panic!("no faults were planned"),
                }
            }
            self.now_ms = self.operator.next_deadline().filter(|due| *due <= until)?;
            self.input(Input::Tick);
        }
    }

    fn hear(&mut self) -> Heard {
        self.hear_and_answer(600_000, CommandStatus::ESME_ROK).expect("something within ten minutes")
    }

    fn bind(&mut self, card: usize) {
        self.input(Input::PowerOn(card));
        let Heard::Own(from, Message::BindingRequest(request)) = self.hear() else {
            panic!("a binding request")
        };
        assert_eq!((from.as_str(), request.trigger), (preset_number(card).as_str(), Trigger::Boot));
        let saved =
            Message::BindingResponse(BindingResponse { tid: request.tid, result: BindingResult::Saved });
        self.submit(&preset_number(card), Spi2::NO_POR, &saved);
        assert!(matches!(self.hear(), Heard::Receipt(MessageState::DELIVERED)));
        assert!(self.operator.snapshot().cards[card].card.binding_flag);
    }

    /// Sends the order; gives the result in the PoR.
    fn write(&mut self, card: usize, tid: u32) -> WriteResult {
        let message = Message::WriteCard(order(card, tid));
        self.submit(&preset_number(card), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &message);
        let mut result = None;
        for _ in 0..2 {
            match self.hear() {
                Heard::Receipt(state) => assert_eq!(state, MessageState::DELIVERED),
                Heard::Por(from, Message::WriteResult(por)) => {
                    assert_eq!(from, preset_number(card).as_str());
                    result = Some(por);
                }
                other => panic!("{other:?}"),
            }
        }
        result.unwrap()
    }

    fn own_result(&mut self) -> (String, WriteResult) {
        match self.hear() {
            Heard::Own(from, Message::WriteResult(result)) => (from, result),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_card_is_bound_written_and_proved_under_its_new_number() {
    let mut bench = Bench::new(OperatorConfig::default(), 3);
    for card in 0..3 {
        bench.bind(card);
        assert_eq!(bench.write(card, 4).status, WriteStatus::Accepted);
        let (from, result) = bench.own_result();
        assert_eq!((from.as_str(), result.status), (target_number(card).as_str(), WriteStatus::Confirmed));
        let ack = Message::ResultAck(ResultAck { tid: 4, status: WriteStatus::Confirmed });
        bench.submit(&target_number(card), Spi2::NO_POR, &ack);
        assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    }
    assert!(bench.hear_and_answer(3_600_000, CommandStatus::ESME_ROK).is_none(), "nothing is left to say");
    let report = bench.operator.snapshot();
    for (card, status) in report.cards.iter().enumerate() {
        assert_eq!(status.attached.unwrap().as_str(), target_imsi(card));
        assert_eq!(status.card.ef_imsi, status.attached);
        assert_eq!((&status.card.executed, status.card.bindings_sent), (&[(4, 1)].into(), 1));
        assert!(status.card.cntr_conflicts.is_empty());
    }
    assert_eq!((report.totals.submits, report.totals.delivered, report.totals.mo), (9, 9, 9));
    assert_eq!((report.totals.refused, report.totals.mo_acknowledged), (0, 18));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["cards"][0]["last_state"], "confirmed");
    assert_eq!(json["cards"][0]["ef_imsi"], target_imsi(0));
}

#[test]
fn a_subscriber_with_another_key_leads_to_a_roll_back() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    let other_keys = OperatorSecret::new([9; 16]).credentials(&target_imsi(0).parse().unwrap());
    bench.input(Input::ProvisionWith(target_imsi(0).parse().unwrap(), target_number(0), other_keys));
    bench.write(0, 1);
    let (from, result) = bench.own_result();
    assert_eq!((from.as_str(), result.status), (preset_number(0).as_str(), WriteStatus::RolledBack));
    let status = &bench.operator.snapshot().cards[0];
    assert_eq!((status.card.ef_msisdn, status.card.last_state), (Some(preset_number(0)), "rolled_back"));
}

#[test]
fn a_terminal_that_refuses_refresh_only_delays_the_proof() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    bench.input(Input::RefuseRefresh(0, 3));
    bench.write(0, 1);
    assert_eq!(bench.own_result().1.status, WriteStatus::Confirmed);
}

#[test]
fn a_message_waits_for_a_terminal_that_is_off() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.bind(0);
    bench.input(Input::PowerOff(0));
    bench.submit(&preset_number(0), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    assert!(bench.hear_and_answer(3_600_000, CommandStatus::ESME_ROK).is_none());
    bench.input(Input::PowerOn(0));
    assert!(matches!(bench.hear(), Heard::Receipt(MessageState::DELIVERED)));
    assert!(matches!(bench.hear(), Heard::Por(_, Message::WriteResult(_))));
    // Off and on again in the middle: the card remembers, and confirms.
    bench.input(Input::PowerOff(0));
    bench.input(Input::PowerOn(0));
    assert_eq!(bench.own_result().1.status, WriteStatus::Confirmed);
}

#[test]
fn an_esme_that_is_not_ready_hears_the_message_again() {
    let mut bench = Bench::new(OperatorConfig::default(), 1);
    bench.input(Input::PowerOn(0));
    for status in [CommandStatus::ESME_RX_T_APPN, CommandStatus::ESME_RMSGQFUL] {
        assert!(matches!(bench.hear_and_answer(600_000, status), Some(Heard::Own(..))));
    }
    bench.input(Input::Unbound(ESME));
    assert!(bench.hear_and_answer(60_000, CommandStatus::ESME_ROK).is_none());
    let (system_id, short_codes) = ("airwrite".to_owned(), vec![CODE.to_owned()]);
    bench.input(Input::Bound { esme: EsmeId(2), system_id, short_codes, delivers: true });
    assert!(matches!(bench.hear(), Heard::Own(..)));
    assert_eq!(bench.operator.snapshot().totals.mo_repeated, 2);
}

#[test]
fn too_many_messages_a_second_are_throttled() {
    let smsc = SmscConfig { submit_rate_max: Some(2), ..SmscConfig::default() };
    let mut bench = Bench::new(OperatorConfig { smsc, ..OperatorConfig::default() }, 1);
    let ack = Message::ResultAck(ResultAck { tid: 1, status: WriteStatus::Confirmed });
    for _ in 0..3 {
        bench.submit(&preset_number(0), Spi2::NO_POR, &ack);
    }
    bench.submit(&"861064899999999".parse().unwrap(), Spi2::NO_POR, &ack);
    bench.hear_and_answer(0, CommandStatus::ESME_ROK);
    let refused: Vec<_> = bench.submitted.iter().filter_map(|answer| answer.clone().err()).collect();
    assert_eq!(refused, [CommandStatus::ESME_RTHROTTLED, CommandStatus::ESME_RTHROTTLED]);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut bench = Bench::new(OperatorConfig::default(), 2);
        bench.bind(0);
        bench.write(0, 1);
        bench.own_result();
        bench.now_ms
    };
    assert_eq!(run(), run());
}

// ---- Over streams

struct Esme<S> {
    stream: S,
    session: Session<u32>,
    input: BytesMut,
    closed: Option<CloseReason>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Esme<S> {
    fn new(stream: S) -> Self {
        let session = Session::new(SessionConfig::new(Role::Esme), now());
        Self { stream, session, input: BytesMut::new(), closed: None }
    }

    async fn bind(&mut self, mode: BindMode, password: &str) -> CommandStatus {
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
    async fn event(&mut self) -> Event<u32> {
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
    async fn hear(&mut self) -> Heard {
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

    fn submit(&mut self, to: &Msisdn, cntr: u64, spi2: Spi2, message: &Message) {
        for sm in submits(to, cntr, spi2, message) {
            self.session.send_sm(now(), &sm, 1).unwrap();
        }
    }
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

fn config() -> SimConfig {
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
