//! One link against one message centre: what every stack must be able to do with ours, and ours with every stack.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use airwrite::link::{
    self, BindKind, Delivery, Link, LinkConfig, LinkState, SubmitOutcome, TcpConnector, UnknownReason,
};
use airwrite::smpp::{
    Address, CommandStatus, MessageState, RegisteredDelivery, ShortMessage, Sm, receipt, time,
};
use airwrite::world::SystemRng;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;
use crate::line::Line;
use crate::smsc::{ForeignSm, ForeignSmsc, Stack};
use crate::with_each_smsc;

with_each_smsc!(
    a_transceiver_carries_every_octet_both_ways,
    a_transmitter_and_a_receiver_share_the_work,
    what_is_refused_for_a_while_arrives_in_the_end,
    every_request_ends_although_the_line_breaks,
    receipts_are_read_from_text_and_from_parameters,
    an_answer_that_comes_too_late_is_counted_and_costs_nothing,
);

/// The message goes out, and the message centre sends what it has read back in.
async fn a_transceiver_carries_every_octet_both_ways(stack: Stack) {
    let mut smsc = ForeignSmsc::start(stack).await;
    let mut ours = Ours::start(&smsc, |_| {});
    let bound = smsc.accept_bind().await;
    ours.until(LinkState::Bound).await;
    for first in [0, 100, 200] {
        let sm = sm(&octets(first));
        let link = ours.link.clone();
        let submitted = tokio::spawn({
            let sm = sm.clone();
            async move { submit(&link, sm).await }
        });
        let submission = smsc.submission().await;
        let elements = submission.sm.elements.clone();
        assert_eq!(
            submission.sm,
            ForeignSm { elements, validity_s: submission.sm.validity_s, ..(&sm).into() }
        );
        smsc.accept(&submission, "7");
        assert_eq!(submitted.await.unwrap(), accepted("7"));

        let ForeignSm { source, destination, .. } = submission.sm.clone();
        let echo = ForeignSm { source: destination, destination: source, ..submission.sm };
        smsc.send(&bound, &echo);
        let Delivery { sm: heard, answer, .. } = ours.delivery().await;
        assert_eq!(
            ForeignSm { registered_delivery: 1, ..(&heard).into() },
            ForeignSm { elements: None, validity_s: None, ..echo }
        );
        answer.send(CommandStatus::ESME_ROK);
        assert_eq!(smsc.delivered().await, CommandStatus::ESME_ROK);
    }
    ours.link.close().await;
    smsc.next("closed").await;
}

async fn a_transmitter_and_a_receiver_share_the_work(stack: Stack) {
    let mut smsc = ForeignSmsc::start(stack).await;
    let mut ours = Ours::start(&smsc, |config| config.bind = BindKind::TxRx);
    let (first, second) = (smsc.accept_bind().await, smsc.accept_bind().await);
    let (receiver, transmitter) = if first.receives { (first, second) } else { (second, first) };
    assert_eq!((receiver.receives, transmitter.receives), (true, false));
    ours.until(LinkState::Bound).await;
    for first in [0, 100] {
        let (link, sm) = (ours.link.clone(), sm(&octets(first)));
        let mut mo = ForeignSm::from(&sm);
        std::mem::swap(&mut mo.source, &mut mo.destination);
        let submitted = tokio::spawn(async move { submit(&link, sm).await });
        let submission = smsc.submission().await;
        assert_eq!(submission.session, transmitter.session);
        smsc.accept(&submission, "");
        assert_eq!(submitted.await.unwrap(), accepted(""));

        smsc.send(&receiver, &mo);
        let Delivery { sm, answer, .. } = ours.delivery().await;
        assert_eq!(hex::encode(sm.user_data()), mo.user_data);
        answer.send(CommandStatus::ESME_ROK);
        match stack {
            Stack::NpmSmpp => assert_eq!(smsc.delivered().await, CommandStatus::ESME_ROK),
            // It knows no deliver_sm_resp from a receiver and says so by generic_nack, which costs nothing.
            Stack::Smpp34 => {
                ours.until_counted(|counted| counted.unexpected_responses.load(Relaxed) > 0).await
            }
        }
    }
    assert_eq!(ours.link.metrics().connected.load(Relaxed), 2, "both sessions are the first ones");
}

