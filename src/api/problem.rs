//! What an error looks like from outside: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::NotReady;

/// What kind of error it is: decides status, `type` and `title`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request's body is no JSON.
    MalformedJson,
    /// A field of body, path, query or header is missing, unknown or wrong.
    InvalidField,
    /// The body could not be read to its end.
    UnreadableBody,
    /// A card file has lines that are wrong; nothing of it was used.
    InvalidCards,
    /// No key, or none that is valid.
    Unauthorized,
    /// The key is valid and may not do this.
    Forbidden,
    /// There is no such thing, or it is another owner's.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body took too long to arrive.
    RequestTimeout,
    /// The device is bound to no card, and the order says `require_bound`.
    DeviceUnknown,
    /// A target number belongs to another open write or to a subscription in effect.
    TargetInUse,
    /// As many writes wait for the card as may.
    CardQueueFull,
    /// The card has already written: the write cannot be cancelled.
    AlreadyWritten,
    /// The write is over.
    WriteEnded,
    /// The write goes on, or is in effect: there is nothing to try again.
    NotRetryable,
    /// Nothing of this waits for a decision.
    NothingHeld,
    /// The card answers no packet, so that it cannot be asked.
    NoAnswers,
    /// There is no packet to be brought to the card on site.
    NothingToExport,
    /// Nothing of the write was handed out to be brought to the card.
    NotExported,
    /// A packet for the card cannot be made: its profile or its keys are missing, or it would be too long.
    PacketImpossible,
    /// The device is bound to another card.
    OtherCard,
    /// The owner has no such card as the request names.
    CardUnknown,
    /// A binding contradicts another one: it is held, or refused.
    BindingContradicts,
    /// The endpoint stands in the platform's configuration and is changed there.
    EndpointConfigured,
    /// There are as many of these as may be.
    TooMany,
    /// The body is larger than is read.
    BodyTooLarge,
    /// The body is not declared as what it must be.
    UnsupportedMediaType,
    /// The idempotency key was used with another body.
    IdempotencyMismatch,
    /// A defect of the platform.
    Internal,
    /// Too much at once; the same request can succeed later.
    Busy,
    /// The platform's memory is out of service for now.
    Unavailable,
    /// The request took too long; it may have been carried out.
    Timeout,
    /// The platform is not ready to serve.
    NotReady,
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 33] = [
        Self::MalformedJson,
        Self::InvalidField,
        Self::UnreadableBody,
        Self::InvalidCards,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::DeviceUnknown,
        Self::TargetInUse,
        Self::CardQueueFull,
        Self::AlreadyWritten,
        Self::WriteEnded,
        Self::NotRetryable,
        Self::NothingHeld,
        Self::NoAnswers,
        Self::NothingToExport,
        Self::NotExported,
        Self::PacketImpossible,
        Self::OtherCard,
        Self::CardUnknown,
        Self::BindingContradicts,
        Self::EndpointConfigured,
        Self::TooMany,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyMismatch,
        Self::Internal,
        Self::Busy,
        Self::Unavailable,
        Self::Timeout,
        Self::NotReady,
    ];

    /// Status, last part of the `type` and title.
    const fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedJson => (S::BAD_REQUEST, "malformed-json", "The body is not valid JSON"),
            Self::InvalidField => (S::BAD_REQUEST, "invalid-field", "A field is not valid"),
            Self::UnreadableBody => (S::BAD_REQUEST, "unreadable-body", "The body could not be read"),
            Self::InvalidCards => (S::BAD_REQUEST, "invalid-cards", "The card file has errors"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "The API key lacks a scope"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A valid API key is needed"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "There is no such resource"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "The resource does not have this method")
            }
            Self::RequestTimeout => {
                (S::REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive")
            }
            Self::DeviceUnknown => (S::CONFLICT, "device-unknown", "The device is bound to no card"),
            Self::TargetInUse => (S::CONFLICT, "target-in-use", "A target number is in use"),
            Self::CardQueueFull => {
                (S::CONFLICT, "card-queue-full", "Too many writes wait for the card of this device")
            }
            Self::AlreadyWritten => (S::CONFLICT, "already-written", "The card has already written"),
            Self::WriteEnded => (S::CONFLICT, "write-ended", "The write is over"),
            Self::NotRetryable => (S::CONFLICT, "not-retryable", "The write cannot be tried again"),
            Self::NothingHeld => (S::CONFLICT, "nothing-held", "Nothing waits for a decision"),
            Self::NoAnswers => (S::CONFLICT, "no-answers", "The card answers no packet"),
            Self::NothingToExport => {
                (S::CONFLICT, "nothing-to-export", "There is no packet to be brought to the card")
            }
            Self::NotExported => (S::CONFLICT, "not-exported", "Nothing of the write was handed out"),
            Self::PacketImpossible => {
                (S::CONFLICT, "packet-impossible", "The packet for the card cannot be made")
            }
            Self::OtherCard => (S::CONFLICT, "other-card", "The device is bound to another card"),
            Self::CardUnknown => (S::CONFLICT, "card-unknown", "The card is not known"),
            Self::BindingContradicts => {
                (S::CONFLICT, "binding-contradicts", "The binding contradicts another one")
            }
            Self::EndpointConfigured => {
                (S::CONFLICT, "endpoint-configured", "The endpoint stands in the configuration")
            }
            Self::TooMany => (S::CONFLICT, "too-many", "There are as many as may be"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has another type")
            }
            Self::IdempotencyMismatch => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency-mismatch",
                "The idempotency key was used with another body",
            ),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "The platform failed"),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy", "The platform is busy"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "The platform is out of service"),
            Self::Timeout => (S::SERVICE_UNAVAILABLE, "timeout", "The request took too long"),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "not-ready", "The platform is not ready"),
        }
    }

    /// The status that it is answered with.
    pub(super) const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Its `type`.
    pub(super) fn urn(self) -> String {
        format!("urn:airwrite:problem:{}", self.row().1)
    }

    /// Its title.
    pub(super) const fn title(self) -> &'static str {
        self.row().2
    }

    /// Seconds after which trying again makes sense.
    const fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Busy | Self::Timeout => Some(1),
            Self::Unavailable | Self::NotReady => Some(5),
            _ => None,
        }
    }
}

