//! Scores of answers cut from a text.

use super::definition::{Measure, Metric, NO_ROW, Scale};

/// Shared words with the right answer that fits best.
pub(super) const F1: Metric = Metric {
    name: "f1",
    title: "F1",
    kinds: &["question-answering"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Spans(|answered| answered.f1),
};

/// Questions answered exactly.
pub(super) const EXACT_MATCH: Metric = Metric {
    name: "exact_match",
    title: "Exact match",
    kinds: &["question-answering"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Spans(|answered| answered.exact_match),
};
