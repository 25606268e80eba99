//! Macro F1: the mean F1 of the classes.

use super::classes::Classes;
use super::definition::{Measure, Metric, NOTHING_THERE, Scale};
use super::ratio::ratio;

pub(super) const METRIC: Metric = Metric {
    name: "macro_f1",
    title: "Macro F1",
    kinds: &["classification", "image-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NOTHING_THERE,
    measure: Measure::Classes(macro_f1),
};

/// Over the classes that occur among the expected or the predicted, as scikit-learn.
fn macro_f1(of: &Classes) -> Option<f64> {
    let occurs = |class: &usize| of.there(*class) + of.given(*class) > 0;
    let classes: Vec<usize> = (0..of.count()).filter(occurs).collect();
    let sum: f64 = classes.iter().map(|&class| of.f1(class)).sum();
    Some(ratio(sum, classes.len() as f64))
}
