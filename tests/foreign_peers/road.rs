//! The whole road: a card in a terminal, a foreign message centre as the network, `airwrite serve`, an order over HTTP.
//! What is asserted of PDUs is what the foreign stack reads out of our octets.

use std::fs;
use std::sync::Arc;

use airwrite::cli::sample::{Sample, device_imei, sample};
use airwrite::gateway::import::CardRow;
use airwrite::identity::Msisdn;
use airwrite::link::TcpConnector;
use airwrite::ota::tp::{Deliver, TpAddress, time_stamp};
use airwrite::sim::{CardSpec, Preset};
use airwrite::smpp::{CommandStatus, MessageState};

use serde_json::json;

use crate::certificate::Certificate;
use crate::line::Line;
use crate::platform::{PASSWORD, Platform, SYSTEM_ID};
use crate::smsc::{Bound, ForeignSm, ForeignSmsc, Stack, Submission};
use crate::terminal::{Sent, Terminal};
use crate::with_each_smsc;
use crate::{captured, keep};

with_each_smsc!(a_binding_and_a_write_over_a_transceiver);

async fn a_binding_and_a_write_over_a_transceiver(stack: Stack) {
    let smsc = ForeignSmsc::start(stack).await;
    a_binding_and_a_write(stack, smsc, "trx", "", &format!("{}-trx", stack.name())).await;
}

/// smpp34 takes no deliver_sm_resp from a receiver.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_a_binding_and_a_write_over_a_pair() {
    let smsc = ForeignSmsc::start(Stack::NpmSmpp).await;
    a_binding_and_a_write(Stack::NpmSmpp, smsc, "tx_rx", "", "npm-smpp-tx_rx").await;
}

/// The capture shows what is spoken within.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_a_binding_and_a_write_over_tls() {
    let files = Certificate::new();
    let [own, key] = [&files.certificate, &files.key].map(|path| fs::read_to_string(path).unwrap());
    let smsc = ForeignSmsc::start_with(Stack::NpmSmpp, &json!({ "key": key, "cert": own })).await;
    let tls = format!("tls = {{ ca_file = {:?}, server_name = {:?} }}", files.certificate, Certificate::NAME);
    a_binding_and_a_write(Stack::NpmSmpp, smsc, "trx", &tls, "npm-smpp-tls").await;
}

/// On the way the message centre wants less for a while, and the line breaks.
async fn a_binding_and_a_write(stack: Stack, mut smsc: ForeignSmsc, bind: &str, keys: &str, name: &str) {
    let sample = sample(1, 31).unwrap();
    let Sample { cards, targets } = &sample;
    let (spec, target) = (spec(&cards[0]), targets[0]);
    let preset = spec.preset.unwrap();
    let mut terminal = Terminal::new(&spec, [(preset.imsi, preset.msisdn), (target.imsi, target.msisdn)]);
    let line = Line::to(smsc.address, Arc::new(TcpConnector)).await;
    let mut platform = Platform::start(line.address, &sample, &format!("bind = {bind:?}\n{keys}"));
    let mut network = Network::bound(&mut smsc, bind).await;

    // The card asks to be bound and is.
    terminal.switch_on();
    let [request] = collect(&mut terminal).try_into().expect("one binding request");
    assert_eq!(network.deliver(&request).await, CommandStatus::ESME_ROK);
    let answer = network.submission().await;
    assert_secured_packet(&answer.sm, stack, preset.msisdn, NO_RECEIPT);
    network.accept(&answer);
    download(&mut terminal, &answer.sm);
    assert!(terminal.card().binding_flag);

    // The write: first it is refused as too much, then never answered.
    let write = platform.order(spec.imei, &target).await;
    let refused = network.submission().await;
    assert_secured_packet(&refused.sm, stack, preset.msisdn, FINAL_RECEIPT);
    network.smsc.refuse(&refused, CommandStatus::ESME_RTHROTTLED);
    let lost = network.submission().await;
    assert_eq!(lost.sm.user_data, refused.sm.user_data, "the same octets after ESME_RTHROTTLED");
    line.cut();
    network = Network::bound(&mut smsc, bind).await;
    let taken = network.submission().await;
    assert_eq!(taken.sm.user_data, refused.sm.user_data, "the same octets after no answer");
    let message_id = network.accept(&taken);

    // The receipt, the PoR, and after the card has come back under its new number the result.
    download(&mut terminal, &taken.sm);
    let [por, result] = collect(&mut terminal).try_into().expect("the PoR and the result");
    assert_eq!((&por.source.2[..], &result.source.2[..]), (preset.msisdn.as_str(), target.msisdn.as_str()));
    assert!(por.octets().starts_with(&[0x02, 0x71, 0x00]));
    assert_eq!(network.deliver(&receipt(&taken.sm, &message_id)).await, CommandStatus::ESME_ROK);
    assert_eq!(network.deliver(&por).await, CommandStatus::ESME_ROK);
    platform.until_state(&write, "written").await;
    assert_eq!(network.deliver(&result).await, CommandStatus::ESME_ROK);
    let acknowledgement = network.submission().await;
    assert_secured_packet(&acknowledgement.sm, stack, target.msisdn, NO_RECEIPT);
    network.accept(&acknowledgement);
    download(&mut terminal, &acknowledgement.sm);
    platform.until_state(&write, "effective").await;

    let card = terminal.card();
    assert_eq!((card.ef_imsi, card.ef_msisdn), (Some(target.imsi), Some(target.msisdn)));
    assert_eq!((card.last_state, card.cntr_conflicts), ("confirmed", Vec::new()));
    assert_eq!(card.executed.into_values().collect::<Vec<_>>(), [1], "one write, carried out once");

    assert_eq!(platform.end(), 0);
    assert_eq!(smsc.waiting(), 0, "nothing more was submitted");
    let binds = if bind == "trx" { 1 } else { 2 };
    assert_eq!((line.taken(), line.most_open()), (2 * binds, binds), "one connection to a bind");
    keep(&platform.capture(), name);
    let capture = captured(&platform.capture());
    assert_eq!(capture.dialogues.len(), 2 * binds);
    assert!(capture.dialogues.iter().all(|dialogue| dialogue.pdus.len() > 1), "PDUs in the clear");
}

