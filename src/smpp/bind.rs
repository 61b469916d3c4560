//! bind_transmitter, bind_receiver, bind_transceiver and their responses (§4.1).

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::reader::Reader;
use super::{COctetString, COctetStringError, CommandId, DecodeError, Field, Tlvs};

/// system_id: 15 octets in the specification; longer ones are in use.
pub type SystemId = COctetString<32>;

/// What a bind lets an ESME do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindMode {
    /// Receive deliver_sm.
    Receiver,
    /// Send submit_sm.
    Transmitter,
    /// Both.
    Transceiver,
}

impl BindMode {
    /// Whether the ESME may send submit_sm.
    #[must_use]
    pub const fn submits(self) -> bool {
        !matches!(self, Self::Receiver)
    }

    /// Whether the SMSC may send deliver_sm.
    #[must_use]
    pub const fn delivers(self) -> bool {
        !matches!(self, Self::Transmitter)
    }

    /// The id of the bind request.
    #[must_use]
    pub const fn command_id(self) -> CommandId {
        match self {
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }
}

/// The password of a bind: 8 octets in the specification, longer ones are in use. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Password(COctetString<64>);

impl Password {
    /// The password as text.
    ///
    /// # Errors
    /// More than 64 octets, or a NUL.
    pub fn new(text: &str) -> Result<Self, COctetStringError> {
        text.parse().map(Self)
    }

    /// The octets, for comparison.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The body of a bind request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Which of the three requests.
    pub mode: BindMode,
    /// Who binds.
    pub system_id: SystemId,
    /// The secret shared with the SMSC.
    pub password: Password,
    /// Kind of system: 12 octets in the specification.
    pub system_type: COctetString<32>,
    /// The SMPP version: 34 for 3.4.
    pub interface_version: u8,
    /// TON of the address range.
    pub addr_ton: u8,
    /// NPI of the address range.
    pub addr_npi: u8,
    /// The addresses served: 40 octets in the specification.
    pub address_range: COctetString<64>,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl Bind {
    /// interface_version of SMPP 3.4.
    pub const VERSION_3_4: u8 = 0x34;

    /// A 3.4 bind without address range.
    #[must_use]
    pub fn new(mode: BindMode, system_id: SystemId, password: Password) -> Self {
        Self {
            mode,
            system_id,
            password,
            system_type: COctetString::EMPTY,
            interface_version: Self::VERSION_3_4,
            addr_ton: 0,
            addr_npi: 0,
            address_range: COctetString::EMPTY,
            tlvs: Tlvs::default(),
        }
    }

    pub(super) fn decode(mode: BindMode, mut reader: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            mode,
            system_id: reader.c_octet_string(Field::SystemId)?,
            password: Password(reader.c_octet_string(Field::Password)?),
            system_type: reader.c_octet_string(Field::SystemType)?,
            interface_version: reader.octet(Field::InterfaceVersion)?,
            addr_ton: reader.octet(Field::AddrTon)?,
            addr_npi: reader.octet(Field::AddrNpi)?,
            address_range: reader.c_octet_string(Field::AddressRange)?,
            tlvs: Tlvs::decode(reader.into_rest())?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_c_octet_string(out, &self.system_id);
        put_c_octet_string(out, &self.password.0);
        put_c_octet_string(out, &self.system_type);
        out.put_u8(self.interface_version);
        out.put_u8(self.addr_ton);
        out.put_u8(self.addr_npi);
        put_c_octet_string(out, &self.address_range);
        out.put_slice(self.tlvs.as_bytes());
    }
}

/// The body of a bind response. A refused bind has none: then the fields are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindResp {
    /// Which of the three responses.
    pub mode: BindMode,
    /// Who answers.
    pub system_id: SystemId,
    /// Optional parameters, sc_interface_version among them.
    pub tlvs: Tlvs,
}

impl BindResp {
    pub(super) fn decode(mode: BindMode, mut reader: Reader) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self { mode, system_id: SystemId::EMPTY, tlvs: Tlvs::default() });
        }
        Ok(Self {
            mode,
            system_id: reader.c_octet_string(Field::SystemId)?,
            tlvs: Tlvs::decode(reader.into_rest())?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_c_octet_string(out, &self.system_id);
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.system_id.is_empty() && self.tlvs.is_empty()
    }
}

pub(super) fn put_c_octet_string<const N: usize>(out: &mut BytesMut, text: &COctetString<N>) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}
