//! What a metric is.

use super::classes::Classes;
use super::entities::Counts;
use super::labels::LabelCounts;
use super::squad::Answered;
use super::words;

/// A metric: all that is known of it.
pub struct Metric {
    /// Its name, as `--metric` takes it.
    pub name: &'static str,
    /// Its name on a board.
    pub title: &'static str,
    /// Kinds of tasks that it fits.
    pub kinds: &'static [&'static str],
    /// Tasks that are judged by it first, by their names in GLUE.
    pub first_of: &'static [&'static str],
    /// Which of two values is better, and what a value is.
    pub scale: Scale,
    /// Why it is not a number where its definition divides by 0.
    pub undefined: &'static str,
    /// What it is made from, and how.
    pub measure: Measure,
}

/// What the value of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// At most 1, which is best: a share, or a correlation.
    Share,
    /// An error in the unit of the numbers, where 0 is best, or a perplexity: less is better.
    Error,
}

/// How a value is made. It is not a number where the metric is undefined.
#[derive(Clone, Copy)]
pub enum Measure {
    /// From counts of right and given classes; none where the metric does not fit so many classes.
    Classes(fn(&Classes) -> Option<f64>),
    /// From the place of each example's right class in the order of its outputs, from 0.
    Ranks(fn(&[usize]) -> f64),
    /// From counts of labels.
    Labels(fn(&LabelCounts) -> f64),
    /// From the given and the right numbers.
    Numbers(fn(&[f64], &[f64]) -> f64),
    /// From how good each answer is; the mean of it.
    Spans(fn(&Answered) -> f64),
    /// From counts of entities and words.
    Entities(fn(&Counts) -> f64),
    /// From counts over masked places.
    Words(fn(&words::Counts) -> f64),
}

/// Why a share of rows is undefined.
pub(super) const NO_ROW: &str = "there is no such row";
/// Why an F1 is undefined.
pub(super) const NOTHING_THERE: &str = "nothing of what is counted is there, nor was it answered";
/// Why a correlation of numbers is undefined.
pub(super) const NO_VARIANCE: &str = "all answers are one number, or all rows are";
