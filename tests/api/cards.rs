//! Cards and devices: imported, listed, asked, bound by their owner.

use reqwest::Method;
use serde_json::{Value, json};

use crate::platform::{EID, IMEI, Platform, answer, order};

const OTHER_EID: &str = "89001012012341234012345678901224";
const KEY: &str = "000102030405060708090A0B0C0D0E0F";
const HEADER: &str = "EID,IMSI,MSISDN,PRESET,PROFILE,OWNER,KVN,ALG,KIC1,KID1";

fn line(eid: &str, owner: &str, n: u32) -> String {
    format!("{eid},00101{n:010},4477{n:08},yes,airwrite-applet,{owner},1,aes,{KEY},{KEY}")
}

#[tokio::test]
async fn a_card_file_is_imported_and_its_cards_are_listed() {
    let platform = Platform::start().await;
    let file = format!("{HEADER}\n{}\n{}\n", line(EID, "", 1), line(OTHER_EID, "acme", 2));
    let imported = platform.import(&file).await;
    let expected = json!({"imported": 2, "already_there": 0, "refused": [], "warnings": []});
    assert_eq!((imported.status, imported.body), (200, expected));
    assert_eq!(platform.import(&file).await.body["already_there"], 2);

    let first = platform.get("/v1/cards?limit=1").await;
    let cursor = first.body["next"].as_str().unwrap();
    let second = platform.get(&format!("/v1/cards?cursor={cursor}")).await;
    let eids = [&first.body["items"][0]["eid"], &second.body["items"][0]["eid"]];
    assert!(eids.contains(&&json!(EID)) && eids.contains(&&json!(OTHER_EID)), "{eids:?}");
    assert_eq!(second.body["next"], Value::Null);
    let other = platform.get_as_umbrella("/v1/cards").await;
    assert_eq!(other.body, json!({"items": [], "next": null}));

    // The number is another card's: that line is refused, and says by whom.
    let third = format!("{HEADER}\n{}\n", line("89044011112233441122334411223321", "", 2));
    let refused = platform.import(&third).await;
    assert_eq!((refused.status, &refused.body["refused"][0]["line"]), (200, &2.into()), "{}", refused.body);
}

#[tokio::test]
async fn a_file_with_errors_is_refused_as_a_whole_with_line_and_column() {
    let platform = Platform::start().await;
    let wrong_check_digit = EID.replace("121", "122");
    let file = format!("{HEADER}\n{}\n{}\n", line(OTHER_EID, "", 1), line(&wrong_check_digit, "", 2));
    let refused = platform.import(&file).await;
    assert_eq!(refused.problem(), (400, "invalid-cards"));
    assert_eq!(refused.body["errors"][0]["line"], 3, "{}", refused.body);
    assert_eq!(refused.body["errors"][0]["column"], "EID");
    assert_eq!(refused.body["field"], "line 3, column EID");
    assert_eq!(refused.body["expected"], refused.body["errors"][0]["expected"]);
    assert!(!refused.body.to_string().contains(KEY));

    let foreign = platform.import(&format!("{HEADER}\n{}\n", line(EID, "umbrella", 1))).await;
    assert_eq!(foreign.problem(), (400, "invalid-cards"));
    assert_eq!(foreign.body["field"], "line 2, column OWNER");
    assert_eq!(platform.import("").await.problem(), (400, "invalid-cards"));
    assert_eq!(platform.import("EID,COLOUR\n").await.problem(), (400, "invalid-cards"));
    assert_eq!(platform.get("/v1/cards").await.body["items"], json!([]), "nothing was imported");

    let undeclared = platform.post("/v1/cards/import", &json!({})).await;
    assert_eq!(undeclared.problem(), (415, "unsupported-media-type"));
    assert_eq!(undeclared.body["expected"], "text/csv");
    let large = platform.import(&"x".repeat(4 * 1024 * 1024 + 1)).await;
    assert_eq!(large.problem(), (413, "body-too-large"));
    let larger_than_other_bodies = platform.import(&"x\n".repeat(64 * 1024)).await;
    assert_eq!(larger_than_other_bodies.problem(), (400, "invalid-cards"));
}

