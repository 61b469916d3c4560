//! The clients under measurement, each used as its documentation shows: as many callers as the window has places, each
//! waiting for its response before it submits again.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airwrite::link::{
    self, BoxFuture, Connector, Delivery, Link, LinkConfig, SourceConfig, SubmitOutcome, Transport,
};
use airwrite::smpp::{Body, CommandStatus, Pdu, Sm, frame};
use airwrite::world::SeededRng;
use bytes::BytesMut;
use futures_util::{Stream, StreamExt};
use rusmpp::tokio_codec::CommandCodec;
use smpp34::client::{BIND_TYPE, SMSC, SmppClient, SmppClientListener};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use super::bare::Bare;
use super::sample::{Counted, Sample, thread_cpu};
use crate::codec::submit_sm_of_a_secured_packet;

/// Whose client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Bare,
    Airwrite,
    Smpp34,
    Rusmppc,
}

impl Client {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare loop",
            Self::Airwrite => "airwrite",
            Self::Smpp34 => "smpp34",
            Self::Rusmppc => "rusmppc",
        }
    }

    /// Binds, submits `warm_up` messages, and takes the time of `count` more.
    pub(crate) async fn submit(self, smsc: SocketAddr, window: u32, warm_up: u32, count: u32) -> Sample {
        let pdu = submit_sm_of_a_secured_packet();
        match self {
            Self::Bare => {
                let mut bare = Bare::bound(smsc).await.expect("a bind");
                bare.submit(&pdu, window, warm_up).await.expect("responses");
                let writes = Arc::clone(&bare.stream.writes);
                timed(count, Some(&writes), async {
                    bare.submit(&pdu, window, count).await.expect("responses")
                })
                .await
            }
            Self::Airwrite => {
                let airwrite = Airwrite::start(smsc, window).await;
                let sm = ota_sm(pdu);
                let link = airwrite.link.clone();
                let submit = move || {
                    let (link, sm) = (link.clone(), sm.clone());
                    async move {
                        let outcome = link.slot().await.expect("an open link").submit(sm).await;
                        let SubmitOutcome::Answered { status, .. } = outcome else { panic!("{outcome:?}") };
                        assert_eq!(status, CommandStatus::ESME_ROK);
                    }
                };
                callers(window, warm_up, &submit).await;
                timed(count, Some(&airwrite.writes), callers(window, count, &submit)).await
            }
            Self::Smpp34 => {
                let (client, smsc) = start_smpp34(smsc, window).await;
                let header = smpp34::CommandHeader::decode(&pdu).expect("a header");
                let sm = smpp34::submit_sm::decode(header, &pdu).expect("a submit_sm");
                let smsc = Arc::new(smsc);
                let submit = move || {
                    let (smsc, sm) = (Arc::clone(&smsc), sm.clone());
                    async move {
                        smsc.send_submit_sm_pdu(sm).await.expect("a response");
                    }
                };
                callers(window, warm_up, &submit).await;
                let sample = timed(count, None, callers(window, count, &submit)).await;
                drop(client);
                sample
            }
            Self::Rusmppc => {
                let (client, _events, writes) = start_rusmppc(smsc).await;
                let command =
                    CommandCodec::new().decode(&mut pdu.clone()).expect("a PDU").expect("a whole one");
                let Some(rusmpp::Pdu::SubmitSm(sm)) = command.pdu().cloned() else { panic!("{command:?}") };
                let submit = move || {
                    let (client, sm) = (client.clone(), sm.clone());
                    async move {
                        client.submit_sm(sm).await.expect("a response");
                    }
                };
                callers(window, warm_up, &submit).await;
                timed(count, Some(&writes), callers(window, count, &submit)).await
            }
        }
    }

    /// Binds and answers what is delivered, at once or all together every `commit`, until the SMSC says how long
    /// `count` of all `total` took.
    pub(crate) async fn receive(
        self,
        smsc: SocketAddr,
        window: u32,
        commit: Option<Duration>,
        took: oneshot::Receiver<Duration>,
        (count, total): (u32, u32),
    ) -> Sample {
        let began = thread_cpu();
        let mut writes = None;
        let took = match self {
            Self::Bare => {
                let mut bare = Bare::bound(smsc).await.expect("a bind");
                writes = Some(Arc::clone(&bare.stream.writes));
                until(took, async { bare.receive(commit).await.expect("a stream") }).await
            }
            Self::Airwrite => {
                let mut airwrite = Airwrite::start(smsc, window).await;
                writes = Some(Arc::clone(&airwrite.writes));
                match commit {
                    None => until(took, airwrite.answer_at_once()).await,
                    Some(commit) => until(took, airwrite.answer_every(commit)).await,
                }
            }
            Self::Smpp34 => {
                let (_client, _smsc) = start_smpp34(smsc, window).await;
                took.await.expect("the SMSC's measurement")
            }
            Self::Rusmppc => {
                let (client, mut events, counted) = start_rusmppc(smsc).await;
                writes = Some(counted);
                let answers = async {
                    while let Some(event) = events.next().await {
                        let rusmppc::Event::Incoming(command) = event else { panic!("{event:?}") };
                        let resp = rusmpp::pdus::DeliverSmResp::default();
                        client.deliver_sm_resp(command.sequence_number(), resp).await.expect("a connection");
                    }
                };
                until(took, answers).await
            }
        };
        // The processor's time and the writes are those of all messages, warm-up and bind included.
        let cpu = (thread_cpu() - began).mul_f64(f64::from(count) / f64::from(total));
        let writes = writes.map(|writes| writes.load(Relaxed) * u64::from(count) / u64::from(total));
        Sample { count, took, cpu, writes }
    }
}

