//! One row of a table, played: the real gateway in paused time, an SMSC and a card by hand at the other end of its link.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use airwrite::applet::{Message, WriteStatus};
use airwrite::card::{Bearer, Card, Subscription, Timers, WriteId};
use airwrite::gateway::CardRef;
use airwrite::link::LinkConfig;
use airwrite::ota::{Cntr, Spi2};
use airwrite::smpp::{
    Address, AlertNotification, Body, CancelSm, CommandStatus, End, EsmClass, Event, Pdu, Sm, Unanswered,
};
use airwrite::store::Fault;
use bytes::{Bytes, BytesMut};

use crate::common::hand_card::{HandCard, Packet};
use crate::common::scene::{Kind, Scene, Setup, profile};
use crate::common::smsc::{Smsc, receipt};
use crate::row::{Does, From, Over, Row, Smscs};

/// After this long without anything the gateway has done what it does at once.
const QUIET: Duration = Duration::from_millis(700);

/// What became of a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The state of the write that was ordered last.
    pub(crate) state: String,
    /// What the other end of the link saw, in order.
    pub(crate) answers: Vec<String>,
    /// What the owner was told, in order.
    pub(crate) events: Vec<String>,
}

/// What must not move when somebody only claims something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    current: Option<Subscription>,
    bound_to: Option<String>,
    /// Every write: its state, and the CNTR of its last packet.
    writes: Vec<(WriteId, String, Option<u64>)>,
}

/// A row being played.
pub(crate) struct Play {
    pub(crate) scene: Scene,
    pub(crate) smsc: Option<Smsc>,
    /// The other end of the second link or bind, where there is one.
    pub(crate) second: Option<Smsc>,
    pub(crate) card: HandCard,
    pub(crate) writes: Vec<WriteId>,
    /// An order for another device, which waits.
    waiting: Option<WriteId>,
    /// How the SMSC answers what is submitted next; after that it accepts.
    smscs: VecDeque<Smscs>,
    /// How it answers cancel_sm, where it does.
    cancels: Option<CommandStatus>,
    accepted: u32,
    message_ids: Vec<(String, String)>,
    /// What was accepted under a message id, and the word for it.
    accepted_as: BTreeMap<String, (String, Sm)>,
    /// Packets to the card, oldest first, each once.
    pub(crate) packets: Vec<Packet>,
    /// What was exported, oldest first: attempt and APDUs.
    pub(crate) exported: Vec<(u32, Vec<Vec<u8>>)>,
    /// What went out under a CNTR.
    pub(crate) contents: BTreeMap<Cntr, Bytes>,
    /// Where each CNTR went.
    sent: Vec<(Cntr, String)>,
    /// The last message of the card, to be delivered again.
    last_message: Option<Sm>,
    pub(crate) answers: Vec<String>,
}

impl Play {
    pub(crate) async fn begin(row: &Row, seed: u64) -> Self {
        let timers = Timers { give_up_s: 86_400, ..Timers::default() };
        let mut profile = profile();
        (row.profile)(&mut profile);
        let mut link = LinkConfig::default();
        (row.link)(&mut link);
        let connects_twice = row.second_link || link.binds > 1;
        let kinds: &[Kind] = if row.no_preset { &[Kind::OnSite; 2] } else { &[] };
        let setup = Setup {
            by_hand: true,
            targets: 3,
            timers,
            profile,
            link,
            kinds,
            second_link: row.second_link,
            ..Setup::new(2, seed)
        };
        let mut scene = Scene::with(setup).await;
        let smsc = Some(Smsc::accept(&mut scene).await);
        let second = match connects_twice {
            true => Some(Smsc::accept(&mut scene).await),
            false => None,
        };
        let card = HandCard::new(&scene, 0);
        Self {
            scene,
            smsc,
            second,
            card,
            writes: Vec::new(),
            waiting: None,
            smscs: VecDeque::new(),
            cancels: Some(CommandStatus::ESME_ROK),
            accepted: 0,
            message_ids: Vec::new(),
            accepted_as: BTreeMap::new(),
            packets: Vec::new(),
            exported: Vec::new(),
            contents: BTreeMap::new(),
            sent: Vec::new(),
            last_message: None,
            answers: Vec::new(),
        }
    }

