//! One of several classes for a text or a pair of texts.

use budwood_base::head::HeadKind;
use std::collections::BTreeSet;

use super::{Cells, Task, texts};
use crate::read::Table;
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "classification",
    head: HeadKind::Classification,
    metrics: &["accuracy", "f1", "macro_f1", "matthews"],
    labels,
    input: texts,
    target,
};

/// The labels in the order of their numbers, or of their names.
fn labels(table: &Table, label: usize, fixed: Vec<String>) -> Result<Vec<String>, Error> {
    if !fixed.is_empty() {
        return Ok(fixed);
    }
    let mut seen = BTreeSet::new();
    for row in &table.rows {
        let text = row.cells[label].trim();
        if text.is_empty() {
            return Err(Error::row(&table.path, row.number, "the label is empty"));
        }
        if text.parse::<f64>().is_ok_and(|x| x.fract() != 0.0) {
            let message = format!(
                "the label '{text}' is a number with a fraction; for a task with numbers as answers say --task regression"
            );
            return Err(Error::row(&table.path, row.number, message));
        }
        seen.insert(text.to_string());
    }
    let mut labels: Vec<String> = seen.into_iter().collect();
    if labels.iter().all(|l| l.parse::<i64>().is_ok()) {
        labels.sort_by_key(|l| l.parse::<i64>().unwrap_or_default());
    }
    if labels.len() < 2 {
        let message = format!(
            "all rows have the label '{}'; at least two classes are needed",
            labels.join("")
        );
        return Err(Error::file(&table.path, message));
    }
    Ok(labels)
}

fn target(cells: &Cells<'_>, _: &Input, labels: &[String]) -> Result<Target, Error> {
    let text = cells.label().trim();
    match labels.iter().position(|l| l == text) {
        Some(class) => Ok(Target::Class(class as u32)),
        None => {
            let mut known: Vec<&str> = labels.iter().take(20).map(String::as_str).collect();
            if labels.len() > known.len() {
                known.push("...");
            }
            let message = format!("the label '{text}' is not one of {}", known.join(", "));
            Err(cells.fault(message))
        }
    }
}
