//! `budwood train`: train an adapter and write its folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use budwood_images::Augment;
use budwood_store::Store;
use budwood_tasks::read::{Encoding, ReadOptions, separator};
use budwood_tasks::{ColumnChoice, DataSource, MAX_CLASSES, Missing};
use budwood_train::{Place, PrefixCacheSpec};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::base::PrecisionArgs;
use crate::finished::Finished;
use crate::output::json;
use crate::progress::{TrainProgress, catch_interrupt};
use crate::training::{Frozen, Run, check_settings, read_data, run_key};
use crate::{Settings, number, out, packages};

#[derive(clap::Args, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Args {
    /// Base model: a folder, a name of `budwood models`, or OWNER/NAME[@REVISION] of the Hugging Face hub.
    #[arg(long, default_value = "minilm")]
    pub(crate) base: String,
    /// Training data: a file (.csv, .tsv, .jsonl, .json, .parquet, .conll; packed too), or LAYOUT=FOLDER such as
    /// glue:CoLA=DIR, trec=DIR, squad=DIR or conll=DIR; squad and conll take a FILE too. Of images: a folder with a folder
    /// for each class, list=FILE with 'path label' in each line, or idx=DIR with MNIST's files;
    /// fashion-mnist, mnist-5k and digits are fetched.
    #[arg(long)]
    pub(crate) data: String,
    /// Name of the task in records [default: the layout's, or the file's].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The area that the task is counted to in reports: their mean is then that of the areas' means.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) area: Option<String>,
    /// Validation data; without it the layout's own, or a share of the training data.
    #[arg(long)]
    pub(crate) dev_data: Option<String>,
    /// Test data, scored once at the end.
    #[arg(long)]
    pub(crate) test_data: Option<String>,
    /// Score the layout's own test split at the end.
    #[arg(long, conflicts_with = "test_data")]
    pub(crate) test: bool,
    /// Share of the training data kept for validation where there is none; 0 for no validation
    /// [default: 0.1; with --recipe auto 0 for fewer than 2,000 rows, where cross-validation takes
    /// its place].
    #[arg(long, value_parser = number::amount::<1>)]
    pub(crate) dev_share: Option<f64>,
    /// Share of the training data kept for a test where there is no test data.
    #[arg(long, default_value_t = 0.0, value_parser = number::amount::<1>)]
    pub(crate) test_share: f64,
    /// Seed of what --dev-share, --test-share and --train-rows choose: the same rows for every --seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) split_seed: u64,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) columns: ColumnArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) images: ImageArgs,
    /// Use only N training rows, chosen at random.
    #[arg(long, value_name = "N", value_parser = number::count::<1, { usize::MAX }>)]
    pub(crate) train_rows: Option<usize>,
    /// Kind of task: classification, image-classification, multilabel, regression, question-answering or
    /// token-classification [default: by the data].
    #[arg(long)]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) precision: PrecisionArgs,
    /// How to train: for good results on any data, or by the protocol of Houlsby et al. 2019. Settings that are given go before
    /// those that the recipe would choose.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip_serializing_if = "RecipeChoice::is_paper")]
    pub(crate) recipe: RecipeChoice,
    /// Tuning method, such as adapter, adapter[width=8], seq_bn, linear; see `budwood methods`.
    #[arg(long, default_value = "adapter")]
    pub(crate) method: String,
    /// How a sequence becomes one vector.
    #[arg(long, value_enum, default_value_t = PoolingChoice::Auto)]
    pub(crate) pooling: PoolingChoice,
    /// Passes over the training data [default: by the rows; 3 with --recipe paper].
    #[arg(long)]
    pub(crate) epochs: Option<usize>,
    /// Examples in a batch [default: 16 or 32 by the rows; 32 with --recipe paper].
    #[arg(long)]
    pub(crate) batch_size: Option<usize>,
    /// Tokens in a batch, instead of a number of examples.
    #[arg(long, value_name = "N", conflicts_with = "batch_size")]
    pub(crate) batch_tokens: Option<usize>,
    /// Batches whose gradients make one step.
    #[arg(long, default_value_t = 1)]
    pub(crate) accumulate: usize,
    /// Largest learning rate [default: by the method and the rows; 0.001 with --recipe paper].
    #[arg(long)]
    pub(crate) lr: Option<f64>,
    /// Share of the steps over which the learning rate rises.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) warmup: f64,
    /// How the learning rate falls after that.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip_serializing_if = "ScheduleChoice::is_default")]
    pub(crate) schedule: ScheduleChoice,
    /// Learning rate at the end of --schedule cosine [default: 0].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_lr: Option<f64>,
    /// Adam without bias correction as in BERT's code, or AdamW with it [default: adamw; bert with --recipe paper].
    #[arg(long, value_enum)]
    pub(crate) optimizer: Option<OptimizerChoice>,
    /// Decoupled weight decay of matrices.
    #[arg(long, default_value_t = 0.01)]
    pub(crate) weight_decay: f64,
    /// Largest norm of a step's gradient; 0 for no limit.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) clip: f64,
    /// Seed of initial values, order and dropout.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Tokens of an input, which longer ones are cut to [default: 128; 384 for question answering].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<usize>,
    /// Tokens between the beginnings of the windows in which a long text with an answer is read [default: 128].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) doc_stride: Option<u32>,
    /// Dropout of the encoder in training [default: as the model's config.json says].
    #[arg(long, value_name = "P", value_parser = number::probability)]
    pub(crate) dropout: Option<f32>,
    /// Stochastic depth of the encoder in training: the probability that an input passes a sub-layer of the highest layer by; it falls
    /// to 0 in the lowest [default: 0].
    #[arg(long, value_name = "P", value_parser = number::probability)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drop_path: Option<f32>,
    /// Dropout in training in the layers, from the lowest, in which and below which nothing is trained: those of `linear`, `top_k`
    /// and adapters in the upper layers alone. Off, their output is the same in every step, and is computed once.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    #[serde(skip_serializing_if = "Switch::is_on")]
    pub(crate) frozen_dropout: Switch,
    /// Where the output of those layers is kept over epochs; results are the same. On disk it is a file beside the checkpoint.
    #[arg(long, value_enum, default_value_t = CacheChoice::Memory)]
    #[serde(skip)]
    pub(crate) prefix_cache: CacheChoice,
    /// Room for what is kept, in MB; what has no room is computed each time.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    #[serde(skip)]
    pub(crate) prefix_cache_limit: u64,
    /// Steps between evaluations [default: one after each epoch].
    #[arg(long, value_name = "N")]
    pub(crate) eval_every: Option<usize>,
    /// Stop after N evaluations without a better score.
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<usize>,
    /// Weight classes inversely to their share.
    #[arg(long)]
    pub(crate) balanced: bool,
    /// Leave out incomplete batches.
    #[arg(long)]
    pub(crate) drop_last: bool,
    /// The score that chooses the checkpoint [default: GLUE's for its tasks, else accuracy or Spearman's].
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// The class that F1 is about, where there are two [default: the second by name].
    #[arg(long, value_name = "CLASS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) positive: Option<String>,
    /// Folder that the adapter is written to.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) out: PathBuf,
    /// Replace the adapter that is there; other files beside it are kept.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) overwrite: bool,
    /// Seconds between checkpoints.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = number::seconds)]
    #[serde(skip)]
    pub(crate) save_every: Duration,
    /// Add the run to this store; see `budwood runs`.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) store: Option<PathBuf>,
}

