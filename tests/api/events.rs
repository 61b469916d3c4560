//! The event stream: in order, without gaps, across connections and restarts.

use std::sync::Arc;
use std::time::Duration;

use airwrite::api::ApiConfig;
use airwrite::store::MemoryStore;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::platform::{IMEI, Options, Platform, answer, order};

/// A client of the stream.
struct Client {
    response: Response,
    text: String,
}

struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Client {
    async fn connect(platform: &Platform, last: Option<&str>) -> Self {
        let mut request = platform.request(Method::GET, "/v1/events");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        let mut client = Self { response, text: String::new() };
        assert_eq!(client.block().await.as_deref(), Some("retry: 2000"));
        client
    }

    /// The next block of lines; `None` where the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            match chunk.expect("news in time") {
                Ok(Some(chunk)) => self.text.push_str(str::from_utf8(&chunk).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    async fn next(&mut self) -> Event {
        let block = self.block().await.expect("an event");
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let data = serde_json::from_str(&field("data")).unwrap();
        Event { id: field("id"), kind: field("event"), data }
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_go_on_after_the_last_one() {
    let platform = Platform::start().await;
    platform.order(&order(IMEI, 1)).await;
    let mut client = Client::connect(&platform, None).await;
    let second = platform.order(&order(IMEI, 2)).await.id();
    let event = client.next().await;
    assert_eq!((event.kind.as_str(), &event.data["type"]), ("write.accepted", &"write.accepted".into()));
    assert_eq!(event.data["data"]["id"], format!("{second}.1"), "the first one was before");
    drop(client);

    let third = platform.order(&order(IMEI, 3)).await.id();
    platform.cancel(&second).await;
    let mut client = Client::connect(&platform, Some(&event.id)).await;
    let missed = [client.next().await, client.next().await];
    assert_eq!(
        missed.each_ref().map(|event| event.data["data"]["write"].clone()),
        [third.as_str().into(), Value::from(second)]
    );
    assert_eq!(missed[1].kind, "write.cancelled");

    // From the oldest on everything is there, in one order.
    let mut client = Client::connect(&platform, Some("0")).await;
    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(client.next().await.id.parse::<u64>().unwrap());
    }
    assert!(places.is_sorted() && places[1..].contains(&event.id.parse().unwrap()), "{places:?}");
}

#[tokio::test]
async fn nobody_hears_of_another_owners_events() {
    let platform = Platform::start().await;
    let mut client = Client::connect(&platform, Some("0")).await;
    let request = platform.request_as(&platform.umbrella, Method::POST, "/v1/writes");
    assert_eq!(answer(request.json(&order(IMEI, 1))).await.status, 202);
    let own = platform.order(&order("490154203237518", 2)).await.id();
    assert_eq!(client.next().await.data["data"]["write"], own);
}

#[tokio::test]
async fn the_stream_goes_on_after_a_restart_and_tells_of_gaps() {
    let store = Arc::new(MemoryStore::new());
    let platform = Platform::start_on(Arc::clone(&store), Options::default()).await;
    platform.order(&order(IMEI, 1)).await;
    let mut client = Client::connect(&platform, Some("0")).await;
    let first = client.next().await;
    let missed = platform.order(&order(IMEI, 2)).await.id();
    platform.gateway.kill();
    platform.stop.cancel();
    let platform = Platform::start_on(Arc::new(store.crash()), Options::default()).await;
    let after = platform.order(&order(IMEI, 3)).await.id();
    let mut client = Client::connect(&platform, Some(&first.id)).await;
    assert_eq!(client.next().await.data["data"]["write"], missed);
    assert_eq!(client.next().await.data["data"]["write"], after);

    let mut client = Client::connect(&platform, Some("1")).await;
    assert_eq!(client.next().await.kind, "log.gap");
    assert_eq!(client.next().await.id, first.id);
}

#[tokio::test]
async fn many_concurrent_orders_are_told_once_each() {
    let platform = Arc::new(Platform::start().await);
    let mut client = Client::connect(&platform, None).await;
    let mut orders = tokio::task::JoinSet::new();
    for n in 0..64_u32 {
        let platform = Arc::clone(&platform);
        orders.spawn(async move {
            let serial = format!("35780502{n:06}");
            let digits = serial.bytes().rev().enumerate().map(|(index, digit)| {
                let value = u32::from(digit - b'0') * if index % 2 == 0 { 2 } else { 1 };
                value / 10 + value % 10
            });
            let check = (10 - digits.sum::<u32>() % 10) % 10;
            platform.order(&order(&format!("{serial}{check}"), n)).await.id()
        });
    }
    let mut placed = orders.join_all().await;
    let mut told = Vec::new();
    let mut place = 0;
    while told.len() < placed.len() {
        let event = client.next().await;
        let next: u64 = event.id.parse().unwrap();
        assert!(next > place);
        place = next;
        told.push(event.data["data"]["write"].as_str().unwrap().to_owned());
    }
    placed.sort();
    told.sort();
    assert_eq!(told, placed);
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_platform() {
    let api = ApiConfig { event_streams_max: 1, ..ApiConfig::default() };
    let platform = Platform::start_on(Arc::default(), Options { api, ..Options::default() }).await;
    let mut client = Client::connect(&platform, None).await;
    let full = platform.get("/v1/events").await;
    assert_eq!(full.problem(), (503, "busy"));
    let wrong = answer(platform.request(Method::GET, "/v1/events").header("last-event-id", "x")).await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"last-event-id".into()));
    platform.stop.cancel();
    assert!(client.block().await.is_none());
    drop(client);
    let platform = Platform::start_on(Arc::default(), Options::default()).await;
    for _ in 0..3 {
        // A client that leaves makes room.
        Client::connect(&platform, None).await;
    }
}
