//! Reading the fields of a body, and what can be wrong with them.

use super::{COctetString, CommandStatus, tlv};

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
    NumberOfDests,
    DestFlag,
    DlName,
    NoUnsuccess,
    ErrorStatusCode,
    FinalDate,
    MessageState,
    ErrorCode,
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
            Self::NumberOfDests => "number_of_dests",
            Self::DestFlag => "dest_flag",
            Self::DlName => "dl_name",
            Self::NoUnsuccess => "no_unsuccess",
            Self::ErrorStatusCode => "error_status_code",
            Self::FinalDate => "final_date",
            Self::MessageState => "message_state",
            Self::ErrorCode => "error_code",
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
            Self::DestFlag => CommandStatus::ESME_RINVDESTFLAG,
            Self::DlName => CommandStatus::ESME_RINVDLNAME,
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
    /// A dest_flag that is neither 1 (SME address) nor 2 (distribution list).
    #[error("dest_flag: 1 or 2 expected, found {found}")]
    DestFlag {
        /// What the peer sent.
        found: u8,
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
            Self::DestFlag { .. } => CommandStatus::ESME_RINVDESTFLAG,
            Self::Tlv { .. } => CommandStatus::ESME_RINVOPTPARSTREAM,
        }
    }
}

/// The rest of a body, taken from the front field by field.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn octet(&mut self, field: Field) -> Result<u8, DecodeError> {
        self.octets([field]).map(|[octet]| octet)
    }

    /// Fields of one octet each.
    #[inline]
    pub(super) fn octets<const N: usize>(&mut self, fields: [Field; N]) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((octets, rest)) => {
                self.rest = rest;
                Ok(*octets)
            }
            None => Err(self.missing(fields)),
        }
    }

    /// A field of four octets.
    pub(super) fn integer(&mut self, field: Field) -> Result<u32, DecodeError> {
        self.octets([field; 4]).map(u32::from_be_bytes)
    }

    /// The first of `fields`, one octet each, that is not there.
    #[cold]
    fn missing<const N: usize>(&self, fields: [Field; N]) -> DecodeError {
        // Fewer octets are left than there are fields.
        DecodeError::Missing { field: fields.get(self.rest.len()).copied().unwrap_or(Field::ShortMessage) }
    }

    /// A C-Octet String of at most `max` octets, its NUL taken but neither counted nor returned.
    #[inline]
    pub(super) fn text(&mut self, field: Field, max: usize) -> Result<&'a [u8], DecodeError> {
        // Most are empty.
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(&[]);
        }
        let found = find_nul(self.rest);
        if let Some(found) = found
            && found <= max
            && let Some((text, [_, rest @ ..])) = self.rest.split_at_checked(found)
        {
            self.rest = rest;
            return Ok(text);
        }
        Err(match found {
            Some(found) => DecodeError::TooLong { field, max, found },
            None if self.rest.is_empty() => DecodeError::Missing { field },
            None => DecodeError::Unterminated { field },
        })
    }

    #[inline]
    pub(super) fn c_octet_string<const N: usize>(
        &mut self,
        field: Field,
    ) -> Result<COctetString<N>, DecodeError> {
        self.text(field, N).map(COctetString::of_checked)
    }

    /// As many octets of user data as sm_length says.
    #[inline]
    pub(super) fn short_message(&mut self, length: u8) -> Result<&'a [u8], DecodeError> {
        let left = self.rest.len();
        let (user_data, rest) = self
            .rest
            .split_at_checked(usize::from(length))
            .ok_or(DecodeError::ShortMessage { length, left })?;
        self.rest = rest;
        Ok(user_data)
    }

    /// Everything not read yet: optional parameters.
    #[inline]
    pub(super) fn tlvs(self) -> Result<&'a [u8], DecodeError> {
        tlv::check(self.rest)?;
        Ok(self.rest)
    }
}

/// Where the first NUL stands. Eight octets at a time: most fields end within the first.
#[inline]
fn find_nul(octets: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (mut rest, mut before) = (octets, 0);
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The lowest of these bits is exact; those above may be set by its borrow.
        let nul = word.wrapping_sub(LOW) & !word & HIGH;
        if nul != 0 {
            return Some(before + nul.trailing_zeros() as usize / 8);
        }
        (rest, before) = (after, before + 8);
    }
    rest.iter().position(|octet| *octet == 0).map(|at| before + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_nul_is_found_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                let mut octets = vec![1; length];
                octets[at] = 0;
                assert_eq!(find_nul(&octets), Some(at), "{at} of {length}");
                octets[at..].fill(0);
                assert_eq!(find_nul(&octets), Some(at), "{at} of {length}, more behind");
                octets.fill(0x80);
                assert_eq!(find_nul(&octets), None);
            }
        }
        assert_eq!(find_nul(&[]), None);
        assert_eq!(find_nul(&[1, 1, 0, 1, 1, 1, 1, 1]), Some(2));
    }
}
