//! The write applet: binds the card to its device, writes the ordered subscription, and proves or undoes it.
//!
//! It knows messages, files and events of the terminal, but neither APDUs nor secured packets: what it wants done
//! it leaves as [`Wish`]es.

use std::collections::{BTreeMap, VecDeque};

use crate::applet::{
    BindingAck, BindingRequest, BindingResult, LastState, Message, PollAnswer, Trigger, WriteCard,
    WriteResult, WriteStatus, detail,
};
use crate::identity::{Eid, Imei};
use crate::sim::card::MoDialect;
use crate::sim::card::files::Files;
use crate::sim::card::write::Write;
use crate::sim::fault_plan::WritePoint;

/// The applet's version as it stands in its binding requests.
const APP_VERSION: u16 = 1;

/// How long the applet waits, counted in STATUS commands (a terminal sends one about every 30 s).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppletTiming {
    /// A binding request without an answer is repeated after so many …
    pub binding_repeat_status: u32,
    /// … at most so often until the next start.
    pub binding_repeats_max: u32,
    /// No service under the new subscription for so many: back to the former one.
    pub no_service_status_max: u32,
    /// A result without acknowledgement is repeated after so many …
    pub result_repeat_status: u32,
    /// … and sent at most so often in all.
    pub results_max: u32,
    /// A REFRESH that the terminal refused is tried again after so many.
    pub refresh_retry_status: u32,
    /// A message that the terminal could not send is tried again after so many.
    pub send_retry_status: u32,
}

impl Default for AppletTiming {
    fn default() -> Self {
        Self {
            binding_repeat_status: 10,
            binding_repeats_max: 5,
            no_service_status_max: 8,
            result_repeat_status: 10,
            results_max: 10,
            refresh_retry_status: 2,
            send_retry_status: 1,
        }
    }
}

/// What the applet wants of the card around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Ask the terminal for its IMEI, and for location events.
    Introduce,
    /// Send a message to the platform, secured, and say by [`Applet::sent`] what became of it.
    Send(Message, Sent),
    /// REFRESH with this qualifier.
    Refresh(u8),
}

/// Something that goes out again until it is answered.
#[derive(Debug, Clone, Copy, Default)]
struct Due {
    /// STATUS commands to wait; `None`: nothing to send.
    wait: Option<u32>,
    in_flight: bool,
    sent: u32,
}

impl Due {
    fn now(&mut self) {
        self.wait = Some(0);
    }

    fn tick(&mut self) {
        if let Some(wait) = &mut self.wait {
            *wait = wait.saturating_sub(1);
        }
    }

    fn ripe(&self) -> bool {
        self.wait == Some(0) && !self.in_flight
    }
}

/// What is forgotten when the power goes.
#[derive(Debug, Clone, Default)]
struct Session {
    imei: Option<Imei>,
    /// The terminal has reported normal service.
    service: bool,
    /// The network and the card have authenticated each other under the present EF.IMSI.
    authenticated: bool,
    without_service: u32,
    trigger: Option<Trigger>,
    binding: Due,
    result: Due,
    refresh: Due,
}

/// The applet with its persistent and its volatile memory.
#[derive(Debug, Clone)]
pub(super) struct Applet {
    /// `None` on a card without one: it says nothing that would have to name the card.
    eid: Option<Eid>,
    timing: AppletTiming,
    dialect: MoDialect,
    imei: Option<Imei>,
    bound: bool,
    binding_tid: u32,
    bindings_sent: u64,
    /// CNTR of the last command that was taken.
    mt_counter: u64,
    write: Option<Write>,
    executed: BTreeMap<u32, u32>,
    session: Session,
    wishes: VecDeque<Wish>,
}

