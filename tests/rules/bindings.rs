//! Rules section 4: which device a card is in, as far as a report may say so.

use airwrite::card::{BindingPolicy, Dialect, Profile};
use airwrite::ota::Rsc;

use crate::row::{Does, Junk, ROW, Row, Says};

const BOUND: &[Does] = &[Does::Bind];

fn plain(profile: &mut Profile) {
    profile.mo.dialect = Dialect::Plain;
}

fn raw_imei(profile: &mut Profile) {
    profile.mo.dialect = Dialect::RawImei;
}

fn hold(profile: &mut Profile) {
    profile.trust.binding_policy = BindingPolicy::Hold;
}

fn reject(profile: &mut Profile) {
    profile.trust.binding_policy = BindingPolicy::Reject;
}

const ROWS: &[Row] = &[
    // Low trust.
    Row {
        name: "plain: a claim is confirmed by the secured answer to a poll, and its writes go out",
        given: &[Does::Order],
        does: &[Does::Junk(Junk::PlainBinding(0)), Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "sent",
        answers: &["ESME_ROK", "poll", "ESME_ROK", "write"],
        events: &["binding.held", "binding.created", "write.sent"],
        profile: plain,
        ..ROW
    },
    Row {
        name: "plain: a claim alone releases nothing",
        given: &[Does::Order],
        does: &[Does::Junk(Junk::PlainBinding(0))],
        state: "waiting",
        answers: &["ESME_ROK", "poll"],
        events: &["binding.held"],
        profile: plain,
        ..ROW
    },
    Row {
        name: "raw IMEI: confirmed by the secured answer to a poll; no answer is owed",
        given: &[Does::Order],
        does: &[Does::Junk(Junk::RawImei(0)), Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "sent",
        answers: &["ESME_ROK", "poll", "ESME_ROK", "write"],
        events: &["binding.held", "binding.created", "write.sent"],
        profile: raw_imei,
        ..ROW
    },
    Row {
        name: "raw IMEI behind a command: as without it",
        given: &[Does::Order],
        does: &[Does::Junk(Junk::CommandAndRawImei(0)), Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "sent",
        answers: &["ESME_ROK", "poll", "ESME_ROK", "write"],
        events: &["binding.held", "binding.created", "write.sent"],
        profile: raw_imei,
        ..ROW
    },
    Row {
        name: "raw IMEI: the card says that it is in another device",
        given: &[Does::Order],
        does: &[Does::Junk(Junk::RawImei(1)), Does::Por(Rsc::OK, Says::NeverHeardOfIt)],
        state: "sent",
        answers: &["ESME_ROK", "poll", "ESME_ROK", "write"],
        events: &["binding.held", "binding.suspect", "binding.created", "write.sent"],
        profile: raw_imei,
        ..ROW
    },
    Row {
        name: "raw IMEI: the same again changes nothing",
        given: &[Does::Junk(Junk::RawImei(0)), Does::Por(Rsc::OK, Says::NeverHeardOfIt), Does::Wait(61)],
        does: &[Does::Junk(Junk::RawImei(0))],
        answers: &["ESME_ROK"],
        events: &["binding.repeated"],
        profile: raw_imei,
        ..ROW
    },
    // The profile's policy for what contradicts.
    Row {
        name: "accept: another device is the card's now",
        given: BOUND,
        does: &[Does::BindInAnotherDevice],
        answers: &["ESME_ROK", "binding response"],
        events: &["binding.changed"],
        ..ROW
    },
    Row {
        name: "hold: another device waits for a decision",
        given: BOUND,
        does: &[Does::BindInAnotherDevice],
        answers: &["ESME_ROK", "binding response"],
        events: &["binding.held"],
        profile: hold,
        ..ROW
    },
    Row {
        name: "hold: accepted, and what waits for that device goes out",
        given: &[Does::Bind, Does::OrderForAnotherDevice, Does::BindInAnotherDevice],
        does: &[Does::DecideBinding(true)],
        answers: &["write"],
        events: &["binding.changed", "write.sent"],
        profile: hold,
        ..ROW
    },
    Row {
        name: "hold: refused",
        given: &[Does::Bind, Does::OrderForAnotherDevice, Does::BindInAnotherDevice],
        does: &[Does::DecideBinding(false)],
        answers: &["binding response"],
        events: &["binding.rejected"],
        profile: hold,
        ..ROW
    },
    Row {
        name: "reject: nothing changes",
        given: BOUND,
        does: &[Does::BindInAnotherDevice],
        answers: &["ESME_ROK", "binding response"],
        events: &["binding.rejected"],
        profile: reject,
        ..ROW
    },
    Row {
        name: "supplied over the API: trusted for its owner",
        given: &[Does::Order],
        does: &[Does::SupplyBinding],
        state: "sent",
        answers: &["write"],
        events: &["binding.created", "write.sent"],
        ..ROW
    },
];

/// R8: what contradicts the binding that is there is told and taken by the profile's policy. R11: the write goes to the
/// card of the device, from the card's report (R11a) or from the business platform (R11b).
#[tokio::test(start_paused = true)]
async fn every_row_of_reports_of_devices() {
    crate::names_differ(ROWS);
    crate::play(ROWS, 4_000).await;
}
