//! The operator without I/O: register, message centre, terminals and their cards on one clock.
//!
//! [`Operator::handle`] takes what happens outside, [`Operator::poll_output`] gives what is to be done there, and
//! [`Operator::next_deadline`] says when to come back although nothing happened. Two operators with the same
//! configuration, cards, seed and inputs do the same.

mod delivery;
mod io;
mod radio;
mod report;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::identity::{Imsi, Msisdn};
use crate::sim::card::{Card, CardSpec};
use crate::sim::fault_plan::FaultPlan;
use crate::sim::faults::{Fault, Faults};
use crate::sim::hlr::{Hlr, OperatorSecret, TerminalId};
use crate::sim::smsc::{Smsc, SmscConfig};
use crate::sim::terminal::Terminal;
use crate::world::Rng;

pub use io::{Input, Output};
pub use report::{CardStatus, Report};

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
    /// What goes wrong.
    pub faults: FaultPlan,
}

/// What comes later. A terminal's event counts only in the run of the terminal in which it was planned.
#[derive(Debug)]
enum Event {
    PowerOn(TerminalId, Run),
    Attach(TerminalId, Run, Imsi),
    Status(TerminalId, Run),
    Submitted(TerminalId, Run, Vec<u8>),
    Attempt(Msisdn),
    /// A message that was delivered before comes once more.
    Again(Msisdn, Vec<u8>),
    Wake(TerminalId),
    /// An answer that was held back.
    Answer(Output),
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
    faults: Faults,
    /// Devices that cannot be reached for now.
    asleep: BTreeSet<TerminalId>,
    /// The only identity of devices that get in under no other.
    barred: BTreeMap<TerminalId, Imsi>,
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
        let faults = Faults::new(config.faults, Arc::clone(&rng));
        let terminals: Vec<_> = cards
            .iter()
            .map(|spec| {
                let card = Card::personalise(spec, config.secret.clone());
                Terminal::new(spec.imei, card, faults.cast(Fault::CardSilent))
            })
            .collect();
        let barred = (0..)
            .zip(cards)
            .filter_map(|(terminal, spec)| Some((terminal, spec.preset?.imsi)))
            .filter(|_| faults.cast(Fault::AttachBarred))
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
            faults,
            asleep: BTreeSet::new(),
            barred,
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
            Input::Request { esme, token, body } => {
                let answer = self.smsc.request(self.now_ms, esme, &body, &mut self.faults).map(Box::new);
                self.send(Output::Answer { esme, token, answer });
            }
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
            Input::Heal => self.heal(),
        }
        self.pump();
    }

    /// Passes one C-APDU to the card in a device that a tool on a production line has in its hands, and gives the R-APDU.
    /// A device that is off is switched on first; 6F00 comes from one that gives no sign, or does not exist.
    pub fn transmit(&mut self, now_ms: u64, terminal: TerminalId, apdu: &[u8]) -> Vec<u8> {
        self.catch_up(now_ms);
        if self.terminals.get(terminal).is_some_and(|device| !device.is_on()) {
            self.power_on(terminal);
        }
        let answer = self.with(terminal, |device| device.relay(apdu));
        self.pump();
        answer.unwrap_or_else(|| vec![0x6F, 0x00])
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
            barred: self.barred.contains_key(&terminal),
            silent: device.will_fall_silent(),
            card: device.card_report(),
        });
        Report { cards: cards.collect(), totals: self.smsc.totals(), faults: self.faults.counts() }
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
                if self.is_held(terminal) {
                    self.plan(self.latencies.attach_ms, Event::Attach(terminal, run, imsi));
                } else {
                    self.attach(terminal, imsi);
                }
            }
            Event::Status(terminal, run) if self.is_current(terminal, run) => {
                self.plan(self.latencies.status_ms, Event::Status(terminal, run));
                self.with(terminal, Terminal::status);
            }
            Event::Submitted(terminal, run, tpdu) if self.is_current(terminal, run) => {
                if self.is_held(terminal) {
                    self.plan(self.latencies.mo_ms, Event::Submitted(terminal, run, tpdu));
                } else {
                    let taken = self.take_mo(terminal, &tpdu);
                    self.with(terminal, |device| device.submitted(taken));
                }
            }
            Event::Attempt(number) if self.attempts.get(&number) == Some(&planned) => {
                self.attempts.remove(&number);
                self.attempt(&number);
            }
            Event::Again(number, tpdu) => {
                if let Some(terminal) = self.hlr.route(&number) {
                    self.reach(terminal, &tpdu);
                }
            }
            Event::Wake(terminal) => self.wake(terminal),
            Event::Answer(answer) => self.send(answer),
            // What was planned for a former run of a terminal, or was planned anew.
            _ => {}
        }
    }

    fn heal(&mut self) {
        self.faults.heal();
        self.terminals.iter_mut().for_each(Terminal::heal);
        for terminal in std::mem::take(&mut self.asleep) {
            self.wake(terminal);
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
        self.plan_at(due, event);
    }

    fn plan_at(&mut self, due: u64, event: Event) {
        self.planned += 1;
        self.agenda.insert((due, self.planned), event);
    }

    /// Between half and one and a half of a time.
    fn draw(&self, latency_ms: u64) -> u64 {
        latency_ms / 2 + self.rng.below(latency_ms + 1)
    }
}
