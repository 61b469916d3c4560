//! `/healthz`, `/readyz`, `/metrics`: for whoever watches over the process. They need no key and show nothing of an
//! owner.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;

use super::problem::{Kind, Problem};
use super::server::ApiState;

/// The answer of a healthy or ready process.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    status: &'static str,
}

/// `GET /healthz`: the process runs and answers.
pub(super) async fn alive() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// `GET /readyz`: 503 with a reason for each part that keeps the platform from serving.
pub(super) async fn ready(State(state): State<ApiState>) -> Result<Json<Status>, Problem> {
    let reasons = state.gateway().readiness();
    if reasons.is_empty() {
        return Ok(Json(Status { status: "ready" }));
    }
    let texts: Vec<String> =
        reasons.iter().map(|missing| format!("{}: {}", missing.part, missing.reason)).collect();
    Err(Problem::new(Kind::NotReady, texts.join("; ")).with_reasons(reasons))
}

/// `GET /metrics`: everything that is counted, as OpenMetrics text.
pub(super) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = state.gateway().metrics().encode();
    // The end mark of the first part would end the whole.
    text.truncate(text.trim_end_matches("# EOF\n").len());
    text.push_str(&state.metrics().encode());
    ([(header::CONTENT_TYPE, content_type)], text)
}
