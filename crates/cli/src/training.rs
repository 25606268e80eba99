//! One training run from its flags to its adapter: what `train`, `quickstart` and `sweep` share.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use budwood::spec::{
    ColumnSpec, OptimizerChoice, PoolingChoice, PrecisionSpec, ReadLimits, Resources,
    ScheduleChoice, Switch,
};
use budwood::{DOC_STRIDE, RunSpec, positive};
use budwood_base::digest;
use budwood_base::encoder::InputSpec;
use budwood_base::folder::OutFolder;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::record::{BaseId, DataDigest, MetricValue, RunRecord};
use budwood_engine::{Device, Workers};
use budwood_formats::native::{AdapterFolder, AdapterMeta, FORMAT, TaskMeta};
use budwood_formats::{BaseModel, check_labels};
use budwood_images::Augment;
use budwood_model::{Adapter, Base};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::metric::{METRICS, default_metric, why_undefined};
use budwood_tasks::task::Task;
use budwood_tasks::{DataReport, DataRequest, DataSource, Dataset, report};
use budwood_train::recipe::{self, FEW_ROWS, Made, Plan, Recipe};
use budwood_train::{
    Doubt, Event, Lengths, OptimizerSpec, Prepared, Scale, Schedule, Score,
    TrainConfig, Trainer, answers, scores,
};
use serde_json::{Value, json};

use crate::commands::train::Args;
use crate::finished::{Finished, Trained, write};
use crate::output::{peak_memory, say, thousands};
use crate::{base, packages};
use budwood::answer::answered;
use budwood::reader::{ImageReading, Reader};

/// The data of a run.
pub(crate) struct Data {
    pub(crate) task: &'static Task,
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) train: Dataset,
    pub(crate) dev: Option<Dataset>,
    pub(crate) test: Option<Dataset>,
    /// Columns of the texts or the image, and of the label; empty for several, which the labels are named after.
    pub(crate) columns: (Vec<String>, String),
    pub(crate) report: DataReport,
    /// Rows and images that were left out.
    pub(crate) skipped: Vec<String>,
}

/// Reads and splits the data.
pub(crate) fn read_data(spec: &RunSpec, limits: ReadLimits) -> Result<Data> {
    let dev_share = spec.in_full().data.dev_share;
    let spec = &spec.data;
    let source = |text: &String| source_named(&spec.columns, text, limits);
    let train = source(&spec.data)?;
    let name = spec.name.clone().unwrap_or_else(|| train.task_name());
    let request = DataRequest {
        train,
        dev: spec.dev_data.as_ref().map(source).transpose()?,
        test: spec.test_data.as_ref().map(source).transpose()?,
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
    let (texts, labels) = data.columns;
    let label = if let [label] = &labels[..] { label.clone() } else { String::new() };
    let budwood_tasks::Data { task, labels, train, dev, test, report, .. } = data;
    Ok(Data { task, name, labels, train, dev, test, columns: (texts, label), report, skipped })
}

/// The data that a text names; data sets of packages are known by their names, unless something of
/// that name is here.
pub(crate) fn source_named(
    columns: &ColumnSpec,
    text: &str,
    limits: ReadLimits,
) -> Result<DataSource> {
    let packaged = if Path::new(text).exists() { None } else { packages::data(text)? };
    Ok(match packaged {
        Some(path) => columns.source(&path, limits)?.called(text),
        None => columns.source(text, limits)?,
    })
}

/// A base model, opened and packed; several runs may share it.
pub(crate) struct Frozen {
    pub(crate) model: BaseModel,
    pub(crate) base: Base,
    pub(crate) reader: Reader,
}

/// What decides how a base model is opened. Runs with equal options share one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FrozenOptions {
    base: String,
    precision: PrecisionSpec,
    dropout: Option<f32>,
    drop_path: Option<f32>,
    frozen_dropout: Switch,
    /// Height and width of images in pixels.
    side: Option<usize>,
}

impl FrozenOptions {
    /// Those of a run.
    pub(crate) fn of(spec: &RunSpec) -> Self {
        Self {
            base: spec.base.clone(),
            precision: spec.precision,
            dropout: spec.dropout,
            drop_path: spec.drop_path,
            frozen_dropout: spec.frozen_dropout,
            side: spec.data.images.side(),
        }
    }
}

