//! A PDU: header and decoded body.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use super::{
    AlertNotification, Bind, BindMode, BindResp, CommandId, CommandStatus, DecodeError, Frame, Header, Sm,
    SmResp, frame,
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
    Bind(Bind),
    /// The response to one of them.
    BindResp(BindResp),
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
    /// deliver_sm.
    DeliverSm(Sm),
    /// deliver_sm_resp.
    DeliverSmResp(SmResp),
    /// alert_notification.
    AlertNotification(AlertNotification),
    /// generic_nack.
    GenericNack,
    /// A PDU this crate does not decode.
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
    /// enquire_link, unbind, their responses and generic_nack have no body; octets found there are ignored.
    #[must_use]
    pub fn decode(frame: Frame) -> Self {
        let Header { command_id, status, sequence } = frame.header;
        let octets = frame.body;
        let body = decode_body(command_id, &octets)
            .unwrap_or_else(|error| Body::Malformed(RawBody { command_id, octets }, error));
        Self { status, sequence, body }
    }

    /// Appends the PDU to `out`; see [`Body::encode`].
    pub fn encode(&self, out: &mut BytesMut) {
        self.body.encode(self.status, self.sequence, out);
    }
}

impl Body {
    /// Appends a PDU with this body to `out`.
    ///
    /// A bind or submit_sm response with an error status and nothing to say goes without a body, as the
    /// specification asks (§4.4.2).
    pub fn encode(&self, status: CommandStatus, sequence: u32, out: &mut BytesMut) {
        let header = Header { command_id: self.command_id(), status, sequence };
        let failed = !status.is_ok();
        frame::put(out, header, |out| match self {
            Self::Bind(bind) => bind.put(out),
            Self::BindResp(resp) if failed && resp.is_empty() => {}
            Self::BindResp(resp) => resp.put(out),
            Self::SubmitSm(sm) | Self::DeliverSm(sm) => sm.put(out),
            Self::SubmitSmResp(resp) if failed && resp.is_empty() => {}
            Self::SubmitSmResp(resp) | Self::DeliverSmResp(resp) => resp.put(out),
            Self::AlertNotification(alert) => alert.put(out),
            Self::Unknown(raw) | Self::Malformed(raw, _) => out.put_slice(&raw.octets),
            Self::Unbind
            | Self::UnbindResp
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::GenericNack => {}
        });
    }

    /// The command id that belongs to this body.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.mode.command_id(),
            Self::BindResp(resp) => resp.mode.command_id().response(),
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Unknown(raw) | Self::Malformed(raw, _) => raw.command_id,
        }
    }
}

fn decode_body(command_id: CommandId, octets: &Bytes) -> Result<Body, DecodeError> {
    let reader = || Reader::new(octets.clone());
    Ok(match command_id {
        CommandId::BIND_RECEIVER => Body::Bind(Bind::decode(BindMode::Receiver, reader())?),
        CommandId::BIND_TRANSMITTER => Body::Bind(Bind::decode(BindMode::Transmitter, reader())?),
        CommandId::BIND_TRANSCEIVER => Body::Bind(Bind::decode(BindMode::Transceiver, reader())?),
        CommandId::BIND_RECEIVER_RESP => Body::BindResp(BindResp::decode(BindMode::Receiver, reader())?),
        CommandId::BIND_TRANSMITTER_RESP => {
            Body::BindResp(BindResp::decode(BindMode::Transmitter, reader())?)
        }
        CommandId::BIND_TRANSCEIVER_RESP => {
            Body::BindResp(BindResp::decode(BindMode::Transceiver, reader())?)
        }
        CommandId::UNBIND => Body::Unbind,
        CommandId::UNBIND_RESP => Body::UnbindResp,
        CommandId::ENQUIRE_LINK => Body::EnquireLink,
        CommandId::ENQUIRE_LINK_RESP => Body::EnquireLinkResp,
        CommandId::SUBMIT_SM => Body::SubmitSm(Sm::decode(reader())?),
        CommandId::SUBMIT_SM_RESP => Body::SubmitSmResp(SmResp::decode(reader())?),
        CommandId::DELIVER_SM => Body::DeliverSm(Sm::decode(reader())?),
        CommandId::DELIVER_SM_RESP => Body::DeliverSmResp(SmResp::decode(reader())?),
        CommandId::ALERT_NOTIFICATION => Body::AlertNotification(AlertNotification::decode(reader())?),
        CommandId::GENERIC_NACK => Body::GenericNack,
        _ => Body::Unknown(RawBody { command_id, octets: octets.clone() }),
    })
}
