//! Between octets and messages.

use super::message::{
    BindingAck, BindingRequest, BindingResponse, KeyBlock, Message, Poll, PollAnswer, ResultAck, WriteCard,
    WriteResult,
};
use super::wire;
use crate::identity::{Eid, INTERNATIONAL, Iccid, IdentityError, Imei, Imsi, Msisdn};

/// The version of the messages that this code writes and reads.
pub const VERSION: u8 = 1;

/// The most octets a message may have, extensions included. Five parts of an SMS carry less.
pub const MESSAGE_OCTETS_MAX: usize = 1024;

/// Why octets are no message, or a message cannot become octets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppletError {
    /// More octets than any message has.
    #[error("applet message: expected at most 1024 octets, found {found}")]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// The octets do not start like a message of any version.
    #[error("applet message: expected an application tag, a length and a version")]
    NoMessage,
    /// A message of another version.
    #[error("applet message: expected version 1, found {found}")]
    OtherVersion {
        /// The version it says.
        found: u32,
    },
    /// A message of this version, but of no known kind.
    #[error("applet message: expected an application tag 1 to 7, found {found}")]
    UnknownKind {
        /// The number of the application tag.
        found: u8,
    },
    /// Not the DER of the message that its tag promises.
    #[error("applet message: {reason}")]
    Malformed {
        /// What the decoder met.
        reason: String,
    },
    /// A field that is no identifier.
    #[error("applet message, field {field}: {error}")]
    Identity {
        /// The field, as in `airwrite.asn1`.
        field: &'static str,
        /// What is wrong with it.
        error: IdentityError,
    },
    /// A counter that five octets cannot hold.
    #[error("applet message, field {field}: expected a counter below 2^40")]
    Counter {
        /// The field, as in `airwrite.asn1`.
        field: &'static str,
    },
    /// A key block of a size that no message carries.
    #[error("applet message, field keyBlock: expected 1 to 256 octets, found {found}")]
    KeyBlock {
        /// How many there are.
        found: usize,
    },
}

impl Message {
    /// The DER of the message, with [`VERSION`].
    ///
    /// # Errors
    /// [`AppletError::Counter`] where a counter exceeds five octets.
    pub fn to_der(&self) -> Result<Vec<u8>, AppletError> {
        let message = match self {
            Self::BindingRequest(message) => wire::Message::BindingRequest(message.into()),
            Self::BindingResponse(message) => wire::Message::BindingResponse(message.into()),
            Self::WriteCard(message) => wire::Message::WriteCard(message.into()),
            Self::WriteResult(message) => wire::Message::WriteResult(message.try_into()?),
            Self::ResultAck(message) => wire::Message::ResultAck(message.into()),
            Self::Poll(message) => wire::Message::Poll(message.into()),
            Self::PollAnswer(message) => wire::Message::PollAnswer(message.try_into()?),
        };
        rasn::der::encode(&message).map_err(|error| AppletError::Malformed { reason: error.kind.to_string() })
    }

    /// Reads a message of [`VERSION`]. Elements of `ext` are skipped, whatever they are; an unknown field anywhere else
    /// is an error.
    ///
    /// # Errors
    /// Each [`AppletError`] but [`AppletError::Counter`]. The version is looked at before anything that a later version
    /// may have changed.
    pub fn from_der(octets: &[u8]) -> Result<Self, AppletError> {
        if octets.len() > MESSAGE_OCTETS_MAX {
            return Err(AppletError::TooLong { found: octets.len() });
        }
        let (kind, version) = kind_and_version(octets).ok_or(AppletError::NoMessage)?;
        if version != u32::from(VERSION) {
            return Err(AppletError::OtherVersion { found: version });
        }
        if !(1..=7).contains(&kind) {
            return Err(AppletError::UnknownKind { found: kind });
        }
        let malformed = |reason: String| AppletError::Malformed { reason };
        let message: wire::Message =
            rasn::der::decode(octets).map_err(|error| malformed(error.kind.to_string()))?;
        // The decoder takes longer lengths than DER allows; one message has one form.
        let canonical = rasn::der::encode(&message).map_err(|error| malformed(error.kind.to_string()))?;
        if canonical != octets {
            return Err(malformed("expected DER, found another form of BER".to_owned()));
        }
        Ok(match message {
            wire::Message::BindingRequest(message) => Self::BindingRequest(message.try_into()?),
            wire::Message::BindingResponse(message) => Self::BindingResponse(message.into()),
            wire::Message::WriteCard(message) => Self::WriteCard(message.try_into()?),
            wire::Message::WriteResult(message) => Self::WriteResult(message.try_into()?),
            wire::Message::ResultAck(message) => Self::ResultAck(message.into()),
            wire::Message::Poll(message) => Self::Poll(message.into()),
            wire::Message::PollAnswer(message) => Self::PollAnswer(message.try_into()?),
        })
    }
}

