//! The card aggregate: everything that happens to a card, without clock, keys or randomness.

mod ids;

pub use ids::{CardId, IdError, WriteId};
