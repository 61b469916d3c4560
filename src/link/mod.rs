//! SMPP client: a cloneable [`Link`] handle and one task for each bind, which owns its connection.
//!
//! [`start`] brings a link up and keeps it up: it binds, answers enquire_link, reconnects with jittered
//! back-off, and stops asking only where the SMSC refuses the credentials. [`Link::slot`] waits for room in
//! the window; [`Slot::submit`] sends one short message and tells its one end. Short messages from the SMSC
//! come as [`Delivery`] and are answered through their [`Answer`].

mod answer;
mod backoff;
mod config;
mod connection;
mod connector;
mod dialect;
mod handle;
mod metrics;
mod task;

pub use answer::{Answer, Delivery};
pub use config::{BindKind, CaptureConfig, InboundFull, LinkConfig, LinkConfigError, SourceConfig};
pub use connector::{BoxFuture, Connected, Connector, Ends, TcpConnector, Transport};
pub use dialect::{Dialect, OtaSmError};
pub use handle::{Link, LinkClosed, LinkState, Slot, SubmitOutcome, UnknownReason, start};
pub use metrics::{Metrics, Timing};
