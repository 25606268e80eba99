//! Which data a run reads, and how.

use std::path::PathBuf;

use budwood_images::Augment;
use budwood_tasks::read::{Encoding, ReadOptions, Table, separator};
use budwood_tasks::{ColumnChoice, DataSource, MAX_CLASSES, Missing};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MissingChoice, ReadLimits};
use crate::Error;
#[cfg(feature = "clap")]
use crate::number;

/// The encoding that is found by a file's first bytes.
pub(super) const AUTO: &str = "auto";

/// The data of a run: files or folders, splits, columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, remote = "Self")]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Data"))]
pub struct DataSpec {
    /// Training data. Texts: a file (.csv, .tsv, .jsonl, .json, .parquet, .conll; packed too),
    /// glue:CoLA=DIR, trec=DIR, squad=DIR or FILE, conll=DIR or FILE. Images: a folder with a
    /// folder for each class, list=FILE with 'path label' in each line, idx=DIR with MNIST's files,
    /// or fashion-mnist, mnist-5k or digits, which are fetched. Files and folders may be in an
    /// object store: s3://BUCKET/NAME, gs://..., az://...
    #[cfg_attr(feature = "clap", arg(long))]
    pub data: String,
    /// Name of the task in records [default: the layout's, or the file's].
    #[cfg_attr(feature = "clap", arg(long))]
    pub name: Option<String>,
    /// Area of the task in reports. The overall mean is then the mean of the areas' means.
    #[cfg_attr(feature = "clap", arg(long))]
    pub area: Option<String>,
    /// Validation data; without it the layout's own, or a share of the training data.
    #[cfg_attr(feature = "clap", arg(long))]
    pub dev_data: Option<String>,
    /// Test data, scored once at the end.
    #[cfg_attr(feature = "clap", arg(long))]
    pub test_data: Option<String>,
    /// Score the layout's own test split at the end.
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "test_data"))]
    pub test: bool,
    /// Share of the training data to validate on if there is no validation data; 0 for none
    /// [default: 0.1; with --recipe auto and fewer than 2,000 rows 0, and cross-validation
    /// instead].
    #[cfg_attr(feature = "clap", arg(value_name = "SHARE", long, value_parser = number::amount::<1>))]
    pub dev_share: Option<f64>,
    /// Share of the training data to test on if there is no test data.
    #[cfg_attr(
        feature = "clap",
        arg(value_name = "SHARE", 
            long,
            default_value_t = DataSpec::default().test_share,
            value_parser = number::amount::<1>
        )
    )]
    pub test_share: f64,
    /// Seed for choosing the rows of --dev-share, --test-share and --train-rows; independent of
    /// --seed.
    #[cfg_attr(feature = "clap", arg(value_name = "N", long, default_value_t = DataSpec::default().split_seed))]
    pub split_seed: u64,
    /// How files are read and where the columns are.
    #[cfg_attr(feature = "clap", command(flatten))]
    #[serde(flatten)]
    pub columns: ColumnSpec,
    /// How images are read in training.
    #[cfg_attr(feature = "clap", command(flatten))]
    #[serde(flatten)]
    pub images: ImageSpec,
    /// Use only N training rows, chosen at random.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Data", long, value_name = "N", value_parser = number::count::<1, { usize::MAX }>)
    )]
    pub train_rows: Option<usize>,
    /// Kind of task: classification, image-classification, multilabel, regression,
    /// question-answering, token-classification or masked-lm, which adapts a model to texts without
    /// labels [default: by the data].
    #[cfg_attr(feature = "clap", arg(help_heading = "Data", value_name = "KIND", long))]
    pub task: Option<String>,
}

impl Default for DataSpec {
    fn default() -> Self {
        Self {
            data: String::new(),
            name: None,
            area: None,
            dev_data: None,
            test_data: None,
            test: false,
            dev_share: None,
            test_share: 0.0,
            split_seed: 0,
            columns: ColumnSpec::default(),
            images: ImageSpec::default(),
            train_rows: None,
            task: None,
        }
    }
}

