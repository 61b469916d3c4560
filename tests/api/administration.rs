//! Keys and their scopes, endpoints, links and stray messages.

use std::sync::Arc;
use std::time::Duration;

use airwrite::api::webhook::EndpointConfig;
use airwrite::store::MemoryStore;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::platform::{IMEI, Options, Platform, answer, order};

#[tokio::test]
async fn a_key_without_the_scope_is_refused_by_its_name() {
    let platform = Platform::start().await;
    let made = platform.post_as_admin("/v1/keys", &json!({"name": "shop", "scopes": ["orders:read"]})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["scopes"], json!(["orders:read"]));
    let token = SecretString::from(made.body["token"].as_str().unwrap());
    let call = async |method: Method, path: &str| answer(platform.request_as(&token, method, path)).await;
    assert_eq!(call(Method::GET, "/v1/writes").await.status, 200);
    let id = "wrt_01010101010101010101010101010101";
    for (method, path, scope) in [
        (Method::POST, "/v1/writes".to_owned(), "orders:write"),
        (Method::POST, format!("/v1/writes/{id}/cancel"), "orders:write"),
        (Method::GET, format!("/v1/writes/{id}/export"), "orders:write"),
        (Method::GET, "/v1/cards".to_owned(), "cards:read"),
        (Method::GET, "/v1/events".to_owned(), "cards:read"),
        (Method::POST, "/v1/cards/import".to_owned(), "cards:write"),
        (Method::PUT, format!("/v1/devices/{IMEI}/binding"), "cards:write"),
        (Method::GET, "/v1/keys".to_owned(), "admin"),
        (Method::GET, "/v1/endpoints".to_owned(), "admin"),
        (Method::GET, "/v1/links".to_owned(), "admin"),
        (Method::GET, "/v1/stray".to_owned(), "admin"),
    ] {
        let refused = call(method, &path).await;
        assert_eq!(refused.problem(), (403, "forbidden"), "{path}");
        assert!(refused.body["detail"].as_str().unwrap().contains(scope), "{path}: {}", refused.body);
        assert!(refused.body["expected"].as_str().unwrap().ends_with(scope), "{path}");
    }
    // `admin` has every scope.
    assert_eq!(platform.get_as_admin("/v1/cards").await.status, 200);
    assert_eq!(platform.get("/v1/keys").await.problem(), (403, "forbidden"));
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_by_their_owner() {
    let platform = Platform::start().await;
    let made = platform.post_as_admin("/v1/keys", &json!({"name": "shop", "scopes": ["cards:read"]})).await;
    let (id, token) = (made.id(), made.body["token"].as_str().unwrap().to_owned());
    let listed = platform.get_as_admin("/v1/keys").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3, "umbrella's is not among them");
    assert!(!listed.body.to_string().contains(&token));
    let revoked =
        answer(platform.request_as(&platform.admin, Method::DELETE, &format!("/v1/keys/{id}"))).await;
    assert_eq!((revoked.status, &revoked.body["revoked"]), (200, &true.into()));
    let call = platform.request_as(&SecretString::from(token), Method::GET, "/v1/cards");
    assert_eq!(answer(call).await.problem(), (401, "unauthorized"));

    for (body, field) in [
        (json!({"name": "", "scopes": ["admin"]}), "name"),
        (json!({"name": "x", "scopes": []}), "scopes"),
        (json!({"name": "x", "scopes": ["orders"]}), "scopes[0]"),
        (json!({"name": "x", "scopes": ["admin", "admin"]}), "scopes"),
        (json!({"name": "x"}), "scopes"),
        (json!({"name": "x", "scopes": ["admin"], "owner": "umbrella"}), "owner"),
    ] {
        let wrong = platform.post_as_admin("/v1/keys", &body).await;
        assert_eq!(
            (wrong.problem(), &wrong.body["field"]),
            ((400, "invalid-field"), &field.into()),
            "{body}"
        );
    }
    for (id, status) in [("key_0000000000000000", 404), ("key_1", 400), ("x", 400)] {
        let answer =
            answer(platform.request_as(&platform.admin, Method::DELETE, &format!("/v1/keys/{id}"))).await;
        assert_eq!(answer.status, status, "{id}");
    }
}

