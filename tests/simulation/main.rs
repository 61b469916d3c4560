//! The same code as in service, on one thread and in paused time: gateway, links, session, sealed packets, and cards
//! spoken to in APDUs. What happens follows from the seed, which is printed.

mod scene;

use std::collections::BTreeMap;
use std::time::Duration;

use airwrite::card::{End, WriteId, WriteState};
use airwrite::world::{Rng, SeededRng};
use scene::Scene;

const EFFECTIVE: WriteState = WriteState::Ended(End::Effective);

/// What every run must end with: cards and platform agree, no CNTR had two contents (I3), no write two ends (I5).
async fn agree(scene: &Scene, writes: &[WriteId]) {
    let report = scene.report().await;
    for (index, id) in writes.iter().enumerate() {
        let write = scene.write(*id).await;
        let card = &report.cards[index];
        assert_eq!(write.state, EFFECTIVE, "{write:#?}");
        assert_eq!(card.card.ef_imsi, Some(write.target.imsi));
        assert_eq!(card.attached, Some(write.target.imsi));
        assert!(card.card.binding_flag, "the binding was acknowledged");
        assert_eq!(card.card.cntr_conflicts, Vec::<u64>::new(), "I3");
        assert!(card.card.executed.values().all(|times| *times == 1), "{:?}", card.card.executed);
    }
    let mut ends: BTreeMap<WriteId, Vec<String>> = BTreeMap::new();
    for told in scene.told().await {
        let kind = told.fact.kind.strip_prefix("write.").and_then(WriteState::from_name);
        if let (Some((write, seq)), Some(WriteState::Ended(_))) = (told.fact.write, kind) {
            ends.entry(write).or_default().push(format!("{write}.{seq}"));
        }
    }
    for id in writes {
        assert_eq!(ends.get(id).map(Vec::len), Some(1), "I5: {:?}", ends.get(id));
    }
}

#[tokio::test(start_paused = true)]
async fn orders_before_and_after_the_binding_are_effective() {
    let scene = Scene::new(12, 1).await;
    let mut writes = Vec::new();
    for index in 0..6 {
        writes.push(scene.order(index).await);
    }
    assert!(scene.write(writes[0]).await.state == WriteState::Waiting, "R22: held until the card is known");
    scene.sim.power_on(0..12).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    for index in 6..12 {
        writes.push(scene.order(index).await);
    }
    scene.until(&writes, Duration::from_secs(300), |state| state == EFFECTIVE).await;
    // The acknowledgements of the results are still on their way.
    tokio::time::sleep(Duration::from_secs(60)).await;
    agree(&scene, &writes).await;
    let told = scene.told().await;
    let count = |kind: &str| told.iter().filter(|told| told.fact.kind == kind).count();
    assert_eq!(count("binding.created"), 12);
    assert_eq!(count("write.accepted"), 12);
    assert_eq!(count("write.effective"), 12);
    assert_eq!(count("card.subscription_changed"), 12);
    scene.gateway.shutdown(Duration::from_secs(5)).await;
}

/// Crashes at random moments; every seed that was ever found to fail stays here.
#[tokio::test(start_paused = true)]
async fn crashes_lose_nothing_and_end_nothing_twice() {
    let given = std::env::var("AIRWRITE_SEED").ok().map(|seed| vec![seed.parse().expect("a number")]);
    for seed in given.unwrap_or_else(|| (1..=12).collect()) {
        eprintln!("seed {seed} (AIRWRITE_SEED={seed} runs it alone)");
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
        scene.gateway.shutdown(Duration::from_secs(5)).await;
        scene.sim.stop().await;
    }
}
