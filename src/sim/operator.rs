//! The operator without I/O: register, message centre, terminals and their cards on one clock.
//!
//! [`Operator::handle`] takes what happens outside, [`Operator::poll_output`] gives what is to be done there, and
//! [`Operator::next_deadline`] says when to come back although nothing happened. Two operators with the same
//! configuration, cards, seed and inputs do the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::identity::{Imei, Imsi, Msisdn};
use crate::ota::tp::{Deliver, Submit, TpAddress, time_stamp};
use crate::sim::card::{Card, CardReport, CardSpec};
use crate::sim::deliveries::{DeliveryId, EsmeId};
use crate::sim::hlr::{Hlr, OperatorSecret, TerminalId};
use crate::sim::milenage::Credentials;
use crate::sim::smsc::{Attempt, Mo, Smsc, SmscConfig, SmscTotals};
use crate::sim::terminal::{Action, Challenged, Taken, Terminal};
use crate::smpp::{CommandStatus, Sm};
use crate::world::Rng;

/// How long things take in the network. Each is drawn anew between half and one and a half of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// From the start of a terminal to its answer to the first challenge.
    pub attach_ms: u64,
    /// From an attach that failed to the next one.
    pub attach_again_ms: u64,
    /// From the message centre to the terminal.
    pub mt_ms: u64,
    /// From the terminal to the message centre.
    pub mo_ms: u64,
    /// A UICC reset.
    pub restart_ms: u64,
    /// Between two STATUS commands.
    pub status_ms: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            attach_ms: 300,
            attach_again_ms: 60_000,
            mt_ms: 200,
            mo_ms: 200,
            restart_ms: 500,
            status_ms: 30_000,
        }
    }
}

/// What an operator is set up with.
#[derive(Debug, Clone, Default)]
pub struct OperatorConfig {
    /// Every subscription's keys follow from it.
    pub secret: OperatorSecret,
    /// The message centre.
    pub smsc: SmscConfig,
    /// How long things take.
    pub latencies: Latencies,
}

/// What happens outside.
#[derive(Debug)]
pub enum Input {
    /// Time has come.
    Tick,
    /// An ESME has bound.
    Bound {
        /// Its session.
        esme: EsmeId,
        /// Who it is: receipts go to any session with the same.
        system_id: String,
        /// The short codes whose messages it gets.
        short_codes: Vec<String>,
        /// Whether the bind takes deliver_sm (receiver, transceiver).
        delivers: bool,
    },
    /// A session is over.
    Unbound(EsmeId),
    /// submit_sm.
    Submit {
        /// On which session.
        esme: EsmeId,
        /// Comes back with the answer.
        token: u64,
        /// The message.
        sm: Box<Sm>,
    },
    /// A deliver_sm was answered; `None`: not in time, or its session was lost.
    Answered(DeliveryId, Option<CommandStatus>),
    /// Switches a terminal on.
    PowerOn(TerminalId),
    /// Switches a terminal off.
    PowerOff(TerminalId),
    /// Adds a subscriber, with keys that follow from the secret.
    Provision(Imsi, Msisdn),
    /// Adds a subscriber with other keys: its attach fails.
    ProvisionWith(Imsi, Msisdn, Credentials),
    /// A terminal refuses its next so many REFRESH.
    RefuseRefresh(TerminalId, u32),
}

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// submit_sm_resp.
    SubmitAnswer {
        /// On which session.
        esme: EsmeId,
        /// That of the submit_sm.
        token: u64,
        /// The message id, or why not.
        answer: Result<String, CommandStatus>,
    },
    /// deliver_sm.
    Deliver {
        /// On which session.
        esme: EsmeId,
        /// To be given back with the answer.
        delivery: DeliveryId,
        /// The message.
        sm: Box<Sm>,
    },
}

/// What comes later. A terminal's event counts only in the run of the terminal in which it was planned.
#[derive(Debug)]
enum Event {
    PowerOn(TerminalId, Run),
    Attach(TerminalId, Run, Imsi),
    Status(TerminalId, Run),
    Submitted(TerminalId, Run, Vec<u8>),
    Attempt(Msisdn),
    Deliveries,
}

