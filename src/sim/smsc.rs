//! The short message centre: keeps messages for cards and for ESMEs until they are delivered or out of time.
//!
//! It knows numbers, queues and bound ESMEs, but no terminals: [`crate::sim::operator`] asks it for the next message
//! of a number and tells it how the delivery went.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::identity::Msisdn;
use crate::sim::deliveries::{Deliveries, EsmeId, Recipient};
use crate::sim::faults::{Fault, Faults};
use crate::sim::receipts::{Spelling, receipt};
use crate::smpp::{
    Address, Body, CommandStatus, DataCoding, EsmClass, MessageId, MessageState, QuerySmResp,
    RegisteredDelivery, ShortMessage, Sm, time,
};

/// Limits and waits of the message centre.
#[derive(Debug, Clone)]
pub struct SmscConfig {
    /// Messages kept for cards, all numbers together; then submit_sm is answered ESME_RMSGQFUL.
    pub mt_queue_max: usize,
    /// Messages kept for ESMEs; then a card's message is refused (RP-ERROR).
    pub mo_queue_max: usize,
    /// submit_sm of all ESMEs within one second; above, ESME_RTHROTTLED. `None`: no limit.
    pub submit_rate_max: Option<u32>,
    /// How long a message without validity_period is tried.
    pub validity_ms: u64,
    /// First wait before another attempt toward a terminal; doubles up to `retry_ms_max`.
    pub retry_ms: u64,
    /// Longest wait between attempts toward a terminal.
    pub retry_ms_max: u64,
    /// First wait before a deliver_sm is sent again; doubles up to `deliver_retry_ms_max`.
    pub deliver_retry_ms: u64,
    /// Longest wait between attempts toward an ESME.
    pub deliver_retry_ms_max: u64,
    /// deliver_sm without an answer on one session.
    pub deliver_window: usize,
}

impl Default for SmscConfig {
    fn default() -> Self {
        Self {
            mt_queue_max: 100_000,
            mo_queue_max: 100_000,
            submit_rate_max: None,
            validity_ms: 48 * 3600 * 1000,
            retry_ms: 5_000,
            retry_ms_max: 300_000,
            deliver_retry_ms: 1_000,
            deliver_retry_ms_max: 60_000,
            deliver_window: 10,
        }
    }
}

/// A message for a card.
#[derive(Debug, Clone)]
pub(super) struct Mt {
    pub(super) message_id: u64,
    system_id: String,
    registered: RegisteredDelivery,
    pub(super) submitted_ms: u64,
    expires_ms: u64,
    attempts: u32,
    /// It has been on its way before.
    started: bool,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) udhi: bool,
    pub(super) protocol_id: u8,
    pub(super) data_coding: u8,
    pub(super) user_data: Bytes,
}

/// A message from a card, as the terminal handed it in.
#[derive(Debug, Clone)]
pub(super) struct Mo {
    pub(super) source: Msisdn,
    pub(super) destination: String,
    pub(super) udhi: bool,
    pub(super) protocol_id: u8,
    pub(super) data_coding: u8,
    pub(super) user_data: Bytes,
}

/// How the attempt to deliver a message to a card went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The terminal acknowledged it.
    Delivered,
    /// Not there, or busy: later again.
    Later,
    /// Refused for good.
    Refused,
}

/// Counts of what has passed the message centre.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct SmscTotals {
    /// submit_sm that were accepted.
    pub submits: u64,
    /// submit_sm that were refused, whatever the status.
    pub refused: u64,
    /// Messages that a terminal acknowledged.
    pub delivered: u64,
    /// Messages that ran out of time or were refused by the terminal.
    pub undelivered: u64,
    /// Messages that their ESME took back (cancel_sm).
    pub cancelled: u64,
    /// Messages of cards that were taken.
    pub mo: u64,
    /// deliver_sm that an ESME answered ESME_ROK.
    pub mo_acknowledged: u64,
    /// deliver_sm that were sent again.
    pub mo_repeated: u64,
    /// deliver_sm that an ESME refused for good.
    pub mo_dropped: u64,
}

