//! Top 5 accuracy: the share of examples whose class is among the five most likely.

use super::definition::{Measure, Metric, NO_ROW, Scale};
use super::ratio::ratio;

pub(super) const METRIC: Metric = Metric {
    name: "top5",
    title: "Top 5 accuracy",
    kinds: &["image-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Ranks(top5),
};

fn top5(ranks: &[usize]) -> f64 {
    ratio(ranks.iter().filter(|rank| **rank < 5).count() as f64, ranks.len() as f64)
}
