//! Any number of several labels for a text or a pair of texts. A cell holds the labels of its row with `|`, `;` or `,` between them,
//! the first of these that occurs in the column; an empty cell means none.

use budwood_base::head::HeadKind;
use std::collections::BTreeSet;

use super::{Cells, Task, texts};
use crate::read::Table;
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "multilabel",
    head: HeadKind::MultiLabel,
    metrics: &["micro_f1", "macro_f1", "exact_match"],
    labels,
    input: texts,
    target,
};

const SEPARATORS: [char; 3] = ['|', ';', ','];

fn split(text: &str, separator: char) -> Vec<&str> {
    text.split(separator).map(str::trim).filter(|l| !l.is_empty()).collect()
}

fn labels(table: &Table, label: usize, fixed: Vec<String>) -> Result<Vec<String>, Error> {
    if !fixed.is_empty() {
        return Ok(fixed);
    }
    let cells = || table.rows.iter().map(|row| row.cells[label].as_str());
    let separator = SEPARATORS.into_iter().find(|s| cells().any(|c| c.contains(*s)));
    let Some(separator) = separator else {
        let message = "no row has several labels, with |, ; or , between them; for one label a row say --task classification";
        return Err(Error::file(&table.path, message));
    };
    let seen: BTreeSet<&str> = cells().flat_map(|c| split(c, separator)).collect();
    Ok(seen.into_iter().map(ToString::to_string).collect())
}

fn target(cells: &Cells<'_>, _: &Input, labels: &[String]) -> Result<Target, Error> {
    let text = cells.label();
    let known = |separator: char| -> Option<Vec<f32>> {
        let mut holds = vec![0.0; labels.len()];
        for label in split(text, separator) {
            holds[labels.iter().position(|known| known == label)?] = 1.0;
        }
        Some(holds)
    };
    SEPARATORS.into_iter().find_map(known).map(Target::Labels).ok_or_else(|| {
        let known = labels.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        cells.fault(format!("'{text}' names a label that is not one of {known}"))
    })
}
