//! The printed table.

use crate::measure::Measured;

/// Contenders that were measured against the same reference.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) rows: Vec<Measured>,
    /// How the rows read.
    pub(crate) reads: Reads,
}

/// What the figures of a group say.
#[derive(Clone, Copy)]
pub(crate) enum Reads {
    /// Nanoseconds of an operation, as a multiple of the reference: less is better.
    Cost,
    /// Operations per second, as a share of the reference: more is better.
    #[expect(dead_code, reason = "codecs are told by what they cost")]
    Rate,
}

/// Prints groups as tables of Markdown; the middle half of the ratios stands in brackets.
pub(crate) fn print(groups: &[Group]) {
    for Group { title, rows, reads } in groups {
        let (figure, ratio) = match reads {
            Reads::Cost => ("ns", "x reference"),
            Reads::Rate => ("per second", "of reference"),
        };
        println!("\n| {title:<36} | {figure:>10} | {ratio:<21} | target  |");
        println!("|{:-<38}|{:->11}:|{:-<23}|{:-<9}|", "", "", "", "");
        for row in rows {
            let figure = match reads {
                Reads::Cost => format!("{:.1}", row.cost_ns),
                Reads::Rate => format!("{:.0}", 1e9 / row.cost_ns),
            };
            let [low, median, high] = row.times_reference.map(|times| match reads {
                Reads::Cost => times,
                Reads::Rate => 1.0 / times,
            });
            let ratio = format!("{median:.2} ({:.2} to {:.2})", low.min(high), low.max(high));
            let target = row.target.map(|times| match reads {
                Reads::Cost => format!("<= {times:.2}"),
                Reads::Rate => format!(">= {:.2}", 1.0 / times),
            });
            println!("| {:<36} | {figure:>10} | {ratio:<21} | {:<7} |", row.name, target.unwrap_or_default());
        }
    }
}