/// Neither stack writes a body into an answer that refuses.
async fn what_is_refused_for_a_while_arrives_in_the_end(stack: Stack) {
    const MESSAGES: usize = 15;
    // A whole window, before the link can know better.
    const REFUSED: usize = 10;
    let mut smsc = ForeignSmsc::start(stack).await;
    let ours = Ours::start(&smsc, |_| {});
    smsc.accept_bind().await;
    let mut messages = Messages::send(&ours, MESSAGES);
    let mut taken = BTreeMap::new();
    for place in 0..MESSAGES + REFUSED {
        let submission = smsc.submission().await;
        match place {
            ..REFUSED if place % 2 == 0 => smsc.refuse(&submission, CommandStatus::ESME_RTHROTTLED),
            ..REFUSED => smsc.refuse(&submission, CommandStatus::ESME_RMSGQFUL),
            _ => {
                smsc.accept(&submission, &place.to_string());
                *taken.entry(submission.sm.user_data).or_insert(0) += 1;
            }
        }
    }
    let ends = messages.all().await;
    assert_eq!((ends.accepted, ends.refused, ends.unknown), (MESSAGES, REFUSED, 0));
    assert_eq!((taken.len(), taken.into_values().max()), (MESSAGES, Some(1)), "each is taken once");
    assert_eq!((smsc.waiting(), ours.link.metrics().connected.load(Relaxed)), (0, 1));
}

async fn every_request_ends_although_the_line_breaks(stack: Stack) {
    const MESSAGES: usize = 60;
    const CUTS: usize = 4;
    let mut smsc = ForeignSmsc::start(stack).await;
    let line = Line::to(smsc.address, Arc::new(TcpConnector)).await;
    let ours = Ours::start_at(line.address, |_| {});
    smsc.accept_bind().await;
    let mut messages = Messages::send(&ours, MESSAGES);
    let mut taken = BTreeMap::new();
    let mut answered = 0;
    let ends = loop {
        let submission = tokio::select! {
            biased;
            ends = messages.all() => break ends,
            submission = smsc.submission() => submission,
        };
        if answered % 10 == 9 && line.taken() <= CUTS {
            answered += 1;
            line.cut();
            smsc.accept_bind().await;
        } else {
            answered += 1;
            smsc.accept(&submission, &answered.to_string());
            *taken.entry(submission.sm.user_data).or_insert(0) += 1;
        }
    };
    assert_eq!((ends.accepted, ends.refused), (MESSAGES, 0));
    assert!(ends.unknown >= CUTS, "what was not answered is unknown: {ends:?}");
    assert_eq!(taken.len(), MESSAGES, "all arrive");
    assert_eq!((line.taken(), line.most_open()), (CUTS + 1, 1), "one connection at a time");
    let counted = ours.link.metrics();
    assert_eq!(counted.bound.load(Relaxed), CUTS as u64 + 1);
    assert_eq!(counted.accepted.load(Relaxed), MESSAGES as u64);
}

async fn receipts_are_read_from_text_and_from_parameters(stack: Stack) {
    let mut smsc = ForeignSmsc::start(stack).await;
    let mut ours = Ours::start(&smsc, |_| {});
    let bound = smsc.accept_bind().await;
    let id = "5e551045-0000-4000-8000-000000000001";
    let appendix_b = format!(
        "id:{id} sub:001 dlvrd:000 submit date:2601010000 done date:2601010001 stat:EXPIRED err:011 text:"
    );
    let other_names = format!("Id:{id} SubmitDate:260101000000 DoneDate:260101000100 Stat:expired Err:B");
    for (text, parameters) in
        [(&appendix_b[..], false), (&other_names, false), ("", true), ("id:0 stat:DELIVRD", true)]
    {
        let sm = ForeignSm {
            esm_class: 0x04,
            source: (1, 1, NUMBER.to_owned()),
            destination: (3, 0, SHORT_CODE.to_owned()),
            user_data: hex::encode(text),
            receipted_message_id: parameters.then(|| id.to_owned()),
            message_state: parameters.then_some(MessageState::EXPIRED.0),
            ..ForeignSm::default()
        };
        smsc.send(&bound, &sm);
        let Delivery { sm, answer, .. } = ours.delivery().await;
        let receipt = receipt::parse(&sm).expect("a receipt");
        assert_eq!(
            (receipt.message_id.to_string(), receipt.state),
            (id.to_owned(), MessageState::EXPIRED),
            "{text}"
        );
        answer.send(CommandStatus::ESME_ROK);
        assert_eq!(smsc.delivered().await, CommandStatus::ESME_ROK);
    }
}

async fn an_answer_that_comes_too_late_is_counted_and_costs_nothing(stack: Stack) {
    let mut smsc = ForeignSmsc::start(stack).await;
    let ours = Ours::start(&smsc, |config| {
        config.response_timeout_ms = 400;
        config.enquire_link_ms = 100;
    });
    smsc.accept_bind().await;
    let outcome = submit(&ours.link, sm(&octets(0))).await;
    assert_eq!(outcome, SubmitOutcome::Unknown(UnknownReason::TimedOut));
    let late = smsc.submission().await;
    smsc.accept(&late, "late");
    ours.until_counted(|counted| counted.late_responses.load(Relaxed) == 1).await;

    let mut messages = Messages::send(&ours, 1);
    let next = smsc.submission().await;
    smsc.accept(&next, "next");
    assert_eq!(messages.all().await.accepted, 1);
    assert_eq!(ours.link.metrics().connected.load(Relaxed), 1, "still the first session");
}

