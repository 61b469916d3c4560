//! A message centre on a foreign stack, told what to do line by line: `tests/foreign/smsc.js` and `smsc.py` are its other
//! half.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ChildStdin, Command};

use airwrite::smpp::{Address, CommandStatus, Sm};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::cli_place::ROOT;
use crate::process::Process;

/// Whose code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stack {
    NpmSmpp,
    Smpp34,
}

impl Stack {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NpmSmpp => "npm-smpp",
            Self::Smpp34 => "smpp34",
        }
    }
}

/// The message centre in a process of its own.
pub(crate) struct ForeignSmsc {
    pub(crate) address: SocketAddr,
    input: ChildStdin,
    events: mpsc::UnboundedReceiver<Value>,
    /// What has come while something else was waited for.
    later: VecDeque<Value>,
    last_reference: u64,
    process: Process,
    _directory: tempfile::TempDir,
}

/// A session that somebody has bound.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Bound {
    /// As the stack names it.
    pub(crate) session: Value,
    pub(crate) system_id: String,
    /// Whether it takes deliver_sm.
    pub(crate) receives: bool,
    /// Where the answer waits for us: npm `smpp` leaves it to its user.
    reference: Option<u64>,
    /// What only npm `smpp` tells.
    #[serde(default)]
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) interface_version: u8,
}

/// A submit_sm that waits for its answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Submission {
    pub(crate) session: Value,
    /// Counts the PDUs that wait, or have waited, for an answer.
    pub(crate) reference: u64,
    #[serde(flatten)]
    pub(crate) sm: ForeignSm,
}

/// A short message as the foreign stack reads it, or is to send it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ForeignSm {
    pub(crate) service_type: String,
    /// TON, NPI and digits.
    pub(crate) source: (u8, u8, String),
    pub(crate) destination: (u8, u8, String),
    pub(crate) esm_class: u8,
    pub(crate) protocol_id: u8,
    pub(crate) data_coding: u8,
    pub(crate) registered_delivery: u8,
    /// The whole user data in hexadecimal.
    pub(crate) user_data: String,
    /// The information elements of the user data header, and the validity in seconds, where the stack reads them.
    pub(crate) elements: Option<Vec<String>>,
    pub(crate) validity_s: Option<u64>,
    /// Parameters of a receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipted_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message_state: Option<u8>,
}

impl ForeignSm {
    pub(crate) fn octets(&self) -> Vec<u8> {
        hex::decode(&self.user_data).unwrap()
    }
}

impl From<&Sm> for ForeignSm {
    fn from(sm: &Sm) -> Self {
        let address = |address: &Address| (address.ton, address.npi, address.digits.to_string());
        Self {
            source: address(&sm.source),
            destination: address(&sm.destination),
            esm_class: sm.esm_class.0,
            protocol_id: sm.protocol_id,
            data_coding: sm.data_coding.0,
            registered_delivery: sm.registered_delivery.0,
            user_data: hex::encode(sm.user_data()),
            ..Self::default()
        }
    }
}

impl ForeignSmsc {
    pub(crate) async fn start(stack: Stack) -> Self {
        Self::start_with(stack, &json!({})).await
    }

    /// With what only `smsc.js` can be told at its start.
    pub(crate) async fn start_with(stack: Stack, options: &Value) -> Self {
        let programs = Path::new(ROOT).join("tests/foreign");
        let mut command = match stack {
            Stack::NpmSmpp => {
                let mut node = Command::new("node");
                node.arg(programs.join("smsc.js")).arg(options.to_string());
                node
            }
            Stack::Smpp34 => {
                let python = std::env::var("AIRWRITE_FOREIGN_PYTHON").expect("set by tests/foreign/run");
                let mut python = Command::new(python);
                python.arg(programs.join("smsc.py")).env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
        };
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join(format!("{}.log", stack.name()));
        let (process, input, output) = Process::start_piped(&mut command, log);
        let (tell, events) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                let _ = tell.send(event);
            }
        });
        let mut smsc = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            input,
            events,
            later: VecDeque::new(),
            last_reference: 0,
            process,
            _directory: directory,
        };
        let listening = smsc.next("listening").await;
        smsc.address.set_port(serde_json::from_value(listening["port"].clone()).unwrap());
        smsc
    }

    /// The next event of this kind; others are kept.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        if let Some(place) = self.later.iter().position(|event| event["event"] == kind) {
            return self.later.remove(place).unwrap();
        }
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await;
            let Ok(Some(event)) = event else {
                self.process.assert_runs();
                panic!("no {kind}; there were {:?}", self.later);
            };
            if event["event"] == kind {
                return event;
            }
            self.later.push_back(event);
        }
    }

    /// The next bind, answered with ESME_ROK.
    pub(crate) async fn accept_bind(&mut self) -> Bound {
        let bound = self.bind().await;
        self.answer_bind(&bound, CommandStatus::ESME_ROK);
        bound
    }

    /// The next bind, as yet unanswered where the stack leaves the answer to its user.
    pub(crate) async fn bind(&mut self) -> Bound {
        serde_json::from_value(self.next("bind").await).unwrap()
    }

    pub(crate) fn answer_bind(&mut self, bound: &Bound, status: CommandStatus) {
        if let Some(reference) = bound.reference {
            self.tell(&json!({ "do": "answer", "reference": reference, "status": status.0 }));
        }
    }

    /// The next submit_sm.
    pub(crate) async fn submission(&mut self) -> Submission {
        serde_json::from_value(self.next("submit_sm").await).unwrap()
    }

    /// How many submit_sm have come that nobody has taken.
    pub(crate) fn waiting(&mut self) -> usize {
        while let Ok(event) = self.events.try_recv() {
            self.later.push_back(event);
        }
        self.later.iter().filter(|event| event["event"] == "submit_sm").count()
    }

    /// submit_sm_resp: taken, under this id.
    pub(crate) fn accept(&mut self, submission: &Submission, message_id: &str) {
        let (reference, status) = (submission.reference, CommandStatus::ESME_ROK.0);
        self.tell(
            &json!({ "do": "answer", "reference": reference, "status": status, "message_id": message_id }),
        );
    }

    /// submit_sm_resp: not taken. Neither stack writes a body then.
    pub(crate) fn refuse(&mut self, submission: &Submission, status: CommandStatus) {
        let reference = submission.reference;
        self.tell(&json!({ "do": "answer", "reference": reference, "status": status.0, "message_id": "" }));
    }

    /// Delivers a message on a session and gives the status with which it is answered.
    pub(crate) async fn deliver(&mut self, bound: &Bound, sm: &ForeignSm) -> CommandStatus {
        self.send(bound, sm);
        self.delivered().await
    }

    /// Delivers a message on a session.
    pub(crate) fn send(&mut self, bound: &Bound, sm: &ForeignSm) {
        self.last_reference += 1;
        let reference = self.last_reference;
        self.tell(&json!({ "do": "deliver_sm", "session": bound.session, "reference": reference, "sm": sm }));
    }

    /// How the message was answered that was delivered last.
    pub(crate) async fn delivered(&mut self) -> CommandStatus {
        let response = self.next("deliver_sm_resp").await;
        assert_eq!(response["reference"], self.last_reference);
        CommandStatus(serde_json::from_value(response["status"].clone()).unwrap())
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.input, "{command}").unwrap();
    }
}
