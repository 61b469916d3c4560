//! The card look-up over HTTP: signed, tried again, kept for a while.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airwrite::api::{HttpLookup, LookupConfig};
use airwrite::gateway::{CardLookup, CardRef};
use airwrite::identity::{EidChecksum, Imei};
use airwrite::world::{SeededRng, SystemClock};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use tokio::net::TcpListener;

use crate::platform::{EID, ICCID, IMEI, Options, Platform, order};

const KEY: [u8; 32] = [0x5A; 32];

/// A business platform that gives the answers in turn, the last one from then on.
struct Platforms {
    config: LookupConfig,
    asked: Arc<AtomicU32>,
}

async fn business(answers: &[(u16, String)]) -> Platforms {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/cards", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let (count, answers) = (Arc::clone(&asked), Arc::new(Mutex::new(answers.to_vec())));
    let answer = move |headers: HeaderMap, body: String| {
        let header = |name: &str| headers[name].to_str().unwrap();
        assert!(header("webhook-id").starts_with("lkp_"));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
        mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        assert_eq!(
            header("webhook-signature"),
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        );
        assert_eq!(body, json!({"imei": IMEI}).to_string());
        count.fetch_add(1, Ordering::Relaxed);
        let mut answers = answers.lock().unwrap();
        let (status, text) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        async move { (StatusCode::from_u16(status).unwrap(), text) }
    };
    let routes = Router::new().route("/cards", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let secret = format!("whsec_{}", STANDARD.encode(KEY)).into();
    let config = LookupConfig { owner: "acme".parse().unwrap(), url, secret, allow_private: true };
    Platforms { config, asked }
}

fn look_up(config: &LookupConfig) -> HttpLookup {
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SeededRng::new(3)));
    HttpLookup::new(std::slice::from_ref(config), EidChecksum::Reject, clock, rng).unwrap()
}

fn imei() -> Imei {
    IMEI.parse().unwrap()
}

#[tokio::test]
async fn an_answer_is_believed_and_kept() {
    let owner = "acme".parse().unwrap();
    for (body, card) in [
        (json!({"eid": EID}), CardRef::Eid(EID.parse().unwrap())),
        (json!({"iccid": ICCID}), CardRef::Iccid(ICCID.parse().unwrap())),
    ] {
        let business = business(&[(200, body.to_string())]).await;
        let lookup = look_up(&business.config);
        assert_eq!(lookup.look_up(&owner, imei()).await, Ok(Some(card)));
        assert_eq!(lookup.look_up(&owner, imei()).await, Ok(Some(card)));
        assert_eq!(business.asked.load(Ordering::Relaxed), 1, "it was kept");
    }
    let business = business(&[(404, String::new())]).await;
    let lookup = look_up(&business.config);
    assert_eq!(lookup.look_up(&owner, imei()).await, Ok(None));
    assert_eq!(lookup.look_up(&owner, imei()).await, Ok(None));
    assert_eq!(business.asked.load(Ordering::Relaxed), 1);
    assert_eq!(lookup.look_up(&"umbrella".parse().unwrap(), imei()).await, Ok(None), "it has no look-up");
    assert_eq!(business.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_may_pass_is_asked_again() {
    let right = json!({"eid": EID}).to_string();
    let business = business(&[(500, String::new()), (429, String::new()), (200, right)]).await;
    let found = look_up(&business.config).look_up(&"acme".parse().unwrap(), imei()).await;
    assert_eq!(found, Ok(Some(CardRef::Eid(EID.parse().unwrap()))));
    assert_eq!(business.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_does_not_pass_is_told_in_a_line_and_not_kept() {
    let wrong_check_digits = json!({"eid": EID.replace("121", "122")}).to_string();
    for (status, body, asked, told) in [
        (503, String::new(), 3, "answered 503"),
        (401, String::new(), 1, "answered 401"),
        (302, String::new(), 1, "answered 302"),
        (200, "{".into(), 1, "not valid JSON"),
        (200, json!({"imei": IMEI}).to_string(), 1, "expected `eid` or `iccid`"),
        (200, wrong_check_digits, 1, "check digits"),
        (200, "x".repeat(5000), 1, "more than 4096 octets"),
    ] {
        let business = business(&[(status, body)]).await;
        let lookup = look_up(&business.config);
        let error = lookup.look_up(&"acme".parse().unwrap(), imei()).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("127.0.0.1"), "{error}");
        assert_eq!(business.asked.load(Ordering::Relaxed), asked, "{told}");
    }
}

#[tokio::test]
async fn wrong_configurations_are_refused() {
    let right = business(&[(404, String::new())]).await.config;
    let wrong = |configs: &[LookupConfig]| {
        let made =
            HttpLookup::new(configs, EidChecksum::Reject, Arc::new(SystemClock), Arc::new(SeededRng::new(3)));
        made.unwrap_err().field
    };
    assert_eq!(wrong(&[LookupConfig { allow_private: false, ..right.clone() }]), "url");
    assert_eq!(wrong(&[LookupConfig { secret: "whsec_".into(), ..right.clone() }]), "secret");
    assert_eq!(wrong(&[right.clone(), right.clone()]), "owner");
    assert!(!format!("{right:?}").contains("cards"), "its URL is not shown");
}

#[tokio::test]
async fn a_write_finds_its_card_by_the_look_up() {
    let business = business(&[(200, json!({"eid": EID}).to_string())]).await;
    let options = Options { lookup: Some(Arc::new(look_up(&business.config))), ..Options::default() };
    let platform = Platform::start_on(Arc::default(), options).await;
    let card = platform.card_on_site(EID).await;
    let write = platform.order(&order(IMEI, 1)).await.id();
    let found = tokio::time::timeout(Duration::from_secs(10), async {
        while platform.get(&format!("/v1/writes/{write}")).await.body["card"] != card {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(found.await.is_ok());
}
