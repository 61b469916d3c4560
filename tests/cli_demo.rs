//! The demonstration, small: every kind of card, over real TCP and a durable store.

mod cli_place;

use cli_place::Place;

#[test]
fn every_kind_of_card_is_opened_and_proves_it() {
    let place = Place::new();
    let demo = place.run(&["demo", "--cards", "6", "--on-site", "4", "--plain", "4", "--json"]);
    let verdict = demo.json();
    assert_eq!((demo.code, verdict["effective"].as_u64()), (0, Some(14)), "{verdict}");
    let kinds: Vec<_> =
        verdict["kinds"].as_array().unwrap().iter().map(|kind| (&kind[1], &kind[2])).collect();
    assert_eq!(serde_json::json!(kinds), serde_json::json!([[6, 6], [4, 4], [2, 2], [2, 2]]));
}
