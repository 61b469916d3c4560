//! The HTTP server: its configuration, its routes, and what happens around every request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::gateway::Gateway;
use crate::store::Store;
use crate::world::Rng;

use super::connection::Bounded;
use super::metrics::ApiMetrics;
use super::problem::{Cause, Kind, Problem};
use super::request::BODY_OCTETS_MAX;
use super::webhook::Webhooks;
use super::{openapi, routes};

/// Names the request in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long requests that have begun may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// The HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Most requests under `/v1` worked on at once; more are answered 503 with `Retry-After`.
    pub requests_max: usize,
    /// Most open connections; more wait until one closes.
    pub connections_max: usize,
    /// Milliseconds a request may take.
    pub request_timeout_ms: u64,
    /// Most event streams open at once; more are answered 503 with `Retry-After`.
    pub event_streams_max: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            requests_max: 256,
            connections_max: 1024,
            request_timeout_ms: 30_000,
            event_streams_max: 64,
        }
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct ApiState {
    gateway: Gateway,
    webhooks: Option<Webhooks>,
    surroundings: Arc<Surroundings>,
}

impl ApiState {
    /// The state of an API in front of `gateway`.
    #[must_use]
    pub fn new(gateway: Gateway, config: &ApiConfig, metrics: Arc<ApiMetrics>) -> Self {
        let surroundings = Surroundings::new(config, Arc::clone(gateway.rng()), metrics);
        Self { gateway, webhooks: None, surroundings: Arc::new(surroundings) }
    }

    /// The same with the sender of webhooks, whose endpoints the API changes.
    #[must_use]
    pub fn with_webhooks(self, webhooks: Webhooks) -> Self {
        Self { webhooks: Some(webhooks), ..self }
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(super) fn webhooks(&self) -> Option<&Webhooks> {
        self.webhooks.as_ref()
    }

    pub(super) fn metrics(&self) -> &ApiMetrics {
        &self.surroundings.metrics
    }

    /// The OpenAPI document.
    pub(super) fn document(&self) -> &str {
        &self.surroundings.document
    }

    /// Room for one more event stream, where there is some.
    pub(super) fn event_stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.surroundings.event_streams).try_acquire_owned().ok()
    }

    /// Cancelled when the server ends.
    pub(super) fn ending(&self) -> &CancellationToken {
        &self.surroundings.ending
    }
}

impl FromRef<ApiState> for Arc<dyn Store> {
    fn from_ref(state: &ApiState) -> Self {
        Self::clone(state.gateway.store())
    }
}

/// Every route of the API.
pub fn router(state: ApiState) -> Router {
    let surroundings = Arc::clone(&state.surroundings);
    let admitted = from_fn_with_state(Arc::clone(&surroundings), admit);
    let (with_key, _) = routes::with_key().split_for_parts();
    let (open, _) = routes::open().split_for_parts();
    surround(open.merge(with_key.route_layer(admitted)), &surroundings).with_state(state)
}

/// The OpenAPI 3.1 document of the API, as `GET /openapi.json` gives it.
#[must_use]
pub fn openapi_document() -> String {
    let routes =
        OpenApiRouter::with_openapi(openapi::Base::openapi()).merge(routes::with_key()).merge(routes::open());
    let document = openapi::document(routes.get_openapi());
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Serves the API on `listener` until `stop` is cancelled; then takes no more requests and waits at most ten seconds
/// for those that have begun.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, state: ApiState, stop: CancellationToken) -> io::Result<()> {
    let listener = Bounded::new(listener, state.surroundings.connections_max);
    // Event streams go on until somebody ends them.
    let _ending = state.surroundings.ending.clone().drop_guard();
    let ending = state.surroundings.ending.clone();
    tokio::spawn({
        let stop = stop.clone();
        async move { ending.run_until_cancelled(stop.cancelled()).await.map(|()| ending.cancel()) }
    });
    serve_routes(listener, router(state), stop).await
}

async fn serve_routes(listener: Bounded, routes: Router, stop: CancellationToken) -> io::Result<()> {
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = serving.into_future() => done,
        () = overdue => {
            warn!("connections were cut: their requests took longer than {} s", GRACE.as_secs());
            Ok(())
        }
    }
}

