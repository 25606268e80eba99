//! Errors in the unit of the numbers.

use super::definition::{Measure, Metric, NO_ROW, Scale};
use super::ratio::ratio;

/// Root of the mean squared error.
pub(super) const RMSE: Metric = Metric {
    name: "rmse",
    title: "RMSE",
    kinds: &["regression"],
    first_of: &[],
    scale: Scale::Error,
    undefined: NO_ROW,
    measure: Measure::Numbers(|given, right| mean(given, right, |x| x * x).sqrt()),
};

/// Mean absolute error.
pub(super) const MAE: Metric = Metric {
    name: "mae",
    title: "MAE",
    kinds: &["regression"],
    first_of: &[],
    scale: Scale::Error,
    undefined: NO_ROW,
    measure: Measure::Numbers(|given, right| mean(given, right, f64::abs)),
};

/// The mean of something made of each difference.
fn mean(given: &[f64], right: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    ratio(given.iter().zip(right).map(|(g, r)| of(g - r)).sum(), given.len() as f64)
}
