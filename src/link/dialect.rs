//! What an SMSC wants to see in the PDUs we send, and how its own are read: checked once, then used for every message.

use bytes::Bytes;
use secrecy::ExposeSecret;

use super::numbers::NumberConfig;
use super::{LinkConfig, LinkConfigError, ReceiptId, ValidityForm};
use crate::identity::Msisdn;
use crate::smpp::{
    Address, Bind, BindMode, COctetString, COctetStringError, CancelSm, DataCoding, MessageId, Password,
    RegisteredDelivery, ShortMessage, Sm, SystemId, Tlvs, Version, tag, time,
};

/// The most octets of TP-UD in one short message (TS 23.040 §9.2.3.24).
const TP_UD_OCTETS: usize = 140;

/// The fields of our PDUs that the link's configuration decides.
#[derive(Debug, Clone)]
pub struct Dialect {
    system_id: SystemId,
    password: Password,
    system_type: COctetString<32>,
    interface_version: Version,
    address_range: AddressRange,
    source: Address,
    destination_ton: u8,
    destination_npi: u8,
    service_type: COctetString<5>,
    protocol_id: u8,
    data_coding: DataCoding,
    priority_flag: u8,
    message_payload: bool,
    receipts: RegisteredDelivery,
    receipt_id: ReceiptId,
    validity: ValidityForm,
    utc_offset_quarters: i8,
    numbers: NumberConfig,
}

/// The addresses that a bind serves.
#[derive(Debug, Clone, Copy)]
struct AddressRange {
    ton: u8,
    npi: u8,
    range: COctetString<64>,
}

/// A message to a card that cannot be put into a submit_sm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtaSmError {
    /// The destination is no address.
    #[error("destination: 1 to 20 digits expected")]
    Destination,
    /// More user data than one short message takes.
    #[error("TP-UD: 1 to 140 octets expected, found {found}")]
    TpUd {
        /// Octets given.
        found: usize,
    },
}

impl TryFrom<&LinkConfig> for Dialect {
    type Error = LinkConfigError;

    fn try_from(config: &LinkConfig) -> Result<Self, LinkConfigError> {
        let key = |key| move |error: COctetStringError| config.error(key, error);
        Ok(Self {
            system_id: config.system_id.parse().map_err(key("system_id"))?,
            password: Password::new(config.password.expose_secret()).map_err(key("password"))?,
            system_type: config.system_type.parse().map_err(key("system_type"))?,
            interface_version: config.interface_version.version(),
            address_range: AddressRange {
                ton: config.address_range.ton,
                npi: config.address_range.npi,
                range: config.address_range.range.parse().map_err(key("address_range.range"))?,
            },
            source: Address {
                ton: config.source.ton,
                npi: config.source.npi,
                digits: config.source.digits.parse().map_err(key("source.digits"))?,
            },
            destination_ton: config.destination_ton,
            destination_npi: config.destination_npi,
            service_type: config.service_type.parse().map_err(key("service_type"))?,
            protocol_id: config.protocol_id,
            data_coding: DataCoding(config.data_coding),
            priority_flag: config.priority_flag,
            message_payload: config.message_payload,
            receipts: config.registered_delivery.registered_delivery(),
            receipt_id: config.receipt_id,
            validity: config.validity,
            utc_offset_quarters: i8::try_from(config.utc_offset_minutes / 15).unwrap_or_default(),
            numbers: config.numbers.clone(),
        })
    }
}

impl Dialect {
    /// The submit_sm that carries one part of a packet to a card.
    ///
    /// `destination` is an MSISDN as digits without `+`, `tp_ud` one whole TP-UD with its User Data Header (1
    /// to 140 octets), `validity_s` how many seconds the SMSC is asked to try (cut to 31 days), counted from `now_ms`
    /// (unix ms). [`Self::registered_delivery`] says which receipts this SMSC is to be asked for.
    ///
    /// # Errors
    /// `destination` is not 1 to 20 digits, or `tp_ud` is empty or too long.
    pub fn ota_sm(
        &self,
        now_ms: u64,
        destination: &str,
        tp_ud: Bytes,
        validity_s: u64,
        registered_delivery: RegisteredDelivery,
    ) -> Result<Sm, OtaSmError> {
        let destination = self.destination(destination)?;
        let too_long = OtaSmError::TpUd { found: tp_ud.len() };
        if tp_ud.is_empty() || tp_ud.len() > TP_UD_OCTETS {
            return Err(too_long);
        }
        let (short_message, tlvs) = if self.message_payload {
            let payload = Tlvs::default().with(tag::MESSAGE_PAYLOAD, &tp_ud).map_err(|_| too_long)?;
            (ShortMessage::default(), payload)
        } else {
            (ShortMessage::try_from(tp_ud).map_err(|_| too_long)?, Tlvs::default())
        };
        Ok(Sm {
            service_type: self.service_type,
            protocol_id: self.protocol_id,
            priority_flag: self.priority_flag,
            data_coding: self.data_coding,
            validity_period: self.validity_period(now_ms, validity_s),
            registered_delivery,
            tlvs,
            ..Sm::submit_ota(self.source, destination, short_message)
        })
    }

