//! SMPP 3.4 without I/O: PDUs, TLVs, framing, the session of both sides, receipts.
//!
//! Octets are framed first ([`frame`]) and decoded after ([`Pdu::decode`]): a body that cannot be read is an
//! ordinary [`Body::Malformed`], so one odd PDU never costs the session. [`Session`] holds the rules of a
//! session (states, window, timers, correlation) and leaves sockets and clock to its caller.
//!
//! Clauses are those of "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2.

mod alert;
mod bind;
mod c_octet_string;
mod command;
pub mod frame;
mod pdu;
mod reader;
pub mod receipt;
mod session;
mod sm;
mod status;
pub mod time;
mod tlv;
mod values;

pub use alert::AlertNotification;
pub use bind::{Bind, BindMode, BindResp, Password, SystemId};
pub use c_octet_string::{COctetString, COctetStringError};
pub use command::CommandId;
pub use frame::{Frame, FrameError, Header};
pub use pdu::{Body, Pdu, RawBody};
pub use reader::{DecodeError, Field};
pub use receipt::Receipt;
pub use session::{
    CloseReason, End, Event, RequestError, Role, Session, SessionConfig, Unanswered, UnansweredBind,
    WrongResponse,
};
pub use sm::{Address, MessageId, ShortMessage, ShortMessageError, Sm, SmResp};
pub use status::CommandStatus;
pub use tlv::{Tlv, TlvTooLong, Tlvs, tag};
pub use values::{DataCoding, EsmClass, MessageState, MessageType, RegisteredDelivery};
