//! Balanced accuracy: the mean recall of the classes that occur. A class counts alike however few
//! rows it has.

use super::classes::Classes;
use super::definition::{Measure, Metric, NO_ROW, Scale};
use super::ratio::ratio;

pub(super) const METRIC: Metric = Metric {
    name: "balanced_accuracy",
    title: "Balanced accuracy",
    kinds: &["classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Classes(balanced_accuracy),
};

/// As scikit-learn's `balanced_accuracy_score`: classes that no row has are left out.
pub(super) fn balanced_accuracy(of: &Classes) -> Option<f64> {
    let occur = (0..of.count()).filter(|&class| of.there(class) > 0);
    let recalls: Vec<f64> = occur.map(|class| of.recall(class)).collect();
    Some(ratio(recalls.iter().sum(), recalls.len() as f64))
}
