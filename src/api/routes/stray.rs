//! `/v1/stray`: messages that no card could be found for, or that were refused for good.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Administers, Caller};
use crate::api::problem::Problem;
use crate::api::request::Parameters;
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::api::view::PageView;
use crate::gateway::{Stray, StrayCursor};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A message that no card could be found for, or that was refused for good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stray)]
struct StrayView {
    /// When it came.
    at: Timestamp,
    /// The link it came over.
    link: String,
    /// The sender's number, as the link spells it.
    source: String,
    /// The number it was sent to, as the link spells it.
    destination: String,
    /// Why it is here.
    reason: String,
    /// Its user data, the header included.
    #[schema(value_type = schema::Hex)]
    user_data: String,
}

impl From<&Stray> for StrayView {
    fn from(Stray { record: stray, .. }: &Stray) -> Self {
        Self {
            at: Timestamp::from_unix_ms(stray.at),
            link: stray.link.clone(),
            source: stray.source.clone(),
            destination: stray.destination.clone(),
            reason: stray.reason.clone(),
            user_data: hex::encode_upper(&stray.user_data),
        }
    }
}

/// List stray messages
///
/// By sender, the oldest of each first. They are tried again when a card is imported that they may be of.
#[utoipa::path(
    get,
    path = "/v1/stray",
    operation_id = "list_stray",
    tag = "operations",
    params(
        ("cursor" = Option<schema::StrayPlace>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "A page of messages.", body = PageView<StrayView>)),
    security(("key" = ["admin"])),
)]
async fn list(
    State(state): State<ApiState>,
    _: Caller<Administers>,
    mut parameters: Parameters,
) -> Result<Json<PageView<StrayView>>, Problem> {
    let after: Option<StrayCursor> = parameters.cursor()?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().strays(after, limit).await?;
    Ok(Json(PageView::of(&page)))
}
