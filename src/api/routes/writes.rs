//! `/v1/writes`: orders to open cards.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, ReadsOrders, WritesOrders};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters, Parameters, Place, header_text};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::api::view::{PageView, TimelineView, WriteView};
use crate::card::{Bearer, Subscription, WriteId, WriteState};
use crate::gateway::{
    CancelError, CardRef, DecisionError, Idempotency, NewOrder, OrderError, Placed, RetryError, WriteFilter,
};
use crate::identity::{Eid, EidChecksum, Iccid, Imei, Imsi, Msisdn};
use crate::store::records::FactRecord;

use super::Verdict;

/// Says that an answer was given before for the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Most octets of a client's own order id.
const CLIENT_ORDER_ID_OCTETS_MAX: usize = 128;

/// Most octets of an idempotency key.
const IDEMPOTENCY_KEY_OCTETS_MAX: usize = 255;

/// Entries of a card's timeline that are read at once in search of those of a write.
const TIMELINE_PAGE: usize = 512;

/// Most entries of a card's timeline that are looked at for one page of a write's.
const LOOKED_AT_MAX: usize = 8 * TIMELINE_PAGE;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, order))
        .routes(routes!(show))
        .routes(routes!(timeline))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(decide))
}

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
    fn order(self, checksum: EidChecksum) -> Result<NewOrder, Problem> {
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

/// Order a write
///
/// Answered once the order is durable. With the same `Idempotency-Key` and the same body the answer is the same write
/// again, and `Idempotent-Replayed` says so. Where the card is busy with another write the state is `queued`; where no
/// card is known for the device it is `waiting`.
#[utoipa::path(
    post,
    path = "/v1/writes",
    operation_id = "order_write",
    tag = "writes",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated order the same order.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body = OrderBody,
    responses(
        (status = 202, description = "The write.", body = WriteView, headers(
            ("Location" = String, description = "Where the write is."),
            ("Idempotent-Replayed" = Option<String>, description = "`true` where the write was ordered before."),
        )),
        (status = 409, description = "The order contradicts what there is: `device-unknown`, `card-unknown`, \
            `other-card`, `target-in-use`, `card-queue-full`."),
        (status = 422, description = "The Idempotency-Key came with another body before: `idempotency-mismatch`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn order(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    headers: HeaderMap,
    _: NoParameters,
    body: JsonBody<OrderBody>,
) -> Result<Response, Problem> {
    let idempotency = idempotency(&headers, body.digest)?;
    let order = body.value.order(state.gateway().config().eid_checksum)?;
    let placed = state.gateway().order(&caller.owner, order, idempotency).await?;
    Ok(accepted(&placed))
}

fn idempotency(headers: &HeaderMap, body_digest: [u8; 32]) -> Result<Option<Idempotency>, Problem> {
    let key = header_text(headers, "idempotency-key", IDEMPOTENCY_KEY_OCTETS_MAX)?;
    Ok(key.map(|key| Idempotency { key, body_digest }))
}

/// 202 with a write that is durable.
fn accepted(placed: &Placed) -> Response {
    let location = format!("/v1/writes/{}", placed.write.id);
    let mut response = (StatusCode::ACCEPTED, Json(WriteView::from(&placed.write))).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if placed.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
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
            OrderError::QueueFull => Self::new(
                Kind::CardQueueFull,
                "As many writes wait for this device's card as may; order again when one has ended.",
            ),
            OrderError::IdempotencyMismatch => Self::new(
                Kind::IdempotencyMismatch,
                "This Idempotency-Key came with another body before; take a new key for a new order.",
            )
            .at("Idempotency-Key"),
            OrderError::CardUnknown => {
                Self::new(Kind::CardUnknown, "The caller has no card such as the order names.").at("card")
            }
            OrderError::OtherCard => Self::new(
                Kind::OtherCard,
                "Another card than the one that the order names has reported the device.",
            )
            .at("card"),
            OrderError::Profile { expected } => Self::invalid("profile", expected),
            OrderError::Deadline { expected } => Self::invalid("deadline", expected),
            OrderError::Busy => busy(),
            OrderError::Store(error) => error.into(),
        }
    }
}

pub(super) fn busy() -> Problem {
    Problem::new(Kind::Busy, "The platform is busy with this card or device; try again.")
}

