//! `/v1/endpoints`: where the caller's events are sent to.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Administers, Caller};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters, Parameters, Place};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::api::view::PageView;
use crate::api::webhook::stored::{self, Failure, StoredError};
use crate::api::webhook::{Endpoint, EndpointConfig, Event, Webhooks};
use crate::card::Owner;
use crate::gateway::EndpointRef;
use crate::store::records;

/// Most endpoints of an owner that are made over the API.
const ENDPOINTS_MAX: usize = 16;

/// Most octets of an endpoint's label and of its URL.
const NAME_OCTETS_MAX: usize = 64;
const URL_OCTETS_MAX: usize = 2048;

/// Events that are put back at once.
const PAGE: usize = 256;

/// Most events that one request names.
const EVENTS_MAX: usize = 256;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(delete))
        .routes(routes!(test))
        .routes(routes!(failures))
        .routes(routes!(redeliver))
}

/// Where events are sent to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
struct EndpointView {
    /// Its id: `end_…`, or the name it has in the configuration.
    #[schema(value_type = schema::EndpointId)]
    id: String,
    /// What people call it.
    name: String,
    /// The URL that events are posted to.
    url: String,
    /// Whether it stands in the platform's configuration, and is changed there.
    configured: bool,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

impl From<&records::Endpoint> for EndpointView {
    fn from(endpoint: &records::Endpoint) -> Self {
        Self {
            id: endpoint.id.clone(),
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            configured: false,
            created_at: Some(Timestamp::from_unix_ms(endpoint.created)),
        }
    }
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let name = endpoint.name.as_str();
        let (id, name) = (name.to_owned(), name.to_owned());
        Self { id, name, url: endpoint.url.to_string(), configured: true, created_at: None }
    }
}

/// An endpoint that was just made. Its secret is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewEndpoint)]
struct NewEndpointView {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// The signing key. Nobody can show it again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = EndpointOrder)]
#[serde(deny_unknown_fields)]
struct EndpointBody {
    /// The URL that events are posted to: http or https, without user and password, at a public address.
    #[schema(
        max_length = 2048,
        pattern = r"^https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][!-~]*)?$",
        example = "https://example.net/hooks"
    )]
    url: String,
    /// What people call it: no control characters.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001F\u007F-\u009F]+$",
        example = "warehouse"
    )]
    name: String,
    /// The signing key, `whsec_` and the base64 of 24 to 64 octets. Where it is left out, one is made.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        pattern = "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$")]
    secret: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// List endpoints
///
/// Those of the caller, in the store and in the configuration. Secrets are never shown.
#[utoipa::path(
    get,
    path = "/v1/endpoints",
    operation_id = "list_endpoints",
    tag = "endpoints",
    responses((status = 200, description = "Every endpoint.", body = PageView<EndpointView>)),
    security(("key" = ["admin"])),
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    _: NoParameters,
) -> Result<Json<PageView<EndpointView>>, Problem> {
    let stored = stored::read_all(&**state.gateway().store()).await?;
    let own = stored.iter().filter(|endpoint| endpoint.owner == caller.owner);
    let mut items: Vec<EndpointView> = own.map(EndpointView::from).collect();
    let configured = state.webhooks().map(|hooks| hooks.configured(&caller.owner)).unwrap_or_default();
    items.extend(configured.iter().map(|endpoint| EndpointView::from(&**endpoint)));
    Ok(Json(PageView { items, next: None }))
}

/// Make an endpoint
///
/// It gets every event from now on, signed as Standard Webhooks has it. Its secret is shown in this answer only.
#[utoipa::path(
    post,
    path = "/v1/endpoints",
    operation_id = "create_endpoint",
    tag = "endpoints",
    request_body = EndpointBody,
    responses(
        (status = 201, description = "The endpoint with its secret.", body = NewEndpointView),
        (status = 409, description = "There are as many as may be: `too-many`."),
    ),
    security(("key" = ["admin"])),
)]
async fn create(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    _: NoParameters,
    body: JsonBody<EndpointBody>,
) -> Result<(StatusCode, Json<NewEndpointView>), Problem> {
    let (gateway, hooks) = (state.gateway(), sender(&state)?);
    let EndpointBody { url, name, secret } = body.value;
    if !(1..=NAME_OCTETS_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(Problem::invalid("name", "1 to 64 octets without control characters"));
    }
    if url.len() > URL_OCTETS_MAX {
        return Err(Problem::invalid("url", format!("at most {URL_OCTETS_MAX} octets")));
    }
    let stored = stored::read_all(&**gateway.store()).await?;
    if stored.iter().filter(|endpoint| endpoint.owner == caller.owner).count() >= ENDPOINTS_MAX {
        let detail = format!("There are {ENDPOINTS_MAX} endpoints; delete one first.");
        return Err(Problem::new(Kind::TooMany, detail));
    }
    let config = EndpointConfig {
        name: stored::new_id(&**gateway.rng()),
        owner: caller.owner.clone(),
        url,
        secret: secret.unwrap_or_else(|| stored::new_secret(&**gateway.rng())),
        allow_private: hooks.config().allow_private,
    };
    config.check(hooks.config()).map_err(|error| Problem::invalid(error.field, error.expected))?;
    let now = gateway.clock().now_ms();
    let record = stored::put(&**gateway.store(), &**gateway.vault(), &config, &name, now).await?;
    let outbox = EndpointRef { name: config.name.clone(), owner: caller.owner };
    gateway.tell_endpoint(&outbox).map_err(Problem::internal)?;
    hooks.add(&config).map_err(Problem::internal)?;
    let secret = config.secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(NewEndpointView { endpoint: EndpointView::from(&record), secret })))
}

