//! The operator between message centre and terminals, and between message centre and ESMEs.

use bytes::Bytes;

use crate::identity::Msisdn;
use crate::ota::tp::{Deliver, Submit, TpAddress, time_stamp};
use crate::sim::deliveries::EsmeId;
use crate::sim::faults::Fault;
use crate::sim::hlr::TerminalId;
use crate::sim::operator::{Event, Operator, Output};
use crate::sim::smsc::{Attempt, Mo, Mt};
use crate::sim::terminal::Taken;
use crate::smpp::Sm;

impl Operator {
    pub(super) fn submit(&mut self, esme: EsmeId, token: u64, sm: &Sm) {
        let (hlr, now_ms) = (&self.hlr, self.now_ms);
        let known = |number: &Msisdn| hlr.knows(number);
        let answer = self.smsc.submit(now_ms, esme, sm, known, &mut self.faults).map(|(id, number)| {
            if !self.attempts.contains_key(&number) {
                self.plan_attempt(number, self.latencies.mt_ms);
            }
            id
        });
        let answer = Output::SubmitAnswer { esme, token, answer };
        if self.faults.strikes(Fault::SubmitSlow) {
            let late_ms = self.faults.up_to(self.faults.plan().smsc.slow_ms);
            self.plan_at(now_ms + late_ms, Event::Answer(answer));
        } else {
            self.send(answer);
        }
    }

    /// One attempt with the head of a number's queue: the messages of a number go one after the other.
    pub(super) fn attempt(&mut self, number: &Msisdn) {
        if self.smsc.waiting(number) > 1 && self.faults.strikes(Fault::MtReordered) {
            self.smsc.swap_first(number);
        }
        if self.smsc.sets_out(number) && self.faults.strikes(Fault::MtDelayed) {
            let delay_ms = self.faults.up_to(self.faults.plan().mt.delay_ms);
            return self.plan_attempt_at(*number, self.now_ms + delay_ms);
        }
        let Some(mt) = self.smsc.head(self.now_ms, number, &mut self.faults) else { return };
        let taken = match (deliver_tpdu(mt, self.now_ms), self.hlr.route(number)) {
            (None, _) => Taken::CardError,
            (Some(_), None) => Taken::NotThere,
            (Some(tpdu), Some(terminal)) => self.carry(number, terminal, tpdu),
        };
        let attempt = match taken {
            Taken::Acknowledged => Attempt::Delivered,
            Taken::NotThere | Taken::CardBusy => Attempt::Later,
            Taken::CardError => Attempt::Refused,
        };
        if let Some(next_ms) = self.smsc.attempted(self.now_ms, number, attempt, &mut self.faults) {
            let wait = next_ms.saturating_sub(self.now_ms);
            if wait == 0 {
                self.plan_attempt(*number, self.latencies.mt_ms);
            } else {
                self.plan_attempt_at(*number, next_ms);
            }
        }
    }

    /// Takes a message to a terminal, or pretends to, or does so twice.
    fn carry(&mut self, number: &Msisdn, terminal: TerminalId, tpdu: Vec<u8>) -> Taken {
        if self.faults.strikes(Fault::MtLost) {
            return Taken::Acknowledged;
        }
        let taken = self.reach(terminal, &tpdu);
        if taken == Taken::Acknowledged && self.faults.strikes(Fault::MtDuplicated) {
            let later_ms = self.faults.up_to(self.faults.plan().mt.delay_ms);
            self.plan_at(self.now_ms + later_ms, Event::Again(*number, tpdu));
        }
        taken
    }

    /// Hands a message to a terminal, unless it sleeps.
    pub(super) fn reach(&mut self, terminal: TerminalId, tpdu: &[u8]) -> Taken {
        if self.asleep.contains(&terminal) {
            return Taken::NotThere;
        }
        if self.faults.strikes(Fault::CardAsleep) {
            let sleep_ms = self.faults.up_to(self.faults.plan().card.sleep_ms);
            self.asleep.insert(terminal);
            self.plan_at(self.now_ms + sleep_ms, Event::Wake(terminal));
            return Taken::NotThere;
        }
        self.with(terminal, |device| device.deliver(tpdu)).unwrap_or(Taken::NotThere)
    }

    /// A device can be reached again: what waited for it goes out now.
    pub(super) fn wake(&mut self, terminal: TerminalId) {
        self.asleep.remove(&terminal);
        if let Some(number) = self.hlr.attached_as(terminal).and_then(|imsi| self.hlr.msisdn(&imsi)) {
            self.plan_attempt(number, self.latencies.mt_ms);
        }
    }

    /// RP-ACK or RP-ERROR for a message of a card.
    pub(super) fn take_mo(&mut self, terminal: TerminalId, tpdu: &[u8]) -> bool {
        let Some(source) = self.hlr.attached_as(terminal).and_then(|imsi| self.hlr.msisdn(&imsi)) else {
            return false;
        };
        let Ok(submit) = Submit::parse(tpdu) else { return false };
        let Some(destination) = submit.destination.digits() else { return false };
        let mo = Mo {
            source,
            destination,
            udhi: submit.udhi,
            protocol_id: submit.pid,
            data_coding: submit.dcs,
            user_data: Bytes::from(submit.user_data),
        };
        self.smsc.take_mo(self.now_ms, mo, self.latencies.mo_ms, &mut self.faults)
    }

    /// Hands every deliver_sm out that can go, and plans the next look where one is due later.
    pub(super) fn pump(&mut self) {
        while let Some((esme, delivery, sm)) = self.smsc.deliveries.poll(self.now_ms) {
            self.send(Output::Deliver { esme, delivery, sm: Box::new(sm) });
        }
        if let Some(due) = self.smsc.deliveries.next_deadline(self.now_ms) {
            // The last number of all: one look at a time is enough.
            self.agenda.insert((due, u64::MAX), Event::Deliveries);
        }
    }

    /// Hands a PDU to its session, or cuts the connection at it.
    pub(super) fn send(&mut self, output: Output) {
        let esme = output.esme();
        if self.faults.strikes(Fault::LinkDropped) {
            return self.outputs.push_back(Output::Cut { esme, within_pdu: false });
        }
        if self.faults.strikes(Fault::LinkDroppedWithinPdu) {
            self.outputs.push_back(Output::Cut { esme, within_pdu: true });
        }
        self.outputs.push_back(output);
    }
}

/// The SMS-DELIVER of a message; `None` where it fits none.
fn deliver_tpdu(mt: &Mt, now_ms: u64) -> Option<Vec<u8>> {
    let type_of_address = 0x80 | (mt.source.ton & 0x07) << 4 | mt.source.npi & 0x0F;
    let deliver = Deliver {
        more_messages: false,
        udhi: mt.udhi,
        originator: TpAddress::new(type_of_address, &mt.source.digits.to_str_lossy()).ok()?,
        pid: mt.protocol_id,
        dcs: mt.data_coding,
        time_stamp: time_stamp(now_ms),
        user_data: mt.user_data.to_vec(),
    };
    deliver.encode().ok()
}
