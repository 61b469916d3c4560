//! One-octet fields: newtypes that keep every value and read its bits.

use std::fmt;

/// interface_version (SMPP 3.4 §5.2.4, SMPP 5.0 §4.7.13): major and minor version in a half-octet each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// SMPP 3.3, and whatever is older: no optional parameters.
    pub const V3_3: Self = Self(0x33);
    /// SMPP 3.4.
    pub const V3_4: Self = Self(0x34);
    /// SMPP 5.0.
    pub const V5_0: Self = Self(0x50);
}

/// esm_class (§5.2.12): messaging mode, message type and features in one octet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EsmClass(pub u8);

impl EsmClass {
    /// Default mode, default type, no feature.
    pub const DEFAULT: Self = Self(0x00);
    /// The user data begins with a User Data Header (TS 23.040 §9.2.3.24).
    pub const UDHI: Self = Self(0x40);
    /// An SMSC delivery receipt (deliver_sm).
    pub const DELIVERY_RECEIPT: Self = Self(0x04);

    /// Whether the user data begins with a User Data Header.
    #[must_use]
    pub const fn udhi(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Whether the reply path is asked for.
    #[must_use]
    pub const fn reply_path(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// What kind of message a deliver_sm is: bits 5 to 2.
    #[must_use]
    pub const fn message_type(self) -> MessageType {
        match self.0 & 0x3C {
            0x00 => MessageType::Default,
            0x04 => MessageType::DeliveryReceipt,
            0x08 => MessageType::DeliveryAcknowledgement,
            0x10 => MessageType::UserAcknowledgement,
            0x18 => MessageType::ConversationAbort,
            0x20 => MessageType::IntermediateNotification,
            other => MessageType::Other(other),
        }
    }
}

/// The message type bits of esm_class (§5.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// An ordinary message.
    Default,
    /// An SMSC delivery receipt.
    DeliveryReceipt,
    /// An SME delivery acknowledgement.
    DeliveryAcknowledgement,
    /// An SME manual or user acknowledgement.
    UserAcknowledgement,
    /// A conversation abort (Korean CDMA).
    ConversationAbort,
    /// An intermediate delivery notification.
    IntermediateNotification,
    /// A reserved combination: the octet under the mask 3C.
    Other(u8),
}

/// data_coding (§5.2.19), as TP-DCS of TS 23.038 where the SMSC passes it on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DataCoding(pub u8);

impl DataCoding {
    /// The SMSC's default alphabet.
    pub const DEFAULT: Self = Self(0x00);
    /// 8-bit data, no message class.
    pub const OCTETS: Self = Self(0x04);
    /// 8-bit data, class 2 ((U)SIM specific): secured packets (TS 31.115 §4).
    pub const OCTETS_CLASS_2: Self = Self(0xF6);

    /// The message class (TS 23.038 §4), where the octet names one.
    #[must_use]
    pub const fn message_class(self) -> Option<u8> {
        match self.0 & 0xF0 {
            0xF0 | 0x10 | 0x30 | 0x50 | 0x70 => Some(self.0 & 0x03),
            _ => None,
        }
    }

    /// Whether the user data are octets and not text (TS 23.038 §4).
    #[must_use]
    pub const fn is_octets(self) -> bool {
        match self.0 & 0xF0 {
            0xF0 => self.0 & 0x04 != 0,
            group if group & 0x80 == 0 => self.0 & 0x0C == 0x04,
            _ => false,
        }
    }
}

/// registered_delivery (§5.2.17): which receipts are asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RegisteredDelivery(pub u8);

impl RegisteredDelivery {
    /// No receipt.
    pub const NONE: Self = Self(0x00);
    /// A receipt on the final outcome, good or bad.
    pub const FINAL: Self = Self(0x01);
    /// A receipt on a bad final outcome only.
    pub const FAILURE: Self = Self(0x02);
    /// Receipts on the final outcome and intermediate notifications.
    pub const FINAL_AND_INTERMEDIATE: Self = Self(0x11);

    /// Whether a receipt is asked for when the message was delivered.
    #[must_use]
    pub const fn on_success(self) -> bool {
        self.0 & 0x03 == 0x01
    }

    /// Whether a receipt is asked for when the message was not delivered.
    #[must_use]
    pub const fn on_failure(self) -> bool {
        matches!(self.0 & 0x03, 0x01 | 0x02)
    }