/// What surrounds the handlers, whatever they do.
struct Surroundings {
    rng: Arc<dyn Rng>,
    metrics: Arc<ApiMetrics>,
    requests: Semaphore,
    connections_max: usize,
    timeout: Duration,
    event_streams: Arc<Semaphore>,
    ending: CancellationToken,
    document: String,
}

impl Surroundings {
    fn new(config: &ApiConfig, rng: Arc<dyn Rng>, metrics: Arc<ApiMetrics>) -> Self {
        Self {
            rng,
            metrics,
            requests: Semaphore::new(config.requests_max.min(Semaphore::MAX_PERMITS)),
            connections_max: config.connections_max,
            timeout: Duration::from_millis(config.request_timeout_ms),
            event_streams: Arc::new(Semaphore::new(config.event_streams_max.min(Semaphore::MAX_PERMITS))),
            ending: CancellationToken::new(),
            document: openapi_document(),
        }
    }
}

/// Puts the surroundings around `routes`: problems for what no route takes, the body limit, time limit and log.
fn surround<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    surroundings: &Arc<Surroundings>,
) -> Router<S> {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .layer(from_fn_with_state(Arc::clone(surroundings), observe))
}

async fn no_route() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path.")
}

async fn no_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "The Allow header names the methods of this path.")
}

/// Lets as many requests in as may be worked on at once.
async fn admit(State(around): State<Arc<Surroundings>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = around.requests.try_acquire() else {
        let detail = "As many requests as may be are being worked on.";
        return Problem::new(Kind::Busy, detail).into_response();
    };
    next.run(request).await
}

