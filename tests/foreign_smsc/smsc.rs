//! A message centre on another SMPP stack: PDUs are framed, read and written by `rusmpp`, so that what the platform
//! sends is judged by somebody else's reading of the specification.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use airwrite::ota::tp::{Deliver, TpAddress, time_stamp};
use bytes::BytesMut;
use rusmpp::pdus::{BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp};
use rusmpp::tlvs::MessageDeliveryRequestTlvValue;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{AnyOctetString, COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, InterfaceVersion, MessageState, Npi, Ton};
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};
use uuid::Uuid;

use crate::terminal::{Sent, Terminal};

pub(crate) const SYSTEM_ID: &str = "airwrite";
pub(crate) const PASSWORD: &str = "secret";
/// After so much silence the platform asks whether the message centre is there.
pub(crate) const ENQUIRE_LINK: Duration = Duration::from_millis(200);
/// Longest wait for the platform.
const PATIENCE: Duration = Duration::from_secs(10);

/// A submit_sm that waits for its answer.
pub(crate) struct Submission {
    sequence: u32,
    pub(crate) sm: SubmitSm,
}

/// The message centre with at most one session.
pub(crate) struct Smsc {
    listener: TcpListener,
    session: Option<Session>,
    submissions: VecDeque<Submission>,
    /// Messages to terminals that are not delivered yet.
    stored: VecDeque<SubmitSm>,
    last_sequence: u32,
    last_message_id: u128,
    /// How many enquire_link the platform has sent.
    pub(crate) enquiries: usize,
}

impl Smsc {
    pub(crate) async fn listen() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            session: None,
            submissions: VecDeque::new(),
            stored: VecDeque::new(),
            last_sequence: 0,
            last_message_id: 0,
            enquiries: 0,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Takes the next connection and its bind_transceiver.
    pub(crate) async fn accept_bind(&mut self) {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        let mut session = Session { stream, codec: CommandCodec::new(), input: BytesMut::new() };
        let command = session.receive().await.expect("a bind request");
        let Some(Pdu::BindTransceiver(bind)) = command.pdu() else { panic!("{command:?}") };
        assert_eq!((bind.system_id.as_str(), bind.password.as_str()), (SYSTEM_ID, PASSWORD));
        assert_eq!(bind.interface_version, InterfaceVersion::Smpp3_4);
        let system_id = "foreign".parse().unwrap();
        let response = BindTransceiverResp::new(system_id, Some(InterfaceVersion::Smpp3_4));
        session.send(CommandStatus::EsmeRok, command.sequence_number(), response).await;
        self.session = Some(session);
    }

    /// Asks whether the platform is there.
    pub(crate) async fn enquire(&mut self) {
        let response = self.request(Pdu::EnquireLink).await;
        assert_eq!((response.id(), response.status()), (CommandId::EnquireLinkResp, CommandStatus::EsmeRok));
    }

    /// The next submit_sm.
    pub(crate) async fn submission(&mut self) -> Submission {
        loop {
            if let Some(submission) = self.submissions.pop_front() {
                return submission;
            }
            let other = self.serve().await;
            assert!(other.is_none(), "a submit_sm expected, found {other:?}");
        }
    }