/// The message centre.
#[derive(Debug)]
pub(super) struct Smsc {
    config: SmscConfig,
    mt: BTreeMap<Msisdn, VecDeque<Mt>>,
    mt_count: usize,
    last_message_id: u64,
    /// What goes to ESMEs: messages of cards, and receipts.
    pub(super) deliveries: Deliveries,
    second: u64,
    submits_this_second: u32,
    totals: SmscTotals,
}

impl Smsc {
    pub(super) fn new(config: SmscConfig) -> Self {
        Self {
            deliveries: Deliveries::new(&config),
            config,
            mt: BTreeMap::new(),
            mt_count: 0,
            last_message_id: 0,
            second: 0,
            submits_this_second: 0,
            totals: SmscTotals::default(),
        }
    }

    pub(super) const fn totals(&self) -> SmscTotals {
        let (mo_acknowledged, mo_repeated, mo_dropped) = self.deliveries.counts();
        SmscTotals { mo_acknowledged, mo_repeated, mo_dropped, ..self.totals }
    }

    /// Takes a message for a card. Gives its message id and the number whose queue it is in.
    pub(super) fn submit(
        &mut self,
        now_ms: u64,
        from: EsmeId,
        sm: &Sm,
        known: impl Fn(&Msisdn) -> bool,
        faults: &mut Faults,
    ) -> Result<(String, Msisdn), CommandStatus> {
        let taken = self.admit(now_ms, from, sm, known, faults);
        match taken {
            Ok(_) => self.totals.submits += 1,
            Err(_) => self.totals.refused += 1,
        }
        taken
    }

    fn admit(
        &mut self,
        now_ms: u64,
        from: EsmeId,
        sm: &Sm,
        known: impl Fn(&Msisdn) -> bool,
        faults: &mut Faults,
    ) -> Result<(String, Msisdn), CommandStatus> {
        let system_id = self.deliveries.system_id(from).ok_or(CommandStatus::ESME_RINVBNDSTS)?.to_owned();
        if self.throttled(now_ms) {
            return Err(CommandStatus::ESME_RTHROTTLED);
        }
        for (fault, status) in [
            (Fault::SubmitThrottled, CommandStatus::ESME_RTHROTTLED),
            (Fault::SubmitQueueFull, CommandStatus::ESME_RMSGQFUL),
            (Fault::SubmitSystemError, CommandStatus::ESME_RSYSERR),
        ] {
            if faults.strikes(fault) {
                return Err(status);
            }
        }
        let number: Msisdn = sm
            .destination
            .digits
            .to_str_lossy()
            .parse()
            .ok()
            .filter(|number| known(number))
            .ok_or(CommandStatus::ESME_RINVDSTADR)?;
        let user_data = sm.user_data();
        if user_data.len() > 140 {
            return Err(CommandStatus::ESME_RINVMSGLEN);
        }
        if self.mt_count >= self.config.mt_queue_max {
            return Err(CommandStatus::ESME_RMSGQFUL);
        }
        let expires_ms = if sm.validity_period.is_empty() {
            now_ms.saturating_add(self.config.validity_ms)
        } else {
            time::moment_ms(&sm.validity_period, now_ms).ok_or(CommandStatus::ESME_RINVEXPIRY)?
        };
        self.last_message_id += 1;
        if faults.strikes(Fault::SubmitLost) {
            return Ok((message_id(self.last_message_id), number));
        }
        self.mt_count += 1;
        self.mt.entry(number).or_default().push_back(Mt {
            message_id: self.last_message_id,
            system_id,
            registered: sm.registered_delivery,
            submitted_ms: now_ms,
            expires_ms,
            attempts: 0,
            started: false,
            source: sm.source,
            destination: sm.destination,
            udhi: sm.esm_class.udhi(),
            protocol_id: sm.protocol_id,
            data_coding: sm.data_coding.0,
            user_data,
        });
        Ok((message_id(self.last_message_id), number))
    }

