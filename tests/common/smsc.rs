//! An SMSC by hand at the other end of the gateway's link.

use std::collections::VecDeque;

use airwrite::sim::CardSpec;
use airwrite::smpp::{
    Address, Body, CommandStatus, End, EsmClass, Event, Role, Session, SessionConfig, ShortMessage, Sm,
    SystemId, Unanswered,
};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::scene::Scene;

/// The operator's end of one connection of the gateway.
pub(crate) struct Smsc {
    stream: DuplexStream,
    session: Session<()>,
    input: BytesMut,
    /// What the gateway has submitted and nobody has looked at.
    submitted: VecDeque<(Unanswered, Sm)>,
}

impl Smsc {
    /// Takes the gateway's next connection and its bind.
    pub(crate) async fn accept(scene: &mut Scene) -> Self {
        let stream = scene.connection().await;
        Self::answer_bind(stream, CommandStatus::ESME_ROK).await
    }

    /// The scene and the gateway's next connection, bound.
    pub(crate) async fn bound(mut scene: Scene) -> (Scene, Self) {
        let smsc = Self::accept(&mut scene).await;
        (scene, smsc)
    }

    /// Answers the bind on a connection with `status`.
    pub(crate) async fn answer_bind(stream: DuplexStream, status: CommandStatus) -> Self {
        let config = SessionConfig { window: 1000, enquire_link: None, ..SessionConfig::new(Role::Smsc) };
        let session = Session::new(config, now());
        let mut smsc = Self { stream, session, input: BytesMut::new(), submitted: VecDeque::new() };
        let Some(Event::Bind(unanswered, _)) = smsc.event().await else { panic!("a bind") };
        smsc.session.answer_bind(unanswered, status, SystemId::EMPTY);
        smsc.flush().await;
        smsc
    }

    /// What happens next on the connection; `None` once it is closed. Dropped while it waits, it has lost nothing.
    pub(crate) async fn event(&mut self) -> Option<Event<()>> {
        loop {
            if let Some(event) = self.session.next_event() {
                return Some(event);
            }
            self.flush().await;
            match self.stream.read_buf(&mut self.input).await {
                Ok(octets) if octets > 0 => self.session.receive(now(), &mut self.input),
                _ => return None,
            }
        }
    }

    /// Nobody reads what is written to a connection that is cut.
    async fn flush(&mut self) {
        let _ = self.stream.write_all_buf(self.session.output()).await;
    }

    /// Delivers a message; its answer is an event to come.
    pub(crate) async fn send(&mut self, sm: &Sm) {
        self.session.send_sm(now(), sm, ()).unwrap();
        self.flush().await;
    }

    /// Sends octets as they are.
    pub(crate) async fn send_octets(&mut self, mut octets: &[u8]) {
        self.stream.write_all_buf(&mut octets).await.unwrap();
    }

    /// Answers what the gateway has submitted.
    pub(crate) async fn answer(&mut self, submitted: Unanswered, status: CommandStatus, message_id: &str) {
        self.session.answer_sm(now(), submitted, status, message_id.parse().unwrap());
        self.flush().await;
    }

    /// Answers another request of the gateway.
    pub(crate) async fn answer_request(&mut self, asked: Unanswered, body: &Body) {
        self.session.answer(now(), asked, CommandStatus::ESME_ROK, body).unwrap();
        self.flush().await;
    }

    /// Refuses another request of the gateway.
    pub(crate) async fn reject(&mut self, asked: Unanswered, status: CommandStatus) {
        self.session.reject(now(), asked, status);
        self.flush().await;
    }

    /// Delivers a message and says how it was answered.
    pub(crate) async fn deliver(&mut self, sm: Sm) -> CommandStatus {
        self.send(&sm).await;
        loop {
            match self.event().await {
                Some(Event::Ended { end: End::Answered(pdu), .. }) => return pdu.status,
                Some(Event::Sm(unanswered, sm)) => self.submitted.push_back((unanswered, sm)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message that the gateway submits; it is accepted.
    pub(crate) async fn submitted(&mut self, message_id: &str) -> Sm {
        while self.submitted.is_empty() {
            match self.event().await {
                Some(Event::Sm(unanswered, sm)) => self.submitted.push_back((unanswered, sm)),
                other => panic!("{other:?}"),
            }
        }
        let (unanswered, sm) = self.submitted.pop_front().unwrap();
        self.answer(unanswered, CommandStatus::ESME_ROK, message_id).await;
        sm
    }
}

/// The clock of the sessions.
pub(crate) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// A message to the platform with a user data header.
pub(crate) fn message(from: &str, user_data: Vec<u8>) -> Sm {
    Sm { esm_class: EsmClass::UDHI, ..plain_message(from, user_data) }
}

/// A message to the platform without one.
pub(crate) fn plain_message(from: &str, user_data: Vec<u8>) -> Sm {
    Sm {
        source: Address::international(from).unwrap(),
        destination: Address { ton: 0, npi: 1, digits: CardSpec::SHORT_CODE.parse().unwrap() },
        short_message: ShortMessage::try_from(Bytes::from(user_data)).unwrap(),
        ..Sm::default()
    }
}

/// A delivery receipt about a message to `number`.
pub(crate) fn receipt(number: &str, text: String) -> Sm {
    Sm { esm_class: EsmClass::DELIVERY_RECEIPT, ..plain_message(number, text.into_bytes()) }
}
