//! Whatever happens, in whatever order: each request ends once.

use std::collections::BTreeMap;
use std::time::Duration;

use airwrite::smpp::{BindMode, CloseReason, Event, Session};
use bytes::BytesMut;
use proptest::prelude::*;

use crate::wire::{Wire, drain, raw, sm};

#[derive(Debug, Clone)]
enum Step {
    Send,
    /// Answers the request that was sent so many before the last, with its own response or a nack.
    Answer(u32, bool),
    Wait(u64),
    Octets(Vec<u8>),
    Unbind,
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Send),
        8 => (0..12_u32, any::<bool>()).prop_map(|(back, nack)| Step::Answer(back, nack)),
        3 => (0..40_u64).prop_map(Step::Wait),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|mut octets| {
            // A length that is in range, so that most of them are PDUs.
            if let Some(start) = octets.get_mut(..3) {
                start.fill(0);
            }
            Step::Octets(octets)
        }),
        1 => Just(Step::Unbind),
        1 => Just(Step::Lose),
    ]
}

proptest! {
    #[test]
    fn every_request_ends_exactly_once(steps in prop::collection::vec(step(), 0..120)) {
        let Wire { mut now, mut esme, .. } = Wire::bound(BindMode::Transceiver, 4);
        let mut input = BytesMut::new();
        let (mut sent, mut last, mut ends) = (0_u32, 0_u32, BTreeMap::<u32, u32>::new());
        let mut closed = 0;
        let mut count = |session: &mut Session<u32>| {
            for event in drain(session) {
                prop_assert_eq!(closed, 0, "an event after the close: {:?}", event);
                match event {
                    Event::Ended { token, .. } => *ends.entry(token).or_default() += 1,
                    Event::Closed(_) => closed += 1,
                    _ => {}
                }
            }
            Ok(())
        };
        for step in steps {
            match step {
                Step::Send => match esme.send_sm(now, &sm(b""), sent + 1) {
                    Ok(sequence) => (sent, last) = (sent + 1, sequence),
                    Err((_, token)) => prop_assert_eq!(token, sent + 1),
                },
                Step::Answer(back, nack) => {
                    let id = if nack { 0x8000_0000 } else { 0x8000_0004 };
                    input.extend_from_slice(&raw(id, 0, last.saturating_sub(back), b""));
                    esme.receive(now, &mut input);
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    esme.handle_timeout(now);
                }
                Step::Octets(octets) => {
                    input.extend_from_slice(&octets);
                    esme.receive(now, &mut input);
                }
                Step::Unbind => esme.unbind(now),
                Step::Lose => esme.close(now, CloseReason::ConnectionLost),
            }
            prop_assert!(esme.in_flight() <= 4);
            count(&mut esme)?;
        }
        esme.close(now, CloseReason::ConnectionLost);
        count(&mut esme)?;
        prop_assert_eq!(esme.in_flight(), 0);
        prop_assert_eq!(esme.next_deadline(), None);
        prop_assert_eq!(closed, 1);
        prop_assert_eq!(ends.len(), usize::try_from(sent).unwrap());
        prop_assert!(ends.values().all(|count| *count == 1), "{:?}", ends);
    }
}
