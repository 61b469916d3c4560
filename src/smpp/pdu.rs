//! A PDU: header and decoded body.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    AlertNotification, Bind, BindMode, BindResp, BroadcastSm, CancelBroadcastSm, CancelSm, CommandId,
    CommandStatus, DataSm, DecodeError, Frame, Header, Outbind, QuerySm, QuerySmResp, ReplaceSm, Sm, SmResp,
    SubmitMulti, SubmitMultiResp, frame,
};

/// A PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Outcome in a response, ESME_ROK in a request.
    pub status: CommandStatus,
    /// Correlates a response with its request.
    pub sequence: u32,
    /// What the PDU is, and its contents.
    pub body: Body,
}

/// What a PDU is, and its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// bind_transmitter, bind_receiver or bind_transceiver.
    Bind(Box<Bind>),
    /// The response to one of them.
    BindResp(BindResp),
    /// outbind.
    Outbind(Outbind),
    /// unbind.
    Unbind,
    /// unbind_resp.
    UnbindResp,
    /// enquire_link.
    EnquireLink,
    /// enquire_link_resp.
    EnquireLinkResp,
    /// submit_sm.
    SubmitSm(Sm),
    /// submit_sm_resp.
    SubmitSmResp(SmResp),
    /// submit_multi.
    SubmitMulti(SubmitMulti),
    /// submit_multi_resp.
    SubmitMultiResp(SubmitMultiResp),
    /// deliver_sm.
    DeliverSm(Sm),
    /// deliver_sm_resp.
    DeliverSmResp(SmResp),
    /// data_sm.
    DataSm(DataSm),
    /// data_sm_resp.
    DataSmResp(SmResp),
    /// query_sm.
    QuerySm(QuerySm),
    /// query_sm_resp.
    QuerySmResp(QuerySmResp),
    /// cancel_sm.
    CancelSm(CancelSm),
    /// cancel_sm_resp.
    CancelSmResp,
    /// replace_sm.
    ReplaceSm(ReplaceSm),
    /// replace_sm_resp.
    ReplaceSmResp,
    /// alert_notification.
    AlertNotification(AlertNotification),
    /// broadcast_sm.
    BroadcastSm(BroadcastSm),
    /// broadcast_sm_resp.
    BroadcastSmResp(SmResp),
    /// query_broadcast_sm.
    QueryBroadcastSm(QuerySm),
    /// query_broadcast_sm_resp.
    QueryBroadcastSmResp(SmResp),
    /// cancel_broadcast_sm.
    CancelBroadcastSm(CancelBroadcastSm),
    /// cancel_broadcast_sm_resp.
    CancelBroadcastSmResp,
    /// generic_nack.
    GenericNack,
    /// A PDU with a command_id that no specification names.
    Unknown(RawBody),
    /// A PDU this crate knows, with a body that cannot be read.
    Malformed(RawBody, DecodeError),
}

/// An undecoded body. `Debug` shows only its length: a bind carries a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RawBody {
    /// What the PDU claims to be.
    pub command_id: CommandId,
    /// The octets behind the header.
    pub octets: Bytes,
}

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} octets", self.command_id, self.octets.len())
    }
}

impl Pdu {
    /// Decodes the body of a frame. Nothing is an error: what cannot be read is [`Body::Malformed`].
    ///
    /// enquire_link, unbind, generic_nack and the responses that are only a header have no body; octets found there
    /// are ignored.
    #[must_use]
    #[inline]
    pub fn decode(frame: Frame) -> Self {
        let Header { command_id, status, sequence } = frame.header;
        Self { status, sequence, body: Body::decode(command_id, frame.body) }
    }

    /// Appends the PDU to `out`; see [`Body::encode`].
    pub fn encode(&self, out: &mut BytesMut) {
        self.body.encode(self.status, self.sequence, out);
    }
}

