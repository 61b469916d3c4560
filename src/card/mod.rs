//! The card aggregate: everything that happens to a card, without clock, keys or randomness.
//!
//! [`apply`] takes a card, an event and the time and says what follows. The caller opens packets before
//! and seals after, commits everything at once, and only then acts.

mod aggregate;
mod apply;
mod binding;
mod counter;
mod event;
mod hints;
mod hours;
mod ids;
mod owner;
mod packet;
pub mod plan;
mod profile;
mod step;
mod subscription;
mod write;

pub use aggregate::{Card, QUEUE_MAX, UNSETTLED_MAX};
pub use apply::apply;
pub use binding::{Binding, Claimed, HeldBinding};
pub use counter::{COUNTERS_MAX, Counter, MoWindow, RESTORE_GAP, Replay, WINDOW};
pub use event::{ClaimSource, DeviceView, Event, FromCard, ResponseData, Submitted, Terms};
pub use hints::{Hints, Told, UNPROVEN_KINDS, Unproven};
pub use hours::DeliveryHours;
pub use ids::{CardId, IdError, WriteId};
pub use owner::{Owner, OwnerError};
pub use packet::{Answer, Leg, LegState, Notice, Outstanding, Owed, Purpose, ReadFile, Reads, ScriptOctets};
pub use profile::{
    BindingPolicy, CpiPlace, Dialect, FileName, FileNameError, Finding, Method, MissingFiles, Mo, Mt,
    PARTS_MAX, Poll, PollKind, Profile, ProfileError, Scope, Session, Severity, Start, StepValue,
    StepValueError, Timers, Trust, WriteStep, WriteTerms,
};
pub use step::{Bound, Cancellation, Contested, Fact, Payload, Refused, Seal, Step, Submission, WriteChange};
pub use subscription::Subscription;
pub use write::{Active, Bearer, DEADLINE_PASSED, End, Hold, Order, StepFailure, Unsettled, WriteState};
