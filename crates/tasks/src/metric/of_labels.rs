//! Scores of sets of labels.

use super::definition::{Measure, Metric, NO_ROW, NOTHING_THERE, Scale};
use super::labels::LabelCounts;

/// F1 over all labels of all examples.
pub(super) const MICRO_F1: Metric = Metric {
    name: "micro_f1",
    title: "Micro F1",
    kinds: &["multilabel"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NOTHING_THERE,
    measure: Measure::Labels(LabelCounts::micro_f1),
};

/// The mean of all labels' F1.
pub(super) const MACRO_F1: Metric = Metric {
    name: "macro_f1",
    title: "Macro F1",
    kinds: &["multilabel"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NOTHING_THERE,
    measure: Measure::Labels(LabelCounts::macro_f1),
};

/// The share of examples with all labels right.
pub(super) const EXACT_MATCH: Metric = Metric {
    name: "exact_match",
    title: "Exact match",
    kinds: &["multilabel"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Labels(LabelCounts::exact_match),
};
