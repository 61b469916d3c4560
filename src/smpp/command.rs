//! Command ids (SMPP 3.4 §5.1.2.1, SMPP 5.0 §4.7.5).

use std::fmt;

/// The command_id of a PDU; ids this crate does not know are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u32);

/// The bit that tells a response from a request.
const RESPONSE: u32 = 0x8000_0000;

macro_rules! commands {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        impl CommandId {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name in the specification, where the id has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    /// generic_nack.
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    /// bind_receiver.
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    /// bind_receiver_resp.
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    /// bind_transmitter.
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    /// bind_transmitter_resp.
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    /// query_sm.
    QUERY_SM = 0x0000_0003, "query_sm";
    /// query_sm_resp.
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    /// submit_sm.
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    /// submit_sm_resp.
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    /// deliver_sm.
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    /// deliver_sm_resp.
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    /// unbind.
    UNBIND = 0x0000_0006, "unbind";
    /// unbind_resp.
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    /// replace_sm.
    REPLACE_SM = 0x0000_0007, "replace_sm";
    /// replace_sm_resp.
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    /// cancel_sm.
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    /// cancel_sm_resp.
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    /// bind_transceiver.
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    /// bind_transceiver_resp.
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    /// outbind; it has no response.
    OUTBIND = 0x0000_000B, "outbind";
    /// enquire_link.
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    /// enquire_link_resp.
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    /// submit_multi.
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    /// submit_multi_resp.
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    /// alert_notification; it has no response.
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    /// data_sm.
    DATA_SM = 0x0000_0103, "data_sm";
    /// data_sm_resp.
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    /// broadcast_sm (SMPP 5.0).
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    /// broadcast_sm_resp (SMPP 5.0).
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    /// query_broadcast_sm (SMPP 5.0).
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    /// query_broadcast_sm_resp (SMPP 5.0).
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    /// cancel_broadcast_sm (SMPP 5.0).
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    /// cancel_broadcast_sm_resp (SMPP 5.0).
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

impl CommandId {
    /// Whether this is the id of a response, generic_nack included.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE != 0
    }

    /// Whether the specification knows this request and gives it no response (outbind, alert_notification).
    #[must_use]
    pub const fn is_notification(self) -> bool {
        matches!(self, Self::OUTBIND | Self::ALERT_NOTIFICATION)
    }

    /// The id of the response to this request; generic_nack where the request is unknown or has no response
    /// of its own.
    #[must_use]
    pub const fn response(self) -> Self {
        let response = Self(self.0 | RESPONSE);
        if response.name().is_some() { response } else { Self::GENERIC_NACK }
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "command {:#010X}", self.0),
        }
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_knows_its_own_response() {
        assert_eq!(CommandId::DELIVER_SM.response(), CommandId::DELIVER_SM_RESP);
        assert_eq!(CommandId::DATA_SM.response(), CommandId::DATA_SM_RESP);
        assert_eq!(CommandId::CANCEL_BROADCAST_SM.response(), CommandId::CANCEL_BROADCAST_SM_RESP);
        assert_eq!(CommandId::OUTBIND.response(), CommandId::GENERIC_NACK);
        assert_eq!(CommandId::ALERT_NOTIFICATION.response(), CommandId::GENERIC_NACK);
        assert_eq!(CommandId(0x0001_0203).response(), CommandId::GENERIC_NACK);
        assert_eq!(CommandId(0).response(), CommandId::GENERIC_NACK);
    }

    #[test]
    fn shows_unknown_ids_as_numbers() {
        assert_eq!(CommandId::SUBMIT_SM.to_string(), "submit_sm");
        assert_eq!(CommandId(0x0001_0203).to_string(), "command 0x00010203");
    }
}
