//! The OpenAPI 3.1 document: what the routes say of themselves, and what holds for all of them.

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::problem::{Kind, ProblemView};
use super::request::{BODY_OCTETS_MAX, CSV_OCTETS_MAX};
use super::schema;

/// The methods of a path (RFC 9110), as the document spells them.
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// What no route says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Airwrite",
        description = "Opens IoT eSIM cards: orders, cards, devices, events, and what is needed to run the platform.\n\n\
            Every request under `/v1` needs `Authorization: Bearer aw_…`. A key belongs to an owner and sees that owner's \
            things only: another owner's are not found. What a key may do is its scopes, named with each operation; `admin` \
            has all of them.\n\n\
            Errors are problem documents (RFC 9457): `type` tells them apart, and where one place of the request is to \
            blame, `field` and `expected` name it. Lists are pages: pass `next` as `cursor` for the following one, `null` is \
            the end. Times are RFC 3339 in UTC. Unknown fields and query parameters are refused.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(
        ProblemView,
        schema::CardId,
        schema::CardRef,
        schema::EndpointId,
        schema::Imei,
        schema::KeyId,
        schema::Place,
        schema::StrayPlace,
        schema::WriteId,
        schema::WriteState,
    )),
    tags(
        (name = "writes", description = "Orders to open cards."),
        (name = "on site", description = "Packets that the caller brings to the card itself."),
        (name = "cards", description = "The cards of the caller."),
        (name = "devices", description = "Devices and the cards in them."),
        (name = "events", description = "What happens, as it happens: on the stream and as webhooks, the same to both.\n\n\
            `binding.created`, `repeated`, `changed`, `held`, `rejected`, `suspect`: what a card says of the device it is in. \
            `write.accepted`, `sent`, `unknown`, `written`, `held`: how far a write is; `write.effective`, `failed`, \
            `rolled_back`, `cancelled`, `expired`, `unresolved`: its end, which it has once. `card.subscription_changed`, \
            `counter`, `hint`: what else is to be known of a card. `link.down`: a link to an SMSC that may serve the \
            owner's cards is not bound for 30 seconds; `link.refused`: the SMSC refuses its credentials, and `detail` is its \
            answer; `link.up`: the end of either.\n\n\
            An event's `data.id` is the same however often it comes."),
        (name = "endpoints", description = "Where events are sent to as webhooks (Standard Webhooks 1.0)."),
        (name = "administration", description = "API keys."),
        (name = "operations", description = "For whoever runs the platform."),
        (name = "documentation", description = "This document."),
    ),
)]
pub(super) struct Base;

/// The document as it is served: `routes` with what holds for all of them.
pub(super) fn document(routes: &utoipa::openapi::OpenApi) -> Value {
    // A document that is made of plain values is always written.
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `aw_…`. The scopes that an operation needs are named with it.",
        },
    });
    components["schemas"]["Problem"]["properties"]["type"]["enum"] =
        Kind::ALL.iter().map(|kind| kind.urn()).collect::<Vec<_>>().into();
    // One of two members, and no other.
    if let Some(choices) = components["schemas"]["OrderedCard"]["oneOf"].as_array_mut() {
        choices.iter_mut().for_each(|choice| choice["additionalProperties"] = false.into());
    }
    if let Some(schemas) = components["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            // The entries of a page are written out once, where they are described.
            if let Some(item) = name.strip_prefix("Page_") {
                schema["properties"]["items"]["items"] =
                    json!({ "$ref": format!("#/components/schemas/{item}") });
            }
        }
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete(path, operation);
                }
            }
        }
    }
    document
}

/// Adds the answers that an operation has because of where it stands, and the form of every error.
fn complete(path: &str, operation: &mut Value) {
    let body = operation.get("requestBody").is_some();
    let csv =
        operation.pointer("/requestBody/content").is_some_and(|content| content.get("text/csv").is_some());
    let scopes: Vec<String> = operation
        .pointer("/security/0/key")
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).map(|scope| format!("`{scope}`")).collect())
        .unwrap_or_default();
    let responses = &mut operation["responses"];
    let mut add = |kinds: &[Kind], description: &str| {
        let Some(kind) = kinds.first() else { return };
        let status = kind.status().as_u16().to_string();
        if responses.get(&status).is_none() {
            let names: Vec<String> = kinds.iter().map(|kind| format!("`{}`", name(*kind))).collect();
            responses[status] = json!({ "description": format!("{description}: {}.", names.join(", ")) });
        }
    };
    if path.starts_with("/v1/") {
        let malformed: &[Kind] = match body && !csv {
            true => &[Kind::InvalidField, Kind::MalformedJson, Kind::UnreadableBody],
            false => &[Kind::InvalidField],
        };
        add(malformed, "The request is wrong");
        add(&[Kind::Unauthorized], "The request has no key, or none that is valid");
        add(&[Kind::Forbidden], "The key lacks a scope");
        if body {
            add(&[Kind::RequestTimeout], "The body did not arrive in time");
            let octets = if csv { CSV_OCTETS_MAX } else { BODY_OCTETS_MAX };
            add(&[Kind::BodyTooLarge], &format!("The body is larger than {octets} octets"));
            add(&[Kind::UnsupportedMediaType], "The body is declared as something else");
        }
        add(&[Kind::Busy, Kind::Unavailable], "The platform cannot do it now; `Retry-After` says when");
    }
    add(&[Kind::Internal], "A defect of the platform; its log knows more");
    if path.starts_with("/v1/") || path == "/readyz" {
        describe_headers(responses);
    }
    if let Some(responses) = responses.as_object_mut() {
        for (status, response) in responses {
            if status.starts_with(['4', '5']) && response.get("content").is_none() {
                let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
                response["content"] = json!({ "application/problem+json": problem });
            }
        }
    }
    if !scopes.is_empty() {
        let description = operation["description"].as_str().unwrap_or_default();
        let needs = format!("Needs the scope {}.", scopes.join(" and "));
        operation["description"] = format!("{description}\n\n{needs}").trim().into();
    }
}

/// The headers that come with some errors.
fn describe_headers(responses: &mut Value) {
    let text = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    if let Some(response) = responses.get_mut("401") {
        let challenge = text("How to authenticate (RFC 6750).", json!({ "type": "string" }));
        response["headers"]["WWW-Authenticate"] = challenge;
    }
    if let Some(response) = responses.get_mut("503") {
        let seconds = text("Seconds after which to try again.", json!({ "type": "integer", "minimum": 1 }));
        response["headers"]["Retry-After"] = seconds;
    }
}

/// The last part of a kind's type.
fn name(kind: Kind) -> String {
    let urn = kind.urn();
    urn.rsplit(':').next().unwrap_or_default().to_owned()
}
