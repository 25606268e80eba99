//! Examples with their targets, where they come from, and how they are split.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use budwood_base::digest;
use budwood_base::random::Key;
use budwood_base::record::DataDigest;

use crate::image::{FOLDER, IMAGE_LAYOUTS, ImageLayout, ImageOptions, ImageTable, open_all};
use crate::layout::{Layout, Split};
use crate::read::{self, ReadOptions, Table};
use crate::task::{self, Cells, Task};
use crate::{ColumnChoice, Columns, Error, Image, find_columns};

/// What an example's answer should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of the classes.
    Class(u32),
    /// For each of the labels, 1 where it holds, else 0.
    Labels(Vec<f32>),
    /// A number.
    Value(f32),
    /// The right answers to a question, of which the first is learned.
    Answers(Vec<Answer>),
    /// For each word its tag.
    Tags(Vec<u32>),
    /// Not known.
    None,
}

/// An answer that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// The byte of the text at which it begins.
    pub start: usize,
}

/// What a model is shown of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A text.
    Text(String),
    /// Two texts.
    Pair(String, String),
    /// An image.
    Image(Image),
    /// A question and the text that holds its answer.
    Question {
        /// The question.
        question: String,
        /// The text; questions share it.
        context: Arc<str>,
        /// What it is part of: questions of one article stay together in a split.
        article: Arc<str>,
    },
    /// The words of a sentence.
    Words(Vec<String>),
}

impl Input {
    /// One text, or two.
    pub fn texts(a: impl Into<String>, b: Option<impl Into<String>>) -> Self {
        match b {
            None => Self::Text(a.into()),
            Some(b) => Self::Pair(a.into(), b.into()),
        }
    }

    /// The words of a plain text: what stands between white space, punctuation at its ends by itself.
    pub fn words_of(text: &str) -> Self {
        let mut words = Vec::new();
        for piece in text.split_whitespace() {
            let inner = |c: char| !c.is_ascii_punctuation();
            let first = piece.find(inner).unwrap_or(piece.len());
            let last = piece.char_indices().rev().find(|(_, c)| inner(*c));
            let end = last.map_or(first, |(i, c)| i + c.len_utf8());
            words.extend(piece[..first].chars().map(String::from));
            words.extend((first < end).then(|| piece[first..end].to_string()));
            words.extend(piece[end..].chars().map(String::from));
        }
        Self::Words(words)
    }

    /// As columns of a table of answers: names and cells.
    pub fn cells(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        match self {
            Self::Text(text) => vec![("text", text.into())],
            Self::Pair(a, b) => vec![("text", a.into()), ("text2", b.into())],
            Self::Image(image) => vec![("image", (&image.name).into())],
            Self::Question { question, context, .. } => {
                vec![("question", question.into()), ("context", (&**context).into())]
            }
            Self::Words(words) => vec![("text", words.join(" ").into())],
        }
    }

    /// What it is, by content: named parts of a digest.
    fn parts(&self) -> Vec<(&'static str, &[u8])> {
        match self {
            Self::Text(text) => vec![("a", text.as_bytes())],
            Self::Pair(a, b) => vec![("a", a.as_bytes()), ("b", b.as_bytes())],
            Self::Image(image) => vec![("image", image.sha256.as_bytes())],
            Self::Question { question, context, .. } => {
                vec![("question", question.as_bytes()), ("context", context.as_bytes())]
            }
            Self::Words(words) => words.iter().map(|w| ("word", w.as_bytes())).collect(),
        }
    }
}

/// One example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What the model is shown.
    pub input: Input,
    /// What its answer should be.
    pub target: Target,
}

/// The examples of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The examples in the order of the file.
    pub examples: Vec<Example>,
    /// Which they are, by content.
    pub digest: DataDigest,
    /// Images that were left out, each with what is wrong with it.
    pub skipped: Vec<String>,
}

impl Dataset {
    /// A data set of these examples; the digest is made from their content.
    pub fn from_examples(examples: Vec<Example>, split: &str, source: &str) -> Self {
        let targets: Vec<String> = examples.iter().map(|e| format!("{:?}", e.target)).collect();
        let parts = examples.iter().zip(&targets).flat_map(|(example, target)| {
            example.input.parts().into_iter().chain([("target", target.as_bytes())])
        });
        let sha256 = digest::of_parts(parts);
        let rows = examples.len() as u64;
        let digest = DataDigest { split: split.into(), source: source.into(), rows, sha256 };
        Self { examples, digest, skipped: Vec::new() }
    }

    /// Only `n` examples, chosen at random and kept in their order: files may be sorted.
    #[must_use]
    pub fn sample(self, n: usize, seed: u64) -> Self {
        if n >= self.examples.len() {
            return self;
        }
        let mut chosen = Key::new(seed).named("sample").permutation(self.examples.len());
        chosen.truncate(n);
        chosen.sort_unstable();
        let examples = chosen.into_iter().map(|i| self.examples[i].clone()).collect();
        let source = format!("{} ({n} rows, seed {seed})", self.digest.source);
        Self::from_examples(examples, &self.digest.split, &source)
    }

