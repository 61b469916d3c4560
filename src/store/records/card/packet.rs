//! Packets on their way to a card, and the answers it is owed.

use crate::applet::{BindingAck, BindingResult, WriteStatus};
use crate::card::{Answer, Bearer, Leg, LegState, Notice, Outstanding, Owed, Purpose, ReadFile, Reads};
use crate::ota::Tar;

use super::{LEGS_MAX, bearer};
use crate::store::records::RecordError;
use crate::store::records::reader::{Numbered, Reader, msisdn_octets, numbered};

numbered! {
    Purpose {
        1 => (Purpose::Write),
        2 => (Purpose::Poll),
    }
    ReadFile {
        1 => (ReadFile::Imsi),
        2 => (ReadFile::Iccid),
        3 => (ReadFile::Nothing),
    }
    BindingResult {
        1 => (BindingResult::Saved),
        2 => (BindingResult::Held),
        3 => (BindingResult::Rejected),
    }
    WriteStatus {
        1 => (WriteStatus::Accepted),
        2 => (WriteStatus::Confirmed),
        3 => (WriteStatus::RolledBack),
        4 => (WriteStatus::Refused),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OutstandingBody {
    #[prost(uint32, tag = "1")]
    purpose: u32,
    #[prost(uint64, tag = "2")]
    cntr: u64,
    #[prost(message, repeated, tag = "3")]
    legs: Vec<LegBody>,
    #[prost(bool, tag = "4")]
    repeated: bool,
    #[prost(uint64, optional, tag = "5")]
    low_at: Option<u64>,
    #[prost(message, optional, tag = "6")]
    acknowledges: Option<AckBody>,
    /// By short message where it is not on site.
    #[prost(bool, tag = "7")]
    relay: bool,
    #[prost(message, optional, tag = "8")]
    reads: Option<ReadsBody>,
}

impl OutstandingBody {
    pub(super) fn of(packet: &Outstanding) -> Self {
        let Outstanding { purpose, bearer, cntr, legs, repeated, low_at, acknowledges, reads } = packet;
        Self {
            purpose: purpose.number(),
            cntr: cntr.get(),
            legs: legs.iter().map(LegBody::of).collect(),
            repeated: *repeated,
            low_at: *low_at,
            acknowledges: acknowledges.map(AckBody::of),
            relay: *bearer == Bearer::Relay,
            reads: reads.map(ReadsBody::of),
        }
    }

    pub(super) fn read(self, read: Reader) -> Result<Outstanding, RecordError> {
        read.at_most("outstanding.legs", &self.legs, LEGS_MAX)?;
        let legs = self.legs.into_iter().map(|leg| leg.read(read, "outstanding.legs"));
        Ok(Outstanding {
            purpose: read.numbered("outstanding.purpose", self.purpose)?,
            bearer: bearer(self.relay),
            cntr: read.cntr("outstanding.cntr", self.cntr)?,
            legs: legs.collect::<Result<Vec<Leg>, _>>()?,
            repeated: self.repeated,
            low_at: self.low_at,
            acknowledges: self
                .acknowledges
                .map(|ack| ack.read(read, "outstanding.acknowledges"))
                .transpose()?,
            reads: self.reads.map(|reads| reads.read(read)).transpose()?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadsBody {
    #[prost(bytes = "vec", tag = "1")]
    tar: Vec<u8>,
    #[prost(uint32, tag = "2")]
    file: u32,
}

impl ReadsBody {
    fn of(Reads { tar, file }: Reads) -> Self {
        Self { tar: tar.0.to_vec(), file: file.number() }
    }

    fn read(self, read: Reader) -> Result<Reads, RecordError> {
        Ok(Reads {
            tar: Tar(read.array("outstanding.reads.tar", &self.tar, "a TAR of 3 octets")?),
            file: read.numbered("outstanding.reads.file", self.file)?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct LegBody {
    #[prost(bytes = "vec", tag = "1")]
    to: Vec<u8>,
    #[prost(uint32, tag = "2")]
    attempt: u32,
    #[prost(oneof = "LegStateBody", tags = "3, 4, 5, 6, 7")]
    state: Option<LegStateBody>,
    #[prost(string, tag = "8")]
    message_id: String,
    #[prost(bool, optional, tag = "9")]
    receipt: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum LegStateBody {
    #[prost(message, tag = "3")]
    Ready(ReadyBody),
    #[prost(message, tag = "4")]
    Handed(HandedBody),
    #[prost(message, tag = "5")]
    Taken(TakenBody),
    #[prost(message, tag = "6")]
    BackOff(BackOffBody),
    #[prost(message, tag = "7")]
    Silent(SilentBody),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadyBody {
    #[prost(uint64, tag = "1")]
    since: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HandedBody {
    #[prost(uint64, tag = "1")]
    since: u64,
    #[prost(uint64, tag = "2")]
    at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TakenBody {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(uint64, tag = "2")]
    silent_at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BackOffBody {
    #[prost(uint64, tag = "1")]
    until: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SilentBody {}

impl LegBody {
    fn of(leg: &Leg) -> Self {
        let Leg { to, attempt, state, message_id, receipt } = leg;
        let state = match *state {
            LegState::Ready { since } => LegStateBody::Ready(ReadyBody { since }),
            LegState::Handed { since, at } => LegStateBody::Handed(HandedBody { since, at }),
            LegState::Taken { at, silent_at } => LegStateBody::Taken(TakenBody { at, silent_at }),
            LegState::BackOff { until } => LegStateBody::BackOff(BackOffBody { until }),
            LegState::Silent => LegStateBody::Silent(SilentBody {}),
        };
        Self {
            to: msisdn_octets(to),
            attempt: u32::from(*attempt),
            state: Some(state),
            message_id: message_id.clone(),
            receipt: *receipt,
        }
    }

    fn read(self, read: Reader, field: &'static str) -> Result<Leg, RecordError> {
        let state = match self.state {
            Some(LegStateBody::Ready(ReadyBody { since })) => LegState::Ready { since },
            Some(LegStateBody::Handed(HandedBody { since, at })) => LegState::Handed { since, at },
            Some(LegStateBody::Taken(TakenBody { at, silent_at })) => LegState::Taken { at, silent_at },
            Some(LegStateBody::BackOff(BackOffBody { until })) => LegState::BackOff { until },
            Some(LegStateBody::Silent(SilentBody {})) => LegState::Silent,
            None => return Err(read.error(field, "a leg state that this release knows")),
        };
        Ok(Leg {
            to: read.msisdn(field, &self.to)?,
            attempt: read.octet(field, self.attempt)?,
            state,
            message_id: self.message_id,
            receipt: self.receipt,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NoticeBody {
    #[prost(uint64, tag = "1")]
    cntr: u64,
    #[prost(message, optional, tag = "2")]
    leg: Option<LegBody>,
    #[prost(oneof = "AnswerBody", tags = "3, 4")]
    says: Option<AnswerBody>,
}

impl NoticeBody {
    pub(super) fn of(notice: &Notice) -> Self {
        let Notice { cntr, leg, says } = notice;
        Self { cntr: cntr.get(), leg: Some(LegBody::of(leg)), says: Some(AnswerBody::of(*says)) }
    }

    pub(super) fn read(self, read: Reader) -> Result<Notice, RecordError> {
        Ok(Notice {
            cntr: read.cntr("notice.cntr", self.cntr)?,
            leg: read.present("notice.leg", self.leg)?.read(read, "notice.leg")?,
            says: read.present("notice.says", self.says)?.read(read, "notice.says")?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OwedBody {
    #[prost(bytes = "vec", tag = "1")]
    to: Vec<u8>,
    #[prost(oneof = "AnswerBody", tags = "3, 4")]
    answer: Option<AnswerBody>,
}

impl OwedBody {
    pub(super) fn of(owed: &Owed) -> Self {
        let Owed { answer, to } = owed;
        Self { to: msisdn_octets(to), answer: Some(AnswerBody::of(*answer)) }
    }

    pub(super) fn read(self, read: Reader) -> Result<Owed, RecordError> {
        Ok(Owed {
            answer: read.present("owed.answer", self.answer)?.read(read, "owed.answer")?,
            to: read.msisdn("owed.to", &self.to)?,
        })
    }
}

/// What the platform answers; the same tags wherever it stands.
#[derive(Clone, PartialEq, prost::Oneof)]
enum AnswerBody {
    #[prost(message, tag = "3")]
    Binding(AckBody),
    #[prost(message, tag = "4")]
    Result(ResultAckBody),
}

impl AnswerBody {
    fn of(answer: Answer) -> Self {
        match answer {
            Answer::Binding(ack) => Self::Binding(AckBody::of(ack)),
            Answer::Result { tid, status } => Self::Result(ResultAckBody { tid, status: status.number() }),
        }
    }

    fn read(self, read: Reader, field: &'static str) -> Result<Answer, RecordError> {
        match self {
            Self::Binding(ack) => ack.read(read, field).map(Answer::Binding),
            Self::Result(ResultAckBody { tid, status }) => {
                Ok(Answer::Result { tid, status: read.numbered(field, status)? })
            }
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResultAckBody {
    #[prost(uint32, tag = "1")]
    tid: u32,
    #[prost(uint32, tag = "2")]
    status: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AckBody {
    #[prost(uint32, tag = "1")]
    tid: u32,
    #[prost(uint32, tag = "2")]
    result: u32,
}

impl AckBody {
    pub(super) fn of(ack: BindingAck) -> Self {
        let BindingAck { tid, result } = ack;
        Self { tid, result: result.number() }
    }

    pub(super) fn read(self, read: Reader, field: &'static str) -> Result<BindingAck, RecordError> {
        Ok(BindingAck { tid: self.tid, result: read.numbered(field, self.result)? })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// Bodies in the field hold these numbers: they may be added to, never changed.
    #[test]
    fn stored_numbers_stand() {
        assert_eq!([1, 2].map(Purpose::of_number), [Purpose::Write, Purpose::Poll].map(Some));
        let files = [ReadFile::Imsi, ReadFile::Iccid, ReadFile::Nothing];
        assert_eq!([1, 2, 3].map(ReadFile::of_number), files.map(Some));
        let results = [BindingResult::Saved, BindingResult::Held, BindingResult::Rejected];
        assert_eq!([1, 2, 3].map(BindingResult::of_number), results.map(Some));
        let statuses =
            [WriteStatus::Accepted, WriteStatus::Confirmed, WriteStatus::RolledBack, WriteStatus::Refused];
        assert_eq!([1, 2, 3, 4].map(WriteStatus::of_number), statuses.map(Some));
        assert_eq!(Purpose::of_number(0), None);
        assert_eq!(WriteStatus::of_number(5), None);
    }

    #[test]
    fn stored_leg_states_stand() {
        let octets = |state| {
            let to = "123".parse().expect("a number");
            let leg = Leg { to, attempt: 1, state, message_id: String::new(), receipt: None };
            LegBody::of(&leg).encode_to_vec()
        };
        let start = [0x0A, 3, 0x91, 0x21, 0xF3, 0x10, 1];
        let states: [(LegState, &[u8]); 5] = [
            (LegState::Ready { since: 5 }, &[0x1A, 2, 0x08, 5]),
            (LegState::Handed { since: 5, at: 6 }, &[0x22, 4, 0x08, 5, 0x10, 6]),
            (LegState::Taken { at: 5, silent_at: 6 }, &[0x2A, 4, 0x08, 5, 0x10, 6]),
            (LegState::BackOff { until: 5 }, &[0x32, 2, 0x08, 5]),
            (LegState::Silent, &[0x3A, 0]),
        ];
        for (state, expected) in states {
            assert_eq!(octets(state), [&start, expected].concat(), "{state:?}");
        }
    }
}