impl Frozen {
    /// Opens the model that a specification names.
    pub(crate) fn open(options: &FrozenOptions) -> Result<Self> {
        let model = BaseModel::open(&base::folder(&options.base)?)?;
        let reader = Reader::open(&model, options.side)?;
        let mut base = budwood::load(&model, options.precision.get(model.is_quantized()), true)?;
        if let Some(p) = options.dropout {
            base.set_dropout(p);
        }
        if let Some(p) = options.drop_path {
            base.set_drop_path(p);
        }
        base.set_frozen_dropout(options.frozen_dropout == Switch::On);
        Ok(Self { model, base, reader })
    }
}

/// Base models that were opened; runs with the same options share one.
#[derive(Default)]
pub(crate) struct Bases(Vec<(FrozenOptions, Arc<Frozen>)>);

impl Bases {
    /// The model of a run, opened if no run before it had it.
    pub(crate) fn get(&mut self, spec: &RunSpec) -> Result<Arc<Frozen>> {
        let options = FrozenOptions::of(spec);
        if let Some((_, frozen)) = self.0.iter().find(|(there, _)| *there == options) {
            return Ok(Arc::clone(frozen));
        }
        let frozen = Arc::new(Frozen::open(&options)?);
        self.0.push((options, Arc::clone(&frozen)));
        Ok(frozen)
    }
}

/// A run with everything loaded.
pub(crate) struct Run {
    data: Data,
    frozen: Arc<Frozen>,
    workers: Workers,
    config: TrainConfig,
    head: HeadSpec,
    lengths: Lengths,
    why_pooling: String,
    train: Prepared,
    dev: Option<Prepared>,
    test: Option<Prepared>,
    /// Reading and encoding the data, without loading the model.
    pub(crate) seconds_reading: f64,
}

impl Run {
    pub(crate) fn new(
        frozen: Arc<Frozen>,
        threads: usize,
        (spec, resources): (&RunSpec, &Resources),
        data: Data,
    ) -> Result<Self> {
        let mut lengths = lengths(spec, data.task);
        if let InputSpec::Text(text) = &frozen.model.spec().input {
            let longest = text.length_max();
            if spec.max_length.is_none() {
                lengths.max = lengths.max.min(longest);
            }
            if lengths.max > longest {
                bail!("--max-length {} is more than the model's {longest} positions", lengths.max);
            }
        }
        let (auto, why) = frozen.model.default_pooling();
        let (pooling, why_pooling) = match spec.pooling {
            _ if data.task.head.over_tokens() => {
                (Pooling::Cls, "without a meaning here: every token has outputs of its own".into())
            }
            PoolingChoice::Auto => (auto, why),
            PoolingChoice::Pooler => (Pooling::Pooler, "as asked for".into()),
            PoolingChoice::Cls => (Pooling::Cls, "as asked for".into()),
            PoolingChoice::Mean => (Pooling::Mean, "as asked for".into()),
            PoolingChoice::ClsMean => (Pooling::ClsMean, "as asked for".into()),
        };
        let head = HeadSpec {
            kind: data.task.head,
            outputs: data.task.head.outputs(data.labels.len()),
            pooling,
            dense: None,
            bias: true,
            // Heads of image encoders have none.
            dropout: if frozen.reader.processor().is_some() { 0.0 } else { 0.1 },
        };
        let config = TrainConfig { max_length: lengths.max, ..config(spec, &data)? };
        check_labels(&data.labels).map_err(|e| anyhow!("the data cannot be used: {e}"))?;
        let positive = positive(spec.positive.as_deref(), &data.labels)?;
        // The recipe has units of its own.
        let scale = if spec.is_paper() { scale_of(&data) } else { Scale::NONE };
        let begin = Instant::now();
        let prepare = |d: &Dataset, augment, cache| {
            let images = ImageReading { augment, cache };
            let mut prepared = frozen.reader.prepare(d, &data.labels, lengths, images, threads)?;
            (prepared.positive, prepared.scale) = (positive, scale);
            Ok::<_, anyhow::Error>(prepared)
        };
        let augment = spec.data.images.augment();
        if augment.any() && frozen.reader.processor().is_none() {
            bail!("--flip and --random-crop change images, but the base model reads texts");
        }
        let (cache, each) = (resources.image_bytes(), frozen.reader.image_bytes());
        // What random parts are taken from may be of any size; the rest of the room is for validation.
        let for_train = match augment.crop {
            true => cache / 4 * 3,
            false => cache.min(each * data.train.examples.len()),
        };
        let train = prepare(&data.train, augment, for_train)?;
        let plain = |d: &Dataset, cache| prepare(d, Augment::default(), cache);
        let dev = data.dev.as_ref().map(|d| plain(d, cache - for_train)).transpose()?;
        let test = data.test.as_ref().map(|d| plain(d, 0)).transpose()?;
        let seconds_reading = begin.elapsed().as_secs_f64();
        let workers = Workers::new(Device::cpu(), threads);
        Ok(Self {
            data,
            frozen,
            workers,
            config,
            head,
            lengths,
            why_pooling,
            train,
            dev,
            test,
            seconds_reading,
        })
    }

