//! A card under its rules: events go in, and what follows is kept and looked at.

use std::collections::{BTreeMap, VecDeque};

use airwrite::applet::{
    BindingRequest, LastState, Message, PollAnswer, Trigger, WriteCard, WriteResult, WriteStatus,
};
use airwrite::card::{
    BindingPolicy, Card, CardId, Counter, DeliveryHours, DeviceView, End, Event, FromCard, Leg, Order,
    Payload, Profile, Purpose, ResponseData, Seal, Step, Submission, Submitted, Subscription, Terms, Timers,
    WriteId, WriteState, apply,
};
use airwrite::identity::{Eid, Imei, Msisdn};
use airwrite::ota::{Cntr, Rsc};
use airwrite::store::records::{decode_card, encode_card};

/// 2026-01-01 00:00 UTC, unix ms.
pub(crate) const START: u64 = 1_767_225_600_000;
pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The number of the subscription from the factory.
pub(crate) const OLD: &str = "491710000001";

pub(crate) fn profile() -> Profile {
    Profile::from_toml(include_str!("../../config/profiles/airwrite-applet.toml")).expect("the profile")
}

pub(crate) fn eid() -> Eid {
    "89034011560010000000000000000121".parse().expect("an EID")
}

pub(crate) fn imei() -> Imei {
    "357805023984942".parse().expect("an IMEI")
}

pub(crate) fn other_imei() -> Imei {
    "490154203237518".parse().expect("an IMEI")
}

pub(crate) fn number(digits: &str) -> Msisdn {
    digits.parse().expect("a number")
}

pub(crate) fn write_id(n: u8) -> WriteId {
    WriteId::from_octets([n; 16])
}

pub(crate) fn preset() -> Subscription {
    let imsi = "262010000000001".parse().expect("an IMSI");
    Subscription { imsi, msisdn: number(OLD), iccid: None, smsc: None }
}

/// The target of write `n`.
pub(crate) fn target(n: u8) -> Subscription {
    let imsi = format!("2620200000{n:05}").parse().expect("an IMSI");
    let msisdn = number(&format!("4917200{n:05}"));
    Subscription { imsi, msisdn, iccid: None, smsc: None }
}

/// What a packet says to the applet.
pub(crate) fn message(seal: &Seal) -> &Message {
    match &seal.payload {
        Payload::Applet(message) => message,
        Payload::Script(script) => panic!("a script for a card with an applet: {script:?}"),
    }
}

