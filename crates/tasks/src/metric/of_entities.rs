//! Scores of tags and of the entities in them.

use super::definition::{Measure, Metric, NO_ROW, NOTHING_THERE, Scale};
use super::entities::Counts;

/// F1 over all entities.
pub(super) const F1: Metric = Metric {
    name: "f1",
    title: "F1",
    kinds: &["token-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NOTHING_THERE,
    measure: Measure::Entities(Counts::f1),
};

/// The share of found entities that are right.
pub(super) const PRECISION: Metric = Metric {
    name: "precision",
    title: "Precision",
    kinds: &["token-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: "none was answered",
    measure: Measure::Entities(Counts::precision),
};

/// The share of entities that were found.
pub(super) const RECALL: Metric = Metric {
    name: "recall",
    title: "Recall",
    kinds: &["token-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: "there is none",
    measure: Measure::Entities(Counts::recall),
};

/// The share of words with the right tag.
pub(super) const ACCURACY: Metric = Metric {
    name: "accuracy",
    title: "Accuracy",
    kinds: &["token-classification"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Entities(Counts::accuracy),
};