/// Delete an endpoint
///
/// Nothing is sent to it any more, what has not arrived is dropped.
#[utoipa::path(
    delete,
    path = "/v1/endpoints/{id}",
    operation_id = "delete_endpoint",
    tag = "endpoints",
    params(("id" = schema::EndpointId, Path, description = "The endpoint.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such endpoint."),
        (status = 409, description = "It stands in the configuration: `endpoint-configured`."),
    ),
    security(("key" = ["admin"])),
)]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    Named(EndpointId(id)): Named<EndpointId>,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    if !known(&state, &caller.owner, &id).await? {
        return Err(unknown_endpoint());
    }
    if !stored::is_stored(&id) {
        let detail = "The endpoint stands in the platform's configuration and is changed there.";
        return Err(Problem::new(Kind::EndpointConfigured, detail));
    }
    let gateway = state.gateway();
    // Whatever is cut off here is done again by the same request, or by nobody: an outbox without endpoint stays.
    gateway.forget_endpoint(&id);
    if let Some(hooks) = state.webhooks() {
        hooks.remove(&id);
    }
    gateway.empty_outbox(&id).await?;
    stored::delete(&**gateway.store(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of a test event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestResult)]
struct TestView {
    /// Whether the endpoint answered 2xx.
    delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "answered 500 Internal Server Error")]
    error: Option<String>,
}

/// Send a test event
///
/// One event of the type `endpoint.test`, signed as every other, sent once and at once.
#[utoipa::path(
    post,
    path = "/v1/endpoints/{id}/test",
    operation_id = "test_endpoint",
    tag = "endpoints",
    params(("id" = schema::EndpointId, Path, description = "The endpoint.")),
    responses(
        (status = 200, description = "What became of it.", body = TestView),
        (status = 404, description = "There is no such endpoint."),
    ),
    security(("key" = ["admin"])),
)]
async fn test(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    Named(EndpointId(id)): Named<EndpointId>,
    _: NoParameters,
) -> Result<Json<TestView>, Problem> {
    let endpoint = sender(&state)?.endpoint(&id).filter(|endpoint| endpoint.owner == caller.owner);
    let endpoint = endpoint.ok_or_else(unknown_endpoint)?;
    let gateway = state.gateway();
    let now = gateway.clock().now_ms();
    let event = Event::test(format!("evt_{:016x}", gateway.rng().next_u64()), now);
    let error = endpoint.send(&event, now).await.err().map(|error| error.to_string());
    Ok(Json(TestView { delivered: error.is_none(), error }))
}

/// An event that was not accepted at the first attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView {
    /// The id of the event.
    #[schema(example = "wrt_0190a6b2c1d27e3f8a4b5c6d7e8f9a0b.3")]
    event: String,
    /// What happened.
    #[schema(example = "write.effective")]
    r#type: String,
    /// When it happened.
    at: Timestamp,
    /// How often it was sent.
    attempts: u32,
    /// When it was first sent.
    first_tried_at: Timestamp,
    /// When it is sent next; absent where it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Timestamp>,
    /// Why the last attempt failed.
    error: String,
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        let record = &failure.record;
        let next = (!failure.is_dead()).then(|| Timestamp::from_unix_ms(record.not_before));
        Self {
            event: failure.event_id(),
            r#type: record.fact.kind.clone(),
            at: Timestamp::from_unix_ms(record.fact.at),
            attempts: record.attempts,
            first_tried_at: Timestamp::from_unix_ms(record.first_tried),
            next_at: next,
            error: record.error.clone(),
        }
    }
}