    /// The cancel_sm of a message to the card at `destination` (as in [`Self::ota_sm`]) that the SMSC took as
    /// `message_id` (SMPP 3.4 §4.9).
    ///
    /// # Errors
    /// `destination` is not 1 to 20 digits.
    pub fn cancel_sm(&self, destination: &str, message_id: MessageId) -> Result<CancelSm, OtaSmError> {
        Ok(CancelSm {
            service_type: self.service_type,
            message_id,
            source: self.source,
            destination: self.destination(destination)?,
            tlvs: Tlvs::default(),
        })
    }

    /// Which receipts a message asks for, where one is `wanted` at all.
    #[must_use]
    pub const fn registered_delivery(&self, wanted: bool) -> RegisteredDelivery {
        if wanted { self.receipts } else { RegisteredDelivery::NONE }
    }

    /// The number in international form that an address of this SMSC is, where it is one.
    #[must_use]
    pub fn number<const N: usize>(&self, address: &Address<N>) -> Option<Msisdn> {
        self.numbers.e164(address)
    }

    /// The message id of a receipt in the form of submit_sm_resp. Empty where it says nothing: then the receipt may be
    /// about any message to its number.
    #[must_use]
    pub fn receipt_id(&self, id: MessageId) -> MessageId {
        self.receipt_id.in_response(id)
    }

    /// An MSISDN, digits without `+`, as the SMSC wants it.
    fn destination(&self, digits: &str) -> Result<Address, OtaSmError> {
        let all_digits = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
        let address = self.numbers.destination(digits, self.destination_ton, self.destination_npi);
        address.filter(|_| all_digits).ok_or(OtaSmError::Destination)
    }

    fn validity_period(&self, now_ms: u64, validity_s: u64) -> COctetString<16> {
        match self.validity {
            ValidityForm::Relative => time::relative(validity_s),
            ValidityForm::Absolute => {
                let validity_s = validity_s.clamp(1, time::RELATIVE_MAX_S);
                time::absolute(now_ms.saturating_add(validity_s * 1000), self.utc_offset_quarters)
            }
            ValidityForm::None => COctetString::EMPTY,
        }
    }

