//! Delivery hours: writes over the air keep to them, and nothing else does.

use airwrite::applet::{BindingResult, LastState, Message, WriteStatus};
use airwrite::card::{
    Bearer, DeliveryHours, DeviceView, End, Event, LegState, Order, Purpose, Submitted, WriteState,
};

use crate::harness::{DAY, HOUR, MINUTE, OLD, Rig, SECOND, START, imei, message, write_id};

/// 08:00 to 20:00 UTC; the rig begins at midnight.
const DAYTIME: DeliveryHours = DeliveryHours { from_min: 8 * 60, to_min: 20 * 60, utc_offset_min: 0 };

/// A card that may be written in daytime, at this time of the first day.
fn rig_at(time: u64) -> Rig {
    let mut rig = Rig::new();
    rig.hours = Some(DAYTIME);
    rig.now = START + time;
    rig
}

/// One with write 1 accepted by the SMSC five minutes before the hours end.
fn sent_late() -> Rig {
    let mut rig = rig_at(20 * HOUR - 5 * MINUTE);
    rig.order(1);
    rig.hand_over(OLD);
    rig.expect(WriteState::Sent);
    rig
}

/// Something that happens to a card.
type Happens = fn(&mut Rig);

/// What goes out at night, and what follows when the hours begin.
#[test]
fn what_falls_due_at_night() {
    let rows: [(&str, Happens, Option<&str>, Option<&str>); 7] = [
        ("an order", |rig| _ = rig.order(1), None, Some("write")),
        ("a binding", |rig| _ = rig.bind(5, imei(), DeviceView::default()), Some("answer"), None),
        (
            "a binding that brings an order",
            |rig| {
                let waiting = vec![rig.new_order(1)];
                rig.bind(5, imei(), DeviceView { card: None, waiting });
            },
            Some("answer"),
            Some("write"),
        ),
        ("a question", |rig| _ = rig.event(Event::Poll), Some("poll"), None),
        (
            "an order behind a write that ended unresolved",
            |rig| {
                let unsettled = Rig::written().card.active.expect("a write");
                rig.card.last_tid = unsettled.tid;
                rig.card.unsettled.push(airwrite::card::Unsettled {
                    write: write_id(9),
                    tid: unsettled.tid,
                    target: unsettled.order.target,
                    step: 0,
                });
                rig.order(2);
            },
            Some("poll"),
            Some("write"),
        ),
        (
            "the question what became of a write",
            |rig| {
                rig.hours = None;
                rig.order(1);
                rig.hand_over(OLD);
                rig.por(1, WriteStatus::Accepted);
                rig.hours = Some(DAYTIME);
                rig.run_for(10 * MINUTE);
            },
            Some("poll"),
            None,
        ),
        (
            "a write on site",
            |rig| {
                let order = Order { bearer: Some(Bearer::Relay), ..rig.new_order(1) };
                rig.event(Event::Ordered(order));
                rig.event(Event::Export { id: write_id(1) });
            },
            Some("write"),
            None,
        ),
    ];
    for (name, happens, at_night, in_the_morning) in rows {
        let mut rig = rig_at(0);
        happens(&mut rig);
        assert_eq!(rig.seals.last().map(kind).filter(|_| at_night.is_some()), at_night, "{name}");
        let sealed = rig.seals.len();
        if rig.purpose() == Some(Purpose::Poll) {
            rig.hand_over(OLD);
            let reached = rig.card.active.as_ref().is_some_and(|active| active.state == WriteState::Written);
            rig.state_answer(1, if reached { LastState::Accepted } else { LastState::RolledBack });
        }
        rig.run_until(START + 8 * HOUR - 1);
        assert!(rig.seals.iter().skip(sealed).all(|seal| kind(seal) != "write"), "{name}: not before 08:00");
        let sealed = rig.seals.len();
        rig.run_for(1);
        let begun = rig.seals.iter().skip(sealed).map(kind).find(|kind| *kind == "write");
        assert_eq!(begun, in_the_morning, "{name}");
    }
}

fn kind(seal: &airwrite::card::Seal) -> &'static str {
    match message(seal) {
        Message::WriteCard(_) => "write",
        Message::Poll(_) => "poll",
        _ => "answer",
    }
}

#[test]
fn a_write_that_never_left_is_queued_again_and_sealed_anew() {
    let mut rig = rig_at(20 * HOUR - SECOND);
    rig.bind(5, imei(), DeviceView { card: None, waiting: vec![rig.new_order(1)] });
    rig.expect(WriteState::Sealed);
    assert!(rig.last_write().binding_ack.is_some());
    rig.now += SECOND;
    assert!(rig.hand_out(OLD).is_empty());
    rig.expect(WriteState::Queued);
    // The answer that it carried goes alone.
    let sent: Vec<u64> = rig.hand_over(OLD).iter().map(|submission| submission.cntr.get()).collect();
    assert_eq!((sent, kind(rig.last_seal())), (vec![102], "answer"));
    assert_eq!(rig.due(), Some(START + DAY + 8 * HOUR));
    rig.run_for(12 * HOUR);
    assert_eq!((rig.outstanding().get(), rig.last_write().tid), (103, 1));
}

