//! `/v1/devices`: devices and the cards bound to them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, ReadsCards, WritesCards};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::gateway::{DeviceInfo, SupplyError};
use crate::identity::Imei;

use super::order::CardBody;
use super::writes::busy;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(bind))
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceState)]
struct DeviceStateView {
    /// The device.
    #[schema(value_type = schema::Imei)]
    imei: Imei,
    /// The card that is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CardId>)]
    card: Option<String>,
    /// Since when it is known as it is.
    since: Timestamp,
    /// The writes that wait for a card to report it, in order.
    #[schema(value_type = Vec<schema::WriteId>)]
    waiting: Vec<String>,
}

impl From<&DeviceInfo> for DeviceStateView {
    fn from(device: &DeviceInfo) -> Self {
        Self {
            imei: device.imei,
            card: device.card.map(|card| card.to_string()),
            since: Timestamp::from_unix_ms(device.since),
            waiting: device.waiting.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Show a device
#[utoipa::path(
    get,
    path = "/v1/devices/{imei}",
    operation_id = "get_device",
    tag = "devices",
    params(("imei" = schema::Imei, Path, description = "The device.")),
    responses(
        (status = 200, description = "The device.", body = DeviceStateView),
        (status = 404, description = "No card has reported it and no write waits for it."),
    ),
    security(("key" = ["cards:read"])),
)]
async fn show(
    State(state): State<ApiState>,
    caller: Caller<ReadsCards>,
    Named(imei): Named<Imei>,
    _: NoParameters,
) -> Result<Json<DeviceStateView>, Problem> {
    let device = state.gateway().device(&caller.owner, imei).await?;
    device.as_ref().map(|device| Json(DeviceStateView::from(device))).ok_or_else(unknown_device)
}

fn unknown_device() -> Problem {
    let detail = "No card has reported this device and no write waits for it.";
    Problem::new(Kind::NotFound, detail).at("imei")
}

/// A binding that the caller vouches for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SuppliedBinding)]
#[serde(deny_unknown_fields)]
struct BindingBody {
    /// The card that is in the device.
    card: CardBody,
}

/// Supply a binding
///
/// The caller says which of its cards is in the device: trusted as if the card had reported it. Writes that wait for the
/// device are taken up. Where it contradicts what a card has reported, the policy of the card's profile decides.
#[utoipa::path(
    put,
    path = "/v1/devices/{imei}/binding",
    operation_id = "bind_device",
    tag = "devices",
    params(("imei" = schema::Imei, Path, description = "The device.")),
    request_body = BindingBody,
    responses(
        (status = 200, description = "The device, as it is now.", body = DeviceStateView),
        (status = 404, description = "The device is not the caller's."),
        (status = 409, description = "The caller has no such card (`card-unknown`), or the binding is held or refused \
            (`binding-contradicts`)."),
    ),
    security(("key" = ["cards:write"])),
)]
async fn bind(
    State(state): State<ApiState>,
    caller: Caller<WritesCards>,
    Named(imei): Named<Imei>,
    _: NoParameters,
    body: JsonBody<BindingBody>,
) -> Result<Json<DeviceStateView>, Problem> {
    let gateway = state.gateway();
    let card = body.value.card.card("card", gateway.config().eid_checksum)?;
    let device = gateway.supply_binding(&caller.owner, imei, card).await?;
    Ok(Json(DeviceStateView::from(&device)))
}

impl From<SupplyError> for Problem {
    fn from(error: SupplyError) -> Self {
        match error {
            SupplyError::CardUnknown => {
                Self::new(Kind::CardUnknown, "The caller has no such card.").at("card")
            }
            SupplyError::DeviceUnknown => unknown_device(),
            SupplyError::Held => Self::new(
                Kind::BindingContradicts,
                "It contradicts the binding that is there: the card shows it as held, and it waits for a decision.",
            ),
            SupplyError::Rejected => Self::new(
                Kind::BindingContradicts,
                "It contradicts the binding that is there, and the card's profile refuses that.",
            ),
            SupplyError::Busy => busy(),
            SupplyError::Store(error) => error.into(),
        }
    }
}
