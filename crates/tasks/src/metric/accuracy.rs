//! Accuracy: the share of right answers.

use super::classes::Classes;
use super::definition::{Measure, Metric, NO_ROW, Scale};
use super::ratio::ratio;

pub(super) const METRIC: Metric = Metric {
    name: "accuracy",
    title: "Accuracy",
    kinds: &["classification", "image-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Classes(accuracy),
};

fn accuracy(of: &Classes) -> Option<f64> {
    let right: u64 = (0..of.count()).map(|class| of.right(class)).sum();
    Some(ratio(right as f64, of.total() as f64))
}