    /// Plays the row and says what became of it.
    pub(crate) async fn row(&mut self, row: &Row) -> Outcome {
        for does in row.given {
            self.does(*does).await;
        }
        let told = self.scene.told().await.len();
        self.answers.clear();
        for does in row.does {
            self.does(*does).await;
        }
        let events = self.scene.told().await.into_iter().skip(told).map(|told| told.fact.kind).collect();
        let state = match self.writes.last() {
            Some(id) => {
                let write = self.scene.write(*id).await;
                let bad_end =
                    ["failed", "rolled_back", "expired", "unresolved"].contains(&write.state.name());
                assert!(!bad_end || write.reason.is_some(), "R25: {}: {write:#?}", row.name);
                // Why nothing more could be found out belongs to the state.
                let why = write.reason.filter(|reason| reason.starts_with("card_refuses_"));
                let state = write.state.name();
                why.map_or(state.to_owned(), |why| format!("{state}: {why}"))
            }
            None => String::new(),
        };
        let answers = side_by_side(std::mem::take(&mut self.answers));
        Outcome { state, answers, events }
    }

    pub(crate) async fn end(self) {
        self.scene.gateway.kill();
        self.scene.sim.stop().await;
    }

    /// What stands now.
    pub(crate) async fn standing(&self) -> Standing {
        let Card { current, binding, .. } = self.scene.card(0).await;
        let mut writes = Vec::new();
        for id in self.writes.iter().chain(&self.waiting) {
            let write = self.scene.write(*id).await;
            writes.push((*id, write.state.name().to_owned(), write.cntr));
        }
        Standing { current, bound_to: binding.map(|binding| binding.imei.to_string()), writes }
    }

    async fn does(&mut self, does: Does) {
        match does {
            Does::Bind => {
                let request = self.card.binding_request(100, self.card.imei);
                self.say(From::Preset, &request).await;
            }
            Does::BindInAnotherDevice => {
                let request = self.card.binding_request(101, self.scene.imei(1));
                self.say(From::Preset, &request).await;
            }
            Does::Order => self.order(None, None).await,
            Does::OrderFor { seconds } => self.order(Some(seconds), None).await,
            Does::OrderOnSite => self.order(None, Some(Bearer::Relay)).await,
            Does::OrderForAnotherDevice => {
                let order = self.scene.new_order(1, 2);
                self.waiting = Some(self.scene.place(order, None).await.unwrap().write.id);
            }
            Does::Export => self.export().await,
            Does::PostBack(how, rsc, says) => self.post_back(how, rsc, says).await,
            Does::DecideWrite(accept) => {
                let write = *self.writes.last().unwrap();
                self.scene.gateway.decide_write(&Scene::owner(), write, accept).await.unwrap();
                self.settle().await;
            }
            Does::DecideBinding(accept) => {
                let card = CardRef::Eid(self.card.eid);
                self.scene.gateway.decide_binding(&Scene::owner(), &card, accept).await.unwrap();
                self.settle().await;
            }
            Does::SupplyBinding => {
                let card = CardRef::Eid(self.card.eid);
                self.scene.gateway.supply_binding(&Scene::owner(), self.card.imei, card).await.unwrap();
                self.settle().await;
            }
            Does::Cancel => {
                let write = *self.writes.last().unwrap();
                let _ = self.scene.cancel(write).await;
                self.settle().await;
            }
            Does::Por(rsc, says) => {
                let packet = self.packets.last().unwrap().clone();
                self.por(&packet, packet.asked, rsc, says).await;
            }
            Does::PorToFirstWrite(rsc, says) => {
                let packet = self.first_write().clone();
                self.por(&packet, packet.asked, rsc, says).await;
            }
            Does::WeakPor(level, rsc, says) => {
                let packet = self.packets.last().unwrap().clone();
                self.por(&packet, Spi2(level), rsc, says).await;
            }
            Does::PorInParts(pieces) => self.por_in_parts(pieces).await,
            Does::ClearPor(rsc, cleared, from) => self.clear_por(rsc, cleared, from).await,
            Does::Result(status, from) => {
                let imsi = match status {
                    WriteStatus::Confirmed => self.target().imsi,
                    _ => self.card.preset.imsi,
                };
                let result = self.card.result(self.tid(), status, imsi);
                self.say(from, &result).await;
            }
            Does::ResultInAnotherDevice => {
                let home = std::mem::replace(&mut self.card.imei, self.scene.imei(1));
                let result = self.card.result(self.tid(), WriteStatus::Confirmed, self.target().imsi);
                self.card.imei = home;
                self.say(From::Target, &result).await;
            }
            Does::Again => {
                let sm = self.last_message.clone().unwrap();
                self.deliver(sm).await;
            }
            Does::Receipt(stat) => {
                let receipt = self.receipt(stat);
                self.deliver(receipt).await;
            }
            Does::Notification(stat) => {
                let esm_class = EsmClass(0x20);
                let notification = Sm { esm_class, ..self.receipt(stat) };
                self.deliver(notification).await;
            }
            Does::Alert => {
                let source = Address::international(self.card.preset.msisdn.as_str()).unwrap();
                let body = Body::AlertNotification(AlertNotification {
                    source: source.into(),
                    ..AlertNotification::default()
                });
                let mut octets = BytesMut::new();
                Pdu { status: CommandStatus::ESME_ROK, sequence: 78, body }.encode(&mut octets);
                self.smsc.as_mut().unwrap().send_octets(&octets).await;
                self.settle().await;
            }
            Does::Junk(junk) => self.junk(junk).await,
            Does::Wait(seconds) => self.run_for(Duration::from_secs(seconds)).await,
            Does::Smsc(smsc) => self.smscs.push_back(smsc),
            Does::CancelSm(status) => self.cancels = status,
            Does::Line(up) => {
                self.scene.line(up);
                self.settle().await;
            }
            Does::StoreFails => self.scene.store.fail_next(Fault::NotApplied),
            Does::StoreOutOfService => self.scene.store.poison(),
            Does::StoreIsBack => self.scene.store.recover(),
            Does::BindsWhileItStops => self.bind_while_stopping().await,
            Does::TooManyAtOnce => self.too_many_at_once().await,
        }
    }

