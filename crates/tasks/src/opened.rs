//! A file that was read: what its labels are, and its rows as examples.

use crate::columns::is_numbered;
use crate::dataset::Rows;
use crate::image::{ImageContent, open_all};
use crate::labels::{Classes, Meaning, Scan};
use crate::layout::{Layout, Split};
use crate::read::Table;
use crate::task::{self, Row, Task};
use crate::{Cell, Columns, Dataset, Error, Example, Input, Missing, Target, literal};

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
    /// The labels, where a row has one.
    pub(crate) scan: Option<Scan>,
    pub(crate) images: Option<Vec<ImageContent>>,
    pub(crate) table: Table,
    pub(crate) columns: Columns,
}

/// The forms that labels have.
const FORMS: &str = "a label is a word or a number; a list for several labels, or of 0 and 1 with a place for each label; a \
     list of tags beside a list of words; or answers as {'text': [..], 'answer_start': [..]}. With --task classification \
     it is a name, whatever it looks like";

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

    /// Finds what the labels are for, or takes the kind of task that was chosen; also why. Lists
    /// that stand in cells as text are read.
    ///
    /// # Errors
    /// If the labels fit no kind, or not the chosen one.
    pub fn settle(
        &mut self,
        chosen: Option<&'static Task>,
    ) -> Result<(&'static Task, String), Error> {
        let chosen = match (chosen, self.layout) {
            (Some(task), _) => Some((task, "as asked for".to_string())),
            (None, Some(layout)) => {
                let why = format!("{} is a {} task", layout.name, layout.kind);
                Some((task::find(layout.kind)?, why))
            }
            (None, None) => None,
        };
        if self.images.is_some() {
            let found = || Ok((task::find("image-classification")?, "the data are images".into()));
            let (task, why) = chosen.map_or_else(found, Ok)?;
            task.check_input(true)?;
            return Ok((task, why));
        }
        let (task, why) = match chosen {
            Some((task, why)) => {
                task.check_input(false)?;
                self.read_lists(task)?;
                (task, why)
            }
            None => self.detect()?,
        };
        if task.name == "regression"
            && let Some(scan) = &mut self.scan
        {
            scan.meaning = Meaning::Numbers;
        }
        self.note_numbered_header();
        Ok((task, why))
    }

    /// Reads lists for a kind of task that is known.
    fn read_lists(&mut self, task: &Task) -> Result<(), Error> {
        let labels = self.columns.labels.clone();
        let texts = self.columns.texts.clone();
        match task.name {
            "token-classification" => {
                for column in texts.iter().take(1).chain(&labels) {
                    self.parse_lists(*column, false)?;
                }
            }
            "multilabel" | "question-answering" => {
                for column in labels {
                    self.parse_lists(column, false)?;
                }
            }
            _ => {
                for column in labels {
                    let typed = |c: &Cell| matches!(c, Cell::List(_) | Cell::Dict(_));
                    let cells = &self.table.columns[column].cells;
                    let all = |is: &dyn Fn(&Cell) -> bool| {
                        let mut full = cells.iter().filter(|c| !c.is_empty()).peekable();
                        full.peek().is_some() && full.all(is)
                    };
                    let as_text = |c: &Cell| {
                        literal::looks_like(&c.text()) && literal::parse(&c.text()).is_ok()
                    };
                    let row = cells.iter().position(typed);
                    let row = row.or_else(|| {
                        all(&as_text).then(|| cells.iter().position(as_text)).flatten()
                    });
                    if let Some(row) = row {
                        let text: String = cells[row].text().chars().take(60).collect();
                        let message = format!(
                            "the label {text} is a list or a dictionary, which no {} has",
                            task.name
                        );
                        return Err(self.table.fault(row, message));
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads what stands as text in a column as lists and dictionaries, if all of it can be read
    /// so; whether it is so. Where it must be, a cell that cannot be read is an error.
    fn parse_lists(&mut self, column: usize, must: bool) -> Result<bool, Error> {
        let cells = &self.table.columns[column].cells;
        if !cells.iter().any(|c| matches!(c, Cell::Text(text) if literal::looks_like(text))) {
            return Ok(cells.iter().any(|c| matches!(c, Cell::List(_) | Cell::Dict(_))));
        }
        let mut parsed = Vec::with_capacity(cells.len());
        for (row, cell) in cells.iter().enumerate() {
            parsed.push(match cell {
                Cell::Text(text) if !text.trim().is_empty() => {
                    let value = match literal::looks_like(text) {
                        true => literal::parse(text),
                        false => Err("others in its column are lists, and it is none".into()),
                    };
                    match value {
                        Ok(value) => Some(value),
                        Err(_) if !must => return Ok(false),
                        Err(reason) => {
                            let shown: String = text.trim().chars().take(60).collect();
                            let message = format!(
                                "the label {shown} cannot be read: {reason}. What is read: {FORMS}"
                            );
                            return Err(self.table.fault(row, message));
                        }
                    }
                }
                _ => None,
            });
        }
        for (cell, value) in self.table.columns[column].cells.iter_mut().zip(parsed) {
            if let Some(value) = value {
                *cell = value;
            }
        }
        let name = self.table.columns[column].name.clone();
        self.notes.push(format!(
            "column '{name}': what stands in it as text is read as lists or dictionaries"
        ));
        Ok(true)
    }

    /// What the labels are for.
    fn detect(&mut self) -> Result<(&'static Task, String), Error> {
        let labels = self.columns.labels.clone();
        let [label] = labels[..] else {
            return match labels.is_empty() {
                true => Ok((task::find("classification")?, "there are no labels".into())),
                false => {
                    Ok((task::find("multilabel")?, format!("{} columns are labels", labels.len())))
                }
            };
        };
        let begins =
            |c: &Cell| matches!(c, Cell::Text(t) if t.trim_start().starts_with(['[', '{']));
        let cells = &self.table.columns[label].cells;
        let full = |c: &&Cell| !c.is_empty();
        let must = cells.iter().any(begins);
        let all_look = || cells.iter().filter(full).all(|c| literal::looks_like(&c.text()));
        if must || all_look() {
            self.parse_lists(label, must)?;
        }
        let cells = &self.table.columns[label].cells;
        let typed = |c: &&Cell| matches!(c, Cell::List(_) | Cell::Dict(_));
        if !cells.iter().any(|c| typed(&c)) {
            return self.detect_single(label);
        }
        if let Some(row) = cells.iter().position(|c| !typed(&c) && !c.is_empty()) {
            let message =
                format!("the label is a {}, but others are lists. {FORMS}", cells[row].kind());
            return Err(self.table.fault(row, message));
        }
        let is_answer = |c: &Cell| c.entry("text").is_some() && c.entry("answer_start").is_some();
        let answers = |c: &&Cell| match c {
            Cell::List(list) => !list.is_empty() && list.iter().all(is_answer),
            cell => is_answer(cell),
        };
        let empty = |c: &&Cell| c.list().is_some_and(<[Cell]>::is_empty);
        if cells.iter().any(|c| answers(&c)) {
            return Ok((
                task::find("question-answering")?,
                "the labels are answers with their places".into(),
            ));
        }
        let single = |c: &Cell| !matches!(c, Cell::List(_) | Cell::Dict(_));
        let scalars = |c: &&Cell| c.list().is_some_and(|list| list.iter().all(single));
        if let Some(row) = cells.iter().position(|c| !c.is_empty() && !scalars(&c) && !empty(&c)) {
            let shown: String = cells[row].text().chars().take(60).collect();
            return Err(self
                .table
                .fault(row, format!("the label {shown} has no form that is read: {FORMS}")));
        }
        if let [text] = self.columns.texts[..] {
            self.parse_lists(text, false)?;
            let (texts, labels) =
                (&self.table.columns[text].cells, &self.table.columns[label].cells);
            if texts.iter().any(|c| c.list().is_some()) {
                return Ok((
                    task::find("token-classification")?,
                    "the labels are lists beside lists of words".into(),
                ));
            }
            let _ = labels;
        }
        let by_column = task::by_column(&self.table.columns[label].cells);
        Ok((
            task::find("multilabel")?,
            match by_column {
                Some(n) => format!("the labels are lists of {n} times 0 or 1"),
                None => "the labels are lists beside texts".into(),
            },
        ))
    }

    /// What labels are for that are neither lists nor dictionaries.
    fn detect_single(&self, label: usize) -> Result<(&'static Task, String), Error> {
        let column = &self.table.columns[label];
        let name = |i: &usize| self.table.columns[*i].name.to_lowercase();
        let texts: Vec<String> = self.columns.texts.iter().map(name).collect();
        let asks =
            texts == ["question", "context"] && column.name.to_lowercase().starts_with("answer");
        if asks {
            return Ok((
                task::find("question-answering")?,
                "there are a question, a context and an answer".into(),
            ));
        }
        let Some(scan) = &self.scan else {
            return Ok((task::find("classification")?, String::new()));
        };
        if column.cells.iter().all(|c| scan.is_missing(c)) {
            return Err(Error::file(
                &self.table.path,
                format!("has no label in its column '{}'", column.name),
            ));
        }
        let (regression, why) = scan.is_regression(&self.table, column)?;
        if let (true, Some((row, word))) = (regression, scan.odd()) {
            let message = format!(
                "the label '{word}' is no finite number, as most others are; write it as one, leave it empty, or say --task classification"
            );
            return Err(self.table.fault(*row, message));
        }
        Ok((task::find(if regression { "regression" } else { "classification" })?, why))
    }

    /// Where columns were named by number, the first row may be one of data.
    fn note_numbered_header(&mut self) {
        let [label] = self.columns.labels[..] else { return };
        let column = &self.table.columns[label];
        let is_text = self.table.form.separator.is_some() && !is_numbered(&self.table);
        let same = column.cells.iter().filter(|c| c.text().trim() == column.name).count();
        if is_text && same > 1 {
            self.notes.push(format!(
                "the first line names the column of the labels '{0}', which {same} rows have as label; if the file has no header, say --no-header",
                column.name
            ));
        }
    }

    /// Class names in their order, for a task that has classes.
    ///
    /// # Errors
    /// If the labels do not fit the kind, or are too many.
    pub fn labels(&mut self, task: &Task) -> Result<Vec<String>, Error> {
        if self.label_needed {
            self.without_label(task)?;
        }
        let fixed = self.layout.map_or(&[][..], |l| l.labels);
        if !fixed.is_empty() {
            return Ok(fixed.iter().map(ToString::to_string).collect());
        }
        let (names, notes) = (task.labels)(self)?;
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
            if self.images.is_none() && empty(row) {
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
        let labelled = self.label_needed && !self.columns.labels.is_empty();
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
        let (left_out, skipped) = (self.left_out as u64, self.skipped);
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
