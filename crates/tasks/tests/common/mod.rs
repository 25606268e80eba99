//! Steps that tests take together.
#![allow(dead_code)]

use std::fs;
use std::path::Path;

use budwood_tasks::read::ReadOptions;
use budwood_tasks::task::Task;
use budwood_tasks::{ColumnChoice, Data, DataRequest, DataSource, Dataset, Error, Split};

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

pub(crate) fn source(path: impl AsRef<Path>) -> DataSource {
    let text = path.as_ref().display().to_string();
    DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default()).unwrap()
}

/// A source with another setting.
pub(crate) fn with(mut source: DataSource, change: impl FnOnce(&mut DataSource)) -> DataSource {
    change(&mut source);
    source
}

pub(crate) fn request(train: DataSource) -> DataRequest {
    DataRequest {
        train,
        dev: None,
        test: None,
        test_of_layout: false,
        dev_share: 0.0,
        dev_share_from: 0,
        test_share: 0.0,
        split_seed: 0,
        train_rows: None,
        task: None,
    }
}

pub(crate) fn read(source: DataSource) -> Result<Data, Error> {
    request(source).read()
}

/// A file of this content, read.
pub(crate) fn content(name: &str, content: impl AsRef<[u8]>) -> Result<Data, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    read(source(path))
}

#[track_caller]
pub(crate) fn fails<T>(result: Result<T, Error>, words: &[&str]) -> String {
    let Err(error) = result else { panic!("no error; {words:?} were expected") };
    let error = error.to_string();
    for word in words {
        assert!(error.contains(word), "lacks '{word}': {error}");
    }
    error
}

#[track_caller]
pub(crate) fn notes(data: &Data, words: &[&str]) {
    let notes = data.report.lines().join("\n");
    for word in words {
        assert!(notes.contains(word), "lacks '{word}': {notes}");
    }
}
