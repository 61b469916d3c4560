//! Rules section 5: how deliver_sm is answered.

use airwrite::link::InboundFull;

use crate::row::{Does, Junk, ROW, Row};

const ROWS: &[Row] = &[
    Row {
        name: "the effect is durable",
        does: &[Does::Bind],
        answers: &["ESME_ROK", "binding response"],
        events: &["binding.created"],
        ..ROW
    },
    Row {
        name: "a duplicate whose first is durable",
        given: &[Does::Bind],
        does: &[Does::Wait(61), Does::Again],
        answers: &["ESME_ROK", "binding response again"],
        events: &["binding.repeated"],
        ..ROW
    },
    Row {
        name: "refused for good: wrong cryptographic checksum",
        given: &[Does::Bind],
        does: &[Does::Junk(Junk::WrongCheck)],
        answers: &["ESME_ROK"],
        events: &["card.hint"],
        ..ROW
    },
    Row {
        name: "refused for good: replay",
        given: &[Does::Bind],
        does: &[Does::Junk(Junk::UsedCounter)],
        answers: &["ESME_ROK", "poll"],
        events: &["card.hint"],
        ..ROW
    },
    Row {
        name: "refused for good: unknown card",
        does: &[Does::Junk(Junk::Stranger)],
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "refused for good: unreadable contents",
        given: &[Does::Bind],
        does: &[Does::Junk(Junk::Unreadable)],
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "refused for good: no packet at all",
        given: &[Does::Bind],
        does: &[Does::Junk(Junk::PlainText)],
        answers: &["ESME_ROK"],
        events: &["card.hint"],
        ..ROW
    },
    Row {
        name: "the store fails once",
        does: &[Does::StoreFails, Does::Bind],
        answers: &["ESME_RX_T_APPN"],
        ..ROW
    },
    Row {
        name: "the store fails, and the message comes again",
        does: &[Does::StoreOutOfService, Does::Bind, Does::StoreIsBack, Does::Again],
        answers: &["ESME_RX_T_APPN", "ESME_ROK", "binding response"],
        events: &["binding.created"],
        ..ROW
    },
    Row {
        name: "the store fails while a refusal is recorded",
        given: &[Does::Bind],
        does: &[Does::StoreOutOfService, Does::Junk(Junk::WrongCheck), Does::StoreIsBack],
        answers: &["ESME_RX_T_APPN"],
        ..ROW
    },
    Row {
        name: "shutting down: one waits for the store, one comes too late",
        does: &[Does::BindsWhileItStops],
        answers: &["ESME_RX_T_APPN", "ESME_RX_T_APPN"],
        ..ROW
    },
    Row {
        name: "the inbound queue is full",
        does: &[Does::TooManyAtOnce],
        answers: &["ESME_RMSGQFUL", "ESME_ROK", "binding response"],
        events: &["binding.created"],
        link: |link| link.inbound_queue = 1,
        ..ROW
    },
    Row {
        name: "the inbound queue is full, and the SMSC knows another answer",
        does: &[Does::TooManyAtOnce],
        answers: &["ESME_RX_T_APPN", "ESME_ROK", "binding response"],
        events: &["binding.created"],
        link: |link| {
            link.inbound_queue = 1;
            link.inbound_full = InboundFull::RxTAppn;
        },
        ..ROW
    },
    Row {
        name: "a malformed PDU: the status says which field",
        does: &[Does::Junk(Junk::MalformedPdu)],
        answers: &["ESME_RINVSERTYP"],
        ..ROW
    },
];

/// R6: an answer follows what is durable, and R7: a duplicate is answered as its first was.
#[tokio::test(start_paused = true)]
async fn every_row_of_deliver_sm_resp() {
    crate::names_differ(ROWS);
    crate::play(ROWS, 5_000).await;
}