/// The recipe of a run. Runs in a store that name none are the paper's.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecipeChoice {
    /// Begins from a linear probe, trains as long and as fast as the rows suggest, and keeps what held-out rows prefer.
    #[default]
    Auto,
    /// Houlsby et al. 2019, to the letter.
    Paper,
}

impl RecipeChoice {
    pub(crate) fn is_paper(&self) -> bool {
        *self == Self::Paper
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    fn is_on(&self) -> bool {
        *self == Self::On
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CacheChoice {
    Memory,
    Disk,
    Off,
}

impl Args {
    /// What a run reads.
    pub(crate) fn inputs(&self) -> Vec<&str> {
        let data = [Some(&self.data), self.dev_data.as_ref(), self.test_data.as_ref()];
        let data = data.into_iter().flatten().map(String::as_str);
        let root = self.columns.image_root.as_deref().and_then(Path::to_str);
        data.chain([self.base.as_str()]).chain(root).collect()
    }

    /// The same flags with what the recipe `paper` leaves open filled in: those by which a run is
    /// known in a store.
    pub(crate) fn in_full(&self) -> Self {
        let mut args = self.clone();
        if args.recipe.is_paper() {
            args.dev_share.get_or_insert(0.1);
            args.epochs.get_or_insert(3);
            args.batch_size.get_or_insert(32);
            args.lr.get_or_insert(1e-3);
            args.optimizer.get_or_insert(OptimizerChoice::Bert);
        }
        args
    }

    /// What is kept of the output of frozen layers.
    pub(crate) fn cache(&self) -> Option<PrefixCacheSpec> {
        let place = match self.prefix_cache {
            CacheChoice::Memory => Place::Memory,
            CacheChoice::Disk => Place::Disk,
            CacheChoice::Off => return None,
        };
        Some(PrefixCacheSpec { place, bytes: self.prefix_cache_limit.saturating_mul(1_000_000) })
    }
}

/// How files are read and where the columns are.
#[derive(clap::Args, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ColumnArgs {
    /// Column of the text, by name or number; twice for pairs [default: found].
    #[arg(long, value_name = "COLUMN")]
    pub(crate) text_column: Vec<String>,
    /// Column of the image, a path or its bytes, by name or number [default: found where there is no text].
    #[arg(long, value_name = "COLUMN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_column: Option<String>,
    /// Folder that paths of images begin at [default: that of the file].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_root: Option<PathBuf>,
    /// Leave out rows and images that cannot be read, and list them, instead of ending.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) skip_bad: bool,
    /// Column of the label, by name or number; several times for columns of 0 and 1, a label each [default: found].
    #[arg(long, value_name = "COLUMN")]
    #[serde(serialize_with = "one_or_many")]
    pub(crate) label_column: Vec<String>,
    /// Encoding of the files: utf-8, windows-1252, utf-16le, shift_jis and others [default: by their first bytes].
    #[arg(long, value_name = "NAME", default_value = "auto", hide_default_value = true)]
    #[serde(serialize_with = "encoding_name")]
    pub(crate) encoding: String,
    /// The files have no header; columns are 1, 2, ...
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Tab-separated files quote fields as CSV does.
    #[arg(long)]
    pub(crate) tsv_quotes: bool,
    /// What stands between fields: comma, semicolon, tab, bar or a character [default: found].
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) separator: Option<String>,
    /// What is done with rows that have no label.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip_serializing_if = "MissingChoice::is_default")]
    pub(crate) missing: MissingChoice,
    /// Names of the classes that numbers stand for, in their order, with commas between them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) label_names: Vec<String>,
    /// More different labels than this are taken for a mistake [default: 10000].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_classes: Option<usize>,
    /// Most that a packed file may become, in MB [default: 20 times its size, at least 32 MB].
    #[arg(long, value_name = "MB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_unpacked: Option<u64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MissingChoice {
    /// They end the run.
    #[default]
    Error,
    /// They are left out and counted.
    Drop,
}

impl MissingChoice {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One column as its name: keys of runs stay what they were when there was one alone.
fn one_or_many<S: serde::Serializer>(columns: &[String], to: S) -> Result<S::Ok, S::Error> {
    match columns {
        [] => to.serialize_none(),
        [one] => to.serialize_some(one),
        many => many.serialize(to),
    }
}

/// What is found by itself had the name of the default.
fn encoding_name<S: serde::Serializer>(name: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(if matches!(name, "auto" | "") { "utf-8" } else { name })
}

/// How images are read in training.
#[derive(clap::Args, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ImageArgs {
    /// Height and width of images in pixels, a multiple of the model's patch [default: the model's own].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<u16>,
    /// Exchange left and right in half of the training images, another half in each epoch.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    flip: bool,
    /// Show random parts of the training images, 8 to 100 % of the area, others in each epoch.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    random_crop: bool,
    /// Memory for decoded images in MB; what does not fit is decoded in each epoch.
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    #[serde(skip)]
    image_cache: usize,
}

impl ImageArgs {
    /// The side of images, if it is not the model's.
    pub(crate) fn side(&self) -> Option<usize> {
        self.image_size.map(usize::from)
    }

