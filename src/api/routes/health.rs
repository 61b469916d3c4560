//! `/healthz`, `/readyz`, `/metrics`: for whoever watches over the process. They need no key and show nothing of an
//! owner.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::problem::{Kind, Problem};
use crate::api::server::ApiState;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(metrics))
}

/// The answer of a healthy or ready process.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// `ok` or `ready`.
    status: &'static str,
}

/// The process runs and answers
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "health",
    tag = "operations",
    responses((status = 200, description = "It does.", body = Status)),
)]
async fn alive() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Whether the platform can serve
///
/// 503 has a reason for each part that keeps it from that.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readiness",
    tag = "operations",
    responses(
        (status = 200, description = "It can.", body = Status),
        (status = 503, description = "It cannot: `reasons` say why."),
    ),
)]
async fn ready(State(state): State<ApiState>) -> Result<Json<Status>, Problem> {
    let reasons = state.gateway().readiness();
    if reasons.is_empty() {
        return Ok(Json(Status { status: "ready" }));
    }
    let texts: Vec<String> =
        reasons.iter().map(|missing| format!("{}: {}", missing.part, missing.reason)).collect();
    Err(Problem::new(Kind::NotReady, texts.join("; ")).with_reasons(reasons))
}

/// Everything that is counted
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operations",
    responses(
        (status = 200, description = "OpenMetrics text.", body = String,
            content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
)]
async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = state.gateway().metrics().encode();
    // The end mark of the first part would end the whole.
    text.truncate(text.trim_end_matches("# EOF\n").len());
    text.push_str(&state.metrics().encode());
    ([(header::CONTENT_TYPE, content_type)], text)
}