    /// Cuts off a share of the examples: `(rest, part)`. Depends on the seed only; classes keep their
    /// shares in both, and questions on one article stay together.
    ///
    /// # Errors
    /// If a part would be empty.
    pub fn split(self, share: f64, seed: u64, part_name: &str) -> Result<(Self, Self), Error> {
        let in_part = match self.examples.first().map(|e| &e.input) {
            Some(Input::Question { .. }) => self.choose_articles(share, seed),
            _ => self.choose_of_classes(share, seed),
        };
        let source = self.digest.source.clone();
        let take = |wanted: bool| -> Vec<Example> {
            let pairs = self.examples.iter().zip(&in_part);
            pairs.filter(|(_, p)| **p == wanted).map(|(e, _)| e.clone()).collect()
        };
        let (rest, part) = (take(false), take(true));
        if rest.is_empty() || part.is_empty() {
            let message =
                format!("a share of {share} of {} examples leaves a part empty", in_part.len());
            return Err(Error::Usage(message));
        }
        let rest = Self::from_examples(rest, &self.digest.split, &source);
        Ok((rest, Self::from_examples(part, part_name, &source)))
    }

    /// Which examples are in the part: as many of each class as its share of it.
    fn choose_of_classes(&self, share: f64, seed: u64) -> Vec<bool> {
        let order = Key::new(seed).named("split").permutation(self.examples.len());
        let mut in_part = vec![false; self.examples.len()];
        let mut classes: Vec<(Option<u32>, Vec<usize>)> = Vec::new();
        for i in order {
            let class = match self.examples[i].target {
                Target::Class(c) => Some(c),
                _ => None,
            };
            match classes.iter_mut().find(|(c, _)| *c == class) {
                Some((_, members)) => members.push(i),
                None => classes.push((class, vec![i])),
            }
        }
        for (_, members) in &classes {
            let n = (members.len() as f64 * share).round() as usize;
            members[..n.min(members.len())].iter().for_each(|&i| in_part[i] = true);
        }
        in_part
    }

    /// Which examples are in the part: those of articles at random, until they are enough.
    fn choose_articles(&self, share: f64, seed: u64) -> Vec<bool> {
        let article = |e: &Example| match &e.input {
            Input::Question { article, .. } => Arc::clone(article),
            _ => "".into(),
        };
        let mut articles: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
        for (i, name) in self.examples.iter().map(article).enumerate() {
            match articles.iter_mut().rev().find(|(known, _)| *known == name) {
                Some((_, members)) => members.push(i),
                None => articles.push((name, vec![i])),
            }
        }
        let mut in_part = vec![false; self.examples.len()];
        let mut left = (self.examples.len() as f64 * share).round() as usize;
        for i in Key::new(seed).named("split").permutation(articles.len()) {
            if left == 0 {
                break;
            }
            articles[i].1.iter().for_each(|&i| in_part[i] = true);
            left = left.saturating_sub(articles[i].1.len());
        }
        in_part
    }
}

/// Where examples come from: a file, or a folder with a layout of its own (`glue:CoLA=FOLDER`).
#[derive(Clone)]
pub struct DataSource {
    text: String,
    /// A name of its own, where it is known by one.
    name: Option<String>,
    path: PathBuf,
    layout: Option<&'static Layout>,
    image_layout: Option<&'static ImageLayout>,
    /// Columns that the user named.
    pub choice: ColumnChoice,
    /// How files are read.
    pub options: ReadOptions,
    /// How images are found and opened.
    pub images: ImageOptions,
}

impl DataSource {
    /// Reads `NAME=FOLDER` or a path; a folder without a name is one of images.
    ///
    /// # Errors
    /// If there is no layout of that name.
    pub fn parse(text: &str, choice: ColumnChoice, options: ReadOptions) -> Result<Self, Error> {
        let named = text.split_once('=').filter(|(name, _)| !name.contains(['/', '\\', '.']));
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
        let (text, path, images) = (text.into(), path.into(), ImageOptions::default());
        Ok(Self { text, name: None, path, layout, image_layout, choice, options, images })
    }

    /// The same under another name.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        self.text = name.into();
        self.name = Some(name.into());
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

    /// The rows of a split and their columns.
    ///
    /// # Errors
    /// If the file is missing or damaged, or the columns cannot be found.
    pub fn read(&self, split: Split, label_needed: bool) -> Result<(Table, Columns), Error> {
        if let Some(layout) = self.image_layout {
            let table = (layout.read)(&self.path, split, &self.images)?.table;
            if label_needed && table.rows.iter().all(|row| row.cells[1].is_empty()) {
                let message = "holds images, but no folder of images for each class";
                return Err(Error::file(&self.path, message));
            }
            return Ok((table, ImageTable::COLUMNS));
        }
        let (table, choice) = match self.layout {
            None => (read::table(&self.path, self.options)?, self.choice.clone()),
            Some(layout) => {
                let file = layout.file(&self.path, split).ok_or_else(|| {
                    let message =
                        format!("holds no file for the {} split of {}", split.name(), layout.name);
                    Error::file(&self.path, message)
                })?;
                layout.read(&file)?
            }
        };
        let columns = find_columns(&table, &choice, label_needed)?;
        Ok((table, columns))
    }