    /// What will be done, for people.
    pub(crate) fn describe(&self) -> Result<()> {
        let data = &self.data;
        for line in data.report.lines() {
            say!("{line}")?;
        }
        let dev = self.dev.as_ref().map_or("none".into(), |d| thousands(d.examples() as u64));
        let kinds = match data.task.head {
            HeadKind::QuestionAnswering | HeadKind::Regression => String::new(),
            HeadKind::TokenClassification => format!(", {} tags", data.labels.len()),
            _ => format!(", {} classes", data.labels.len()),
        };
        let examples = thousands(self.train.examples() as u64);
        say!("data: {examples} to train on, {dev} to validate{kinds}")?;
        if self.train.scale != Scale::NONE {
            let Scale { mean, deviation } = self.train.scale;
            say!(
                "numbers are learned less {mean}, in units of {deviation}; answers and errors are in their own unit"
            )?;
        }
        if let Some(l) = report::Lengths::of(self.train.whole.clone()) {
            say!(
                "tokens: half of the texts have up to {}, 95 % up to {}, the longest {}",
                l.half,
                l.most,
                l.longest
            )?;
        }
        if self.train.truncated > 0 {
            say!(
                "{} of {examples} training {}",
                thousands(self.train.truncated as u64),
                cut(data.task.head, self.lengths)
            )?;
        }
        if let Some(processor) = self.frozen.reader.processor() {
            let (height, width) = processor.output()?;
            let tokens = self.train.lengths().first().copied().unwrap_or(0);
            say!("images: {height} x {width} pixels, {tokens} tokens each")?;
        }
        tell_skipped(&data.skipped)?;
        if data.task.head.over_tokens() {
            return Ok(());
        }
        say!("pooling: {:?}, {}", self.head.pooling, self.why_pooling)?;
        Ok(())
    }

    /// SHA-256 of everything that decides the result: settings, base and data.
    pub(crate) fn identity(&self, spec: &RunSpec) -> Result<String> {
        let settings = serde_json::to_string(&self.config)?;
        let (identity, _) = self.inputs(spec)?;
        let recipe = if spec.is_paper() { "" } else { "auto" };
        let parts = [("config", settings.as_bytes()), ("identity", identity.as_bytes())];
        let recipe = (!recipe.is_empty()).then_some(("recipe", recipe.as_bytes()));
        Ok(digest::of_parts(parts.into_iter().chain(recipe)))
    }

    /// What names base and data in a checkpoint, and the digests of the data.
    fn inputs(&self, spec: &RunSpec) -> Result<(String, Vec<DataDigest>)> {
        let (frozen, data) = (&self.frozen, &self.data);
        let digests: Vec<DataDigest> = [Some(&data.train), data.dev.as_ref(), data.test.as_ref()]
            .into_iter()
            .flatten()
            .map(|d| d.digest.clone())
            .collect();
        let identity = serde_json::to_string(&(
            // What else it holds is compared by itself, so that older checkpoints stay.
            frozen.model.id(&spec.base).as_of_old(),
            &digests,
            &self.head,
            spec.dropout,
            format!("{:?}", frozen.base.precision()),
            spec.doc_stride,
            frozen.base.has_frozen_dropout(),
        ))?;
        // What is not said about texts keeps their checkpoints what they were.
        let identity = match frozen.reader.processor() {
            None => identity,
            Some(processor) => {
                identity + &serde_json::to_string(&(processor, spec.data.images.augment()))?
            }
        };
        let identity = match spec.drop_path {
            None => identity,
            Some(p) => format!("{identity} drop path {p}"),
        };
        let identity = match self.train.scale {
            Scale::NONE => identity,
            Scale { mean, deviation } => format!("{identity} less {mean} in {deviation}"),
        };
        Ok((identity, digests))
    }

