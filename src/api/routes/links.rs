//! `/v1/links`: the connections to SMSCs.

use std::sync::atomic::Ordering::Relaxed;

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
use crate::link::{Link, LinkState};

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
    /// Messages to cards that wait for the SMSC's response.
    #[schema(example = 3)]
    in_flight: u64,
    /// How often the SMSC was too busy to take a message, since the start.
    #[schema(example = 0)]
    throttled: u64,
    /// How many connections were lost or given up, since the start.
    #[schema(example = 1)]
    connections_lost: u64,
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
    fn new(link: &Link) -> Self {
        let (state, status) = match *link.state().borrow() {
            LinkState::Connecting => (StateView::Connecting, None),
            LinkState::Bound => (StateView::Bound, None),
            LinkState::Refused(status) => (StateView::Refused, Some(status.to_string())),
            LinkState::Closed => (StateView::Closed, None),
        };
        let (metrics, binds) = (link.metrics(), link.binds());
        Self {
            name: link.name().to_string(),
            state,
            binds_up: binds.up,
            binds: binds.total,
            status,
            in_flight: metrics.in_flight(),
            throttled: metrics.throttled.load(Relaxed),
            connections_lost: metrics.lost.load(Relaxed),
        }
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
    let gateway = state.gateway();
    let links = gateway.links().map(LinkView::new);
    Json(PageView { items: links.collect(), next: None })
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
    let link = gateway.link(&name).ok_or_else(|| Problem::new(Kind::NotFound, "There is no such link."))?;
    let view = LinkView::new(link);
    link.resume();
    tracing::info!(link = name, "resumed over the API");
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::link::{LinkConfig, TcpConnector, start};
    use crate::world::SeededRng;

    #[tokio::test]
    async fn a_link_is_shown_with_what_it_counts() {
        let config = LinkConfig {
            name: "smsc".to_owned(),
            address: "127.0.0.1:0".to_owned(),
            system_id: "airwrite".to_owned(),
            ..LinkConfig::default()
        };
        let (rng, (deliveries, _)) = (Arc::new(SeededRng::new(1)), mpsc::channel(1));
        let link = start(config, Arc::new(TcpConnector), rng, deliveries, &CancellationToken::new()).unwrap();
        link.metrics().submitted.store(5, Relaxed);
        link.metrics().accepted.store(1, Relaxed);
        link.metrics().throttled.store(2, Relaxed);
        link.metrics().lost.store(4, Relaxed);
        let shown = serde_json::to_value(LinkView::new(&link)).unwrap();
        let expected = json!({
            "name": "smsc", "state": "connecting", "binds_up": 0, "binds": 1, "in_flight": 2, "throttled": 2, "connections_lost": 4,
        });
        assert_eq!(shown, expected);
    }
}
