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
mod evaluated;
mod slices;

use crate::Table;
use crate::html::Section;

pub use bootstrap::Interval;
pub use evaluated::{Classes, Evaluated, Part, Scores};

/// All parts that the evaluation allows, the most important first.
pub fn parts(evaluated: &Evaluated<'_>) -> Vec<Part> {
    let mut parts = vec![bootstrap::part(evaluated)];
    if let Some(classes) = &evaluated.classes {
        parts.push(classes::by_class(classes));
        parts.extend(classes::confusion(classes));
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
