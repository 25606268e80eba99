//! Scores of answers. Definitions as in scikit-learn and SciPy, degenerate cases included. A metric
//! is a file with a [`Metric`] and a line in [`METRICS`]; those of one subject share a file.

mod accuracy;
mod balanced_accuracy;
pub mod classes;
mod correlation;
mod definition;
pub mod entities;
mod error;
mod f1;
mod labels;
mod macro_f1;
mod matthews;
mod mean_class_accuracy;
mod of_answers;
mod of_entities;
mod of_labels;
mod of_words;
mod ratio;
pub mod squad;
#[cfg(test)]
mod tests;
mod top5;
pub mod words;

pub use definition::{Measure, Metric, Scale};

use classes::Classes;
use definition::NO_ROW;
use entities::Counts;
use labels::LabelCounts;
use ratio::ratio;
use squad::Answered;

/// All metrics. The first of a kind is what tasks of that kind are judged by.
pub const METRICS: &[&Metric] = &[
    &accuracy::METRIC,
    &top5::METRIC,
    &mean_class_accuracy::METRIC,
    &macro_f1::METRIC,
    &matthews::METRIC,
    &f1::METRIC,
    &balanced_accuracy::METRIC,
    &of_labels::MICRO_F1,
    &of_labels::MACRO_F1,
    &of_labels::EXACT_MATCH,
    &of_answers::F1,
    &of_answers::EXACT_MATCH,
    &of_entities::F1,
    &of_entities::PRECISION,
    &of_entities::RECALL,
    &of_entities::ACCURACY,
    &correlation::SPEARMAN,
    &correlation::PEARSON,
    &error::RMSE,
    &error::MAE,
    &of_words::PERPLEXITY,
    &of_words::ACCURACY,
];

/// The metrics of a kind of task.
pub fn of_kind(kind: &str) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().copied().filter(move |m| m.kinds.contains(&kind))
}

/// A metric by its name, whichever kind it is for: what differs by kind alone is its measure.
fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().copied().find(|m| m.name == name)
}

/// Whether a score of that name is better than another.
pub fn is_better(name: &str, score: f64, than: f64) -> bool {
    if is_error(name) { score < than } else { score > than }
}

/// Whether a score of that name is an error in the unit of the numbers, and no share.
pub fn is_error(name: &str) -> bool {
    find(name).is_some_and(|m| m.scale == Scale::Error)
}

/// How a score is called on a board; a name that is not in [`METRICS`] is its own title.
pub fn title(name: &str) -> &str {
    find(name).map_or(name, |m| m.title)
}

/// Why a score of that name is not a number: its definition divides by 0.
pub fn why_undefined(name: &str) -> &'static str {
    find(name).map_or(NO_ROW, |m| m.undefined)
}

/// The metric that GLUE uses first for one of its tasks, else the kind's first.
pub fn default_metric(task: &str, kind: &str) -> &'static str {
    let first = of_kind(kind).find(|m| m.first_of.contains(&task));
    first.or_else(|| of_kind(kind).next()).map_or("accuracy", |m| m.name)
}

/// The values of all metrics of a kind that a function can compute: `(name, value)`.
fn scores(kind: &str, value: impl Fn(Measure) -> Option<f64>) -> Vec<(&'static str, f64)> {
    of_kind(kind).filter_map(|m| Some((m.name, value(m.measure)?))).collect()
}

/// All classification scores of predicted classes: `(name, value)`. `f1` only for two classes, of
/// the `positive` one.
///
/// # Panics
/// If the lengths differ or a class is not below `classes`.
pub fn classification(
    predicted: &[u32],
    expected: &[u32],
    classes: usize,
    positive: usize,
) -> Vec<(&'static str, f64)> {
    let counted = Classes::of(predicted, expected, classes, positive);
    scores("classification", |measure| match measure {
        Measure::Classes(of) => of(&counted),
        _ => None,
    })
}

/// All image classification scores of the outputs for each class: `(name, value)`.
///
/// # Panics
/// If the lengths differ or a class is not below the number of outputs.
pub fn image_classification(outputs: &[Vec<f32>], expected: &[u32]) -> Vec<(&'static str, f64)> {
    assert_eq!(outputs.len(), expected.len());
    let classes = outputs.first().map_or(0, Vec::len);
    let first = |row: &Vec<f32>| (0..classes).find(|&c| rank(row, c) == 0).unwrap_or(0) as u32;
    let predicted: Vec<u32> = outputs.iter().map(first).collect();
    let counted = Classes::of(&predicted, expected, classes, 0);
    let ranks: Vec<usize> =
        outputs.iter().zip(expected).map(|(row, &e)| rank(row, e as usize)).collect();
    scores("image-classification", |measure| match measure {
        Measure::Classes(of) => of(&counted),
        Measure::Ranks(of) => Some(of(&ranks)),
        _ => None,
    })
}

/// Classes that come before one in the order of their outputs; of equal ones the first counts as
/// larger.
fn rank(row: &[f32], class: usize) -> usize {
    let before = |(c, x): (usize, &f32)| *x > row[class] || (*x == row[class] && c < class);
    row.iter().enumerate().filter(|&(c, x)| before((c, x))).count()
}

/// All scores of predicted sets of labels, each in order: `(name, value)`.
///
/// # Panics
/// If the lengths differ or a label is not below `labels`.
pub fn multilabel(
    predicted: &[Vec<u32>],
    expected: &[Vec<u32>],
    labels: usize,
) -> Vec<(&'static str, f64)> {
    let counts = LabelCounts::of(predicted, expected, labels);
    scores("multilabel", |measure| match measure {
        Measure::Labels(of) => Some(of(&counts)),
        _ => None,
    })
}

/// All regression scores: `(name, value)`; the errors in the unit of the numbers.
///
/// # Panics
/// If the lengths differ.
pub fn regression(predicted: &[f32], expected: &[f32]) -> Vec<(&'static str, f64)> {
    assert_eq!(predicted.len(), expected.len());
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
    let (given, right) = (wide(predicted), wide(expected));
    scores("regression", |measure| match measure {
        Measure::Numbers(of) => Some(of(&given, &right)),
        _ => None,
    })
}

/// All scores of some answers in a text, each question counting alike: `(name, value)`.
pub fn question_answering(questions: &[Answered]) -> Vec<(&'static str, f64)> {
    scores("question-answering", |measure| match measure {
        Measure::Spans(of) => Some(ratio(questions.iter().map(of).sum(), questions.len() as f64)),
        _ => None,
    })
}

/// All scores of some sentences: `(name, value)`. F1, precision and recall are over all entities,
/// accuracy over all words.
pub fn token_classification(sentences: impl Iterator<Item = Counts>) -> Vec<(&'static str, f64)> {
    let sum = sentences.fold(Counts::default(), Counts::plus);
    scores("token-classification", |measure| match measure {
        Measure::Entities(of) => Some(of(&sum)),
        _ => None,
    })
}

/// All scores of a masked language model over some texts, each masked place counting alike:
/// `(name, value)`.
pub fn masked_lm(texts: impl Iterator<Item = words::Counts>) -> Vec<(&'static str, f64)> {
    let sum = texts.fold(words::Counts::default(), words::Counts::plus);
    scores("masked-lm", |measure| match measure {
        Measure::Words(of) => Some(of(&sum)),
        _ => None,
    })
}
