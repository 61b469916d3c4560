//! The commands as people and scripts run them: output, exit codes, files.

mod cli_place;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use airwrite::card::Profile;
use airwrite::cli::sample;
use airwrite::gateway::import::{ImportTerms, read_cards};
use airwrite::identity::EidChecksum;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use cli_place::{Place, ROOT, Ran};
use serde_json::{Value, json};

/// The cards of `config/sample` are those that `cards sample` makes, and every reader takes them.
#[test]
fn the_sample_files_are_what_the_command_writes() {
    let place = Place::new();
    let made = place.run(&["cards", "sample", "--out", "cards.csv", "--subscriptions-out", "targets.csv"]);
    assert_eq!((made.code, made.stdout.lines().count()), (0, 2));
    let shipped = |name: &str| fs::read_to_string(Path::new(ROOT).join("config/sample").join(name)).unwrap();
    assert_eq!(fs::read_to_string(place.path("cards.csv")).unwrap(), shipped("cards.csv"));
    assert_eq!(fs::read_to_string(place.path("targets.csv")).unwrap(), shipped("subscribers.csv"));

    let profile = Profile::from_toml(airwrite::config::APPLET_PROFILE).unwrap();
    let profiles = BTreeMap::from([(profile.name.clone(), profile)]);
    let owner = "default".parse().unwrap();
    let terms = ImportTerms::new(&profiles, &owner, EidChecksum::Reject);
    let cards = read_cards(shipped("cards.csv").as_bytes(), &terms).unwrap();
    let triple_des =
        |keys: &airwrite::gateway::import::KeySetRow| keys.algorithm == airwrite::ota::Algorithm::TripleDes2;
    assert_eq!(cards.rows.len(), 10);
    assert_eq!(cards.rows.iter().filter(|row| triple_des(&row.keys[0])).count(), 2);
    assert_eq!(sample::read_targets(shipped("subscribers.csv").as_bytes()).unwrap().len(), 10);
}

#[test]
fn a_master_key_is_never_overwritten() {
    let place = Place::with_key();
    let key = fs::read_to_string(place.path("key")).unwrap();
    let again = place.run(&["keys", "master", "--out", "key"]);
    assert_eq!(again.code, 1);
    assert_eq!(again.stderr, "error: master key file key: File exists (os error 17)\n");
    assert_eq!(fs::read_to_string(place.path("key")).unwrap(), key);
    assert!(!again.stderr.contains(key.trim()));
}

#[test]
fn cards_are_imported_once() {
    let place = Place::with_key();
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let cards = cards.to_str().unwrap();
    let first = place.configured(&["cards", "import", cards]);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (0, "imported 10, already there 0, refused 0\n"),
        "{}",
        first.stderr
    );
    let again = place.configured(&["cards", "import", cards, "--json"]);
    let nothing_odd = json!({
        "imported": 0, "already_there": 10, "refused": [], "warnings": [], "warnings_total": 0, "weak_keys": 0
    });
    assert_eq!(again.json(), nothing_odd);

    let other = fs::read_to_string(cards).unwrap().replacen(",default,", ",acme,", 1);
    fs::write(place.path("other.csv"), other).unwrap();
    let refused = place.configured(&["cards", "import", "other.csv"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, "imported 0, already there 9, refused 1\n"));
    assert!(refused.stderr.starts_with("line 2: crd_"), "{}", refused.stderr);

    // Another master key does not fit the cards that are there.
    assert_eq!(place.run(&["keys", "master", "--out", "key2"]).code, 0);
    fs::rename(place.path("key2"), place.path("key")).unwrap();
    for command in [&["cards", "import", cards][..], &["serve"]] {
        let wrong = place.configured(command);
        assert_eq!(wrong.code, 1);
        let expected = "does not fit the store: key record: sealed under master key ";
        assert!(wrong.stderr.contains(expected), "{}", wrong.stderr);
    }
}

