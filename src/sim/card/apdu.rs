//! What the card answers to a command (ETSI TS 102 221 §10.2).

pub(super) use crate::ota::apdu::{Command, StatusWord as Status};

/// What a command answers: data and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) data: Vec<u8>,
    pub(super) status: Status,
}

impl Answer {
    pub(super) const fn data(data: Vec<u8>) -> Self {
        Self { data, status: Status::OK }
    }

    pub(super) const fn ok() -> Self {
        Self { data: Vec::new(), status: Status::OK }
    }

    /// The R-APDU.
    pub(super) fn octets(self) -> Vec<u8> {
        let mut octets = self.data;
        octets.extend(self.status.0.to_be_bytes());
        octets
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self { data: Vec::new(), status }
    }
}
