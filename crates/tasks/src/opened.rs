//! A file that was read: its classes, and its rows as examples.

use crate::dataset::Rows;
use crate::image::{ImageContent, open_all};
use crate::labels::{Classes, Scan};
use crate::layout::{Layout, Split};
use crate::read::Table;
use crate::task::{File, Row, Task};
use crate::{Cell, Columns, Dataset, Error, Example, Input, Target};

/// What is done with rows whose label is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They end the work.
    #[default]
    Error,
    /// They are left out.
    Drop,
}

/// One split, read from its file.
pub struct Opened {
    pub(crate) layout: Option<&'static Layout>,
    pub(crate) text: String,
    pub(crate) split: Split,
    /// Whether the columns have names that say something.
    pub(crate) named_columns: bool,
    pub(crate) label_needed: bool,
    pub(crate) skip_bad: bool,
    pub(crate) threads: usize,
    pub(crate) missing: Missing,
    pub(crate) max_classes: usize,
    /// What was noticed, for people.
    pub(crate) notes: Vec<String>,
    /// Rows and images that were left out.
    pub(crate) left_out: usize,
    /// The first of them.
    pub(crate) skipped: Vec<String>,
    /// A path, and the name that the user gave it.
    pub(crate) named: Option<(String, String)>,
    /// The labels, where a row has one.
    pub(crate) scan: Option<Scan>,
    pub(crate) images: Option<Vec<ImageContent>>,
    pub(crate) table: Table,
    pub(crate) columns: Columns,
}

