//! What `serve` and the commands around it refuse, each in a line that says what to do.

mod cli_place;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use airwrite::store::{Commit, SledStore, Store, StoreConfig, Unguarded, keys};
use cli_place::{Place, ROOT, Running, pause};
use serde_json::Value;

/// Asks a running `serve` whether it is ready: the status and the body.
fn readiness(api: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(api.parse::<SocketAddr>().unwrap()).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Waits until `serve` says something else than that it is still connecting.
fn settled(api: &str) -> (u16, Value) {
    for _ in 0..100 {
        let (status, body) = readiness(api);
        if !body.to_string().contains("not bound yet") {
            return (status, body);
        }
        pause();
    }
    panic!("still connecting: {:?}", readiness(api));
}

fn api_of(serving: &Running) -> String {
    let line = serving.line("airwrite serves");
    line.split("http://")
        .nth(1)
        .unwrap()
        .chars()
        .take_while(|c| *c == '.' || *c == ':' || c.is_ascii_digit())
        .collect()
}

fn start_smsc(place: &Place, password: &str) -> (Running, String) {
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let arguments = [
        "smsc",
        "--listen",
        "127.0.0.1:0",
        "--quiet",
        "--power-on",
        "0",
        "--password",
        password,
        "--cards",
        cards.to_str().unwrap(),
    ];
    let smsc = place.start(&arguments, "SMSC on ");
    let line = smsc.line("SMSC on ");
    (smsc, line["SMSC on ".len()..].split(": ").next().unwrap().to_owned())
}

fn add_link(place: &Place, smsc: &str, password: &str) {
    let mut config = fs::read_to_string(place.path("airwrite.toml")).unwrap();
    config.push_str(&format!(
        "[[link]]\nname = \"north\"\naddress = \"{smsc}\"\nsystem_id = \"airwrite\"\npassword = \"{password}\"\n\
         [[route]]\nname = \"all\"\nlinks = [\"north\"]\n"
    ));
    fs::write(place.path("airwrite.toml"), config).unwrap();
}

#[test]
fn a_wrong_smpp_password_is_told_by_readiness_and_log() {
    let place = Place::with_key();
    let (_smsc, address) = start_smsc(&place, "right");
    add_link(&place, &address, "wrong");
    let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
    let (status, body) = settled(&api_of(&serving));
    assert_eq!(status, 503);
    let reasons = body["reasons"].as_array().unwrap_or_else(|| panic!("{body}"));
    assert_eq!(reasons[0]["part"], "link north");
    let reason = reasons[0]["reason"].as_str().unwrap();
    assert!(reason.contains("refuses the bind") && reason.contains("ESME_RINVPASWD"), "{reason}");
    let logged = serving.line("bind refused");
    assert!(logged.contains("north") && logged.contains("ESME_RINVPASWD"), "{logged}");
    assert!(
        !serving.lines.lock().unwrap().iter().any(|line| line.contains("wrong")),
        "no password in the log"
    );
    assert_eq!(serving.end("-TERM"), 0);
}

#[test]
fn a_refused_link_tries_again_at_sighup() {
    let place = Place::with_key();
    let (smsc, address) = start_smsc(&place, "right");
    // The password is right in the configuration, and wrong at the SMSC for now.
    smsc.end("-TERM");
    let port = address.rsplit(':').next().unwrap();
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let start = |password| {
        let listen = format!("127.0.0.1:{port}");
        place.start(
            &[
                "smsc",
                "--listen",
                &listen,
                "--quiet",
                "--power-on",
                "0",
                "--password",
                password,
                "--cards",
                cards.to_str().unwrap(),
            ],
            "SMSC on ",
        )
    };
    let smsc = start("other");
    add_link(&place, &address, "right");
    let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
    let api = api_of(&serving);
    assert_eq!(settled(&api).0, 503);
    smsc.end("-TERM");
    let _smsc = start("right");
    serving.signal("-HUP");
    assert!(serving.line("resumed by SIGHUP").contains("north"));
    assert_eq!(settled(&api).0, 200);
    assert_eq!(serving.end("-TERM"), 0);
}

#[test]
fn a_second_process_on_the_store_is_told_whom_to_stop() {
    let place = Place::with_key();
    let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
    for command in [&["serve"][..], &["keys", "list"]] {
        let second = place.configured(command);
        assert_eq!(second.code, 1);
        assert!(second.stderr.contains("held by another process; stop that process"), "{}", second.stderr);
    }
    assert_eq!(serving.end("-TERM"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_version_is_left_alone() {
    let place = Place::with_key();
    let config = StoreConfig::in_directory(place.path("store"));
    let store = SledStore::open(&config, std::sync::Arc::new(|_| ())).await.unwrap();
    let mut commit = Commit::new();
    commit.put(keys::Meta::StoreVersion.key(), Unguarded::encode(&9_u32.to_be_bytes()));
    store.commit(commit).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    for command in [&["serve"][..], &["keys", "list"]] {
        let refused = tokio::task::block_in_place(|| place.configured(command));
        assert_eq!(refused.code, 1);
        let line = refused.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("error: store ") && line.contains('9') && line.contains('1'), "{line}");
        assert!(line.ends_with("use the program that wrote it, or another [store] directory"), "{line}");
    }
}

#[test]
fn a_wrong_look_up_says_which_field() {
    let place = Place::with_key();
    let mut config = fs::read_to_string(place.path("airwrite.toml")).unwrap();
    config.push_str("[[lookup]]\nowner = \"acme\"\nurl = \"ftp://x\"\nsecret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"\n");
    fs::write(place.path("airwrite.toml"), config).unwrap();
    let refused = place.configured(&["serve"]);
    assert_eq!(refused.code, 1);
    let line = refused.stderr.lines().last().unwrap_or_default();
    assert!(
        line.starts_with("error: [[lookup]]: ") && line.contains("acme") && line.contains("url"),
        "{line}"
    );
}

#[test]
fn a_fault_plan_that_is_none_is_told_with_its_line() {
    let place = Place::new();
    fs::write(place.path("plan.toml"), "[mt]\nloss = 101\n").unwrap();
    let cards = Path::new(ROOT).join("config/sample/cards.csv");
    let cards = cards.to_str().unwrap();
    let refused = place.run(&["smsc", "--listen", "127.0.0.1:0", "--cards", cards, "--faults", "plan.toml"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.starts_with("error: plan.toml: fault plan: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("line 2") && refused.stderr.contains("0 to 100"), "{}", refused.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = place.run(&["smsc", "--listen", "127.0.0.1:0", "--cards", cards, "--relay", &address]);
    assert_eq!((refused.code, refused.stderr.contains("another --relay")), (1, true), "{}", refused.stderr);
}
