//! Several binds on one link.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use airwrite::link::{
    self, BindKind, BindsUp, Delivery, Link, LinkConfig, LinkState, SubmitOutcome, UnknownReason,
};
use airwrite::world::{Rng, SeededRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::peer::{config, submit_sm};
use crate::smsc::{BIND_RECEIVER, BIND_TRANSMITTER, Pipes, Received, Rule, Smsc};

const LOST: SubmitOutcome = SubmitOutcome::Unknown(UnknownReason::ConnectionLost);

pub(crate) struct Setup {
    pub(crate) smsc: Arc<Smsc>,
    pub(crate) link: Link,
    _inbound: mpsc::Receiver<Delivery>,
    _shutdown: CancellationToken,
}

impl Setup {
    /// A link to an SMSC that answers as `rule` says.
    pub(crate) fn new(rule: Rule, config: LinkConfig, seed: u64) -> Self {
        let smsc = Smsc::new(rule);
        let connector = Arc::new(Pipes(BTreeMap::from([(config.address.clone(), Arc::clone(&smsc))])));
        let (deliveries, inbound) = mpsc::channel(100);
        let shutdown = CancellationToken::new();
        let rng = Arc::new(SeededRng::new(seed));
        let link = link::start(config, connector, rng, deliveries, &shutdown).unwrap();
        Self { smsc, link, _inbound: inbound, _shutdown: shutdown }
    }

    /// Waits until so many binds are up.
    async fn up(&self, up: usize) {
        let all = async {
            while self.link.binds().up != up {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(60), all).await.unwrap_or_else(|_| panic!("{:?}", self.link.binds()));
    }

    fn submit(&self, payload: &[u8]) -> tokio::task::JoinHandle<SubmitOutcome> {
        let (link, sm) = (self.link.clone(), submit_sm(payload));
        tokio::spawn(async move { link.slot().await.unwrap().submit(sm).await })
    }
}

pub(crate) const RULE: Rule = Rule { response: Duration::from_millis(100), rate: None, tlvs: &[] };

fn on(received: &[Received], connection: usize) -> usize {
    received.iter().filter(|received| received.connection == connection).count()
}

#[tokio::test(start_paused = true)]
async fn the_load_spreads_over_the_binds_and_a_lost_one_takes_its_places_along() {
    let rule = Rule { response: Duration::from_secs(5), ..RULE };
    let config = LinkConfig { binds: 3, window: 2, reconnect_first_ms: 1_000, ..config() };
    let setup = Setup::new(rule, LinkConfig { reconnect_max_ms: 1_000, ..config }, 1);
    setup.up(3).await;
    let submits: Vec<_> = (0..6).map(|number| setup.submit(&[number])).collect();
    let waits = setup.submit(&[6]);
    sleep(Duration::from_secs(1)).await;
    let received = setup.smsc.received();
    assert_eq!((received.len(), [0, 1, 2].map(|connection| on(&received, connection))), (6, [2, 2, 2]));

    let cut = Instant::now();
    setup.smsc.cut(1);
    let mut lost = 0;
    for (number, submit) in (0..).zip(submits) {
        if received.iter().any(|one| one.connection == 1 && one.short_message == [number]) {
            assert_eq!(submit.await.unwrap(), LOST);
            assert!(cut.elapsed() < Duration::from_millis(100));
            lost += 1;
        }
    }
    assert_eq!((lost, setup.link.binds()), (2, BindsUp { up: 2, total: 3 }));
    assert_eq!(*setup.link.state().borrow(), LinkState::Bound, "still usable");
    // There is room again only where a place is free: on the new connection, before the others answer.
    setup.up(3).await;
    assert!(matches!(waits.await.unwrap(), SubmitOutcome::Answered { .. }));
    assert_eq!(on(&setup.smsc.received(), 3), 1);
}

#[tokio::test(start_paused = true)]
async fn pairs_are_usable_while_one_bind_of_each_kind_is_up() {
    let config = LinkConfig { bind: BindKind::TxRx, binds: 2, reconnect_first_ms: 1_000, ..config() };
    let setup = Setup::new(RULE, LinkConfig { reconnect_max_ms: 1_000, ..config }, 1);
    setup.up(4).await;
    let kinds = setup.smsc.connections();
    let of = |kind| (0..4).filter(|connection| kinds[*connection] == kind).collect::<Vec<_>>();
    let (receivers, transmitters) = (of(BIND_RECEIVER), of(BIND_TRANSMITTER));
    assert_eq!((receivers.len(), transmitters.len()), (2, 2));
    let state = || *setup.link.state().borrow();
    setup.smsc.cut(receivers[0]);
    setup.smsc.cut(transmitters[0]);
    setup.up(2).await;
    assert_eq!(state(), LinkState::Bound);
    setup.smsc.cut(receivers[1]);
    setup.up(1).await;
    assert_eq!((state(), *setup.link.sending().borrow()), (LinkState::Connecting, true));
    setup.up(4).await;
    assert_eq!(state(), LinkState::Bound);
    setup.smsc.up(false);
    setup.up(0).await;
    assert!(!*setup.link.sending().borrow());
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_message_go_over_one_connection_in_order() {
    let config = LinkConfig { binds: 3, window: 2, ..config() };
    let setup = Setup::new(RULE, config, 1);
    setup.up(3).await;
    let mut messages = JoinSet::new();
    for number in 0..30 {
        let link = setup.link.clone();
        messages.spawn(async move {
            let slot = link.slot().await.unwrap();
            let (outcome, slot) = slot.submit_part(submit_sm(&[number, 0])).await;
            assert!(matches!(outcome, SubmitOutcome::Answered { .. }));
            let (_, slot) = slot.unwrap().submit_part(submit_sm(&[number, 1])).await;
            slot.unwrap().submit(submit_sm(&[number, 2])).await
        });
    }
    messages.join_all().await;
    let received = setup.smsc.received();
    assert_eq!(received.len(), 90);
    for number in 0..30 {
        let parts: Vec<_> = received.iter().filter(|received| received.short_message[0] == number).collect();
        let parts: Vec<_> = parts.iter().map(|part| (part.short_message[1], part.connection)).collect();
        assert_eq!(parts, [0, 1, 2].map(|part| (part, parts[0].1)));
    }
    assert!(
        (0..3).all(|connection| on(&received, connection) >= 21),
        "a message takes the place of the next bind"
    );

    // A place kept for the next part is gone with its connection, and not on a new one.
    let (_, slot) = setup.link.slot().await.unwrap().submit_part(submit_sm(b"kept")).await;
    setup.smsc.up(false);
    setup.up(0).await;
    setup.smsc.up(true);
    setup.up(3).await;
    assert_eq!(slot.unwrap().submit(submit_sm(b"late")).await, SubmitOutcome::NotSent);
}

/// Connections are cut at random while many submit, some give up waiting and some throw slots away: each request ends
/// once, there is never more than one session for each bind, and in the end every place is there, and not one more.
async fn storm(seed: u64, bind: BindKind) {
    const SUBMITS: u32 = 400;
    let sending = 4;
    let window = 3;
    let config = LinkConfig { bind, binds: sending, window, ..config() };
    let rate = (seed % 2 == 1).then_some(100);
    let setup = Setup::new(Rule { rate, ..RULE }, config, seed);
    let rng = SeededRng::new(!seed);
    let mut submits = JoinSet::new();
    for number in 0..SUBMITS {
        let link = setup.link.clone();
        let (wait, throws_away) = (Duration::from_millis(rng.below(3_000)), rng.below(10) == 0);
        submits.spawn(async move {
            let slot = timeout(wait, link.slot()).await.ok().filter(|_| !throws_away);
            let slot = match slot {
                Some(slot) => slot,
                None => link.slot().await,
            };
            (number, slot.unwrap().submit(submit_sm(&number.to_be_bytes())).await)
        });
    }
    let total = setup.link.binds().total;
    let cuts = async {
        loop {
            sleep(Duration::from_millis(rng.below(400))).await;
            let count = setup.smsc.connections().len();
            let recent = count - 1 - usize::try_from(rng.below(8)).unwrap().min(count - 1);
            setup.smsc.cut(recent);
            let (_, most) = setup.smsc.live();
            assert!(most <= total, "{most} sessions at a time for {total} binds");
        }
    };
    let all = async {
        sleep(Duration::from_millis(10)).await;
        let mut ends = BTreeMap::new();
        while let Some(end) = submits.join_next().await {
            let (number, outcome) = end.unwrap();
            assert!(ends.insert(number, outcome).is_none());
        }
        ends
    };
    let ends = tokio::select! {
        biased;
        ends = timeout(Duration::from_secs(3_600), all) => ends.unwrap_or_else(|_| panic!("seed {seed}: stuck")),
        () = async { sleep(Duration::from_millis(20)).await; cuts.await } => unreachable!(),
    };
    assert_eq!(ends.len(), SUBMITS as usize);
    for received in setup.smsc.received() {
        let number = u32::from_be_bytes(received.short_message.try_into().unwrap());
        assert_ne!(ends[&number], SubmitOutcome::NotSent, "seed {seed}: {number} was received");
    }
    let metrics = setup.link.metrics();
    let ended =
        [&metrics.accepted, &metrics.throttled, &metrics.unknown].map(|counter| counter.load(Relaxed));
    assert_eq!(metrics.submitted.load(Relaxed), ended.iter().sum::<u64>());

    setup.up(total).await;
    let mut slots = Vec::new();
    for _ in 0..sending as usize * usize::from(window) {
        let slot = timeout(Duration::from_secs(60), setup.link.slot()).await;
        slots.push(slot.unwrap_or_else(|_| panic!("seed {seed}: a place is lost")).unwrap());
    }
    assert!(
        timeout(Duration::from_secs(60), setup.link.slot()).await.is_err(),
        "seed {seed}: a place too many"
    );
}

#[test]
fn every_request_ends_and_no_place_leaks_while_binds_come_and_go() {
    for seed in 0..20 {
        println!("seed {seed}");
        let bind = if seed % 4 < 2 { BindKind::Trx } else { BindKind::TxRx };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(storm(seed, bind));
    }
}