    /// Trains; none if the run was interrupted. Checkpoints go to the folder of the adapter.
    pub(crate) fn train(
        &mut self,
        args: &Args,
        out: &mut OutFolder,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Trained>> {
        let (spec, resources) = (&args.spec, &args.resources);
        let frozen = Arc::clone(&self.frozen);
        let base = &frozen.base;
        let id = frozen.model.id(&spec.base);
        let (identity, digests) = self.inputs(spec)?;
        let whole_identity = self.identity(spec)?;
        let scale = self.train.scale;
        out.make().with_context(|| format!("cannot make the folder {}", args.out.display()))?;
        let (mut adapter, outcome, account) = if spec.is_paper() {
            let mut adapter =
                Adapter::new(base, &self.config.method, self.head.clone(), self.config.seed)?;
            let dev = self.dev.as_ref();
            let (workers, config) = (&mut self.workers, &self.config);
            let trainer = Trainer::new(base, workers, config, &self.train, dev, &identity)?;
            let trainer =
                trainer.with_checkpoints(&args.out, resources.save_every).with_base_id(id.clone());
            let trainer = match resources.prefix() {
                Some(spec) => trainer.with_prefix_cache(spec),
                None => trainer,
            };
            let outcome = match trainer.run(&mut adapter, on_event) {
                Ok(outcome) => outcome,
                Err(e @ budwood_train::Error::Diverged { .. }) => {
                    self.unscale(&mut adapter);
                    self.keep_what_is_good((args, out), &adapter, &id, &digests)?;
                    return Err(e.into());
                }
                Err(e) => return Err(e.into()),
            };
            (adapter, outcome, None)
        } else {
            let recipe = Recipe {
                base,
                workers: &mut self.workers,
                config: self.config.clone(),
                head: self.head.clone(),
                train: &self.train,
                dev: self.dev.as_ref(),
                identity: format!("{identity} recipe auto"),
                base_id: Some(id.clone()),
                folder: Some(args.out.clone()),
                save_every: resources.save_every,
                cache: resources.prefix(),
            };
            let Made { adapter, outcome, account, config } = recipe.run(on_event)?;
            self.config = config;
            (adapter, outcome, Some(account))
        };
        if outcome.interrupted {
            return Ok(None);
        }
        self.unscale(&mut adapter);
        let mut none_threshold = None;
        let primary = self.config.metric.clone();
        let mut metrics = match &account {
            None => metric_values("dev", &outcome.scores, &primary, self.dev.as_ref()),
            Some(account) => account.by_folds().into_iter().collect(),
        };
        let mut undefined = Vec::new();
        let mut predictions = Vec::new();
        let splits =
            [("dev", &self.data.dev, &mut self.dev), ("test", &self.data.test, &mut self.test)];
        for (split, data, prepared) in splits {
            let (Some(data), Some(prepared)) = (data, prepared) else { continue };
            // A threshold is chosen on validation data alone.
            if split == "test" && prepared.doubt == Doubt::Best {
                prepared.doubt = Doubt::Above(none_threshold.unwrap_or(f32::MAX));
            }
            let answers = answers(&mut self.workers, base, &adapter, prepared)?;
            let scores = scores(&answers, prepared);
            if split == "dev" {
                none_threshold = answers.none_threshold(prepared);
            }
            // The paper's recipe has scored the validation rows already.
            if split == "test" || account.is_some() || metrics.is_empty() {
                let chose = match (split, &account) {
                    ("dev", Some(account)) if account.folds.is_none() => primary.as_str(),
                    _ => "",
                };
                metrics.extend(metric_values(split, &scores, chose, Some(prepared)));
            }
            let not_defined = scores.iter().filter(|s| s.value.is_nan());
            undefined.extend(not_defined.map(|s| (split, s.name.clone())));
            predictions
                .push((split.to_string(), answered(data, prepared, &answers, &self.data.labels)));
        }
        let mut meta = self.meta(&adapter, id, digests, metrics);
        meta.task.none_threshold = none_threshold;
        meta.task.positive.clone_from(&spec.positive);
        if scale != Scale::NONE {
            let scale = json!({ "mean": scale.mean, "deviation": scale.deviation });
            meta.training.insert("target_scale".into(), scale);
        }
        if let Some(account) = &account {
            meta.training.insert("recipe".into(), json!(account));
        }
        let folder = AdapterFolder { meta, tensors: adapter.params.to_tensors() };
        let meta = &folder.meta;
        let mut summary = json!({
            "adapter": args.out, "bytes": 0, "task": meta.task,
            "method": meta.method.to_string(), "seed": self.config.seed,
            "parameters_trained": meta.parameters_trained,
            "parameters_base": meta.parameters_base,
            "metrics": meta.metrics,
            "steps": outcome.steps, "kept_step": outcome.kept_step,
            "stopped_early": outcome.stopped_early, "seconds": outcome.seconds,
            "seconds_reading": self.seconds_reading,
            "peak_bytes": peak_memory(), "truncated_rows": self.train.truncated,
            "weights_sha256": "",
            "precision": meta.precision, "pooling": self.head.pooling, "pooling_reason": self.why_pooling,
        });
        summary["data"] = json!(self.data.report);
        if !undefined.is_empty() {
            let why = |(split, name): &(&str, String)| json!({ "split": split, "metric": name, "reason": why_undefined(name) });
            summary["undefined"] = undefined.iter().map(why).collect();
        }
        if let Some(account) = &account {
            summary["recipe"] = json!(account);
        }
        if !self.data.skipped.is_empty() {
            summary["skipped"] = json!(self.data.skipped);
        }
        let finished = Finished {
            identity: whole_identity,
            undefined: undefined.into_iter().map(|(split, name)| (split.into(), name)).collect(),
            positive: meta.task.positive.clone(),
            summary,
            skipped: self.data.skipped.clone(),
            steps: outcome.steps,
            stopped_early: outcome.stopped_early,
            bytes: 0,
            account: account.map(|a| a.to_string()),
            record: record((spec, &args.out), meta, &adapter, outcome.seconds),
            predictions,
        };
        Ok(Some(Trained { adapter, folder, finished }))
    }

    /// From here on the adapter answers in the unit of the data.
    fn unscale(&mut self, adapter: &mut Adapter) {
        let scale = self.train.scale;
        if scale == Scale::NONE {
            return;
        }
        scale.put_into(adapter, &self.frozen.base, self.workers.threads());
        let all = [Some(&mut self.train), self.dev.as_mut(), self.test.as_mut()];
        all.into_iter().flatten().for_each(|p| p.scale = Scale::NONE);
    }

    /// Layers of the encoder.
    pub(crate) fn layers(&self) -> usize {
        self.frozen.model.spec().layers
    }

    /// One score of an adapter on the validation set, and the number of its examples.
    pub(crate) fn dev_score(
        &mut self,
        adapter: &Adapter,
        metric: &str,
    ) -> Result<Option<(f64, u64)>> {
        let Some(dev) = &self.dev else { return Ok(None) };
        let answers = answers(&mut self.workers, &self.frozen.base, adapter, dev)?;
        let score = scores(&answers, dev).into_iter().find(|s| s.name == metric);
        Ok(score.map(|score| (score.value, dev.examples() as u64)))
    }

    /// Seconds that a pass over the training set will take, from a few steps of it.
    pub(crate) fn seconds_a_pass(
        frozen: Arc<Frozen>,
        threads: usize,
        args: (&RunSpec, &Resources),
        data: Data,
    ) -> Result<f64> {
        const STEPS: usize = 4;
        let (rows, few) = (data.train.examples.len(), STEPS * args.0.batch_size.unwrap_or(32));
        let data = Data { train: data.train.sample(few, 0), dev: None, test: None, ..data };
        let spec = RunSpec { epochs: Some(1), ..args.0.clone() };
        let mut run = Self::new(frozen, threads, (&spec, args.1), data)?;
        let base = &run.frozen.base;
        let mut adapter = Adapter::new(base, &run.config.method, run.head.clone(), 0)?;
        let trainer =
            Trainer::new(base, &mut run.workers, &run.config, &run.train, None, "an estimate")?;
        let outcome = trainer.run(&mut adapter, |_| ControlFlow::Continue(()))?;
        Ok(outcome.seconds * rows as f64 / run.train.len() as f64)
    }

    /// After a divergence, the best parameters are worth keeping, if there are any.
    fn keep_what_is_good(
        &self,
        (args, out): (&Args, &OutFolder),
        adapter: &Adapter,
        id: &BaseId,
        digests: &[DataDigest],
    ) -> Result<()> {
        if adapter.params.values.iter().all(|x| x.is_finite()) && self.dev.is_some() {
            let meta = self.meta(adapter, id.clone(), digests.to_vec(), Vec::new());
            let mut folder = AdapterFolder { meta, tensors: adapter.params.to_tensors() };
            out.replace(|new| write(&mut folder, new, &args.out))?;
        }
        Ok(())
    }

    fn meta(
        &self,
        adapter: &Adapter,
        base: BaseId,
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
            encoder: self.frozen.model.spec().clone(),
            head: adapter.head_spec().clone(),
            labels: self.data.labels.clone(),
            task: TaskMeta {
                name: self.data.name.clone(),
                kind: self.data.task.name.into(),
                text_columns,
                label_column,
                max_length: self.lengths.max,
                doc_stride: (self.head.kind == HeadKind::QuestionAnswering)
                    .then_some(self.lengths.stride),
                metric: self.config.metric.clone(),
                positive: None,
                none_threshold: None,
                images: self.frozen.reader.processor().map(|p| json!(p)),
            },
            precision: budwood::precision_name(self.frozen.base.precision()).into(),
            training,
            seed: self.config.seed,
            data,
            metrics,
            parameters_trained: adapter.params.len() as u64,
            parameters_base: self.frozen.model.spec().parameters() as u64,
            weights_sha256: String::new(),
            versions: [version].into(),
        }
    }
}

