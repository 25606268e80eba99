//! Kinds of tasks: one file each, registered in [`TASKS`].

mod classification;
mod image_classification;
mod multilabel;
mod question_answering;
mod regression;
mod token_classification;

use budwood_base::head::HeadKind;

use crate::read::{Row, Table};
use crate::{Columns, Error, Input, Target};

pub(crate) use token_classification::list;

/// A kind of task: how rows become examples, and which scores fit.
pub struct Task {
    /// Its name.
    pub name: &'static str,
    /// The head that it needs.
    pub head: HeadKind,
    /// Its scores, the first is the default.
    pub metrics: &'static [&'static str],
    /// Class names from the labels of a table, or the fixed ones; none for numbers.
    pub(crate) labels: LabelsOf,
    /// What the model is shown of a row; of images it is known before.
    pub(crate) input: fn(&Cells<'_>) -> Result<Input, Error>,
    /// What the answer to it should be, given the class names.
    pub(crate) target: fn(&Cells<'_>, &Input, &[String]) -> Result<Target, Error>,
}

/// The cells of one row that an example is made from.
pub(crate) struct Cells<'a> {
    pub(crate) table: &'a Table,
    pub(crate) row: &'a Row,
    pub(crate) columns: &'a Columns,
}

impl<'a> Cells<'a> {
    /// One text, or two.
    fn texts(&self) -> (&'a str, Option<&'a str>) {
        let mut texts = self.columns.texts.iter().map(|&t| self.row.cells[t].as_str());
        (texts.next().unwrap_or_default(), texts.next())
    }

    /// The label; empty where there is none.
    fn label(&self) -> &'a str {
        self.columns.label.map_or("", |label| &self.row.cells[label])
    }

    /// The cell of a column by name.
    fn named(&self, column: &str) -> Option<&'a str> {
        let place = self.table.columns.iter().position(|c| c.eq_ignore_ascii_case(column))?;
        Some(&self.row.cells[place])
    }

    /// A fault of this row.
    fn fault(&self, message: impl Into<String>) -> Error {
        Error::row(&self.table.path, self.row.number, message)
    }
}

/// One text or two, as they are.
fn texts(cells: &Cells<'_>) -> Result<Input, Error> {
    let (a, b) = cells.texts();
    Ok(Input::texts(a, b))
}

impl Task {
    /// Checks that examples of images, or of texts, are what the task is about.
    pub(crate) fn check_input(&self, images: bool) -> Result<(), Error> {
        match (images, self.name == image_classification::TASK.name) {
            (true, false) => Err(Error::Usage(format!(
                "the data are images, but the task is {}; images are classified: --task image-classification",
                self.name
            ))),
            (false, true) => {
                Err(Error::Usage("the data are texts, but the task is image-classification".into()))
            }
            _ => Ok(()),
        }
    }
}

/// Class names from a table, its label column, and the names that a layout fixes.
type LabelsOf = fn(&Table, usize, Vec<String>) -> Result<Vec<String>, Error>;

/// All kinds.
pub const TASKS: &[&Task] = &[
    &classification::TASK,
    &image_classification::TASK,
    &multilabel::TASK,
    &regression::TASK,
    &question_answering::TASK,
    &token_classification::TASK,
];

/// The kind of that name.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<&'static Task, Error> {
    TASKS.iter().copied().find(|t| t.name == name).ok_or_else(|| {
        let known: Vec<_> = TASKS.iter().map(|t| t.name).collect();
        Error::Usage(format!("there is no kind of task '{name}'; there are {}", known.join(", ")))
    })
}

/// The kind that labels look like: answers, lists of tags, or else numbers with fractions, or more than 20 different numbers, which are
/// regression.
pub(crate) fn detect(table: &Table, label: usize) -> (&'static Task, String) {
    let labels = || table.rows.iter().map(|r| r.cells[label].as_str());
    if labels().next().is_some_and(question_answering::is_answers) {
        return (&question_answering::TASK, "the labels are answers with their places".into());
    }
    if labels().next().is_some_and(|label| list(label).is_some()) {
        return (&token_classification::TASK, "the labels are lists of tags".into());
    }
    let mut distinct: Vec<f64> = Vec::new();
    for label in labels() {
        match label.trim().parse::<f64>() {
            Ok(x) if x.fract() != 0.0 => {
                return (&regression::TASK, format!("the label '{}' has a fraction", label.trim()));
            }
            Ok(x) => {
                if !distinct.contains(&x) {
                    distinct.push(x);
                }
            }
            Err(_) => return (&classification::TASK, "the labels are words".into()),
        }
        if distinct.len() > 20 {
            return (&regression::TASK, "the labels are more than 20 different numbers".into());
        }
    }
    (&classification::TASK, format!("the labels are {} different whole numbers", distinct.len()))
}