#[test]
fn the_validity_ends_with_the_hours() {
    for (before_the_end, asked) in [(HOUR, 300), (2 * MINUTE, 120), (SECOND / 2, 1)] {
        let mut rig = rig_at(20 * HOUR - before_the_end);
        rig.order(1);
        assert_eq!(rig.hand_over(OLD)[0].validity_s, asked);
        let LegState::Taken { at, silent_at } = rig.legs()[0].state else { panic!("taken") };
        assert_eq!(silent_at - at, (asked + 60) * SECOND, "and so does the wait for the answer");
    }
}

/// Silence, a busy SMSC and a stop in the middle: the same octets again, in the morning.
#[test]
fn nothing_is_repeated_at_night() {
    let silent = |rig: &mut Rig| rig.run_for(HOUR);
    let busy = |rig: &mut Rig| {
        rig.run_for(4 * MINUTE + 52 * SECOND);
        rig.event(Event::Receipt {
            message_id: "m1".into(),
            to: rig.legs()[0].to,
            delivered: false,
            fcs: None,
        });
        rig.run_for(5 * SECOND);
        let cntr = rig.hand_out(OLD)[0].cntr;
        rig.submitted(cntr, OLD, Submitted::Throttled);
        rig.run_for(HOUR);
    };
    let stopped = |rig: &mut Rig| {
        rig.run_for(4 * MINUTE);
        rig.event(Event::Receipt {
            message_id: "m1".into(),
            to: rig.legs()[0].to,
            delivered: false,
            fcs: None,
        });
        rig.run_for(5 * SECOND);
        assert_eq!(rig.hand_out(OLD).len(), 1);
        rig.run_for(HOUR);
        assert!(rig.hand_out(OLD).is_empty());
    };
    let happens: [(&str, Happens); 3] = [("silence", silent), ("busy", busy), ("stopped", stopped)];
    for (name, happens) in happens {
        let mut rig = sent_late();
        happens(&mut rig);
        rig.expect(WriteState::Sent);
        assert!(rig.card.lanes().is_empty(), "{name}");
        assert_eq!(rig.due(), Some(START + DAY + 8 * HOUR), "{name}");
        // A sign of life does not break the hours.
        rig.event(Event::Alert);
        assert!(!rig.step.changed, "{name}");
        rig.run_until(START + DAY + 8 * HOUR);
        let again = rig.hand_over(OLD);
        assert_eq!((again.len(), again[0].cntr.get()), (1, 101), "{name}");
        assert_eq!(rig.seals.len(), 1, "{name}: the same octets");
        rig.por(1, WriteStatus::Accepted);
        rig.expect(WriteState::Written);
    }
}

#[test]
fn an_answer_to_the_card_goes_at_night_before_a_write_that_is_to_be_repeated() {
    let mut rig = sent_late();
    rig.run_for(HOUR);
    rig.bind(5, imei(), DeviceView::default());
    // What is out may still be executed: the card is asked, and after that nothing older can be.
    rig.expect(WriteState::Unknown);
    assert_eq!(kind(rig.last_seal()), "poll");
    rig.hand_over(OLD);
    rig.state_answer(0, LastState::None);
    rig.expect(WriteState::Queued);
    match rig.last_message() {
        Message::BindingResponse(response) => {
            assert_eq!((response.tid, response.result), (5, BindingResult::Saved));
        }
        other => panic!("no binding response: {other:?}"),
    }
    rig.hand_over(OLD);
    rig.run_until(START + DAY + 8 * HOUR);
    assert_eq!((rig.outstanding().get(), rig.last_write().tid), (104, 1));
}

#[test]
fn a_deadline_at_night_ends_the_write() {
    let mut rig = rig_at(0);
    let order = Order { deadline: START + 7 * HOUR, ..rig.new_order(1) };
    rig.event(Event::Ordered(order));
    rig.run_for(DAY);
    rig.expect_end(1, End::Expired);
    assert!(rig.seals.is_empty());
}

/// A gateway that was down while the hours held goes on when they hold again.
#[test]
fn hours_that_were_missed_are_not_made_up_for_at_night() {
    let mut rig = rig_at(0);
    rig.order(1);
    rig.now = START + 22 * HOUR;
    rig.event(Event::Tick);
    assert_eq!((rig.seals.len(), rig.due()), (0, Some(START + DAY + 8 * HOUR)));
}