/// The run for the store, as a run of its own; the hash of its weights is set when they are written.
fn record(
    (spec, out): (&RunSpec, &Path),
    meta: &AdapterMeta,
    adapter: &Adapter,
    seconds: f64,
) -> RunRecord {
    let meta = meta.clone();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    RunRecord {
        key: spec.key(),
        sweep: String::new(),
        group: spec.method.clone(),
        task: meta.task.name,
        kind: meta.task.kind,
        metric: meta.task.metric,
        method: meta.method.to_string(),
        base: meta.base,
        precision: meta.precision,
        seed: meta.seed,
        settings: spec.settings().into_iter().collect(),
        training: meta.training,
        data: meta.data,
        labels: meta.labels,
        metrics: meta.metrics,
        parameters_trained: meta.parameters_trained,
        parameters_head: adapter.head_parameters() as u64,
        parameters_base: meta.parameters_base,
        seconds,
        peak_bytes: peak_memory(),
        weights_sha256: String::new(),
        adapter: Some(out.display().to_string()),
        versions: meta.versions,
        finished_at: now.map_or(0, |d| d.as_secs()),
    }
}

/// Of which class a score of a task of this kind is, in words.
pub(crate) fn positive_of(
    metric: &str,
    (kind, labels, positive): (&str, &[String], Option<&String>),
) -> String {
    let two = kind == "classification" && labels.len() == 2 && metric == "f1";
    let class = positive.or(labels.get(1));
    class.filter(|_| two).map_or(String::new(), |class| format!("  (of class '{class}')"))
}

