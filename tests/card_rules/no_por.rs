//! Cards that answer no packet: only what they send of their own proves anything, and nothing is a fence.

use airwrite::applet::WriteStatus;
use airwrite::card::{ClaimSource, End, Event, LegState, Profile, Purpose, WriteState};
use airwrite::ota::Spi2;

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, START, imei, number, target, write_id};

pub(crate) fn rig() -> Rig {
    let profile = include_str!("../../config/profiles/airwrite-applet.toml");
    let profile = profile.replace("spi2_sms = \"39\"", "spi2_sms = \"00\"");
    let mut rig = Rig::new();
    rig.profile = Profile::from_toml(&profile).expect("the profile");
    assert!(!rig.profile.asks_por());
    rig
}

fn sent() -> Rig {
    let mut rig = rig();
    rig.order(1);
    assert_eq!(rig.last_seal().spi2, Spi2::NO_POR);
    rig.hand_over(OLD);
    rig.expect(WriteState::Sent);
    rig
}

fn new_number() -> airwrite::identity::Msisdn {
    target(1).msisdn
}

/// Every attempt passes.
fn unknown() -> Rig {
    let mut rig = sent();
    for _ in 0..3 {
        let Some(LegState::Taken { silent_at, .. }) = rig.legs().front().map(|leg| leg.state) else {
            panic!("{:?}", rig.legs());
        };
        rig.run_until(silent_at);
        rig.hand_over(OLD);
    }
    rig.run_for(2 * DAY);
    rig.expect(WriteState::Unknown);
    rig
}

#[test]
fn the_result_alone_proves_it() {
    let mut rig = sent();
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), new_number());
    rig.expect_end(1, End::Effective);
    assert_eq!(rig.step.writes.last().and_then(|change| change.imei_verified), Some(true));
    // The card is told, in the same way as by a card that answers.
    assert_eq!(rig.card.notice.as_ref().map(|notice| notice.leg.to), Some(new_number()));
}

#[test]
fn the_attempts_go_by_plan_and_then_nothing_goes_out_until_give_up() {
    let mut rig = unknown();
    assert_eq!(rig.card.active.as_ref().map(|active| active.resent), Some(3));
    assert_eq!((rig.purpose(), rig.seals.len()), (None, 1));
    rig.run_until(START + 37 * DAY - SECOND);
    rig.expect(WriteState::Unknown);
    rig.run_for(SECOND);
    rig.expect_end(1, End::Unresolved);
    assert_eq!(rig.seals.len(), 1, "no poll: there would be no answer");
}

#[test]
fn a_result_counts_however_late() {
    let mut rig = unknown();
    rig.mo_result(Rig::result(1, WriteStatus::Accepted), number(OLD));
    rig.expect(WriteState::Written);
    rig.run_for(2 * DAY);
    rig.expect(WriteState::Written);
    assert_eq!(rig.purpose(), None);
    rig.mo_result(Rig::result(1, WriteStatus::RolledBack), number(OLD));
    rig.expect_end(1, End::RolledBack);

    let mut rig = unknown();
    rig.run_until(START + 38 * DAY);
    rig.expect_end(1, End::Unresolved);
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), new_number());
    assert_eq!(rig.card.current, Some(target(1)));
    assert_eq!(rig.ends(1), ["write.unresolved"]);
}

#[test]
fn the_next_write_follows_once_nothing_of_the_one_before_is_kept_any_more() {
    for give_up_s in [0, 7 * 86_400] {
        let mut rig = sent();
        rig.timers.give_up_s = give_up_s;
        rig.order(2);
        let margin_s = give_up_s.max(rig.timers.after_validity_s);
        rig.run_until(START + 30 * DAY + (margin_s - 1) * SECOND);
        assert_eq!(rig.seals.len(), 1);
        rig.expect(WriteState::Unknown);
        let deadline = rig.now + 30 * DAY;
        rig.orders.get_mut(&write_id(2)).expect("the order").deadline = deadline;
        rig.run_for(SECOND);
        rig.expect_end(1, End::Unresolved);
        assert_eq!((rig.purpose(), rig.seals.len()), (Some(Purpose::Write), 2));
        assert_eq!(rig.last_write().tid, 2);
    }
}

/// I5: without a fence a cancellation is never granted once octets are out.
#[test]
fn i5_what_is_out_cannot_be_cancelled() {
    let mut rig = rig();
    rig.order(1);
    rig.cancel(1);
    rig.expect_end(1, End::Cancelled);

    let mut rig = sent();
    rig.cancel(1);
    rig.expect(WriteState::Unknown);
    rig.run_until(START + 38 * DAY);
    rig.expect_end(1, End::Unresolved);
}

#[test]
fn nothing_makes_it_ask_such_a_card() {
    let mut rig = rig();
    rig.event(Event::Poll);
    rig.event(Event::Claim { imei: imei(), from: Some(number(OLD)), source: ClaimSource::RawImei });
    rig.card.resync = true;
    rig.run_for(3 * HOUR);
    assert!(rig.seals.is_empty());
    assert!(rig.card.binding.is_none() && rig.card.claimed.is_some());
    // A store restored from an older copy asks neither: what the card says counts.
    let mut rig = sent();
    rig.epoch = 2;
    rig.run_for(MINUTE);
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), new_number());
    rig.expect_end(1, End::Effective);
}

#[test]
fn an_answer_to_the_card_waits_behind_the_write_also_outside_the_delivery_hours() {
    let mut rig = sent();
    rig.hours = Some(airwrite::card::DeliveryHours { from_min: 480, to_min: 1200, utc_offset_min: 0 });
    rig.bind(5, imei(), rig.known_device());
    rig.run_for(3 * HOUR);
    rig.expect(WriteState::Sent);
    assert_eq!(rig.card.owed.len(), 1);
}
