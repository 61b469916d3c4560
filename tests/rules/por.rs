//! Rules section 2: what a PoR says, by its response status code.

use airwrite::applet::LastState;
use airwrite::ota::Rsc;

use crate::row::{Cleared, Does, From, Over, Piece, ROW, Row, Says};

const SENT: &[Does] = &[Does::Bind, Does::Order];
/// A write whose outcome is asked for.
const ASKED: &[Does] = &[Does::Bind, Does::Order, Does::Por(Rsc::CNTR_LOW, Says::Nothing)];
/// SPI2 of a PoR that is checked and not ciphered.
const CC_ONLY: u8 = 0x29;
const HINT: &[&str] = &["card.hint"];
const DOUBT: &[&str] = &["write.unknown"];
const POLLED_FOR_A_DAY: &[&str] = &[
    "poll again",
    "poll@target again",
    "poll again",
    "poll@target again",
    "poll again",
    "poll@target again",
];
const ASKS: &[&str] = &["ESME_ROK", "poll", "poll@target"];

const ROWS: &[Row] = &[
    Row {
        name: "00 authenticated at the asked level: executed",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Accepted)],
        state: "written",
        answers: &["ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "00 authenticated, and the applet refuses",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Refused)],
        state: "failed",
        answers: &["ESME_ROK"],
        events: &["write.failed"],
        ..ROW
    },
    Row {
        name: "00 authenticated, without a result that can be read",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Nothing)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "00 below the asked level: checked, not ciphered",
        given: SENT,
        does: &[Does::WeakPor(CC_ONLY, Rsc::OK, Says::Accepted)],
        state: "sent",
        answers: &["ESME_ROK"],
        events: HINT,
        ..ROW
    },
    Row {
        name: "00 below the asked level: in clear",
        given: SENT,
        does: &[Does::ClearPor(Rsc::OK, Cleared::Cntr, From::Preset)],
        state: "sent",
        answers: &["ESME_ROK"],
        events: HINT,
        ..ROW
    },
    Row {
        name: "02 counter low",
        given: SENT,
        does: &[Does::Por(Rsc::CNTR_LOW, Says::Nothing)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "03 counter high",
        given: SENT,
        does: &[Does::Por(Rsc::CNTR_HIGH, Says::Nothing)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "04 counter blocked",
        given: SENT,
        does: &[Does::Por(Rsc::CNTR_BLOCKED, Says::Nothing)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "06 unidentified",
        given: SENT,
        does: &[Does::Por(Rsc::SECURITY_ERROR, Says::Nothing)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "00 beats 02 for the same CNTR: 02 first",
        given: ASKED,
        does: &[Does::PorToFirstWrite(Rsc::OK, Says::Accepted)],
        state: "written",
        answers: &["ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "00 beats 02 for the same CNTR: 00 first",
        given: &[Does::Bind, Does::Order, Does::Por(Rsc::OK, Says::Accepted)],
        does: &[Does::PorToFirstWrite(Rsc::CNTR_LOW, Says::Nothing)],
        state: "written",
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "07 no memory: a new CNTR after back-off",
        given: SENT,
        does: &[Does::Por(Rsc::NO_MEMORY, Says::Nothing), Does::Wait(295), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write anew"],
        events: &["card.hint", "write.sent"],
        ..ROW
    },
    Row {
        name: "00 refused because another write is under way: a new CNTR after back-off",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Busy), Does::Wait(295), Does::Wait(10)],
        state: "sent",
        answers: &["ESME_ROK", "write anew"],
        events: &["card.hint", "write.sent"],
        ..ROW
    },
    Row {
        name: "08 more time: the real answer follows",
        given: SENT,
        does: &[Does::Por(Rsc::MORE_TIME, Says::Nothing), Does::Wait(60), Does::Por(Rsc::OK, Says::Accepted)],
        state: "written",
        answers: &["ESME_ROK", "ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "08 more time: no answer follows, so it is asked for",
        given: SENT,
        does: &[Does::Por(Rsc::MORE_TIME, Says::Nothing), Does::Wait(95)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "0B follows by SMS-SUBMIT: no answer follows, so it is asked for",
        given: SENT,
        does: &[Does::Por(Rsc::FOLLOWS_BY_SUBMIT, Says::Nothing), Does::Wait(95)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    Row {
        name: "0C follows by USSD: no answer follows, so it is asked for",
        given: SENT,
        does: &[Does::Por(Rsc::FOLLOWS_BY_USSD, Says::Nothing), Does::Wait(95)],
        state: "unknown",
        answers: ASKS,
        events: DOUBT,
        ..ROW
    },
    // Polls.
    Row {
        name: "02 to a poll at two numbers is no verdict: one number is asked, under the next CNTR",
        given: ASKED,
        does: &[Does::Por(Rsc::CNTR_LOW, Says::Nothing), Does::Wait(85), Does::Wait(10)],
        state: "unknown",
        answers: &["ESME_ROK", "poll"],
        ..ROW
    },
    Row {
        name: "02 to a poll, and its 00 follows",
        given: ASKED,
        does: &[
            Does::Por(Rsc::CNTR_LOW, Says::Nothing),
            Does::Wait(60),
            Does::Por(Rsc::OK, Says::State(LastState::Accepted)),
        ],
        state: "written",
        answers: &["ESME_ROK", "ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "02 to a poll sent once to one number: the counter jumps, with an event",
        given: &[
            Does::Bind,
            Does::Order,
            Does::Por(Rsc::CNTR_LOW, Says::Nothing),
            Does::Por(Rsc::CNTR_LOW, Says::Nothing),
            Does::Wait(95),
        ],
        does: &[Does::Por(Rsc::CNTR_LOW, Says::Nothing), Does::Wait(95)],
        state: "unknown",
        answers: ASKS,
        events: &["card.counter"],
        ..ROW
    },
];

/// Errors in clear, about the one packet in flight.
const IN_CLEAR: &[Row] = &[
    Row {
        name: "01 in clear: CC failed",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Zero, From::Preset)],
        state: "unknown",
        answers: ASKS,
        events: &["card.hint", "write.unknown"],
        ..ROW
    },
    Row {
        name: "05 in clear: cipher error",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CIPHERING_ERROR, Cleared::Zero, From::Preset)],
        state: "unknown",
        answers: ASKS,
        events: &["card.hint", "write.unknown"],
        ..ROW
    },
    Row {
        name: "09 in clear: TAR unknown",
        given: SENT,
        does: &[Does::ClearPor(Rsc::TAR_UNKNOWN, Cleared::Cntr, From::Preset)],
        state: "unknown",
        answers: ASKS,
        events: &["card.hint", "write.unknown"],
        ..ROW
    },
    Row {
        name: "0A in clear: level too low",
        given: SENT,
        does: &[Does::ClearPor(Rsc::LEVEL_TOO_LOW, Cleared::Cntr, From::Preset)],
        state: "unknown",
        answers: ASKS,
        events: &["card.hint", "write.unknown"],
        ..ROW
    },
    Row {
        name: "in clear: no verdict until give-up, and it says why",
        given: &[
            Does::Bind,
            Does::OrderFor { seconds: 600 },
            Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Zero, From::Preset),
        ],
        does: &[Does::Wait(600 + 86_400)],
        state: "unresolved: card_refuses_unauthenticated",
        answers: POLLED_FOR_A_DAY,
        events: &["write.unresolved"],
        ..ROW
    },
    Row {
        name: "in clear from the number ordered: it may be another card's, as long as nothing is written",
        given: SENT,
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Zero, From::Target)],
        state: "sent",
        answers: &["ESME_ROK"],
        events: HINT,
        ..ROW
    },
    Row {
        name: "in clear from the number ordered, once it is written: the card is asked again",
        given: &[Does::Bind, Does::Order, Does::Por(Rsc::OK, Says::Accepted), Does::Wait(610)],
        does: &[Does::ClearPor(Rsc::CHECK_FAILED, Cleared::Zero, From::Target)],
        state: "written",
        answers: &["ESME_ROK"],
        events: HINT,
        ..ROW
    },
];

const THREE_OK: &[&str] = &["ESME_ROK", "ESME_ROK", "ESME_ROK"];
const FIVE_OK: &[&str] = &["ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK"];
const SIX_OK: &[&str] = &["ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK"];

/// A PoR that was executed, in three parts.
const IN_PARTS: &[Row] = &[
    Row {
        name: "in parts, over one link",
        does: &[Does::PorInParts(&[
            (Piece::Part(1), Over::First),
            (Piece::Part(2), Over::First),
            (Piece::Part(3), Over::First),
        ])],
        answers: THREE_OK,
        ..PARTS
    },
    Row {
        name: "in parts, over two links",
        does: &[Does::PorInParts(&[
            (Piece::Part(1), Over::First),
            (Piece::Part(2), Over::Second),
            (Piece::Part(3), Over::First),
        ])],
        answers: THREE_OK,
        ..PARTS
    },
    Row {
        name: "in parts, over two links and the last one first",
        does: &[Does::PorInParts(&[
            (Piece::Part(3), Over::Second),
            (Piece::Part(1), Over::First),
            (Piece::Part(2), Over::Second),
        ])],
        answers: THREE_OK,
        ..PARTS
    },
    Row {
        name: "in parts, each of which comes over both links",
        does: &[Does::PorInParts(&[
            (Piece::Part(2), Over::First),
            (Piece::Part(2), Over::Second),
            (Piece::Part(1), Over::Second),
            (Piece::Part(1), Over::First),
            (Piece::Part(3), Over::First),
            (Piece::Part(3), Over::Second),
        ])],
        answers: SIX_OK,
        ..PARTS
    },
    Row {
        name: "in parts, and those of another sender with the same reference between them",
        does: &[Does::PorInParts(&[
            (Piece::Part(1), Over::First),
            (Piece::Strangers(1), Over::Second),
            (Piece::Part(2), Over::Second),
            (Piece::Strangers(2), Over::First),
            (Piece::Part(3), Over::First),
        ])],
        answers: FIVE_OK,
        ..PARTS
    },
    Row {
        name: "in parts, and those of a national number in another network, of the same digits, between them",
        does: &[Does::PorInParts(&[
            (Piece::Part(1), Over::First),
            (Piece::Namesakes(1), Over::Second),
            (Piece::Namesakes(2), Over::Second),
            (Piece::Part(2), Over::First),
            (Piece::Part(3), Over::First),
        ])],
        answers: FIVE_OK,
        ..PARTS
    },
    Row {
        name: "in parts, after one of a message that the card has given up",
        does: &[Does::PorInParts(&[
            (Piece::Another(1), Over::First),
            (Piece::Part(1), Over::Second),
            (Piece::Part(2), Over::First),
            (Piece::Part(3), Over::Second),
        ])],
        answers: &["ESME_ROK", "ESME_ROK", "ESME_ROK", "ESME_ROK"],
        ..PARTS
    },
];

const PARTS: Row =
    Row { given: SENT, state: "written", events: &["write.written"], second_link: true, ..ROW };

/// R25: what each response status code makes of a write.
#[tokio::test(start_paused = true)]
async fn every_row_of_what_a_por_says() {
    crate::names_differ(ROWS);
    crate::play(ROWS, 2_000).await;
}

/// R27: an error in clear leaves the outcome unknown, and both addresses are asked.
#[tokio::test(start_paused = true)]
async fn every_row_of_errors_in_clear() {
    crate::names_differ(IN_CLEAR);
    crate::play(IN_CLEAR, 2_500).await;
}

/// I6: whichever way the parts of an answer come, they are one answer.
#[tokio::test(start_paused = true)]
async fn every_row_of_answers_in_parts() {
    crate::names_differ(IN_PARTS);
    crate::play(IN_PARTS, 2_700).await;
    let on_two_binds = |row: &Row| Row { second_link: false, link: |link| link.binds = 2, ..*row };
    let on_two_binds: Vec<_> = IN_PARTS.iter().map(on_two_binds).collect();
    crate::play(&on_two_binds, 2_800).await;
}
