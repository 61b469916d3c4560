//! bind_transmitter, bind_receiver, bind_transceiver, their responses, and outbind (SMPP 3.4 §4.1, SMPP 5.0 §4.1.1).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use super::{COctetString, COctetStringError, CommandId, DecodeError, Field, Tlvs, Version};

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
    /// The SMPP version the ESME speaks.
    pub interface_version: Version,
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
    /// A 3.4 bind without address range.
    #[must_use]
    pub fn new(mode: BindMode, system_id: SystemId, password: Password) -> Self {
        Self {
            mode,
            system_id,
            password,
            system_type: COctetString::EMPTY,
            interface_version: Version::V3_4,
            addr_ton: 0,
            addr_npi: 0,
            address_range: COctetString::EMPTY,
            tlvs: Tlvs::default(),
        }
    }

    pub(super) fn decode(mode: BindMode, octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            mode,
            system_id: reader.c_octet_string(Field::SystemId)?,
            password: Password(reader.c_octet_string(Field::Password)?),
            system_type: reader.c_octet_string(Field::SystemType)?,
            interface_version: Version(reader.octet(Field::InterfaceVersion)?),
            addr_ton: reader.octet(Field::AddrTon)?,
            addr_npi: reader.octet(Field::AddrNpi)?,
            address_range: reader.c_octet_string(Field::AddressRange)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.system_id.put(out);
        self.password.0.put(out);
        self.system_type.put(out);
        out.put_slice(&[self.interface_version.0, self.addr_ton, self.addr_npi]);
        self.address_range.put(out);
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
    pub(super) fn decode(mode: BindMode, octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.is_empty() {
            return Ok(Self { mode, system_id: SystemId::EMPTY, tlvs: Tlvs::default() });
        }
        Ok(Self {
            mode,
            system_id: reader.c_octet_string(Field::SystemId)?,
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.system_id.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.system_id.is_empty() && self.tlvs.is_empty()
    }
}

/// The body of outbind: an SMSC asks an ESME it has connected to for a bind_receiver (SMPP 3.4 §4.1.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbind {
    /// Who asks.
    pub system_id: SystemId,
    /// The secret shared with the ESME.
    pub password: Password,
    /// Optional parameters: none in the specification.
    pub tlvs: Tlvs,
}

impl Outbind {
    pub(super) fn decode(octets: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            system_id: reader.c_octet_string(Field::SystemId)?,
            password: Password(reader.c_octet_string(Field::Password)?),
            tlvs: Tlvs::read(reader, octets)?,
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        self.system_id.put(out);
        self.password.0.put(out);
        out.put_slice(self.tlvs.as_bytes());
    }
}