/// List what an endpoint did not accept
///
/// Events that were sent at least once and have not arrived: those that will be sent again, and those that were given up. A
/// page may have fewer entries than `limit`, or none, and still a `next`.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{id}/failures",
    operation_id = "list_failures",
    tag = "endpoints",
    params(
        ("id" = schema::EndpointId, Path, description = "The endpoint."),
        ("cursor" = Option<schema::Place>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of failures.", body = PageView<FailureView>),
        (status = 404, description = "There is no such endpoint."),
    ),
    security(("key" = ["admin"])),
)]
async fn failures(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    Named(EndpointId(id)): Named<EndpointId>,
    mut parameters: Parameters,
) -> Result<Json<PageView<FailureView>>, Problem> {
    let after = parameters.cursor()?.map(|Place(seq)| seq);
    let limit = parameters.limit()?;
    parameters.end()?;
    if !known(&state, &caller.owner, &id).await? {
        return Err(unknown_endpoint());
    }
    let (failures, next) = stored::failures(&**state.gateway().store(), &id, after, limit).await?;
    let items = failures.iter().map(FailureView::from).collect();
    Ok(Json(PageView { items, next: next.map(|seq| seq.to_string()) }))
}

/// What is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Redelivery)]
#[serde(deny_unknown_fields)]
struct RedeliverBody {
    /// The ids of the events; everything that failed where they are left out.
    #[schema(min_items = 1, max_items = 256)]
    events: Option<Vec<String>>,
}

/// How much is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Redelivered)]
struct RedeliveredView {
    /// The events that are sent again.
    events: usize,
}

/// Send again what an endpoint did not accept
///
/// Each event starts anew, with all its attempts. Ids that are not among the failures are passed over.
#[utoipa::path(
    post,
    path = "/v1/endpoints/{id}/redeliver",
    operation_id = "redeliver",
    tag = "endpoints",
    params(("id" = schema::EndpointId, Path, description = "The endpoint.")),
    request_body = RedeliverBody,
    responses(
        (status = 202, description = "They are sent again.", body = RedeliveredView),
        (status = 404, description = "There is no such endpoint."),
    ),
    security(("key" = ["admin"])),
)]
async fn redeliver(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    Named(EndpointId(id)): Named<EndpointId>,
    _: NoParameters,
    body: JsonBody<RedeliverBody>,
) -> Result<(StatusCode, Json<RedeliveredView>), Problem> {
    let wanted = body.value.events;
    if wanted.as_ref().is_some_and(|events| !(1..=EVENTS_MAX).contains(&events.len())) {
        return Err(Problem::invalid("events", format!("1 to {EVENTS_MAX} ids, or nothing")));
    }
    if !known(&state, &caller.owner, &id).await? {
        return Err(unknown_endpoint());
    }
    let store = &**state.gateway().store();
    let (mut count, mut after) = (0, None);
    loop {
        let (page, next) = stored::failures(store, &id, after, PAGE).await?;
        let is_wanted =
            |failure: &Failure| wanted.as_ref().is_none_or(|events| events.contains(&failure.event_id()));
        let chosen: Vec<Failure> = page.into_iter().filter(is_wanted).collect();
        let seqs: Vec<u64> = chosen.iter().map(|failure| failure.seq).collect();
        count += seqs.len();
        if !seqs.is_empty() {
            stored::put_back(store, &id, chosen).await?;
            if let Some(hooks) = state.webhooks() {
                hooks.revive(&id, &seqs);
            }
        }
        match next {
            Some(_) => after = next,
            None => return Ok((StatusCode::ACCEPTED, Json(RedeliveredView { events: count }))),
        }
    }
}

/// Whether the owner has an endpoint of this id.
async fn known(state: &ApiState, owner: &Owner, id: &str) -> Result<bool, Problem> {
    if stored::is_stored(id) {
        return Ok(stored::read(&**state.gateway().store(), owner, id).await?.is_some());
    }
    let configured = state.webhooks().map(|hooks| hooks.configured(owner)).unwrap_or_default();
    Ok(configured.iter().any(|endpoint| endpoint.name.as_str() == id))
}

fn sender(state: &ApiState) -> Result<&Webhooks, Problem> {
    let detail = "This process sends no webhooks.";
    state.webhooks().ok_or_else(|| Problem::new(Kind::Unavailable, detail))
}

fn unknown_endpoint() -> Problem {
    Problem::new(Kind::NotFound, "There is no such endpoint.")
}

/// An endpoint's id in the path.
struct EndpointId(String);

impl std::str::FromStr for EndpointId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
        if fits { Ok(Self(text.to_owned())) } else { Err("expected 1 to 64 letters, digits, '.', '_', '-'") }
    }
}

impl From<StoredError> for Problem {
    fn from(error: StoredError) -> Self {
        match error {
            StoredError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
