//! The session without I/O: both sides against each other, and each against odd peers.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of a session's time")]

mod any_order;
mod bounds;
mod odd_peers;
mod requests;
mod sides;
mod time;
mod wire;
