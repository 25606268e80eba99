//! What the labels of a file are for: the kind of task, and lists that stand in cells as text.

use crate::columns::is_numbered;
use crate::labels::{Meaning, is_marked};
use crate::opened::Opened;
use crate::task::{self, Task};
use crate::{Cell, Error, literal};

/// The forms that labels have.
const FORMS: &str = "a label is a word or a number; a list for several labels, or of 0 and 1 with a place for each label; a \
     list of tags beside a list of words; or answers as {'text': [..], 'answer_start': [..]}. With --task classification \
     it is a name, whatever it looks like";

impl Opened {
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
            let asked = chosen.is_some();
            let (task, why) = chosen.map_or_else(found, Ok)?;
            task.check_input(true)?;
            // Names of folders are names, whatever they look like.
            if self.named_columns {
                self.read_lists(task)?;
                if !asked {
                    self.check_names()?;
                }
            }
            return Ok((task, why));
        }
        let (task, why) = match chosen {
            Some((task, why)) => {
                task.check_input(false)?;
                if task.labelled {
                    self.read_lists(task)?;
                }
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
                        let text = c.text();
                        literal::looks_like(&text)
                            && !is_marked(&text)
                            && literal::parse(&text).is_ok()
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

    /// That the labels of images are no numbers with fractions, which are answers and no classes.
    fn check_names(&self) -> Result<(), Error> {
        let ([_], Some(scan)) = (&self.columns.labels[..], &self.scan) else { return Ok(()) };
        scan.check_marks(&self.table, "image-classification")?;
        match scan.fraction() {
            Some((row, text)) => {
                let message = format!(
                    "the label '{text}' has a fraction, and images have classes alone; if the \
                     numbers are names of classes, say --task image-classification"
                );
                Err(self.table.fault(*row, message))
            }
            None => Ok(()),
        }
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
            if let (false, Some(scan)) = (must, &self.scan) {
                scan.check_marks(&self.table, "classification")?;
            }
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
        if let Some(row) = tags_in_text(&column.cells) {
            let message = "the label looks like tags with blanks between them; write tags and words \
                           as lists, such as [\"B-PER\", \"O\"], or say --task classification";
            return Err(self.table.fault(row, message));
        }
        let (regression, why) = scan.is_regression(&self.table, column)?;
        if let (true, Some((row, word))) = (regression, scan.odd()) {
            let message = format!(
                "the label '{word}' is not a finite number, as most others are; write it as one, leave it empty, or say --task classification"
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
}

/// The first row, if all labels are tags of words (`B-PER O O`) in a text.
fn tags_in_text(cells: &[Cell]) -> Option<usize> {
    let tag = |t: &str| {
        t == "O"
            || matches!(t.split_once('-'), Some(("B" | "I" | "E" | "S" | "L" | "U", k)) if !k.is_empty())
    };
    let full = || cells.iter().enumerate().filter(|(_, c)| !c.is_empty());
    let tags = full().all(|(_, c)| c.text().split_whitespace().all(tag));
    let several = full().find(|(_, c)| c.text().split_whitespace().nth(1).is_some());
    several.filter(|_| tags).map(|(row, _)| row)
}
