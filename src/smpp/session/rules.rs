//! Which side sends which request, and what bind it needs (§2.3; SMPP 5.0 §2.4).

use super::Role;
use crate::smpp::{BindMode, CommandId};

impl Role {
    /// The other side.
    pub(super) const fn peer(self) -> Self {
        match self {
            Self::Esme => Self::Smsc,
            Self::Smsc => Self::Esme,
        }
    }

    /// Whether this side ever sends such a request. Those of the session itself (binds, unbind, enquire_link) are
    /// not asked for here.
    pub(super) const fn sends(self, request: CommandId) -> bool {
        match self {
            Self::Esme => matches!(
                request,
                CommandId::SUBMIT_SM
                    | CommandId::SUBMIT_MULTI
                    | CommandId::DATA_SM
                    | CommandId::QUERY_SM
                    | CommandId::REPLACE_SM
                    | CommandId::CANCEL_SM
                    | CommandId::BROADCAST_SM
                    | CommandId::QUERY_BROADCAST_SM
                    | CommandId::CANCEL_BROADCAST_SM
            ),
            Self::Smsc => matches!(
                request,
                CommandId::DELIVER_SM
                    | CommandId::DATA_SM
                    | CommandId::ALERT_NOTIFICATION
                    | CommandId::OUTBIND
            ),
        }
    }

    /// Whether a bind of this kind lets this side send the requests of a bound session.
    pub(super) const fn may_send_over(self, mode: BindMode) -> bool {
        match self {
            Self::Esme => mode.submits(),
            Self::Smsc => mode.delivers(),
        }
    }
}