/// registered_delivery (§5.2.17).
const NO_RECEIPT: u8 = 0;
const FINAL_RECEIPT: u8 = 1;

/// The message centre with the sessions of a link.
struct Network<'a> {
    smsc: &'a mut ForeignSmsc,
    sends: Bound,
    receives: Bound,
}

impl<'a> Network<'a> {
    /// Takes the binds of a link.
    async fn bound(smsc: &'a mut ForeignSmsc, bind: &str) -> Self {
        let first = smsc.accept_bind().await;
        let second = if bind == "trx" { first.clone() } else { smsc.accept_bind().await };
        assert_eq!(first.system_id, SYSTEM_ID);
        if !first.password.is_empty() {
            assert_eq!((&first.password[..], first.interface_version), (PASSWORD, 0x34));
        }
        let (receives, sends) = if first.receives { (first, second) } else { (second, first) };
        assert!(receives.receives);
        assert_eq!(sends.receives, bind == "trx");
        Self { smsc, sends, receives }
    }

    async fn submission(&mut self) -> Submission {
        let submission = self.smsc.submission().await;
        assert_eq!(submission.session, self.sends.session);
        submission
    }

    /// Takes the message; gives its id.
    fn accept(&mut self, submission: &Submission) -> String {
        // Longer than a number, as some message centres have it.
        let message_id = format!("5e551045-0000-4000-8000-{:012x}", submission.reference);
        self.smsc.accept(submission, &message_id);
        message_id
    }

    async fn deliver(&mut self, sm: &ForeignSm) -> CommandStatus {
        self.smsc.deliver(&self.receives, sm).await
    }
}

/// A submit_sm that carries a whole command packet (TS 31.115 §4.2) to a card, in the fields that SMSCs look at.
fn assert_secured_packet(sm: &ForeignSm, stack: Stack, to: Msisdn, receipt: u8) {
    assert_eq!((sm.source.0, sm.source.1, &sm.source.2[..]), (3, 0, CardSpec::SHORT_CODE));
    assert_eq!((sm.destination.0, sm.destination.1, &sm.destination.2[..]), (1, 1, to.as_str()));
    assert_eq!((sm.esm_class, sm.protocol_id, sm.data_coding), (0x40, 0x7F, 0xF6));
    assert_eq!((&sm.service_type[..], sm.registered_delivery), ("", receipt));
    let octets = sm.octets();
    assert!(octets.starts_with(&[0x02, 0x70, 0x00]) && octets.len() <= 140, "{}", sm.user_data);
    if stack == Stack::NpmSmpp {
        assert_eq!(sm.elements.as_deref(), Some(&["7000".to_owned()][..]), "the one element of the header");
        let validity_s = sm.validity_s.expect("a validity");
        assert!((298..=300).contains(&validity_s), "five minutes from now, found {validity_s} s");
    }
}

/// A delivery receipt in text and parameters.
fn receipt(about: &ForeignSm, message_id: &str) -> ForeignSm {
    let text = format!(
        "id:{message_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
    );
    ForeignSm {
        source: about.destination.clone(),
        destination: about.source.clone(),
        esm_class: 0x04,
        user_data: hex::encode(text),
        receipted_message_id: Some(message_id.to_owned()),
        message_state: Some(MessageState::DELIVERED.0),
        ..ForeignSm::default()
    }
}

/// What the terminal's card has sent, as the network delivers it.
fn collect(terminal: &mut Terminal) -> Vec<ForeignSm> {
    let deliver = |Sent { from, submit }: Sent| ForeignSm {
        source: (1, 1, from.as_str().to_owned()),
        destination: (3, 0, submit.destination.digits().unwrap()),
        esm_class: if submit.udhi { 0x40 } else { 0x00 },
        protocol_id: submit.pid,
        data_coding: submit.dcs,
        user_data: hex::encode(submit.user_data),
        ..ForeignSm::default()
    };
    terminal.take_sent().into_iter().map(deliver).collect()
}

/// Brings a message to the terminal, if its number is there.
fn download(terminal: &mut Terminal, sm: &ForeignSm) {
    assert!(terminal.has_number(&sm.destination.2));
    let (ton, npi, digits) = &sm.source;
    terminal.download(&Deliver {
        more_messages: false,
        udhi: sm.esm_class & 0x40 != 0,
        originator: TpAddress::new(0x80 | ton << 4 | npi, digits).unwrap(),
        pid: sm.protocol_id,
        dcs: sm.data_coding,
        time_stamp: time_stamp(1_800_000_000_000),
        user_data: sm.octets(),
    });
}

fn spec(row: &CardRow) -> CardSpec {
    let preset = row.preset.as_ref().unwrap();
    let spec = CardSpec::new(
        row.eid.unwrap(),
        row.iccid.unwrap(),
        device_imei(1).unwrap(),
        row.keys[0].key_set().unwrap(),
    );
    CardSpec { preset: Some(Preset { imsi: preset.imsi, msisdn: preset.msisdn }), ..spec }
}
