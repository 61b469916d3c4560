//! Reading the fields of a body, and what can be wrong with them.

use bytes::{Buf, Bytes};

use super::{COctetString, CommandStatus};

/// A mandatory field of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Field {
    SystemId,
    Password,
    SystemType,
    InterfaceVersion,
    AddrTon,
    AddrNpi,
    AddressRange,
    ServiceType,
    SourceAddrTon,
    SourceAddrNpi,
    SourceAddr,
    DestAddrTon,
    DestAddrNpi,
    DestinationAddr,
    EsmeAddrTon,
    EsmeAddrNpi,
    EsmeAddr,
    EsmClass,
    ProtocolId,
    PriorityFlag,
    ScheduleDeliveryTime,
    ValidityPeriod,
    RegisteredDelivery,
    ReplaceIfPresentFlag,
    DataCoding,
    SmDefaultMsgId,
    SmLength,
    ShortMessage,
    MessageId,
}

impl Field {
    /// The name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemId => "system_id",
            Self::Password => "password",
            Self::SystemType => "system_type",
            Self::InterfaceVersion => "interface_version",
            Self::AddrTon => "addr_ton",
            Self::AddrNpi => "addr_npi",
            Self::AddressRange => "address_range",
            Self::ServiceType => "service_type",
            Self::SourceAddrTon => "source_addr_ton",
            Self::SourceAddrNpi => "source_addr_npi",
            Self::SourceAddr => "source_addr",
            Self::DestAddrTon => "dest_addr_ton",
            Self::DestAddrNpi => "dest_addr_npi",
            Self::DestinationAddr => "destination_addr",
            Self::EsmeAddrTon => "esme_addr_ton",
            Self::EsmeAddrNpi => "esme_addr_npi",
            Self::EsmeAddr => "esme_addr",
            Self::EsmClass => "esm_class",
            Self::ProtocolId => "protocol_id",
            Self::PriorityFlag => "priority_flag",
            Self::ScheduleDeliveryTime => "schedule_delivery_time",
            Self::ValidityPeriod => "validity_period",
            Self::RegisteredDelivery => "registered_delivery",
            Self::ReplaceIfPresentFlag => "replace_if_present_flag",
            Self::DataCoding => "data_coding",
            Self::SmDefaultMsgId => "sm_default_msg_id",
            Self::SmLength => "sm_length",
            Self::ShortMessage => "short_message",
            Self::MessageId => "message_id",
        }
    }

    /// The status that tells the peer this field is at fault.
    const fn status(self) -> CommandStatus {
        match self {
            Self::SystemId => CommandStatus::ESME_RINVSYSID,
            Self::Password => CommandStatus::ESME_RINVPASWD,
            Self::SystemType => CommandStatus::ESME_RINVSYSTYP,
            Self::ServiceType => CommandStatus::ESME_RINVSERTYP,
            Self::SourceAddr => CommandStatus::ESME_RINVSRCADR,
            Self::DestinationAddr => CommandStatus::ESME_RINVDSTADR,
            Self::ScheduleDeliveryTime => CommandStatus::ESME_RINVSCHED,
            Self::ValidityPeriod => CommandStatus::ESME_RINVEXPIRY,
            Self::MessageId => CommandStatus::ESME_RINVMSGID,
            Self::ShortMessage => CommandStatus::ESME_RINVMSGLEN,
            _ => CommandStatus::ESME_RINVCMDLEN,
        }
    }
}

/// Why the body of a known PDU cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body ends before the field.
    #[error("{}: the body ends before it", .field.name())]
    Missing {
        /// The first field that is not there.
        field: Field,
    },
    /// A C-Octet String runs to the end of the body without a NUL.
    #[error("{}: no NUL up to the end of the body", .field.name())]
    Unterminated {
        /// The field.
        field: Field,
    },
    /// A C-Octet String is longer than the field takes.
    #[error("{}: at most {max} octets expected, found {found}", .field.name())]
    TooLong {
        /// The field.
        field: Field,
        /// What the field takes, NUL not counted.
        max: usize,
        /// What the peer sent, NUL not counted.
        found: usize,
    },
    /// sm_length runs past the end of the body.
    #[error("short_message: sm_length is {length}, the body has {left} octets left")]
    ShortMessage {
        /// sm_length.
        length: u8,
        /// Octets left after it.
        left: usize,
    },
    /// The length of a TLV runs past the end of the body.
    #[error("TLV {tag:#06X}: its length is {length}, the body has {left} octets left")]
    Tlv {
        /// The tag.
        tag: u16,
        /// Its length field.
        length: u16,
        /// Octets left after it.
        left: usize,
    },
}

impl DecodeError {
    /// The permanent status with which such a request is answered.
    #[must_use]
    pub const fn status(&self) -> CommandStatus {
        match self {
            Self::Missing { .. } => CommandStatus::ESME_RINVCMDLEN,
            Self::Unterminated { field } | Self::TooLong { field, .. } => field.status(),
            Self::ShortMessage { .. } => CommandStatus::ESME_RINVMSGLEN,
            Self::Tlv { .. } => CommandStatus::ESME_RINVOPTPARSTREAM,
        }
    }
}

/// The rest of a body, taken from the front field by field.
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) const fn new(body: Bytes) -> Self {
        Self { rest: body }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn octet(&mut self, field: Field) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| DecodeError::Missing { field })
    }

    pub(super) fn c_octet_string<const N: usize>(
        &mut self,
        field: Field,
    ) -> Result<COctetString<N>, DecodeError> {
        if self.rest.is_empty() {
            return Err(DecodeError::Missing { field });
        }
        let found =
            self.rest.iter().position(|octet| *octet == 0).ok_or(DecodeError::Unterminated { field })?;
        let too_long = DecodeError::TooLong { field, max: N, found };
        let text = self.rest.get(..found).ok_or(too_long)?;
        let text = COctetString::new(text).map_err(|_| too_long)?;
        self.rest.advance(found + 1);
        Ok(text)
    }

    /// User data: shares the frame's memory, unless there are none.
    pub(super) fn short_message(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.octet(Field::SmLength)?;
        let left = self.rest.len();
        match usize::from(length) {
            0 => Ok(Bytes::new()),
            wanted if wanted <= left => Ok(self.rest.split_to(wanted)),
            _ => Err(DecodeError::ShortMessage { length, left }),
        }
    }

    /// Everything not read yet; holds the frame's memory only if there is something.
    pub(super) fn into_rest(self) -> Bytes {
        if self.rest.is_empty() { Bytes::new() } else { self.rest }
    }
}