    /// Serves cancel_sm and query_sm, for messages that are still kept.
    pub(super) fn request(
        &mut self,
        now_ms: u64,
        from: EsmeId,
        body: &Body,
        faults: &mut Faults,
    ) -> Result<Body, CommandStatus> {
        match body {
            Body::CancelSm(cancel) => {
                let addressed = |mt: &Mt| {
                    mt.source == cancel.source
                        && (cancel.destination.digits.is_empty() || mt.destination == cancel.destination)
                };
                let failed = CommandStatus::ESME_RCANCELFAIL;
                let (number, at) = self.find(from, &cancel.message_id, addressed, failed)?;
                let mt = self.take(&number, at).ok_or(failed)?;
                self.totals.cancelled += 1;
                self.report(now_ms, mt, MessageState::DELETED, faults);
                Ok(Body::CancelSmResp)
            }
            Body::QuerySm(query) => {
                let addressed = |mt: &Mt| mt.source == query.source;
                self.find(from, &query.message_id, addressed, CommandStatus::ESME_RQUERYFAIL)?;
                let (message_id, message_state) = (query.message_id.clone(), MessageState::ENROUTE);
                Ok(Body::QuerySmResp(QuerySmResp { message_id, message_state, ..QuerySmResp::default() }))
            }
            _ => Err(CommandStatus::ESME_RINVCMDID),
        }
    }

    /// Where a message is kept: the number, and its place in that queue. One that is over, another's or `addressed`
    /// otherwise gives `failed`, an id that was never given ESME_RINVMSGID.
    fn find(
        &self,
        from: EsmeId,
        id: &MessageId,
        addressed: impl Fn(&Mt) -> bool,
        failed: CommandStatus,
    ) -> Result<(Msisdn, usize), CommandStatus> {
        let given = |number: &u64| (1..=self.last_message_id).contains(number);
        let id = id.to_str_lossy().parse().ok().filter(given).ok_or(CommandStatus::ESME_RINVMSGID)?;
        let system_id = self.deliveries.system_id(from);
        let wanted =
            |mt: &Mt| mt.message_id == id && Some(mt.system_id.as_str()) == system_id && addressed(mt);
        let mut queues = self.mt.iter();
        let found = queues.find_map(|(number, queue)| Some((*number, queue.iter().position(wanted)?)));
        found.ok_or(failed)
    }

    fn throttled(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1000;
        if self.second != second {
            self.second = second;
            self.submits_this_second = 0;
        }
        if self.config.submit_rate_max.is_some_and(|max| self.submits_this_second >= max) {
            return true;
        }
        self.submits_this_second += 1;
        false
    }

    /// How many messages wait for a number.
    pub(super) fn waiting(&self, number: &Msisdn) -> usize {
        self.mt.get(number).map_or(0, VecDeque::len)
    }

    /// Whether the first message of a number's queue sets out only now; true once for each.
    pub(super) fn sets_out(&mut self, number: &Msisdn) -> bool {
        let head = self.mt.get_mut(number).and_then(VecDeque::front_mut);
        head.is_some_and(|mt| !std::mem::replace(&mut mt.started, true))
    }

    /// The first two messages of a number's queue change places.
    pub(super) fn swap_first(&mut self, number: &Msisdn) {
        if let Some(queue) = self.mt.get_mut(number)
            && queue.len() > 1
        {
            queue.swap(0, 1);
        }
    }

    /// The message that is first in a number's queue; those before it that are out of time are given up.
    pub(super) fn head(&mut self, now_ms: u64, number: &Msisdn, faults: &mut Faults) -> Option<&Mt> {
        while self.mt.get(number)?.front()?.expires_ms <= now_ms {
            self.end(now_ms, number, MessageState::EXPIRED, faults);
        }
        self.mt.get(number)?.front()
    }

    /// How the attempt with the head of a queue went. Gives the time of the next attempt, where there is one to make.
    pub(super) fn attempted(
        &mut self,
        now_ms: u64,
        number: &Msisdn,
        attempt: Attempt,
        faults: &mut Faults,
    ) -> Option<u64> {
        match attempt {
            Attempt::Delivered => self.end(now_ms, number, MessageState::DELIVERED, faults),
            Attempt::Refused => self.end(now_ms, number, MessageState::UNDELIVERABLE, faults),
            Attempt::Later => {
                let head = self.mt.get_mut(number)?.front_mut()?;
                head.attempts += 1;
                let wait = doubled(self.config.retry_ms, head.attempts - 1, self.config.retry_ms_max);
                return Some((now_ms + wait).min(head.expires_ms));
            }
        }
        self.mt.contains_key(number).then_some(now_ms)
    }