/// An error on its way to the caller.
///
/// What it says was written for the caller; what only the operator may know is the *cause*, which is logged.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    detail: String,
    field: Option<String>,
    expected: Option<String>,
    reasons: Vec<NotReady>,
    errors: Vec<LineError>,
    authenticate: Option<HeaderValue>,
    cause: Option<Cause>,
}

/// What is behind an error, for the log only; travels in the response's extensions.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) String);

/// An error (RFC 9457). `field` and `expected` are there wherever one place of the request is to blame.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// What kind of error it is: stays the same, so that programs can tell errors apart.
    #[schema(example = "urn:airwrite:problem:invalid-field")]
    pub r#type: String,
    /// The kind in words.
    #[schema(example = "A field is not valid")]
    pub title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    pub status: u16,
    /// What is wrong with this request.
    #[schema(example = "device.imei: IMEI: expected the check digit 2 at the end")]
    pub detail: String,
    /// The place in body, query, path or headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "device.imei")]
    pub field: Option<String>,
    /// What would have been right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the check digit 2 at the end")]
    pub expected: Option<String>,
    /// Why the platform is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub reasons: Vec<ReasonView>,
    /// The errors of a card file, the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<LineError>,
}

/// One reason for not being ready.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reason)]
pub struct ReasonView {
    /// The part that cannot serve.
    pub part: String,
    /// Why.
    pub reason: String,
}

/// One thing that is wrong, or odd, in a card file. Nothing of the file is repeated: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineError {
    /// The line, from 1 (the header).
    pub line: u64,
    /// The column's name; absent where it is the line as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub column: String,
    /// What was expected there.
    pub expected: String,
}

impl Problem {
    /// A problem of this kind; `detail` is a sentence about this occurrence.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            detail: detail.into(),
            field: None,
            expected: None,
            reasons: Vec::new(),
            errors: Vec::new(),
            authenticate: None,
            cause: None,
        }))
    }

    /// A field that is wrong: its path (`device.imei`) and what was expected there.
    #[must_use]
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let (field, expected) = (field.into(), expected.into());
        Self::new(Kind::InvalidField, format!("{field}: expected {expected}")).at(field).expecting(expected)
    }

    /// Another error of the platform: the caller learns that it happened, the log learns why.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Kind::Internal, "Something that should not happen did; the log knows more.").because(cause)
    }

    /// Names the field the problem is about.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says what would have been right.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// Adds why the platform is not ready.
    #[must_use]
    pub fn with_reasons(mut self, reasons: Vec<NotReady>) -> Self {
        self.0.reasons = reasons;
        self
    }

    /// Adds the lines of a card file that are wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<LineError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds what the log shall say about it.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.0.cause = Some(Cause(cause.to_string()));
        self
    }

    /// Adds the challenge of a 401 (RFC 9110 §11.6.1).
    #[must_use]
    pub(super) fn challenging(mut self, challenge: &'static str) -> Self {
        self.0.authenticate = Some(HeaderValue::from_static(challenge));
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The path of the field it is about.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What would have been right.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// The sentence about this occurrence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new(Kind::Unavailable, "The platform cannot reach its memory at the moment; try again later.")
            .because(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let status = parts.kind.status();
        let reasons = parts.reasons.into_iter();
        let document = ProblemView {
            r#type: parts.kind.urn(),
            title: parts.kind.title().to_owned(),
            status: status.as_u16(),
            detail: parts.detail,
            field: parts.field,
            expected: parts.expected,
            reasons: reasons.map(|r| ReasonView { part: r.part, reason: r.reason }).collect(),
            errors: parts.errors,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = parts.kind.retry_after_s() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = parts.authenticate {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(cause) = parts.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn document(response: Response) -> Value {
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_wrong_field_is_named_with_what_was_expected() {
        let response = Problem::invalid("device.imei", "15 digits").into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(
            document(response).await,
            json!({
                "type": "urn:airwrite:problem:invalid-field",
                "title": "A field is not valid",
                "status": 400,
                "detail": "device.imei: expected 15 digits",
                "field": "device.imei",
                "expected": "15 digits",
            })
        );
    }

    #[tokio::test]
    async fn the_cause_stays_inside() {
        let response = Problem::from(crate::store::StoreError::Io("disk /dev/x".into())).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
        assert!(response.extensions().get::<Cause>().unwrap().0.contains("/dev/x"));
        assert!(!document(response).await.to_string().contains("/dev/x"));
    }

    #[tokio::test]
    async fn readiness_names_its_reasons() {
        let reasons = vec![NotReady { part: "link a".into(), reason: "not bound".into() }];
        let response = Problem::new(Kind::NotReady, "1 part").with_reasons(reasons).into_response();
        let document = document(response).await;
        assert_eq!(document["reasons"], json!([{"part": "link a", "reason": "not bound"}]));
        assert_eq!(document["status"], 503);
    }

    #[test]
    fn every_kind_has_its_own_type() {
        let types: std::collections::BTreeSet<String> = Kind::ALL.into_iter().map(Kind::urn).collect();
        assert_eq!(types.len(), Kind::ALL.len());
    }

    #[test]
    fn a_challenge_goes_with_the_refusal() {
        let response = Problem::new(Kind::Unauthorized, "no").challenging("Bearer").into_response();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