#[tokio::test]
async fn what_a_card_file_does_not_say_is_a_parameter() {
    let platform = Platform::start().await;
    let file =
        format!("eid,imsi,msisdn,kic1,kid1,adm1\n{EID},001010000000001,447700000001,{KEY},{KEY},1234\n");
    let import = async |parameters: &str| {
        let path = format!("/v1/cards/import?{parameters}");
        let request = platform.request(Method::POST, &path).header("content-type", "text/csv");
        answer(request.body(file.clone())).await
    };
    for (parameters, field, expected) in [
        (
            "algorithm=aes",
            "line 1, column PROFILE",
            "the column is missing; `profile` can say it for all lines",
        ),
        ("profile=other", "profile", "a configured profile: airwrite-applet"),
        ("algorithm=rot13", "algorithm", "aes, 3des2, 3des3 or des"),
        ("preset=1", "preset", "yes or no"),
    ] {
        let refused = import(parameters).await;
        assert_eq!((refused.status, &refused.body["field"]), (400, &json!(field)), "{}", refused.body);
        let told = refused.body["expected"].as_str().unwrap();
        assert!(told.starts_with(expected), "{told}");
    }
    let said = "profile=airwrite-applet&algorithm=aes";
    let imported = import(&format!("{said}&ignore=IMSI,MSISDN")).await;
    assert_eq!((imported.status, &imported.body["imported"]), (200, &json!(1)), "{}", imported.body);
    assert_eq!(imported.body["warnings"][0]["column"], "IMSI, MSISDN, ADM1");
    let with_numbers = import(&format!("{said}&preset=yes")).await;
    let reason = with_numbers.body["refused"][0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("differs in preset subscription"), "{reason}");
    assert_eq!(import("colour=green").await.problem(), (400, "invalid-field"));
}

#[tokio::test]
async fn a_binding_that_the_owner_supplies_takes_up_the_waiting_writes() {
    let platform = Platform::start().await;
    let path = format!("/v1/devices/{IMEI}");
    assert_eq!(platform.get(&path).await.problem(), (404, "not-found"));
    let write = platform.order(&order(IMEI, 1)).await.id();
    let waiting = platform.get(&path).await;
    assert_eq!((&waiting.body["waiting"], &waiting.body["card"]), (&json!([write]), &Value::Null));
    assert_eq!(platform.get_as_umbrella(&path).await.status, 404);

    let card = platform.card_on_site(EID).await;
    let supply = |eid: &str| json!({"card": {"eid": eid}});
    let put = |body: Value| answer(platform.request(Method::PUT, &format!("{path}/binding")).json(&body));
    let bound = put(supply(EID)).await;
    assert_eq!((bound.status, &bound.body["card"]), (200, &card.as_str().into()), "{}", bound.body);
    assert_eq!(bound.body["waiting"], json!([]));
    assert_eq!(platform.get(&format!("/v1/writes/{write}")).await.body["card"], card);
    assert_eq!(platform.get(&format!("/v1/cards/{card}")).await.body["binding"]["imei"], IMEI);

    assert_eq!(put(supply(OTHER_EID)).await.problem(), (409, "card-unknown"));
    let wrong = put(supply(&EID.replace("121", "122"))).await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"card.eid".into()));
    let both = put(json!({"card": {"eid": EID, "iccid": "8949001234567890128"}})).await;
    assert_eq!(both.problem(), (400, "invalid-field"));
    let wrong = platform.get("/v1/devices/357805023984943").await;
    assert_eq!((wrong.problem(), &wrong.body["field"]), ((400, "invalid-field"), &"path".into()));
}

#[tokio::test]
async fn cards_are_asked_and_decided_about() {
    let platform = Platform::start().await;
    let card = platform.card_on_site(EID).await;
    assert_eq!(platform.ask(&format!("/v1/cards/{card}/poll")).await.status, 202);
    let path = format!("/v1/cards/{card}/decision");
    let decided = platform.post(&path, &json!({"decision": "accept"})).await;
    assert_eq!(decided.problem(), (409, "nothing-held"));
    let neither = platform.post(&path, &json!({"decision": "perhaps"})).await;
    assert_eq!((neither.problem(), &neither.body["field"]), ((400, "invalid-field"), &"decision".into()));
    for path in ["poll", "decision"] {
        let path = format!("/v1/cards/{card}/{path}");
        let request = platform.request_as(&platform.umbrella, Method::POST, &path);
        let other = answer(request.json(&json!({"decision": "accept"}))).await;
        assert_eq!(other.problem(), (404, "not-found"), "{path}");
    }
}