/// Gives the request its id and its time limit; counts and logs its answer.
async fn observe(State(around): State<Arc<Surroundings>>, request: Request, next: Next) -> Response {
    let id = format!("req_{:016x}", around.rng.next_u64());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let answer = tokio::time::timeout(around.timeout, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        let detail = "The request was given up. It may have been carried out: repeat it with the same \
                      Idempotency-Key.";
        Problem::new(Kind::Timeout, detail).because("time limit of the request").into_response()
    });

    let status = response.status();
    around.metrics.answered(status.as_u16());
    let took_ms = start.elapsed().as_millis();
    if status.is_server_error() {
        let cause = response.extensions().get::<Cause>().map_or("", |cause| &cause.0);
        warn!(request = id, %method, path, status = status.as_u16(), took_ms, cause, "request failed");
    } else {
        debug!(request = id, %method, path, status = status.as_u16(), took_ms, "request");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use reqwest::StatusCode;
    use serde_json::Value;

    use super::super::request::JsonBody;
    use super::*;
    use crate::world::SeededRng;

    /// A small API in the surroundings of the real one.
    struct Served {
        base: String,
        around: Arc<Surroundings>,
        stop: CancellationToken,
        serving: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn echo(body: JsonBody<Value>) -> axum::Json<Value> {
        axum::Json(body.value)
    }

    async fn never() {
        std::future::pending().await
    }

    async fn slow() -> &'static str {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    }

    async fn broken() -> Problem {
        Problem::internal("the cause")
    }

    async fn served(config: ApiConfig) -> Served {
        let rng = Arc::new(SeededRng::new(1));
        let around = Arc::new(Surroundings::new(&config, rng, Arc::default()));
        let routes = Router::new()
            .route("/v1/echo", post(echo))
            .route("/v1/never", get(never))
            .route("/v1/slow", get(slow))
            .route("/v1/broken", get(broken))
            .route_layer(from_fn_with_state(Arc::clone(&around), admit));
        let routes = surround(routes, &around);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let listener = Bounded::new(listener, config.connections_max);
        let serving = tokio::spawn(serve_routes(listener, routes, stop.clone()));
        Served { base, around, stop, serving }
    }

    impl Served {
        fn get(&self, path: &str) -> reqwest::RequestBuilder {
            reqwest::Client::new().get(format!("{}{path}", self.base))
        }

        fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
            let request = reqwest::Client::new().post(format!("{}/v1/echo", self.base));
            request.header("content-type", "application/json").body(body)
        }
    }

    /// Status and problem document of an answer that must be a problem.
    async fn problem(request: reqwest::RequestBuilder) -> (StatusCode, reqwest::header::HeaderMap, Value) {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
        let document: Value = response.json().await.unwrap();
        assert_eq!(document["status"], status.as_u16());
        assert!(document["title"].is_string() && document["detail"].is_string());
        (status, headers, document)
    }

    #[tokio::test]
    async fn whatever_is_refused_is_answered_with_a_problem() {
        let served = served(ApiConfig::default()).await;
        let (status, _, document) = problem(served.get("/v2/nothing")).await;
        assert_eq!((status.as_u16(), &document["type"]), (404, &"urn:airwrite:problem:not-found".into()));
        let (status, headers, _) = problem(served.get("/v1/echo")).await;
        assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (405, "POST"));
        let (status, _, document) = problem(served.post("{\n\"a\":}")).await;
        assert_eq!(status, 400);
        assert!(document["detail"].as_str().unwrap().contains("line 2 column 5"), "{document}");
        let undeclared = reqwest::Client::new().post(format!("{}/v1/echo", served.base)).body("{}");
        let (status, _, _) = problem(undeclared).await;
        assert_eq!(status, 415);
        let (status, headers, document) = problem(served.get("/v1/broken")).await;
        assert_eq!((status.as_u16(), headers["cache-control"].to_str().unwrap()), (500, "no-store"));
        assert!(!document.to_string().contains("the cause"));
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        let served = served(ApiConfig::default()).await;
        let quoted = |octets: usize| format!("\"{}\"", "x".repeat(octets - 2));
        let response = served.post(quoted(BODY_OCTETS_MAX)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let (status, _, document) = problem(served.post(quoted(BODY_OCTETS_MAX + 1))).await;
        assert_eq!(
            (status.as_u16(), &document["type"]),
            (413, &"urn:airwrite:problem:body-too-large".into())
        );
    }

    #[tokio::test]
    async fn too_many_and_too_long_requests_are_answered_503() {
        let config = ApiConfig { requests_max: 1, request_timeout_ms: 400, ..Default::default() };
        let served = served(config).await;
        let long = tokio::spawn(problem(served.get("/v1/never")));
        while served.around.requests.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (status, headers, document) = problem(served.get("/v1/slow")).await;
        assert_eq!((status.as_u16(), headers["retry-after"].to_str().unwrap()), (503, "1"));
        assert_eq!(document["type"], "urn:airwrite:problem:busy");
        let (status, _, document) = long.await.unwrap();
        assert_eq!((status.as_u16(), &document["type"]), (503, &"urn:airwrite:problem:timeout".into()));
        assert_eq!(served.get("/v1/slow").send().await.unwrap().status(), 200);
        let counted = served.around.metrics.encode();
        assert!(counted.contains("airwrite_http_requests_total{status=\"503\"} 2\n"), "{counted}");
    }

    #[tokio::test]
    async fn connections_are_accepted_up_to_their_limit() {
        let served = served(ApiConfig { connections_max: 1, ..Default::default() }).await;
        let first = tokio::net::TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
        // Only once the first one was accepted does it hold the only place.
        first.writable().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let second = served.get("/v1/slow").timeout(Duration::from_millis(500)).send();
        assert!(second.await.unwrap_err().is_timeout());
        drop(first);
        assert_eq!(served.get("/v1/slow").send().await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn requests_that_have_begun_are_answered_at_the_end() {
        let served = served(ApiConfig::default()).await;
        let begun = tokio::spawn(served.get("/v1/slow").send());
        while served.around.requests.available_permits() == ApiConfig::default().requests_max {
            tokio::task::yield_now().await;
        }
        served.stop.cancel();
        assert_eq!(begun.await.unwrap().unwrap().text().await.unwrap(), "done");
        served.serving.await.unwrap().unwrap();
        assert!(reqwest::get(format!("{}/v1/slow", served.base)).await.is_err());
    }
}
