//! `/v1/writes`: orders to open cards.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::card::{Subscription, WriteId, WriteState};
use crate::gateway::{CancelError, Idempotency, NewOrder, OrderError, WriteFilter};
use crate::identity::{Iccid, Imei, Imsi, Msisdn};

use super::auth::Caller;
use super::problem::{Kind, Problem};
use super::request::{JsonBody, Named, Parameters, header_text};
use super::server::ApiState;
use super::time::Timestamp;
use super::view::{PageView, WriteView};

/// Says that an answer was given before for the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Most octets of a client's own order id.
const CLIENT_ORDER_ID_OCTETS_MAX: usize = 128;

/// An order to open a card.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// The device whose card is to be opened.
    pub device: DeviceBody,
    /// What the card is to become.
    pub subscription: SubscriptionBody,
    /// Nothing is begun after this. Where it is left out, the platform's default holds.
    pub deadline: Option<Timestamp>,
    /// The caller's own id of the order: 1 to 128 characters, shown again and not looked at.
    pub client_order_id: Option<ClientOrderId>,
    /// Whether to refuse the order where no card is bound to the device, instead of waiting for one.
    #[serde(default)]
    pub require_bound: bool,
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceBody {
    /// 15 digits with check digit, or the 16 digits of an IMEISV.
    pub imei: Imei,
}

/// The numbers of a subscription.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionBody {
    /// 14 or 15 digits.
    pub imsi: Imsi,
    /// International, with or without `+`.
    pub msisdn: Msisdn,
    /// The subscription's own card number.
    pub iccid: Option<Iccid>,
    /// Service centre address to write.
    pub smsc: Option<Msisdn>,
}

/// The caller's own id of an order.
#[derive(Debug)]
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

impl From<OrderBody> for NewOrder {
    fn from(body: OrderBody) -> Self {
        let SubscriptionBody { imsi, msisdn, iccid, smsc } = body.subscription;
        Self {
            imei: body.device.imei,
            subscription: Subscription { imsi, msisdn, iccid, smsc },
            deadline: body.deadline.map(Timestamp::unix_ms),
            client_order_id: body.client_order_id.map(|id| id.0),
            require_bound: body.require_bound,
            card: None,
            bearer: None,
            profile: None,
        }
    }
}

/// `POST /v1/writes`: 202 with the write once it is durable. The same `Idempotency-Key` with the same body gives the
/// same write and says so in `Idempotent-Replayed`.
pub(super) async fn order(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    headers: HeaderMap,
    body: JsonBody<OrderBody>,
) -> Result<Response, Problem> {
    let key = header_text(&headers, "idempotency-key", 255)?;
    let idempotency = key.map(|key| Idempotency { key, body_digest: body.digest });
    let placed = state.gateway().order(&owner, body.value.into(), idempotency).await?;
    let location = format!("/v1/writes/{}", placed.write.id);
    let mut response = (StatusCode::ACCEPTED, Json(WriteView::from(&placed.write))).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if placed.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::DeviceUnknown => {
                Self::new(Kind::DeviceUnknown, "No card is bound to this device, and the order asks for one.")
                    .at("device.imei")
            }
            OrderError::TargetInUse { field } => {
                let detail = "This number belongs to another open write or to a subscription in effect.";
                Self::new(Kind::TargetInUse, detail).at(field)
            }
            OrderError::CardUnknown => Self::invalid("card", "a card of this owner"),
            OrderError::OtherCard => Self::invalid("card", "the card that has reported the device"),
            OrderError::Profile { expected } => Self::invalid("profile", expected),
            OrderError::QueueFull => Self::new(
                Kind::CardQueueFull,
                "As many writes wait for this device's card as may; order again when one has ended.",
            ),
            OrderError::IdempotencyMismatch => Self::new(
                Kind::IdempotencyMismatch,
                "This Idempotency-Key came with another body before; take a new key for a new order.",
            )
            .at("Idempotency-Key"),
            OrderError::Deadline { expected } => Self::invalid("deadline", expected),
            OrderError::Busy => busy(),
            OrderError::Store(error) => error.into(),
        }
    }
}

fn busy() -> Problem {
    Problem::new(Kind::Busy, "The platform is busy with this card or device; try again.")
}

/// `GET /v1/writes?state=&cursor=&limit=`: the caller's writes, oldest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    mut parameters: Parameters,
) -> Result<Json<PageView<WriteView>>, Problem> {
    let filter = WriteFilter { state: parameters.take("state", read_state)? };
    let after: Option<WriteId> = parameters
        .take("cursor", |text| text.parse().map_err(|_| "the `next` of an earlier page".to_owned()))?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().writes(&owner, filter, after, limit).await?;
    Ok(Json(PageView::of(&page)))
}

fn read_state(text: &str) -> Result<WriteState, String> {
    WriteState::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = WriteState::NAMES.iter().map(|(_, name)| *name).collect();
        format!("one of {}", names.join(", "))
    })
}

/// `GET /v1/writes/{id}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    Named(id): Named<WriteId>,
) -> Result<Json<WriteView>, Problem> {
    let write = state.gateway().write(&owner, id).await?;
    write.as_ref().map(|write| Json(WriteView::from(write))).ok_or_else(|| unknown_write(id))
}

fn unknown_write(id: WriteId) -> Problem {
    Problem::new(Kind::NotFound, format!("There is no write {id}."))
}

/// `POST /v1/writes/{id}/cancel`: 200 with the write where it is over now, 202 where parts of it may have reached the
/// card and the cancellation is a request.
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    Named(id): Named<WriteId>,
) -> Result<Response, Problem> {
    let write = state.gateway().cancel(&owner, id).await.map_err(|error| match error {
        CancelError::NotFound => unknown_write(id),
        CancelError::AlreadyWritten => Problem::new(
            Kind::AlreadyWritten,
            "The card has written it: it can only be replaced by another write.",
        ),
        CancelError::Ended(end) => {
            Problem::new(Kind::WriteEnded, format!("The write is over: {}.", end.name()))
        }
        CancelError::Busy => busy(),
        CancelError::Store(error) => error.into(),
    })?;
    let status = if write.state.is_end() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(WriteView::from(&write))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::from_json;

    const ORDER: &str = r#"{
        "device": {"imei": "357805023984942"},
        "subscription": {"imsi": "001010123456789", "msisdn": "+447797704848"},
        "deadline": "2026-01-31T12:00:00Z",
        "client_order_id": "order-7"
    }"#;

    #[test]
    fn an_order_is_read() {
        let order = NewOrder::from(from_json::<OrderBody>(ORDER.as_bytes()).unwrap());
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

    #[test]
    fn refusals_of_the_gateway_have_their_kinds() {
        let kind = |error: OrderError| Problem::from(error).kind();
        assert_eq!(kind(OrderError::QueueFull), Kind::CardQueueFull);
        assert_eq!(kind(OrderError::IdempotencyMismatch), Kind::IdempotencyMismatch);
        assert_eq!(kind(OrderError::Busy), Kind::Busy);
        let in_use = Problem::from(OrderError::TargetInUse { field: "subscription.imsi" });
        assert_eq!((in_use.kind(), in_use.field()), (Kind::TargetInUse, Some("subscription.imsi")));
        let late = Problem::from(OrderError::Deadline { expected: "a time to come" });
        assert_eq!((late.field(), late.expected()), (Some("deadline"), Some("a time to come")));
    }

    #[test]
    fn states_are_read_by_name() {
        assert_eq!(read_state("waiting"), Ok(WriteState::Waiting));
        assert!(read_state("Waiting").unwrap_err().ends_with("expired, unresolved"));
    }
}
