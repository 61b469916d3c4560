//! `/v1/writes/{id}/export` and `/responses`: a packet that the caller brings to the card, and what the card answered.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, WritesOrders};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::view::WriteView;
use crate::card::WriteId;
use crate::gateway::{Export, ExportError, ExportPart, ResponsesError};

use super::writes::{busy, unknown_write};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(respond))
}

/// A packet as commands for the card.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView {
    /// The write it belongs to.
    #[schema(value_type = schema::WriteId)]
    pub write: String,
    /// Which packet of the write it is; goes into the answer.
    pub attempt: u32,
    /// The commands, in the order in which the card must get them.
    pub parts: Vec<ExportPartView>,
    /// What to send where the card answers `61xx`: these octets, then `xx`.
    #[schema(value_type = schema::Hex, example = "00C00000")]
    pub on_61: String,
    /// What to send where the card answers `6Cxx` to that: these octets, then `xx`.
    #[serde(rename = "on_6C")]
    #[schema(value_type = schema::Hex, example = "00C00000")]
    pub on_6c: String,
}

/// One command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportPart)]
pub struct ExportPartView {
    /// Its number, from 1.
    pub n: u8,
    /// The APDU.
    #[schema(value_type = schema::Hex)]
    pub apdu: String,
    /// The same as a line for a modem.
    #[schema(example = "AT+CSIM=10,\"80C2000000\"")]
    pub at: String,
}

impl From<&Export> for ExportView {
    fn from(export: &Export) -> Self {
        Self {
            write: export.write.to_string(),
            attempt: export.attempt,
            parts: export.parts.iter().map(ExportPartView::from).collect(),
            on_61: export.on_61.clone(),
            on_6c: export.on_6c.clone(),
        }
    }
}

impl From<&ExportPart> for ExportPartView {
    fn from(part: &ExportPart) -> Self {
        Self { n: part.n, apdu: hex::encode_upper(&part.apdu), at: part.at.clone() }
    }
}

/// The packet to bring to the card
///
/// For a write whose bearer is `relay`. The first read seals the packet and hands the write out (`on_site`); every further
/// one gives the same octets. A write by remote file management may take several packets: once the answer to one is posted
/// back, the next is read. Where the card has written, what is read is the poll that asks for the result. Parts go in
/// order; all but the last are answered `9000`. `93xx`: the same part again; power lost: from part 1.
#[utoipa::path(
    get,
    path = "/v1/writes/{id}/export",
    operation_id = "export_write",
    tag = "on site",
    params(("id" = schema::WriteId, Path, description = "The write.")),
    responses(
        (status = 200, description = "The packet.", body = ExportView),
        (status = 404, description = "There is no such write."),
        (status = 409, description = "There is none now: `nothing-to-export`. It cannot be made, and it says what is missing: \
            `packet-impossible`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn export(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    Named(id): Named<WriteId>,
    _: NoParameters,
) -> Result<Json<ExportView>, Problem> {
    let export = state.gateway().export(&caller.owner, id).await.map_err(|error| match error {
        ExportError::NotFound => unknown_write(id),
        ExportError::Nothing(state) => Problem::new(
            Kind::NothingToExport,
            format!("The write is {} and has no packet to be brought to the card on site now.", state.name()),
        ),
        ExportError::Impossible(why) => impossible(&why),
        ExportError::Busy => busy(),
        ExportError::Store(error) => error.into(),
    })?;
    Ok(Json(ExportView::from(&export)))
}

/// What no repetition of the request changes.
fn impossible(why: &str) -> Problem {
    Problem::new(Kind::PacketImpossible, format!("No packet of this card can be made or opened: {why}."))
}

/// Most answers of one body.
const RESPONSES_MAX: usize = 64;

/// What a card answered on site.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Responses)]
#[serde(deny_unknown_fields)]
struct ResponsesBody {
    /// The `attempt` of the export.
    attempt: u32,
    /// Every answer of the card, in the order in which they came; those to GET RESPONSE too.
    #[schema(min_items = 1, max_items = 64)]
    responses: Vec<ResponseBody>,
}

/// One answer of the card.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Response)]
#[serde(deny_unknown_fields)]
struct ResponseBody {
    /// The number of the part that it answers.
    #[schema(minimum = 1, maximum = 255)]
    n: u8,
    /// The R-APDU: data, if any, and status word.
    rapdu: Rapdu,
}

/// An R-APDU: 2 to 258 octets in hexadecimal digits.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2}){2,258}$", example = "9000")]
struct Rapdu(Vec<u8>);

impl<'de> Deserialize<'de> for Rapdu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let octets = hex::decode(String::deserialize(deserializer)?).ok();
        octets
            .filter(|octets| (2..=258).contains(&octets.len()))
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected 2 to 258 octets in hexadecimal digits"))
    }
}

/// Post back what the card answered
///
/// Whatever the card said is taken and recorded; its response packet is found among it. Posting the same again changes
/// nothing.
#[utoipa::path(
    post,
    path = "/v1/writes/{id}/responses",
    operation_id = "post_responses",
    tag = "on site",
    params(("id" = schema::WriteId, Path, description = "The write.")),
    request_body = ResponsesBody,
    responses(
        (status = 200, description = "The write, as it is now.", body = WriteView),
        (status = 404, description = "There is no such write."),
        (status = 409, description = "Nothing of it was handed out: `not-exported`. The card cannot be served, and it says what \
            is missing: `packet-impossible`."),
    ),
    security(("key" = ["orders:write"])),
)]
async fn respond(
    State(state): State<ApiState>,
    caller: Caller<WritesOrders>,
    Named(id): Named<WriteId>,
    _: NoParameters,
    body: JsonBody<ResponsesBody>,
) -> Result<Json<WriteView>, Problem> {
    let ResponsesBody { attempt, responses } = body.value;
    if let Some(index) = responses.iter().position(|response| response.n == 0) {
        return Err(Problem::invalid(format!("responses[{index}].n"), "a number from 1 on"));
    }
    let responses = responses.into_iter().map(|response| (response.n, response.rapdu.0)).collect();
    let answered = state.gateway().responses(&caller.owner, id, attempt, responses).await;
    let write = answered.map_err(|error| match error {
        ResponsesError::NotFound => unknown_write(id),
        ResponsesError::NotExported => {
            Problem::new(Kind::NotExported, "Nothing of this write was handed out to be brought to the card.")
        }
        ResponsesError::Count(_) => Problem::invalid("responses", format!("1 to {RESPONSES_MAX} answers")),
        ResponsesError::Form { index } => {
            Problem::invalid(format!("responses[{index}].rapdu"), "an R-APDU of 2 to 258 octets")
        }
        ResponsesError::Impossible(why) => impossible(&why),
        ResponsesError::Busy => busy(),
        ResponsesError::Store(error) => error.into(),
    })?;
    Ok(Json(WriteView::from(&write)))
}
