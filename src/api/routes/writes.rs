//! `/v1/writes`: orders to open cards.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, ReadsOrders, WritesOrders};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters, Parameters, Place, header_text};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::api::view::{PageView, TimelineView, WriteView};
use crate::card::{WriteId, WriteState};
use crate::gateway::{
    CancelError, CardRef, DecisionError, Idempotency, OrderError, Placed, RetryError, WriteFilter,
};
use crate::store::records::FactRecord;

use super::Verdict;
use super::order::OrderBody;

/// Says that an answer was given before for the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

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
