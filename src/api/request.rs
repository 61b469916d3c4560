//! Reading requests: JSON bodies, query parameters, path segments. Whatever is wrong is answered with a
//! [`Problem`] that says where.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::problem::{Kind, Problem};
use super::time::{NoTimestamp, Timestamp};

/// Most octets of a request's body.
pub(super) const BODY_OCTETS_MAX: usize = 64 * 1024;

/// Most octets of a card file in a request; larger ones come in parts.
pub(super) const CSV_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of JSON, declared as such, with the SHA-256 of its octets.
#[derive(Debug)]
pub(super) struct JsonBody<T> {
    pub(super) value: T,
    pub(super) digest: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let octets = read(request, state, BODY_OCTETS_MAX).await?;
        Ok(Self { value: from_json(&octets)?, digest: Sha256::digest(&octets).into() })
    }
}

/// A body of text/csv, declared as such. It may hold keys: it is wiped where it is dropped.
pub(super) struct CsvBody(pub(super) Zeroizing<Vec<u8>>);

impl<S: Send + Sync> FromRequest<S> for CsvBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if essence(request.headers()) != "text/csv" {
            let problem = Problem::new(Kind::UnsupportedMediaType, "The body must be declared as text/csv.");
            return Err(problem.at("Content-Type").expecting("text/csv"));
        }
        let octets = read(request, state, CSV_OCTETS_MAX).await?;
        Ok(Self(Zeroizing::new(octets.to_vec())))
    }
}

/// Reads the body to its end.
async fn read<S: Send + Sync>(request: Request, state: &S, octets_max: usize) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state))
        .await
        .map_err(|_| Problem::new(Kind::RequestTimeout, "The body did not arrive within 10 seconds."))?
        .map_err(|rejection| unread(&rejection, octets_max))
}

/// The declared type of the body; parameters are not looked at.
fn essence(headers: &HeaderMap) -> String {
    let declared =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `application/json`, or a type that is JSON by its suffix (RFC 6839).
fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = essence(headers);
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let problem = Problem::new(Kind::UnsupportedMediaType, "The body must be declared as application/json.");
    Err(problem.at("Content-Type").expecting("application/json"))
}

fn unread(rejection: &BytesRejection, octets_max: usize) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            let detail = format!("The body is larger than {octets_max} octets.");
            Problem::new(Kind::BodyTooLarge, detail)
        }
        other => Problem::new(Kind::UnreadableBody, "The body ended early.").because(other),
    }
}

/// Parses a JSON text; an error names line and column, or the path of the field that is wrong.
pub(super) fn from_json<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(octets);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().classify() {
            Category::Data => wrong_field(&path, error.inner()),
            _ => malformed(error.inner()),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Kind::MalformedJson, format!("The body is not valid JSON: {error}."))
}

/// A value that JSON allows and the field does not. Its message is one of serde's or of the field's own type; both
/// say what they expected.
fn wrong_field(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(&place).unwrap_or(&text);
    let field = match name_in(message, "missing field `") {
        Some(missing) if path == "." => missing.to_owned(),
        Some(missing) => format!("{path}.{missing}"),
        None => path.to_owned(),
    };
    let expected = expected_in(message).map(str::to_owned);
    let problem = Problem::new(Kind::InvalidField, format!("{field}: {message}")).at(field);
    match expected {
        Some(expected) => problem.expecting(expected),
        None if message.starts_with("missing field") => problem.expecting("a value"),
        None => problem,
    }
}

/// What a message says was expected.
fn expected_in(message: &str) -> Option<&str> {
    let (_, expected) = message.split_once("expected ")?;
    Some(expected.split_once(", found ").map_or(expected, |(expected, _)| expected))
}

fn name_in<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').next()
}

/// The parameters behind the `?`, each at most once.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::invalid("query", "name=value pairs, percent-encoded"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if parameters.contains_key(&name) {
                return Err(Problem::invalid(name, "the parameter at most once"));
            }
            parameters.insert(name, value);
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// Takes the parameter `name`, read by `read`, which says what it expected where it cannot.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let value = self.0.remove(name);
        value.map(|value| read(&value).map_err(|expected| Problem::invalid(name, expected))).transpose()
    }

    /// Takes `cursor`: where a page begins, as an earlier one said in `next`.
    pub(super) fn cursor<T: FromStr>(&mut self) -> Result<Option<T>, Problem> {
        self.take("cursor", |text| text.parse().map_err(|_| "the `next` of an earlier page".to_owned()))
    }

    /// Takes a point in time.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        let read = |text: &str| {
            let time: Result<Timestamp, _> = text.parse();
            time.map(Timestamp::unix_ms).map_err(|_| NoTimestamp::EXPECTED.to_owned())
        };
        self.take(name, read)
    }

    /// Takes `limit`: how many entries a page may have.
    pub(super) fn limit(&mut self) -> Result<usize, Problem> {
        let read = |text: &str| {
            let number = text.parse().ok().filter(|number| (1..=PAGE_MAX).contains(number));
            number.ok_or_else(|| format!("a number from 1 to {PAGE_MAX}"))
        };
        Ok(self.take("limit", read)?.unwrap_or(PAGE_DEFAULT))
    }

    /// Refuses what nobody has taken.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let detail = format!("There is no query parameter \"{}\" here.", shortened(&name));
                Err(Problem::new(Kind::InvalidField, detail).at(shortened(&name)))
            }
        }
    }
}

