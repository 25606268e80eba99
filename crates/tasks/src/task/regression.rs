//! A number for a text or a pair of texts.

use budwood_base::head::HeadKind;

use super::definition::{File, Row, Task, texts};
use crate::labels::{Classes, Scan};
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "regression",
    head: HeadKind::Regression,
    images: false,
    labelled: true,
    labels,
    input: texts,
    target,
};

/// Numbers have no names; one alone leaves nothing to learn.
fn labels(data: &File<'_>) -> Result<(Vec<String>, Vec<String>), Error> {
    match data.scan.and_then(Scan::only_number) {
        Some(number) => {
            let message = format!("all rows have the number {number}; two at least are needed");
            Err(Error::file(&data.table.path, message))
        }
        None => Ok((Vec::new(), Vec::new())),
    }
}

fn target(row: &Row<'_>, _: &Input, _: &Classes<'_>) -> Result<Target, Error> {
    // A text is taken at the nearest number of 32 bits, without a detour over 64.
    let number = match row.label() {
        crate::Cell::Text(text) => text.trim().parse::<f32>().ok(),
        cell => cell.number().map(|x| x as f32),
    };
    number.filter(|x| x.is_finite()).map(Target::Value).ok_or_else(|| {
        row.fault(format!(
            "the label '{}' is not a finite number; write it as one, or leave it empty and say --missing drop; for a task \
             with classes say --task classification",
            row.label().text()
        ))
    })
}
