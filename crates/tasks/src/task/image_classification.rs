//! One of several classes for an image.

use budwood_base::head::HeadKind;

use super::classification;
use super::definition::Task;

pub(super) const TASK: Task =
    Task { name: "image-classification", head: HeadKind::Classification, ..classification::TASK };
