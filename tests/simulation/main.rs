//! The same code as in service, on one thread and in paused time: gateway, links, session, sealed packets, and cards
//! spoken to in APDUs. What happens follows from the seed, which is printed.
//!
//! | module | what happens |
//! |---|---|
//! | `flow` | orders before and after the binding, one behind the other, cancelled, out of time |
//! | `on_site` | cards written through the business platform |
//! | `network` | no service, refused REFRESH, a busy SMSC, a dead line, devices switched off |
//! | `devices` | devices and cards that are changed for others |
//! | `storage` | a store that fails or does not answer |
//! | `plain` | cards whose own messages are not secured |
//! | `look_up` | cards that the business platform knows, and what its operators decide |
//! | `spoofing` | messages that somebody else made |
//! | `hours` | delivery hours |
//! | `retention` | what is forgotten, and when |
//! | `by_hand` | messages that no simulated card sends |
//! | `requirements` | what was asked for, from end to end |
//! | `crashes` | all of it at random, with crashes |

#[path = "../common/mod.rs"]
mod common;

mod by_hand;
mod crashes;
mod devices;
mod files;
mod flow;
mod hours;
mod look_up;
mod network;
mod on_site;
mod plain;
mod requirements;
mod retention;
mod spoofing;
mod storage;

use std::collections::BTreeMap;

use airwrite::card::{End, WriteId, WriteState};
use common::scene::Scene;

const EFFECTIVE: WriteState = WriteState::Ended(End::Effective);
const ROLLED_BACK: WriteState = WriteState::Ended(End::RolledBack);
const CANCELLED: WriteState = WriteState::Ended(End::Cancelled);
const EXPIRED: WriteState = WriteState::Ended(End::Expired);
const UNRESOLVED: WriteState = WriteState::Ended(End::Unresolved);

/// The ends that were told of each write.
async fn ends(scene: &Scene) -> BTreeMap<WriteId, Vec<String>> {
    let mut ends: BTreeMap<WriteId, Vec<String>> = BTreeMap::new();
    for told in scene.told().await {
        let kind = told.fact.kind.strip_prefix("write.").and_then(WriteState::from_name);
        if let (Some((write, seq)), Some(WriteState::Ended(_))) = (told.fact.write, kind) {
            ends.entry(write).or_default().push(format!("{} {seq}", told.fact.kind));
        }
    }
    ends
}

/// What holds after every run: no CNTR had two contents (I3), no write was carried out twice, and each of these has one
/// end (I5), which is the one that was told.
async fn sound(scene: &Scene, writes: &[WriteId]) {
    for card in scene.report().await.cards {
        assert_eq!(card.card.cntr_conflicts, Vec::<u64>::new(), "I3: {card:#?}");
        assert!(card.card.executed.values().all(|times| *times == 1), "{:?}", card.card.executed);
    }
    let ends = ends(scene).await;
    for id in writes {
        let write = scene.write(*id).await;
        let told = ends.get(id).cloned().unwrap_or_default();
        assert_eq!(told, [format!("write.{} {}", write.state.name(), write.seq)], "I5: {write:#?}");
    }
}

/// Sound, and the `index`-th write is what the `index`-th card and the network hold.
async fn agree(scene: &Scene, writes: &[WriteId]) {
    let report = scene.report().await;
    for (index, id) in writes.iter().enumerate() {
        let write = scene.write(*id).await;
        let card = &report.cards[index];
        assert_eq!(write.state, EFFECTIVE, "{write:#?}");
        assert_eq!(card.card.ef_imsi, Some(write.target.imsi));
        assert_eq!(card.attached, Some(write.target.imsi));
        assert!(card.card.binding_flag, "the binding was acknowledged");
    }
    sound(scene, writes).await;
}
