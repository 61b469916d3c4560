//! An operator in a box: message centre, register, terminals and cards, for tests, for the demonstration, and for
//! trying a platform without a network.
//!
//! | module | what it is |
//! |---|---|
//! | [`card`] | a UICC in APDUs: files, USIM, toolkit, secured packets, write applet or remote file management |
//! | `terminal` | a device that drives its card and asks the network |
//! | [`hlr`], [`milenage`] | subscribers, authentication vectors, who is attached where |
//! | [`smsc`], `deliveries`, `receipts` | store and forward to cards, and to ESMEs: messages of cards, receipts |
//! | [`FaultPlan`], `faults` | what goes wrong, and how often it has |
//! | [`operator`] | all of them on one clock, without I/O |
//! | `shell`, `session` | the same on TCP or on any stream, started by [`start`] |
//!
//! Only the octet codecs are shared with the platform. What the card takes, refuses, writes and undoes, and what the
//! network lets in, is decided here, so that agreement between the two means something.

pub mod card;
mod deliveries;
mod fault_plan;
mod faults;
pub mod hlr;
pub mod milenage;
pub mod operator;
mod receipts;
mod session;
mod shell;
pub mod smsc;
mod terminal;
mod tls;

pub use card::{
    AppletTiming, CardReport, CardSpec, CounterScope, Interim, MoDialect, Preset, RefreshHabit, Rfm,
    RfmApplication, SessionStart,
};
pub use deliveries::{DeliveryId, EsmeId};
pub use fault_plan::{
    CardFaults, FaultPlan, FaultPlanError, LinkFaults, MoFaults, MtFaults, Percent, PercentError,
    ReceiptFaults, SmscFaults, StatusWord, StatusWordError, WritePoint,
};
pub use hlr::OperatorSecret;
pub use operator::{CardStatus, Latencies, OperatorConfig, Report};
pub use shell::{EsmeAccount, SimConfig, SimHandle, Stopped, start};
pub use smsc::{SmscConfig, SmscTotals};
pub use tls::{TlsServer, TlsServerError};