/// A place in a list that is ordered by numbers: at most 19 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(pub(super) u64);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=19).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        // Nineteen digits are always fewer than 2^64.
        fits.then(|| text.parse().ok()).flatten().map(Self).ok_or("expected 1 to 19 digits")
    }
}

/// That there is nothing behind the `?`.
#[derive(Debug)]
pub(super) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Parameters::from_request_parts(parts, state).await?.end().map(|()| Self)
    }
}

/// Entries of a page where the request does not say.
const PAGE_DEFAULT: usize = 50;

/// Most entries of a page.
const PAGE_MAX: usize = 200;

/// The one variable segment of the path, parsed.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Kind::InvalidField, "The path is no valid UTF-8.").at("path"))?;
        segment.parse().map(Self).map_err(|error: T::Err| {
            let message = error.to_string();
            let problem =
                Problem::new(Kind::InvalidField, format!("The id in the path: {message}")).at("path");
            match expected_in(&message) {
                Some(expected) => problem.expecting(expected),
                None => problem,
            }
        })
    }
}

/// The value of a header that may be there once, as visible ASCII of at most `octets_max`.
pub(super) fn header_text(
    headers: &HeaderMap,
    name: &'static str,
    octets_max: usize,
) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fits =
        |text: &&str| (1..=octets_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match value.to_str().ok().filter(fits) {
        Some(text) if values.next().is_none() => Ok(Some(text.to_owned())),
        _ => Err(Problem::invalid(name, format!("once, 1 to {octets_max} visible ASCII characters"))),
    }
}

