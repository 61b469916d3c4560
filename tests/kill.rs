//! `kill -9` of `airwrite serve` at random moments while cards report and orders come in. Afterwards every order is
//! effective, no CNTR had two contents (I3), no write was executed twice and none has two ends (I5).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airwrite::world::{Rng, SeededRng, SystemRng};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const CARDS: usize = 60;
const KILLS: u32 = 32;
/// How long everything may take after the last kill.
const LIMIT: Duration = Duration::from_secs(120);

/// R21: business platform and card-writing platform are programs on an ordinary computer. R24: nothing is
/// lost in a crash.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_random_moments_loses_nothing_and_ends_nothing_twice() {
    let seed = std::env::var("AIRWRITE_SEED")
        .map_or_else(|_| SystemRng.next_u64() >> 32, |seed| seed.parse().unwrap());
    eprintln!("seed {seed} (AIRWRITE_SEED={seed} kills after the same waits)");
    let chance = SeededRng::new(seed);
    let heard = Heard::default();
    let site = Site::lay_out(webhook_receiver(heard.clone()).await);
    let _smsc = site.start_smsc();
    let mut serve = site.start_serve();

    let ordering = tokio::spawn(order_all(site.api.clone(), site.token.clone(), site.orders()));
    for _ in 0..KILLS {
        sleep(Duration::from_millis(100 + chance.below(900))).await;
        serve.0.kill().unwrap();
        serve.0.wait().unwrap();
        serve = site.start_serve();
    }
    let writes = tokio::time::timeout(LIMIT, ordering).await.expect("orders are taken").unwrap();
    site.until_effective(&writes).await;

    // What the cards hold.
    site.until_report(|cards| {
        cards.len() == CARDS && cards.iter().all(|card| card["last_state"] == "confirmed")
    })
    .await;
    let cards = site.report();
    for (imei, target) in site.orders() {
        let card =
            cards.iter().find(|card| card["imei"] == imei.as_str()).expect("the device is in the report");
        assert_eq!(card["ef_imsi"], target["imsi"], "{card:#}");
        assert_eq!(card["attached"], target["imsi"], "{card:#}");
        assert_eq!(card["cntr_conflicts"], json!([]), "I3: {card:#}");
        let executed = card["executed"].as_object().unwrap();
        assert!(executed.values().all(|times| times == 1), "executed once: {card:#}");
    }
    // What the owner was told.
    let told = Instant::now();
    while heard.ends().len() < CARDS && told.elapsed() < LIMIT {
        sleep(Duration::from_millis(100)).await;
    }
    for write in &writes {
        let ends = heard.ends().remove(write).unwrap_or_default();
        assert_eq!(ends.len(), 1, "I5: {write}: {ends:?}");
        assert_eq!(ends.first().map(|(kind, _)| kind.as_str()), Some("write.effective"));
    }
    site.stop_in_order(serve);
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files, ports and keys of one installation.
struct Site {
    directory: tempfile::TempDir,
    smsc: String,
    api: String,
    token: String,
}

