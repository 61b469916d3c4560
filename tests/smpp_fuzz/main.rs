//! Fuzz targets of the decoder and of the session. Here each runs its corpus (`__fuzz__/<target>/corpus`) and a bounded
//! number of random inputs, which are valid PDUs more or less damaged.
//!
//! For long: `AIRWRITE_SOAK=1 cargo test --release --test smpp_fuzz` (10^8 inputs in all; `BOLERO_RANDOM_ITERATIONS`
//! asks for another number of each), or guided by coverage, with `cargo-bolero` installed:
//! `cargo bolero test bodies::body_target`.

mod bodies;
mod input;
mod session;
mod streams;

/// How many random inputs a target is given.
fn iterations() -> usize {
    if std::env::var_os("AIRWRITE_SOAK").is_some() { 34_000_000 } else { 60_000 }
}
