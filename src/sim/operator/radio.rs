//! The operator toward its terminals: on and off, attached or not.

use crate::identity::Imsi;
use crate::sim::faults::Fault;
use crate::sim::hlr::TerminalId;
use crate::sim::operator::{Event, Operator, Run};
use crate::sim::terminal::{Action, Challenged, Terminal};

impl Operator {
    pub(super) fn power_on(&mut self, terminal: TerminalId) {
        if terminal >= self.terminals.len() {
            return;
        }
        let run = self.next_run(terminal);
        self.plan(self.latencies.status_ms, Event::Status(terminal, run));
        self.with(terminal, Terminal::power_on);
    }

    /// Another run of a terminal: it is detached, and what was planned for it is void.
    pub(super) fn next_run(&mut self, terminal: TerminalId) -> Run {
        self.hlr.detach(terminal);
        self.runs.get_mut(terminal).map_or(0, |run| {
            *run += 1;
            *run
        })
    }

    pub(super) fn is_current(&self, terminal: TerminalId, run: Run) -> bool {
        self.runs.get(terminal) == Some(&run)
    }

    /// Whether a tool is about to fetch a response from this terminal's card.
    pub(super) fn is_held(&self, terminal: TerminalId) -> bool {
        self.terminals.get(terminal).is_some_and(Terminal::is_held)
    }

    /// Lets a terminal do something, and plans what it leaves to the network.
    pub(super) fn with<T>(
        &mut self,
        terminal: TerminalId,
        act: impl FnOnce(&mut Terminal) -> T,
    ) -> Option<T> {
        let trouble = self.faults.trouble();
        let device = self.terminals.get_mut(terminal)?;
        device.expect(trouble);
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
                Action::PowerLost(point) => {
                    self.faults.count(Fault::PowerCut(point));
                    let run = self.next_run(terminal);
                    let off_ms = self.faults.up_to(self.faults.plan().card.power_off_ms);
                    self.plan_at(self.now_ms + off_ms, Event::PowerOn(terminal, run));
                }
                Action::FallSilent => {
                    self.faults.count(Fault::CardSilent);
                    self.next_run(terminal);
                }
                Action::Count(fault) => self.faults.count(fault),
            }
        }
        Some(result)
    }

    /// Authenticates a subscriber where its terminal is, with one resynchronisation at most.
    pub(super) fn attach(&mut self, terminal: TerminalId, imsi: Imsi) {
        let barred = self.barred.get(&terminal).is_some_and(|only| *only != imsi);
        if barred {
            self.faults.count(Fault::AttachBarred);
        }
        let genuine = !barred && self.authenticate(terminal, &imsi, true);
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
}
