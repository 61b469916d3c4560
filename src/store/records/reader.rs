//! From the fields of a protocol buffer to checked values; every error names record and field.

use prost::Message;

use crate::card::{Bearer, CardId, End, Hold, Owner, WriteId, WriteState};
use crate::identity::{Eid, INTERNATIONAL, Iccid, Imei, Imsi, Msisdn};
use crate::ota::Cntr;
use crate::store::VALUE_OCTETS_MAX;

use super::RecordError;

/// Reads the fields of one record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    record: &'static str,
}

impl Reader {
    /// The protocol buffer in `octets`, and the reader of its fields.
    pub(super) fn open<B: Message + Default>(
        record: &'static str,
        octets: &[u8],
    ) -> Result<(B, Self), RecordError> {
        if octets.len() > VALUE_OCTETS_MAX {
            return Err(RecordError::TooLong { record, found: octets.len(), limit: VALUE_OCTETS_MAX });
        }
        let body = B::decode(octets).map_err(|source| RecordError::Malformed { record, source })?;
        Ok((body, Self { record }))
    }

    pub(super) fn error(self, field: &'static str, expected: &'static str) -> RecordError {
        RecordError::Field { record: self.record, field, expected }
    }

    /// A part of the record that is never missing.
    pub(super) fn present<T>(self, field: &'static str, value: Option<T>) -> Result<T, RecordError> {
        value.ok_or_else(|| self.error(field, "to be there"))
    }

    /// That a list has at most `limit` entries.
    pub(super) fn at_most<T>(self, field: &'static str, list: &[T], limit: usize) -> Result<(), RecordError> {
        if list.len() > limit {
            return Err(RecordError::TooMany { record: self.record, field, found: list.len(), limit });
        }
        Ok(())
    }

    pub(super) fn octet(self, field: &'static str, number: u32) -> Result<u8, RecordError> {
        u8::try_from(number).map_err(|_| self.error(field, "0 to 255"))
    }

    pub(super) fn array<const N: usize>(
        self,
        field: &'static str,
        octets: &[u8],
        expected: &'static str,
    ) -> Result<[u8; N], RecordError> {
        octets.try_into().map_err(|_| self.error(field, expected))
    }

    pub(super) fn digest(self, field: &'static str, octets: &[u8]) -> Result<[u8; 32], RecordError> {
        self.array(field, octets, "a digest of 32 octets")
    }

    pub(super) fn card(self, field: &'static str, octets: &[u8]) -> Result<CardId, RecordError> {
        self.array(field, octets, "a card id of 16 octets").map(CardId::from_octets)
    }

    pub(super) fn write(self, field: &'static str, octets: &[u8]) -> Result<WriteId, RecordError> {
        self.array(field, octets, "a write id of 16 octets").map(WriteId::from_octets)
    }

    /// A list of at most `limit` write ids.
    pub(super) fn writes(
        self,
        field: &'static str,
        list: &[Vec<u8>],
        limit: usize,
    ) -> Result<Vec<WriteId>, RecordError> {
        self.at_most(field, list, limit)?;
        list.iter().map(|octets| self.write(field, octets)).collect()
    }

    pub(super) fn owner(self, field: &'static str, text: &str) -> Result<Owner, RecordError> {
        text.parse().map_err(|_| self.error(field, "an owner's name"))
    }

    pub(super) fn imei(self, field: &'static str, octets: &[u8]) -> Result<Imei, RecordError> {
        Imei::from_mobile_identity(octets)
            .map_err(|_| self.error(field, "an IMEI as mobile identity of 8 octets"))
    }

    pub(super) fn eid(self, field: &'static str, octets: &[u8]) -> Result<Eid, RecordError> {
        let expected = "an EID of 16 octets";
        Eid::from_octets(self.array(field, octets, expected)?).map_err(|_| self.error(field, expected))
    }

