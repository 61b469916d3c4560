//! Rules section 6: what an SMSC answers to submit_sm, and receipts.

use std::time::Duration;

use airwrite::link::ReceiptId;
use airwrite::ota::Rsc;
use airwrite::smpp::CommandStatus;

use crate::common::scene::{Scene, Setup};
use crate::common::smsc::Smsc;
use crate::row::{Does, ROW, Row, Says, Smscs};

const BOUND: &[Does] = &[Does::Bind];
const SENT: &[Does] = &[Does::Bind, Does::Order];
const PLACED: &[&str] = &["write.accepted", "write.sent"];

const ROWS: &[Row] = &[
    Row {
        name: "ok",
        given: BOUND,
        does: &[Does::Order, Does::Wait(60)],
        state: "sent",
        answers: &["write"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "ok, with an empty message id: a receipt still finds it",
        given: BOUND,
        does: &[
            Does::Smsc(Smscs::AcceptsWithoutId),
            Does::Order,
            Does::Receipt("stat:DELIVRD err:000"),
            Does::Wait(95),
        ],
        state: "sent",
        answers: &["write", "ESME_ROK", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "ESME_RTHROTTLED: the same octets later",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RTHROTTLED)), Does::Order, Does::Wait(10)],
        state: "sent",
        answers: &["write", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "ESME_RMSGQFUL: the same octets later",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RMSGQFUL)), Does::Order, Does::Wait(10)],
        state: "sent",
        answers: &["write", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "ESME_RSYSERR: the same octets later",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RSYSERR)), Does::Order, Does::Wait(10)],
        state: "sent",
        answers: &["write", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "ESME_RINVDSTADR, and nothing of it was ever accepted",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RINVDSTADR)), Does::Order],
        state: "failed",
        answers: &["write"],
        events: &["write.accepted", "write.sent", "write.failed"],
        ..ROW
    },
    Row {
        name: "ESME_RINVSRCADR, and nothing of it was ever accepted",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RINVSRCADR)), Does::Order],
        state: "failed",
        answers: &["write"],
        events: &["write.accepted", "write.sent", "write.failed"],
        ..ROW
    },
    Row {
        name: "ESME_RSUBMITFAIL, another permanent one",
        given: BOUND,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RSUBMITFAIL)), Does::Order],
        state: "failed",
        answers: &["write"],
        events: &["write.accepted", "write.sent", "write.failed"],
        ..ROW
    },
    Row {
        name: "a permanent refusal of octets that were accepted before",
        given: SENT,
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RINVDSTADR)), Does::Wait(365)],
        state: "unknown",
        answers: &["write again", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "a permanent refusal of octets that may have been accepted before",
        given: &[Does::Bind, Does::Smsc(Smscs::BreaksOff), Does::Order],
        does: &[Does::Smsc(Smscs::Says(CommandStatus::ESME_RINVDSTADR)), Does::Wait(10)],
        state: "unknown",
        answers: &["write again", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "no answer: the same octets",
        given: BOUND,
        does: &[Does::Smsc(Smscs::IsSilent), Does::Order, Does::Wait(40)],
        state: "sent",
        answers: &["write", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "the connection is lost: the same octets",
        given: BOUND,
        does: &[Does::Smsc(Smscs::BreaksOff), Does::Order, Does::Wait(20)],
        state: "sent",
        answers: &["write", "write again"],
        events: PLACED,
        ..ROW
    },
    Row {
        name: "PoR before submit_sm_resp",
        given: BOUND,
        does: &[Does::Smsc(Smscs::IsSilent), Does::Order, Does::Por(Rsc::OK, Says::Accepted), Does::Wait(60)],
        state: "written",
        answers: &["write", "ESME_ROK"],
        events: &["write.accepted", "write.sent", "write.written"],
        ..ROW
    },
    Row {
        name: "receipt DELIVRD: the wait for the PoR begins, and proves nothing",
        given: SENT,
        does: &[Does::Receipt("stat:DELIVRD err:000"), Does::Wait(85), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "receipt EXPIRED: the same octets at back-off",
        given: SENT,
        does: &[Does::Receipt("stat:EXPIRED err:000"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "receipt UNDELIV, the card is busy (TP-FCS D4): the same octets at back-off",
        given: SENT,
        does: &[Does::Receipt("stat:UNDELIV err:0D4"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "receipt UNDELIV, the card refused (TP-FCS D5): the same octets at back-off",
        given: SENT,
        does: &[Does::Receipt("stat:UNDELIV err:0D5"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "receipt REJECTD: the same octets at back-off",
        given: SENT,
        does: &[Does::Receipt("stat:REJECTD err:000"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "an interim receipt says nothing",
        given: SENT,
        does: &[Does::Receipt("stat:ENROUTE err:000"), Does::Wait(95)],
        state: "sent",
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "an intermediate notification is not the last word",
        given: SENT,
        does: &[Does::Notification("stat:UNDELIV err:027"), Does::Wait(95)],
        state: "sent",
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "a receipt of another message says nothing about this one",
        given: SENT,
        does: &[Does::Receipt("id:another stat:EXPIRED"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "a receipt without an id is about what is under way to its number",
        given: SENT,
        does: &[Does::Receipt("id: stat:EXPIRED"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        ..ROW
    },
    Row {
        name: "so is any receipt where the SMSC's ids say nothing",
        given: SENT,
        does: &[Does::Receipt("id:another stat:EXPIRED"), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write again"],
        link: |link| link.receipt_id = ReceiptId::None,
        ..ROW
    },
    Row {
        name: "alert_notification: a sign of life, so the same octets at once",
        given: &[Does::Bind, Does::Order, Does::Wait(61)],
        does: &[Does::Alert, Does::Alert],
        state: "sent",
        answers: &["write again"],
        ..ROW
    },
];

/// R25: what each answer of an SMSC makes of a write.
#[tokio::test(start_paused = true)]
async fn every_row_of_submit_sm_resp_and_receipts() {
    crate::names_differ(ROWS);
    crate::play(ROWS, 6_000).await;
}

/// Bad credentials at bind: the link stops and readiness says why, until somebody has it resumed.
#[tokio::test(start_paused = true)]
async fn bad_credentials_stop_the_link_and_readiness_says_so() {
    for status in [CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RINVSYSID] {
        let mut scene = Scene::with(Setup { by_hand: true, ..Setup::new(1, 6_500) }).await;
        let stream = scene.connection().await;
        let _smsc = Smsc::answer_bind(stream, status).await;
        let again = tokio::time::timeout(Duration::from_secs(86_400), scene.connection()).await;
        assert!(again.is_err(), "the password is not tried again and again");
        let missing = scene.gateway.readiness();
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert_eq!(missing[0].part, "link smsc");
        assert!(missing[0].reason.contains(&status.to_string()), "{}", missing[0].reason);
        assert_eq!(scene.link_events().await, [format!("1 link.refused: {status}")]);
        scene.gateway.link("smsc").unwrap().resume();
        let stream = scene.connection().await;
        let _smsc = Smsc::answer_bind(stream, status).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.gateway.link("smsc").unwrap().resume();
        let _smsc = Smsc::accept(&mut scene).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(scene.gateway.readiness().is_empty(), "{:?}", scene.gateway.readiness());
        let told = [format!("1 link.refused: {status}"), "2 link.up: ".to_owned()];
        assert_eq!(scene.link_events().await, told, "the same refusal is no news");
    }
}
