//! The body of an order.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::problem::Problem;
use crate::api::schema;
use crate::api::time::Timestamp;
use crate::card::{Bearer, Subscription};
use crate::gateway::{CardRef, NewOrder};
use crate::identity::{Eid, EidChecksum, Iccid, Imei, Imsi, Msisdn};

/// Most octets of a client's own order id.
const CLIENT_ORDER_ID_OCTETS_MAX: usize = 128;

/// An order to open a card.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Order, example = json!({
    "device": {"imei": "357805023984942"},
    "subscription": {"imsi": "001010123456789", "msisdn": "447797704848"},
    "client_order_id": "order-4711",
}))]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// The device whose card is to be opened.
    pub device: DeviceBody,
    /// The card, where the caller knows which one is in the device. Otherwise the card that is bound to it, or that the
    /// card look-up names, or the one that reports it later.
    pub card: Option<CardBody>,
    /// What the card is to become.
    pub subscription: SubscriptionBody,
    /// How packets reach the card. Where it is left out: `sms` for a card with a subscription, otherwise `relay`.
    pub bearer: Option<BearerBody>,
    /// The profile that the card must have.
    #[schema(min_length = 1, max_length = 64, example = "airwrite-applet")]
    pub profile: Option<String>,
    /// Nothing is begun after this. At most 400 days from now; where it is left out, the platform's default holds.
    pub deadline: Option<Timestamp>,
    /// The caller's own id of the order, shown again and not looked at.
    pub client_order_id: Option<ClientOrderId>,
    /// Whether to refuse the order where no card is bound to the device, instead of waiting for one.
    #[serde(default)]
    pub require_bound: bool,
}

/// A device.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OrderedDevice)]
#[serde(deny_unknown_fields)]
pub struct DeviceBody {
    /// The device.
    #[schema(value_type = schema::Imei)]
    pub imei: Imei,
}

/// A card by its EID or its ICCID.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = OrderedCard, rename_all = "lowercase")]
#[serde(try_from = "EitherNumber")]
pub enum CardBody {
    /// By EID.
    #[schema(value_type = schema::Eid)]
    Eid(Eid),
    /// By ICCID.
    #[schema(value_type = schema::Iccid)]
    Iccid(Iccid),
}

/// The members of which one is to be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EitherNumber {
    #[serde(default, deserialize_with = "any_eid")]
    eid: Option<Eid>,
    iccid: Option<Iccid>,
}

impl TryFrom<EitherNumber> for CardBody {
    type Error = &'static str;

    fn try_from(numbers: EitherNumber) -> Result<Self, Self::Error> {
        match numbers {
            EitherNumber { eid: Some(eid), iccid: None } => Ok(Self::Eid(eid)),
            EitherNumber { eid: None, iccid: Some(iccid) } => Ok(Self::Iccid(iccid)),
            _ => Err("expected either eid or iccid"),
        }
    }
}

/// The check digits are looked at later, as the platform is configured.
fn any_eid<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Eid>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let eid = text.map(|text| Eid::parse(&text, EidChecksum::Off)).transpose();
    eid.map(|eid| eid.map(|(eid, _)| eid)).map_err(serde::de::Error::custom)
}

impl CardBody {
    /// The card, where its check digits are as `checksum` wants them.
    pub(in crate::api) fn card(self, field: &str, checksum: EidChecksum) -> Result<CardRef, Problem> {
        match self {
            Self::Iccid(iccid) => Ok(CardRef::Iccid(iccid)),
            Self::Eid(eid) if checksum == EidChecksum::Reject && !eid.checksum_ok() => Err(Problem::invalid(
                format!("{field}.eid"),
                "two check digits that fit (ISO 7064 MOD 97-10)",
            )),
            Self::Eid(eid) => Ok(CardRef::Eid(eid)),
        }
    }
}

/// How packets reach the card.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = OrderedBearer)]
#[serde(rename_all = "lowercase")]
pub enum BearerBody {
    /// Over a link, as short messages.
    Sms,
    /// Through the caller, on site.
    Relay,
}

