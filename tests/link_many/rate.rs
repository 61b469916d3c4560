//! The pace of a link, against an SMSC that refuses what is above its rate.

use std::time::Duration;

use airwrite::link::LinkConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::binds::{RULE, Setup};
use crate::peer::{config, submit_sm};
use crate::smsc::Rule;

/// A link with endless work.
struct Busy {
    setup: Setup,
    start: Instant,
    _work: JoinSet<()>,
}

impl Busy {
    fn new(rule: Rule, config: LinkConfig) -> Self {
        let workers = 2 * usize::from(config.binds) * usize::from(config.window);
        let setup = Setup::new(rule, config, 1);
        let mut work = JoinSet::new();
        for _ in 0..workers {
            let link = setup.link.clone();
            work.spawn(async move {
                loop {
                    link.slot().await.unwrap().submit(submit_sm(b"x")).await;
                }
            });
        }
        Self { setup, start: Instant::now(), _work: work }
    }

    /// Goodput per second and the share refused, from `from` until `to` seconds after the start.
    async fn measure(&self, from: u64, to: u64) -> (f64, f64) {
        let [from, to] = [from, to].map(|seconds| self.start + Duration::from_secs(seconds));
        sleep(to - Instant::now()).await;
        let received = self.setup.smsc.received();
        let of = |taken| {
            let counted = received.iter().filter(|one| one.at >= from && one.at < to && one.taken == taken);
            counted.count() as f64
        };
        (of(true) / (to - from).as_secs_f64(), of(false) / (of(true) + of(false)))
    }
}

#[tokio::test(start_paused = true)]
async fn finds_the_rate_of_an_smsc_that_refuses_what_is_above_it() {
    for (rate, window, binds, response_ms) in [
        (5, 1, 1, 20),
        (5, 100, 1, 100),
        (30, 10, 1, 20),
        (200, 10, 2, 20),
        (200, 200, 1, 100),
        (1000, 100, 1, 20),
    ] {
        let what = format!("{rate}/s, window {window}, {binds} binds");
        let rule = Rule { response: Duration::from_millis(response_ms), rate: Some(rate), ..RULE };
        let busy = Busy::new(rule, LinkConfig { window, binds, ..config() });
        let (goodput, refused) = busy.measure(5, if rate < 1000 { 45 } else { 25 }).await;
        let share = goodput / rate as f64;
        println!("{what}: {share:.3} of the rate, {refused:.4} refused");
        assert!(share >= 0.95, "{what}: {share:.3} of the rate");
        assert!(refused <= 0.02, "{what}: {refused:.4} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn follows_when_the_smsc_takes_twice_as_much_and_half_as_much() {
    let rule = Rule { response: Duration::from_millis(20), rate: Some(100), ..RULE };
    let busy = Busy::new(rule, LinkConfig { window: 20, ..config() });
    busy.measure(0, 20).await;
    busy.setup.smsc.rule(|rule| rule.rate = Some(200));
    let (goodput, refused) = busy.measure(65, 85).await;
    assert!(goodput >= 190.0 && refused <= 0.02, "{goodput} of 200, {refused:.4} refused");
    busy.setup.smsc.rule(|rule| rule.rate = Some(100));
    let (goodput, refused) = busy.measure(95, 115).await;
    assert!(goodput >= 95.0 && refused <= 0.02, "{goodput} of 100, {refused:.4} refused");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_configured_rate_over_all_binds() {
    let rule = Rule { response: Duration::from_millis(20), rate: Some(51), ..RULE };
    let busy = Busy::new(rule, LinkConfig { rate_max: 50, binds: 3, ..config() });
    let (goodput, refused) = busy.measure(1, 21).await;
    assert!((49.5..=50.5).contains(&goodput), "{goodput}");
    assert!(refused == 0.0, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_smsc_near_congestion_slows_the_link_and_a_new_connection_begins_anew() {
    // congestion_state 95.
    let tlvs = &[0x04, 0x28, 0x00, 0x01, 95];
    let rule = Rule { response: Duration::from_millis(20), tlvs, ..RULE };
    let busy = Busy::new(rule, config());
    let (before, _) = busy.measure(2, 10).await;
    let (after, _) = busy.measure(30, 40).await;
    assert!(after < 0.9 * before && after > 1.0, "{before}, then {after} a second");
    assert!(busy.setup.link.rate().is_some());
    busy.setup.smsc.rule(|rule| rule.tlvs = &[]);
    busy.setup.smsc.up(false);
    busy.setup.smsc.up(true);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(busy.setup.link.rate(), None);
}
