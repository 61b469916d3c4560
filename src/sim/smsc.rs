//! The short message centre: keeps messages for cards and for ESMEs until they are delivered or out of time.
//!
//! It knows numbers, queues and bound ESMEs, but no terminals: [`crate::sim::operator`] asks it for the next message
//! of a number and tells it how the delivery went.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chrono::DateTime;

use crate::identity::Msisdn;
use crate::sim::deliveries::{Deliveries, EsmeId, Recipient};
use crate::smpp::{
    Address, CommandStatus, DataCoding, EsmClass, MessageState, RegisteredDelivery, ShortMessage, Sm, Tlvs,
    tag, time,
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
    message_id: u64,
    system_id: String,
    registered: RegisteredDelivery,
    submitted_ms: u64,
    expires_ms: u64,
    attempts: u32,
    pub(super) source: Address,
    destination: Address,
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
    ) -> Result<(String, Msisdn), CommandStatus> {
        let taken = self.admit(now_ms, from, sm, known);
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
    ) -> Result<(String, Msisdn), CommandStatus> {
        // The place for faults of the message centre: refusals, lost and doubled messages.
        let system_id = self.deliveries.system_id(from).ok_or(CommandStatus::ESME_RINVBNDSTS)?.to_owned();
        if self.throttled(now_ms) {
            return Err(CommandStatus::ESME_RTHROTTLED);
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
        let validity_ms = if sm.validity_period.is_empty() {
            self.config.validity_ms
        } else {
            // Absolute times are not used by anything that this operator serves.
            time::relative_seconds(&sm.validity_period).ok_or(CommandStatus::ESME_RINVEXPIRY)? * 1000
        };
        self.last_message_id += 1;
        self.mt_count += 1;
        self.mt.entry(number).or_default().push_back(Mt {
            message_id: self.last_message_id,
            system_id,
            registered: sm.registered_delivery,
            submitted_ms: now_ms,
            expires_ms: now_ms.saturating_add(validity_ms),
            attempts: 0,
            source: sm.source,
            destination: sm.destination,
            udhi: sm.esm_class.udhi(),
            protocol_id: sm.protocol_id,
            data_coding: sm.data_coding.0,
            user_data,
        });
        Ok((message_id(self.last_message_id), number))
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

    /// The message that is first in a number's queue; those before it that are out of time are given up.
    pub(super) fn head(&mut self, now_ms: u64, number: &Msisdn) -> Option<&Mt> {
        while self.mt.get(number)?.front()?.expires_ms <= now_ms {
            self.end(now_ms, number, MessageState::EXPIRED);
        }
        self.mt.get(number)?.front()
    }

    /// How the attempt with the head of a queue went. Gives the time of the next attempt, where there is one to make.
    pub(super) fn attempted(&mut self, now_ms: u64, number: &Msisdn, attempt: Attempt) -> Option<u64> {
        match attempt {
            Attempt::Delivered => self.end(now_ms, number, MessageState::DELIVERED),
            Attempt::Refused => self.end(now_ms, number, MessageState::UNDELIVERABLE),
            Attempt::Later => {
                let head = self.mt.get_mut(number)?.front_mut()?;
                head.attempts += 1;
                let wait = doubled(self.config.retry_ms, head.attempts - 1, self.config.retry_ms_max);
                return Some((now_ms + wait).min(head.expires_ms));
            }
        }
        self.mt.contains_key(number).then_some(now_ms)
    }

    /// Takes a message of a card; false where the queue is full.
    pub(super) fn take_mo(&mut self, now_ms: u64, mo: Mo) -> bool {
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
        self.deliveries.enqueue(now_ms, Recipient::ShortCode(mo.destination), sm);
        true
    }

    /// Takes the head out of a queue and tells whoever asked.
    fn end(&mut self, now_ms: u64, number: &Msisdn, state: MessageState) {
        let Some(queue) = self.mt.get_mut(number) else { return };
        let head = queue.pop_front();
        if queue.is_empty() {
            self.mt.remove(number);
        }
        let Some(mt) = head else { return };
        self.mt_count -= 1;
        let delivered = state == MessageState::DELIVERED;
        if delivered {
            self.totals.delivered += 1;
        } else {
            self.totals.undelivered += 1;
        }
        let wanted = if delivered { mt.registered.on_success() } else { mt.registered.on_failure() };
        if wanted {
            let sm = receipt(&mt, now_ms, state);
            self.deliveries.enqueue(now_ms, Recipient::SystemId(mt.system_id), sm);
        }
    }
}

fn message_id(number: u64) -> String {
    format!("{number:010}")
}

/// `first_ms`, doubled so many times, at most `max_ms`.
pub(super) fn doubled(first_ms: u64, times: u32, max_ms: u64) -> u64 {
    first_ms.saturating_mul(1_u64.checked_shl(times.min(20)).unwrap_or(u64::MAX)).min(max_ms)
}

/// A delivery receipt (SMPP 3.4 appendix B): the text, and the same in TLVs.
fn receipt(mt: &Mt, now_ms: u64, state: MessageState) -> Sm {
    let id = message_id(mt.message_id);
    let delivered = u8::from(state == MessageState::DELIVERED);
    let text = format!(
        "id:{id} sub:001 dlvrd:00{delivered} submit date:{} done date:{} stat:{} err:000 text:",
        minute(mt.submitted_ms),
        minute(now_ms),
        state.text()
    );
    let mut c_id = id.into_bytes();
    c_id.push(0);
    let tlvs = Tlvs::default()
        .with(tag::RECEIPTED_MESSAGE_ID, &c_id)
        .and_then(|tlvs| tlvs.with(tag::MESSAGE_STATE, &[state.0]))
        .unwrap_or_default();
    Sm {
        source: mt.destination,
        destination: mt.source,
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: ShortMessage::try_from(Bytes::from(text)).unwrap_or_default(),
        tlvs,
        ..Sm::default()
    }
}

/// `YYMMDDhhmm`, UTC.
fn minute(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms).map_or_else(String::new, |at| at.format("%y%m%d%H%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::receipt;

    const ESME: EsmeId = EsmeId(1);
    const NUMBER: &str = "861064812345678";

    fn smsc(config: SmscConfig) -> Smsc {
        let mut smsc = Smsc::new(config);
        smsc.deliveries.bound(0, ESME, "airwrite".into(), vec!["10690".into()], true);
        smsc
    }

    fn sm(registered: RegisteredDelivery) -> Sm {
        let source = Address { ton: 0, npi: 1, digits: "10690".parse().unwrap() };
        let ud = ShortMessage::try_from(Bytes::from_static(&[2, 0x70, 0, 1])).unwrap();
        Sm {
            registered_delivery: registered,
            validity_period: time::relative(60),
            ..Sm::submit_ota(source, Address::international(NUMBER).unwrap(), ud)
        }
    }

    fn submit(smsc: &mut Smsc, now_ms: u64, sm: &Sm) -> Result<String, CommandStatus> {
        smsc.submit(now_ms, ESME, sm, |_| true).map(|(id, _)| id)
    }

    fn mo() -> Mo {
        Mo {
            source: NUMBER.parse().unwrap(),
            destination: "10690".into(),
            udhi: true,
            protocol_id: 0x7F,
            data_coding: 0xF6,
            user_data: Bytes::from_static(&[2, 0x70, 0, 9]),
        }
    }

    #[test]
    fn a_delivered_message_gets_the_receipt_that_was_asked_for() {
        let mut smsc = smsc(SmscConfig::default());
        let number = NUMBER.parse().unwrap();
        let id = submit(&mut smsc, 1_700_000_000_000, &sm(RegisteredDelivery::FINAL)).unwrap();
        submit(&mut smsc, 1_700_000_000_000, &sm(RegisteredDelivery::NONE)).unwrap();
        assert_eq!(smsc.head(1_700_000_000_000, &number).unwrap().user_data, &[2, 0x70, 0, 1][..]);
        assert_eq!(smsc.attempted(1_700_000_001_000, &number, Attempt::Delivered), Some(1_700_000_001_000));
        assert_eq!(smsc.attempted(1_700_000_002_000, &number, Attempt::Delivered), None);
        let (at, _, sm) = smsc.deliveries.poll(1_700_000_002_000).unwrap();
        assert_eq!(at, ESME);
        let receipt = receipt::parse(&sm).unwrap();
        assert_eq!(
            (receipt.message_id.to_str_lossy().as_ref(), receipt.state),
            (id.as_str(), MessageState::DELIVERED)
        );
        assert!(smsc.deliveries.poll(1_700_000_002_000).is_none());
        assert_eq!((smsc.totals().submits, smsc.totals().delivered), (2, 2));
    }

    #[test]
    fn attempts_space_out_and_end_with_the_validity() {
        let mut smsc = smsc(SmscConfig::default());
        let number = NUMBER.parse().unwrap();
        submit(&mut smsc, 0, &sm(RegisteredDelivery::FINAL)).unwrap();
        let mut now = 0;
        let mut attempts = Vec::new();
        while smsc.head(now, &number).is_some() {
            attempts.push(now);
            now = smsc.attempted(now, &number, Attempt::Later).unwrap();
        }
        assert_eq!((attempts, now), (vec![0, 5_000, 15_000, 35_000], 60_000));
        let (_, _, sm) = smsc.deliveries.poll(now).unwrap();
        assert_eq!(receipt::parse(&sm).unwrap().state, MessageState::EXPIRED);
    }

    #[test]
    fn refusals_of_submit_sm() {
        let mut smsc =
            smsc(SmscConfig { submit_rate_max: Some(2), mt_queue_max: 3, ..SmscConfig::default() });
        let good = sm(RegisteredDelivery::NONE);
        assert_eq!(smsc.submit(0, ESME, &good, |_| false), Err(CommandStatus::ESME_RINVDSTADR));
        assert!(submit(&mut smsc, 10, &good).is_ok());
        assert_eq!(submit(&mut smsc, 999, &good), Err(CommandStatus::ESME_RTHROTTLED));
        assert!(submit(&mut smsc, 1000, &good).is_ok());
        assert!(submit(&mut smsc, 1000, &good).is_ok());
        assert_eq!(submit(&mut smsc, 2000, &good), Err(CommandStatus::ESME_RMSGQFUL));
        assert_eq!(smsc.submit(3000, EsmeId(9), &good, |_| true), Err(CommandStatus::ESME_RINVBNDSTS));
        assert_eq!((smsc.totals().submits, smsc.totals().refused), (3, 4));
    }

    #[test]
    fn a_message_of_a_card_stays_until_it_is_acknowledged() {
        let mut smsc = smsc(SmscConfig::default());
        assert!(smsc.take_mo(0, mo()));
        let (_, id, _) = smsc.deliveries.poll(0).unwrap();
        smsc.deliveries.answered(0, id, Some(CommandStatus::ESME_RX_T_APPN));
        assert!(smsc.deliveries.poll(999).is_none());
        assert_eq!(smsc.deliveries.next_deadline(999), Some(1000));
        let (_, again, _) = smsc.deliveries.poll(1000).unwrap();
        assert_eq!(again, id);
        smsc.deliveries.unbound(1000, ESME);
        assert!(smsc.deliveries.poll(10_000).is_none(), "nobody is there");
        smsc.deliveries.bound(1001, EsmeId(2), "airwrite".into(), vec!["10690".into()], true);
        let (at, _, sm) = smsc.deliveries.poll(1001).unwrap();
        assert_eq!((at, sm.source.digits.to_str_lossy().as_ref()), (EsmeId(2), NUMBER));
        smsc.deliveries.answered(10_000, id, Some(CommandStatus::ESME_ROK));
        assert!(smsc.deliveries.poll(u64::MAX - 1).is_none());
        assert_eq!((smsc.totals().mo_acknowledged, smsc.totals().mo_repeated), (1, 2));
    }

    #[test]
    fn a_permanent_error_drops_the_message() {
        let mut smsc = smsc(SmscConfig::default());
        smsc.take_mo(0, mo());
        let (_, id, _) = smsc.deliveries.poll(0).unwrap();
        smsc.deliveries.answered(0, id, Some(CommandStatus::ESME_RINVDSTADR));
        assert!(smsc.deliveries.poll(u64::MAX - 1).is_none());
        assert_eq!(smsc.totals().mo_dropped, 1);
    }

    #[test]
    fn a_session_gets_no_more_than_its_window_and_sessions_take_turns() {
        let mut smsc = smsc(SmscConfig { deliver_window: 2, mo_queue_max: 5, ..SmscConfig::default() });
        smsc.deliveries.bound(0, EsmeId(2), "airwrite".into(), vec!["10690".into()], true);
        smsc.deliveries.bound(0, EsmeId(3), "airwrite".into(), vec!["10690".into()], false);
        smsc.deliveries.bound(0, EsmeId(4), "other".into(), vec!["10691".into()], true);
        for _ in 0..5 {
            assert!(smsc.take_mo(0, mo()));
        }
        assert!(!smsc.take_mo(0, mo()), "the queue is full");
        let at: Vec<_> = std::iter::from_fn(|| smsc.deliveries.poll(0)).map(|(at, ..)| at.0).collect();
        assert_eq!(at, [1, 2, 1, 2]);
    }
}