#[test]
fn a_card_file_with_errors_is_not_imported() {
    let place = Place::with_key();
    let text = fs::read_to_string(Path::new(ROOT).join("config/sample/cards.csv")).unwrap();
    fs::write(place.path("cards.csv"), text.replacen(",aes,", ",des,", 2)).unwrap();
    let refused = place.configured(&["cards", "import", "cards.csv"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert_eq!(
        refused.stderr,
        "line 2, column ALG: expected what the profile airwrite-applet allows: aes, 3des2\n\
         line 3, column ALG: expected what the profile airwrite-applet allows: aes, 3des2\n\
         error: cards.csv: nothing was imported\n"
    );
    assert_eq!(place.configured(&["cards", "import", "cards.csv", "--json"]).json()["errors_total"], 2);
    let none = place.configured(&["cards", "import", "absent.csv"]);
    assert_eq!(
        (none.code, none.stderr.starts_with("error: absent.csv: No such file")),
        (1, true),
        "{}",
        none.stderr
    );
}

#[test]
fn files_of_pysim_are_imported_with_what_they_do_not_say() {
    let place = Place::with_key();
    let data = Path::new(ROOT).join("tests/data/pysim");
    let file = |name: &str| data.join(name).to_str().unwrap().to_owned();
    // The applet of the configured profile names its card by the EID.
    let eids = [EID, OTHER_EID].map(|eid| format!("\"{eid}\",\"card A\""));
    let clear = fs::read_to_string(file("cards.csv")).unwrap().replacen("\"card", "\"eid\",\"card", 1);
    let clear =
        clear.replacen("\"card A\"", &eids[0], 1).replacen("\n\"card A\"", &format!("\n{}", eids[1]), 1);
    fs::write(place.path("clear.csv"), clear).unwrap();
    let import = |more: &[&str]| place.configured(&[&["cards", "import", "clear.csv"], more].concat());

    let nothing_said = import(&[]);
    assert_eq!((nothing_said.code, nothing_said.stdout.as_str()), (1, ""));
    assert_eq!(
        nothing_said.stderr,
        "line 1, column PROFILE: the column is missing; `profile` can say it for all lines\n\
         error: clear.csv: nothing was imported\n"
    );
    let wrong = import(&["--profile", "other"]);
    assert_eq!(wrong.stderr, "error: --profile: expected a configured profile: airwrite-applet\n");
    let wrong = import(&["--algorithm", "rot13"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong
            .stderr
            .contains("'rot13' for '--algorithm <NAME>': algorithm: expected aes, 3des2, 3des3 or des"),
        "{}",
        wrong.stderr
    );
    let said = ["--profile", "airwrite-applet", "--algorithm", "aes"];
    assert!(import(&said).stderr.contains("line 2, column IMSI: expected nothing where PRESET is not yes"));

    let imported = import(&[&said[..], &["--preset"]].concat());
    assert_eq!((imported.code, imported.stdout.as_str()), (0, "imported 2, already there 0, refused 0\n"));
    assert!(imported.stderr.starts_with("warning: line 1, column CARD_TYPE_ID, "), "{}", imported.stderr);
    let numberless = import(&[&said[..], &["--ignore", "IMSI,msisdn", "--json"]].concat()).json();
    let reason = numberless["refused"][0]["reason"].as_str().unwrap();
    assert!(reason.ends_with(" differs in preset subscription"), "{reason}");
    assert_eq!((&numberless["warnings_total"], &numberless["weak_keys"]), (&json!(1), &json!(0)));
}

const EID: &str = "89034011560010000000000000000121";
const OTHER_EID: &str = "89001012012341234012345678901224";

#[test]
fn column_keys_come_in_a_file_and_are_never_shown() {
    let place = Place::with_key();
    let key = "00112233445566778899aabbccddeeff";
    let cards = format!(
        "EID,PROFILE,ALG,KIC,KID\n{EID},airwrite-applet,aes,eae46224fa0a4ac1c12cba9d102f1188,3f14b978ddb38c08d832d4e4c2e0639d\n"
    );
    fs::write(place.path("cards.csv"), cards).unwrap();
    let import = |keys: &str| {
        fs::write(place.path("keys.txt"), keys).unwrap();
        place.configured(&["cards", "import", "cards.csv", "--column-keys", "keys.txt"])
    };
    let wrong = import(&format!("KIC1:{key}\nKID1{key}\n"));
    assert_eq!(
        (wrong.code, wrong.stderr.as_str()),
        (1, "error: column keys keys.txt: line 2: expected COLUMN:KEY\n")
    );
    let imported = import(&format!("KIC:{key}\nKID:{key}\n"));
    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""));
    // The same keys in clear are the same cards.
    let clear = format!(
        "EID,PROFILE,ALG,KIC1,KID1\n{EID},airwrite-applet,aes,F09C43EE1A0391665CC9F05AF4E0BD10,01981F4A20999F62AF99988007BAF6CA\n"
    );
    fs::write(place.path("clear.csv"), clear).unwrap();
    let again = place.configured(&["cards", "import", "clear.csv"]);
    assert_eq!(again.stdout, "imported 0, already there 1, refused 0\n");
    let absent = place.configured(&["cards", "import", "clear.csv", "--column-keys", "absent"]);
    assert!(absent.stderr.starts_with("error: column keys absent: No such file"), "{}", absent.stderr);
}

#[test]
fn weak_keys_are_told_and_counted() {
    let place = Place::with_key();
    let (zero, equal) = ("00".repeat(16), "0102030405060708".repeat(2));
    let cards = format!(
        "EID,PROFILE,ALG,KIC1,KID1\n{EID},airwrite-applet,3des2,{equal},{zero}\n{OTHER_EID},airwrite-applet,aes,{equal},{zero}\n"
    );
    fs::write(place.path("cards.csv"), cards).unwrap();
    let told = place.configured(&["cards", "import", "cards.csv"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "imported 2, already there 0, refused 0\n"));
    assert_eq!(
        told.stderr,
        "warning: line 2, column KIC1, KID1: a weak key: all zero, equal parts, or known as weak for DES\n\
         warning: line 3, column KID1: a weak key: all zero, equal parts, or known as weak for DES\n\
         warning: 2 cards have weak keys; taken all the same\n"
    );
    let json = place.configured(&["cards", "import", "cards.csv", "--json"]).json();
    assert_eq!((&json["weak_keys"], &json["warnings"][1]["column"]), (&json!(2), &json!("KID1")));
}

#[test]
fn a_wrong_configuration_ends_with_2_and_says_where() {
    let place = Place::new();
    let without_key = place.configured(&["serve"]);
    assert_eq!(without_key.code, 1);
    assert!(
        without_key.stderr.contains("make one with `airwrite keys master --out "),
        "{}",
        without_key.stderr
    );

    let config = fs::read_to_string(place.path("airwrite.toml")).unwrap();
    fs::write(place.path("airwrite.toml"), format!("{config}[stroe]\n")).unwrap();
    let wrong = place.configured(&["serve"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.starts_with("error: airwrite.toml:5: unknown field `stroe`"), "{}", wrong.stderr);
    assert_eq!(place.run(&["serve", "--confg", "x"]).code, 2);
    let absent = place.run(&["serve", "--config", "absent.toml"]);
    assert_eq!((absent.code, absent.stderr.starts_with("error: absent.toml: No such file")), (2, true));
}

#[test]
fn api_keys_are_made_listed_and_revoked() {
    let place = Place::with_key();
    let made = place.configured(&["keys", "create", "--owner", "acme", "--name", "console", "--json"]).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with(&format!("aw_{id}_")));
    let plain = place.configured(&["keys", "create"]);
    assert!(plain.stdout.starts_with("aw_key_") && plain.stdout.lines().count() == 1, "{}", plain.stdout);
    assert_eq!(place.configured(&["keys", "revoke", id]).code, 0);
    let listed = place.configured(&["keys", "list", "--json"]);
    assert!(!listed.stdout.contains(token));
    let listed = listed.json();
    let listed = listed.as_array().unwrap();
    let revoked: Vec<_> =
        listed.iter().filter(|key| key["revoked"] == true).map(|key| &key["owner"]).collect();
    assert_eq!((listed.len(), revoked), (2, vec![&json!("acme")]));
    assert_eq!(place.configured(&["keys", "revoke", "key_0"]).code, 1);
}

#[test]
fn serve_holds_its_store_and_ends_when_asked() {
    let place = Place::with_key();
    let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
    let second = place.configured(&["keys", "list"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("held by another process; stop that process"), "{}", second.stderr);
    assert_eq!(serving.end("-TERM"), 0);
    assert_eq!(place.configured(&["keys", "list"]).code, 0);
}

#[test]
fn a_taken_port_is_named() {
    let place = Place::with_key();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = fs::read_to_string(place.path("airwrite.toml")).unwrap().replace("127.0.0.1:0", &address);
    fs::write(place.path("airwrite.toml"), config).unwrap();
    let serve = place.configured(&["serve"]);
    assert_eq!(serve.code, 1);
    assert!(serve.stderr.starts_with(&format!("error: HTTP API on {address}")), "{}", serve.stderr);
    assert!(serve.stderr.contains("in use"), "{}", serve.stderr);
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let smsc = place.run(&["smsc", "--listen", &address, "--cards", cards.to_str().unwrap()]);
    assert_eq!((smsc.code, smsc.stderr.contains("in use")), (1, true), "{}", smsc.stderr);
}

#[test]
fn the_simulated_operator_reports_its_cards() {
    let place = Place::new();
    let sample = Path::new(ROOT).join("config/sample");
    let (cards, subscribers) = (sample.join("cards.csv"), sample.join("subscribers.csv"));
    let arguments = [
        "smsc",
        "--listen",
        "127.0.0.1:0",
        "--report",
        "report.json",
        "--power-on",
        "3",
        "--seed",
        "1",
        "--cards",
        cards.to_str().unwrap(),
        "--subscribers",
        subscribers.to_str().unwrap(),
    ];
    let running = place.start(&arguments, "SMSC on 127.0.0.1:");
    let lines = Arc::clone(&running.lines);
    assert_eq!(running.end("-INT"), 0);
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.starts_with("357805020000015  89001012000000000000000000000150")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.contains("10 cards, 3 switched on, 10 subscriptions to order")));
    let report: Value = serde_json::from_slice(&fs::read(place.path("report.json")).unwrap()).unwrap();
    let cards = report["cards"].as_array().unwrap();
    let on = cards.iter().filter(|card| card["on"] == true).count();
    assert_eq!((cards.len(), on, cards[0]["ef_imsi"].as_str()), (10, 3, Some("001011000000001")));
}

