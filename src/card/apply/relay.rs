//! On site: packets that the business platform brings to the card. They are sealed when they are read,
//! asked for once and answered by what is posted back; nothing is sent again, and only the deadline ends the wait.

use super::Work;
use super::begin::next_result_poll;
use crate::card::{Active, Bearer, Outstanding, Purpose, Refused, WriteId, WriteState};
use crate::ota::{Cntr, PorRequest, Rsc};

impl Work<'_> {
    /// The business platform reads what it is to bring to the card: again the same until that is answered.
    pub(super) fn export(&mut self, id: WriteId) {
        let on_site = |active: &&Active| active.order.id == id && active.bearer == Bearer::Relay;
        let Some(active) = self.card.active.as_ref().filter(on_site) else {
            self.refused = Some(Refused::NothingToExport);
            return;
        };
        let (state, early, held) = (active.state, self.now < active.not_before, active.hold.is_some());
        let asks_por = self.terms.profile.mt.spi2_relay.por() != PorRequest::None;
        if let Some(packet) = self.relayed() {
            packet.repeated = true;
            return;
        }
        match state {
            _ if held => {}
            WriteState::Queued if early => {}
            WriteState::Queued if self.card.unsettled.is_empty() || !asks_por => self.export_write(),
            WriteState::Queued | WriteState::Unknown | WriteState::Written => self.export_poll(),
            _ => {}
        }
        if self.relayed().is_none() {
            self.refused = Some(Refused::NothingToExport);
        }
    }

    fn relayed(&mut self) -> Option<&mut Outstanding> {
        self.card.outstanding.as_mut().filter(|packet| packet.bearer == Bearer::Relay)
    }

    fn export_write(&mut self) {
        self.card.outstanding = None;
        self.seal_write();
        let Some(cntr) = self.relayed().map(|packet| packet.cntr) else { return };
        self.overtake_notice(cntr);
        if let Some(active) = &mut self.card.active {
            active.handed_out = true;
        }
        self.enter(WriteState::OnSite);
        self.write_fact("write.sent", "on site");
    }

    /// A poll on its way over the air gives way; one over the air follows only where this brings nothing.
    fn export_poll(&mut self) {
        self.card.outstanding = None;
        self.seal_poll_with(Bearer::Relay, Vec::new());
        let Some(cntr) = self.relayed().map(|packet| packet.cntr) else { return };
        self.overtake_notice(cntr);
        let (now, timers) = (self.now, self.terms.timers);
        if let Some(active) = self.card.active.as_mut().filter(|active| active.state != WriteState::Queued) {
            let planned = next_result_poll(active.since, timers, now);
            active.not_before = planned.max(now + timers.validity(0) * 1000);
        }
    }

    /// An answer with a lower CNTR that did not go out by now never will.
    fn overtake_notice(&mut self, cntr: Cntr) {
        if self.card.notice.as_ref().is_some_and(|notice| notice.cntr < cntr) {
            self.card.notice = None;
        }
    }

    /// A poll on site that was not answered in its time.
    pub(super) fn give_way_to_air(&mut self) {
        let due = self.card.active.as_ref().is_some_and(|active| {
            matches!(active.state, WriteState::Unknown | WriteState::Written)
                && active.hold.is_none()
                && active.not_before <= self.now
        });
        let polled = self.relayed().is_some_and(|packet| packet.purpose == Purpose::Poll);
        match (due && polled, self.card.active.as_ref()) {
            (true, Some(active)) if self.poll_numbers().is_empty() => {
                self.poll_from(next_result_poll(active.since, self.terms.timers, self.now));
            }
            (true, _) => self.card.outstanding = None,
            (false, _) => {}
        }
    }

    /// A poll that was brought to the card and answered without its state: the next one that is read is a new one.
    pub(super) fn relayed_poll_failed(&mut self, rsc: Rsc) {
        let Some(packet) = self.card.outstanding.take() else { return };
        if rsc != Rsc::CNTR_LOW {
            self.fact("card.hint", format!("a poll on site is answered with PoR {rsc} and no state"));
        } else if !packet.repeated {
            self.jump(self.asked_tar(&packet));
        }
    }
}
