//! The data of a run: read from files by a specification, or given by the caller.

use budwood_base::address::layout_and_place;
use budwood_hub::Data;
use budwood_tasks::read::Table;
use budwood_tasks::report::{DataReport, Numbers};
use budwood_tasks::task::{self, Task};
use budwood_tasks::{DataRequest, DataSource, Dataset};
use budwood_train::Scale;
use budwood_train::recipe::FEW_ROWS;

use crate::spec::{ColumnSpec, ReadLimits};
use crate::{Error, Notice, RunSpec};

/// The data of a run.
pub struct RunData {
    /// Kind of the task.
    pub task: &'static Task,
    /// Name of the task in records.
    pub name: String,
    /// Names of the classes or tags; empty where answers are texts or numbers.
    pub labels: Vec<String>,
    /// What is trained on.
    pub train: Dataset,
    /// What chooses.
    pub dev: Option<Dataset>,
    /// What is scored at the end.
    pub test: Option<Dataset>,
    /// Names of the columns of the texts or of the image; empty where files have none.
    pub text_columns: Vec<String>,
    /// Name of the label's column; empty for several, which the labels are named after.
    pub label_column: String,
    /// What the files hold.
    pub report: DataReport,
    /// Rows and images that were left out.
    pub skipped: Vec<String>,
}

/// The data of a run that no file holds: tables with the columns that the specification names.
pub struct Tables {
    /// What is trained on, and what shares are kept of.
    pub train: Table,
    /// What chooses.
    pub dev: Option<Table>,
    /// What is scored at the end.
    pub test: Option<Table>,
}

/// Where the data of a run come from.
struct Sources {
    train: DataSource,
    dev: Option<DataSource>,
    test: Option<DataSource>,
}

impl RunData {
    /// Reads and splits the data of a run. `report` is told of data sets that are fetched.
    ///
    /// # Errors
    /// If the data cannot be found, fetched or read, or nothing would be left to train on.
    pub fn read(
        spec: &RunSpec,
        limits: ReadLimits,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<Self, Error> {
        let data = &spec.data;
        let mut source = |text: &String| source_named(&data.columns, text, limits, report);
        let sources = Sources {
            train: source(&data.data)?,
            dev: data.dev_data.as_ref().map(&mut source).transpose()?,
            test: data.test_data.as_ref().map(&mut source).transpose()?,
        };
        Self::of(spec, sources)
    }

    /// Reads and splits the data of a run that no file holds, as if files did.
    ///
    /// # Errors
    /// As [`RunData::read`].
    pub fn read_tables(spec: &RunSpec, tables: Tables) -> Result<Self, Error> {
        let source = |table| spec.data.columns.of_table(table);
        let sources = Sources {
            train: source(tables.train),
            dev: tables.dev.map(source),
            test: tables.test.map(source),
        };
        Self::of(spec, sources)
    }

    fn of(spec: &RunSpec, Sources { train, dev, test }: Sources) -> Result<Self, Error> {
        let task = spec.data.task.as_deref().map(task::find).transpose()?;
        let read = |source: DataSource| match task {
            Some(task) => source.read_for(task),
            None => source,
        };
        let (train, dev, test) = (read(train), dev.map(read), test.map(read));
        let dev_share = spec.in_full().data.dev_share;
        let spec = &spec.data;
        let name = spec.name.clone().unwrap_or_else(|| train.task_name());
        let request = DataRequest {
            train,
            dev,
            test,
            test_of_layout: spec.test,
            dev_share: dev_share.unwrap_or(0.1),
            // Every row counts: cross-validation takes the place of validation rows.
            dev_share_from: if dev_share.is_none() { FEW_ROWS } else { 0 },
            test_share: spec.test_share,
            split_seed: spec.split_seed,
            train_rows: spec.train_rows,
            task: spec.task.clone(),
        };
        let data = request.read()?;
        let skipped = data.skipped();
        let (text_columns, mut columns) = data.columns;
        let one = columns.len() == 1;
        let label_column = columns.pop().filter(|_| one).unwrap_or_default();
        let budwood_tasks::Data { task, labels, train, dev, test, report, .. } = data;
        Ok(Self {
            task,
            name,
            labels,
            train,
            dev,
            test,
            text_columns,
            label_column,
            report,
            skipped,
        })
    }

    /// Data that no file holds. `kind` is a task's, such as `classification`.
    ///
    /// # Errors
    /// If there is no such kind of task.
    pub fn from_examples(
        kind: &str,
        name: impl Into<String>,
        labels: Vec<String>,
        train: Dataset,
    ) -> Result<Self, Error> {
        Ok(Self {
            task: task::find(kind)?,
            name: name.into(),
            labels,
            train,
            dev: None,
            test: None,
            text_columns: Vec::new(),
            label_column: String::new(),
            report: DataReport::default(),
            skipped: Vec::new(),
        })
    }

    /// How numbers are learned: as they are where they are of the size that a head begins with,
    /// else in standard deviations from their mean.
    pub(super) fn scale(&self) -> Scale {
        let numbers = Numbers::of(&self.train.examples);
        match numbers.filter(|n| n.deviation > 0.0) {
            Some(n) if n.mean.abs() > 10.0 || !(0.1..=10.0).contains(&n.deviation) => {
                Scale { mean: n.mean as f32, deviation: n.deviation as f32 }
            }
            _ => Scale::NONE,
        }
    }
}

/// The data that a text names: a data set of a package by its name, unless something of that name
/// is here, else a file or LAYOUT=FOLDER, of this machine or with an address in an object store.
/// `report` is told of what is fetched.
///
/// # Errors
/// If the text names no data, they cannot be fetched, or a setting has no meaning.
pub fn source_named(
    columns: &ColumnSpec,
    text: &str,
    limits: ReadLimits,
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<DataSource, Error> {
    let found = budwood_hub::find_data(text, report)?;
    let root = columns.image_root.as_deref();
    let root = root.map(|root| budwood_hub::find_folder(root, report)).transpose()?;
    let columns = ColumnSpec { image_root: root, ..columns.clone() };
    Ok(match found {
        Data::Package(source) => columns.source(&source, limits)?.called(text),
        Data::At(source) => {
            columns.source(&source, limits)?.written(text, layout_and_place(text).1)
        }
        Data::Here => columns.source(text, limits)?,
    })
}
