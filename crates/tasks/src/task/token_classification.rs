//! A tag for each word of a sentence. A row's text and label are lists, as the reader of CoNLL's
//! columns makes them.

use std::collections::BTreeSet;

use budwood_base::head::HeadKind;

use super::definition::{File, Row, Task};
use crate::labels::Classes;
use crate::{Cell, Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "token-classification",
    head: HeadKind::TokenClassification,
    images: false,
    labelled: true,
    labels,
    input,
    target,
};

fn labels(data: &File<'_>) -> Result<(Vec<String>, Vec<String>), Error> {
    let [label] = data.columns.labels[..] else {
        return Err(Error::Usage("tags stand in one column".into()));
    };
    let column = &data.table.columns[label];
    if let Some(names) = &column.names {
        return Ok((names.clone(), Vec::new()));
    }
    let mut seen = BTreeSet::new();
    for (row, cell) in column.cells.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
        let Some(tags) = cell.list() else {
            let message = "the tags are not a list of names, such as [\"B-PER\", \"O\"]";
            return Err(data.table.fault(row, message));
        };
        if tags.iter().any(Cell::is_empty) {
            return Err(data.table.fault(row, "a tag is empty"));
        }
        if let Some(tag) = tags.iter().find(|t| t.number().is_some_and(|x| x < 0.0)) {
            let message = format!(
                "the tag {} is below 0; it marks what does not count for other tools, and each word \
                 needs a tag here",
                tag.text()
            );
            return Err(data.table.fault(row, message));
        }
        seen.extend(tags.iter().map(|t| t.text().into_owned()));
    }
    if seen.len() < 2 {
        let tags = seen.into_iter().collect::<String>();
        let message = format!("all words have the tag '{tags}'; at least two tags are needed");
        return Err(Error::file(&data.table.path, message));
    }
    let mut names: Vec<String> = seen.into_iter().collect();
    if names.iter().all(|t| t.parse::<i64>().is_ok()) {
        names.sort_by_key(|t| t.parse::<i64>().unwrap_or_default());
        let message = "the tags are numbers; --label-names says what they stand for, and entities need such names as B-PER";
        return Ok((names, vec![message.into()]));
    }
    Ok((names, Vec::new()))
}

fn input(row: &mut Row<'_>) -> Result<Input, Error> {
    let Some(&column) = row.columns.texts.first() else { return Err(row.fault("has no text")) };
    let cell = row.table.cell(row.row, column);
    match cell {
        Cell::List(list)
            if list.iter().all(|w| matches!(w, Cell::Text(_) | Cell::Int(_) | Cell::Number(_))) =>
        {
            let words: Vec<String> = list.iter().map(|w| w.text().into_owned()).collect();
            match words.is_empty() && row.labelled {
                true => Err(row.fault("has no words")),
                false => Ok(Input::Words(words)),
            }
        }
        // What is to be answered may be a plain text.
        Cell::Text(text) if !row.labelled => Ok(Input::words_of(text)),
        Cell::Missing if !row.labelled => Ok(Input::Words(Vec::new())),
        _ => Err(row.fault("the words are not a list, such as [\"One\", \"word\"]")),
    }
}

fn target(row: &Row<'_>, input: &Input, classes: &Classes<'_>) -> Result<Target, Error> {
    let Input::Words(words) = input else { return Err(row.fault("is not a sentence")) };
    let Some(tags) = row.label().list() else {
        return Err(row.fault("the tags are not a list of names"));
    };
    if tags.len() != words.len() {
        let message = format!("has {} words, but {} tags", words.len(), tags.len());
        return Err(row.fault(message));
    }
    let tag = |(i, (word, tag)): (usize, (&String, &Cell))| {
        classes.find(tag).ok_or_else(|| {
            let known = classes.names.join(", ");
            let (n, tag) = (i + 1, tag.text());
            row.fault(format!(
                "word {n} from here, '{word}', has the tag '{tag}', which is not one of {known}"
            ))
        })
    };
    words.iter().zip(tags).enumerate().map(tag).collect::<Result<_, _>>().map(Target::Tags)
}
