//! Several writes of one card: one at a time, eight waiting (I4, R23).

use airwrite::applet::WriteStatus;
use airwrite::card::{DeviceView, End, Event, QUEUE_MAX, Refused, WriteState};

use crate::harness::{DAY, OLD, Rig, imei, target, write_id};

#[test]
fn r23_one_write_is_active_and_eight_wait() {
    let mut rig = Rig::new();
    for n in 1..=9 {
        assert_eq!(rig.order(n).refused, None);
    }
    assert_eq!(rig.card.queue.len(), QUEUE_MAX);
    let step = rig.order(10);
    assert_eq!((step.refused, step.changed), (Some(Refused::QueueFull), false));
    assert_eq!(rig.seals.len(), 1);
    assert_eq!(rig.kinds(9), ["write.accepted"]);
}

#[test]
fn the_next_write_begins_by_the_clock_when_the_first_has_ended() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.order(2);
    rig.hand_over(OLD);
    rig.mo_result(Rig::result(1, WriteStatus::Confirmed), target(1).msisdn);
    assert_eq!(rig.due(), Some(0), "at once, also after a crash");
    rig.event(Event::Tick);
    rig.expect(WriteState::Sealed);
    let write = rig.last_write();
    assert_eq!((write.tid, write.msisdn), (2, target(2).msisdn));
    // To the number that it has now, after the acknowledgement of the first.
    let sent: Vec<u64> =
        rig.hand_over(&target(1).msisdn.to_string()).iter().map(|submission| submission.cntr.get()).collect();
    assert_eq!(sent, [102, 103]);
}

#[test]
fn a_waiting_write_is_cancelled_at_once_and_frees_its_numbers() {
    let mut rig = Rig::new();
    rig.order(1);
    rig.order(2);
    rig.order(3);
    rig.cancel(2);
    rig.expect_end(2, End::Cancelled);
    assert_eq!(rig.kinds(2), ["write.accepted", "write.cancelled"]);
    assert_eq!(rig.freed, [target(2)]);
    assert_eq!(rig.card.queue, [write_id(3)]);
    rig.expect(WriteState::Sealed);
}

#[test]
fn writes_whose_deadline_passed_in_the_queue_expire_one_after_the_other() {
    let mut rig = Rig::new();
    for n in 1..=4 {
        rig.order(n);
    }
    rig.run_for(30 * DAY);
    for n in 1..=4 {
        rig.expect_end(n, End::Expired);
    }
    assert_eq!(rig.seals.len(), 1);
    assert_eq!(rig.freed.len(), 4);
    assert_eq!(rig.due(), None);
}

#[test]
fn a_binding_takes_no_more_waiting_writes_than_there_is_room_for() {
    let mut rig = Rig::new();
    for n in 1..=5 {
        rig.order(n);
    }
    let waiting = (6..=13).map(|n| rig.new_order(n)).collect();
    rig.bind(5, imei(), DeviceView { card: None, waiting });
    assert_eq!(rig.card.queue.len(), QUEUE_MAX);
    let taken = rig.step.bound.as_ref().map(|bound| bound.taken.clone());
    assert_eq!(taken, Some((6..=9).map(write_id).collect()));
    let left = rig.step.bound.as_ref().map(|bound| bound.left_waiting.clone());
    assert_eq!(left, Some((10..=13).map(write_id).collect()));
    let hint = rig.step.facts.iter().find(|fact| fact.kind == "card.hint").expect("it is told");
    assert_eq!(hint.detail, "8 writes wait for the card: 4 more go on waiting for the device");
    // Looked at again: nothing while there is no room, and then what there is room for.
    let device = |rig: &Rig, n| DeviceView { card: Some(rig.card.id), waiting: vec![rig.new_order(n)] };
    let supplied = |rig: &mut Rig| {
        let device = device(rig, 10);
        rig.event(Event::Supplied { imei: imei(), device });
    };
    supplied(&mut rig);
    assert!(!rig.step.changed);
    rig.cancel(3);
    supplied(&mut rig);
    assert_eq!(rig.step.bound.as_ref().map(|bound| bound.taken.clone()), Some(vec![write_id(10)]));
}