impl Site {
    fn lay_out(webhook: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (smsc, api) = (free_address(), free_address());
        let site = Self { directory, smsc, api: format!("http://{api}"), token: String::new() };
        let count = CARDS.to_string();
        site.run(&[
            "cards",
            "sample",
            "--count",
            &count,
            "--out",
            "cards.csv",
            "--subscriptions-out",
            "targets.csv",
        ]);
        site.run(&["keys", "master", "--out", "master.key"]);
        let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles/airwrite-applet.toml");
        let config = format!(
            r#"
            profiles = [{profile:?}]
            store.directory = "store"
            vault.master_key_file = "master.key"
            api.listen = "{api}"
            log.level = "warn"
            timers.back_off_s = 1
            [[link]]
            name = "smsc"
            address = "{smsc}"
            system_id = "airwrite"
            password = "secret"
            source = {{ digits = "10690", ton = 3, npi = 0 }}
            [[route]]
            name = "all"
            links = ["smsc"]
            [[webhook]]
            name = "shop"
            owner = "default"
            url = "{webhook}"
            secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
            allow_private = true
            "#,
            smsc = site.smsc,
        );
        fs::write(site.path("airwrite.toml"), config).unwrap();
        site.run(&["cards", "import", "cards.csv", "--config", "airwrite.toml"]);
        let key = site.run(&["keys", "create", "--owner", "default", "--json", "--config", "airwrite.toml"]);
        let key: Value = serde_json::from_str(&key).unwrap();
        Self { token: key["token"].as_str().expect("a token").to_owned(), ..site }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airwrite"));
        command.current_dir(self.directory.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn start_smsc(&self) -> Process {
        let arguments = [
            "smsc",
            "--listen",
            &self.smsc,
            "--cards",
            "cards.csv",
            "--subscribers",
            "targets.csv",
            "--report",
            "report.json",
            "--quiet",
        ];
        Process(self.command(&arguments).stdout(Stdio::null()).spawn().unwrap())
    }

    fn start_serve(&self) -> Process {
        Process(self.command(&["serve", "--config", "airwrite.toml"]).spawn().unwrap())
    }

    /// IMEI and subscription of every order: the devices are numbered as the cards are.
    fn orders(&self) -> Vec<(String, Value)> {
        let targets = fs::read_to_string(self.path("targets.csv")).unwrap();
        let targets = targets.lines().skip(1).map(|line| line.split_once(',').expect("IMSI,MSISDN"));
        (1..)
            .zip(targets)
            .map(|(number, (imsi, msisdn))| {
                let imei = airwrite::cli::sample::device_imei(number).unwrap().to_string();
                (imei, json!({ "imsi": imsi, "msisdn": msisdn }))
            })
            .collect()
    }

    /// The cards of the operator's last report.
    fn report(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("report.json")).unwrap_or_default();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        report["cards"].as_array().cloned().unwrap_or_default()
    }

    async fn until_report(&self, done: impl Fn(&[Value]) -> bool) {
        let end = Instant::now() + LIMIT;
        while !done(&self.report()) {
            assert!(Instant::now() < end, "{:#?}", self.report());
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn until_effective(&self, writes: &[String]) {
        let http = reqwest::Client::new();
        let end = Instant::now() + LIMIT;
        for write in writes {
            loop {
                let request = http.get(format!("{}/v1/writes/{write}", self.api)).bearer_auth(&self.token);
                let view: Value = match request.send().await {
                    Ok(answer) => answer.json().await.unwrap_or_default(),
                    Err(_) => Value::Null,
                };
                if view["state"] == "effective" {
                    break;
                }
                assert!(Instant::now() < end, "{view:#}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Ends `serve` as an init system does.
    fn stop_in_order(&self, mut serve: Process) {
        let pid = serve.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(serve.0.wait().unwrap().success(), "serve ends well when it is asked to");
    }
}

/// Places every order until it is taken, over about as long as the kills go on.
async fn order_all(api: String, token: String, orders: Vec<(String, Value)>) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut writes = Vec::new();
    for (imei, subscription) in orders {
        let body = json!({ "device": { "imei": imei }, "subscription": subscription });
        loop {
            let request = http
                .post(format!("{api}/v1/writes"))
                .bearer_auth(&token)
                .header("Idempotency-Key", format!("order-{imei}"))
                .json(&body);
            match request.send().await {
                Ok(answer) if answer.status() == 202 => {
                    let view: Value = answer.json().await.unwrap_or_default();
                    if let Some(id) = view["id"].as_str() {
                        writes.push(id.to_owned());
                        break;
                    }
                }
                Ok(answer) if answer.status().is_server_error() => {}
                Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(_) => {}
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(300)).await;
    }
    writes
}

/// Ends by write: the types and ids of the events that told them.
type Ends = BTreeMap<String, BTreeSet<(String, String)>>;

/// What the webhooks told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Ends>>);

impl Heard {
    fn ends(&self) -> Ends {
        self.0.lock().unwrap().clone()
    }
}

async fn webhook_receiver(heard: Heard) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(take)).with_state(heard);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn take(State(heard): State<Heard>, Json(event): Json<Value>) {
    const ENDS: [&str; 6] = ["effective", "failed", "rolled_back", "cancelled", "expired", "unresolved"];
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    if let (Some(end), Some(write)) = (kind.strip_prefix("write."), event["data"]["write"].as_str())
        && ENDS.contains(&end)
    {
        let id = event["data"]["id"].as_str().unwrap_or_default().to_owned();
        heard.0.lock().unwrap().entry(write.to_owned()).or_default().insert((kind, id));
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