/// List writes
///
/// Those of the caller, the oldest first. A page may have fewer entries than `limit`, or none, and still a `next`.
#[utoipa::path(
    get,
    path = "/v1/writes",
    operation_id = "list_writes",
    tag = "writes",
    params(
        ("state" = Option<schema::WriteState>, Query, description = "Only those in this state."),
        ("created_after" = Option<Timestamp>, Query, description = "Only those made at this time or later."),
        ("created_before" = Option<Timestamp>, Query, description = "Only those made before this time."),
        ("cursor" = Option<schema::WriteId>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "A page of writes.", body = PageView<WriteView>)),
    security(("key" = ["orders:read"])),
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller<ReadsOrders>,
    mut parameters: Parameters,
) -> Result<Json<PageView<WriteView>>, Problem> {
    let filter = WriteFilter {
        state: parameters.take("state", read_state)?,
        created_after: parameters.time("created_after")?,
        created_before: parameters.time("created_before")?,
    };
    let after: Option<WriteId> = parameters.cursor()?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().writes(&caller.owner, filter, after, limit).await?;
    Ok(Json(PageView::of(&page)))
}

fn read_state(text: &str) -> Result<WriteState, String> {
    WriteState::from_name(text).ok_or_else(|| format!("one of {}", schema::state_names()))
}

/// Show a write
#[utoipa::path(
    get,
    path = "/v1/writes/{id}",
    operation_id = "get_write",
    tag = "writes",
    params(("id" = schema::WriteId, Path, description = "The write.")),
    responses(
        (status = 200, description = "The write.", body = WriteView),
        (status = 404, description = "There is no such write."),
    ),
    security(("key" = ["orders:read"])),
)]
async fn show(
    State(state): State<ApiState>,
    caller: Caller<ReadsOrders>,
    Named(id): Named<WriteId>,
    _: NoParameters,
) -> Result<Json<WriteView>, Problem> {
    let write = state.gateway().write(&caller.owner, id).await?;
    write.as_ref().map(|write| Json(WriteView::from(write))).ok_or_else(|| unknown_write(id))
}

pub(super) fn unknown_write(id: WriteId) -> Problem {
    Problem::new(Kind::NotFound, format!("There is no write {id}."))
}

/// What happened to a write
///
/// What is about this write in the timeline of its card, the oldest entry first. A page may have fewer entries than
/// `limit`, or none, and still a `next`.
#[utoipa::path(
    get,
    path = "/v1/writes/{id}/timeline",
    operation_id = "get_write_timeline",
    tag = "writes",
    params(
        ("id" = schema::WriteId, Path, description = "The write."),
        ("cursor" = Option<schema::Place>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of the timeline.", body = PageView<TimelineView>),
        (status = 404, description = "There is no such write."),
    ),
    security(("key" = ["orders:read"])),
)]
async fn timeline(
    State(state): State<ApiState>,
    caller: Caller<ReadsOrders>,
    Named(id): Named<WriteId>,
    mut parameters: Parameters,
) -> Result<Json<PageView<TimelineView>>, Problem> {
    let cursor = parameters.cursor()?.map(|Place(seq)| seq);
    let limit = parameters.limit()?;
    parameters.end()?;
    let gateway = state.gateway();
    let write = gateway.write(&caller.owner, id).await?.ok_or_else(|| unknown_write(id))?;
    let mut items = Vec::new();
    let mut after = cursor.unwrap_or(0);
    // What happens before a card is known stands in no card's timeline.
    let mut first = cursor.is_none().then(|| TimelineView::accepted(&write));
    let Some(card) = write.card else {
        items.extend(first);
        items.extend(write.ended_at.map(|at| TimelineView::ended(&write, at)));
        return Ok(Json(PageView { items, next: None }));
    };
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let page = gateway.timeline(&caller.owner, &CardRef::Id(card), after, TIMELINE_PAGE).await?;
        let Some(page) = page else { break };
        looked_at += page.items.len();
        for fact in page.items.iter().filter(|fact| is_about(fact, id)) {
            if fact.write.is_some_and(|(_, seq)| seq > 1) {
                items.extend(first.take());
            }
            first = None;
            if items.len() >= limit {
                return Ok(Json(PageView { items, next: Some(after.to_string()) }));
            }
            items.push(TimelineView::from(fact));
            after = fact.seq;
        }
        match page.next {
            Some(next) => after = next,
            None => {
                items.extend(first);
                return Ok(Json(PageView { items, next: None }));
            }
        }
    }
    Ok(Json(PageView { items, next: Some(after.to_string()) }))
}