/// How files are read and where the columns are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Data"))]
pub struct ColumnSpec {
    /// Column of the text, by name or number; give it twice for pairs [default: found].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    pub text_column: Vec<String>,
    /// Column of the image, a path or its bytes, by name or number [default: found where there is
    /// no text].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    pub image_column: Option<String>,
    /// Folder that paths of images are relative to [default: the file's folder].
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR"))]
    pub image_root: Option<PathBuf>,
    /// Skip rows and images that cannot be read, and list them, instead of stopping.
    #[cfg_attr(feature = "clap", arg(long))]
    pub skip_bad: bool,
    /// Column of the label, by name or number. Several columns of 0 and 1 are one label each
    /// [default: found].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    #[serde(with = "one_or_many")]
    pub label_column: Vec<String>,
    /// Encoding of the files: utf-8, windows-1252, utf-16le, shift_jis and others [default: by
    /// their first bytes].
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "NAME", default_value = "auto", hide_default_value = true)
    )]
    pub encoding: String,
    /// The files have no header; columns are 1, 2, ...
    #[cfg_attr(feature = "clap", arg(long))]
    pub no_header: bool,
    /// Fields of tab-separated files may be quoted, as in CSV.
    #[cfg_attr(feature = "clap", arg(long))]
    pub tsv_quotes: bool,
    /// Separator of fields: comma, semicolon, tab, bar or a character [default: found].
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub separator: Option<String>,
    /// Texts for masked-lm are the paragraphs of a text file, with empty lines between them, not
    /// its lines.
    #[cfg_attr(feature = "clap", arg(long))]
    pub paragraphs: bool,
    /// What to do with rows that have no label.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub missing: MissingChoice,
    /// Names for the classes 0, 1, 2, ..., separated by commas.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAMES", value_delimiter = ','))]
    pub label_names: Vec<String>,
    /// Refuse data with more classes than this [default: 10000].
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub max_classes: Option<usize>,
}

impl Default for ColumnSpec {
    fn default() -> Self {
        Self {
            text_column: Vec::new(),
            image_column: None,
            image_root: None,
            skip_bad: false,
            label_column: Vec::new(),
            encoding: AUTO.into(),
            no_header: false,
            tsv_quotes: false,
            separator: None,
            paragraphs: false,
            missing: MissingChoice::Error,
            label_names: Vec::new(),
            max_classes: None,
        }
    }
}

impl ColumnSpec {
    /// The data that a text names, to be read with these columns: a file or LAYOUT=FOLDER.
    ///
    /// # Errors
    /// If the text names no data, or a setting has no meaning.
    pub fn source(&self, text: &str, limits: ReadLimits) -> Result<DataSource, Error> {
        let encoding = match self.encoding.as_str() {
            AUTO | "" => None,
            name => Some(Encoding::named(name)?),
        };
        let options = ReadOptions {
            encoding,
            header: !self.no_header,
            literal_quotes: !self.tsv_quotes,
            separator: self.separator.as_deref().map(separator).transpose()?,
            max_unpacked: limits.bytes(),
            plain: false,
            paragraphs: self.paragraphs,
        };
        Ok(self.on(DataSource::parse(text, self.choice(), options)?))
    }

    /// A table that no file holds, to be read with these columns.
    pub fn of_table(&self, table: Table) -> DataSource {
        self.on(DataSource::of_table(table, self.choice()))
    }

    fn choice(&self) -> ColumnChoice {
        ColumnChoice {
            texts: self.text_column.clone(),
            labels: self.label_column.clone(),
            image: self.image_column.clone(),
        }
    }

    /// A source with all settings that do not depend on its form.
    fn on(&self, mut source: DataSource) -> DataSource {
        source.images.root.clone_from(&self.image_root);
        source.images.skip_bad = self.skip_bad;
        source.skip_bad = self.skip_bad;
        if self.missing == MissingChoice::Drop {
            source.missing = Missing::Drop;
        }
        source.label_names.clone_from(&self.label_names);
        source.max_classes = self.max_classes.unwrap_or(MAX_CLASSES);
        source
    }
}

/// A list that is written as nothing, as its one value, or as a list: keys of runs stay what they
/// were when there was one column of labels alone.
mod one_or_many {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(list: &[String], to: S) -> Result<S::Ok, S::Error> {
        match list {
            [] => to.serialize_none(),
            [one] => to.serialize_some(one),
            many => many.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(match Option::<Written>::deserialize(from)? {
            None => Vec::new(),
            Some(Written::One(one)) => vec![one],
            Some(Written::Many(many)) => many,
        })
    }
}

/// How images are read in training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Images"))]
pub struct ImageSpec {
    /// Height and width of images in pixels, a multiple of the model's patch [default: the model's
    /// own].
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))
    )]
    pub image_size: Option<u16>,
    /// Mirror half of the training images left to right, another half in each epoch.
    #[cfg_attr(feature = "clap", arg(long))]
    pub flip: bool,
    /// Crop training images to a random 8 to 100 % of their area, anew in each epoch.
    #[cfg_attr(feature = "clap", arg(long))]
    pub random_crop: bool,
}

impl ImageSpec {
    /// Height and width of images in pixels, if they are not the model's.
    pub fn side(&self) -> Option<usize> {
        self.image_size.map(usize::from)
    }

    /// The random changes.
    pub fn augment(&self) -> Augment {
        Augment { flip: self.flip, crop: self.random_crop }
    }
}
