//! The tags of optional parameters (SMPP 3.4 §5.3.2, SMPP 5.0 §4.8): name and layout of each.
//!
//! Tags from 1400 to 3FFF belong to vendors and have neither.

/// How the value of an optional parameter is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An unsigned integer of this many octets, the most significant first.
    Integer(usize),
    /// Octets.
    Octets {
        /// At least so many.
        min: usize,
        /// At most so many.
        max: usize,
    },
    /// A C-Octet String.
    COctetString {
        /// At most so many octets, the NUL counted.
        max: usize,
    },
}

impl Shape {
    /// Whether `value` is laid out so. Peers send C-Octet Strings without their NUL, too: those are not.
    #[must_use]
    pub fn fits(self, value: &[u8]) -> bool {
        match self {
            Self::Integer(octets) => value.len() == octets,
            Self::Octets { min, max } => (min..=max).contains(&value.len()),
            Self::COctetString { max } => {
                value.len() <= max
                    && value.split_last().is_some_and(|(nul, text)| *nul == 0 && !text.contains(&0))
            }
        }
    }
}

/// Octets of any number.
const ANY: Shape = Shape::Octets { min: 0, max: 0xFFFF };

const fn octets(min: usize, max: usize) -> Shape {
    Shape::Octets { min, max }
}

const fn c_octet_string(max: usize) -> Shape {
    Shape::COctetString { max }
}

macro_rules! tags {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal, $shape:expr;)*) => {
        $($(#[$doc])* pub const $constant: u16 = $value;)*

        /// Every tag of the specifications, in ascending order.
        pub const ALL: &[u16] = &[$($constant),*];

        /// The name in the specification, where the tag has one.
        #[must_use]
        pub const fn name(tag: u16) -> Option<&'static str> {
            match tag {
                $($constant => Some($name),)*
                _ => None,
            }
        }

        /// How the value is laid out, where the specification says so.
        #[must_use]
        pub const fn shape(tag: u16) -> Option<Shape> {
            match tag {
                $($constant => Some($shape),)*
                _ => None,
            }
        }
    };
}

use Shape::Integer;

