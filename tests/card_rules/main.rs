//! The rules of a card as scripted scenarios: one test a row or flow of the tables, and random events against the
//! invariants.

mod answers;
mod bindings;
mod delivery;
mod flows;
mod harness;
mod queue;
mod random;
