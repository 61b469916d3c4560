//! What the optional parameters say that this crate acts on.
//!
//! A reader gives `None` where the parameter is missing or its value has not the length it must have: peers
//! send both, and neither makes the PDU unreadable.

use bytes::Bytes;

use super::{Tlvs, tag};
use crate::smpp::{MessageId, MessageState, Version};

/// network_error_code (SMPP 3.4 §5.3.2.31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkErrorCode {
    /// 1 ANSI-136, 2 IS-95, 3 GSM, 4 and above reserved; 5.0 names 4 to 8, 8 being the SMSC's own codes.
    pub network: u8,
    /// The network's code.
    pub code: u16,
}

/// The parameters sar_msg_ref_num, sar_total_segments and sar_segment_seqnum (SMPP 3.4 §5.3.2.22 to 24):
/// concatenation without a User Data Header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Common to all parts of the message.
    pub reference: u16,
    /// How many parts there are, at least 1.
    pub total: u8,
    /// Which part this is, from 1 to `total`.
    pub number: u8,
}

/// congestion_state (SMPP 5.0 §4.8.4.18): 0 idle to 100 congested; greater values are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CongestionState(pub u8);

impl CongestionState {
    /// Nothing to do.
    pub const IDLE: Self = Self(0);
    /// From here on up to 89 the load is what the peer can just carry.
    pub const OPTIMUM_LOAD: Self = Self(80);
    /// From here on the peer wants less.
    pub const NEARING_CONGESTION: Self = Self(90);
    /// The peer takes nothing more.
    pub const CONGESTED: Self = Self(100);
}

/// ms_availability_status (SMPP 3.4 §5.3.2.30).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsAvailabilityStatus(pub u8);

impl MsAvailabilityStatus {
    /// The recipient can be reached.
    pub const AVAILABLE: Self = Self(0);
    /// It may not be reached: barred, suspended.
    pub const DENIED: Self = Self(1);
    /// It is out of reach.
    pub const UNAVAILABLE: Self = Self(2);
}

/// delivery_failure_reason (SMPP 3.4 §5.3.2.33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryFailureReason(pub u8);

impl DeliveryFailureReason {
    /// The destination is out of reach.
    pub const DESTINATION_UNAVAILABLE: Self = Self(0);
    /// The destination address is invalid.
    pub const DESTINATION_ADDRESS_INVALID: Self = Self(1);
    /// The network will not deliver.
    pub const PERMANENT_NETWORK_ERROR: Self = Self(2);
    /// The network may deliver later.
    pub const TEMPORARY_NETWORK_ERROR: Self = Self(3);
}

impl Tlvs {
    /// message_state: how far the message got that a receipt is about.
    #[must_use]
    pub fn message_state(&self) -> Option<MessageState> {
        self.octet(tag::MESSAGE_STATE).map(MessageState)
    }

    /// receipted_message_id, with or without its NUL; at most 127 octets.
    #[must_use]
    pub fn receipted_message_id(&self) -> Option<MessageId> {
        MessageId::new(self.text(tag::RECEIPTED_MESSAGE_ID)?).ok()
    }

    /// network_error_code.
    #[must_use]
    pub fn network_error_code(&self) -> Option<NetworkErrorCode> {
        let [network, high, low] = self.array(tag::NETWORK_ERROR_CODE)?;
        Some(NetworkErrorCode { network, code: u16::from_be_bytes([high, low]) })
    }

