//! Scores of the words that a masked language model gives.

use super::definition::{Measure, Metric, NO_ROW, Scale};
use super::ratio::ratio;
use super::words::Counts;

/// How many words a masked place is left with: e to the mean loss over all masked places.
pub(super) const PERPLEXITY: Metric = Metric {
    name: "perplexity",
    title: "Perplexity",
    kinds: &["masked-lm"],
    first_of: &[],
    scale: Scale::Error,
    undefined: NO_ROW,
    measure: Measure::Words(|counts: &Counts| ratio(counts.loss, counts.places as f64).exp()),
};

/// The share of masked places whose likeliest word is the one that stood there.
pub(super) const ACCURACY: Metric = Metric {
    name: "accuracy",
    title: "Accuracy",
    kinds: &["masked-lm"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_ROW,
    measure: Measure::Words(|counts: &Counts| ratio(counts.right as f64, counts.places as f64)),
};