impl From<BearerBody> for Bearer {
    fn from(bearer: BearerBody) -> Self {
        match bearer {
            BearerBody::Sms => Self::Sms,
            BearerBody::Relay => Self::Relay,
        }
    }
}

/// The numbers of a subscription.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OrderedSubscription)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionBody {
    /// Whom the network knows.
    #[schema(value_type = schema::Imsi)]
    pub imsi: Imsi,
    /// Its telephone number.
    #[schema(value_type = schema::Msisdn)]
    pub msisdn: Msisdn,
    /// The subscription's own card number.
    #[schema(value_type = Option<schema::Iccid>)]
    pub iccid: Option<Iccid>,
    /// Service centre address to write.
    #[schema(value_type = Option<schema::Msisdn>)]
    pub smsc: Option<Msisdn>,
}

/// The caller's own id of an order.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 128, example = "order-4711")]
pub struct ClientOrderId(String);

impl<'de> Deserialize<'de> for ClientOrderId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if (1..=CLIENT_ORDER_ID_OCTETS_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
            return Ok(Self(text));
        }
        Err(serde::de::Error::custom("expected 1 to 128 octets without control characters"))
    }
}

impl OrderBody {
    /// The order, where the EID's check digits are as `checksum` wants them.
    pub(super) fn order(self, checksum: EidChecksum) -> Result<NewOrder, Problem> {
        let SubscriptionBody { imsi, msisdn, iccid, smsc } = self.subscription;
        Ok(NewOrder {
            imei: self.device.imei,
            card: self.card.map(|card| card.card("card", checksum)).transpose()?,
            subscription: Subscription { imsi, msisdn, iccid, smsc },
            bearer: self.bearer.map(Bearer::from),
            profile: self.profile,
            deadline: self.deadline.map(Timestamp::unix_ms),
            client_order_id: self.client_order_id.map(|id| id.0),
            require_bound: self.require_bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Kind;
    use crate::api::request::from_json;

    const ORDER: &str = r#"{
        "device": {"imei": "357805023984942"},
        "subscription": {"imsi": "001010123456789", "msisdn": "+447797704848"},
        "deadline": "2026-01-31T12:00:00Z",
        "client_order_id": "order-7"
    }"#;

    #[test]
    fn an_order_is_read() {
        let order = from_json::<OrderBody>(ORDER.as_bytes()).unwrap().order(EidChecksum::Reject).unwrap();
        assert_eq!(order.imei.to_string(), "357805023984942");
        assert_eq!(order.subscription.msisdn.as_str(), "447797704848");
        assert_eq!(order.deadline, Some(1_769_860_800_000));
        assert_eq!(order.client_order_id.as_deref(), Some("order-7"));
        assert!(!order.require_bound);
    }

    #[test]
    fn every_wrong_field_of_an_order_is_told_by_its_path() {
        for (right, wrong, field) in [
            ("357805023984942", "357805023984943", "device.imei"),
            ("001010123456789", "00101012345678x", "subscription.imsi"),
            ("+447797704848", "+44-7797", "subscription.msisdn"),
            ("\"+447797704848\"", "\"+447797704848\", \"iccid\": \"89\"", "subscription.iccid"),
            ("\"+447797704848\"", "\"+447797704848\", \"smsc\": 1", "subscription.smsc"),
            ("2026-01-31T12:00:00Z", "31.01.2026", "deadline"),
            ("\"order-7\"", "\"\"", "client_order_id"),
            ("\"order-7\"", "\"order-7\", \"require_bound\": \"yes\"", "require_bound"),
            ("\"order-7\"", "\"order-7\", \"priority\": 1", "priority"),
        ] {
            let problem = from_json::<OrderBody>(ORDER.replace(right, wrong).as_bytes()).unwrap_err();
            assert_eq!(problem.kind(), Kind::InvalidField, "{wrong}");
            assert_eq!(problem.field(), Some(field), "{wrong}");
            assert!(problem.expected().is_some(), "{wrong}: {}", problem.detail());
        }
    }
}
