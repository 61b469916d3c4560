//! The messages between the platform and the card-writing applet.
//!
//! `airwrite.asn1` beside this file is the published truth; the types here are written by hand after it, and a test
//! holds the two together. A message is the whole data of one secured packet. [`Message::to_der`] and
//! [`Message::from_der`] are the only ways between the octets and the types.

mod codec;
pub mod detail;
mod message;
#[cfg(test)]
mod tests;
mod wire;

pub use codec::{AppletError, MESSAGE_OCTETS_MAX, VERSION};
pub use message::{
    BindingAck, BindingRequest, BindingResponse, BindingResult, KEY_BLOCK_OCTETS_MAX, KeyBlock, LastState,
    Message, Poll, PollAnswer, PollWhat, Refresh, ResultAck, Trigger, WriteCard, WriteResult, WriteStatus,
};

/// The text of `airwrite.asn1`, as applet authors get it.
pub const ASN1: &str = include_str!("airwrite.asn1");
