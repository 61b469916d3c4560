//! Airwrite: a gateway that opens IoT eSIM cards over the air.
//!
//! The rooms, from the ground up; a room uses only rooms that stand lower in this list
//! (`tests/floors.rs` checks it):
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`], [`config`] | commands, configuration file, wiring and shutdown |
//! | [`api`] | HTTP API and webhooks |
//! | [`sim`] | an operator in a box: SMSC, HLR, terminals, cards |
//! | [`gateway`] | the running system: inbound, dispatch, timers, outbox |
//! | [`explain`] | octets and captures as annotated trees, pure |
//! | [`pcap`] | captures of connections: recorded, and read back |
//! | [`link`] | SMPP client: one task owns each connection |
//! | [`store`] | the write model and its backends |
//! | [`vault`] | card keys sealed at rest; the only place that secures or opens packets |
//! | [`card`] | the card aggregate, pure |
//! | [`applet`] | the ASN.1 messages between platform and card |
//! | [`ota`] | secured packets, SMS user data, comprehension TLVs |
//! | [`smpp`] | PDUs, framing, the session without I/O |
//! | [`identity`] | IMEI, EID, ICCID, IMSI, MSISDN |
//! | [`world`] | clock and randomness as traits |
pub mod api;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod applet;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod card;
pub mod cli;
pub mod config;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod explain;
pub mod gateway;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod identity;
pub mod link;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod ota;
pub mod pcap;
pub mod sim;
#[cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]
pub mod smpp;
pub mod store;
pub mod vault;
pub mod world;
