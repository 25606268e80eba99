//! What a report is made from, and what it is made of.

use budwood_base::record::in_words;

use crate::{Figure, Table};

/// Scores of some rows, each as often as it is named.
pub type Scores<'a> = &'a dyn Fn(&[usize]) -> Vec<(String, f64)>;

/// What an evaluation found.
pub struct Evaluated<'a> {
    /// Of the page.
    pub title: String,
    /// What was evaluated: names and values.
    pub facts: Vec<(String, String)>,
    /// Number of rows.
    pub rows: usize,
    /// The scores of some of them.
    pub scores: Scores<'a>,
    /// The score that counts most.
    pub metric: String,
    /// What simpler models reach on the same rows: name, score, value.
    pub beside: Vec<(String, String, f64)>,
    /// Answers of a task with classes.
    pub classes: Option<Classes>,
    /// The text of each row, for the list of mistakes.
    pub texts: Vec<String>,
    /// Tokens of each row; empty where there are none.
    pub tokens: Vec<usize>,
    /// Columns of the data by which scores are shown: a name, and a value for each row.
    pub slices: Vec<(String, Vec<String>)>,
}

/// Answers with their probabilities.
pub struct Classes {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// The right class of each row.
    pub right: Vec<u32>,
    /// The probability of each class, for each row.
    pub probabilities: Vec<Vec<f32>>,
}

/// A part of the report: a table with the name of its file, and figures.
#[derive(Debug)]
pub struct Part {
    /// Name of its files, without an ending.
    pub name: &'static str,
    /// The heading.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub note: String,
    /// The numbers.
    pub table: Table,
    /// The picture.
    pub figure: Option<Figure>,
}

/// A share as a percentage; what is not a number is said.
pub(super) fn percent(x: f64) -> String {
    if x.is_finite() { format!("{:.1} %", 100.0 * x) } else { "undefined".into() }
}

/// A score; what is not a number is said.
pub(super) fn number(x: f64) -> String {
    if x.is_finite() { in_words(x) } else { "undefined".into() }
}

/// Columns from words.
pub(super) fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
