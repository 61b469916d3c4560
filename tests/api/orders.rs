//! Orders, cards and what surrounds every request.

use std::sync::Arc;
use std::time::Duration;

use airwrite::api::revoke_key;
use airwrite::api::webhook::{EndpointConfig, WebhookConfig, Webhooks, World as WebhookWorld};
use airwrite::world::{SeededRng, SystemClock};
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::platform::{EID, ICCID, IMEI, Platform, answer, order};

#[tokio::test]
async fn an_order_is_placed_read_listed_and_cancelled() {
    let platform = Platform::start().await;
    let mut body = order(IMEI, 1);
    body["client_order_id"] = "order-7".into();
    let placed = platform.order(&body).await;
    assert_eq!(placed.status, 202, "{}", placed.body);
    let id = placed.id();
    assert_eq!(placed.headers["location"], format!("/v1/writes/{id}"));
    assert!(!placed.headers.contains_key("idempotent-replayed"));
    assert_eq!(placed.body["state"], "waiting");
    assert_eq!(placed.body["device"], json!({"imei": IMEI}));
    assert_eq!(placed.body["subscription"], json!({"imsi": "001010000000001", "msisdn": "447700000001"}));
    assert_eq!((&placed.body["client_order_id"], &placed.body["seq"]), (&"order-7".into(), &1.into()));

    assert_eq!(platform.get(&format!("/v1/writes/{id}")).await.body, placed.body);
    let other = platform.get_as_umbrella(&format!("/v1/writes/{id}")).await;
    assert_eq!(other.problem(), (404, "not-found"));
    assert_eq!(platform.get_as_umbrella("/v1/writes").await.body, json!({"items": [], "next": null}));

    for n in 2..=3 {
        assert_eq!(platform.order(&order(IMEI, n)).await.status, 202);
    }
    let first = platform.get("/v1/writes?state=waiting&limit=2").await;
    assert_eq!(first.body["items"].as_array().map(Vec::len), Some(2), "{}", first.body);
    let cursor = first.body["next"].as_str().unwrap();
    let second = platform.get(&format!("/v1/writes?state=waiting&limit=2&cursor={cursor}")).await;
    assert_eq!(second.body["items"].as_array().map(Vec::len), Some(1), "{}", second.body);
    assert_eq!(second.body["items"][0]["subscription"]["imsi"], "001010000000003");
    assert_eq!(second.body["next"], Value::Null);

    let cancelled = platform.cancel(&id).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &"cancelled".into()));
    assert!(cancelled.body["ended_at"].is_string());
    assert_eq!(platform.cancel(&id).await.problem(), (409, "write-ended"));
    assert_eq!(platform.cancel("wrt_01010101010101010101010101010101").await.problem(), (404, "not-found"));
    assert_eq!(platform.get("/v1/writes?state=cancelled").await.body["items"][0]["id"], id);
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_write() {
    let platform = Platform::start().await;
    let first = platform.order_under("k-1", &order(IMEI, 1)).await;
    let again = platform.order_under("k-1", &order(IMEI, 1)).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.body, first.body);
    let other = platform.order_under("k-1", &order(IMEI, 2)).await;
    assert_eq!(other.problem(), (422, "idempotency-mismatch"));
    let spaced = platform.order_under("k 1", &order(IMEI, 2)).await;
    assert_eq!(
        (spaced.problem(), &spaced.body["field"]),
        ((400, "invalid-field"), &"idempotency-key".into())
    );
    assert_eq!(platform.get("/v1/writes").await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn refused_orders_say_why() {
    let platform = Platform::start().await;
    assert_eq!(platform.order(&order(IMEI, 1)).await.status, 202);
    let taken = platform.order(&order("490154203237518", 1)).await;
    assert_eq!(taken.problem(), (409, "target-in-use"));
    assert_eq!(taken.body["field"], "subscription.imsi", "{}", taken.body);

    let mut late = order(IMEI, 2);
    late["deadline"] = "2020-01-01T00:00:00Z".into();
    let late = platform.order(&late).await;
    assert_eq!((late.problem(), &late.body["field"]), ((400, "invalid-field"), &"deadline".into()));
    assert!(late.body["expected"].is_string());

    let mut bound = order("490154203237518", 3);
    bound["require_bound"] = true.into();
    let bound = platform.order(&bound).await;
    assert_eq!((bound.problem(), &bound.body["field"]), ((409, "device-unknown"), &"device.imei".into()));

    for n in 2..=8 {
        assert_eq!(platform.order(&order(IMEI, n)).await.status, 202);
    }
    assert_eq!(platform.order(&order(IMEI, 9)).await.problem(), (409, "card-queue-full"));

    let wrong = platform.order(&order("357805023984943", 4)).await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"device.imei".into()));
    assert_eq!(wrong.body["expected"], "the check digit 2 at the end");
}

