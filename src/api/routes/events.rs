//! `/v1/events`: what happens to the caller's cards and writes, as server-sent events (WHATWG HTML §9.2).
//!
//! The stream reads the owner's log in the store: what a webhook is told stands there too, in one order. The id of an
//! event is its place in the log, so that a client that comes back with `Last-Event-ID` goes on where it was: nothing is
//! missed and nothing repeated, across restarts too. The log keeps its newest events only; who comes back later
//! than that is told so by an event `log.gap`.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::codec::{BytesCodec, FramedRead};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, ReadsEvents};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{NoParameters, Place, header_text};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::webhook::Event;
use crate::card::Owner;
use crate::gateway::{Gateway, LoggedEvent};
use crate::store::StoreError;

/// A sign of life for clients and proxies where nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events read at once.
const PAGE: usize = 256;

/// Octets on their way to a client; one that reads no more than this holds up only itself.
const BUFFER: usize = 64 * 1024;

/// What a client that was cut off waits before it comes back, milliseconds.
const RETRY_MS: u32 = 2000;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Stream events
///
/// Server-sent events: `event` is the type, `data` the same JSON as that of a webhook, `id` the event's place in the
/// caller's log. Without `Last-Event-ID` the stream begins with what happens from now on; with `0` it begins with the
/// oldest event that the log still has. Where events after the one named are gone, the first event is `log.gap`. Every 15
/// seconds without an event there is a comment. The stream ends when the platform does.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "stream_events",
    tag = "events",
    params(
        ("Last-Event-ID" = Option<schema::Place>, Header, description = "The id of the last event that was received."),
    ),
    responses(
        (status = 200, description = "Events, for as long as the connection lasts.", body = String,
            content_type = "text/event-stream"),
    ),
    security(("key" = ["orders:read", "cards:read"])),
)]
async fn stream(
    State(state): State<ApiState>,
    caller: Caller<ReadsEvents>,
    headers: HeaderMap,
    _: NoParameters,
) -> Result<Response, Problem> {
    let last = header_text(&headers, "last-event-id", 19)?;
    let last =
        last.map(|text| text.parse().map_err(|_| Problem::invalid("last-event-id", "the id of an event")));
    let last = last.transpose()?.map(|Place(place)| place);
    let room = state
        .event_stream()
        .ok_or_else(|| Problem::new(Kind::Busy, "As many event streams as may be are open."))?;
    let gateway = state.gateway().clone();
    let position = last.unwrap_or_else(|| gateway.events_now());
    let gap = match gateway.oldest_event(&caller.owner).await? {
        Some(oldest) => last.is_some_and(|last| 0 < last && last < oldest),
        None => false,
    };
    let (client, body) = tokio::io::duplex(BUFFER);
    let stream = Stream { gateway, owner: caller.owner, position, client, _room: room };
    tokio::spawn(stream.run(gap, state.ending().clone()));
    let body = Body::from_stream(FramedRead::new(body, BytesCodec::new()));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// One client.
struct Stream {
    gateway: Gateway,
    owner: Owner,
    /// Everything up to here was sent.
    position: u64,
    client: DuplexStream,
    _room: OwnedSemaphorePermit,
}

/// Why a stream is over.
enum Over {
    /// The client has gone, or the platform ends.
    Closed,
    /// The store does not answer: the client comes back.
    Store(StoreError),
}

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self::Closed
    }
}

impl Stream {
    async fn run(mut self, gap: bool, ending: CancellationToken) {
        let over = tokio::select! {
            biased;
            () = ending.cancelled() => return,
            over = self.send_all(gap) => over,
        };
        if let Err(Over::Store(error)) = over {
            tracing::warn!(%error, "an event stream ends: the log cannot be read");
        }
    }

    async fn send_all(&mut self, gap: bool) -> Result<(), Over> {
        let mut head = format!("retry: {RETRY_MS}\n\n");
        if gap {
            head.push_str("event: log.gap\ndata: {\"type\":\"log.gap\"}\n\n");
        }
        self.client.write_all(head.as_bytes()).await?;
        let mut news = self.gateway.outbox_news();
        let mut heartbeat = Instant::now() + HEARTBEAT;
        loop {
            // What comes from here on is news; so nothing falls between.
            news.mark_unchanged();
            let page = self.gateway.events(&self.owner, self.position, PAGE).await.map_err(Over::Store)?;
            if !page.events.is_empty() {
                let text: String = page.events.iter().map(text_of).collect();
                self.client.write_all(text.as_bytes()).await?;
                self.position = page.events.last().map_or(self.position, |event| event.place);
                heartbeat = Instant::now() + HEARTBEAT;
            }
            if page.more {
                continue;
            }
            let mut octet = [0];
            tokio::select! {
                biased;
                // Nobody writes to this end: it ends when the client has gone.
                _ = self.client.read(&mut octet) => return Err(Over::Closed),
                // The gateway outlives this: it is held here.
                _ = news.changed() => {}
                () = tokio::time::sleep_until(heartbeat) => {
                    self.client.write_all(b":\n\n").await?;
                    heartbeat = Instant::now() + HEARTBEAT;
                }
            }
        }
    }
}

/// An event as lines. JSON holds no line breaks.
fn text_of(event: &LoggedEvent) -> String {
    let webhook = Event::from(&event.fact);
    let mut text = String::new();
    if let Ok(data) = serde_json::to_string(&webhook) {
        // Writing to a string does not fail.
        let _ = write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", event.place, webhook.r#type);
    }
    text
}