/// Counts the starts of a terminal.
type Run = u64;

/// The operator.
pub struct Operator {
    latencies: Latencies,
    hlr: Hlr,
    smsc: Smsc,
    terminals: Vec<Terminal>,
    runs: Vec<Run>,
    agenda: BTreeMap<(u64, u64), Event>,
    planned: u64,
    /// When the next attempt with each number's queue is planned.
    attempts: BTreeMap<Msisdn, (u64, u64)>,
    outputs: VecDeque<Output>,
    rng: Arc<dyn Rng>,
    now_ms: u64,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("terminals", &self.terminals.len()).finish_non_exhaustive()
    }
}

impl Operator {
    /// An operator whose terminals, in the order of `cards`, are off. Preset subscriptions are provisioned.
    #[must_use]
    pub fn new(config: OperatorConfig, cards: &[CardSpec], rng: Arc<dyn Rng>) -> Self {
        let mut hlr = Hlr::new(config.secret.clone());
        for preset in cards.iter().filter_map(|card| card.preset) {
            hlr.provision(preset.imsi, preset.msisdn);
        }
        let terminals: Vec<_> = cards
            .iter()
            .map(|spec| Terminal::new(spec.imei, Card::personalise(spec, config.secret.clone())))
            .collect();
        Self {
            latencies: config.latencies,
            hlr,
            smsc: Smsc::new(config.smsc),
            runs: vec![0; terminals.len()],
            terminals,
            agenda: BTreeMap::new(),
            planned: 0,
            attempts: BTreeMap::new(),
            outputs: VecDeque::new(),
            rng,
            now_ms: 0,
        }
    }

