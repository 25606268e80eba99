//! What a kind of task is.

use budwood_base::head::HeadKind;

use crate::labels::{Classes, Scan};
use crate::read::Table;
use crate::{Cell, Columns, Error, Input, Target};

/// A kind of task: how rows become examples, and which scores fit.
pub struct Task {
    /// Its name.
    pub name: &'static str,
    /// The head that it needs.
    pub head: HeadKind,
    /// Whether it is about images.
    pub(crate) images: bool,
    /// Whether its examples have labels.
    pub(crate) labelled: bool,
    /// Class names from the labels of a file, and what was noticed about them; none for numbers.
    pub(crate) labels: LabelsOf,
    /// What the model is shown of a row; of images it is known before.
    pub(crate) input: fn(&mut Row<'_>) -> Result<Input, Error>,
    /// What the answer to it should be, given the classes.
    pub(crate) target: fn(&Row<'_>, &Input, &Classes<'_>) -> Result<Target, Error>,
}

/// Names of classes, and notes on them, from a file.
type LabelsOf = fn(&File<'_>) -> Result<(Vec<String>, Vec<String>), Error>;

/// A file whose labels are looked at.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) table: &'a Table,
    pub(crate) columns: &'a Columns,
    /// What the labels are, where a row has one.
    pub(crate) scan: Option<&'a Scan>,
}

/// One row that an example is made from. Texts are taken out of it.
pub(crate) struct Row<'a> {
    pub(crate) table: &'a mut Table,
    pub(crate) row: usize,
    pub(crate) columns: &'a Columns,
    /// Whether its label is known.
    pub(crate) labelled: bool,
}

impl Row<'_> {
    /// One text, or two.
    pub(super) fn texts(&mut self) -> Result<(String, Option<String>), Error> {
        let texts = &self.columns.texts;
        let first = texts.first().map_or(Ok(String::new()), |&t| self.text(t))?;
        Ok((first, texts.get(1).map(|&t| self.text(t)).transpose()?))
    }

    /// The text of a column.
    pub(super) fn text(&mut self, column: usize) -> Result<String, Error> {
        let cell = std::mem::take(&mut self.table.columns[column].cells[self.row]);
        let name = || format!("'{}'", self.table.columns[column].name);
        match cell {
            Cell::Text(text) => Ok(text),
            Cell::Absent => Err(self.fault(format!("lacks {}", name()))),
            Cell::Bytes(_) => {
                let message = format!(
                    "the column {} holds bytes that are not UTF-8; write texts as texts, or name the column of images with --image-column",
                    name()
                );
                Err(self.fault(message))
            }
            Cell::Dict(_) => {
                Err(self.fault(format!("the column {} holds a dictionary, not a text", name())))
            }
            // The words of a text whose answer is not a list.
            Cell::List(list) => match list.iter().all(|c| matches!(c, Cell::Text(_))) {
                true => Ok(list.iter().map(Cell::text).collect::<Vec<_>>().join(" ")),
                false => Err(self.fault(format!("the column {} holds a list, not a text", name()))),
            },
            other => Ok(other.text().into_owned()),
        }
    }

    /// The label; missing where there is none.
    pub(super) fn label(&self) -> &Cell {
        self.columns.labels.first().map_or(&Cell::Missing, |&l| self.table.cell(self.row, l))
    }

    /// The cell of a column by name.
    pub(super) fn named(&self, column: &str) -> Option<&Cell> {
        let of_name = |c: &&crate::read::Column| c.name.eq_ignore_ascii_case(column);
        self.table.columns.iter().find(of_name).map(|c| &c.cells[self.row])
    }

    /// A fault of this row.
    pub(crate) fn fault(&self, message: impl Into<String>) -> Error {
        self.table.fault(self.row, message)
    }
}

/// One text or two, as they are.
pub(super) fn texts(row: &mut Row<'_>) -> Result<Input, Error> {
    let (a, b) = row.texts()?;
    Ok(Input::texts(a, b))
}

impl Task {
    /// Whether its examples have labels. Without, a text file is read as texts, not as a table.
    pub fn is_labelled(&self) -> bool {
        self.labelled
    }

    /// Checks that examples of images, or of texts, are what the task is about.
    pub(crate) fn check_input(&self, images: bool) -> Result<(), Error> {
        match (images, self.images) {
            (true, false) => Err(Error::Usage(format!(
                "the data are images, but the task is {}; images are classified: --task image-classification",
                self.name
            ))),
            (false, true) => Err(Error::Usage(format!(
                "the data are texts, but the task is {}; name the column of images with --image-column, or leave --task out",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}