    pub(super) fn iccid(self, field: &'static str, octets: &[u8]) -> Result<Iccid, RecordError> {
        Iccid::from_octets(octets).map_err(|_| self.error(field, "an ICCID of 10 octets"))
    }

    pub(super) fn imsi(self, field: &'static str, octets: &[u8]) -> Result<Imsi, RecordError> {
        Imsi::from_ef(octets).map_err(|_| self.error(field, "an IMSI as EF.IMSI of 9 octets"))
    }

    pub(super) fn msisdn(self, field: &'static str, octets: &[u8]) -> Result<Msisdn, RecordError> {
        Msisdn::from_bcd(octets).map_err(|_| self.error(field, "TON/NPI and a number of 3 to 15 digits"))
    }

    pub(super) fn cntr(self, field: &'static str, number: u64) -> Result<Cntr, RecordError> {
        Cntr::try_from(number).map_err(|_| self.error(field, "a CNTR of 5 octets"))
    }

    pub(super) fn numbered<T: Numbered>(self, field: &'static str, number: u32) -> Result<T, RecordError> {
        T::of_number(number).ok_or_else(|| self.error(field, "a number that this release knows"))
    }
}

/// The stored octets of a number; the reverse of [`Reader::msisdn`].
pub(super) fn msisdn_octets(msisdn: &Msisdn) -> Vec<u8> {
    msisdn.to_bcd(INTERNATIONAL)
}

/// An enumeration with a stored number for each value.
pub(super) trait Numbered: Copy {
    /// The stored number, from 1 on.
    fn number(self) -> u32;

    /// The value stored as `number`; `None` for 0 and for what a later release stored.
    fn of_number(number: u32) -> Option<Self>;
}

/// Both directions from one list. A value without a number does not compile; a number is never given twice.
macro_rules! numbered {
    ($($type:ty { $($number:literal => ($($value:tt)+)),+ $(,)? })+) => {$(
        impl $crate::store::records::reader::Numbered for $type {
            fn number(self) -> u32 {
                match self { $($($value)+ => $number,)+ }
            }

            fn of_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some($($value)+),)+
                    _ => None,
                }
            }
        }
    )+};
}

pub(super) use numbered;

numbered! {
    WriteState {
        1 => (WriteState::Waiting),
        2 => (WriteState::Queued),
        3 => (WriteState::Sealed),
        4 => (WriteState::Sent),
        5 => (WriteState::Unknown),
        6 => (WriteState::Written),
        7 => (WriteState::Ended(End::Effective)),
        8 => (WriteState::Ended(End::Failed)),
        9 => (WriteState::Ended(End::RolledBack)),
        10 => (WriteState::Ended(End::Cancelled)),
        11 => (WriteState::Ended(End::Expired)),
        12 => (WriteState::Ended(End::Unresolved)),
        13 => (WriteState::OnSite),
    }
    Hold {
        1 => (Hold::WrongDevice),
    }
    Bearer {
        1 => (Bearer::Sms),
        2 => (Bearer::Relay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies in the field hold these numbers: they may be added to, never changed.
    #[test]
    fn stored_numbers_stand() {
        let states = [
            "waiting",
            "queued",
            "sealed",
            "sent",
            "unknown",
            "written",
            "effective",
            "failed",
            "rolled_back",
            "cancelled",
            "expired",
            "unresolved",
            "on_site",
        ];
        for (number, name) in (1..).zip(states) {
            let state = WriteState::of_number(number).expect("a state");
            assert_eq!((state.name(), state.number()), (name, number));
        }
        assert_eq!([0, 14].map(WriteState::of_number), [None, None]);
        let bearers = [None, Some(Bearer::Sms), Some(Bearer::Relay), None];
        assert_eq!([0, 1, 2, 3].map(Bearer::of_number), bearers);
        assert_eq!([0, 1, 2].map(Hold::of_number), [None, Some(Hold::WrongDevice), None]);
    }
}
