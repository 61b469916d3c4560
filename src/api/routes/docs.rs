//! `/openapi.json` and `/docs`: the API described by itself.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::server::ApiState;

const PAGE: &str = include_str!("../docs/index.html");
const SCRIPT: &str = include_str!("../docs/docs.js");
const STYLE: &str = include_str!("../docs/docs.css");

/// The page takes nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(document))
        .routes(routes!(page))
        .routes(routes!(script))
        .routes(routes!(style))
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
async fn document(State(state): State<ApiState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], state.document().to_owned())
}

/// This document as a page
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "docs",
    tag = "documentation",
    responses((status = 200, description = "A page that needs nothing but this server.", body = String,
        content_type = "text/html; charset=utf-8")),
)]
async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)], PAGE)
}

/// The page's script
#[utoipa::path(
    get,
    path = "/docs/docs.js",
    operation_id = "docs_script",
    tag = "documentation",
    responses((status = 200, description = "JavaScript.", body = String,
        content_type = "text/javascript; charset=utf-8")),
)]
async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

/// The page's style
#[utoipa::path(
    get,
    path = "/docs/docs.css",
    operation_id = "docs_style",
    tag = "documentation",
    responses((status = 200, description = "CSS.", body = String, content_type = "text/css; charset=utf-8")),
)]
async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
