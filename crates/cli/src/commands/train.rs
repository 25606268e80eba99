//! `budwood train`: train an adapter and write its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use budwood_base::head::{HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::record::{DataDigest, MetricValue};
use budwood_engine::{Device, Workers};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, AdapterMeta, FORMAT, TaskMeta};
use budwood_model::{Adapter, Base};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::metric::{METRICS, default_metric};
use budwood_tasks::read::{Encoding, ReadOptions};
use budwood_tasks::task::{self, Task};
use budwood_tasks::{ColumnChoice, DataSource, Dataset, Split, Tokenizer};
use budwood_train::{
    Checkpoint, ClassWeights, OptimizerSpec, Outcome, Prepared, Score, TrainConfig, Trainer,
    answers, prepare, scores,
};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::base::PrecisionArgs;
use crate::output::{bytes, json, peak_memory, say, seconds, thousands};
use crate::progress::{TrainProgress, catch_interrupt};
use crate::{Settings, base};

#[derive(clap::Args, Clone)]
pub(crate) struct Args {
    /// Base model: a folder, a name of `budwood models`, or OWNER/NAME of the Hugging Face hub.
    #[arg(long, default_value = "minilm")]
    pub(crate) base: String,
    /// Training data: a file (.csv, .tsv, .jsonl, .parquet; .gz and .bz2 too), or LAYOUT=FOLDER such as
    /// glue:CoLA=DIR or trec=DIR.
    #[arg(long)]
    pub(crate) data: String,
    /// Validation data; without it the layout's own, or a share of the training data.
    #[arg(long)]
    pub(crate) dev_data: Option<String>,
    /// Test data, scored once at the end.
    #[arg(long)]
    pub(crate) test_data: Option<String>,
    /// Score the layout's own test split at the end.
    #[arg(long, conflicts_with = "test_data")]
    pub(crate) test: bool,
    /// Share of the training data kept for validation where there is none; 0 for no validation.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) dev_share: f64,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    /// Use only the first N training rows.
    #[arg(long, value_name = "N")]
    pub(crate) train_rows: Option<usize>,
    /// Kind of task: classification or regression [default: by the labels].
    #[arg(long)]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,
    /// Tuning method, such as adapter, adapter[width=8], seq_bn, linear; see `budwood methods`.
    #[arg(long, default_value = "adapter")]
    pub(crate) method: String,
    /// How a sequence becomes one vector.
    #[arg(long, value_enum, default_value_t = PoolingChoice::Auto)]
    pub(crate) pooling: PoolingChoice,
    /// Passes over the training data.
    #[arg(long, default_value_t = 3)]
    pub(crate) epochs: usize,
    /// Examples in a batch.
    #[arg(long, default_value_t = 32)]
    pub(crate) batch_size: usize,
    /// Tokens in a batch, instead of a number of examples.
    #[arg(long, value_name = "N", conflicts_with = "batch_size")]
    pub(crate) batch_tokens: Option<usize>,
    /// Batches whose gradients make one step.
    #[arg(long, default_value_t = 1)]
    pub(crate) accumulate: usize,
    /// Largest learning rate.
    #[arg(long, default_value_t = 1e-3)]
    pub(crate) lr: f64,
    /// Share of the steps over which the learning rate rises.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) warmup: f64,
    /// Adam without bias correction as in BERT's code, or AdamW with it.
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Bert)]
    pub(crate) optimizer: OptimizerChoice,
    /// Decoupled weight decay of matrices.
    #[arg(long, default_value_t = 0.01)]
    pub(crate) weight_decay: f64,
    /// Largest norm of a step's gradient; 0 for no limit.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) clip: f64,
    /// Seed of initial values, order and dropout.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Tokens that an input is cut to.
    #[arg(long, default_value_t = 128)]
    pub(crate) max_length: usize,
    /// Dropout of the encoder in training [default: as the model's config.json says].
    #[arg(long)]
    pub(crate) dropout: Option<f32>,
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
    /// Folder that the adapter is written to.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Replace an adapter that is there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Seconds between checkpoints.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub(crate) save_every: f64,
}