    /// The kind of task that these labels are for, with the reason.
    ///
    /// # Errors
    /// As [`DataSource::read`].
    pub fn detect_kind(&self, split: Split) -> Result<(&'static Task, String), Error> {
        if let Some(layout) = self.layout {
            return Ok((
                task::find(layout.kind)?,
                format!("{} is a {} task", layout.name, layout.kind),
            ));
        }
        let (table, columns) = self.read(split, true)?;
        if columns.image.is_some() {
            return Ok((task::find("image-classification")?, "the data are images".into()));
        }
        Ok(task::detect(&table, columns.label.unwrap_or_default()))
    }

    /// Class names in their order, for a task that has classes.
    ///
    /// # Errors
    /// As [`DataSource::read`]; also if the labels do not fit the kind.
    pub fn labels(&self, task: &Task, split: Split) -> Result<Vec<String>, Error> {
        let (table, columns) = self.read(split, true)?;
        let label = columns.label.unwrap_or_default();
        let fixed: Vec<String> =
            self.layout.map_or(&[][..], |l| l.labels).iter().map(ToString::to_string).collect();
        (task.labels)(&table, label, fixed)
    }

    /// The examples of a split. Without `labels_needed`, a file without labels will do.
    ///
    /// # Errors
    /// As [`DataSource::read`]; also if a label is not among `labels`.
    pub fn examples(
        &self,
        task: &Task,
        labels: &[String],
        split: Split,
        labels_needed: bool,
    ) -> Result<Dataset, Error> {
        let images = match self.image_layout {
            Some(layout) => Some((layout.read)(&self.path, split, &self.images)?),
            None => None,
        };
        if let Some(images) = images {
            return self.image_examples(task, labels, split, labels_needed, images);
        }
        let (table, columns) = self.read(split, labels_needed)?;
        if let Some(image) = columns.image {
            let images = ImageTable::of_table(table, image, columns.label, &self.images);
            return self.image_examples(task, labels, split, labels_needed, images);
        }
        task.check_input(false)?;
        let labelled = labels_needed && columns.label.is_some();
        let example = |row| {
            let cells = Cells { table: &table, row, columns: &columns };
            let input = (task.input)(&cells)?;
            let target = match labelled {
                true => (task.target)(&cells, &input, labels)?,
                false => Target::None,
            };
            Ok(Example { input, target })
        };
        let examples = table.rows.iter().map(example).collect::<Result<_, Error>>()?;
        Ok(Dataset::from_examples(examples, split.name(), &self.text))
    }

    /// The examples of images with labels: every image is opened and decoded once, so that what is wrong with one is
    /// known before anything is trained.
    fn image_examples(
        &self,
        task: &Task,
        labels: &[String],
        split: Split,
        labels_needed: bool,
        images: ImageTable,
    ) -> Result<Dataset, Error> {
        task.check_input(true)?;
        let ImageTable { table, contents, mut skipped } = images;
        let opened = open_all(&table, contents, self.images.threads);
        let columns = Columns { texts: Vec::new(), label: Some(1), image: Some(0) };
        let mut examples = Vec::with_capacity(opened.len());
        for (row, image) in table.rows.iter().zip(opened) {
            let image = match image {
                Ok(image) => image,
                Err(fault) => {
                    let fault = match table.path.is_file() {
                        true => Error::row(&table.path, row.number, fault.to_string()),
                        false => fault,
                    };
                    if !self.images.skip_bad {
                        return Err(fault);
                    }
                    skipped.push(fault.to_string());
                    continue;
                }
            };
            let (cells, input) =
                (Cells { table: &table, row, columns: &columns }, Input::Image(image));
            let target = match labels_needed {
                true => (task.target)(&cells, &input, labels)?,
                false => Target::None,
            };
            examples.push(Example { input, target });
        }
        if examples.is_empty() {
            let message = format!("none of its {} images can be used", skipped.len());
            return Err(Error::file(&table.path, message));
        }
        let data = Dataset::from_examples(examples, split.name(), &self.text);
        Ok(Dataset { skipped, ..data })
    }

    /// Names of the text columns, or of the image's, and the label column; nothing where images are in no table.
    ///
    /// # Errors
    /// As [`DataSource::read`].
    pub fn column_names(&self, split: Split) -> Result<(Vec<String>, String), Error> {
        if self.image_layout.is_some() {
            return Ok((Vec::new(), String::new()));
        }
        let (table, columns) = self.read(split, true)?;
        let name = |i: usize| table.columns[i].clone();
        let label = columns.label.map(name).unwrap_or_default();
        let inputs = columns.texts.iter().chain(&columns.image);
        Ok((inputs.map(|&t| name(t)).collect(), label))
    }
}
