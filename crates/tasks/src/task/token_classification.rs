//! A tag for each word of a sentence. A row's text and label are lists in JSON, as the reader of CoNLL's columns makes them.

use std::collections::BTreeSet;

use budwood_base::head::HeadKind;

use super::{Cells, Task};
use crate::read::Table;
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "token-classification",
    head: HeadKind::TokenClassification,
    metrics: &["f1", "precision", "recall", "accuracy"],
    labels,
    input,
    target,
};

/// The texts of a list in JSON; none if the cell is none.
pub(crate) fn list(cell: &str) -> Option<Vec<String>> {
    cell.trim_start().starts_with('[').then(|| serde_json::from_str(cell).ok()).flatten()
}

fn labels(table: &Table, label: usize, fixed: Vec<String>) -> Result<Vec<String>, Error> {
    if !fixed.is_empty() {
        return Ok(fixed);
    }
    let mut seen = BTreeSet::new();
    for row in &table.rows {
        let Some(tags) = list(&row.cells[label]) else {
            let message = "the tags are not a list of names, such as [\"B-PER\", \"O\"]";
            return Err(Error::row(&table.path, row.number, message));
        };
        if tags.iter().any(|t| t.trim().is_empty()) {
            return Err(Error::row(&table.path, row.number, "a tag is empty"));
        }
        seen.extend(tags);
    }
    if seen.len() < 2 {
        let tags = seen.into_iter().collect::<String>();
        let message = format!("all words have the tag '{tags}'; at least two tags are needed");
        return Err(Error::file(&table.path, message));
    }
    Ok(seen.into_iter().collect())
}

fn input(cells: &Cells<'_>) -> Result<Input, Error> {
    let (text, _) = cells.texts();
    let words = list(text).filter(|words| !words.is_empty());
    let message = "the words are not a list, such as [\"One\", \"word\"]";
    words.map(Input::Words).ok_or_else(|| cells.fault(message))
}

fn target(cells: &Cells<'_>, input: &Input, labels: &[String]) -> Result<Target, Error> {
    let Input::Words(words) = input else { return Err(cells.fault("is no sentence")) };
    let tags =
        list(cells.label()).ok_or_else(|| cells.fault("the tags are not a list of names"))?;
    if tags.len() != words.len() {
        let message = format!("has {} words, but {} tags", words.len(), tags.len());
        return Err(cells.fault(message));
    }
    let tag = |(i, (word, tag)): (usize, (&String, &String))| {
        let place = labels.iter().position(|l| l == tag);
        place.map(|p| p as u32).ok_or_else(|| {
            let known = labels.join(", ");
            let n = i + 1;
            cells.fault(format!(
                "word {n} from here, '{word}', has the tag '{tag}', which is not one of {known}"
            ))
        })
    };
    words.iter().zip(&tags).enumerate().map(tag).collect::<Result<_, _>>().map(Target::Tags)
}