    /// Serves for a while in which the platform submits nothing.
    pub(crate) async fn quiet(&mut self, period: Duration) {
        let serve = async {
            loop {
                let other = self.serve().await;
                assert!(other.is_none(), "{other:?}");
            }
        };
        let _: Result<(), _> = timeout(period, serve).await;
        let unexpected: Vec<_> = self.submissions.iter().map(|submission| &submission.sm).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    /// Keeps a message until its number is reached; the submit_sm is still to be answered.
    pub(crate) fn store(&mut self, submission: &Submission) {
        self.stored.push_back(submission.sm.clone());
    }

    /// Delivers what is stored for the terminal's number and gives what its card sent thereupon.
    pub(crate) fn forward(&mut self, terminal: &mut Terminal) -> Vec<DeliverSm> {
        let stored = std::mem::take(&mut self.stored);
        for sm in stored {
            if terminal.has_number(sm.destination_addr.as_str()) {
                terminal.download(&sms_deliver(&sm));
            } else {
                self.stored.push_back(sm);
            }
        }
        self.collect(terminal)
    }

    /// What the terminal's card has sent, as deliver_sm.
    pub(crate) fn collect(&self, terminal: &mut Terminal) -> Vec<DeliverSm> {
        terminal.take_sent().into_iter().map(deliver_sm).collect()
    }

    /// The next message id: a UUID of 36 characters, as some message centres have them.
    pub(crate) fn message_id(&mut self) -> String {
        self.last_message_id += 1;
        Uuid::from_u128(0x5E55_1045_0000_4000_8000_0000_0000_0000 | self.last_message_id).to_string()
    }

    /// submit_sm_resp: taken.
    pub(crate) async fn accept(&mut self, submission: &Submission, message_id: &str) {
        let response = SubmitSmResp::new(message_id.parse().unwrap(), Vec::new());
        self.session().send(CommandStatus::EsmeRok, submission.sequence, response).await;
    }

    /// submit_sm_resp: too fast. Without a body, as §4.4.2 has it for errors.
    pub(crate) async fn throttle(&mut self, submission: &Submission) {
        let response = Pdu::Other { command_id: CommandId::SubmitSmResp, body: AnyOctetString::empty() };
        self.session().send(CommandStatus::EsmeRthrottled, submission.sequence, response).await;
    }

    /// The connection breaks in the middle of a submit_sm_resp.
    pub(crate) async fn break_off(&mut self, submission: &Submission) {
        let response = SubmitSmResp::new("never read".parse().unwrap(), Vec::new());
        let command = Command::new(CommandStatus::EsmeRok, submission.sequence, response);
        let mut octets = BytesMut::new();
        CommandCodec::new().encode(command, &mut octets).unwrap();
        let mut session = self.session.take().expect("a session");
        session.stream.write_all(&octets[..octets.len() - 4]).await.unwrap();
        session.stream.shutdown().await.unwrap();
    }

    /// Sends a deliver_sm and gives the status with which it is answered.
    pub(crate) async fn deliver(&mut self, sm: &DeliverSm) -> CommandStatus {
        let response = self.request(sm.clone()).await;
        let Some(Pdu::DeliverSmResp(body)) = response.pdu() else { panic!("{response:?}") };
        assert!(body.message_id().is_empty(), "unused, §4.6.2");
        response.status()
    }

    /// Waits for unbind, answers it, and sees the platform close the connection.
    pub(crate) async fn unbound(&mut self) {
        let command = loop {
            if let Some(command) = self.serve().await {
                break command;
            }
        };
        assert_eq!(command.id(), CommandId::Unbind);
        // Longer than the platform leaves a link idle.
        tokio::time::sleep(ENQUIRE_LINK * 2).await;
        let session = self.session();
        session.send(CommandStatus::EsmeRok, command.sequence_number(), Pdu::UnbindResp).await;
        assert_eq!(session.receive().await, None, "nothing after unbind");
    }

    /// Sends a request and waits for the answer with its sequence number.
    async fn request(&mut self, pdu: impl Into<Pdu>) -> Command {
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.session().send(CommandStatus::EsmeRok, sequence, pdu).await;
        loop {
            if let Some(response) = self.serve().await {
                assert_eq!(response.sequence_number(), sequence, "{response:?}");
                return response;
            }
        }
    }

    /// Reads one PDU. enquire_link is answered, submit_sm is kept; anything else is given back.
    async fn serve(&mut self) -> Option<Command> {
        let command = self.session().receive().await.expect("the platform has closed the connection");
        let sequence = command.sequence_number();
        match command.pdu() {
            Some(Pdu::EnquireLink) => {
                self.enquiries += 1;
                self.session().send(CommandStatus::EsmeRok, sequence, Pdu::EnquireLinkResp).await;
                None
            }
            Some(Pdu::SubmitSm(sm)) => {
                self.submissions.push_back(Submission { sequence, sm: sm.clone() });
                None
            }
            _ => Some(command),
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a session")
    }
}

/// One connection of the platform.
struct Session {
    stream: TcpStream,
    codec: CommandCodec,
    input: BytesMut,
}

impl Session {
    /// The next PDU; `None` once the platform has closed the connection.
    async fn receive(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = self.codec.decode(&mut self.input).expect("a PDU that rusmpp can read") {
                return Some(command);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
            if read.expect("the platform is silent").unwrap() == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, status: CommandStatus, sequence: u32, pdu: impl Into<Pdu>) {
        let mut octets = BytesMut::new();
        self.codec.encode(Command::new(status, sequence, pdu), &mut octets).unwrap();
        self.stream.write_all(&octets).await.unwrap();
    }
}

/// A delivery receipt: text and parameters, in the two ways in which platforms read it.
pub(crate) fn delivered_receipt(submission: &Submission, message_id: &str) -> DeliverSm {
    let SubmitSm { source_addr, destination_addr, .. } = submission.sm.clone();
    let text = format!(
        "id:{message_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
    );
    let message_id: COctetString<1, 65> = message_id.parse().unwrap();
    DeliverSm::builder()
        .source_addr_ton(Ton::International)
        .source_addr_npi(Npi::Isdn)
        .source_addr(destination_addr)
        .destination_addr(source_addr)
        .esm_class(EsmClass::from(0x04))
        .short_message(OctetString::from_string(text).unwrap())
        .push_tlv(MessageDeliveryRequestTlvValue::ReceiptedMessageId(message_id))
        .push_tlv(MessageDeliveryRequestTlvValue::MessageState(MessageState::Delivered))
        .build()
}

/// The SMS-DELIVER of a submit_sm, as the terminal gets it.
fn sms_deliver(sm: &SubmitSm) -> Deliver {
    let type_of_address = 0x80 | u8::from(sm.source_addr_ton) << 4 | u8::from(sm.source_addr_npi);
    Deliver {
        more_messages: false,
        udhi: u8::from(sm.esm_class) & 0x40 != 0,
        originator: TpAddress::new(type_of_address, sm.source_addr.as_str()).unwrap(),
        pid: sm.protocol_id,
        dcs: sm.data_coding.into(),
        time_stamp: time_stamp(1_800_000_000_000),
        user_data: sm.short_message().to_vec(),
    }
}

/// The deliver_sm of a message that a card has sent.
fn deliver_sm(Sent { from, submit }: Sent) -> DeliverSm {
    DeliverSm::builder()
        .source_addr_ton(Ton::International)
        .source_addr_npi(Npi::Isdn)
        .source_addr(from.as_str().parse().unwrap())
        .destination_addr(submit.destination.digits().unwrap().parse().unwrap())
        .esm_class(EsmClass::from(if submit.udhi { 0x40 } else { 0x00 }))
        .protocol_id(submit.pid)
        .data_coding(DataCoding::from(submit.dcs))
        .short_message(OctetString::from_vec(submit.user_data).unwrap())
        .build()
}
