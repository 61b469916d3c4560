//! Writes that the caller brings to the card itself; tried again, decided and traced.

use reqwest::Method;
use serde_json::{Value, json};

use crate::platform::{EID, ICCID, IMEI, Platform, answer, order};

/// An order that names the card.
fn order_for(eid: &str, n: u32) -> Value {
    let mut body = order(IMEI, n);
    body["card"] = json!({"eid": eid});
    body
}

#[tokio::test]
async fn a_packet_is_read_brought_and_answered() {
    let platform = Platform::start().await;
    let card = platform.card_on_site(EID).await;
    let placed = platform.order(&order_for(EID, 1)).await;
    assert_eq!((placed.status, &placed.body["card"]), (202, &card.as_str().into()), "{}", placed.body);
    let path = format!("/v1/writes/{}", placed.id());

    let early = platform.post(&format!("{path}/responses"), &answers(1, "9000")).await;
    assert_eq!(early.problem(), (409, "not-exported"));
    let export = platform.get(&format!("{path}/export")).await;
    assert_eq!(export.status, 200, "{}", export.body);
    let apdu = export.body["parts"][0]["apdu"].as_str().unwrap();
    assert!(apdu.starts_with("80C20000"), "{apdu}");
    assert!(export.body["parts"][0]["at"].as_str().unwrap().contains(apdu));
    assert_eq!((&export.body["write"], &export.body["on_61"]), (&placed.body["id"], &"00C00000".into()));
    assert!(export.body["on_6C"].is_string());
    assert_eq!(platform.get(&format!("{path}/export")).await.body, export.body, "the same octets");
    let written = platform.get(&path).await;
    assert_eq!((&written.body["state"], &written.body["bearer"]), (&"on_site".into(), &"relay".into()));

    let attempt = u32::try_from(export.body["attempt"].as_u64().unwrap()).unwrap();
    let answered = platform.post(&format!("{path}/responses"), &answers(attempt, "6F00")).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    for (body, field) in [
        (json!({"attempt": 1, "responses": []}), "responses"),
        (json!({"attempt": 1, "responses": [{"n": 0, "rapdu": "9000"}]}), "responses[0].n"),
        (json!({"attempt": 1, "responses": [{"n": 1, "rapdu": "90"}]}), "responses[0].rapdu"),
        (json!({"attempt": 1, "responses": [{"n": 1, "rapdu": "9x00"}]}), "responses[0].rapdu"),
        (json!({"attempt": -1, "responses": []}), "attempt"),
        (json!({"attempt": 4_294_967_296_u64, "responses": []}), "attempt"),
    ] {
        let wrong = platform.post(&format!("{path}/responses"), &body).await;
        assert_eq!(
            (wrong.problem(), &wrong.body["field"]),
            ((400, "invalid-field"), &field.into()),
            "{body}"
        );
    }
    let other = platform.get_as_umbrella(&format!("{path}/export")).await;
    assert_eq!(other.problem(), (404, "not-found"));
    let over_the_air = platform.order(&order("490154203237518", 2)).await.id();
    let nothing = platform.get(&format!("/v1/writes/{over_the_air}/export")).await;
    assert_eq!(nothing.problem(), (409, "nothing-to-export"));
}

