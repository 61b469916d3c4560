//! The HTTP API and the webhook sender: how the business platform talks to the gateway and hears from it.
//!
//! | route | |
//! |---|---|
//! | `POST /v1/writes` | order: 202 with the write, once durable |
//! | `GET /v1/writes`, `GET /v1/writes/{id}` | the caller's writes |
//! | `POST /v1/writes/{id}/cancel` | withdraw |
//! | `GET /v1/cards/{ref}`, `GET /v1/cards/{ref}/timeline` | a card by `crd_…`, `eid:…` or `iccid:…` |
//! | `GET /healthz`, `/readyz`, `/metrics` | for operators, without key |
//!
//! Requests carry `Authorization: Bearer aw_…` ([`create_key`]); an owner sees its own things only, another owner's
//! are not found. Errors are `application/problem+json` ([`Problem`]). Events leave by [`webhook`].

mod auth;
mod cards;
mod connection;
mod health;
mod keys;
mod metrics;
mod problem;
mod request;
mod server;
mod time;
mod view;
pub mod webhook;
mod writes;

pub use keys::{ApiKeyError, create_key, list_keys, revoke_key};
pub use metrics::ApiMetrics;
pub use problem::{Kind, Problem};
pub use server::{ApiConfig, ApiState, router, serve};
pub use time::{NoTimestamp, Timestamp};
pub use view::{BindingView, CardView, DeviceView, PageView, SubscriptionView, TimelineView, WriteView};
pub use writes::{ClientOrderId, DeviceBody, OrderBody, SubscriptionBody};