/// A card with preset and counter 100, and everything that its rules have said so far.
pub(crate) struct Rig {
    pub(crate) card: Card,
    pub(crate) now: u64,
    pub(crate) timers: Timers,
    pub(crate) profile: Profile,
    pub(crate) epoch: u64,
    /// When it may be written over the air.
    pub(crate) hours: Option<DeliveryHours>,
    /// What followed from the last event.
    pub(crate) step: Step,
    /// Every packet sealed.
    pub(crate) seals: Vec<Seal>,
    /// Every target freed.
    pub(crate) freed: Vec<Subscription>,
    /// Kind of every fact about a write, in order.
    pub(crate) told: Vec<(WriteId, u32, String)>,
    /// The orders of queued writes: the caller's records.
    pub(crate) orders: BTreeMap<WriteId, Order>,
    /// What is stored of the device that the card names in the answer to a poll.
    pub(crate) device: DeviceView,
    mo: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let mut card = Card::new(
            CardId::from_octets([7; 16]),
            "acme".parse().expect("an owner"),
            "airwrite-applet".into(),
            1,
        );
        card.eid = Some(eid());
        card.preset = Some(preset());
        card.current = Some(preset());
        card.counters = vec![Counter { scope: "*".into(), last: 100, epoch: 1 }];
        Self {
            step: Step {
                card: card.clone(),
                changed: false,
                seal: Vec::new(),
                writes: Vec::new(),
                facts: Vec::new(),
                bound: None,
                contested: None,
                freed: Vec::new(),
                submissions: Vec::new(),
                cancellations: Vec::new(),
                refused: None,
            },
            card,
            now: START,
            timers: Timers::default(),
            profile: profile(),
            epoch: 1,
            hours: None,
            seals: Vec::new(),
            freed: Vec::new(),
            told: Vec::new(),
            orders: BTreeMap::new(),
            device: DeviceView::default(),
            mo: 0,
        }
    }

    pub(crate) fn with_policy(policy: BindingPolicy) -> Self {
        let mut rig = Self::new();
        rig.profile.trust.binding_policy = policy;
        rig
    }

    /// A card with write 1 handed over and accepted by the SMSC, its PoR awaited.
    pub(crate) fn sent() -> Self {
        let mut rig = Self::new();
        rig.order(1);
        rig.hand_over(OLD);
        rig.expect(WriteState::Sent);
        rig
    }

    /// A card that has answered write 1 with "accepted".
    pub(crate) fn written() -> Self {
        let mut rig = Self::sent();
        rig.por(1, WriteStatus::Accepted);
        rig.expect(WriteState::Written);
        rig
    }

    /// A card that let every attempt of write 1 pass in silence.
    pub(crate) fn unknown() -> Self {
        let mut rig = Self::sent();
        rig.answer(Rsc::CNTR_LOW, ResponseData::None);
        rig.expect(WriteState::Unknown);
        rig
    }

    /// Applies an event now, as the caller does: with the next order where the card is free.
    pub(crate) fn event(&mut self, event: Event) -> &Step {
        let next = self.card.queue.first().filter(|_| self.card.active.is_none());
        let next = next.and_then(|id| self.orders.get(id)).cloned();
        let step = apply(&self.card, event, next, &self.terms(), self.now);
        self.card = step.card.clone();
        self.seals.extend(step.seal.iter().cloned());
        self.freed.extend(step.freed.iter().cloned());
        for change in &step.writes {
            if let Some(order) = self.orders.get_mut(&change.id) {
                order.seq = change.seq;
            }
        }
        for fact in &step.facts {
            if let Some((id, seq)) = fact.write {
                self.told.push((id, seq, fact.kind.clone()));
            }
        }
        assert_eq!(decode_card(&encode_card(&self.card)).as_ref(), Ok(&self.card), "a card can be stored");
        self.step = step;
        &self.step
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.card.due(&self.terms())
    }

    fn terms(&self) -> Terms<'_> {
        let Self { profile, timers, epoch, hours, .. } = self;
        Terms { profile, timers, epoch: *epoch, hours: *hours, numbers_kept_ms: 400 * DAY }
    }

    /// Lets the clock do what is due until `at`, as the timers do.
    pub(crate) fn run_until(&mut self, at: u64) {
        for _ in 0..10_000 {
            match self.due().filter(|due| *due <= at) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.event(Event::Tick);
                }
                None => {
                    self.now = self.now.max(at);
                    return;
                }
            }
        }
        panic!("the card is due again and again");
    }

    pub(crate) fn run_for(&mut self, time: u64) {
        self.run_until(self.now + time);
    }

    // Orders.

    pub(crate) fn new_order(&self, n: u8) -> Order {
        let deadline = self.now + self.timers.deadline_s * 1000;
        Order { id: write_id(n), imei: imei(), target: target(n), deadline, seq: 0, bearer: None }
    }

    pub(crate) fn order(&mut self, n: u8) -> &Step {
        let order = self.new_order(n);
        self.orders.insert(order.id, order.clone());
        self.event(Event::Ordered(order))
    }

    pub(crate) fn cancel(&mut self, n: u8) -> &Step {
        let seq = self.orders.get(&write_id(n)).map_or(0, |order| order.seq);
        self.event(Event::Withdraw { id: write_id(n), seq, target: target(n), end: End::Cancelled })
    }

    // The link.

    pub(crate) fn hand_out(&mut self, to: &str) -> Vec<Submission> {
        self.event(Event::HandOut { to: number(to) }).submissions.clone()
    }

    pub(crate) fn submitted(&mut self, cntr: Cntr, to: &str, outcome: Submitted) {
        self.event(Event::Submitted { cntr, to: number(to), outcome });
    }

    /// Hands over what is in the lane of `to`; the SMSC accepts it.
    pub(crate) fn hand_over(&mut self, to: &str) -> Vec<Submission> {
        let submissions = self.hand_out(to);
        assert!(!submissions.is_empty(), "nothing in the lane of {to}");
        for submission in &submissions {
            self.submitted(submission.cntr, to, Submitted::Accepted { message_id: "m1".into() });
        }
        submissions
    }

    // The card.

    pub(crate) fn result(n: u32, status: WriteStatus) -> WriteResult {
        let imsi = match status {
            WriteStatus::Confirmed => target(u8::try_from(n).expect("a small tid")).imsi,
            _ => preset().imsi,
        };
        WriteResult { tid: n, eid: eid(), imsi: Some(imsi), imei: imei(), status, detail: 0, mt_counter: 0 }
    }

    /// A response to the outstanding packet.
    pub(crate) fn answer(&mut self, rsc: Rsc, data: ResponseData) -> &Step {
        let cntr = self.outstanding();
        self.answer_to(cntr, rsc, data, None)
    }

    /// A response to any packet, from a number or on site.
    pub(crate) fn answer_to(
        &mut self,
        cntr: Cntr,
        rsc: Rsc,
        data: ResponseData,
        from: Option<Msisdn>,
    ) -> &Step {
        let named = matches!(data, ResponseData::State(_) | ResponseData::Script(_));
        let device = named.then(|| self.device.clone());
        self.event(Event::Response { cntr, rsc, data, from, device })
    }

    /// PoR 00 to the outstanding packet with the result of the write of transaction `tid`.
    pub(crate) fn por(&mut self, tid: u32, status: WriteStatus) -> &Step {
        self.answer(Rsc::OK, ResponseData::Result(Self::result(tid, status)))
    }

    /// The answer to the outstanding poll.
    pub(crate) fn state_answer(&mut self, last_tid: u32, last_state: LastState) -> &Step {
        let answer = self.poll_answer(last_tid, last_state);
        self.answer(Rsc::OK, ResponseData::State(answer))
    }

    pub(crate) fn poll_answer(&self, last_tid: u32, last_state: LastState) -> PollAnswer {
        let confirmed = last_state == LastState::Confirmed;
        let imsi =
            if confirmed { target(u8::try_from(last_tid).expect("small")).imsi } else { preset().imsi };
        PollAnswer {
            tid: u32::try_from(self.outstanding().get()).expect("a small CNTR"),
            eid: eid(),
            imei: imei(),
            imsi: Some(imsi),
            binding_flag: true,
            last_tid,
            last_state,
            mo_counter: self.mo,
        }
    }

    /// A result that the card sends on its own, under a new MO counter.
    pub(crate) fn mo_result(&mut self, result: WriteResult, from: Msisdn) -> &Step {
        self.mo += 1;
        self.mo_at(self.mo, from, FromCard::Result(result))
    }

    pub(crate) fn mo_at(&mut self, cntr: u64, from: Msisdn, message: FromCard) -> &Step {
        self.event(Event::Message { cntr, digest: cntr * 31, from: Some(from), message })
    }

    pub(crate) fn request(tid: u32, imei: Imei) -> BindingRequest {
        let imsi = Some(preset().imsi);
        BindingRequest { tid, imei, eid: eid(), imsi, trigger: Trigger::Boot, app_version: 1 }
    }

    /// A binding request under a new MO counter.
    pub(crate) fn bind(&mut self, tid: u32, imei: Imei, device: DeviceView) -> &Step {
        self.mo += 1;
        self.bind_at(self.mo, tid, imei, device)
    }

    pub(crate) fn bind_at(&mut self, cntr: u64, tid: u32, imei: Imei, device: DeviceView) -> &Step {
        for order in &device.waiting {
            self.orders.insert(order.id, order.clone());
        }
        self.mo = self.mo.max(cntr);
        self.mo_at(cntr, number(OLD), FromCard::Binding { request: Self::request(tid, imei), device })
    }

    pub(crate) fn known_device(&self) -> DeviceView {
        DeviceView { card: Some(self.card.id), waiting: Vec::new() }
    }

    // What there is to see.

    pub(crate) fn expect(&self, state: WriteState) {
        assert_eq!(self.card.active.as_ref().map(|active| active.state), Some(state));
    }

    /// The write `n` has ended so, told once, and nothing is active.
    pub(crate) fn expect_end(&self, n: u8, end: End) {
        let name = format!("write.{}", WriteState::Ended(end).name());
        assert_eq!(self.ends(n), [name]);
        assert!(self.card.active.as_ref().is_none_or(|active| active.order.id != write_id(n)));
    }

    pub(crate) fn ends(&self, n: u8) -> Vec<String> {
        let ends = WriteState::NAMES.iter().filter(|(state, _)| state.is_end());
        let ends: Vec<String> = ends.map(|(_, name)| format!("write.{name}")).collect();
        self.kinds(n).into_iter().filter(|kind| ends.contains(kind)).collect()
    }

    /// The kinds of what was told of write `n`; their sequences rise one by one.
    pub(crate) fn kinds(&self, n: u8) -> Vec<String> {
        let told: Vec<_> = self.told.iter().filter(|(id, ..)| *id == write_id(n)).collect();
        let first = told.first().map_or(0, |(_, seq, _)| *seq);
        assert!(told.iter().zip(first..).all(|((_, seq, _), expected)| *seq == expected), "{told:?}");
        told.into_iter().map(|(.., kind)| kind.clone()).collect()
    }

    /// Kinds of the facts of the last step.
    pub(crate) fn facts(&self) -> Vec<&str> {
        self.step.facts.iter().map(|fact| fact.kind.as_str()).collect()
    }

    pub(crate) fn outstanding(&self) -> Cntr {
        self.card.outstanding.as_ref().expect("a packet is outstanding").cntr
    }

    pub(crate) fn purpose(&self) -> Option<Purpose> {
        self.card.outstanding.as_ref().map(|packet| packet.purpose)
    }

    pub(crate) fn legs(&self) -> VecDeque<&Leg> {
        self.card.outstanding.iter().flat_map(|packet| &packet.legs).collect()
    }

    pub(crate) fn leg_numbers(&self) -> Vec<String> {
        self.legs().into_iter().map(|leg| leg.to.to_string()).collect()
    }

    pub(crate) fn last_seal(&self) -> &Seal {
        self.seals.last().expect("a packet was sealed")
    }

    /// What the last packet says to the applet.
    pub(crate) fn last_message(&self) -> &Message {
        message(self.last_seal())
    }

    pub(crate) fn last_write(&self) -> &WriteCard {
        match self.last_message() {
            Message::WriteCard(write) => write,
            other => panic!("the last packet sealed is no write: {other:?}"),
        }
    }
}