    /// The bind request of this link.
    pub(super) fn bind(&self, mode: BindMode) -> Bind {
        Bind {
            system_type: self.system_type,
            interface_version: self.interface_version,
            addr_ton: self.address_range.ton,
            addr_npi: self.address_range.npi,
            address_range: self.address_range.range,
            ..Bind::new(mode, self.system_id, self.password)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LinkConfig {
        LinkConfig {
            source: crate::link::SourceConfig { digits: "1234".into(), ton: 3, npi: 0 },
            service_type: "CMT".into(),
            data_coding: 0x16,
            destination_ton: 2,
            ..LinkConfig::default()
        }
    }

    /// 2026-11-23T01:22:00Z.
    const NOW_MS: u64 = 1_795_396_920_000;

    const TP_UD: Bytes = Bytes::from_static(&[2, 0x70, 0, 1]);

    fn sm(config: &LinkConfig) -> Sm {
        let dialect = Dialect::try_from(config).unwrap();
        dialect.ota_sm(NOW_MS, "8613912345678", TP_UD, 300, dialect.registered_delivery(true)).unwrap()
    }

    #[test]
    fn a_message_to_a_card_speaks_the_link_s_dialect() {
        let sm = sm(&LinkConfig { priority_flag: 2, ..config() });
        assert_eq!(sm.source, Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() });
        assert_eq!(sm.destination, Address { ton: 2, npi: 1, digits: "8613912345678".parse().unwrap() });
        assert_eq!((sm.esm_class.0, sm.protocol_id, sm.data_coding.0), (0x40, 0x7F, 0x16));
        assert_eq!((sm.service_type.as_bytes(), sm.priority_flag), (&b"CMT"[..], 2));
        assert_eq!(sm.validity_period.as_bytes(), b"000000000500000R");
        assert_eq!(sm.registered_delivery, RegisteredDelivery::FINAL);
        assert_eq!((sm.short_message.as_bytes(), sm.tlvs.is_empty()), (&TP_UD, true));
    }

    #[test]
    fn user_data_may_go_as_message_payload() {
        let sm = sm(&LinkConfig { message_payload: true, ..config() });
        assert!(sm.short_message.as_bytes().is_empty());
        assert_eq!(sm.tlvs.find_bytes(tag::MESSAGE_PAYLOAD), Some(TP_UD));
        assert!(sm.esm_class.udhi());
    }

    #[test]
    fn validity_takes_the_form_the_smsc_reads() {
        let validity = |validity, utc_offset_minutes| {
            sm(&LinkConfig { validity, utc_offset_minutes, ..config() }).validity_period.to_string()
        };
        assert_eq!(validity(ValidityForm::Absolute, 480), "261123092700032+");
        assert_eq!(validity(ValidityForm::Absolute, -210), "261122215700014-");
        assert_eq!(validity(ValidityForm::None, 480), "");
    }

    #[test]
    fn numbers_and_receipts_follow_the_link() {
        let numbers = NumberConfig {
            country_code: "86".into(),
            destination: crate::link::NumberForm::National,
            ..NumberConfig::default()
        };
        let config = LinkConfig {
            numbers,
            registered_delivery: crate::link::Receipts::Failure,
            receipt_id: ReceiptId::HexToDecimal,
            ..config()
        };
        let sm = sm(&config);
        assert_eq!(sm.destination, Address { ton: 2, npi: 1, digits: "13912345678".parse().unwrap() });
        assert_eq!(sm.registered_delivery, RegisteredDelivery::FAILURE);
        let dialect = Dialect::try_from(&config).unwrap();
        assert_eq!(dialect.registered_delivery(false), RegisteredDelivery::NONE);
        assert_eq!(dialect.number(&sm.destination).unwrap().as_str(), "8613912345678");
        assert_eq!(dialect.receipt_id("FF".parse().unwrap()).as_bytes(), b"255");
    }

    #[test]
    fn a_bind_says_what_the_smsc_asks_for() {
        let config = LinkConfig {
            system_id: "a-system-id-of-more-than-fifteen".into(),
            password: "more than eight octets".into(),
            system_type: "OTA".into(),
            interface_version: crate::link::InterfaceVersion::V5_0,
            address_range: crate::link::AddressRangeConfig { range: "^1234".into(), ton: 3, npi: 9 },
            ..config()
        };
        let bind = Dialect::try_from(&config).unwrap().bind(BindMode::Receiver);
        assert_eq!(bind.system_id.as_bytes().len(), 32);
        assert_eq!(bind.password.as_bytes(), b"more than eight octets");
        assert_eq!((bind.system_type.as_bytes(), bind.interface_version), (&b"OTA"[..], Version::V5_0));
        assert_eq!((bind.address_range.as_bytes(), bind.addr_ton, bind.addr_npi), (&b"^1234"[..], 3, 9));
    }

    #[test]
    fn refuses_what_no_short_message_takes() {
        for message_payload in [false, true] {
            let dialect = Dialect::try_from(&LinkConfig { message_payload, ..config() }).unwrap();
            let sm = |destination, octets| {
                dialect.ota_sm(0, destination, Bytes::from(vec![0; octets]), 60, RegisteredDelivery::NONE)
            };
            assert!(sm("49170", 140).is_ok());
            assert_eq!(sm("49170", 141), Err(OtaSmError::TpUd { found: 141 }));
            assert_eq!(sm("49170", 0), Err(OtaSmError::TpUd { found: 0 }));
            for destination in ["", "+49170", "123456789012345678901"] {
                assert_eq!(sm(destination, 1), Err(OtaSmError::Destination));
            }
        }
    }

    #[test]
    fn names_the_key_that_does_not_fit() {
        let config = LinkConfig { name: "n".into(), service_type: "TOOLONG".into(), ..config() };
        let error = Dialect::try_from(&config).unwrap_err();
        assert_eq!(error.to_string(), r#"link "n": service_type: at most 5 octets expected, found 7"#);
    }
}
