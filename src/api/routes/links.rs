//! `/v1/links`: the connections to SMSCs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Administers, Caller};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{Named, NoParameters};
use crate::api::server::ApiState;
use crate::api::view::PageView;
use crate::link::{BindsUp, LinkState};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(resume))
}

/// A connection to an SMSC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
struct LinkView {
    /// Its name.
    #[schema(example = "smsc")]
    name: String,
    /// What it is doing.
    state: StateView,
    /// How many of its binds are up.
    binds_up: usize,
    /// How many binds it has.
    binds: usize,
    /// The SMSC's answer, where it refuses the bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ESME_RINVPASWD")]
    status: Option<String>,
}

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LinkState)]
#[serde(rename_all = "lowercase")]
enum StateView {
    /// No bind is up that sends, or none that receives; being worked on.
    Connecting,
    /// Binds are up that send and receive.
    Bound,
    /// Not usable, and the SMSC refuses the bind: nothing is tried until it is resumed.
    Refused,
    /// Closed for good.
    Closed,
}

impl LinkView {
    fn new((name, state, binds): (String, LinkState, BindsUp)) -> Self {
        let (state, status) = match state {
            LinkState::Connecting => (StateView::Connecting, None),
            LinkState::Bound => (StateView::Bound, None),
            LinkState::Refused(status) => (StateView::Refused, Some(status.to_string())),
            LinkState::Closed => (StateView::Closed, None),
        };
        Self { name, state, binds_up: binds.up, binds: binds.total, status }
    }
}

/// List the links
#[utoipa::path(
    get,
    path = "/v1/links",
    operation_id = "list_links",
    tag = "operations",
    responses((status = 200, description = "Every link.", body = PageView<LinkView>)),
    security(("key" = ["admin"])),
)]
async fn list(
    State(state): State<ApiState>,
    _: Caller<Administers>,
    _: NoParameters,
) -> Json<PageView<LinkView>> {
    let links = state.gateway().links().into_iter();
    Json(PageView { items: links.map(LinkView::new).collect(), next: None })
}

/// Let a refused link try again
///
/// After the SMSC has refused the bind, nothing is tried until this. A link that is working goes on as it is.
#[utoipa::path(
    post,
    path = "/v1/links/{name}/resume",
    operation_id = "resume_link",
    tag = "operations",
    params(("name" = String, Path, description = "The link.", example = "smsc")),
    responses(
        (status = 202, description = "The link, as it was then.", body = LinkView),
        (status = 404, description = "There is no such link."),
    ),
    security(("key" = ["admin"])),
)]
async fn resume(
    State(state): State<ApiState>,
    _: Caller<Administers>,
    Named(name): Named<String>,
    _: NoParameters,
) -> Result<(StatusCode, Json<LinkView>), Problem> {
    let gateway = state.gateway();
    let link = gateway.links().into_iter().find(|(known, ..)| *known == name);
    let link = link.ok_or_else(|| Problem::new(Kind::NotFound, "There is no such link."))?;
    tracing::info!(link = name, resumed = gateway.resume_link(&name), "resumed over the API");
    Ok((StatusCode::ACCEPTED, Json(LinkView::new(link))))
}