impl Applet {
    pub(super) fn new(eid: Option<Eid>, timing: AppletTiming, dialect: MoDialect) -> Self {
        Self {
            eid,
            timing,
            dialect,
            imei: None,
            bound: false,
            binding_tid: 0,
            bindings_sent: 0,
            mt_counter: 0,
            write: None,
            executed: BTreeMap::new(),
            session: Session::default(),
            wishes: VecDeque::new(),
        }
    }

    /// The next thing to do for the applet.
    pub(super) fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// A reset of the card, for whatever reason. A write whose PoR can no longer go out is carried out now, and
    /// the terminal reads the files anew in any case.
    pub(super) fn reset(&mut self, files: &mut Files) {
        self.session = Session::default();
        self.wishes.clear();
        self.execute(files);
        self.refreshed();
    }

    /// The terminal can do proactive commands.
    pub(super) fn terminal_ready(&mut self) {
        if self.dialect != MoDialect::Silent {
            self.wishes.push_back(Wish::Introduce);
        }
    }

    /// The terminal told its IMEI: another one than stored undoes the binding.
    pub(super) fn imei_told(&mut self, imei: Imei, files: &Files) {
        self.session.imei = Some(imei);
        let known = self.imei.map(|stored| stored.key());
        if known != Some(imei.key()) {
            self.imei = Some(imei);
            self.bound = false;
            self.binding_tid = self.binding_tid.saturating_add(1);
            self.session.trigger = Some(if known.is_none() { Trigger::Boot } else { Trigger::ImeiChanged });
        }
        if !self.bound {
            self.session.trigger.get_or_insert(Trigger::Retry);
            self.session.binding.now();
        }
        if self.result_is_due() {
            self.session.result.now();
        }
        self.advance(files);
    }

    /// STATUS: the applet's clock.
    pub(super) fn status(&mut self, files: &mut Files) {
        for due in [&mut self.session.binding, &mut self.session.result, &mut self.session.refresh] {
            due.tick();
        }
        if !self.session.service {
            self.count_without_service(files);
        }
        self.advance(files);
    }

    /// The terminal's location status: normal service or not.
    pub(super) fn location(&mut self, service: bool, files: &mut Files) {
        self.session.service = service;
        if service {
            self.session.without_service = 0;
            if self.session.authenticated
                && self.write.as_mut().is_some_and(Write::confirm)
                && self.result_is_due()
            {
                self.session.result.now();
            }
        } else {
            self.count_without_service(files);
        }
        self.advance(files);
    }

    /// AUTHENTICATE succeeded under the present EF.IMSI.
    pub(super) fn authenticated(&mut self) {
        self.session.authenticated = true;
    }

    /// A secured command for the applet; gives the data of its PoR.
    pub(super) fn command(
        &mut self,
        message: Message,
        cntr: u64,
        mo_counter: u64,
        files: &Files,
    ) -> Option<Message> {
        self.mt_counter = cntr;
        match message {
            Message::BindingResponse(response) => {
                self.binding_answered(response.tid, response.result);
                None
            }
            Message::WriteCard(order) => self.write_card(&order, files).map(Message::WriteResult),
            Message::ResultAck(ack) => {
                if self.write.as_mut().is_some_and(|write| write.acknowledge(ack.tid, ack.status)) {
                    self.session.result = Due { in_flight: self.session.result.in_flight, ..Due::default() };
                }
                None
            }
            Message::Poll(poll) => {
                if self.dialect == MoDialect::RawImei {
                    // The message had no number that an answer could name.
                    self.binding_answered(self.binding_tid, BindingResult::Saved);
                } else if !self.bound && self.session.imei.is_some() {
                    self.session.trigger = Some(Trigger::Polled);
                    self.session.binding.now();
                    self.advance(files);
                }
                Some(Message::PollAnswer(self.poll_answer(poll.tid, mo_counter, files)?))
            }
            Message::BindingRequest(_) | Message::WriteResult(_) | Message::PollAnswer(_) => None,
        }
    }

    /// The PoR has gone out, or never will: an accepted write is carried out now.
    pub(super) fn por_gone(&mut self, files: &mut Files) {
        self.execute(files);
        self.advance(files);
    }

