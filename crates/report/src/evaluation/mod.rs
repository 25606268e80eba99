//! The report on one evaluation: scores with intervals, where the adapter errs, and how far its
//! probabilities can be trusted.
//!
//! | part | from |
//! |---|---|
//! | scores with 95 % intervals | percentile bootstrap over rows (Efron and Tibshirani 1993, ch. 13) |
//! | classes | precision, recall, F1, rows |
//! | confusion | right classes by given ones |
//! | reliability | 15 groups of probabilities (Guo et al. 2017) |
//! | coverage | accuracy of the surest rows |
//! | mistakes | wrong answers, the surest first: there the labels are often wrong (Northcutt et al. 2021) |
//! | slices | scores by length, and by columns of the data |

mod bootstrap;
mod classes;
mod slices;

use crate::html::Section;
use crate::{Figure, Table};

pub use bootstrap::Interval;

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

/// All parts that the evaluation allows, the most important first.
pub fn parts(evaluated: &Evaluated<'_>) -> Vec<Part> {
    let mut parts = vec![bootstrap::part(evaluated)];
    if let Some(classes) = &evaluated.classes {
        parts.push(classes::by_class(classes));
        parts.push(classes::confusion(classes));
        parts.push(classes::reliability(classes));
        parts.push(classes::coverage(classes));
        parts.push(classes::mistakes(classes, &evaluated.texts));
    }
    parts.extend(slices::part(evaluated));
    parts
}

/// The report as one page that needs nothing else.
pub fn evaluation_page(evaluated: &Evaluated<'_>, parts: &[Part]) -> String {
    let facts = Table {
        columns: Vec::new(),
        rows: evaluated.facts.iter().map(|(a, b)| vec![a.clone(), b.clone()]).collect(),
        caption: Vec::new(),
    };
    let mut sections = vec![Section { title: "", note: "", table: Some(&facts), figure: None }];
    sections.extend(parts.iter().map(|part| Section {
        title: &part.title,
        note: &part.note,
        table: (part.table.rows.len() <= SHOWN).then_some(&part.table),
        figure: part.figure.as_ref(),
    }));
    crate::html::sections(&evaluated.title, &sections)
}

/// Rows of a table that a page shows; longer ones are files alone.
const SHOWN: usize = 200;

/// A share as a percentage; what is no number is said.
fn percent(x: f64) -> String {
    if x.is_finite() { format!("{:.1} %", 100.0 * x) } else { "undefined".into() }
}

/// Columns from words.
fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