impl Opened {
    /// The rows.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Which columns are used.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// What was noticed so far, for people.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.table.notes.iter().chain(&self.notes)
    }

    /// Names of the columns of the texts or the image, and of the labels; nothing where images are
    /// in no table.
    pub fn column_names(&self) -> (Vec<String>, Vec<String>) {
        if !self.named_columns {
            return (Vec::new(), Vec::new());
        }
        let name = |i: &usize| self.table.columns[*i].name.clone();
        let Columns { texts, labels, image } = &self.columns;
        (texts.iter().chain(image).map(name).collect(), labels.iter().map(name).collect())
    }

    /// Rows that could not be read end the work, or are listed.
    pub(crate) fn leave_out_bad(&mut self) -> Result<(), Error> {
        let mut bad = std::mem::take(&mut self.table.bad);
        if self.label_needed && !self.table.headers.is_empty() {
            let headers = std::mem::take(&mut self.table.headers);
            for &place in &headers {
                bad.push(place, || "equals the header".into());
            }
            let is_header = |place: &u32| headers.binary_search(place).is_ok();
            let keep: Vec<bool> = self.table.places.iter().map(|p| !is_header(p)).collect();
            retain(&mut self.table, &keep);
        } else if let Some(first) = self.table.headers.first() {
            let (n, what) = (self.table.headers.len(), self.table.form.places);
            self.notes.push(format!("{n} rows equal the header, the first in {what} {first}"));
        }
        if self.label_needed {
            // As texts, different bytes could be the same.
            let (table, labels) = (&self.table, &self.columns.labels);
            let of = |row| labels.iter().find(|&&label| table.cell(row, label).has_bytes());
            let mut keep = vec![true; table.len()];
            for (row, keep) in keep.iter_mut().enumerate() {
                let Some(&label) = of(row) else { continue };
                *keep = false;
                bad.push(table.places[row], || {
                    let name = &table.columns[label].name;
                    format!("the label (column '{name}') is bytes that are not UTF-8")
                });
            }
            if keep.contains(&false) {
                retain(&mut self.table, &keep);
            }
        }
        if bad.count == 0 {
            return Ok(());
        }
        let faults = bad.first.into_iter().map(|(p, message)| self.table.fault_at(p, message));
        let mut faults = faults.map(|e| e.to_string()).peekable();
        if !self.skip_bad {
            let first = faults.next().unwrap_or_default();
            let others = match bad.count - 1 {
                0 => String::new(),
                n => format!(" ({n} more rows cannot be read)"),
            };
            return Err(Error::Usage(format!("{first}{others}. --skip-bad leaves such rows out")));
        }
        self.skipped.extend(faults);
        self.left_out += bad.count;
        match self.table.is_empty() {
            true => Err(Error::file(&self.table.path, "holds no row that can be read")),
            false => Ok(()),
        }
    }

    /// Class names in their order, for a task that has classes.
    ///
    /// # Errors
    /// If the labels do not fit the kind, or are too many.
    pub fn labels(&mut self, task: &Task) -> Result<Vec<String>, Error> {
        if !task.labelled {
            return Ok(Vec::new());
        }
        if self.label_needed {
            self.without_label(task)?;
        }
        let fixed = self.layout.map_or(&[][..], |l| l.labels);
        if !fixed.is_empty() {
            return Ok(fixed.iter().map(ToString::to_string).collect());
        }
        let (names, notes) = (task.labels)(&File {
            table: &self.table,
            columns: &self.columns,
            scan: self.scan.as_ref(),
        })?;
        self.notes.extend(notes);
        if names.len() > self.max_classes {
            let message = format!(
                "has {} different labels in {} rows, more than {}; is '{}' the column of the label? If so, say --max-classes {}",
                names.len(),
                self.table.len(),
                self.max_classes,
                self.column_names().1.join(", "),
                names.len()
            );
            return Err(Error::file(&self.table.path, message));
        }
        Ok(names)
    }

    /// Rows that are no examples: those without a label, and of labelled data those without
    /// anything.
    fn without_label(&mut self, task: &Task) -> Result<(), Error> {
        let (table, columns) = (&self.table, &self.columns);
        let empty = |row: usize| table.columns.iter().all(|c| c.cells[row].is_empty());
        let lacks = |row: usize| {
            columns.labels.iter().any(|&label| {
                let cell = table.cell(row, label);
                match (task.name, &self.scan) {
                    // A text without labels has none of them; only what is not there is missing.
                    ("multilabel", _) => matches!(cell, Cell::Absent | Cell::Missing),
                    ("question-answering" | "token-classification", _) | (_, None) => {
                        cell.is_empty()
                    }
                    (_, Some(scan)) => scan.is_missing(cell),
                }
            })
        };
        let mut keep = vec![true; table.len()];
        let (mut n_empty, mut lacking) = (0, Vec::new());
        for (row, keep) in keep.iter_mut().enumerate() {
            if empty(row) {
                (*keep, n_empty) = (false, n_empty + 1);
            } else if lacks(row) {
                *keep = false;
                lacking.push(row);
            }
        }
        if let Some(&first) = lacking.first() {
            let label = columns.labels.iter().map(|&l| table.columns[l].name.as_str());
            let label = label.collect::<Vec<_>>().join("', '");
            let n = lacking.len();
            if self.missing == Missing::Error {
                let others =
                    if n > 1 { format!(", and in {} more rows", n - 1) } else { String::new() };
                let message = format!(
                    "the label (column '{label}') is missing{others}, of {} rows; --missing drop leaves such rows out",
                    table.len()
                );
                return Err(table.fault(first, message));
            }
            self.left_out += n;
            let what = table.form.places;
            let line = |row: &usize| format!("{what} {}: the label is missing", table.places[*row]);
            self.skipped.extend(lacking.iter().take(1000).map(line));
            self.notes.push(format!("{n} rows without a label are left out"));
        }
        if n_empty > 0 {
            self.notes.push(format!("{n_empty} rows without anything in them are left out"));
        }
        if keep.iter().any(|k| !k) {
            if let Some(images) = &mut self.images {
                let mut kept = keep.iter();
                images.retain(|_| kept.next().copied().unwrap_or(true));
            }
            retain(&mut self.table, &keep);
        }
        Ok(())
    }

    /// The examples. Where no labels are needed, each row is one.
    ///
    /// # Errors
    /// If a label is missing or not among `labels`, or a row does not fit the task.
    pub fn examples(self, task: &Task, labels: &[String]) -> Result<(Dataset, Vec<String>), Error> {
        let (rows, notes) = self.rows(task, labels)?;
        Ok((rows.into_dataset(), notes))
    }

    /// As [`Opened::examples`], still to be divided.
    pub(crate) fn rows(
        mut self,
        task: &Task,
        labels: &[String],
    ) -> Result<(Rows, Vec<String>), Error> {
        let labelled = self.label_needed && task.labelled && !self.columns.labels.is_empty();
        if labelled {
            self.without_label(task)?;
        }
        let images = match self.images.take() {
            Some(contents) => Some(open_all(&self.table, contents, self.threads).into_iter()),
            None => None,
        };
        let is_images = images.is_some();
        task.check_input(is_images)?;
        let mut images = images;
        let of_column = match self.columns.labels[..] {
            [label] => self.table.columns[label].names.clone(),
            _ => None,
        };
        let classes = Classes::new(labels, of_column);
        let is_file = self.table.path.is_file();
        let mut examples = Vec::with_capacity(self.table.len());
        for row in 0..self.table.len() {
            let image = images.as_mut().and_then(Iterator::next);
            let mut row = Row { table: &mut self.table, row, columns: &self.columns, labelled };
            let example = || -> Result<Example, Error> {
                let input = match image {
                    // The name is what stands in the column of images.
                    Some(_) if row.table.cell(row.row, 0).is_empty() => {
                        let name = &row.table.columns[0].name;
                        return Err(row.fault(format!("has no image in its column '{name}'")));
                    }
                    Some(Ok(image)) => Input::Image(image),
                    Some(Err(fault)) if is_file => return Err(row.fault(fault.to_string())),
                    Some(Err(fault)) => return Err(fault),
                    None => (task.input)(&mut row)?,
                };
                let target = match labelled {
                    true => (task.target)(&row, &input, &classes)?,
                    false => Target::None,
                };
                Ok(Example { input, target })
            };
            match example() {
                Ok(example) => examples.push(example),
                Err(fault) if self.skip_bad => {
                    self.left_out += 1;
                    if self.skipped.len() < 1000 {
                        self.skipped.push(fault.to_string());
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        if examples.is_empty() {
            let what = if is_images { "images" } else { "rows" };
            let message = format!("none of its {} {what} can be used", self.left_out);
            return Err(Error::file(&self.table.path, message));
        }
        let notes = self.notes().cloned().collect();
        let (split, source) = (self.split.name().into(), self.text);
        let (left_out, mut skipped) = (self.left_out as u64, self.skipped);
        if let Some((path, place)) = &self.named {
            skipped.iter_mut().for_each(|line| *line = line.replace(path, place));
        }
        Ok((Rows { examples, split, source, left_out, skipped }, notes))
    }
}

/// Keeps some rows of a table.
fn retain(table: &mut Table, keep: &[bool]) {
    fn of<T>(list: &mut Vec<T>, keep: &[bool]) {
        let mut keep = keep.iter();
        list.retain(|_| keep.next().copied().unwrap_or(true));
    }
    of(&mut table.places, keep);
    table.columns.iter_mut().for_each(|c| of(&mut c.cells, keep));
}
