//! An SMSC in octets: it cuts PDUs from the stream and makes them by hand.

use std::io;
use std::sync::Arc;

use airwrite::link::{self, Delivery, Link, LinkConfig, LinkState, SourceConfig, TcpConnector};
use airwrite::smpp::{Address, RegisteredDelivery, ShortMessage, Sm};
use airwrite::world::SeededRng;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) const GENERIC_NACK: u32 = 0x8000_0000;
pub(crate) const SUBMIT_SM: u32 = 0x0000_0004;
pub(crate) const DELIVER_SM: u32 = 0x0000_0005;
pub(crate) const UNBIND: u32 = 0x0000_0006;
pub(crate) const BIND_TRANSCEIVER: u32 = 0x0000_0009;
pub(crate) const ENQUIRE_LINK: u32 = 0x0000_0015;

/// What makes a response of a request.
pub(crate) const RESPONSE: u32 = 0x8000_0000;

/// A PDU as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawPdu {
    pub(crate) command_id: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
}

/// The octets of a PDU.
pub(crate) fn pdu(command_id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut octets = Vec::with_capacity(16 + body.len());
    for field in [length, command_id, status, sequence] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend(body);
    octets
}

/// The body of a deliver_sm or submit_sm with these octets as source address and as everything behind
/// sm_default_msg_id (sm_length, short_message, TLVs).
pub(crate) fn sm_body(source_addr: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(source_addr);
    body.extend([3, 0]);
    body.extend(b"10690\0");
    // esm_class, protocol_id, priority_flag, two empty times, registered_delivery, replace_if_present_flag, data_coding,
    // sm_default_msg_id.
    body.extend([0x40, 0x7F, 0, 0, 0, 0, 0, 0xF6, 0]);
    body.extend(rest);
    body
}

/// The stream of one connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    input: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: Vec::new() }
    }

    /// Takes the bind_transceiver that is expected now and accepts it.
    pub(crate) async fn bound(stream: S) -> Self {
        let mut peer = Self::new(stream);
        let bind = peer.next().await.expect("a bind");
        assert_eq!(bind.command_id, BIND_TRANSCEIVER);
        peer.send(&pdu(BIND_TRANSCEIVER | RESPONSE, 0, bind.sequence, b"peer\0")).await.unwrap();
        peer
    }

    /// The next PDU; `None` when the connection is gone.
    pub(crate) async fn next(&mut self) -> Option<RawPdu> {
        loop {
            if let Some(pdu) = self.cut() {
                return Some(pdu);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// The next PDU that is here already.
    pub(crate) fn cut(&mut self) -> Option<RawPdu> {
        let field = |at: usize| Some(u32::from_be_bytes(self.input.get(at..at + 4)?.try_into().unwrap()));
        let length = usize::try_from(field(0)?).unwrap();
        assert!(length >= 16, "command_length {length}");
        if self.input.len() < length {
            return None;
        }
        let (command_id, status, sequence) = (field(4)?, field(8)?, field(12)?);
        let body = self.input.drain(..length).skip(16).collect();
        Some(RawPdu { command_id, status, sequence, body })
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await
    }
}

/// A link over TCP and the peer's end of it.
pub(crate) struct Setup {
    pub(crate) link: Link,
    pub(crate) inbound: mpsc::Receiver<Delivery>,
    pub(crate) listener: TcpListener,
    /// The link lives as long as this does.
    pub(crate) shutdown: CancellationToken,
}

impl Setup {
    /// A link that connects to a listener of its own; `change` has the last word on its configuration.
    pub(crate) async fn new(change: impl FnOnce(&mut LinkConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = config();
        config.address = listener.local_addr().unwrap().to_string();
        change(&mut config);
        let (deliveries, inbound) = mpsc::channel(1024);
        let shutdown = CancellationToken::new();
        let rng = Arc::new(SeededRng::new(1));
        let link = link::start(config, Arc::new(TcpConnector), rng, deliveries, &shutdown).unwrap();
        Self { link, inbound, listener, shutdown }
    }

    /// The next connection, bound.
    pub(crate) async fn accept(&self) -> Peer<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let peer = Peer::bound(stream).await;
        self.link.state().wait_for(|state| *state == LinkState::Bound).await.unwrap();
        peer
    }
}

/// A link named `peer` to nowhere yet.
pub(crate) fn config() -> LinkConfig {
    LinkConfig {
        name: "peer".into(),
        address: "smsc:2775".into(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        source: SourceConfig { digits: "10690".into(), ton: 3, npi: 0 },
        reconnect_first_ms: 1,
        reconnect_max_ms: 2,
        ..LinkConfig::default()
    }
}

/// A submit_sm that carries `payload`.
pub(crate) fn submit_sm(payload: &[u8]) -> Sm {
    let address = Address::international("491700000001").unwrap();
    let user_data = ShortMessage::try_from(Bytes::copy_from_slice(payload)).unwrap();
    Sm { registered_delivery: RegisteredDelivery::NONE, ..Sm::submit_ota(address, address, user_data) }
}

impl Peer<tokio::io::Empty> {
    /// Only cuts what is there.
    pub(crate) fn with_input(input: Vec<u8>) -> Self {
        Self { stream: tokio::io::empty(), input }
    }
}
