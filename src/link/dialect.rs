//! What an SMSC wants to see in the PDUs we send: checked once, then used for every message.

use bytes::Bytes;
use secrecy::ExposeSecret;

use super::{LinkConfig, LinkConfigError};
use crate::smpp::{
    Address, Bind, BindMode, COctetString, COctetStringError, DataCoding, Password, RegisteredDelivery,
    ShortMessage, Sm, SystemId, time,
};

/// The most octets of TP-UD in one short message (TS 23.040 §9.2.3.24).
const TP_UD_OCTETS: usize = 140;

/// The fields of our PDUs that the link's configuration decides.
#[derive(Debug, Clone)]
pub struct Dialect {
    system_id: SystemId,
    password: Password,
    system_type: COctetString<32>,
    source: Address,
    destination_ton: u8,
    destination_npi: u8,
    service_type: COctetString<5>,
    protocol_id: u8,
    data_coding: DataCoding,
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
        })
    }
}

impl Dialect {
    /// The submit_sm that carries one part of a packet to a card.
    ///
    /// `destination` is an MSISDN as digits without `+`, `tp_ud` one whole TP-UD with its User Data Header (1
    /// to 140 octets), `validity_s` how many seconds the SMSC is asked to try (cut to 31 days).
    ///
    /// # Errors
    /// `destination` is not 1 to 20 digits, or `tp_ud` is empty or too long.
    pub fn ota_sm(
        &self,
        destination: &str,
        tp_ud: Bytes,
        validity_s: u64,
        registered_delivery: RegisteredDelivery,
    ) -> Result<Sm, OtaSmError> {
        let digits: COctetString<20> = destination.parse().map_err(|_| OtaSmError::Destination)?;
        if digits.is_empty() || !digits.as_bytes().iter().all(u8::is_ascii_digit) {
            return Err(OtaSmError::Destination);
        }
        let too_long = OtaSmError::TpUd { found: tp_ud.len() };
        if tp_ud.is_empty() || tp_ud.len() > TP_UD_OCTETS {
            return Err(too_long);
        }
        let destination = Address { ton: self.destination_ton, npi: self.destination_npi, digits };
        let tp_ud = ShortMessage::try_from(tp_ud).map_err(|_| too_long)?;
        Ok(Sm {
            service_type: self.service_type,
            protocol_id: self.protocol_id,
            data_coding: self.data_coding,
            validity_period: time::relative(validity_s),
            registered_delivery,
            ..Sm::submit_ota(self.source, destination, tp_ud)
        })
    }

    /// The bind request of this link.
    pub(super) fn bind(&self, mode: BindMode) -> Bind {
        Bind { system_type: self.system_type, ..Bind::new(mode, self.system_id, self.password) }
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

    #[test]
    fn a_message_to_a_card_speaks_the_link_s_dialect() {
        let dialect = Dialect::try_from(&config()).unwrap();
        let tp_ud = Bytes::from_static(&[2, 0x70, 0, 1]);
        let sm = dialect.ota_sm("8613912345678", tp_ud.clone(), 300, RegisteredDelivery::FINAL).unwrap();
        assert_eq!(sm.source, Address { ton: 3, npi: 0, digits: "1234".parse().unwrap() });
        assert_eq!(sm.destination, Address { ton: 2, npi: 1, digits: "8613912345678".parse().unwrap() });
        assert_eq!((sm.esm_class.0, sm.protocol_id, sm.data_coding.0), (0x40, 0x7F, 0x16));
        assert_eq!(sm.service_type.as_bytes(), b"CMT");
        assert_eq!(sm.validity_period.as_bytes(), b"000000000500000R");
        assert_eq!(sm.registered_delivery, RegisteredDelivery::FINAL);
        assert_eq!(sm.user_data(), tp_ud);
    }

    #[test]
    fn refuses_what_no_short_message_takes() {
        let dialect = Dialect::try_from(&config()).unwrap();
        let sm = |destination, octets| {
            dialect.ota_sm(destination, Bytes::from(vec![0; octets]), 60, RegisteredDelivery::NONE)
        };
        assert!(sm("49170", 140).is_ok());
        assert_eq!(sm("49170", 141), Err(OtaSmError::TpUd { found: 141 }));
        assert_eq!(sm("49170", 0), Err(OtaSmError::TpUd { found: 0 }));
        for destination in ["", "+49170", "123456789012345678901"] {
            assert_eq!(sm(destination, 1), Err(OtaSmError::Destination));
        }
    }

    #[test]
    fn names_the_key_that_does_not_fit() {
        let config = LinkConfig { name: "n".into(), service_type: "TOOLONG".into(), ..config() };
        let error = Dialect::try_from(&config).unwrap_err();
        assert_eq!(error.to_string(), r#"link "n": service_type: at most 5 octets expected, found 7"#);
    }
}