    /// The three sar parameters; `None` unless all are there and say which part of how many this is.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        let segment = Segment {
            reference: self.array(tag::SAR_MSG_REF_NUM).map(u16::from_be_bytes)?,
            total: self.octet(tag::SAR_TOTAL_SEGMENTS)?,
            number: self.octet(tag::SAR_SEGMENT_SEQNUM)?,
        };
        (1..=segment.total).contains(&segment.number).then_some(segment)
    }

    /// congestion_state: how busy the peer is.
    #[must_use]
    pub fn congestion_state(&self) -> Option<CongestionState> {
        self.octet(tag::CONGESTION_STATE).map(CongestionState)
    }

    /// ms_availability_status.
    #[must_use]
    pub fn ms_availability_status(&self) -> Option<MsAvailabilityStatus> {
        self.octet(tag::MS_AVAILABILITY_STATUS).map(MsAvailabilityStatus)
    }

    /// message_payload, sharing the memory of the PDU.
    #[must_use]
    pub fn message_payload(&self) -> Option<Bytes> {
        self.find_bytes(tag::MESSAGE_PAYLOAD)
    }

    /// sc_interface_version: what the SMSC speaks.
    #[must_use]
    pub fn sc_interface_version(&self) -> Option<Version> {
        self.octet(tag::SC_INTERFACE_VERSION).map(Version)
    }

    /// additional_status_info_text, with or without its NUL: the octets as the peer sent them.
    #[must_use]
    pub fn additional_status_info_text(&self) -> Option<&[u8]> {
        self.text(tag::ADDITIONAL_STATUS_INFO_TEXT)
    }

    /// delivery_failure_reason.
    #[must_use]
    pub fn delivery_failure_reason(&self) -> Option<DeliveryFailureReason> {
        self.octet(tag::DELIVERY_FAILURE_REASON).map(DeliveryFailureReason)
    }

    /// dpf_result: whether the SMSC will tell by alert_notification when the recipient is back.
    #[must_use]
    pub fn dpf_result(&self) -> Option<bool> {
        self.octet(tag::DPF_RESULT).map(|set| set != 0)
    }

    /// set_dpf: whether the ESME asks for that.
    #[must_use]
    pub fn set_dpf(&self) -> Option<bool> {
        self.octet(tag::SET_DPF).map(|asked| asked != 0)
    }

    /// user_message_reference.
    #[must_use]
    pub fn user_message_reference(&self) -> Option<u16> {
        self.array(tag::USER_MESSAGE_REFERENCE).map(u16::from_be_bytes)
    }

    /// more_messages_to_send: whether more to the same recipient follow.
    #[must_use]
    pub fn more_messages_to_send(&self) -> Option<bool> {
        self.octet(tag::MORE_MESSAGES_TO_SEND).map(|more| more != 0)
    }

    fn octet(&self, tag: u16) -> Option<u8> {
        self.array(tag).map(|[octet]| octet)
    }

    fn array<const N: usize>(&self, tag: u16) -> Option<[u8; N]> {
        self.find(tag)?.try_into().ok()
    }

    fn text(&self, tag: u16) -> Option<&[u8]> {
        self.find(tag)?.split(|octet| *octet == 0).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tag: u16, value: &[u8]) -> Tlvs {
        Tlvs::default().with(tag, value).unwrap()
    }

    #[test]
    fn values_of_the_right_length_are_read() {
        assert_eq!(with(tag::MESSAGE_STATE, &[5]).message_state(), Some(MessageState::UNDELIVERABLE));
        assert_eq!(
            with(tag::NETWORK_ERROR_CODE, &[3, 0x01, 0xD4]).network_error_code(),
            Some(NetworkErrorCode { network: 3, code: 0x01D4 })
        );
        assert_eq!(with(tag::CONGESTION_STATE, &[100]).congestion_state(), Some(CongestionState::CONGESTED));
        assert_eq!(with(tag::SC_INTERFACE_VERSION, &[0x50]).sc_interface_version(), Some(Version::V5_0));
        assert_eq!(with(tag::MESSAGE_PAYLOAD, b"hi").message_payload().unwrap(), &b"hi"[..]);
        assert_eq!(with(tag::USER_MESSAGE_REFERENCE, &[1, 2]).user_message_reference(), Some(0x0102));
        assert_eq!(with(tag::DPF_RESULT, &[1]).dpf_result(), Some(true));
        assert_eq!(with(tag::SET_DPF, &[0]).set_dpf(), Some(false));
        assert_eq!(with(tag::MORE_MESSAGES_TO_SEND, &[1]).more_messages_to_send(), Some(true));
        assert_eq!(
            with(tag::DELIVERY_FAILURE_REASON, &[3]).delivery_failure_reason(),
            Some(DeliveryFailureReason::TEMPORARY_NETWORK_ERROR)
        );
        assert_eq!(
            with(tag::MS_AVAILABILITY_STATUS, &[2]).ms_availability_status(),
            Some(MsAvailabilityStatus::UNAVAILABLE)
        );
    }

    #[test]
    fn texts_are_read_with_and_without_their_nul() {
        for value in [&b"0af1\0"[..], b"0af1", b"0af1\0\0"] {
            let tlvs =
                with(tag::RECEIPTED_MESSAGE_ID, value).with(tag::ADDITIONAL_STATUS_INFO_TEXT, value).unwrap();
            assert_eq!(tlvs.receipted_message_id().unwrap().as_bytes(), b"0af1");
            assert_eq!(tlvs.additional_status_info_text(), Some(&b"0af1"[..]));
        }
        assert_eq!(with(tag::RECEIPTED_MESSAGE_ID, &[b'1'; 128]).receipted_message_id(), None);
    }

    #[test]
    fn a_wrong_length_reads_as_missing() {
        for value in [&[][..], &[1, 2, 3, 4]] {
            let tlvs = tag::ALL.iter().fold(Tlvs::default(), |tlvs, tag| tlvs.with(*tag, value).unwrap());
            assert_eq!(tlvs.message_state(), None);
            assert_eq!(tlvs.network_error_code(), None);
            assert_eq!(tlvs.segment(), None);
            assert_eq!(tlvs.congestion_state(), None);
            assert_eq!(tlvs.ms_availability_status(), None);
            assert_eq!(tlvs.sc_interface_version(), None);
            assert_eq!(tlvs.delivery_failure_reason(), None);
            assert_eq!((tlvs.dpf_result(), tlvs.set_dpf()), (None, None));
            assert_eq!((tlvs.user_message_reference(), tlvs.more_messages_to_send()), (None, None));
        }
        assert_eq!(Tlvs::default().message_payload(), None);
    }

    #[test]
    fn a_segment_needs_all_three_and_a_number_that_exists() {
        let segment = |total, number| {
            with(tag::SAR_MSG_REF_NUM, &[1, 2])
                .with(tag::SAR_TOTAL_SEGMENTS, &[total])
                .and_then(|tlvs| tlvs.with(tag::SAR_SEGMENT_SEQNUM, &[number]))
                .unwrap()
                .segment()
        };
        assert_eq!(segment(2, 1), Some(Segment { reference: 0x0102, total: 2, number: 1 }));
        assert_eq!((segment(2, 0), segment(2, 3), segment(0, 0)), (None, None, None));
        assert_eq!(with(tag::SAR_MSG_REF_NUM, &[1, 2]).segment(), None);
    }
}
