//! Delivery hours: what becomes of a write over the air outside them.

use super::Work;
use crate::card::{Bearer, DeliveryHours, Leg, LegState, Outstanding, Purpose, WriteState};
use crate::identity::Msisdn;

impl Work<'_> {
    /// When the delivery hours begin, where they do not hold now, unix ms.
    pub(super) fn closed_until(&self) -> Option<u64> {
        let opens = self.terms.hours.map(|hours| hours.opens(self.now));
        opens.filter(|opens| *opens > self.now)
    }

    /// The hours that the outstanding packet keeps to: a poll goes at any time.
    pub(super) fn hours_of_packet(&self) -> Option<DeliveryHours> {
        self.terms.hours.filter(|_| self.card.outstanding.as_ref().is_some_and(is_write_by_air))
    }

    /// When the outstanding packet may go out again, where it may not now, unix ms.
    pub(super) fn packet_held_until(&self) -> Option<u64> {
        self.hours_of_packet().and_then(|_| self.closed_until())
    }

    /// The hours have ended: what has never left is queued again, and what waits in the lane to be repeated leaves it.
    pub(super) fn read_hours(&mut self) {
        let Some(opens) = self.packet_held_until() else { return };
        let Some(packet) = &mut self.card.outstanding else { return };
        if packet.left() {
            for leg in packet.legs.iter_mut().filter(|leg| matches!(leg.state, LegState::Ready { .. })) {
                leg.state = LegState::BackOff { until: opens };
            }
            return;
        }
        self.drop_packet();
        self.enter(WriteState::Queued);
        if let Some(active) = &mut self.card.active {
            active.not_before = opens;
        }
    }

    /// What was handed over before a stop, with no answer noted, is not repeated outside the hours.
    pub(super) fn hold_handed(&mut self, to: Msisdn) {
        let Some(until) = self.packet_held_until() else { return };
        let Some(packet) = &mut self.card.outstanding else { return };
        let handed = |leg: &&mut Leg| leg.to == to && matches!(leg.state, LegState::Handed { .. });
        for leg in packet.legs.iter_mut().filter(handed) {
            leg.state = LegState::BackOff { until };
            packet.repeated = true;
            if let Some(active) = &mut self.card.active {
                active.accepted = true;
            }
        }
    }

    /// An answer to the card is not held up by a write that waits for the hours: the card is asked what became of that
    /// one, and after it nothing older goes out.
    pub(super) fn let_answers_pass(&mut self) {
        let waits = |packet: &Outstanding| {
            packet.legs.iter().all(|leg| matches!(leg.state, LegState::BackOff { .. } | LegState::Silent))
        };
        if !self.card.owed.is_empty()
            && self.terms.profile.asks_por()
            && self.packet_held_until().is_some()
            && self.card.outstanding.as_ref().is_some_and(waits)
        {
            self.doubt("outside the delivery hours an answer to the card goes first");
        }
    }
}

fn is_write_by_air(packet: &Outstanding) -> bool {
    packet.purpose == Purpose::Write && packet.bearer == Bearer::Sms
}
