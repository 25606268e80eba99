//! One of several classes for a text or a pair of texts.

use budwood_base::head::HeadKind;

use super::definition::{File, Row, Task, texts};
use crate::labels::{Classes, class_names};
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "classification",
    head: HeadKind::Classification,
    images: false,
    labelled: true,
    labels,
    input: texts,
    target,
};

fn labels(data: &File<'_>) -> Result<(Vec<String>, Vec<String>), Error> {
    let (Some(scan), [label]) = (data.scan, &data.columns.labels[..]) else {
        let message = "a class has one column of labels; several are for --task multilabel";
        return Err(Error::Usage(message.into()));
    };
    let (names, notes) = class_names(&data.table.columns[*label], scan);
    if let [] | [_] = names[..] {
        let hidden = if names == ["-1"] { ", with which test files hide their labels" } else { "" };
        let message = format!(
            "all rows have the label '{}'{hidden}; at least two classes are needed",
            names.join("")
        );
        return Err(Error::file(&data.table.path, message));
    }
    Ok((names, notes))
}

fn target(row: &Row<'_>, _: &Input, classes: &Classes<'_>) -> Result<Target, Error> {
    let class = classes.find(row.label());
    class.map(Target::Class).ok_or_else(|| row.fault(classes.unknown(row.label())))
}
