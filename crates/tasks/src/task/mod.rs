//! Kinds of tasks: one file each, registered in [`TASKS`].

mod classification;
mod definition;
mod image_classification;
mod masked_lm;
mod multilabel;
mod question_answering;
mod regression;
mod token_classification;

use crate::Error;

pub use definition::Task;
pub(crate) use definition::{File, Row};
pub(crate) use multilabel::by_column;

/// All kinds.
pub const TASKS: &[&Task] = &[
    &classification::TASK,
    &image_classification::TASK,
    &multilabel::TASK,
    &regression::TASK,
    &question_answering::TASK,
    &token_classification::TASK,
    &masked_lm::TASK,
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
