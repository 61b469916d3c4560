//! The routes, one file for each kind of resource. Each handler stands with its part of the OpenAPI document.

mod cards;
mod devices;
mod docs;
mod endpoints;
mod events;
mod health;
mod keys;
mod links;
mod on_site;
mod order;
mod stray;
mod writes;

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::server::ApiState;

pub use on_site::{ExportPartView, ExportView};
pub use order::{BearerBody, CardBody, ClientOrderId, DeviceBody, OrderBody, SubscriptionBody};

/// The routes that need a key.
pub(super) fn with_key() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(writes::router())
        .merge(on_site::router())
        .merge(cards::router())
        .merge(devices::router())
        .merge(events::router())
        .merge(endpoints::router())
        .merge(keys::router())
        .merge(stray::router())
        .merge(links::router())
}

/// The routes for whoever watches over the process, and the documentation.
pub(super) fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().merge(health::router()).merge(docs::router())
}

/// A decision about something that is held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    /// What becomes of it.
    decision: Decision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Decision {
    /// It takes effect.
    Accept,
    /// It does not.
    Reject,
}

impl Verdict {
    fn accepts(&self) -> bool {
        self.decision == Decision::Accept
    }
}
