//! SMPP client: a cloneable [`Link`] handle and one task for each bind, which owns its connection.
//!
//! [`start`] brings a link up and keeps it up: it binds, answers enquire_link, reconnects with jittered
//! back-off, and stops asking only where the SMSC refuses the credentials. The windows of all binds that send make
//! one pool: load spreads over them, and a lost connection takes its places along. [`Link::slot`] waits for a place and
//! for the link's pace ([`crate::smpp::pacer`]); [`Slot::submit`] sends one short message, [`Slot::request`] any
//! other request, and each tells its one end. Short messages from the SMSC come as [`Delivery`] and are answered through their [`Answer`].

mod answer;
mod backoff;
mod binds;
mod config;
mod connection;
mod connector;
mod dialect;
mod exposition;
mod handle;
mod metrics;
mod numbers;
mod outcome;
mod pem;
mod queue;
mod receipt_id;
mod task;
mod tls;

pub use answer::{Answer, Delivery};
pub use config::{
    AddressRangeConfig, BindKind, CaptureConfig, InboundFull, InterfaceVersion, LinkConfig, LinkConfigError,
    Receipts, SourceConfig, ValidityForm,
};
pub use connector::{BoxFuture, Connected, Connector, Ends, TcpConnector, Transport};
pub use dialect::{Dialect, OtaSmError};
pub use exposition::LinksCollector;
pub use handle::{BindsUp, Link, LinkClosed, LinkState, Slot, start};
pub use metrics::{BUCKETS_S, Metrics, Refused, RefusedRequests, Timing};
pub use numbers::{NumberConfig, NumberForm};
pub use outcome::{RequestOutcome, SubmitOutcome, UnknownReason};
pub use pem::{PemError, certificates, private_key, root_certificates};
pub use receipt_id::ReceiptId;
pub use tls::{TlsConfig, TlsConnector, secured};