    /// Takes what happened at `now_ms` (unix milliseconds), after all that was due until then. Time does not go back:
    /// an earlier one counts as the latest seen.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.catch_up(now_ms);
        match input {
            Input::Tick => {}
            Input::Bound { esme, system_id, short_codes, delivers } => {
                self.smsc.deliveries.bound(self.now_ms, esme, system_id, short_codes, delivers);
            }
            Input::Unbound(esme) => self.smsc.deliveries.unbound(self.now_ms, esme),
            Input::Submit { esme, token, sm } => self.submit(esme, token, &sm),
            Input::Answered(delivery, status) => self.smsc.deliveries.answered(self.now_ms, delivery, status),
            Input::PowerOn(terminal) => self.power_on(terminal),
            Input::PowerOff(terminal) => {
                if let Some(device) = self.terminals.get_mut(terminal) {
                    device.power_off();
                    self.next_run(terminal);
                }
            }
            Input::Provision(imsi, msisdn) => self.hlr.provision(imsi, msisdn),
            Input::ProvisionWith(imsi, msisdn, keys) => self.hlr.provision_with(imsi, msisdn, keys),
            Input::RefuseRefresh(terminal, times) => {
                if let Some(device) = self.terminals.get_mut(terminal) {
                    device.refuse_refresh(times);
                }
            }
        }
        self.pump();
    }

    /// The next thing to do outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Operator::handle`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.agenda.keys().next().map(|(due, _)| *due)
    }

    /// What everything is like now.
    #[must_use]
    pub fn snapshot(&self) -> Report {
        let cards = self.terminals.iter().enumerate().map(|(terminal, device)| CardStatus {
            imei: device.imei(),
            on: device.is_on(),
            attached: self.hlr.attached_as(terminal),
            card: device.card_report(),
        });
        Report { cards: cards.collect(), totals: self.smsc.totals() }
    }

    fn catch_up(&mut self, now_ms: u64) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now_ms) {
            let ((due, number), event) = entry.remove_entry();
            self.now_ms = self.now_ms.max(due);
            self.happen((due, number), event);
            self.pump();
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn happen(&mut self, planned: (u64, u64), event: Event) {
        match event {
            Event::PowerOn(terminal, run) if self.is_current(terminal, run) => self.power_on(terminal),
            Event::Attach(terminal, run, imsi) if self.is_current(terminal, run) => {
                self.attach(terminal, imsi)
            }
            Event::Status(terminal, run) if self.is_current(terminal, run) => {
                self.plan(self.latencies.status_ms, Event::Status(terminal, run));
                self.with(terminal, Terminal::status);
            }
            Event::Submitted(terminal, run, tpdu) if self.is_current(terminal, run) => {
                let taken = self.take_mo(terminal, &tpdu);
                self.with(terminal, |device| device.submitted(taken));
            }
            Event::Attempt(number) if self.attempts.get(&number) == Some(&planned) => {
                self.attempts.remove(&number);
                self.attempt(&number);
            }
            // What was planned for a former run of a terminal, or was planned anew.
            _ => {}
        }
    }

    fn power_on(&mut self, terminal: TerminalId) {
        if terminal >= self.terminals.len() {
            return;
        }
        let run = self.next_run(terminal);
        self.plan(self.latencies.status_ms, Event::Status(terminal, run));
        self.with(terminal, Terminal::power_on);
    }

    /// Another run of a terminal: it is detached, and what was planned for it is void.
    fn next_run(&mut self, terminal: TerminalId) -> Run {
        self.hlr.detach(terminal);
        self.runs.get_mut(terminal).map_or(0, |run| {
            *run += 1;
            *run
        })
    }

    fn is_current(&self, terminal: TerminalId, run: Run) -> bool {
        self.runs.get(terminal) == Some(&run)
    }

    /// Lets a terminal do something, and plans what it leaves to the network.
    fn with<T>(&mut self, terminal: TerminalId, act: impl FnOnce(&mut Terminal) -> T) -> Option<T> {
        let device = self.terminals.get_mut(terminal)?;
        let result = act(device);
        let actions: Vec<_> = std::iter::from_fn(|| device.poll_action()).collect();
        let run = self.runs.get(terminal).copied().unwrap_or_default();
        for action in actions {
            match action {
                Action::Attach(imsi) => {
                    self.hlr.detach(terminal);
                    self.plan(self.latencies.attach_ms, Event::Attach(terminal, run, imsi));
                }
                Action::Submit(tpdu) => {
                    self.plan(self.latencies.mo_ms, Event::Submitted(terminal, run, tpdu))
                }
                Action::Restart => {
                    let run = self.next_run(terminal);
                    self.plan(self.latencies.restart_ms, Event::PowerOn(terminal, run));
                }
            }
        }
        Some(result)
    }

    /// Authenticates a subscriber where its terminal is, with one resynchronisation at most.
    fn attach(&mut self, terminal: TerminalId, imsi: Imsi) {
        let genuine = self.authenticate(terminal, &imsi, true);
        if genuine {
            self.hlr.attach(imsi, terminal);
        }
        self.with(terminal, |device| device.set_service(genuine));
        if genuine {
            // What waited for this number goes out now.
            if let Some(number) = self.hlr.msisdn(&imsi) {
                self.plan_attempt(number, self.latencies.mt_ms);
            }
        } else if let Some(run) = self.runs.get(terminal).copied() {
            self.plan(self.latencies.attach_again_ms, Event::Attach(terminal, run, imsi));
        }
    }

    fn authenticate(&mut self, terminal: TerminalId, imsi: &Imsi, resynchronise: bool) -> bool {
        let mut rand = [0; 16];
        self.rng.fill(&mut rand);
        let Some(vector) = self.hlr.challenge(imsi, rand) else { return false };
        match self.with(terminal, |device| device.challenge(&vector)) {
            Some(Challenged::Response(res)) => res == vector.xres,
            Some(Challenged::Synchronise(auts)) if resynchronise => {
                self.hlr.resynchronise(imsi, rand, auts) && self.authenticate(terminal, imsi, false)
            }
            _ => false,
        }
    }

    fn submit(&mut self, esme: EsmeId, token: u64, sm: &Sm) {
        let (hlr, now_ms) = (&self.hlr, self.now_ms);
        let answer = self.smsc.submit(now_ms, esme, sm, |number| hlr.knows(number)).map(|(id, number)| {
            if !self.attempts.contains_key(&number) {
                self.plan_attempt(number, self.latencies.mt_ms);
            }
            id
        });
        self.outputs.push_back(Output::SubmitAnswer { esme, token, answer });
    }

    /// One attempt with the head of a number's queue: the messages of a number go one after the other.
    fn attempt(&mut self, number: &Msisdn) {
        let Some(mt) = self.smsc.head(self.now_ms, number) else { return };
        // The place for faults of delivery: twice, out of order, late, or never.
        let tpdu = deliver_tpdu(mt, self.now_ms);
        let taken = match (tpdu, self.hlr.route(number)) {
            (None, _) => Taken::CardError,
            (Some(_), None) => Taken::NotThere,
            (Some(tpdu), Some(terminal)) => {
                self.with(terminal, |device| device.deliver(&tpdu)).unwrap_or(Taken::NotThere)
            }
        };
        let attempt = match taken {
            Taken::Acknowledged => Attempt::Delivered,
            Taken::NotThere | Taken::CardBusy => Attempt::Later,
            Taken::CardError => Attempt::Refused,
        };
        if let Some(next_ms) = self.smsc.attempted(self.now_ms, number, attempt) {
            let wait = next_ms.saturating_sub(self.now_ms);
            if wait == 0 {
                self.plan_attempt(*number, self.latencies.mt_ms);
            } else {
                self.plan_attempt_at(*number, next_ms);
            }
        }
    }

    /// RP-ACK or RP-ERROR for a message of a card.
    fn take_mo(&mut self, terminal: TerminalId, tpdu: &[u8]) -> bool {
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
        self.smsc.take_mo(self.now_ms, mo)
    }

    /// Hands every deliver_sm out that can go, and plans the next look where one is due later.
    fn pump(&mut self) {
        while let Some((esme, delivery, sm)) = self.smsc.deliveries.poll(self.now_ms) {
            self.outputs.push_back(Output::Deliver { esme, delivery, sm: Box::new(sm) });
        }
        if let Some(due) = self.smsc.deliveries.next_deadline(self.now_ms) {
            // The last number of all: one look at a time is enough.
            self.agenda.insert((due, u64::MAX), Event::Deliveries);
        }
    }

    fn plan_attempt(&mut self, number: Msisdn, latency_ms: u64) {
        let due = self.now_ms + self.draw(latency_ms);
        self.plan_attempt_at(number, due);
    }

    fn plan_attempt_at(&mut self, number: Msisdn, due: u64) {
        self.planned += 1;
        let key = (due, self.planned);
        if let Some(former) = self.attempts.insert(number, key) {
            self.agenda.remove(&former);
        }
        self.agenda.insert(key, Event::Attempt(number));
    }

    fn plan(&mut self, latency_ms: u64, event: Event) {
        let due = self.now_ms + self.draw(latency_ms);
        self.planned += 1;
        self.agenda.insert((due, self.planned), event);
    }

    /// Between half and one and a half of a time.
    fn draw(&self, latency_ms: u64) -> u64 {
        latency_ms / 2 + self.rng.below(latency_ms + 1)
    }
}

/// The SMS-DELIVER of a message; `None` where it fits none.
fn deliver_tpdu(mt: &crate::sim::smsc::Mt, now_ms: u64) -> Option<Vec<u8>> {
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

/// Everything at one moment.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// In the order in which the cards were given.
    pub cards: Vec<CardStatus>,
    /// Counts of the message centre.
    pub totals: SmscTotals,
}

/// A terminal and its card.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CardStatus {
    /// The terminal.
    pub imei: Imei,
    /// Whether it is switched on.
    pub on: bool,
    /// Whom it is attached as.
    pub attached: Option<Imsi>,
    /// What the card's memory holds.
    #[serde(flatten)]
    pub card: CardReport,
}