    /// How the terminal took REFRESH. A UICC reset is not answered: [`Applet::reset`] follows instead.
    pub(super) fn refresh_answered(&mut self, done: bool, files: &Files) {
        self.session.refresh.in_flight = false;
        if done {
            self.session.service = false;
            self.session.authenticated = false;
            self.session.without_service = 0;
            self.refreshed();
            if self.result_is_due() {
                self.session.result.now();
            }
        } else {
            self.session.refresh.wait = Some(self.timing.refresh_retry_status);
        }
        self.advance(files);
    }

    /// Whether the terminal got a message of ours out.
    pub(super) fn sent(&mut self, message: Sent, done: bool, files: &Files) {
        let (due, repeat) = match message {
            Sent::Binding => (&mut self.session.binding, self.timing.binding_repeat_status),
            Sent::Result => (&mut self.session.result, self.timing.result_repeat_status),
        };
        due.in_flight = false;
        if due.wait.is_some() {
            due.wait = Some(if done { repeat } else { self.timing.send_retry_status });
        }
        if done {
            due.sent += 1;
            match message {
                Sent::Binding => {
                    self.bindings_sent += 1;
                    self.session.trigger = Some(Trigger::Retry);
                    if self.session.binding.sent > self.timing.binding_repeats_max {
                        self.session.binding.wait = None;
                    }
                }
                Sent::Result => {
                    if let Some(write) = &mut self.write {
                        write.result_sent();
                    }
                    if !self.result_is_due() {
                        self.session.result.wait = None;
                    }
                }
            }
        }
        self.advance(files);
    }

    /// Where the write is now.
    pub(super) fn write_point(&self) -> Option<WritePoint> {
        self.write.as_ref().and_then(Write::point)
    }