pub(crate) const SHORT_CODE: &str = "10690";
const NUMBER: &str = "861064131000001";

/// 140 octets of user data with an OTA header; what follows it counts up.
fn octets(first: u8) -> Vec<u8> {
    [0x02, 0x70, 0x00].into_iter().chain((0..137).map(|more: u8| first.wrapping_add(more))).collect()
}

/// A message to a card that asks for a receipt.
pub(crate) fn sm(tp_ud: &[u8]) -> Sm {
    let source = Address { ton: 3, npi: 0, digits: SHORT_CODE.parse().unwrap() };
    let destination = Address::international(NUMBER).unwrap();
    let tp_ud = ShortMessage::try_from(Bytes::copy_from_slice(tp_ud)).unwrap();
    let sm = Sm::submit_ota(source, destination, tp_ud);
    Sm { registered_delivery: RegisteredDelivery::FINAL, validity_period: time::relative(300), ..sm }
}

pub(crate) async fn submit(link: &Link, sm: Sm) -> SubmitOutcome {
    let slot = timeout(PATIENCE, link.slot()).await.expect("room in the window").expect("an open link");
    slot.submit(sm).await
}

fn accepted(message_id: &str) -> SubmitOutcome {
    SubmitOutcome::Answered { status: CommandStatus::ESME_ROK, message_id: message_id.parse().unwrap() }
}

/// Our end.
pub(crate) struct Ours {
    pub(crate) link: Link,
    deliveries: mpsc::Receiver<Delivery>,
    _shutdown: tokio_util::sync::DropGuard,
}

impl Ours {
    pub(crate) fn start(smsc: &ForeignSmsc, change: impl FnOnce(&mut LinkConfig)) -> Self {
        Self::start_at(smsc.address, change)
    }

    fn start_at(address: std::net::SocketAddr, change: impl FnOnce(&mut LinkConfig)) -> Self {
        let mut config = LinkConfig {
            name: "foreign".into(),
            address: address.to_string(),
            system_id: "airwrite".into(),
            password: "secret".into(),
            reconnect_first_ms: 20,
            reconnect_max_ms: 100,
            ..LinkConfig::default()
        };
        change(&mut config);
        let (inbound, deliveries) = mpsc::channel(16);
        let shutdown = CancellationToken::new();
        let link =
            link::start(config, Arc::new(TcpConnector), Arc::new(SystemRng), inbound, &shutdown).unwrap();
        Self { link, deliveries, _shutdown: shutdown.drop_guard() }
    }

    pub(crate) async fn until(&self, state: LinkState) {
        let mut states = self.link.state();
        let reached = timeout(PATIENCE, states.wait_for(|found| *found == state)).await;
        assert!(reached.is_ok(), "{state:?} expected, found {:?}", *self.link.state().borrow());
    }

    pub(crate) async fn until_counted(&self, reached: impl Fn(&link::Metrics) -> bool) {
        let counted = self.link.metrics();
        crate::until(&format!("{counted:?}"), async || reached(counted).then_some(())).await;
    }

    async fn delivery(&mut self) -> Delivery {
        timeout(PATIENCE, self.deliveries.recv()).await.expect("a deliver_sm").unwrap()
    }
}

/// Messages on their way, each handed in again until it is taken.
pub(crate) struct Messages {
    tasks: JoinSet<Ends>,
    ends: Ends,
}

/// How requests have ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
}

impl Messages {
    pub(crate) fn send(ours: &Ours, count: usize) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let mut tp_ud = octets(0);
            tp_ud[3..11].copy_from_slice(&(number as u64).to_be_bytes());
            tasks.spawn(until_taken(ours.link.clone(), sm(&tp_ud)));
        }
        Self { tasks, ends: Ends::default() }
    }

    /// Waits until all are taken. Dropped while it waits, it has lost nothing.
    pub(crate) async fn all(&mut self) -> Ends {
        while let Some(ends) = self.tasks.join_next().await {
            let Ends { accepted, refused, unknown } = ends.unwrap();
            self.ends.accepted += accepted;
            self.ends.refused += refused;
            self.ends.unknown += unknown;
        }
        self.ends
    }
}

async fn until_taken(link: Link, sm: Sm) -> Ends {
    let mut ends = Ends::default();
    while ends.accepted == 0 {
        match submit(&link, sm.clone()).await {
            SubmitOutcome::Answered { status: CommandStatus::ESME_ROK, .. } => ends.accepted += 1,
            SubmitOutcome::Answered { .. } => {
                ends.refused += 1;
                sleep(Duration::from_millis(20)).await;
            }
            SubmitOutcome::Unknown(_) => ends.unknown += 1,
            SubmitOutcome::NotSent => {}
        }
    }
    ends
}
