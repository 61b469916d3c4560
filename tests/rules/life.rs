//! Rules section 1: the life of a write. A row for each way into and out of a state.

use airwrite::applet::{LastState, WriteStatus};
use airwrite::ota::Rsc;
use airwrite::smpp::CommandStatus;

use crate::row::{Does, From, OnSite, ROW, Row, Says, Smscs};

const BOUND: &[Does] = &[Does::Bind];
const WAITING: &[Does] = &[Does::Order];
/// The order is accepted while the line is cut: nothing of it can go out.
const SEALED: &[Does] = &[Does::Bind, Does::Line(false), Does::Order];
const QUEUED: &[Does] = &[Does::Bind, Does::Order, Does::Order];
/// The order has half an hour.
const SENT: &[Does] = &[Does::Bind, Does::OrderFor { seconds: 1_800 }];
/// The card says that the counter is too low, which decides nothing.
const UNKNOWN: &[Does] =
    &[Does::Bind, Does::OrderFor { seconds: 86_400 }, Does::Por(Rsc::CNTR_LOW, Says::Nothing)];
const WRITTEN: &[Does] = &[Does::Bind, Does::Order, Does::Por(Rsc::OK, Says::Accepted)];
const EFFECTIVE: &[Does] = &[
    Does::Bind,
    Does::Order,
    Does::Por(Rsc::OK, Says::Accepted),
    Does::Result(WriteStatus::Confirmed, From::Target),
];
const HELD: &[Does] =
    &[Does::Bind, Does::Order, Does::Por(Rsc::OK, Says::Accepted), Does::ResultInAnotherDevice];
const QUEUED_FOR_RELAY: &[Does] = &[Does::Bind, Does::OrderOnSite];
const ON_SITE: &[Does] = &[Does::Bind, Does::OrderOnSite, Does::Export];
const DAY: u64 = 86_400;

