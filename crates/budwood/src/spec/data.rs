//! Which data a run reads, and how.

use std::path::PathBuf;

use budwood_images::Augment;
use serde::{Deserialize, Serialize};

/// The data of a run: files or folders, splits, columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, remote = "Self")]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct DataSpec {
    /// Training data: a file (.csv, .tsv, .jsonl, .parquet, .conll; .gz and .bz2 too), or
    /// LAYOUT=FOLDER such as glue:CoLA=DIR, trec=DIR, squad=DIR or conll=DIR; squad and conll take
    /// a FILE too. Of images: a folder with a folder for each class, list=FILE with 'path label' in
    /// each line, or idx=DIR with MNIST's files; fashion-mnist, mnist-5k and digits are fetched.
    #[cfg_attr(feature = "clap", arg(long))]
    pub data: String,
    /// Name of the task in records [default: the layout's, or the file's].
    #[cfg_attr(feature = "clap", arg(long))]
    pub name: Option<String>,
    /// The area that the task is counted to in reports: their mean is then that of the areas'
    /// means.
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
    /// Share of the training data kept for validation where there is none; 0 for no validation.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = DataSpec::default().dev_share))]
    pub dev_share: f64,
    /// Share of the training data kept for a test where there is no test data.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = DataSpec::default().test_share))]
    pub test_share: f64,
    /// Seed of what --dev-share, --test-share and --train-rows choose: the same rows for every
    /// --seed.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = DataSpec::default().split_seed))]
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
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub train_rows: Option<usize>,
    /// Kind of task: classification, image-classification, multilabel, regression,
    /// question-answering or token-classification [default: by the data].
    #[cfg_attr(feature = "clap", arg(long))]
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
            dev_share: 0.1,
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
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ColumnSpec {
    /// Column of the text, by name or number; twice for pairs [default: found].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    pub text_column: Vec<String>,
    /// Column of the image, a path or its bytes, by name or number [default: found where there is
    /// no text].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    pub image_column: Option<String>,
    /// Folder that paths of images begin at [default: that of the file].
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR"))]
    pub image_root: Option<PathBuf>,
    /// Leave out images that cannot be read, and list them, instead of ending.
    #[cfg_attr(feature = "clap", arg(long))]
    pub skip_bad: bool,
    /// Column of the label [default: found].
    #[cfg_attr(feature = "clap", arg(long, value_name = "COLUMN"))]
    pub label_column: Option<String>,
    /// Encoding of the files.
    #[cfg_attr(feature = "clap", arg(long, default_value = "utf-8"))]
    pub encoding: String,
    /// The files have no header; columns are 1, 2, ...
    #[cfg_attr(feature = "clap", arg(long))]
    pub no_header: bool,
    /// Tab-separated files quote fields as CSV does.
    #[cfg_attr(feature = "clap", arg(long))]
    pub tsv_quotes: bool,
}

impl Default for ColumnSpec {
    fn default() -> Self {
        Self {
            text_column: Vec::new(),
            image_column: None,
            image_root: None,
            skip_bad: false,
            label_column: None,
            encoding: "utf-8".into(),
            no_header: false,
            tsv_quotes: false,
        }
    }
}

/// How images are read in training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ImageSpec {
    /// Height and width of images in pixels, a multiple of the model's patch [default: the model's
    /// own].
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))
    )]
    pub image_size: Option<u16>,
    /// Exchange left and right in half of the training images, another half in each epoch.
    #[cfg_attr(feature = "clap", arg(long))]
    pub flip: bool,
    /// Show random parts of the training images, 8 to 100 % of the area, others in each epoch.
    #[cfg_attr(feature = "clap", arg(long))]
    pub random_crop: bool,
}

impl ImageSpec {
    /// The random changes.
    pub fn augment(&self) -> Augment {
        Augment { flip: self.flip, crop: self.random_crop }
    }
}
