//! Kinds of tasks: one file each, registered in [`TASKS`].

mod classification;
mod image_classification;
mod multilabel;
mod regression;

use std::path::Path;

use budwood_base::head::HeadKind;

use crate::read::Table;
use crate::{Error, Target};

/// A kind of task: how labels become targets, and which scores fit.
pub struct Task {
    /// Its name.
    pub name: &'static str,
    /// The head that it needs.
    pub head: HeadKind,
    /// Its scores, the first is the default.
    pub metrics: &'static [&'static str],
    /// Class names from the labels of a table, or the fixed ones; none for numbers.
    pub(crate) labels: LabelsOf,
    /// A target from a label: file, row, label, class names.
    pub(crate) target: fn(&Path, usize, &str, &[String]) -> Result<Target, Error>,
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
pub const TASKS: &[&Task] =
    &[&classification::TASK, &image_classification::TASK, &multilabel::TASK, &regression::TASK];

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

/// The kind that labels look like: numbers with fractions, or more than 20 different numbers, are
/// regression.
pub(crate) fn detect<'a>(labels: impl Iterator<Item = &'a str>) -> (&'static Task, String) {
    let mut distinct: Vec<f64> = Vec::new();
    for label in labels {
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
