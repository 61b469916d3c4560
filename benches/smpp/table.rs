//! The printed table.

use crate::measure::Measured;

/// Contenders that were measured against the same reference.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Measured>,
}

/// Prints groups as tables of Markdown: nanoseconds of an operation, and how many times the reference's that is (the
/// middle half of the pairs in brackets).
pub(crate) fn print(groups: &[Group]) {
    for Group { title, rows } in groups {
        println!("\n| {title:<36} | {:>8} | {:<21} | target  |", "ns", "x reference");
        println!("|{:-<38}|{:->9}:|{:-<23}|{:-<9}|", "", "", "", "");
        for row in rows {
            let [low, median, high] = row.times_reference;
            let ratio = format!("{median:.2} ({low:.2} to {high:.2})");
            let target = row.target.map(|times| format!("<= {times:.2}")).unwrap_or_default();
            println!("| {:<36} | {:>8.1} | {ratio:<21} | {target:<7} |", row.name, row.cost_ns);
        }
    }
}
