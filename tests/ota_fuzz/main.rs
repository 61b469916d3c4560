//! Fuzz targets of secured packets and of what carries them. Here each runs its corpus (`__fuzz__/<target>/corpus`) and a
//! bounded number of random inputs, which are valid packets and messages more or less damaged.
//!
//! For long: `AIRWRITE_SOAK=1 cargo test --release --test ota_fuzz` (10^8 inputs in all; `BOLERO_RANDOM_ITERATIONS` asks
//! for another number of each), or guided by coverage, with `cargo-bolero` installed:
//! `cargo bolero test packets::command_target`.

mod carriers;
mod input;
mod packets;

/// How many random inputs a target is given.
fn iterations() -> usize {
    if std::env::var_os("AIRWRITE_SOAK").is_some() { 25_000_000 } else { 20_000 }
}