    async fn order(&mut self, seconds: Option<u64>, bearer: Option<Bearer>) {
        let mut order = self.scene.new_order(0, self.writes.len());
        order.bearer = bearer;
        order.deadline = seconds.map(|seconds| self.scene.now() + seconds * 1000);
        let write = self.scene.place(order, None).await.unwrap().write.id;
        self.writes.push(write);
        self.settle().await;
    }

    /// A receipt for the last message that was accepted; with another id where `fields` begin with one.
    fn receipt(&self, fields: &str) -> Sm {
        let (number, id) = self.message_ids.last().unwrap();
        let id = if fields.starts_with("id:") { String::new() } else { format!("id:{id} ") };
        receipt(
            number,
            format!("{id}sub:001 dlvrd:001 submit date:2701150000 done date:2701150000 {fields} text:"),
        )
    }

    pub(crate) async fn deliver(&mut self, sm: Sm) {
        self.smsc.as_mut().expect("a connection").send(&sm).await;
        self.last_message = Some(sm);
        self.settle().await;
    }

    /// The gateway is asked to stop while the store is slow, and another message comes.
    async fn bind_while_stopping(&mut self) {
        self.scene.store.hold();
        let request = self.card.binding_request(100, self.card.imei);
        self.say(From::Preset, &request).await;
        let gateway = self.scene.gateway.clone();
        let stop = tokio::spawn(async move { gateway.shutdown(Duration::from_secs(5)).await });
        self.settle().await;
        self.say(From::Preset, &request).await;
        self.run_for(Duration::from_secs(20)).await;
        stop.await.unwrap();
        let store = self.scene.store.crash();
        self.scene.store = std::sync::Arc::new(store);
    }

    /// More messages than the link keeps, while the store does not answer.
    async fn too_many_at_once(&mut self) {
        self.scene.store.hold();
        for _ in 0..2 {
            let request = self.card.binding_request(100, self.card.imei);
            self.say(From::Preset, &request).await;
        }
        self.scene.store.release();
        self.settle().await;
    }

    // The other end of the link.

    /// Lets the gateway do what it does at once.
    pub(crate) async fn settle(&mut self) {
        self.run_for(QUIET).await;
    }

    async fn run_for(&mut self, wait: Duration) {
        let end = tokio::time::Instant::now() + wait;
        while let Ok(()) = tokio::time::timeout_at(end, self.turn()).await {}
    }

    /// The next thing that happens on the link.
    async fn turn(&mut self) {
        let Some(smsc) = &mut self.smsc else {
            self.smsc = Some(Smsc::accept(&mut self.scene).await);
            return;
        };
        let (over, event) = match &mut self.second {
            None => (Over::First, smsc.event().await),
            Some(second) => tokio::select! {
                biased;
                event = smsc.event() => (Over::First, event),
                event = second.event() => (Over::Second, event),
            },
        };
        match event {
            Some(Event::Sm(submitted, sm)) => self.submitted(over, submitted, &sm).await,
            Some(Event::Request(asked, Body::CancelSm(cancel))) => self.cancel_sm(asked, &cancel).await,
            Some(Event::Ended { end: End::Answered(pdu), .. }) => self.answers.push(pdu.status.to_string()),
            Some(Event::Unexpected(pdu)) => {
                assert_eq!(pdu.sequence, 77, "{pdu:?}");
                assert!(matches!(pdu.body, Body::DeliverSmResp(_)), "{pdu:?}");
                self.answers.push(pdu.status.to_string());
            }
            Some(Event::Closed(_)) | None => self.smsc = None,
            Some(other) => panic!("{other:?}"),
        }
    }