/// How files are read and where the columns are.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct ColumnArgs {
    /// Column of the text, by name or number; twice for pairs [default: found].
    #[arg(long, value_name = "COLUMN")]
    pub(crate) text_column: Vec<String>,
    /// Column of the label [default: found].
    #[arg(long, value_name = "COLUMN")]
    pub(crate) label_column: Option<String>,
    /// Encoding of the files.
    #[arg(long, value_enum, default_value_t = EncodingChoice::Utf8)]
    pub(crate) encoding: EncodingChoice,
    /// The files have no header; columns are 1, 2, ...
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Tab-separated files quote fields as CSV does.
    #[arg(long)]
    pub(crate) tsv_quotes: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum EncodingChoice {
    /// UTF-8.
    #[default]
    #[value(name = "utf-8")]
    Utf8,
    /// ISO 8859-1.
    #[value(name = "latin-1")]
    Latin1,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PoolingChoice {
    /// By the checkpoint: mean for sentence encoders, pooler for a BERT with one, else the first token.
    Auto,
    /// The pre-trained pooler, frozen: the paper's.
    Pooler,
    /// The first token.
    Cls,
    /// The mean of all tokens.
    Mean,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OptimizerChoice {
    /// As in BERT's code.
    Bert,
    /// With bias correction.
    Adamw,
}

impl ColumnArgs {
    /// The source that a text names.
    pub(crate) fn source(&self, text: &str) -> Result<DataSource> {
        let choice =
            ColumnChoice { texts: self.text_column.clone(), label: self.label_column.clone() };
        let encoding = match self.encoding {
            EncodingChoice::Utf8 => Encoding::Utf8,
            EncodingChoice::Latin1 => Encoding::Latin1,
        };
        let options =
            ReadOptions { encoding, header: !self.no_header, literal_quotes: !self.tsv_quotes };
        Ok(DataSource::parse(text, choice, options)?)
    }
}

/// The data of a run.
pub(crate) struct Data {
    pub(crate) task: &'static Task,
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) train: Dataset,
    pub(crate) dev: Option<Dataset>,
    pub(crate) test: Option<Dataset>,
    pub(crate) columns: (Vec<String>, String),
    pub(crate) notes: Vec<String>,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    if args.out.join("adapter.json").exists() && !args.overwrite {
        bail!("{} holds an adapter already; say --overwrite to replace it", args.out.display());
    }
    let begin = Instant::now();
    let data = read_data(args)?;
    let mut run = Run::new(settings, args, data)?;
    run.seconds_reading += (begin.elapsed() - run.total_setup).as_secs_f64();
    if !settings.json {
        run.describe(args)?;
    }
    let finished = run.train(args)?;
    let Some(finished) = finished else {
        eprintln!("interrupted; the state is saved. The same command goes on from there.");
        return Ok(ExitCode::from(130));
    };
    if settings.json {
        json(&finished.summary)?;
    } else {
        finished.tell(&args.out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads and splits the data.
pub(crate) fn read_data(args: &Args) -> Result<Data> {
    let source = args.columns.source(&args.data)?;
    let mut notes = Vec::new();
    let task = match &args.task {
        Some(name) => task::find(name)?,
        None => {
            let (task, why) = source.detect_kind(Split::Train)?;
            notes.push(format!("task: {}, because {why}", task.name));
            task
        }
    };
    let labels = source.labels(task, Split::Train)?;
    let columns = source.column_names(Split::Train)?;
    let mut train = source.examples(task, &labels, Split::Train, true)?;
    if let Some(n) = args.train_rows {
        train = train.first(n);
    }
    let mut dev = match &args.dev_data {
        Some(text) => Some(args.columns.source(text)?.examples(task, &labels, Split::Dev, true)?),
        None if source.layout().is_some() && source.has(Split::Dev) => {
            Some(source.examples(task, &labels, Split::Dev, true)?)
        }
        None => None,
    };
    if dev.is_none() && args.dev_share > 0.0 {
        if args.dev_share >= 1.0 {
            bail!("--dev-share {} leaves nothing to train on", args.dev_share);
        }
        let (rest, part) = train.split(args.dev_share, args.seed, "dev")?;
        notes.push(format!("validation: {} of the training rows", part.examples.len()));
        (train, dev) = (rest, Some(part));
    }
    let test = match &args.test_data {
        Some(text) => {
            Some(args.columns.source(text)?.examples(task, &labels, Split::Test, true)?)
        }
        None if args.test => Some(source.examples(task, &labels, Split::Test, true)?),
        None => None,
    };
    Ok(Data { task, name: source.task_name(), labels, train, dev, test, columns, notes })
}

/// A run with everything loaded.
pub(crate) struct Run {
    quiet: bool,
    data: Data,
    model: BaseModel,
    base: Base,
    workers: Workers,
    config: TrainConfig,
    head: HeadSpec,
    why_pooling: String,
    train: Prepared,
    dev: Option<Prepared>,
    test: Option<Prepared>,
    /// Reading and encoding the data, without loading the model.
    seconds_reading: f64,
    total_setup: Duration,
}

/// A finished run.
pub(crate) struct Finished {
    pub(crate) summary: Value,
    pub(crate) meta: AdapterMeta,
    pub(crate) outcome: Outcome,
    pub(crate) bytes: u64,
}

impl Run {
    pub(crate) fn new(settings: &Settings, args: &Args, data: Data) -> Result<Self> {
        let begin = Instant::now();
        let model = BaseModel::open(&base::folder(&args.base)?)?;
        let tokenizer = Tokenizer::open(model.folder(), &model.spec().family)?;
        let (rows, longest) = text_sizes(&model)?;
        tokenizer.check_vocabulary(rows)?;
        if args.max_length > longest {
            bail!("--max-length {} is more than the model's {longest} positions", args.max_length);
        }
        let (auto, why) = model.default_pooling();
        let (pooling, why_pooling) = match args.pooling {
            PoolingChoice::Auto => (auto, why),
            PoolingChoice::Pooler => (Pooling::Pooler, "as asked for".into()),
            PoolingChoice::Cls => (Pooling::Cls, "as asked for".into()),
            PoolingChoice::Mean => (Pooling::Mean, "as asked for".into()),
        };
        let head = HeadSpec {
            kind: data.task.head,
            outputs: data.labels.len().max(1),
            pooling,
            dense: None,
            bias: true,
            dropout: 0.1,
        };
        let config = config(args, &data)?;
        let threads = settings.threads;
        let encode = |d: &Dataset| prepare(&tokenizer, d, args.max_length, threads);
        let begin_encoding = Instant::now();
        let train = encode(&data.train)?;
        let dev = data.dev.as_ref().map(encode).transpose()?;
        let test = data.test.as_ref().map(encode).transpose()?;
        let seconds_reading = begin_encoding.elapsed().as_secs_f64();
        let mut base = base::load(&model, args.precision.get(model.is_quantized()), true)?;
        if let Some(p) = args.dropout {
            if !(0.0..1.0).contains(&p) {
                bail!("--dropout {p} is not a probability below 1");
            }
            base.set_dropout(p);
        }
        let workers = Workers::new(Device::cpu(), threads);
        Ok(Self {
            quiet: settings.json,
            data,
            model,
            base,
            workers,
            config,
            head,
            why_pooling,
            train,
            dev,
            test,
            seconds_reading,
            total_setup: begin.elapsed(),
        })
    }

    fn describe(&self, args: &Args) -> Result<()> {
        let data = &self.data;
        for note in &data.notes {
            say!("{note}")?;
        }
        let dev = self.dev.as_ref().map_or("none".into(), |d| thousands(d.len() as u64));
        say!(
            "data: {} to train on, {dev} to validate, {} classes",
            thousands(self.train.len() as u64),
            data.labels.len()
        )?;
        if self.train.truncated > 0 {
            say!(
                "{} of {} training texts are longer than {} tokens and were cut",
                thousands(self.train.truncated as u64),
                thousands(self.train.len() as u64),
                args.max_length
            )?;
        }
        say!("pooling: {:?}, {}", self.head.pooling, self.why_pooling)?;
        Ok(())
    }

    /// Trains and writes the adapter; none if the run was interrupted.
    pub(crate) fn train(&mut self, args: &Args) -> Result<Option<Finished>> {
        let mut adapter =
            Adapter::new(&self.base, &self.config.method, self.head.clone(), self.config.seed)?;
        let id = self.model.id(&args.base);
        let digests: Vec<DataDigest> =
            [Some(&self.data.train), self.data.dev.as_ref(), self.data.test.as_ref()]
                .into_iter()
                .flatten()
                .map(|d| d.digest.clone())
                .collect();
        let precision = format!("{:?}", self.base.precision());
        let identity =
            serde_json::to_string(&(&id, &digests, &self.head, args.dropout, precision))?;
        std::fs::create_dir_all(&args.out)
            .map_err(|e| anyhow::anyhow!("cannot make the folder {}: {e}", args.out.display()))?;
        catch_interrupt();
        let mut progress = TrainProgress::new(self.quiet);
        let trainer = Trainer::new(
            &self.base,
            &mut self.workers,
            &self.config,
            &self.train,
            self.dev.as_ref(),
            &identity,
        )?;
        let every = Duration::from_secs_f64(args.save_every.max(0.0));
        let trainer = trainer.with_checkpoints(&args.out, every);
        let result = trainer.run(&mut adapter, |event| progress.on_event(event));
        progress.finish();
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(e @ budwood_train::Error::Diverged { .. }) => {
                self.keep_what_is_good(args, &adapter, &id, &digests)?;
                return Err(e.into());
            }
            Err(e) => return Err(e.into()),
        };
        if outcome.interrupted {
            return Ok(None);
        }
        let mut metrics =
            metric_values("dev", &outcome.scores, &self.config.metric, self.dev.as_ref());
        if let Some(test) = &self.test
            && let Some(targets) = &test.targets
        {
            let scores = scores(&answers(&mut self.workers, &self.base, &adapter, test), targets);
            metrics.extend(metric_values("test", &scores, "", Some(test)));
        }
        let meta = self.meta(args, &adapter, id, digests, metrics);
        let mut folder = AdapterFolder { meta, tensors: adapter.params.to_tensors() };
        folder.save(&args.out)?;
        Checkpoint::remove(&args.out)?;
        let bytes = AdapterFolder::bytes_on_disk(&args.out)?;
        let folder_precision = folder.meta.precision.clone();
        let summary = json!({
            "adapter": args.out, "bytes": bytes, "task": folder.meta.task,
            "method": folder.meta.method.to_string(), "seed": self.config.seed,
            "parameters_trained": folder.meta.parameters_trained,
            "parameters_base": folder.meta.parameters_base,
            "metrics": folder.meta.metrics, "evaluations": progress.evaluations,
            "steps": outcome.steps, "kept_step": outcome.kept_step,
            "stopped_early": outcome.stopped_early, "seconds": outcome.seconds,
            "seconds_reading": self.seconds_reading,
            "peak_bytes": peak_memory(), "truncated_rows": self.train.truncated,
            "weights_sha256": folder.meta.weights_sha256,
            "precision": folder_precision, "pooling": self.head.pooling, "pooling_reason": self.why_pooling,
        });
        Ok(Some(Finished { summary, meta: folder.meta, outcome, bytes }))
    }

    /// After a divergence, the best parameters are worth keeping, if there are any.
    fn keep_what_is_good(
        &self,
        args: &Args,
        adapter: &Adapter,
        id: &budwood_base::record::BaseId,
        digests: &[DataDigest],
    ) -> Result<()> {
        if adapter.params.values.iter().all(|x| x.is_finite()) && self.dev.is_some() {
            let meta = self.meta(args, adapter, id.clone(), digests.to_vec(), Vec::new());
            AdapterFolder { meta, tensors: adapter.params.to_tensors() }.save(&args.out)?;
        }
        Ok(())
    }

    fn meta(
        &self,
        args: &Args,
        adapter: &Adapter,
        base: budwood_base::record::BaseId,
        data: Vec<DataDigest>,
        metrics: Vec<MetricValue>,
    ) -> AdapterMeta {
        let training: BTreeMap<String, Value> = match serde_json::to_value(&self.config) {
            Ok(Value::Object(map)) => map.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let (text_columns, label_column) = self.data.columns.clone();
        let version = ("budwood".to_string(), env!("CARGO_PKG_VERSION").to_string());
        AdapterMeta {
            budwood_adapter: FORMAT,
            method: adapter.spec().clone(),
            base,
            encoder: self.model.spec().clone(),
            head: adapter.head_spec().clone(),
            labels: self.data.labels.clone(),
            task: TaskMeta {
                name: self.data.name.clone(),
                kind: self.data.task.name.into(),
                text_columns,
                label_column,
                max_length: args.max_length,
                metric: self.config.metric.clone(),
            },
            precision: base::precision_name(self.base.precision()).into(),
            training,
            seed: self.config.seed,
            data,
            metrics,
            parameters_trained: adapter.params.len() as u64,
            parameters_base: self.model.spec().parameters() as u64,
            weights_sha256: String::new(),
            versions: [version].into(),
        }
    }
}

impl Finished {
    /// The end of a run, for people.
    pub(crate) fn tell(&self, out: &Path) -> Result<()> {
        let share = 100.0 * self.meta.parameters_trained as f64 / self.meta.parameters_base as f64;
        let early = if self.outcome.stopped_early { ", stopped early" } else { "" };
        say!(
            "trained {} parameters ({share:.2} % of the base) in {} and {} steps{early}",
            thousands(self.meta.parameters_trained),
            seconds(self.outcome.seconds),
            self.outcome.steps
        )?;
        for metric in &self.meta.metrics {
            let mark = if metric.primary { "  (chose the checkpoint)" } else { "" };
            say!("{:<5} {:<9} {:.4}{mark}", metric.split, metric.name, metric.value)?;
        }
        say!("adapter: {} ({})", out.display(), bytes(self.bytes))?;
        Ok(())
    }
}

fn config(args: &Args, data: &Data) -> Result<TrainConfig> {
    let method: MethodSpec = args.method.parse().map_err(budwood_model::ModelError::from)?;
    let metric = match &args.metric {
        None => default_metric(&data.name, data.task.name).to_string(),
        Some(name) => {
            let fits = METRICS.iter().filter(|m| m.kind == data.task.name);
            let names: Vec<_> = fits.map(|m| m.name).collect();
            if !names.contains(&name.as_str()) {
                bail!(
                    "metric '{name}' does not fit a {} task; {} do",
                    data.task.name,
                    names.join(", ")
                );
            }
            name.clone()
        }
    };
    if !(args.lr.is_finite() && args.lr > 0.0) {
        bail!("--lr {} is not a learning rate above 0", args.lr);
    }
    if args.epochs == 0 {
        bail!("--epochs 0 trains nothing");
    }
    let optimizer = match args.optimizer {
        OptimizerChoice::Bert => OptimizerSpec::bert(),
        OptimizerChoice::Adamw => {
            OptimizerSpec { eps: 1e-8, bias_correction: true, ..OptimizerSpec::bert() }
        }
    };
    Ok(TrainConfig {
        method: budwood_model::method::resolve(&method)?,
        epochs: args.epochs,
        batch: args.batch_tokens.map_or(BatchSize::Examples(args.batch_size), BatchSize::Tokens),
        accumulate: args.accumulate,
        learning_rate: args.lr,
        warmup: args.warmup,
        optimizer: OptimizerSpec {
            weight_decay: args.weight_decay,
            clip_norm: args.clip,
            ..optimizer
        },
        seed: args.seed,
        max_length: args.max_length,
        eval_every: args.eval_every,
        patience: args.patience,
        class_weights: if args.balanced { ClassWeights::Balanced } else { ClassWeights::Equal },
        drop_last: args.drop_last,
        metric,
    })
}

/// Rows of the word embedding and the longest input.
pub(crate) fn text_sizes(model: &BaseModel) -> Result<(usize, usize)> {
    match &model.spec().input {
        budwood_base::encoder::InputSpec::Text(text) => Ok((text.vocab, text.length_max())),
        budwood_base::encoder::InputSpec::Image(_) => {
            bail!("this base model reads images, not texts")
        }
    }
}

pub(crate) fn metric_values(
    split: &str,
    scores: &[Score],
    primary: &str,
    data: Option<&Prepared>,
) -> Vec<MetricValue> {
    let rows = data.map_or(0, Prepared::len) as u64;
    let value = |s: &Score| MetricValue {
        split: split.into(),
        name: s.name.clone(),
        value: s.value,
        primary: s.name == primary,
        rows,
    };
    scores.iter().map(value).collect()
}
