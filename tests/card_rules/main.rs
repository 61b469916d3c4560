//! The rules of a card as scripted scenarios: one test a row or flow of the tables, and random events against the
//! invariants.

mod answers;
mod bindings;
mod decisions;
mod delivery;
mod files;
mod flows;
mod harness;
mod hours;
mod low_trust;
mod no_por;
mod on_site;
mod queue;
mod random;
