//! Where examples come from: a file, or a folder with a layout of its own (`glue:CoLA=FOLDER`).

use std::path::{Path, PathBuf};

use crate::image::{FOLDER, IMAGE_LAYOUTS, ImageLayout, ImageOptions, ImageTable};
use crate::labels::Scan;
use crate::layout::{Layout, Split};
use crate::opened::{Missing, Opened};
use crate::read::{self, ReadOptions, Table};
use crate::task::Task;
use crate::{ColumnChoice, Columns, Error, find_columns};

/// Where examples come from.
#[derive(Clone)]
pub struct DataSource {
    text: String,
    /// A name of its own, where it is known by one.
    name: Option<String>,
    path: PathBuf,
    /// What the path is to be called, where it is another one than was written.
    place: Option<String>,
    layout: Option<&'static Layout>,
    image_layout: Option<&'static ImageLayout>,
    /// The table, where no file holds it.
    memory: Option<Table>,
    /// Columns that the user named.
    pub choice: ColumnChoice,
    /// How files are read.
    pub options: ReadOptions,
    /// How images are found and opened.
    pub images: ImageOptions,
    /// Whether rows that cannot be read are left out and listed.
    pub skip_bad: bool,
    /// What is done with rows without a label.
    pub missing: Missing,
    /// Names of the classes that numbers stand for, or the order of the classes.
    pub label_names: Vec<String>,
    /// More classes than this are taken for a mistake.
    pub max_classes: usize,
}

/// Classes that are taken for granted without being asked for.
pub const MAX_CLASSES: usize = 10_000;

impl DataSource {
    /// Reads `NAME=FOLDER` or a path; a folder without a name is one of images.
    ///
    /// # Errors
    /// If there is no layout of that name.
    pub fn parse(text: &str, choice: ColumnChoice, options: ReadOptions) -> Result<Self, Error> {
        // A file of that very name needs no layout.
        let named = text
            .split_once('=')
            .filter(|(name, _)| !name.contains(['/', '\\', '.']) && !Path::new(text).is_file());
        let path = Path::new(named.map_or(text, |(_, path)| path));
        let layout = named.and_then(|(name, _)| Layout::find(name));
        let image_layout = match named {
            None => path.is_dir().then_some(&FOLDER),
            Some((name, _)) => IMAGE_LAYOUTS.iter().find(|l| l.name == name),
        };
        if let (Some((name, _)), None, None) = (named, layout, image_layout) {
            let texts = crate::LAYOUTS.iter().map(|l| l.name);
            let known: Vec<_> = texts.chain(IMAGE_LAYOUTS.iter().map(|l| l.name)).collect();
            let known = known.join(", ");
            return Err(Error::Usage(format!("there is no layout '{name}'; there are {known}")));
        }
        Ok(Self { layout, image_layout, options, ..Self::at(text, path, choice) })
    }

    /// One file with columns, read as usual.
    fn at(text: &str, path: &Path, choice: ColumnChoice) -> Self {
        Self {
            text: text.into(),
            name: None,
            path: path.into(),
            place: None,
            layout: None,
            image_layout: None,
            memory: None,
            choice,
            options: ReadOptions::default(),
            images: ImageOptions::default(),
            skip_bad: false,
            missing: Missing::Error,
            label_names: Vec::new(),
            max_classes: MAX_CLASSES,
        }
    }

    /// A table that no file holds.
    pub fn of_table(table: Table, choice: ColumnChoice) -> Self {
        let own = Self::at(&table.path.to_string_lossy(), &table.path, choice);
        Self { memory: Some(table), ..own }
    }

