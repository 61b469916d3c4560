//! SMPP 3.4 and 5.0 without I/O: PDUs, TLVs, framing, the session of both sides, receipts.
//!
//! Octets are framed first ([`frame`]) and decoded after ([`Pdu::decode`]): a body that cannot be read is an
//! ordinary [`Body::Malformed`], so one odd PDU never costs the session. [`Session`] holds the rules of a
//! session (states, window, timers, correlation) and leaves sockets and clock to its caller. [`pacer`] says when
//! a request may leave.
//!
//! One codec serves both versions: 5.0 adds PDUs, TLVs and values, and changes none. Clauses without a version are those
//! of "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2; those of 5.0 are of its issue of 2003.

mod address;
mod alert;
mod ancillary;
mod bind;
mod broadcast;
mod c_octet_string;
mod command;
mod data_sm;
pub mod frame;
mod message_id;
pub mod pacer;
mod pdu;
mod reader;
pub mod receipt;
mod session;
mod sm;
mod status;
mod submit_multi;
pub mod time;
mod tlv;
mod values;

pub use address::{Address, AddressView, LongAddress, ton};
pub use alert::AlertNotification;
pub use ancillary::{CancelSm, QuerySm, QuerySmResp, ReplaceSm};
pub use bind::{Bind, BindMode, BindResp, Outbind, Password, SystemId};
pub use broadcast::{BroadcastSm, CancelBroadcastSm};
pub use c_octet_string::{COctetString, COctetStringError};
pub use command::CommandId;
pub use data_sm::DataSm;
pub use frame::{Frame, FrameError, Header};
pub use message_id::MessageId;
pub use pdu::{Body, Pdu, RawBody};
pub use reader::{DecodeError, Field};
pub use receipt::Receipt;
pub use session::{
    CloseReason, End, Event, RequestError, Role, Session, SessionConfig, Unanswered, UnansweredBind,
    WrongResponse,
};
pub use sm::{ShortMessage, ShortMessageError, Sm, SmResp, SmView};
pub use status::CommandStatus;
pub use submit_multi::{
    Destination, Destinations, SubmitMulti, SubmitMultiResp, TooManyEntries, UnsuccessSme, UnsuccessSmes,
};
pub use tlv::{
    CongestionState, DeliveryFailureReason, MsAvailabilityStatus, NetworkErrorCode, Segment, Tlv, TlvTooLong,
    Tlvs, tag,
};
pub use values::{DataCoding, EsmClass, MessageState, MessageType, RegisteredDelivery, Version};
