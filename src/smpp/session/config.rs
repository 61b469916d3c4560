//! How a session behaves.

use std::time::Duration;

use crate::smpp::{CommandStatus, frame};

/// Which side of the session this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The client: binds, sends submit_sm, receives deliver_sm.
    Esme,
    /// The server: accepts binds, receives submit_sm, sends deliver_sm.
    Smsc,
}

/// How a session behaves.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    /// Which side this is.
    pub role: Role,
    /// How many requests of the caller may wait for their response at one time; at least 1.
    pub window: u16,
    /// How long a request waits for its response.
    pub response_timeout: Duration,
    /// After how long without any octet from the peer enquire_link is sent; `None` never sends it.
    pub enquire_link: Option<Duration>,
    /// How many requests of the peer may wait for the caller's answer at one time.
    pub unanswered_max: usize,
    /// How one beyond that is answered: a temporary error, after which the peer tries again.
    pub full: CommandStatus,
    /// The longest PDU accepted, header included, in octets.
    pub max_pdu_octets: usize,
    /// The sequence number of the first request: 1 to 7FFFFFFF.
    pub first_sequence: u32,
}

impl SessionConfig {
    /// A window of 10, 30 s for responses and enquire_link, 4096 unanswered requests of the peer and then
    /// ESME_RMSGQFUL, PDUs up to [`frame::DEFAULT_MAX_OCTETS`].
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            window: 10,
            response_timeout: Duration::from_secs(30),
            enquire_link: Some(Duration::from_secs(30)),
            unanswered_max: 4096,
            full: CommandStatus::ESME_RMSGQFUL,
            max_pdu_octets: frame::DEFAULT_MAX_OCTETS,
            first_sequence: 1,
        }
    }
}
