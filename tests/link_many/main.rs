//! Links with several binds, an SMSC that refuses what is too fast, and routes over several links.

mod binds;
#[path = "../common/raw_peer.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod peer;
mod rate;
mod routes;
mod smsc;
