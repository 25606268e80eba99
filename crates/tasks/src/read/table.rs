//! Rows of typed cells with named columns, and what is known of the file that they stood in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Cell, Error};

/// Rows with named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// The columns, each with a cell for every row.
    pub columns: Vec<Column>,
    /// The place of each row in the file, from 1: for messages.
    pub places: Vec<u32>,
    /// Rows that could not be read.
    pub bad: Bad,
    /// Rows that equal the header.
    pub headers: Vec<u32>,
    /// What the file is.
    pub form: Form,
    /// What was noticed, for people.
    pub notes: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// A cell for each row.
    pub cells: Vec<Cell>,
    /// Names of the classes that its numbers stand for, where the file has them.
    pub names: Option<Vec<String>>,
}

/// Rows that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    /// How many.
    pub count: usize,
    /// The first of them: the place, and what is wrong.
    pub first: Vec<(u32, String)>,
}

impl Bad {
    /// So many are listed.
    const LISTED: usize = 1000;

    pub(crate) fn push(&mut self, place: u32, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::LISTED {
            self.first.push((place, message()));
        }
    }
}

/// What a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Form {
    /// Its form, such as `CSV`.
    pub name: &'static str,
    /// What places of rows are called: `line` or `row`.
    #[serde(skip)]
    pub places: &'static str,
    /// What it was packed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<&'static str>,
    /// How its text is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// What stands between fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<&'static str>,
}

impl Form {
    /// The form of text that no column divides.
    pub(super) const PLAIN: &str = "plain text";

    /// Whether no column divides the text.
    pub(crate) fn is_plain(&self) -> bool {
        self.name == Self::PLAIN
    }
}

impl Table {
    pub(crate) fn new(path: &Path, form: Form, columns: &[&str]) -> Self {
        let column = |name: &&str| Column { name: (*name).into(), ..Column::default() };
        Self {
            path: path.into(),
            columns: columns.iter().map(column).collect(),
            places: Vec::new(),
            bad: Bad::default(),
            headers: Vec::new(),
            form,
            notes: Vec::new(),
        }
    }

    /// A table that no file holds. Messages call it `name`, and its rows by their index from 0.
    ///
    /// # Errors
    /// If there is no row, there are more than `u32::MAX`, or columns have different lengths.
    pub fn in_memory(name: &str, columns: Vec<Column>) -> Result<Self, Error> {
        let form = Form { name: "memory", places: "index", ..Form::default() };
        let mut table = Self::new(Path::new(name), form, &[]);
        let rows = columns.first().map_or(0, |c| c.cells.len());
        let fault = |message: String| Err(Error::file(name, message));
        if let Some(odd) = columns.iter().find(|c| c.cells.len() != rows) {
            return fault(format!("has {rows} rows, but {} of '{}'", odd.cells.len(), odd.name));
        }
        match u32::try_from(rows) {
            Ok(0) => return fault("holds no row of data".into()),
            Ok(rows) => table.places = (0..rows).collect(),
            Err(_) => return fault(format!("has {rows} rows; at most {} are read", u32::MAX)),
        }
        table.columns = columns;
        Ok(table)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }

    /// A cell.
    pub fn cell(&self, row: usize, column: usize) -> &Cell {
        &self.columns[column].cells[row]
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn push(&mut self, place: usize, cells: impl IntoIterator<Item = Cell>) {
        self.places.push(u32::try_from(place).unwrap_or(u32::MAX));
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.cells.push(cell));
    }

    /// A fault of a row.
    pub(crate) fn fault(&self, row: usize, message: impl Into<String>) -> Error {
        self.fault_at(self.places[row], message)
    }

    /// A fault at a place.
    pub(crate) fn fault_at(&self, place: u32, message: impl Into<String>) -> Error {
        Error::row(&self.path, self.form.places, place as usize, message)
    }
}

/// Makes a table of rows whose cells have names; rows may lack some.
pub(crate) struct Builder {
    table: Table,
    index: HashMap<String, usize>,
    /// Cells that may be filled in where rows lack them.
    room: usize,
}

impl Builder {
    /// For a file of so many bytes.
    pub(crate) fn new(path: &Path, form: Form, bytes: usize) -> Self {
        let room = bytes.max(1 << 20);
        Self { table: Table::new(path, form, &[]), index: HashMap::new(), room }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, place: usize, entries: Vec<(String, Cell)>) -> Result<(), Error> {
        let row = self.table.len();
        for (i, (name, cell)) in entries.into_iter().enumerate() {
            // Mostly rows have the same names in the same order.
            let place = match self.table.columns.get(i).filter(|c| c.name == name) {
                Some(_) => i,
                None => match self.index.get(&name) {
                    Some(&place) => place,
                    None => {
                        let place = self.table.columns.len();
                        self.index.insert(name.clone(), place);
                        self.table.columns.push(Column { name, ..Column::default() });
                        place
                    }
                },
            };
            self.fill(place, row)?;
            self.table.columns[place].cells.push(cell);
        }
        self.table.places.push(u32::try_from(place).unwrap_or(u32::MAX));
        Ok(())
    }

    pub(crate) fn bad(&mut self, place: usize, message: impl FnOnce() -> String) {
        self.table.bad.push(u32::try_from(place).unwrap_or(u32::MAX), message);
    }

    /// Fills a column up to so many rows.
    fn fill(&mut self, column: usize, rows: usize) -> Result<(), Error> {
        let columns = self.table.columns.len();
        let cells = &mut self.table.columns[column].cells;
        let lacking = rows - cells.len();
        self.room = self.room.checked_sub(lacking).ok_or_else(|| {
            let message = format!(
                "has {columns} different keys in {rows} rows, most of which lack most of them; \
                 leave out the keys that are not needed"
            );
            Error::file(&self.table.path, message)
        })?;
        cells.resize(rows, Cell::Absent);
        Ok(())
    }

    /// The table.
    pub(crate) fn finish(mut self) -> Result<Table, Error> {
        for column in 0..self.table.columns.len() {
            self.fill(column, self.table.len())?;
        }
        Ok(self.table)
    }
}