impl Body {
    /// The command id that belongs to this body.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.mode.command_id(),
            Self::BindResp(resp) => resp.mode.command_id().response(),
            Self::Outbind(_) => CommandId::OUTBIND,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::SubmitMulti(_) => CommandId::SUBMIT_MULTI,
            Self::SubmitMultiResp(_) => CommandId::SUBMIT_MULTI_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::DataSm(_) => CommandId::DATA_SM,
            Self::DataSmResp(_) => CommandId::DATA_SM_RESP,
            Self::QuerySm(_) => CommandId::QUERY_SM,
            Self::QuerySmResp(_) => CommandId::QUERY_SM_RESP,
            Self::CancelSm(_) => CommandId::CANCEL_SM,
            Self::CancelSmResp => CommandId::CANCEL_SM_RESP,
            Self::ReplaceSm(_) => CommandId::REPLACE_SM,
            Self::ReplaceSmResp => CommandId::REPLACE_SM_RESP,
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
            Self::BroadcastSm(_) => CommandId::BROADCAST_SM,
            Self::BroadcastSmResp(_) => CommandId::BROADCAST_SM_RESP,
            Self::QueryBroadcastSm(_) => CommandId::QUERY_BROADCAST_SM,
            Self::QueryBroadcastSmResp(_) => CommandId::QUERY_BROADCAST_SM_RESP,
            Self::CancelBroadcastSm(_) => CommandId::CANCEL_BROADCAST_SM,
            Self::CancelBroadcastSmResp => CommandId::CANCEL_BROADCAST_SM_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Unknown(raw) | Self::Malformed(raw, _) => raw.command_id,
        }
    }

    /// Appends a PDU with this body to `out`.
    ///
    /// A response with an error status and nothing to say goes without a body, as the specification asks (SMPP 3.4
    /// §4.4.2); only deliver_sm_resp always carries its unused message_id (§4.6.2).
    pub fn encode(&self, status: CommandStatus, sequence: u32, out: &mut BytesMut) {
        let header = Header { command_id: self.command_id(), status, sequence };
        frame::put(out, header, |out| {
            if status.is_ok() || !self.says_nothing() {
                self.put(out);
            }
        });
    }

    #[inline]
    fn decode(command_id: CommandId, octets: Bytes) -> Self {
        match command_id {
            // Not by way of `decode_shared`, which costs another handle on the memory.
            CommandId::SUBMIT_SM => Sm::decode(octets).map(Self::SubmitSm),
            CommandId::DELIVER_SM => Sm::decode(octets).map(Self::DeliverSm),
            CommandId::SUBMIT_SM_RESP => match SmResp::decode(&octets) {
                Ok(resp) => return Self::SubmitSmResp(resp),
                Err(error) => Err((error, octets)),
            },
            _ => Self::decode_shared(command_id, &octets).map_err(|error| (error, octets)),
        }
        .unwrap_or_else(|(error, octets)| Self::Malformed(RawBody { command_id, octets }, error))
    }

    fn decode_shared(command_id: CommandId, octets: &Bytes) -> Result<Self, DecodeError> {
        let bind = |mode| Bind::decode(mode, octets).map(Box::new).map(Self::Bind);
        let bind_resp = |mode| BindResp::decode(mode, octets).map(Self::BindResp);
        match command_id {
            CommandId::BIND_RECEIVER => bind(BindMode::Receiver),
            CommandId::BIND_TRANSMITTER => bind(BindMode::Transmitter),
            CommandId::BIND_TRANSCEIVER => bind(BindMode::Transceiver),
            CommandId::BIND_RECEIVER_RESP => bind_resp(BindMode::Receiver),
            CommandId::BIND_TRANSMITTER_RESP => bind_resp(BindMode::Transmitter),
            CommandId::BIND_TRANSCEIVER_RESP => bind_resp(BindMode::Transceiver),
            CommandId::OUTBIND => Outbind::decode(octets).map(Self::Outbind),
            CommandId::UNBIND => Ok(Self::Unbind),
            CommandId::UNBIND_RESP => Ok(Self::UnbindResp),
            CommandId::ENQUIRE_LINK => Ok(Self::EnquireLink),
            CommandId::ENQUIRE_LINK_RESP => Ok(Self::EnquireLinkResp),
            CommandId::SUBMIT_MULTI => SubmitMulti::decode(octets).map(Self::SubmitMulti),
            CommandId::SUBMIT_MULTI_RESP => SubmitMultiResp::decode(octets).map(Self::SubmitMultiResp),
            CommandId::DELIVER_SM_RESP => SmResp::decode(octets).map(Self::DeliverSmResp),
            CommandId::DATA_SM => DataSm::decode(octets).map(Self::DataSm),
            CommandId::DATA_SM_RESP => SmResp::decode(octets).map(Self::DataSmResp),
            CommandId::QUERY_SM => QuerySm::decode(octets).map(Self::QuerySm),
            CommandId::QUERY_SM_RESP => QuerySmResp::decode(octets).map(Self::QuerySmResp),
            CommandId::CANCEL_SM => CancelSm::decode(octets).map(Self::CancelSm),
            CommandId::CANCEL_SM_RESP => Ok(Self::CancelSmResp),
            CommandId::REPLACE_SM => ReplaceSm::decode(octets).map(Self::ReplaceSm),
            CommandId::REPLACE_SM_RESP => Ok(Self::ReplaceSmResp),
            CommandId::ALERT_NOTIFICATION => AlertNotification::decode(octets).map(Self::AlertNotification),
            CommandId::BROADCAST_SM => BroadcastSm::decode(octets).map(Self::BroadcastSm),
            CommandId::BROADCAST_SM_RESP => SmResp::decode(octets).map(Self::BroadcastSmResp),
            CommandId::QUERY_BROADCAST_SM => QuerySm::decode(octets).map(Self::QueryBroadcastSm),
            CommandId::QUERY_BROADCAST_SM_RESP => SmResp::decode(octets).map(Self::QueryBroadcastSmResp),
            CommandId::CANCEL_BROADCAST_SM => CancelBroadcastSm::decode(octets).map(Self::CancelBroadcastSm),
            CommandId::CANCEL_BROADCAST_SM_RESP => Ok(Self::CancelBroadcastSmResp),
            CommandId::GENERIC_NACK => Ok(Self::GenericNack),
            _ => Ok(Self::Unknown(RawBody { command_id, octets: octets.clone() })),
        }
    }

    /// Whether this is the body of a response whose fields are all empty.
    fn says_nothing(&self) -> bool {
        match self {
            Self::BindResp(resp) => resp.is_empty(),
            Self::SubmitMultiResp(resp) => resp.is_empty(),
            Self::QuerySmResp(resp) => resp.is_empty(),
            Self::SubmitSmResp(resp)
            | Self::DataSmResp(resp)
            | Self::BroadcastSmResp(resp)
            | Self::QueryBroadcastSmResp(resp) => resp.is_empty(),
            _ => false,
        }
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Bind(bind) => bind.put(out),
            Self::BindResp(resp) => resp.put(out),
            Self::Outbind(outbind) => outbind.put(out),
            Self::SubmitSm(sm) | Self::DeliverSm(sm) => sm.put(out),
            Self::SubmitSmResp(resp)
            | Self::DeliverSmResp(resp)
            | Self::DataSmResp(resp)
            | Self::BroadcastSmResp(resp)
            | Self::QueryBroadcastSmResp(resp) => resp.put(out),
            Self::SubmitMulti(multi) => multi.put(out),
            Self::SubmitMultiResp(resp) => resp.put(out),
            Self::DataSm(data) => data.put(out),
            Self::QuerySm(query) | Self::QueryBroadcastSm(query) => query.put(out),
            Self::QuerySmResp(resp) => resp.put(out),
            Self::CancelSm(cancel) => cancel.put(out),
            Self::ReplaceSm(replace) => replace.put(out),
            Self::AlertNotification(alert) => alert.put(out),
            Self::BroadcastSm(broadcast) => broadcast.put(out),
            Self::CancelBroadcastSm(cancel) => cancel.put(out),
            Self::Unknown(raw) | Self::Malformed(raw, _) => out.put_slice(&raw.octets),
            Self::Unbind
            | Self::UnbindResp
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::CancelSmResp
            | Self::ReplaceSmResp
            | Self::CancelBroadcastSmResp
            | Self::GenericNack => {}
        }
    }
}