    /// Whether intermediate notifications are asked for.
    #[must_use]
    pub const fn intermediate(self) -> bool {
        self.0 & 0x10 != 0
    }
}

/// message_state (SMPP 3.4 §5.2.28, SMPP 5.0 §4.7.15): how far the SMSC got with a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageState(pub u8);

impl MessageState {
    /// Not yet due (SMPP 5.0).
    pub const SCHEDULED: Self = Self(0);
    /// On its way.
    pub const ENROUTE: Self = Self(1);
    /// Acknowledged by the terminal.
    pub const DELIVERED: Self = Self(2);
    /// The validity period ended.
    pub const EXPIRED: Self = Self(3);
    /// Deleted by its sender or an operator.
    pub const DELETED: Self = Self(4);
    /// Cannot be delivered.
    pub const UNDELIVERABLE: Self = Self(5);
    /// Accepted (read on behalf of the subscriber).
    pub const ACCEPTED: Self = Self(6);
    /// The SMSC does not know.
    pub const UNKNOWN: Self = Self(7);
    /// Rejected by the network or the terminal.
    pub const REJECTED: Self = Self(8);
    /// Passed over: one of a series whose time had gone (SMPP 5.0).
    pub const SKIPPED: Self = Self(9);

    /// The state a receipt's text names (appendix B): its first letters decide, whatever their case.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        const STATES: [(&[u8], MessageState); 10] = [
            (b"SCHED", MessageState::SCHEDULED),
            (b"ENROUTE", MessageState::ENROUTE),
            (b"DELIV", MessageState::DELIVERED),
            (b"EXPIR", MessageState::EXPIRED),
            (b"DELET", MessageState::DELETED),
            (b"UNDEL", MessageState::UNDELIVERABLE),
            (b"ACCEP", MessageState::ACCEPTED),
            (b"UNKN", MessageState::UNKNOWN),
            (b"REJEC", MessageState::REJECTED),
            (b"SKIPP", MessageState::SKIPPED),
        ];
        STATES.into_iter().find_map(|(name, state)| {
            text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)).then_some(state)
        })
    }

    /// The letters that stand for the state in a receipt's text; `UNKNOWN` for values without a name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SCHEDULED => "SCHEDULED",
            Self::ENROUTE => "ENROUTE",
            Self::DELIVERED => "DELIVRD",
            Self::EXPIRED => "EXPIRED",
            Self::DELETED => "DELETED",
            Self::UNDELIVERABLE => "UNDELIV",
            Self::ACCEPTED => "ACCEPTD",
            Self::REJECTED => "REJECTD",
            Self::SKIPPED => "SKIPPED",
            _ => "UNKNOWN",
        }
    }
}

impl fmt::Debug for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageState({}, {})", self.0, self.text())
    }
}

macro_rules! hexadecimal_debug {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#04X})"), self.0)
            }
        })*
    };
}

hexadecimal_debug!(Version, EsmClass, DataCoding, RegisteredDelivery);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esm_class_of_real_peers_is_read_by_bits() {
        for octet in [0x40, 0x41, 0x43] {
            assert!(EsmClass(octet).udhi(), "{octet:02X}");
            assert_eq!(EsmClass(octet).message_type(), MessageType::Default);
        }
        assert_eq!(EsmClass(0x44).message_type(), MessageType::DeliveryReceipt);
        assert_eq!(EsmClass(0x07).message_type(), MessageType::DeliveryReceipt);
        assert_eq!(EsmClass(0x20).message_type(), MessageType::IntermediateNotification);
        assert_eq!(EsmClass(0x3C).message_type(), MessageType::Other(0x3C));
    }

    #[test]
    fn data_coding_tells_octets_and_class() {
        assert!(DataCoding(0xF6).is_octets() && DataCoding(0x16).is_octets() && DataCoding(0x04).is_octets());
        assert!(
            !DataCoding(0x00).is_octets() && !DataCoding(0x08).is_octets() && !DataCoding(0xF2).is_octets()
        );
        assert_eq!(DataCoding(0xF6).message_class(), Some(2));
        assert_eq!(DataCoding(0x16).message_class(), Some(2));
        assert_eq!(DataCoding(0x04).message_class(), None);
    }

    #[test]
    fn message_states_survive_their_text() {
        for state in (0..=9).map(MessageState) {
            assert_eq!(MessageState::from_text(state.text().as_bytes()), Some(state));
        }
        assert_eq!(MessageState::from_text(b"delivered"), Some(MessageState::DELIVERED));
        assert_eq!(MessageState::from_text(b"DEL"), None);
    }
}
