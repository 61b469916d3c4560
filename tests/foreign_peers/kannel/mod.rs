//! Kannel's bearerbox as an ESME of our simulated operator: a platform that speaks HTTP to it, and SMPP to us only
//! through it.

mod boxes;
mod operator;
mod platform;

use airwrite::applet::{Message, Poll, PollWhat, WriteStatus};
use airwrite::link::BindKind;
use airwrite::ota::Rsc;
use airwrite::sim::TlsServer;
use airwrite::smpp::Body;

use boxes::Boxes;
use operator::Operator;
use platform::{Heard, order};

use crate::certificate::Certificate;
use crate::{keep, until};

/// R15, R26: the packet goes to the preset number of the card, the result comes from the new one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kannel: tests/foreign/run installs it"]
async fn kannel_writes_a_card_over_a_transceiver() {
    let operator = a_card_is_written(BindKind::Trx, None).await;
    assert_submitted(&operator, "kannel-trx").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kannel: tests/foreign/run installs it"]
async fn kannel_writes_a_card_over_a_pair() {
    let operator = a_card_is_written(BindKind::TxRx, None).await;
    assert_submitted(&operator, "kannel-tx_rx").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kannel: tests/foreign/run installs it"]
async fn kannel_writes_a_card_over_tls() {
    let Certificate { certificate, key, .. } = &Certificate::new();
    let operator =
        a_card_is_written(BindKind::Trx, Some(TlsServer::new(certificate, key, None).unwrap())).await;
    let capture = operator.captured().await;
    assert!(capture.dialogues.iter().all(|dialogue| dialogue.pdus.is_empty()), "nothing is in the clear");
}

async fn a_card_is_written(bind: BindKind, tls: Option<TlsServer>) -> Operator {
    let with_tls = tls.is_some();
    let operator = Operator::start("", tls).await;
    let mut kannel = Boxes::start(operator.line.address, bind, with_tls).await;

    // The card reports the device it is in.
    operator.sim.power_on([0]).await.unwrap();
    let Heard::Own { from, message: Message::BindingRequest(request) } = kannel.heard(&operator.keys).await
    else {
        panic!("a binding request");
    };
    assert_eq!((from, request.imei), (operator.preset.msisdn, operator.imei));

    // It is written; the message centre says that it has been delivered, the card what it did.
    let order = order(&operator, request.tid);
    kannel.send(&operator.preset.msisdn, &platform::packet(&operator.keys, 1, &order)).await;
    let (mut receipt, mut por, mut result) = (None, None, None);
    while receipt.is_none() || por.is_none() || result.is_none() {
        match kannel.heard(&operator.keys).await {
            Heard::Receipt { status } => receipt = Some(status),
            Heard::Por { from, rsc } => por = Some((from, rsc)),
            Heard::Own { from, message: Message::WriteResult(told) } => result = Some((from, told)),
            Heard::Own { message, .. } => panic!("{message:?}"),
        }
    }
    assert_eq!(receipt, Some(DELIVERED));
    assert_eq!(por, Some((operator.preset.msisdn, Rsc::OK)));
    let (from, told) = result.unwrap();
    assert_eq!(
        (from, told.imsi, told.status),
        (operator.target.msisdn, Some(operator.target.imsi), WriteStatus::Confirmed)
    );

    // Binding request, receipt, PoR, result: what Kannel has passed on it also answers.
    until("all is answered", async || (operator.totals().await.mo_acknowledged == 4).then_some(())).await;
    let report = operator.sim.snapshot().await.unwrap();
    assert_eq!(report.cards[0].card.ef_imsi, Some(operator.target.imsi));
    let totals = report.totals;
    assert_eq!((totals.submits, totals.refused, totals.delivered), (1, 0, 1));
    assert_eq!((totals.mo_acknowledged, totals.mo_repeated, totals.mo_dropped), (4, 0, 0));
    let connections = if bind == BindKind::Trx { 1 } else { 2 };
    assert_eq!((operator.line.taken(), operator.line.most_open()), (connections, connections));
    kannel.end();
    operator
}

/// What `coding=1`, `mclass=2`, `alt-dcs=1`, `pid=127` and a user data header come to.
async fn assert_submitted(operator: &Operator, name: &str) {
    let capture = operator.captured().await;
    keep(&operator.capture(), name);
    let pdus = capture.dialogues.iter().flat_map(|dialogue| &dialogue.pdus);
    let submitted =
        pdus.filter_map(|seen| if let Body::SubmitSm(sm) = &seen.pdu.body { Some(sm) } else { None });
    let [sm] = submitted.collect::<Vec<_>>().try_into().expect("one submit_sm");
    assert_eq!((sm.protocol_id, sm.data_coding.0), (0x7F, 0xF6));
    assert_eq!(
        (sm.esm_class.0, sm.esm_class.udhi()),
        (0x43, true),
        "UDHI, and store and forward spelled out"
    );
    assert!(sm.user_data().starts_with(&[0x02, 0x70, 0x00]));
}

/// The operator takes nothing at first. Kannel would then wait 15 s; that the line breaks makes it try again at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kannel: tests/foreign/run installs it"]
async fn kannel_is_throttled_and_loses_the_line() {
    const MESSAGES: u64 = 3;
    let operator = Operator::start("smsc.throttled = 100", None).await;
    let mut kannel = Boxes::start(operator.line.address, BindKind::Trx, false).await;
    for number in 0..MESSAGES {
        let packet = platform::packet(&operator.keys, number + 1, &POLL);
        kannel.send(&operator.preset.msisdn, &packet).await;
    }
    until("a message is refused", async || (operator.totals().await.refused > 0).then_some(())).await;
    assert_eq!(operator.totals().await.submits, 0);
    operator.sim.heal().await.unwrap();
    operator.line.cut();
    until("all are taken", async || (operator.totals().await.submits == MESSAGES).then_some(())).await;
    assert_eq!((operator.line.taken(), operator.line.most_open()), (2, 1));

    // They have waited for the card.
    operator.sim.power_on([0]).await.unwrap();
    let mut delivered = 0;
    while delivered < MESSAGES {
        if let Heard::Receipt { status } = kannel.heard(&operator.keys).await {
            assert_eq!(status, DELIVERED);
            delivered += 1;
        }
    }
}

/// What Kannel calls the receipt of a message that has reached the terminal.
const DELIVERED: u8 = 1;

/// A command that changes nothing in the card.
const POLL: Message = Message::Poll(Poll { tid: 9, what: PollWhat::State });