fn is_about(fact: &FactRecord, write: WriteId) -> bool {
    fact.write.is_some_and(|(id, _)| id == write)
}

/// Cancel a write
///
/// 202 where parts of it may have reached the card: then it is a request, which a poll of the card grants or not.
#[utoipa::path(
    post,
    path = "/v1/writes/{id}/cancel",
    operation_id = "cancel_write",
    tag = "writes",
    params(("id" = schema::WriteId, Path, description = "The write.")),
    responses(
        (status = 200, description = "The write is over now.", body = WriteView),
        (status = 202, description = "Its cancellation was asked for.", body = WriteView),
        (status = 404, description = "There is no such write."),
        (status = 409, description = "It is too late: `already-written`, `write-ended`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn cancel(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    Named(id): Named<WriteId>,
    _: NoParameters,
) -> Result<Response, Problem> {
    let write = state.gateway().cancel(&caller.owner, id).await.map_err(|error| match error {
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

/// Try a write again
///
/// A new write for the same device, card and subscription as one that has ended and is not effective; `retry_of` names
/// that one.
#[utoipa::path(
    post,
    path = "/v1/writes/{id}/retry",
    operation_id = "retry_write",
    tag = "writes",
    params(
        ("id" = schema::WriteId, Path, description = "The write that has ended."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request the same request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    responses(
        (status = 202, description = "The new write.", body = WriteView, headers(
            ("Location" = String, description = "Where the new write is."),
            ("Idempotent-Replayed" = Option<String>, description = "`true` where it was asked for before."),
        )),
        (status = 404, description = "There is no such write."),
        (status = 409, description = "`not-retryable`, or what an order can be refused for: `device-unknown`, \
            `card-unknown`, `other-card`, `target-in-use`, `card-queue-full`."),
        (status = 422, description = "The Idempotency-Key came with another request before: `idempotency-mismatch`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn retry(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    Named(id): Named<WriteId>,
    headers: HeaderMap,
    _: NoParameters,
) -> Result<Response, Problem> {
    // There is no body: what makes two requests the same is the write.
    let idempotency = idempotency(&headers, Sha256::digest(format!("retry {id}")).into())?;
    let placed =
        state.gateway().retry(&caller.owner, id, idempotency).await.map_err(|error| match error {
            RetryError::NotFound => unknown_write(id),
            RetryError::State(state) => Problem::new(
                Kind::NotRetryable,
                format!(
                    "The write is {}: only one that has ended without effect can be tried again.",
                    state.name()
                ),
            ),
            RetryError::Order(error) => error.into(),
        })?;
    Ok(accepted(&placed))
}

/// Decide about a held write
///
/// A write is held where the card reported its result from another device than the one ordered. Accepted, it is
/// `effective`; rejected, it is `unresolved`.
#[utoipa::path(
    post,
    path = "/v1/writes/{id}/decision",
    operation_id = "decide_write",
    tag = "writes",
    params(("id" = schema::WriteId, Path, description = "The write.")),
    request_body = Verdict,
    responses(
        (status = 200, description = "The write, as it is now.", body = WriteView),
        (status = 404, description = "There is no such write."),
        (status = 409, description = "It is not held: `nothing-held`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn decide(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    Named(id): Named<WriteId>,
    _: NoParameters,
    body: JsonBody<Verdict>,
) -> Result<Json<WriteView>, Problem> {
    let decided = state.gateway().decide_write(&caller.owner, id, body.value.accepts()).await;
    let write = decided.map_err(|error| undecided(error, unknown_write(id)))?;
    Ok(Json(WriteView::from(&write)))
}

/// Why nothing was decided.
pub(super) fn undecided(error: DecisionError, unknown: Problem) -> Problem {
    match error {
        DecisionError::NotFound => unknown,
        DecisionError::NothingHeld => {
            Problem::new(Kind::NothingHeld, "Nothing of this waits for a decision.")
        }
        DecisionError::Busy => busy(),
        DecisionError::Store(error) => error.into(),
    }
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