/// The SMSC's measurement, while the client works.
async fn until(took: oneshot::Receiver<Duration>, work: impl Future<Output = ()>) -> Duration {
    tokio::select! {
        took = took => took.expect("the SMSC's measurement"),
        () = work => panic!("the client has stopped"),
    }
}

/// `count` requests from `window` callers, each waiting for the end of one before it begins another.
async fn callers<R, F>(window: u32, count: u32, request: &R)
where
    R: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let mut callers = JoinSet::new();
    for _ in 0..window {
        let request = request.clone();
        callers.spawn(async move {
            for _ in 0..count / window {
                request().await;
            }
        });
    }
    callers.join_all().await;
}

/// The time that `work` takes for `count` round trips.
async fn timed(count: u32, writes: Option<&AtomicU64>, work: impl Future<Output = ()>) -> Sample {
    let (written, cpu, began) = (writes.map(|writes| writes.load(Relaxed)), thread_cpu(), Instant::now());
    work.await;
    let took = began.elapsed();
    let writes = writes.zip(written).map(|(writes, before)| writes.load(Relaxed) - before);
    Sample { count, took, cpu: thread_cpu() - cpu, writes }
}

// ---- The message

fn ota_sm(mut pdu: BytesMut) -> Sm {
    let frame = frame::next(&mut pdu, 1024).expect("a PDU").expect("a whole one");
    let Body::SubmitSm(sm) = Pdu::decode(frame).body else { panic!("a submit_sm") };
    sm
}

// ---- Starting them

struct Airwrite {
    link: Link,
    inbound: mpsc::Receiver<Delivery>,
    writes: Arc<AtomicU64>,
}

impl Airwrite {
    /// A link that is bound.
    async fn start(smsc: SocketAddr, window: u32) -> Self {
        let connector = CountingConnector::default();
        let writes = Arc::clone(&connector.writes);
        let (deliveries, inbound) = mpsc::channel(1024);
        let config = LinkConfig {
            name: "bench".into(),
            address: smsc.to_string(),
            system_id: "airwrite".into(),
            password: "secret".into(),
            window: u16::try_from(window).expect("a window"),
            inbound_queue: 1024,
            source: SourceConfig { digits: "49170".into(), ..SourceConfig::default() },
            ..LinkConfig::default()
        };
        let (rng, shutdown) = (Arc::new(SeededRng::new(1)), CancellationToken::new());
        let link = link::start(config, Arc::new(connector), rng, deliveries, &shutdown).expect("a link");
        drop(link.slot().await.expect("a bind"));
        Self { link, inbound, writes }
    }

    async fn answer_at_once(&mut self) {
        while let Some(delivery) = self.inbound.recv().await {
            assert_eq!(std::hint::black_box(&delivery.sm).short_message.as_bytes().len(), 140);
            delivery.answer.send(CommandStatus::ESME_ROK);
        }
    }

    /// A store that commits what it has been handed since the last commit, and only then lets it be answered.
    async fn answer_every(&mut self, commit: Duration) {
        let mut handed = Vec::new();
        let mut commits = tokio::time::interval(commit);
        loop {
            tokio::select! {
                biased;
                _ = commits.tick() => {
                    handed.drain(..).for_each(|delivery: Delivery| delivery.answer.send(CommandStatus::ESME_ROK));
                }
                some = self.inbound.recv_many(&mut handed, 1024) => if some == 0 { return },
            }
        }
    }
}

/// TCP whose writes are counted.
#[derive(Debug, Default)]
struct CountingConnector {
    writes: Arc<AtomicU64>,
}

impl Connector for CountingConnector {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(Counted { stream, writes: Arc::clone(&self.writes) }) as Box<dyn Transport>)
        })
    }
}

async fn start_rusmppc(
    smsc: SocketAddr,
) -> (rusmppc::Client, impl Stream<Item = rusmppc::Event> + Unpin, Arc<AtomicU64>) {
    let stream = TcpStream::connect(smsc).await.expect("an SMSC");
    stream.set_nodelay(true).expect("a TCP socket");
    let stream = Counted::new(stream);
    let writes = Arc::clone(&stream.writes);
    let (client, events) = rusmppc::ConnectionBuilder::new().connected(stream);
    let bind = rusmpp::pdus::BindTransceiver::default();
    client.bind_transceiver(bind).await.expect("a bind");
    // It may leave a request in its buffer until something wakes it: without these pings, that is its own enquire_link
    // half a minute later.
    let pinged = client.clone();
    tokio::spawn(async move {
        while pinged.is_active() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    (client, events, writes)
}

async fn start_smpp34(smsc: SocketAddr, window: u32) -> (SmppClient, SMSC) {
    let (bound, smsc_bound) = oneshot::channel();
    let mut client = SmppClient::new(
        smsc.ip().to_string(),
        smsc.port(),
        false,
        BIND_TYPE::TRX,
        "airwrite".to_owned(),
        "secret".to_owned(),
        String::new(),
        0,
        0,
        String::new(),
        Arc::new(Listener { bound: Mutex::new(Some(bound)) }),
        window as usize,
    );
    client.start().await;
    (client, smsc_bound.await.expect("a bind"))
}

/// Accepts every deliver_sm, as by default.
struct Listener {
    bound: Mutex<Option<oneshot::Sender<SMSC>>>,
}

impl SmppClientListener for Listener {
    // As written by the macro of the trait.
    fn on_smsc_bound<'life0, 'life1, 'async_trait>(
        &'life0 self,
        smsc: SMSC,
        _session_id: &'life1 String,
    ) -> BoxFuture<'async_trait, ()>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        if let Some(bound) = self.bound.lock().expect("one thread").take() {
            let _ = bound.send(smsc);
        }
        Box::pin(std::future::ready(()))
    }
}
