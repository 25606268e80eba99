//! One of several classes for an image.

use budwood_base::head::HeadKind;

use super::{Task, classification};

pub(super) const TASK: Task = Task {
    name: "image-classification",
    head: HeadKind::Classification,
    metrics: &["accuracy", "top5", "mean_class_accuracy", "macro_f1"],
    ..classification::TASK
};