/// A receiver of webhooks that answers as it is told.
struct Receiver {
    url: String,
    status: watch::Sender<u16>,
    received: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let (status, now) = watch::channel(204);
        let (sender, received) = mpsc::unbounded_channel();
        let receive = move |headers: HeaderMap, body: String| {
            let status = StatusCode::from_u16(*now.borrow()).unwrap();
            let sent = !status.is_success() || sender.send((headers, body)).is_ok();
            async move {
                assert!(sent);
                status
            }
        };
        let routes = Router::new().route("/hooks", axum::routing::post(receive));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, status, received }
    }

    /// The next event that was accepted; its signature is verified.
    async fn next(&mut self, secret: &str) -> Value {
        let next = tokio::time::timeout(Duration::from_secs(10), self.received.recv());
        let (headers, body) = next.await.expect("an event in time").unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header("webhook-signature"), expected);
        serde_json::from_str(&body).unwrap()
    }
}

/// Makes an endpoint; its path and its secret.
async fn make(platform: &Platform, receiver: &Receiver) -> (String, String) {
    let made = platform.post_as_admin("/v1/endpoints", &json!({"url": receiver.url, "name": "shop"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    (format!("/v1/endpoints/{}", made.id()), made.body["secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_endpoint_gets_events_from_when_it_is_made_until_it_is_deleted() {
    let platform = Platform::start().await;
    let mut receiver = Receiver::start().await;
    platform.order(&order(IMEI, 1)).await;
    let (path, secret) = make(&platform, &receiver).await;
    let tested = answer(platform.request_as(&platform.admin, Method::POST, &format!("{path}/test"))).await;
    assert_eq!((tested.status, &tested.body), (200, &json!({"delivered": true})));
    assert_eq!(receiver.next(&secret).await["type"], "endpoint.test");

    let second = platform.order(&order(IMEI, 2)).await.id();
    let event = receiver.next(&secret).await;
    assert_eq!(
        (&event["type"], &event["data"]["write"]),
        (&"write.accepted".into(), &second.as_str().into())
    );

    let listed = platform.get_as_admin("/v1/endpoints").await;
    let shown = listed.body["items"][0].clone();
    assert_eq!((&shown["url"], &shown["configured"]), (&receiver.url.as_str().into(), &false.into()));
    assert!(!listed.body.to_string().contains(&secret));
    let deleted = answer(platform.request_as(&platform.admin, Method::DELETE, &path)).await;
    assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
    let again = answer(platform.request_as(&platform.admin, Method::DELETE, &path)).await;
    assert_eq!(again.problem(), (404, "not-found"));
    platform.order(&order(IMEI, 3)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(receiver.received.try_recv().is_err());
    assert_eq!(platform.get_as_admin("/v1/endpoints").await.body["items"], json!([]));
}

#[tokio::test]
async fn what_an_endpoint_did_not_accept_is_listed_and_sent_again() {
    let platform = Platform::start().await;
    let mut receiver = Receiver::start().await;
    receiver.status.send(500).unwrap();
    let (path, secret) = make(&platform, &receiver).await;
    let tested = answer(platform.request_as(&platform.admin, Method::POST, &format!("{path}/test"))).await;
    assert_eq!(tested.body["error"], "answered 500 Internal Server Error");
    let write = platform.order(&order(IMEI, 1)).await.id();
    let failures = loop {
        let failures = platform.get_as_admin(&format!("{path}/failures")).await;
        if failures.body["items"][0]["attempts"].as_u64() > Some(3) {
            break failures.body;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let failure = &failures["items"][0];
    assert_eq!(failure["event"], format!("{write}.1"));
    assert_eq!(failure["error"], "answered 500 Internal Server Error");
    assert!(failure["next_at"].is_string() && failure["first_tried_at"].is_string(), "{failure}");

    let redeliver = format!("{path}/redeliver");
    let none = platform.post_as_admin(&redeliver, &json!({"events": ["wrt_1.1"]})).await;
    assert_eq!((none.status, &none.body), (202, &json!({"events": 0})));
    receiver.status.send(204).unwrap();
    let all = platform.post_as_admin(&redeliver, &json!({})).await;
    assert_eq!(all.status, 202, "{}", all.body);
    assert_eq!(receiver.next(&secret).await["data"]["write"], write);
    let empty = platform.post_as_admin(&redeliver, &json!({"events": []})).await;
    assert_eq!((empty.problem(), &empty.body["field"]), ((400, "invalid-field"), &"events".into()));
}

#[tokio::test]
async fn endpoints_are_there_again_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let platform = Platform::start_on(Arc::clone(&store), Options::default()).await;
    let mut receiver = Receiver::start().await;
    let (path, secret) = make(&platform, &receiver).await;
    platform.stop.cancel();
    platform.gateway.kill();

    let platform = Platform::start_on(Arc::new(store.crash()), Options::default()).await;
    let write = platform.order(&order(IMEI, 1)).await.id();
    assert_eq!(receiver.next(&secret).await["data"]["write"], write);
    assert_eq!(platform.get_as_admin(&format!("{path}/failures")).await.status, 200);
}

#[tokio::test]
async fn endpoints_of_the_configuration_are_shown_and_not_deleted() {
    let receiver = Receiver::start().await;
    let configured = EndpointConfig {
        name: "console".into(),
        owner: "acme".parse().unwrap(),
        url: receiver.url.clone(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        allow_private: true,
    };
    let options = Options { endpoints: vec![configured], ..Options::default() };
    let platform = Platform::start_on(Arc::default(), options).await;
    let listed = platform.get_as_admin("/v1/endpoints").await;
    assert_eq!(
        (&listed.body["items"][0]["id"], &listed.body["items"][0]["configured"]),
        (&"console".into(), &true.into())
    );
    let path = "/v1/endpoints/console";
    let deleted = answer(platform.request_as(&platform.admin, Method::DELETE, path)).await;
    assert_eq!(deleted.problem(), (409, "endpoint-configured"));
    let tested = answer(platform.request_as(&platform.admin, Method::POST, &format!("{path}/test"))).await;
    assert_eq!(tested.body, json!({"delivered": true}));
}

#[tokio::test]
async fn wrong_endpoints_are_refused() {
    let platform = Platform::start().await;
    let url = "https://example.net/hooks";
    for (body, field) in [
        (json!({"url": "ftp://example.net", "name": "x"}), "url"),
        (json!({"url": "https://user@example.net", "name": "x"}), "url"),
        (json!({"url": url, "name": ""}), "name"),
        (json!({"url": url, "name": "x", "secret": "whsec_short"}), "secret"),
        (json!({"url": url}), "name"),
        (json!({"url": format!("{url}{}", "x".repeat(2048)), "name": "x"}), "url"),
    ] {
        let wrong = platform.post_as_admin("/v1/endpoints", &body).await;
        assert_eq!(
            (wrong.problem(), &wrong.body["field"]),
            ((400, "invalid-field"), &field.into()),
            "{body}"
        );
        assert!(wrong.body["expected"].is_string(), "{body}");
    }
    for n in 0..16 {
        let made = platform.post_as_admin("/v1/endpoints", &json!({"url": url, "name": n.to_string()})).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let many = platform.post_as_admin("/v1/endpoints", &json!({"url": url, "name": "x"})).await;
    assert_eq!(many.problem(), (409, "too-many"));
}

#[tokio::test]
async fn links_and_strays_are_shown_to_administrators() {
    let platform = Platform::start().await;
    let nothing = json!({"items": [], "next": null});
    assert_eq!(platform.get_as_admin("/v1/links").await.body, nothing);
    assert_eq!(platform.get_as_admin("/v1/stray").await.body, nothing);
    let resumed = platform.request_as(&platform.admin, Method::POST, "/v1/links/smsc/resume");
    assert_eq!(answer(resumed).await.problem(), (404, "not-found"));
    let wrong = platform.get_as_admin("/v1/stray?cursor=00").await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"cursor".into()));
}