/// The number of the application tag and the value of the first field: what no version changes.
fn kind_and_version(octets: &[u8]) -> Option<(u8, u32)> {
    const APPLICATION_CONSTRUCTED: u8 = 0x60;
    const VERSION_TAG: u8 = 0x80;
    let (tag, rest) = octets.split_first()?;
    let kind = tag.checked_sub(APPLICATION_CONSTRUCTED).filter(|number| *number < 0x1F)?;
    let body = match rest {
        [..=0x7F, body @ ..] | [0x81, _, body @ ..] | [0x82, _, _, body @ ..] => body,
        _ => return None,
    };
    let (&[VERSION_TAG, length], rest) = body.split_first_chunk()? else { return None };
    let value = rest.get(..length.into()).filter(|value| (1..=4).contains(&value.len()))?;
    Some((kind, value.iter().fold(0, |version, octet| (version << 8) | u32::from(*octet))))
}

impl From<&BindingRequest> for wire::BindingRequest {
    fn from(message: &BindingRequest) -> Self {
        Self {
            ver: VERSION,
            tid: message.tid.to_be_bytes().into(),
            imei: message.imei.to_mobile_identity().into(),
            eid: message.eid.octets().into(),
            imsi: message.imsi.map(|imsi| imsi.to_ef().into()),
            trigger: message.trigger.into(),
            app_version: message.app_version,
            ext: None,
        }
    }
}

impl TryFrom<wire::BindingRequest> for BindingRequest {
    type Error = AppletError;

    fn try_from(message: wire::BindingRequest) -> Result<Self, AppletError> {
        Ok(Self {
            tid: tid(&message.tid),
            imei: imei(&message.imei)?,
            eid: eid(&message.eid)?,
            imsi: message.imsi.map(|octets| imsi(&octets)).transpose()?,
            trigger: message.trigger.into(),
            app_version: message.app_version,
        })
    }
}

impl From<&BindingResponse> for wire::BindingResponse {
    fn from(message: &BindingResponse) -> Self {
        Self { ver: VERSION, tid: message.tid.to_be_bytes().into(), result: message.result.into(), ext: None }
    }
}

impl From<wire::BindingResponse> for BindingResponse {
    fn from(message: wire::BindingResponse) -> Self {
        Self { tid: tid(&message.tid), result: message.result.into() }
    }
}

impl From<&WriteCard> for wire::WriteCard {
    fn from(message: &WriteCard) -> Self {
        Self {
            ver: VERSION,
            tid: message.tid.to_be_bytes().into(),
            imei: message.imei.to_mobile_identity().into(),
            eid: message.eid.octets().into(),
            iccid: message.iccid.map(|iccid| iccid.octets().into()),
            imsi: message.imsi.to_ef().into(),
            msisdn: message.msisdn.to_bcd(INTERNATIONAL).into(),
            smsc: message.smsc.map(|smsc| smsc.to_bcd(INTERNATIONAL).into()),
            refresh: message.refresh.into(),
            rollback: message.rollback,
            binding_ack: message.binding_ack.map(Into::into),
            key_block: message.key_block.as_ref().map(|block| block.octets().to_vec().into()),
            ext: None,
        }
    }
}

impl TryFrom<wire::WriteCard> for WriteCard {
    type Error = AppletError;

    fn try_from(message: wire::WriteCard) -> Result<Self, AppletError> {
        let iccid = message
            .iccid
            .map(|octets| Iccid::from_octets(&*octets).map_err(in_field("iccid")))
            .transpose()?;
        let smsc =
            message.smsc.map(|octets| Msisdn::from_bcd(&octets).map_err(in_field("smsc"))).transpose()?;
        Ok(Self {
            tid: tid(&message.tid),
            imei: imei(&message.imei)?,
            eid: eid(&message.eid)?,
            iccid,
            imsi: imsi(&message.imsi)?,
            msisdn: Msisdn::from_bcd(&message.msisdn).map_err(in_field("msisdn"))?,
            smsc,
            refresh: message.refresh.into(),
            rollback: message.rollback,
            binding_ack: message.binding_ack.map(Into::into),
            key_block: message.key_block.map(|octets| KeyBlock::new(octets.to_vec())).transpose()?,
        })
    }
}

impl From<BindingAck> for wire::BindingAck {
    fn from(ack: BindingAck) -> Self {
        Self { tid: ack.tid.to_be_bytes().into(), result: ack.result.into() }
    }
}

