//! The rules as tables: each row is played against the real gateway, in paused time, by an SMSC and a card by hand, and
//! says which state the write is in afterwards, what the other end of the link has seen, and what the owner was told.
//!
//! | module | rules |
//! |---|---|
//! | `life` | the life of a write |
//! | `por` | what a PoR says |
//! | `bindings` | which device a card is in |
//! | `delivery` | how deliver_sm is answered |
//! | `submission` | what an SMSC answers, and receipts |
//! | `spoofing` | what proves nothing moves nothing |

#[path = "../common/mod.rs"]
mod common;

mod bindings;
mod delivery;
mod life;
mod on_site;
mod play;
mod por;
mod row;
mod says;
mod spoofing;
mod submission;

use play::{Outcome, Play};
use row::Row;

/// Plays every row and names those that came out otherwise.
async fn play(rows: &[Row], seed: u64) {
    let mut failed = Vec::new();
    for (row, seed) in rows.iter().zip(seed..) {
        let mut play = Play::begin(row, seed).await;
        let outcome = play.row(row).await;
        failed.extend(difference(row, &outcome));
        play.end().await;
    }
    assert!(failed.is_empty(), "{} of {} rows:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

/// What is other than the row says.
fn difference(row: &Row, outcome: &Outcome) -> Option<String> {
    let expected = Outcome {
        state: row.state.to_owned(),
        answers: row.answers.iter().map(|text| (*text).to_owned()).collect(),
        events: row.events.iter().map(|text| (*text).to_owned()).collect(),
    };
    (*outcome != expected).then(|| format!("{}:\n  expected {expected:?}\n  found    {outcome:?}", row.name))
}

/// No two rows of a table have one name.
fn names_differ(rows: &[Row]) {
    let mut names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len());
}
