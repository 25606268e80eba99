//! F1 of the positive class, of two.

use super::classes::Classes;
use super::definition::{Measure, Metric, NOTHING_THERE, Scale};

pub(super) const METRIC: Metric = Metric {
    name: "f1",
    title: "F1",
    kinds: &["classification"],
    first_of: &["mrpc", "qqp"],
    scale: Scale::Share,
    undefined: NOTHING_THERE,
    measure: Measure::Classes(f1),
};

fn f1(of: &Classes) -> Option<f64> {
    (of.count() == 2).then(|| of.f1(of.positive))
}