impl From<wire::BindingAck> for BindingAck {
    fn from(ack: wire::BindingAck) -> Self {
        Self { tid: tid(&ack.tid), result: ack.result.into() }
    }
}

impl TryFrom<&WriteResult> for wire::WriteResult {
    type Error = AppletError;

    fn try_from(message: &WriteResult) -> Result<Self, AppletError> {
        Ok(Self {
            ver: VERSION,
            tid: message.tid.to_be_bytes().into(),
            eid: message.eid.octets().into(),
            imsi: message.imsi.map(|imsi| imsi.to_ef().into()),
            imei: message.imei.to_mobile_identity().into(),
            status: message.status.into(),
            detail: message.detail,
            mt_counter: counter_octets("mtCounter", message.mt_counter)?,
            ext: None,
        })
    }
}

impl TryFrom<wire::WriteResult> for WriteResult {
    type Error = AppletError;

    fn try_from(message: wire::WriteResult) -> Result<Self, AppletError> {
        Ok(Self {
            tid: tid(&message.tid),
            eid: eid(&message.eid)?,
            imsi: message.imsi.map(|octets| imsi(&octets)).transpose()?,
            imei: imei(&message.imei)?,
            status: message.status.into(),
            detail: message.detail,
            mt_counter: counter(&message.mt_counter),
        })
    }
}

impl From<&ResultAck> for wire::ResultAck {
    fn from(message: &ResultAck) -> Self {
        Self { ver: VERSION, tid: message.tid.to_be_bytes().into(), status: message.status.into(), ext: None }
    }
}

impl From<wire::ResultAck> for ResultAck {
    fn from(message: wire::ResultAck) -> Self {
        Self { tid: tid(&message.tid), status: message.status.into() }
    }
}

impl From<&Poll> for wire::Poll {
    fn from(message: &Poll) -> Self {
        Self { ver: VERSION, tid: message.tid.to_be_bytes().into(), what: message.what.into(), ext: None }
    }
}

impl From<wire::Poll> for Poll {
    fn from(message: wire::Poll) -> Self {
        Self { tid: tid(&message.tid), what: message.what.into() }
    }
}

impl TryFrom<&PollAnswer> for wire::PollAnswer {
    type Error = AppletError;

    fn try_from(message: &PollAnswer) -> Result<Self, AppletError> {
        Ok(Self {
            ver: VERSION,
            tid: message.tid.to_be_bytes().into(),
            eid: message.eid.octets().into(),
            imei: message.imei.to_mobile_identity().into(),
            imsi: message.imsi.map(|imsi| imsi.to_ef().into()),
            binding_flag: message.binding_flag,
            last_tid: message.last_tid.to_be_bytes().into(),
            last_state: message.last_state.into(),
            mo_counter: counter_octets("moCounter", message.mo_counter)?,
            ext: None,
        })
    }
}

impl TryFrom<wire::PollAnswer> for PollAnswer {
    type Error = AppletError;

    fn try_from(message: wire::PollAnswer) -> Result<Self, AppletError> {
        Ok(Self {
            tid: tid(&message.tid),
            eid: eid(&message.eid)?,
            imei: imei(&message.imei)?,
            imsi: message.imsi.map(|octets| imsi(&octets)).transpose()?,
            binding_flag: message.binding_flag,
            last_tid: tid(&message.last_tid),
            last_state: message.last_state.into(),
            mo_counter: counter(&message.mo_counter),
        })
    }
}

fn tid(octets: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*octets)
}

fn imei(octets: &[u8; 8]) -> Result<Imei, AppletError> {
    Imei::from_mobile_identity(octets).map_err(in_field("imei"))
}

fn eid(octets: &[u8; 16]) -> Result<Eid, AppletError> {
    Eid::from_octets(*octets).map_err(in_field("eid"))
}

fn imsi(octets: &[u8; 9]) -> Result<Imsi, AppletError> {
    Imsi::from_ef(octets).map_err(in_field("imsi"))
}

fn counter(octets: &[u8; 5]) -> u64 {
    octets.iter().fold(0, |counter, octet| (counter << 8) | u64::from(*octet))
}

fn counter_octets(field: &'static str, counter: u64) -> Result<wire::Octets<5>, AppletError> {
    match counter.to_be_bytes() {
        [0, 0, 0, low @ ..] => Ok(low.into()),
        _ => Err(AppletError::Counter { field }),
    }
}

fn in_field(field: &'static str) -> impl Fn(IdentityError) -> AppletError {
    move |error| AppletError::Identity { field, error }
}
