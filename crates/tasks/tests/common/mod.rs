//! Steps that tests take together.
#![allow(dead_code)]

use budwood_tasks::task::Task;
use budwood_tasks::{DataSource, Dataset, Error, Split};

/// The kind of task of a source's training data, found by itself.
pub(crate) fn kind(source: &DataSource) -> Result<&'static Task, Error> {
    Ok(source.open(Split::Train, true)?.settle(None)?.0)
}

/// The class names in a split.
pub(crate) fn labels(
    source: &DataSource,
    task: &'static Task,
    split: Split,
) -> Result<Vec<String>, Error> {
    let mut opened = source.open(split, true)?;
    opened.settle(Some(task))?;
    opened.labels(task)
}

/// The examples of a split.
pub(crate) fn examples(
    source: &DataSource,
    task: &'static Task,
    labels: &[String],
    split: Split,
    labelled: bool,
) -> Result<Dataset, Error> {
    let mut opened = source.open(split, labelled)?;
    opened.settle(Some(task))?;
    Ok(opened.examples(task, labels)?.0)
}
