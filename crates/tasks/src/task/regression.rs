//! A number for a text or a pair of texts.

use budwood_base::head::HeadKind;

use super::{Cells, Task, texts};
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "regression",
    head: HeadKind::Regression,
    metrics: &["spearman", "pearson"],
    labels: |_, _, _| Ok(Vec::new()),
    input: texts,
    target,
};

fn target(cells: &Cells<'_>, _: &Input, _: &[String]) -> Result<Target, Error> {
    let text = cells.label();
    let number = text.trim().parse::<f32>().ok().filter(|x| x.is_finite());
    number.map(Target::Value).ok_or_else(|| {
        let message = format!(
            "the label '{text}' is not a number; for a task with classes say --task classification"
        );
        cells.fault(message)
    })
}
