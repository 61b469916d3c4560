//! The link against peers that do what live ones do: odd PDUs, connections cut at any octet.
//!
//! The peer here is made of octets by hand (`peer`); it shares no code with the product. A million requests run in
//! every test run; `AIRWRITE_SOAK=1` makes ten million of them and a hundred thousand cuts.

mod kills;
mod odd_input;
#[path = "../common/raw_peer.rs"]
mod peer;
