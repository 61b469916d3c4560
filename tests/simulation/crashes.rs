//! Crashes at random moments, alone and with everything else that may happen.

use std::time::Duration;

use airwrite::card::{Timers, WriteState};
use airwrite::sim::SmscConfig;
use airwrite::store::Fault;
use airwrite::world::{Rng, SeededRng};

use crate::common::scene::{Scene, Setup};
use crate::{EFFECTIVE, UNRESOLVED, agree, sound};

/// The seeds of a test, or the one that `AIRWRITE_SEED` asks for.
fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("AIRWRITE_SEED").ok().map(|seed| vec![seed.parse().expect("a number")]);
    given.unwrap_or_else(|| (1..=count).collect())
}

#[tokio::test(start_paused = true)]
async fn r24_crashes_lose_nothing_and_end_nothing_twice() {
    for seed in seeds(12) {
        crash_often(seed).await;
    }
}

/// Ten orders and many crashes; what was told in the end.
async fn crash_often(seed: u64) -> Vec<String> {
    let mut scene = Scene::new(10, seed).await;
    let chance = SeededRng::new(seed ^ 0xC4A5);
    scene.sim.power_on(0..5).await.unwrap();
    let mut writes = Vec::new();
    for index in 0..10 {
        writes.push(scene.order(index).await);
        if chance.below(3) == 0 {
            tokio::time::sleep(Duration::from_millis(chance.below(900))).await;
            scene.crash().await;
        }
        if index == 4 {
            scene.sim.power_on(5..10).await.unwrap();
        }
    }
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(chance.below(1500))).await;
        scene.crash().await;
    }
    scene.until(&writes, Duration::from_secs(3600), |state| state == EFFECTIVE).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    agree(&scene, &writes).await;
    let told = scene.told().await.iter().map(|told| format!("{told:?}")).collect();
    scene.gateway.shutdown(Duration::from_secs(5)).await;
    scene.sim.stop().await;
    told
}

#[tokio::test(start_paused = true)]
async fn r24_a_crash_at_any_moment_of_a_write_changes_nothing_of_its_end() {
    // One card, from power-on to the acknowledged result: about four seconds.
    for moment_ms in (0..4_000).step_by(17) {
        let mut scene = Scene::new(1, 7).await;
        let write = scene.order(0).await;
        scene.sim.power_on(0..1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        scene.crash().await;
        scene.until(&[write], Duration::from_secs(1_200), |state| state == EFFECTIVE).await;
        tokio::time::sleep(Duration::from_secs(900)).await;
        agree(&scene, &[write]).await;
        let told = scene.told().await;
        for kind in ["binding.created", "write.accepted", "write.effective", "card.subscription_changed"] {
            let times = told.iter().filter(|told| told.fact.kind == kind).count();
            assert_eq!(times, 1, "{kind} after a crash at {moment_ms} ms");
        }
        scene.gateway.shutdown(Duration::from_secs(5)).await;
        scene.sim.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_tells_the_same_story() {
    let first = crash_often(77).await;
    let second = crash_often(77).await;
    assert!(first.len() > 50, "{}", first.len());
    for (one, two) in first.iter().zip(&second) {
        assert_eq!(one, two);
    }
    assert_eq!(first.len(), second.len());
}

/// What a storm may do.
const TROUBLES: u64 = 14;

#[tokio::test(start_paused = true)]
async fn i5_whatever_happens_every_write_has_one_end_and_both_sides_agree() {
    for seed in seeds(30) {
        storm(seed).await;
    }
}

/// Orders, cancellations, devices switched on and off, cut lines, store faults, crashes; then quiet, until all is over.
async fn storm(seed: u64) {
    const CARDS: usize = 6;
    let chance = SeededRng::new(seed ^ 0x57_0A11);
    let pick = |limit: usize| usize::try_from(chance.below(limit as u64)).unwrap();
    let smsc = SmscConfig {
        submit_rate_max: (chance.below(3) == 0).then_some(2),
        deliver_window: 1 + pick(4),
        ..SmscConfig::default()
    };
    let timers = Timers { deadline_s: 6 * 3600, give_up_s: 10 * 86_400, ..Timers::default() };
    let setup = Setup { smsc, timers, targets: 24, ..Setup::new(6, seed) };
    let mut scene = Scene::with(setup).await;
    for target in 0..24 {
        if chance.below(5) == 0 {
            scene.spoil(target).await;
        }
    }
    let mut writes = Vec::new();
    for _ in 0..40 {
        let device = pick(CARDS);
        match chance.below(TROUBLES) {
            0..=3 => {
                // What is refused (numbers taken, queue full, store out of order) holds nothing.
                if let Ok(id) = scene.try_order(device, pick(24)).await {
                    writes.push(id);
                }
            }
            4 => {
                if let Some(id) = writes.get(pick(writes.len().max(1))) {
                    let _ = scene.cancel(*id).await;
                }
            }
            5 | 6 => scene.sim.power_on(device..device + 1).await.unwrap(),
            7 => scene.sim.power_off(device..device + 1).await.unwrap(),
            8 => scene.line(chance.below(2) == 0),
            9 => scene.sim.refuse_refresh(device, 2).await.unwrap(),
            10 => {
                let fault = [Fault::NotApplied, Fault::AppliedUnreported][pick(2)];
                scene.store.fail_next(fault);
            }
            11 => {
                scene.store.poison();
                tokio::time::sleep(Duration::from_millis(chance.below(3_000))).await;
                scene.store.recover();
            }
            12 => {
                scene.stop().await;
                scene.start_again().await;
            }
            _ => scene.crash().await,
        }
        // Mostly moments, sometimes hours.
        let wait = match chance.below(10) {
            0 => chance.below(3 * 3_600_000),
            1 | 2 => chance.below(120_000),
            _ => chance.below(2_000),
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    scene.line(true);
    scene.sim.power_on(0..CARDS).await.unwrap();
    // An order whose outcome was unknown may have been taken.
    let told = scene.told().await;
    let accepted = told.iter().filter(|told| told.fact.kind == "write.accepted");
    for (id, _) in accepted.filter_map(|told| told.fact.write) {
        if !writes.contains(&id) {
            writes.push(id);
        }
    }
    scene.until(&writes, Duration::from_secs(5 * 86_400), WriteState::is_end).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    sound(&scene, &writes).await;
    let report = scene.report().await;
    for (index, card) in report.cards.iter().enumerate() {
        let platform = scene.card(index).await;
        let current = platform.current.as_ref().map(|current| current.imsi);
        assert_eq!(card.card.ef_imsi, current, "I7, seed {seed}: {platform:#?}\n{card:#?}");
        assert!(platform.queue.is_empty() && platform.active.is_none());
    }
    for id in &writes {
        let write = scene.write(*id).await;
        assert_ne!(write.state, UNRESOLVED, "every card could be asked: {write:#?}");
    }
    scene.gateway.shutdown(Duration::from_secs(5)).await;
    scene.sim.stop().await;
}
