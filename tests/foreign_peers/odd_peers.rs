//! Message centres that do less than they should: npm `smpp` leaves most of the protocol to its user, so that much is
//! forgotten.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use airwrite::link::{LinkState, SubmitOutcome, UnknownReason};
use airwrite::smpp::CommandStatus;
use serde_json::json;

use crate::link_rows::{Messages, Ours, sm, submit};
use crate::smsc::{ForeignSmsc, Stack};

/// The bind is asked anew on a connection of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_leaves_a_bind_unanswered() {
    let mut smsc = ForeignSmsc::start(Stack::NpmSmpp).await;
    let ours = Ours::start(&smsc, |config| config.response_timeout_ms = 300);
    let unanswered = smsc.bind().await;
    let closed = smsc.next("closed").await;
    assert_eq!(closed["session"], unanswered.session);
    let answered = smsc.accept_bind().await;
    assert_ne!(answered.session, unanswered.session);
    ours.until(LinkState::Bound).await;
}

/// Nothing is tried with credentials that are wrong, until somebody says so.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_refuses_the_password() {
    let mut smsc = ForeignSmsc::start(Stack::NpmSmpp).await;
    let ours = Ours::start(&smsc, |_| {});
    let refused = smsc.bind().await;
    smsc.answer_bind(&refused, CommandStatus::ESME_RINVPASWD);
    ours.until(LinkState::Refused(CommandStatus::ESME_RINVPASWD)).await;
    smsc.next("closed").await;
    // Longer than any wait before connecting again.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ours.link.metrics().connected.load(Relaxed), 1);
    ours.link.resume();
    smsc.accept_bind().await;
    ours.until(LinkState::Bound).await;
}

/// What is not answered ends as unknown; a connection on which nothing at all comes is given up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_falls_silent() {
    let mut smsc = ForeignSmsc::start_with(Stack::NpmSmpp, &json!({ "enquiries": false })).await;
    let ours = Ours::start(&smsc, |config| {
        config.response_timeout_ms = 300;
        config.enquire_link_ms = 50;
    });
    let silent = smsc.accept_bind().await;
    let outcome = submit(&ours.link, sm(&[0x02, 0x70, 0x00])).await;
    assert_eq!(outcome, SubmitOutcome::Unknown(UnknownReason::TimedOut));
    assert_eq!(smsc.submission().await.session, silent.session);
    smsc.next("enquire_link").await;
    assert_eq!(smsc.next("closed").await["session"], silent.session);
    let next = smsc.accept_bind().await;
    let mut messages = Messages::send(&ours, 1);
    let submission = smsc.submission().await;
    assert_eq!(submission.session, next.session);
    smsc.accept(&submission, "1");
    assert_eq!(messages.all().await.accepted, 1);
}

/// What it does not read has no answer. With one request at a time nothing is lost on it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs npm smpp: tests/foreign/run installs it"]
async fn npm_smpp_handles_one_pdu_for_each_read() {
    const MESSAGES: usize = 30;
    for window in [1, 10] {
        let mut smsc = ForeignSmsc::start_with(Stack::NpmSmpp, &json!({ "naive": true })).await;
        let ours = Ours::start(&smsc, |config| {
            config.window = window;
            config.response_timeout_ms = 500;
            config.enquire_link_ms = 0;
        });
        smsc.accept_bind().await;
        let mut messages = Messages::send(&ours, MESSAGES);
        let mut answered = 0;
        let ends = loop {
            let submission = tokio::select! {
                biased;
                ends = messages.all() => break ends,
                submission = smsc.submission() => submission,
            };
            answered += 1;
            smsc.accept(&submission, &answered.to_string());
        };
        assert_eq!((ends.accepted, ends.refused, answered), (MESSAGES, 0, MESSAGES));
        assert_eq!(ends.unknown > 0, window > 1, "window {window}: {ends:?}");
    }
}