    /// The same under another name.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        self.text = name.into();
        self.name = Some(name.into());
        self
    }

    /// The same, which the user wrote in another way, with `place` for the path.
    #[must_use]
    pub fn written(mut self, text: &str, place: &str) -> Self {
        (self.text, self.place) = (text.into(), Some(place.into()));
        self
    }

    /// The same, read as a task takes it: text files of a task without labels hold plain text.
    #[must_use]
    pub fn read_for(mut self, task: &Task) -> Self {
        self.options.plain = !task.labelled;
        self
    }

    /// Whether it is one file with columns.
    pub fn is_table(&self) -> bool {
        self.layout.is_none() && self.image_layout.is_none()
    }

    /// The layout, if it has one of its own.
    pub fn layout(&self) -> Option<&'static Layout> {
        self.layout
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A name for the task: the layout's, or the file's stem.
    pub fn task_name(&self) -> String {
        match (&self.name, self.layout) {
            (Some(name), _) => name.clone(),
            (None, Some(layout)) => layout.task.into(),
            (None, None) => {
                let stem = self.path.file_name().and_then(|n| n.to_str()).unwrap_or("task");
                stem.split('.').next().unwrap_or("task").to_lowercase()
            }
        }
    }

    /// Whether the layout has files for each split, and not one for all.
    pub fn has_splits(&self) -> bool {
        match self.image_layout {
            Some(layout) => (layout.has)(&self.path, Split::Train),
            None => self.layout.is_some() && !self.path.is_file(),
        }
    }

    /// Whether the split has a file; without a layout there is one file, whatever it is used for.
    pub fn has(&self, split: Split) -> bool {
        match self.image_layout {
            Some(layout) => !self.has_splits() || (layout.has)(&self.path, split),
            None => self.layout.is_none_or(|layout| layout.file(&self.path, split).is_some()),
        }
    }

    /// Reads a split, once. Rows that cannot be read are an error, or are left out where that is
    /// asked for; so are rows that equal the header, if labels are needed: otherwise each row is
    /// something to answer.
    ///
    /// # Errors
    /// If the file is missing or damaged, or the columns cannot be found.
    pub fn open(&self, split: Split, label_needed: bool) -> Result<Opened, Error> {
        let (table, columns, images) = self.read(split, label_needed)?;
        let mut opened = Opened {
            layout: self.layout,
            text: self.text.clone(),
            split,
            named_columns: self.image_layout.is_none(),
            label_needed,
            skip_bad: self.skip_bad || self.images.skip_bad,
            threads: self.images.threads,
            missing: self.missing,
            max_classes: self.max_classes,
            notes: Vec::new(),
            left_out: 0,
            skipped: Vec::new(),
            named: self.place.clone().map(|place| (self.path.to_string_lossy().into(), place)),
            scan: None,
            images: None,
            table,
            columns,
        };
        if self.options.paragraphs && !opened.table.form.is_plain() {
            let name = opened.table.form.name;
            opened.notes.push(format!("paragraphs: without effect on {name}; plain text has them"));
        }
        opened.leave_out_bad()?;
        if let Some(contents) = images {
            let ImageTable { contents, skipped, .. } = contents;
            opened.left_out += skipped.len();
            opened.skipped.extend(skipped);
            opened.images = Some(contents);
        } else if let (Some(image), 0..=1) = (opened.columns.image, opened.columns.labels.len()) {
            let names = opened.column_names();
            let label = opened.columns.labels.first().copied();
            let all = ImageTable::of_table(opened.table, image, label, &self.images);
            let labels = if label.is_some() { vec![1] } else { Vec::new() };
            opened.columns = Columns { labels, ..ImageTable::columns() };
            (opened.table, opened.images) = (all.table, Some(all.contents));
            if let (Some(name), Some(column)) = (names.0.first(), opened.table.columns.first_mut())
            {
                column.name.clone_from(name);
            }
            if let (Some(name), Some(column)) = (names.1.first(), opened.table.columns.get_mut(1)) {
                column.name.clone_from(name);
            }
        } else if opened.columns.image.is_some() {
            return Err(Error::Usage(
                "images have one column of labels: give --label-column once".into(),
            ));
        }
        if self.images.root.is_some() && opened.images.is_none() {
            opened.notes.push("image-root: without effect on rows without images".into());
        }
        if let (Some((path, place)), Some(_)) = (&opened.named, &opened.images)
            && let Some(names) = opened.table.columns.first_mut()
        {
            for name in &mut names.cells {
                *name = name.text().replace(path, place).into();
            }
        }
        if !self.label_names.is_empty() {
            for &label in &opened.columns.labels {
                opened.table.columns[label].names = Some(self.label_names.clone());
            }
        }
        if let [label] = opened.columns.labels[..] {
            opened.scan = Some(Scan::new(&opened.table.columns[label]));
        }
        Ok(opened)
    }

    fn read(
        &self,
        split: Split,
        label_needed: bool,
    ) -> Result<(Table, Columns, Option<ImageTable>), Error> {
        if let Some(layout) = self.image_layout {
            let mut all = (layout.read)(&self.path, split, &self.images)?;
            let unlabelled = all.table.columns[1].cells.iter().all(crate::Cell::is_empty);
            let mut names = all.table.columns[0].cells.iter().map(crate::Cell::text);
            let text = names.find(|name| read::is_of_text(Path::new(&**name)));
            if let (true, Some(text)) =
                (label_needed && (unlabelled || !self.images.skip_bad), text)
            {
                let message = format!(
                    "is read as images, with a folder for each class, but holds {text}; texts and \
                     tables are read from a file with a row for each, which --data can name"
                );
                return Err(Error::file(&self.path, message));
            }
            if label_needed && unlabelled {
                let message = "holds images, but no folder of images for each class";
                return Err(Error::file(&self.path, message));
            }
            let table = Table::new(&self.path, crate::read::Form::default(), &[]);
            let table = std::mem::replace(&mut all.table, table);
            return Ok((table, ImageTable::columns(), Some(all)));
        }
        let (table, choice) = match (&self.memory, self.layout) {
            (Some(table), _) => (table.clone(), self.choice.clone()),
            (None, None) => (read::table(&self.path, self.options)?, self.choice.clone()),
            (None, Some(layout)) => {
                let file = layout.file(&self.path, split).ok_or_else(|| {
                    let message =
                        format!("holds no file for the {} split of {}", split.name(), layout.name);
                    Error::file(&self.path, message)
                })?;
                layout.read(&file, self.options.max_unpacked)?
            }
        };
        // Where nothing could be read, columns are not what is lacking.
        if let (true, Some((place, fault))) = (table.is_empty(), table.bad.first.first()) {
            return Err(table.fault_at(*place, fault));
        }
        let columns = find_columns(&table, &choice, label_needed)?;
        Ok((table, columns, None))
    }
}
