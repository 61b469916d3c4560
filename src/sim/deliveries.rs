//! What the message centre has for ESMEs: kept until a bound session has answered it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use crate::sim::smsc::{SmscConfig, doubled};
use crate::smpp::{CommandStatus, Sm};

/// One bound session of an ESME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EsmeId(pub u64);

/// One message on its way to an ESME: the name under which its deliver_sm_resp comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// Who a deliver_sm is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recipient {
    /// Whoever covers this short code.
    ShortCode(String),
    /// Whoever is bound with this system_id.
    SystemId(String),
}

#[derive(Debug, Clone)]
struct Delivery {
    recipient: Recipient,
    sm: Sm,
    attempts: u32,
    /// The session that has it now.
    at: Option<EsmeId>,
}

#[derive(Debug)]
struct Esme {
    system_id: String,
    short_codes: Vec<String>,
    delivers: bool,
    in_flight: usize,
}

/// Messages for ESMEs, and the sessions that take them.
#[derive(Debug)]
pub(super) struct Deliveries {
    window: usize,
    retry_ms: u64,
    retry_ms_max: u64,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    waiting: BTreeSet<(u64, DeliveryId)>,
    last_delivery_id: u64,
    esmes: BTreeMap<EsmeId, Esme>,
    last_served: EsmeId,
    acknowledged: u64,
    repeated: u64,
    dropped: u64,
}

impl Deliveries {
    pub(super) const fn new(config: &SmscConfig) -> Self {
        Self {
            window: config.deliver_window,
            retry_ms: config.deliver_retry_ms,
            retry_ms_max: config.deliver_retry_ms_max,
            deliveries: BTreeMap::new(),
            waiting: BTreeSet::new(),
            last_delivery_id: 0,
            esmes: BTreeMap::new(),
            last_served: EsmeId(0),
            acknowledged: 0,
            repeated: 0,
            dropped: 0,
        }
    }

    /// Messages that are kept.
    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Acknowledged, sent again, refused for good.
    pub(super) const fn counts(&self) -> (u64, u64, u64) {
        (self.acknowledged, self.repeated, self.dropped)
    }

    /// Who has bound this session.
    pub(super) fn system_id(&self, id: EsmeId) -> Option<&str> {
        self.esmes.get(&id).map(|esme| esme.system_id.as_str())
    }

    /// An ESME has bound; only a receiving session gets deliver_sm. Nothing waits out a back-off that another session
    /// has earned.
    pub(super) fn bound(
        &mut self,
        now_ms: u64,
        id: EsmeId,
        system_id: String,
        short_codes: Vec<String>,
        delivers: bool,
    ) {
        self.esmes.insert(id, Esme { system_id, short_codes, delivers, in_flight: 0 });
        self.waiting = self.waiting.iter().map(|(due, id)| ((*due).min(now_ms), *id)).collect();
    }

    /// A session is gone: what it had not answered goes out again, on another session or later.
    pub(super) fn unbound(&mut self, now_ms: u64, id: EsmeId) {
        self.esmes.remove(&id);
        let lost: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(_, delivery)| delivery.at == Some(id))
            .map(|(id, _)| *id)
            .collect();
        for delivery in lost {
            self.answered(now_ms, delivery, None);
        }
    }

    /// Takes a deliver_sm to be handed out from now on.
    pub(super) fn enqueue(&mut self, now_ms: u64, recipient: Recipient, sm: Sm) {
        self.last_delivery_id += 1;
        let id = DeliveryId(self.last_delivery_id);
        self.deliveries.insert(id, Delivery { recipient, sm, attempts: 0, at: None });
        self.waiting.insert((now_ms, id));
    }

    /// The next deliver_sm that can go out now.
    pub(super) fn poll(&mut self, now_ms: u64) -> Option<(EsmeId, DeliveryId, Sm)> {
        let room = |esme: &Esme| esme.delivers && esme.in_flight < self.window;
        if !self.esmes.values().any(room) {
            return None;
        }
        let (due, id, at) = self
            .waiting
            .iter()
            .take_while(|(due, _)| *due <= now_ms)
            .find_map(|(due, id)| Some((*due, *id, self.server(&self.deliveries.get(id)?.recipient)?)))?;
        self.waiting.remove(&(due, id));
        let delivery = self.deliveries.get_mut(&id)?;
        delivery.at = Some(at);
        self.last_served = at;
        if delivery.attempts > 0 {
            self.repeated += 1;
        }
        delivery.attempts += 1;
        let sm = delivery.sm.clone();
        if let Some(esme) = self.esmes.get_mut(&at) {
            esme.in_flight += 1;
        }
        Some((at, id, sm))
    }

    /// When the next deliver_sm is due, if that is in the future.
    pub(super) fn next_deadline(&self, now_ms: u64) -> Option<u64> {
        self.waiting.range((now_ms + 1, DeliveryId(0))..).next().map(|(due, _)| *due)
    }

    /// What the ESME answered; `None`: nothing in time, or the session was lost.
    pub(super) fn answered(&mut self, now_ms: u64, id: DeliveryId, status: Option<CommandStatus>) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let Some(at) = delivery.at.take() else { return };
        if let Some(esme) = self.esmes.get_mut(&at) {
            esme.in_flight = esme.in_flight.saturating_sub(1);
        }
        match status {
            Some(CommandStatus::ESME_ROK) => {
                self.acknowledged += 1;
                self.deliveries.remove(&id);
            }
            Some(status) if !passes(status) => {
                self.dropped += 1;
                self.deliveries.remove(&id);
            }
            _ => {
                let wait = doubled(self.retry_ms, delivery.attempts.saturating_sub(1), self.retry_ms_max);
                self.waiting.insert((now_ms + wait, id));
            }
        }
    }

    /// A session with room for this recipient; sessions take turns.
    fn server(&self, recipient: &Recipient) -> Option<EsmeId> {
        let serves = |esme: &Esme| {
            esme.delivers
                && esme.in_flight < self.window
                && match recipient {
                    Recipient::ShortCode(code) => esme.short_codes.contains(code),
                    Recipient::SystemId(system_id) => esme.system_id == *system_id,
                }
        };
        let later = self.esmes.range((Excluded(self.last_served), Unbounded));
        later.chain(self.esmes.range(..=self.last_served)).find_map(|(id, esme)| serves(esme).then_some(*id))
    }
}

/// Whether what this status says will pass, so that the message is worth another attempt.
fn passes(status: CommandStatus) -> bool {
    matches!(
        status,
        CommandStatus::ESME_RX_T_APPN
            | CommandStatus::ESME_RMSGQFUL
            | CommandStatus::ESME_RTHROTTLED
            | CommandStatus::ESME_RSYSERR
    )
}
