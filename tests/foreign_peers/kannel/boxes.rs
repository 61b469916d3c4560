//! Kannel: bearerbox with its SMPP, smsbox with its HTTP, and whoever smsbox tells what has come.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use airwrite::identity::Msisdn;
use airwrite::link::BindKind;
use airwrite::ota::KeySet;
use airwrite::sim::CardSpec;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::platform::Heard;
use crate::process::Process;
use crate::{PATIENCE, until};

pub(super) const SYSTEM_ID: &str = "kannel";
pub(super) const PASSWORD: &str = "secret";

/// Bearerbox and smsbox, bound.
pub(super) struct Boxes {
    sendsms: String,
    receipts: String,
    http: reqwest::Client,
    told: mpsc::UnboundedReceiver<Told>,
    receiver: AbortHandle,
    bearerbox: Option<Process>,
    _smsbox: Process,
    _directory: tempfile::TempDir,
}

/// What smsbox tells by HTTP.
#[derive(Debug)]
enum Told {
    Message(HeaderMap, Bytes),
    Receipt(Receipt),
}

#[derive(Debug, Deserialize)]
struct Receipt {
    status: u8,
}

impl Boxes {
    /// Bound to `smsc`, with TLS or without.
    pub(super) async fn start(smsc: SocketAddr, bind: BindKind, tls: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        let (platform, receiver) = receive(tell).await;
        let ports = free_ports();
        let config = directory.path().join("kannel.conf");
        let connections = connections(smsc, bind, tls);
        fs::write(&config, configuration(directory.path(), &connections, ports, &platform)).unwrap();
        let [admin, smsbox, sendsms] = ports.map(|port| format!("127.0.0.1:{port}"));
        let start = |program: &str| {
            let log = directory.path().join(format!("{program}.log"));
            Process::start(Command::new(program).arg("-v").arg("1").arg(&config), log)
        };

        let mut bearerbox_process = start("bearerbox");
        until("bearerbox listens", async || {
            bearerbox_process.assert_runs();
            TcpStream::connect(&smsbox).await.ok()
        })
        .await;
        let mut smsbox_process = start("smsbox");
        let http = reqwest::Client::new();
        let status = format!("http://{admin}/status.txt?password={PASSWORD}");
        until("Kannel is bound", async || {
            smsbox_process.assert_runs();
            let status = http.get(&status).send().await.ok()?.text().await.ok()?;
            (status.contains("(online") && status.contains("smsbox:")).then_some(())
        })
        .await;
        until("smsbox listens", async || TcpStream::connect(&sendsms).await.ok()).await;
        Self {
            sendsms: format!("http://{sendsms}/cgi-bin/sendsms"),
            receipts: format!("{platform}/receipt?status=%d"),
            http,
            told,
            receiver,
            bearerbox: Some(bearerbox_process),
            _smsbox: smsbox_process,
            _directory: directory,
        }
    }

    /// Asks bearerbox to end, which unbinds.
    pub(super) fn end(mut self) {
        let bearerbox = self.bearerbox.take().expect("it runs");
        tokio::task::block_in_place(|| bearerbox.end());
    }

    /// Hands a command packet to smsbox as binary message of class 2 to a card, and wants a receipt.
    pub(super) async fn send(&self, to: &Msisdn, packet: &[u8]) {
        let request = self.http.post(&self.sendsms).body(packet.to_vec());
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("X-Kannel-Username", SYSTEM_ID),
            ("X-Kannel-Password", PASSWORD),
            ("X-Kannel-From", CardSpec::SHORT_CODE),
            ("X-Kannel-To", to.as_str()),
            ("X-Kannel-UDH", "027000"),
            ("X-Kannel-Coding", "1"),
            ("X-Kannel-MClass", "2"),
            ("X-Kannel-Alt-DCS", "1"),
            ("X-Kannel-PID", "127"),
            ("X-Kannel-DLR-Mask", "3"),
            ("X-Kannel-DLR-Url", &self.receipts),
        ];
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 202, "{}", answer.text().await.unwrap());
    }

    /// The next thing that smsbox tells.
    pub(super) async fn heard(&mut self, keys: &KeySet) -> Heard {
        match timeout(PATIENCE, self.told.recv()).await.expect("something from Kannel").unwrap() {
            Told::Receipt(Receipt { status }) => Heard::Receipt { status },
            Told::Message(headers, body) => {
                let header =
                    |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
                assert_eq!(header("X-Kannel-To"), CardSpec::SHORT_CODE);
                assert_eq!((header("X-Kannel-Coding"), header("X-Kannel-MClass")), ("1", "2"), "{headers:?}");
                assert_eq!((header("X-Kannel-PID"), header("X-Kannel-Alt-DCS")), ("127", "1"), "{headers:?}");
                let from = header("X-Kannel-From").trim_start_matches('+').parse().unwrap();
                Heard::of_sm(from, header("X-Kannel-UDH"), &body, keys)
            }
        }
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

fn configuration(
    directory: &Path,
    connections: &str,
    [admin, smsbox, sendsms]: [u16; 3],
    platform: &str,
) -> String {
    let store = directory.display();
    format!(
        r#"
group = core
admin-port = {admin}
admin-password = {PASSWORD}
smsbox-port = {smsbox}
box-allow-ip = "127.0.0.1"
sms-resend-freq = 1
store-type = file
store-location = "{store}/store"

{connections}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}

group = sendsms-user
username = {SYSTEM_ID}
password = {PASSWORD}

group = sms-service
keyword = default
catch-all = true
max-messages = 0
send-sender = true
post-url = "{platform}/message"
"#
    )
}

/// The SMPP sessions of bearerbox.
fn connections(smsc: SocketAddr, bind: BindKind, tls: bool) -> String {
    let port = smsc.port();
    let connection = |bind: &str| connection(smsc, bind, tls);
    match bind {
        BindKind::Trx => connection(&format!("port = {port}\ntransceiver-mode = true")),
        BindKind::TxRx => {
            ["port", "receive-port"].map(|kind| connection(&format!("{kind} = {port}"))).concat()
        }
    }
}

fn connection(smsc: SocketAddr, bind: &str, tls: bool) -> String {
    format!(
        r#"
group = smsc
smsc = smpp
smsc-id = operator
host = {host}
{bind}
smsc-username = {SYSTEM_ID}
smsc-password = {PASSWORD}
system-type = ""
interface-version = 34
source-addr-ton = 3
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1
use-ssl = {tls}
enquire-link-interval = 1
"#,
        host = smsc.ip(),
    )
}

/// Where smsbox tells what has come.
async fn receive(tell: mpsc::UnboundedSender<Told>) -> (String, AbortHandle) {
    type Tell = State<mpsc::UnboundedSender<Told>>;
    let message = async |State(tell): Tell, headers: HeaderMap, body: Bytes| {
        let _ = tell.send(Told::Message(headers, body));
    };
    let receipt = async |State(tell): Tell, Query(receipt): Query<Receipt>| {
        let _ = tell.send(Told::Receipt(receipt));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router =
        Router::new().route("/message", post(message)).route("/receipt", get(receipt)).with_state(tell);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    (url, serving.abort_handle())
}

/// Three ports of this machine that nobody listens on.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