/// At most 64 characters of something the caller sent.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;
    use tokio_util::codec::{BytesCodec, FramedRead};

    use super::*;
    use crate::identity::{Imei, Imsi};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        device: Device,
        imsi: Option<Imsi>,
        deadline: Option<Timestamp>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Device {
        imei: Imei,
    }

    fn refused(text: &str) -> Problem {
        from_json::<Order>(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_right_body_is_read() {
        let order: Order =
            from_json(br#"{"device": {"imei": "357805023984942"}, "deadline": "2026-01-31T12:00:00Z"}"#)
                .unwrap();
        assert_eq!(order.device.imei.to_string(), "357805023984942");
        assert_eq!(order.deadline.map(Timestamp::unix_ms), Some(1_769_860_800_000));
        assert_eq!(order.imsi, None);
    }

    #[test]
    fn broken_json_is_told_with_line_and_column() {
        for text in
            ["{\n  \"device\": }", "{\"device\": {\"imei\": \"357805023984942\"}} x", "", "{\"device\""]
        {
            let problem = refused(text);
            assert_eq!(problem.kind(), Kind::MalformedJson, "{text}");
            assert!(problem.detail().contains("line "), "{}", problem.detail());
            assert!(problem.detail().contains(" column "), "{}", problem.detail());
        }
        assert!(refused("{\n  \"device\": }").detail().contains("line 2"));
    }

    #[test]
    fn a_wrong_check_digit_is_told_by_its_path() {
        let problem = refused(r#"{"device": {"imei": "357805023984943"}}"#);
        assert_eq!(problem.kind(), Kind::InvalidField);
        assert_eq!(problem.field(), Some("device.imei"));
        assert_eq!(problem.expected(), Some("the check digit 2 at the end"));
        assert_eq!(problem.detail(), "device.imei: IMEI: expected the check digit 2 at the end");
    }

    #[test]
    fn lengths_types_and_times_are_told_by_their_path() {
        let problem = refused(r#"{"device": {"imei": "3578"}}"#);
        assert_eq!(
            (problem.field(), problem.expected()),
            (Some("device.imei"), Some("15 digits, or 16 for an IMEISV"))
        );
        let problem = refused(r#"{"device": {"imei": 357805023984942}}"#);
        assert_eq!((problem.field(), problem.expected()), (Some("device.imei"), Some("a string")));
        let problem = refused(r#"{"device": {"imei": "357805023984942"}, "deadline": "tomorrow"}"#);
        assert_eq!(problem.field(), Some("deadline"));
        assert!(problem.expected().unwrap().contains("RFC 3339"));
        let problem = refused(r#"{"device": {"imei": "357805023984942"}, "imsi": "00101"}"#);
        assert_eq!((problem.field(), problem.expected()), (Some("imsi"), Some("14 or 15 digits")));
        let problem = refused("[]");
        assert_eq!(problem.kind(), Kind::InvalidField);
    }

    #[test]
    fn unknown_missing_and_repeated_fields_are_told_by_their_path() {
        let problem = refused(r#"{"device": {"imei": "357805023984942", "colour": "red"}}"#);
        assert_eq!(problem.kind(), Kind::InvalidField);
        assert_eq!((problem.field(), problem.expected()), (Some("device.colour"), Some("`imei`")));
        let problem = refused(r#"{"device": {"imei": "357805023984942"}, "devices": 1}"#);
        assert_eq!(problem.field(), Some("devices"));
        assert_eq!(problem.expected(), Some("one of `device`, `imsi`, `deadline`"));
        assert_eq!((refused("{}").field(), refused("{}").expected()), (Some("device"), Some("a value")));
        let problem = refused(r#"{"device": {}}"#);
        assert_eq!(problem.field(), Some("device.imei"));
        let problem = refused(r#"{"device": {"imei": "357805023984942"}, "device": {}}"#);
        assert!(problem.detail().contains("duplicate field `device`"), "{}", problem.detail());
    }

    async fn body_of(request: Request) -> Result<JsonBody<Order>, Problem> {
        JsonBody::from_request(request, &()).await
    }

    fn post(content_type: &str, body: impl Into<Body>) -> Request {
        Request::post("/v1/writes").header("content-type", content_type).body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn the_body_must_be_declared_as_json() {
        let right = r#"{"device": {"imei": "357805023984942"}}"#;
        for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"]
        {
            let body = body_of(post(content_type, right)).await.unwrap();
            assert_eq!(body.digest, <[u8; 32]>::from(Sha256::digest(right)));
        }
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "text/json"] {
            let problem = body_of(post(content_type, right)).await.unwrap_err();
            assert_eq!(problem.kind(), Kind::UnsupportedMediaType, "{content_type}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let (_open, silent) = tokio::io::duplex(1);
        let never = Body::from_stream(FramedRead::new(silent, BytesCodec::new()));
        let problem = body_of(post("application/json", never)).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::RequestTimeout);
    }

    async fn parameters(uri: &str) -> Result<Parameters, Problem> {
        let (mut parts, ()) = axum::http::Request::get(uri).body(()).unwrap().into_parts();
        Parameters::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn parameters_are_taken_one_by_one_and_nothing_may_be_left() {
        let mut given = parameters("/v1/writes?limit=7&cursor=a%20b").await.unwrap();
        assert_eq!(given.limit().unwrap(), 7);
        assert_eq!(given.take("cursor", |text| Ok(text.to_owned())).unwrap().as_deref(), Some("a b"));
        assert!(given.end().is_ok());
        assert_eq!(parameters("/v1/writes").await.unwrap().limit().unwrap(), PAGE_DEFAULT);

        let left = parameters("/v1/writes?lmit=7").await.unwrap().end().unwrap_err();
        assert_eq!(left.field(), Some("lmit"));
        let twice = parameters("/v1/writes?limit=7&limit=8").await.unwrap_err();
        assert_eq!(twice.field(), Some("limit"));
        for limit in ["0", "201", "x", "-1"] {
            let problem = parameters(&format!("/?limit={limit}")).await.unwrap().limit().unwrap_err();
            assert_eq!(problem.expected(), Some("a number from 1 to 200"), "{limit}");
        }
    }

    #[test]
    fn header_texts_are_bounded_and_single() {
        let mut headers = HeaderMap::new();
        assert_eq!(header_text(&headers, "idempotency-key", 8).unwrap(), None);
        headers.insert("idempotency-key", "order-7".parse().unwrap());
        assert_eq!(header_text(&headers, "idempotency-key", 8).unwrap().as_deref(), Some("order-7"));
        assert!(header_text(&headers, "idempotency-key", 6).is_err());
        headers.append("idempotency-key", "order-8".parse().unwrap());
        assert_eq!(header_text(&headers, "idempotency-key", 8).unwrap_err().field(), Some("idempotency-key"));
        headers.insert("idempotency-key", "a b".parse().unwrap());
        assert!(header_text(&headers, "idempotency-key", 8).is_err());
    }
}