    /// Notes what the gateway submitted and answers it.
    async fn submitted(&mut self, over: Over, submitted: Unanswered, sm: &Sm) {
        let name = self.name(sm);
        self.answers.push(name.clone());
        let number = sm.destination.digits.to_string();
        let smsc = match over {
            Over::First => self.smsc.as_mut().unwrap(),
            Over::Second => self.second.as_mut().unwrap(),
        };
        match self.smscs.pop_front().unwrap_or(Smscs::Accepts) {
            Smscs::Accepts => {
                self.accepted += 1;
                let id = format!("id-{}", self.accepted);
                smsc.answer(submitted, CommandStatus::ESME_ROK, &id).await;
                self.accepted_as.insert(id.clone(), (name, sm.clone()));
                self.message_ids.push((number, id));
            }
            Smscs::AcceptsWithoutId => {
                smsc.answer(submitted, CommandStatus::ESME_ROK, "").await;
                self.message_ids.push((number, String::new()));
            }
            Smscs::Says(status) => smsc.answer(submitted, status, "").await,
            Smscs::IsSilent => {}
            Smscs::BreaksOff => {
                self.scene.line(false);
                // The cut is heard at both ends before there is a line again.
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.scene.line(true);
                self.smsc = None;
            }
        }
    }

    /// Notes which submission the gateway takes back, by the word for it, and answers.
    async fn cancel_sm(&mut self, asked: Unanswered, cancel: &CancelSm) {
        let id = cancel.message_id.to_string();
        let name = match self.accepted_as.get(&id) {
            Some((name, sm)) => {
                let submitted = (sm.service_type, sm.source, sm.destination);
                assert_eq!((cancel.service_type, cancel.source, cancel.destination), submitted);
                name
            }
            None => panic!("{cancel:?}"),
        };
        self.answers.push(format!("cancel_sm of {name}"));
        let smsc = self.smsc.as_mut().unwrap();
        match self.cancels {
            Some(CommandStatus::ESME_ROK) => smsc.answer_request(asked, &Body::CancelSmResp).await,
            Some(status) => smsc.reject(asked, status).await,
            None => {}
        }
    }

    /// What a submission is, in a word, and at which number.
    fn name(&mut self, sm: &Sm) -> String {
        let packet = self.card.open(sm);
        let number = sm.destination.digits.to_string();
        let at = if number == self.card.preset.msisdn.as_str() { "" } else { "@target" };
        let octets = sm.user_data();
        let before = self.contents.insert(packet.cntr, octets.clone());
        assert!(before.is_none_or(|before| before == octets), "I3: two contents under {}", packet.cntr);
        let kind = match &packet.message {
            Message::WriteCard(_) => "write",
            Message::Poll(_) => "poll",
            Message::BindingResponse(_) => "binding response",
            Message::ResultAck(_) => "result ack",
            other => panic!("{other:?}"),
        };
        let seen = (packet.cntr, number);
        let again = if self.sent.contains(&seen) { " again" } else { "" };
        let anew = packet.write().is_some_and(|write| {
            self.packets.iter().any(|other| {
                other.cntr != packet.cntr && other.write().is_some_and(|other| other.tid == write.tid)
            })
        });
        let anew = if anew && again.is_empty() { " anew" } else { "" };
        if !self.packets.iter().any(|other| other.cntr == packet.cntr) {
            self.packets.push(packet);
        }
        self.sent.push(seen);
        format!("{kind}{at}{again}{anew}")
    }
}

/// The lanes of two numbers are served side by side: polls at both are told in turn, in whichever order they went out.
fn side_by_side(seen: Vec<String>) -> Vec<String> {
    let mut answers = Vec::new();
    for run in seen.chunk_by(|one, two| one.starts_with("poll") && two.starts_with("poll")) {
        let (mut target, mut preset): (VecDeque<String>, VecDeque<String>) =
            run.iter().cloned().partition(|poll| poll.starts_with("poll@target"));
        while !(preset.is_empty() && target.is_empty()) {
            answers.extend(preset.pop_front());
            answers.extend(target.pop_front());
        }
    }
    answers
}
