//! A number for a text or a pair of texts.

use std::path::Path;

use budwood_base::head::HeadKind;

use super::Task;
use crate::{Error, Target};

pub(super) const TASK: Task = Task {
    name: "regression",
    head: HeadKind::Regression,
    metrics: &["spearman", "pearson"],
    labels: |_, _, _| Ok(Vec::new()),
    target,
};

fn target(path: &Path, row: usize, text: &str, _: &[String]) -> Result<Target, Error> {
    let number = text.trim().parse::<f32>().ok().filter(|x| x.is_finite());
    number.map(Target::Value).ok_or_else(|| {
        let message = format!(
            "the label '{text}' is not a number; for a task with classes say --task classification"
        );
        Error::row(path, row, message)
    })
}
