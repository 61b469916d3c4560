//! Contenders measured in pairs with a reference.

use std::time::{Duration, Instant};

/// One of those compared.
pub(crate) struct Contender<'a> {
    name: &'a str,
    target: Option<f64>,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` does its work once and returns what one operation cost, in nanoseconds.
    pub(crate) fn new(name: &'a str, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, target: None, run: Box::new(run) }
    }

    /// At most so many times the reference's cost.
    pub(crate) const fn aims_at(mut self, times_reference: f64) -> Self {
        self.target = Some(times_reference);
        self
    }
}

/// What a contender came to.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Nanoseconds per operation: the median.
    pub(crate) cost_ns: f64,
    /// Cost as a multiple of the reference's in the same pair: first quartile, median, third quartile.
    pub(crate) times_reference: [f64; 3],
    pub(crate) target: Option<f64>,
}

/// Measures `contenders` in `rounds` rounds; in each, every contender runs right before or right after the reference,
/// by turns. The reference comes first in the result.
pub(crate) fn in_pairs(
    rounds: usize,
    mut reference: Contender<'_>,
    contenders: Vec<Contender<'_>>,
) -> Vec<Measured> {
    let mut reference_costs = Vec::new();
    let mut results: Vec<_> =
        contenders.into_iter().map(|contender| (contender, Vec::new(), Vec::new())).collect();
    for round in 0..rounds {
        for (contender, costs, ratios) in &mut results {
            let (cost, reference_cost);
            if round % 2 == 0 {
                reference_cost = (reference.run)();
                cost = (contender.run)();
            } else {
                cost = (contender.run)();
                reference_cost = (reference.run)();
            }
            reference_costs.push(reference_cost);
            costs.push(cost);
            ratios.push(cost / reference_cost);
        }
    }
    let reference = Measured {
        name: reference.name.to_owned(),
        cost_ns: quartiles(reference_costs)[1],
        times_reference: [1.0; 3],
        target: None,
    };
    let contenders = results.into_iter().map(|(contender, costs, ratios)| Measured {
        name: contender.name.to_owned(),
        cost_ns: quartiles(costs)[1],
        times_reference: quartiles(ratios),
        target: contender.target,
    });
    std::iter::once(reference).chain(contenders).collect()
}

/// How long `work` takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// First quartile, median, third quartile.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}
