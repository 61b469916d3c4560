//! The HTTP API and the webhook sender: how the business platform talks to the gateway and hears from it.
//!
//! `GET /openapi.json` describes every route, `GET /docs` shows that as a page; the handlers are in `routes`.
//! Requests carry `Authorization: Bearer aw_…` ([`create_key`]) of a key with the [`Scope`] that the route needs; an
//! owner sees its own things only, another owner's are not found. Errors are `application/problem+json` ([`Problem`]).
//! Events leave by [`webhook`] and by an event stream; [`HttpLookup`] asks the business platform for cards.

mod auth;
mod connection;
mod keys;
mod lookup;
mod metrics;
mod openapi;
mod problem;
mod request;
mod routes;
mod schema;
mod scope;
mod server;
mod time;
mod view;
pub mod webhook;

pub use keys::{ApiKeyError, create_key, list_keys, revoke_key};
pub use lookup::{HttpLookup, LookupConfig};
pub use metrics::ApiMetrics;
pub use problem::{Kind, LineError, Problem, ProblemView, ReasonView};
pub use routes::{
    BearerBody, CardBody, ClientOrderId, DeviceBody, ExportPartView, ExportView, OrderBody, SubscriptionBody,
};
pub use scope::{NoScope, Scope};
pub use server::{ApiConfig, ApiState, openapi_document, router, serve};
pub use time::{NoTimestamp, Timestamp};
pub use view::{BindingView, CardView, DeviceView, PageView, SubscriptionView, TimelineView, WriteView};
