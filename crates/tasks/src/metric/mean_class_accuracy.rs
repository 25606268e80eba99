//! Mean accuracy of the classes: what balanced accuracy is called for images.

use super::balanced_accuracy::balanced_accuracy;
use super::definition::{Measure, Metric, NO_ROW, Scale};

pub(super) const METRIC: Metric = Metric {
    name: "mean_class_accuracy",
    title: "Mean accuracy of the classes",
    kinds: &["image-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Classes(balanced_accuracy),
};