/// An API that is busy at first and then brings the write to `end`. Gives its address and the idempotency keys it saw.
async fn api(end: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&keys);
    let order = async move |headers: HeaderMap, Json(body): Json<Value>| {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("authorization"), "Bearer aw_token");
        let expected = json!({
            "device": { "imei": "357805020000015" },
            "subscription": { "imsi": "001012000000001", "msisdn": "861064200000001" },
        });
        assert_eq!(body, expected);
        let mut keys = seen.lock().unwrap();
        keys.push(text("idempotency-key"));
        if keys.len() == 1 {
            return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "title": "The platform is busy" })));
        }
        (StatusCode::ACCEPTED, Json(json!({ "id": "wrt_1", "state": "queued" })))
    };
    let show = async move || Json(json!({ "id": "wrt_1", "state": end, "reason": "why" }));
    let router = Router::new().route("/v1/writes", post(order)).route("/v1/writes/wrt_1", get(show));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, keys)
}

async fn write(url: &str, more: &[&str]) -> Ran {
    let place = Place::new();
    let order = [
        "write",
        "--api",
        url,
        "--key",
        "aw_token",
        "--imei",
        "357805020000015",
        "--imsi",
        "001012000000001",
        "--msisdn",
        "+861064200000001",
    ];
    let mut command = place.command(&[&order, more].concat());
    // The server under test runs on this runtime's other threads.
    Ran::of(tokio::task::block_in_place(|| command.output().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_ordered_once_and_followed_to_its_end() {
    let (url, keys) = api("effective").await;
    let ran = write(&url, &["--wait"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "wrt_1 queued\nwrt_1 effective\n"), "{}", ran.stderr);
    let keys = keys.lock().unwrap();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 32, "one order, sent twice: {keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_effective_is_success() {
    let (url, _) = api("rolled_back").await;
    let ran = write(&url, &["--wait", "--json"]).await;
    assert_eq!((ran.code, ran.json()["state"].as_str()), (1, Some("rolled_back")));
    assert_eq!(ran.stderr, "wrt_1 is rolled_back: why\n");
    assert_eq!(write(&url, &[]).await.code, 0, "accepted is all that was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_says_why() {
    let refuse =
        async || (StatusCode::CONFLICT, Json(json!({ "title": "In use", "field": "subscription.imsi" })));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/writes", post(refuse))).await });
    let ran = write(&url, &["--wait"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "error: In use (subscription.imsi)\n"));
    assert_eq!(write(&url, &["--iccid", "12"]).await.code, 2, "what is no ICCID is not sent");
}