    /// Takes a message of a card; false where the queue is full. The card's next one takes about `mo_ms`.
    pub(super) fn take_mo(&mut self, now_ms: u64, mo: Mo, mo_ms: u64, faults: &mut Faults) -> bool {
        let (Ok(source), Ok(destination), Ok(short_message)) = (
            Address::international(mo.source.as_str()),
            mo.destination.parse().map(|digits| Address { ton: 0, npi: 1, digits }),
            ShortMessage::try_from(mo.user_data),
        ) else {
            return false;
        };
        if self.deliveries.len() >= self.config.mo_queue_max {
            return false;
        }
        let sm = Sm {
            source,
            destination,
            esm_class: if mo.udhi { EsmClass::UDHI } else { EsmClass::DEFAULT },
            protocol_id: mo.protocol_id,
            data_coding: DataCoding(mo.data_coding),
            short_message,
            ..Sm::default()
        };
        self.totals.mo += 1;
        if faults.strikes(Fault::MoLost) {
            return true;
        }
        let longest_ms = faults.plan().mo.delay_ms;
        let mut due_ms = now_ms;
        if faults.strikes(Fault::MoReordered) {
            due_ms += 2 * mo_ms;
        }
        if faults.strikes(Fault::MoDelayed) {
            due_ms += faults.up_to(longest_ms);
        }
        let recipient = Recipient::ShortCode(mo.destination);
        if faults.strikes(Fault::MoDuplicated) {
            let later_ms = faults.up_to(longest_ms);
            self.deliveries.enqueue(due_ms + later_ms, recipient.clone(), sm.clone());
        }
        self.deliveries.enqueue(due_ms, recipient, sm);
        true
    }

    /// Takes the head out of a queue and tells whoever asked.
    fn end(&mut self, now_ms: u64, number: &Msisdn, state: MessageState, faults: &mut Faults) {
        let Some(mt) = self.take(number, 0) else { return };
        let delivered = state == MessageState::DELIVERED;
        if delivered {
            self.totals.delivered += 1;
        } else {
            self.totals.undelivered += 1;
        }
        self.report(now_ms, mt, state, faults);
    }

    /// Takes a message out of a number's queue.
    fn take(&mut self, number: &Msisdn, at: usize) -> Option<Mt> {
        let queue = self.mt.get_mut(number)?;
        let mt = queue.remove(at)?;
        if queue.is_empty() {
            self.mt.remove(number);
        }
        self.mt_count -= 1;
        Some(mt)
    }

    /// The receipt, if one is wanted.
    fn report(&mut self, now_ms: u64, mt: Mt, mut state: MessageState, faults: &mut Faults) {
        if state == MessageState::DELIVERED
            && mt.registered.on_success()
            && faults.strikes(Fault::ReceiptNegative)
        {
            state = MessageState::UNDELIVERABLE;
        }
        let success = state == MessageState::DELIVERED;
        let wanted = if success { mt.registered.on_success() } else { mt.registered.on_failure() };
        if !wanted || faults.strikes(Fault::ReceiptMissing) {
            return;
        }
        let spelling = if faults.strikes(Fault::ReceiptSpelling) {
            faults.pick(&Spelling::OTHERS).copied().unwrap_or_default()
        } else {
            Spelling::default()
        };
        let sm = receipt(&mt, now_ms, state, spelling);
        self.deliveries.enqueue(now_ms, Recipient::SystemId(mt.system_id), sm);
    }
}

/// The id as submit_sm_resp gives it.
pub(super) fn message_id(number: u64) -> String {
    format!("{number:010}")
}

/// `first_ms`, doubled so many times, at most `max_ms`.
pub(super) fn doubled(first_ms: u64, times: u32, max_ms: u64) -> u64 {
    first_ms.saturating_mul(1_u64.checked_shl(times.min(20)).unwrap_or(u64::MAX)).min(max_ms)
}

#[cfg(test)]
mod tests;
