//! One of several classes for an image.

use super::classification;
use super::definition::Task;

pub(super) const TASK: Task =
    Task { name: "image-classification", images: true, ..classification::TASK };
