//! Command status (SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6).

use std::fmt;

/// The command_status of a response; values this crate does not know are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $constant:ident = $value:literal;)*) => {
        impl CommandStatus {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name in the specification, where the status has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($constant)),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// No error.
    ESME_ROK = 0x0000;
    /// The message length is invalid.
    ESME_RINVMSGLEN = 0x0001;
    /// The command length is invalid.
    ESME_RINVCMDLEN = 0x0002;
    /// The command id is invalid.
    ESME_RINVCMDID = 0x0003;
    /// The bind state does not allow the command.
    ESME_RINVBNDSTS = 0x0004;
    /// The ESME is bound already.
    ESME_RALYBND = 0x0005;
    /// The priority flag is invalid.
    ESME_RINVPRTFLG = 0x0006;
    /// The registered delivery flag is invalid.
    ESME_RINVREGDLVFLG = 0x0007;
    /// System error.
    ESME_RSYSERR = 0x0008;
    /// The source address is invalid.
    ESME_RINVSRCADR = 0x000A;
    /// The destination address is invalid.
    ESME_RINVDSTADR = 0x000B;
    /// The message id is invalid.
    ESME_RINVMSGID = 0x000C;
    /// The bind failed.
    ESME_RBINDFAIL = 0x000D;
    /// The password is invalid.
    ESME_RINVPASWD = 0x000E;
    /// The system id is invalid.
    ESME_RINVSYSID = 0x000F;
    /// cancel_sm failed.
    ESME_RCANCELFAIL = 0x0011;
    /// replace_sm failed.
    ESME_RREPLACEFAIL = 0x0013;
    /// A message queue is full: the SMSC's, or that of this recipient.
    ESME_RMSGQFUL = 0x0014;
    /// The service type is invalid.
    ESME_RINVSERTYP = 0x0015;
    /// The number of destinations is invalid.
    ESME_RINVNUMDESTS = 0x0033;
    /// The distribution list name is invalid.
    ESME_RINVDLNAME = 0x0034;
    /// The destination flag is invalid.
    ESME_RINVDESTFLAG = 0x0040;
    /// Submit with replace is invalid here.
    ESME_RINVSUBREP = 0x0042;
    /// The esm_class is invalid.
    ESME_RINVESMCLASS = 0x0043;
    /// The distribution list cannot be submitted to.
    ESME_RCNTSUBDL = 0x0044;
    /// submit_sm or submit_multi failed.
    ESME_RSUBMITFAIL = 0x0045;
    /// The source TON is invalid.
    ESME_RINVSRCTON = 0x0048;
    /// The source NPI is invalid.
    ESME_RINVSRCNPI = 0x0049;
    /// The destination TON is invalid.
    ESME_RINVDSTTON = 0x0050;
    /// The destination NPI is invalid.
    ESME_RINVDSTNPI = 0x0051;
    /// The system type is invalid.
    ESME_RINVSYSTYP = 0x0053;
    /// The replace_if_present flag is invalid.
    ESME_RINVREPFLAG = 0x0054;
    /// The number of messages is invalid.
    ESME_RINVNUMMSGS = 0x0055;
    /// The ESME sends faster than it is allowed to.
    ESME_RTHROTTLED = 0x0058;
    /// The scheduled delivery time is invalid.
    ESME_RINVSCHED = 0x0061;
    /// The validity period is invalid.
    ESME_RINVEXPIRY = 0x0062;
    /// The predefined message id is invalid.
    ESME_RINVDFTMSGID = 0x0063;
    /// ESME receiver: temporary application error, deliver again.
    ESME_RX_T_APPN = 0x0064;
    /// ESME receiver: permanent application error.
    ESME_RX_P_APPN = 0x0065;
    /// ESME receiver: message rejected.
    ESME_RX_R_APPN = 0x0066;
    /// query_sm failed.
    ESME_RQUERYFAIL = 0x0067;
    /// The optional part of the body cannot be read.
    ESME_RINVOPTPARSTREAM = 0x00C0;
    /// An optional parameter is not allowed.
    ESME_ROPTPARNOTALLWD = 0x00C1;
    /// The length of a parameter is invalid.
    ESME_RINVPARLEN = 0x00C2;
    /// An expected optional parameter is missing.
    ESME_RMISSINGOPTPARAM = 0x00C3;
    /// The value of an optional parameter is invalid.
    ESME_RINVOPTPARAMVAL = 0x00C4;
    /// The delivery failed (data_sm).
    ESME_RDELIVERYFAILURE = 0x00FE;
    /// Unknown error.
    ESME_RUNKNOWNERR = 0x00FF;
    /// The ESME may not use the service type (SMPP 5.0, like all that follow).
    ESME_RSERTYPUNAUTH = 0x0100;
    /// The ESME may not do this.
    ESME_RPROHIBITED = 0x0101;
    /// The service type is not available.
    ESME_RSERTYPUNAVAIL = 0x0102;
    /// The service type is denied.
    ESME_RSERTYPDENIED = 0x0103;
    /// The data coding scheme is invalid.
    ESME_RINVDCS = 0x0104;
    /// The subunit of the source address is invalid.
    ESME_RINVSRCADDRSUBUNIT = 0x0105;
    /// The subunit of the destination address is invalid.
    ESME_RINVDSTADDRSUBUNIT = 0x0106;
    /// broadcast_frequency_interval is invalid.
    ESME_RINVBCASTFREQINT = 0x0107;
    /// The alias name of the broadcast area is invalid.
    ESME_RINVBCASTALIAS_NAME = 0x0108;
    /// The format of the broadcast area is invalid.
    ESME_RINVBCASTAREAFMT = 0x0109;
    /// The number of broadcast areas is invalid.
    ESME_RINVNUMBCAST_AREAS = 0x010A;
    /// broadcast_content_type is invalid.
    ESME_RINVBCASTCNTTYPE = 0x010B;
    /// broadcast_message_class is invalid.
    ESME_RINVBCASTMSGCLASS = 0x010C;
    /// broadcast_sm failed.
    ESME_RBCASTFAIL = 0x010D;
    /// query_broadcast_sm failed.
    ESME_RBCASTQUERYFAIL = 0x010E;
    /// cancel_broadcast_sm failed.
    ESME_RBCASTCANCELFAIL = 0x010F;
    /// broadcast_rep_num is invalid.
    ESME_RINVBCAST_REP = 0x0110;
    /// broadcast_service_group is invalid.
    ESME_RINVBCASTSRVGRP = 0x0111;
    /// broadcast_channel_indicator is invalid.
    ESME_RINVBCASTCHANIND = 0x0112;
}

impl CommandStatus {
    /// Whether this is ESME_ROK.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == Self::ESME_ROK.0
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#010X}", self.0),
        }
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_names_and_keeps_foreign_values() {
        assert_eq!(CommandStatus(0x58).to_string(), "ESME_RTHROTTLED");
        assert_eq!(CommandStatus(0x104).to_string(), "ESME_RINVDCS");
        assert_eq!(CommandStatus(0x0400).to_string(), "status 0x00000400");
        assert!(CommandStatus(0).is_ok() && !CommandStatus(8).is_ok());
    }
}