    /// What the applet's memory says, for the report.
    pub(super) fn memory(&self) -> Memory<'_> {
        Memory {
            bound: self.bound,
            bindings_sent: self.bindings_sent,
            last_tid: self.last_tid(),
            last_state: self.last_state(),
            executed: &self.executed,
        }
    }

    /// Turns what is due into wishes. Messages wait for service, REFRESH does not.
    fn advance(&mut self, files: &Files) {
        if self.session.refresh.ripe()
            && let Some(write) = &self.write
        {
            self.session.refresh = Due { wait: None, in_flight: true, sent: 0 };
            self.wishes.push_back(Wish::Refresh(write.refresh()));
        }
        if !self.session.service || self.session.refresh.in_flight {
            return;
        }
        if self.session.binding.ripe()
            && let Some(request) = self.binding_request(files)
        {
            self.session.binding.in_flight = true;
            self.wishes.push_back(Wish::Send(Message::BindingRequest(request), Sent::Binding));
        }
        if self.session.result.ripe()
            && let Some(result) = self.write.as_ref().and_then(|write| self.result(write, files))
        {
            self.session.result.in_flight = true;
            self.wishes.push_back(Wish::Send(Message::WriteResult(result), Sent::Result));
        }
    }

    fn binding_request(&self, files: &Files) -> Option<BindingRequest> {
        Some(BindingRequest {
            tid: self.binding_tid,
            imei: self.session.imei?,
            eid: self.eid?,
            imsi: files.imsi(),
            trigger: self.session.trigger.unwrap_or(Trigger::Retry),
            app_version: APP_VERSION,
        })
    }

    /// Only the answer to the present binding counts: one to a former IMEI says nothing about this one.
    fn binding_answered(&mut self, tid: u32, result: BindingResult) {
        if tid != self.binding_tid {
            return;
        }
        self.session.binding = Due { in_flight: self.session.binding.in_flight, ..Due::default() };
        match result {
            BindingResult::Saved | BindingResult::Rejected => self.bound = true,
            BindingResult::Held => {}
        }
    }

    /// Accepts, refuses, or says again what became of a write. The same transaction is never carried out twice.
    fn write_card(&mut self, order: &WriteCard, files: &Files) -> Option<WriteResult> {
        let eid = self.eid?;
        if let Some(BindingAck { tid, result }) = order.binding_ack {
            self.binding_answered(tid, result);
        }
        let imei = self.session.imei.or(self.imei);
        let refused = |why| Some((WriteStatus::Refused, why));
        let verdict = match &self.write {
            Some(write) if write.tid() == order.tid => Some((write.status(), write.detail())),
            Some(write) if write.tid() > order.tid => refused(detail::TID_TOO_LOW),
            Some(write) if write.is_open() => refused(detail::BUSY),
            _ => None,
        };
        let (status, why) = verdict.unwrap_or_else(|| {
            let why = if order.eid != eid {
                detail::OTHER_EID
            } else if imei.map(|imei| imei.key()) != Some(order.imei.key()) {
                detail::OTHER_IMEI
            } else if order.key_block.is_some() {
                detail::KEY_BLOCK
            } else {
                detail::NONE
            };
            let write = Write::new(order, why, files, self.timing.results_max);
            let status = write.status();
            self.session.result = Due { in_flight: self.session.result.in_flight, ..Due::default() };
            self.write = Some(write);
            (status, why)
        });
        Some(WriteResult {
            tid: order.tid,
            eid,
            imsi: files.imsi(),
            imei: imei.unwrap_or(order.imei),
            status,
            detail: why,
            mt_counter: self.mt_counter,
        })
    }

    /// Carries an accepted write out. Only here, and once for each transaction.
    fn execute(&mut self, files: &mut Files) {
        if let Some(tid) = self.write.as_mut().and_then(|write| write.execute(files)) {
            *self.executed.entry(tid).or_default() += 1;
            self.session.authenticated = false;
            self.session.refresh.now();
        }
    }

    /// The terminal reads the files anew, for whatever reason.
    fn refreshed(&mut self) {
        if self.write.as_mut().is_some_and(Write::refreshed) {
            self.session.refresh = Due::default();
        }
    }

    fn count_without_service(&mut self, files: &mut Files) {
        self.session.without_service = self.session.without_service.saturating_add(1);
        if self.session.without_service < self.timing.no_service_status_max {
            return;
        }
        if self.write.as_mut().is_some_and(|write| write.roll_back(files)) {
            self.session.refresh.now();
        }
    }

    fn result_is_due(&self) -> bool {
        self.dialect.has_results() && self.write.as_ref().is_some_and(Write::result_is_due)
    }

    fn result(&self, write: &Write, files: &Files) -> Option<WriteResult> {
        Some(WriteResult {
            tid: write.tid(),
            eid: self.eid?,
            imsi: files.imsi(),
            imei: self.session.imei.or(self.imei)?,
            status: write.status(),
            detail: write.detail(),
            mt_counter: self.mt_counter,
        })
    }

    fn poll_answer(&self, tid: u32, mo_counter: u64, files: &Files) -> Option<PollAnswer> {
        Some(PollAnswer {
            tid,
            eid: self.eid?,
            imei: self.session.imei.or(self.imei)?,
            imsi: files.imsi(),
            binding_flag: self.bound,
            last_tid: self.last_tid(),
            last_state: self.last_state(),
            mo_counter,
        })
    }

    fn last_tid(&self) -> u32 {
        self.write.as_ref().map_or(0, Write::tid)
    }

    fn last_state(&self) -> LastState {
        self.write.as_ref().map_or(LastState::None, Write::state)
    }
}

/// A message of the applet that has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Binding,
    Result,
}

/// What the report shows of the applet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory<'a> {
    pub(super) bound: bool,
    pub(super) bindings_sent: u64,
    pub(super) last_tid: u32,
    pub(super) last_state: LastState,
    pub(super) executed: &'a BTreeMap<u32, u32>,
}