/// How numbers are learned: as they are where they are of the size that a head begins with, else scaled.
fn scale_of(data: &Data) -> Scale {
    let numbers = report::Numbers::of(&data.train.examples);
    match numbers.filter(|n| n.deviation > 0.0) {
        Some(n) if n.mean.abs() > 10.0 || !(0.1..=10.0).contains(&n.deviation) => {
            Scale { mean: n.mean as f32, deviation: n.deviation as f32 }
        }
        _ => Scale::NONE,
    }
}

/// How long inputs are, in training on a task.
fn lengths(spec: &RunSpec, task: &Task) -> Lengths {
    let usual = if task.head == HeadKind::QuestionAnswering { 384 } else { LENGTH };
    let stride = spec.doc_stride.map_or(DOC_STRIDE, |n| n as usize);
    Lengths { max: spec.max_length.unwrap_or(usual), stride }
}

/// Tokens of an input, where nothing else is said.
const LENGTH: usize = 128;

/// What was done with examples that are too long for one input, after their number.
pub(crate) fn cut(head: HeadKind, lengths: Lengths) -> String {
    let Lengths { max, stride } = lengths;
    match head {
        HeadKind::QuestionAnswering => format!(
            "questions have texts longer than {max} tokens, which are read in windows that begin {stride} tokens after each other"
        ),
        HeadKind::TokenClassification => {
            format!("sentences are longer than {max} tokens and were cut into pieces between words")
        }
        _ => format!("texts are longer than {max} tokens and were cut"),
    }
}