    /// The random changes.
    pub(crate) fn augment(&self) -> Augment {
        Augment { flip: self.flip, crop: self.random_crop }
    }

    /// Memory for decoded images in bytes.
    pub(crate) fn cache(&self) -> usize {
        self.image_cache.saturating_mul(1_000_000)
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScheduleChoice {
    /// To zero on a line, as in BERT's code.
    #[default]
    Linear,
    /// To --min-lr on half a wave.
    Cosine,
}

impl ScheduleChoice {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PoolingChoice {
    /// By the checkpoint: mean for sentence encoders, pooler for a BERT with one, else the first token.
    Auto,
    /// The pre-trained pooler, frozen: the paper's.
    Pooler,
    /// The first token.
    Cls,
    /// The mean of all tokens.
    Mean,
    /// The first token and the mean of all others: how DINOv2 classifies images.
    ClsMean,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OptimizerChoice {
    /// As in BERT's code.
    Bert,
    /// With bias correction.
    Adamw,
}

impl ColumnArgs {
    /// The source that a text names.
    pub(crate) fn source(&self, text: &str) -> Result<DataSource> {
        let choice = ColumnChoice {
            texts: self.text_column.clone(),
            labels: self.label_column.clone(),
            image: self.image_column.clone(),
        };
        let encoding = match self.encoding.as_str() {
            "auto" | "" => None,
            name => Some(Encoding::named(name)?),
        };
        let separator = self.separator.as_deref().map(separator).transpose()?;
        let options = ReadOptions {
            encoding,
            header: !self.no_header,
            literal_quotes: !self.tsv_quotes,
            separator,
            max_unpacked: self.max_unpacked.map(|mb| mb.saturating_mul(1_000_000)),
        };
        // A data set of a package is known by its name, unless something of that name is here.
        let packaged = if Path::new(text).exists() { None } else { packages::data(text)? };
        let mut source = match packaged {
            Some(path) => DataSource::parse(&path, choice, options)?.called(text),
            None => DataSource::parse(text, choice, options)?,
        };
        source.images.root.clone_from(&self.image_root);
        source.images.skip_bad = self.skip_bad;
        source.skip_bad = self.skip_bad;
        if self.missing == MissingChoice::Drop {
            source.missing = Missing::Drop;
        }
        source.label_names.clone_from(&self.label_names);
        source.max_classes = self.max_classes.unwrap_or(MAX_CLASSES);
        Ok(source)
    }
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    out::check_store(&args.out, args.store.as_deref())?;
    let mut out = out::folder(&args.out, &out::RUN, &args.inputs())?;
    // A run that was saved and not recorded: the same command ends it.
    let key = run_key(args)?;
    let mut left = Finished::pending(&out).filter(|p| out.is_whole() && p.record.key == key);
    let there = || out::there(&args.out, &out::RUN);
    if out.is_whole() && left.is_none() && !args.overwrite {
        bail!("{}", there());
    }
    // Settings that have no meaning, and a store that cannot be used, are better known before the work than after it.
    check_settings(args)?;
    let mut store = args.store.as_deref().map(Store::open).transpose()?;
    let begin = Instant::now();
    let data = read_data(args)?;
    let seconds_reading = begin.elapsed().as_secs_f64();
    let frozen = Arc::new(Frozen::open(args)?);
    let mut run = Run::new(frozen, settings.threads, args, data)?;
    run.seconds_reading += seconds_reading;
    if !settings.json {
        run.describe()?;
    }
    let identity = run.identity(args)?;
    left = left.filter(|left| left.identity == identity);
    let finished = match left {
        Some(left) => {
            eprintln!("the adapter of this run was saved before; what was left to do is done now");
            left
        }
        None if out.is_whole() && !args.overwrite => bail!("{}", there()),
        None => {
            catch_interrupt();
            let mut progress = TrainProgress::new(settings.json);
            let trained = run.train(args, &mut out, |event| progress.on_event(event));
            progress.finish();
            let Some(mut trained) = trained? else {
                eprintln!("interrupted; the state is saved. The same command goes on from there.");
                return Ok(ExitCode::from(130));
            };
            trained.finished.summary["evaluations"] = json!(progress.evaluations);
            trained.save(&out, &args.out)?.0
        }
    };
    if let Some(store) = &mut store {
        finished.add_to(store, &args.out)?;
    }
    let told = match settings.json {
        true => json(&finished.summary),
        false => finished.tell(&args.out),
    };
    // The very last, when all files are closed: killed before it, the same command comes here again.
    let place = out.path().to_path_buf();
    drop((store, out));
    Finished::settle(&place)?;
    told?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::training::run_key;

    fn args(more: &str) -> Args {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            args: Args,
        }
        let given = "train --base base --data train.csv --epochs 2 --method adapter[width=8] \
                     --max-length 24 --pooling mean --seed 3 --out new";
        Flags::parse_from(given.split_whitespace().chain(more.split_whitespace())).args
    }

    /// The key is that of the program before there were recipes.
    #[test]
    fn the_papers_runs_keep_their_keys() {
        let known = "a7f0c3cf9d5253bf01b078b59f532e8a30637edc75bf45d280f075394458fcb7";
        assert_eq!(run_key(&args("--recipe paper")).unwrap(), known);
        let in_full = "--recipe paper --lr 0.001 --batch-size 32 --dev-share 0.1 --optimizer bert";
        assert_eq!(run_key(&args(in_full)).unwrap(), known);
        let auto = run_key(&args("")).unwrap();
        assert_eq!(auto, run_key(&args("--recipe auto")).unwrap());
        assert_ne!(auto, known);
        assert_ne!(auto, run_key(&args("--lr 0.001")).unwrap());
    }
}
