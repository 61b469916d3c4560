//! `airwrite serve` as it is installed: a program with a configuration, spoken to over HTTP.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use airwrite::cli::sample::{Sample, Target, write_cards};
use airwrite::identity::Imei;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::cli_place::{Place, ROOT, Running};
use crate::until;

pub(crate) const SYSTEM_ID: &str = "airwrite";
pub(crate) const PASSWORD: &str = "secret";

pub(crate) struct Platform {
    serving: Option<Running>,
    api: String,
    token: String,
    http: reqwest::Client,
    place: Place,
}

impl Platform {
    /// Imports the cards and starts; its only link goes to `smsc`, with `keys` more in its table.
    pub(crate) fn start(smsc: SocketAddr, sample: &Sample, keys: &str) -> Self {
        let place = Place::with_key();
        let profile = Path::new(ROOT).join("config/profiles/airwrite-applet.toml");
        let config = format!(
            r#"
            profiles = [{profile:?}]
            store.directory = "store"
            vault.master_key_file = "key"
            api.listen = "127.0.0.1:0"
            timers.back_off_s = 1
            [[link]]
            name = "smsc"
            address = "{smsc}"
            system_id = "{SYSTEM_ID}"
            password = "{PASSWORD}"
            source = {{ digits = "10690", ton = 3, npi = 0 }}
            enquire_link_ms = 1000
            reconnect_first_ms = 50
            capture = {{ directory = "captures" }}
            {keys}
            [[route]]
            name = "all"
            links = ["smsc"]
            "#
        );
        fs::write(place.path("airwrite.toml"), config).unwrap();
        write_cards(&sample.cards, File::create(place.path("cards.csv")).unwrap()).unwrap();
        let imported = place.configured(&["cards", "import", "cards.csv"]);
        assert_eq!(imported.code, 0, "{}", imported.stderr);
        let key = place.configured(&["keys", "create", "--json"]).json();
        fs::create_dir(place.path("captures")).unwrap();
        let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
        let line = serving.line("airwrite serves");
        let (_, api) = line.split_once("http://").expect("the address of the API");
        let api = format!("http://{}", api.trim_end_matches('"'));
        let token = key["token"].as_str().expect("a token").to_owned();
        Self { serving: Some(serving), api, token, http: reqwest::Client::new(), place }
    }

    /// Orders the subscription for the device and gives the id of the write.
    pub(crate) async fn order(&self, imei: Imei, target: &Target) -> String {
        let subscription = json!({ "imsi": target.imsi, "msisdn": target.msisdn });
        let order =
            json!({ "device": { "imei": imei }, "subscription": subscription, "require_bound": true });
        let request = self.http.post(format!("{}/v1/writes", self.api)).bearer_auth(&self.token);
        let answer = request.header("Idempotency-Key", "order").json(&order).send().await.unwrap();
        let status = answer.status();
        let view: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{view:#}");
        view["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until the write has this state.
    pub(crate) async fn until_state(&self, write: &str, state: &str) -> Value {
        until(&format!("the write becomes {state}"), async || {
            let view = self.get(&format!("/v1/writes/{write}")).await;
            (view["state"] == state).then_some(view)
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.api)).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Asks the program to end; gives its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let serving = self.serving.take().expect("it runs");
        tokio::task::block_in_place(|| serving.end("-TERM"))
    }

    /// What the link has recorded.
    pub(crate) fn capture(&self) -> PathBuf {
        self.place.path("captures/smsc-00000001.pcapng")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.as_ref().filter(|_| std::thread::panicking()) {
            eprintln!("== airwrite serve\n{}", serving.lines.lock().unwrap().join("\n"));
        }
    }
}