/// Rows and images that were left out: how many, and the first of them.
pub(crate) fn tell_skipped(skipped: &[String]) -> Result<()> {
    if !skipped.is_empty() {
        say!("{} left out:", thousands(skipped.len() as u64))?;
        skipped.iter().take(20).try_for_each(|line| say!("  {line}"))?;
        if skipped.len() > 20 {
            say!("  ... (--json lists more)")?;
        }
    }
    Ok(())
}

/// The settings of a run on its data, checked.
pub(crate) fn config(spec: &RunSpec, data: &Data) -> Result<TrainConfig> {
    let spec = &spec.in_full();
    let plan = plan_of(spec, data.train.examples.len())?;
    let metric = match &spec.metric {
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
    let config = TrainConfig {
        max_length: lengths(spec, data.task).max,
        metric,
        class_weights: spec.weights_of(&data.labels)?,
        ..settings_of(spec, &plan)?
    };
    config.check()?;
    Ok(config)
}

/// What the recipe chooses for so many rows.
fn plan_of(spec: &RunSpec, rows: usize) -> Result<Plan> {
    let method: MethodSpec = spec.method.parse().map_err(budwood_model::ModelError::from)?;
    let method = budwood_model::method::resolve(&method)?;
    let examples = spec.batch_size.map(BatchSize::Examples);
    let batch = spec.batch_tokens.map(BatchSize::Tokens).or(examples);
    Ok(recipe::plan(&method, rows, batch))
}

/// Checks what the flags say without the data: what is wrong with them is known at once.
pub(crate) fn check_settings(spec: &RunSpec) -> Result<()> {
    spec.check()?;
    let spec = spec.in_full();
    settings_of(&spec, &plan_of(&spec, 1)?).map(drop)
}

/// What the flags say, and the recipe where they say nothing; without what the data decide.
fn settings_of(spec: &RunSpec, plan: &Plan) -> Result<TrainConfig> {
    let method: MethodSpec = spec.method.parse().map_err(budwood_model::ModelError::from)?;
    let optimizer = match spec.optimizer {
        Some(OptimizerChoice::Bert) => OptimizerSpec::bert(),
        Some(OptimizerChoice::Adamw) | None => plan.optimizer.clone(),
    };
    let config = TrainConfig {
        method: budwood_model::method::resolve(&method)?,
        epochs: spec.epochs.unwrap_or(plan.epochs),
        batch: plan.batch,
        accumulate: spec.accumulate,
        learning_rate: spec.lr.unwrap_or(plan.learning_rate),
        warmup: spec.warmup,
        schedule: match (spec.schedule, spec.min_lr) {
            (ScheduleChoice::Linear, None) => Schedule::Linear,
            (ScheduleChoice::Linear, Some(_)) => bail!("--min-lr is for --schedule cosine"),
            (ScheduleChoice::Cosine, min) => Schedule::Cosine { min: min.unwrap_or(0.0) },
        },
        optimizer: OptimizerSpec {
            weight_decay: spec.weight_decay,
            clip_norm: spec.clip,
            ..optimizer
        },
        seed: spec.seed,
        max_length: spec.max_length.unwrap_or(LENGTH),
        eval_every: spec.eval_every,
        patience: spec.patience,
        // Those of one's own need the classes' names.
        class_weights: spec.weights_of(&[]).unwrap_or_default(),
        label_smoothing: spec.label_smoothing,
        contrastive: spec.recipe == budwood::spec::RecipeChoice::Contrastive,
        drop_last: spec.drop_last,
        metric: spec.metric.clone().unwrap_or_default(),
    };
    config.check()?;
    Ok(config)
}

pub(crate) fn metric_values(
    split: &str,
    scores: &[Score],
    primary: &str,
    data: Option<&Prepared>,
) -> Vec<MetricValue> {
    let rows = data.map_or(0, Prepared::examples) as u64;
    let value = |s: &Score| MetricValue {
        split: split.into(),
        name: s.name.clone(),
        value: s.value,
        primary: s.name == primary,
        rows,
    };
    // A score that is undefined was not measured.
    scores.iter().filter(|s| s.value.is_finite()).map(value).collect()
}