const ROWS: &[Row] = &[
    // waiting
    Row {
        name: "waiting: a trusted binding makes it queued, and it is its turn at once",
        given: WAITING,
        does: &[Does::Bind],
        state: "sent",
        answers: &["ESME_ROK", "write"],
        events: &["binding.created", "write.sent"],
        ..ROW
    },
    Row {
        name: "waiting: its deadline passes",
        given: &[Does::OrderFor { seconds: 600 }],
        does: &[Does::Wait(605)],
        state: "expired",
        events: &["write.expired"],
        ..ROW
    },
    Row {
        name: "waiting: cancelled",
        given: WAITING,
        does: &[Does::Cancel],
        state: "cancelled",
        events: &["write.cancelled"],
        ..ROW
    },
    // queued
    Row {
        name: "queued: not before the card is free",
        given: &[Does::Bind, Does::Order],
        does: &[Does::Order],
        state: "queued",
        events: &["write.accepted"],
        ..ROW
    },
    Row {
        name: "queued: its turn comes when the write before it has ended",
        given: QUEUED,
        does: &[Does::Por(Rsc::OK, Says::Refused)],
        state: "sent",
        answers: &["ESME_ROK", "write"],
        events: &["write.failed", "write.sent"],
        ..ROW
    },
    Row {
        name: "queued: its deadline passes",
        given: &[Does::Bind, Does::Order, Does::OrderFor { seconds: 200 }],
        does: &[Does::Wait(205)],
        state: "expired",
        events: &["write.expired"],
        ..ROW
    },
    Row {
        name: "queued: cancelled",
        given: QUEUED,
        does: &[Does::Cancel],
        state: "cancelled",
        events: &["write.cancelled"],
        ..ROW
    },
    // sealed
    Row {
        name: "sealed: nothing is handed out while there is no link",
        given: &[Does::Bind, Does::Line(false)],
        does: &[Does::Order],
        state: "sealed",
        events: &["write.accepted"],
        ..ROW
    },
    Row {
        name: "sealed: handed to a link",
        given: SEALED,
        does: &[Does::Line(true), Does::Wait(60)],
        state: "sent",
        answers: &["write"],
        events: &["write.sent"],
        ..ROW
    },
    Row {
        name: "sealed: its deadline passes",
        given: &[Does::Bind, Does::Line(false), Does::OrderFor { seconds: 600 }],
        does: &[Does::Wait(605)],
        state: "expired",
        events: &["link.down", "write.expired"],
        ..ROW
    },
    Row {
        name: "sealed: cancelled, and it never goes out",
        given: SEALED,
        does: &[Does::Cancel, Does::Line(true), Does::Wait(60)],
        state: "cancelled",
        // What went with it is owed again.
        events: &["write.cancelled"],
        ..ROW
    },
    // sent
    Row {
        name: "sent: PoR 00, accepted",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Accepted)],
        state: "written",
        answers: &["ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "sent: PoR 00, refused by the applet",
        given: SENT,
        does: &[Does::Por(Rsc::OK, Says::Refused)],
        state: "failed",
        answers: &["ESME_ROK"],
        events: &["write.failed"],
        ..ROW
    },
    Row {
        name: "sent: no memory, so a new CNTR later",
        given: SENT,
        does: &[Does::Por(Rsc::NO_MEMORY, Says::Nothing), Does::Wait(310)],
        state: "sent",
        answers: &["ESME_ROK", "write anew"],
        events: &["card.hint", "write.sent"],
        ..ROW
    },
    Row {
        name: "sent: silence until 60 s after the validity ended, then the same octets",
        given: SENT,
        does: &[Does::Wait(358), Does::Wait(10)],
        state: "sent",
        answers: &["write again"],
        ..ROW
    },
    Row {
        name: "sent: silence past the plan; the deadline is its end",
        given: SENT,
        does: &[Does::Wait(1_900)],
        state: "unknown",
        answers: &["write again", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "sent: silence after the last attempt",
        given: &[Does::Bind, Does::Order],
        does: &[Does::Wait(361 + 3_661 + 21_661), Does::Wait(86_461)],
        state: "unknown",
        answers: &["write again", "write again", "write again", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "sent: a cancellation is a request",
        given: SENT,
        does: &[Does::Cancel, Does::Cancel],
        state: "unknown",
        answers: &["cancel_sm of write", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "sent: cancelled, which the SMSC refuses and the fence grants",
        given: SENT,
        does: &[
            Does::CancelSm(Some(CommandStatus::ESME_RCANCELFAIL)),
            Does::Cancel,
            Does::Por(Rsc::OK, Says::NeverHeardOfIt),
        ],
        state: "cancelled",
        answers: &["cancel_sm of write", "poll", "poll@target", "ESME_ROK"],
        events: &["write.unknown", "write.cancelled"],
        ..ROW
    },
    Row {
        name: "sent: cancelled, which the SMSC grants and the fence does not",
        given: SENT,
        does: &[Does::Cancel, Does::Por(Rsc::OK, Says::State(LastState::Accepted))],
        state: "written",
        answers: &["cancel_sm of write", "poll", "poll@target", "ESME_ROK"],
        events: &["write.unknown", "write.written"],
        ..ROW
    },
    Row {
        name: "sent: cancelled, and an SMSC that does not answer holds nothing up",
        given: SENT,
        does: &[Does::CancelSm(None), Does::Cancel, Does::Wait(40)],
        state: "unknown",
        answers: &["cancel_sm of write", "poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "sent without a message id: there is nothing to cancel by",
        given: &[Does::Bind, Does::Smsc(Smscs::AcceptsWithoutId), Does::Order],
        does: &[Does::Cancel],
        state: "unknown",
        answers: &["poll", "poll@target"],
        events: &["write.unknown"],
        ..ROW
    },
    Row {
        name: "sent: a sign of life sends the same octets, at most every 60 s",
        given: &[Does::Bind, Does::Order, Does::Wait(61)],
        does: &[
            Does::Result(WriteStatus::Accepted, From::Stranger),
            Does::Result(WriteStatus::RolledBack, From::Preset),
        ],
        state: "rolled_back",
        answers: &["ESME_ROK", "ESME_ROK", "result ack"],
        events: &["write.rolled_back"],
        ..ROW
    },
    // unknown
    Row {
        name: "unknown: the fence says that the card never had it, so it is sealed anew",
        given: UNKNOWN,
        does: &[Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "sent",
        answers: &["ESME_ROK", "write anew"],
        events: &["write.sent"],
        ..ROW
    },
    Row {
        name: "unknown: accepted",
        given: UNKNOWN,
        does: &[Does::Por(Rsc::OK, Says::State(LastState::Accepted))],
        state: "written",
        answers: &["ESME_ROK"],
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "unknown: confirmed",
        given: UNKNOWN,
        does: &[Does::Por(Rsc::OK, Says::State(LastState::Confirmed))],
        state: "effective",
        answers: &["ESME_ROK"],
        events: &["card.subscription_changed", "write.effective"],
        ..ROW
    },
    Row {
        name: "unknown: rolled back",
        given: UNKNOWN,
        does: &[Does::Por(Rsc::OK, Says::State(LastState::RolledBack))],
        state: "rolled_back",
        answers: &["ESME_ROK"],
        events: &["write.rolled_back"],
        ..ROW
    },
    Row {
        name: "unknown: refused",
        given: UNKNOWN,
        does: &[Does::Por(Rsc::OK, Says::State(LastState::Refused))],
        state: "failed",
        answers: &["ESME_ROK"],
        events: &["write.failed"],
        ..ROW
    },
    Row {
        name: "unknown: cancelled, and the fence grants it",
        given: &[Does::Bind, Does::Order, Does::Cancel],
        does: &[Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "cancelled",
        answers: &["ESME_ROK"],
        events: &["write.cancelled"],
        ..ROW
    },
    Row {
        name: "unknown: its deadline passed, and the fence says so",
        given: &[Does::Bind, Does::OrderFor { seconds: 1_800 }, Does::Wait(1_900)],
        does: &[Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "expired",
        answers: &["ESME_ROK"],
        events: &["write.expired"],
        ..ROW
    },
    Row {
        name: "unknown: given up",
        given: &[Does::Bind, Does::OrderFor { seconds: 400 }, Does::Wait(500)],
        does: &[Does::Wait(DAY)],
        state: "unresolved",
        answers: &[
            "poll again",
            "poll@target again",
            "poll again",
            "poll@target again",
            "poll again",
            "poll@target again",
        ],
        events: &["write.unresolved"],
        ..ROW
    },
    // written
    Row {
        name: "written: the result from the new number",
        given: WRITTEN,
        does: &[Does::Result(WriteStatus::Confirmed, From::Target)],
        state: "effective",
        answers: &["ESME_ROK", "result ack@target"],
        events: &["card.subscription_changed", "write.effective"],
        ..ROW
    },
    Row {
        name: "written: silence, so a poll at both numbers",
        given: WRITTEN,
        does: &[Does::Wait(590), Does::Wait(20)],
        state: "written",
        answers: &["poll", "poll@target"],
        ..ROW
    },
    Row {
        name: "written: a poll is answered there",
        given: WRITTEN,
        does: &[Does::Wait(610), Does::Por(Rsc::OK, Says::State(LastState::Confirmed))],
        state: "effective",
        answers: &["poll", "poll@target", "ESME_ROK"],
        events: &["card.subscription_changed", "write.effective"],
        ..ROW
    },
    Row {
        name: "written: the applet reports that it rolled back",
        given: WRITTEN,
        does: &[Does::Result(WriteStatus::RolledBack, From::Preset)],
        state: "rolled_back",
        answers: &["ESME_ROK", "result ack"],
        events: &["write.rolled_back"],
        ..ROW
    },
    Row {
        name: "written: it cannot be cancelled",
        given: WRITTEN,
        does: &[Does::Cancel],
        state: "written",
        ..ROW
    },
    Row {
        name: "written: in another device than ordered, it is held",
        given: WRITTEN,
        does: &[Does::ResultInAnotherDevice],
        state: "written",
        answers: &["ESME_ROK", "result ack@target"],
        events: &["card.subscription_changed", "write.held"],
        ..ROW
    },
    Row {
        name: "held: nobody decides until give-up",
        given: HELD,
        does: &[Does::Wait(31 * DAY + 60)],
        state: "unresolved",
        events: &["write.unresolved"],
        ..ROW
    },
    Row {
        name: "held: accepted",
        given: HELD,
        does: &[Does::DecideWrite(true)],
        state: "effective",
        events: &["write.effective"],
        ..ROW
    },
    Row {
        name: "held: rejected",
        given: HELD,
        does: &[Does::DecideWrite(false)],
        state: "unresolved",
        events: &["write.unresolved"],
        ..ROW
    },
    // on_site
    Row {
        name: "queued for the relay: nothing goes out until it is read",
        given: BOUND,
        does: &[Does::OrderOnSite, Does::Wait(600)],
        state: "queued",
        events: &["write.accepted"],
        ..ROW
    },
    Row {
        name: "queued for the relay: exported",
        given: QUEUED_FOR_RELAY,
        does: &[Does::Export],
        state: "on_site",
        answers: &["exported write"],
        events: &["write.sent"],
        ..ROW
    },
    Row {
        name: "on_site: read again, the same octets, and no resend plan",
        given: ON_SITE,
        does: &[Does::Wait(DAY), Does::Export],
        state: "on_site",
        answers: &["exported write again"],
        ..ROW
    },
    Row {
        name: "on_site: R-APDUs with the PoR are posted back",
        given: ON_SITE,
        does: &[Does::PostBack(OnSite::WithGetResponse, Rsc::OK, Says::Accepted)],
        state: "written",
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "on_site: the PoR in the answer to the ENVELOPE itself",
        given: ON_SITE,
        does: &[Does::PostBack(OnSite::AtOnce, Rsc::OK, Says::Accepted)],
        state: "written",
        events: &["write.written"],
        ..ROW
    },
    Row {
        name: "on_site: refused by the applet",
        given: ON_SITE,
        does: &[Does::PostBack(OnSite::AtOnce, Rsc::OK, Says::Refused)],
        state: "failed",
        events: &["write.failed"],
        ..ROW
    },
    Row {
        name: "on_site: the card is busy (93xx), so the same octets once more",
        given: ON_SITE,
        does: &[Does::PostBack(OnSite::Busy, Rsc::OK, Says::Nothing), Does::Export],
        state: "on_site",
        answers: &["exported write again"],
        ..ROW
    },
    Row {
        name: "on_site: a changed PoR decides nothing",
        given: ON_SITE,
        does: &[Does::PostBack(OnSite::Changed, Rsc::OK, Says::Accepted)],
        state: "on_site",
        events: &["card.hint"],
        ..ROW
    },
    Row {
        name: "on_site: written is proved by a poll that is brought to the card, which sets its subscription",
        given: &[
            Does::SupplyBinding,
            Does::Order,
            Does::Export,
            Does::PostBack(OnSite::WithGetResponse, Rsc::OK, Says::Accepted),
        ],
        does: &[Does::Export, Does::PostBack(OnSite::AtOnce, Rsc::OK, Says::State(LastState::Confirmed))],
        state: "effective",
        answers: &["exported poll"],
        events: &["card.subscription_changed", "write.effective"],
        no_preset: true,
        ..ROW
    },
    Row {
        name: "waiting: the business platform supplies the binding of a card without preset",
        given: WAITING,
        does: &[Does::SupplyBinding, Does::Export],
        state: "on_site",
        answers: &["exported write"],
        events: &["binding.created", "write.sent"],
        no_preset: true,
        ..ROW
    },
    // A result in any state but an end.
    Row {
        name: "sent: an authenticated result counts",
        given: SENT,
        does: &[Does::Result(WriteStatus::Confirmed, From::Target)],
        state: "effective",
        answers: &["ESME_ROK", "result ack@target"],
        events: &["card.subscription_changed", "write.effective"],
        ..ROW
    },
    Row {
        name: "unknown: an authenticated result counts",
        given: UNKNOWN,
        does: &[Does::Result(WriteStatus::RolledBack, From::Preset)],
        state: "rolled_back",
        answers: &["ESME_ROK", "result ack"],
        events: &["write.rolled_back"],
        ..ROW
    },
    Row {
        name: "queued after no memory: an authenticated result counts",
        given: &[Does::Bind, Does::Order, Does::Por(Rsc::NO_MEMORY, Says::Nothing)],
        does: &[Does::Result(WriteStatus::Confirmed, From::Target)],
        state: "effective",
        answers: &["ESME_ROK", "result ack@target"],
        events: &["card.subscription_changed", "write.effective"],
        ..ROW
    },
    // The ends.
    Row {
        name: "effective: the result once more is answered once more and changes nothing",
        given: EFFECTIVE,
        does: &[Does::Result(WriteStatus::Confirmed, From::Target)],
        state: "effective",
        answers: &["ESME_ROK", "result ack@target again"],
        ..ROW
    },
    Row {
        name: "failed: a later word changes nothing",
        given: &[Does::Bind, Does::Order, Does::Por(Rsc::OK, Says::Refused)],
        does: &[Does::PorToFirstWrite(Rsc::OK, Says::Accepted)],
        state: "failed",
        answers: &["ESME_ROK"],
        ..ROW
    },
    Row {
        name: "unresolved: later proof changes the card and not the end",
        given: &[Does::Bind, Does::OrderFor { seconds: 400 }, Does::Wait(500 + DAY)],
        does: &[Does::Result(WriteStatus::Confirmed, From::Target)],
        state: "unresolved",
        answers: &["ESME_ROK", "result ack@target"],
        events: &["card.subscription_changed"],
        ..ROW
    },
    Row {
        name: "bound: a second report from the same device",
        given: BOUND,
        does: &[Does::Bind],
        answers: &["ESME_ROK", "binding response again"],
        events: &["binding.repeated"],
        ..ROW
    },
];

/// R25: every way through the states of a write, with its state afterwards.
#[tokio::test(start_paused = true)]
async fn every_row_of_the_life_of_a_write() {
    crate::names_differ(ROWS);
    crate::play(ROWS, 1_000).await;
}
