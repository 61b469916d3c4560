//! `cargo bench --bench smpp`: one table of what SMPP costs here, against bare references and other stacks.
//!
//! Every contender runs in turns with its reference, so what disturbs the machine disturbs both; the figures are
//! medians, and only ratios of one run are to be compared.

mod codec;
mod measure;
mod table;

fn main() {
    // `cargo test` runs benches, too: they measure nothing there.
    if std::env::args().any(|argument| argument == "--bench") {
        table::print(&codec::measure());
    }
}