tags! {
    /// Part of the destination device: 1 display, 2 mobile equipment, 3 smart card, 4 external unit.
    DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit", Integer(1);
    /// Kind of the destination's network: 1 GSM.
    DEST_NETWORK_TYPE = 0x0006, "dest_network_type", Integer(1);
    /// Bearer asked for: 1 SMS.
    DEST_BEARER_TYPE = 0x0007, "dest_bearer_type", Integer(1);
    /// Telematics interworking at the destination (TS 23.040 §9.2.3.9).
    DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id", Integer(2);
    /// Part of the originating device; as dest_addr_subunit.
    SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit", Integer(1);
    /// Kind of the originator's network.
    SOURCE_NETWORK_TYPE = 0x000E, "source_network_type", Integer(1);
    /// Bearer the message came over.
    SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type", Integer(1);
    /// Telematics interworking at the originator.
    SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id", Integer(1);
    /// Validity in seconds from the submission.
    QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live", Integer(4);
    /// What message_payload holds: 0 default, 1 WCMP.
    PAYLOAD_TYPE = 0x0019, "payload_type", Integer(1);
    /// What a response means, as text.
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text", c_octet_string(256);
    /// The message id a receipt is about.
    RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id", c_octet_string(65);
    /// Waiting messages to be shown at the handset.
    MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities", Integer(1);
    /// 0 not restricted to 3 secret.
    PRIVACY_INDICATOR = 0x0201, "privacy_indicator", Integer(1);
    /// Subaddress of the originator: its type, then at most 22 octets.
    SOURCE_SUBADDRESS = 0x0202, "source_subaddress", octets(2, 23);
    /// Subaddress of the destination; as source_subaddress.
    DEST_SUBADDRESS = 0x0203, "dest_subaddress", octets(2, 23);
    /// The ESME's own reference of a message.
    USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference", Integer(2);
    /// The user's answer in an acknowledgement.
    USER_RESPONSE_CODE = 0x0205, "user_response_code", Integer(1);
    /// Application port of the originator.
    SOURCE_PORT = 0x020A, "source_port", Integer(2);
    /// Application port of the destination.
    DEST_PORT = 0x020B, "dest_port", Integer(2);
    /// Reference number of a concatenated message.
    SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num", Integer(2);
    /// Language of the text.
    LANGUAGE_INDICATOR = 0x020D, "language_indicator", Integer(1);
    /// Number of parts of a concatenated message.
    SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments", Integer(1);
    /// Number of this part, from 1.
    SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum", Integer(1);
    /// The SMPP version the SMSC speaks.
    SC_INTERFACE_VERSION = 0x0210, "sc_interface_version", Integer(1);
    /// How a callback number may be shown.
    CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind", Integer(1);
    /// Text shown with a callback number.
    CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag", octets(0, 65);
    /// Messages waiting in a mailbox: 0 to 99.
    NUMBER_OF_MESSAGES = 0x0304, "number_of_messages", Integer(1);
    /// A number to call back: digit mode, TON, NPI, digits.
    CALLBACK_NUM = 0x0381, "callback_num", octets(4, 19);
    /// Whether the SMSC set its delivery pending flag.
    DPF_RESULT = 0x0420, "dpf_result", Integer(1);
    /// Whether the SMSC is to set its delivery pending flag and tell by alert_notification.
    SET_DPF = 0x0421, "set_dpf", Integer(1);
    /// Whether a recipient can be reached: 0 yes, 1 not allowed, 2 no.
    MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status", Integer(1);
    /// Network type and error code: 1 + 2 octets.
    NETWORK_ERROR_CODE = 0x0423, "network_error_code", octets(3, 3);
    /// User data in place of short_message.
    MESSAGE_PAYLOAD = 0x0424, "message_payload", ANY;
    /// Why a data_sm was not delivered: 0 unavailable, 1 address, 2 permanent, 3 temporary.
    DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason", Integer(1);
    /// Whether more messages to the same recipient follow.
    MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send", Integer(1);
    /// State of a message.
    MESSAGE_STATE = 0x0427, "message_state", Integer(1);
    /// How busy the sender of a response is: 0 idle to 100 congested (SMPP 5.0).
    CONGESTION_STATE = 0x0428, "congestion_state", Integer(1);
    /// USSD operation.
    USSD_SERVICE_OP = 0x0501, "ussd_service_op", Integer(1);
    /// Cell broadcast channel: 0 basic, 1 extended (SMPP 5.0, like all that follow up to 0613).
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator", Integer(1);
    /// Kind of a broadcast's contents: network type, then 2 octets.
    BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type", octets(3, 3);
    /// More about the contents of a broadcast.
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info", octets(0, 255);
    /// Class of a broadcast message.
    BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class", Integer(1);
    /// How often a broadcast is repeated.
    BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num", Integer(2);
    /// Time between two broadcasts: unit, then 2 octets.
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval", octets(3, 3);
    /// Where to broadcast: format, then the area.
    BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier", octets(1, 0xFFFF);
    /// What went wrong with a broadcast: a command_status.
    BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status", Integer(4);
    /// Per cent of an area that took the broadcast; 255 not known.
    BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success", Integer(1);
    /// When the broadcast ends: an absolute time.
    BROADCAST_END_TIME = 0x0609, "broadcast_end_time", octets(0, 17);
    /// Group of subscribers a broadcast is for.
    BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group", octets(1, 255);
    /// Billing data: format, then octets.
    BILLING_IDENTIFICATION = 0x060B, "billing_identification", octets(1, 1024);
    /// Network of the originator.
    SOURCE_NETWORK_ID = 0x060D, "source_network_id", c_octet_string(66);
    /// Network of the destination.
    DEST_NETWORK_ID = 0x060E, "dest_network_id", c_octet_string(66);
    /// Node of the originator: six decimal digits.
    SOURCE_NODE_ID = 0x060F, "source_node_id", octets(6, 6);
    /// Node of the destination: six decimal digits.
    DEST_NODE_ID = 0x0610, "dest_node_id", octets(6, 6);
    /// Whether number portability was looked up: 0 no, 1 yes and not ported, 2 ported.
    DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution", Integer(1);
    /// Routing data of number portability.
    DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information", octets(0, 10);
    /// Country of the ported number: E.164 country code.
    DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country", octets(1, 5);
    /// How long a text is shown: 0 temporary, 1 default, 2 invoke.
    DISPLAY_TIME = 0x1201, "display_time", Integer(1);
    /// Tone to be played.
    SMS_SIGNAL = 0x1203, "sms_signal", Integer(2);
    /// How long a handset keeps the message: 1 octet in 3.4, up to 4 in 5.0.
    MS_VALIDITY = 0x1204, "ms_validity", octets(1, 4);
    /// Alert at the handset: empty in 3.4, a priority in 5.0.
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery", octets(0, 1);
    /// Interactive teleservice: the user's way to answer.
    ITS_REPLY_TYPE = 0x1380, "its_reply_type", Integer(1);
    /// Interactive teleservice: session number and dialogue unit, 1 octet each.
    ITS_SESSION_INFO = 0x1383, "its_session_info", octets(2, 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_stands_once_with_its_name_and_shape() {
        assert_eq!(ALL.len(), 64);
        assert!(ALL.is_sorted_by(|a, b| a < b));
        for tag in ALL {
            assert!(name(*tag).is_some() && shape(*tag).is_some(), "{tag:04X}");
        }
        assert_eq!(name(0x0424), Some("message_payload"));
        assert_eq!((name(0x1400), shape(0x1400)), (None, None));
    }

    #[test]
    fn shapes_tell_what_fits() {
        assert!(Integer(2).fits(&[0, 1]) && !Integer(2).fits(&[1]));
        assert!(octets(4, 19).fits(&[0; 4]) && !octets(4, 19).fits(&[0; 3]) && !octets(4, 19).fits(&[0; 20]));
        let text = c_octet_string(3);
        assert!(text.fits(b"\0") && text.fits(b"ab\0"));
        for value in [&b""[..], b"ab", b"abc\0", b"a\0\0"] {
            assert!(!text.fits(value), "{value:?}");
        }
    }
}
