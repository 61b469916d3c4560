//! Random events, in any order and as often as they like, against the invariants of a card.

use std::collections::{BTreeMap, BTreeSet};

use airwrite::applet::{LastState, PollAnswer, WriteResult, WriteStatus};
use airwrite::card::plan::{self, Plan};
use airwrite::card::{
    Bearer, BindingPolicy, CardId, ClaimSource, DeliveryHours, DeviceView, End, Event, FromCard, Purpose,
    QUEUE_MAX, ResponseData, Scope, ScriptOctets, Submitted, Subscription, WriteId, WriteState,
};
use airwrite::identity::{Imei, Msisdn};
use airwrite::ota::{Cntr, Rsc, Spi2};
use proptest::prelude::*;

use crate::harness::{DAY, OLD, Rig, SECOND, eid, imei, number, other_imei, preset, target, write_id};

/// What happens, in terms of what the card has done so far.
#[derive(Debug, Clone)]
enum Action {
    Order {
        days: u64,
        bearer: u8,
    },
    Cancel(u8),
    /// Which of the numbers.
    HandOut(u8),
    /// Which of the packets sealed, counted from the last; which number; what answer.
    Submitted(usize, u8, u8),
    Receipt(u8, bool),
    Response {
        back: usize,
        rsc: u8,
        data: u8,
        tid: u32,
    },
    Message {
        ahead: i64,
        kind: u8,
        tid: u32,
        other_device: bool,
    },
    /// The last message once more.
    Repeat,
    Moved,
    /// Which device; in which way.
    Claim(bool, bool),
    PlainResult(u32, u8),
    Supplied(bool, u8),
    DecideBinding(bool),
    DecideWrite(u8, bool),
    Export(u8),
    Contested,
    Poll,
    Alert,
    Hint {
        rsc: u8,
        cntr: u8,
        from: u8,
    },
    Wait(u64),
    /// Until the card is due.
    Due,
    Restore,
}

fn action() -> impl Strategy<Value = Action> {
    let wait = prop_oneof![0..120 * SECOND, 0..DAY, Just(40 * DAY)];
    prop_oneof![
        3 => (1_u64..60, 0_u8..6).prop_map(|(days, bearer)| Action::Order { days, bearer }),
        1 => (1_u8..12).prop_map(Action::Cancel),
        6 => (0_u8..4).prop_map(Action::HandOut),
        6 => (0_usize..3, 0_u8..4, 0_u8..8).prop_map(|(back, to, outcome)| Action::Submitted(back, to, outcome)),
        2 => (0_u8..4, any::<bool>()).prop_map(|(to, delivered)| Action::Receipt(to, delivered)),
        6 => (0_usize..3, 0_u8..14, 0_u8..10, 0_u32..3)
            .prop_map(|(back, rsc, data, tid)| Action::Response { back, rsc, data, tid }),
        4 => (-70_i64..30, 0_u8..8, 0_u32..3, prop::bool::weighted(0.2))
            .prop_map(|(ahead, kind, tid, other_device)| Action::Message { ahead, kind, tid, other_device }),
        2 => Just(Action::Repeat),
        1 => Just(Action::Moved),
        2 => any::<(bool, bool)>().prop_map(|(other, der)| Action::Claim(other, der)),
        1 => (0_u32..3, 0_u8..4).prop_map(|(tid, status)| Action::PlainResult(tid, status)),
        1 => (any::<bool>(), 0_u8..3).prop_map(|(other, card)| Action::Supplied(other, card)),
        1 => any::<bool>().prop_map(Action::DecideBinding),
        1 => (1_u8..12, any::<bool>()).prop_map(|(n, accept)| Action::DecideWrite(n, accept)),
        4 => (1_u8..12).prop_map(Action::Export),
        1 => Just(Action::Contested),
        1 => Just(Action::Poll),
        1 => Just(Action::Alert),
        2 => (0_u8..14, 0_u8..3, 0_u8..4).prop_map(|(rsc, cntr, from)| Action::Hint { rsc, cntr, from }),
        3 => wait.prop_map(Action::Wait),
        4 => Just(Action::Due),
        1 => Just(Action::Restore),
    ]
}

fn device(other: bool) -> Imei {
    if other { other_imei() } else { imei() }
}