#[tokio::test]
async fn a_card_is_found_by_each_of_its_names_by_its_owner() {
    let platform = Platform::start().await;
    let id = platform.put_card().await;
    let shown = platform.get(&format!("/v1/cards/{id}")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!((&shown.body["eid"], &shown.body["iccid"]), (&EID.into(), &ICCID.into()));
    assert_eq!(shown.body["binding"], json!({"imei": IMEI, "since": "1970-01-01T00:00:00.000Z"}));
    for name in [format!("eid:{EID}"), format!("iccid:{ICCID}"), format!("eid%3A{EID}")] {
        assert_eq!(platform.get(&format!("/v1/cards/{name}")).await.body, shown.body, "{name}");
        let other = platform.get_as_umbrella(&format!("/v1/cards/{name}")).await;
        assert_eq!(other.problem(), (404, "not-found"), "{name}");
    }
    for wrong in ["iccid:8949001234567890127", "eid:1", "crd_1", "x", "%FF"] {
        let answer = platform.get(&format!("/v1/cards/{wrong}")).await;
        assert_eq!(answer.problem(), (400, "invalid-field"), "{wrong}");
    }
    assert_eq!(platform.get("/v1/cards/iccid:894900123456789012").await.status, 404);

    let path = format!("/v1/cards/{id}/timeline");
    let first = platform.get(&format!("{path}?limit=1")).await;
    let entry = json!({"seq": 1, "at": "1970-01-01T00:00:00.000Z", "type": "binding.created", "imei": IMEI});
    assert_eq!(first.body, json!({"items": [entry], "next": "1"}));
    let rest = platform.get(&format!("{path}?cursor=1")).await;
    assert_eq!((&rest.body["items"][0]["type"], &rest.body["next"]), (&"card.hint".into(), &Value::Null));
    assert_eq!(platform.get_as_umbrella(&path).await.status, 404);
    assert_eq!(platform.get(&format!("{path}?cursor=x")).await.body["field"], "cursor");
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_shown() {
    let platform = Platform::start().await;
    let url = format!("{}/v1/writes", platform.base);
    let without = answer(Client::new().get(&url)).await;
    assert_eq!(without.problem(), (401, "unauthorized"));
    assert_eq!(without.headers["www-authenticate"], "Bearer realm=\"airwrite\"");
    let posted = answer(Client::new().post(&url).body("no json")).await;
    assert_eq!(posted.status, 401, "the key comes first");
    assert_eq!(platform.get("/v1/writes").await.status, 200);
    let id = platform.acme.expose_secret().trim_start_matches("aw_").rsplit_once('_').unwrap().0;
    revoke_key(platform.store.as_ref(), id, None).await.unwrap();
    let revoked = platform.get("/v1/writes").await;
    assert_eq!(revoked.problem(), (401, "unauthorized"));
    assert!(revoked.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn paths_methods_and_parameters_that_do_not_exist_are_problems() {
    let platform = Platform::start().await;
    assert_eq!(platform.get("/v1/nothing").await.problem(), (404, "not-found"));
    let patched = answer(platform.request(Method::PATCH, "/v1/writes")).await;
    assert_eq!(patched.problem(), (405, "method-not-allowed"));
    assert_eq!(patched.headers["allow"], "GET,HEAD,POST");
    for (path, field) in [
        ("/v1/writes?state=open", "state"),
        ("/v1/writes?cursor=1", "cursor"),
        ("/v1/writes?limit=1000", "limit"),
        ("/v1/writes?color=red", "color"),
        ("/v1/writes/wrt_1", "path"),
    ] {
        let answer = platform.get(path).await;
        assert_eq!(
            (answer.problem(), &answer.body["field"]),
            ((400, "invalid-field"), &field.into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn operators_see_health_readiness_and_counters() {
    let platform = Platform::start().await;
    let watch = async |path: &str| reqwest::get(format!("{}{path}", platform.base)).await.unwrap();
    assert_eq!(watch("/healthz").await.json::<Value>().await.unwrap(), json!({"status": "ok"}));
    assert_eq!(watch("/readyz").await.status(), 200);
    assert_eq!(platform.order(&order(IMEI, 1)).await.status, 202);
    let metrics = watch("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("airwrite_events_total{kind=\"write.accepted\"} 1\n"), "{metrics}");
    assert!(metrics.contains("airwrite_http_requests_total{status=\"202\"} 1\n"), "{metrics}");
    assert_eq!(metrics.matches("# EOF").count(), 1);
    assert!(metrics.ends_with("# EOF\n"));

    platform.store.poison();
    let refused = platform.order(&order(IMEI, 2)).await;
    assert_eq!(refused.problem(), (503, "unavailable"));
    assert_eq!(refused.headers["retry-after"], "5");
    assert_eq!(watch("/healthz").await.status(), 200);

    platform.gateway.shutdown(Duration::from_secs(1)).await;
    let unready = answer(Client::new().get(format!("{}/readyz", platform.base))).await;
    assert_eq!(unready.problem(), (503, "not-ready"));
    assert_eq!(unready.body["reasons"], json!([{"part": "gateway", "reason": "shutting down"}]));
}

#[tokio::test]
async fn an_order_is_told_to_the_endpoint_of_its_owner() {
    let platform = Platform::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = EndpointConfig {
        name: "console".into(),
        owner: "acme".parse().unwrap(),
        url: format!("http://{}/", listener.local_addr().unwrap()),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        allow_private: true,
    };
    let (told, mut events) = tokio::sync::mpsc::unbounded_channel();
    let receive = move |body: axum::Json<Value>| {
        let sent = told.send(body.0).is_ok();
        async move { assert!(sent) }
    };
    let routes = axum::Router::new().route("/", axum::routing::post(receive));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let world = WebhookWorld {
        store: platform.store.clone(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(2)),
        metrics: Arc::default(),
    };
    let stop = CancellationToken::new();
    let hooks = Webhooks::start(&world, &WebhookConfig::default(), &[endpoint], &stop).unwrap();
    let following = tokio::spawn(hooks.follow(platform.gateway.clone()));

    let placed = platform.order(&order(IMEI, 1)).await;
    let event = tokio::time::timeout(Duration::from_secs(5), events.recv()).await.unwrap().unwrap();
    assert_eq!(event["type"], "write.accepted");
    assert_eq!(event["data"]["write"], placed.id());
    assert_eq!(event["data"]["id"], format!("{}.1", placed.id()));
    assert_eq!(event["data"]["imei"], IMEI);
    assert_eq!(platform.cancel(&placed.id()).await.status, 200);
    let event = tokio::time::timeout(Duration::from_secs(5), events.recv()).await.unwrap().unwrap();
    assert_eq!((&event["type"], &event["data"]["seq"]), (&"write.cancelled".into(), &2.into()));
    stop.cancel();
    following.await.unwrap();
}