/// R25: what is missing is named, and trying again later is not asked for.
#[tokio::test]
async fn an_export_that_cannot_be_made_says_what_is_missing() {
    let platform = Platform::start().await;
    platform.card_on_site(EID).await;
    let placed = platform.order(&order_for(EID, 1)).await;
    let card = placed.body["card"].as_str().unwrap().parse().unwrap();
    let mut commit = airwrite::store::Commit::new();
    commit.delete(airwrite::store::keys::card_keys(card));
    platform.gateway.store().commit(commit).await.unwrap();
    let refused = platform.get(&format!("/v1/writes/{}/export", placed.id())).await;
    assert_eq!(refused.problem(), (409, "packet-impossible"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("card keys: "), "{detail}");
}

fn answers(attempt: u32, rapdu: &str) -> Value {
    json!({"attempt": attempt, "responses": [{"n": 1, "rapdu": rapdu}]})
}

#[tokio::test]
async fn an_order_may_name_card_bearer_and_profile() {
    let platform = Platform::start().await;
    platform.card_on_site(EID).await;
    let with = |member: &str, value: Value| {
        let mut body = order_for(EID, 1);
        body[member] = value;
        body
    };
    let unknown = platform.order(&with("card", json!({"iccid": ICCID}))).await;
    assert_eq!((unknown.problem(), &unknown.body["field"]), ((409, "card-unknown"), &"card".into()));
    for (member, value, field) in [
        ("card", json!({"eid": EID.replace("121", "122")}), "card.eid"),
        ("card", json!({"eid": EID, "iccid": ICCID}), "card"),
        ("card", json!({}), "card"),
        ("card", json!({"imei": IMEI}), "card"),
        ("bearer", json!("pigeon"), "bearer"),
        ("profile", json!("other"), "profile"),
    ] {
        let wrong = platform.order(&with(member, value.clone())).await;
        assert_eq!(wrong.problem(), (400, "invalid-field"), "{value}: {}", wrong.body);
        let named = wrong.body["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{value}: {named}");
        assert!(wrong.body["expected"].is_string(), "{value}: {}", wrong.body);
    }
    let mut right = with("bearer", json!("relay"));
    right["profile"] = "airwrite-applet".into();
    let placed = platform.order(&right).await;
    assert_eq!((placed.status, &placed.body["bearer"]), (202, &"relay".into()), "{}", placed.body);
}

#[tokio::test]
async fn a_write_that_ended_is_tried_again() {
    let platform = Platform::start().await;
    let first = platform.order(&order(IMEI, 1)).await.id();
    let path = format!("/v1/writes/{first}/retry");
    assert_eq!(platform.ask(&path).await.problem(), (409, "not-retryable"));
    assert_eq!(platform.cancel(&first).await.status, 200);
    let retry = |key: &'static str| platform.request(Method::POST, &path).header("idempotency-key", key);
    let second = answer(retry("r-1")).await;
    assert_eq!((second.status, &second.body["retry_of"]), (202, &first.as_str().into()), "{}", second.body);
    assert_eq!(second.headers["location"], format!("/v1/writes/{}", second.id()));
    assert_eq!(second.body["subscription"]["imsi"], "001010000000001");
    let again = answer(retry("r-1")).await;
    assert_eq!(again.id(), second.id());
    assert_eq!(again.headers["idempotent-replayed"], "true");
    // The numbers are the second one's now.
    let third = answer(retry("r-2")).await;
    assert_eq!(third.problem(), (409, "target-in-use"));
    let other = answer(platform.request_as(&platform.umbrella, Method::POST, &path)).await;
    assert_eq!(other.problem(), (404, "not-found"));
    let held = platform.post(&format!("/v1/writes/{first}/decision"), &json!({"decision": "reject"})).await;
    assert_eq!(held.problem(), (409, "nothing-held"));
}

#[tokio::test]
async fn the_timeline_of_a_write_tells_it_from_the_start() {
    let platform = Platform::start().await;
    let waiting = platform.order(&order("490154203237518", 1)).await.id();
    let timeline =
        async |id: &str, query: &str| platform.get(&format!("/v1/writes/{id}/timeline{query}")).await;
    let kinds = |body: &Value| -> Vec<String> {
        let items = body["items"].as_array().unwrap();
        items.iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&timeline(&waiting, "").await.body), ["write.accepted"]);
    platform.cancel(&waiting).await;
    assert_eq!(kinds(&timeline(&waiting, "").await.body), ["write.accepted", "write.cancelled"]);

    platform.card_on_site(EID).await;
    let [first, second] =
        [platform.order(&order_for(EID, 2)).await, platform.order(&order_for(EID, 3)).await];
    platform.get(&format!("/v1/writes/{}/export", first.id())).await;
    let whole = timeline(&first.id(), "").await.body;
    assert_eq!(kinds(&whole).first().map(String::as_str), Some("write.accepted"), "{whole}");
    assert!(kinds(&whole).contains(&"write.sent".to_owned()), "{whole}");
    let about = |item: &Value| item["write"] == first.body["id"];
    assert!(whole["items"].as_array().unwrap().iter().all(about), "{whole}");
    assert_eq!(kinds(&timeline(&second.id(), "").await.body), ["write.accepted"]);

    // Page by page it is the same.
    let (mut pages, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = timeline(&first.id(), &query).await.body;
        pages.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::from(pages), whole["items"]);
    assert_eq!(platform.get_as_umbrella(&format!("/v1/writes/{waiting}/timeline")).await.status, 404);
}

#[tokio::test]
async fn writes_are_listed_by_the_time_they_were_made() {
    let platform = Platform::start().await;
    let first = platform.order(&order(IMEI, 1)).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second = platform.order(&order(IMEI, 2)).await;
    let at = second.body["created_at"].as_str().unwrap();
    let ids = async |query: String| -> Vec<Value> {
        let list = platform.get(&format!("/v1/writes?{query}")).await;
        assert_eq!(list.status, 200, "{}", list.body);
        list.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    assert_eq!(ids(format!("created_after={at}")).await, [second.body["id"].clone()]);
    assert_eq!(ids(format!("created_before={at}")).await, [first.body["id"].clone()]);
    assert_eq!(ids(format!("created_after={at}&created_before={at}")).await, Vec::<Value>::new());
    assert_eq!(ids("created_after=1970-01-01T00:00:00Z&state=waiting".into()).await.len(), 2);
    let wrong = platform.get("/v1/writes?created_after=yesterday").await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"created_after".into()));
}