/// What kind of card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Applet,
    AppletWithoutPor,
    /// Written by scripts to two TARs, with a counter each or one for both.
    Files(Scope),
}

impl Kind {
    fn rig(self) -> Rig {
        match self {
            Self::Applet => Rig::new(),
            Self::AppletWithoutPor => crate::no_por::rig(),
            Self::Files(scope) => {
                let mut rig = crate::files::rig();
                rig.profile.mt.scope = scope;
                rig
            }
        }
    }
}

/// A card, and what was seen of it so far.
struct Watch {
    kind: Kind,
    rig: Rig,
    orders: u8,
    last_message: Option<(u64, u64, Msisdn, FromCard)>,
    highest_cntr: u64,
    highest_handed: u64,
    /// Writes that may still be executed: handed out, and neither fenced nor answered.
    open: BTreeSet<WriteId>,
    accepted: BTreeSet<WriteId>,
    tids: BTreeMap<u32, WriteId>,
}

impl Watch {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            rig: kind.rig(),
            orders: 0,
            last_message: None,
            highest_cntr: 100,
            highest_handed: 0,
            open: BTreeSet::new(),
            accepted: BTreeSet::new(),
            tids: BTreeMap::new(),
        }
    }

    /// The device on no card, on this one, on another one.
    fn view(&self, choice: u8) -> DeviceView {
        let cards = [None, Some(self.rig.card.id), Some(CardId::from_octets([8; 16]))];
        DeviceView { card: cards[usize::from(choice)], waiting: Vec::new() }
    }

    fn number(&self, choice: u8) -> Msisdn {
        let numbers = self.rig.card.numbers();
        numbers.get(usize::from(choice) % numbers.len().max(1)).copied().unwrap_or(number(OLD))
    }

    fn cntr(&self, back: usize) -> Option<Cntr> {
        self.rig.seals.iter().rev().nth(back).map(|seal| seal.cntr)
    }

    /// The transaction id that is `back` before the last.
    fn tid(&self, back: u32) -> u32 {
        self.rig.card.last_tid.saturating_sub(back)
    }

    fn target_of(&self, tid: u32) -> Subscription {
        let write = self.tids.get(&tid).copied();
        write.map_or(preset(), |write| target(write.octets()[0]))
    }

    fn result(&self, tid: u32, status: WriteStatus, imei: Imei) -> WriteResult {
        let imsi = match status {
            WriteStatus::Confirmed => self.target_of(tid).imsi,
            _ => preset().imsi,
        };
        WriteResult { tid, eid: eid(), imsi: Some(imsi), imei, status, detail: 1, mt_counter: 0 }
    }

    /// What a card may answer to a script of the write `tid`, or to a poll.
    fn script_response(&self, choice: usize, tid: u32) -> ResponseData {
        let target = self.target_of(tid);
        let plan = Plan::of(&self.rig.profile, &target).expect("a plan");
        let count = |script: usize| plan.scripts[script].commands.len() as u8;
        let poll = plan::read_imsi(&self.rig.profile, self.rig.profile.mt.tar).commands.len() as u8;
        let response = match choice {
            0 => Vec::new(),
            1 | 2 => vec![count(0), 0x90, 0],
            3 => [&[count(1), 0x90, 0][..], &target.imsi.to_ef()].concat(),
            4 => vec![1, 0x6A, 0x82],
            5 => [&[poll, 0x90, 0][..], &preset().imsi.to_ef()].concat(),
            6 => [&[poll, 0x90, 0][..], &crate::files::iccid().octets()].concat(),
            7 => vec![count(1), 0x69, 0x82],
            _ => [&[poll, 0x90, 0][..], &target.imsi.to_ef()].concat(),
        };
        ResponseData::Script(ScriptOctets(response))
    }

    fn event(&self, action: &Action) -> Option<Event> {
        Some(match *action {
            Action::Order { days, bearer } => {
                let n = self.orders + 1;
                let bearers = [Some(Bearer::Sms), Some(Bearer::Relay)];
                Event::Ordered(airwrite::card::Order {
                    bearer: bearers.get(usize::from(bearer)).copied().flatten(),
                    deadline: self.rig.now + days * DAY,
                    ..self.rig.new_order(n)
                })
            }
            Action::Cancel(n) => {
                let seq = self.rig.orders.get(&write_id(n))?.seq;
                Event::Withdraw { id: write_id(n), seq, target: target(n), end: End::Cancelled }
            }
            Action::HandOut(to) => Event::HandOut { to: self.number(to) },
            Action::Submitted(back, to, outcome) => {
                let outcome = match outcome {
                    0 => Submitted::Throttled,
                    1 => Submitted::Unanswered,
                    2 => Submitted::Refused { status: "ESME_RINVDSTADR".into() },
                    _ => Submitted::Accepted { message_id: "m1".into() },
                };
                Event::Submitted { cntr: self.cntr(back)?, to: self.number(to), outcome }
            }
            Action::Receipt(to, delivered) => {
                Event::Receipt { message_id: "m1".into(), to: self.number(to), delivered, fcs: None }
            }
            Action::Response { back, rsc, data, tid } => {
                let cntr = self.cntr(back)?;
                let view = self.view(data % 3);
                let tid = self.tid(tid);
                let statuses = [
                    WriteStatus::Accepted,
                    WriteStatus::Confirmed,
                    WriteStatus::RolledBack,
                    WriteStatus::Refused,
                ];
                let states = [
                    LastState::None,
                    LastState::Accepted,
                    LastState::Confirmed,
                    LastState::RolledBack,
                    LastState::Refused,
                ];
                let data = match usize::from(data) {
                    n if matches!(self.kind, Kind::Files(_)) => self.script_response(n, tid),
                    0 => ResponseData::None,
                    n @ 1..=4 => ResponseData::Result(self.result(tid, statuses[n - 1], imei())),
                    n => {
                        let last_state = states[n - 5];
                        let confirmed = last_state == LastState::Confirmed;
                        ResponseData::State(PollAnswer {
                            tid: u32::try_from(cntr.get() & 0xFFFF_FFFF).expect("32 bits"),
                            eid: eid(),
                            imei: imei(),
                            imsi: Some(if confirmed { self.target_of(tid).imsi } else { preset().imsi }),
                            binding_flag: true,
                            last_tid: tid,
                            last_state,
                            mo_counter: self.rig.card.mo.highest,
                        })
                    }
                };
                Event::Response {
                    cntr,
                    rsc: Rsc(if rsc > 0x0C { 0 } else { rsc }),
                    data,
                    from: (cntr.get() % 4 != 0).then(|| self.number(rsc)),
                    device: Some(view),
                }
            }
            Action::Message { ahead, kind, tid, other_device } => {
                let cntr = self.rig.card.mo.highest.saturating_add_signed(ahead);
                let imei = if other_device { other_imei() } else { imei() };
                let tid = self.tid(tid);
                let message = match kind {
                    0..=2 => {
                        let card = [None, Some(self.rig.card.id), Some(CardId::from_octets([8; 16]))]
                            [usize::from(kind)];
                        let device = DeviceView { card, waiting: Vec::new() };
                        FromCard::Binding { request: Rig::request(u32::from(kind), imei), device }
                    }
                    3 => FromCard::Result(self.result(tid, WriteStatus::Accepted, imei)),
                    4 => FromCard::Result(self.result(tid, WriteStatus::RolledBack, imei)),
                    5 => FromCard::Result(self.result(tid, WriteStatus::Refused, imei)),
                    _ => FromCard::Result(self.result(tid, WriteStatus::Confirmed, imei)),
                };
                Event::Message {
                    cntr,
                    digest: cntr ^ u64::from(kind),
                    from: Some(self.number(kind)),
                    message,
                }
            }
            Action::Repeat => {
                let (cntr, digest, from, message) = self.last_message.clone()?;
                Event::Message { cntr, digest, from: Some(from), message }
            }
            Action::Moved => Event::DeviceMoved {
                imei: imei(),
                to: CardId::from_octets([8; 16]),
                device: DeviceView::default(),
            },
            Action::Claim(other, der) => {
                let source = match der {
                    true => ClaimSource::PlainDer { tid: 3, eid: eid() },
                    false => ClaimSource::RawImei,
                };
                Event::Claim { imei: device(other), from: Some(self.number(0)), source }
            }
            Action::PlainResult(tid, status) => {
                let statuses = [
                    WriteStatus::Accepted,
                    WriteStatus::Confirmed,
                    WriteStatus::RolledBack,
                    WriteStatus::Refused,
                ];
                let result = self.result(self.tid(tid), statuses[usize::from(status)], imei());
                Event::PlainResult { result, from: Some(self.number(1)) }
            }
            Action::Supplied(other, card) => Event::Supplied { imei: device(other), device: self.view(card) },
            Action::DecideBinding(accept) => Event::DecideBinding { accept, device: DeviceView::default() },
            Action::DecideWrite(n, accept) => Event::DecideWrite { id: write_id(n), accept },
            // The active write as a rule, so that something comes of it.
            Action::Export(n) => {
                let active = self.rig.card.active.as_ref().filter(|_| n > 2);
                Event::Export { id: active.map_or(write_id(n), |active| active.order.id) }
            }
            Action::Contested => Event::Contested { imei: imei(), by: CardId::from_octets([8; 16]) },
            Action::Poll => Event::Poll,
            Action::Alert => Event::Alert,
            Action::Hint { rsc, cntr, from } => {
                let cntrs = [None, Cntr::try_from(0).ok(), self.cntr(0)];
                let (cntr, rsc) = (cntrs[usize::from(cntr)], Some(Rsc(rsc)));
                Event::Hint { what: "in clear".into(), cntr, rsc, from: Some(self.number(from)) }
            }
            Action::Wait(_) | Action::Due | Action::Restore => Event::Tick,
        })
    }

    fn run(&mut self, action: &Action) {
        match *action {
            Action::Wait(time) => self.rig.now += time,
            Action::Due => self.rig.now = self.rig.now.max(self.rig.due().unwrap_or(0)),
            Action::Restore => self.rig.epoch += 1,
            _ => {}
        }
        let Some(event) = self.event(action) else { return };
        if let Event::Ordered(order) = &event {
            self.orders += 1;
            self.rig.orders.insert(order.id, order.clone());
        }
        self.step(event.clone());
        if let Event::Message { cntr, digest, from, message } = event {
            self.settle();
            let before = self.rig.card.clone();
            let repeated = Event::Message { cntr, digest, from, message: message.clone() };
            self.step(repeated);
            let mut after = self.rig.card.clone();
            // At most the answer is repeated, which may be sealed anew.
            after.repeated_at = before.repeated_at;
            after.owed.clone_from(&before.owed);
            after.notice.clone_from(&before.notice);
            after.counters.clone_from(&before.counters);
            // It is told, not too often.
            (after.seq, after.hints) = (before.seq, before.hints.clone());
            assert_eq!(after, before, "I6");
            let told = self.rig.step.facts.iter().map(|fact| fact.kind.as_str()).collect::<Vec<_>>();
            assert!(matches!(told[..], [] | ["binding.repeated" | "card.hint"]), "I6: {told:?}");
            self.last_message = Some((cntr, digest, from.expect("a number"), message));
        }
    }

    /// Does what is due now: the repetition must not be charged with it.
    fn settle(&mut self) {
        while self.rig.due().is_some_and(|due| due <= self.rig.now) {
            self.step(Event::Tick);
        }
    }

    /// One event with everything that must hold after it.
    fn step(&mut self, event: Event) {
        let before = self.rig.card.clone();
        let refused = {
            let step = self.rig.event(event.clone());
            step.refused.is_some()
        };
        if let (Event::Ordered(order), false) = (&event, refused) {
            self.accepted.insert(order.id);
        }
        if let Some(active) = &self.rig.card.active {
            let known = *self.tids.entry(active.tid).or_insert(active.order.id);
            assert_eq!(known, active.order.id, "a transaction id is used for one write only");
        }
        let step = self.rig.step.clone();
        // I3: every packet has a fresh, higher CNTR.
        for seal in &step.seal {
            assert!(seal.cntr.get() > self.highest_cntr, "I3: {} after {}", seal.cntr, self.highest_cntr);
            self.highest_cntr = seal.cntr.get();
            // The parts of a packet are told by its low octet from those of the packets before.
            let low = |cntr: Cntr| cntr.octets()[4];
            let before = self.rig.seals.iter().rev().skip(step.seal.len()).take(64);
            assert!(before.map(|before| low(before.cntr)).all(|before| before != low(seal.cntr)));
        }
        // Older octets never go out after newer ones, and what goes out is what is outstanding or told.
        for submission in &step.submissions {
            let cntr = submission.cntr.get();
            assert!(cntr >= self.highest_handed, "CNTR {cntr} goes out after {}", self.highest_handed);
            self.highest_handed = cntr;
            let packet = self.rig.card.outstanding.as_ref().map(|packet| packet.cntr.get());
            let notice = self.rig.card.notice.as_ref().map(|notice| notice.cntr.get());
            assert!([packet, notice].contains(&Some(cntr)));
            let writes = self
                .rig
                .card
                .outstanding
                .as_ref()
                .is_some_and(|packet| packet.purpose == Purpose::Write && packet.cntr == submission.cntr);
            let open = self.rig.hours.is_none_or(|hours| hours.opens(self.rig.now) == self.rig.now);
            assert!(open || !writes, "a write goes out outside the delivery hours");
        }
        // I4: what is outstanding is the only packet that asks a PoR; nothing that asks none is newer.
        let asking = step.seal.iter().filter(|seal| seal.spi2 != Spi2::NO_POR).count();
        assert!(asking <= 1, "I4");
        if let Some(packet) = &self.rig.card.outstanding {
            assert!(self.rig.card.notice.as_ref().is_none_or(|notice| notice.cntr < packet.cntr));
        }
        // I5: cancelled and expired only if nothing that went out can still be executed.
        self.check_open(&event);
        // I7: the current subscription changes by an authenticated confirmation alone.
        if self.rig.card.current != before.current {
            let proof = match &event {
                Event::Response { data: ResponseData::Script(script), rsc: Rsc::OK, from, .. } => {
                    let proved = |tid: &&u32| {
                        let target = self.target_of(**tid);
                        script.0.ends_with(&target.imsi.to_ef())
                            && from.is_none_or(|from| from == target.msisdn)
                            && self.rig.card.current == Some(target)
                    };
                    self.tids.keys().find(proved).copied()
                }
                Event::Message { message: FromCard::Result(result), .. } => {
                    (result.status == WriteStatus::Confirmed).then_some(result.tid)
                }
                Event::Response { data: ResponseData::Result(result), rsc: Rsc::OK, .. } => {
                    (result.status == WriteStatus::Confirmed).then_some(result.tid)
                }
                Event::Response { data: ResponseData::State(state), rsc: Rsc::OK, .. } => {
                    (state.last_state == LastState::Confirmed).then_some(state.last_tid)
                }
                _ => None,
            };
            let tid = proof.expect("I7: changed without proof");
            assert_eq!(self.rig.card.current, Some(self.target_of(tid)), "I7");
        }
        // I7: nor is a device bound, or a write released to one, by what anybody could have sent.
        if matches!(event, Event::Claim { .. } | Event::PlainResult { .. } | Event::Hint { .. }) {
            assert_eq!(self.bound(&self.rig.card), self.bound(&before), "I7");
            assert!(step.bound.is_none(), "I7");
        }
        // I4: what is brought on site belongs to the active write.
        if self.rig.card.outstanding.as_ref().is_some_and(|packet| packet.bearer == Bearer::Relay) {
            let bearer = self.rig.card.active.as_ref().map(|active| active.bearer);
            assert_eq!(bearer, Some(Bearer::Relay), "a packet on site without its write");
        }
        // I10: nothing that is open, unresolved or in effect is freed.
        for freed in &step.freed {
            assert_ne!(Some(freed), self.rig.card.current.as_ref(), "I10");
            assert!(self.rig.card.active.iter().all(|active| active.order.target != *freed), "I10");
            assert!(self.rig.card.unsettled.iter().all(|unsettled| unsettled.target != *freed), "I10");
        }
        assert!(self.rig.card.queue.len() <= QUEUE_MAX, "I9");
        assert_eq!(step.changed, self.rig.card != before);
        assert!(step.changed || (step.seal.is_empty() && step.facts.is_empty() && step.writes.is_empty()));
        self.check_due();
        self.check_ends();
    }

    fn bound(&self, card: &airwrite::card::Card) -> Option<Imei> {
        card.binding.as_ref().map(|binding| binding.imei)
    }

    fn check_open(&mut self, event: &Event) {
        if let Some(active) = self.rig.card.active.as_ref()
            && matches!(active.state, WriteState::Sent | WriteState::OnSite)
        {
            self.open.insert(active.order.id);
        }
        let fenced = matches!(
            event,
            Event::Response {
                data: ResponseData::State(_) | ResponseData::Result(_) | ResponseData::Script(_),
                rsc: Rsc::OK,
                ..
            } | Event::Message { .. }
                | Event::Submitted { outcome: Submitted::Refused { .. }, .. }
        );
        for (id, _, kind) in &self.rig.told {
            if matches!(kind.as_str(), "write.cancelled" | "write.expired") && self.open.contains(id) {
                assert!(fenced, "I5: {kind} while its octets may still be executed");
                self.open.remove(id);
            }
        }
        if fenced
            && let Some(active) = &self.rig.card.active
            && matches!(active.state, WriteState::Queued | WriteState::Sealed)
            && !active.handed_out
        {
            self.open.remove(&active.order.id);
        }
    }

    /// What is due already must change the card when the clock is read, and the card comes to rest.
    fn check_due(&mut self) {
        let mut rested = false;
        let mut probe = self.kind.rig();
        probe.profile.clone_from(&self.rig.profile);
        probe.card.clone_from(&self.rig.card);
        (probe.now, probe.epoch, probe.hours) = (self.rig.now, self.rig.epoch, self.rig.hours);
        probe.orders.clone_from(&self.rig.orders);
        for _ in 0..QUEUE_MAX + 4 {
            if probe.due().is_none_or(|due| due > probe.now) {
                rested = true;
                break;
            }
            assert!(probe.event(Event::Tick).changed, "due in the past, and nothing to do");
        }
        assert!(rested, "the card is due again and again");
        // The same at the moment it is due next.
        if let Some(due) = probe.due() {
            probe.now = due;
            let moved = probe.event(Event::Tick).changed;
            assert!(moved, "due, and nothing to do");
        }
    }

    /// I5: at most one end for each write, and its sequence rises one by one.
    fn check_ends(&self) {
        for n in 1..=self.orders {
            self.rig.kinds(n);
            let ends = self.rig.ends(n);
            assert!(ends.len() <= 1, "I5: {ends:?}");
            let open = self.rig.card.active.as_ref().is_some_and(|active| active.order.id == write_id(n))
                || self.rig.card.queue.contains(&write_id(n));
            let accepted = self.accepted.contains(&write_id(n));
            assert_eq!(accepted, open || ends.len() == 1, "I5: write {n} is neither open nor over");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(
        kind in prop::sample::select(vec![
            Kind::Applet,
            Kind::AppletWithoutPor,
            Kind::Files(Scope::Tar),
            Kind::Files(Scope::Card),
        ]),
        actions in prop::collection::vec(action(), 1..60),
        numbered: bool,
        hours in prop::option::of((0_u16..1440, 0_u16..1440)),
        policy in prop::sample::select(vec![BindingPolicy::Accept, BindingPolicy::Hold, BindingPolicy::Reject]),
    ) {
        let mut watch = Watch::new(kind);
        watch.rig.profile.trust.binding_policy = policy;
        watch.rig.hours =
            hours.map(|(from_min, to_min)| DeliveryHours { from_min, to_min, utc_offset_min: 0 });
        if !numbered {
            (watch.rig.card.preset, watch.rig.card.current) = (None, None);
        }
        for action in &actions {
            watch.run(action);
        }
        // I5: with enough time every write has its end, also when nobody answers any more.
        watch.rig.run_for(120 * DAY);
        watch.rig.event(Event::Tick);
        watch.check_ends();
        for n in 1..=watch.orders {
            let accepted = watch.accepted.contains(&write_id(n));
            prop_assert_eq!(watch.rig.ends(n).len(), usize::from(accepted), "write {}", n);
        }
        prop_assert!(watch.rig.card.active.is_none() && watch.rig.card.queue.is_empty());
    }
}
