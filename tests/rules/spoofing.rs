//! What proves nothing moves nothing: no subscription, no write, no binding. And it does not go unseen.

use airwrite::applet::WriteStatus;
use airwrite::card::Dialect;
use airwrite::ota::Rsc;

use crate::play::Play;
use crate::row::{Cleared, Does, From, Junk, ROW, Row, Says};

/// A write is on its way, and another one waits for the device that is claimed.
const SENT: &[Does] = &[Does::Bind, Does::OrderForAnotherDevice, Does::Order];
const OK: &[&str] = &["ESME_ROK"];
const HINT: &[&str] = &["card.hint"];

const ROWS: &[Row] = &[
    Row {
        name: "a forged binding request with SPI1 00",
        given: SENT,
        does: &[Does::Junk(Junk::Unsecured)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a binding request with a wrong checksum",
        given: SENT,
        does: &[Does::Junk(Junk::WrongCheck)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a packet to the card, sent back",
        given: SENT,
        does: &[Does::Junk(Junk::Reflected)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a message under the TAR of packets to the card",
        given: SENT,
        does: &[Does::Junk(Junk::UnderMtTar)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "the binding request once more, octet by octet",
        given: SENT,
        does: &[Does::Again, Does::Again],
        state: "sent",
        answers: &["ESME_ROK", "ESME_ROK"],
        events: &["binding.repeated"],
        ..ROW
    },
    Row {
        name: "another binding request under a counter that was used",
        given: SENT,
        does: &[Does::Junk(Junk::UsedCounter)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a binding request far below the highest counter",
        given: SENT,
        does: &[Does::Junk(Junk::OldCounter)],
        state: "sent",
        answers: OK,
        events: &["binding.repeated", "card.hint"],
        ..ROW
    },
    Row {
        name: "a plain binding request for a bound card",
        given: SENT,
        does: &[Does::Junk(Junk::PlainBinding(1))],
        state: "sent",
        answers: OK,
        events: &["binding.suspect"],
        profile: |profile| profile.mo.dialect = Dialect::Plain,
        ..ROW
    },
    Row {
        name: "a plain binding request for a card that secures its messages",
        given: SENT,
        does: &[Does::Junk(Junk::PlainBinding(1))],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "the IMEI of another device for a bound card",
        given: SENT,
        does: &[Does::Junk(Junk::RawImei(1))],
        state: "sent",
        answers: OK,
        events: &["binding.suspect"],
        profile: |profile| profile.mo.dialect = Dialect::RawImei,
        ..ROW
    },
    Row {
        name: "a result without security from a card that secures its messages",
        given: SENT,
        does: &[Does::Junk(Junk::PlainResult(WriteStatus::Confirmed))],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a PoR of lower protection",
        given: SENT,
        does: &[Does::WeakPor(0x29, Rsc::OK, Says::Accepted)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "a PoR in clear that says that all is well",
        given: SENT,
        does: &[Does::ClearPor(Rsc::OK, Cleared::Cntr, From::Preset)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "an error in clear about another packet than the one in flight",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::OtherCntr, From::Preset)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
    Row {
        name: "an error in clear from the number ordered, where another card may be",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Cntr, From::Target)],
        state: "sent",
        answers: OK,
        events: HINT,
        ..ROW
    },
];

/// What makes the gateway ask the card, and ends nothing either.
const ASKED: &[Row] = &[
    Row {
        name: "an error in clear about the packet in flight",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Cntr, From::Preset)],
        state: "unknown",
        answers: &["ESME_ROK", "poll", "poll@target"],
        events: &["card.hint", "write.unknown"],
        ..ROW
    },
    Row {
        name: "a write result without security",
        given: SENT,
        does: &[Does::Junk(Junk::PlainResult(WriteStatus::Confirmed))],
        state: "unknown",
        answers: &["ESME_ROK", "poll", "poll@target"],
        events: &["card.hint", "write.unknown"],
        profile: |profile| profile.mo.dialect = Dialect::Plain,
        ..ROW
    },
];

/// R26: the checksum and the transaction id decide, never the source address.
#[tokio::test(start_paused = true)]
async fn what_proves_nothing_moves_nothing_and_leaves_an_event() {
    crate::names_differ(ROWS);
    let mut failed = Vec::new();
    for (row, seed) in ROWS.iter().zip(9_000..) {
        let mut play = Play::begin(row, seed).await;
        let given = Row { does: &[], ..*row };
        play.row(&given).await;
        let before = play.standing().await;
        let outcome = play.row(&Row { given: &[], ..*row }).await;
        failed.extend(crate::difference(row, &outcome));
        if play.standing().await != before {
            failed.push(format!("{}: {before:?}, then {:?}", row.name, play.standing().await));
        }
        play.end().await;
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), ROWS.len(), failed.join("\n"));
}

/// R27: the card is asked under either identity.
#[tokio::test(start_paused = true)]
async fn what_only_casts_doubt_makes_the_card_be_asked() {
    crate::play(ASKED, 9_500).await;
}
